//! Trying a channel: a small call, its upstream's list of models, its account's balance.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluicegate_config::{model_facts, provider};
use sluicegate_core::channel::Endpoint;
use sluicegate_core::money::parse_decimal;
use sluicegate_core::{
    Channel, ChannelId, Error, ErrorKind, Format, ModelName, OutcomeClass, Result, Secret, Timestamp, Usage,
};

use super::super::seed::Seeds;
use super::super::{Actor, Admin, Deed, Then, invalid, not_found};
use super::{ChannelDraft, only_super};
use crate::trial::{Trial, Trialled};

/// What is said to a model when nothing else is given.
const PROMPT: &str = "Say \"ready\" and nothing else.";
/// Output tokens of a trial: when nothing else is given, and at most.
const OUTPUT: u32 = 16;
const OUTPUT_MAX: u32 = 1_024;
/// A trial has so long, in milliseconds: when nothing else is given, and at most.
const TIMEOUT_MS: u64 = 30_000;
const TIMEOUT_MAX_MS: u64 = 120_000;
/// No longer text is said to a model, in characters.
const PROMPT_MAX: usize = 4_000;

/// How a channel is tried. Everything has a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelTrial {
    /// The model, as it is asked for here, or by the upstream's name. Default: the channel's first.
    pub model: Option<String>,
    /// The format in which it is asked. Default: the channel's first that speaks.
    pub format: Option<Format>,
    /// Which of several keys, from 0.
    pub key: u32,
    /// What is said to it.
    pub prompt: Option<String>,
    /// Output tokens, at most 1,024. Default 16.
    pub max_output: Option<u32>,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// How long it may take, in milliseconds, at most two minutes. Default 30 s.
    pub timeout_ms: Option<u64>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialView {
    /// Whether the channel answered as it should.
    pub ok: bool,
    /// The model, as it is asked for here.
    pub model: ModelName,
    /// The upstream's name of it.
    pub upstream: String,
    /// The format in which it was asked.
    pub format: Format,
    /// Which key it was asked with.
    pub key: u32,
    /// How it ended.
    pub class: OutcomeClass,
    /// The upstream's status, if it gave one.
    pub status: Option<u16>,
    /// What the upstream said against it, or why it wasn't reached.
    pub message: Option<String>,
    /// The upstream's id of the request.
    pub request_id: Option<String>,
    /// Until the answer's head, in milliseconds; the connection is a new one.
    pub head_ms: Option<u64>,
    /// Until the first content of a stream.
    pub first_content_ms: Option<u64>,
    /// Until the end.
    pub total_ms: u64,
    /// What it says it used.
    pub usage: Option<Usage>,
    /// The model that it says it served.
    pub served_model: Option<String>,
    /// The beginning of what it answered.
    pub answer: Option<String>,
}

/// A model that an upstream has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfferedModel {
    /// The upstream's name of it.
    pub name: String,
    /// Whether the catalogue knows it.
    pub known: bool,
    /// Whether its list price is known.
    pub priced: bool,
    /// Whether the channel serves it already.
    pub served: bool,
}

/// What is left of an upstream's account, in billionths of the currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalanceView {
    /// Which key's account.
    pub key: u32,
    /// The currency.
    pub currency: String,
    /// What is left.
    pub available: i64,
    /// How much of it was given.
    pub granted: Option<i64>,
    /// How much of it was paid in.
    pub paid: Option<i64>,
    /// What was used in all, where the provider says so.
    pub used: Option<i64>,
    /// When it was asked.
    pub at: Timestamp,
}

impl Admin {
    /// Makes a small real call through a channel, in use or not. The provider bills it; no limit counts it and no record is
    /// kept, but the audit trail says who made it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `InvalidRequest` when it can't be sent so. `Store`.
    pub async fn try_channel(&self, actor: &Actor, id: &ChannelId, how: ChannelTrial) -> Result<TrialView> {
        let channel = self.known_channel(actor, id).await?;
        self.make_trial(actor, (channel, None), how).await
    }

    /// The same through a channel that isn't saved.
    ///
    /// # Errors
    /// As [`try_channel`](Self::try_channel).
    pub async fn try_draft(
        &self,
        actor: &Actor,
        draft: ChannelDraft,
        how: ChannelTrial,
    ) -> Result<TrialView> {
        let drafted = self.drafted(actor, draft).await?;
        self.make_trial(actor, drafted, how).await
    }

    async fn make_trial(
        &self,
        actor: &Actor,
        (channel, secret): (Channel, Option<Secret>),
        how: ChannelTrial,
    ) -> Result<TrialView> {
        let (trial, model) = trial_of(channel, secret, &how)?;
        let mut deed = Deed::new("channel.test", format!("channel {}", trial.channel.id));
        deed.detail = serde_json::json!({"model": trial.model, "format": trial.endpoint.format});
        self.write(actor, deed, Vec::new(), Seeds::new(), Then::Nothing).await?;
        let told: Trialled = self.0.host.try_channel(&trial).await?;
        let class = told.class.unwrap_or(OutcomeClass::Nonsense);
        Ok(TrialView {
            ok: class == OutcomeClass::Ok,
            model,
            upstream: trial.model,
            format: trial.endpoint.format,
            key: trial.key,
            class,
            status: told.status,
            message: told.message,
            request_id: told.request_id,
            head_ms: told.head_ms,
            first_content_ms: told.first_content_ms,
            total_ms: told.total_ms,
            usage: told.usage,
            served_model: told.served_model,
            answer: told.answer,
        })
    }

    /// The models that a channel's upstream lists, by name.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `NotSupported` where there is no list; what the upstream's refusal means.
    pub async fn offered_models(&self, actor: &Actor, id: &ChannelId) -> Result<Vec<OfferedModel>> {
        let channel = self.known_channel(actor, id).await?;
        self.offered(channel, None).await
    }

    /// The same of a channel that isn't saved.
    ///
    /// # Errors
    /// As [`offered_models`](Self::offered_models).
    pub async fn offered_to_draft(&self, actor: &Actor, draft: ChannelDraft) -> Result<Vec<OfferedModel>> {
        let (channel, secret) = self.drafted(actor, draft).await?;
        self.offered(channel, secret).await
    }

    async fn offered(&self, channel: Channel, secret: Option<Secret>) -> Result<Vec<OfferedModel>> {
        let found = channel.endpoints.iter().find_map(|it| Some((it.clone(), models_url(it)?)));
        let Some((endpoint, url)) = found else {
            let message =
                format!("channel `{}` has no address that lists models; name them by hand", channel.name);
            return Err(Error::new(ErrorKind::NotSupported, message));
        };
        let trial = question(channel, secret, endpoint, 0);
        let answer = self.0.host.ask_upstream(&trial, &url).await?;
        let known = provider(trial.channel.provider.as_str());
        let offer = |name: String| {
            let facts = known.as_ref().and_then(|provider| model_facts(provider, &name));
            OfferedModel {
                known: facts.is_some(),
                priced: facts.is_some_and(|facts| facts.price.is_known()),
                served: trial.channel.models.iter().any(|model| model.upstream.as_str() == name),
                name,
            }
        };
        Ok(names_in(&answer).into_iter().map(offer).collect())
    }

    /// What is left of a channel's account at its provider.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `NotSupported` where the provider doesn't say; what the upstream's refusal means.
    pub async fn channel_balance(&self, actor: &Actor, id: &ChannelId, key: u32) -> Result<BalanceView> {
        let channel = self.known_channel(actor, id).await?;
        let known = provider(channel.provider.as_str());
        let account = known.and_then(|provider| ACCOUNTS.iter().find(|it| it.provider == provider.id));
        let endpoint = channel.endpoints.first().cloned();
        let (Some(account), Some(endpoint)) = (account, endpoint) else {
            let message = format!("`{}` doesn't say what is left of an account", channel.provider);
            return Err(Error::new(ErrorKind::NotSupported, message));
        };
        let url = format!("{}{}", origin_of(&endpoint.url), account.path);
        let trial = question(channel, None, endpoint, key);
        let answer = self.0.host.ask_upstream(&trial, &url).await?;
        let unread = || {
            let message = "the provider's answer holds no balance where it was; see its own console";
            Error::new(ErrorKind::UpstreamUnavailable, message)
        };
        let at = self.now();
        account.read(&answer).map(|it| BalanceView { key, at, ..it }).ok_or_else(unread)
    }

    pub(super) async fn known_channel(&self, actor: &Actor, id: &ChannelId) -> Result<Channel> {
        only_super(actor)?;
        let snapshot = self.0.engine.snapshot();
        let found = snapshot.channels().iter().find(|channel| channel.id == *id).cloned();
        found.ok_or_else(|| not_found("channel", id.as_str()))
    }
}

fn question(channel: Channel, secret: Option<Secret>, endpoint: Endpoint, key: u32) -> Trial {
    let (model, prompt) = (String::new(), String::new());
    let timeout_ms = TIMEOUT_MS;
    Trial { channel, secret, key, endpoint, model, prompt, max_output: 0, stream: false, timeout_ms }
}

/// The call that is meant, and the model as it is asked for here.
fn trial_of(channel: Channel, secret: Option<Secret>, how: &ChannelTrial) -> Result<(Trial, ModelName)> {
    let wanted = |endpoint: &&Endpoint| match how.format {
        Some(format) => endpoint.format == format,
        None => !endpoint.format.is_single(),
    };
    let endpoint = channel.endpoints.iter().find(wanted).cloned().ok_or_else(|| {
        let message =
            "the channel has no such endpoint that can be tried; take a `format` in which it speaks";
        invalid("format", message)
    })?;
    if endpoint.format.is_single() {
        let message = "what makes pictures, sound or the like isn't tried by a small call";
        return Err(Error::new(ErrorKind::NotSupported, message).with("param", "format"));
    }
    let prompt = how.prompt.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(PROMPT);
    if prompt.chars().count() > PROMPT_MAX {
        return Err(invalid("prompt", format!("the prompt is longer than {PROMPT_MAX} characters")));
    }
    if how.key >= channel.key_count() {
        let message = format!("the channel has {} keys; they are counted from 0", channel.key_count());
        return Err(invalid("key", message));
    }
    let (group, upstream) = model_of(&channel, how.model.as_deref())?;
    let trial = Trial {
        secret,
        key: how.key,
        endpoint,
        model: upstream,
        prompt: prompt.to_owned(),
        max_output: how.max_output.unwrap_or(OUTPUT).clamp(1, OUTPUT_MAX),
        stream: how.stream,
        timeout_ms: how.timeout_ms.unwrap_or(TIMEOUT_MS).clamp(1, TIMEOUT_MAX_MS),
        channel,
    };
    Ok((trial, group))
}

fn model_of(channel: &Channel, named: Option<&str>) -> Result<(ModelName, String)> {
    let Some(named) = named.filter(|name| !name.is_empty()) else {
        let mut whole =
            channel.models.iter().filter(|it| !it.upstream.as_str().contains('*') && !it.is_pass_through());
        return match whole.next() {
            Some(model) => Ok((model.group.clone(), model.upstream.to_string())),
            None => Err(invalid("model", "the channel names no model; name one")),
        };
    };
    let known = channel.models.iter().find(|it| it.group.as_str() == named || it.upstream.as_str() == named);
    Ok(match known.filter(|it| !it.upstream.as_str().contains('*')) {
        Some(model) => (model.group.clone(), model.upstream.to_string()),
        None => (ModelName::from(named), named.to_owned()),
    })
}

/// Where an upstream lists its models: beside the operation that an endpoint is of.
fn models_url(endpoint: &Endpoint) -> Option<String> {
    let (path, query) = match endpoint.url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (endpoint.url.as_str(), None),
    };
    let beside = |operation: &str, list: &str| Some(format!("{}{list}", path.strip_suffix(operation)?));
    let url = match endpoint.format {
        Format::AnthropicMessages => beside("/messages", "/models?limit=1000"),
        Format::GeminiGenerate => beside("/models/{model}:generateContent", "/models?pageSize=1000"),
        Format::CohereChat => beside("/v2/chat", "/v1/models?page_size=1000"),
        Format::OllamaChat => beside("/api/chat", "/api/tags"),
        Format::OpenaiChat => beside("/chat/completions", "/models"),
        Format::OpenaiResponses => beside("/responses", "/models"),
        Format::OpenaiEmbeddings => beside("/embeddings", "/models"),
        _ => None,
    }?;
    // Deployments list no models.
    if url.contains("/deployments/") || url.contains('{') {
        return None;
    }
    Some(match query {
        Some(query) if url.contains('?') => format!("{url}&{query}"),
        Some(query) => format!("{url}?{query}"),
        None => url,
    })
}

/// The names in a list of models, in order, each once.
fn names_in(answer: &Value) -> Vec<String> {
    let list = ["data", "models"].into_iter().find_map(|name| answer.get(name)).unwrap_or(answer);
    let name = |it: &Value| {
        let named =
            ["id", "name", "model"].into_iter().find_map(|field| it.get(field).and_then(Value::as_str));
        let name = named.or_else(|| it.as_str())?;
        Some(name.strip_prefix("models/").unwrap_or(name).to_owned())
    };
    let mut names: Vec<String> = list.as_array().into_iter().flatten().filter_map(name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

/// Where a provider says what is left of an account.
struct Account {
    provider: &'static str,
    path: &'static str,
    /// `None` where the answer names it.
    currency: Option<&'static str>,
    /// What is left; or what was paid in, of which what is used goes off.
    available: &'static str,
    granted: Option<&'static str>,
    paid: Option<&'static str>,
    used: Option<&'static str>,
}

// QUIRK(deepseek, 2026-11, https://api-docs.deepseek.com/api/get-user-balance), QUIRK(openrouter, 2026-11,
// https://openrouter.ai/docs/api-reference/get-credits), QUIRK(siliconflow, 2026-11, https://docs.siliconflow.cn/cn/api-reference/userinfo),
// QUIRK(moonshot, 2026-11, https://platform.moonshot.ai/docs/api/misc): each has an operation of its own.
const ACCOUNTS: [Account; 6] = [
    Account {
        provider: "deepseek",
        path: "/user/balance",
        currency: None,
        available: "/balance_infos/0/total_balance",
        granted: Some("/balance_infos/0/granted_balance"),
        paid: Some("/balance_infos/0/topped_up_balance"),
        used: None,
    },
    moonshot("moonshot", "USD"),
    moonshot("moonshot-cn", "CNY"),
    siliconflow("siliconflow", "USD"),
    siliconflow("siliconflow-cn", "CNY"),
    Account {
        provider: "openrouter",
        path: "/api/v1/credits",
        currency: Some("USD"),
        available: "/data/total_credits",
        granted: None,
        paid: Some("/data/total_credits"),
        used: Some("/data/total_usage"),
    },
];

const fn moonshot(provider: &'static str, currency: &'static str) -> Account {
    Account {
        provider,
        path: "/v1/users/me/balance",
        currency: Some(currency),
        available: "/data/available_balance",
        granted: Some("/data/voucher_balance"),
        paid: Some("/data/cash_balance"),
        used: None,
    }
}

const fn siliconflow(provider: &'static str, currency: &'static str) -> Account {
    Account {
        provider,
        path: "/v1/user/info",
        currency: Some(currency),
        available: "/data/totalBalance",
        granted: Some("/data/balance"),
        paid: Some("/data/chargeBalance"),
        used: None,
    }
}

impl Account {
    fn read(&self, answer: &Value) -> Option<BalanceView> {
        let amount = |at: &str| match answer.pointer(at)? {
            Value::String(text) => parse_decimal(text, 9),
            Value::Number(number) => parse_decimal(&number.to_string(), 9),
            _ => None,
        };
        let (whole, used) = (amount(self.available)?, self.used.and_then(amount));
        let named = || answer.pointer("/balance_infos/0/currency")?.as_str().map(str::to_owned);
        Some(BalanceView {
            key: 0,
            currency: self.currency.map(str::to_owned).or_else(named)?,
            available: whole.checked_sub(used.unwrap_or_default())?,
            granted: self.granted.and_then(amount),
            paid: self.paid.and_then(amount),
            used,
            at: Timestamp::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_are_listed_beside_the_operation() {
        for (format, url, want) in [
            (Format::OpenaiChat, "https://a/v1/chat/completions", Some("https://a/v1/models")),
            (
                Format::OpenaiChat,
                "https://a/openai/v1/chat/completions?api-version=x",
                Some("https://a/openai/v1/models?api-version=x"),
            ),
            (Format::OpenaiChat, "https://a/openai/deployments/{model}/chat/completions", None),
            (Format::OpenaiResponses, "https://a/v1/responses", Some("https://a/v1/models")),
            (Format::AnthropicMessages, "https://a/v1/messages", Some("https://a/v1/models?limit=1000")),
            (
                Format::GeminiGenerate,
                "https://a/v1beta/models/{model}:generateContent",
                Some("https://a/v1beta/models?pageSize=1000"),
            ),
            (Format::CohereChat, "https://a/v2/chat", Some("https://a/v1/models?page_size=1000")),
            (Format::OllamaChat, "http://a/api/chat", Some("http://a/api/tags")),
            (Format::OpenaiImages, "https://a/v1/images/generations", None),
            (Format::OpenaiChat, "https://a/odd", None),
        ] {
            let endpoint = Endpoint { format, url: url.to_owned() };
            assert_eq!(models_url(&endpoint).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn names_are_read_of_each_kind_of_list() {
        for (answer, want) in [
            (json!({"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "a"}]}), vec!["a", "b"]),
            (json!({"models": [{"name": "models/gemini-3"}]}), vec!["gemini-3"]),
            (json!({"models": [{"name": "llama:8b", "model": "llama:8b"}]}), vec!["llama:8b"]),
            (json!(["x"]), vec!["x"]),
            (json!({"error": "no"}), vec![]),
        ] {
            assert_eq!(names_in(&answer), want, "{answer}");
        }
    }

    #[test]
    fn balances_are_read_where_each_provider_says_them() {
        let read = |provider: &str, answer: Value| {
            let account = ACCOUNTS.iter().find(|it| it.provider == provider).unwrap();
            account.read(&answer).map(|it| (it.currency, it.available, it.granted, it.paid, it.used))
        };
        let deepseek = json!({"is_available": true, "balance_infos": [{"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00", "topped_up_balance": "100.00"}]});
        let nano = |n: i64| n * 1_000_000_000;
        assert_eq!(
            read("deepseek", deepseek),
            Some(("CNY".to_owned(), nano(110), Some(nano(10)), Some(nano(100)), None))
        );
        let openrouter = json!({"data": {"total_credits": 25, "total_usage": 4.5}});
        assert_eq!(
            read("openrouter", openrouter),
            Some(("USD".to_owned(), 20_500_000_000, None, Some(nano(25)), Some(4_500_000_000)))
        );
        let moonshot = json!({"code": 0, "data": {"available_balance": 49.5, "voucher_balance": 46, "cash_balance": 3.5}});
        assert_eq!(read("moonshot", moonshot).unwrap().1, 49_500_000_000);
        let siliconflow =
            json!({"data": {"balance": "0.88", "chargeBalance": "88.00", "totalBalance": "88.88"}});
        assert_eq!(read("siliconflow-cn", siliconflow).unwrap().1, 88_880_000_000);
        assert_eq!(read("moonshot", json!({"error": {}})), None);
    }
}
