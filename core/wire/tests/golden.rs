//! Wire fixtures and what becomes of them: `tests/data/wire` holds the inputs, its `snapshots` what they turn into.
//!
//! Accept changed results with `INSTA_UPDATE=always cargo test -p sluicegate-wire --test golden`, then read the diff.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests read their fixtures from files and fail by panicking"
)]

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate_core::{ErrorKind, Format};
use sluicegate_wire::{
    Addressed, Bridge, BridgeOptions, CeilingField, Edits, End, Report, scan, scan_addressed,
};

fn load(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn format(v: &Value) -> Format {
    match v.as_str().unwrap() {
        "openai_chat" => Format::OpenaiChat,
        "openai_embeddings" => Format::OpenaiEmbeddings,
        "anthropic_messages" => Format::AnthropicMessages,
        "gemini_generate" => Format::GeminiGenerate,
        "openai_responses" => Format::OpenaiResponses,
        "cohere_chat" => Format::CohereChat,
        "ollama_chat" => Format::OllamaChat,
        other => Format::SINGLE
            .into_iter()
            .find(|format| format.as_str() == other)
            .unwrap_or_else(|| panic!("unknown format {other}")),
    }
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/data/wire/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn pretty(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(v) => serde_json::to_string_pretty(&v).unwrap(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Spliced bodies are shown as they are, translated ones laid out.
fn prepared(case: &Value) -> String {
    let body = match &case["raw"] {
        Value::String(raw) => Bytes::from(raw.clone()),
        _ => Bytes::from(serde_json::to_vec(&case["body"]).unwrap()),
    };
    let (from, to) = (format(&case["from"]), format(&case["to"]));
    let strings = |v: &Value| -> Vec<String> {
        v.as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_owned()).collect()
    };
    let drop = strings(&case["edits"]["drop"]);
    let drop: Vec<&str> = drop.iter().map(String::as_str).collect();
    let set: Vec<(String, String)> = case["edits"]["set"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.to_string()))
        .collect();
    let set: Vec<(&str, &str)> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let edits = Edits {
        model: case["edits"]["model"].as_str(),
        max_output: case["edits"]["max_output"].as_u64(),
        ceiling_field: CeilingField::AsSent,
        include_usage: case["edits"]["include_usage"] == true,
        web_search: case["edits"]["web_search"].as_bool(),
        quirks: None,
        drop: &drop,
        set: &set,
    };
    let mut out = format!("{}\n\n", case["note"].as_str().unwrap());
    let address = case["address"].as_object().map(|address| Addressed {
        model: address["model"].as_str().unwrap(),
        stream: address["stream"] == true,
    });
    let result =
        scan_addressed(from, &body, address).and_then(|scanned| Ok((scanned.prepare(&edits, to)?, scanned)));
    match result {
        Err(e) => writeln!(out, "refused: {} ({}, param {:?})", e.message(), e.kind(), e.param()).unwrap(),
        Ok((prepared, scanned)) => {
            let text = if from == to {
                String::from_utf8_lossy(&prepared.body).into_owned()
            } else {
                pretty(&prepared.body)
            };
            serde_json::from_slice::<Value>(&prepared.body).expect("what is sent is JSON");
            writeln!(out, "{text}\n").unwrap();
            for loss in &prepared.losses {
                writeln!(out, "{loss}").unwrap();
            }
            let facts = scanned.facts();
            writeln!(
                out,
                "bound {:?}, max output {:?}, hides usage {}",
                facts.input_bound(),
                facts.max_output,
                prepared.reply.hide_usage
            )
            .unwrap();
            if facts.bound {
                writeln!(out, "bound by signatures").unwrap();
            }
            if !facts.concerns.is_empty() {
                writeln!(out, "concerns {:?}", facts.concerns).unwrap();
            }
        }
    }
    out
}

#[test]
fn requests() {
    each("request", prepared);
}

fn each(dir: &str, run: impl Fn(&Value) -> String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/wire").join(dir);
    let mut paths: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no fixtures in {}", root.display());
    for path in paths {
        let name = format!("{dir}__{}", path.file_stem().unwrap().to_str().unwrap());
        snapshot(&name, &run(&load(&path)));
    }
}

/// The options that a real call would have: they come from a prepared request.
fn options(case: &Value) -> BridgeOptions {
    let (caller, upstream) = (format(&case["caller"]), format(&case["upstream"]));
    let mut request =
        json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
    if caller == Format::GeminiGenerate {
        request = json!({"model": "m", "contents": [{"parts": [{"text": "hi"}]}]});
    }
    if caller == Format::OpenaiEmbeddings {
        request = json!({"model": "m", "input": "hi"});
    }
    if caller == Format::OpenaiResponses {
        request = json!({"model": "m", "input": "hi"});
    }
    let fields = match caller {
        Format::OpenaiModerations => json!({"input": "hi"}),
        Format::Rerank => json!({"query": "q", "documents": ["hi"]}),
        single if single.is_single() => json!({"prompt": "hi"}),
        _ => json!({}),
    };
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    request["stream"] = case["caller_streams"].clone();
    for (name, value) in case["request"].as_object().into_iter().flatten() {
        request[name] = value.clone();
    }
    let edits = Edits { include_usage: case["include_usage"] == true, ..Edits::default() };
    let body = Bytes::from(request.to_string());
    let prepared = scan(caller, &body).unwrap().prepare(&edits, upstream).unwrap();
    BridgeOptions {
        caller_streams: case["caller_streams"] == true,
        upstream_streams: case["upstream_streams"] == true,
        reply: prepared.reply,
        present_model: case["present_model"].as_str().map(Into::into),
        id: "0001".into(),
        created_s: 1_700_000_000,
        input_estimate: 7,
        ..BridgeOptions::new(caller, upstream)
    }
}

fn upstream(case: &Value) -> Bytes {
    if let Some(lines) = case["stream"].as_array() {
        // A line that is an object is an event of Anthropic's or Cohere's, an OpenAI chunk, or a line of Ollama's.
        let mut text = String::new();
        let is_lines = case["upstream"] == "ollama_chat";
        for line in lines {
            match (line, line.get("type").and_then(Value::as_str)) {
                (v @ Value::Object(_), _) if is_lines => writeln!(text, "{v}").unwrap(),
                (Value::String(raw), _) => text.push_str(raw),
                (v, Some(kind)) => write!(text, "event: {kind}\ndata: {v}\n\n").unwrap(),
                (v, None) => write!(text, "data: {v}\n\n").unwrap(),
            }
        }
        return Bytes::from(text);
    }
    Bytes::from(match &case["body"] {
        Value::String(raw) => raw.clone(),
        v => v.to_string(),
    })
}

fn end(case: &Value) -> End {
    match case["end"].as_str() {
        None | Some("eof") => End::Eof,
        Some("gone") => End::ClientGone,
        Some(message) => End::Failed(Report::new(ErrorKind::UpstreamTimeout, message)),
    }
}

fn deliver(case: &Value, pieces: usize) -> (String, String) {
    let mut bridge = Bridge::new(options(case));
    let mut out = Vec::new();
    let bytes = upstream(case);
    let mut at = 0;
    while at < bytes.len() {
        let next = (at + pieces).min(bytes.len());
        bridge.push(bytes.slice(at..next), &mut |b| out.extend_from_slice(&b));
        at = next;
    }
    bridge.finish(end(case), &mut |b| out.extend_from_slice(&b));
    bridge.finish(End::Eof, &mut |_| panic!("an ended bridge is silent"));
    let mut seen = format!("{:#?}\n", bridge.observed());
    for loss in bridge.losses().iter().flatten() {
        writeln!(seen, "{loss}").unwrap();
    }
    (String::from_utf8(out).unwrap(), seen)
}

fn answered(case: &Value) -> String {
    let whole = deliver(case, usize::MAX / 2);
    // However the bytes are cut, the caller reads the same.
    for pieces in [1, 7, 64] {
        assert_eq!(deliver(case, pieces), whole, "{} in pieces of {pieces}", case["note"]);
    }
    let text = if whole.0.starts_with('{') { pretty(whole.0.as_bytes()) } else { whole.0 };
    format!("{}\n\n{text}\n{}", case["note"].as_str().unwrap(), whole.1)
}

#[test]
fn answers() {
    each("answer", answered);
}
