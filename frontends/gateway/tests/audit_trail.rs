//! Somebody who can write to the database, and what a check of the audit trail says then.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::Path;
use std::sync::Arc;

use sluicegate::admin::{Actor, AuditAnchor, AuditCheck, AuditFaultKind, NewGroup};
use sluicegate::{Gateway, Options};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

const EVENTS: i64 = 8;

fn options(folder: &Path, secret: &'static str) -> Options {
    let variables = move |name: &str| (name == "SLUICEGATE_MASTER_SECRET").then(|| secret.to_owned());
    Options { data_dir: Some(folder.to_owned()), variables: Arc::new(variables), ..Options::default() }
}

const SECRET: &str = "master-secret-0123456789abcdef-0123";

async fn connect(folder: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}", folder.join("sluicegate.db").display())).await.unwrap()
}

async fn check(folder: &Path, secret: &'static str, anchors: &[AuditAnchor]) -> AuditCheck {
    let gateway = Gateway::open(options(folder, secret)).await.unwrap();
    let check = gateway.admin().verify_audit(&Actor::operator(), anchors).await.unwrap();
    gateway.shutdown().await;
    check
}

/// What is wrong, and where.
type Fault = (i64, AuditFaultKind);

/// A row's place in the trail without its number.
const REST: &str =
    "at, actor, action, target, organization_id, group_id, user_id, detail, address, credential, mac";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_removed_or_put_in_shows() {
    use AuditFaultKind::{Anchor, Changed, End, Missing};
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let gateway = Gateway::open(options(&original, SECRET)).await.unwrap();
    for n in 0..EVENTS {
        let new = NewGroup { id: Some(format!("g{n}").into()), ..NewGroup::default() };
        gateway.admin().create_group(&Actor::operator(), new).await.unwrap();
    }
    let anchor = gateway.admin().audit_anchor(&Actor::operator()).await.unwrap();
    gateway.shutdown().await;
    drop(gateway);
    let sound = check(&original, SECRET, std::slice::from_ref(&anchor)).await;
    assert!(sound.sound && sound.events == 8 && sound.seq == EVENTS, "{sound:?}");
    // Whose chain it isn't can't check it, and can't be taken for its owner.
    let foreign = check(&original, "another-secret-0123456789abcdef-9876", &[]).await;
    assert_eq!(foreign.faulty, 8);

    let swap = [
        format!("CREATE TEMP TABLE t AS SELECT seq, {REST} FROM sg_audit WHERE seq IN (4, 5)"),
        "DELETE FROM sg_audit WHERE seq IN (4, 5)".to_owned(),
        format!("INSERT INTO sg_audit (seq, {REST}) SELECT 9 - seq, {REST} FROM t"),
    ];
    let cut = ["DELETE FROM sg_audit WHERE seq > 6".to_owned()];
    let cut_neatly = [
        cut[0].clone(),
        "UPDATE sg_audit_head SET seq = 6, mac = (SELECT mac FROM sg_audit WHERE seq = 6)".to_owned(),
    ];
    let put_in = [format!(
        "INSERT INTO sg_audit (seq, {REST}) SELECT 9, at, 'user forger', action, target, organization_id, group_id, user_id, \
         detail, address, credential, mac FROM sg_audit WHERE seq = 8"
    )];
    let one = |sql: &str| vec![sql.to_owned()];
    let cases: Vec<(&str, Vec<String>, Vec<Fault>)> = vec![
        ("who", one("UPDATE sg_audit SET actor = 'user forger' WHERE seq = 3"), vec![(3, Changed)]),
        ("what", one("UPDATE sg_audit SET detail = '{}' WHERE seq = 1"), vec![(1, Changed)]),
        ("when", one("UPDATE sg_audit SET at = at + 1 WHERE seq = 8"), vec![(8, Changed)]),
        ("where from", one("UPDATE sg_audit SET address = '10.0.0.1' WHERE seq = 2"), vec![(2, Changed)]),
        (
            "replaced",
            one(&format!(
                "INSERT OR REPLACE INTO sg_audit (seq, {REST}) SELECT 3, {REST} FROM sg_audit WHERE seq = 4"
            )),
            vec![(3, Changed), (4, Changed)],
        ),
        ("code", one("UPDATE sg_audit SET mac = 'aa' WHERE seq = 3"), vec![(3, Changed), (4, Changed)]),
        ("removed", one("DELETE FROM sg_audit WHERE seq = 3"), vec![(3, Missing)]),
        ("the first", one("DELETE FROM sg_audit WHERE seq = 1"), vec![(1, Missing)]),
        ("some", one("DELETE FROM sg_audit WHERE seq IN (2, 3, 6)"), vec![(2, Missing), (6, Missing)]),
        ("all", one("DELETE FROM sg_audit"), vec![(8, End), (8, Anchor)]),
        ("swapped", swap.to_vec(), vec![(4, Changed), (5, Changed), (6, Changed)]),
        ("the newest", cut.to_vec(), vec![(8, End), (8, Anchor)]),
        ("the newest, and the head set back", cut_neatly.to_vec(), vec![(8, Anchor)]),
        ("put in behind", put_in.to_vec(), vec![(9, End)]),
    ];
    for (note, statements, want) in cases {
        let copy = folder.path().join(note);
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(original.join("sluicegate.db"), copy.join("sluicegate.db")).unwrap();
        let mut connection = connect(&copy).await;
        // As it is, nothing is changed or removed by mistake.
        if !statements[0].starts_with("INSERT INTO") && !statements[0].starts_with("CREATE") {
            let refused =
                sqlx::query(AssertSqlSafe(statements[0].clone())).execute(&mut connection).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{refused}");
        }
        for trigger in ["sg_audit_changes", "sg_audit_deletes", "sg_audit_replaces"] {
            sqlx::query(AssertSqlSafe(format!("DROP TRIGGER {trigger}")))
                .execute(&mut connection)
                .await
                .unwrap();
        }
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        let found = check(&copy, SECRET, std::slice::from_ref(&anchor)).await;
        let faults: Vec<Fault> = found.faults.iter().map(|fault| (fault.seq, fault.what)).collect();
        assert_eq!(faults, want, "{note}");
        assert!(!found.sound, "{note}");
    }
}
