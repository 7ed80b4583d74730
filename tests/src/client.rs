//! A client that sends exactly the bytes it is given and reads the answer,
//! also when it breaks off.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Head};

/// One request, sent as it stands.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, such as `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers besides `host` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body, any bytes.
    pub body: Vec<u8>,
    /// Sends the body in chunks, so that its length is not announced.
    pub chunked: bool,
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            chunked: false,
        }
    }

    /// A `POST` of JSON text.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self { body: body.into(), ..Self::new("POST", path) };
        request.header("content-type", "application/json")
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `authorization: Bearer KEY`.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sends the request on a connection of its own and reads the whole answer.
    ///
    /// # Errors
    /// When no connection is had or no head of an answer comes within `timeout`.
    /// A body that breaks off is no error: [`Answer::broken`] says so.
    pub fn send(&self, address: &str, timeout: Duration) -> io::Result<Answer> {
        let started = Instant::now();
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.set_write_timeout(Some(timeout))?;
        let mut text =
            format!("{} {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.body.len();
        text.push_str(&if self.chunked {
            "transfer-encoding: chunked\r\n\r\n".into()
        } else {
            format!("content-length: {length}\r\n\r\n")
        });
        socket.write_all(text.as_bytes())?;
        // A server may refuse a body that is too long before it has read it, and
        // close: the refusal is still to be read.
        let written = self.write_body(&mut socket);
        let mut input = BufReader::new(socket);
        let head = match http::read_head(&mut input) {
            Ok(Some(head)) => head,
            Ok(None) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer")),
            Err(error) => return Err(written.err().unwrap_or(error)),
        };
        let status = head.word(1).parse().map_err(|_| io::Error::other("a status that is no number"))?;
        let (mut body, mut first) = (Vec::new(), None);
        let broken = http::read_body_into(&head, &mut input, true, &mut body, |_| {
            first.get_or_insert_with(|| started.elapsed());
        })
        .is_err();
        Ok(Answer { status, head, body, broken, first, total: started.elapsed() })
    }

    fn write_body(&self, socket: &mut TcpStream) -> io::Result<()> {
        if !self.chunked {
            return socket.write_all(&self.body);
        }
        self.body.chunks(64 * 1024).try_for_each(|part| http::write_chunk(socket, part))?;
        socket.write_all(b"0\r\n\r\n")
    }
}

/// An answer and how it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Status line and headers.
    pub head: Head,
    /// The body, or the part of it that came.
    pub body: Vec<u8>,
    /// The body ended before its announced end.
    pub broken: bool,
    /// From the start of the connection to the first body byte.
    pub first: Option<Duration>,
    /// From the start of the connection to the end of the body.
    pub total: Duration,
}

impl Answer {
    /// The body as text; wrong UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `data:` payloads of an event stream, in order.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.text()
            .lines()
            .filter_map(|l| l.strip_prefix("data:"))
            .map(|d| d.trim_start().to_owned())
            .collect()
    }
}
