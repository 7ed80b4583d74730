//! Gemini's request: contents and their parts, tools, and the ceiling inside its configuration.

use std::borrow::Cow;

use sluicegate_core::concern::Concern;

use super::media::{audio_ms, image_size};
use super::{Field, LABEL_MAX, Scan, ours, wrong};
use crate::error::{Result, WireError};
use crate::gemini::camel_case;
use crate::json::{Kind, Span, Val, unescape};

/// A model's name as an address or a body has it: without the collection that all models are of.
pub(super) fn model_of(name: &str) -> Result<String> {
    let name = name.strip_prefix("models/").unwrap_or(name);
    if name.is_empty() {
        return Err(WireError::invalid("`model` must name a model").at("model"));
    }
    if name.len() > LABEL_MAX {
        return Err(WireError::invalid(format!(
            "`model` is longer than {LABEL_MAX} bytes: that is no model's name"
        ))
        .at("model"));
    }
    ours::check_list(name)?;
    Ok(name.to_owned())
}

impl Scan<'_> {
    /// Model or stream in the body. What the address has said stands.
    pub(super) fn addressed(&mut self, field: Field, name: &str) -> Result<()> {
        let is_addressed = self.is_addressed;
        if field == Field::Stream {
            let said = self.typed(name, "true or false", Kind::Bool)?.is_some_and(|raw| raw == "true");
            if !is_addressed {
                self.facts.stream = said;
            }
            return Ok(());
        }
        let said = self.typed(name, "a string", Kind::String)?.map(unescape).unwrap_or_default();
        if !is_addressed {
            self.facts.model = model_of(&said)?;
        }
        Ok(())
    }

    pub(super) fn gemini(&mut self, field: Field, name: &str) -> Result<()> {
        match field {
            Field::Messages => self.contents(),
            Field::System => match self.cursor.kind()? {
                Kind::Object => self.gemini_content("systemInstruction").map(drop),
                Kind::String | Kind::Null => self.cursor.skip().map(drop).map_err(Into::into),
                other => Err(wrong(name, "a content", other)),
            },
            _ => self.gemini_tools(name),
        }
    }

    fn contents(&mut self) -> Result<()> {
        let kind = self.cursor.kind()?;
        // A lone one may stand without its list, as in Google's own examples.
        if kind == Kind::Object {
            let start = self.cursor.at();
            self.facts.messages = 1;
            if self.gemini_content("contents")? {
                self.opening = Some(Span { start, end: self.cursor.at() });
            }
            return Ok(());
        }
        if kind != Kind::Array {
            return Err(wrong("contents", "an array", kind));
        }
        let mut more = self.cursor.enter()?;
        if !more {
            return Err(WireError::invalid("`contents` is empty: add at least one content").at("contents"));
        }
        let start = self.cursor.at();
        while more {
            let at = self.facts.messages;
            let path = format!("contents[{at}]");
            let kind = self.cursor.kind()?;
            if kind != Kind::Object {
                return Err(wrong(&path, "an object", kind));
            }
            self.facts.messages = at.saturating_add(1);
            let by_user = self.gemini_content(&path)?;
            if by_user && self.opening.is_none() {
                self.opening = Some(Span { start, end: self.cursor.at() });
            }
            more = self.cursor.more(b']')?;
        }
        Ok(())
    }

    /// Whether it is the user's.
    fn gemini_content(&mut self, path: &str) -> Result<bool> {
        let mut by_user = true;
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            match (&*self.name_of(span, escaped), self.cursor.kind()?) {
                ("parts", Kind::Array) => {
                    let mut more = self.cursor.enter()?;
                    while more {
                        self.gemini_part(path)?;
                        more = self.cursor.more(b']')?;
                    }
                }
                ("parts", Kind::Object) => self.gemini_part(path)?,
                ("parts", Kind::Null) => drop(self.cursor.skip()?),
                ("parts", other) => return Err(wrong(&format!("{path}.parts"), "an array", other)),
                ("role", Kind::String) => by_user = self.cursor.skip()?.of(self.text) != "\"model\"",
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        Ok(by_user)
    }

    // BOUND: parts stand in the responses of functions, and those in parts; the cursor bounds how deep.
    fn gemini_part(&mut self, path: &str) -> Result<()> {
        let kind = self.cursor.kind()?;
        if kind != Kind::Object {
            return Err(wrong(&format!("{path}.parts[]"), "an object", kind));
        }
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            let name = self.name_of(span, escaped);
            match (&*camel_case(&name), self.cursor.kind()?) {
                ("inlineData", Kind::Object) => self.inline_data()?,
                ("fileData", Kind::Object) => {
                    self.cursor.skip()?;
                    self.facts.concern("fileData", Concern::Stored);
                    self.facts.unbound("a file by address");
                }
                ("thoughtSignature", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    self.facts.bound |= span.len() > 2;
                }
                ("functionResponse", Kind::Object) => self.function_response(path)?,
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        Ok(())
    }

    fn function_response(&mut self, path: &str) -> Result<()> {
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            if self.name_of(span, escaped) == "parts" && self.cursor.kind()? == Kind::Array {
                let mut more = self.cursor.enter()?;
                while more {
                    self.gemini_part(path)?;
                    more = self.cursor.more(b']')?;
                }
            } else {
                self.cursor.skip()?;
            }
            more = self.cursor.more(b'}')?;
        }
        Ok(())
    }

    fn inline_data(&mut self) -> Result<()> {
        let (mut mime, mut mimes) = (String::new(), 0);
        let (mut data, mut strings, mut bytes, mut saved) = (Span::default(), 0, 0, 0);
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            let name = self.name_of(span, escaped);
            match (&*camel_case(&name), self.cursor.kind()?) {
                ("mimeType", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    mime = unescape(span.of(self.text)).trim().to_ascii_lowercase();
                    mimes += 1;
                }
                ("data", Kind::String) => {
                    let before = self.cursor.saved;
                    let (span, _) = self.cursor.string()?;
                    (data, strings) = (span, strings + 1);
                    bytes += span.len();
                    saved += self.cursor.saved - before;
                }
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        // Of several, nobody knows which is read.
        let is_plain = mimes == 1 && strings == 1;
        let inner = Span { start: data.start + 1, end: data.end.saturating_sub(1) };
        let text = if is_plain { inner.of(self.text) } else { "" };
        // Google takes both alphabets, and its own libraries write the one for URLs.
        let text: Cow<'_, str> = match memchr::memchr2(b'-', b'_', text.as_bytes()) {
            Some(_) => text.replace('-', "+").replace('_', "/").into(),
            None => text.into(),
        };
        let facts = &mut self.facts;
        match mime.split_once('/').map_or("", |(kind, _)| kind) {
            "image" if is_plain => {
                facts.needs.images = true;
                facts.images = facts.images.saturating_add(1);
                facts.media.add_image(image_size(&text), false);
                self.media += bytes;
                self.media_saved += saved;
            }
            "audio" if is_plain => {
                facts.needs.audio = true;
                facts.audio_bytes = facts.audio_bytes.saturating_add(bytes as u64 / 4 * 3);
                let sound = match mime.as_str() {
                    "audio/wav" | "audio/x-wav" => Some("wav"),
                    "audio/mp3" | "audio/mpeg" => Some("mp3"),
                    _ => None,
                };
                match audio_ms(&text, sound) {
                    Some(ms) => facts.media.add_audio(ms),
                    None => facts.unbound("a sound whose bytes don't tell how long it is"),
                }
                self.media += bytes;
                self.media_saved += saved;
            }
            // Text, base64 of which is longer than itself.
            "text" if is_plain => {}
            _ => facts.unbound("a document"),
        }
        Ok(())
    }

    fn gemini_tools(&mut self, name: &str) -> Result<()> {
        let kind = self.cursor.kind()?;
        let raw = self.cursor.skip()?.of(self.text);
        let list = Val::trusted(raw);
        match kind {
            Kind::Null => return Ok(()),
            Kind::Array => {}
            other => return Err(wrong(name, "an array", other)),
        }
        for tool in list.elements() {
            for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
                let facts = &mut self.facts;
                facts.needs.tools = true;
                if camel_case(&name) == "functionDeclarations" {
                    let count = u32::try_from(value.elements().count()).unwrap_or(u32::MAX);
                    facts.tools = facts.tools.saturating_add(count);
                    continue;
                }
                facts.tools = facts.tools.saturating_add(1);
                if !facts.hosted_tools.iter().any(|known| *known == name) {
                    facts.hosted_tools.push(name.chars().take(64).collect());
                }
                facts.concern("tools", Concern::Hosted);
                facts.unbound("a hosted tool");
            }
        }
        Ok(())
    }

    pub(super) fn generation_config(&mut self, name: &str) -> Result<()> {
        let Some(raw) = self.typed(name, "an object", Kind::Object)? else {
            return Ok(());
        };
        let config = Val::trusted(raw);
        let mut seen: Vec<String> = Vec::new();
        for (written, value) in config.members() {
            let name = camel_case(&written).into_owned();
            let path = format!("generationConfig.{}", crate::names::cut(&name, 64));
            // BOUND: names are compared with each other.
            if seen.len() >= super::FIELDS_MAX {
                return Err(WireError::invalid("`generationConfig` has too many fields: send fewer")
                    .at("generationConfig"));
            }
            if seen.contains(&name) {
                // What we checked must be what the upstream reads.
                return Err(
                    WireError::invalid(format!("`{path}` stands twice in the body: send it once")).at(path)
                );
            }
            if !value.is_null() {
                self.generation_field(&name, value, &path)?;
            }
            seen.push(name);
        }
        Ok(())
    }

    fn generation_field(&mut self, name: &str, value: Val<'_>, path: &str) -> Result<()> {
        let whole = || {
            // Numbers may be strings in Google's JSON.
            let text = value.as_str();
            let n = text.as_deref().map_or_else(|| value.as_u64(), |text| text.parse().ok());
            n.ok_or_else(|| {
                let message = format!("`{path}` must be a whole number of at least 0");
                WireError::invalid(message).at(path)
            })
        };
        let facts = &mut self.facts;
        match name {
            "maxOutputTokens" => facts.max_output = Some(whole()?),
            "candidateCount" => {
                let n = u32::try_from(whole()?).ok().filter(|n| *n >= 1);
                facts.n = n.ok_or_else(|| {
                    WireError::invalid(format!("`{path}` must be at least 1 and fit 32 bits")).at(path)
                })?;
                facts.choices = facts.n;
            }
            "responseSchema" | "responseJsonSchema" => facts.needs.json_schema = true,
            "responseModalities" => {
                for word in value.elements().filter_map(Val::as_str) {
                    match word.to_ascii_lowercase().as_str() {
                        "text" => {}
                        "audio" => facts.needs.audio = true,
                        // Of pictures nothing is known.
                        _ => facts.concern("responseModalities", Concern::Cost),
                    }
                }
            }
            "stopSequences" => facts.needs.stops = value.elements().next().is_some(),
            "thinkingConfig" => super::thought::gemini(facts, value),
            _ => {}
        }
        Ok(())
    }
}
