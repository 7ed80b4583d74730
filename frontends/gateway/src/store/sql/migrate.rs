//! Brings the schema up to date.

use sha2::{Digest, Sha256};
use sluicegate_core::{Error, ErrorKind, Result};

use super::{Database, Dialect, Session};

/// Every step, in order. A step is never changed once released: what is wrong with it is mended by the next one.
const STEPS: &[(&str, &str)] = &[
    ("initial", include_str!("../../../migrations/0001_initial.sql")),
    ("journal", include_str!("../../../migrations/0002_journal.sql")),
    ("usage", include_str!("../../../migrations/0003_usage.sql")),
    ("ledger", include_str!("../../../migrations/0004_ledger.sql")),
    ("policy", include_str!("../../../migrations/0005_policy.sql")),
    ("response", include_str!("../../../migrations/0006_response.sql")),
    ("identity", include_str!("../../../migrations/0007_identity.sql")),
    ("audit", include_str!("../../../migrations/0008_audit.sql")),
    ("response_item", include_str!("../../../migrations/0009_response_item.sql")),
    ("key_issuer", include_str!("../../../migrations/0010_key_issuer.sql")),
    ("report", include_str!("../../../migrations/0011_report.sql")),
    ("idempotency", include_str!("../../../migrations/0012_idempotency.sql")),
    ("sign_in", include_str!("../../../migrations/0013_sign_in.sql")),
    ("record_organization", include_str!("../../../migrations/0014_record_organization.sql")),
    ("sum", include_str!("../../../migrations/0015_sum.sql")),
    ("conversation", include_str!("../../../migrations/0018_conversation.sql")),
];

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
    let mut taken = Vec::new();
    for mut row in
        session.query("SELECT name, checksum FROM sg_migration ORDER BY number".into(), Vec::new()).await?
    {
        taken.push((row.text()?, row.text()?));
    }
    if taken.len() > STEPS.len() {
        let message = "the database was made by a newer version; use that version, or restore a backup";
        return Err(Error::new(ErrorKind::Store, message));
    }
    for (at, (name, text)) in STEPS.iter().enumerate() {
        let checksum = checksum(text);
        match taken.get(at) {
            Some((_, stored)) if *stored == checksum => {}
            Some((stored, _)) => {
                let message = format!(
                    "step {} (`{stored}`) of the database's schema isn't the one this version knows",
                    at + 1
                );
                return Err(Error::new(ErrorKind::Store, message));
            }
            None => take(&mut *session, database.dialect(), at, (name, text), checksum).await?,
        }
    }
    session.commit().await
}

async fn take(
    session: &mut dyn Session,
    dialect: Dialect,
    at: usize,
    (name, text): (&'static str, &'static str),
    checksum: String,
) -> Result<()> {
    for statement in statements(text, dialect) {
        session.execute(statement.into(), Vec::new()).await?;
    }
    let number = i64::try_from(at + 1).unwrap_or(i64::MAX);
    session
        .execute(
            "INSERT INTO sg_migration (number, name, checksum) VALUES ($1, $2, $3)".into(),
            vec![number.into(), name.into(), checksum.into()],
        )
        .await?;
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
        for (name, text) in STEPS {
            for dialect in [Dialect::Sqlite, Dialect::Postgres] {
                let all = statements(text, dialect);
                assert!(!all.is_empty(), "{name}");
                for statement in all {
                    assert_eq!(statement.matches('(').count(), statement.matches(')').count(), "{statement}");
                }
            }
        }
    }
}
