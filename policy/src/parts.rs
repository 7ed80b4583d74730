//! The two parts of a script file: what runs when calls come, and its tests.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use rhai::{Engine, Position, Token};

use crate::lint::{TEST_CONSTANT_PREFIX, TEST_PREFIX};

/// A script file, taken apart.
pub(crate) struct Parts<'a> {
    /// The text without the tests: blanks stand in their place, so that lines and columns stay as they are.
    pub(crate) script: Cow<'a, str>,
    /// How many bytes the text has without the tests.
    pub(crate) script_bytes: usize,
    /// What belongs to the tests, in the order of the file.
    pub(crate) tests: Vec<TestPart>,
}

/// A function or constant whose name says that it belongs to the tests.
pub(crate) struct TestPart {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Whether it is no test but something that tests use: a constant, or a function that takes something.
    pub(crate) is_helper: bool,
    last_line: usize,
}

impl Parts<'_> {
    /// Whether a line belongs to a test.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.tests.iter().any(|test| (test.line..=test.last_line).contains(&line))
    }
}

/// Takes a file apart, by the language's own words. What can't be read as a whole function or constant stays where
/// it is: the parser says what is wrong with it.
pub(crate) fn split<'a>(engine: &Engine, text: &'a str) -> Parts<'a> {
    let whole = Parts { script: Cow::Borrowed(text), script_bytes: text.len(), tests: Vec::new() };
    if !text.contains(TEST_PREFIX) && !text.contains(TEST_CONSTANT_PREFIX) {
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

/// What belongs to the tests, and where each part is in the text.
fn find(engine: &Engine, text: &str) -> Vec<(TestPart, RangeInclusive<usize>)> {
    let inputs = [text];
    let (tokens, control) = engine.lex(&inputs);
    let places = Places::new(text);
    let mut found = Vec::new();
    // How many braces are open, and at which depths a text waits for the end of a value inside of it.
    let (mut depth, mut texts) = (0usize, Vec::new());
    let mut before = (Token::EOF, Position::NONE);
    let mut open: Option<Open> = None;
    // BOUND: the text's own length, which the compiler checks first.
    for (token, at) in tokens {
        let mut ends = false;
        match &token {
            Token::EOF => break,
            Token::InterpolatedString(_) => texts.push(depth),
            Token::LeftBrace | Token::MapStart => depth += 1,
            Token::RightBrace => {
                depth = depth.saturating_sub(1);
                if texts.last() == Some(&depth) {
                    texts.pop();
                    // The tokenizer can't know by itself that the text goes on here.
                    control.borrow_mut().is_within_text = true;
                } else {
                    ends = depth == 0 && open.as_ref().is_some_and(|open| open.ends_with_brace);
                }
            }
            Token::SemiColon => ends = depth == 0 && open.as_ref().is_some_and(|open| !open.ends_with_brace),
            // Something else begins before the end came: the one before is no whole part.
            Token::Fn | Token::Const if depth == 0 => open = None,
            Token::Identifier(name) if depth == 0 => match &mut open {
                // A parameter.
                Some(open) => open.part.is_helper = true,
                None => open = Open::at(&before, name),
            },
            _ => {}
        }
        if ends
            && let Some(Open { mut part, start, .. }) = open.take()
            && let Some(range) = places.range(start, at)
        {
            part.last_line = at.line().unwrap_or(part.line);
            found.push((part, range));
        }
        before = (token, at);
    }
    found
}

/// A part of the tests whose end hasn't come yet.
struct Open {
    part: TestPart,
    start: Position,
    ends_with_brace: bool,
}

impl Open {
    /// What begins with the word before `name`, if it belongs to the tests.
    fn at((word, start): &(Token, Position), name: &str) -> Option<Self> {
        let is_function = match word {
            Token::Fn if name.starts_with(TEST_PREFIX) => true,
            Token::Const if name.starts_with(TEST_CONSTANT_PREFIX) => false,
            _ => return None,
        };
        let line = start.line().unwrap_or(0);
        let part = TestPart { name: name.to_owned(), line, is_helper: !is_function, last_line: line };
        Some(Self { part, start: *start, ends_with_brace: is_function })
    }
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

    /// From the first letter of a part to the brace or semicolon at its end.
    fn range(&self, start: Position, end: Position) -> Option<RangeInclusive<usize>> {
        let range = self.byte(start)?..=self.byte(end)?;
        self.text.get(range.clone())?.ends_with(['}', ';']).then_some(range)
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
    fn constants_of_tests_go_too() {
        let parts = split_text("const A = 1;\nconst TEST_B = [#{ a: { 1; 2 } }, A];\nfn route(call) {}");
        assert_eq!(parts.script, format!("const A = 1;\n{}\nfn route(call) {{}}", " ".repeat(37)));
        assert!(parts.tests[0].is_helper);
    }

    #[test]
    fn tabs_and_line_ends_of_any_kind_count_as_the_parser_counts_them() {
        let parts = split_text("\t// é\r\n\tfn test_a() {\r\n\t}\r\n\tfn route(call) {}");
        let want = format!("\t// é\r\n\t{}\n{}\r\n\tfn route(call) {{}}", " ".repeat(14), " ".repeat(2));
        assert_eq!(parts.script, want);
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_lines_and_columns(
            words in proptest::collection::vec(proptest::sample::select(&[
                "fn ", "test_a", "(", ")", "{", "}", "#{", "`", "${", "\"", "\\", "\n", "\r\n", "/*", "*/", "//", "研", "é", "\t",
                "const ", "TEST_A", "=", ";", "route", "|x|", "'", "#\"", "\"#", "\0", "fn test_b() { 1 }", "const TEST_B = `研\n${1}`;",
            ][..]), 0..40),
        ) {
            let text = words.concat();
            let shape = |text: &str| text.split('\n').map(|line| line.chars().count()).collect::<Vec<_>>();
            let parts = split_text(&text);
            proptest::prop_assert_eq!(shape(&parts.script), shape(&text));
        }
    }

    #[test]
    fn what_is_no_whole_function_stays() {
        for text in [
            "const TEST_A = 3",
            "const TEST_A = { 3; ",
            "fn test_a( {",
            "fn test_a() { `${",
            "test_a",
            "// fn test_a() {}",
            "\"fn test_a() {}\"",
        ] {
            assert_eq!(split_text(text).script, text);
        }
    }
}
