//! What became of a call that a test routed: the verdict, and the order that the engine makes of it.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine};
use sluicegate_core::channel::Channel;
use sluicegate_core::engine::{excludes, place};
use sluicegate_core::ids::ModelName;
use sluicegate_core::ports::{PolicyRun, Verdict};

use crate::run::Outcome;

/// The outcome of one call. Cheap to copy.
#[derive(Clone)]
pub(super) struct Routed(Arc<Seen>);

struct Seen {
    run: PolicyRun,
    /// `None` when the script asks for a model whose candidates the test doesn't give.
    channels: Option<Sorted>,
}

/// Channels as the verdict sorts them.
struct Sorted {
    order: Vec<Channel>,
    excluded: Vec<Channel>,
}

impl Routed {
    pub(super) fn new(run: PolicyRun, considered: Option<Vec<Channel>>) -> Self {
        let channels = considered.map(|channels| Sorted::by(&run.verdict, channels));
        Self(Arc::new(Seen { run, channels }))
    }

    /// The verdict; an error when the script failed.
    pub(super) fn verdict(&self) -> Outcome<&Verdict> {
        match &self.0.run.error {
            Some(error) => Err(format!("the script failed: {error}").into()),
            None => Ok(&self.0.run.verdict),
        }
    }

    /// Why the script failed, if it did.
    pub(super) fn error(&self) -> Option<&str> {
        self.0.run.error.as_deref()
    }

    /// The names of the channels that are asked, in order.
    pub(super) fn order(&self) -> Outcome<Vec<&str>> {
        Ok(names(&self.sorted()?.order))
    }

    /// The names of the channels that are out.
    pub(super) fn excluded(&self) -> Outcome<Vec<&str>> {
        Ok(names(&self.sorted()?.excluded))
    }

    /// Whether a channel, by name or id, is among those that are asked (`Some(true)`), is out, or was never there. An
    /// error when several are called so: one might be asked and another be out.
    pub(super) fn is_asked(&self, name: &str) -> Outcome<Option<bool>> {
        let Sorted { order, excluded } = self.sorted()?;
        let is = |channel: &Channel| channel.name == name || channel.id.as_str() == name;
        let is_asked = order.iter().filter(|channel| is(channel)).map(|channel| (channel, true));
        let is_out = excluded.iter().filter(|channel| is(channel)).map(|channel| (channel, false));
        let found: Vec<(&Channel, bool)> = is_asked.chain(is_out).collect();
        match found.as_slice() {
            [] => Ok(None),
            [(_, is_asked)] => Ok(Some(*is_asked)),
            several => {
                let mut ids: Vec<&str> = several.iter().map(|(channel, _)| channel.id.as_str()).collect();
                ids.sort_unstable();
                let ids = list(&ids);
                Err(format!(
                    "several candidates are called `{name}`, with the ids {ids}; name the one that is meant by an id that no other is called by"
                )
                .into())
            }
        }
    }

    /// A denied call asks nobody, and of another model's candidates only those that the test gives are known.
    fn sorted(&self) -> Outcome<&Sorted> {
        let verdict = self.verdict()?;
        if let Some(message) = &verdict.deny {
            return Err(format!("the call is denied, so no channel is asked: `{message}`").into());
        }
        self.0.channels.as_ref().ok_or_else(|| {
            let model = verdict.model.as_ref().map_or("", ModelName::as_str);
            format!("the script asks for `{model}`, whose candidates aren't known; give them with `.candidates_of(\"{model}\", […])`")
                .into()
        })
    }

    /// All that the script said, in words.
    pub(super) fn in_words(&self) -> String {
        if let Some(error) = self.error() {
            return format!("the script failed: {error}");
        }
        let verdict = &self.0.run.verdict;
        let Verdict { deny, prefer, exclude, model, fallback, max_output, tags, stop, alerts } = verdict;
        let mut said = Vec::new();
        said.extend(deny.as_ref().map(|message| format!("denied: `{message}`")));
        if let (None, Ok(Sorted { order, excluded })) = (deny, self.sorted()) {
            if !prefer.is_empty() || !exclude.is_empty() {
                said.push(format!("order {}", list(&names(order))));
            }
            if !excluded.is_empty() {
                said.push(format!("excluded {}", list(&names(excluded))));
            }
        }
        said.extend(model.as_ref().map(|model| format!("model `{model}`")));
        said.extend(fallback.as_ref().map(|models| {
            let models: Vec<&str> = models.iter().map(ModelName::as_str).collect();
            format!("fallback {}", list(&models))
        }));
        said.extend(max_output.map(|tokens| format!("output of {tokens} tokens at most")));
        if !tags.is_empty() {
            said.push(format!("tags {}", list(&tags.iter().map(String::as_str).collect::<Vec<_>>())));
        }
        if *stop {
            said.push("no further try".to_owned());
        }
        said.extend(alerts.iter().map(|text| format!("alert `{text}`")));
        if said.is_empty() { "no opinion".to_owned() } else { said.join("; ") }
    }
}

impl Sorted {
    /// As the engine does it: exclusions first, then preferences, and equals stay as they were ranked.
    fn by(verdict: &Verdict, channels: Vec<Channel>) -> Self {
        let (excluded, mut order): (Vec<_>, Vec<_>) =
            channels.into_iter().partition(|channel| excludes(&verdict.exclude, channel));
        order.sort_by_key(|channel| place(&verdict.prefer, channel));
        Self { order, excluded }
    }
}

fn names(channels: &[Channel]) -> Vec<&str> {
    channels.iter().map(|channel| channel.name.as_str()).collect()
}

/// Names in brackets.
pub(super) fn list(names: &[&str]) -> String {
    format!("[{}]", names.join(", "))
}

fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> Array {
    texts.into_iter().map(|text| Dynamic::from(text.to_owned())).collect()
}

fn optional<T: Into<Dynamic>>(value: Option<T>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Into::into)
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Routed>("Routed");
    engine.register_get("first", |v: &mut Routed| -> Outcome<Dynamic> {
        Ok(optional(v.order()?.first().map(|name| (*name).to_owned())))
    });
    engine.register_get("order", |v: &mut Routed| -> Outcome<Array> { Ok(array(v.order()?)) });
    engine.register_get("excluded", |v: &mut Routed| -> Outcome<Array> { Ok(array(v.excluded()?)) });
    engine.register_get("denied", |v: &mut Routed| -> Outcome<Dynamic> {
        Ok(optional(v.verdict()?.deny.clone()))
    });
    engine.register_get("model", |v: &mut Routed| -> Outcome<Dynamic> {
        Ok(optional(v.verdict()?.model.as_ref().map(|model| model.as_str().to_owned())))
    });
    engine.register_get("fallback", |v: &mut Routed| -> Outcome<Dynamic> {
        let models = v.verdict()?.fallback.as_ref();
        Ok(optional(models.map(|models| array(models.iter().map(ModelName::as_str)))))
    });
    engine.register_get("max_output", |v: &mut Routed| -> Outcome<Dynamic> {
        Ok(optional(v.verdict()?.max_output.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX))))
    });
    engine.register_get("tags", |v: &mut Routed| -> Outcome<Array> {
        Ok(array(v.verdict()?.tags.iter().map(String::as_str)))
    });
    engine.register_get("stopped", |v: &mut Routed| -> Outcome<bool> { Ok(v.verdict()?.stop) });
    engine.register_get("alerts", |v: &mut Routed| -> Outcome<Array> {
        Ok(array(v.verdict()?.alerts.iter().map(String::as_str)))
    });
    engine.register_get("error", |v: &mut Routed| optional(v.error().map(str::to_owned)));
    engine.register_fn("to_string", |v: &mut Routed| v.in_words());
}
