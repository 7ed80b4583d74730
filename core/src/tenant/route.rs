//! What a key may be used for over HTTP.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteUse {
    /// Calling models, and listing those that may be called.
    Inference,
    /// Looking at what is administered.
    Read,
    /// Changing it.
    Manage,
}

/// Which routes a key may be used on: all, or those that a rule allows. A rule is `inference`, `read`, `management` (which
/// reads, too), a path, or the beginning of one that ends in `*`; `/v1` in front of a path means the same as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct RouteAccess {
    rules: Vec<String>,
}

/// No more rules than these are kept, and no longer ones, in bytes.
// BOUND: they are compared at each request of the key.
const RULES_MAX: usize = 64;
const RULE_BYTES_MAX: usize = 256;

/// Rules that aren't paths.
const WORDS: [&str; 3] = ["inference", "read", "management"];

impl RouteAccess {
    /// Every route.
    pub const ALL: RouteAccess = RouteAccess { rules: Vec::new() };

    /// Whether it is every route.
    pub fn is_all(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules; empty for every route.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// Whether a request for `path`, which is for one of `uses`, is allowed.
    pub fn allows(&self, path: &str, uses: &[RouteUse]) -> bool {
        let is_for = |rule: &str| {
            uses.iter().any(|it| match it {
                RouteUse::Inference => rule == "inference",
                RouteUse::Read => rule == "read" || rule == "management",
                RouteUse::Manage => rule == "management",
            })
        };
        self.rules.is_empty() || self.rules.iter().any(|rule| is_for(rule) || is_of(rule, path))
    }

    /// Refuses what isn't allowed.
    ///
    /// # Errors
    /// `Forbidden`, saying what is.
    pub fn check(&self, path: &str, uses: &[RouteUse]) -> Result<()> {
        match self.allows(path, uses) {
            true => Ok(()),
            false => {
                let rules = self.rules.join(", ");
                let message =
                    format!("this key isn't for `{path}`: it may be used for {rules} only; take another one");
                Err(Error::new(ErrorKind::Forbidden, message))
            }
        }
    }
}

/// Whether a path is the rule's, or begins as it says.
fn is_of(rule: &str, path: &str) -> bool {
    let bare = |path| match str::strip_prefix(path, "/v1") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    match rule.strip_suffix('*') {
        Some(start) => {
            let starts = [Some(start), Some(bare(start)).filter(|it| it.len() > 1)];
            starts.into_iter().flatten().any(|it| path.starts_with(it) || bare(path).starts_with(it))
        }
        None => bare(path) == bare(rule),
    }
}

impl TryFrom<Vec<String>> for RouteAccess {
    type Error = String;

    fn try_from(rules: Vec<String>) -> std::result::Result<Self, String> {
        if rules.len() > RULES_MAX {
            return Err(format!("{} routes are too many; give {RULES_MAX} at most", rules.len()));
        }
        match rules.iter().find(|rule| !WORDS.contains(&rule.as_str()) && !is_path(rule)) {
            Some(rule) => Err(format!(
                "`{}` is no route; give inference, read, management, a path such as /v1/embeddings, or the beginning of one that ends in `*`",
                rule.chars().take(80).collect::<String>()
            )),
            None => Ok(Self { rules }),
        }
    }
}

fn is_path(rule: &str) -> bool {
    let star = rule.find('*').is_none_or(|at| at + 1 == rule.len());
    rule.starts_with('/') && rule.len() <= RULE_BYTES_MAX && star && !rule.contains(char::is_whitespace)
}

impl From<RouteAccess> for Vec<String> {
    fn from(access: RouteAccess) -> Self {
        access.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(all: &[&str]) -> std::result::Result<RouteAccess, String> {
        all.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn rules_allow_what_they_say() {
        use RouteUse::{Inference, Manage, Read};
        for (all, path, uses, allowed) in [
            (&[][..], "/key/generate", &[Manage][..], true),
            (&["inference"], "/v1/chat/completions", &[Inference], true),
            (&["inference"], "/key/generate", &[Manage], false),
            (&["inference"], "/v1/models", &[Inference, Read], true),
            (&["read"], "/v1/models", &[Inference, Read], true),
            (&["read"], "/key/info", &[Read], true),
            (&["read"], "/key/update", &[Manage], false),
            (&["read"], "/v1/chat/completions", &[Inference], false),
            (&["management"], "/key/info", &[Read], true),
            (&["management"], "/key/update", &[Manage], true),
            (&["management"], "/v1/chat/completions", &[Inference], false),
            (&["/chat/completions"], "/v1/chat/completions", &[Inference], true),
            (&["/v1/embeddings"], "/embeddings", &[Inference], true),
            (&["/chat/completions"], "/v1/chat/completions/more", &[Inference], false),
            (&["/v1/*"], "/v1/embeddings", &[Inference], true),
            (&["/v1/*"], "/v1x/embeddings", &[Inference], false),
            (&["/key/*"], "/key/generate", &[Manage], true),
            (&["/key/*"], "/keys", &[Manage], false),
            (&["/key/info", "inference"], "/key/info", &[Read], true),
        ] {
            assert_eq!(rules(all).unwrap().allows(path, uses), allowed, "{all:?} {path}");
        }
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for wrong in ["llm", "", "v1/chat", "/a*b", "/a b"] {
            assert!(rules(&["inference", wrong]).unwrap_err().contains(&format!("`{wrong}`")), "{wrong}");
        }
        assert!(rules(&["read"; 65]).is_err());
        assert!(serde_json::from_str::<RouteAccess>(r#"["management", "/v1/*"]"#).is_ok());
    }
}
