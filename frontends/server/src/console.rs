//! The web console as the server sees it: its page and files, and what a browser sends along by itself, the cookie of a
//! session and what tells whether a page of ours made it do so.

pub mod asset;
pub mod page;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderName, HeaderValue, ORIGIN, USER_AGENT};
use sluicegate::admin::Origin;
use sluicegate::tenant::IpNetwork;
use sluicegate::{Error, ErrorKind, Result, Secret};

use crate::extract;
use crate::state::State;

/// The session's cookie. Behind TLS its name forbids other hosts, paths and plain connections to set it.
pub(crate) const PLAIN: &str = "sluicegate_session";
pub(crate) const SECURE: &str = "__Host-sluicegate_session";

/// A header that no form and no foreign page can send: scripts of other origins would have to ask first, and aren't answered.
const MARK: HeaderName = HeaderName::from_static("x-sluicegate-csrf");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether this binary was built with the console.
pub fn is_there() -> bool {
    asset::embedded("index.html").is_some()
}

/// What the session's cookie holds, if there is one.
pub fn session(req: &HttpRequest, state: &State) -> Option<Secret> {
    let cookie = req.cookie(name(req, state))?;
    Some(cookie.value()).filter(|value| !value.is_empty()).map(Secret::new)
}

/// Where whoever signs in is.
pub fn origin(req: &HttpRequest, state: &State) -> Origin {
    let agent = req.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    Origin { address: extract::client_ip(req, &state.trusted_proxies), agent: agent.map(str::to_owned) }
}

/// The cookie that a session is kept by; without a secret, the one that removes it. It goes with the browser's session, and
/// the gateway ends it before that.
pub fn cookie(req: &HttpRequest, state: &State, secret: Option<&Secret>) -> Cookie<'static> {
    let value = secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
    let mut cookie = Cookie::build(name(req, state), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_secure(req, state))
        .finish();
    if secret.is_none() {
        cookie.set_max_age(time::Duration::ZERO);
    }
    cookie
}

/// The cookie that a sign-in through a provider is finished by; without a secret, the one that removes it.
pub fn under_way(req: &HttpRequest, state: &State, secret: Option<&Secret>) -> Cookie<'static> {
    let value = secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
    let lasts = if secret.is_some() { time::Duration::minutes(10) } else { time::Duration::ZERO };
    Cookie::build(under_way_name(req, state), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_secure(req, state))
        .max_age(lasts)
        .finish()
}

/// What that cookie holds.
pub fn under_way_of(req: &HttpRequest, state: &State) -> Option<Secret> {
    let cookie = req.cookie(under_way_name(req, state))?;
    Some(cookie.value()).filter(|value| !value.is_empty()).map(Secret::new)
}

fn under_way_name(req: &HttpRequest, state: &State) -> &'static str {
    if is_secure(req, state) { "__Host-sluicegate_sign_in" } else { "sluicegate_sign_in" }
}

fn name(req: &HttpRequest, state: &State) -> &'static str {
    if is_secure(req, state) { SECURE } else { PLAIN }
}

/// Whether the browser talks TLS: to us, to a proxy whose word counts, or to whatever stands at our public address.
fn is_secure(req: &HttpRequest, state: &State) -> bool {
    let said = || {
        req.headers()
            .get(FORWARDED_PROTO)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
    };
    req.app_config().secure()
        || state.gateway.admin().is_public_by_tls()
        || (extract::is_from_proxy(req, &state.trusted_proxies) && said())
}

/// Refuses a sign-in whose session the browser wouldn't keep: its page came over plain HTTP, and the public address is one of TLS.
/// Of a page of the same machine the browser decides.
///
/// # Errors
/// `Forbidden`, naming where to sign in.
pub fn refuse_plain(req: &HttpRequest, state: &State) -> Result<()> {
    let origin = req.headers().get(ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let public = state.gateway.admin().public_url().filter(|_| state.gateway.admin().is_public_by_tls());
    match public.filter(|_| is_plain(origin)) {
        Some(public) => {
            let message =
                format!("sessions are kept over TLS alone here: sign in at `{public}`, not at `{origin}`");
            Err(Error::new(ErrorKind::Forbidden, message))
        }
        None => Ok(()),
    }
}

/// Whether a page is one of plain HTTP from elsewhere than the browser's own machine.
fn is_plain(origin: &str) -> bool {
    let Some(place) = origin.strip_prefix("http://") else { return false };
    let host = match place.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    };
    let is_local = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    !(is_local || host == "localhost" || host.ends_with(".localhost"))
}

/// Refuses a change that another site's page had the browser ask for. What only reads is let through: such a page can't see
/// the answer.
///
/// # Errors
/// `Forbidden`.
pub fn refuse_foreign(req: &HttpRequest, trusted: &[IpNetwork]) -> Result<()> {
    if matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    refuse_other_origin(req, trusted)?;
    if req.headers().get(MARK).is_none_or(|value| value.is_empty()) {
        let why = "a change by a session needs the header `x-sluicegate-csrf`, with any value";
        return Err(Error::new(ErrorKind::Forbidden, why));
    }
    Ok(())
}

/// The same by what browsers say of themselves only.
///
/// # Errors
/// `Forbidden`.
pub fn refuse_other_origin(req: &HttpRequest, trusted: &[IpNetwork]) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::Forbidden, why.to_owned()));
    let headers = req.headers();
    // Browsers say where a request comes from, and pages can't make them say otherwise.
    if let Some(site) = headers.get(FETCH_SITE)
        && site.as_bytes() != b"same-origin"
    {
        return refuse("a page of another site can't change anything here");
    }
    if let Some(origin) = headers.get(ORIGIN)
        && !is_own(origin, headers.get(HOST))
        && !(extract::is_from_proxy(req, trusted) && is_own(origin, headers.get(FORWARDED_HOST)))
    {
        return refuse(
            "a page of another origin can't change anything here; a proxy in between must pass `host`, or send \
             `x-forwarded-host` and stand in `server.trusted_proxies`",
        );
    }
    Ok(())
}

/// Whether an origin such as `https://gateway.example:4000` is the host that was asked.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    // Of several proxies the first one was asked.
    let host =
        host.and_then(|host| host.to_str().ok()).and_then(|host| host.split(',').next()).map(str::trim);
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_trusted_proxy_says_which_host_was_asked() {
        let trusted = [IpNetwork::try_from("10.0.0.0/8".to_owned()).unwrap()];
        let refused = |peer: &str, origin: &'static str, host: &'static str| {
            let request = TestRequest::default()
                .method(Method::POST)
                .peer_addr(format!("{peer}:1").parse().unwrap())
                .insert_header(("host", "inside:4000"))
                .insert_header(("x-sluicegate-csrf", "1"))
                .insert_header(("origin", origin))
                .insert_header(("x-forwarded-host", host));
            refuse_foreign(&request.to_http_request(), &trusted).is_err()
        };
        let own = "https://gw.example";
        assert!(!refused("10.1.2.3", own, "gw.example"));
        assert!(!refused("10.1.2.3", own, "gw.example, between"));
        assert!(!refused("10.1.2.3", "http://inside:4000", "gw.example"));
        assert!(refused("10.1.2.3", "https://evil.example", "gw.example"));
        assert!(refused("10.1.2.3", own, "between, gw.example"));
        assert!(refused("192.0.2.1", own, "gw.example"), "anybody may say so");
    }

    #[test]
    fn a_plain_page_is_one_from_elsewhere() {
        for (origin, want) in [
            ("http://gw.example", true),
            ("http://10.0.0.5:4000", true),
            ("http://[fd00::5]:4000", true),
            ("http://localhost.example", true),
            ("https://gw.example", false),
            ("http://localhost:4000", false),
            ("http://gw.localhost", false),
            ("http://127.0.0.1:4000", false),
            ("http://[::1]:4000", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_plain(origin), want, "{origin}");
        }
    }

    #[test]
    fn only_our_own_pages_change_anything() {
        let refused = |method: Method, headers: &[(&'static str, &'static str)]| {
            let mut request =
                TestRequest::default().method(method).insert_header(("host", "gw.example:4000"));
            for header in headers {
                request = request.insert_header(*header);
            }
            refuse_foreign(&request.to_http_request(), &[]).is_err()
        };
        let mark = ("x-sluicegate-csrf", "1");
        let own = ("origin", "http://gw.example:4000");
        for (headers, want) in [
            (&[mark][..], false),
            (&[mark, own], false),
            (&[mark, own, ("sec-fetch-site", "same-origin")], false),
            (&[], true),
            (&[own, ("sec-fetch-site", "same-origin")], true),
            (&[mark, ("origin", "http://evil.example")], true),
            (&[mark, ("origin", "http://gw.example")], true),
            (&[mark, ("origin", "null")], true),
            (&[mark, own, ("sec-fetch-site", "same-site")], true),
            (&[mark, own, ("sec-fetch-site", "cross-site")], true),
            (&[mark, own, ("sec-fetch-site", "none")], true),
            (&[("x-sluicegate-csrf", "")], true),
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(refused(method, headers), want, "{headers:?}");
            }
            assert!(!refused(Method::GET, headers), "{headers:?}");
        }
    }
}
