//! `prices`: the price list that is built in, made from the facts about prices that are kept beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

const FACTS: &str = "core/config/catalogue/facts/prices.csv";
const TABLE: &str = "core/config/catalogue/prices.csv";

const COLUMNS: [&str; 26] = [
    "provider",
    "model",
    "mode",
    "input",
    "output",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "reasoning_output",
    "audio_input",
    "audio_output",
    "context_window",
    "max_output",
    "extra_reasoning",
    "lacks",
    "tiers",
    "image_input",
    "image_output",
    "per_search",
    "service_tiers",
    "windows",
    "changes",
    "regions",
    "per_request",
    "cached_audio_input",
    "cached_image_input",
];
const RATES: [&str; 10] = [
    "input",
    "output",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "reasoning_output",
    "audio_input",
    "audio_output",
    "cached_audio_input",
    "cached_image_input",
];
/// Rates of what comes from a prompt cache, and the facts' names for them.
const CACHED: [(&str, &str); 2] = [
    ("cached_audio_input", "cache_read_input_audio_token_cost"),
    ("cached_image_input", "cache_read_input_image_token_cost"),
];
/// Those that prices for long prompts have.
const TIER_RATES: usize = 6;
/// Service tiers, and what the facts add to a name for each.
const TIERS: [(&str, &str); 4] =
    [("batch", "_batches"), ("flex", "_flex"), ("priority", "_priority"), ("ultrafast", "_ultrafast")];
/// Providers whose cache costs parts of input by rule: what was read from it, and what was written to it because the caller asked, in
/// percent. Alibaba's <https://www.alibabacloud.com/help/en/model-studio/context-cache>, read on 2026-11-30.
const CACHE_BY_RULE: [(&str, [(&str, u128); 2]); 4] = [
    ("dashscope", [("cached_input", 20), ("cache_write", 125)]),
    ("dashscope-cn", [("cached_input", 20), ("cache_write", 125)]),
    ("qwen_ai_platform", [("cached_input", 20), ("cache_write", 125)]),
    ("qwencloud", [("cached_input", 20), ("cache_write", 125)]),
];
/// What Claude writes to its cache for an hour, of input in percent, wherever it is served and the facts leave it out. Anthropic's
/// <https://docs.claude.com/en/docs/build-with-claude/prompt-caching>, read on 2026-11-30.
const LONG_WRITES: [(&str, u128); 1] = [("cache_write_1h", 200)];
/// Reasoning where neither the longest answer nor the window is known: `UNKNOWN_REASONING` of `core/src/channel.rs`.
const UNKNOWN_REASONING: &str = "131072";
/// Providers whose reasoning comes on top of the output ceiling.
const EXTRA_REASONING: [&str; 3] = ["xai", "perplexity", "gemini"];

type Row = BTreeMap<String, String>;
type Done<T> = Result<T, String>;

/// Writes the table, or with `--check` says whether it is what the facts make.
pub(crate) fn run(args: &[String]) -> Done<()> {
    let check = match args {
        [] => false,
        [only] if only == "--check" => true,
        _ => return Err("`prices` takes `--check` or nothing".to_owned()),
    };
    let facts = fs::read_to_string(FACTS).map_err(|error| format!("{FACTS}: {error}"))?;
    let made = make(&facts)?;
    let known = fs::read_to_string(TABLE).unwrap_or_default();
    if made == known {
        println!("{TABLE} is what {FACTS} makes");
        return Ok(());
    }
    if check {
        return Err(format!(
            "{TABLE} isn't what {FACTS} makes; run `cargo xtask prices` and look at what changes"
        ));
    }
    fs::write(Path::new(TABLE), made).map_err(|error| format!("{TABLE}: {error}"))?;
    println!("wrote {TABLE}; look at what changed before you commit it");
    Ok(())
}

/// The table that these facts make.
fn make(facts: &str) -> Done<String> {
    let (head, rest) = facts.split_once('\n').ok_or("the facts are empty")?;
    if !head.starts_with("#version=") || !head.contains(",date=") {
        return Err("the first line must be `#version=N,date=YYYY-MM-DD`".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for fact in records(rest)? {
        let place = format!("{} of {}", get(&fact, "upstream_model"), get(&fact, "provider"));
        let row = row(&fact).map_err(|why| format!("{place}: {why}"))?;
        let key = (get(&row, "provider").to_owned(), get(&row, "model").to_owned());
        let served = matches!(get(&row, "mode"), "chat" | "responses" | "embedding");
        let says_something = COLUMNS.iter().skip(3).any(|column| !get(&row, column).is_empty());
        if !served || !says_something || key.1.contains(',') || !seen.insert(key) {
            continue;
        }
        if row.values().any(|cell| cell.contains([',', '"', '\n'])) {
            return Err(format!("{place}: a cell has a comma, a quote or a line break"));
        }
        rows.push(row);
    }
    fill(&mut rows);
    let line = |row: &Row| COLUMNS.iter().map(|column| get(row, column)).collect::<Vec<_>>().join(",");
    let mut rows: Vec<_> = rows.iter().map(line).collect();
    // The reader halves its way to a row: the order is that of the bytes.
    rows.sort();
    Ok(format!("{head}\n{}\n{}\n", COLUMNS.join(","), rows.join("\n")))
}

/// Rates that the facts have of a release and not of the name without its date, which stands for it: where both cost the same.
const OF_RELEASE: [&str; 11] = [
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "reasoning_output",
    "audio_input",
    "audio_output",
    "cached_audio_input",
    "cached_image_input",
    "image_input",
    "image_output",
    "tiers",
];

/// Gives names without a date what only their newest release says.
fn fill(rows: &mut [Row]) {
    let mut releases: BTreeMap<(String, String), Row> = BTreeMap::new();
    for row in rows.iter() {
        let Some(name) = undated(get(row, "model")) else { continue };
        let newest = releases.entry((get(row, "provider").to_owned(), name.to_owned())).or_default();
        if get(newest, "model") < get(row, "model") {
            newest.clone_from(row);
        }
    }
    for row in rows {
        let key = (get(row, "provider").to_owned(), get(row, "model").to_owned());
        let Some(release) = releases.get(&key) else { continue };
        if ["mode", "input", "output"].iter().any(|column| get(row, column) != get(release, column)) {
            continue;
        }
        // Another window's steps may lie behind this one.
        let is_as_long = get(row, "context_window") == get(release, "context_window");
        let says = |column: &&&str| !get(release, column).is_empty() && (is_as_long || **column != "tiers");
        for column in OF_RELEASE.iter().filter(says) {
            let cell = row.entry((*column).to_owned()).or_default();
            if cell.is_empty() {
                get(release, column).clone_into(cell);
            }
        }
    }
}

/// The name of a release without its date: `m-2025-06-03` or `m-20250603`.
fn undated(model: &str) -> Option<&str> {
    let is_date = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(got, want)| match want {
                b'0' => got.is_ascii_digit(),
                _ => got == want,
            })
    };
    ["-0000-00-00", "-00000000"].iter().find_map(|shape| {
        let at = model.len().checked_sub(shape.len())?;
        let (name, date) = model.split_at_checked(at)?;
        is_date(date, shape).then_some(name)
    })
}

fn get<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).map_or("", String::as_str)
}

fn row(fact: &Row) -> Done<Row> {
    let mut out = Row::new();
    let mut put = |column: &str, value: String| out.insert(column.to_owned(), value);
    put("provider", get(fact, "provider").to_owned());
    put("model", get(fact, "upstream_model").to_owned());
    put("mode", get(fact, "mode").to_owned());
    for column in RATES {
        put(column, decimal(get(fact, column))?);
    }
    for column in ["context_window", "max_output"] {
        put(column, get(fact, column).split('.').next().unwrap_or_default().to_owned());
    }
    if get(&out, "mode") == "embedding" && get(&out, "output").is_empty() && !get(&out, "input").is_empty() {
        out.insert("output".to_owned(), "0".to_owned());
    }
    let rules = json(get(fact, "tier_rules"))?;
    let tiers = long_prompts(&rules, &mut out)?;
    let provider = get(fact, "provider");
    let by_rule = CACHE_BY_RULE.iter().find(|(of, _)| *of == provider && get(fact, "mode") != "embedding");
    let tiers = by_rule.map_or(Ok(tiers.clone()), |(_, parts)| of_input(parts, &mut out, &tiers))?;
    let is_long = get(&out, "model").contains("claude") && !get(&out, "cache_write").is_empty();
    let tiers = if is_long { of_input(&LONG_WRITES, &mut out, &tiers)? } else { tiers };
    out.insert("tiers".to_owned(), tiers);
    out.insert("lacks".to_owned(), lacks(fact));
    if reasons_beyond_the_ceiling(fact) {
        let max = [get(&out, "max_output"), get(&out, "context_window")];
        let max = max.into_iter().find(|cell| !cell.is_empty()).unwrap_or(UNKNOWN_REASONING).to_owned();
        out.insert("extra_reasoning".to_owned(), max);
    }
    let extra = json(get(fact, "extra_prices"))?;
    for (column, name) in
        [("image_input", "input_cost_per_image_token"), ("image_output", "output_cost_per_image_token")]
    {
        out.insert(
            column.to_owned(),
            per_unit(fact, name).map_or(Ok(String::new()), |text| shifted(text, 6))?,
        );
    }
    out.insert(
        "per_request".to_owned(),
        decimal(per_unit(fact, "input_cost_per_request").unwrap_or_default())?,
    );
    for (column, name) in CACHED {
        out.insert(column.to_owned(), number(extra.get(name))?);
    }
    out.insert("per_search".to_owned(), searches(&extra)?);
    out.insert("service_tiers".to_owned(), service_tiers(fact, &extra)?);
    out.insert("windows".to_owned(), windows(&rules)?);
    out.insert("changes".to_owned(), changes(&json(get(fact, "scheduled_change"))?)?);
    out.insert("regions".to_owned(), regions(&extra)?);
    Ok(out)
}

/// `0.012;low=0.005;high=0.012`: the fee of a search, and by how much it reads where that makes a difference.
fn searches(extra: &Value) -> Done<String> {
    let mut all = vec![number(extra.get("web_search_per_query"))?];
    for size in ["low", "medium", "high"] {
        let fee = number(extra.get(format!("web_search_per_query_{size}")))?;
        if !fee.is_empty() {
            all.push(format!("{size}={fee}"));
        }
    }
    Ok(all.join(";"))
}

/// Prices for long prompts. Of ranges the first one is the price itself.
fn long_prompts(rules: &Value, out: &mut Row) -> Done<String> {
    let mut tiers = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        let bound = |name: &str| rule.get(name).and_then(Value::as_u64);
        match (bound("above_prompt_tokens"), bound("from_prompt_tokens")) {
            (Some(above), _) if above > 0 => tiers.push((above, rule)),
            (_, Some(0)) => {
                for name in RATES.iter().take(TIER_RATES) {
                    let own = number(rule.get(*name))?;
                    if get(out, name).is_empty() && !own.is_empty() {
                        out.insert((*name).to_owned(), own);
                    }
                }
            }
            (_, Some(from)) => tiers.push((from, rule)),
            _ => {}
        }
    }
    tiers.sort_by_key(|(bound, _)| *bound);
    let text = |(bound, rule): (u64, &Value)| Ok(format!("{bound}:{}", rates_of(rule, TIER_RATES)?));
    Ok(tiers.into_iter().map(text).collect::<Done<Vec<_>>>()?.join("|"))
}

/// What costs parts of input, in percent, and has no price of its own: put into the row, and into the tiers that are returned.
fn of_input(parts: &[(&str, u128)], out: &mut Row, tiers: &str) -> Done<String> {
    for (name, percent) in parts {
        let input = get(out, "input").to_owned();
        if get(out, name).is_empty() && !input.is_empty() {
            out.insert((*name).to_owned(), percent_of(&input, *percent)?);
        }
    }
    let tier = |tier: &str| {
        let mut text = tier.to_owned();
        let rate = |name: &str| {
            let rates = tier.split_once(':').map_or("", |(_, rates)| rates).split(';');
            rates.filter_map(|pair| pair.split_once('=')).find(|(of, _)| *of == name).map(|(_, rate)| rate)
        };
        for (name, percent) in parts {
            if let (Some(input), None) = (rate("input"), rate(name)) {
                text.push_str(&format!(";{name}={}", percent_of(input, *percent)?));
            }
        }
        Ok(text)
    };
    let all: Done<Vec<_>> = tiers.split('|').filter(|text| !text.is_empty()).map(tier).collect();
    Ok(all?.join("|"))
}

/// So many hundredths of a decimal number, exactly.
fn percent_of(text: &str, percent: u128) -> Done<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: u128 =
        format!("{whole}{fraction}").parse().map_err(|_| format!("`{text}` is no decimal number"))?;
    let by = i32::try_from(fraction.len()).map_err(|_| format!("`{text}` is too long"))?;
    shifted(&(digits * percent).to_string(), -by - 2)
}

/// `input=1;output=2`, of the first rates as an object has them.
fn rates_of(of: &Value, first: usize) -> Done<String> {
    let mut all = Vec::new();
    for name in RATES.iter().take(first) {
        let value = number(of.get(*name))?;
        if !value.is_empty() {
            all.push(format!("{name}={value}"));
        }
    }
    Ok(all.join(";"))
}

/// What the price is for calls that are served at a tier: of columns of their own, and of names such as
/// `cache_read_above_272k_tokens_flex`.
fn service_tiers(fact: &Row, extra: &Value) -> Done<String> {
    let mut all = Vec::new();
    for (tier, suffix) in TIERS {
        // By bound, the price itself first, and in the order of the rates.
        let mut rates: BTreeMap<(u64, usize), String> = BTreeMap::new();
        let place = |name: &str| RATES.iter().position(|known| *known == name);
        for name in ["input", "output"] {
            let value = decimal(get(fact, &format!("{tier}_{name}")))?;
            if let Some(at) = place(name).filter(|_| !value.is_empty()) {
                rates.insert((0, at), value);
            }
        }
        for (name, value) in extra.as_object().into_iter().flatten() {
            let Some(rest) = name.strip_suffix(suffix) else { continue };
            let (rest, above) =
                match rest.strip_suffix("k_tokens").and_then(|rest| rest.rsplit_once("_above_")) {
                    Some((rest, thousands)) => (
                        rest,
                        thousands.parse::<u64>().map_err(|_| format!("`{name}` has no bound"))? * 1_000,
                    ),
                    None => (rest, 0),
                };
            let rate = match rest {
                "input" | "output" | "cache_write" => rest,
                "cache_read" => "cached_input",
                "input_cost_per_audio_token" => "audio_input",
                // Cache writes of half a day, and films: answers don't say how many tokens those are.
                other => match CACHED.iter().find(|(_, name)| *name == other) {
                    Some((column, _)) => *column,
                    None => continue,
                },
            };
            let value = number(Some(value))?;
            if let Some(at) = place(rate).filter(|at| above == 0 || *at < TIER_RATES) {
                rates.entry((above, at)).or_insert(value);
            }
        }
        if rates.is_empty() {
            continue;
        }
        let text = |((above, at), value): (&(u64, usize), &String)| {
            let name = RATES.get(*at).copied().unwrap_or_default();
            if *above > 0 { format!("{name}@{above}={value}") } else { format!("{name}={value}") }
        };
        all.push(format!("{tier}:{}", rates.iter().map(text).collect::<Vec<_>>().join(";")));
    }
    Ok(all.join("|"))
}

/// `12345@0000-0100+0400-0600&67@0000-2400:input=0.15`
fn windows(rules: &Value) -> Done<String> {
    let mut all = Vec::new();
    for off_peak in rules.as_array().into_iter().flatten().filter_map(|rule| rule.get("off_peak")) {
        let mut times = Vec::new();
        for window in off_peak.get("windows").and_then(Value::as_array).into_iter().flatten() {
            let texts = |name: &str| match window.get(name) {
                Some(Value::Array(several)) => several.clone(),
                Some(one) => vec![one.clone()],
                None => Vec::new(),
            };
            let hours: Vec<_> = texts("hours_utc").iter().filter_map(Value::as_str).map(hours).collect();
            let days: String = texts("weekdays").iter().map(ToString::to_string).collect();
            let days = if days.is_empty() { "1234567".to_owned() } else { days };
            times.push(format!("{days}@{}", hours.join("+")));
        }
        all.push(format!("{}:{}", times.join("&"), rates_of(off_peak, RATES.len())?));
    }
    Ok(all.join("|"))
}

/// `10:00-00:00` as `1000-2400`.
fn hours(text: &str) -> String {
    let plain = text.replace(':', "");
    match plain.strip_suffix("-0000") {
        Some(from) => format!("{from}-2400"),
        None => plain,
    }
}

/// `2027-01-01:input=1.5`
fn changes(changes: &Value) -> Done<String> {
    let mut all = Vec::new();
    for change in changes.as_array().into_iter().flatten() {
        let from = change.get("from").and_then(Value::as_str).ok_or("a change without its date")?;
        all.push(format!("{from}:{}", rates_of(change, RATES.len())?));
    }
    all.sort();
    Ok(all.join("|"))
}

/// `eu=1.1|us=1.1`
fn regions(extra: &Value) -> Done<String> {
    let mut all = BTreeMap::new();
    for (name, value) in extra.as_object().into_iter().flatten() {
        if let Some(region) = name.strip_prefix("regional_processing_uplift_multiplier_") {
            all.insert(region.to_owned(), number(Some(value))?);
        } else if name == "regional_endpoint_uplift_multiplier" {
            all.insert("regional".to_owned(), number(Some(value))?);
        } else if name == "multipliers" {
            // A faster mode is no place: what it costs isn't known before it is asked for.
            let of_places = |(name, value): &(&String, &Value)| *name != "fast" && value.is_number();
            for (region, value) in value.as_object().into_iter().flatten().filter(of_places) {
                all.insert(region.clone(), number(Some(value))?);
            }
        }
    }
    Ok(all.iter().map(|(name, ratio)| format!("{name}={ratio}")).collect::<Vec<_>>().join("|"))
}

/// What the model is known to lack: only one source says "no" where it says nothing; elsewhere silence is ignorance.
fn lacks(fact: &Row) -> String {
    let has: Vec<_> = get(fact, "capabilities").split('|').filter(|it| !it.is_empty()).collect();
    if !get(fact, "src").starts_with("models.dev") || get(fact, "mode") != "chat" || has.is_empty() {
        return String::new();
    }
    let known = [("tools", "tools"), ("vision", "images"), ("audio_in", "audio")];
    let lacking = known.iter().filter(|(capability, _)| !has.contains(capability)).map(|(_, need)| *need);
    lacking.collect::<Vec<_>>().join("|")
}

/// Whether it reasons, at a provider whose ceiling doesn't cover that. Some do although the facts don't say so.
fn reasons_beyond_the_ceiling(fact: &Row) -> bool {
    let model = get(fact, "upstream_model");
    if !EXTRA_REASONING.contains(&get(fact, "provider")) {
        return false;
    }
    let grok = model.strip_prefix("grok-").is_some_and(|rest| {
        ["3-mini", "4", "code"].iter().any(|start| rest.starts_with(start)) && !rest.contains("non-reasoning")
    });
    let gemini = model.strip_prefix("gemini-").is_some_and(|rest| {
        let new = rest.starts_with("2.5") || rest.starts_with(|c: char| ('3'..='9').contains(&c));
        new && !rest.contains("tts") && !rest.contains("live")
    });
    let by_name = get(fact, "mode") == "chat" && (grok || gemini || model.starts_with("deep-research"));
    by_name || get(fact, "capabilities").split('|').any(|it| it == "reasoning")
}

/// What `per_unit` says under this name, in USD.
fn per_unit<'a>(fact: &'a Row, name: &str) -> Option<&'a str> {
    get(fact, "per_unit")
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, it)| it)
}

fn json(text: &str) -> Done<Value> {
    if text.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

fn number(value: Option<&Value>) -> Done<String> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::Number(number)) => decimal(&number.to_string()),
        Some(Value::String(text)) => decimal(text),
        Some(other) => Err(format!("`{other}` is no number")),
    }
}

/// A number without exponent and idle zeros; an empty text stays empty.
fn decimal(text: &str) -> Done<String> {
    if text.is_empty() { Ok(String::new()) } else { shifted(text, 0) }
}

/// A decimal number times ten to the power of `by`, without ever being a float.
fn shifted(text: &str, by: i32) -> Done<String> {
    let wrong = || format!("`{text}` is no decimal number");
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) || exponent.abs() > 30 {
        return Err(wrong());
    }
    let point = i32::try_from(whole.len()).map_err(|_| wrong())? + exponent + by;
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let padded = format!(
        "{}{digits}{}",
        zeros(1 - point),
        zeros(point - i32::try_from(digits.len()).map_err(|_| wrong())?)
    );
    let at = usize::try_from(point.max(1)).map_err(|_| wrong())?;
    let (whole, fraction) = padded.split_at(at.min(padded.len()));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

/// The rows of a CSV file with a line of names; cells may be quoted.
fn records(text: &str) -> Done<Vec<Row>> {
    let mut lines = cells(text)?.into_iter();
    let names = lines.next().ok_or("the facts have no line of names")?;
    lines
        .map(|line| {
            if line.len() != names.len() {
                return Err(format!(
                    "a row has {} cells, not {}: {}",
                    line.len(),
                    names.len(),
                    line.join(",")
                ));
            }
            Ok(names.iter().cloned().zip(line).collect())
        })
        .collect()
}

fn cells(text: &str) -> Done<Vec<Vec<String>>> {
    let (mut lines, mut line, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => line.push(std::mem::take(&mut cell)),
            ('\n', false) => {
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            ('\r', false) => {}
            _ => cell.push(c),
        }
    }
    if quoted || !line.is_empty() || !cell.is_empty() {
        return Err("the file ends within a row".to_owned());
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_moved_and_never_floats() {
        for (text, by, want) in [
            ("0.27", 0, "0.27"),
            ("1.25e-06", 6, "1.25"),
            ("1e-06", 0, "0.000001"),
            ("5.0", 0, "5"),
            ("0", 6, "0"),
            ("0.00012", 6, "120"),
            ("12.5E1", 0, "125"),
            ("1100", -3, "1.1"),
        ] {
            assert_eq!(shifted(text, by).as_deref(), Ok(want), "{text}");
        }
        assert!(shifted("-1", 0).is_err() && shifted("", 0).is_err() && shifted("1e99", 0).is_err());
    }

    #[test]
    fn a_name_without_a_date_has_what_its_newest_release_says_at_the_same_price() {
        let row = |model: &str, input: &str, cached: &str| -> Row {
            [
                ("provider", "p"),
                ("model", model),
                ("mode", "chat"),
                ("input", input),
                ("cached_input", cached),
            ]
            .map(|(column, cell)| (column.to_owned(), cell.to_owned()))
            .into()
        };
        for (name, first, want) in [("2", "", "0.3"), ("2", "0.1", "0.1"), ("3", "", "")] {
            let mut rows = [
                row("m", name, first),
                row("m-2025-06-03", "2", "0.3"),
                row("m-2024-12-17", "2", "0.2"),
                row("m-2025-6-3", "2", "0.9"),
            ];
            fill(&mut rows);
            assert_eq!(get(&rows[0], "cached_input"), want, "{name} {first}");
        }
    }

    #[test]
    fn the_table_is_what_the_facts_make() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let made = make(&fs::read_to_string(root.join(FACTS)).unwrap()).unwrap();
        let known = fs::read_to_string(root.join(TABLE)).unwrap();
        let differs = made.lines().zip(known.lines()).find(|(made, known)| made != known);
        assert_eq!(differs, None, "run `cargo xtask prices`");
        assert_eq!(made.len(), known.len(), "run `cargo xtask prices`");
    }

    #[test]
    fn what_few_prices_have_is_in_cells_of_its_own() {
        let facts = "#version=1,date=2026-11-22\n\
            upstream_model,provider,mode,input,output,flex_input,tier_rules,extra_prices,scheduled_change,per_unit\n\
            m,p,chat,2,4,1,\"[{\"\"off_peak\"\":{\"\"input\"\":1,\"\"windows\"\":[{\"\"hours_utc\"\":[\"\"22:00-00:00\"\"],\"\"weekdays\"\":[1]}]}}]\",\
            \"{\"\"output_above_200k_tokens_flex\"\":3,\"\"multipliers\"\":{\"\"us\"\":1.1,\"\"fast\"\":2}}\",\
            \"[{\"\"from\"\":\"\"2027-01-01\"\",\"\"input\"\":9}]\",input_cost_per_image_token=1.25e-06\n";
        let made = make(facts).unwrap();
        let row = made.lines().nth(2).unwrap();
        assert_eq!(
            row,
            "p,m,chat,2,4,,,,,,,,,,,,1.25,,,flex:input=1;output@200000=3,1@2200-2400:input=1,2027-01-01:input=9,us=1.1,,,"
        );
        assert!(make("no head\n").is_err());
    }

    #[test]
    fn a_cache_that_costs_parts_of_input_is_priced_by_them() {
        let facts = "#version=1,date=2026-11-22\n\
            upstream_model,provider,mode,input,output,cached_input,tier_rules\n\
            m,dashscope,chat,0.4,1.2,,\"[{\"\"above_prompt_tokens\"\":1000,\"\"input\"\":0.022},{\"\"above_prompt_tokens\"\":2000,\"\"input\"\":1,\"\"cached_input\"\":0.1}]\"\n\
            n,dashscope,chat,1,5,0.1,\n\
            m,other,chat,0.4,1.2,,\n";
        let made = make(facts).unwrap();
        let rows: Vec<_> = made.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "dashscope,m,chat,0.4,1.2,0.08,0.5,,,,,,,,,1000:input=0.022;cached_input=0.0044;cache_write=0.0275|2000:input=1;cached_input=0.1;cache_write=1.25,,,,,,,,,,",
                "dashscope,n,chat,1,5,0.1,1.25,,,,,,,,,,,,,,,,,,,",
                "other,m,chat,0.4,1.2,,,,,,,,,,,,,,,,,,,,,",
            ]
        );
    }
}
