//! `call`: what is asked for, and who asks.

use rhai::{Array, Dynamic, Engine, ImmutableString};
use sluicegate_core::ids::ModelName;
use sluicegate_core::tenant::IpNetwork;

use super::moment::Moment;
use super::{int, optional, text};
use crate::facts::CallFacts;
use crate::run::{Outcome, charge, with};

/// The call under way. A handle: the facts belong to the run.
#[derive(Clone, Copy)]
pub(crate) struct CallHandle;

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<CallHandle>("Call");
    asked(engine);
    asker(engine);
    engine.register_get("now", |_: &mut CallHandle| with(|run| Moment::utc(run.call.now)));
    // The upper 63 bits: scripts' integers are signed.
    engine.register_get("seed", |_: &mut CallHandle| fact(|call| int(call.seed >> 1)));
}

fn asked(engine: &mut Engine) {
    engine.register_get("id", |_: &mut CallHandle| fact(|call| text(call.id.as_str())));
    engine.register_get("model", |_: &mut CallHandle| fact(|call| text(call.model.as_str())));
    engine.register_get("requested_model", |_: &mut CallHandle| {
        fact(|call| text(call.requested_model.as_str()))
    });
    engine.register_get("fallbacks", |_: &mut CallHandle| {
        let list = |models: &Vec<ModelName>| -> Array {
            models.iter().map(|model| Dynamic::from(text(model.as_str()))).collect()
        };
        with(|run| optional(run.call.fallbacks.as_ref().map(list)))
    });
    engine.register_get("format", |_: &mut CallHandle| fact(|call| text(call.format.as_str())));
    engine.register_get("stream", |_: &mut CallHandle| fact(|call| call.stream));
    engine.register_get("input_tokens", |_: &mut CallHandle| fact(|call| int(call.input_tokens)));
    engine.register_get("input_bound", |_: &mut CallHandle| {
        with(|run| optional(run.call.input_bound.map(int)))
    });
    engine
        .register_get("max_output", |_: &mut CallHandle| with(|run| optional(run.call.max_output.map(int))));
    engine.register_get("choices", |_: &mut CallHandle| fact(|call| int(call.choices)));
    engine.register_get("tools", |_: &mut CallHandle| fact(|call| call.needs.tools));
    engine.register_get("images", |_: &mut CallHandle| fact(|call| call.needs.images));
    engine.register_get("audio", |_: &mut CallHandle| fact(|call| call.needs.audio));
    engine.register_get("json_schema", |_: &mut CallHandle| fact(|call| call.needs.json_schema));
    engine.register_get("tags", |_: &mut CallHandle| fact(|call| texts(&call.tags)));
    engine.register_fn("has_tag", |_: &mut CallHandle, tag: ImmutableString| {
        with(|run| {
            charge(run.call.tags.len() * tag.len())?;
            Ok(run.call.tags.iter().any(|own| *own == *tag))
        })
    });
}

fn asker(engine: &mut Engine) {
    // The name for people where there is one: it is what operators write in scripts.
    engine.register_get("group", |_: &mut CallHandle| {
        with(|run| optional(run.call.labels.last().map(|l| text(l))))
    });
    engine.register_get("group_id", |_: &mut CallHandle| {
        with(|run| optional(run.call.labels.first().map(|l| text(l))))
    });
    engine.register_fn("in_group", |_: &mut CallHandle, group: ImmutableString| {
        fact(|call| call.labels.iter().any(|label| **label == *group))
    });
    engine.register_get("user", |_: &mut CallHandle| {
        with(|run| optional(run.call.user.as_ref().map(|u| text(u.as_str()))))
    });
    engine.register_get("key", |_: &mut CallHandle| {
        with(|run| optional(run.call.key.as_ref().map(|k| text(k.as_str()))))
    });
    engine.register_get("organization", |_: &mut CallHandle| fact(|call| text(call.organization.as_str())));
    engine.register_get("customer", |_: &mut CallHandle| {
        with(|run| optional(run.call.customer.as_deref().map(text)))
    });
    engine.register_get("client_ip", |_: &mut CallHandle| {
        with(|run| optional(run.call.client_ip.map(|ip| text(&ip.to_canonical().to_string()))))
    });
    engine.register_fn("from_network", |_: &mut CallHandle, network: ImmutableString| from_network(&network));
}

/// Whether the caller connects from `network`. An unknown address is in no network.
fn from_network(network: &str) -> Outcome<bool> {
    charge(network.len())?;
    let network = IpNetwork::try_from(network.to_owned())?;
    fact(|call| call.client_ip.is_some_and(|ip| network.contains(ip)))
}

fn fact<T>(read: impl FnOnce(&CallFacts) -> T) -> Outcome<T> {
    with(|run| Ok(read(&run.call)))
}

pub(super) fn texts(list: &[String]) -> Array {
    list.iter().map(|item| Dynamic::from(text(item))).collect()
}
