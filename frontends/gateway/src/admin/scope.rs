//! What an access token may be used for.

use std::fmt;

use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, ErrorKind, Result};

/// What tokens can be confined to. How somebody signs in, and their tokens, isn't among them: no token reaches that.
pub const AREAS: [&str; 10] = [
    "keys",
    "groups",
    "users",
    "organizations",
    "channels",
    "policies",
    "usage",
    "audit",
    "ledger",
    "routing",
];

/// Whether something is only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Looked at.
    Read,
    /// Changed.
    Write,
}

/// One thing that a token may be used for: `read`, `write`, or either of one area, such as `keys:write`. Who may write may
/// read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scope {
    area: Option<&'static str>,
    access: Access,
}

impl Scope {
    fn parse(text: &str) -> Result<Self> {
        let (area, access) = match text.split_once(':') {
            Some((area, access)) => (Some(area), access),
            None => (None, text),
        };
        let known = area.map(|area| AREAS.into_iter().find(|known| *known == area));
        let access = match access {
            "read" => Some(Access::Read),
            "write" => Some(Access::Write),
            _ => None,
        };
        match (known, access) {
            (None, Some(access)) => Ok(Self { area: None, access }),
            (Some(Some(area)), Some(access)) => Ok(Self { area: Some(area), access }),
            _ => Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("`{text}` is no scope; write `read`, `write`, or one of an area such as `keys:read`; areas are {}", AREAS.join(", ")),
            )
            .with("param", "scopes")),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.access == Access::Read { "read" } else { "write" };
        match self.area {
            Some(area) => write!(f, "{area}:{access}"),
            None => f.write_str(access),
        }
    }
}

/// What an access token may be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Whether something of this area may be done.
    pub fn allow(&self, area: &str, access: Access) -> bool {
        // BOUND: no more scopes than there are, see `try_from`.
        AREAS.contains(&area)
            && self.0.iter().any(|it| it.area.is_none_or(|mine| mine == area) && it.access >= access)
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = Error;

    fn try_from(texts: Vec<String>) -> Result<Self> {
        if texts.is_empty() {
            let message =
                "a token without scopes is good for nothing; give it `read`, or `write`, or some of an area";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "scopes"));
        }
        let mut scopes = Vec::new();
        for text in texts {
            let scope = Scope::parse(&text)?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Ok(Self(scopes))
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.0.iter().map(Scope::to_string).collect()
    }
}

/// The area that a deed of the audit trail belongs to; `account` for all that no token reaches.
pub(super) fn area_of_action(action: &str) -> &'static str {
    match action.split('.').next().unwrap_or_default() {
        "key" => "keys",
        "group" | "member" => "groups",
        "user" => "users",
        "organization" | "customer" | "tag" | "budget" => "organizations",
        "channel" | "model" | "access_group" => "channels",
        "policy" => "policies",
        "ledger" => "ledger",
        "settings" => "routing",
        _ => "account",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> Result<Scopes> {
        Scopes::try_from(texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_scope_reaches_its_area_and_writing_includes_reading() {
        for (given, area, access, want) in [
            (&["read"][..], "keys", Access::Read, true),
            (&["read"], "keys", Access::Write, false),
            (&["write"], "audit", Access::Read, true),
            (&["keys:write"], "keys", Access::Read, true),
            (&["keys:write"], "groups", Access::Read, false),
            (&["keys:read", "groups:write"], "keys", Access::Write, false),
            (&["keys:read", "groups:write"], "groups", Access::Write, true),
            (&["write"], "account", Access::Read, false),
        ] {
            assert_eq!(scopes(given).unwrap().allow(area, access), want, "{given:?} {area}");
        }
    }

    #[test]
    fn what_is_no_scope_is_named() {
        for wrong in ["", "admin", "keys", "keys:", "Keys:read", "account:write", "keys:read:all"] {
            let error = scopes(&[wrong]).unwrap_err();
            assert!(error.message().contains(&format!("`{wrong}`")), "{error}");
        }
        assert!(scopes(&[]).is_err());
        let kept: Vec<String> = scopes(&["read", "keys:write", "read"]).unwrap().into();
        assert_eq!(kept, ["read", "keys:write"]);
    }
}
