use super::*;
use crate::scan::scan;

fn edit(body: &str, edits: &Edits<'_>) -> String {
    let scanned = scan(Format::OpenaiChat, &Bytes::from(body.to_owned())).unwrap();
    String::from_utf8(splice(&scanned, edits).to_vec()).unwrap()
}

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"a":1,"b":2}"#;

#[test]
fn nothing_to_do_keeps_the_very_bytes() {
    let body = Bytes::from_static(BODY.as_bytes());
    let scanned = scan(Format::OpenaiChat, &body).unwrap();
    let same = Edits { model: Some("m"), include_usage: true, ..Edits::default() };
    assert_eq!(splice(&scanned, &same).as_ptr(), body.as_ptr());
}

#[test]
fn members_leave_from_any_place() {
    for (drop, want) in [
        (&["model"][..], r#"{"messages":[{"role":"user","content":"x"}],"a":1,"b":2}"#),
        (&["a"], r#"{"model":"m","messages":[{"role":"user","content":"x"}],"b":2}"#),
        (&["b", "nope"], r#"{"model":"m","messages":[{"role":"user","content":"x"}],"a":1}"#),
        (&["model", "messages", "a", "b"], "{}"),
    ] {
        assert_eq!(edit(BODY, &Edits { drop, ..Edits::default() }), want);
    }
}

#[test]
fn the_ceiling_finds_its_field() {
    let ceiling = |model, field| {
        let text = edit(
            BODY,
            &Edits { model: Some(model), max_output: Some(9), ceiling_field: field, ..Edits::default() },
        );
        text.rsplit(',').next().unwrap().to_owned()
    };
    assert_eq!(ceiling("gpt-4o", CeilingField::AsSent), r#""max_tokens":9}"#);
    for model in ["o3-mini", "openai/gpt-5.1", "gpt-5", "o1"] {
        assert_eq!(ceiling(model, CeilingField::AsSent), r#""max_completion_tokens":9}"#, "{model}");
    }
    for model in ["o3000", "gpt-50", "olmo"] {
        assert_eq!(ceiling(model, CeilingField::AsSent), r#""max_tokens":9}"#, "{model}");
    }
    assert_eq!(ceiling("gpt-5", CeilingField::MaxTokens), r#""max_tokens":9}"#);
    let moved = edit(
        r#"{"max_tokens":5,"model":"m","messages":[{"role":"user"}]}"#,
        &Edits { max_output: Some(3), ceiling_field: CeilingField::MaxCompletionTokens, ..Edits::default() },
    );
    assert_eq!(moved, r#"{"model":"m","messages":[{"role":"user"}],"max_completion_tokens":3}"#);
}

proptest::proptest! {
    #[test]
    fn edits_change_what_they_name_and_nothing_else(
        fields in proptest::collection::btree_map("[a-h\"é]{1,3}", "[a-z\"\\\\é]{0,4}", 0..6),
        model in ".{1,8}",
        max in 1u64..1000,
    ) {
        let mut value = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 7});
        for (name, text) in &fields {
            value[format!("x_{name}")] = text.clone().into();
        }
        let edited = edit(&value.to_string(), &Edits { model: Some(&model), max_output: Some(max), ..Edits::default() });
        value["model"] = model.into();
        value["max_tokens"] = max.into();
        proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&edited).unwrap(), value);
    }
}
