//! Fetches what identity providers publish: documents and keys, and what a code is exchanged for.
//!
//! - What the configuration names is trusted wherever it is. What a provider's document names besides is reached at the
//!   same host, or at a public address: nobody who can write that document gets at what stands beside us.
//! - Plain HTTP goes no further than this machine. Redirects aren't followed, and answers are bounded.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sluicegate_core::{Error, ErrorKind, Result};

use super::http::root_cause;

/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No document is longer, in bytes.
const ANSWER_MAX: usize = 1 << 20;
/// No such request sends more to be sent to, in bytes.
const URL_MAX: usize = 4096;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FetchFault(pub(crate) String);

/// Fetches for one provider.
pub(crate) struct Fetcher {
    named: reqwest::Client,
    public: reqwest::Client,
    /// The hosts that the configuration names, with their ports.
    hosts: Vec<(String, Option<u16>)>,
}

impl Fetcher {
    /// One that trusts the hosts of these addresses.
    ///
    /// # Errors
    /// `Config` when no client can be built.
    pub(crate) fn new<'a>(named: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let hosts = named.into_iter().filter_map(|url| Url::parse(url).ok()).filter_map(|url| place(&url));
        Ok(Self { named: client(false)?, public: client(true)?, hosts: hosts.collect() })
    }

    /// Whether a browser, or a secret, may be sent there.
    pub(crate) fn may_reach(&self, url: &str) -> std::result::Result<Url, FetchFault> {
        let wrong = |why: &str| FetchFault(format!("`{}` {why}", url.chars().take(200).collect::<String>()));
        if url.len() > URL_MAX {
            return Err(wrong("is too long an address"));
        }
        let parsed = Url::parse(url).map_err(|_| wrong("is no address"))?;
        let host = parsed.host_str().unwrap_or_default();
        let is_local = ip_of(&parsed).map_or(host == "localhost", |ip| ip.is_loopback());
        match parsed.scheme() {
            "https" => {}
            "http" if is_local => {}
            _ => return Err(wrong("isn't reached by TLS")),
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("holds a credential"));
        }
        if !self.is_named(&parsed) && (is_local || ip_of(&parsed).is_some_and(|ip| !is_public(ip))) {
            return Err(wrong("is no public address, and the configuration doesn't name its host"));
        }
        Ok(parsed)
    }

    fn is_named(&self, url: &Url) -> bool {
        place(url).is_some_and(|place| self.hosts.contains(&place))
    }

    /// Sends a request, and takes its whole answer.
    pub(crate) async fn fetch(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> std::result::Result<http::Response<Vec<u8>>, FetchFault> {
        match tokio::time::timeout(TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchFault(format!("there was no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    /// A document.
    pub(crate) async fn document(&self, url: &str) -> std::result::Result<Vec<u8>, FetchFault> {
        let request = http::Request::get(url)
            .header("accept", "application/json")
            .body(Vec::new())
            .map_err(|why| FetchFault(why.to_string()))?;
        let answer = self.fetch(request).await?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            status => Err(FetchFault(format!("it answered with the status {status}"))),
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> std::result::Result<http::Response<Vec<u8>>, FetchFault> {
        let (parts, body) = request.into_parts();
        let url = self.may_reach(&parts.uri.to_string())?;
        let client = if self.is_named(&url) { &self.named } else { &self.public };
        let sent = client.request(parts.method, url).headers(parts.headers).body(body).send().await;
        let mut response = sent.map_err(|why| FetchFault(root_cause(&why)))?;
        let mut answer = http::Response::builder().status(response.status());
        if let Some(kind) = response.headers().get(http::header::CONTENT_TYPE) {
            answer = answer.header(http::header::CONTENT_TYPE, kind);
        }
        let mut body = Vec::new();
        // BOUND: by the length and the timeout.
        while let Some(piece) = response.chunk().await.map_err(|why| FetchFault(root_cause(&why)))? {
            if body.len() + piece.len() > ANSWER_MAX {
                return Err(FetchFault(format!("it answered with more than {ANSWER_MAX} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        answer.body(body).map_err(|why| FetchFault(why.to_string()))
    }
}

fn client(only_public: bool) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .tls_backend_preconfigured(super::tls::client_config(None)?);
    if only_public {
        builder = builder.dns_resolver(Arc::new(PublicOnly));
    }
    builder
        .build()
        .map_err(|why| Error::new(ErrorKind::Config, "no http client could be built").with_source(why))
}

/// A list of names and values, as forms and queries have it.
pub(crate) fn encoded(pairs: &[(&str, &str)]) -> String {
    // INVARIANT: the address is one; only what is behind its `?` is used.
    let Ok(mut url) = Url::parse("https://form.invalid/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn place(url: &Url) -> Option<(String, Option<u16>)> {
    Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()))
}

fn ip_of(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Resolves names to public addresses alone: what is looked at is what is connected to.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(format!("`{}` has no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the open internet's.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || a == 0
                || a >= 224
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && matches!(b, 18 | 19)))
        }
        // Global unicast; without what is mapped to IPv4 in other ways, and documentation.
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            first & 0xe000 == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_us_isnt_public() {
        for (ip, public) in [
            ("93.184.216.34", true),
            ("2606:4700::1111", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.16.9.9", false),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("64:ff9b::a00:1", false),
            ("2002:a00:1::", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }

    #[test]
    fn a_document_leads_to_the_same_host_or_to_a_public_one() {
        let fetcher = Fetcher::new(["https://idp.internal:8443/realm", "http://127.0.0.1:99"]).unwrap();
        for (url, fine) in [
            ("https://idp.internal:8443/keys", true),
            ("https://IDP.internal:8443/keys", true),
            ("https://keys.example/keys", true),
            ("http://127.0.0.1:99/keys", true),
            ("http://127.0.0.1:98/keys", false),
            ("https://127.0.0.1/keys", false),
            ("https://[::1]/keys", false),
            ("https://localhost/keys", false),
            ("https://10.0.0.1/keys", false),
            ("https://169.254.169.254/latest", false),
            ("https://2130706433/keys", false),
            ("https://0x7f.1/keys", false),
            ("http://keys.example/keys", false),
            ("file:///etc/passwd", false),
            ("https://u:p@keys.example/keys", false),
            ("keys", false),
        ] {
            assert_eq!(fetcher.may_reach(url).is_ok(), fine, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_beside_us_isnt_followed() {
        let fetcher = Fetcher::new(["https://idp.example"]).unwrap();
        // The name is looked up, and its address is this machine's.
        let why = fetcher.public.get("http://localhost:9/keys").send().await.unwrap_err();
        assert!(root_cause(&why).contains("no public address"), "{}", root_cause(&why));
    }
}
