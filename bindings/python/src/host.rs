//! The gateway as Python holds it.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sluicegate::envelope::{self, CompletedFacts};
use sluicegate::{
    Answer, AnswerBody, Error, ErrorKind, Format, Inbound, Rejection, Result, Secret, TRANSLATION_HEADER,
    asked_translation,
};

use crate::bridge::{Shared, Task, call_back, wait};
use crate::error::{misuse, raised};
use crate::stream::{Events, Stream};

/// A gateway with its runtime.
#[pyclass(frozen, module = "sluicegate._sluicegate")]
pub(crate) struct Host {
    host: RwLock<Option<Shared>>,
}

/// What a call gave: `(body, stream, facts)`; one of the first two is `None`.
type Called = (Option<Py<PyBytes>>, Option<Py<Stream>>, String);

#[pymethods]
impl Host {
    /// Opens a gateway; the options are JSON.
    #[new]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let opened = py.detach(|| envelope::Host::open(options));
        let host = Arc::new(opened.map_err(|error| raised(py, &error))?);
        Ok(Self { host: RwLock::new(Some(Shared::new(host))) })
    }

    /// Handles one request of the envelope. Errors are answers.
    fn handle(&self, py: Python<'_>, request: &str) -> PyResult<String> {
        let shared = self.shared(py)?;
        let host = shared.get().ok_or_else(|| closed(py))?;
        Ok(py.detach(|| host.handle(request)))
    }

    /// Sends a call and waits for its answer, or for the first event of its stream.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, named in Python")]
    fn call(
        &self,
        py: Python<'_>,
        format: &str,
        key: Option<&str>,
        body: &[u8],
        headers: Vec<(String, String)>,
        tags: Vec<String>,
        client_ip: Option<&str>,
    ) -> PyResult<Called> {
        let inbound = inbound(format, key, body, headers, tags, client_ip).map_err(|e| raised(py, &e))?;
        let shared = self.shared(py)?;
        let host = shared.get().ok_or_else(|| closed(py))?;
        let worker = host.worker().clone();
        let answer = wait(py, host, async move { worker.call(inbound).await })?;
        called(py, host, answer)
    }

    /// Sends a call, and calls `done(value, error)` with what `call` would have returned or raised.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, named in Python")]
    fn call_then(
        &self,
        py: Python<'_>,
        format: &str,
        key: Option<&str>,
        body: &[u8],
        headers: Vec<(String, String)>,
        tags: Vec<String>,
        client_ip: Option<&str>,
        done: Py<PyAny>,
    ) -> PyResult<Task> {
        let inbound = inbound(format, key, body, headers, tags, client_ip).map_err(|e| raised(py, &e))?;
        let shared = self.shared(py)?;
        let host = shared.get().ok_or_else(|| closed(py))?;
        let worker = host.worker().clone();
        // A weak reference: the runtime's own tasks must not keep it alive, or it would end on itself.
        let weak = Arc::downgrade(host);
        let task = call_back(host, done, async move { worker.call(inbound).await }, move |py, answer| {
            let shared = Shared::new(weak.upgrade().ok_or_else(|| closed(py))?);
            let host = shared.get().ok_or_else(|| closed(py))?;
            Ok(called(py, host, answer)?.into_pyobject(py)?.into_any().unbind())
        });
        Ok(task)
    }

    /// Ends open calls, writes what is left, and closes the gateway. Closing twice is harmless.
    fn close(&self, py: Python<'_>) {
        let taken = self.host.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(host) = taken.as_ref().and_then(Shared::get) {
            py.detach(|| host.close());
        }
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.host.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Host {
    fn shared(&self, py: Python<'_>) -> PyResult<Shared> {
        let held = self.host.read().unwrap_or_else(PoisonError::into_inner);
        let shared = held.as_ref().ok_or_else(|| closed(py))?;
        let host = shared.get().ok_or_else(|| {
            let message = "this gateway was opened before its process forked; open one after the fork";
            misuse(py, ErrorKind::NotSupported, message)
        })?;
        Ok(Shared::new(Arc::clone(host)))
    }
}

fn closed(py: Python<'_>) -> PyErr {
    misuse(py, ErrorKind::Cancelled, "this gateway is closed; open another")
}

fn inbound(
    format: &str,
    key: Option<&str>,
    body: &[u8],
    headers: Vec<(String, String)>,
    tags: Vec<String>,
    client_ip: Option<&str>,
) -> Result<Inbound> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidRequest, message);
    let format: Format = serde_json::from_value(format.into()).map_err(|_| {
        invalid(format!(
            "`{format}` is no format; use `openai_chat`, `openai_responses`, `openai_embeddings`, \
             `anthropic_messages` or `gemini_generate`"
        ))
    })?;
    let client_ip = client_ip
        .map(|ip| ip.parse::<IpAddr>().map_err(|_| invalid(format!("`{ip}` is no IP address"))))
        .transpose()?;
    let headers: Vec<_> =
        headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let wanted = headers.iter().find(|(name, _)| name == TRANSLATION_HEADER);
    Ok(Inbound {
        explain: false,
        translation: asked_translation(wanted.map(|(_, value)| value.as_bytes()))?,
        format,
        path: None,
        address: None,
        credential: key.map(Secret::new),
        body: Bytes::copy_from_slice(body),
        client_ip,
        id: None,
        client_headers: headers.clone(),
        headers,
        tags,
    })
}

fn called(
    py: Python<'_>,
    host: &Arc<envelope::Host>,
    answer: std::result::Result<Answer, Box<Rejection>>,
) -> PyResult<Called> {
    let answer = answer.map_err(|rejection| raised(py, &rejection.error))?;
    let facts = serde_json::to_string(&CompletedFacts::from(&answer.facts)).unwrap_or_default();
    match answer.body {
        AnswerBody::Full(body) => Ok((Some(PyBytes::new(py, &body).unbind()), None, facts)),
        // Sound and the like have no place in what callers of this get.
        AnswerBody::Raw(_) => Err(raised(
            py,
            &Error::new(
                ErrorKind::NotSupported,
                "this answers with JSON and events only; ask the gateway over HTTP",
            ),
        )),
        AnswerBody::Stream(stream) => streamed(py, host, Box::into_pin(stream), facts),
        AnswerBody::Follow(stream) => streamed(py, host, Box::into_pin(stream), facts),
    }
}

fn streamed(py: Python<'_>, host: &Arc<envelope::Host>, events: Events, facts: String) -> PyResult<Called> {
    Ok((None, Some(Py::new(py, Stream::new(Arc::clone(host), events))?), facts))
}
