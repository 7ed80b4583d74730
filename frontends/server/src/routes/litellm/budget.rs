//! LiteLLM's budgets and rates, and our limits: the same things in two spellings.

use serde_json::{Map, Value, json};
use sluicegate::admin::LimitEditor;
use sluicegate::config::{default_mode, parse_budget_window};
use sluicegate::money::NANO_PER_USD;
use sluicegate::{Error, ErrorKind, Limit, Metric, Mode, ModelName, Result, Window};

use super::fields::{Fields, Sent, count, missing, usd};

/// Limits in LiteLLM's spelling. What it has no word for is kept in `others`; what it has a word for keeps what it has no
/// word for, such as its mode: an edit of one limit leaves the others as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    max_budget: Option<Limit>,
    soft_budget: Option<Limit>,
    /// Of both budgets; `None` is for ever.
    window: Option<Window>,
    rpm: Option<Limit>,
    tpm: Option<Limit>,
    parallel: Option<Limit>,
    day_tokens: Option<Limit>,
    month_tokens: Option<Limit>,
    quota: Option<Limit>,
    others: Vec<Limit>,
}

impl Budget {
    /// Reads limits.
    pub fn of(limits: &[Limit]) -> Self {
        let mut budget = Self::default();
        for limit in limits {
            let place = match (limit.metric, limit.window, limit.mode, &limit.model) {
                (Metric::Spend, _, Mode::Soft, None) if budget.fits(limit.window) => &mut budget.soft_budget,
                (Metric::Spend, _, Mode::Strict, None) if budget.fits(limit.window) => &mut budget.max_budget,
                (Metric::Requests, Window::Minute, _, None) => &mut budget.rpm,
                (Metric::TotalTokens, Window::Minute, _, None) => &mut budget.tpm,
                (Metric::Concurrency, _, _, None) => &mut budget.parallel,
                (Metric::TotalTokens, Window::Day, _, None) => &mut budget.day_tokens,
                (Metric::TotalTokens, Window::Month, _, None) => &mut budget.month_tokens,
                (Metric::TotalTokens, Window::Lifetime, _, None) => &mut budget.quota,
                _ => {
                    budget.others.push(limit.clone());
                    continue;
                }
            };
            if place.is_some() {
                budget.others.push(limit.clone());
                continue;
            }
            *place = Some(limit.clone());
            if limit.metric == Metric::Spend {
                budget.window = Some(limit.window).filter(|window| *window != Window::Lifetime);
            }
        }
        budget
    }

    /// The time that its budgets are over; `None` is for ever.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Whether a budget over this window can be the one that LiteLLM has a field for.
    fn fits(&self, window: Window) -> bool {
        let unset = self.max_budget.is_none() && self.soft_budget.is_none();
        unset || self.window.unwrap_or(Window::Lifetime) == window
    }

    /// Applies what a request says about limits.
    pub fn apply(&mut self, change: &BudgetChange) {
        // Per-minute token limits correct themselves, as those who come from LiteLLM expect.
        let fresh = |metric, window| Limit {
            mode: default_mode(metric, window, Mode::Corrected),
            ..Limit::strict(metric, window, 0)
        };
        let soft = Limit { mode: Mode::Soft, ..fresh(Metric::Spend, Window::Lifetime) };
        for (sent, place, fresh) in [
            (&change.max_budget, &mut self.max_budget, fresh(Metric::Spend, Window::Lifetime)),
            (&change.soft_budget, &mut self.soft_budget, soft),
            (&change.rpm, &mut self.rpm, fresh(Metric::Requests, Window::Minute)),
            (&change.tpm, &mut self.tpm, fresh(Metric::TotalTokens, Window::Minute)),
            (&change.parallel, &mut self.parallel, fresh(Metric::Concurrency, Window::Lifetime)),
            (&change.day_tokens, &mut self.day_tokens, fresh(Metric::TotalTokens, Window::Day)),
            (&change.month_tokens, &mut self.month_tokens, fresh(Metric::TotalTokens, Window::Month)),
            (&change.quota, &mut self.quota, fresh(Metric::TotalTokens, Window::Lifetime)),
        ] {
            match sent {
                Sent::Absent => {}
                Sent::Null => *place = None,
                Sent::Value(max) => place.get_or_insert(fresh).max = *max,
            }
        }
        change.window.clone().apply(&mut self.window);
        if let Some(windows) = &change.windows {
            self.others
                .retain(|limit| limit.metric != Metric::Spend || limit.model.is_some() || is_unsaid(limit));
            self.others.extend(windows.iter().cloned());
        }
        for (metric, limits) in &change.models {
            self.others.retain(|limit| limit.metric != *metric || limit.model.is_none() || is_unsaid(limit));
            self.others.extend(limits.iter().cloned());
        }
        self.others.retain(|limit| !change.rates.iter().any(|rate| counts_same(limit, rate)));
        self.others.extend(change.rates.iter().cloned());
    }

    /// The limits that it spells.
    pub fn limits(&self) -> Vec<Limit> {
        let window = self.window.unwrap_or(Window::Lifetime);
        let within = |limit: &Limit| Limit { window, ..limit.clone() };
        let plain = [&self.rpm, &self.tpm, &self.parallel, &self.day_tokens, &self.month_tokens, &self.quota];
        let hard = self.max_budget.iter().map(within);
        let soft = self.soft_budget.iter().map(within);
        let plain = plain.into_iter().flatten().cloned();
        hard.chain(plain).chain(soft).chain(self.others.iter().cloned()).collect()
    }

    /// The fields that LiteLLM's rows have for limits.
    pub fn describe(&self, row: &mut Map<String, Value>) {
        let usd = |limit: &Option<Limit>| limit.as_ref().map_or(Value::Null, |limit| usd_json(limit.max));
        let count = |limit: &Option<Limit>| json!(limit.as_ref().map(|limit| limit.max));
        let set = [
            ("max_budget", usd(&self.max_budget)),
            ("soft_budget", usd(&self.soft_budget)),
            ("budget_duration", json!(self.window.and_then(spell))),
            ("rpm_limit", count(&self.rpm)),
            ("tpm_limit", count(&self.tpm)),
            ("max_parallel_requests", count(&self.parallel)),
            ("daily_token_limit", count(&self.day_tokens)),
            ("monthly_token_limit", count(&self.month_tokens)),
            ("token_quota", count(&self.quota)),
        ];
        row.extend(set.map(|(name, value)| (name.to_owned(), value)));
        self.describe_others(row);
    }

    fn describe_others(&self, row: &mut Map<String, Value>) {
        let (mut budgets, mut rpm, mut tpm, mut windows) = (Map::new(), Map::new(), Map::new(), Vec::new());
        let (mut input, mut output) = (Map::new(), Map::new());
        for limit in self.others.iter().filter(|limit| !is_unsaid(limit)) {
            match (limit.metric, &limit.model) {
                (Metric::Spend, Some(model)) => {
                    let budget =
                        json!({"budget_limit": usd_json(limit.max), "time_period": spell(limit.window)});
                    budgets.insert(model.as_str().to_owned(), budget);
                }
                (Metric::Requests, Some(model)) if limit.window == Window::Minute => {
                    rpm.insert(model.as_str().to_owned(), limit.max.into());
                }
                (Metric::TotalTokens, Some(model)) if limit.window == Window::Minute => {
                    tpm.insert(model.as_str().to_owned(), limit.max.into());
                }
                (Metric::InputTokens, Some(model)) if limit.window == Window::Minute => {
                    input.insert(model.as_str().to_owned(), limit.max.into());
                }
                (Metric::OutputTokens, Some(model)) if limit.window == Window::Minute => {
                    output.insert(model.as_str().to_owned(), limit.max.into());
                }
                (Metric::Spend, None) => {
                    windows.push(
                        json!({"budget_duration": spell(limit.window), "max_budget": usd_json(limit.max)}),
                    );
                }
                _ => {}
            }
        }
        row.insert("model_max_budget".to_owned(), budgets.into());
        row.insert("model_rpm_limit".to_owned(), rpm.into());
        row.insert("model_tpm_limit".to_owned(), tpm.into());
        row.insert("model_itpm_limit".to_owned(), input.into());
        row.insert("model_otpm_limit".to_owned(), output.into());
        row.insert("budget_limits".to_owned(), windows.into());
    }
}

/// What a request says about limits.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetChange {
    max_budget: Sent<i64>,
    soft_budget: Sent<i64>,
    window: Sent<Window>,
    rpm: Sent<i64>,
    tpm: Sent<i64>,
    parallel: Sent<i64>,
    day_tokens: Sent<i64>,
    month_tokens: Sent<i64>,
    quota: Sent<i64>,
    windows: Option<Vec<Limit>>,
    models: Vec<(Metric, Vec<Limit>)>,
    /// Rates that stand beside single models' budgets: each in the place of the model's own.
    rates: Vec<Limit>,
}

impl BudgetChange {
    /// Takes a request's fields.
    ///
    /// # Errors
    /// `InvalidRequest` naming the field at fault.
    pub fn take(fields: &mut Fields) -> Result<Self> {
        let per_day = fields.count("tpd_limit")?;
        let day_tokens = match fields.count("daily_token_limit")? {
            Sent::Absent => per_day,
            sent => sent,
        };
        let windows = take_windows(fields)?;
        let (models, rates) = take_models(fields)?;
        Ok(Self {
            max_budget: fields.usd("max_budget")?,
            soft_budget: fields.usd("soft_budget")?,
            window: fields.text("budget_duration")?.map(|text| window("budget_duration", &text))?,
            rpm: fields.count("rpm_limit")?,
            tpm: fields.count("tpm_limit")?,
            parallel: fields.count("max_parallel_requests")?,
            day_tokens,
            month_tokens: fields.count("monthly_token_limit")?,
            quota: fields.count("token_quota")?,
            windows,
            models,
            rates,
        })
    }

    /// Takes the fields that limit one user within a team.
    ///
    /// # Errors
    /// `InvalidRequest` naming the field at fault.
    pub fn take_in_team(fields: &mut Fields) -> Result<Self> {
        let budget = fields.usd("max_budget_in_team")?;
        let change = Self::take(fields)?;
        Ok(Self {
            max_budget: if budget == Sent::Absent { change.max_budget.clone() } else { budget },
            ..change
        })
    }

    /// Takes the fields that limit everybody who comes into a team.
    ///
    /// # Errors
    /// `InvalidRequest` naming the field at fault.
    pub fn take_of_members(fields: &mut Fields) -> Result<Self> {
        let duration = "team_member_budget_duration";
        Ok(Self {
            max_budget: fields.usd("team_member_budget")?,
            window: fields.text(duration)?.map(|text| window(duration, &text))?,
            rpm: fields.count("team_member_rpm_limit")?,
            tpm: fields.count("team_member_tpm_limit")?,
            ..Self::nothing()?
        })
    }

    /// The time that budgets are over, where it is said.
    pub fn window(&self) -> Option<Window> {
        self.window.clone().value()
    }

    /// What is said of that time.
    pub fn said_window(&self) -> Sent<Window> {
        self.window.clone()
    }

    /// The same, with a budget that says no time over the team's.
    pub fn following(mut self, team: Option<Window>) -> Self {
        if let (Sent::Value(_), Sent::Absent, Some(window)) = (&self.max_budget, &self.window, team) {
            self.window = Sent::Value(window);
        }
        self
    }

    /// Changes the limits of members: a budget where there was none is over the team's time unless it says its own.
    pub fn editor_of_members(self, team: Option<Window>) -> Option<LimitEditor> {
        let (added, changed) = (self.clone().following(team).editor()?, self.editor()?);
        Some(LimitEditor::new(move |limits| match Budget::of(limits).max_budget {
            None => added.edit(limits),
            Some(_) => changed.edit(limits),
        }))
    }

    /// What a request without such fields says.
    fn nothing() -> Result<Self> {
        Self::take(&mut Fields::new(Map::new()))
    }

    /// The limits of something new.
    pub fn limits(&self) -> Vec<Limit> {
        let mut budget = Budget::default();
        budget.apply(self);
        budget.limits()
    }

    /// Changes the limits of something that is there; `None` when nothing is said about limits.
    pub fn editor(self) -> Option<LimitEditor> {
        let nothing = Self::nothing().is_ok_and(|nothing| nothing == self);
        (!nothing).then(|| {
            LimitEditor::new(move |limits| {
                let mut budget = Budget::of(limits);
                budget.apply(&self);
                *limits = budget.limits();
            })
        })
    }
}

/// `budget_limits`: several budgets at once.
fn take_windows(fields: &mut Fields) -> Result<Option<Vec<Limit>>> {
    let wrong = || wrong("budget_limits", "a list of {budget_duration, max_budget}");
    let list = match fields.take("budget_limits") {
        Sent::Absent => return Ok(None),
        Sent::Null => Vec::new(),
        Sent::Value(Value::Array(list)) => list,
        Sent::Value(_) => return Err(wrong()),
    };
    let read = |item: &mut Fields| {
        let over = match item.text("budget_duration")? {
            Sent::Absent => return Err(missing("budget_duration")),
            said => over(said, "budget_duration")?,
        };
        let max = item.usd("max_budget")?.value().ok_or_else(|| missing("max_budget"))?;
        // Rows of LiteLLM's own say when each began anew; ours end with the calendar.
        item.take("reset_at");
        Ok(Limit::strict(Metric::Spend, over, max))
    };
    let mut limits = Vec::with_capacity(list.len());
    for item in list {
        let Value::Object(item) = item else { return Err(wrong()) };
        limits.push(within(fields, "budget_limits", item, read)?);
    }
    Ok(Some(limits))
}

/// Caps that an object within a field may be thought to have: none of them is passed over.
const CAPS: [&str; 4] = ["soft_budget", "max_parallel_requests", "rpm_limit", "tpm_limit"];

/// Reads an object that stands in a field. What has no effect in it is named like what has none beside it, and what caps is refused.
fn within<T>(
    fields: &mut Fields,
    name: &str,
    item: Map<String, Value>,
    read: impl FnOnce(&mut Fields) -> Result<T>,
) -> Result<T> {
    let mut inner = Fields::new(item);
    let whole = || {
        let it = read(&mut inner)?;
        for cap in CAPS {
            if matches!(inner.take(cap), Sent::Value(_)) {
                let message = format!("`{cap}` has no effect here; leave it out");
                return Err(Error::new(ErrorKind::InvalidRequest, message));
            }
        }
        Ok((it, inner.finish()?))
    };
    let (it, warnings) = whole().map_err(|error| {
        let said = Error::new(error.kind(), format!("`{name}`: {}", error.message())).with("param", name);
        let facts = error.context().iter().filter(|(fact, _)| *fact != "param");
        facts.fold(said, |said, (fact, value)| said.with(fact, value.clone()))
    })?;
    warnings.into_iter().for_each(|warning| fields.warn(format!("`{name}`: {warning}")));
    Ok(it)
}

/// Whether two limits count the same: of two such the later takes the earlier one's place.
fn counts_same(a: &Limit, b: &Limit) -> bool {
    (a.metric, a.window, &a.model) == (b.metric, b.window, &b.model)
}

/// Limits for single models, by what they count, and rates that stand beside budgets.
type OfModels = (Vec<(Metric, Vec<Limit>)>, Vec<Limit>);

/// `model_max_budget`, `model_rpm_limit` and its like: limits for single models.
fn take_models(fields: &mut Fields) -> Result<OfModels> {
    let (mut sets, mut rates) = (Vec::new(), Vec::new());
    let of_model = |model: &str, metric, window, max| Limit {
        model: Some(ModelName::from(model)),
        mode: default_mode(metric, window, Mode::Corrected),
        ..Limit::strict(metric, window, max)
    };
    for (name, metric) in [
        ("model_max_budget", Metric::Spend),
        ("model_rpm_limit", Metric::Requests),
        ("model_tpm_limit", Metric::TotalTokens),
        ("model_itpm_limit", Metric::InputTokens),
        ("model_otpm_limit", Metric::OutputTokens),
    ] {
        let map = match fields.object(name)? {
            Sent::Absent => continue,
            Sent::Null => Map::new(),
            Sent::Value(map) => map,
        };
        let mut limits = Vec::with_capacity(map.len());
        for (model, value) in map {
            match metric {
                Metric::Spend => {
                    let it = model_budget(fields, name, value)?;
                    limits.extend(it.budget.map(|(over, max)| of_model(&model, metric, over, max)));
                    let said = [(Metric::Requests, it.rpm), (Metric::TotalTokens, it.tpm)];
                    let said = said.into_iter().filter_map(|(metric, max)| Some((metric, max?)));
                    rates.extend(said.map(|(metric, max)| of_model(&model, metric, Window::Minute, max)));
                }
                _ => limits.push(of_model(&model, metric, Window::Minute, count(name, &value)?)),
            }
        }
        sets.push((metric, limits));
    }
    let named = |rate: &&Limit| sets.iter().any(|(_, all)| all.iter().any(|it| counts_same(it, rate)));
    if let Some(rate) = rates.iter().find(named) {
        let model = rate.model.as_ref().map_or("", ModelName::as_str);
        let message = format!(
            "`model_max_budget` gives `{model}` a rate that another field gives it, too; give it once"
        );
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "model_max_budget"));
    }
    Ok((sets, rates))
}

/// Nano-USD as the number of USD that LiteLLM's rows hold.
pub fn usd_json(nano: i64) -> Value {
    #[expect(
        clippy::cast_precision_loss,
        reason = "shown to people as a JSON number, as LiteLLM does; never computed with"
    )]
    let usd = nano as f64 / NANO_PER_USD as f64;
    json!(usd)
}

/// What `model_max_budget` says of a model.
#[derive(Default)]
struct ModelBudget {
    budget: Option<(Window, i64)>,
    rpm: Option<i64>,
    tpm: Option<i64>,
}

/// An amount for ever, or an object.
fn model_budget(fields: &mut Fields, name: &str, value: Value) -> Result<ModelBudget> {
    let item = match value {
        Value::Object(item) => item,
        amount => {
            let budget = Some((Window::Lifetime, usd(name, &amount)?));
            return Ok(ModelBudget { budget, ..ModelBudget::default() });
        }
    };
    within(fields, name, item, |item| {
        let max = one_of("budget_limit", item.usd("budget_limit")?, "max_budget", item.usd("max_budget")?)?;
        let period = one_of(
            "time_period",
            item.text("time_period")?,
            "budget_duration",
            item.text("budget_duration")?,
        )?;
        let period = period.filter(|text| !text.is_empty());
        let over = period.map(|text| window("time_period", &text)).transpose()?;
        let (rpm, tpm) = (item.count("rpm_limit")?.value(), item.count("tpm_limit")?.value());
        let budget = match (max, over) {
            (Some(max), over) => Some((over.unwrap_or(Window::Lifetime), max)),
            (None, None) if rpm.is_some() || tpm.is_some() => None,
            (None, _) => return Err(missing("budget_limit")),
        };
        Ok(ModelBudget { budget, rpm, tpm })
    })
}

/// What stands under one of two names.
fn one_of<T>(name: &str, one: Sent<T>, other_name: &str, other: Sent<T>) -> Result<Option<T>> {
    match (one.value(), other.value()) {
        (Some(_), Some(_)) => Err(wrong(name, &format!("left out where `{other_name}` is given"))),
        (one, other) => Ok(one.or(other)),
    }
}

/// The time that is said; for ever by null, or by an empty text.
fn over(said: Sent<String>, name: &str) -> Result<Window> {
    match said.value().filter(|text| !text.is_empty()) {
        None => Ok(Window::Lifetime),
        Some(text) => window(name, &text),
    }
}

/// Whether rows can't say it: what they have is strict when it is sent back.
fn is_unsaid(limit: &Limit) -> bool {
    limit.mode == Mode::Soft
}

fn window(name: &str, text: &str) -> Result<Window> {
    parse_budget_window(text)
        .map_err(|why| Error::new(ErrorKind::InvalidRequest, format!("`{name}`: {why}")).with("param", name))
}

/// The `budget_duration` that means this window; none for ever.
fn spell(window: Window) -> Option<String> {
    Some(match window {
        Window::Minute => "1m".to_owned(),
        Window::Hour => "1h".to_owned(),
        Window::Day => "1d".to_owned(),
        Window::Week => "7d".to_owned(),
        Window::Month => "30d".to_owned(),
        Window::Lifetime => return None,
        Window::RollingMs(ms) => {
            match [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m")].iter().find(|(unit, _)| ms % unit == 0)
            {
                Some((unit, letter)) => format!("{}{letter}", ms / unit),
                None => format!("{}s", ms.div_ceil(1000)),
            }
        }
    })
}

fn wrong(name: &str, want: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("`{name}` must be {want}")).with("param", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(map) = value else { panic!("not an object") };
        Fields::new(map)
    }

    fn read(value: Value) -> Vec<Limit> {
        BudgetChange::take(&mut fields(value)).unwrap().limits()
    }

    #[test]
    fn what_a_row_says_means_the_same_when_it_is_sent_back() {
        let sent = json!({
            "max_budget": 10, "budget_duration": "1d",
            "model_max_budget": {"m": 1, "n": {"budget_limit": 2, "time_period": "1d"}},
            "budget_limits": [{"budget_duration": null, "max_budget": 100}, {"budget_duration": "1h", "max_budget": 1}],
        });
        let mut limits = read(sent);
        // What no row says: it warns alone.
        let warns = Limit { mode: Mode::Soft, ..Limit::strict(Metric::Spend, Window::Week, 5_000_000_000) };
        limits.push(warns);
        let mut row = Map::new();
        Budget::of(&limits).describe(&mut row);
        assert_eq!(row["model_max_budget"]["m"], json!({"budget_limit": 1.0, "time_period": null}));
        let change = BudgetChange::take(&mut fields(row.into())).unwrap();
        let mut after = Budget::of(&limits);
        after.apply(&change);
        let sorted = |limits: Vec<Limit>| {
            let mut texts: Vec<String> = limits.iter().map(|limit| format!("{limit:?}")).collect();
            texts.sort();
            texts
        };
        assert_eq!(sorted(after.limits()), sorted(limits));
    }

    #[test]
    fn the_seeds_calls_mean_these_limits() {
        let corrected =
            Limit { mode: Mode::Corrected, ..Limit::strict(Metric::TotalTokens, Window::Minute, 500_000) };
        assert_eq!(
            read(json!({"max_budget": 100, "tpm_limit": 500_000})),
            [Limit::strict(Metric::Spend, Window::Lifetime, 100_000_000_000), corrected]
        );
        assert_eq!(
            read(json!({"max_budget": 30, "rpm_limit": 20})),
            [
                Limit::strict(Metric::Spend, Window::Lifetime, 30_000_000_000),
                Limit::strict(Metric::Requests, Window::Minute, 20)
            ]
        );
        assert_eq!(
            read(
                json!({"daily_token_limit": 2_000_000, "monthly_token_limit": 40_000_000, "token_quota": 9})
            ),
            [
                Limit::strict(Metric::TotalTokens, Window::Day, 2_000_000),
                Limit::strict(Metric::TotalTokens, Window::Month, 40_000_000),
                Limit::strict(Metric::TotalTokens, Window::Lifetime, 9)
            ]
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        for body in [
            json!({"max_budget": 10, "budget_duration": "30d", "soft_budget": 5, "rpm_limit": 1, "max_parallel_requests": 3}),
            json!({"max_budget": 1, "budget_limits": [{"budget_duration": "1d", "max_budget": 0.5}]}),
            json!({"model_max_budget": {"a": {"budget_limit": 1, "time_period": "1d"}}, "model_rpm_limit": {"a": 5}}),
            json!({"soft_budget": 5, "budget_duration": "7d", "model_tpm_limit": {"b": 7}, "model_itpm_limit": {"b": 5}, "model_otpm_limit": {"b": 2}}),
            json!({}),
        ] {
            let limits = read(body.clone());
            let budget = Budget::of(&limits);
            assert_eq!(budget.limits(), limits, "{body}");
            let mut row = Map::new();
            budget.describe(&mut row);
            assert_eq!(read(Value::Object(row)), limits, "{body}");
        }
    }

    #[test]
    fn an_update_changes_what_it_names_and_null_clears() {
        let mut budget = Budget::of(&read(
            json!({"max_budget": 10, "budget_duration": "1d", "rpm_limit": 5, "tpm_limit": 9}),
        ));
        let change = BudgetChange::take(&mut fields(json!({"max_budget": 20, "rpm_limit": null}))).unwrap();
        budget.apply(&change);
        let limits = budget.limits();
        let mut edited =
            read(json!({"max_budget": 10, "budget_duration": "1d", "rpm_limit": 5, "tpm_limit": 9}));
        change.editor().unwrap().edit(&mut edited);
        assert_eq!(edited, limits);
        assert!(BudgetChange::take(&mut fields(json!({"key_alias": "x"}))).unwrap().editor().is_none());
        assert_eq!(limits.first(), Some(&Limit::strict(Metric::Spend, Window::Day, 20_000_000_000)));
        assert_eq!(limits.len(), 2);
    }

    #[test]
    fn an_update_leaves_other_limits_as_they_are() {
        use sluicegate::WhenShort;
        let native = [
            Limit::strict(Metric::Spend, Window::Day, 5),
            Limit::strict(Metric::TotalTokens, Window::Minute, 1000),
            Limit { mode: Mode::Soft, ..Limit::strict(Metric::Requests, Window::Minute, 20) },
            Limit { when_short: Some(WhenShort::Deny), ..Limit::strict(Metric::TotalTokens, Window::Day, 7) },
            Limit::strict(Metric::OutputTokens, Window::Hour, 9),
        ];
        let edit = |body: Value| {
            let mut limits = native.to_vec();
            BudgetChange::take(&mut fields(body)).unwrap().editor().unwrap().edit(&mut limits);
            limits
        };
        // Strict stays strict: whoever raises a budget doesn't loosen what is beside it.
        let raised = edit(json!({"max_budget": 0.000_000_009}));
        assert_eq!(raised.first(), Some(&Limit::strict(Metric::Spend, Window::Day, 9)));
        assert_eq!(raised.get(1..).map(|rest| rest.iter().filter(|it| native.contains(it)).count()), Some(4));
        let named = edit(json!({"tpm_limit": 500, "daily_token_limit": 8, "rpm_limit": null}));
        assert_eq!(
            named,
            [
                Limit::strict(Metric::Spend, Window::Day, 5),
                Limit::strict(Metric::TotalTokens, Window::Minute, 500),
                Limit {
                    when_short: Some(WhenShort::Deny),
                    ..Limit::strict(Metric::TotalTokens, Window::Day, 8)
                },
                Limit::strict(Metric::OutputTokens, Window::Hour, 9),
            ]
        );
    }

    #[test]
    fn a_models_budget_may_have_rates_beside_it() {
        let of_model = |limit: Limit| Limit { model: Some("m".into()), ..limit };
        let spend = |window, max| of_model(Limit::strict(Metric::Spend, window, max));
        let rpm = |max| of_model(Limit::strict(Metric::Requests, Window::Minute, max));
        let tpm = |max| {
            let limit = of_model(Limit::strict(Metric::TotalTokens, Window::Minute, max));
            Limit { mode: Mode::Corrected, ..limit }
        };
        for (said, want) in [
            (json!(1), vec![spend(Window::Lifetime, 1_000_000_000)]),
            (json!({"max_budget": 1, "budget_duration": "1d"}), vec![spend(Window::Day, 1_000_000_000)]),
            (json!({"rpm_limit": 1, "time_period": null}), vec![rpm(1)]),
            (
                json!({"max_budget": 1, "budget_duration": "1d", "rpm_limit": 1, "tpm_limit": 5}),
                vec![spend(Window::Day, 1_000_000_000), rpm(1), tpm(5)],
            ),
        ] {
            assert_eq!(read(json!({"model_max_budget": {"m": said}})), want, "{said}");
        }
        // A rate takes the place of the model's own, and of no other's.
        let other = Limit { model: Some("n".into()), ..rpm(9) };
        let mut limits = vec![rpm(3), other.clone()];
        let change = BudgetChange::take(&mut fields(json!({"model_max_budget": {"m": {"rpm_limit": 7}}})));
        change.unwrap().editor().unwrap().edit(&mut limits);
        assert_eq!(limits, [other, rpm(7)]);
        let mut sent =
            fields(json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 1, "spend": 0.5}]}));
        BudgetChange::take(&mut sent).unwrap();
        assert_eq!(sent.finish().unwrap(), ["`budget_limits`: `spend` has no effect here"]);
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        for (body, name) in [
            (json!({"max_budget": -1}), "max_budget"),
            (json!({"budget_duration": "soon"}), "budget_duration"),
            (json!({"rpm_limit": 1.5}), "rpm_limit"),
            (json!({"budget_limits": 1}), "budget_limits"),
            (json!({"model_rpm_limit": {"a": "x"}}), "model_rpm_limit"),
            (json!({"budget_limits": [1]}), "budget_limits"),
            (json!({"budget_limits": [{"budget_duration": "1d"}]}), "budget_limits"),
            (
                json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 1, "max_bugdet": 2}]}),
                "max_bugdet",
            ),
            (
                json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 1, "rpm_limit": 2}]}),
                "rpm_limit",
            ),
            (json!({"model_max_budget": {"m": {"budget_limit": 1, "time_perod": "1d"}}}), "`time_period`"),
            (json!({"model_max_budget": {"m": {"budget_limit": 1, "time_period": 86_400}}}), "time_period"),
            (json!({"model_max_budget": {"m": {"budget_limit": 1, "max_budget": 2}}}), "max_budget"),
            (json!({"model_max_budget": {"m": {"budget_limit": 1, "soft_budget": 2}}}), "soft_budget"),
            (json!({"model_max_budget": {"m": {"time_period": "1d"}}}), "budget_limit"),
            (json!({"model_max_budget": {"m": {"rpm_limit": 2}}, "model_rpm_limit": {"m": 1}}), "`m`"),
        ] {
            let error = BudgetChange::take(&mut fields(body)).unwrap_err();
            assert!(error.message().contains(name), "{error}");
        }
    }
}
