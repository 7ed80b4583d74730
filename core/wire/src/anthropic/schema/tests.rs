use super::layer::LAYERS_MAX;
use super::*;
use crate::reference::MEMBER_BYTES;

fn closed(schema: &str, path: &str, losses: &mut Losses) -> Result<String, Unclosed> {
    super::closed(schema, path, &mut Looks::shared(), losses)
}

#[test]
fn schemas_are_closed_and_what_they_can_not_say_is_described() {
    for (schema, want, lost) in [
        (
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            0,
        ),
        (
            r#"{"$schema":"x","type":"object","properties":{"n":{"type":"integer","description":"How many.","minimum":1,"maximum":5}}}"#,
            r#"{"type":"object","properties":{"n":{"type":"integer","description":"How many.\n\nMust hold: minimum 1; maximum 5."}},"additionalProperties":false}"#,
            2,
        ),
        (
            r##"{"type":"array","minItems":2,"items":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}]},"$defs":{"d":{"type":["object","null"],"properties":{"b":{"type":"string","format":"byte"}}}}}"##,
            r##"{"type":"array","description":"Must hold: minItems 2.","items":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}]},"$defs":{"d":{"type":["object","null"],"properties":{"b":{"type":"string","description":"Must hold: format \"byte\"."}},"additionalProperties":false}}}"##,
            2,
        ),
        // Closed by themselves, joined objects would bar each other.
        (
            r##"{"allOf":[{"$ref":"#/$defs/d"},{"type":"object","properties":{"c":{"const":1}},"required":["c"]}],"$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}}}"##,
            r##"{"type":"object","$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}},"properties":{"b":{"type":"string"},"c":{"const":1}},"required":["b","c"],"additionalProperties":false}"##,
            1,
        ),
        (
            r##"{"type":"object","properties":{"x":{"description":"one","allOf":[{"$ref":"#/$defs/d"}]}},"additionalProperties":false,"$defs":{"d":{"enum":["a"]}}}"##,
            r##"{"type":"object","$defs":{"d":{"enum":["a"]}},"properties":{"x":{"$ref":"#/$defs/d","description":"one"}},"additionalProperties":false}"##,
            0,
        ),
        (
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            r#"{"type":"object","properties":{},"additionalProperties":false}"#,
            2,
        ),
        // An alias stands between.
        (
            r##"{"type":"object","allOf":[{"$ref":"#/$defs/e"}],"$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false},"e":{"$ref":"#/$defs/d"}}}"##,
            r##"{"type":"object","$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false},"e":{"$ref":"#/$defs/d"}},"properties":{"b":{"type":"string"}},"additionalProperties":false}"##,
            0,
        ),
        (
            r##"{"allOf":[{"$ref":"#/$defs/e"},{"description":"x"}],"$defs":{"d":{"type":"string"},"e":{"$ref":"#/$defs/d","title":"t"}}}"##,
            r##"{"$ref":"#/$defs/e","description":"x","$defs":{"d":{"type":"string"},"e":{"$ref":"#/$defs/d","title":"t"}}}"##,
            0,
        ),
        // What stands beside a reference is joined with it.
        (
            r##"{"type":"object","properties":{"a":{"type":"string"}},"allOf":[{"$ref":"#/$defs/e"}],"$defs":{"e":{"$ref":"#/$defs/d","allOf":[{"properties":{"c":{"type":"string"}}}]},"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"additionalProperties":false}"##,
            r##"{"type":"object","$defs":{"e":{"properties":{"b":{"type":"string"},"c":{"type":"string"}},"additionalProperties":false},"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}},"additionalProperties":false}"##,
            0,
        ),
        // What nothing refers to is left out, if only because it may refer to itself.
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"additionalProperties":false,"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}}},"a":{"type":"string","$defs":{"m":{"items":{"$ref":"#/$defs/n"}}}}}}"##,
            r##"{"type":"object","$defs":{"a":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/a"}},"additionalProperties":false}"##,
            0,
        ),
        (
            r##"{"type":"string","definitions":{"n":{"items":{"$ref":"#/definitions/n"}}}}"##,
            r#"{"type":"string"}"#,
            0,
        ),
        // White space isn't moved with the words.
        (
            "{\"type\": \"array\",\n  \"maxItems\" : 3,\r\n\t\"not\": {\"enum\": [\"a \\\" b\", 1]}}",
            r#"{"type":"array","description":"Must hold: maxItems 3; not {\"enum\":[\"a \\\" b\",1]}."}"#,
            1,
        ),
        // One that only joins another has its members.
        (
            r##"{"type":"object","allOf":[{"$ref":"#/$defs/d"}],"additionalProperties":false,"$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}}}"##,
            r##"{"type":"object","$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"properties":{"b":{"type":"string"}},"additionalProperties":false}"##,
            0,
        ),
        (r#"{"oneOf":[{"type":"string"}]}"#, r#"{"anyOf":[{"type":"string"}]}"#, 1),
        (
            r##"{"type":"object","$ref":"#/$defs/d","properties":{"a":{"type":"string"}},"$defs":{"d":{"properties":{"b":{"type":"string"}}}}}"##,
            r##"{"type":"object","$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"properties":{"a":{"type":"string"},"b":{"type":"string"}},"additionalProperties":false}"##,
            1,
        ),
        (
            r##"{"allOf":[{"$ref":"#/$defs/d"},{"$ref":"#/$defs/d"}],"$defs":{"d":{"type":"object","minProperties":1,"properties":{},"additionalProperties":false}}}"##,
            r##"{"type":"object","description":"Must hold: minProperties 1.","$defs":{"d":{"type":"object","description":"Must hold: minProperties 1.","properties":{},"additionalProperties":false}},"properties":{},"additionalProperties":false}"##,
            1,
        ),
        (
            r#"{"oneOf":[{"type":"string"}],"anyOf":[{"const":"a"}]}"#,
            r#"{"description":"Must hold: anyOf [{\"const\":\"a\"}].","anyOf":[{"type":"string"}]}"#,
            1,
        ),
        (
            r#"{"type":"object","properties":{"a":{}},"required":["a","a","b"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
            0,
        ),
        // An object that is one of several, too: each closed by itself would bar the other's members.
        (
            r##"{"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"anyOf":[{"properties":{"k":{"const":"a"},"v":{"type":"string"},"w":{"type":"string"}}},{"$ref":"#/$defs/d"}],"$defs":{"d":{"properties":{"v":{"type":"integer"},"w":{"type":"string"}}}}}"##,
            r##"{"type":"object","description":"Must hold: anyOf [{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"string\"},\"w\":{\"type\":\"string\"}}},{\"$ref\":\"#/$defs/d\"}].","$defs":{"d":{"properties":{"v":{"type":"integer"},"w":{"type":"string"}},"additionalProperties":false}},"properties":{"k":{"type":"string"},"v":{"anyOf":[{"type":"string"},{"type":"integer"}]},"w":{"type":"string"}},"required":["k"],"additionalProperties":false}"##,
            2,
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"string","description":"D.","default":{"type":"object"},"examples":["x",{"minimum":1}]}},"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","default":{"type":"object"},"description":"D.\n\nFor example: [\"x\",{\"minimum\":1}]."}},"additionalProperties":false}"#,
            1,
        ),
    ] {
        let mut losses = Losses::default();
        assert_eq!(closed(schema, "p", &mut losses).as_deref(), Ok(want), "{schema}");
        assert_eq!(losses.count(), lost, "{schema}");
        let mut again = Losses::default();
        assert!(closed(want, "p", &mut again).is_ok());
        assert!(again.is_empty(), "what is closed stays: {want}");
    }
}

#[test]
fn what_stands_beside_a_reference_is_joined_with_what_it_leads_to() {
    let defined = r##""$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"additionalProperties":false},"e":{"properties":{"z":{"type":"integer"}},"required":["z"],"additionalProperties":false},"f":{"type":"object","$ref":"#/$defs/d","properties":{"z":{"type":"null"}}},"s":{"type":"string"}}"##;
    for (schema, want) in [
        (r##"{"$ref":"#/$defs/d"}"##, r##"{"$ref":"#/$defs/d"}"##),
        (r##"{"allOf":[{"$ref":"#/$defs/d"}],"title":"t"}"##, r##"{"title":"t","$ref":"#/$defs/d"}"##),
        (
            r##"{"$ref":"#/$defs/d","allOf":[{"$ref":"#/$defs/e"}]}"##,
            r#"{"type":"object","properties":{"b":{"type":"string"},"z":{"type":"integer"}},"required":["z"],"additionalProperties":false}"#,
        ),
        (
            r##"{"allOf":[{"$ref":"#/$defs/d","allOf":[{"properties":{"c":{"type":"string"}}}]}]}"##,
            r#"{"type":"object","properties":{"b":{"type":"string"},"c":{"type":"string"}},"additionalProperties":false}"#,
        ),
        (
            r##"{"type":"object","allOf":[{"$ref":"#/$defs/d","required":["b"],"description":"D.","minProperties":1}]}"##,
            r#"{"type":"object","description":"D.\n\nMust hold: minProperties 1.","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"#,
        ),
        (
            r##"{"allOf":[{"$ref":"#/$defs/s","minLength":3},{"$ref":"#/$defs/s","description":"x"}]}"##,
            r#"{"type":"string","description":"x\n\nMust hold: minLength 3."}"#,
        ),
        // A choice's, and where a choice leads to.
        (
            r##"{"type":"object","properties":{"k":{}},"anyOf":[{"$ref":"#/$defs/d","properties":{"own":{}}},{"$ref":"#/$defs/f"}]}"##,
            r##"{"type":"object","description":"Must hold: anyOf [{\"$ref\":\"#/$defs/d\",\"properties\":{\"own\":{}}},{\"$ref\":\"#/$defs/f\"}].","properties":{"k":{},"own":{},"b":{"type":"string"},"z":{"type":"null"}},"additionalProperties":false}"##,
        ),
        // What is required is so of an object's members.
        (
            r##"{"allOf":[{"$ref":"#/$defs/d"}],"required":["b"]}"##,
            r#"{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"#,
        ),
        (
            r##"{"$ref":"#/$defs/s","required":["b"]}"##,
            r#"{"type":"string","description":"Must hold: required [\"b\"]."}"#,
        ),
        // A member that two say something of is both.
        (
            r##"{"allOf":[{"$ref":"#/$defs/e"},{"properties":{"z":{"const":1,"description":"One."}}}]}"##,
            r#"{"properties":{"z":{"type":"integer","const":1,"description":"One."}},"required":["z"],"additionalProperties":false}"#,
        ),
        // What leads nowhere isn't followed.
        (r##"{"$ref":"https://x/y"}"##, r#"{"description":"Must hold: $ref \"https://x/y\"."}"#),
        (
            r##"{"$ref":"#/$defs/gone","properties":{}}"##,
            r##"{"description":"Must hold: $ref \"#/$defs/gone\".","properties":{},"additionalProperties":false}"##,
        ),
    ] {
        let whole = format!(r#"{{"items":{schema},{defined}}}"#);
        let got = closed(&whole, "p", &mut Losses::default()).unwrap();
        assert_eq!(Val::trusted(&got).get("items").unwrap().raw(), want, "{schema}");
    }
}

#[test]
fn pointers_stay_where_they_still_lead_to_the_same() {
    let text = r#"{"type":"string"}"#;
    let object = r#"{"properties":{"n":{"type":"string"}},"additionalProperties":false}"#;
    for (schema, pointer, stays) in [
        (format!(r#"{{"properties":{{"a":{{"items":{text}}},"b":REF}}}}"#), "#/properties/a/items", true),
        (format!(r#"{{"anyOf":[{object},REF]}}"#), "#/anyOf/0/properties/n", true),
        (
            format!(r#"{{"items":REF,"$defs":{{"a":{{"definitions":{{"b~c":{text}}}}}}}}}"#),
            "#/$defs/a/definitions/b~0c",
            true,
        ),
        (
            format!(r#"{{"properties":{{"a":{{"additionalProperties":{text}}},"b":REF}}}}"#),
            "#/properties/a/additionalProperties",
            false,
        ),
        (format!(r#"{{"oneOf":[{text},REF]}}"#), "#/oneOf/0", false),
        (format!(r#"{{"oneOf":[{{}}],"anyOf":[{text}],"items":REF}}"#), "#/anyOf/0", false),
        (
            format!(r#"{{"allOf":[{{"properties":{{"a":{text}}}}}],"properties":{{"b":REF}}}}"#),
            "#/allOf/0/properties/a",
            false,
        ),
        (format!(r#"{{"items":[{text}],"anyOf":[REF]}}"#), "#/items/0", false),
        (
            format!(r#"{{"type":["object"],"anyOf":[{object}],"properties":{{"b":REF}}}}"#),
            "#/anyOf/0/properties/n",
            false,
        ),
        (format!(r#"{{"anyOf":[{object}],"allOf":[{{}}],"items":REF}}"#), "#/anyOf/0/properties/n", false),
        (format!(r#"{{"default":{{"a":{text}}},"items":REF}}"#), "#/default/a", false),
        (format!(r#"{{"patternProperties":{{"x":{text}}},"items":REF}}"#), "#/patternProperties/x", false),
    ] {
        let reference = format!(r#"{{"title":"here","$ref":"{pointer}"}}"#);
        let got = closed(&schema.replace("REF", &reference), "p", &mut Losses::default()).unwrap();
        let here = if stays { &*reference } else { r#"{"title":"here","type":"string"}"# };
        assert!(got.contains(here), "{schema}: {got}");
        let leads_to = Definitions::of(Val::trusted(&got)).resolve(pointer, &mut Looks::shared());
        assert!(!stays || leads_to.map(Val::raw) == Some(text), "{schema}: {got}");
    }
}

#[test]
fn what_is_moved_does_not_wait_on_each_level() {
    let many =
        |value: &str| (0..20_000).map(|n| format!(r#""{n:05}":{value}"#)).collect::<Vec<_>>().join(",");
    let nested = |n: usize| {
        let open = r##"{"type":"object","allOf":[{"$ref":"#/$defs/b"}],"properties":{"x":"##;
        format!("{}{{}}{}", open.repeat(n), "}}".repeat(n))
    };
    // Words that are moved are written before what is within: there are too many long before the last level.
    let schema = format!(r#"{{"items":{},"$defs":{{"b":{{{}}}}}}}"#, nested(30), many("0"));
    let mut closer = Closer::of(Val::trusted(&schema));
    let before = closer.looks.left();
    object(|o| closer.write(o, &[Val::trusted(&schema)]));
    let spent = before - closer.looks.left();
    assert!(closer.cut && spent < 24 * schema.len(), "{} times", spent / schema.len());
    // Members do wait, and are counted.
    let schema = format!(r#"{{"items":{},"$defs":{{"b":{{"properties":{{{}}}}}}}}}"#, nested(30), many("{}"));
    let mut closer = Closer::of(Val::trusted(&schema));
    object(|o| closer.write(o, &[Val::trusted(&schema)]));
    assert!(closer.cut && closer.held.is_over());
    // So is all that choices say of one.
    let one = |n: usize| format!(r##"{{"properties":{{"a":{{"const":{n}}}}}}}"##);
    let choices = (0..100).map(one).collect::<Vec<_>>().join(",");
    let schema = format!(r#"{{"type":"object","anyOf":[{choices}]}}"#);
    let mut closer = Closer::of(Val::trusted(&schema));
    let layers = closer.layers(&[Val::trusted(&schema)]);
    let choices = closer.choices(&layers);
    let before = closer.held.left();
    let all = closer.properties(&layers, &choices);
    assert_eq!((all.len(), all[0].said.len(), before - closer.held.left()), (1, 100, 100 * MEMBER_BYTES));
}

#[test]
fn many_schemas_share_what_one_may_be_read_beyond_its_length() {
    // Each of many names says a long definition again, in few words.
    let used: Vec<String> =
        (0..99).map(|n| format!(r##""p{n}":{{"$ref":"#/$defs/a","required":[]}}"##)).collect();
    let schema = format!(
        r#"{{"properties":{{{}}},"$defs":{{"a":{{"$comment":"{}"}}}}}}"#,
        used.join(","),
        "x".repeat(8_000)
    );
    let mut shared = Looks::shared();
    let times =
        (0..1_000).take_while(|_| super::closed(&schema, "p", &mut shared, &mut Losses::default()).is_ok());
    assert!((2..30).contains(&times.count()));
    // Which leaves the others what is theirs.
    let plain = r##"{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"minimum":1}}}"##;
    assert_eq!(shared.left(), 0);
    assert!(super::closed(plain, "p", &mut shared, &mut Losses::default()).is_ok());
}

#[test]
fn a_schema_can_not_keep_us_busy() {
    let filler = "x".repeat(40_000);
    let many = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
    // Each definition joins all of the next ones.
    let joins = many(60, &|at| {
        let next = many(30, &|n| format!(r##"{{"$ref":"#/$defs/d{}"}}"##, at + 1 + n));
        format!(r#""d{at}":{{"allOf":[{next}],"not":{{"const":"{filler}"}}}}"#)
    });
    // Each of many names says all of one large definition, and more.
    let large = many(10, &|at| format!(r#""m{at}":{{"type":"string","description":"some words"}}"#));
    let multiplied =
        many(900, &|at| format!(r##""p{at}":{{"allOf":[{{"$ref":"#/$defs/d"}},{{"required":[]}}]}}"##));
    // Each of many names may be one of many, which are one large definition.
    let silent = many(6_000, &|at| format!(r#""x{at}":0"#));
    let choices = many(64, &|_| r##"{"$ref":"#/$defs/b"}"##.to_owned());
    let chosen =
        many(200, &|at| format!(r##""p{at}":{{"allOf":[{{"$ref":"#/$defs/u"}},{{"required":[]}}]}}"##));
    let chosen = format!(
        r#"{{"properties":{{{chosen}}},"$defs":{{"b":{{{silent}}},"u":{{"type":"object","anyOf":[{choices}]}}}}}}"#
    );
    let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
    let circle = r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}"##.to_owned();
    for (schema, want) in [
        (format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{joins}}}}}"##), Unclosed::Large),
        (
            format!(r#"{{"properties":{{{multiplied}}},"$defs":{{"d":{{"properties":{{{large}}}}}}}}}"#),
            Unclosed::Large,
        ),
        (chosen, Unclosed::Large),
        (deep, Unclosed::Large),
        (circle, Unclosed::Circle),
    ] {
        let mut losses = Losses::default();
        assert_eq!(closed(&schema, "p", &mut losses), Err(want), "{schema}");
        assert!(losses.is_empty(), "what isn't written has lost nothing");
    }
}

#[test]
fn references_that_lead_to_references_have_an_end() {
    // By way of what is only shown no definition is on the circle, and a long text leaves the time for many steps.
    let title = "x".repeat(1 << 20);
    let shown: Vec<String> =
        (0..5_000).map(|n| format!(r##""a{n}":{{"$ref":"#/default/a{}"}}"##, n + 1)).collect();
    for (shown, last) in [
        (r##""a0":{"$ref":"#/default/a0"}"##.to_owned(), "to itself"),
        (r##""a0":{"$ref":"#/default/b"},"b":{"$ref":"#/default/a0"}"##.to_owned(), "in a circle"),
        (shown.join(","), "in a chain"),
    ] {
        let schema = format!(
            r##"{{"title":"{title}","type":"object","allOf":[{{"$ref":"#/default/a0"}}],"default":{{{shown}}}}}"##
        );
        let mut closer = Closer::of(Val::trusted(&schema));
        let layers = closer.layers(&[Val::trusted(&schema)]).len();
        assert!(closer.cut && layers <= 2 * LAYERS_MAX, "{last}: {layers}");
        assert_eq!(closed(&schema, "p", &mut Losses::default()), Err(Unclosed::Large), "{last}");
    }
}

#[test]
fn an_ordinary_schema_is_closed_however_it_refers() {
    let many = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
    // Twenty that inherit from one.
    let base = many(10, &|at| format!(r#""b{at}":{{"type":"string","description":"What it is."}}"#));
    let heirs = many(20, &|at| {
        format!(
            r##""d{at}":{{"allOf":[{{"$ref":"#/$defs/base"}},{{"type":"object","properties":{{"own{at}":{{"type":"string"}}}}}}]}}"##
        )
    });
    let used = many(20, &|at| format!(r##""p{at}":{{"$ref":"#/$defs/d{at}"}}"##));
    let inherits = format!(
        r#"{{"type":"object","properties":{{{used}}},"$defs":{{"base":{{"type":"object","properties":{{{base}}}}},{heirs}}}}}"#
    );
    // Pointers to where something was said first.
    let again = many(60, &|at| {
        let description = "d".repeat(120);
        format!(
            r##""a{at}":{{"type":"object","properties":{{"n":{{"type":"string","description":"{description}"}}}}}},"b{at}":{{"$ref":"#/properties/a{at}"}}"##
        )
    });
    let again = format!(r#"{{"type":"object","properties":{{{again}}}}}"#);
    for (schema, closed_ones) in [(inherits, 22), (again, 61)] {
        let text = closed(&schema, "p", &mut Losses::default()).unwrap();
        assert!(text.len() <= rewritten(&schema) && Val::parse(&text).is_ok(), "{text}");
        assert_eq!(text.matches(r#""additionalProperties":false"#).count(), closed_ones, "{text}");
    }
}

#[test]
fn a_large_schema_is_closed_like_any_other() {
    let many = |of: &dyn Fn(usize) -> String| (0..4_000).map(of).collect::<Vec<_>>().join(",");
    let named = many(&|at| format!(r##""property{at}":{{"$ref":"#/$defs/definition{at}"}}"##));
    let defined = many(&|at| {
        let next = at + 1;
        format!(
            r##""definition{at}":{{"type":"object","properties":{{"next":{{"$ref":"#/$defs/definition{next}"}}}}}}"##
        )
    });
    let schema = format!(r#"{{"type":"object","properties":{{{named}}},"$defs":{{{defined}}}}}"#);
    let text = closed(&schema, "p", &mut Losses::default()).unwrap();
    assert!((schema.len()..=rewritten(&schema)).contains(&text.len()), "{}", text.len());
    assert!(Val::parse(&text).is_ok());
}

#[test]
fn patterns_that_look_around_are_known() {
    for (pattern, want) in
        [("^[a-z]{2,5}$", true), ("(?:a|b)+", true), ("(?=a)b", false), (r"(a)\1", false), (r"\bx", false)]
    {
        assert_eq!(is_plain_pattern(pattern), want, "{pattern}");
    }
}
