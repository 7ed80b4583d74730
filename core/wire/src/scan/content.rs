//! Messages, their parts, and tools: what counts as text, what as media, and what can't be bounded.

use std::borrow::Cow;

use sluicegate_core::{Format, hash};

use super::media::{audio_ms, image_size};
use super::{Concern, Scan, wrong};
use crate::error::{Result, WireError};
use crate::json::{Kind, Span, unescape};

/// What one content part holds. Its `type` may come after its data, so it is judged at its end.
#[derive(Default)]
struct Part {
    class: Class,
    /// Raw bytes of the string that is base64 if the part turns out to be media, and its escape overhead.
    data: usize,
    data_saved: usize,
    /// Where the last such string stands, and how many there are: of several, nobody knows which is read.
    last: Span,
    strings: u32,
    /// OpenAI's low detail, and how often the detail is named; likewise what kind of sound it is.
    low: bool,
    details: u32,
    sound: Option<&'static str>,
    sounds: u32,
    by_file: bool,
    by_address: bool,
    source: Source,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Class {
    /// No type: only Anthropic's shorthand strings and odd vendors.
    #[default]
    Untyped,
    Text,
    Image,
    Audio,
    Document,
    Unknown,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Source {
    #[default]
    None,
    Text,
    Bytes,
    File,
    Address,
}

fn class(kind: &str) -> Class {
    match kind {
        "text"
        | "input_text"
        | "output_text"
        | "refusal"
        | "tool_use"
        | "tool_result"
        | "thinking"
        | "redacted_thinking"
        | "reasoning"
        | "search_result"
        | "server_tool_use"
        | "mcp_tool_use"
        | "mcp_tool_result"
        | "tool_reference"
        | "web_search_tool_result"
        | "web_fetch_tool_result"
        | "code_execution_tool_result"
        | "bash_code_execution_tool_result"
        | "text_editor_code_execution_tool_result"
        | "tool_search_tool_result"
        | "compaction" => Class::Text,
        // What server tools returned, inside their result blocks.
        _ if kind.ends_with("_result") || kind.ends_with("_output") || kind.ends_with("_error") => {
            Class::Text
        }
        "image" | "image_url" | "input_image" | "computer_screenshot" => Class::Image,
        "audio" | "input_audio" => Class::Audio,
        "document" | "file" | "input_file" => Class::Document,
        _ => Class::Unknown,
    }
}

/// What a conversation is known by: its messages up to the first of the user's stay the same as it goes on. Long ones are known by
/// their length and both ends: a shared instruction comes first and what differs last.
pub(super) fn opening(messages: &str, has_marks: bool) -> u64 {
    const END: usize = 512;
    let whole = messages.as_bytes();
    let bytes = &*if has_marks { without_marks(whole) } else { Cow::Borrowed(whole) };
    let head = bytes.get(..END).unwrap_or(bytes);
    let tail = bytes.get(bytes.len().saturating_sub(END)..).unwrap_or_default();
    hash::join(hash::join(hash::stable(head), bytes.len() as u64), hash::stable(tail))
}

/// Messages without marks of where a prompt cache ends: clients move them on with each turn.
fn without_marks(bytes: &[u8]) -> Cow<'_, [u8]> {
    const MARK: &[u8] = b"\"cache_control\"";
    let mut kept = Vec::new();
    let mut from = 0;
    // A quote within a text is escaped, so that this is a name, or a text that is nothing else.
    for at in memchr::memmem::find_iter(bytes, MARK) {
        let value = bytes.get(at + MARK.len()..).unwrap_or_default();
        let Some(object) = value.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
            continue;
        };
        if !object.starts_with(b"{") {
            continue;
        }
        let Some(length) = memchr::memchr(b'}', object) else { continue };
        let end = bytes.len() - object.len() + length + 1;
        let before = bytes.get(from..at).unwrap_or_default().trim_ascii_end();
        kept.extend_from_slice(before.strip_suffix(b",").unwrap_or(before).trim_ascii_end());
        from = end;
    }
    if from == 0 {
        return Cow::Borrowed(bytes);
    }
    kept.extend_from_slice(bytes.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

impl Scan<'_> {
    pub(super) fn messages(&mut self) -> Result<()> {
        let kind = self.cursor.kind()?;
        if kind != Kind::Array {
            return Err(wrong("messages", "an array", kind));
        }
        let mut more = self.cursor.enter()?;
        if !more {
            return Err(WireError::invalid("`messages` is empty: add at least one message").at("messages"));
        }
        let start = self.cursor.at();
        while more {
            let at = self.facts.messages;
            let kind = self.cursor.kind()?;
            if kind != Kind::Object {
                return Err(wrong(&format!("messages[{at}]"), "an object", kind));
            }
            self.facts.messages = at.saturating_add(1);
            let by_user = self.message(at)?;
            if by_user && self.opening.is_none() {
                self.opening = Some(Span { start, end: self.cursor.at() });
            }
            more = self.cursor.more(b']')?;
        }
        Ok(())
    }

    /// Whether it is the user's.
    fn message(&mut self, at: u32) -> Result<bool> {
        let (mut role, mut by_user) = (false, false);
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            match &*self.name_of(span, escaped) {
                "content" => self.content()?,
                "role" => {
                    role = true;
                    let kind = self.cursor.kind()?;
                    if kind != Kind::String {
                        return Err(wrong(&format!("messages[{at}].role"), "a string", kind));
                    }
                    by_user = self.cursor.skip()?.of(self.text) == "\"user\"";
                }
                // LiteLLM's clients send an answer's signed thinking back like this.
                "thinking_blocks" => {
                    let blocks = self.cursor.skip()?.of(self.text).bytes();
                    let mut marks = blocks.filter(|byte| !byte.is_ascii_whitespace());
                    self.facts.bound |= marks.next() == Some(b'[') && marks.next() == Some(b'{');
                }
                // Where Gemini's signatures travel in this format.
                "tool_calls" => {
                    let calls = self.cursor.skip()?.of(self.text).as_bytes();
                    self.facts.bound |= memchr::memmem::find(calls, b"\"thought_signature\"").is_some();
                }
                // The audio of an earlier answer, by id.
                "audio" => {
                    if self.cursor.kind()? == Kind::Object {
                        self.facts.needs.audio = true;
                        self.facts.unbound("messages[].audio");
                    }
                    self.cursor.skip()?;
                }
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        if role {
            Ok(by_user)
        } else {
            Err(WireError::invalid(format!("`messages[{at}].role` is missing")).at(format!("messages[{at}]")))
        }
    }

    /// A string, parts, or one part. The recursion through tool results is bounded by the cursor's depth.
    pub(super) fn content(&mut self) -> Result<()> {
        match self.cursor.kind()? {
            Kind::String | Kind::Null => drop(self.cursor.skip()?),
            Kind::Object => self.part()?,
            Kind::Array => {
                let mut more = self.cursor.enter()?;
                while more {
                    self.content()?;
                    more = self.cursor.more(b']')?;
                }
            }
            other => return Err(wrong("content", "a string or an array of parts", other)),
        }
        Ok(())
    }

    fn part(&mut self) -> Result<()> {
        let mut part = Part::default();
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            let name = self.name_of(span, escaped);
            match (&*name, self.cursor.kind()?) {
                ("type", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    let kind = unescape(span.of(self.text));
                    self.facts.bound |= kind == "redacted_thinking";
                    let found = class(&kind);
                    // A part that names two types is read either way: none of its bytes may hide.
                    part.class = if matches!(part.class, Class::Untyped) || part.class == found {
                        found
                    } else {
                        Class::Unknown
                    };
                }
                ("content", _) => self.content()?,
                // Of a thinking block. Some clients send an empty one for what nobody signed.
                ("signature", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    self.facts.bound |= span.len() > 2;
                }
                ("image_url" | "input_audio" | "file" | "source", Kind::Object) => self.media(&mut part)?,
                ("image_url", Kind::String) => self.data(&mut part)?,
                ("file_id", Kind::String) => {
                    part.by_file = true;
                    self.cursor.skip()?;
                }
                ("file_data", Kind::String) => self.data(&mut part)?,
                ("file_url", Kind::String) => {
                    part.by_address = true;
                    self.cursor.skip()?;
                }
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        self.judge(&part);
        Ok(())
    }

    /// The object that holds a part's data, address or file id.
    fn media(&mut self, part: &mut Part) -> Result<()> {
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            let name = self.name_of(span, escaped);
            match (&*name, self.cursor.kind()?) {
                ("data" | "file_data" | "url", Kind::String) => self.data(part)?,
                ("file_id", Kind::String) => {
                    part.by_file = true;
                    self.cursor.skip()?;
                }
                ("content", _) => self.content()?,
                ("detail", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    part.low = unescape(span.of(self.text)) == "low";
                    part.details += 1;
                }
                ("format", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    part.sound = match &*unescape(span.of(self.text)) {
                        "wav" => Some("wav"),
                        "mp3" => Some("mp3"),
                        _ => None,
                    };
                    part.sounds += 1;
                }
                ("type", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    part.source = match &*unescape(span.of(self.text)) {
                        "text" | "content" => Source::Text,
                        "file" => Source::File,
                        "url" => Source::Address,
                        _ => Source::Bytes,
                    };
                }
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        Ok(())
    }

    fn data(&mut self, part: &mut Part) -> Result<()> {
        let saved = self.cursor.saved;
        let (span, _) = self.cursor.string()?;
        part.data += span.len();
        part.data_saved += self.cursor.saved - saved;
        part.last = span;
        part.strings += 1;
        let head: String =
            unescape(span.of(self.text)).chars().take(8).collect::<String>().to_ascii_lowercase();
        part.by_address |= head.starts_with("http:") || head.starts_with("https:") || head.starts_with("gs:");
        Ok(())
    }

    fn judge(&mut self, part: &Part) {
        let inline = part.strings == 1 && !part.by_file && !part.by_address;
        let data = Span { start: part.last.start + 1, end: part.last.end.saturating_sub(1) };
        let data = if inline { data.of(self.text) } else { "" };
        let facts = &mut self.facts;
        match part.class {
            Class::Text | Class::Untyped => {}
            // An image has a bound of its own, wherever it is kept.
            Class::Image => {
                facts.needs.images = true;
                facts.images = facts.images.saturating_add(1);
                facts.media.add_image(image_size(data), part.low && part.details == 1);
                self.media += part.data;
                self.media_saved += part.data_saved;
            }
            Class::Audio => {
                facts.needs.audio = true;
                facts.audio_bytes = facts.audio_bytes.saturating_add(part.data as u64 / 4 * 3);
                match audio_ms(data, part.sound.filter(|_| part.sounds == 1)) {
                    Some(ms) if inline => facts.media.add_audio(ms),
                    _ => facts.unbound("a sound whose bytes don't tell how long it is"),
                }
                self.media += part.data;
                self.media_saved += part.data_saved;
            }
            Class::Document => {
                let stored = part.by_file || part.source == Source::File;
                if stored {
                    facts.concern("file_id", Concern::Stored);
                }
                // A PDF's text may be compressed a thousandfold: its bytes bound nothing.
                let inline_text = part.source == Source::Text && !part.by_file && !part.by_address;
                if !inline_text {
                    facts.unbound("a document");
                }
            }
            Class::Unknown => facts.unbound("a content part of an unknown type"),
        }
    }

    pub(super) fn tools(&mut self) -> Result<()> {
        let kind = self.cursor.kind()?;
        if kind == Kind::Null {
            self.cursor.skip()?;
            return Ok(());
        }
        if kind != Kind::Array {
            return Err(wrong("tools", "an array", kind));
        }
        let mut more = self.cursor.enter()?;
        while more {
            let kind = self.cursor.kind()?;
            if kind != Kind::Object {
                return Err(wrong("tools[]", "an object", kind));
            }
            self.facts.needs.tools = true;
            self.facts.tools = self.facts.tools.saturating_add(1);
            self.tool()?;
            more = self.cursor.more(b']')?;
        }
        Ok(())
    }

    fn tool(&mut self) -> Result<()> {
        // Without a type it is what it has: a function of the caller's, or whatever its name says.
        let own: &[&str] = match self.format {
            Format::OpenaiChat => &["function", "custom"],
            _ => &["name"],
        };
        let (mut is_known, mut unknown) = (false, None);
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            let name = self.name_of(span, escaped);
            if name == "type" && self.cursor.kind()? == Kind::String {
                let (span, _) = self.cursor.string()?;
                let kind = unescape(span.of(self.text));
                self.tool_type(&kind);
                is_known = true;
            } else {
                is_known |= own.contains(&&*name);
                self.cursor.skip()?;
                unknown.get_or_insert(name);
            }
            more = self.cursor.more(b'}')?;
        }
        if !is_known {
            self.hosted(unknown.as_deref().unwrap_or("tools"));
        }
        Ok(())
    }

    fn tool_type(&mut self, kind: &str) {
        if matches!(kind, "function" | "custom") {
            return;
        }
        // Anthropic's client tools: the provider adds a schema, the caller runs them.
        let client =
            ["bash_", "text_editor_", "computer_", "memory_"].iter().any(|prefix| kind.starts_with(prefix));
        // OpenAI's likewise.
        let own = matches!(kind, "local_shell" | "apply_patch");
        if self.format == Format::AnthropicMessages && client || self.format == Format::OpenaiResponses && own
        {
            self.facts.builtin_tools = self.facts.builtin_tools.saturating_add(1);
            return;
        }
        self.hosted(kind);
    }

    fn hosted(&mut self, kind: &str) {
        if !self.facts.hosted_tools.iter().any(|known| known == kind) {
            self.facts.hosted_tools.push(kind.chars().take(64).collect());
        }
        self.facts.concern("tools", Concern::Hosted);
        self.facts.unbound("a hosted tool");
    }

    /// The input of a response: a string, or items.
    pub(super) fn items(&mut self) -> Result<()> {
        match self.cursor.kind()? {
            Kind::String => {
                self.facts.messages = 1;
                let span = self.cursor.skip()?;
                self.opening = Some(span);
            }
            Kind::Array => {
                let mut more = self.cursor.enter()?;
                let start = self.cursor.at();
                while more {
                    let at = self.facts.messages;
                    let kind = self.cursor.kind()?;
                    if kind != Kind::Object {
                        return Err(wrong(&format!("input[{at}]"), "an object", kind));
                    }
                    self.facts.messages = at.saturating_add(1);
                    if self.item()? && self.opening.is_none() {
                        self.opening = Some(Span { start, end: self.cursor.at() });
                    }
                    more = self.cursor.more(b']')?;
                }
            }
            other => return Err(wrong("input", "a string or an array of items", other)),
        }
        Ok(())
    }

    /// Whether it is the user's message.
    fn item(&mut self) -> Result<bool> {
        let mut by_user = false;
        let (mut has_id, mut says_what) = (false, false);
        let mut refers = false;
        let mut more = self.cursor.enter()?;
        while more {
            let (span, escaped) = self.cursor.name()?;
            let name = self.name_of(span, escaped);
            match (&*name, self.cursor.kind()?) {
                ("content" | "output", Kind::String | Kind::Array | Kind::Object | Kind::Null) => {
                    self.content()?
                }
                ("role", Kind::String) => {
                    says_what = true;
                    by_user = self.cursor.skip()?.of(self.text) == "\"user\"";
                }
                ("type", Kind::String) => {
                    says_what = true;
                    refers |= unescape(self.cursor.skip()?.of(self.text)) == "item_reference";
                }
                ("id", Kind::String) => {
                    has_id = true;
                    self.cursor.skip()?;
                }
                // Only its maker accepts it.
                ("encrypted_content", Kind::String) => {
                    let (span, _) = self.cursor.string()?;
                    self.facts.bound |= span.len() > 2;
                }
                _ => drop(self.cursor.skip()?),
            }
            more = self.cursor.more(b'}')?;
        }
        // An id that says nothing else is a reference, too.
        if refers || has_id && !says_what {
            self.facts.concern("item_reference", Concern::Stored);
            self.facts.unbound("an item that is stored elsewhere");
        }
        Ok(by_user)
    }

    /// The input of an embedding: a string, strings, token ids, or lists of them.
    pub(super) fn input(&mut self) -> Result<()> {
        match self.cursor.kind()? {
            Kind::String => {
                self.facts.messages = 1;
                self.cursor.skip()?;
            }
            Kind::Array => {
                let mut more = self.cursor.enter()?;
                while more {
                    let kind = self.cursor.kind()?;
                    if !matches!(kind, Kind::String | Kind::Number | Kind::Array) {
                        return Err(wrong("input[]", "a string or token ids", kind));
                    }
                    let numbers = kind == Kind::Number;
                    self.facts.messages = if numbers { 1 } else { self.facts.messages.saturating_add(1) };
                    self.cursor.skip()?;
                    more = self.cursor.more(b']')?;
                }
            }
            other => return Err(wrong("input", "a string or an array", other)),
        }
        Ok(())
    }
}
