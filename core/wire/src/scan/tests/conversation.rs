//! What ties a call to those before it: its opening, signatures.

use super::chat;
use crate::scan::*;

#[test]
fn a_conversation_is_known_by_its_opening_as_it_goes_on() {
    let body = |messages: &str, more: &str| format!(r#"{{"model":"m"{more},"messages":[{messages}]}}"#);
    let said =
        |scanned: Result<Scanned>| scanned.unwrap().facts().call("c".into(), Format::OpenaiChat).conversation;
    let system = format!(r#"{{"role":"system","content":"{}"}}"#, "Be brief. ".repeat(200));
    let first = format!(r#"{system},{{"role":"user","content":"one"}}"#);
    let later = format!(r#"{first},{{"role":"assistant","content":"1"}},{{"role":"user","content":"two"}}"#);
    let other = format!(r#"{system},{{"role":"user","content":"two"}}"#);
    let opening = said(chat(&body(&first, "")));
    assert!(opening.is_some());
    assert_eq!(said(chat(&body(&later, ""))), opening);
    assert_ne!(said(chat(&body(&other, ""))), opening);
    assert_eq!(said(chat(&body(&system, ""))), None, "nobody has asked anything");
    assert_eq!(said(chat(&body(&first, r#","user":"u""#))), None, "the customer is told apart by the engine");
    let keyed = said(chat(&body(&first, r#","user":"u","prompt_cache_key":"k""#)));
    assert_eq!(said(chat(&body(&other, r#","prompt_cache_key":"\u006b""#))), keyed);
    assert_ne!(said(chat(&body(&first, r#","prompt_cache_key":null"#))), keyed);
}

#[test]
fn marks_that_move_on_with_each_turn_are_no_part_of_a_conversation() {
    let said = |messages: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{messages}]}}"#);
        scan(Format::AnthropicMessages, &body.into())
            .unwrap()
            .facts()
            .call("c".into(), Format::AnthropicMessages)
            .conversation
    };
    let user = |mark: &str| {
        format!(r#"{{"role":"user","content":[{{"type":"text","text":"a \"cache_control\": b"{mark}}}]}}"#)
    };
    let plain = said(&user(""));
    assert!(plain.is_some());
    for mark in [
        r#","cache_control":{"type":"ephemeral"}"#,
        r#" , "cache_control" : {"type":"ephemeral","ttl":"1h"}"#,
    ] {
        assert_eq!(said(&user(mark)), plain, "{mark}");
    }
    assert_ne!(said(&user(r#","citations":null"#)), plain);
}

#[test]
fn signatures_bind_a_conversation_to_their_issuer() {
    let bound = |format, last: &str, more: &str| {
        let body = format!(r#"{{"model":"m"{more},"messages":[{{"role":"user","content":"q"}},{last}]}}"#);
        scan(format, &body.into()).unwrap().facts().call("c".into(), format).bound
    };
    let said = |part: &str| format!(r#"{{"role":"assistant","content":[{part}]}}"#);
    let thought = |signature: &str| {
        said(&format!(r#"{{"type":"thinking","thinking":"hm","signature":"{signature}"}}"#))
    };
    let (anthropic, chat) = (Format::AnthropicMessages, Format::OpenaiChat);
    assert!(bound(anthropic, &thought("s=="), ""));
    assert!(bound(anthropic, &said(r#"{"type":"redacted_thinking","data":"zz"}"#), ""));
    let plain = said(r#"{"type":"text","text":"\"signature\":\"s\""}"#);
    assert!(!bound(anthropic, &plain, ""));
    assert!(!bound(anthropic, &thought(""), ""), "nobody signed it");
    let input =
        r#"{"type":"tool_use","id":"1","name":"f","input":{"signature":"s","type":"redacted_thinking"}}"#;
    assert!(!bound(anthropic, &said(input), ""), "a tool's input is the caller's own");
    // The answer will be signed: the next turn must find whoever signed it.
    for kind in ["enabled", "adaptive"] {
        let more = format!(r#","thinking":{{"type":"{kind}"}}"#);
        assert!(bound(anthropic, &plain, &more), "{kind}");
        assert!(!bound(chat, &plain, &more), "{kind}");
    }
    assert!(!bound(anthropic, &plain, r#","thinking":{"type":"disabled"}"#));
    let blocks = |blocks: &str| format!(r#"{{"role":"assistant","content":"","thinking_blocks":{blocks}}}"#);
    assert!(bound(chat, &blocks(r#"[ {"type":"thinking","signature":"s"}]"#), ""));
    assert!(!bound(chat, &blocks("[]"), "") && !bound(chat, &blocks("null"), ""));
}
