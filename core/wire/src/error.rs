//! What can be wrong with a request, before anything is sent.

use sluicegate_core::ErrorKind;

/// A request that we refuse, or an answer that we can't read.
///
/// The message is lower case, without a final stop, with the caller's input in backticks, and names the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    kind: ErrorKind,
    message: String,
    param: Option<String>,
    elsewhere: bool,
}

impl WireError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, elsewhere: kind == ErrorKind::NotSupported }
    }

    /// A malformed request.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// Something that this version, or the target format, can't do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotSupported, message)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says that another channel may do what this one doesn't.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Whether another channel may do it.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// The kind: `InvalidRequest` or `NotSupported`, or what a channel's own changes of the body refuse the call as.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field at fault, such as `messages[2].content`.
    pub fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }
}

impl From<WireError> for sluicegate_core::Error {
    fn from(error: WireError) -> Self {
        let core = sluicegate_core::Error::new(error.kind, error.message);
        match error.param {
            Some(param) => core.with("param", param),
            None => core,
        }
    }
}

/// Our result.
pub type Result<T, E = WireError> = std::result::Result<T, E>;
