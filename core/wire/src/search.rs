//! Searches of the web that a provider makes by itself: what a caller asks for, in each format's words.
//!
//! Where a target can't keep to what bounds a search, it isn't asked to search at all: nobody's list of sites becomes wider on the way.

use crate::ir::{Place, Request, WebSearch};
use crate::json::{Array, Object, Val};
use crate::loss::Losses;

/// Anthropic's tool. Newer ones filter what they find by code that the caller hasn't asked for.
const ANTHROPIC: &str = "web_search_20250305";
/// What that tool is called by the model.
pub(crate) const NAME: &str = "web_search";

const NO_SITES: &str = "the target can't keep to sites, so it doesn't search";
const NO_FIELD: &str = "the target has no place for it";

/// Whether a hosted tool of Anthropic's or of responses searches the web.
pub(crate) fn is_search(kind: &str) -> bool {
    kind == NAME || ["web_search_preview", "web_search_2"].iter().any(|begin| kind.starts_with(begin))
}

/// `web_search_options` of chat completions.
pub(crate) fn of_chat(value: Val<'_>, losses: &mut Losses) -> WebSearch {
    let mut search = WebSearch::default();
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        match &*name {
            "search_context_size" => search.size = text(value),
            "user_location" => search.place = Some(place(value.get("approximate").unwrap_or(value))),
            other => losses.dropped(format!("web_search_options.{other}"), NO_FIELD),
        }
    }
    search
}

/// The tool of responses.
pub(crate) fn of_responses(tool: Val<'_>, at: usize, losses: &mut Losses) -> WebSearch {
    let mut search = WebSearch::default();
    for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        match &*name {
            "type" => {}
            "search_context_size" => search.size = text(value),
            "user_location" => search.place = Some(place(value)),
            "filters" => {
                search.allowed = value.get("allowed_domains").map(texts).unwrap_or_default();
                search.blocked = value.get("blocked_domains").map(texts).unwrap_or_default();
            }
            other => losses.dropped(format!("tools[{at}].{other}"), NO_FIELD),
        }
    }
    search
}

/// Anthropic's tool.
pub(crate) fn of_anthropic(tool: Val<'_>, at: usize, losses: &mut Losses) -> WebSearch {
    let mut search = WebSearch::default();
    for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        match &*name {
            "type" | "name" => {}
            "max_uses" => search.max_uses = value.as_u64(),
            "allowed_domains" => search.allowed = texts(value),
            "blocked_domains" => search.blocked = texts(value),
            "user_location" => search.place = Some(place(value)),
            other => losses.dropped(format!("tools[{at}].{other}"), NO_FIELD),
        }
    }
    search
}

/// Google's tool.
pub(crate) fn of_gemini(value: Val<'_>, at: usize, losses: &mut Losses) -> WebSearch {
    let mut search = WebSearch::default();
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        match &*name {
            "excludeDomains" | "exclude_domains" => search.blocked = texts(value),
            other => losses.dropped(format!("tools[{at}].googleSearch.{other}"), NO_FIELD),
        }
    }
    search
}

fn text(value: Val<'_>) -> Option<String> {
    value.as_str().map(|text| text.into_owned())
}

fn texts(value: Val<'_>) -> Vec<String> {
    value.elements().filter_map(text).collect()
}

fn place(value: Val<'_>) -> Place {
    let part = |name: &str| value.get_str(name).map(|text| text.into_owned());
    Place { city: part("city"), region: part("region"), country: part("country"), timezone: part("timezone") }
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

/// `web_search_options`, where the model is one that searches.
pub(crate) fn write_chat(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let Some(search) = &request.search else { return };
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/tools-web-search): in chat the search models alone do;
    // Perplexity's all do, and take the same field.
    let name = request.model.rsplit('/').next().unwrap_or_default();
    if !name.contains("search") && !name.starts_with("sonar") {
        return losses.dropped(NAME, "in this format search models alone search");
    }
    if search.is_kept_to_sites() {
        return losses.dropped(NAME, NO_SITES);
    }
    unsaid(&[("max_uses", search.max_uses.is_some())], losses);
    o.object("web_search_options", |o| {
        if let Some(size) = &search.size {
            o.str("search_context_size", size);
        }
        if let Some(place) = &search.place {
            o.object("user_location", |o| {
                o.str("type", "approximate");
                o.object("approximate", |o| write_place(o, place));
            });
        }
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
        if let Some(place) = &search.place {
            o.object("user_location", |o| {
                o.str("type", "approximate");
                write_place(o, place);
            });
        }
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
        if let Some(place) = &search.place {
            o.object("user_location", |o| {
                o.str("type", "approximate");
                write_place(o, place);
            });
        }
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
