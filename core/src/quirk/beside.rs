//! Thoughts that come on top of the output ceiling, because a provider bounds the answer alone by it.

use serde::{Deserialize, Serialize};

use super::{Quirks, ThinkingQuirk, is_of};
use crate::call::{Call, Format, Thinking};

/// Where a budget ends a thought, the words that end it come on top, in tokens.
const LAST_WORDS: u64 = 128;

/// How much models may think beside the output ceiling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BesideQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// Which models; as at [`super::RequestQuirk::models`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// In requests of which formats.
    #[serde(default = "spoken", skip_serializing_if = "is_spoken")]
    pub formats: Vec<Format>,
    /// The most of it, in tokens of each choice; the context window holds, too.
    pub most: u64,
    /// Whether it holds only where a ceiling is sent that covers thoughts (`true`), or only where none is (`false`), as calls that
    /// pass unchanged may come; else it always holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered: Option<bool>,
    /// Whether they think when a call says nothing of it.
    #[serde(default, skip_serializing_if = "ByItself::is_always")]
    pub by_itself: ByItself,
    /// Whether the budget that a call grants in chat completions ends a thought.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub budget: bool,
    /// Where that was read.
    pub source: String,
    /// When it was read, `yyyy-mm-dd`.
    pub checked: String,
}

/// When a model thinks that wasn't asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByItself {
    /// In every call.
    #[default]
    Always,
    /// Where the answer is streamed.
    Streamed,
    /// Never.
    Never,
}

impl ByItself {
    fn is_always(&self) -> bool {
        *self == ByItself::Always
    }
}

fn spoken() -> Vec<Format> {
    vec![Format::OpenaiChat, Format::OpenaiResponses, Format::AnthropicMessages]
}

fn is_spoken(formats: &[Format]) -> bool {
    formats == spoken()
}

impl BesideQuirk {
    pub(super) fn unfit(&self) -> Option<String> {
        match () {
            () if self.formats.is_empty() => Some("it names no format".to_owned()),
            () if self.most == 0 => Some("nothing comes beside the ceiling: leave it out".to_owned()),
            () => None,
        }
    }
}

impl Quirks {
    /// What may come beside the output ceiling of a model, the first for a format first. `unsure`: what its calls say of
    /// thinking isn't what is sent. `covered`: a ceiling is sent that its maker reads, by a name that covers thoughts where there is one.
    pub fn beside_of(&self, model: &str, unsure: bool, covered: bool) -> Vec<Beside> {
        if self.beside.is_empty() {
            return Vec::new();
        }
        let how = self.thinking_of(model);
        if how.is_some_and(|how| how.never) {
            return Vec::new();
        }
        let holds = |it: &&BesideQuirk| it.covered.is_none_or(|only| only == covered);
        let rules = self.beside.iter().filter(holds).filter(|it| is_of(&it.models, model));
        rules.map(|it| Beside::new(it, how, unsure)).collect()
    }
}

/// Thoughts of one model that the output ceiling doesn't cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    formats: Vec<Format>,
    most: u64,
    by_itself: ByItself,
    off: OffWord,
    budget: bool,
}

/// By which word a call keeps a model from thinking, in chat completions of the provider's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OffWord {
    /// None that is known.
    None,
    /// `enable_thinking`.
    Switch,
    /// What the format has for it.
    Said,
}

impl Beside {
    fn new(rule: &BesideQuirk, how: Option<&ThinkingQuirk>, unsure: bool) -> Self {
        let off = match how {
            _ if unsure => OffWord::None,
            Some(how) if how.off.contains_key("enable_thinking") => OffWord::Switch,
            Some(how) if !how.off.is_empty() => OffWord::Said,
            _ => OffWord::None,
        };
        // Where there are words for efforts, an effort isn't sent as a budget.
        let budget = rule.budget && !unsure && how.is_some_and(|how| how.efforts.is_empty());
        let by_itself = if unsure { ByItself::Always } else { rule.by_itself };
        Self { formats: rule.formats.clone(), most: rule.most, by_itself, off, budget }
    }

    /// Whether it holds for requests of a format.
    pub fn is_in(&self, format: Format) -> bool {
        self.formats.contains(&format)
    }

    /// How many tokens of each choice a call may add, when it is sent in the format `target`.
    pub fn tokens(&self, call: &Call, target: Format) -> u64 {
        let Thinking { said, switch, budget } = call.thinking;
        let (own, chat) = (call.format == target, target == Format::OpenaiChat);
        let is_off = match self.off {
            OffWord::None => false,
            OffWord::Switch if own && chat => switch == Some(false),
            // A translation to chat completions says it in the provider's words.
            OffWord::Switch | OffWord::Said => said == Some(false) && (own || chat),
        };
        let asks = said == Some(true) || switch == Some(true) || budget.is_some();
        let thinks = match self.by_itself {
            _ if is_off => false,
            ByItself::Always => true,
            ByItself::Streamed => asks || call.stream,
            ByItself::Never => asks,
        };
        let granted = budget.filter(|tokens| self.budget && chat && *tokens > 0);
        match granted {
            _ if !thinks => 0,
            Some(tokens) => tokens.saturating_add(LAST_WORDS).min(self.most),
            None => self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Format = Format::OpenaiChat;
    const ANTHROPIC: Format = Format::AnthropicMessages;

    fn quirks(word: &str, more: &str) -> Quirks {
        let text = format!(
            r#"{{"thinking":[{{"id":"t",{word}}}],"beside":[{{"id":"b","models":["m*"],"most":9000{more},"source":"s","checked":"2026-11-30"}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn asked(format: Format, said: Option<bool>, switch: Option<bool>, budget: Option<u64>) -> Call {
        let mut call = Call::new("c", format, "m");
        call.thinking = Thinking { said, switch, budget };
        call
    }

    #[test]
    fn thoughts_are_reserved_where_they_may_come() {
        const SWITCH: &str = r#""on":{"enable_thinking":true},"off":{"enable_thinking":false}"#;
        const TYPE: &str = r#""on":{"thinking":{"type":"enabled"}},"off":{"thinking":{"type":"disabled"}}"#;
        const NONE: &str = r#""models":["other"]"#;
        const BUDGET: &str = r#","budget":true"#;
        const ON_REQUEST: &str = r#","budget":true,"by_itself":"never""#;
        let unsaid = || asked(CHAT, None, None, None);
        for (word, more, call, target, want) in [
            (SWITCH, BUDGET, unsaid(), CHAT, 9_000),
            (SWITCH, BUDGET, asked(CHAT, None, Some(false), None), CHAT, 0),
            (SWITCH, BUDGET, asked(CHAT, None, Some(true), Some(1_000)), CHAT, 1_128),
            (SWITCH, BUDGET, asked(CHAT, None, Some(true), Some(50_000)), CHAT, 9_000),
            (SWITCH, BUDGET, asked(CHAT, None, Some(true), Some(0)), CHAT, 9_000),
            // Another provider's word keeps nobody from it; in a translation it is this one's.
            (SWITCH, BUDGET, asked(CHAT, Some(false), None, None), CHAT, 9_000),
            (SWITCH, BUDGET, asked(ANTHROPIC, Some(false), None, None), CHAT, 0),
            (SWITCH, BUDGET, asked(ANTHROPIC, Some(false), None, None), ANTHROPIC, 0),
            (SWITCH, BUDGET, asked(CHAT, Some(false), Some(false), None), ANTHROPIC, 9_000),
            (SWITCH, BUDGET, asked(ANTHROPIC, Some(true), None, Some(2_000)), CHAT, 2_128),
            // Nobody says that a budget ends a thought there.
            (SWITCH, BUDGET, asked(ANTHROPIC, Some(true), None, Some(2_000)), ANTHROPIC, 9_000),
            (SWITCH, "", asked(CHAT, None, Some(true), Some(1_000)), CHAT, 9_000),
            (SWITCH, ON_REQUEST, unsaid(), CHAT, 0),
            (SWITCH, ON_REQUEST, asked(CHAT, Some(true), None, None), CHAT, 9_000),
            (SWITCH, ON_REQUEST, asked(CHAT, None, None, Some(1_000)), CHAT, 1_128),
            (SWITCH, r#","by_itself":"streamed""#, unsaid(), CHAT, 0),
            (SWITCH, r#","by_itself":"streamed""#, Call { stream: true, ..unsaid() }, CHAT, 9_000),
            (TYPE, "", asked(CHAT, Some(false), None, None), CHAT, 0),
            (TYPE, "", asked(CHAT, None, Some(false), None), CHAT, 9_000),
            (NONE, BUDGET, asked(CHAT, Some(false), Some(false), Some(10)), CHAT, 9_000),
        ] {
            let beside = quirks(word, more).beside_of("m-1", false, true);
            let note =
                format!("{word} {more} {:?} {} {}", call.thinking, call.format.as_str(), target.as_str());
            assert_eq!(beside[0].tokens(&call, target), want, "{note}");
        }
    }

    #[test]
    fn what_is_not_sure_counts_whole_and_what_never_thinks_not_at_all() {
        let budget = quirks(r#""off":{"enable_thinking":false}"#, r#","budget":true,"by_itself":"never""#);
        let unsure = &budget.beside_of("m", true, true)[0];
        assert_eq!(unsure.tokens(&asked(CHAT, Some(false), Some(false), Some(10)), CHAT), 9_000);
        assert!(budget.beside_of("n", false, true).is_empty());
        assert!(quirks(r#""never":true"#, "").beside_of("m", true, true).is_empty());
        let narrow = quirks(r#""models":["x"]"#, r#","formats":["openai_chat"]"#);
        let of_chat = &narrow.beside_of("m", false, true)[0];
        assert!(of_chat.is_in(CHAT) && !of_chat.is_in(ANTHROPIC));
        assert!(quirks(r#""models":["x"]"#, r#","formats":[]"#).unfit().is_some());
    }

    #[test]
    fn some_rules_hold_only_where_a_ceiling_covers_thoughts_and_some_only_where_none_does() {
        for (only, covered, want) in [
            (r#","covered":true"#, true, 1),
            (r#","covered":true"#, false, 0),
            (r#","covered":false"#, true, 0),
            (r#","covered":false"#, false, 1),
            ("", true, 1),
            ("", false, 1),
        ] {
            let rules = quirks(r#""models":["x"]"#, only);
            assert_eq!(rules.beside_of("m", false, covered).len(), want, "{only} {covered}");
        }
    }
}
