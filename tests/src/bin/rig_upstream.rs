//! A fast upstream for measurements: `rig-upstream ADDRESS`.
//!
//! It answers chat completions, messages and embeddings from bytes that it
//! prepared at the start, and looks at nothing but the path, `"stream": true`
//! and the directives in the model's name: `x--delay-60--chunks-20--pause-5`
//! (ms to the first byte, content frames, ms between frames). A stream without
//! pauses goes out in one write.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;

const CHAT: &str = r#"{"id":"chatcmpl-rig0000000000000000000000001","object":"chat.completion","created":1760000000,"model":"rig","choices":[{"index":0,"message":{"role":"assistant","content":"First check that the dock has its own power and the newest firmware. Then plug in one monitor alone, at its lowest refresh rate. If it stays dark, try another cable.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":36,"total_tokens":216,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_rig"}"#;
const MESSAGE: &str = r#"{"id":"msg_rig00000000000000001","type":"message","role":"assistant","model":"rig","content":[{"type":"text","text":"First check that the dock has its own power. Then plug in one monitor alone."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":180,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":18,"service_tier":"standard"}}"#;
const MESSAGE_START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_rig\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"rig\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":180,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const MESSAGE_DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n";
const MESSAGE_END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":50}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Frames of a stream, each already framed as an HTTP chunk.
struct Frames {
    start: Vec<u8>,
    middle: Vec<u8>,
    end: Vec<u8>,
    end_with_usage: Vec<u8>,
}

struct Prepared {
    chat: Vec<u8>,
    message: Vec<u8>,
    embedding: Vec<u8>,
    chat_frames: Frames,
    message_frames: Frames,
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9900".into());
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on `{address}`: {error}");
            return ExitCode::FAILURE;
        }
    };
    let prepared = Arc::new(prepare());
    for socket in listener.incoming().flatten() {
        let prepared = prepared.clone();
        let _ = thread::Builder::new().stack_size(128 * 1024).spawn(move || serve(socket, &prepared));
    }
    ExitCode::SUCCESS
}

fn serve(mut socket: TcpStream, prepared: &Prepared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut buffer, mut have) = (vec![0; 64 * 1024], 0);
    loop {
        let head = loop {
            if let Some(at) = find(&buffer[..have], b"\r\n\r\n") {
                break at + 4;
            }
            have += read_more(&mut socket, &mut buffer, have)?;
        };
        let length = content_length(&buffer[..head]);
        while have < head + length {
            have += read_more(&mut socket, &mut buffer, have)?;
        }
        answer(&mut socket, prepared, &buffer[..head], &buffer[head..head + length])?;
        buffer.copy_within(head + length..have, 0);
        have -= head + length;
    }
}

fn read_more(socket: &mut TcpStream, buffer: &mut Vec<u8>, have: usize) -> io::Result<usize> {
    if have == buffer.len() {
        buffer.resize(have * 2, 0);
    }
    match socket.read(&mut buffer[have..])? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        n => Ok(n),
    }
}

fn answer(socket: &mut TcpStream, prepared: &Prepared, head: &[u8], body: &[u8]) -> io::Result<()> {
    let line = &head[..find(head, b"\r\n").unwrap_or(0)];
    let messages = find(line, b"/messages").is_some();
    let (delay, chunks, pause) = directives(body);
    sleep(Duration::from_millis(delay));
    if !is_true(body, b"\"stream\"") {
        return socket.write_all(if messages {
            &prepared.message
        } else if find(line, b"/embeddings").is_some() {
            &prepared.embedding
        } else {
            &prepared.chat
        });
    }
    let frames = if messages { &prepared.message_frames } else { &prepared.chat_frames };
    let end = if is_true(body, b"\"include_usage\"") { &frames.end_with_usage } else { &frames.end };
    if pause == 0 {
        let mut all = Vec::with_capacity(frames.start.len() + frames.middle.len() * chunks + end.len());
        all.extend_from_slice(&frames.start);
        for _ in 0..chunks {
            all.extend_from_slice(&frames.middle);
        }
        all.extend_from_slice(end);
        return socket.write_all(&all);
    }
    socket.write_all(&frames.start)?;
    for _ in 0..chunks {
        sleep(Duration::from_millis(pause));
        socket.write_all(&frames.middle)?;
    }
    socket.write_all(end)
}

/// ms to the first byte, content frames, ms between frames.
fn directives(body: &[u8]) -> (u64, usize, u64) {
    let (mut delay, mut chunks, mut pause) = (0, 50, 0);
    let name = find(body, b"\"model\"").map_or(&[][..], |at| &body[at + 7..body.len().min(at + 200)]);
    let name = name.split(|b| *b == b'"').nth(1).unwrap_or(&[]);
    if let Ok(name) = std::str::from_utf8(name) {
        for directive in name.split("--").skip(1) {
            match directive.rsplit_once('-').map(|(what, n)| (what, n.parse::<u64>().unwrap_or(0))) {
                Some(("delay", n)) => delay = n,
                Some(("chunks", n)) => chunks = n as usize,
                Some(("pause", n)) => pause = n,
                _ => {}
            }
        }
    }
    (delay, chunks, pause)
}

fn is_true(body: &[u8], name: &[u8]) -> bool {
    let Some(at) = find(body, name) else { return false };
    let mut rest = body[at + name.len()..].iter().filter(|b| !b.is_ascii_whitespace());
    rest.next() == Some(&b':') && rest.next() == Some(&b't')
}

fn content_length(head: &[u8]) -> usize {
    let mut lines = head.split(|b| *b == b'\n');
    let found = lines.find(|l| l.len() > 15 && l[..15].eq_ignore_ascii_case(b"content-length:"));
    let digits = found.and_then(|l| std::str::from_utf8(&l[15..]).ok());
    digits.and_then(|d| d.trim().parse().ok()).unwrap_or(0)
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    // The first byte decides almost always; the rest is compared only then.
    let mut from = 0;
    while let Some(at) = hay[from..].iter().position(|b| *b == needle[0]) {
        from += at;
        if hay[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}

fn prepare() -> Prepared {
    let chunk = |delta: &str, finish: &str, choices: bool, usage: &str| {
        let choice = format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#);
        let choice = if choices { choice } else { String::new() };
        format!(
            "data: {{\"id\":\"chatcmpl-rig0000000000000000000000001\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"rig\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_rig\",\"choices\":[{choice}]{usage}}}\n\n"
        )
    };
    let last = chunk("{}", "\"stop\"", true, "");
    let usage =
        chunk("", "", false, r#","usage":{"prompt_tokens":180,"completion_tokens":50,"total_tokens":230}"#);
    let done = "data: [DONE]\n\n";
    let numbers: Vec<String> =
        (0..256).map(|i| format!("{:.6}", f64::from(i * 37 % 101) / 997.0 - 0.05)).collect();
    let embedding = format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{}]}}],"model":"rig","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#,
        numbers.join(",")
    );
    Prepared {
        chat: whole(CHAT),
        message: whole(MESSAGE),
        embedding: whole(&embedding),
        chat_frames: Frames {
            start: first(&chunk(r#"{"role":"assistant","content":"","refusal":null}"#, "null", true, "")),
            middle: chunked(&chunk(r#"{"content":" word"}"#, "null", true, "")),
            end: final_chunks(&[&last, done]),
            end_with_usage: final_chunks(&[&last, &usage, done]),
        },
        message_frames: Frames {
            start: first(MESSAGE_START),
            middle: chunked(MESSAGE_DELTA),
            end: final_chunks(&[MESSAGE_END]),
            end_with_usage: final_chunks(&[MESSAGE_END]),
        },
    }
}

fn whole(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_rig\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn first(frame: &str) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-request-id: req_rig\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    out.extend(chunked(frame));
    out
}

fn chunked(frame: &str) -> Vec<u8> {
    format!("{:x}\r\n{frame}\r\n", frame.len()).into_bytes()
}

fn final_chunks(frames: &[&str]) -> Vec<u8> {
    let mut out = String::new();
    for frame in frames {
        let _ = write!(out, "{:x}\r\n{frame}\r\n", frame.len());
    }
    out.push_str("0\r\n\r\n");
    out.into_bytes()
}
