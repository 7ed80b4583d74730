//! Addresses of databases.

use serde::{Deserialize, Serialize};
use sluicegate_core::channel::Secret;

/// Where balances, keys and records live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseUrl {
    /// An SQLite file, by path.
    Sqlite(String),
    /// A PostgreSQL server, by URL. Secret because it may hold a password.
    Postgres(Secret),
}

/// What an address turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedDatabase {
    /// An address.
    Url(DatabaseUrl),
    /// The embedded database, asked for by name.
    Embedded,
    /// Something that stands where an address goes: `postgresql://...`.
    Placeholder,
}

/// Parses the address of a database: `postgres://…`, `postgresql://…`, `sqlite://PATH`, `sqlite:PATH`, or `embedded`
/// (also `local`).
///
/// # Errors
/// What is wrong and what is supported, for people, without the address: it may hold a password.
pub fn parse_database(text: &str) -> Result<ParsedDatabase, String> {
    const SUPPORTED: &str = "supported are postgres://USER:PASSWORD@HOST/NAME and sqlite://PATH, and nothing for the embedded one";
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() || lower == "embedded" || lower.starts_with("local") {
        return Ok(ParsedDatabase::Embedded);
    }
    if let Some(rest) = lower.strip_prefix("postgres://").or_else(|| lower.strip_prefix("postgresql://")) {
        let rest = rest.trim_matches('/');
        if rest.is_empty() || rest.starts_with("...") || rest.contains('…') || rest.contains("<") {
            return Ok(ParsedDatabase::Placeholder);
        }
        return Ok(ParsedDatabase::Url(DatabaseUrl::Postgres(Secret::new(text))));
    }
    if lower.starts_with("sqlite:") {
        let path = text.get("sqlite:".len()..).unwrap_or_default();
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Ok(ParsedDatabase::Embedded),
            "..." => Ok(ParsedDatabase::Placeholder),
            path => Ok(ParsedDatabase::Url(DatabaseUrl::Sqlite(path.to_owned()))),
        };
    }
    if lower.trim_matches(['.', '…']).is_empty() {
        return Ok(ParsedDatabase::Placeholder);
    }
    if lower.starts_with("mysql:")
        || lower.contains("@tcp(")
        || lower.contains("@unix(")
        || lower.starts_with("mariadb:")
    {
        return Err(format!("mysql is not supported; {SUPPORTED}"));
    }
    if lower.starts_with("clickhouse:") {
        return Err(format!("clickhouse is not supported; {SUPPORTED}"));
    }
    Err(format!("the address is of no supported database; {SUPPORTED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let sqlite = |path: &str| Ok(ParsedDatabase::Url(DatabaseUrl::Sqlite(path.to_owned())));
        let postgres = |url: &str| Ok(ParsedDatabase::Url(DatabaseUrl::Postgres(Secret::new(url))));
        for (text, want) in [
            ("postgresql://...", Ok(ParsedDatabase::Placeholder)),
            ("postgres://u:p@h/db", postgres("postgres://u:p@h/db")),
            ("postgresql://user:pass@postgres/litellm", postgres("postgresql://user:pass@postgres/litellm")),
            ("sqlite://data/x.db", sqlite("data/x.db")),
            ("sqlite:///var/x.db", sqlite("/var/x.db")),
            ("sqlite:x.db", sqlite("x.db")),
            ("local", Ok(ParsedDatabase::Embedded)),
            ("", Ok(ParsedDatabase::Embedded)),
        ] {
            assert_eq!(parse_database(text), want, "{text}");
        }
        for text in ["root:pw@tcp(db:3306)/newapi", "mysql://u:pw@h/d", "oracle://u:pw@h"] {
            let said = parse_database(text).unwrap_err();
            assert!(said.contains("postgres://") && !said.contains("pw"), "{said}");
        }
    }
}
