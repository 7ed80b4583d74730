//! Tool names that the target wouldn't take, shortened reversibly.

use std::collections::{HashMap, HashSet};

/// The longest tool name that every provider takes.
pub(crate) const NAME_MAX: usize = 64;

/// The names that were changed on the way out, so that answers carry the caller's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The one sent, by the caller's.
    sent: HashMap<String, String>,
    /// The caller's, by the one sent.
    ours: HashMap<String, String>,
    /// Names as sent of tools that take a text, and were declared to take it as `input` of an object.
    wrapped: HashSet<String>,
    /// The tool that is given the answer, where nothing else holds it to a form.
    answer: Option<String>,
    /// Calls are to come back as chat completions had them when there was one.
    pub(crate) as_functions: bool,
}

impl Names {
    /// The name to send for `name`: itself if it fits, else one made of its beginning and a hash. The same name
    /// always gives the same result, in declarations and in the history.
    pub(crate) fn shorten(&mut self, name: &str) -> String {
        let fits = name.len() <= NAME_MAX && !name.is_empty() && name.bytes().all(is_plain);
        if fits { name.to_owned() } else { self.replace(name, "", is_plain) }
    }

    /// The same for targets that want a letter or `_` at the beginning.
    pub(crate) fn shorten_word(&mut self, name: &str) -> String {
        match name.bytes().next() {
            Some(first) if !first.is_ascii_alphabetic() && first != b'_' => self.replace(name, "_", is_plain),
            _ => self.shorten(name),
        }
    }

    /// The same for targets that want letters, digits and `_` alone.
    pub(crate) fn shorten_identifier(&mut self, name: &str) -> String {
        if !name.contains('-') {
            return self.shorten_word(name);
        }
        let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        self.replace(name, if begins { "" } else { "_" }, |b| is_plain(b) && b != b'-')
    }

    fn replace(&mut self, name: &str, begin: &str, is_kept: impl Fn(u8) -> bool) -> String {
        if let Some(sent) = self.sent.get(name) {
            return sent.clone();
        }
        let mut short: String = begin
            .chars()
            .chain(name.chars().map(|c| if c.is_ascii() && is_kept(c as u8) { c } else { '_' }))
            .take(NAME_MAX - 9)
            .collect();
        short.push_str(&format!("_{:08x}", fnv1a(name)));
        self.sent.insert(name.to_owned(), short.clone());
        self.ours.insert(short.clone(), name.to_owned());
        short
    }

    /// A tool that takes a text is declared under this name, as sent, to take an object with the text as `input`.
    pub(crate) fn wrap(&mut self, sent: &str) {
        self.wrapped.insert(sent.to_owned());
    }

    /// Whether what this tool is given must be unwrapped.
    pub(crate) fn is_wrapped(&self, sent: &str) -> bool {
        self.wrapped.contains(sent)
    }

    /// What this tool is given is the answer's text.
    pub(crate) fn take_answer(&mut self, sent: &str) {
        self.answer = Some(sent.to_owned());
    }

    /// Whether what this tool is given is the answer's text.
    pub(crate) fn takes_answer(&self, sent: &str) -> bool {
        self.answer.as_deref() == Some(sent)
    }

    /// The caller's name for the one that came back.
    pub(crate) fn restore<'a>(&'a self, name: &'a str) -> &'a str {
        self.ours.get(name).map_or(name, String::as_str)
    }
}

/// A tool call's id in characters that every provider takes. The same id always gives the same result, in the call and
/// in its result, so no map is needed.
pub(crate) fn tool_id(id: &str) -> std::borrow::Cow<'_, str> {
    if !id.is_empty() && id.len() <= NAME_MAX && id.bytes().all(is_plain) {
        return id.into();
    }
    let head: String = id.chars().filter(|c| c.is_ascii() && is_plain(*c as u8)).take(NAME_MAX - 9).collect();
    format!("{head}_{:08x}", fnv1a(id)).into()
}

/// The longest id of a call that OpenAI's chat completions take, in characters.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/api-reference/chat/create): 400 string_above_max_length.
const CHAT_ID_MAX: usize = 40;

/// A tool call's id as chat completions take it: a longer one is cut, with a hash of the whole. As with [`tool_id`], call and
/// result come out the same.
pub(crate) fn chat_id(id: &str) -> std::borrow::Cow<'_, str> {
    cut(id, CHAT_ID_MAX)
}

/// A tool call's id as just so many letters and digits; the same id always gives the same result.
pub(crate) fn alphanumeric_id(id: &str, length: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = String::with_capacity(length);
    let mut left = 0;
    for at in 0..length {
        // A hash gives ten of them.
        if at % 10 == 0 {
            left = fnv1a_64(if at == 0 { id } else { &out });
        }
        let digit = usize::try_from(left % 62).unwrap_or(0);
        out.push(DIGITS.get(digit).copied().unwrap_or(b'0').into());
        left /= 62;
    }
    out
}

/// A text of at most `max` characters that is as distinct as `text`: a longer one is cut, and a hash of the whole
/// tells it from others of the same beginning. `max` must be above 17.
pub(crate) fn cut(text: &str, max: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= max || text.chars().count() <= max {
        return text.into();
    }
    let head: String = text.chars().take(max.saturating_sub(17)).collect();
    format!("{head}_{:016x}", fnv1a_64(text)).into()
}

fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
}

/// FNV-1a, folded to 32 bits: names must come out the same in every process and version.
fn fnv1a(text: &str) -> u32 {
    let hash = fnv1a_64(text);
    (hash ^ (hash >> 32)) as u32
}

fn fnv1a_64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_names_come_back() {
        let mut names = Names::default();
        let long = "mcp__server__".repeat(8);
        let other = format!("{long}x");
        let (a, b) = (names.shorten(&long), names.shorten(&other));
        assert_ne!(a, b);
        assert_eq!((a.len(), names.shorten(&long)), (NAME_MAX, a.clone()));
        assert_eq!((names.restore(&a), names.restore(&b)), (long.as_str(), other.as_str()));
        let dotted = names.shorten("files.read");
        assert!(dotted.starts_with("files_read_"), "{dotted}");
        assert_eq!(names.restore(&dotted), "files.read");
        let digit = names.shorten_word("3d-view");
        assert!(digit.starts_with("_3d-view_"), "{digit}");
        assert_eq!((names.restore(&digit), names.clone().shorten_word("_a")), ("3d-view", "_a".to_owned()));
        let dashed = names.shorten_identifier("2-files-read");
        assert!(dashed.starts_with("_2_files_read_") && !dashed.contains('-'), "{dashed}");
        assert_eq!(
            (names.restore(&dashed), names.clone().shorten_identifier("a_1")),
            ("2-files-read", "a_1".to_owned())
        );
        assert_eq!((tool_id("call_1"), tool_id("a:1")), ("call_1".into(), tool_id("a:1")));
        assert!(tool_id("a:1").starts_with("a1_") && tool_id("a:1") != tool_id("a.1"));
        let (one, other) = (alphanumeric_id("call_1", 9), alphanumeric_id("call_2", 9));
        assert!(one.len() == 9 && one.bytes().all(|b| b.is_ascii_alphanumeric()) && one != other, "{one}");
        assert_eq!((alphanumeric_id("call_1", 9), alphanumeric_id("call_1", 24).len()), (one, 24));
        let long = format!("toolu_{}", "a".repeat(40));
        assert_eq!((chat_id(&long).len(), chat_id("call_1")), (CHAT_ID_MAX, "call_1".into()));
        assert_ne!(chat_id(&long), chat_id(&format!("{long}b")));
        let (a, b) = (format!("{}a", "é".repeat(64)), format!("{}b", "é".repeat(64)));
        assert_eq!((cut(&a, 64).chars().count(), cut("short", 64)), (64, "short".into()));
        assert_ne!(cut(&a, 64), cut(&b, 64));
        assert_eq!(
            (names.shorten("plain_1-a"), names.restore("unknown")),
            ("plain_1-a".to_owned(), "unknown")
        );
    }
}
