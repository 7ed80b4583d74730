//! Sluicegate as a Python module: the native half, `sluicegate._sluicegate`.
//!
//! It hosts a gateway, passes the texts of [`sluicegate::envelope`] and the bytes of calls in and out, and lets other
//! Python threads run meanwhile. What Python programs see, in Python's manner, is made of it in `python/sluicegate`.

mod bridge;
mod error;
mod host;
mod stream;

/// The native half of `sluicegate`. Use `sluicegate` itself.
#[pyo3::pymodule]
mod _sluicegate {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::bridge::Task;
    #[pymodule_export]
    use crate::host::Host;
    #[pymodule_export]
    use crate::stream::Stream;

    /// Fills in what is data.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let kinds: Vec<(&str, i32)> =
            sluicegate::ErrorKind::ALL.iter().map(|kind| (kind.as_str(), kind.code())).collect();
        module.add("ERROR_KINDS", kinds)?;
        module.add("VERSION", env!("CARGO_PKG_VERSION"))
    }
}
