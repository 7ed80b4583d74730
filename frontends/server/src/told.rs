//! Why a call went where it went, as a response header: what of it the caller may see, bounded, as ASCII.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use sluicegate::admin::Actor;
use sluicegate::ledger::LimitState;
use sluicegate::{Metric, Role, Timestamp, Told};

use crate::state::State;

const DECISION: HeaderName = HeaderName::from_static("x-sluicegate-decision");
/// The header is no longer, in bytes: proxies in front take 4 KiB of headers in all by default.
const DECISION_MAX: usize = 3_072;

/// Writes the header, if the call asked for it.
pub(crate) async fn write(headers: &mut HeaderMap, state: &State, told: Option<Box<Told>>) {
    let Some(told) = told else { return };
    // Who can't be looked up sees the least.
    let actor = state.gateway.admin().actor(&told.caller.caller, None).await.ok();
    let sees_all = actor.as_ref().is_some_and(sees_all);
    let organization = &told.caller.caller.organization;
    let group = told.caller.caller.group.as_ref();
    let runs = |actor: &Actor| group.is_some_and(|group| actor.runs_group(organization, group));
    let shows_group = actor.as_ref().is_some_and(runs);
    if let Ok(value) = HeaderValue::from_str(&text(&told, sees_all, shows_group)) {
        headers.insert(DECISION, value);
    }
}

/// Whether figures of every scope and channel are theirs to see.
pub(crate) fn sees_all(actor: &Actor) -> bool {
    matches!(actor.role(), Role::SuperAdmin | Role::OrganizationAdmin | Role::Auditor)
}

/// Figures of limits that aren't the asker's own are not theirs to see: kind, window and whether it passes are.
pub(crate) fn hide_parents(explanation: &mut Value, shows_group: bool) {
    for reason in explanation.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let own = match reason.get("scope").and_then(Value::as_str) {
            None | Some("key" | "membership" | "user" | "customer") => true,
            Some(scope) => scope == "group" && shows_group,
        };
        if !own {
            let is_open = |name: &str| {
                matches!(name, "step" | "scope" | "metric" | "window" | "model" | "ok" | "resets_at")
            };
            reason.retain(|name, _| is_open(name));
        }
    }
}

fn text(told: &Told, sees_all: bool, shows_group: bool) -> String {
    let mut limits: Value = told.limits.iter().map(limit).collect();
    let mut reasons = json!(told.explanation);
    if !sees_all {
        hide_parents(&mut limits, shows_group);
        hide_parents(&mut reasons, shows_group);
        reasons = for_caller(reasons);
    }
    bounded(reasons, limits)
}

fn limit(state: &LimitState) -> Value {
    let resets_at = Some(state.resets_at)
        .filter(|at| *at != Timestamp::MAX && state.limit.metric != Metric::Concurrency)
        .map(Timestamp::as_ms);
    let mut limit = json!({
        "scope": state.kind,
        "metric": state.limit.metric,
        "window": state.limit.window,
        "max": state.limit.max,
        "used": state.settled.saturating_add(state.reserved).saturating_add(state.held),
        "reserved": state.reserved,
        "held": state.held,
    });
    if let Some(model) = &state.limit.model {
        limit["model"] = json!(model);
    }
    if let Some(at) = resets_at {
        limit["resets_at"] = json!(at);
    }
    limit
}

/// What callers see of candidates and scripts: how many there were, which scripts ran, and what kind of thing they said. How
/// channels are doing, what they cost, and which there are besides is the operator's affair. A model that is for other groups only
/// looks like one that there isn't.
fn for_caller(reasons: Value) -> Value {
    let mut kept: Vec<Value> = Vec::new();
    let mut rest = reasons.as_array().map(Vec::as_slice).unwrap_or_default();
    while let Some((reason, after)) = rest.split_first() {
        if let Some(more) = closed(rest) {
            rest = rest.get(more..).unwrap_or_default();
            continue;
        }
        rest = after;
        let word = |name: &str| reason.get(name).and_then(Value::as_str).unwrap_or_default();
        let counted = match word("step") {
            "ranked" => "in",
            "excluded" => "out",
            "seen" | "standing" | "prompt" => continue,
            "policy" => {
                kept.push(
                    json!({"step": "policy", "policy": word("policy"), "effect": effects(word("verdict"))}),
                );
                continue;
            }
            _ => {
                kept.push(reason.clone());
                continue;
            }
        };
        match kept.last_mut().filter(|last| last["step"] == "candidates") {
            Some(last) => last[counted] = json!(last[counted].as_u64().unwrap_or(0) + 1),
            None => kept.push(json!({"step": "candidates", counted: 1})),
        }
    }
    kept.into()
}

/// How many reasons at the beginning only say that all of a model's channels are for other groups.
fn closed(reasons: &[Value]) -> Option<usize> {
    let (first, after) = reasons.split_first()?;
    let is_group = |reason: &&Value| reason["step"] == "excluded" && reason["why"] == "group";
    let out = after.iter().take_while(is_group).count();
    let is_all = after.get(out).is_none_or(|next| next["step"] == "model");
    (first["step"] == "model" && out > 0 && is_all).then_some(1 + out)
}

/// The kinds of advice in a verdict.
fn effects(verdict: &str) -> Vec<&'static str> {
    const KINDS: [&str; 8] =
        ["deny", "prefer", "exclude", "model", "fallback", "max_output", "tags", "no opinion"];
    let said = |kind: &&&str| {
        verdict.strip_prefix(**kind).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            || verdict.contains(&format!("; {kind} "))
    };
    let found: Vec<_> = KINDS.iter().filter(said).copied().collect();
    if found.is_empty() { vec!["failed"] } else { found }
}

/// Both lists in one line, cut to the header's size: limits first, then as many reasons as there is room for.
fn bounded(reasons: Value, limits: Value) -> String {
    let mut room = DECISION_MAX - r#"{"reasons":[],"limits":[],"cut":4294967295}"#.len();
    let (mut cut, mut kept) = (0_u32, Map::new());
    for (name, list) in [("limits", limits), ("reasons", reasons)] {
        let mut texts = Vec::new();
        for item in list.as_array().into_iter().flatten() {
            let text = ascii(&item.to_string());
            if text.len() < room {
                room -= text.len() + 1;
                texts.push(text);
            } else {
                cut += 1;
            }
        }
        kept.insert(name.to_owned(), texts.join(",").into());
    }
    let part = |name: &str| kept.get(name).and_then(Value::as_str).unwrap_or_default();
    let cut = if cut > 0 { format!(",\"cut\":{cut}") } else { String::new() };
    format!("{{\"reasons\":[{}],\"limits\":[{}]{cut}}}", part("reasons"), part("limits"))
}

/// JSON whose every character is visible ASCII or a blank.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            out.push(c);
            continue;
        }
        // What isn't ASCII stands only inside strings, where it may be escaped.
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_parents_are_hidden() {
        let mut explanation = json!([
            {"step": "limit", "scope": "key", "max": 1},
            {"step": "limit", "scope": "group", "max": 2, "ok": true},
            {"step": "limit", "scope": "global", "max": 3, "used": 1, "reserved": 1, "held": 1, "asked": 1, "ok": true, "busy": true},
            {"step": "excluded", "channel": "c"},
        ]);
        let mut of_group_admin = explanation.clone();
        hide_parents(&mut explanation, false);
        hide_parents(&mut of_group_admin, true);
        assert_eq!(explanation[0]["max"], 1);
        assert_eq!(explanation[1], json!({"step": "limit", "scope": "group", "ok": true}));
        assert_eq!(of_group_admin[1]["max"], 2);
        assert_eq!(of_group_admin[2], json!({"step": "limit", "scope": "global", "ok": true}));
        assert_eq!(explanation[3]["channel"], "c");
    }

    #[test]
    fn a_model_for_other_groups_looks_like_none() {
        let alias = json!({"step": "alias", "from": "also", "to": "m"});
        let model = json!({"step": "model", "model": "m", "fallback": 0});
        let out = |why: &str| json!({"step": "excluded", "channel": "secret", "why": why});
        for (reasons, kept) in [
            (json!([alias, model, out("group"), out("group")]), json!([alias])),
            (json!([model, out("group"), model, out("group")]), json!([])),
            (json!([model, out("group"), out("cooldown")]), json!([model, {"step": "candidates", "out": 2}])),
            (json!([model]), json!([model])),
        ] {
            assert_eq!(for_caller(reasons), kept);
        }
    }

    #[test]
    fn callers_see_neither_other_channels_nor_what_scripts_say_of_them() {
        let reasons = json!([
            {"step": "model", "model": "m", "fallback": 0},
            {"step": "excluded", "channel": "secret-a", "why": "cooldown"},
            {"step": "ranked", "channel": "secret-b", "priority": 1, "score": 250},
            {"step": "seen", "channel": "secret-b", "latency_us": 1, "in_flight": 1, "failures": 1},
            {"step": "policy", "policy": "p", "verdict": "prefer [channel `secret-b`]; tags [`x`]", "fuel": 3},
            {"step": "policy", "policy": "q", "verdict": "line 1, column 2: secret-c", "fuel": 3},
            {"step": "attempt", "channel": "b", "outcome": "ok"},
        ]);
        let seen = for_caller(reasons);
        assert_eq!(
            seen,
            json!([
                {"step": "model", "model": "m", "fallback": 0},
                {"step": "candidates", "out": 1, "in": 1},
                {"step": "policy", "policy": "p", "effect": ["prefer", "tags"]},
                {"step": "policy", "policy": "q", "effect": ["failed"]},
                {"step": "attempt", "channel": "b", "outcome": "ok"},
            ])
        );
        assert!(!seen.to_string().contains("secret"));
    }

    #[test]
    fn the_header_is_bounded_json_of_ascii() {
        let reasons: Value =
            (0..500).map(|n| json!({"step": "ranked", "channel": format!("快手-😀-{n}")})).collect();
        let text = bounded(reasons, json!([{"scope": "key"}]));
        assert!(text.len() <= DECISION_MAX && text.is_ascii(), "{}", text.len());
        let read: Value = serde_json::from_str(&text).unwrap();
        let kept = read["reasons"].as_array().unwrap();
        assert_eq!(kept[0]["channel"], "快手-😀-0");
        assert_eq!(kept.len() as u64 + read["cut"].as_u64().unwrap(), 500);
        assert_eq!(read["limits"][0]["scope"], "key");
        assert_eq!(bounded(json!([]), json!([])), r#"{"reasons":[],"limits":[]}"#);
    }
}
