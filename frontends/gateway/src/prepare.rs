//! What a request becomes on its way to a channel: one way for calls, for hosts that send by themselves, and for showing it.

use sluicegate_core::channel::{Channel, UnknownFields};
use sluicegate_core::{ErrorKind, Format};
use sluicegate_wire::{Concern, Edits, Losses, Prepared, Report, Scanned, WireError};
use smallvec::SmallVec;

/// So many fields are named to a caller.
const NAMED_MAX: usize = 16;

/// Why a field of the caller's isn't sent.
const CHANNEL_DROPS: &str = "this channel leaves it out";
/// The same of what stands in a field that is the gateway's own.
const GATEWAY_IGNORES: &str = "the gateway takes no notice of it";

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// The format of its endpoint.
    pub format: Format,
    /// The model, as the upstream calls it.
    pub model: &'a str,
    /// The output ceiling to send, in tokens; `None` leaves the caller's.
    pub ceiling: Option<u64>,
    /// Whether it goes whole or not at all.
    pub is_strict: bool,
}

/// A request as its channel is sent it, but for the channel's own changes of bodies.
#[derive(Debug)]
pub struct Ready {
    /// What is sent.
    pub prepared: Prepared,
    /// Fields of the caller's that aren't, each with why.
    left_out: SmallVec<[(String, &'static str); 2]>,
}

impl Ready {
    /// What is lost on the way, as it is told.
    pub fn losses(&self) -> impl Iterator<Item = String> {
        let translated = self.prepared.losses.iter().map(ToString::to_string);
        translated.chain(self.left_out.iter().map(|(field, why)| format!("dropped {field}: {why}")))
    }

    /// Whether the service tier that the caller asked for isn't sent: the upstream's format has no place for it, or the channel leaves it out.
    pub fn drops_tier(&self, scanned: &Scanned) -> bool {
        const NAMES: [&str; 2] = ["service_tier", "serviceTier"];
        scanned.facts().service_tier.is_some()
            && (self.prepared.losses.iter().any(|loss| NAMES.contains(&loss.path.as_str()))
                || self.left_out.iter().any(|(field, _)| NAMES.contains(&field.as_str())))
    }
}

/// Why a channel can't be sent a request.
#[derive(Debug)]
pub struct Unsent {
    /// What its caller is told.
    pub report: Box<Report>,
    /// Whether another channel may take it.
    pub is_elsewhere: bool,
}

impl From<WireError> for Unsent {
    fn from(error: WireError) -> Self {
        Self { report: Box::new(Report::from(&error)), is_elsewhere: error.is_elsewhere() }
    }
}

impl Unsent {
    fn elsewhere(param: &str, message: String) -> Self {
        let report =
            Report { param: Some(param.to_owned()), ..Report::new(ErrorKind::InvalidRequest, message) };
        Self { report: Box::new(report), is_elsewhere: true }
    }
}

/// Makes a request ready for a channel.
///
/// # Errors
/// When its format can't say it, or it says more than the channel takes and must go whole.
pub fn prepare(scanned: &Scanned, way: &Way<'_>) -> Result<Ready, Unsent> {
    let Way { channel, format, model, ceiling, is_strict } = *way;
    let unknown = match channel.unknown_fields {
        UnknownFields::Pass => Vec::new(),
        UnknownFields::Drop | UnknownFields::Refuse => scanned.unknown_fields(),
    };
    if channel.unknown_fields == UnknownFields::Refuse || is_strict {
        refuse_unknown(scanned.format(), &unknown)?;
    }
    let facts = scanned.facts();
    // By these callers may not steer this channel.
    let steering = facts.fields(Concern::Credential).chain(facts.fields(Concern::Routing));
    let steering = steering
        .filter(|field| !channel.client_overrides.iter().any(|name| name == field))
        .map(|field| field as &str);
    let drop: SmallVec<[&str; 4]> = steering.chain(unknown.iter().map(String::as_str)).collect();
    let edits = Edits {
        model: Some(model),
        max_output: ceiling,
        include_usage: true,
        web_search: Some(channel.searches(format, model)),
        quirks: Some(&channel.quirks),
        drop: &drop,
        ..Edits::default()
    };
    let mut prepared = scanned.prepare(&edits, format)?;
    if !channel.quirks.is_empty() {
        scanned.heed(&mut prepared, &channel.quirks, format, model);
    }
    if is_strict {
        refuse_losses(&prepared.losses)?;
    }
    let dropped = drop.iter().map(|field| ((*field).to_owned(), CHANNEL_DROPS));
    let ignored = facts.ignored.iter().map(|field| (field.clone(), GATEWAY_IGNORES));
    Ok(Ready { left_out: dropped.chain(ignored).collect(), prepared })
}

/// Refuses fields that the format doesn't know, at a channel that takes none, or that would leave them out of a request that goes
/// whole or not at all.
fn refuse_unknown(format: Format, unknown: &[String]) -> Result<(), Unsent> {
    let Some(first) = unknown.first() else { return Ok(()) };
    let names: Vec<_> = unknown.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let message = format!(
        "the format `{}` has no {}, and this model is only served without such fields: leave them out",
        format.as_str(),
        names.join(", ")
    );
    Err(Unsent::elsewhere(first, message))
}

/// Refuses a request of which less would be sent than was asked.
fn refuse_losses(losses: &Losses) -> Result<(), Unsent> {
    let Some(first) = losses.iter().next() else { return Ok(()) };
    let message = format!(
        "`{}` can't be said to this model's upstream, and a translation that loses something is refused: leave it out, or \
         allow that ({losses})",
        first.path
    );
    Err(Unsent::elsewhere(&first.path, message))
}
