//! What a call's prompt says, for scripts that look at it. It is read when the first of them does, and what they are told is
//! noted: no record holds the prompt, and replays tell them the same.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::decision::Reason;
use crate::hash;
use crate::pattern::Pattern;
use crate::ports::{Hook, TextView};

/// So many answers are noted of one call. What a script asks beyond them it is told all the same, but a replay doesn't know.
const MAX_TOLD: usize = 128;

/// What a script was told when it asked whether one of several words stands in the prompt, or whether a pattern matches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextTold {
    /// A stable hash of the words, in their order, without regard to case; or of the pattern.
    pub asked: u64,
    /// Which of them was found first, by its place in the list, 0 for a pattern; `None` when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u32>,
}

/// How much text there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextSize {
    /// In bytes, as it is looked through.
    pub bytes: u64,
    /// In characters.
    pub characters: u64,
}

/// The prompt of a call that scripts may ask about.
pub struct Prompt {
    source: Source,
    state: Mutex<State>,
}

enum Source {
    Text(Arc<Text>),
    /// What the record of a call says that scripts were told of it; without a size they never asked.
    Told(Option<TextSize>, Vec<TextTold>),
}

#[derive(Default)]
struct State {
    asked: bool,
    told: Vec<TextTold>,
    /// So many of them are noted already.
    noted: usize,
    /// A script has asked what the record doesn't know.
    unheard: bool,
}

/// The text itself, read when it is first looked at.
pub(crate) struct Text {
    view: Arc<dyn TextView>,
    folded: OnceLock<(TextSize, String)>,
    /// As they stand there, for patterns.
    plain: OnceLock<Vec<Box<str>>>,
}

impl Text {
    pub(crate) fn new(view: Arc<dyn TextView>) -> Self {
        Self { view, folded: OnceLock::new(), plain: OnceLock::new() }
    }

    fn folded(&self) -> &(TextSize, String) {
        self.folded.get_or_init(|| {
            let (mut folded, mut characters) = (String::new(), 0);
            self.view.each(&mut |text| {
                characters += fold_into(&mut folded, text);
                // What one text ends with and the next begins with is no word.
                folded.push('\0');
            });
            (TextSize { bytes: folded.len() as u64, characters }, folded)
        })
    }

    // BOUND: the body's texts, once for a call.
    fn plain(&self) -> &[Box<str>] {
        self.plain.get_or_init(|| {
            let mut all = Vec::new();
            self.view.each(&mut |text| all.push(Box::from(text)));
            all
        })
    }
}

impl Prompt {
    /// A prompt of these texts. Nothing is read before a script asks.
    pub fn of(view: Arc<dyn TextView>) -> Self {
        Self::shared(Arc::new(Text::new(view)))
    }

    pub(crate) fn shared(text: Arc<Text>) -> Self {
        Self { source: Source::Text(text), state: Mutex::default() }
    }

    /// The prompt of a call that is replayed, from the reasons in its record.
    pub(crate) fn recorded(reasons: &[Reason]) -> Self {
        let (mut size, mut all) = (None, Vec::new());
        for reason in reasons {
            if let Reason::Prompt { bytes, characters, told, .. } = reason {
                size = Some(TextSize { bytes: *bytes, characters: *characters });
                all.extend(told);
            }
        }
        Self { source: Source::Told(size, all), state: Mutex::default() }
    }

    /// How much text there is, none when nothing is known of it.
    pub fn size(&self) -> TextSize {
        let mut state = self.state.lock();
        state.asked = true;
        match &self.source {
            Source::Text(text) => text.folded().0,
            Source::Told(size, _) => size.unwrap_or_else(|| {
                state.unheard = true;
                TextSize::default()
            }),
        }
    }

    /// The place of the first of these words that stands somewhere in the text, whatever its case: by the simple case folding
    /// of Unicode. `pay` is asked for each look through the whole text before it is taken, with the bytes to look through.
    ///
    /// # Errors
    /// When `pay` gives one.
    pub fn find<E>(
        &self,
        words: &[&str],
        mut pay: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        let bytes = self.size().bytes;
        let folded: Vec<String> = words.iter().map(|word| folded(word)).collect();
        let each = |hash, word: &String| hash::join(hash, hash::stable(word.as_bytes()));
        let asked = folded.iter().fold(folded.len() as u64, each);
        let known = self.known(asked);
        let mut found = None;
        for (at, word) in folded.iter().enumerate() {
            pay(bytes)?;
            let is_found = match (known, &self.source) {
                (Some(place), _) => place == u32::try_from(at).ok(),
                (None, Source::Text(text)) => text.folded().1.contains(word.as_str()),
                (None, Source::Told(..)) => false,
            };
            if is_found {
                found = Some(at);
                break;
            }
        }
        self.note(asked, found, known.is_some());
        Ok(found)
    }

    /// Whether a pattern matches within one of the texts. `pay` is asked before they are looked through, with their bytes.
    ///
    /// # Errors
    /// When `pay` gives one.
    pub fn matches<E>(&self, pattern: &Pattern, pay: impl FnOnce(u64) -> Result<(), E>) -> Result<bool, E> {
        pay(self.size().bytes)?;
        // No list has so many words.
        let asked = hash::join(u64::MAX, hash::stable(pattern.regex().as_str().as_bytes()));
        let known = self.known(asked);
        let is_match = match (known, &self.source) {
            (Some(place), _) => place.is_some(),
            (None, Source::Text(text)) => text.plain().iter().any(|text| pattern.regex().is_match(text)),
            (None, Source::Told(..)) => false,
        };
        self.note(asked, is_match.then_some(0), known.is_some());
        Ok(is_match)
    }

    /// What was told since the last time, to be noted; `None` when nothing was.
    pub(crate) fn noted(&self, hook: Hook) -> Option<Reason> {
        let is_asked = std::mem::take(&mut self.state.lock().asked);
        let TextSize { bytes, characters } = if is_asked { self.size() } else { return None };
        let mut state = self.state.lock();
        state.asked = false;
        let told = state.told.get(state.noted..).unwrap_or_default().to_vec();
        state.noted = state.told.len();
        Some(Reason::Prompt { hook, bytes, characters, told })
    }

    /// Whether scripts have asked what the record of a replayed call doesn't know.
    pub(crate) fn is_unheard(&self) -> bool {
        self.state.lock().unheard
    }

    fn known(&self, asked: u64) -> Option<Option<u32>> {
        let of = |told: &[TextTold]| told.iter().find(|it| it.asked == asked).map(|it| it.found);
        match &self.source {
            Source::Told(_, told) => of(told),
            Source::Text(_) => of(&self.state.lock().told),
        }
    }

    fn note(&self, asked: u64, found: Option<usize>, is_known: bool) {
        let mut state = self.state.lock();
        state.unheard |= !is_known && matches!(self.source, Source::Told(..));
        // BOUND: see the constant.
        if state.told.len() < MAX_TOLD && !state.told.iter().any(|it| it.asked == asked) {
            let found = found.and_then(|at| u32::try_from(at).ok());
            state.told.push(TextTold { asked, found });
        }
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What people write is nobody's affair.
        f.write_str("Prompt(…)")
    }
}

fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(&mut out, text);
    out
}

/// Appends the text with its case folded; gives how many characters it has.
fn fold_into(out: &mut String, text: &str) -> u64 {
    out.reserve(text.len() + 1);
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(copy) = out.get_mut(start..) {
            copy.make_ascii_lowercase();
        }
        return text.len() as u64;
    }
    let mut characters = 0;
    for c in text.chars() {
        characters += 1;
        out.push(fold(c));
    }
    characters
}

/// The simple case folding: one character for one.
fn fold(c: char) -> char {
    // The two that only Turkish takes for the same as `i` and `I`.
    if matches!(c, 'İ' | 'ı') {
        return c;
    }
    // By way of upper case, since some have several small forms: the final sigma, the long s.
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(c)
}

fn single(mut of: impl Iterator<Item = char>) -> Option<char> {
    let first = of.next()?;
    of.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Counting(AtomicU32, Vec<&'static str>);

    impl TextView for Counting {
        fn each(&self, take: &mut dyn FnMut(&str)) {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1.iter().for_each(|text| take(text));
        }
    }

    fn find(prompt: &Prompt, words: &[&str]) -> Option<usize> {
        prompt.find(words, |_| Ok::<(), ()>(())).unwrap()
    }

    #[test]
    fn words_are_found_whatever_their_case_and_never_across_texts() {
        let view = Counting(AtomicU32::new(0), vec!["The Straße, ΟΔΟΣ and ſtop", "here ÄÖ 机密", "ends I"]);
        let prompt = Prompt::of(Arc::new(view));
        let rows = [
            ("straße", true),
            ("STRAẞE", true),
            ("οδος", true),
            ("οδοσ", true),
            ("STOP", true),
            ("äö 机密", true),
            ("stophere", false),
            ("stop here", false),
            ("strasse", false),
            ("ends i", true),
            ("ends ı", false),
        ];
        for (word, is_there) in rows {
            assert_eq!(find(&prompt, &[word]).is_some(), is_there, "{word}");
        }
        assert_eq!(find(&prompt, &["no", "机密", "stop"]), Some(1));
        assert_eq!(prompt.size().characters, 25 + 10 + 6);
    }

    #[test]
    fn patterns_match_within_one_text_and_replays_are_told_the_same() {
        let view = Counting(AtomicU32::new(0), vec!["Order 4711", "for 机密 GmbH"]);
        let prompt = Prompt::of(Arc::new(view));
        let asks = |prompt: &Prompt, pattern: &str| {
            prompt.matches(&Pattern::try_from(pattern.to_owned()).unwrap(), |_| Ok::<(), ()>(())).unwrap()
        };
        let rows = [
            (r"order \d+", false),
            (r"(?i)order \d+", true),
            (r"^for \p{Han}+", true),
            (r"4711$", true),
            (r"4711\s*for", false),
            (r"(?s)4711.for", false),
        ];
        for (pattern, wanted) in rows {
            assert_eq!(asks(&prompt, pattern), wanted, "{pattern}");
        }
        let reasons: Vec<Reason> = prompt.noted(Hook::Admit).into_iter().collect();
        let again = Prompt::recorded(&reasons);
        for (pattern, wanted) in rows {
            assert_eq!(asks(&again, pattern), wanted, "{pattern}");
        }
        assert!(!again.is_unheard());
        assert!(!asks(&again, "Order") && again.is_unheard());
        assert!(
            prompt.matches(&Pattern::try_from("x".to_owned()).unwrap(), Err::<(), u64>).is_err(),
            "it is paid for"
        );
        assert!(Pattern::try_from("(".to_owned()).unwrap_err().contains("unclosed group"));
        assert!(Pattern::try_from(r"\w{900}".to_owned()).unwrap_err().contains("bytes when compiled"));
    }

    #[test]
    fn nothing_is_read_before_it_is_asked_for_and_then_once() {
        let view = Arc::new(Counting(AtomicU32::new(0), vec!["some words"]));
        let prompt = Prompt::of(Arc::clone(&view) as Arc<dyn TextView>);
        assert_eq!((prompt.noted(Hook::Admit), view.0.load(Ordering::Relaxed)), (None, 0));
        find(&prompt, &["a"]);
        find(&prompt, &["words"]);
        prompt.size();
        assert_eq!(view.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_replay_is_told_what_was_noted_and_knows_nothing_else() {
        let prompt = Prompt::of(Arc::new(Counting(AtomicU32::new(0), vec!["some words"])));
        find(&prompt, &["x", "WORDS"]);
        let mut reasons: Vec<Reason> = prompt.noted(Hook::Admit).into_iter().collect();
        assert_eq!(prompt.noted(Hook::Admit), None);
        find(&prompt, &["y"]);
        reasons.extend(prompt.noted(Hook::Route));

        let again = Prompt::recorded(&reasons);
        assert_eq!(find(&again, &["X", "words"]), Some(1));
        assert_eq!(again.noted(Hook::Admit).as_ref(), reasons.first());
        assert_eq!(find(&again, &["y"]), None);
        assert_eq!(again.noted(Hook::Route).as_ref(), reasons.get(1));
        assert!(!again.is_unheard());
        assert_eq!(find(&again, &["words"]), None);
        assert!(again.is_unheard());

        let silent = Prompt::recorded(&[]);
        assert!(!silent.is_unheard());
        assert_eq!(silent.size(), TextSize::default());
        assert!(silent.is_unheard());
    }
}
