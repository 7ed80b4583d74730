//! What is asked for besides an answer: lists of models, guardrails, what is made up, customers, tiers.

use super::{chat, with};
use crate::scan::*;

#[test]
fn tiers_that_no_price_tells_of_concern_the_cost() {
    for (tier, costs) in [
        ("auto", false),
        ("default", false),
        ("standard_only", false),
        ("flex", false),
        ("priority", false),
        ("ultrafast", false),
        ("scale", true),
        ("warp", true),
    ] {
        let scanned = chat(&with(&format!(r#""service_tier":"{tier}""#))).unwrap();
        assert_eq!(scanned.facts().has(Concern::Cost), costs, "{tier}");
    }
}

#[test]
fn a_long_name_of_a_customer_is_cut_and_stays_distinct() {
    let customer = |end: &str| {
        let body = with(&format!(r#""user":"{}{end}""#, "u".repeat(1_000)));
        chat(&body).unwrap().facts().customer.clone().unwrap()
    };
    assert_eq!(customer("1").len(), 256);
    assert_ne!(customer("1"), customer("2"));
}

#[test]
fn a_list_of_models_is_tried_in_order() {
    for (fields, model, fallbacks) in [
        (r#""fallbacks":["x",{"model":"y","messages":[]}]"#, "m", Some(vec!["x", "y"])),
        (r#""fallbacks":[]"#, "m", None),
        (r#""fallbacks":null"#, "m", None),
        (r#""disable_fallbacks":true,"fallbacks":["x"]"#, "m", Some(vec![])),
        (r#""disable_fallbacks":false"#, "m", None),
    ] {
        let facts = chat(&with(fields)).unwrap().facts().clone();
        let call = facts.call("c".into(), Format::OpenaiChat);
        let fallbacks = fallbacks.map(|all| all.into_iter().map(Into::into).collect());
        assert_eq!((call.model.as_str(), call.fallbacks), (model, fallbacks), "{fields}");
        let ignored = if fields.contains("messages") { vec!["fallbacks[1].messages"] } else { vec![] };
        assert_eq!(facts.ignored, ignored, "{fields}");
    }
    let scanned = chat(&with("\"fallbacks\":[\"z\"]").replace("\"m\"", "\"a, b\"")).unwrap();
    let call = scanned.facts().call("c".into(), Format::OpenaiChat);
    assert_eq!((call.model.as_str(), call.fallbacks), ("a", Some(vec!["b".into(), "z".into()])));
}

#[test]
fn a_malformed_list_of_models_is_refused_with_its_name() {
    for (fields, at) in [
        (r#""fallbacks":"x""#, "fallbacks"),
        (r#""fallbacks":{"model":"x"}"#, "fallbacks"),
        (r#""fallbacks":["x",5]"#, "fallbacks[1]"),
        (r#""fallbacks":[""]"#, "fallbacks[0]"),
        (r#""fallbacks":[{"messages":[]}]"#, "fallbacks[0]"),
        (r#""disable_fallbacks":"yes""#, "disable_fallbacks"),
        (r#""mock_response":5"#, "mock_response"),
        (r#""mock_timeout":"yes""#, "mock_timeout"),
        (
            r#""mock_testing_fallbacks":true,"mock_testing_context_fallbacks":true"#,
            "mock_testing_context_fallbacks",
        ),
    ] {
        let error = chat(&with(fields)).unwrap_err();
        assert_eq!(error.param(), Some(at), "{fields}: {error}");
    }
    let many = format!("\"fallbacks\":[{}]", vec!["\"x\""; 17].join(","));
    assert_eq!(chat(&with(&many)).unwrap_err().param(), Some("fallbacks"));
    for list in ["a,", ",a", "a,,b", "a, ,b"] {
        let error = chat(&with("\"n\":1").replace("\"m\"", &format!("\"{list}\""))).unwrap_err();
        assert_eq!(error.param(), Some("model"), "{list}");
    }
}

#[test]
fn what_is_made_up_is_told_and_never_sent() {
    let scanned =
        chat(&with(r#""mock_response":"hi","mock_timeout":false,"mock_testing_fallbacks":true"#)).unwrap();
    let mock = scanned.facts().mock.clone().unwrap();
    assert_eq!((mock.field, mock.response.as_deref(), mock.timeout), ("mock_response", Some("hi"), false));
    assert_eq!(mock.rehearse, Some(sluicegate_core::Rehearsal::Failure));
    let sent = scanned.prepare(&crate::Edits::default(), Format::OpenaiChat).unwrap().body;
    assert!(!String::from_utf8_lossy(&sent).contains("mock"), "{sent:?}");
    assert_eq!(chat(&with(r#""mock_timeout":false,"mock_response":null"#)).unwrap().facts().mock, None);
}

#[test]
fn guardrails_are_named_and_never_sent() {
    for (fields, named, ignored, sent) in [
        (r#""guardrails":["a","b","a"]"#, &["a", "b"][..], &[][..], ""),
        (r#""guardrails":[{"a":{"extra_body":{"x":1}}},{"b":{}}]"#, &["a", "b"], &["guardrails.a"], ""),
        (r#""guardrails":"a""#, &["a"], &[], ""),
        (r#""guardrails":[]"#, &[], &[], ""),
        (r#""guardrails":null"#, &[], &[], ""),
        (r#""metadata":{"guardrails":["a"]},"guardrails":["b"]"#, &["a", "b"], &[], ""),
        (r#""metadata":{"k":"v","guardrails":["a"]}"#, &["a"], &[], r#","metadata":{"k":"v"}"#),
        // What is no list there is data of the caller's.
        (r#""metadata":{"guardrails":"none"}"#, &[], &[], r#","metadata":{"guardrails":"none"}"#),
        (r#""metadata":{"tags":[]}"#, &[], &[], ""),
    ] {
        let scanned = chat(&with(fields)).unwrap();
        let facts = scanned.facts();
        assert_eq!(
            (facts.guardrails.as_slice(), facts.ignored.as_slice()),
            (
                &named.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()[..],
                &ignored.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()[..],
            ),
            "{fields}"
        );
        let body = scanned.prepare(&crate::Edits::default(), Format::OpenaiChat).unwrap().body;
        let want = with("\"x\":0").replace(r#","x":0"#, sent);
        assert_eq!(String::from_utf8_lossy(&body), want, "{fields}");
        for format in [Format::AnthropicMessages, Format::GeminiGenerate, Format::OpenaiResponses] {
            let prepared = scanned.prepare(&crate::Edits::default(), format).unwrap();
            let lost = prepared.losses.iter().any(|loss| loss.to_string().contains("guardrails"));
            // Where the target has a place for it, it stays data of the caller's.
            let kept = format == Format::OpenaiResponses && sent.contains("guardrails");
            let is_sent = String::from_utf8_lossy(&prepared.body).contains("guardrails");
            assert_eq!((lost, is_sent), (false, kept), "{fields}");
        }
    }
    for (fields, at) in [
        (r#""guardrails":5"#, "guardrails"),
        (r#""guardrails":{"a":{}}"#, "guardrails"),
        (r#""guardrails":["a",5]"#, "guardrails"),
        (r#""metadata":{"guardrails":[5]}"#, "metadata.guardrails"),
    ] {
        let error = chat(&with(fields)).unwrap_err();
        assert_eq!(error.param(), Some(at), "{fields}: {error}");
    }
    let many: Vec<_> = (0..65).map(|n| format!("\"g{n}\"")).collect();
    let many = format!("\"guardrails\":[{}]", many.join(","));
    assert_eq!(chat(&with(&many)).unwrap_err().param(), Some("guardrails"));
}
