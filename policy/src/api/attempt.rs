//! `attempt`: how a try has failed.

use rhai::{Dynamic, Engine, ImmutableString};

use super::call::texts;
use super::{int, optional, text};
use crate::facts::AttemptFacts;
use crate::run::{Outcome, with};

/// The attempt that has failed. A handle: the facts belong to the run.
#[derive(Clone, Copy)]
pub(crate) struct Attempt;

impl Attempt {
    /// The id of its channel.
    pub(super) fn channel() -> Outcome<String> {
        fact(|it| it.channel.id.as_str().to_owned())
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Attempt>("Attempt");
    engine.register_get("channel", |_: &mut Attempt| fact(|it| text(&it.channel.name)));
    engine.register_get("channel_id", |_: &mut Attempt| fact(|it| text(it.channel.id.as_str())));
    engine.register_get("provider", |_: &mut Attempt| fact(|it| text(it.channel.provider.as_str())));
    engine.register_get("tags", |_: &mut Attempt| fact(|it| texts(&it.channel.tags)));
    engine.register_fn("has_tag", |_: &mut Attempt, tag: ImmutableString| {
        fact(|it| it.channel.tags.iter().any(|own| *own == *tag))
    });
    engine.register_get("model", |_: &mut Attempt| fact(|it| text(it.model.as_str())));
    engine.register_get("outcome", |_: &mut Attempt| fact(|it| text(it.outcome.as_str())));
    engine.register_get("status", |_: &mut Attempt| -> Outcome<Dynamic> {
        optional(fact(|it| it.status)?.map(int))
    });
    engine.register_get("number", |_: &mut Attempt| fact(|it| int(it.number)));
    engine.register_get("elapsed_ms", |_: &mut Attempt| fact(|it| int(it.elapsed_ms)));
    engine.register_get("key_fault", |_: &mut Attempt| fact(|it| it.key_fault));
}

fn fact<T>(read: impl FnOnce(&AttemptFacts) -> T) -> Outcome<T> {
    with(|run| match &run.attempt {
        Some(attempt) => Ok(read(attempt)),
        // INVARIANT: only `on_error` is given a handle of this type.
        None => Err("there is no attempt here".into()),
    })
}
