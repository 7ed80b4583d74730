//! Errors on their way to Python.

use pyo3::prelude::*;
use sluicegate::envelope::Fault;
use sluicegate::{Error, ErrorKind};

/// The exception for an error: `sluicegate._errors` makes it, so that there is one place that does.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    match instance(py, error) {
        Ok(value) => PyErr::from_value(value),
        // The package's other half is missing or broken: that is what must be seen.
        Err(broken) => broken,
    }
}

/// The exception's instance.
pub(crate) fn instance<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let fault = Fault::from(error);
    let text = serde_json::to_string(&fault).unwrap_or_default();
    py.import("sluicegate._errors")?.getattr("error_of_json")?.call1((text,))
}

/// An error of this binding itself.
pub(crate) fn misuse(py: Python<'_>, kind: ErrorKind, message: &str) -> PyErr {
    raised(py, &Error::new(kind, message))
}
