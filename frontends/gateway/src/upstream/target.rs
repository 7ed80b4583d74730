//! Targets: what is the same for every request to one endpoint, built once.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Uri;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use sluicegate_core::channel::{Auth, Endpoint, MODEL, Transport};
use sluicegate_core::header::{self, CREDENTIAL};
use sluicegate_core::ports::SecretResolver;
use sluicegate_core::{Channel, ChannelId, Error, ErrorKind, Format, Result, Snapshot};
use sluicegate_wire::Headers;

/// The address of one endpoint of one channel, with its standing headers (the credential among them) and transport.
pub struct Target {
    pub(crate) address: Option<Address>,
    pub(crate) headers: HeaderMap,
    /// The head of each request as it is written, but for its length.
    pub(crate) written: Bytes,
    pub(crate) transport: Transport,
    /// The address as it was written, when it holds a place for the model.
    template: Option<Endpoint>,
    /// What its channel does to the headers of each call, if anything.
    per_call: Option<Box<PerCall>>,
    /// The format that it speaks.
    pub format: Format,
}

/// Headers that depend on the call: those whose values hold headers of its caller's. The channel's changes come on top.
#[derive(Clone, Default)]
struct PerCall {
    templates: Vec<Template>,
}

/// A header whose value holds headers of the caller's.
#[derive(Clone)]
struct Template {
    name: HeaderName,
    value: String,
    /// It holds the credential, too.
    is_secret: bool,
}

impl Template {
    /// Its value with the caller's headers in it; `None` when one of them isn't there, or it can't be a header.
    fn filled(&self, of_caller: impl Fn(&str) -> Option<String>) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(header::filled(&self.value, of_caller)?).ok()?;
        value.set_sensitive(self.is_secret);
        Some(value)
    }
}

/// An address, parsed once for each client.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) url: reqwest::Url,
    pub(crate) uri: Uri,
    /// Scheme, host and port: requests to the same origin may share connections.
    pub(crate) origin: Arc<str>,
    /// What goes into the `host` header.
    pub(crate) host: HeaderValue,
    /// What goes into the request line.
    pub(crate) path: String,
}

impl Address {
    /// The head of a request with these headers as it is written, but for what says where the body ends: that is for
    /// whoever knows.
    pub(super) fn head(&self, headers: &HeaderMap) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(b"POST ");
        out.put_slice(self.path.as_bytes());
        out.put_slice(b" HTTP/1.1\r\n");
        let host = (!headers.contains_key(HOST)).then_some((&HOST, &self.host));
        for (name, value) in host.into_iter().chain(headers) {
            if !matches!(name, &CONTENT_LENGTH | &TRANSFER_ENCODING) {
                out.put_slice(name.as_str().as_bytes());
                out.put_slice(b": ");
                out.put_slice(value.as_bytes());
                out.put_slice(b"\r\n");
            }
        }
        out.freeze()
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers hold the credential.
        write!(
            f,
            "Target({:?}, {})",
            self.format,
            self.address.as_ref().map_or("mock", |address| address.url.as_str())
        )
    }
}

impl Target {
    pub(super) fn new(
        address: Option<Address>,
        headers: HeaderMap,
        transport: Transport,
        format: Format,
    ) -> Self {
        let written = address.as_ref().map(|address| address.head(&headers)).unwrap_or_default();
        Self { address, headers, written, transport, template: None, per_call: None, format }
    }

    /// The target of an endpoint of a channel that need not be in use.
    ///
    /// # Errors
    /// `Config` saying what can't be sent so.
    pub(crate) fn of(
        channel: &Channel,
        endpoint: &Endpoint,
        key: u32,
        secrets: &dyn SecretResolver,
    ) -> Result<Self> {
        build(channel, endpoint, key, secrets)
    }

    /// The headers of a call as its channel's changes see them, with those that this call has of its own; `None` where they don't
    /// depend on the call. What holds the credential can't be seen or changed.
    pub(crate) fn headers_of_call<'a>(
        &self,
        caller: &'a [(String, String)],
        own: &[(String, String)],
    ) -> Option<Headers<'a>> {
        let per_call = self.per_call.as_ref()?;
        let mut sent: Vec<(String, String)> = Vec::with_capacity(self.headers.len() + own.len());
        for (name, value) in &self.headers {
            // What isn't ASCII is text all the same.
            if let (false, Ok(value)) = (value.is_sensitive(), std::str::from_utf8(value.as_bytes())) {
                sent.push((name.as_str().to_owned(), value.to_owned()));
            }
        }
        let mut headers = Headers::new(caller, sent);
        own.iter().for_each(|(name, value)| headers.set(name, value.clone()));
        for template in per_call.templates.iter().filter(|template| !template.is_secret) {
            let of_caller = |name: &str| headers.of_caller(name).map(str::to_owned);
            if let Some(value) = header::filled(&template.value, of_caller) {
                headers.set(template.name.as_str(), value);
            }
        }
        Some(headers)
    }

    /// The target of one call with these headers, besides those that hold the credential.
    pub(crate) fn with_headers(self: Arc<Self>, headers: Headers<'_>) -> Arc<Self> {
        // Whatever else, and what is no text, isn't for changes.
        let is_kept =
            |value: &HeaderValue| value.is_sensitive() || std::str::from_utf8(value.as_bytes()).is_err();
        let kept = self.headers.iter().filter(|(_, value)| is_kept(value));
        let mut all: HeaderMap = kept.map(|(n, v)| (n.clone(), v.clone())).collect();
        let secret = |template: &&Template| template.is_secret;
        let secrets = || self.per_call.iter().flat_map(|it| &it.templates).filter(secret);
        for template in secrets().filter(|it| !self.is_sensitive(&it.name)) {
            let of_caller = |name: &str| headers.of_caller(name).map(str::to_owned);
            if let Some(value) = template.filled(of_caller) {
                all.insert(template.name.clone(), value);
            }
        }
        for (name, value) in headers.into_sent() {
            // What can't be a header isn't one of ours to send.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
                && !self.is_sensitive(&name)
                && !secrets().any(|template| template.name == name)
            {
                all.insert(name, value);
            }
        }
        self.with(all)
    }

    /// The target of a call that is passed through, whose headers are the caller's own: what holds some of them is filled in.
    pub(crate) fn with_templates(self: Arc<Self>, caller: &[(String, String)]) -> Arc<Self> {
        let Some(per_call) = self.per_call.as_ref().filter(|it| !it.templates.is_empty()) else {
            return self;
        };
        let (mut all, seen) = (self.headers.clone(), Headers::new(caller, Vec::new()));
        let is_free = |it: &&Template| it.is_secret || !header::is_own(it.name.as_str());
        for template in per_call.templates.iter().filter(is_free).filter(|it| !self.is_sensitive(&it.name)) {
            if let Some(value) = template.filled(|name| seen.of_caller(name).map(str::to_owned)) {
                all.insert(template.name.clone(), value);
            }
        }
        self.with(all)
    }

    /// Whether that header is made of headers of the caller's: theirs of the same name doesn't go on.
    pub(crate) fn is_template(&self, name: &str) -> bool {
        self.per_call.iter().flat_map(|it| &it.templates).any(|template| template.name == *name)
    }

    fn is_sensitive(&self, name: &HeaderName) -> bool {
        self.headers.get(name).is_some_and(HeaderValue::is_sensitive)
    }

    fn with(&self, headers: HeaderMap) -> Arc<Self> {
        let (address, transport) = (self.address.clone(), self.transport.clone());
        let (template, per_call) = (self.template.clone(), self.per_call.clone());
        Arc::new(Self { template, per_call, ..Self::new(address, headers, transport, self.format) })
    }

    /// The target of one call: the same one unless its address names the model.
    pub fn for_call(self: &Arc<Self>, model: &str, stream: bool) -> Arc<Self> {
        let Some(template) = &self.template else { return Arc::clone(self) };
        // INVARIANT: what an encoded name is put into was an address with another name in its place.
        let address = parse(&template.address(model, stream)).ok();
        let headers = self.headers.clone();
        let (transport, template) = (self.transport.clone(), Some(template.clone()));
        let per_call = self.per_call.clone();
        Arc::new(Self { template, per_call, ..Self::new(address, headers, transport, self.format) })
    }

    /// Its address, in text; `None` for the built-in provider.
    pub fn url(&self) -> Option<&str> {
        self.address.as_ref().map(|address| address.url.as_str())
    }

    /// The standing headers, the credential among them: for hosts that send by themselves.
    pub fn header_pairs(&self) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }

    /// Whether it is the built-in provider, which needs no network.
    pub fn is_mock(&self) -> bool {
        self.address.is_none()
    }
}

/// The targets of every channel of a snapshot.
#[derive(Debug, Default)]
pub struct Targets {
    /// For each of a channel's keys, one for each endpoint.
    by_channel: HashMap<ChannelId, Vec<Vec<Arc<Target>>>>,
    /// Channels that can't be sent to, and why.
    pub problems: Vec<(ChannelId, Error)>,
}

impl Targets {
    /// Builds the targets of every channel that is switched on. What can't be built is a problem to be shown, and only
    /// that channel fails.
    pub fn build(snapshot: &Snapshot, secrets: &dyn SecretResolver) -> Self {
        let mut targets = Self::default();
        for channel in snapshot.channels().iter().filter(|channel| channel.enabled) {
            let with_key = |key: u32| -> Result<Vec<_>> {
                let of = |endpoint| build(channel, endpoint, key, secrets).map(Arc::new);
                channel.endpoints.iter().map(of).collect()
            };
            let built: Result<Vec<_>> = (0..channel.key_count()).map(with_key).collect();
            match built {
                Ok(built) => {
                    targets.by_channel.insert(channel.id.clone(), built);
                }
                Err(error) => targets.problems.push((channel.id.clone(), error)),
            }
        }
        targets
    }

    /// The target of a channel's endpoint, with one of its keys.
    pub fn get(&self, channel: &Channel, endpoint: &Endpoint, key: u32) -> Option<Arc<Target>> {
        let at = channel.endpoints.iter().position(|e| e == endpoint)?;
        self.by_channel.get(&channel.id)?.get(key as usize)?.get(at).cloned()
    }
}

fn build(channel: &Channel, endpoint: &Endpoint, key: u32, secrets: &dyn SecretResolver) -> Result<Target> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let is_anthropic = matches!(endpoint.format, Format::AnthropicMessages | Format::AnthropicCountTokens);
    if is_anthropic {
        headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
    }
    for quirk in &channel.quirks.headers {
        // INVARIANT: a test reads every header of the catalogue. The channel's own of the same name replaces it.
        let pair =
            HeaderName::try_from(quirk.name.as_str()).ok().zip(HeaderValue::try_from(&quirk.value).ok());
        headers.extend(pair);
    }
    let mut templates = Vec::new();
    for (name, value) in &channel.headers {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| config(channel, format!("`{name}` is no header name")))?;
        let is_secret = value.contains(CREDENTIAL);
        let filled = match is_secret.then(|| secrets.channel_secret(channel, key)).transpose()?.flatten() {
            Some(secret) => value.replace(CREDENTIAL, secret.expose().trim()),
            None => value.clone(),
        };
        // The caller's headers are put into it as it was written: a credential that looks like a place for one is none.
        if header::is_template(value) {
            templates.push(Template { name, value: filled, is_secret });
            continue;
        }
        let mut value = HeaderValue::try_from(filled).map_err(|_| {
            config(
                channel,
                format!("the value of the header `{name}` has characters that headers can't have"),
            )
        })?;
        value.set_sensitive(is_secret);
        headers.insert(name, value);
    }
    if let Some((name, value)) = credential(channel, endpoint, key, secrets)? {
        headers.insert(name, value);
    }
    let address = match (channel.provider.as_str(), endpoint.address("model", false).as_str()) {
        ("mock", "") => None,
        (_, url) => Some(parse_address(channel, url)?),
    };
    let template = endpoint.url.contains(MODEL).then(|| endpoint.clone());
    let target = Target::new(address, headers, channel.transport.clone(), endpoint.format);
    let per_call = channel.edits_headers().then(|| Box::new(PerCall { templates }));
    Ok(Target { template, per_call, ..target })
}

fn credential(
    channel: &Channel,
    endpoint: &Endpoint,
    key: u32,
    secrets: &dyn SecretResolver,
) -> Result<Option<(HeaderName, HeaderValue)>> {
    let Some(secret) = secrets.channel_secret(channel, key)? else { return Ok(None) };
    let secret = secret.expose().trim();
    let (name, text) = match &channel.auth {
        Auth::None => return Ok(None),
        Auth::Bearer
            if matches!(endpoint.format, Format::AnthropicMessages | Format::AnthropicCountTokens)
                && !secret.starts_with("sk-ant-oat") =>
        {
            // QUIRK(anthropic, 2026-05, https://docs.anthropic.com/en/api/overview): API keys go into `x-api-key`; only
            // OAuth tokens are bearers. Channels with both formats name one style for both.
            (HeaderName::from_static("x-api-key"), secret.to_owned())
        }
        // Google's keys have their own header; its OAuth tokens are bearers.
        Auth::Bearer
            if matches!(endpoint.format, Format::GeminiGenerate | Format::GeminiCountTokens)
                && !secret.starts_with("ya29.") =>
        {
            (HeaderName::from_static("x-goog-api-key"), secret.to_owned())
        }
        Auth::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
        Auth::Header(name) => (
            HeaderName::try_from(name.as_str())
                .map_err(|_| config(channel, format!("`{name}` is no header name")))?,
            secret.to_owned(),
        ),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        config(channel, "its credential has characters that headers can't have; enter it again".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

fn parse_address(channel: &Channel, text: &str) -> Result<Address> {
    let address = parse(text).map_err(|why| {
        config(channel, format!("`{text}` is no address ({why}); write it as https://host/path"))
    })?;
    match address.url.scheme() {
        "http" | "https" => Ok(address),
        scheme => Err(config(channel, format!("`{scheme}` addresses can't be called; use https"))),
    }
}

/// Takes an address apart; else why it is none.
pub(super) fn parse(text: &str) -> std::result::Result<Address, String> {
    let url = reqwest::Url::parse(text).map_err(|why| why.to_string())?;
    let uri = Uri::try_from(url.as_str()).map_err(|why| why.to_string())?;
    // The port is left out where it is the scheme's own.
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(Address {
        origin: format!("{}://{host}", url.scheme()).into(),
        path,
        host: HeaderValue::try_from(host).map_err(|why| why.to_string())?,
        uri,
        url,
    })
}

fn config(channel: &Channel, message: String) -> Error {
    Error::new(ErrorKind::Config, format!("channel `{}`: {message}", channel.name))
        .with("channel", channel.id.as_str())
}

#[cfg(test)]
mod tests;
