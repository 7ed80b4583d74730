//! What tests assert. Each assertion on an outcome gives it back, so that they can be chained.

use rhai::{Array, Dynamic, Engine, FLOAT, INT, ImmutableString, Map, NativeCallContext as Context};
use sluicegate_core::ids::ModelName;
use sluicegate_core::ports::Verdict;

use super::routed::{Routed, list};
use super::state;
use crate::run::Outcome;

/// An assertion on an outcome: whether it holds, and in words what is expected and what came.
struct Claim {
    holds: bool,
    expected: String,
    came: String,
}

pub(super) fn register(engine: &mut Engine) {
    values(engine);
    channels(engine);
    denials(engine);
    advice(engine);
    endings(engine);
}

fn values(engine: &mut Engine) {
    engine.register_fn("assert", |context: Context<'_>, holds: bool| {
        state::assert(&context, holds, || "true".to_owned(), || "false".to_owned())
    });
    engine.register_fn("assert", |context: Context<'_>, holds: bool, what: ImmutableString| {
        state::assert(&context, holds, || what.to_string(), || "false".to_owned())
    });
    engine.register_fn("assert_eq", |context: Context<'_>, came: Dynamic, expected: Dynamic| {
        let holds = same(&came, &expected);
        state::assert(&context, holds, || shown(&expected), || shown(&came))
    });
    engine.register_fn("assert_ne", |context: Context<'_>, came: Dynamic, other: Dynamic| {
        let holds = !same(&came, &other);
        state::assert(&context, holds, || format!("anything but {}", shown(&other)), || shown(&came))
    });
}

fn channels(engine: &mut Engine) {
    engine.register_fn("assert_first", |context: Context<'_>, routed: Routed, name: ImmutableString| {
        claim(&context, routed, |routed| {
            let order = routed.order()?;
            Ok(Claim {
                holds: order.first().is_some_and(|first| *first == name.as_str()),
                expected: format!("`{name}` first"),
                came: placed(routed, &order)?,
            })
        })
    });
    engine.register_fn("assert_order", |context: Context<'_>, routed: Routed, names: Array| {
        claim(&context, routed, |routed| {
            let (order, names) = (routed.order()?, texts(names)?);
            let names: Vec<&str> = names.iter().map(ImmutableString::as_str).collect();
            Ok(Claim { holds: order == names, expected: list(&names), came: placed(routed, &order)? })
        })
    });
    for (function, asked) in [("assert_excluded", false), ("assert_not_excluded", true)] {
        engine.register_fn(function, move |context: Context<'_>, routed: Routed, name: ImmutableString| {
            claim(&context, routed, |routed| {
                let is_asked = routed.is_asked(&name)?;
                let Some(is_asked) = is_asked else {
                    return Err(format!("the test gives no candidate `{name}`").into());
                };
                Ok(Claim {
                    holds: is_asked == asked,
                    expected: format!("`{name}` {}", if asked { "not excluded" } else { "excluded" }),
                    came: placed(routed, &routed.order()?)?,
                })
            })
        });
    }
}

fn denials(engine: &mut Engine) {
    engine.register_fn("assert_denied", |context: Context<'_>, routed: Routed| {
        verdict(&context, routed, "denied".to_owned(), |said| said.deny.is_some())
    });
    engine.register_fn("assert_denied", |context: Context<'_>, routed: Routed, part: ImmutableString| {
        verdict(&context, routed, format!("denied with a message that has `{part}` in it"), |said| {
            said.deny.as_ref().is_some_and(|message| message.contains(part.as_str()))
        })
    });
    engine.register_fn("assert_not_denied", |context: Context<'_>, routed: Routed| {
        verdict(&context, routed, "not denied".to_owned(), |said| said.deny.is_none())
    });
    engine.register_fn("assert_no_opinion", |context: Context<'_>, routed: Routed| {
        verdict(&context, routed, "no opinion".to_owned(), |said| *said == Verdict::default())
    });
    engine.register_fn("assert_error", |context: Context<'_>, routed: Routed, part: ImmutableString| {
        claim(&context, routed, |routed| {
            Ok(Claim {
                holds: routed.error().is_some_and(|error| error.contains(part.as_str())),
                expected: format!("the script fails with `{part}` in its message"),
                came: routed.in_words(),
            })
        })
    });
}

fn advice(engine: &mut Engine) {
    engine.register_fn("assert_model", |context: Context<'_>, routed: Routed, model: ImmutableString| {
        verdict(&context, routed, format!("model `{model}`"), |said| {
            said.model.as_ref().is_some_and(|said| said.as_str() == model.as_str())
        })
    });
    engine.register_fn("assert_fallback", |context: Context<'_>, routed: Routed, models: Array| {
        let models = texts(models)?;
        fallback(&context, routed, &models)
    });
    engine.register_fn("assert_fallback", |context: Context<'_>, routed: Routed, model: ImmutableString| {
        fallback(&context, routed, &[model])
    });
    engine.register_fn("assert_max_output", |context: Context<'_>, routed: Routed, tokens: INT| {
        verdict(&context, routed, format!("output of {tokens} tokens at most"), |said| {
            said.max_output.is_some_and(|said| INT::try_from(said) == Ok(tokens))
        })
    });
    engine.register_fn("assert_tag", |context: Context<'_>, routed: Routed, tag: ImmutableString| {
        verdict(&context, routed, format!("tag `{tag}`"), |said| said.tags.iter().any(|own| *own == *tag))
    });
    engine.register_fn("assert_tags", |context: Context<'_>, routed: Routed, tags: Array| {
        let tags = texts(tags)?;
        let expected =
            format!("tags {}", list(&tags.iter().map(ImmutableString::as_str).collect::<Vec<_>>()));
        verdict(&context, routed, expected, |said| tags == said.tags)
    });
}

fn endings(engine: &mut Engine) {
    for (function, stops) in [("assert_stopped", true), ("assert_not_stopped", false)] {
        engine.register_fn(function, move |context: Context<'_>, routed: Routed| {
            let expected = if stops { "no further try" } else { "another try, if there is one" };
            verdict(&context, routed, expected.to_owned(), |said| said.stop == stops)
        });
    }
    engine.register_fn("assert_alert", |context: Context<'_>, routed: Routed, part: ImmutableString| {
        verdict(&context, routed, format!("an alert that has `{part}` in it"), |said| {
            said.alerts.iter().any(|text| text.contains(part.as_str()))
        })
    });
    engine.register_fn("assert_no_alert", |context: Context<'_>, routed: Routed| {
        verdict(&context, routed, "no alert".to_owned(), |said| said.alerts.is_empty())
    });
}

fn fallback(context: &Context<'_>, routed: Routed, models: &[ImmutableString]) -> Outcome<Routed> {
    let models: Vec<&str> = models.iter().map(ImmutableString::as_str).collect();
    verdict(context, routed, format!("fallback {}", list(&models)), |said| {
        said.fallback
            .as_ref()
            .is_some_and(|said| said.iter().map(ModelName::as_str).eq(models.iter().copied()))
    })
}

/// Asserts on the verdict of a script that didn't fail.
fn verdict(
    context: &Context<'_>,
    routed: Routed,
    expected: String,
    holds: impl FnOnce(&Verdict) -> bool,
) -> Outcome<Routed> {
    claim(context, routed, |routed| {
        let holds = routed.verdict().map(holds).unwrap_or(false);
        Ok(Claim { holds, expected, came: routed.in_words() })
    })
}

fn claim(
    context: &Context<'_>,
    routed: Routed,
    make: impl FnOnce(&Routed) -> Outcome<Claim>,
) -> Outcome<Routed> {
    let Claim { holds, expected, came } = make(&routed)?;
    state::assert(context, holds, || expected, || came)?;
    Ok(routed)
}

/// Where the channels are, in words.
fn placed(routed: &Routed, order: &[&str]) -> Outcome<String> {
    let excluded = routed.excluded()?;
    let out = if excluded.is_empty() { String::new() } else { format!(", excluded {}", list(&excluded)) };
    Ok(format!("{}{out}", list(order)))
}

fn texts(list: Array) -> Outcome<Vec<ImmutableString>> {
    let text = |item: Dynamic| {
        item.into_immutable_string().map_err(|kind| format!("a text is wanted here, not a {kind}").into())
    };
    list.into_iter().map(text).collect()
}

/// Whether two values are the same: numbers by what they count, lists and maps by what is in them.
// BOUND: values nest no deeper than the sandbox lets arrays and maps grow.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Array>(), b.read_lock::<Array>()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Map>(), b.read_lock::<Map>()) {
        let found = |(key, a): (&_, &Dynamic)| b.get(key).is_some_and(|b| same(a, b));
        return a.len() == b.len() && a.iter().all(|(key, value)| found((key, value)));
    }
    a.type_id() == b.type_id()
        && (a.is_unit() || a.is_bool() || a.is_string() || a.is_char())
        && shown(a) == shown(b)
}

fn number(value: &Dynamic) -> Option<FLOAT> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|number| number as FLOAT))
}

/// A value as a script would write it.
fn shown(value: &Dynamic) -> String {
    if value.is_unit() { "()".to_owned() } else { format!("{value:?}") }
}
