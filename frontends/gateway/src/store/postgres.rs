//! PostgreSQL.

use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use sluicegate_core::{Error, ErrorKind, Result, Retry};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, Row as _, Transaction, TypeInfo as _, ValueRef as _,
};

use super::sql::{Database, Dialect, Row, Session, Sql, Value, one_line, statement_error};

/// Connections in all.
const CONNECTIONS: u32 = 8;

/// A connection must be there within this time. [`unconnected`] repeats it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What reports want of a connection. Compiling their expressions takes longer than reading what these are of; and what they tell
/// apart is added up in memory, where a server that nobody has set up would sort it on its disk.
const SETTINGS: &str = "SELECT set_config('jit', 'off', false), \
     CASE WHEN pg_size_bytes(current_setting('work_mem')) < 33554432 THEN set_config('work_mem', '32MB', false) END";

/// A database server.
pub(super) struct Postgres(PgPool);

impl Postgres {
    /// Connects, and says clearly why it can't.
    pub(super) async fn connect(address: &str) -> Result<Self> {
        if let Some(placeholder) = placeholder(address) {
            let message = format!(
                "the database's address holds the placeholder `{placeholder}`; put the real value in its place"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        // The parser's own message may repeat parts of the address, the password among them.
        let options = PgConnectOptions::from_str(address).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "the database's address can't be read; write `postgres://user:password@host:5432/database`, \
                 with special characters of the password percent-encoded",
            )
        })?;
        let options = options.application_name("sluicegate");
        let place = format!("{}:{}", options.get_host(), options.get_port());
        let (user, database) =
            (options.get_username().to_owned(), options.get_database().unwrap_or_default().to_owned());
        // One connection by itself first: a pool tries again until its time is up, and then can't say why it failed.
        let first = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await;
        first
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| unconnected(&error, &place, &user, &database))?
            .close()
            .await
            .map_err(statement_error)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .min_connections(0)
            .acquire_timeout(PATIENCE)
            .idle_timeout(Some(Duration::from_secs(300)))
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SETTINGS).await.map(drop) })
            })
            .connect_lazy_with(options);
        Ok(Self(pool))
    }
}

/// A part of an address that stands for something that nobody filled in.
fn placeholder(address: &str) -> Option<&str> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let known = ["<", "{{", "${", "os.environ/", "YOUR_", "your-", "your_", "CHANGEME", "changeme"];
    if let Some(at) = known.iter().filter_map(|mark| rest.find(mark)).min() {
        let text = rest.get(at..)?;
        let end = text.find(['@', '/', ':', '?']).unwrap_or(text.len()).max(1);
        // A password between `:` and `@` may hold such a mark by chance: only the mark itself is shown then.
        let shown = text.get(..end)?;
        return Some(known.iter().find(|mark| shown.starts_with(**mark)).copied().unwrap_or("<"));
    }
    matches!(
        rest,
        "user:password@host/database"
            | "user:password@host:port/dbname"
            | "username:password@host:port/database"
    )
    .then_some("user:password@host")
}

/// Why a connection couldn't be made, by what the server or the system said. The password is in none of it.
fn unconnected(error: &sqlx::Error, place: &str, user: &str, database: &str) -> Error {
    let (kind, message) = match error {
        sqlx::Error::Database(db) => match db.code().as_deref() {
            Some("28P01" | "28000") => (
                ErrorKind::Store,
                format!(
                    "the database at `{place}` refuses user `{user}`; check user, password and pg_hba.conf"
                ),
            ),
            Some("3D000") => (
                ErrorKind::Store,
                format!("the database server at `{place}` has no database `{database}`; create it first"),
            ),
            Some("53300") => {
                (ErrorKind::Store, format!("the database server at `{place}` has no connection left"))
            }
            _ => (ErrorKind::Store, format!("the database at `{place}` refuses: {}", one_line(error))),
        },
        sqlx::Error::Io(io) => (
            ErrorKind::Store,
            format!(
                "the database at `{place}` can't be reached ({}); check host, port and firewall",
                one_line(io)
            ),
        ),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::Store,
            format!(
                "the database at `{place}` gives no answer within 10 seconds; check host, port and firewall"
            ),
        ),
        sqlx::Error::Tls(_) => (
            ErrorKind::Store,
            format!("no secure connection to the database at `{place}`: {}", one_line(error)),
        ),
        _ => (ErrorKind::Store, format!("no connection to the database at `{place}`: {}", one_line(error))),
    };
    Error::new(kind, message).with_retry(Retry::AfterMs(1_000))
}

#[async_trait]
impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn read(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Reading(self.0.acquire().await.map_err(statement_error)?)))
    }

    async fn begin(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Writing(self.0.begin().await.map_err(statement_error)?)))
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

struct Reading(PoolConnection<sqlx::Postgres>);

struct Writing(Transaction<'static, sqlx::Postgres>);

macro_rules! session {
    ($($name:ident commits by $commit:expr;)+) => {$(
        #[async_trait]
        impl Session for $name {
            async fn execute(&mut self, sql: Sql, args: Vec<Value>) -> Result<u64> {
                let done = bind(sql, args).execute(&mut *self.0).await.map_err(statement_error)?;
                Ok(done.rows_affected())
            }

            async fn query(&mut self, sql: Sql, args: Vec<Value>) -> Result<Vec<Row>> {
                let rows = bind(sql, args).fetch_all(&mut *self.0).await.map_err(statement_error)?;
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
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let query = match sql {
        Sql::Borrowed(text) => sqlx::query(text),
        Sql::Owned(text) => sqlx::query(AssertSqlSafe(text)),
    };
    args.into_iter().fold(query, |query, value| match value {
        Value::Int(n) => query.bind(n),
        // QUIRK(postgres): text can't hold the character NUL. One call with such a model name mustn't stop a batch.
        Value::Text(Some(text)) if text.contains('\0') => query.bind(Some(text.replace('\0', "\u{fffd}"))),
        Value::Text(text) => query.bind(text),
        Value::Shared(text) if text.contains('\0') => query.bind(Some(text.replace('\0', "\u{fffd}"))),
        Value::Shared(text) => query.bind(text),
    })
}

fn row(row: &PgRow) -> Result<Row> {
    let value = |at: usize| -> Result<Value, sqlx::Error> {
        let raw = row.try_get_raw(at)?;
        Ok(match (raw.is_null(), raw.type_info().name()) {
            (true, _) => Value::Text(None),
            (false, "INT8") => Value::Int(Some(row.try_get(at)?)),
            (false, "INT4") => Value::Int(Some(i64::from(row.try_get::<i32, _>(at)?))),
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
    async fn addresses_that_cannot_work_are_explained_without_the_password() {
        for (address, words) in [
            ("postgres://<user>:hunter2@db/x", "placeholder"),
            ("postgres://user:${PASSWORD}hunter2@db/x", "placeholder"),
            ("postgres://u:hunter2@db:notaport/x", "can't be read"),
            ("postgres://u:hunter2@127.0.0.1:1/x", "can't be reached"),
        ] {
            let error = Postgres::connect(address).await.err().unwrap();
            assert!(error.message().contains(words), "{address}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
