use super::*;

fn cleaned(schema: &str) -> (Option<String>, bool) {
    super::cleaned(schema, &mut Looks::shared())
}

fn clean(schema: &str) -> (String, bool) {
    let (text, lossy) = cleaned(schema);
    let text = text.unwrap_or_default();
    assert!(text.is_empty() || Val::parse(&text).is_ok(), "{text}");
    (text, lossy)
}

#[test]
fn older_models_get_what_they_take() {
    for (schema, want, lossy) in [
        (r#"{"type":"object","properties":{}}"#, "", false),
        (r#"{}"#, "", false),
        (
            r#"{"$schema":"x","type":"object","title":"T","properties":{"a":{"type":["string","null"],"default":""},"n":{"type":"integer","minimum":1}},"required":["a","gone"],"additionalProperties":false}"#,
            r#"{"type":"OBJECT","properties":{"a":{"nullable":true,"type":"STRING"},"n":{"type":"INTEGER","minimum":1}},"required":["a"]}"#,
            false,
        ),
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"array","items":{"const":"x"}}}}"##,
            r#"{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"STRING","format":"enum","enum":["x"]}}}}"#,
            false,
        ),
        (
            r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string","description":"d"},{"type":"null"}]},"b":{"oneOf":[{"type":"number"},{"type":"boolean"}]}}}"#,
            r#"{"type":"OBJECT","properties":{"a":{"nullable":true,"type":"STRING"},"b":{"anyOf":[{"type":"NUMBER"},{"type":"BOOLEAN"}]}}}"#,
            true,
        ),
        (
            r#"{"properties":{"a":{"type":["string","number"]},"u":{"type":"string","format":"uri"}}}"#,
            r#"{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]},"u":{"type":"STRING"}}}"#,
            true,
        ),
        (
            r#"{"allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{}}}]}"#,
            r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["a"]}"#,
            false,
        ),
    ] {
        let (got, lost) = clean(schema);
        assert_eq!(got.replace(r#""description":"d","#, ""), want, "{schema}");
        assert_eq!(lost, lossy, "{schema}");
    }
}

#[test]
fn no_schema_is_read_more_often_than_its_bound() {
    let ends = |of: &dyn Fn(usize) -> String, n: usize| (0..n).map(of).collect::<Vec<_>>().join(",");
    // Many names for parts of one large definition: each is read once or twice.
    let apart = format!(
        r##"{{"properties":{{{}}},"$defs":{{{}}}}}"##,
        ends(&|n| format!(r##""p{n}":{{"$ref":"#/$defs/d{n}"}}"##), 20_000),
        ends(&|n| format!(r#""d{n}":{{"type":"string"}}"#), 20_000),
    );
    // One large definition by many names: some are read.
    let again = format!(
        r##"{{"properties":{{{}}},"$defs":{{"d":{{"type":"string","not":{{{}}}}}}}}}"##,
        ends(&|n| format!(r##""p{n}":{{"$ref":"#/$defs/d"}}"##), 1_000),
        ends(&|n| format!(r#""d{n}":{{"type":"string"}}"#), 20_000),
    );
    for (schema, times, known) in [(apart, 1..6, 20_000..20_001), (again, 64..80, 64..80)] {
        let root = Val::trusted(&schema);
        let mut cleaner = Cleaner::of(root);
        let before = cleaner.looks.left();
        let text = object(|o| cleaner.write(o, root, 0));
        assert!(Val::parse(&text).is_ok() && cleaner.lossy);
        let spent = (before - cleaner.looks.left()) / schema.len();
        assert!(times.contains(&spent), "{spent} times");
        let strings = text.matches("STRING").count();
        assert!(known.contains(&strings), "{strings}");
    }
}

#[test]
fn many_schemas_share_what_one_may_be_read_beyond_its_length() {
    let each = |n: usize| format!(r##""p{n}":{{"$ref":"#/$defs/a"}}"##);
    let all: Vec<String> = (0..20).map(each).collect();
    let schema =
        format!(r##"{{"$ref":"#/$defs/a","$defs":{{"a":{{"properties":{{{}}}}}}}}}"##, all.join(","));
    let mut shared = Looks::shared();
    let lengths: Vec<usize> =
        (0..200).map(|_| super::cleaned(&schema, &mut shared).0.map_or(0, |text| text.len())).collect();
    // Those behind are less deep, and there.
    assert!(lengths[0] > 2 * schema.len() && lengths[199] < lengths[0], "{lengths:?}");
    assert!(shared.left() == 0 && lengths[199] > schema.len() / 2, "{lengths:?}");
}

#[test]
fn one_type_named_often_is_one() {
    let names: Vec<String> = (0..9_000).map(|n| format!(r#""p{n}":{{}}"#)).collect();
    let kinds = vec![r#""object""#; 10_000].join(",");
    let schema = format!(r#"{{"type":[{kinds}],"properties":{{{}}}}}"#, names.join(","));
    let root = Val::trusted(&schema);
    let mut cleaner = Cleaner::of(root);
    let text = object(|o| cleaner.write(o, root, 0));
    assert_eq!(text.matches(r#""p8999""#).count(), 1);
    // What is too long is given up at once, however many types there are.
    let kinds: Vec<String> = (0..1_000).map(|n| format!(r#""object","array{n}""#)).collect();
    let schema = format!(
        r##"{{"properties":{{"a":{{"$ref":"#/$defs/d"}},"b":{{"$ref":"#/$defs/d"}}}},"$defs":{{"d":{{"type":[{}],"properties":{{{}}}}}}}}}"##,
        kinds.join(","),
        names.join(",")
    );
    let root = Val::trusted(&schema);
    let mut cleaner = Cleaner { most: 10_000, ..Cleaner::of(root) };
    let text = object(|o| cleaner.write(o, root, 0));
    assert!((10_000..10_500).contains(&text.len()), "{}", text.len());
}

#[test]
fn what_many_refer_to_is_written_in_each_place() {
    let money = r#"{"type":"object","description":"An amount of money with its currency.","properties":{"amount":{"type":"number","description":"The amount in units of the currency."},"currency":{"type":"string","description":"ISO 4217 code."}},"required":["amount","currency"]}"#;
    let names: Vec<String> = (0..15).map(|n| format!("sum{n}")).collect();
    let used: Vec<String> =
        names.iter().map(|name| format!(r##""{name}":{{"$ref":"#/%24defs/Money%3CT%3E"}}"##)).collect();
    let schema =
        format!(r#"{{"type":"object","properties":{{{}}},"$defs":{{"Money<T>":{money}}}}}"#, used.join(","));
    let (text, lossy) = clean(&schema);
    assert!(!lossy && text.len() > 3 * schema.len() + 128, "{text}");
    assert_eq!(
        text.matches(r#""amount":{"description":"The amount in units of the currency.","type":"NUMBER"}"#)
            .count(),
        15
    );
}

#[test]
fn what_is_beyond_the_bound_keeps_its_type() {
    let schema = r##"{"properties":{"s":{"type":["string","null"]},"e":{"$ref":"#/$defs/e"},"n":{"anyOf":[{"type":"null"},{"type":"integer"}]},"l":{"type":"array","items":{"type":"number"}},"o":{"properties":{"a":{"type":"string"}}},"x":{}},"$defs":{"e":{"enum":["a"]}}}"##;
    let root = Val::trusted(schema);
    let mut cleaner = Cleaner { depth: 1, ..Cleaner::of(root) };
    let text = object(|o| cleaner.write(o, root, 0));
    assert_eq!(
        text,
        r#"{"type":"OBJECT","properties":{"s":{"type":"STRING"},"e":{"type":"STRING","format":"enum","enum":["a"]},"n":{"type":"INTEGER"},"l":{"type":"ARRAY","items":{"type":"NUMBER"}},"o":{"type":"OBJECT"},"x":{"type":"STRING"}}}"#
    );
    assert!(cleaner.lossy);
}

#[test]
fn a_schema_that_refers_to_itself_has_an_end() {
    let (text, lossy) = clean(
        r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"allOf":[{"$ref":"#"},{"$ref":"#/properties/c"}]}}}"##,
    );
    assert!(lossy && (90..2_048).contains(&text.len()), "{text}");
    assert!(cleaned(r##"{"$ref":"#"}"##).1);
    // Each definition says the next one twice.
    let defined: Vec<String> = (0..20)
        .map(|n| {
            let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, n + 1);
            format!(r#""d{n}":{{"type":"object","properties":{{"a":{next},"b":{next}}}}}"#)
        })
        .collect();
    let schema = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, defined.join(","));
    let (text, lossy) = clean(&schema);
    assert!(lossy && (1_000..rewritten(&schema)).contains(&text.len()), "{}", text.len());
}

#[test]
fn what_stands_behind_a_deep_tree_keeps_its_type() {
    for kinds in [2, 5, 20] {
        let node = |n: usize| {
            format!(
                r##""n{n}":{{"type":"object","properties":{{"left":{{"$ref":"#/$defs/e"}},"right":{{"$ref":"#/$defs/e"}},"args":{{"type":"array","items":{{"$ref":"#/$defs/e"}}}},"name":{{"type":"string"}},"kind":{{"const":"n{n}"}}}},"required":["kind"]}}"##
            )
        };
        let nodes: Vec<String> = (0..kinds).map(node).collect();
        let any: Vec<String> = (0..kinds).map(|n| format!(r##"{{"$ref":"#/$defs/n{n}"}}"##)).collect();
        let schema = format!(
            r##"{{"type":"object","properties":{{"root":{{"$ref":"#/$defs/e"}},"title":{{"type":"string"}}}},"$defs":{{"e":{{"anyOf":[{}]}},{}}}}}"##,
            any.join(","),
            nodes.join(",")
        );
        let (text, lossy) = clean(&schema);
        assert!(lossy && text.ends_with(r#""title":{"type":"STRING"}}}"#), "{kinds}: {text}");
    }
}

#[test]
fn references_that_lead_to_references_have_an_end() {
    let title = "x".repeat(1 << 20);
    let chain: Vec<String> =
        (0..5_000).map(|n| format!(r##""a{n}":{{"$ref":"#/$defs/a{}"}}"##, n + 1)).collect();
    for (defs, last) in [
        (r##""a0":{"$ref":"#/$defs/a0"}"##.to_owned(), "to itself"),
        (r##""a0":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a0"}"##.to_owned(), "in a circle"),
        (chain.join(","), "in a chain"),
    ] {
        let schema = format!(
            r##"{{"title":"{title}","properties":{{"b":{{"$ref":"#/$defs/a0"}},"c":{{"type":"string"}}}},"$defs":{{{defs}}}}}"##
        );
        let root = Val::trusted(&schema);
        let mut cleaner = Cleaner::of(root);
        let one = Val::trusted(&schema).get("properties").and_then(|all| all.get("b")).unwrap();
        assert!(cleaner.layers(one).len() <= 2 * LAYERS_MAX && cleaner.lossy, "{last}");
        let (text, lossy) = cleaned(&schema);
        assert!(lossy && text.unwrap().contains(r#""c":{"type":"STRING"}"#), "{last}");
    }
    // Each of many that are joined has its own.
    let joined: Vec<String> = (0..31).map(|n| format!(r##"{{"$ref":"#/$defs/d{n}"}}"##)).collect();
    let defs: Vec<String> =
        (0..31).map(|n| format!(r#""d{n}":{{"properties":{{"p{n}":{{"type":"string"}}}}}}"#)).collect();
    let schema =
        format!(r#"{{"type":"object","allOf":[{}],"$defs":{{{}}}}}"#, joined.join(","), defs.join(","));
    assert_eq!(clean(&schema).0.matches("STRING").count(), 31);
}

#[test]
fn choices_that_wait_are_counted_and_not_all_written() {
    let schema = format!(r##"{{"anyOf":[{{"$ref":"#"}}{}]}}"##, ",{}".repeat(200_000));
    let mut cleaner = Cleaner::of(Val::trusted(&schema));
    cleaner.most = rewritten(&schema);
    let text = object(|o| cleaner.write(o, Val::trusted(&schema), 0));
    assert!(text.len() < 2 * cleaner.most && cleaner.held.is_over(), "{}", text.len());
}

#[test]
fn all_that_a_schema_joins_is_read_or_missed_by_name() {
    let joined: Vec<String> =
        (0..40).map(|n| format!(r#"{{"properties":{{"p{n}":{{"type":"string"}}}}}}"#)).collect();
    let (text, lossy) = clean(&format!(r#"{{"type":"object","allOf":[{}]}}"#, joined.join(",")));
    assert!(lossy && text.matches("STRING").count() == LAYERS_MAX - 1, "{text}");
}

#[test]
fn members_that_wait_are_counted() {
    // They wait on each of its levels.
    let many: String = (0..20_000).map(|n| format!(r#","{n}":0"#)).collect();
    let schema = format!(r##"{{"type":"object","properties":{{"a":{{"$ref":"#"}}{many}}}}}"##);
    let mut cleaner = Cleaner::of(Val::trusted(&schema));
    cleaner.most = rewritten(&schema);
    object(|o| cleaner.write(o, Val::trusted(&schema), 0));
    assert!(cleaner.held.is_over());
    assert!(cleaned(&schema).1);
}

#[test]
fn schemas_of_geminis_become_json_schema() {
    let schema = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"format":"enum","enum":["x"]},"l":{"type":"ARRAY","min_items":"3","items":{"type":"INTEGER","format":"int32"}},"type":{"anyOf":[{"type":"NUMBER"}],"nullable":true}},"propertyOrdering":["a"],"required":["a"]}"#;
    assert_eq!(
        json_schema(Val::trusted(schema)),
        r#"{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"]},"l":{"type":"array","minItems":3,"items":{"type":"integer","format":"int32"}},"type":{"anyOf":[{"type":"number"},{"type":"null"}]}},"required":["a"]}"#
    );
    // What is no schema stays as it is, and nothing is said more often than it stands there.
    for odd in [
        r#"{"items":1,"properties":[],"anyOf":"x"}"#,
        r#"{"anyOf":[{}],"anyOf":[{}],"any_of":[{}],"nullable":true}"#,
        r#"{"type":"A","type":"B","type":"C","nullable":true}"#,
    ] {
        let got = json_schema(Val::trusted(odd));
        assert!(got.len() <= odd.len() && Val::parse(&got).is_ok(), "{got}");
    }
}
