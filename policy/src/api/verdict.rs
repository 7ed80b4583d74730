//! What a script says: it calls these functions, and the engine follows where it may.

use rhai::{Array, Dynamic, Engine, INT, ImmutableString};
use sluicegate_core::ids::ModelName;
use sluicegate_core::ports::Verdict;
use sluicegate_core::tenant::Preference;

use super::attempt::Attempt;
use super::candidate::Candidate;
use super::parse_target;
use crate::rights;
use crate::run::{Outcome, Run, charge, with};
use crate::sandbox::{MAX_ALERTS, MAX_VERDICT_ENTRIES, MAX_VERDICT_TEXT_BYTES};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("deny", deny);
    // For each type rather than for any: that is found faster.
    engine.register_fn("prefer", |what: ImmutableString| prefer([named(&what)?]));
    engine.register_fn("prefer", |what: Candidate| prefer([pointed_at(what)?]));
    engine.register_fn("prefer", |what: Array| prefer(targets(what)?));
    engine.register_fn("exclude", |what: ImmutableString| exclude([named(&what)?]));
    engine.register_fn("exclude", |what: Candidate| exclude([pointed_at(what)?]));
    engine.register_fn("exclude", |_: Attempt| exclude([Preference::Channel(Attempt::channel()?)]));
    engine.register_fn("exclude", |what: Array| exclude(targets(what)?));
    engine.register_fn("use_model", |model: ImmutableString| {
        let model = name(&model)?;
        say("use_model", |verdict| verdict.model = Some(model))
    });
    engine.register_fn("fallback", |models: Array| fallback(models));
    engine.register_fn("fallback", |model: ImmutableString| fallback(vec![model.into()]));
    engine.register_fn("max_output", max_output);
    engine.register_fn("tag", tag);
    engine.register_fn("stop", || say("stop", |verdict| verdict.stop = true));
    engine.register_fn("alert", alert);
}

/// Refuses the call. The first message stands.
fn deny(message: ImmutableString) -> Outcome<()> {
    let message = bounded(&message)?.to_owned();
    say("deny", |verdict| {
        verdict.deny.get_or_insert(message);
    })
}

/// Replaces the configured fallbacks.
fn fallback(models: Array) -> Outcome<()> {
    let models = models.into_iter().map(|model| match model.into_immutable_string() {
        Ok(model) => name(&model),
        Err(kind) => Err(format!("`fallback` takes names of models, not a {kind}").into()),
    });
    let models: Vec<ModelName> = models.collect::<Outcome<_>>()?;
    if models.len() > MAX_VERDICT_ENTRIES {
        return Err(too_many());
    }
    say("fallback", |verdict| verdict.fallback = Some(models))
}

/// Lowers the output ceiling. The lowest stands.
fn max_output(tokens: INT) -> Outcome<()> {
    let tokens = u64::try_from(tokens).ok().filter(|tokens| *tokens > 0);
    let tokens =
        tokens.ok_or("`max_output` takes a number of tokens above 0; use `deny` to refuse a call")?;
    say("max_output", |verdict| {
        verdict.max_output = Some(verdict.max_output.map_or(tokens, |said| said.min(tokens)));
    })
}

/// Marks the call in its record.
fn tag(tag: ImmutableString) -> Outcome<()> {
    let tag = bounded(&tag)?.to_owned();
    with(|run| match run.verdict.tags.len() {
        _ if run.verdict.tags.contains(&tag) => Ok(()),
        MAX_VERDICT_ENTRIES.. => Err(too_many()),
        _ => {
            run.verdict.tags.push(tag);
            Ok(())
        }
    })
}

/// Tells the operator something.
fn alert(text: ImmutableString) -> Outcome<()> {
    let text = bounded(&text)?.to_owned();
    with(|run| {
        may_say(run, "alert")?;
        match run.verdict.alerts.len() {
            MAX_ALERTS.. => Err(format!("a run can't raise more than {MAX_ALERTS} alerts").into()),
            _ => {
                run.verdict.alerts.push(text);
                Ok(())
            }
        }
    })
}

fn prefer(targets: impl IntoIterator<Item = Preference>) -> Outcome<()> {
    add("prefer", targets, |verdict| &mut verdict.prefer)
}

fn exclude(targets: impl IntoIterator<Item = Preference>) -> Outcome<()> {
    add("exclude", targets, |verdict| &mut verdict.exclude)
}

fn targets(list: Array) -> Outcome<Vec<Preference>> {
    list.into_iter().map(target).collect()
}

fn target(what: Dynamic) -> Outcome<Preference> {
    if let Some(candidate) = what.read_lock::<Candidate>() {
        return pointed_at(*candidate);
    }
    match what.into_immutable_string() {
        Ok(text) => named(&text),
        Err(kind) => {
            Err(format!("a {kind} names no candidates; give a text such as `tag:overseas` or a candidate")
                .into())
        }
    }
}

fn named(text: &str) -> Outcome<Preference> {
    Ok(parse_target(bounded(text)?)?)
}

fn pointed_at(candidate: Candidate) -> Outcome<Preference> {
    Ok(Preference::Channel(candidate.channel()?))
}

fn add(
    function: &str,
    targets: impl IntoIterator<Item = Preference>,
    list: impl FnOnce(&mut Verdict) -> &mut Vec<Preference>,
) -> Outcome<()> {
    with(|run| {
        may_say(run, function)?;
        let list = list(&mut run.verdict);
        for target in targets {
            if list.contains(&target) {
                continue;
            }
            // BOUND: the engine compares each entry with each candidate.
            if list.len() >= MAX_VERDICT_ENTRIES {
                return Err(too_many());
            }
            list.push(target);
        }
        Ok(())
    })
}

fn name(model: &str) -> Outcome<ModelName> {
    match bounded(model)?.trim() {
        "" => Err("the name of a model can't be empty".into()),
        model => Ok(ModelName::from(model)),
    }
}

fn bounded(text: &str) -> Outcome<&str> {
    charge(text.len())?;
    if text.len() <= MAX_VERDICT_TEXT_BYTES {
        Ok(text)
    } else {
        Err(format!(
            "a text of a verdict can't be longer than {MAX_VERDICT_TEXT_BYTES} bytes; this one has {}",
            text.len()
        )
        .into())
    }
}

fn too_many() -> Box<rhai::EvalAltResult> {
    format!("a verdict can't have more than {MAX_VERDICT_ENTRIES} entries of a kind").into()
}

fn say(function: &str, change: impl FnOnce(&mut Verdict)) -> Outcome<()> {
    with(|run| {
        may_say(run, function)?;
        change(&mut run.verdict);
        Ok(())
    })
}

/// Whether the hook under way may call `function`. What the text of a script shows is refused when it is loaded; this is
/// for what it doesn't show.
fn may_say(run: &Run, function: &str) -> Outcome<()> {
    match rights::refusal(run.hook, function) {
        Some((message, remedy)) => Err(format!("{message}; {remedy}").into()),
        None => Ok(()),
    }
}
