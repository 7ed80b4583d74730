//! Requests that are to be done once.

/// What is known of a request that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// Nothing was: it is under way from now on.
    New,
    /// It was begun before.
    Known {
        /// A code of the request that was.
        request: String,
        /// Its answer, sealed; `None` while it is under way, or when it was cut off.
        answer: Option<String>,
    },
}
