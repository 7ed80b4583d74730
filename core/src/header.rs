//! Headers: which of a caller's may go on to an upstream, which of them channels ask for, and how values name them.

/// Of the connection, of the body as it is written, or proof of who somebody is: the gateway writes these itself, and no channel
/// changes or copies them.
const OWN: [&str; 24] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "content-type",
    "cookie",
    "digest",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-goog-api-key",
    "x-litellm-api-key",
];
/// Of a caller's connection and credentials, or they say where the caller is, would ask for something else than was looked at, or have
/// somebody else pay.
const PRIVATE: [&str; 28] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "openai-organization",
    "openai-project",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-api-key",
    "x-goog-api-key",
    "x-http-method",
    "x-http-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
/// For us, or of what stands before us.
const PRIVATE_BEGINNINGS: [&str; 3] = ["x-sluicegate-", "x-litellm-", "x-forwarded-"];

/// In a header's value: stands for a header of the caller's.
const PLACEHOLDER: &str = "{client_header:";
/// In a header's value: stands for the channel's credential.
pub const CREDENTIAL: &str = "{api_key}";

/// Whether the gateway alone writes that header of a call to a model. Names are in lower case.
pub fn is_own(name: &str) -> bool {
    OWN.contains(&name)
}

/// Whether a caller's header of that name, in lower case, stays here whatever is sent.
pub fn is_private(name: &str) -> bool {
    PRIVATE.contains(&name) || PRIVATE_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether a caller's header of that name, in lower case, may go on with a call whose body the gateway writes.
pub fn may_pass(name: &str) -> bool {
    !is_own(name) && !is_private(name)
}

/// Whether it is a header's name, in lower case.
pub fn is_name(name: &str) -> bool {
    let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.len() <= 128 && name.chars().all(token)
}

/// The callers' headers that a value names, in lower case: `{client_header:X-Name}`.
pub fn named(value: &str) -> impl Iterator<Item = String> {
    let parts = value.split(PLACEHOLDER).skip(1);
    parts.filter_map(|part| Some(part.split_once('}')?.0.trim().to_ascii_lowercase()))
}

/// Whether a value names a header of the caller's.
pub fn is_template(value: &str) -> bool {
    value.contains(PLACEHOLDER)
}

/// The value with the caller's headers in it; `None` when one of them isn't there.
pub fn filled(value: &str, header: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut parts = value.split(PLACEHOLDER);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        out.push_str(&header(&name.trim().to_ascii_lowercase())?);
        out.push_str(rest);
    }
    Some(out)
}

/// Which headers of its callers a channel, or any channel of a snapshot, asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// None: a call's headers needn't be looked at.
    #[default]
    None,
    /// Some, by name in lower case.
    Named(Vec<String>),
    /// Every one that may pass.
    All,
}

impl Wanted {
    /// These as well.
    pub fn add(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            match self {
                Wanted::None => *self = Wanted::Named(vec![name]),
                // BOUND: the configuration's own names.
                Wanted::Named(all) if !all.contains(&name) => all.push(name),
                Wanted::Named(_) | Wanted::All => {}
            }
        }
    }

    /// Both.
    pub fn join(&mut self, other: Wanted) {
        match other {
            Wanted::None => {}
            Wanted::Named(names) => self.add(names),
            Wanted::All => *self = Wanted::All,
        }
    }

    /// Whether a header of that name, in lower case, is asked for and may pass.
    pub fn takes(&self, name: &str) -> bool {
        let is_wanted = match self {
            Wanted::None => false,
            Wanted::Named(names) => names.iter().any(|known| known == name),
            Wanted::All => true,
        };
        is_wanted && may_pass(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_with_headers_that_are_there() {
        let header = |name: &str| (name == "x-one").then(|| "1".to_owned());
        for (value, named_in_it, want) in [
            ("plain", &[][..], Some("plain")),
            ("{client_header:X-One}", &["x-one"], Some("1")),
            ("a {client_header: x-one }-{client_header:X-ONE} b", &["x-one", "x-one"], Some("a 1-1 b")),
            ("{client_header:X-Two}", &["x-two"], None),
            ("{client_header:X-One", &[], None),
            ("{api_key}", &[], Some("{api_key}")),
        ] {
            assert_eq!(named(value).collect::<Vec<_>>(), named_in_it, "{value}");
            assert_eq!(filled(value, header).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn what_proves_who_calls_or_is_of_the_connection_never_passes() {
        for name in
            OWN.into_iter().chain(PRIVATE).chain(["x-sluicegate-tags", "x-litellm-tags", "x-forwarded-for"])
        {
            assert!(!Wanted::All.takes(name), "{name}");
            assert!(!Wanted::Named(vec![name.to_owned()]).takes(name), "{name}");
        }
        assert!(Wanted::All.takes("user-agent") && !Wanted::None.takes("user-agent"));
    }
}
