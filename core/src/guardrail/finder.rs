//! Finds what a guardrail looks for, in text that may still grow.

use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::detector::Detector;
use super::{GuardrailAction, REACH_MAX, RULES_MAX, TextRules};

/// No compiled expression is larger, in bytes.
const COMPILED_MAX: usize = 4 << 20;
/// What a search for one match looks through at most, in lengths of the longest: an expression that finds much and may
/// keep little of it costs no more than this for each beginning.
const STRIDE: usize = 4;

/// A compiled text guardrail.
#[derive(Debug)]
pub struct TextGuard {
    pub(super) name: Arc<str>,
    pub(super) action: GuardrailAction,
    pub(super) finders: Vec<Finder>,
}

/// What finds one kind of thing.
#[derive(Debug)]
pub(super) struct Finder {
    regex: Regex,
    detector: Option<Detector>,
    /// No match is longer, in bytes.
    reach: usize,
    pub(super) label: Arc<str>,
}

impl TextGuard {
    /// Compiles the rules.
    ///
    /// # Errors
    /// What is wrong with which rule, with the remedy.
    pub fn compile(name: &str, rules: &TextRules) -> Result<Self, String> {
        if rules.keywords.len() + rules.patterns.len() > RULES_MAX {
            return Err(format!(
                "it has more than {RULES_MAX} keywords and patterns; spread them over several"
            ));
        }
        let label = |usual: &str| rules.replacement.as_deref().unwrap_or(usual).into();
        let mut finders = Vec::new();
        if let Some((regex, reach)) = keywords(rules)? {
            finders.push(Finder { regex, detector: None, reach, label: label("[REDACTED]") });
        }
        for pattern in &rules.patterns {
            let regex = compiled(pattern, false).map_err(|why| {
                let why = why.lines().last().unwrap_or_default().trim().to_owned();
                format!("the pattern `{pattern}` can't be used: {why}; see the syntax of Rust's regex crate")
            })?;
            if regex.is_match("") {
                return Err(format!(
                    "the pattern `{pattern}` finds the empty text everywhere; make it ask for something"
                ));
            }
            finders.push(Finder { regex, detector: None, reach: REACH_MAX, label: label("[REDACTED]") });
        }
        for detector in &rules.detectors {
            let regex = compiled(detector.pattern(), false)?;
            let (reach, label) = (detector.reach(), label(detector.label()));
            finders.push(Finder { regex, detector: Some(*detector), reach, label });
        }
        if finders.is_empty() {
            return Err("it looks for nothing; give it `keywords`, `patterns` or `detectors`".to_owned());
        }
        Ok(Self { name: name.into(), action: rules.action, finders })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it does to what it finds.
    pub fn action(&self) -> GuardrailAction {
        self.action
    }
}

/// One expression for all keywords, and how long its matches can be.
fn keywords(rules: &TextRules) -> Result<Option<(Regex, usize)>, String> {
    let mut words: Vec<&str> = rules.keywords.iter().map(String::as_str).collect();
    words.retain(|word| !word.is_empty());
    // The longest first: what it finds is found whole.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    // Letters that are the same but for their case may differ in length: `k` and the Kelvin sign.
    let width =
        |c: char| if c.is_alphabetic() && !rules.case_sensitive { c.len_utf8().max(3) } else { c.len_utf8() };
    let reach = words.iter().map(|word| word.chars().map(width).sum()).max();
    let Some(reach) = reach else { return Ok(None) };
    if reach > REACH_MAX {
        return Err(format!("a keyword is longer than {} bytes; look for a part of it", REACH_MAX / 3));
    }
    let any: Vec<_> = words.iter().map(|word| regex::escape(word)).collect();
    Ok(Some((compiled(&any.join("|"), !rules.case_sensitive)?, reach)))
}

fn compiled(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .build()
        .map_err(|why| why.to_string())
}

impl Finder {
    /// Up to where it is certain what begins before, whatever follows. `text` begins at a place where that held.
    pub(super) fn certain(&self, text: &str) -> usize {
        // One more than the longest match: what stands behind a match counts, too.
        let mut by_reach = text.len().saturating_sub(self.reach + 4);
        while !text.is_char_boundary(by_reach) {
            by_reach -= 1;
        }
        let Some(detector) = self.detector else { return by_reach };
        let tail = text.get(by_reach..).unwrap_or_default();
        let last = tail.char_indices().rev().find(|(_, c)| !detector.may_hold(*c));
        last.map_or(by_reach, |(at, c)| by_reach + at + c.len_utf8())
    }

    /// The first match that begins at `from` or later and before `until`. What is found in a text is found in every longer
    /// one that begins with it, if it begins where that is [certain](Self::certain).
    pub(super) fn find(&self, text: &str, mut from: usize, until: usize) -> Option<Range<usize>> {
        // BOUND: each turn goes on by a character at least, or ends.
        while from < until {
            let limit = boundary(text, from + STRIDE * (self.reach + 8));
            let Some(found) = self.regex.find_at(text.get(..limit)?, from) else {
                from = match limit {
                    end if end == text.len() => return None,
                    // Whatever begins in the last part of it may need more than it shows.
                    limit => boundary(text, limit - self.reach - 8),
                };
                continue;
            };
            if found.start() >= until {
                return None;
            }
            if let Some(end) = self.end(text, found.start()) {
                return Some(found.start()..end);
            }
            from = found.start() + text.get(found.start()..)?.chars().next().map_or(1, char::len_utf8);
        }
        None
    }

    /// The end of the match that begins at `start`, looking no further than the longest match goes.
    fn end(&self, text: &str, start: usize) -> Option<usize> {
        let limit = boundary(text, start + self.reach);
        let found = self.regex.find_at(text.get(..limit)?, start).filter(|found| found.start() == start)?;
        let Some(detector) = self.detector else { return Some(found.end()) };
        let before = text.get(..start)?.chars().next_back();
        let after = text.get(found.end()..)?.chars().next();
        detector.check(found.as_str(), before, after).map(|len| start + len)
    }
}

/// The last place where a character begins, not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}
