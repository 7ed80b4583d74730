//! Counts a prompt's tokens, where a strict limit has no room for its bytes. A vocabulary is unpacked when it is first needed.

use std::sync::OnceLock;
use std::time::Duration;

use sluicegate_core::count::Tokenizer;
use sluicegate_wire::Scanned;
use tokio::sync::Semaphore;

/// Whether anything can be counted: it is built in with the feature `tokenizer`.
pub(crate) const AVAILABLE: bool = cfg!(feature = "tokenizer");

/// Longer prompts are counted beside the worker's thread.
const INLINE_BYTES_MAX: u64 = 32 * 1024;
/// And longer ones not at all: their bytes stand for them.
// BOUND: what one caller can have counted.
const BYTES_MAX: u64 = 4 * 1024 * 1024;
// BOUND: so many are counted at a time; the others wait for so long, then their bytes stand for them.
static BESIDE: Semaphore = Semaphore::const_new(2);
const WAIT: Duration = Duration::from_secs(2);

/// The prompt's input bound by that tokenizer; `None` when it can't be counted.
pub(crate) async fn input_bound(scanned: &Scanned, tokenizer: Tokenizer) -> Option<u64> {
    if is_loaded(tokenizer) && scanned.countable_bytes() <= INLINE_BYTES_MAX {
        return input_bound_now(scanned, tokenizer);
    }
    let permit = tokio::time::timeout(WAIT, BESIDE.acquire()).await.ok()?.ok()?;
    let scanned = scanned.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        input_bound_now(&scanned, tokenizer)
    });
    counted.await.ok().flatten()
}

/// As [`input_bound`], on this thread however long it takes.
pub(crate) fn input_bound_now(scanned: &Scanned, tokenizer: Tokenizer) -> Option<u64> {
    if scanned.countable_bytes() > BYTES_MAX {
        return None;
    }
    let count = counter(tokenizer)?;
    scanned.input_bound_by(&|text| pieces(text).fold(0, |sum, piece| sum + count(piece) + PIECE_OVERHEAD))
}

/// A plausible count of a request's tokens, for whoever wants to know it beforehand: by that tokenizer; of models whose tokenizer
/// isn't known by OpenAI's, and three tenths more. Too many make a client shorten its history early, too few make it too late.
pub async fn estimate(scanned: &Scanned, own: Option<Tokenizer>) -> u64 {
    let tokenizer = own.unwrap_or(Tokenizer::O200kBase);
    let by_bytes = |scanned: &Scanned| scanned.tokens_by(&|text| (text.len() as u64).div_ceil(3));
    let counted = if scanned.countable_bytes() > BYTES_MAX {
        None
    } else if is_loaded(tokenizer) && scanned.countable_bytes() <= INLINE_BYTES_MAX {
        estimate_now(scanned, tokenizer)
    } else {
        let permit = tokio::time::timeout(WAIT, BESIDE.acquire()).await.ok().and_then(Result::ok);
        match permit {
            None => None,
            Some(permit) => {
                let scanned = scanned.clone();
                let counting = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    estimate_now(&scanned, tokenizer)
                });
                counting.await.ok().flatten()
            }
        }
    };
    match (counted, own) {
        (None, _) => by_bytes(scanned),
        (Some(counted), Some(_)) => counted,
        (Some(counted), None) => counted.saturating_mul(13).div_ceil(10),
    }
}

fn estimate_now(scanned: &Scanned, tokenizer: Tokenizer) -> Option<u64> {
    let count = counter(tokenizer)?;
    Some(scanned.tokens_by(&|text| pieces(text).fold(0, |sum, piece| sum + count(piece))))
}

#[cfg(feature = "tokenizer")]
static LOADED: [OnceLock<tiktoken::CoreBpe>; 2] = [OnceLock::new(), OnceLock::new()];
#[cfg(not(feature = "tokenizer"))]
static LOADED: [OnceLock<()>; 2] = [OnceLock::new(), OnceLock::new()];

fn is_loaded(tokenizer: Tokenizer) -> bool {
    LOADED[tokenizer as usize].get().is_some()
}

#[cfg(feature = "tokenizer")]
fn counter(tokenizer: Tokenizer) -> Option<impl Fn(&str) -> u64> {
    let encoding = LOADED[tokenizer as usize].get_or_init(|| match tokenizer {
        Tokenizer::O200kBase => tiktoken::encoding::o200k_base(),
        Tokenizer::Cl100kBase => tiktoken::encoding::cl100k_base(),
    });
    Some(move |text: &str| encoding.count(text) as u64)
}

#[cfg(not(feature = "tokenizer"))]
fn counter(_: Tokenizer) -> Option<fn(&str) -> u64> {
    None
}

/// A long text is counted in pieces of so many bytes at most: what the library does with odd white space takes time that
/// grows with the square of the length.
const PIECE_BYTES_MAX: usize = 4 * 1024;
/// A cut may make a token more, and may hide one.
const PIECE_OVERHEAD: u64 = 2;

/// The text in pieces, cut before words where it has some: there a token begins in any case.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, left) = rest.split_at(cut(rest));
        rest = left;
        Some(piece)
    })
}

/// Where the first piece ends; never 0.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE_BYTES_MAX {
        return text.len();
    }
    let most = text.floor_char_boundary(PIECE_BYTES_MAX);
    let bytes = text.as_bytes();
    let begins_word = |at: &usize| {
        matches!(bytes.get(at - 1..at + 2), Some([before, b' ', after])
            if before.is_ascii_alphanumeric() && after.is_ascii_alphabetic())
    };
    (most / 2..most).rev().find(begins_word).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text_and_bounded() {
        let words = "some words ".repeat(10_000);
        let (chinese, blank) = ("你好吗".repeat(20_000), "\u{3000}".repeat(30_000));
        for text in ["", "short", &words, &chinese, &blank, &"x".repeat(50_000)] {
            assert_eq!(pieces(text).collect::<String>(), text);
            assert!(pieces(text).all(|piece| (1..=PIECE_BYTES_MAX).contains(&piece.len())));
        }
        assert!(pieces(&words).skip(1).all(|piece| piece.starts_with(' ')));
        assert_eq!(pieces(&words).count(), 27);
    }

    /// Counts as OpenAI's own library gives them.
    #[cfg(feature = "tokenizer")]
    #[test]
    fn counts_are_those_of_the_bill() {
        let (o200k, cl100k) = (Tokenizer::O200kBase, Tokenizer::Cl100kBase);
        for (tokenizer, text, tokens) in [
            (o200k, "", 0),
            (o200k, "hello world", 2),
            (cl100k, "hello world", 2),
            (cl100k, "tiktoken is great!", 6),
            (o200k, "antidisestablishmentarianism", 6),
            (cl100k, "antidisestablishmentarianism", 6),
            (cl100k, "2 + 2 = 4", 7),
            (o200k, "お誕生日おめでとう", 8),
            (cl100k, "お誕生日おめでとう", 9),
            // What would be a special token is text like any other.
            (cl100k, "<|endoftext|>", 7),
        ] {
            let count = counter(tokenizer).unwrap();
            assert_eq!(count(text), tokens, "{} of {text:?}", tokenizer.as_str());
            assert!(tokens <= text.len() as u64);
            assert!(is_loaded(tokenizer));
        }
    }
}
