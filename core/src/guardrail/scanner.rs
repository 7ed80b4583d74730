//! Looks through one text as it arrives. However it is cut into pieces, the same is found.

use std::collections::VecDeque;
use std::sync::Arc;

use super::finder::TextGuard;
use super::{GuardrailAction, GuardrailMarks, mark};

/// What was looked through is thrown away when it is longer than this, in bytes.
const KEEP: usize = 4_096;

/// A part of the text that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where it begins, in bytes from the beginning of the text.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// What stands for it; empty where it continues the part before.
    pub with: Arc<str>,
}

/// One text under watch of several guardrails, which all see it as it is written. Where what they find overlaps, one mask
/// stands for all of it.
#[derive(Debug)]
pub struct Scanner {
    guards: Arc<[Arc<TextGuard>]>,
    searches: Vec<Search>,
    text: String,
    /// How much of the text was thrown away.
    gone: u64,
    decided: u64,
    /// Where the last mask ends.
    masked_to: u64,
    edits: Vec<Edit>,
    marks: GuardrailMarks,
    denied: Option<Arc<str>>,
    /// Where what is refused begins.
    denied_at: Option<u64>,
}

/// What one finder has found ahead of the others.
#[derive(Debug)]
struct Search {
    guard: usize,
    finder: usize,
    /// Where it looks next, and up to where it is certain.
    next: u64,
    found: VecDeque<(u64, u64)>,
}

impl Scanner {
    /// A scanner for one text.
    pub fn new(guards: Arc<[Arc<TextGuard>]>) -> Self {
        let search = |guard, finder| Search { guard, finder, next: 0, found: VecDeque::new() };
        let searches = guards.iter().enumerate();
        let searches =
            searches.flat_map(|(at, guard)| (0..guard.finders.len()).map(move |finder| search(at, finder)));
        Self {
            searches: searches.collect(),
            guards,
            text: String::new(),
            gone: 0,
            decided: 0,
            masked_to: 0,
            edits: Vec::new(),
            marks: GuardrailMarks::new(),
            denied: None,
            denied_at: None,
        }
    }

    /// Looks through a whole text: what is left of it after masking, `None` for the text as it is.
    pub fn whole(guards: &Arc<[Arc<TextGuard>]>, text: &str) -> (Option<String>, Scanner) {
        let mut scanner = Self::new(Arc::clone(guards));
        scanner.push(text);
        scanner.finish();
        let edits = scanner.take_edits();
        if edits.is_empty() {
            return (None, scanner);
        }
        (Some(apply(text, 0, &edits)), scanner)
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.look(false);
        self.forget();
    }

    /// The text is over.
    pub fn finish(&mut self) {
        self.look(true);
        self.forget();
    }

    /// How much came in so far, in bytes.
    pub fn len(&self) -> u64 {
        self.gone + self.text.len() as u64
    }

    /// Whether nothing came in so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to where it is decided what is replaced, in bytes; never beyond what is refused.
    pub fn decided(&self) -> u64 {
        let decided = self.decided.max(self.masked_to);
        self.denied_at.map_or(decided, |at| decided.min(at))
    }

    /// The guardrail that refuses the text. Edits are those before what it refuses.
    pub fn denied(&self) -> Option<&Arc<str>> {
        self.denied.as_ref()
    }

    /// What is replaced, as far as decided and not taken yet, in order.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.edits)
    }

    /// What the guardrails did since this was last taken.
    pub fn take_marks(&mut self) -> GuardrailMarks {
        std::mem::take(&mut self.marks)
    }

    fn look(&mut self, over: bool) {
        if self.denied.is_some() {
            return;
        }
        let mut decided = self.len();
        for search in &mut self.searches {
            let Some(finder) =
                self.guards.get(search.guard).and_then(|guard| guard.finders.get(search.finder))
            else {
                continue;
            };
            let from = usize::try_from(search.next.saturating_sub(self.gone)).unwrap_or(usize::MAX);
            let rest = self.text.get(from..).unwrap_or_default();
            let until = if over { self.text.len() } else { from + finder.certain(rest) };
            let mut at = from;
            // BOUND: each turn consumes a match.
            while let Some(found) = finder.find(&self.text, at, until) {
                at = found.end.max(found.start + 1);
                search.found.push_back((self.gone + found.start as u64, self.gone + found.end as u64));
            }
            search.next = self.gone + at.max(until) as u64;
            decided = decided.min(search.next);
        }
        self.decided = self.decided.max(decided);
        self.decide();
    }

    /// Takes what was found in the order in which it stands, as far as nothing before it can still be found.
    fn decide(&mut self) {
        // BOUND: each turn consumes what was found.
        while self.denied.is_none() {
            let first = self.searches.iter_mut().filter_map(|search| {
                let (start, end) = *search.found.front()?;
                Some((start, std::cmp::Reverse(end), search))
            });
            let Some((start, std::cmp::Reverse(end), search)) =
                first.min_by_key(|(start, end, _)| (*start, *end))
            else {
                return;
            };
            if start >= self.decided {
                return;
            }
            search.found.pop_front();
            let Some(guard) = self.guards.get(search.guard) else { continue };
            mark(&mut self.marks, &guard.name, guard.action.done(), 1);
            match guard.action {
                GuardrailAction::Log => {}
                GuardrailAction::Deny => {
                    (self.denied, self.denied_at) = (Some(Arc::clone(&guard.name)), Some(start));
                }
                GuardrailAction::Mask if end <= self.masked_to => {}
                GuardrailAction::Mask => {
                    let label = guard.finders.get(search.finder).map(|finder| &finder.label);
                    let with =
                        label.filter(|_| start >= self.masked_to).cloned().unwrap_or_else(|| "".into());
                    self.edits.push(Edit { start: start.max(self.masked_to), end, with });
                    self.masked_to = end;
                }
            }
        }
    }

    /// Lets go of what was looked through, but for what stands just before what comes next.
    fn forget(&mut self) {
        let next = self.searches.iter().map(|search| search.next).min().unwrap_or(self.len());
        let done = usize::try_from(next.saturating_sub(self.gone)).unwrap_or(0);
        if done < KEEP {
            return;
        }
        let cut = self.text.floor_char_boundary(done.saturating_sub(8));
        self.text.drain(..cut);
        self.gone += cut as u64;
    }
}

/// A piece of text that begins at `at`, edited. Edits that begin before it or end behind it count for their part of it; what
/// stands for them stands where they begin.
pub fn apply(piece: &str, at: u64, edits: &[Edit]) -> String {
    let end = at + piece.len() as u64;
    let place = |offset: u64| usize::try_from(offset.clamp(at, end) - at).unwrap_or(0);
    let mut out = String::with_capacity(piece.len());
    let mut from = 0;
    for edit in edits.iter().filter(|edit| edit.end > at && edit.start < end) {
        out.push_str(piece.get(from..place(edit.start)).unwrap_or_default());
        if edit.start >= at {
            out.push_str(&edit.with);
        }
        from = place(edit.end);
    }
    out.push_str(piece.get(from..).unwrap_or_default());
    out
}
