//! A closed-loop load for measurements, a thread for each connection:
//! `rig-load URL BODY_FILE [-c CONNECTIONS] [-s SECONDS] [-w WARM_UP_SECONDS] [-n CALLS] [-H 'name: value']…`.
//!
//! With `-n` it makes so many calls in all instead of going by time. Prints one
//! line of JSON: calls that went well and badly, calls a second, times to the
//! first byte of the body and to its end in µs, `slow` (calls of 35 to 50 ms: what
//! Nagle's algorithm and a delayed acknowledgement make together), `events`
//! (`data:` lines) and streams without an end mark.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sluicegate_tests::http;

struct Plan {
    host: String,
    request: Vec<u8>,
    stream: bool,
    connections: u64,
    seconds: f64,
    warm_up: f64,
    calls: Option<u64>,
}

#[derive(Default)]
struct Seen {
    first: Vec<u32>,
    total: Vec<u32>,
    bad: u64,
    unended: u64,
    events: u64,
    complaint: Option<String>,
}

fn main() -> ExitCode {
    match plan() {
        Ok(plan) => {
            run(plan);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn plan() -> Result<Plan, String> {
    let (mut plain, mut headers) = (Vec::new(), String::new());
    let (mut connections, mut seconds, mut warm_up, mut calls) = (1, 5.0, 0.5, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("`{arg}` needs a value"));
        let bad = |_| format!("`{arg}` needs a number");
        match arg.as_str() {
            "-c" => connections = value()?.parse().map_err(bad)?,
            "-n" => calls = Some(value()?.parse().map_err(bad)?),
            "-s" => seconds = value()?.parse().map_err(|_| "`-s` needs a number")?,
            "-w" => warm_up = value()?.parse().map_err(|_| "`-w` needs a number")?,
            "-H" => headers.push_str(&format!("{}\r\n", value()?)),
            _ => plain.push(arg),
        }
    }
    let [url, file] = plain.as_slice() else { return Err("usage: rig-load URL BODY_FILE [options]".into()) };
    let rest = url.strip_prefix("http://").ok_or("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let body = std::fs::read_to_string(file).map_err(|e| format!("cannot read `{file}`: {e}"))?;
    let head =
        format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{headers}");
    Ok(Plan {
        host: host.to_owned(),
        stream: body.replace(' ', "").contains("\"stream\":true"),
        request: format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes(),
        connections,
        seconds,
        warm_up,
        calls,
    })
}

fn run(plan: Plan) {
    let (plan, taken) = (Arc::new(plan), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let threads: Vec<_> = (0..plan.connections)
        .map(|_| {
            let (plan, taken) = (plan.clone(), taken.clone());
            thread::spawn(move || drive(&plan, &taken, started))
        })
        .collect();
    let mut all = Seen::default();
    for thread in threads {
        let Ok(seen) = thread.join() else { continue };
        all.first.extend(seen.first);
        all.total.extend(seen.total);
        all.bad += seen.bad;
        all.unended += seen.unended;
        all.events += seen.events;
        all.complaint = all.complaint.or(seen.complaint);
    }
    all.first.sort_unstable();
    all.total.sort_unstable();
    let took = if plan.calls.is_some() { started.elapsed().as_secs_f64() } else { plan.seconds };
    let at = |list: &[u32], part: f64| list.get((list.len() as f64 * part) as usize).copied().unwrap_or(0);
    let report = json!({
        "ok": all.total.len(), "bad": all.bad, "unended": all.unended, "rps": all.total.len() as f64 / took,
        "p50": at(&all.total, 0.5), "p95": at(&all.total, 0.95), "p99": at(&all.total, 0.99), "max": all.total.last(),
        "first50": at(&all.first, 0.5), "first99": at(&all.first, 0.99),
        "slow": all.total.iter().filter(|us| (35_000..=50_000).contains(*us)).count(),
        "events": all.events, "complaint": all.complaint,
    });
    println!("{report}");
}

fn drive(plan: &Plan, taken: &AtomicU64, started: Instant) -> Seen {
    let from = started + Duration::from_secs_f64(if plan.calls.is_some() { 0.0 } else { plan.warm_up });
    let until = from + Duration::from_secs_f64(plan.seconds);
    let (mut seen, mut open, mut body) = (Seen::default(), None, Vec::new());
    loop {
        let over = match plan.calls {
            Some(most) => taken.fetch_add(1, Ordering::Relaxed) >= most,
            None => Instant::now() >= until,
        };
        if over {
            return seen;
        }
        let begun = Instant::now();
        let result = call(plan, &mut open, &mut body);
        if begun < from {
            continue;
        }
        match result {
            Ok((200, first, ended)) => {
                let us = |t: Instant| u32::try_from((t - begun).as_micros()).unwrap_or(u32::MAX);
                seen.total.push(us(ended));
                seen.first.push(us(first));
                if plan.stream {
                    seen.events += count(&body, b"data:");
                    let tail = &body[body.len().saturating_sub(400)..];
                    seen.unended += u64::from(count(tail, b"[DONE]") + count(tail, b"message_stop") == 0);
                }
            }
            Ok((status, ..)) => {
                seen.bad += 1;
                let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
                seen.complaint.get_or_insert(format!("{status}: {text}"));
            }
            Err(error) => {
                open = None;
                seen.bad += 1;
                seen.complaint.get_or_insert(error.to_string());
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The status, and when the first and the last byte of the body came.
fn call(
    plan: &Plan,
    open: &mut Option<BufReader<TcpStream>>,
    body: &mut Vec<u8>,
) -> io::Result<(u16, Instant, Instant)> {
    if open.is_none() {
        let socket = TcpStream::connect(&plan.host)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        *open = Some(BufReader::with_capacity(64 * 1024, socket));
    }
    let Some(input) = open else { return Err(io::ErrorKind::NotConnected.into()) };
    input.get_mut().write_all(&plan.request)?;
    let head = http::read_head(input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    body.clear();
    let mut first = None;
    http::read_body_into(&head, input, true, body, |_| {
        first.get_or_insert_with(Instant::now);
    })?;
    let ended = Instant::now();
    if head.has_token("connection", "close") {
        *open = None;
    }
    Ok((head.word(1).parse().unwrap_or(0), first.unwrap_or(ended), ended))
}

fn count(hay: &[u8], needle: &[u8]) -> u64 {
    hay.windows(needle.len()).filter(|w| *w == needle).count() as u64
}
