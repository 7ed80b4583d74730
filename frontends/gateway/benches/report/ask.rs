//! What people ask, in each role.

use std::error::Error;
use std::fmt::Write as _;

use sluicegate::admin::{
    Actor, Admin, By, Compare, Granularity, LimitFilter, LimitOrder, Order, OverviewQuestion, UsageQuestion,
};
use sluicegate::store::{LogCursor, LogFilter, Page, RecordFilter, ReportFilter};
use sluicegate_core::{OutcomeClass, Timestamp};

use crate::history::{CHANNELS, DAY_MS, GROUPS, HOUR_MS, KEYS, ORGANIZATIONS, PROVIDERS};

/// A report may take so long, in milliseconds.
const REPORT_MS: f64 = 300.0;
/// And a page of the log.
const PAGE_MS: f64 = 200.0;

/// A question, and who asks it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) actor: Actor,
    pub(crate) ask: Ask,
}

pub(crate) enum Ask {
    Usage(Box<UsageQuestion>),
    Overview(Box<OverviewQuestion>),
    Budgets(LimitFilter),
    /// A page of the log; the first one says how many there are, too.
    Log(Box<LogFilter>, Option<LogCursor>),
}

impl Ask {
    /// Asks; how many rows the answer has.
    pub(crate) async fn of(&self, admin: &Admin, actor: &Actor) -> Result<usize, Box<dyn Error>> {
        Ok(match self {
            Self::Usage(question) => {
                let found = admin.usage_report(actor, question).await?;
                found.rows.len().max(found.buckets.len())
            }
            Self::Overview(question) => admin.overview(actor, question).await?.buckets.len(),
            Self::Budgets(filter) => {
                admin.budgets(actor, filter, LimitOrder::Used, Page::default()).await?.items.len()
            }
            Self::Log(filter, after) => {
                if after.is_none() {
                    admin.log_count(actor, filter).await?;
                }
                admin.log(actor, filter, after.as_ref(), 100).await?.items.len()
            }
        })
    }

    pub(crate) fn may_take_ms(&self) -> f64 {
        if matches!(self, Self::Log(..)) { PAGE_MS } else { REPORT_MS }
    }
}

/// Channels, groups, keys with limits, and somebody in each role.
pub(crate) fn config() -> String {
    let mut text = "version: 1\nchannels:\n".to_owned();
    for n in 0..CHANNELS {
        let provider = PROVIDERS[usize::try_from(n).unwrap_or_default() % PROVIDERS.len()];
        let _ = writeln!(
            text,
            "  - {{id: c-{n}, name: c-{n}, provider: {provider}, credential: sk-{n}, models: [m]}}"
        );
    }
    text.push_str("organizations:\n");
    for n in 0..ORGANIZATIONS {
        let _ = writeln!(text, "  - {{id: o-{n}, limits: {{spend: {{month: 90000 USD}}}}}}");
    }
    text.push_str("groups:\n");
    for n in 0..GROUPS {
        let members = match n {
            9 => ", members: [{user: lead, role: group_admin}]",
            5 => ", members: [{user: u-2}]",
            _ => "",
        };
        let organization = n % ORGANIZATIONS;
        let _ = writeln!(
            text,
            "  - {{id: g-{n}, organization: o-{organization}, limits: {{spend: {{month: 900 USD, day: 90 USD}}}}{members}}}"
        );
    }
    text.push_str(
        "users:\n  - {id: boss, organization: o-1, role: organization_admin}\n  - {id: lead, organization: o-1}\n  - {id: u-2, organization: o-1}\n",
    );
    text.push_str("keys:\n");
    for n in 0..KEYS {
        let organization = n % GROUPS % ORGANIZATIONS;
        let _ = writeln!(
            text,
            "  - {{id: k-{n}, credential: sk-bench-{n}-0123456789abcdef, organization: o-{organization}, group: g-{}, limits: {{spend: {{month: 50 USD}}, total_tokens: {{day: 3M}}}}}}",
            n % GROUPS
        );
    }
    text
}

/// Everything that is asked.
///
/// # Errors
/// When there is no such person.
pub(crate) async fn cases(admin: &Admin, now: Timestamp) -> Result<Vec<Case>, Box<dyn Error>> {
    let all = Actor::operator();
    let mut people = Vec::new();
    for id in ["boss", "lead", "u-2"] {
        people.push(admin.actor_of(&id.into()).await?.ok_or(format!("there is no user {id}"))?);
    }
    let [boss, lead, person] = people.as_slice() else { return Err("three people ask".into()) };
    let mut cases = Vec::new();
    reports(&all, now, &mut cases);
    for (who, actor) in [("organization", boss), ("group", lead), ("user", person)] {
        let mut add = |name: &str, ask| {
            cases.push(Case { name: format!("{name}, of one {who}"), actor: actor.clone(), ask })
        };
        add("days by model", usage(&[By::Model], 30, now));
        add("days by key", usage(&[By::Key], 90, now));
        add("overview", overview(Granularity::Day, 30, now));
        add("budgets", Ask::Budgets(LimitFilter::default()));
        add("log", log(LogFilter::default()));
        add(
            "log by model",
            log(of(RecordFilter { model: Some("model-3".into()), ..RecordFilter::default() })),
        );
        add("log of failures", log(LogFilter { failed: Some(true), ..LogFilter::default() }));
    }
    pages(&all, now, &mut cases);
    Ok(cases)
}

fn question(by: &[By], days: i64, now: Timestamp) -> UsageQuestion {
    UsageQuestion { by: by.to_vec(), from: Some(now.plus_ms(-days * DAY_MS)), ..UsageQuestion::default() }
}

fn usage(by: &[By], days: i64, now: Timestamp) -> Ask {
    Ask::Usage(Box::new(question(by, days, now)))
}

fn overview(granularity: Granularity, days: i64, now: Timestamp) -> Ask {
    let usage = UsageQuestion { granularity, ..question(&[], days, now) };
    Ask::Overview(Box::new(OverviewQuestion { usage, top: 5 }))
}

fn reports(all: &Actor, now: Timestamp, cases: &mut Vec<Case>) {
    let mut add = |name: String, ask| cases.push(Case { name, actor: all.clone(), ask });
    for days in [30, 90] {
        add(format!("{days} days"), usage(&[], days, now));
        for by in By::ALL {
            add(format!("{days} days by {}", by.as_str()), usage(&[by], days, now));
        }
    }
    for (one, two) in [
        (By::Group, By::Model),
        (By::Key, By::Model),
        (By::Key, By::Channel),
        (By::User, By::Provider),
        (By::Model, By::Channel),
        (By::Tag, By::Model),
        (By::Customer, By::Group),
        (By::Tag, By::Key),
        (By::Customer, By::User),
    ] {
        add(format!("90 days by {} and {}", one.as_str(), two.as_str()), usage(&[one, two], 90, now));
    }
    let asked = |change: &dyn Fn(&mut UsageQuestion), by: &[By], days| {
        let mut asked = question(by, days, now);
        change(&mut asked);
        Ask::Usage(Box::new(asked))
    };
    for (word, granularity) in
        [("weeks", Granularity::Week), ("months", Granularity::Month), ("total", Granularity::Total)]
    {
        let of = |it: &mut UsageQuestion| it.granularity = granularity;
        add(format!("90 days, {word}, by key"), asked(&of, &[By::Key], 90));
    }
    let hourly = |it: &mut UsageQuestion| it.granularity = Granularity::Hour;
    for (days, by) in [
        (1, By::Key),
        (7, By::Model),
        (7, By::Key),
        (30, By::Group),
        (30, By::User),
        (30, By::Key),
        (30, By::Model),
        (30, By::Channel),
        (30, By::Tag),
        (30, By::Customer),
    ] {
        add(format!("hours of {days} days by {}", by.as_str()), asked(&hourly, &[by], days));
    }
    let compared = |it: &mut UsageQuestion| it.compare = Some(Compare::Previous);
    add("45 days by group and the time before".to_owned(), asked(&compared, &[By::Group], 45));
    add("45 days by key and the time before".to_owned(), asked(&compared, &[By::Key], 45));
    for (zone, days, by) in [
        ("Asia/Shanghai", 30, By::Model),
        ("Asia/Shanghai", 30, By::Key),
        ("Asia/Shanghai", 30, By::Tag),
        ("America/New_York", 90, By::Group),
        ("Pacific/Auckland", 90, By::Channel),
    ] {
        let zoned = |it: &mut UsageQuestion| it.zone = jiff::tz::TimeZone::get(zone).ok();
        add(format!("{days} days of {zone} by {}", by.as_str()), asked(&zoned, &[by], days));
    }
    let whole = |it: &mut UsageQuestion| {
        (it.granularity, it.top, it.order) = (Granularity::Total, 10_000, Order::Requests);
    };
    add("90 days, total, every key".to_owned(), asked(&whole, &[By::Key], 90));
    add("90 days, total, every end customer".to_owned(), asked(&whole, &[By::Customer], 90));
    let filter = |filter: ReportFilter| move |it: &mut UsageQuestion| it.filter = filter.clone();
    for (name, which, by) in [
        (
            "of a key by model",
            ReportFilter { key: Some("k-12".into()), ..ReportFilter::default() },
            By::Model,
        ),
        ("of a group by key", ReportFilter { group: Some("g-9".into()), ..ReportFilter::default() }, By::Key),
        (
            "of a user by model",
            ReportFilter { user: Some("u-2".into()), ..ReportFilter::default() },
            By::Model,
        ),
        (
            "of an organization by group",
            ReportFilter { organization: Some("o-1".into()), ..ReportFilter::default() },
            By::Group,
        ),
        (
            "of a model by key",
            ReportFilter { model: Some("model-3".into()), ..ReportFilter::default() },
            By::Key,
        ),
        (
            "at a channel by key",
            ReportFilter { channels: Some(vec!["c-3".into()]), ..ReportFilter::default() },
            By::Key,
        ),
        (
            "of an end customer by model",
            ReportFilter { customer: Some("customer-7".into()), ..ReportFilter::default() },
            By::Model,
        ),
        ("with a tag by key", ReportFilter { tag: Some("batch".into()), ..ReportFilter::default() }, By::Key),
    ] {
        add(format!("90 days {name}"), asked(&filter(which), &[by], 90));
    }
    let provider = |it: &mut UsageQuestion| it.provider = Some("anthropic".to_owned());
    add("90 days at a provider by key".to_owned(), asked(&provider, &[By::Key], 90));
    add("overview of 24 hours".to_owned(), overview(Granularity::Hour, 1, now));
    add("overview of 7 days by the hour".to_owned(), overview(Granularity::Hour, 7, now));
    add("overview of 30 days".to_owned(), overview(Granularity::Day, 30, now));
    add("overview of 45 days".to_owned(), overview(Granularity::Day, 45, now));
    add("budgets".to_owned(), Ask::Budgets(LimitFilter::default()));
}

fn log(filter: LogFilter) -> Ask {
    Ask::Log(Box::new(filter), None)
}

fn of(base: RecordFilter) -> LogFilter {
    LogFilter { base, ..LogFilter::default() }
}

fn pages(all: &Actor, now: Timestamp, cases: &mut Vec<Case>) {
    let mut add =
        |name: &str, ask| cases.push(Case { name: format!("log, {name}"), actor: all.clone(), ask });
    add("first page", log(LogFilter::default()));
    let deep = |days: i64| Some(LogCursor { at: now.plus_ms(-days * DAY_MS), call: "call-5".into() });
    add("a page 30 days back", Ask::Log(Box::default(), deep(30)));
    add("a page 89 days back", Ask::Log(Box::default(), deep(89)));
    let base = RecordFilter::default;
    for (name, filter) in [
        (
            "one day",
            of(RecordFilter {
                from: Some(now.plus_ms(-40 * DAY_MS)),
                to: Some(now.plus_ms(-39 * DAY_MS)),
                ..base()
            }),
        ),
        ("of a key", of(RecordFilter { key: Some("k-12".into()), ..base() })),
        ("of a key with few calls", of(RecordFilter { key: Some("k-1900".into()), ..base() })),
        ("of a group", of(RecordFilter { group: Some("g-9".into()), ..base() })),
        ("of a user", of(RecordFilter { user: Some("u-2".into()), ..base() })),
        ("of an organization", of(RecordFilter { organization: Some("o-1".into()), ..base() })),
        ("of nobody", of(RecordFilter { organization: Some("o-99".into()), ..base() })),
        ("of an end customer", of(RecordFilter { customer: Some("customer-7".into()), ..base() })),
        ("with a tag", of(RecordFilter { tag: Some("team-7".to_owned()), ..base() })),
        (
            "with a tag that is on one call in ten",
            of(RecordFilter { tag: Some("batch".to_owned()), ..base() }),
        ),
        (
            "with a tag, of a group",
            of(RecordFilter { tag: Some("batch".to_owned()), group: Some("g-9".into()), ..base() }),
        ),
        ("for a model", of(RecordFilter { model: Some("model-3".into()), ..base() })),
        ("for a model that nobody asked for", of(RecordFilter { model: Some("model-99".into()), ..base() })),
        ("at a channel", of(RecordFilter { channel: Some("c-3".into()), ..base() })),
        (
            "of a key, for a model",
            of(RecordFilter { key: Some("k-12".into()), model: Some("model-3".into()), ..base() }),
        ),
        ("timed out", of(RecordFilter { outcome: Some(OutcomeClass::Timeout), ..base() })),
        ("that didn't end so", of(RecordFilter { outcome: Some(OutcomeClass::NoBalance), ..base() })),
        ("one call", of(RecordFilter { call: Some("call-00000000071239e3779b97f4a7c15".into()), ..base() })),
    ] {
        add(name, log(filter));
    }
    for (name, filter) in [
        ("failures", LogFilter { failed: Some(true), ..LogFilter::default() }),
        ("successes", LogFilter { failed: Some(false), ..LogFilter::default() }),
        ("an error", LogFilter { error: Some("upstream_error".to_owned()), ..LogFilter::default() }),
        ("an error that nobody met", LogFilter { error: Some("nothing".to_owned()), ..LogFilter::default() }),
        ("dear calls", LogFilter { cost_over: Some(15_000_000), ..LogFilter::default() }),
        ("none so dear", LogFilter { cost_over: Some(15_000_000_000), ..LogFilter::default() }),
        ("long calls", LogFilter { duration_over_ms: Some(15_000), ..LogFilter::default() }),
        ("search", LogFilter { search: Some("71239E".to_owned()), ..LogFilter::default() }),
        ("search that finds nothing", LogFilter { search: Some("zzz".to_owned()), ..LogFilter::default() }),
        (
            "failures of a group",
            LogFilter {
                failed: Some(true),
                base: RecordFilter { group: Some("g-9".into()), ..base() },
                ..LogFilter::default()
            },
        ),
        (
            "failures of an organization",
            LogFilter {
                failed: Some(true),
                base: RecordFilter { organization: Some("o-1".into()), ..base() },
                ..LogFilter::default()
            },
        ),
        (
            "an error of a key in an hour",
            LogFilter {
                error: Some("rate_limited".to_owned()),
                base: RecordFilter { key: Some("k-12".into()), from: Some(now.plus_ms(-HOUR_MS)), ..base() },
                ..LogFilter::default()
            },
        ),
    ] {
        add(name, log(filter));
    }
}
