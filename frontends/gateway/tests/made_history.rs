//! What `benches/report` measures on is what the gateway writes: made records, and made sums, are those of appending the
//! same records one by one.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../benches/report/history.rs"]
#[expect(dead_code, reason = "the bench asks for more of it")]
mod history;

use jiff::tz::TimeZone;
use sluicegate::core::{CallId, RecordEntry, Timestamp};
use sluicegate::store;

use history::{DAY_MS, DAYS, Pool, START_MS};

const CALLS: i64 = 3_000;
/// Every table that records are counted in; of records the columns, whose text may be written another way.
const TABLES: [(&str, &str); 31] = [
    ("sg_record", "body"),
    ("sg_hour", ""),
    ("sg_group_hour", ""),
    ("sg_model_hour", ""),
    ("sg_daily", ""),
    ("sg_day_owner", ""),
    ("sg_group_day", ""),
    ("sg_model_day", ""),
    ("sg_third", ""),
    ("sg_month", ""),
    ("sg_hour_label", ""),
    ("sg_label_hour", ""),
    ("sg_daily_label", ""),
    ("sg_label_day", ""),
    ("sg_label_month", ""),
    ("sg_label_model_day", ""),
    ("sg_label_model_month", ""),
    ("sg_organization_hour", ""),
    ("sg_hour_by_model", ""),
    ("sg_hour_by_channel", ""),
    ("sg_hour_by_user", ""),
    ("sg_owner_third", ""),
    ("sg_label_all_hour", ""),
    ("sg_label_all_day", ""),
    ("sg_label_owner_day", ""),
    ("sg_label_owner_third", ""),
    ("sg_label_owner_month", ""),
    ("sg_label_count", ""),
    ("sg_took", ""),
    ("sg_record_tag", ""),
    ("sg_attempt", ""),
];

/// A table's rows, each as one text.
async fn rows(pool: &Pool, table: &str, without: &str) -> Vec<String> {
    let columns = match pool {
        Pool::Sqlite(_) => format!("SELECT name, '' FROM pragma_table_info('{table}') ORDER BY name"),
        Pool::Postgres(_) => format!(
            "SELECT CAST(column_name AS TEXT), '' FROM information_schema.columns WHERE table_name = '{table}' \
             AND table_schema = current_schema() ORDER BY column_name"
        ),
    };
    let columns: Vec<String> = pool.texts(columns).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(columns.len() > 2, "{table} has columns");
    let shown = |name: &String| format!("'{name}=' || COALESCE(CAST({name} AS TEXT), 'NULL')");
    let told: Vec<String> = columns.iter().filter(|name| *name != without).map(shown).collect();
    let sql = format!("SELECT {}, '' FROM {table} ORDER BY 1", told.join(" || ' ' || "));
    pool.texts(sql).await.unwrap().into_iter().map(|(row, _)| row).collect()
}

async fn is_what_appending_makes(made: &str, appended: &str) {
    let store = store::open(made, TimeZone::UTC).await.unwrap();
    let pool = Pool::connect(made).await.unwrap();
    history::fill(&*store, &pool, CALLS, |_| {}).await.unwrap();
    let until = Timestamp::from_ms(START_MS + DAYS * DAY_MS);
    let nothing = CallId::from("");
    let records = store.scan((Timestamp::from_ms(0), &nothing), until, 10_000).await.unwrap();
    assert_eq!(records.len(), usize::try_from(CALLS).unwrap());
    let tried = |n| records.iter().filter(|it| it.attempts.len() == n).count();
    assert!(
        (0..3).all(|n| tried(n) > 20),
        "refused, plain and tried again: {} {} {}",
        tried(0),
        tried(1),
        tried(2)
    );
    assert!(records.iter().any(|it| it.tags.len() == 2) && records.iter().any(|it| it.customer.is_some()));
    let entries: Vec<RecordEntry> = records.into_iter().map(RecordEntry::from).collect();
    let other = store::open(appended, TimeZone::UTC).await.unwrap();
    for batch in entries.chunks(700) {
        other.append(batch, &[], None).await.unwrap();
    }
    let other_pool = Pool::connect(appended).await.unwrap();
    for (table, without) in TABLES {
        let (found, want) = (rows(&pool, table, without).await, rows(&other_pool, table, without).await);
        assert!(!want.is_empty(), "{table} is empty");
        let first = found.iter().zip(&want).find(|(found, want)| found != want);
        assert_eq!((found.len(), first), (want.len(), None), "{table}");
    }
    // And the indexes are there again.
    let names = |all: Vec<(String, String)>| {
        all.into_iter().map(|(name, _)| name).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(
        names(history::indexes(&pool).await.unwrap()),
        names(history::indexes(&other_pool).await.unwrap())
    );
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let [made, appended] = ["made.db", "appended.db"].map(|name| dir.path().join(name).display().to_string());
    is_what_appending_makes(&made, &appended).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let Ok(address) = std::env::var("SLUICEGATE_TEST_POSTGRES") else {
        eprintln!("SKIPPED on postgres: made history (set SLUICEGATE_TEST_POSTGRES to run it)");
        return;
    };
    let pool = Pool::connect(&address).await.unwrap();
    let mut schemas = Vec::new();
    for name in ["made_history", "made_history_appended"] {
        pool.run(format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await.unwrap();
        pool.run(format!("CREATE SCHEMA {name}")).await.unwrap();
        let join = if address.contains('?') { '&' } else { '?' };
        schemas.push(format!("{address}{join}options=-c%20search_path%3D{name}"));
    }
    is_what_appending_makes(&schemas[0], &schemas[1]).await;
}
