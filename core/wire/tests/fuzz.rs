//! The targets of `fuzz/` on mutated fixtures, for ten seconds: `SLUICEGATE_FUZZ_SECONDS=600 cargo test -p sluicegate-wire --test fuzz -- --nocapture`
//! for more. No input panics, and none has more than 64 times its size held at once, and a megabyte.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests read fixtures and clocks, and fail by panicking"
)]

#[path = "fuzz/rounds.rs"]
mod rounds;
#[path = "../../../fuzz/src/wire.rs"]
#[expect(unreachable_pub, reason = "it is a library's for libFuzzer")]
mod wire;

use serde_json::Value;

fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, text) in rounds::texts("tests/data/wire/request") {
        let case: Value = serde_json::from_str(&text).unwrap();
        let body = case["raw"].as_str().map_or_else(|| case["body"].to_string(), str::to_owned);
        seeds.push((format!("request {name}"), body.into_bytes()));
    }
    for (name, text) in rounds::texts("tests/data/wire/answer") {
        let case: Value = serde_json::from_str(&text).unwrap();
        match case["stream"].as_array() {
            Some(lines) => {
                let is_lines = case["upstream"] == "ollama_chat";
                let frames = lines.iter().map(|line| match (line.as_str(), line["type"].as_str()) {
                    (Some(raw), _) => raw.to_owned(),
                    (None, _) if is_lines => format!("{line}\n"),
                    (None, Some(kind)) => format!("event: {kind}\ndata: {line}\n\n"),
                    (None, None) => format!("data: {line}\n\n"),
                });
                seeds.push((format!("stream {name}"), frames.collect::<String>().into_bytes()));
            }
            None => {
                let body = case["body"].as_str().map_or_else(|| case["body"].to_string(), str::to_owned);
                seeds.push((format!("answer {name}"), body.into_bytes()));
            }
        }
    }
    let form = "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--X--\r\n";
    seeds.push(("form".to_owned(), form.as_bytes().to_vec()));
    seeds
}

#[test]
fn no_bytes_of_strangers_break_anything() {
    rounds::run(&wire::TARGETS, &seeds());
}
