//! Ready policies with something wrong.

use super::script::{Chance, expression, statements};

const WORDS: &[&str] = &[
    "call",
    "candidates",
    "loop",
    "while",
    "true",
    "fn",
    "let",
    "const",
    "if",
    "else",
    "return",
    "throw",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "#{",
    "`${",
    "}`",
    "\"",
    "+=",
    "..",
    "=>",
    "??",
    "|a|",
    "||",
    "-",
    "9223372036854775807",
    "1e308",
    "import",
    "as",
    "given()",
    ".route()",
    "route",
    "admit",
    "test_",
    "this",
    "is_shared",
    "eval",
    "print",
    "Fn",
    "call.text_contains",
    "call.text_matches",
    "\u{0}",
    "研",
];

/// `text` after a few changes, with parts of `other`.
pub(crate) fn mutated(chance: &mut Chance, text: &str, other: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..=chance.below(6) {
        let (a, b) = (place(chance, &text), place(chance, &text));
        let (from, to) = (a.min(b), a.max(b));
        match chance.below(8) {
            0 => text.insert_str(a, chance.pick(WORDS)),
            1 => text.replace_range(from..to.min(next(&text, from + 40)), ""),
            2 => {
                let copy = text[from..to].to_owned();
                text.insert_str(to, &copy);
            }
            3 => {
                let (c, d) = (place(chance, other), place(chance, other));
                text.insert_str(a, &other[c.min(d)..c.max(d)]);
            }
            // Where statements may stand.
            4 | 5 => {
                let blocks: Vec<usize> = text.match_indices("{\n").map(|(at, _)| at + 2).collect();
                if !blocks.is_empty() {
                    let at = blocks[chance.below(blocks.len())];
                    let more =
                        format!("let x = 1; let y = []; try {{ {} }} catch {{ }}\n", statements(chance, 2));
                    text.insert_str(at, &more);
                }
            }
            6 => {
                let word = chance.pick(WORDS);
                text.replace_range(from..to.min(next(&text, from + 8)), word);
            }
            _ => text.insert_str(a, &expression(chance, 2)),
        }
        // What is refused for its length alone proves nothing.
        let end = next(&text, 60_000);
        text.truncate(end);
    }
    text
}

fn place(chance: &mut Chance, text: &str) -> usize {
    let at = chance.below(text.len() + 1);
    next(text, at)
}

/// The first boundary of a character from there on.
fn next(text: &str, from: usize) -> usize {
    (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
