//! Whose pages browsers let call: origins, as browsers write them.

use crate::diagnostic::Severity;
use crate::host::HostSettings;
use crate::reader::{Item, Load};
use crate::yaml::{Place, Value};

/// Stands for every origin.
pub const ANY_ORIGIN: &str = "*";

const ORIGINS_VARIABLE: &str = "LITELLM_CORS_ORIGINS";
const CREDENTIALS_VARIABLE: &str = "LITELLM_CORS_ALLOW_CREDENTIALS";

impl HostSettings {
    /// Origins whose pages may call with a key: `*` alone for all, each exactly as a browser sends it, none for none.
    pub fn cors_origins(&self) -> Vec<&str> {
        match &self.cors_origins {
            None => vec![ANY_ORIGIN],
            Some(origins) => origins.iter().map(String::as_str).collect(),
        }
    }

    /// Takes the origins of a file.
    pub(crate) fn take_cors_origins(&mut self, load: &mut Load<'_>, item: &Item<'_>) {
        let each = match &item.node.value {
            Value::Null => return,
            Value::List(_) => item.list(load),
            Value::Scalar { .. } | Value::Map(_) => vec![item.clone()],
        };
        let mut origins = Vec::new();
        for one in &each {
            let Some(text) = one.filled(load) else { continue };
            let checked = match text == ANY_ORIGIN && each.len() > 1 {
                true => Err((
                    "`*` is every origin, and stands beside others".to_owned(),
                    "leave the others out, or `*`".to_owned(),
                )),
                false => check_origin(&text),
            };
            match checked {
                Ok(()) => origins.push(text),
                Err((message, remedy)) => one.say(load, Severity::Error, "invalid_value", message, remedy),
            }
        }
        self.cors_origins = Some(origins);
    }

    /// Takes the origins that LiteLLM's variable has, where the file has none: what is no origin matches nothing there, and is left
    /// out.
    pub(crate) fn environment_cors(&mut self, load: &mut Load<'_>) {
        let warn = |load: &mut Load<'_>, message: String, remedy: &str| {
            load.report(Severity::Warning, "invalid_value", Place::default(), "", message, remedy);
        };
        if let Some(text) = load.variable(ORIGINS_VARIABLE).filter(|_| self.cors_origins.is_none()) {
            let (mut origins, mut names_any) = (Vec::new(), false);
            let each = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
            for origin in each {
                match check_origin(origin) {
                    Ok(()) => {
                        names_any |= origin == ANY_ORIGIN;
                        origins.push(origin.to_owned());
                    }
                    Err((message, remedy)) => warn(
                        load,
                        format!("in the environment variable `{ORIGINS_VARIABLE}` {message}: it is left out"),
                        &remedy,
                    ),
                }
            }
            // There, an empty text is none, and `*` beside others is all.
            let is_said = !text.trim().is_empty() && !names_any;
            self.cors_origins = is_said.then_some(origins);
        }
        let allows = load.variable(CREDENTIALS_VARIABLE);
        if allows.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
            warn(
                load,
                format!(
                    "the environment variable `{CREDENTIALS_VARIABLE}` has no effect: pages of other origins call with a key, never with cookies"
                ),
                "correct or unset it",
            );
        }
    }
}

/// Whether a text is an origin as browsers send it, or stands for all: what is wrong with it otherwise, and the remedy.
fn check_origin(text: &str) -> Result<(), (String, String)> {
    if text == ANY_ORIGIN {
        return Ok(());
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    let wrong = |message: String, remedy: String| Err((message, remedy));
    let example =
        || "write an origin such as `https://chat.example.com` or `http://localhost:3000`".to_owned();
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong(format!("`{shown}` is no origin: it has no scheme"), example());
    };
    if text.contains('*') {
        return wrong(
            format!("`{shown}` has a `*`, and origins are compared whole"),
            "name each origin, or write `*` alone for all".to_owned(),
        );
    }
    if let Some(end) = rest.find(['/', '?', '#']) {
        let origin = format!("{scheme}://{}", rest.get(..end).unwrap_or_default());
        return wrong(
            format!("`{shown}` is more than an origin, which ends with host and port"),
            format!("write `{origin}`"),
        );
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return wrong(
            format!("`{shown}` isn't as browsers send it, in lower case"),
            format!("write `{lower}`"),
        );
    }
    let (host, port) = host_and_port(rest);
    let usual = match scheme {
        "https" => Some("443"),
        "http" => Some("80"),
        _ => None,
    };
    if port.is_some() && port == usual {
        return wrong(
            format!("`{shown}` names a port that browsers leave out"),
            format!("write `{scheme}://{host}`"),
        );
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let is_inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match is_inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_'))
        }
    };
    let is_port = port.is_none_or(|port| !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok());
    if is_scheme && is_host && is_port { Ok(()) } else { wrong(format!("`{shown}` is no origin"), example()) }
}

fn host_and_port(rest: &str) -> (&str, Option<&str>) {
    // What stands in brackets has colons of its own.
    let after = rest.rfind(']').map_or(0, |end| end + 1);
    match rest.get(after..).and_then(|tail| tail.find(':')) {
        Some(at) => (rest.get(..after + at).unwrap_or_default(), rest.get(after + at + 1..)),
        None => (rest, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_as_browsers_send_it() {
        for text in [
            "*",
            "https://chat.example.com",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
            "https://a.test:80",
            "chrome-extension://abcdefgh",
            "tauri://localhost",
        ] {
            assert_eq!(check_origin(text), Ok(()), "{text}");
        }
        for (text, remedy) in [
            ("chat.example.com", "write an origin"),
            ("null", "write an origin"),
            ("https://chat.example.com/", "write `https://chat.example.com`"),
            ("https://chat.example.com/app?x", "write `https://chat.example.com`"),
            ("https://Chat.example.com", "write `https://chat.example.com`"),
            ("https://*.example.com", "name each origin"),
            ("https://a.test:443", "write `https://a.test`"),
            ("http://a.test:80", "write `http://a.test`"),
            ("https://a.test:port", "write an origin"),
            ("https://a.test:99999", "write an origin"),
            ("https://a.test:080", "write an origin"),
            ("https://user@a.test", "write an origin"),
            ("https://bücher.example", "write an origin"),
            ("http://[::1", "write an origin"),
            ("http://[x]:80", "write `http://[x]`"),
            ("https://", "write an origin"),
            ("1https://a.test", "write an origin"),
        ] {
            let why = check_origin(text);
            assert!(why.as_ref().is_err_and(|(_, said)| said.starts_with(remedy)), "{text}: {why:?}");
        }
    }
}
