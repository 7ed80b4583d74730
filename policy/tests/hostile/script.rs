//! Scripts that nobody with good intentions would write.

use sluicegate_core::hash;

/// Where everything that is drawn comes from: one seed, one script.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(hash::draw(&mut self.0) % n as u64).unwrap()
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

// In the forms below § stands for an expression, ¶ for statements, # for a number.

const VALUES: &[&str] = &[
    "x",
    "y",
    "call",
    "call.tags",
    "call.text_length",
    "call.text_matches(\"(?i)(s|e)*cr+.{0,40}t\")",
    "asked(call, \"secret\")",
    "call.now.at(\"Asia/Shanghai\")",
    "call.seed",
    "call.quota_left(\"spend\")",
    "candidates",
    "candidates[0]",
    "candidates.cheapest()",
    "#",
    "-#",
    "1.7976931348623157e308",
    "\"a\"",
    "\"aaaaaaaaaaaaaaaa\"",
    "\"研发部\"",
    "[]",
    "[1, 2]",
    "#{}",
    "()",
    "LARGE",
    "|a| a",
    "Fn(\"down\")",
];

const FORMS: &[&str] = &[
    "[§, §]",
    "(§ + §)",
    "(§ * §)",
    "(§ - §)",
    "(§ << #)",
    "(§ % §)",
    "(§ ** #)",
    "(§ ?? §)",
    "(§ in §)",
    "(§ == §)",
    "(#..same(§))",
    "-same(§)",
    "!same(§)",
    "`${§}${§}`",
    "#{ a: §, b: § }",
    "same(§).name",
    "same(§)[#]",
    "§[#..#]",
    "§.len()",
    "§.keys()",
    "§.to_upper()",
    "§.to_lower()",
    "§.trim()",
    "§.replace(\"a\", §)",
    "§.replace(\"\", \"aaaaaaaa\")",
    "§.split(\"\")",
    "§.split(§)",
    "§.sub_string(#, #)",
    "§.index_of(§)",
    "§.contains(§)",
    "§.matches(\"*a*a*a*a*a*b\")",
    "§.parse_int()",
    "§.map(|a| down(a, call, candidates))",
    "§.map(|a| [a, a, x])",
    "§.filter(|a| a == §)",
    "§.reduce(|a, b| a + b)",
    "§.sort(|a, b| down(#, call, candidates))",
    "§.all(|a| true)",
    "§.some(|a| a > §)",
    "§.find(|a| a == §)",
    "§.dedup()",
    "§.chop(#)",
    "§.drain(|a| true)",
    "§.splice(#, #, §)",
    "§.extract(#, #)",
    "§.call(§)",
    "§.curry(§)",
    "down(§, call, candidates)",
    "if same(§) == x { § } else { § }",
    "switch § { # => §, 0..10 => §, _ => § }",
    "{ let z = §; z }",
    "type_of(§)",
    "asked(call, §)",
    "asked(call, [\"a\", `${§}`])",
    "call.from_network(`${§}`)",
    "call.now.at(`${§}`)",
    "hash_percent(§)",
    "chance(§)",
];

const STATEMENTS: &[&str] = &[
    "x = §;",
    "x += §;",
    "x *= §;",
    "y = [x, y];",
    "y.push(x);",
    "y.push(y);",
    "y.insert(#, §);",
    "y.pad(#, §);",
    "y.append(y);",
    "y += y;",
    "x += x;",
    "x = `${x}${x}`;",
    "x = #{ a: x, b: x };",
    "x[`${#}`] = §;",
    "y[#] = §;",
    "let f = |a| { x += a; y.push(x); y }; f.call(§);",
    "let f = |g| g.call(g); f.call(f);",
    "down(§, call, candidates);",
    "other(§);",
    "say(\"tag\", `${§}`);",
    "say(\"deny\", `${§}`);",
    "say(\"prefer\", §);",
    "say(\"exclude\", [§, §]);",
    "say(\"fallback\", [`${§}`, §]);",
    "say(\"use_model\", `${§}`);",
    "say(\"max_output\", §);",
    "throw §;",
    "const C = §;",
    "return §;",
];

const BLOCKS: &[&str] = &[
    "loop { ¶ }",
    "while true { ¶ }",
    "do { ¶ } while x != §;",
    "for i in 0..# { ¶ }",
    "for i in same(§) { ¶ }",
    "for (i, n) in same(§) { ¶ }",
    "if same(§) == x { ¶ } else { ¶ }",
    "try { ¶ } catch { ¶ }",
    "loop { try { ¶ } catch(why) { x = `${why}`; } }",
    "switch § { # => { ¶ } _ => { ¶ } }",
    "{ let x = §; ¶ }",
];

const NUMBERS: &[&str] =
    &["0", "1", "2", "7", "16", "255", "256", "4096", "1000000", "4294967296", "9223372036854775807"];

fn filled(chance: &mut Chance, form: &str, depth: usize) -> String {
    let mut out = String::new();
    for c in form.chars() {
        match c {
            '§' => out.push_str(&expression(chance, depth)),
            '¶' => out.push_str(&statements(chance, depth)),
            // `#{` begins a map.
            '#' => out.push('#'),
            c => out.push(c),
        }
    }
    numbered(chance, &out)
}

fn numbered(chance: &mut Chance, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '#' if rest.peek() != Some(&'{') => out.push_str(chance.pick(NUMBERS)),
            c => out.push(c),
        }
    }
    out
}

pub(crate) fn expression(chance: &mut Chance, depth: usize) -> String {
    let form = if depth == 0 || chance.below(3) == 0 { chance.pick(VALUES) } else { chance.pick(FORMS) };
    filled(chance, form, depth.saturating_sub(1))
}

pub(crate) fn statements(chance: &mut Chance, depth: usize) -> String {
    let mut out = String::new();
    for _ in 0..=chance.below(3) {
        let is_block = depth > 0 && chance.below(2) == 0;
        let form = chance.pick(if is_block { BLOCKS } else { STATEMENTS });
        let text = filled(chance, form, depth.saturating_sub(1));
        match chance.below(3) {
            0 => out.push_str(&text),
            // The rest runs when this fails.
            _ => out.push_str(&format!("try {{ {text} }} catch {{ }} ")),
        }
        out.push('\n');
    }
    out
}

/// What hides from the checks at loading: what they find would not run.
const HELPERS: &str = "fn same(x) { x }\nfn say(what, x) { Fn(\"\" + what).call(x); }\n
fn asked(call, x) { Fn(\"text_\" + \"contains\").call(call, x) }\n";

/// A script with all hooks, a function that calls itself, constants and tests.
pub(crate) fn composed(chance: &mut Chance) -> String {
    let mut text = format!("const LARGE = {};\n{HELPERS}", constant(chance));
    text.push_str(&format!(
        "fn other(x) {{ let y = [x]; let call = x; let candidates = x; {} x }}\n",
        statements(chance, 2)
    ));
    text.push_str(&format!("fn down(x, call, candidates) {{ let y = []; {} }}\n", statements(chance, 2)));
    let hooks = [
        ("admit(call)", "let candidates = call.tags;"),
        ("route(call, candidates)", ""),
        ("on_error(call, candidates)", ""),
        ("finish(call, candidates)", ""),
    ];
    for (hook, first) in hooks {
        if chance.below(3) > 0 {
            let depth = 1 + chance.below(3);
            let body = statements(chance, depth);
            text.push_str(&format!(
                "fn {hook} {{ {first} let x = {}; let y = []; {body} }}\n",
                chance.pick(&["0", "\"a\"", "[1]", "#{}"])
            ));
        }
    }
    if chance.below(3) == 0 {
        text.push_str(&tested(chance));
    }
    text
}

fn constant(chance: &mut Chance) -> String {
    match chance.below(5) {
        0 => "\"aaaaaaaaaaaaaaaa\"".to_owned(),
        1 => format!("[{}]", vec!["\"abcdefgh\""; 1 + chance.below(260)].join(", ")),
        2 => "{ let s = \"ab\"; loop { s += s; } }".to_owned(),
        3 => "{ let a = [1]; while a.len() < 200 { a += a; } a }".to_owned(),
        _ => "7".to_owned(),
    }
}

fn tested(chance: &mut Chance) -> String {
    let body = statements(chance, 1);
    let candidates =
        ["\"a\"", "\"b\"", "#{ name: \"c\", latency_ms: 5 }"].repeat(1 + chance.below(40)).join(", ");
    let times = chance.pick(&["1", "20", "100000"]);
    format!(
        "fn test_it() {{ let x = 0; let y = []; let call = (); let candidates = []; try {{ {body} }} catch {{ }}
         for i in 0..{times} {{ given(#{{ text: \"a secret\", tags: [\"a\"] }}).candidates([{candidates}]).route().assert_no_error(); }} }}\n"
    )
}

/// Something nested as deep as it gets.
pub(crate) fn nested(chance: &mut Chance) -> String {
    const SHELLS: &[(&str, &str)] = &[
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("!", ""),
        ("#{ a: ", " }"),
        ("`${", "}`"),
        ("{ ", " }"),
        ("if true { ", " }"),
        ("loop { ", " }"),
        ("for i in 0..9 { ", " }"),
        ("|a| ", ""),
        ("other(", ")"),
        ("1 + ", ""),
        ("1 + (", ")"),
        ("x[", "]"),
        ("x.a.", ""),
        ("try { ", " } catch { }"),
        ("switch 1 { 1 => ", " }"),
        ("/* ", " */"),
        ("let x = ", ""),
        ("\"a\" + ", ""),
    ];
    let depth = [3, 20, 40, 300, 5_000, 60_000][chance.below(6)];
    let (mut head, mut tail) = (String::new(), Vec::new());
    let many = chance.below(3) + 1;
    let shells: Vec<_> = (0..many).map(|_| SHELLS[chance.below(SHELLS.len())]).collect();
    for at in 0..depth {
        let (open, close) = shells[at % many];
        head.push_str(open);
        tail.push(close);
    }
    tail.reverse();
    let inner = expression(chance, 1);
    format!(
        "fn other(x) {{ x }}\nfn route(call, candidates) {{ let x = 1; let y = [];\n let z = {head}{inner}{};\n}}\n",
        tail.concat()
    )
}

/// Much of something.
pub(crate) fn large(chance: &mut Chance) -> String {
    let many = [10, 65, 257, 2_000, 20_000][chance.below(5)];
    let repeated = |of: &dyn Fn(usize) -> String| (0..many).map(of).collect::<String>();
    let route = "fn route(call) { tag(\"a\"); }\n";
    match chance.below(8) {
        0 => format!("{route}{}", repeated(&|n| format!("fn f{n}(a) {{ a + {n} }}\n"))),
        1 => format!("{route}{}", repeated(&|n| format!("const C{n} = \"{n} and more of it\";\n"))),
        2 => format!("fn route(call) {{ {} }}", repeated(&|n| format!("let v{n} = {n}; "))),
        3 => format!("fn route(call) {{ let a = [{}]; tag(`${{a}}`); }}", repeated(&|n| format!("{n}, "))),
        4 => format!("fn route(call) {{ let a = #{{ {} }}; }}", repeated(&|n| format!("k{n}: {n}, "))),
        5 => format!("fn route(call) {{ tag(\"{}\"); }}", "x".repeat(many)),
        6 => format!(
            "{route}{}",
            repeated(&|n| format!("fn test_{n}() {{ given().route().assert_tags([\"a\"]); }}\n"))
        ),
        _ => format!("fn route(call) {{ switch 5 {{ {} _ => 1 }} }}", repeated(&|n| format!("{n} => {n}, "))),
    }
}

/// A module whose constants and functions are no better.
pub(crate) fn module(chance: &mut Chance, name: &str, imports: &str) -> String {
    let body = statements(chance, 2).replace("LARGE", name);
    format!(
        "{imports}const {name} = {};\n{HELPERS}fn down(x, call, candidates) {{ other(x) }}\nfn other(x) {{ let y = [x]; let call = x; let candidates = x; {body} x }}\n",
        constant(chance)
    )
}

/// A script that lets its modules do the work.
pub(crate) fn importing(chance: &mut Chance) -> String {
    let times = chance.pick(NUMBERS);
    format!(
        "import \"m\" as m;\nimport \"n\" as n;\nfn route(call, candidates) {{ for i in 0..{times} {{ try {{ m::other(call); }} catch {{ }} n::other(m::M); }} }}\nfn test_it() {{ given().route().assert_no_opinion(); }}\n"
    )
}
