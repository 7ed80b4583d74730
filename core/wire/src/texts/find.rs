//! Where texts stand, by format.
//!
//! `tests/data/guardrail/places.yaml` has a row for each of these places: a new one gets one there.

use sluicegate_core::Format;

use super::{Side, Texts, elements};
use crate::gemini::member;
use crate::json::{Kind, Val};

/// What a detail of reasoning says.
pub(crate) const DETAILS: [&str; 2] = ["text", "summary"];
/// What a citation repeats of what it cites.
pub(crate) const CITED: [&str; 3] = ["cited_text", "title", "document_title"];
/// What a source says that a search found, beside its address.
pub(crate) const SOURCE: [&str; 3] = ["title", "snippet", "content"];
/// What a part says by itself.
const SAID: [&str; 9] =
    ["text", "refusal", "title", "context", "transcript", "stdout", "stderr", "logs", "output"];

impl<'a> Texts<'a> {
    /// Finds the texts of a body.
    pub(super) fn find(&mut self, format: Format, side: Side, root: Val<'a>) {
        match (format, side) {
            (Format::AnthropicMessages | Format::AnthropicCountTokens, Side::Request) => {
                self.content(root.get("system"), side);
                self.messages(root, side);
            }
            (Format::AnthropicMessages, Side::Answer) => self.content(root.get("content"), side),
            (Format::OpenaiResponses | Format::OpenaiInputTokens | Format::OpenaiCompact, Side::Request) => {
                for name in ["instructions", "input"] {
                    self.text(root.get(name));
                    elements(root.get(name)).for_each(|item| self.item(item, side));
                }
                let variables = root.get("prompt").and_then(|prompt| prompt.get("variables"));
                for (_, value) in variables.into_iter().flat_map(Val::members) {
                    self.part(value, side);
                }
            }
            (Format::OpenaiResponses | Format::OpenaiCompact, Side::Answer) => {
                elements(root.get("output")).for_each(|item| self.item(item, side));
            }
            (Format::GeminiGenerate | Format::GeminiCountTokens, Side::Request) => {
                // What is counted may be a whole request.
                let whole = member(root, "generateContentRequest").unwrap_or(root);
                let system = member(whole, "systemInstruction");
                self.text(system);
                for content in system.into_iter().chain(elements(whole.get("contents"))) {
                    self.gemini_parts(content.get("parts"), side);
                }
            }
            (Format::GeminiGenerate, Side::Answer) => {
                for candidate in elements(root.get("candidates")) {
                    let content = candidate.get("content");
                    self.gemini_parts(content.and_then(|content| content.get("parts")), side);
                    self.gemini_sources(candidate);
                }
            }
            (Format::OpenaiEmbeddings, _) => self.single(format, side, root),
            (single, _) if single.is_single() => self.single(single, side, root),
            (_, Side::Request) => {
                self.messages(root, side);
                self.strings(root.get("prediction").and_then(|prediction| prediction.get("content")));
            }
            (_, Side::Answer) => {
                for message in elements(root.get("choices")).filter_map(|choice| choice.get("message")) {
                    self.message(message, side);
                }
                self.sources(root);
            }
        }
    }

    fn single(&mut self, format: Format, side: Side, root: Val<'a>) {
        match (format, side) {
            (Format::OpenaiEmbeddings, Side::Request) => self.strings(root.get("input")),
            (_, Side::Request) => {
                for name in ["prompt", "suffix", "input", "instructions", "query"] {
                    self.strings(root.get(name));
                }
                for document in elements(root.get("documents")) {
                    self.strings(Some(document));
                    self.strings(document.get("text"));
                }
            }
            (Format::OpenaiCompletions, Side::Answer) => {
                elements(root.get("choices")).for_each(|choice| self.strings(choice.get("text")));
            }
            (Format::OpenaiTranscriptions | Format::OpenaiTranslations, Side::Answer) => {
                self.strings(root.get("text"));
                elements(root.get("segments")).for_each(|segment| self.text(segment.get("text")));
            }
            (
                Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations,
                Side::Answer,
            ) => elements(root.get("data")).for_each(|image| self.text(image.get("revised_prompt"))),
            (Format::Rerank, Side::Answer) => {
                for document in elements(root.get("results")).filter_map(|result| result.get("document")) {
                    self.text(Some(document));
                    self.text(document.get("text"));
                }
            }
            (_, Side::Answer) => {}
        }
    }

    fn messages(&mut self, root: Val<'a>, side: Side) {
        for message in elements(root.get("messages")) {
            self.message(message, side);
        }
    }

    fn message(&mut self, message: Val<'a>, side: Side) {
        self.content(message.get("content"), side);
        for name in ["refusal", "reasoning_content", "reasoning"] {
            self.text(message.get(name));
        }
        for call in elements(message.get("tool_calls")) {
            self.call(call.get("function"));
            self.text(call.get("custom").and_then(|custom| custom.get("input")));
        }
        self.call(message.get("function_call"));
        self.beside(message);
        for block in elements(message.get("thinking_blocks")) {
            self.thinking(block, side);
        }
        for detail in elements(message.get("reasoning_details")) {
            let is_sealed = side == Side::Request && has(detail, "signature");
            self.sealed(is_sealed, |texts| DETAILS.iter().for_each(|name| texts.text(detail.get(name))));
        }
        // What a gateway before this one has found in its provider's answer: much of it once more.
        if let Some(fields) = message.get("provider_specific_fields") {
            self.message(fields, side);
            for citation in elements(fields.get("citations")) {
                for citation in std::iter::once(citation).chain(citation.elements()) {
                    CITED.iter().for_each(|name| self.text(citation.get(name)));
                }
            }
        }
    }

    /// What stands whole beside what a message says: a transcript, notes, what tools of the provider's gave.
    pub(super) fn beside(&mut self, message: Val<'a>) {
        self.text(message.get("audio").and_then(|audio| audio.get("transcript")));
        self.notes(message);
        for tool in elements(message.get("executed_tools")) {
            self.call(Some(tool));
            self.text(tool.get("output"));
        }
    }

    /// What is cited, and what of it.
    pub(super) fn notes(&mut self, holder: Val<'a>) {
        for note in elements(holder.get("annotations")) {
            for cited in [Some(note), note.get("url_citation")].into_iter().flatten() {
                SOURCE.iter().for_each(|name| self.text(cited.get(name)));
            }
            let file = note.get("file").and_then(|file| file.get("content"));
            elements(file).for_each(|part| self.text(part.get("text")));
        }
    }

    /// What a search found, and asks next, beside the choices of an answer.
    pub(super) fn sources(&mut self, root: Val<'a>) {
        for source in elements(root.get("search_results")) {
            SOURCE.iter().for_each(|name| self.text(source.get(name)));
        }
        self.strings(root.get("related_questions"));
    }

    /// A thought, or a part of one. Signed, it is refused in a request if it is changed.
    fn thinking(&mut self, block: Val<'a>, side: Side) {
        let is_sealed = side == Side::Request && has(block, "signature");
        self.sealed(is_sealed, |texts| texts.content(block.get("thinking"), side));
    }

    /// An item of a response's input or output.
    pub(super) fn item(&mut self, item: Val<'a>, side: Side) {
        // What was thought is sealed: changed in a request, it may be refused.
        if item.get_str("type").as_deref() == Some("reasoning") {
            let is_sealed = side == Side::Request && has(item, "encrypted_content");
            let parts = || elements(item.get("summary")).chain(elements(item.get("content")));
            return self.sealed(is_sealed, |texts| parts().for_each(|part| texts.text(part.get("text"))));
        }
        let content = item.get("content");
        self.content(content, side);
        elements(content).for_each(|part| self.notes(part));
        self.content(item.get("output"), side);
        self.call(Some(item));
        for name in ["input", "code", "error", "reason", "revised_prompt"] {
            self.text(item.get(name));
        }
        // What tools of the provider's are to do, and what they found.
        let actions = [item.get("action"), item.get("operation")].into_iter().flatten();
        for action in actions.chain(elements(item.get("actions"))).chain([item]) {
            for name in ["query", "pattern", "diff", "queries", "command", "commands"] {
                self.strings(action.get(name));
            }
        }
        for action in [item.get("action")].into_iter().flatten().chain(elements(item.get("actions"))) {
            self.text(action.get("text"));
        }
        for result in elements(item.get("outputs")).chain(elements(item.get("results"))) {
            self.part(result, side);
        }
    }

    /// A string, a part, or a list of parts.
    pub(super) fn content(&mut self, content: Option<Val<'a>>, side: Side) {
        let Some(content) = content else { return };
        match content.kind() {
            Kind::Array => content.elements().for_each(|part| self.part(part, side)),
            _ => self.part(content, side),
        }
    }

    pub(super) fn part(&mut self, part: Val<'a>, side: Side) {
        if part.kind() == Kind::String {
            return self.text(Some(part));
        }
        SAID.iter().for_each(|name| self.text(part.get(name)));
        self.strings(part.get("lines"));
        for citation in elements(part.get("citations")) {
            CITED.iter().for_each(|name| self.text(citation.get(name)));
        }
        self.thinking(part, side);
        match part.get_str("type").as_deref() {
            Some("tool_use" | "server_tool_use" | "mcp_tool_use") => self.json(part.get("input")),
            Some("document") => {
                let source = part.get("source");
                let kind = source.and_then(|source| source.get_str("type"));
                match kind.as_deref() {
                    Some("text") => self.text(source.and_then(|source| source.get("data"))),
                    // BOUND: JSON nests to a bounded depth.
                    _ => self.content(source.and_then(|source| source.get("content")), side),
                }
            }
            _ => self.content(part.get("content"), side),
        }
    }

    fn gemini_parts(&mut self, parts: Option<Val<'a>>, side: Side) {
        let Some(parts) = parts else { return };
        if parts.kind() == Kind::Object {
            return self.gemini_part(parts, side);
        }
        parts.elements().for_each(|part| self.gemini_part(part, side));
    }

    pub(super) fn gemini_part(&mut self, part: Val<'a>, side: Side) {
        let is_thought = part.get("thought").is_some_and(|thought| thought.as_bool() == Some(true));
        let is_signed = member(part, "thoughtSignature").is_some_and(|seal| seal.raw().len() > 2);
        let is_sealed = side == Side::Request && is_thought && is_signed;
        self.sealed(is_sealed, |texts| texts.text(part.get("text")));
        // The provider's own tools have theirs beside those of the caller.
        for name in ["functionCall", "toolCall"] {
            self.json(member(part, name).and_then(|call| call.get("args")));
        }
        for name in ["functionResponse", "toolResponse"] {
            self.json(member(part, name).and_then(|it| it.get("response")));
        }
        self.text(member(part, "executableCode").and_then(|code| code.get("code")));
        self.text(member(part, "codeExecutionResult").and_then(|result| result.get("output")));
    }

    /// What a search found, and what of the answer it supports: that is the answer's text once more.
    pub(super) fn gemini_sources(&mut self, candidate: Val<'a>) {
        self.text(member(candidate, "finishMessage"));
        if let Some(grounds) = member(candidate, "groundingMetadata") {
            for chunk in elements(member(grounds, "groundingChunks")) {
                for source in
                    ["web", "retrievedContext", "maps"].iter().filter_map(|kind| member(chunk, kind))
                {
                    ["title", "text"].iter().for_each(|name| self.text(source.get(name)));
                }
            }
            for support in elements(member(grounds, "groundingSupports")) {
                self.text(support.get("segment").and_then(|segment| segment.get("text")));
            }
            for name in ["webSearchQueries", "retrievalQueries"] {
                self.strings(member(grounds, name));
            }
        }
        let citations = member(candidate, "citationMetadata");
        for name in ["citationSources", "citations"] {
            let sources = citations.and_then(|citations| member(citations, name));
            elements(sources).for_each(|source| self.text(source.get("title")));
        }
    }
}

/// Whether there is something under this name.
fn has(value: Val<'_>, name: &str) -> bool {
    value.get_str(name).is_some_and(|text| !text.is_empty())
}
