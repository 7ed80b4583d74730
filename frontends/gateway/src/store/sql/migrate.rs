//! Brings the schema up to date.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sluicegate_core::{Error, ErrorKind, Result};

use super::name::folded_names;
use super::{Database, Dialect, Session};

/// Every step, in the order of their numbers, which are those of their files. A step is never changed once released: what is
/// wrong with it is mended by a later one. Numbers may be left out, and taken later.
const STEPS: &[Step] = &[
    step(1, "initial", include_str!("../../../migrations/0001_initial.sql")),
    step(2, "journal", include_str!("../../../migrations/0002_journal.sql")),
    step(3, "usage", include_str!("../../../migrations/0003_usage.sql")),
    step(4, "ledger", include_str!("../../../migrations/0004_ledger.sql")),
    step(5, "policy", include_str!("../../../migrations/0005_policy.sql")),
    step(6, "response", include_str!("../../../migrations/0006_response.sql")),
    step(7, "identity", include_str!("../../../migrations/0007_identity.sql")),
    step(8, "audit", include_str!("../../../migrations/0008_audit.sql")),
    step(9, "response_item", include_str!("../../../migrations/0009_response_item.sql")),
    step(10, "key_issuer", include_str!("../../../migrations/0010_key_issuer.sql")),
    step(11, "report", include_str!("../../../migrations/0011_report.sql")),
    step(12, "idempotency", include_str!("../../../migrations/0012_idempotency.sql")),
    step(13, "sign_in", include_str!("../../../migrations/0013_sign_in.sql")),
    step(14, "record_organization", include_str!("../../../migrations/0014_record_organization.sql")),
    step(15, "sum", include_str!("../../../migrations/0015_sum.sql")),
    step(18, "conversation", include_str!("../../../migrations/0018_conversation.sql")),
    step(19, "conversation_bound", include_str!("../../../migrations/0019_conversation_bound.sql")),
    step(20, "coarser_sum", include_str!("../../../migrations/0020_coarser_sum.sql")),
    step(22, "response_work", include_str!("../../../migrations/0022_response_work.sql")),
    step(23, "narrow_sum", include_str!("../../../migrations/0023_narrow_sum.sql")),
    step(24, "found", include_str!("../../../migrations/0024_found.sql")),
    step(25, "address", include_str!("../../../migrations/0025_address.sql")),
    step(26, "limited", include_str!("../../../migrations/0026_limited.sql")),
    step(27, "answer", include_str!("../../../migrations/0027_answer.sql")),
    step(28, "user_hour", include_str!("../../../migrations/0028_user_hour.sql")),
];

/// A step of the schema. It is told by its name; where it stands is nobody's affair but that of whoever takes several at once.
struct Step {
    number: i64,
    name: &'static str,
    text: &'static str,
}

const fn step(number: i64, name: &'static str, text: &'static str) -> Step {
    Step { number, name, text }
}

/// A number that no other program locks on: `sluiceg8` in ASCII.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x736c_7569_6365_6738;

/// Takes the steps that are missing, each wholly or not at all, and checks that those taken are the ones we know.
pub(super) async fn run(database: &dyn Database) -> Result<()> {
    let mut session = database.begin().await?;
    match database.dialect() {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {}
        // Several nodes may start at once; the lock is freed with the transaction.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            session
                .query(format!("SELECT CAST(pg_advisory_xact_lock({LOCK}) AS TEXT)").into(), Vec::new())
                .await?;
        }
    }
    session
        .execute(
            "CREATE TABLE IF NOT EXISTS sg_migration (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
                .into(),
            Vec::new(),
        )
        .await?;
    let taken = taken(&mut *session).await?;
    renumber(&mut *session, &taken).await?;
    for step in STEPS {
        match taken.get(step.name) {
            Some(stored) if stored.checksum == checksum(step.text) => {}
            Some(_) => {
                let message = format!(
                    "step {} (`{}`) of the database's schema isn't the one this version knows",
                    step.number, step.name
                );
                return Err(Error::new(ErrorKind::Store, message));
            }
            None => take(&mut *session, database.dialect(), step).await?,
        }
    }
    fill_names(&mut *session, database.dialect()).await?;
    session.commit().await?;
    match database.dialect() {
        // The pages that the steps wrote would otherwise stay in the writer's cache, for nobody: 2.3 MiB at a first start.
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let mut session = database.begin().await?;
            session.execute("PRAGMA shrink_memory".into(), Vec::new()).await?;
            session.commit().await
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => Ok(()),
    }
}

/// A step that was taken.
struct Taken {
    number: i64,
    checksum: String,
}

/// The steps that were taken, by name.
async fn taken(session: &mut dyn Session) -> Result<HashMap<String, Taken>> {
    let mut taken = HashMap::new();
    let sql = "SELECT name, number, checksum FROM sg_migration ORDER BY number";
    for mut row in session.query(sql.into(), Vec::new()).await? {
        let (name, number, checksum) = (row.text()?, row.int()?, row.text()?);
        if !STEPS.iter().any(|step| step.name == name) {
            let message = format!(
                "the database was made by a newer version, which took step {number} (`{name}`); use that version, or restore a backup"
            );
            return Err(Error::new(ErrorKind::Store, message));
        }
        taken.insert(name, Taken { number, checksum });
    }
    Ok(taken)
}

/// Gives steps their files' numbers: earlier versions counted them instead.
async fn renumber(session: &mut dyn Session, taken: &HashMap<String, Taken>) -> Result<()> {
    let counted = |step: &&Step| taken.get(step.name).is_some_and(|it| it.number != step.number);
    // By way of the negative ones, for one's number may be what another was counted as.
    for step in STEPS.iter().filter(counted) {
        let sql = "UPDATE sg_migration SET number = $1 WHERE name = $2";
        session.execute(sql.into(), vec![(-step.number).into(), step.name.into()]).await?;
    }
    let sql = "UPDATE sg_migration SET number = -number WHERE number < 0";
    session.execute(sql.into(), Vec::new()).await.map(drop)
}

async fn take(session: &mut dyn Session, dialect: Dialect, step: &Step) -> Result<()> {
    for statement in statements(step.text, dialect) {
        session.execute(statement.into(), Vec::new()).await?;
    }
    let args = vec![step.number.into(), step.name.into(), checksum(step.text).into()];
    let sql = "INSERT INTO sg_migration (number, name, checksum) VALUES ($1, $2, $3)";
    session.execute(sql.into(), args).await.map(drop)
}

/// So many rows are read at once.
const PIECE: usize = 5_000;

/// Says what is searched of whatever nothing is said of yet, and whether it has limits: of what came along, and of what a node of
/// an earlier version has made meanwhile. Databases fold ASCII alone, or as their locale says; the rest is folded here.
async fn fill_names(session: &mut dyn Session, dialect: Dialect) -> Result<()> {
    const LIMITED: &str = r#"CASE WHEN body LIKE '%"limits":[{%' THEN 1 ELSE 0 END"#;
    let plainly = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => "",
        #[cfg(feature = "postgres")]
        Dialect::Postgres => r#" COLLATE "C""#,
    };
    for (table, columns) in [
        ("sg_key", &["id", "alias"][..]),
        ("sg_group", &["id", "alias"]),
        ("sg_user", &["id", "alias", "email"]),
    ] {
        let fill = format!("UPDATE {table} SET limited = {LIMITED}, names =");
        let mut behind = String::new();
        // BOUND: as many as there are, each piece behind the last one.
        loop {
            let sql = format!(
                "SELECT {} FROM {table} WHERE names = '' AND id > $1 ORDER BY id LIMIT {PIECE}",
                columns.join(", ")
            );
            let rows = session.query(sql.into(), vec![behind.as_str().into()]).await?;
            let is_last = rows.len() < PIECE;
            for mut row in rows {
                let mut parts = Vec::with_capacity(columns.len());
                for _ in columns {
                    parts.push(row.maybe_text()?);
                }
                let parts: Vec<Option<&str>> = parts.iter().map(Option::as_deref).collect();
                behind = parts.first().copied().flatten().unwrap_or_default().to_owned();
                if parts.iter().flatten().any(|part| !part.is_ascii()) {
                    let args = vec![folded_names(&parts).into(), behind.as_str().into()];
                    session.execute(format!("{fill} $1 WHERE id = $2 AND names = ''").into(), args).await?;
                }
            }
            if is_last {
                break;
            }
        }
        let parts: Vec<String> = columns.iter().map(|column| format!("coalesce({column}, '')")).collect();
        let sql = format!("{fill} lower(({}){plainly}) WHERE names = ''", parts.join(" || '\n' || "));
        session.execute(sql.into(), Vec::new()).await?;
    }
    Ok(())
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The statements of a step for a dialect: each ends with `;` at the end of a line that isn't within `$$`. Comments stand on
/// lines of their own. `--@postgres` and `--@sqlite` begin what is only for one dialect, `--@all` ends it.
fn statements(text: &str, dialect: Dialect) -> Vec<String> {
    let (mut found, mut statement) = (Vec::new(), String::new());
    let (mut is_ours, mut is_quoted) = (true, false);
    for line in text.lines() {
        let code = line.trim();
        if let Some(whose) = code.strip_prefix("--@") {
            is_ours = whose == "all" || whose == word(dialect);
            continue;
        }
        if !is_ours || code.starts_with("--") {
            continue;
        }
        statement.push_str(line);
        statement.push('\n');
        is_quoted ^= code.matches("$$").count() % 2 == 1;
        if code.ends_with(';') && !is_quoted {
            let whole = std::mem::take(&mut statement);
            found.push(whole.trim().trim_end_matches(';').to_owned());
        }
    }
    found
}

/// What a step's text calls a dialect.
fn word(dialect: Dialect) -> &'static str {
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => "sqlite",
        #[cfg(feature = "postgres")]
        Dialect::Postgres => "postgres",
    }
}

#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_parts_for_one_dialect() {
        let text =
            "-- why;\nA (\n  x\n);\n--@postgres\nDO $$\nBEGIN\n  B;\nEND\n$$;\n--@sqlite\nC;\n--@all\nD;\n";
        assert_eq!(statements(text, Dialect::Sqlite), ["A (\n  x\n)", "C", "D"]);
        assert_eq!(statements(text, Dialect::Postgres), ["A (\n  x\n)", "DO $$\nBEGIN\n  B;\nEND\n$$", "D"]);
    }

    #[test]
    fn every_statement_of_every_step_is_whole() {
        for Step { name, text, .. } in STEPS {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                let all = statements(text, dialect);
                assert!(!all.is_empty(), "{name}");
                for statement in all {
                    assert_eq!(statement.matches('(').count(), statement.matches(')').count(), "{statement}");
                }
            }
        }
    }

    #[test]
    fn steps_are_those_of_the_files_in_the_order_of_their_numbers() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        let steps: Vec<(String, String)> = STEPS
            .iter()
            .map(|step| (format!("{:04}_{}.sql", step.number, step.name), step.text.to_owned()))
            .collect();
        assert_eq!(steps, files, "the list of steps and the folder of migrations");
        let names: std::collections::HashSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len(), "a step is told by its name");
    }
}
