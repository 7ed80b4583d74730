//! `ledger`: how the ledger stands, what is held, and whether the balances are right; of a running gateway over its API,
//! of a stopped one from its data directory.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use sluicegate::admin::{Actor, HeldFilter};
use sluicegate::store::Page;
use sluicegate::{ConfigText, Gateway, Options};

use crate::args::{Format, Ledger, LedgerCommand, Reconcile, Stopped};
use crate::client::{Client, Failure, segment};

/// Does what was asked. Exit status 1 says that it failed, or that an audit found a difference.
pub(crate) fn run(args: &Ledger) -> ExitCode {
    match ledger(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn ledger(args: &Ledger) -> Result<bool, Failure> {
    let answer = match (options(&args.stopped)?, &args.command) {
        (None, LedgerCommand::Repair) => {
            return Err(
                "a repair is made while no gateway runs; name its data directory with --data".to_owned()
            );
        }
        (Some(options), LedgerCommand::Repair) => {
            let repair = sluicegate_server::block_on(async { sluicegate::repair(&options).await });
            json!(repair.map_err(|error| error.to_string())?)
        }
        (Some(options), command) => sluicegate_server::block_on(offline(options, command))?,
        (None, LedgerCommand::Audit) => online(&Client::patient(&args.remote), &LedgerCommand::Audit)?,
        (None, command) => online(&Client::new(&args.remote), command)?,
    };
    if args.json || args.remote.format == Format::Json {
        out!("{answer:#}");
    } else {
        out_as_is!("{}", text(&args.command, &answer));
    }
    Ok(!matches!(args.command, LedgerCommand::Audit) || answer["differing"] == 0)
}

/// How to open a gateway that doesn't run; `None` when a running one is asked.
pub(super) fn options(stopped: &Stopped) -> Result<Option<Options>, Failure> {
    let Some(dir) = &stopped.data else { return Ok(None) };
    crate::log::start();
    if !dir.is_dir() {
        return Err(format!("there is no directory `{}`; check the path given as --data", dir.display()));
    }
    if !dir.join("journal").is_dir() {
        let message =
            "holds no journal, so it is no gateway's data directory; check the path given as --data";
        return Err(format!("`{}` {message}", dir.display()));
    }
    let path = match stopped.config.as_deref() {
        Some(path) => Some(path),
        None => Some(Path::new(super::serve::DEFAULT_FILE)).filter(|path| path.exists()),
    };
    let config = path.map(ConfigText::read).transpose().map_err(|error| error.to_string())?;
    let data_dir = Some(dir.to_owned());
    let database = stopped.database.clone();
    let options = Options { config, database, data_dir, ..Options::default() };
    if !options.has_its_database() {
        return Err(format!(
            "the database of `{}` isn't there; name it with --database, or the gateway's --config",
            dir.display()
        ));
    }
    Ok(Some(options))
}

fn online(client: &Client, command: &LedgerCommand) -> Result<Value, Failure> {
    match command {
        LedgerCommand::Status => client.get("/ledger"),
        LedgerCommand::Held { call, scope, channel, limit, offset } => {
            let named = [("call", call), ("scope", scope), ("channel", channel)];
            let filter: String = named
                .iter()
                .filter_map(|(name, value)| Some(format!("&{name}={}", segment(value.as_deref()?))))
                .collect();
            client.get(&format!("/ledger/held?limit={limit}&offset={offset}{filter}"))
        }
        LedgerCommand::Reconcile(how) => {
            client.post(&format!("/ledger/held/{}/reconcile", segment(&how.call)), &body(how)?)
        }
        LedgerCommand::Audit | LedgerCommand::Repair => client.get("/ledger/audit"),
    }
}

/// The same of a gateway that doesn't run: it is opened without being served, as whoever may do everything.
async fn offline(options: Options, command: &LedgerCommand) -> Result<Value, Failure> {
    let gateway = Gateway::open(options).await.map_err(|error| error.to_string())?;
    let answer = ask(&gateway, command).await;
    gateway.shutdown().await;
    answer
}

async fn ask(gateway: &Gateway, command: &LedgerCommand) -> Result<Value, Failure> {
    let (admin, operator) = (gateway.admin(), Actor::operator());
    let answer = match command {
        LedgerCommand::Status => admin.ledger_status(&operator).await.map(|status| json!(status)),
        LedgerCommand::Held { call, scope, channel, limit, offset } => {
            let scope = scope.as_deref().map(|text| {
                let (kind, id) = text.split_once(':').unwrap_or((text, ""));
                json!({"kind": kind, "id": id})
            });
            let filter: HeldFilter =
                serde_json::from_value(json!({"call": call, "scope": scope, "channel": channel}))
                    .map_err(|why| format!("--scope must be a kind and an id, such as key:k1: {why}"))?;
            admin.held(&operator, &filter, Page::new(*limit, *offset)).map(|held| json!(held))
        }
        LedgerCommand::Reconcile(how) => {
            let what = serde_json::from_value(body(how)?).map_err(|why| why.to_string())?;
            admin.reconcile(&operator, &how.call.as_str().into(), &what).await.map(|done| json!(done))
        }
        LedgerCommand::Audit | LedgerCommand::Repair => {
            admin.audit_ledger(&operator).await.map(|audit| json!(audit))
        }
    };
    answer.map_err(|error| error.to_string())
}

fn body(how: &Reconcile) -> Result<Value, Failure> {
    let charge = match &how.used {
        Some(used) => json!({"used": used_tokens(used)?}),
        None if how.charge_reserved => json!("reserved"),
        None => json!("free"),
    };
    Ok(json!({"attempt": how.attempt, "charge": charge}))
}

/// `input=10,output=20,spend=0.5` as the API has it.
fn used_tokens(text: &str) -> Result<Value, Failure> {
    let (mut usage, mut used) = (Map::new(), Map::new());
    for part in text.split(',') {
        let wrong = || {
            format!(
                "`{part}` isn't understood; write input=N, output=N, cache_read=N, cache_write=N, reasoning=N or \
                 spend=USD, separated by commas"
            )
        };
        let (name, value) = part.trim().split_once('=').ok_or_else(wrong)?;
        let field = match name {
            "input" => "input_uncached",
            "output" => "output_visible",
            "cache_read" => "cache_read",
            "cache_write" => "cache_write",
            "reasoning" => "output_reasoning",
            "spend" => {
                let nano = sluicegate::core::money::parse_decimal(value, 9).ok_or_else(wrong)?;
                used.insert("spend".to_owned(), nano.into());
                continue;
            }
            _ => return Err(wrong()),
        };
        usage.insert(field.to_owned(), value.parse::<u64>().map_err(|_| wrong())?.into());
    }
    used.insert("usage".to_owned(), usage.into());
    Ok(used.into())
}

fn text(command: &LedgerCommand, answer: &Value) -> String {
    match command {
        LedgerCommand::Status => status(answer),
        LedgerCommand::Held { .. } => held(answer),
        LedgerCommand::Reconcile(_) => reconciled(answer),
        LedgerCommand::Audit => audit(answer),
        LedgerCommand::Repair => repaired(answer),
    }
}

fn status(answer: &Value) -> String {
    let w = |name: &str| word(answer, name);
    let mut out = String::new();
    match answer.get("journal").filter(|journal| !journal.is_null()) {
        None => out.push_str("journal    none: nothing outlives the process\n"),
        Some(journal) => {
            let j = |name: &str| word(journal, name);
            out.push_str(&format!("journal    {}, durability {}\n", j("id"), j("durability")));
            out.push_str(&format!("position   event {}\n", j("position")));
            out.push_str(&format!("database   event {}, {} behind\n", j("stored"), j("lag")));
            out.push_str(&format!(
                "segments   {}; number {} is written, {} bytes so far\n",
                j("segments"),
                j("segment"),
                j("segment_bytes")
            ));
        }
    }
    out.push_str(&format!("records    {} wait for the database\n", w("records_waiting")));
    out.push_str(&format!("counters   {}\n", w("counters")));
    out.push_str(&format!("open       {} attempts under way\n", w("open")));
    out.push_str(&format!("held       {} reservations whose outcome nobody knows\n", w("held")));
    out
}

fn held(answer: &Value) -> String {
    let items = list(answer, "items");
    if items.is_empty() {
        return "nothing is held\n".to_owned();
    }
    let mut out = String::new();
    for item in items {
        let none = Value::Null;
        let attempt = item.get("attempt").unwrap_or(&none);
        let a = |name: &str| word(attempt, name);
        out.push_str(&format!("{}  since {}\n", word(item, "call"), time(item.get("since"))));
        if !attempt.is_null() {
            out.push_str(&format!(
                "    attempt {} at channel {}, model {} as {}\n    key {}, user {}, group {}, organization {}\n",
                a("number"),
                a("channel"),
                a("model"),
                a("upstream_model"),
                a("key"),
                a("user"),
                a("group"),
                a("organization")
            ));
        }
        for amount in list(item, "amounts") {
            out.push_str(&format!("    {} holds {}\n", counter(amount), units(amount, "amount")));
        }
    }
    out.push_str(&format!("{} of {}\n", items.len(), word(answer, "total")));
    out
}

fn reconciled(answer: &Value) -> String {
    let record = answer.get("record").unwrap_or(&Value::Null);
    let before = if answer["already"] == true { "was reconciled before" } else { "is reconciled" };
    format!(
        "{} {before}: {} USD, as record {}\n",
        word(record, "amends"),
        usd(record.get("spend")),
        word(record, "call")
    )
}

fn audit(answer: &Value) -> String {
    let w = |name: &str| word(answer, name);
    let mut out = format!(
        "{} counters compared with {} records, {} of them by daily sums; {} left out, as retention has removed records of \
         their windows; {} short of what calls used that were under way when the limit was put\n",
        w("counters"),
        w("records"),
        w("by_daily_sums"),
        w("left_out"),
        w("under_way")
    );
    for it in list(answer, "differences") {
        let of = if it["of_held"] == true { "held" } else { "settled" };
        out.push_str(&format!(
            "differs    {} from {}: {of} {}, and should be {}\n",
            counter(it),
            time(it.get("window_start")),
            units(it, "balance"),
            units(it, "expected")
        ));
    }
    let told = if answer["differing"] == 0 {
        "every balance is what the records say\n".to_owned()
    } else {
        format!("{} balances differ\n", w("differing"))
    };
    out.push_str(&told);
    out
}

fn repaired(answer: &Value) -> String {
    let Some(kept) = answer.get("kept").and_then(Value::as_str) else {
        return "nothing is wrong with the journal; nothing was changed\n".to_owned();
    };
    let found = answer.get("found").unwrap_or(&Value::Null);
    let f = |name: &str| word(found, name);
    let mut out = format!("the damaged journal is kept in {kept}\n");
    out.push_str(&format!(
        "kept       {} events, {} usage records, of which {} of interrupted calls\n",
        f("events"),
        f("records"),
        f("interrupted")
    ));
    for lost in list(found, "lost") {
        out.push_str(&format!("lost       {} bytes of {}\n", plain(&lost[1]), plain(&lost[0])));
    }
    out.push_str(&format!("lost       {} events\n", f("missing")));
    for gap in list(found, "gaps") {
        out.push_str(&format!("    events {} to {}\n", plain(&gap[0]), plain(&gap[1])));
    }
    for (name, what) in [
        ("unreadable", "usage records can't be read"),
        ("nameless", "attempts were charged whose call isn't known: they have no record"),
        ("unnamed", "amounts were settled in counters that aren't known: they count nowhere"),
    ] {
        if f(name) != "0" {
            out.push_str(&format!("lost       {} {what}\n", f(name)));
        }
    }
    out.push_str(&format!("held       {} calls whose outcome isn't known\n", f("held")));
    for call in list(found, "held_calls") {
        out.push_str(&format!("    {}\n", plain(call)));
    }
    out.push_str("`sluicegate ledger audit` says which balances are no longer what the records say\n");
    out
}

/// A counter in words.
fn counter(value: &Value) -> String {
    let scope = value.get("scope").unwrap_or(&Value::Null);
    let model = value.get("model").and_then(Value::as_str).map(|it| format!(" of {it}")).unwrap_or_default();
    let window = match value.get("window") {
        Some(Value::Object(map)) => {
            map.values().next().map(|ms| format!("{} ms", plain(ms))).unwrap_or_default()
        }
        window => window.map(plain).unwrap_or_default(),
    };
    let whose = match word(scope, "id") {
        id if id.is_empty() => word(scope, "kind"),
        id => format!("{} {id}", word(scope, "kind")),
    };
    format!("{whose} {}/{window}{model}", word(value, "metric"))
}

fn units(value: &Value, name: &str) -> String {
    match word(value, "metric").as_str() {
        "spend" => format!("{} USD", usd(value.get(name))),
        _ => word(value, name),
    }
}

fn usd(value: Option<&Value>) -> String {
    sluicegate::core::money::format_usd(value.and_then(Value::as_i64).unwrap_or_default())
}

fn time(value: Option<&Value>) -> String {
    let ms = value.and_then(Value::as_i64).unwrap_or_default();
    sluicegate::Timestamp::from_ms(ms).to_string()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word(value: &Value, name: &str) -> String {
    value.get(name).filter(|value| !value.is_null()).map_or_else(|| "-".to_owned(), plain)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_read() {
        let used = used_tokens("input=10, output=20,spend=0.5").unwrap();
        assert_eq!(
            used,
            json!({"usage": {"input_uncached": 10, "output_visible": 20}, "spend": 500_000_000})
        );
        for wrong in ["", "input", "input=-1", "colour=3", "spend=x"] {
            assert!(used_tokens(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_held_and_what_differs_is_said() {
        let amount = json!({"scope": {"kind": "key", "id": "k1"}, "metric": "spend", "window": "day", "amount": 2_000_000_000});
        let said =
            held(&json!({"items": [{"call": "c", "since": 0, "attempt": {"number": 2, "channel": "ch"},
            "amounts": [amount]}], "total": 7}));
        for part in ["attempt 2 at channel ch", "key k1 spend/day holds 2 USD", "1 of 7"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let difference = json!({"scope": {"kind": "global", "id": ""}, "metric": "requests", "window": {"rolling_ms": 60000},
            "window_start": 0, "of_held": false, "balance": 3, "expected": 2});
        let said = audit(&json!({"differing": 1, "differences": [difference]}));
        assert!(
            said.contains("global requests/60000 ms") && said.contains("settled 3, and should be 2"),
            "{said}"
        );
        let said = repaired(
            &json!({"kept": "x", "found": {"missing": 3, "gaps": [[4, 6]], "nameless": 0, "held": 1,
            "held_calls": ["c"], "lost": [["f", 9]], "unnamed": 2, "unreadable": 0}}),
        );
        for part in ["9 bytes of f", "events 4 to 6", "2 amounts", "    c\n"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(!said.contains("have no record"), "{said}");
    }
}
