//! From the host's runtime to Python: waiting for a future, and calling back when one is done.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use sluicegate::ErrorKind;
use sluicegate::envelope::Host;

use crate::error::misuse;

/// So often a waiting thread looks whether the user wants to stop.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// A host that Python objects share. However its last object goes, the runtime ends without holding up Python.
pub(crate) struct Shared {
    host: Option<Arc<Host>>,
    process: u32,
}

impl Shared {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Self { host: Some(host), process: std::process::id() }
    }

    /// The host; `None` in a process that was forked since, where its threads don't run.
    pub(crate) fn get(&self) -> Option<&Arc<Host>> {
        self.host.as_ref().filter(|_| self.process == std::process::id())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(host) = self.host.take() else { return };
        if self.process == std::process::id() {
            release(host);
        } else {
            // Its runtime stayed behind in the parent, and ending it would wait for threads that aren't here.
            std::mem::forget(host);
        }
    }
}

/// Lets go of a host. The last owner waits for its runtime, whose callbacks may be waiting for Python in turn.
pub(crate) fn release(host: Arc<Host>) {
    if tokio::runtime::Handle::try_current().is_ok() {
        // A runtime can't end on a thread of its own.
        std::thread::spawn(move || drop(host));
        return;
    }
    let mut held = Some(host);
    Python::try_attach(|py| {
        let host = held.take();
        py.detach(move || drop(host));
    });
    // Without an interpreter nobody waits for it.
    drop(held);
}

/// Runs a future on the host's runtime and waits for it, while other Python threads run. An interrupt ends it.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    host: &Arc<Host>,
    future: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let mut task = host.runtime().spawn(future);
    // BOUND: the future's own time limits.
    loop {
        let turn = async { tokio::time::timeout(SIGNALS_EVERY, &mut task).await };
        match py.detach(|| host.runtime().block_on(turn)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(_)) => {
                return Err(misuse(py, ErrorKind::Internal, "a defect stopped this call; please report it"));
            }
            Err(_) => {
                if let Err(interrupt) = py.check_signals() {
                    task.abort();
                    return Err(interrupt);
                }
            }
        }
    }
}

/// Something under way on the host's runtime.
#[pyclass(frozen, module = "sluicegate._sluicegate")]
pub(crate) struct Task(tokio::task::AbortHandle);

#[pymethods]
impl Task {
    /// Ends it, if it isn't over. Its callback isn't called any more, unless that has begun.
    fn cancel(&self) {
        self.0.abort();
    }
}

/// Runs a future on the host's runtime, then calls `done(value, error)` with what `convert` makes of its result; one of the
/// two is `None`.
pub(crate) fn call_back<T: Send + 'static>(
    host: &Arc<Host>,
    done: Py<PyAny>,
    future: impl Future<Output = T> + Send + 'static,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> Task {
    let task = host.runtime().spawn(async move {
        let value = future.await;
        // On a thread for blocking work: the runtime's own must not wait for Python.
        let called = tokio::task::spawn_blocking(move || {
            Python::try_attach(|py| {
                let called = match convert(py, value) {
                    Ok(value) => done.call1(py, (value, py.None())),
                    Err(error) => done.call1(py, (py.None(), error.into_value(py))),
                };
                if let Err(error) = called {
                    error.write_unraisable(py, Some(done.bind(py)));
                }
            })
        });
        // An interpreter that is gone needs no answer.
        let _ = called.await;
    });
    Task(task.abort_handle())
}
