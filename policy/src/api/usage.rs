//! `usage`: what a call came to.

use rhai::{Dynamic, Engine};

use super::{int, optional, text};
use crate::facts::UsageFacts;
use crate::run::{Outcome, with};

/// What the call came to. A handle: the facts belong to the run.
#[derive(Clone, Copy)]
pub(crate) struct UsageHandle;

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<UsageHandle>("Usage");
    engine.register_get("input_tokens", |_: &mut UsageHandle| fact(|it| int(it.usage.input_tokens())));
    engine.register_get("output_tokens", |_: &mut UsageHandle| fact(|it| int(it.usage.output_tokens())));
    engine.register_get("total_tokens", |_: &mut UsageHandle| fact(|it| int(it.usage.total_tokens())));
    engine.register_get("cached_tokens", |_: &mut UsageHandle| fact(|it| int(it.usage.cached_tokens())));
    engine.register_get("spend", |_: &mut UsageHandle| fact(|it| it.spend as f64 / 1e9));
    engine.register_get("spend_nano_usd", |_: &mut UsageHandle| fact(|it| it.spend));
    engine.register_get("attempts", |_: &mut UsageHandle| fact(|it| int(it.attempts)));
    engine.register_get("outcome", |_: &mut UsageHandle| fact(|it| text(it.outcome.as_str())));
    engine.register_get("latency_ms", |_: &mut UsageHandle| fact(|it| int(it.latency_ms)));
    engine.register_get("first_byte_ms", |_: &mut UsageHandle| -> Outcome<Dynamic> {
        optional(fact(|it| it.first_byte_ms)?.map(int))
    });
    engine.register_get("channel", |_: &mut UsageHandle| -> Outcome<Dynamic> {
        optional(fact(|it| it.channel.as_ref().map(|channel| text(&channel.name)))?)
    });
    engine.register_get("channel_id", |_: &mut UsageHandle| -> Outcome<Dynamic> {
        optional(fact(|it| it.channel.as_ref().map(|channel| text(channel.id.as_str())))?)
    });
    engine.register_get("provider", |_: &mut UsageHandle| -> Outcome<Dynamic> {
        optional(fact(|it| it.channel.as_ref().map(|channel| text(channel.provider.as_str())))?)
    });
    engine.register_get("model", |_: &mut UsageHandle| fact(|it| text(it.model.as_str())));
}

fn fact<T>(read: impl FnOnce(&UsageFacts) -> T) -> Outcome<T> {
    with(|run| match &run.usage {
        Some(usage) => Ok(read(usage)),
        // INVARIANT: only `finish` is given a handle of this type.
        None => Err("the call isn't over yet".into()),
    })
}
