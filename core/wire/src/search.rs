//! Searches of the web that a provider makes by itself: what a caller asks for, in each format's words.
//!
//! Where a target can't keep to what bounds a search, it isn't asked to search at all: nobody's list of sites becomes wider on the way.
//! How often it may search is the one bound that is given up, and named.

use std::borrow::Cow;

use sluicegate_core::Format;
use sluicegate_core::ids::own_name;

use crate::error::{Result, WireError};
use crate::ir::{Place, Request, ToolChoice, WebSearch};
use crate::json::{Array, Kind, Object, Val};
use crate::loss::Losses;

/// Anthropic's tool. Newer ones filter what they find by code that the caller hasn't asked for.
const ANTHROPIC: &str = "web_search_20250305";
/// What that tool is called by the model.
pub(crate) const NAME: &str = "web_search";

const NO_SITES: &str = "the target can't keep to sites, so it doesn't search";
const NO_FIELD: &str = "the target has no place for it";
const UNKNOWN: &str = "no other format can keep to it, so nothing is searched";

/// Whether a hosted tool of Anthropic's or of responses searches the web.
pub(crate) fn is_search(kind: &str) -> bool {
    kind == NAME || ["web_search_preview", "web_search_2"].iter().any(|begin| kind.starts_with(begin))
}

/// A search as it is read, or why there is none.
struct Reading {
    search: WebSearch,
    /// What bounds it in a way that no other format has: without it more would be searched.
    bound: bool,
}

impl Reading {
    fn new() -> Self {
        Self { search: WebSearch::default(), bound: false }
    }

    /// A member that can't go over, and that may be a bound.
    fn unknown(&mut self, path: String, losses: &mut Losses) {
        losses.dropped(path, UNKNOWN);
        self.bound = true;
    }

    fn done(self) -> Option<WebSearch> {
        (!self.bound).then_some(self.search)
    }
}

/// `web_search_options` of chat completions.
pub(crate) fn of_chat(value: Val<'_>, losses: &mut Losses) -> Option<WebSearch> {
    let mut found = Reading::new();
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        match &*name {
            "search_context_size" => found.search.size = text(value),
            "user_location" => {
                found.search.place = Some(place(value.get("approximate").unwrap_or(value)));
            }
            other => found.unknown(format!("web_search_options.{}", cut(other)), losses),
        }
    }
    found.done()
}

/// The tool of responses.
///
/// # Errors
/// A list of sites that is none.
pub(crate) fn of_responses(tool: Val<'_>, at: usize, losses: &mut Losses) -> Result<Option<WebSearch>> {
    let mut found = Reading::new();
    for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        match &*name {
            "type" => {}
            "search_context_size" => found.search.size = text(value),
            "user_location" => found.search.place = Some(place(value)),
            // What it is anyhow.
            "external_web_access" if value.as_bool() == Some(true) => {}
            "filters" => filters(&mut found, value, &format!("tools[{at}].filters"), losses)?,
            other => found.unknown(format!("tools[{at}].{}", cut(other)), losses),
        }
    }
    Ok(found.done())
}

fn filters(found: &mut Reading, value: Val<'_>, path: &str, losses: &mut Losses) -> Result<()> {
    if value.kind() != Kind::Object {
        return Err(WireError::invalid(format!("`{path}` isn't an object")).at(path));
    }
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        let path = format!("{path}.{}", cut(&name));
        match &*name {
            "allowed_domains" => found.search.allowed = sites(value, path)?,
            "blocked_domains" => found.search.blocked = sites(value, path)?,
            _ => found.unknown(path, losses),
        }
    }
    Ok(())
}

/// Anthropic's tool.
///
/// # Errors
/// A list of sites that is none.
pub(crate) fn of_anthropic(tool: Val<'_>, at: usize, losses: &mut Losses) -> Result<Option<WebSearch>> {
    let mut found = Reading::new();
    for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        let path = format!("tools[{at}].{}", cut(&name));
        match &*name {
            "type" | "name" => {}
            "max_uses" => {
                let uses = value.as_u64().filter(|uses| *uses > 0);
                let wrong = || WireError::invalid(format!("`{path}` isn't a whole number above 0")).at(&path);
                found.search.max_uses = Some(uses.ok_or_else(wrong)?);
            }
            "allowed_domains" => found.search.allowed = sites(value, path)?,
            "blocked_domains" => found.search.blocked = sites(value, path)?,
            "user_location" => found.search.place = Some(place(value)),
            // How it is declared, not what it may find.
            "cache_control" | "defer_loading" | "allowed_callers" | "strict" => {
                losses.dropped(path, NO_FIELD)
            }
            _ => found.unknown(path, losses),
        }
    }
    Ok(found.done())
}

/// Google's tool.
///
/// # Errors
/// A list of sites that is none.
pub(crate) fn of_gemini(value: Val<'_>, at: usize, losses: &mut Losses) -> Result<Option<WebSearch>> {
    let mut found = Reading::new();
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        let path = format!("tools[{at}].googleSearch.{}", cut(&name));
        match &*name {
            "excludeDomains" | "exclude_domains" => found.search.blocked = sites(value, path)?,
            _ => found.unknown(path, losses),
        }
    }
    Ok(found.done())
}

/// Takes a search over. Of several the first is kept: what the others may find beside it isn't searched.
pub(crate) fn keep(request: &mut Request, found: Option<WebSearch>, at: usize, losses: &mut Losses) {
    match (&request.search, found) {
        (Some(_), Some(_)) => {
            losses.dropped(format!("tools[{at}]"), "the target searches in one way at a time")
        }
        (None, found) => request.search = found,
        (Some(_), None) => {}
    }
}

/// Heeds what a caller says of the tools that may be called: a search is one of them. `source` is the caller's format.
pub(crate) fn heed_choice(request: &mut Request, source: Format, losses: &mut Losses) {
    let barred = matches!(request.tool_choice, Some(ToolChoice::None | ToolChoice::Named(_)));
    if !barred || request.search.take().is_none() {
        return;
    }
    // There the choice is among functions, and may not have meant the search.
    if matches!(source, Format::OpenaiChat | Format::GeminiGenerate) {
        losses.dropped(NAME, "where another tool, or none, is to be called, nothing is searched");
    }
}

/// Takes the search out of a request to a target that makes none: `searches` says whether it does, else its format and the
/// model's name.
pub(crate) fn heed_target(
    request: &mut Request,
    target: Format,
    searches: Option<bool>,
    losses: &mut Losses,
) {
    if request.search.is_none() {
        return;
    }
    let why = match (searches, target) {
        (Some(true), _) => return,
        (None, Format::OpenaiChat) if !is_search_model(&request.model) => {
            "in this format search models alone search"
        }
        (None, _) => return,
        (Some(false), _) => "the target doesn't search",
    };
    request.search = None;
    losses.dropped(NAME, why);
    // What was to be called was the search, or one of these.
    if request.tools.is_empty() && request.tool_choice == Some(ToolChoice::Required) {
        request.tool_choice = None;
    }
}

/// Whether a model of chat completions is one that searches, by its name.
fn is_search_model(model: &str) -> bool {
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/tools-web-search): in chat the search models alone do;
    // Perplexity's all do, and take the same field.
    let name = own_name(model);
    // Between separators: a model for research isn't one.
    let searches = name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "search");
    searches || name.starts_with("sonar")
}

fn text(value: Val<'_>) -> Option<String> {
    value.as_str().map(|text| text.into_owned())
}

fn cut(name: &str) -> Cow<'_, str> {
    crate::names::cut(name, 64)
}

/// A list of sites. What isn't one may not pass for none.
fn sites(value: Val<'_>, path: String) -> Result<Vec<String>> {
    let is_list = value.kind() == Kind::Array;
    let list: Option<Vec<String>> = value.elements().map(text).collect();
    list.filter(|_| is_list)
        .ok_or_else(|| WireError::invalid(format!("`{path}` isn't a list of sites")).at(path))
}

fn place(value: Val<'_>) -> Place {
    let part = |name: &str| value.get_str(name).map(|text| text.into_owned());
    Place { city: part("city"), region: part("region"), country: part("country"), timezone: part("timezone") }
}

/// `user_location`; `inner` is the object within it that chat completions have.
fn write_location(o: &mut Object<'_>, place: Option<&Place>, inner: Option<&str>) {
    let Some(place) = place else { return };
    o.object("user_location", |o| {
        o.str("type", "approximate");
        match inner {
            Some(name) => o.object(name, |o| write_place(o, place)),
            None => write_place(o, place),
        }
    });
}

fn write_place(o: &mut Object<'_>, place: &Place) {
    for (name, part) in [
        ("city", &place.city),
        ("region", &place.region),
        ("country", &place.country),
        ("timezone", &place.timezone),
    ] {
        if let Some(part) = part {
            o.str(name, part);
        }
    }
}

/// `web_search_options`.
pub(crate) fn write_chat(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let Some(search) = &request.search else { return };
    if search.is_kept_to_sites() {
        return losses.dropped(NAME, NO_SITES);
    }
    unsaid(&[("max_uses", search.max_uses.is_some())], losses);
    o.object("web_search_options", |o| {
        if let Some(size) = &search.size {
            o.str("search_context_size", size);
        }
        write_location(o, search.place.as_ref(), Some("approximate"));
    });
}

/// Whether the tool of responses can say it.
pub(crate) fn for_responses<'r>(request: &'r Request, losses: &mut Losses) -> Option<&'r WebSearch> {
    let search = request.search.as_ref()?;
    if !search.blocked.is_empty() {
        losses.dropped(NAME, "the target can't leave sites out, so it doesn't search");
        return None;
    }
    Some(search)
}

/// The tool of responses.
pub(crate) fn write_responses(a: &mut Array<'_>, search: &WebSearch) {
    a.object(|o| {
        o.str("type", NAME);
        if let Some(size) = &search.size {
            o.str("search_context_size", size);
        }
        write_location(o, search.place.as_ref(), None);
        if !search.allowed.is_empty() {
            o.object("filters", |o| {
                o.array("allowed_domains", |a| search.allowed.iter().for_each(|site| a.str(site)));
            });
        }
    });
}

/// Whether Anthropic's tool can say it.
pub(crate) fn for_anthropic<'r>(request: &'r Request, losses: &mut Losses) -> Option<&'r WebSearch> {
    let search = request.search.as_ref()?;
    if request.tools.iter().any(|tool| tool.name == NAME) {
        losses.dropped(NAME, "a tool of the caller's has the name of the target's");
        return None;
    }
    if !search.allowed.is_empty() && !search.blocked.is_empty() {
        losses.dropped(NAME, "the target keeps to sites or leaves sites out, so it doesn't search");
        return None;
    }
    let sized = search.size.as_deref().is_some_and(|size| size != "medium");
    unsaid(&[("search_context_size", sized)], losses);
    Some(search)
}

/// Anthropic's tool.
pub(crate) fn write_anthropic(a: &mut Array<'_>, search: &WebSearch) {
    a.object(|o| {
        o.str("type", ANTHROPIC);
        o.str("name", NAME);
        if let Some(uses) = search.max_uses {
            o.num("max_uses", uses);
        }
        for (name, sites) in [("allowed_domains", &search.allowed), ("blocked_domains", &search.blocked)] {
            if !sites.is_empty() {
                o.array(name, |a| sites.iter().for_each(|site| a.str(site)));
            }
        }
        write_location(o, search.place.as_ref(), None);
    });
}

/// Whether Google's tool can say it. `beside` says why it can't stand beside what else is asked for.
pub(crate) fn for_gemini(request: &Request, beside: Option<&'static str>, losses: &mut Losses) -> bool {
    let Some(search) = &request.search else { return false };
    if search.is_kept_to_sites() {
        losses.dropped(NAME, NO_SITES);
        return false;
    }
    if let Some(why) = beside {
        losses.dropped(NAME, why);
        return false;
    }
    let sized = search.size.as_deref().is_some_and(|size| size != "medium");
    unsaid(
        &[
            ("search_context_size", sized),
            ("user_location", search.place.is_some()),
            ("max_uses", search.max_uses.is_some()),
        ],
        losses,
    );
    if request.tool_choice == Some(ToolChoice::Required) {
        losses.dropped("tool_choice", "the target can't be made to search");
    }
    true
}

/// Said to a target that doesn't search.
pub(crate) fn never(request: &Request, losses: &mut Losses) {
    if request.search.is_some() {
        losses.dropped(NAME, "the target doesn't search");
    }
}

fn unsaid(fields: &[(&str, bool)], losses: &mut Losses) {
    for (name, _) in fields.iter().filter(|(_, is_said)| *is_said) {
        losses.dropped(format!("{NAME}.{name}"), NO_FIELD);
    }
}
