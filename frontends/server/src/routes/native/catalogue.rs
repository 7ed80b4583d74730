//! What can be called: providers, models, prices.

use actix_web::http::Method;
use serde_json::{Value, json};
use sluicegate::admin::{PriceFilter, PriceSource};
use sluicegate::config::{self, Provider};
use sluicegate::{Error, ErrorKind, Result};

use super::{list, parameter, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const PROVIDERS: &[(&str, &str)] = &[
    ("search", "With this text in id, name or other names, Chinese ones among them."),
    ("served", "`true`: only those that this version calls."),
    list::PARAMETERS[0],
    list::PARAMETERS[1],
    list::PARAMETERS[2],
    list::PARAMETERS[3],
    list::PARAMETERS[4],
];

const MODELS: &[(&str, &str)] = &[
    ("search", "With this text in the name."),
    ("priced", "`false`: only those that lack a price at one of their channels; `true`: only the others."),
    list::PARAMETERS[0],
    list::PARAMETERS[1],
    list::PARAMETERS[2],
    list::PARAMETERS[3],
    list::PARAMETERS[4],
];

const PRICES: &[(&str, &str)] = &[
    ("model", "Of this model."),
    ("channel", "At this channel, by id; for super administrators."),
    ("search", "With this text in the model's name."),
    (
        "source",
        "From there: `list`, the built-in price list; `own`, the configuration; `none`, without a price.",
    ),
    list::PARAMETERS[0],
    list::PARAMETERS[1],
    list::PARAMETERS[2],
    list::PARAMETERS[3],
    list::PARAMETERS[4],
];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "catalogue", summary);
    let get = |path, make, operation| Entry { method: Method::GET, path, make, operation: Some(operation) };
    vec![
        get(
            "/api/v1/providers",
            || ask::route(Method::GET, providers),
            op("listProviders", "Providers of the catalogue.").query(PROVIDERS).answers(200, "ProviderList").or_csv(),
        ),
        get(
            "/api/v1/providers/{provider}",
            || ask::route(Method::GET, provider),
            op(
                "getProvider",
                "A provider, by id or another name of it: what a channel of it must be told, and the models that are known.",
            )
            .answers(200, "Provider"),
        ),
        get(
            "/api/v1/models",
            || ask::route(Method::GET, models),
            op("listModels", "Models that the asker could call; for super administrators with their channels.")
                .query(MODELS)
                .answers(200, "ModelList")
                .or_csv(),
        ),
        get(
            "/api/v1/models/{model:.*}",
            || ask::route(Method::GET, model),
            op("getModel", "A model that the asker could call.").answers(200, "Model"),
        ),
        get(
            "/api/v1/prices",
            || ask::route(Method::GET, prices),
            op("listPrices", "What the models that the asker could call cost.")
                .query(PRICES)
                .answers(200, "ModelPriceList")
                .or_csv(),
        ),
    ]
}

const PAGING: [&str; 3] = ["cursor", "sort", "format"];

fn is_wanted(query: &serde_json::Map<String, Value>, name: &str) -> Result<Option<bool>> {
    match parameter(query, name).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => {
            let message = format!("`{name}` is `true` or `false`, not `{other}`");
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
    }
}

fn known<'a>(own: &[&'a str]) -> Vec<&'a str> {
    own.iter().copied().chain(PAGING).collect()
}

async fn providers(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &known(&["search", "served"]))?;
    let (search, served) = (parameter(&query, "search"), is_wanted(&query, "served")?);
    let search = search.map(|text| text.to_lowercase());
    let fits = |provider: &Provider| {
        let card = provider.card();
        let has = |text: &String| {
            let names = [card.id, card.name].into_iter().chain(card.aliases.iter().copied());
            let names = names.chain(card.chinese.iter().copied());
            names.into_iter().any(|name| name.to_lowercase().contains(text))
        };
        served.is_none_or(|served| card.served == served) && search.as_ref().is_none_or(has)
    };
    let all: Vec<Value> = config::providers().filter(fits).map(|it| shown(&it)).collect();
    let fetch = async |spot: &list::Spot| spot.of_whole(&all, &["id"]);
    list::answer(&ask, &query, "Provider", fetch).await
}

/// A provider without its models, which would make a list long.
fn shown(provider: &Provider) -> Value {
    let mut value = json!(provider.card());
    value["form"] = json!(provider.form());
    value
}

async fn provider(ask: Ask) -> Result<Done> {
    let name = ask.param("provider");
    let provider = config::provider(&name).ok_or_else(|| {
        let message = format!("provider `{name}` doesn't exist; GET /api/v1/providers lists those that do");
        Error::new(ErrorKind::NotFound, message)
    })?;
    let mut value = shown(&provider);
    let model = |model: &'static str| {
        let facts = config::model_facts(&provider, model);
        json!({
            "name": model,
            "embedding": facts.as_ref().is_some_and(|it| it.embedding),
            "context_window": facts.as_ref().and_then(|it| it.context_window),
            "max_output": facts.as_ref().and_then(|it| it.max_output),
            "lacks": facts.as_ref().map(|it| it.lacks).unwrap_or_default(),
            "price": facts.map(|it| it.price),
        })
    };
    value["models"] = provider.models().into_iter().map(model).collect();
    Done::ok(&value)
}

async fn models(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &known(&["search", "priced"]))?;
    let (search, priced) = (parameter(&query, "search"), is_wanted(&query, "priced")?);
    let search = search.map(|text| text.to_lowercase());
    let mut all = ask.admin().models(&ask.actor).await?;
    all.retain(|it| {
        priced.is_none_or(|priced| it.priced == priced)
            && search.as_ref().is_none_or(|text| it.name.as_str().to_lowercase().contains(text))
    });
    let all: Vec<Value> = all.iter().map(|it| json!(it)).collect();
    let fetch = async |spot: &list::Spot| spot.of_whole(&all, &["name"]);
    list::answer(&ask, &query, "Model", fetch).await
}

async fn model(ask: Ask) -> Result<Done> {
    let name = ask.param("model");
    let all = ask.admin().models(&ask.actor).await?;
    let found = all.into_iter().find(|it| it.name.as_str() == name);
    let unknown = || Error::new(ErrorKind::NotFound, format!("model `{name}` doesn't exist"));
    Done::ok(&found.ok_or_else(unknown)?)
}

async fn prices(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &known(&["model", "channel", "search", "source"]))?;
    let source = |text: String| {
        serde_json::from_value::<PriceSource>(json!(text)).map_err(|_| {
            let message = format!("`{text}` is no source of a price; there are list, own and none");
            Error::new(ErrorKind::InvalidRequest, message).with("param", "source")
        })
    };
    let filter = PriceFilter {
        model: parameter(&query, "model"),
        channel: parameter(&query, "channel"),
        search: parameter(&query, "search"),
        source: parameter(&query, "source").map(source).transpose()?,
    };
    let prices = ask.admin().prices(&ask.actor, &filter).await?;
    let all: Vec<Value> = prices.iter().map(|it| json!(it)).collect();
    let fetch = async |spot: &list::Spot| spot.of_whole(&all, &["model", "channel", "provider", "upstream"]);
    list::answer(&ask, &query, "ModelPrice", fetch).await
}
