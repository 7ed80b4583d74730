//! How long reports and pages of the log take over millions of calls: `cargo xtask bench --reports`.
//!
//! `report --database ADDRESS [--records N] [--rounds N] [--append]`: fills the database unless it is filled, asks as the service
//! layer is asked for people of each role, and prints p50 and p95 of each question. Fails when one takes longer than it may.
//! `--append` also measures what each index on records costs whoever writes them.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

#[path = "report/ask.rs"]
mod ask;
#[path = "report/history.rs"]
mod history;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use sluicegate::admin::Admin;
use sluicegate::store::{self, Store};
use sluicegate::{ConfigText, Gateway, ManualClock, Options, Timestamp};
use sluicegate_core::{CallId, RecordEntry};

use ask::Case;
use history::{DAY_MS, DAYS, HOUR_MS, Pool, START_MS};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Wanted {
    database: String,
    records: i64,
    rounds: usize,
    append: bool,
    only: Option<String>,
}

fn wanted() -> Result<Wanted, Box<dyn Error>> {
    let mut wanted =
        Wanted { database: String::new(), records: 1_000_000, rounds: 20, append: false, only: None };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let mut value = || args.next().ok_or(format!("`{name}` needs a value"));
        match name.as_str() {
            "--database" => wanted.database = value()?,
            "--records" => wanted.records = value()?.parse()?,
            "--rounds" => wanted.rounds = value()?.parse()?,
            "--only" => wanted.only = Some(value()?),
            "--append" => wanted.append = true,
            // What cargo says to every bench.
            "--bench" => {}
            other => {
                return Err(format!(
                    "`{other}` is no option; there are --database, --records, --rounds, --only and --append"
                )
                .into());
            }
        }
    }
    if wanted.database.is_empty() {
        return Err("name the database: --database PATH, or --database postgres://…".into());
    }
    Ok(wanted)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted = wanted()?;
    let pool = fill(&wanted).await?;
    let late = questions(&wanted).await?;
    if wanted.append {
        appending(&wanted, &pool).await?;
    }
    match late {
        0 => Ok(()),
        late => Err(format!("{late} questions take longer than they may").into()),
    }
}

/// Fills the database, if it isn't.
async fn fill(wanted: &Wanted) -> Result<Pool, Box<dyn Error>> {
    let store = store::open(&wanted.database, TimeZone::UTC).await?;
    let pool = Pool::connect(&wanted.database).await?;
    let started = Instant::now();
    let first = CallId::from("");
    if store.scan((Timestamp::from_ms(0), &first), Timestamp::MAX, 1).await?.is_empty() {
        let told = |step: &str| eprintln!("{:>6.0} s  {step}", started.elapsed().as_secs_f64());
        history::fill(&*store, &pool, wanted.records, told).await?;
        eprintln!("{:>6.0} s  filled", started.elapsed().as_secs_f64());
    }
    store.close().await;
    Ok(pool)
}

/// Asks everything; how many questions take too long.
async fn questions(wanted: &Wanted) -> Result<usize, Box<dyn Error>> {
    let now = Timestamp::from_ms(START_MS + DAYS * DAY_MS - HOUR_MS / 2);
    let gateway = Gateway::open(Options {
        config: Some(ConfigText { path: "bench.yaml".to_owned(), text: ask::config() }),
        database: Some(wanted.database.clone()),
        // Nothing is sealed by it that lasts.
        variables: Arc::new(|name| (name == "SLUICEGATE_MASTER_SECRET").then(|| "7d".repeat(32))),
        clock: Arc::new(ManualClock::new(now)),
        ..Options::default()
    })
    .await?;
    let admin = gateway.admin();
    println!("\n{} records, {} rounds\n", wanted.records, wanted.rounds);
    println!(
        "| question | rows | p50 ms | p95 ms | processor ms | may take |  |\n|---|---|---|---|---|---|---|"
    );
    let mut late = 0;
    for case in ask::cases(admin, now).await? {
        if wanted.only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
            continue;
        }
        late += usize::from(!measure(admin, &case, wanted.rounds).await?);
    }
    gateway.shutdown().await;
    Ok(late)
}

/// Asks one thing many times; whether it is fast enough.
async fn measure(admin: &Admin, case: &Case, rounds: usize) -> Result<bool, Box<dyn Error>> {
    let mut rows = case.ask.of(admin, &case.actor).await?;
    let mut took = Vec::with_capacity(rounds);
    let worked = processor_ms();
    for _ in 0..rounds.max(1) {
        let started = Instant::now();
        rows = case.ask.of(admin, &case.actor).await?;
        took.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few rounds")]
    let worked = (processor_ms() - worked) / took.len() as f64;
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        took.get((took.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or_default()
    };
    let (p50, p95, may) = (at(50), at(95), case.ask.may_take_ms());
    let is_fast = p95 <= may;
    println!(
        "| {} | {rows} | {p50:.1} | {p95:.1} | {worked:.0} | {may:.0} | {} |",
        case.name,
        if is_fast { "ok" } else { "late" }
    );
    Ok(is_fast)
}

/// What this process has had of processors, with all that SQLite does in it, to a hundredth of a second: whatever else the machine
/// does meanwhile. Nothing where there is no `/proc`.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, which may hold anything: user and system time are the 12th and 13th.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok());
    ticks.sum::<f64>() * 10.0
}

/// What 1,000 further records cost, with every index and without each of those on records.
async fn appending(wanted: &Wanted, pool: &Pool) -> Result<(), Box<dyn Error>> {
    let store = store::open(&wanted.database, TimeZone::UTC).await?;
    let mut series = Series { store: &*store, next: 0, like: Vec::new() };
    let from = CallId::from("");
    series.like =
        store.scan((Timestamp::from_ms(START_MS + 30 * DAY_MS), &from), Timestamp::MAX, 4_000).await?;
    let all = series.append().await?;
    println!("\n| 1,000 further records | ms |\n|---|---|\n| with every index | {all:.2} |");
    for (name, sql) in history::indexes(pool).await? {
        if !sql.contains("sg_record") {
            continue;
        }
        pool.run(format!("DROP INDEX {name}")).await?;
        let without = series.append().await?;
        println!("| without {name} | {without:.2} |");
        pool.run(sql).await?;
    }
    store.close().await;
    Ok(())
}

struct Series<'a> {
    store: &'a dyn Store,
    next: i64,
    like: Vec<sluicegate_core::UsageRecord>,
}

impl Series<'_> {
    /// Appends records like those that are there, as of one busy hour, in batches as calls come in. The median.
    async fn append(&mut self) -> Result<f64, Box<dyn Error>> {
        let mut took = Vec::new();
        for _ in 0..15 {
            let batch: Vec<RecordEntry> = (0..2_000).map(|_| RecordEntry::from(self.further())).collect();
            let started = Instant::now();
            self.store.append(&batch, &[], None).await?;
            took.push(started.elapsed().as_secs_f64() * 1_000.0 / 2.0);
        }
        took.sort_by(f64::total_cmp);
        Ok(took.get(took.len() / 2).copied().unwrap_or_default())
    }

    fn further(&mut self) -> sluicegate_core::UsageRecord {
        let n = self.next;
        self.next += 1;
        let like = usize::try_from(n).unwrap_or_default() % self.like.len().max(1);
        // INVARIANT: the database is filled.
        let mut it = self.like[like].clone();
        let by = START_MS + DAYS * DAY_MS + n - it.started_at.as_ms();
        it.call = CallId::from(format!("call-1{n:012}9e3779b97f4a7c15"));
        it.started_at = it.started_at.plus_ms(by);
        it.ended_at = it.ended_at.plus_ms(by);
        it.first_byte_at = it.first_byte_at.map(|at| at.plus_ms(by));
        it.attempts.iter_mut().for_each(|attempt| attempt.started_at = attempt.started_at.plus_ms(by));
        it
    }
}
