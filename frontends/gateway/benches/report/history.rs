//! Months of calls in a database, made by the database itself: millions of records and what is derived from them within minutes.
//! `tests/made_history.rs` proves that they are what appending the same records makes.

use sluicegate::store::{Latencies, Store};
use sluicegate_core::Timestamp;
use sqlx::AssertSqlSafe;

pub(crate) const GROUPS: i64 = 200;
pub(crate) const KEYS: i64 = 2_000;
pub(crate) const MODELS: i64 = 30;
pub(crate) const CHANNELS: i64 = 40;
pub(crate) const ORGANIZATIONS: i64 = 4;
pub(crate) const PROVIDERS: [&str; 3] = ["openai", "anthropic", "google"];
/// Half a month more than the longest question asks for, so that it begins in the middle of one.
pub(crate) const DAYS: i64 = 105;
/// 2026-09-01T00:00:00Z.
pub(crate) const START_MS: i64 = 1_788_220_800_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// How long a call that is tried twice spends on its first channel.
const RETRY_MS: i64 = 250;
/// Records that are written at once.
const PIECE: usize = 100_000;
/// Longer than any call.
const LONGEST_MS: i64 = 30_000;

/// What runs statements: a database's pool.
pub(crate) enum Pool {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Pool {
    /// A pool of one connection to the database of a store's address.
    pub(crate) async fn connect(address: &str) -> Result<Self, sqlx::Error> {
        if address.starts_with("postgres") {
            let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(address).await?;
            return Ok(Self::Postgres(pool));
        }
        let path = address.trim_start_matches("sqlite:");
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(path)
            .pragma("cache_size", "-200000")
            .pragma("temp_store", "0")
            .synchronous(sqlx::sqlite::SqliteSynchronous::Off);
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        Ok(Self::Sqlite(pool))
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        match self {
            Self::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        }
    }

    /// Rows of texts.
    pub(crate) async fn texts(&self, sql: impl Into<String>) -> Result<Vec<(String, String)>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        match self {
            Self::Sqlite(pool) => sqlx::query_as(sql).fetch_all(pool).await,
            Self::Postgres(pool) => sqlx::query_as(sql).fetch_all(pool).await,
        }
    }
}

/// Fills a new database with so many calls of [`DAYS`] days, one after the other. `told` hears of each step.
pub(crate) async fn fill(
    store: &dyn Store,
    pool: &Pool,
    calls: i64,
    mut told: impl FnMut(&str),
) -> Result<(), Box<dyn std::error::Error>> {
    for month in 0..5 {
        store.prepare(Timestamp::from_ms(START_MS + month * 28 * DAY_MS)).await?;
    }
    let indexes = indexes(pool).await?;
    for (name, _) in &indexes {
        pool.run(format!("DROP INDEX {name}")).await?;
    }
    told("making calls");
    lists(pool).await?;
    pool.run(made(pool, calls)).await?;
    pool.run("CREATE INDEX made_call_n ON made_call (n)").await?;
    told("writing records");
    // SQLite's log of what isn't in its file yet starts anew with each piece.
    for from in (0..calls).step_by(PIECE) {
        pool.run(records(from)).await?;
    }
    told("summing up");
    for sql in sums() {
        pool.run(sql).await?;
    }
    for table in ["made_call", "made_hour", "made_took"] {
        pool.run(format!("DROP TABLE {table}")).await?;
    }
    told("making indexes");
    for (_, sql) in indexes {
        pool.run(sql).await?;
    }
    if pool.is_postgres() {
        // As its autovacuum does in time.
        pool.run("VACUUM ANALYZE").await?;
    }
    Ok(())
}

/// The indexes that only speed reading up, and how each is made.
pub(crate) async fn indexes(pool: &Pool) -> Result<Vec<(String, String)>, sqlx::Error> {
    let sql = match pool {
        Pool::Sqlite(_) => {
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'"
        }
        Pool::Postgres(_) => {
            "SELECT CAST(i.indexname AS TEXT), replace(i.indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes i \
             JOIN pg_class c ON c.relname = i.indexname AND c.relnamespace = current_schema()::regnamespace \
             WHERE i.schemaname = current_schema() AND i.indexdef LIKE 'CREATE INDEX%' AND NOT c.relispartition"
        }
    };
    pool.texts(sql).await
}

/// The hours that there are, with their days, and the quarter of an octave of each time that something may take.
async fn lists(pool: &Pool) -> Result<(), sqlx::Error> {
    pool.run("CREATE TABLE made_hour (hour BIGINT PRIMARY KEY, day TEXT NOT NULL, start BIGINT NOT NULL)")
        .await?;
    pool.run("CREATE TABLE made_took (ms BIGINT PRIMARY KEY, bucket BIGINT NOT NULL)").await?;
    let hours = (0..=DAYS * 24).map(|n| {
        let at = START_MS + n * HOUR_MS;
        let day = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
        let day = jiff::tz::TimeZone::UTC.to_datetime(day).date();
        format!("({at}, '{day}', {})", at - at.rem_euclid(DAY_MS))
    });
    insert(pool, "made_hour", &hours.collect::<Vec<_>>()).await?;
    let took = (0..=LONGEST_MS).map(|ms| format!("({ms}, {})", Latencies::bucket(ms)));
    insert(pool, "made_took", &took.collect::<Vec<_>>()).await?;
    Ok(())
}

async fn insert(pool: &Pool, table: &str, rows: &[String]) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(500) {
        pool.run(format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await?;
    }
    Ok(())
}

/// A number below `below` that call `n` draws for one of its properties. Both databases count alike.
fn draw(property: i64, below: i64) -> String {
    let x = format!("((n * {} + {}) % 2147483647)", 48_271 + 7_919 * property, 1_013 * property + 17);
    format!("(({x} * ({x} / 65536 + 1)) % 1000003 * {below} / 1000003)")
}

/// Calls, each number and name of them drawn once.
fn made(pool: &Pool, calls: i64) -> String {
    let numbers = match pool {
        Pool::Sqlite(_) => format!(
            "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < {})",
            calls - 1
        ),
        Pool::Postgres(_) => format!(
            "WITH number AS (SELECT * FROM generate_series(CAST(0 AS BIGINT), {}) AS g(n))",
            calls - 1
        ),
    };
    let step = DAYS * DAY_MS;
    format!(
        "CREATE TABLE made_call AS {numbers}, \
         -- Few keys make most calls, each for a model or two; most models have a channel of their own and share another.\n\
         drawn AS (SELECT n, {START_MS} + n * {step} / {calls} AS at, {key} AS k1, {key2} AS k2, {pick} AS pick, {route} AS route, \
             {fate} AS fate, {label} AS label, {customer} AS customer, {input} + 200 AS input, {output} + 50 AS output, \
             {cached} AS cached, {took1} AS took1, {took2} AS took2, {waited} AS waited FROM number), \
         owned AS (SELECT d.*, k1 * k2 / {KEYS} AS key FROM drawn d), \
         placed AS (SELECT o.*, (key * 7 + CASE WHEN pick < 6 THEN 0 WHEN pick < 9 THEN 11 ELSE 17 END) % {MODELS} AS model, key % {GROUPS} AS grp FROM owned o), \
         tried AS (SELECT p.*, CASE route WHEN 3 THEN {MODELS} + model % ({CHANNELS} - {MODELS}) ELSE model END AS channel, \
             CASE WHEN fate < 30 THEN 0 WHEN fate < 60 THEN 2 ELSE 1 END AS attempts, \
             CASE WHEN fate < 30 THEN 'denied' WHEN fate < 40 THEN 'server_error' WHEN fate BETWEEN 60 AND 69 THEN 'timeout' ELSE 'ok' END AS outcome \
             FROM placed p) \
         SELECT n, at, at - at % {HOUR_MS} AS hour, 'call-0' || substr(CAST(1000000000000 + n AS TEXT), 2) || '9e3779b97f4a7c15' AS call, \
             'o-' || CAST(grp % {ORGANIZATIONS} AS TEXT) AS organization, \
             CASE WHEN key % 20 = 19 THEN '' ELSE 'g-' || CAST(grp AS TEXT) END AS grp, \
             CASE WHEN key % 10 = 7 THEN '' ELSE 'u-' || CAST(key / 2 AS TEXT) END AS usr, 'k-' || CAST(key AS TEXT) AS key, \
             'model-' || CAST(model AS TEXT) AS model, \
             CASE WHEN attempts = 0 THEN '' ELSE 'c-' || CAST(channel AS TEXT) END AS channel, \
             'c-' || CAST((channel + 1) % {CHANNELS} AS TEXT) AS first_channel, attempts, outcome, \
             CASE WHEN outcome = 'denied' AND fate % 2 = 0 THEN 'insufficient_quota' WHEN outcome = 'denied' THEN 'rate_limited' \
                 WHEN outcome = 'ok' THEN '' ELSE 'upstream_error' END AS error, \
             CASE WHEN label >= 70 THEN 'team-' || CAST(label % 10 + key % 40 AS TEXT) ELSE '' END AS tag, \
             CASE WHEN label >= 90 THEN 'batch' ELSE '' END AS second_tag, \
             CASE WHEN customer < 5 THEN 'customer-' || CAST(grp * 5 + customer AS TEXT) ELSE '' END AS customer, \
             n % 2 AS stream, CASE WHEN attempts = 2 THEN {RETRY_MS} ELSE 0 END AS before, \
             -- Long waits are rare.\n\
             CASE WHEN outcome = 'denied' THEN 2 ELSE {RETRY_MS} + 50 + took1 * took2 / 1000 END AS took, \
             CASE WHEN outcome = 'denied' OR n % 2 = 0 OR outcome <> 'ok' THEN -1 ELSE {RETRY_MS} + 10 + waited END AS first, \
             CASE WHEN outcome = 'ok' THEN input ELSE 0 END AS input, CASE WHEN outcome = 'ok' THEN output ELSE 0 END AS output, \
             CASE WHEN outcome = 'ok' AND cached = 0 THEN input / 2 ELSE 0 END AS cached, \
             CASE WHEN outcome = 'ok' AND model % 5 = 0 THEN output / 4 ELSE 0 END AS reasoning, \
             CASE WHEN outcome = 'ok' THEN input * 2000 + output * 8000 ELSE 0 END AS cost, \
             CASE WHEN outcome = 'ok' THEN (input * 2000 + output * 8000) / 10 * (9 + grp % 2) ELSE 0 END AS spend \
             FROM tried",
        key = draw(1, KEYS),
        key2 = draw(2, KEYS),
        pick = draw(3, 10),
        route = draw(4, 4),
        fate = draw(5, 1_000),
        label = draw(6, 100),
        customer = draw(7, 25),
        input = draw(8, 4_000),
        output = draw(9, 1_000),
        cached = draw(10, 3),
        took1 = draw(11, 4_500),
        took2 = draw(12, 4_500),
        waited = draw(13, 900),
    )
}

/// The records, with bodies as the gateway writes them.
fn records(from: i64) -> String {
    let quoted = |name: &str, column: &str| {
        format!("CASE WHEN {column} = '' THEN '' ELSE '\"{name}\":\"' || {column} || '\",' END")
    };
    let number = |column: &str| format!("' || CAST({column} AS TEXT) || '");
    let usage = format!(
        "{{\"input_uncached\":{},\"cache_read\":{},\"output_visible\":{},\"output_reasoning\":{}}}",
        number("input - cached"),
        number("cached"),
        number("output - reasoning"),
        number("reasoning")
    );
    let attempt = |channel: &str,
                   outcome: &str,
                   status: &str,
                   at: &str,
                   took: &str,
                   of: &str,
                   spent: [&str; 2],
                   source: &str| {
        format!(
            "'{{\"channel\":\"' || {channel} || '\",\"model\":\"' || model || '\",\"upstream_model\":\"' || model || '-2026-06\",\"outcome\":\"' || {outcome} || \
             '\",\"status\":{status},\"started_at\":{},\"duration_ms\":{},\"ceiling\":4096,\"reserved\":43000000,\"spend\":{},\"cost\":{},\
             \"priced\":true,\"usage\":{of},\"usage_source\":\"{source}\"}}'",
            number(at),
            number(took),
            number(spent[0]),
            number(spent[1]),
        )
    };
    let none = "{\"input_uncached\":0,\"output_visible\":0}";
    let first = attempt(
        "first_channel",
        "'server_error'",
        "503",
        "at",
        &format!("at - at + {RETRY_MS}"),
        none,
        ["0", "0"],
        "none",
    );
    let last = attempt(
        "channel",
        "outcome",
        "200",
        "at + before",
        "took - before",
        &usage,
        ["spend", "cost"],
        "reported",
    );
    let attempts =
        format!("CASE attempts WHEN 0 THEN '' WHEN 1 THEN {last} ELSE {first} || ',' || {last} END");
    let tags = "CASE WHEN tag = '' THEN '' WHEN second_tag = '' THEN '\"tags\":[\"' || tag || '\"],' \
         ELSE '\"tags\":[\"' || tag || '\",\"' || second_tag || '\"],' END";
    // Why it was decided so is written at length in one record of sixteen: of ten million it would fill the disk.
    let explanation = "CASE WHEN n % 16 <> 0 THEN '[]' ELSE '[{\"step\":\"model\",\"model\":\"' || model || '\",\"fallback\":0},\
         {\"step\":\"ranked\",\"channel\":\"c-' || substr(first_channel, 3) || '\",\"priority\":0,\"score\":1},\
         {\"step\":\"ranked\",\"channel\":\"c-11\",\"priority\":0,\"score\":1},{\"step\":\"ranked\",\"channel\":\"c-12\",\"priority\":0,\"score\":2},\
         {\"step\":\"ranked\",\"channel\":\"c-13\",\"priority\":0,\"score\":3}]' END";
    format!(
        "INSERT INTO sg_record (call_id, started_at, organization_id, group_id, user_id, key_id, model, channel_id, outcome, \
             input_tokens, output_tokens, spend, body, error, customer, duration_ms) \
         SELECT call, at, organization, NULLIF(grp, ''), NULLIF(usr, ''), key, model, NULLIF(channel, ''), outcome, input, output, spend, \
             '{{\"call\":\"' || call || '\",\"started_at\":{at},\"ended_at\":{ended},' || \
             CASE WHEN first < 0 THEN '' ELSE '\"first_byte_at\":{first},' END || {key} || {user} || {group} || \
             '\"organization\":\"' || organization || '\",' || {customer} || {tags} || \
             '\"format\":\"openai_chat\",\"model\":\"' || model || '\",\"stream\":' || CASE stream WHEN 1 THEN 'true' ELSE 'false' END || \
             ',\"outcome\":\"' || outcome || '\",' || {error} || '\"attempts\":[' || {attempts} || '],\"spend\":{spend},\"usage\":{usage},\
             \"replay\":{{\"seed\":{seed},\"snapshot\":8237468237468,\"policy\":0,\"health\":9823749823,\"input_bound\":{input},\"input_estimate\":{input},\
             \"choices\":1,\"client_ip\":\"10.1.2.3\",\"price_ratio_ppm\":900000,\"explanation\":' || {explanation} || '}}}}', \
             NULLIF(error, ''), NULLIF(customer, ''), took FROM made_call WHERE n >= {from} AND n < {from} + {PIECE} ORDER BY n",
        at = number("at"),
        ended = number("at + took"),
        first = number("at + first"),
        spend = number("spend"),
        seed = number("n"),
        input = number("input"),
        key = quoted("key", "key"),
        user = quoted("user", "usr"),
        group = quoted("group", "grp"),
        customer = quoted("customer", "customer"),
        error = quoted("error", "error"),
    )
}

const SUMS: [&str; 15] = [
    "requests",
    "failures",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "spend",
    "cost",
    "calls",
    "denials",
    "reasoning_tokens",
    "duration_ms",
    "firsts",
    "first_ms",
];

/// What every call adds to which sums: it and its only attempt; of one that was tried twice, it and then each attempt.
fn parts(labels: &str, from: &str) -> String {
    let place = "c.organization, c.grp, c.usr, c.key, c.model";
    let tokens = "c.input, c.output, c.cached, 0, c.spend, c.cost";
    let nothing = "0, 0, 0, 0, 0, 0";
    let call = "CASE WHEN c.attempts = 0 THEN 0 ELSE 1 END, CASE WHEN c.outcome = 'ok' THEN 0 ELSE 1 END";
    let calls = "1, CASE WHEN c.outcome = 'denied' THEN 1 ELSE 0 END";
    let times = "CASE WHEN c.outcome = 'ok' THEN c.took ELSE 0 END, CASE WHEN c.stream = 1 AND c.first >= 0 THEN 1 ELSE 0 END, \
         CASE WHEN c.stream = 1 AND c.first >= 0 THEN c.first ELSE 0 END";
    format!(
        "SELECT {labels} c.hour AS hour, {place}, c.channel AS channel, {call_as}, c.attempts AS attempts, {tokens_as}, {calls_as}, c.reasoning AS reasoning_tokens, {times_as} FROM {from} WHERE c.attempts < 2 \
         UNION ALL SELECT {labels} c.hour, {place}, c.channel, {call}, 0, {nothing}, {calls}, 0, {times} FROM {from} WHERE c.attempts = 2 \
         UNION ALL SELECT {labels} (c.at + c.before) - (c.at + c.before) % {HOUR_MS}, {place}, c.channel, 0, 0, 1, {tokens}, 0, 0, c.reasoning, 0, 0, 0 FROM {from} WHERE c.attempts = 2 \
         UNION ALL SELECT {labels} c.hour, {place}, c.first_channel, 0, 0, 1, {nothing}, 0, 0, 0, 0, 0, 0 FROM {from} WHERE c.attempts = 2",
        call_as = named(call, &SUMS[0..2]),
        tokens_as = named(tokens, &SUMS[3..9]),
        calls_as = named(calls, &SUMS[9..11]),
        times_as = named(times, &SUMS[12..15]),
    )
}

/// Expressions with the names of their columns.
fn named(expressions: &str, names: &[&str]) -> String {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    let words = expressions.to_owned() + ",";
    for (at, c) in words.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(words.get(start..at).unwrap_or_default().trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.iter().zip(names).map(|(part, name)| format!("{part} AS {name}")).collect::<Vec<_>>().join(", ")
}

/// The third of a month that a day is in.
const THIRD: &str = "substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' \
     WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END";

fn sums() -> Vec<String> {
    let columns = SUMS.join(", ");
    let added = SUMS.iter().map(|it| format!("CAST(SUM({it}) AS BIGINT)")).collect::<Vec<_>>().join(", ");
    let full = "organization_id, group_id, user_id, key_id, model, channel_id";
    // Everything told apart first; what is smaller is made of that. In the order of time, in which calls come.
    let fold = |table: &str, slot: &str, told: &str, from: &str, at: &str| {
        format!(
            "INSERT INTO {table} ({slot}, {told}, {columns}) SELECT {at}, {told}, {added} FROM {from} GROUP BY {at}, {told} ORDER BY {at}"
        )
    };
    let by_day = |table: &str| format!("{table} JOIN made_hour ON made_hour.hour = {table}.hour");
    let place = "organization, grp, usr, key, model, channel";
    let mut all = vec![format!(
        "INSERT INTO sg_hour (hour, {full}, {columns}) SELECT hour, {place}, {added} FROM ({}) part GROUP BY hour, {place} ORDER BY hour",
        parts("", "made_call c")
    )];
    all.extend([
        fold("sg_group_hour", "hour", "organization_id, group_id", "sg_hour", "hour"),
        fold("sg_model_hour", "hour", "organization_id, model, channel_id", "sg_hour", "hour"),
        fold("sg_daily", "day", full, &by_day("sg_hour"), "made_hour.day"),
        fold("sg_day_owner", "day", "organization_id, group_id, user_id, key_id", "sg_daily", "day"),
        fold("sg_group_day", "day", "organization_id, group_id", "sg_day_owner", "day"),
        fold("sg_model_day", "day", "organization_id, model, channel_id", "sg_daily", "day"),
        fold("sg_third", "day", full, "sg_daily", THIRD),
        fold("sg_month", "month", full, "sg_third", "substr(day, 1, 8) || '01'"),
        fold("sg_organization_hour", "hour", "organization_id", "sg_group_hour", "hour"),
        fold("sg_hour_by_model", "hour", "organization_id, model", "sg_model_hour", "hour"),
        fold("sg_hour_by_channel", "hour", "organization_id, channel_id", "sg_model_hour", "hour"),
        fold("sg_hour_by_user", "hour", "user_id, organization_id, group_id", "sg_hour", "hour"),
        fold("sg_owner_third", "day", "organization_id, group_id, user_id, key_id", "sg_day_owner", THIRD),
    ]);
    let labelled = "(SELECT 'customer' AS kind, customer AS label, made_call.* FROM made_call WHERE customer <> '' \
         UNION ALL SELECT 'tag', tag, made_call.* FROM made_call WHERE tag <> '' \
         UNION ALL SELECT 'tag', second_tag, made_call.* FROM made_call WHERE second_tag <> '') c";
    let place = format!("organization, kind, label, {}", "grp, usr, key, model, channel");
    let full = "organization_id, kind, label, group_id, user_id, key_id, model, channel_id";
    let by_group = "kind, organization_id, label, group_id";
    let by_model = "kind, organization_id, label, model, channel_id";
    let by_key = "kind, organization_id, label, group_id, user_id, key_id";
    all.push(format!(
        "INSERT INTO sg_hour_label (hour, {full}, {columns}) SELECT hour, {place}, {added} FROM ({}) part GROUP BY hour, {place} ORDER BY hour",
        parts("c.kind, c.label, ", labelled)
    ));
    all.extend([
        fold("sg_label_hour", "hour", "kind, organization_id, label", "sg_hour_label", "hour"),
        fold("sg_daily_label", "day", full, &by_day("sg_hour_label"), "made_hour.day"),
        fold("sg_label_day", "day", by_group, "sg_daily_label", "day"),
        fold("sg_label_month", "month", by_group, "sg_label_day", "substr(day, 1, 8) || '01'"),
        fold("sg_label_model_day", "day", by_model, "sg_daily_label", "day"),
        fold("sg_label_model_month", "month", by_model, "sg_label_model_day", "substr(day, 1, 8) || '01'"),
        fold("sg_label_all_hour", "hour", "kind, organization_id", "sg_label_hour", "hour"),
        fold("sg_label_all_day", "day", "kind, organization_id", "sg_label_day", "day"),
        fold("sg_label_owner_day", "day", by_key, "sg_daily_label", "day"),
        fold("sg_label_owner_third", "day", by_key, "sg_label_owner_day", THIRD),
        fold("sg_label_owner_month", "month", by_key, "sg_label_owner_third", "substr(day, 1, 8) || '01'"),
    ]);
    all.push(
        "INSERT INTO sg_label_count (day, organization_id, kind, labels) \
         SELECT day, organization_id, kind, COUNT(DISTINCT label) FROM sg_label_day GROUP BY day, organization_id, kind"
            .to_owned(),
    );
    let took = |span: &str, slot: &str, group: &str, from: &str| {
        let told = if group == "''" { String::new() } else { format!(", {group}") };
        format!(
            "INSERT INTO sg_took (span, slot, organization_id, group_id, bucket, calls, firsts) \
             SELECT '{span}', {slot}, organization_id, {group}, bucket, CAST(SUM(calls) AS BIGINT), CAST(SUM(firsts) AS BIGINT) FROM {from} \
             GROUP BY {slot}, organization_id, bucket{told}"
        )
    };
    // Both times of each call, in its hour; the others are made of that.
    let both = "(SELECT c.hour AS slot, c.organization AS organization_id, c.grp AS group_id, t.bucket AS bucket, 1 AS calls, 0 AS firsts \
             FROM made_call c JOIN made_took t ON t.ms = c.took WHERE c.outcome = 'ok' \
         UNION ALL SELECT c.hour, c.organization, c.grp, t.bucket, 0, 1 FROM made_call c JOIN made_took t ON t.ms = c.first \
             WHERE c.outcome = 'ok' AND c.stream = 1 AND c.first >= 0) took";
    let of_hours = "(SELECT * FROM sg_took WHERE span = 'hour') hours";
    let days = format!("{of_hours} JOIN made_hour ON made_hour.hour = hours.slot");
    let of_days = "(SELECT * FROM sg_took WHERE span = 'day') days";
    all.extend([
        took("hour", "slot", "group_id", both),
        took("hour_all", "slot", "''", of_hours),
        took("day", "made_hour.start", "group_id", &days),
        took("day_all", "slot", "''", of_days),
    ]);
    all.push(
        "INSERT INTO sg_record_tag (tag, started_at, call_id) \
         SELECT tag, at, call FROM made_call WHERE tag <> '' UNION ALL SELECT second_tag, at, call FROM made_call WHERE second_tag <> ''"
            .to_owned(),
    );
    all.push(
        "INSERT INTO sg_attempt (started_at, channel_id, call_id) SELECT at, first_channel, call FROM made_call WHERE attempts = 2"
            .to_owned(),
    );
    all
}
