//! The two parts of a script file: what runs when calls come, and its tests.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use rhai::{Engine, Position, Token};

use crate::lint::TEST_PREFIX;

/// A script file, taken apart.
pub(crate) struct Parts<'a> {
    /// The text without the tests: blanks stand in their place, so that lines and columns stay as they are.
    pub(crate) script: Cow<'a, str>,
    /// How many bytes the text has without the tests.
    pub(crate) script_bytes: usize,
    /// The functions that belong to the tests, in the order of the file.
    pub(crate) tests: Vec<TestFunction>,
}

/// A function whose name says that it belongs to the tests.
pub(crate) struct TestFunction {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Whether it takes something: then it is a helper, which tests call.
    pub(crate) is_helper: bool,
    last_line: usize,
}

impl Parts<'_> {
    /// Whether a line belongs to a test.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.tests.iter().any(|test| (test.line..=test.last_line).contains(&line))
    }
}

/// Takes a file apart, by the language's own words. What can't be read as a function stays where it is: the parser says
/// what is wrong with it.
pub(crate) fn split<'a>(engine: &Engine, text: &'a str) -> Parts<'a> {
    let whole = Parts { script: Cow::Borrowed(text), script_bytes: text.len(), tests: Vec::new() };
    if !text.contains(TEST_PREFIX) {
        return whole;
    }
    let found = find(engine, text);
    if found.is_empty() {
        return whole;
    }
    let mut script = String::with_capacity(text.len());
    let (mut taken, mut from) = (0, 0);
    let mut tests = Vec::with_capacity(found.len());
    for (test, range) in found {
        let test_text = &text[range.clone()];
        script.push_str(&text[from..*range.start()]);
        script.extend(test_text.chars().map(|c| if c == '\n' { c } else { ' ' }));
        from = range.end() + 1;
        taken += test_text.len();
        tests.push(test);
    }
    script.push_str(&text[from..]);
    Parts { script: Cow::Owned(script), script_bytes: text.len() - taken, tests }
}

/// The test functions, and where each is in the text.
fn find(engine: &Engine, text: &str) -> Vec<(TestFunction, RangeInclusive<usize>)> {
    let inputs = [text];
    let (tokens, control) = engine.lex(&inputs);
    let places = Places::new(text);
    let mut found = Vec::new();
    // How many braces are open, and at which depths a text waits for the end of a value inside of it.
    let (mut depth, mut texts) = (0usize, Vec::new());
    let mut function: Option<Position> = None;
    let mut test: Option<(TestFunction, Position)> = None;
    // BOUND: the text's own length, which the compiler checks first.
    for (token, at) in tokens {
        match token {
            Token::EOF => break,
            Token::InterpolatedString(_) => texts.push(depth),
            Token::LeftBrace | Token::MapStart => depth += 1,
            Token::RightBrace => {
                depth = depth.saturating_sub(1);
                if texts.last() == Some(&depth) {
                    texts.pop();
                    // The tokenizer can't know by itself that the text goes on here.
                    control.borrow_mut().is_within_text = true;
                } else if depth == 0
                    && let Some((mut test, start)) = test.take()
                    && let (Some(from), Some(to)) = (places.byte(start), places.byte(at))
                {
                    test.last_line = at.line().unwrap_or(test.line);
                    found.push((test, from..=to));
                }
            }
            Token::Identifier(name) => {
                if let Some(start) = function.filter(|_| depth == 0 && name.starts_with(TEST_PREFIX)) {
                    let line = start.line().unwrap_or(0);
                    let name = name.to_string();
                    test = Some((TestFunction { name, line, is_helper: false, last_line: line }, start));
                } else if let Some((test, _)) = test.as_mut().filter(|_| depth == 0) {
                    test.is_helper = true;
                }
                function = None;
                continue;
            }
            _ => {}
        }
        function = matches!(token, Token::Fn).then_some(at);
    }
    found
}

/// Finds the byte of a line and column.
struct Places<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(breaks).collect() }
    }

    fn byte(&self, at: Position) -> Option<usize> {
        let start = *self.lines.get(at.line()?.checked_sub(1)?)?;
        let (offset, _) = self.text.get(start..)?.char_indices().nth(at.position()?.checked_sub(1)?)?;
        Some(start + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_text(text: &str) -> Parts<'_> {
        let engine = Engine::new_raw();
        split(&engine, text)
    }

    #[test]
    fn tests_become_blanks_and_nothing_else_moves() {
        let text = "fn test_a() {\n  let x = `研 ${ #{a: 1}.a } } é`;\n}  const X = 1;\nfn route(call) { test_a }\nfn test_b(x) { \"}\" } fn c() {}";
        let parts = split_text(text);
        let want = format!(
            "{}\n{}\n   const X = 1;\nfn route(call) {{ test_a }}\n{} fn c() {{}}",
            " ".repeat(13),
            " ".repeat(33),
            " ".repeat(20)
        );
        assert_eq!(parts.script.lines().collect::<Vec<_>>(), want.lines().collect::<Vec<_>>());
        let tests: Vec<_> = parts.tests.iter().map(|t| (t.name.as_str(), t.line, t.is_helper)).collect();
        assert_eq!(tests, [("test_a", 1, false), ("test_b", 5, true)]);
        assert!(parts.is_test_line(3) && !parts.is_test_line(4));
    }

    #[test]
    fn what_is_no_whole_function_stays() {
        for text in ["fn test_a( {", "fn test_a() { `${", "test_a", "// fn test_a() {}", "\"fn test_a() {}\""]
        {
            assert_eq!(split_text(text).script, text);
        }
    }
}
