//! Names of things. Each is a cheap-to-clone, immutable string of its own type, so that a channel's id can't be
//! passed where a key's is wanted.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name as it is: ids are opaque and compared byte for byte.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(Arc::from(name))
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(Arc::from(name))
            }
        }

        impl From<&$name> for Arc<str> {
            /// The name, without copying it.
            fn from(name: &$name) -> Self {
                Arc::clone(&name.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )+};
}

id! {
    /// An organization: the outermost tenant.
    OrganizationId,
    /// A group: a department or team inside one organization. Its id is also the label that channels name.
    GroupId,
    /// A person or service account.
    UserId,
    /// An issued API key. This is its public id, never the credential and never its hash.
    KeyId,
    /// A channel: one credentialed upstream endpoint.
    ChannelId,
    /// A model's name as a caller requests it, or as an upstream knows it.
    ModelName,
    /// A provider of the catalogue, such as `openai`.
    ProviderId,
    /// One call. Ours: ids from clients and upstreams are only search keys.
    CallId,
}

impl OrganizationId {
    /// The organization of whatever names none.
    pub const DEFAULT: &'static str = "default";
}

/// A model's own name, without whoever hosts it: `openai/gpt-5` is `gpt-5`.
pub fn own_name(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}
