//! What scripts may call, beyond the language itself.

mod array;
mod attempt;
mod call;
mod candidate;
mod chance;
mod moment;
mod prompt;
mod quota;
mod text;
mod usage;
mod verdict;

use rhai::{Dynamic, Engine, INT, ImmutableString};
use sluicegate_core::tenant::Preference;

pub(crate) use attempt::Attempt;
pub(crate) use call::CallHandle;
pub(crate) use candidate::Candidates;
pub(crate) use chance::fnv1a;
pub(crate) use usage::UsageHandle;

use crate::run::Outcome;

pub(crate) fn register(engine: &mut Engine) {
    array::register(engine);
    attempt::register(engine);
    call::register(engine);
    candidate::register(engine);
    chance::register(engine);
    moment::register(engine);
    prompt::register(engine);
    quota::register(engine);
    text::register(engine);
    usage::register(engine);
    verdict::register(engine);
}

/// Reads what `prefer`, `exclude`, `matches` and `in` name: a kind, a colon and a name.
pub(crate) fn parse_target(text: &str) -> Result<Preference, String> {
    let target = match text.split_once(':') {
        Some((_, "")) => None,
        Some(("channel", name)) => Some(Preference::Channel(name.to_owned())),
        Some(("provider", name)) => Some(Preference::Provider(name.to_owned())),
        Some(("tag", name)) => Some(Preference::Tag(name.to_owned())),
        _ => None,
    };
    target.ok_or_else(|| {
        format!(
            "`{text}` names no candidates; write `channel:…`, `provider:…` or `tag:…` with a name behind it"
        )
    })
}

/// A count as scripts see it. What doesn't fit is as good as endless.
fn int(count: impl TryInto<INT>) -> INT {
    count.try_into().unwrap_or(INT::MAX)
}

/// A value, or `()` when there is none.
fn optional<T: Into<Dynamic>>(value: Option<T>) -> Outcome<Dynamic> {
    Ok(value.map_or(Dynamic::UNIT, Into::into))
}

fn text(value: &str) -> ImmutableString {
    ImmutableString::from(value)
}
