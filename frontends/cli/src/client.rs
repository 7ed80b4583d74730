//! A running gateway's API, as its command line needs it.

use std::time::Duration;

use serde_json::Value;

use crate::args::Remote;

/// No answer takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);

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
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self {
            agent: config.into(),
            base: format!("{}/api/v1", remote.url.trim_end_matches('/')),
            key: remote.admin_key.clone(),
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

    /// Changes what is under `path`.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.agent.patch(format!("{}{path}", self.base)), body)
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
        let hint =
            if status.as_u16() == 401 { "; --admin-key or LITELLM_MASTER_KEY gives the key" } else { "" };
        Err(format!("{message} ({}){hint}", status.as_u16()))
    }
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
    use super::segment;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("研/a b"), "%E7%A0%94%2Fa%20b");
        assert_eq!(segment("key-1_x.~"), "key-1_x.~");
    }
}
