//! The table of decisions, through the envelope in Rust. Python and C run the same files.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use sluicegate::envelope::Host;
use sluicegate_tests::{data, table};

#[test]
fn every_case_is_answered_as_the_table_says() {
    let cases = table::cases(&data().join("decide"));
    assert!(cases.len() >= 25, "only {} cases were found", cases.len());
    let open = |options: &str| {
        Host::open(options).map_err(
            |error| json!({"kind": error.kind().as_str(), "code": error.kind().code(), "message": error.message()}),
        )
    };
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| table::run(case, open, |host: &mut Host, request| host.handle(request)).err())
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// The matcher is what all of the above rests on.
#[test]
fn the_matcher_tells_what_differs() {
    let holds = |want, got| table::Bound::default().check(&want, &got).is_ok();
    assert!(holds(json!({"a": 1, "b": null}), json!({"a": 1, "c": 2})));
    assert!(!holds(json!({"a": 1}), json!({"a": 2})));
    assert!(!holds(json!({"a": null}), json!({"a": 2})));
    assert!(!holds(json!([1]), json!([1, 2])));
    assert!(holds(json!({"$has": [1, 3]}), json!([1, 2, 3])));
    assert!(!holds(json!({"$has": [3, 1]}), json!([1, 2, 3])));
    assert!(!holds(json!({"$lacks": [3]}), json!([1, 2, 3])));
    assert!(holds(json!({"$text": "b"}), json!("abc")));
    assert!(!holds(json!({"$text": "x"}), json!("abc")));
    assert!(holds(json!({"$json": {"a": 1}}), json!("{\"a\": 1}")));
    assert!(holds(json!(["$x", "$x"]), json!([1, 1])));
    assert!(!holds(json!(["$x", "$x"]), json!([1, 2])));
    assert!(!holds(json!({"$typo": 1}), json!(1)));
}
