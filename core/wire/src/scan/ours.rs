//! What only we read: lists of models to try, guardrails to ask, and what callers want made up.

use sluicegate_core::Rehearsal;

use super::{LABEL_MAX, field};
use crate::error::{Result, WireError};
use crate::facts::Facts;
use crate::json::{Kind, Val};

/// More models than this in one list are refused.
// BOUND: the routing settings bound how many are tried; this bounds what a record keeps.
const MODELS_MAX: usize = 16;
/// More guardrails than a configuration can have need not be named.
const GUARDRAILS_MAX: usize = sluicegate_core::guardrail::GUARDRAILS_MAX;
/// So much of what is said beside a fallback's model, or a guardrail's name, is reported.
const IGNORED_MAX: usize = 16;

/// `a,b` is a list of models to try in order: each must be a name.
pub(super) fn check_list(model: &str) -> Result<()> {
    if !model.contains(',') {
        return Ok(());
    }
    let wrong = |what: &str| Err(WireError::invalid(format!("`model` {what}")).at("model"));
    if model.split(',').any(|name| name.trim().is_empty()) {
        return wrong("lists an empty name: write models as `first,second`");
    }
    if model.split(',').count() > MODELS_MAX {
        return wrong(&format!("lists more than {MODELS_MAX} models: name fewer"));
    }
    Ok(())
}

/// LiteLLM's clients send names, or objects with a `model`.
pub(super) fn fallbacks(facts: &mut Facts, v: Val<'_>) -> Result<()> {
    let wrong = |at: String, what: &str| Err(WireError::invalid(format!("`{at}` {what}")).at(at));
    match v.kind() {
        Kind::Null => return Ok(()),
        Kind::Array => {}
        other => {
            let what = format!("must be a list of models, such as [\"m\"], not {}", other.word());
            return wrong("fallbacks".to_owned(), &what);
        }
    }
    for (n, element) in v.elements().enumerate() {
        let at = format!("fallbacks[{n}]");
        if n >= MODELS_MAX {
            return wrong("fallbacks".to_owned(), &format!("has more than {MODELS_MAX} models: name fewer"));
        }
        let name = match element.kind() {
            Kind::String => element.as_str(),
            Kind::Object => {
                let others = element.members().filter(|(name, _)| name != "model");
                let room = IGNORED_MAX.saturating_sub(facts.ignored.len());
                let others = others.map(|(name, _)| format!("{at}.{}", crate::names::cut(&name, 64)));
                facts.ignored.extend(others.take(room));
                element.get_str("model")
            }
            _ => None,
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) if name.len() > LABEL_MAX => {
                return wrong(at, &format!("is longer than {LABEL_MAX} bytes: that is no model's name"));
            }
            Some(name) => facts.fallbacks.push(name.into_owned()),
            None => return wrong(at, "must be a model's name, or an object with a `model`"),
        }
    }
    Ok(())
}

/// LiteLLM's clients send names, or objects of a name and what the guardrail is to heed. A form has one name as text.
pub(super) fn guardrails(facts: &mut Facts, at: &str, v: Val<'_>) -> Result<()> {
    let wrong = |what: &str| Err(WireError::invalid(format!("`{at}` {what}")).at(at));
    match v.kind() {
        Kind::Null => return Ok(()),
        Kind::String => return guardrail(facts, at, v),
        Kind::Array => {}
        other => {
            return wrong(&format!("must be a list of guardrails' names, not {}", other.word()));
        }
    }
    for element in v.elements() {
        match element.kind() {
            Kind::String => guardrail(facts, at, element)?,
            Kind::Object => {
                for (name, more) in element.members() {
                    if facts.ignored.len() < IGNORED_MAX && !field::is_off(more.raw()) && more.raw() != "{}" {
                        facts.ignored.push(format!("{at}.{}", crate::names::cut(&name, 64)));
                    }
                    name_guardrail(facts, at, &name)?;
                }
            }
            _ => return wrong("must hold names of guardrails"),
        }
    }
    Ok(())
}

fn guardrail(facts: &mut Facts, at: &str, name: Val<'_>) -> Result<()> {
    name.as_str().map_or(Ok(()), |name| name_guardrail(facts, at, &name))
}

fn name_guardrail(facts: &mut Facts, at: &str, name: &str) -> Result<()> {
    if name.len() > LABEL_MAX {
        let message = format!("`{at}` has a name longer than {LABEL_MAX} bytes: that is no guardrail's");
        return Err(WireError::invalid(message).at(at));
    }
    if facts.guardrails.iter().any(|known| known == name) {
        return Ok(());
    }
    if facts.guardrails.len() >= GUARDRAILS_MAX {
        let message = format!("`{at}` has more than {GUARDRAILS_MAX} guardrails: name fewer");
        return Err(WireError::invalid(message).at(at));
    }
    facts.guardrails.push(name.to_owned());
    Ok(())
}

pub(super) fn disable_fallbacks(facts: &mut Facts, v: Val<'_>) -> Result<()> {
    facts.no_fallbacks = flag("disable_fallbacks", v)?;
    Ok(())
}

/// One of the `mock_…` fields. What is switched off is as if it weren't there.
pub(super) fn mock(facts: &mut Facts, name: &str, v: Val<'_>) -> Result<()> {
    let Some(name) = field::mock(name.as_bytes()) else { return Ok(()) };
    if field::is_off(v.raw()) {
        return Ok(());
    }
    let mut mock = facts.mock.take().unwrap_or_default();
    if mock.field.is_empty() {
        mock.field = name;
    }
    let mut rehearse = |how| -> Result<()> {
        if flag(name, v)? && mock.rehearse.replace(how).is_some() {
            let message = format!("`{name}` stages a failure, and another field stages another: send one");
            return Err(WireError::invalid(message).at(name));
        }
        Ok(())
    };
    match name {
        "mock_testing_fallbacks" => rehearse(Rehearsal::Failure)?,
        "mock_testing_context_fallbacks" => rehearse(Rehearsal::ContextWindow)?,
        "mock_testing_content_policy_fallbacks" => rehearse(Rehearsal::ContentPolicy)?,
        "mock_timeout" => mock.timeout = flag(name, v)?,
        "mock_response" => {
            let text = v.as_str().ok_or_else(|| {
                let found = v.kind().word();
                WireError::invalid(format!("`{name}` must be the answer's text, not {found}")).at(name)
            })?;
            mock.response = Some(text.into_owned());
        }
        other => mock.unsupported = Some(other),
    }
    facts.mock = Some(mock);
    Ok(())
}

fn flag(name: &str, v: Val<'_>) -> Result<bool> {
    match (v.as_bool(), v.is_null()) {
        (Some(yes), _) => Ok(yes),
        (None, true) => Ok(false),
        (None, false) => {
            let found = v.kind().word();
            Err(WireError::invalid(format!("`{name}` must be true or false, not {found}")).at(name))
        }
    }
}
