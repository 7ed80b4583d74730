//! The listener, the script and the record of what came.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::behaviour::{Behaviour, Step};
use super::deliver::{Reply, deliver};
use super::{anthropic, cohere, gemini, ollama, openai, single};
use crate::http::{self, Head};

/// How the answer to a recorded request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still being answered.
    Open,
    /// Answered to the end.
    Done,
    /// Broken off by us, as asked.
    Cut,
    /// The caller left before the end.
    Aborted,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Record {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, byte by byte.
    pub body: Vec<u8>,
    /// How the answer ended.
    pub outcome: Outcome,
}

impl Record {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Default)]
struct State {
    steps: Vec<Step>,
    records: Vec<Record>,
    key: Option<String>,
    responses: super::responses::Stored,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    serial: AtomicU64,
    stop: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running upstream; it stops listening when dropped.
pub struct FakeUpstream {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl FakeUpstream {
    /// Listens on a free port of the loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::listen("127.0.0.1:0").expect("the loopback has a free port")
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn listen(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let ours = shared.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                if ours.stop.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(socket), shared) = (socket, ours.clone()) else { continue };
                thread::spawn(move || serve(socket, &shared));
            }
        });
        Ok(Self { shared, address })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a step at the end of the script.
    pub fn push(&self, step: Step) {
        self.shared.state().steps.push(step);
    }

    /// What has come so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        self.shared.state().records.clone()
    }

    /// Forgets script and requests.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.steps.clear();
        state.records.clear();
    }

    /// Refuses calls without this key from now on.
    pub fn demand_key(&self, key: &str) {
        self.shared.state().key = Some(key.to_owned());
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is to stop.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn serve(socket: TcpStream, shared: &Shared) {
    let _ = socket.set_nodelay(true);
    let Ok(reading) = socket.try_clone() else { return };
    let (mut input, mut out) = (BufReader::new(reading), socket);
    while let Ok(Some(head)) = http::read_head(&mut input) {
        if head.has_token("expect", "100-continue") {
            let _ = io::Write::write_all(&mut out, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let Ok(body) = http::read_body(&head, &mut input, false) else { return };
        let path = head.word(1).to_owned();
        let plain = path.split('?').next().unwrap_or("");
        if let Some(control) = plain.strip_prefix("/_control/") {
            let reply = control_call(head.word(0), control, &body, shared);
            deliver(reply, &Behaviour::default(), 0, &mut out);
            continue;
        }
        let at = {
            let mut state = shared.state();
            let record = Record {
                method: head.word(0).to_owned(),
                path: path.clone(),
                headers: head.headers.clone(),
                body: body.clone(),
                outcome: Outcome::Open,
            };
            state.records.push(record);
            state.records.len() - 1
        };
        let serial = shared.serial.fetch_add(1, Ordering::SeqCst) + 1;
        let (reply, behaviour) = answer(&head, &path, &body, serial, shared);
        let outcome = deliver(reply, &behaviour, serial, &mut out);
        if let Some(record) = shared.state().records.get_mut(at) {
            record.outcome = outcome;
        }
        if outcome != Outcome::Done || head.has_token("connection", "close") {
            return;
        }
    }
}

/// The answer and how it is to be spoilt.
fn answer(head: &Head, path: &str, body: &[u8], serial: u64, shared: &Shared) -> (Reply, Behaviour) {
    let (whole_path, path) = (path, path.split('?').next().unwrap_or(""));
    let messages = path.ends_with("/messages") || head.get("anthropic-version").is_some();
    let generated = gemini::asked(path);
    let error = match (messages, generated) {
        (true, _) => anthropic::error,
        (_, Some(_)) => gemini::error,
        _ if cohere::asked(path) => cohere::error,
        _ if ollama::asked(path) => ollama::error,
        _ => openai::error,
    };
    let proper = |reply| (reply, Behaviour::default());
    if let Some(key) = &shared.state().key {
        // Anthropic takes a key in either header; its SDK moved from the one to the other.
        let bare = head.get("x-api-key").filter(|_| messages);
        let bare = bare.or_else(|| head.get("x-goog-api-key").filter(|_| generated.is_some()));
        let given = bare.or_else(|| head.get("authorization")?.strip_prefix("Bearer "));
        if given != Some(key) {
            return proper(error(
                401,
                if messages { "invalid x-api-key" } else { "Incorrect API key provided." },
            ));
        }
    }
    if head.word(0) == "GET" && path.ends_with("/models") {
        return proper(if messages { anthropic::models() } else { openai::models() });
    }
    if let Some(reply) = single::answer(head, path, body) {
        return proper(reply);
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => value,
        _ => return proper(error(400, "the body could not be parsed as a JSON object")),
    };
    let model = generated.map_or_else(|| value["model"].as_str().unwrap_or(""), |(model, _)| model);
    let behaviour = match take_step(&mut shared.state().steps, path, model) {
        Some(behaviour) => behaviour,
        None => match Behaviour::from_model(model) {
            Ok(behaviour) => behaviour,
            Err(what) => return proper(error(400, &what)),
        },
    };
    if path.ends_with("/messages") && head.get("anthropic-version").is_none() {
        return proper(error(400, "anthropic-version: header is required"));
    }
    let reply = match behaviour.status {
        Some(status) if status >= 400 => error(status, &format!("the upstream answers {status}, as asked")),
        _ if model.starts_with("missing") => error(404, &format!("The model `{model}` does not exist.")),
        _ if generated.is_some() => gemini::generate(whole_path, &value, &behaviour, serial),
        _ if cohere::asked(path) => cohere::chat(&value, &behaviour, serial),
        _ if ollama::asked(path) => ollama::chat(&value, &behaviour),
        _ if path.ends_with("/chat/completions") => openai::chat(&value, &behaviour, serial),
        _ if path.ends_with("/responses") => {
            super::responses::responses(&value, &behaviour, serial, &mut shared.state().responses)
        }
        _ if path.ends_with("/responses/input_tokens") => {
            super::responses::input_tokens(&value, &shared.state().responses)
        }
        _ if path.ends_with("/responses/compact") => {
            super::responses::compact(&value, &behaviour, serial, &shared.state().responses)
        }
        _ if path.ends_with("/embeddings") => openai::embeddings(&value, &behaviour),
        _ if path.ends_with("/messages") => anthropic::messages(&value, &behaviour, serial),
        _ => error(404, &format!("no such path: {path}")),
    };
    (reply, behaviour)
}

fn take_step(steps: &mut Vec<Step>, path: &str, model: &str) -> Option<Behaviour> {
    let fits = |s: &Step| {
        s.path.as_deref().is_none_or(|p| p == path) && s.model.as_deref().is_none_or(|m| m == model)
    };
    let at = steps.iter().position(fits)?;
    let step = &mut steps[at];
    let behaviour = step.behaviour.clone();
    if step.times > 0 {
        step.times -= 1;
        if step.times == 0 {
            steps.remove(at);
        }
    }
    Some(behaviour)
}

fn control_call(method: &str, what: &str, body: &[u8], shared: &Shared) -> Reply {
    let mut state = shared.state();
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match (method, what) {
        ("GET", "requests") => {
            let list: Vec<Value> = state.records.iter().map(record_json).collect();
            return Reply::json(200, &json!({ "requests": list }));
        }
        ("DELETE", "requests") => state.records.clear(),
        ("DELETE", "script") => state.steps.clear(),
        ("POST", "key") => state.key = value["key"].as_str().map(str::to_owned),
        ("POST", "script") => {
            let list = if let Value::Array(list) = value { list } else { vec![value] };
            match list.iter().map(Step::from_json).collect::<Result<Vec<_>, _>>() {
                Ok(steps) => state.steps.extend(steps),
                Err(what) => return openai::error(400, &what),
            }
        }
        _ => return openai::error(404, "no such control"),
    }
    Reply::json(200, &json!({"ok": true}))
}

fn record_json(record: &Record) -> Value {
    let headers: Vec<Value> = record.headers.iter().map(|(n, v)| json!([n, v])).collect();
    json!({
        "method": record.method, "path": record.path, "headers": headers,
        "body": String::from_utf8_lossy(&record.body),
        "outcome": format!("{:?}", record.outcome).to_lowercase(),
    })
}
