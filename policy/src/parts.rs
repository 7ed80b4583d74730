//! The two parts of a script file: what runs when calls come, and its tests.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use rhai::{Engine, Position, Token};

use crate::diagnostic::PolicyDiagnostic;
use crate::lint::{TEST_CONSTANT_PREFIX, TEST_PREFIX};

/// How many lines a file may have, and how many characters a line. The tokenizer counts both in 16 bits and stays at the
/// last number, so that what comes later all seems to be in one place.
const MAX_PLACE: usize = u16::MAX as usize - 1;

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
///
/// # Errors
/// What keeps places in the text from being found again.
pub(crate) fn split<'a>(engine: &Engine, name: &str, text: &'a str) -> Result<Parts<'a>, PolicyDiagnostic> {
    let wrong = |line: usize, column: usize, message: String, remedy: &str| {
        let (policy, remedy) = (name.to_owned(), remedy.to_owned());
        PolicyDiagnostic { policy, is_module: false, line, column, message, remedy }
    };
    check_places(text).map_err(|(line, column, message, remedy)| wrong(line, column, message, remedy))?;
    if !text.contains(TEST_PREFIX) && !text.contains(TEST_CONSTANT_PREFIX) {
        return Ok(blank(text, Vec::new()));
    }
    let found = find(engine, text);
    // Whatever else the tokenizer might count differently: code of the script never goes with the tests.
    if let Some((test, _)) =
        found.iter().find(|(test, range)| !begins(engine, &text[range.clone()], &test.name))
    {
        let message = format!("`{}` can't be told apart from the script", test.name);
        return Err(wrong(test.line, 0, message, "write it on lines of its own, without unusual characters"));
    }
    Ok(blank(text, found))
}

/// Checks that lines and columns count here as the tokenizer counts them. Else: the place, what is wrong and the remedy.
fn check_places(text: &str) -> Result<(), (usize, usize, String, &'static str)> {
    // A carriage return before a line feed is half of a line end.
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let number = at + 1;
        if number > MAX_PLACE {
            let message = format!("the file has more than {MAX_PLACE} lines");
            return Err((number, 0, message, "split it into several policies"));
        }
        let line = line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n')).unwrap_or(line);
        let length = line.chars().count();
        if length > MAX_PLACE {
            let message = format!("the line has {length} characters, more than {MAX_PLACE}");
            return Err((number, 0, message, "break it into several lines"));
        }
        if let Some(column) = line.chars().position(|c| c == '\r') {
            let message = "a carriage return stands alone, without a line feed after it".to_owned();
            return Err((number, column + 1, message, "end lines with LF or CRLF; in a text write `\\r`"));
        }
    }
    Ok(())
}

/// Puts blanks in the place of the tests.
fn blank(text: &str, found: Vec<(TestPart, RangeInclusive<usize>)>) -> Parts<'_> {
    if found.is_empty() {
        return Parts { script: Cow::Borrowed(text), script_bytes: text.len(), tests: Vec::new() };
    }
    let mut script = String::with_capacity(text.len());
    let (mut taken, mut from) = (0, 0);
    let mut tests = Vec::with_capacity(found.len());
    for (test, range) in found {
        // What begins before the end of the one before is no part of its own.
        if *range.start() < from {
            continue;
        }
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

/// Whether a text begins with the words of the test `name`, with nothing before them.
fn begins(engine: &Engine, text: &str, name: &str) -> bool {
    let inputs = [text];
    let (tokens, _) = engine.lex(&inputs);
    let mut words = tokens.map(|(token, _)| token).skip_while(|token| *token == Token::Private);
    let is_kind = match words.next() {
        Some(Token::Fn) => name.starts_with(TEST_PREFIX),
        Some(Token::Const) => name.starts_with(TEST_CONSTANT_PREFIX),
        _ => false,
    };
    is_kind
        && text.starts_with(char::is_alphabetic)
        && matches!(words.next(), Some(Token::Identifier(word)) if word.as_str() == name)
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
    // Where the word before that is, if it makes a function private.
    let mut private = None;
    let mut open: Option<Open> = None;
    // BOUND: the text's own length, which the compiler checks first.
    for (token, at) in tokens {
        let mut ends = false;
        match &token {
            // Behind what is no word at all the tokenizer's places can't be trusted; the parser says what is wrong.
            Token::EOF | Token::LexError(_) => break,
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
                None => open = Open::at(&before, private, name),
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
        private = (before.0 == Token::Private).then_some(before.1);
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
    /// What begins with the word before `name`, or with the `private` before that, if it belongs to the tests.
    fn at((word, at): &(Token, Position), private: Option<Position>, name: &str) -> Option<Self> {
        let is_function = match word {
            Token::Fn if name.starts_with(TEST_PREFIX) => true,
            Token::Const if name.starts_with(TEST_CONSTANT_PREFIX) => false,
            _ => return None,
        };
        let start = private.filter(|_| is_function).unwrap_or(*at);
        let line = start.line().unwrap_or(0);
        let part = TestPart { name: name.to_owned(), line, is_helper: !is_function, last_line: line };
        Some(Self { part, start, ends_with_brace: is_function })
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
        split(&engine, "p", text).unwrap()
    }

    fn refusal(text: &str) -> (usize, usize, String) {
        let wrong = split(&Engine::new_raw(), "p", text).err().unwrap();
        (wrong.line, wrong.column, format!("{}; {}", wrong.message, wrong.remedy))
    }

    #[test]
    fn places_that_the_tokenizer_cannot_count_are_refused() {
        let tests = "fn test_a() {} fn test_b() {}";
        let lines = |before: usize| format!("{}{tests}", "\n".repeat(before));
        let columns = |before: usize| format!("\n{}{tests}", " ".repeat(before));
        assert_eq!(split_text(&lines(MAX_PLACE - 1)).tests.len(), 2);
        assert_eq!(split_text(&columns(MAX_PLACE - tests.len())).tests.len(), 2);
        let (line, column, message) = refusal(&lines(MAX_PLACE));
        assert_eq!((line, column), (65_535, 0));
        assert_eq!(message, "the file has more than 65534 lines; split it into several policies");
        let (line, column, message) = refusal(&columns(MAX_PLACE - tests.len() + 1));
        assert_eq!((line, column), (2, 0));
        assert_eq!(message, "the line has 65535 characters, more than 65534; break it into several lines");
        refusal(&lines(70_000));
        refusal(&columns(70_000));
    }

    #[test]
    fn a_lone_carriage_return_is_refused() {
        let (line, column, message) = refusal("// a\rfn test_a() { 1 }\nfn guard(c) { 2 }");
        assert_eq!((line, column), (1, 5));
        assert!(message.ends_with("end lines with LF or CRLF; in a text write `\\r`"), "{message}");
        for text in ["`\ra`; fn test_a() {}", "\r\r\n", "fn route(call) {}\r", "\n\ra"] {
            refusal(text);
        }
        split_text("\r\n\r\nfn test_a() {}\r\n");
    }

    #[test]
    fn only_what_begins_with_a_tests_own_words_is_one() {
        let engine = Engine::new_raw();
        for (text, name, want) in [
            ("fn test_a() {}", "test_a", true),
            ("private fn /* b */ test_a() {}", "test_a", true),
            ("const // b\n TEST_A = 1;", "TEST_A", true),
            ("fn guard() {}", "test_a", false),
            ("fn guard() {}", "guard", false),
            (" fn test_a() {}", "test_a", false),
            ("/**/fn test_a() {}", "test_a", false),
            ("n test_a() {}", "test_a", false),
            ("} fn test_a() {}", "test_a", false),
            ("fn test_ab() {}", "test_a", false),
        ] {
            assert_eq!(begins(&engine, text, name), want, "{text}");
        }
    }

    #[test]
    fn a_part_within_another_is_passed_over() {
        let part = |name: &str| TestPart { name: name.to_owned(), line: 1, is_helper: false, last_line: 1 };
        let parts = blank("abcdef", vec![(part("a"), 1..=3), (part("b"), 1..=3), (part("c"), 4..=4)]);
        assert_eq!((&*parts.script, parts.script_bytes), ("a    f", 2));
        assert_eq!(parts.tests.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn what_is_private_goes_with_its_function() {
        let parts = split_text("private fn test_a() {} private fn b() {} const TEST_A = 1; fn c() {}");
        assert_eq!(
            parts.script,
            format!("{} private fn b() {{}} {} fn c() {{}}", " ".repeat(22), " ".repeat(17))
        );
    }

    #[test]
    fn comments_may_stand_between_a_tests_words() {
        for text in [
            "private //\nfn test_b() { 1 }",
            "private /* fn */ fn /* guard */ test_b() { 1 }",
            "fn //\n//\ntest_b() { 1 }",
        ] {
            let engine = Engine::new();
            assert!(engine.compile(text).is_ok(), "{text}");
            let parts = split_text(text);
            assert!(parts.script.trim().is_empty() && parts.script_bytes == 0, "{text}");
            assert_eq!((parts.tests.len(), parts.tests[0].name.as_str()), (1, "test_b"), "{text}");
        }
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
                "private ", "const ", "TEST_A", "=", ";", "route", "|x|", "'", "#\"", "\"#", "\0", "fn test_b() { 1 }", "const TEST_B = `研\n${1}`;",
            ][..]), 0..40),
        ) {
            let text = words.concat();
            let shape = |text: &str| text.split('\n').map(|line| line.chars().count()).collect::<Vec<_>>();
            let parts = split_text(&text);
            proptest::prop_assert_eq!(shape(&parts.script), shape(&text));
            let found = find(&Engine::new_raw(), &text);
            proptest::prop_assert_eq!(found.len(), parts.tests.len());
            let (mut want, mut from) = (String::new(), 0);
            for (_, range) in found {
                let slice = &text[range.clone()];
                // Only functions are private, and between the words may be comments, which end before the name does.
                let names = match slice.split_once(' ').unwrap_or_default().0 {
                    "private" | "fn" => "test_",
                    "const" => "TEST_",
                    _ => "no test",
                };
                proptest::prop_assert!(slice.contains(names) && slice.ends_with(['}', ';']), "{slice:?}");
                want += &text[from..*range.start()];
                want.extend(slice.chars().map(|c| if c == '\n' { c } else { ' ' }));
                from = range.end() + 1;
            }
            want += &text[from..];
            proptest::prop_assert_eq!(&*parts.script, want);
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
