//! Regular expressions that operators write, compiled when they are read.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// A pattern takes no more memory when compiled, in bytes, and so much for each search.
const PATTERN_MAX: usize = 256 << 10;
/// What compiles within so many bytes weighs so much.
const WEIGHTS: [(usize, u64); 3] = [(16 << 10, 1), (64 << 10, 4), (PATTERN_MAX, 16)];

/// A regular expression in the syntax of Rust's regex crate, of 256 KiB at most when it is compiled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex, u64);

impl Pattern {
    /// What a search costs beside one for a small pattern, from 1 to 16: it takes time linear in the text, times the pattern's size.
    pub fn weight(&self) -> u64 {
        self.1
    }

    /// The compiled expression. One search takes time linear in the text, times the pattern's size; for all places, each
    /// may look through all the rest.
    pub fn regex(&self) -> &Regex {
        &self.0
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let within = |max| RegexBuilder::new(&text).size_limit(max).dfa_size_limit(PATTERN_MAX).build();
        let small = WEIGHTS.iter().find_map(|(max, weight)| Some(Self(within(*max).ok()?, *weight)));
        if let Some(made) = small {
            return Ok(made);
        }
        within(PATTERN_MAX).map(|made| Self(made, WEIGHTS[2].1)).map_err(|why| match why {
            regex::Error::CompiledTooBig(_) => {
                format!("it takes more than {PATTERN_MAX} bytes when compiled")
            }
            // The last line has the reason, those before show the place.
            why => {
                why.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_pattern_weighs_more() {
        let weight = |text: &str| Pattern::try_from(text.to_owned()).map(|it| it.weight());
        assert_eq!(weight("(?i)secret [0-9]+"), Ok(1));
        assert!(weight("a[ -~]{0,1000}[0-9]").unwrap() > 1);
        assert!(weight("a[ -~]{0,30000}[0-9]").unwrap_err().contains("bytes when compiled"));
    }
}
