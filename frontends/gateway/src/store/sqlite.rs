//! SQLite: one connection that writes, a few that read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sluicegate_core::{Error, ErrorKind, Result};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, Transaction,
    TypeInfo as _, ValueRef as _,
};

use super::sql::{Database, Dialect, Row, Session, Sql, Value, one_line, statement_error};

/// Connections that only read.
const READERS: u32 = 3;
/// Bytes of a page of a new database: records are about a kilobyte, and few fit the default of 4,096.
const PAGE_BYTES: u32 = 16_384;
/// Pages that are given back at once: 4 MiB.
const SHRINK_PAGES: i64 = 256;
/// After so many of SQLite's instructions, some tens of microseconds, a writer that isn't in haste lets others use its core:
/// where cores are few, calls would wait behind a whole batch of records.
const YIELD_AFTER: i32 = 500;

/// An embedded database.
pub(super) struct Sqlite {
    writer: SqlitePool,
    /// The same as `writer` for a database in memory, whose connections would lock each other out.
    readers: SqlitePool,
    /// The writer keeps its core to itself.
    hasty: Arc<AtomicBool>,
    /// Keeps a database in memory there: it ends with its last connection, and a call that is dropped at a bad moment
    /// takes along the pool's.
    _anchor: Option<sqlx::SqliteConnection>,
}

impl Sqlite {
    /// A database that ends with the process.
    pub(super) async fn memory() -> Result<Self> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        let pool = writing()
            .min_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(|error| unopened(Path::new("memory"), &error))?;
        let anchor = options.connect().await.map_err(|error| unopened(Path::new("memory"), &error))?;
        Ok(Self { writer: pool.clone(), readers: pool, hasty: Arc::default(), _anchor: Some(anchor) })
    }

    /// The database in a file, which is made when it doesn't exist.
    pub(super) async fn file(path: &Path) -> Result<Self> {
        let text = path.display().to_string();
        if text.contains(['<', '{', '$']) {
            let message = format!("the database's path `{text}` holds a placeholder that nobody replaced");
            return Err(Error::new(ErrorKind::Config, message));
        }
        if let Some(parent) =
            path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir())
        {
            let message =
                format!("the directory `{}` of the database doesn't exist; make it first", parent.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        private_file(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that a loss of power undoes would leave a gap to the journal, whose old segments are gone.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let hasty = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&hasty);
        let writer = writing()
            .after_connect(move |connection, _| {
                let hasty = Arc::clone(&asked);
                Box::pin(async move {
                    connection.lock_handle().await?.set_progress_handler(YIELD_AFTER, move || {
                        if !hasty.load(Ordering::Relaxed) {
                            std::thread::yield_now();
                        }
                        true
                    });
                    Ok(())
                })
            })
            // Works for a new database. One that was made without gives room back after a backup and its restoration.
            .connect_with(
                options.clone().auto_vacuum(SqliteAutoVacuum::Incremental).pragma("cache_size", "-4096"),
            )
            .await
            .map_err(|error| unopened(path, &error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .idle_timeout(Some(Duration::from_secs(60)))
            .connect_lazy_with(options.read_only(true).pragma("cache_size", "-1024"));
        Ok(Self { writer, readers, hasty, _anchor: None })
    }
}

/// A pool of one connection that writes.
fn writing() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).before_acquire(
        |connection, _| {
            // QUIRK(sqlx, 0.9): where SQLite has ended a transaction by itself, as on a full disk, there is nothing left to
            // roll back; sqlx takes that for a failure, and lets no other transaction begin on the connection.
            let is_free = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_free) })
        },
    )
}

/// Copies the database in a file as it is at one moment, while others use it, and without the room that deleted rows have
/// left. Returns how far each journal's events are in the copy.
pub(super) async fn copy(path: &Path, to: &Path) -> Result<Vec<(String, u64)>> {
    private_file(to)?;
    let place =
        |path: &Path| SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(30));
    let mut source =
        place(path).pragma("auto_vacuum", "2").connect().await.map_err(|error| unopened(path, &error))?;
    let copied = sqlx::query("VACUUM INTO $1").bind(to.display().to_string()).execute(&mut source).await;
    copied.map_err(|error| unopened(path, &error))?;
    source.close().await.map_err(statement_error)?;
    let mut copy = place(to).connect().await.map_err(|error| unopened(to, &error))?;
    let rows = sqlx::query_as::<_, (String, i64)>("SELECT id, position FROM sg_journal").fetch_all(&mut copy);
    let rows = rows.await.map_err(|error| unopened(path, &error))?;
    copy.close().await.map_err(statement_error)?;
    Ok(rows.into_iter().map(|(id, position)| (id, u64::try_from(position).unwrap_or_default())).collect())
}

/// Makes the file readable by its owner only, before SQLite fills it and makes its siblings with the same rights.
#[cfg(unix)]
fn private_file(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let message = format!("the database `{}` can't be made: {error}", path.display());
            Err(Error::new(ErrorKind::Store, message).with_source(error))
        }
    }
}

#[cfg(not(unix))]
fn private_file(_: &Path) -> Result<()> {
    Ok(())
}

fn unopened(path: &Path, error: &sqlx::Error) -> Error {
    let message = format!("the database `{}` can't be opened: {}", path.display(), one_line(error));
    Error::new(ErrorKind::Store, message)
}

#[async_trait]
impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn read(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Reading(self.readers.acquire().await.map_err(statement_error)?)))
    }

    async fn begin(&self) -> Result<Box<dyn Session>> {
        // Immediate, so that a reader never has to become a writer half-way, which SQLite refuses at once.
        Ok(Box::new(Writing(self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(statement_error)?)))
    }

    fn in_haste(&self, hasty: bool) {
        self.hasty.store(hasty, Ordering::Relaxed);
    }

    async fn shrink(&self) -> Result<bool> {
        let mut session = self.begin().await?;
        // As much as an eighth of the file is kept: new rows come sooner than later.
        let sql = "SELECT f.freelist_count - p.page_count / 8 FROM pragma_freelist_count f, pragma_page_count p, \
             pragma_auto_vacuum a WHERE a.auto_vacuum = 2";
        let spare = session.query(sql.into(), Vec::new()).await?.into_iter().next();
        if spare.map_or(Ok(0), |mut row| row.int())? < SHRINK_PAGES {
            return Ok(false);
        }
        session.execute(format!("PRAGMA incremental_vacuum({SHRINK_PAGES})").into(), Vec::new()).await?;
        session.commit().await?;
        Ok(true)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

struct Reading(PoolConnection<sqlx::Sqlite>);

struct Writing(Transaction<'static, sqlx::Sqlite>);

macro_rules! session {
    ($($name:ident commits by $commit:expr;)+) => {$(
        #[async_trait]
        impl Session for $name {
            async fn execute(&mut self, sql: Sql, args: Vec<Value>) -> Result<u64> {
                let done = bind(sql, args)?.execute(&mut *self.0).await.map_err(statement_error)?;
                Ok(done.rows_affected())
            }

            async fn query(&mut self, sql: Sql, args: Vec<Value>) -> Result<Vec<Row>> {
                let rows = bind(sql, args)?.fetch_all(&mut *self.0).await.map_err(statement_error)?;
                rows.iter().map(row).collect()
            }

            async fn commit(self: Box<Self>) -> Result<()> {
                let commit: fn($name) -> _ = $commit;
                commit(*self).await
            }
        }
    )+};
}

session! {
    Reading commits by |_| async { Ok(()) };
    Writing commits by |this| async { this.0.commit().await.map_err(statement_error) };
}

fn bind(
    sql: Sql,
    args: Vec<Value>,
) -> Result<sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>> {
    let mut arguments = sqlx::sqlite::SqliteArguments::default();
    arguments.reserve(args.len(), 0);
    for value in args {
        match value {
            Value::Int(n) => arguments.add(n).map_err(unencoded)?,
            Value::Text(text) => arguments.add(text).map_err(unencoded)?,
            Value::Shared(text) => arguments.add(text).map_err(unencoded)?,
        }
    }
    Ok(match sql {
        Sql::Borrowed(text) => sqlx::query_with(text, arguments),
        Sql::Owned(text) => sqlx::query_with(AssertSqlSafe(text), arguments),
    })
}

fn unencoded(why: sqlx::error::BoxDynError) -> Error {
    statement_error(sqlx::Error::Encode(why))
}

fn row(row: &SqliteRow) -> Result<Row> {
    let value = |at: usize| -> Result<Value, sqlx::Error> {
        let raw = row.try_get_raw(at)?;
        Ok(match (raw.is_null(), raw.type_info().name()) {
            (true, _) => Value::Text(None),
            (false, "INTEGER") => Value::Int(Some(row.try_get(at)?)),
            (false, _) => Value::Text(Some(row.try_get(at)?)),
        })
    };
    let values = (0..row.len()).map(value).collect::<Result<Vec<_>, _>>().map_err(statement_error)?;
    Ok(Row::new(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_keeps_nobody_from_writing_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::file(&folder.path().join("full.db")).await.unwrap();
        let mut session = database.begin().await.unwrap();
        session.execute("CREATE TABLE t (a TEXT)".into(), Vec::new()).await.unwrap();
        session.commit().await.unwrap();
        for insert in ["INSERT OR ROLLBACK INTO t VALUES (?)", "INSERT INTO t VALUES (?)"] {
            let mut session = database.begin().await.unwrap();
            session.query("PRAGMA max_page_count = 10".into(), Vec::new()).await.unwrap();
            let much = || vec![Value::from("x".repeat(1 << 20).as_str())];
            let failed = session.execute(insert.into(), much()).await.unwrap_err();
            assert!(failed.message().contains("full"), "{failed}");
            drop(session);
            let mut session = database.begin().await.unwrap();
            session.query("PRAGMA max_page_count = 1000000".into(), Vec::new()).await.unwrap();
            session.execute(insert.into(), much()).await.unwrap();
            session.commit().await.unwrap();
        }
    }
}
