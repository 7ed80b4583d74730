//! Requests that aren't a `POST` of a whole body.

pub use reqwest::{Method, Url};

use super::Rest;

/// Where a request differs from a `POST` of a whole body to its target's address. An upstream that can't send it so must
/// refuse it.
#[derive(Debug, Default)]
pub struct Special {
    /// The method; `None` is `POST`.
    pub method: Option<Method>,
    /// The address; `None` is the target's.
    pub url: Option<Url>,
    /// What follows the body that is there, as it comes.
    pub rest: Option<Rest>,
}
