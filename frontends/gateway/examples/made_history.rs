//! Fills a new database with made calls of 105 days, as `benches/report` does: `made_history DATABASE RECORDS`. The gateway that opens
//! the database afterwards has them in its log and in its sums. `frontends/console/test` scrolls through them.

#[path = "../benches/report/history.rs"]
#[expect(dead_code, reason = "the bench asks for more of it")]
mod history;

use std::error::Error;

use jiff::tz::TimeZone;
use sluicegate::store;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(database), Some(records), None) = (args.next(), args.next(), args.next()) else {
        return Err("name the database and how many records it gets: made_history PATH 100000".into());
    };
    let records = records.parse()?;
    let store = store::open(&database, TimeZone::UTC).await?;
    let pool = history::Pool::connect(&database).await?;
    history::fill(&*store, &pool, records, |_| {}).await?;
    store.close().await;
    Ok(())
}
