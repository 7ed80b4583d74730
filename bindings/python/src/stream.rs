//! A streamed answer as Python holds it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sluicegate::envelope::Host;
use tokio::sync::Mutex;

use crate::bridge::{Shared, Task, call_back, wait};
use crate::error::misuse;

/// The events of an answer, or of a response that is worked on in the background.
pub(crate) type Events =
    Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> + Send>>;

/// The bytes of a streamed answer. The call is settled when it ends, is closed, or is dropped.
#[pyclass(frozen, module = "sluicegate._sluicegate")]
pub(crate) struct Stream {
    // Before the host: what runs on a runtime goes before it does.
    stream: Arc<Mutex<Option<Events>>>,
    host: Shared,
}

impl Stream {
    pub(crate) fn new(host: Arc<Host>, stream: Events) -> Self {
        Self { stream: Arc::new(Mutex::new(Some(stream))), host: Shared::new(host) }
    }

    fn host(&self, py: Python<'_>) -> PyResult<&Arc<Host>> {
        self.host.get().ok_or_else(|| {
            let message = "this stream was opened before its process forked; open one after the fork";
            misuse(py, sluicegate::ErrorKind::NotSupported, message)
        })
    }
}

#[pymethods]
impl Stream {
    /// The next bytes, or `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Py<PyBytes>>> {
        let bytes = wait(py, self.host(py)?, next(Arc::clone(&self.stream)))?;
        Ok(bytes.map(|bytes| PyBytes::new(py, &bytes).unbind()))
    }

    /// Calls `done(bytes, error)` with the next bytes, or with `None` at the end.
    fn next_then(&self, py: Python<'_>, done: Py<PyAny>) -> PyResult<Task> {
        let host = self.host(py)?;
        Ok(call_back(host, done, next(Arc::clone(&self.stream)), |py, bytes| {
            Ok(match bytes {
                Some(bytes) => PyBytes::new(py, &bytes).into_any().unbind(),
                None => py.None(),
            })
        }))
    }

    /// Stops: what was delivered is settled. Closing twice is harmless.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let stream = Arc::clone(&self.stream);
        wait(py, self.host(py)?, async move { drop(stream.lock().await.take()) })
    }
}

async fn next(stream: Arc<Mutex<Option<Events>>>) -> Option<Bytes> {
    let mut held = stream.lock().await;
    let Some(Ok(bytes)) = held.as_mut()?.next().await else {
        *held = None;
        return None;
    };
    Some(bytes)
}
