//! A running gateway's API, as its command line needs it.

use std::time::Duration;

use serde_json::Value;

use crate::args::Remote;
use crate::cmd::serve::is_loopback;

/// Most answers take no longer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the environment has the administrator's key, in the order of `serve`.
pub(crate) const KEY_VARIABLES: [&str; 2] = ["SLUICEGATE_MASTER_KEY", "LITELLM_MASTER_KEY"];

/// What went wrong, for people.
pub(crate) type Failure = String;

/// A client of one gateway.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

impl Client {
    /// A client of the gateway that the command line names.
    pub(crate) fn new(remote: &Remote) -> Self {
        Self::with_timeout(remote, Some(TIMEOUT))
    }

    /// One that waits as long as an answer takes, such as one for which every usage record is read.
    pub(crate) fn patient(remote: &Remote) -> Self {
        Self::with_timeout(remote, None)
    }

    fn with_timeout(remote: &Remote, timeout: Option<Duration>) -> Self {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(timeout)
            .http_status_as_error(false)
            .max_redirects(0);
        // A proxy that the environment names reaches no gateway on this machine, and the key is none of its business.
        if is_here(&remote.url) {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().into(),
            base: format!("{}/api/v1", remote.url.trim_end_matches('/')),
            key: admin_key(remote, |name| std::env::var(name).ok()),
        }
    }

    /// Asks for what is under `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.read(request.call())
    }

    /// Deletes what is under `path`.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        let mut request = self.agent.delete(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.read(request.call())
    }

    /// Posts `body` to `path`.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.agent.post(format!("{}{path}", self.base)), body)
    }

    /// Puts `body` under `path`.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.agent.put(format!("{}{path}", self.base)), body)
    }

    /// Changes what is under `path`.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.agent.patch(format!("{}{path}", self.base)), body)
    }

    /// Asks with any method; a body that is null is none. `seen` is the state that a change is made on.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        seen: Option<&str>,
    ) -> Result<Value, Failure> {
        let address = format!("{}{path}", self.base);
        let mut request = ureq::http::Request::builder().method(method).uri(address);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(etag) = seen {
            request = request.header("if-match", format!("\"{etag}\""));
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.header("content-type", "application/json").body(text);
        let request = request.map_err(|why| format!("`{path}` can't be asked: {why}"))?;
        self.read(self.agent.run(request))
    }

    fn send(
        &self,
        mut request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        body: &Value,
    ) -> Result<Value, Failure> {
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.read(request.header("content-type", "application/json").send(body.to_string()))
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut answer = answer.map_err(|error| {
            format!(
                "{} doesn't answer: {error}; is the gateway running? --url or SLUICEGATE_URL says where",
                self.base
            )
        })?;
        let status = answer.status();
        let text =
            answer.body_mut().read_to_string().map_err(|error| format!("the answer broke off: {error}"))?;
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        if status.is_success() {
            return Ok(value);
        }
        let message = value
            .pointer("/error/message")
            .and_then(Value::as_str)
            .map_or_else(|| value.to_string(), str::to_owned);
        let hint = if status.as_u16() == 401 {
            "; --admin-key, SLUICEGATE_MASTER_KEY or LITELLM_MASTER_KEY gives the key"
        } else {
            ""
        };
        Err(format!("{message} ({}){hint}", status.as_u16()))
    }
}

/// Whether an address is this machine's own.
fn is_here(url: &str) -> bool {
    let uri = url.parse::<ureq::http::Uri>().ok();
    uri.as_ref().and_then(ureq::http::Uri::host).is_some_and(is_loopback)
}

/// The key to ask with: the command line's, else the one that the gateway itself would take from the environment.
fn admin_key(remote: &Remote, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let named = || KEY_VARIABLES.iter().find_map(|name| variable(name).filter(|key| !key.is_empty()));
    remote.admin_key.clone().or_else(named)
}

/// A path segment, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;

    #[test]
    fn the_key_is_found_where_serve_finds_it() {
        let key = |named: Option<&str>, set: &[(&str, &str)]| {
            let remote =
                Remote { url: String::new(), admin_key: named.map(str::to_owned), format: Format::Text };
            let variable =
                |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, key)| (*key).to_owned());
            admin_key(&remote, variable)
        };
        let both = [("SLUICEGATE_MASTER_KEY", "ours"), ("LITELLM_MASTER_KEY", "theirs")];
        assert_eq!(key(Some("named"), &both).as_deref(), Some("named"));
        assert_eq!(key(None, &both).as_deref(), Some("ours"));
        assert_eq!(key(None, &[("SLUICEGATE_MASTER_KEY", ""), both[1]]).as_deref(), Some("theirs"));
        assert_eq!(key(None, &[]), None);
    }

    #[test]
    fn this_machine_is_told_apart() {
        for (url, here) in [
            ("http://127.0.0.1:4000", true),
            ("http://[::1]:4000/", true),
            ("http://localhost", true),
            ("https://gateway.example.com", false),
            ("http://10.0.0.1:4000", false),
            ("no address", false),
        ] {
            assert_eq!(is_here(url), here, "{url}");
        }
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("研/a b"), "%E7%A0%94%2Fa%20b");
        assert_eq!(segment("key-1_x.~"), "key-1_x.~");
    }
}
