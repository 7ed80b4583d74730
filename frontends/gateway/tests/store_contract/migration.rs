//! Steps of the schema: told by their names, numbered as their files are.

use jiff::tz::TimeZone;
use sluicegate::core::{ErrorKind, User, UserId};
use sluicegate::store::{
    self, Change, ConversationItem, Expect, GroupFilter, KeyFilter, KeyRef, Limited, Once, Page, Reach,
    Store, UserFilter,
};

use super::response::{MUCH, conversation, kept, owner};
use super::{apply, at, open, schema, world};

/// The database beside its store.
enum Raw {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Raw {
    async fn run(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop).unwrap(),
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop).unwrap(),
        }
    }

    /// What steps are numbered and named, in their order.
    async fn steps(&self) -> Vec<(i64, String)> {
        let sql = "SELECT number, name FROM sg_migration ORDER BY number";
        match self {
            Self::Sqlite(pool) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
            Self::Postgres(pool) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
        }
    }

    async fn close(self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

async fn raw(address: &str) -> Raw {
    match address.strip_prefix("sqlite:") {
        Some(path) => Raw::Sqlite(sqlx::SqlitePool::connect(&format!("sqlite://{path}")).await.unwrap()),
        None => Raw::Postgres(sqlx::PgPool::connect(address).await.unwrap()),
    }
}

/// Runs a statement on the database behind its store's back.
pub(super) async fn run(address: &str, sql: &str) {
    let database = raw(address).await;
    database.run(sql).await;
    database.close().await;
}

/// What the files' names say.
fn files() -> Vec<(i64, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut all: Vec<(i64, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| {
            let (number, name) = name.trim_end_matches(".sql").split_once('_').unwrap();
            (number.parse().unwrap(), name.to_owned())
        })
        .collect();
    all.sort();
    all
}

/// An earlier version's way to number steps: by their place among those that were taken.
const COUNTED: &str = "UPDATE sg_migration SET number = -counted.n \
     FROM (SELECT name, ROW_NUMBER() OVER (ORDER BY number) AS n FROM sg_migration) counted \
     WHERE counted.name = sg_migration.name; UPDATE sg_migration SET number = -number";

async fn come_along(address: &str) {
    let store = open(address).await;
    world(&*store).await;
    store.close().await;
    let beside = raw(address).await;
    assert_eq!(beside.steps().await, files());

    // A database that counted its steps, and databases that have steps behind some that were put in between.
    for missing in [
        "",
        "DROP TABLE sg_conversation; DROP TABLE sg_conversation_item; \
         DELETE FROM sg_migration WHERE name IN ('conversation', 'conversation_bound')",
        "DROP TABLE sg_once; DELETE FROM sg_migration WHERE name = 'idempotency'",
    ] {
        beside.run(missing).await;
        for counted in [COUNTED, ""] {
            beside.run(counted).await;
            let store = open(address).await;
            assert_eq!(beside.steps().await, files(), "{missing} {counted}");
            has_its_world(&*store).await;
            store.close().await;
        }
    }

    beside.run("INSERT INTO sg_migration (number, name, checksum) VALUES (9999, 'of_the_future', 'x')").await;
    beside.close().await;
    let error = store::open(address, TimeZone::UTC).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Store);
    for word in ["newer version", "9999", "`of_the_future`"] {
        assert!(error.message().contains(word), "{error}");
    }
}

async fn has_its_world(store: &dyn Store) {
    assert_eq!(store.keys(&KeyFilter::default(), &Reach::ALL, Page::default()).await.unwrap().total, 4);
    assert_eq!(store.begin_once("a", "r", super::at(1), super::at(100)).await.unwrap(), Once::New);
    store.leave_once("a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_along_however_its_steps_were_numbered() {
    let dir = tempfile::tempdir().unwrap();
    come_along(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_comes_along_however_its_steps_were_numbered() {
    if let Some(address) = schema("numbered").await {
        come_along(&address).await;
    }
}

/// The schema as it was when conversations weren't counted yet.
const UNCOUNTED: &str = "DROP INDEX sg_conversation_share; DROP INDEX sg_conversation_item_id; \
     ALTER TABLE sg_conversation DROP COLUMN items; ALTER TABLE sg_conversation DROP COLUMN bytes; \
     ALTER TABLE sg_conversation DROP COLUMN next_position; ALTER TABLE sg_conversation_item DROP COLUMN size; \
     ALTER TABLE sg_conversation_item ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0; \
     CREATE INDEX sg_conversation_item_expires ON sg_conversation_item (expires_at); \
     DELETE FROM sg_migration WHERE name = 'conversation_bound'";

/// Conversations that came along are counted as if each item had just been added.
async fn conversations_are_counted(address: &str) {
    let mine = owner("k1", None, None);
    let item = |id: &str, text: &str| ConversationItem {
        id: id.to_owned(),
        body: format!(r#"{{"id":"{id}","text":"{text}"}}"#).into(),
    };
    let store = open(address).await;
    let items = [item("a", "plain"), item("b", "é水闸🌊"), item("c", "Fluß")];
    store.make_conversation(&conversation(&mine, "conv_1"), &items, MUCH).await.unwrap();
    store.make_conversation(&conversation(&mine, "conv_2"), &[], MUCH).await.unwrap();
    let kept = async |store: &dyn Store| {
        (
            store.kept_conversation(&mine, "conv_1", at(50)).await.unwrap(),
            store.kept_conversation(&mine, "conv_2", at(50)).await.unwrap(),
            store.conversation_share(&mine, at(50)).await.unwrap(),
            store.conversation_items(&mine, "conv_1").await.unwrap(),
        )
    };
    let was = kept(&*store).await;
    assert_eq!(was.2.bytes, items.iter().map(|item| item.body.len() as u64).sum::<u64>());
    store.close().await;
    let beside = raw(address).await;
    beside.run(UNCOUNTED).await;
    beside.close().await;
    let store = open(address).await;
    assert_eq!(kept(&*store).await, was);
    // Each item gives back what it has, and the next one stands behind the last.
    store.add_to_conversation(&mine, "conv_1", &[item("d", "")], (at(2), at(100)), Some(MUCH)).await.unwrap();
    for id in ["a", "b", "c"] {
        assert!(store.forget_conversation_item(&mine, "conv_1", id).await.unwrap());
    }
    let left = store.conversation_share(&mine, at(50)).await.unwrap();
    assert_eq!(left.bytes, item("d", "").body.len() as u64);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_of_a_file_are_counted_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    conversations_are_counted(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_of_a_schema_are_counted_in_bytes() {
    if let Some(address) = schema("counted_in_bytes").await {
        conversations_are_counted(&address).await;
    }
}

/// The schema as it was when nobody knew under which owners a user keeps something.
const UNFOUND: &str =
    "DROP INDEX sg_record_slow; DROP TABLE sg_user_owner; DELETE FROM sg_migration WHERE name = 'found'";

/// What was kept before goes with its user, too.
async fn what_came_along_is_found_by_its_user(address: &str) {
    let owners = [
        owner("k1", Some("u\"1"), Some("g")),
        owner("k1", Some("u\"1"), None),
        owner("k2", Some("v"), Some("u\"1")),
        owner("u\"1", None, None),
        owner("k3", Some("\\u0000"), None),
    ];
    let store = open(address).await;
    for mine in &owners {
        store.make_conversation(&conversation(mine, "conv_1"), &[], MUCH).await.unwrap();
        store.keep_response(&kept(mine, "r", None, 100), &[]).await.unwrap();
    }
    store.close().await;
    let beside = raw(address).await;
    beside.run(UNFOUND).await;
    beside.close().await;
    let store = open(address).await;
    store.forget_kept(&"u\"1".into()).await.unwrap();
    for (n, mine) in owners.iter().enumerate() {
        let left = [
            store.kept_conversation(mine, "conv_1", at(50)).await.unwrap().is_some(),
            store.response(mine, "r", at(50)).await.unwrap().is_some(),
        ];
        assert_eq!(left, [n > 1; 2], "{mine:?}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_has_kept_is_found_by_its_user() {
    let dir = tempfile::tempdir().unwrap();
    what_came_along_is_found_by_its_user(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_schema_has_kept_is_found_by_its_user() {
    if let Some(address) = schema("found_by_user").await {
        what_came_along_is_found_by_its_user(&address).await;
    }
}

/// Addresses that came along are looked for whatever their case; of twins the first keeps theirs.
async fn addresses_come_along(address: &str) {
    let store = open(address).await;
    world(&*store).await;
    store.close().await;
    let beside = raw(address).await;
    // `u2` was there first.
    beside
        .run(
            "ALTER TABLE sg_key DROP COLUMN governed; DELETE FROM sg_migration WHERE name = 'address'; \
             UPDATE sg_key SET updated_by = 'somebody else' WHERE id = 'k2'; \
             UPDATE sg_user SET email = 'Bob@Example.com', created_at = 5 WHERE id = 'u1'; \
             UPDATE sg_user SET email = ' BOB@example.com', created_at = 4 WHERE id = 'u2'; \
             UPDATE sg_user SET body = REPLACE(body, 'u1@example.com', 'Bob@Example.com') WHERE id = 'u1'; \
             UPDATE sg_user SET email = 'É@Example.com' WHERE id = 'u3'",
        )
        .await;
    beside.close().await;
    let store = open(address).await;
    for (email, id) in [("bob@example.com", "u2"), ("BoB@Example.com", "u2"), ("É@EXAMPLE.com", "u3")] {
        let filter = UserFilter { email: Some(email.to_owned()), ..UserFilter::default() };
        let found = store.users(&filter, &Reach::ALL, Page::default()).await.unwrap();
        let ids: Vec<_> = found.items.iter().map(|it| it.value.id.as_str()).collect();
        assert_eq!(ids, [id], "{email}");
    }
    // The other one can be changed, and has what is theirs alone from then on.
    let id = UserId::from("u1");
    for (email, blocked, done) in [
        ("Bob@Example.com", true, true),
        ("bob@example.com ", false, true),
        ("É@example.com", false, false),
        ("own@example.com", true, true),
    ] {
        let was = store.user(&id, &Reach::ALL).await.unwrap().unwrap();
        let user = User { email: Some(email.to_owned()), blocked, ..was.value.clone() };
        let changed = apply(&*store, &[Change::PutUser(user.clone(), Expect::Version(was.version))]).await;
        assert_eq!(
            changed.map_err(|error| error.kind()).err(),
            (!done).then_some(ErrorKind::Conflict),
            "{email}"
        );
        let is = store.user(&id, &Reach::ALL).await.unwrap().unwrap().value;
        assert_eq!(is, if done { user } else { was.value }, "{email}");
    }
    let found = async |email: &str| {
        let filter = UserFilter { email: Some(email.to_owned()), ..UserFilter::default() };
        let found = store.users(&filter, &Reach::ALL, Page::default()).await.unwrap().items;
        found.into_iter().map(|it| it.value.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        (found("bob@example.com").await, found("own@example.com").await),
        (vec!["u2".into()], vec!["u1".into()])
    );
    for (key, governed) in [("k1", false), ("k2", true)] {
        let stored = store.key(&KeyRef::Id(key.into()), &Reach::ALL).await.unwrap().unwrap();
        assert_eq!(stored.governed, governed, "{key}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_a_file_come_along() {
    let dir = tempfile::tempdir().unwrap();
    addresses_come_along(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_a_schema_come_along() {
    if let Some(address) = schema("addresses").await {
        addresses_come_along(&address).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_has_of_conversations_is_read_while_somebody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let (store, mine) = (open(&path.display().to_string()).await, owner("k1", None, None));
    let items = [ConversationItem { id: "a".to_owned(), body: "{}".into() }];
    store.make_conversation(&conversation(&mine, "conv_1"), &items, MUCH).await.unwrap();
    let beside = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let writes = beside.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // A writer would be refused when it had waited for some seconds.
    assert_eq!(store.conversation_share(&mine, at(50)).await.unwrap().bytes, 2);
    writes.rollback().await.unwrap();
    beside.close().await;
}

/// The schema as it was when nobody knew who has limits.
const UNLIMITED: &str = "DROP INDEX sg_key_limited; DROP INDEX sg_group_limited; DROP INDEX sg_user_limited; \
     DROP INDEX sg_membership_limited; DROP INDEX sg_key_created; DROP INDEX sg_group_created; \
     DROP INDEX sg_user_created; DROP INDEX sg_key_name; DROP INDEX sg_key_created_in; DROP INDEX sg_key_limited_in; DROP INDEX sg_group_name; DROP INDEX sg_audit_target; \
     DROP INDEX sg_audit_actor; DROP INDEX sg_audit_group; DROP INDEX sg_audit_user; \
     DROP INDEX sg_audit_action; DROP INDEX sg_audit_family; \
     DROP INDEX sg_group_created_in; DROP INDEX sg_user_created_in; DROP INDEX sg_key_unnamed; \
     DROP INDEX sg_group_unnamed; DROP INDEX sg_user_unnamed; \
     ALTER TABLE sg_key DROP COLUMN limited; ALTER TABLE sg_group DROP COLUMN limited; \
     ALTER TABLE sg_user DROP COLUMN limited; ALTER TABLE sg_membership DROP COLUMN limited; \
     ALTER TABLE sg_key DROP COLUMN names; ALTER TABLE sg_group DROP COLUMN names; \
     ALTER TABLE sg_user DROP COLUMN names; DELETE FROM sg_migration WHERE name = 'limited'";

/// What a node of an earlier version, which knows nothing of these columns, has made beside one of this version.
const MADE_BESIDE: &str = "UPDATE sg_key SET limited = 0, names = ''; UPDATE sg_group SET limited = 0, names = ''; \
     UPDATE sg_user SET limited = 0, names = ''";

/// A database whose own way to fold turns `I` into `ı`.
const TURKISH: &str = "CREATE COLLATION turkish (provider = icu, locale = 'tr-TR'); \
     ALTER TABLE sg_user ALTER COLUMN alias TYPE TEXT COLLATE turkish";

/// Who came along with limits is known to have them.
async fn limits_come_along(address: &str) {
    let store = open(address).await;
    world(&*store).await;
    let text = serde_json::json!({"note": "\"limits\":[{}]"});
    let said = |it: User| User {
        metadata: text.as_object().unwrap().clone(),
        alias: Some("Ärger".to_owned()),
        ..it
    };
    let was = store.user(&"u1".into(), &Reach::ALL).await.unwrap().unwrap();
    apply(&*store, &[Change::PutUser(said(was.value), Expect::Any)]).await.unwrap();
    let was = store.user(&"u2".into(), &Reach::ALL).await.unwrap().unwrap();
    let titled = User { alias: Some("TITLE".to_owned()), ..was.value };
    apply(&*store, &[Change::PutUser(titled, Expect::Any)]).await.unwrap();
    store.close().await;
    if !address.starts_with("sqlite:") {
        run(address, TURKISH).await;
    }
    for before in [UNLIMITED, MADE_BESIDE] {
        run(address, before).await;
        let store = open(address).await;
        let limited = Some(Limited::Any);
        let groups = GroupFilter { limited, ..GroupFilter::default() };
        assert_eq!(store.groups(&groups, &Reach::ALL, Page::default()).await.unwrap().total, 3);
        let users = UserFilter { limited, ..UserFilter::default() };
        assert_eq!(store.users(&users, &Reach::ALL, Page::default()).await.unwrap().total, 0);
        for (search, count) in
            [("ärg", 1), ("ÄRGER", 1), ("title", 1), ("TITLE", 1), ("U1", 1), ("EXAMPLE.com", 3), ("_", 0)]
        {
            let users = UserFilter { search: Some(search.to_owned()), ..UserFilter::default() };
            let found = store.users(&users, &Reach::ALL, Page::default()).await.unwrap();
            assert_eq!(found.total, count, "{search}");
        }
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_a_file_come_along() {
    let dir = tempfile::tempdir().unwrap();
    limits_come_along(&format!("sqlite:{}", dir.path().join("x.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_a_schema_come_along() {
    if let Some(address) = schema("limits_come_along").await {
        limits_come_along(&address).await;
    }
}
