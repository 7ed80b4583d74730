//! The models that a key may ask for, as OpenAI's SDK or Anthropic's expects them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use sluicegate::{Error, ErrorKind, ModelCard, Result};

use crate::extract;
use crate::respond::{self, Face};
use crate::state::State;

/// When models were "created": nobody knows, and clients want a constant.
const CREATED_S: i64 = 1_677_610_602;
const CREATED_AT: &str = "2023-02-28T18:56:42Z";

/// `GET /v1/models`.
pub async fn list(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let face = face(&req);
    match cards(&req, &state).await {
        Ok(cards) => respond::json(
            &req,
            face,
            &match face {
                Face::OpenAi | Face::Cohere | Face::LiteLlm => {
                    json!({"object": "list", "data": cards.iter().map(|card| one_json(card, face)).collect::<Vec<_>>()})
                }
                Face::Gemini => match Page::of(&req) {
                    Ok(page) => page.json(&cards),
                    Err(error) => return respond::error(&req, face, error),
                },
                Face::Anthropic => match Turn::of(&req).and_then(|turn| turn.take(&cards)) {
                    Ok((page, has_more)) => json!({
                        "data": page.iter().map(|card| one_json(card, face)).collect::<Vec<_>>(),
                        "has_more": has_more,
                        "first_id": page.first().map(|card| card.name.as_str()),
                        "last_id": page.last().map(|card| card.name.as_str()),
                    }),
                    Err(error) => return respond::error(&req, face, error),
                },
            },
        ),
        Err(error) => respond::error(&req, face, error),
    }
}

/// `GET /v1/models/{model}`.
pub async fn one(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let face = face(&req);
    let wanted = req.match_info().query("model");
    let wanted = if face == Face::Gemini { wanted.strip_prefix("models/").unwrap_or(wanted) } else { wanted };
    let card = cards(&req, &state).await.and_then(|cards| {
        cards.into_iter().find(|card| card.name.as_str() == wanted).ok_or_else(|| {
            let message = format!(
                "there is no model `{wanted}` for this key; GET /v1/models lists those that it may use"
            );
            Error::new(ErrorKind::ModelNotFound, message).with("param", "model")
        })
    });
    match card {
        Ok(card) => respond::json(&req, face, &one_json(&card, face)),
        Err(error) => respond::error(&req, face, error),
    }
}

/// Which part of the list Anthropic's SDK asks for.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Turn {
    limit: Option<usize>,
    before_id: Option<String>,
    after_id: Option<String>,
}

/// Models of a page when nobody says how many, and at most, as at Anthropic.
const PAGE: usize = 20;
const PAGE_MAX: usize = 1_000;

impl Turn {
    fn of(req: &HttpRequest) -> Result<Self> {
        let unread = |why: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the query can't be read: {why}; it takes limit (1 to {PAGE_MAX}), before_id and after_id"
                ),
            )
        };
        let turn =
            web::Query::<Self>::from_query(req.query_string()).map_err(|why| unread(&why))?.into_inner();
        match turn.limit {
            Some(limit) if !(1..=PAGE_MAX).contains(&limit) => {
                Err(unread(&"the limit is out of range").with("param", "limit"))
            }
            _ if turn.before_id.is_some() && turn.after_id.is_some() => {
                Err(unread(&"both before_id and after_id are named"))
            }
            _ => Ok(turn),
        }
    }

    /// The page, and whether there is more in its direction.
    fn take<'a>(&self, cards: &'a [ModelCard]) -> Result<(&'a [ModelCard], bool)> {
        let limit = self.limit.unwrap_or(PAGE);
        let place = |id: &str, what: &'static str| {
            cards.iter().position(|card| card.name.as_str() == id).ok_or_else(|| {
                Error::new(ErrorKind::InvalidRequest, format!("`{what}` names no model of the list: `{id}`"))
                    .with("param", what)
            })
        };
        let (from, to) = match (&self.before_id, &self.after_id) {
            (Some(before), _) => {
                let to = place(before, "before_id")?;
                (to.saturating_sub(limit), to)
            }
            (None, Some(after)) => {
                let from = place(after, "after_id")? + 1;
                (from, cards.len().min(from + limit))
            }
            (None, None) => (0, cards.len().min(limit)),
        };
        let more = if self.before_id.is_some() { from > 0 } else { to < cards.len() };
        Ok((cards.get(from..to).unwrap_or_default(), more))
    }
}

/// Which part of the list Google's SDK asks for. Either spelling is taken, as of all its names.
// QUIRK(google, 2026-11, https://ai.google.dev/api/models#method:-models.list): more than the most are no error, and 0 is as good as unsaid.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Page {
    #[serde(rename = "pageSize", alias = "page_size")]
    size: usize,
    /// The last model of the page before.
    #[serde(rename = "pageToken", alias = "page_token")]
    token: String,
}

/// Models of a page when nobody says how many; at most, they are [`PAGE_MAX`].
const GOOGLE_PAGE: usize = 50;

impl Page {
    fn of(req: &HttpRequest) -> Result<Self> {
        let query = web::Query::<Self>::from_query(req.query_string()).map_err(|why| {
            let message = format!(
                "the query can't be read: {why}; it takes pageSize (1 to {PAGE_MAX}) and the pageToken of an answer"
            );
            Error::new(ErrorKind::InvalidRequest, message)
        })?;
        Ok(query.into_inner())
    }

    /// The page, with the token of the next one if there is one. The list is in the order of names.
    fn json(&self, cards: &[ModelCard]) -> Value {
        let most = if self.size == 0 { GOOGLE_PAGE } else { self.size.min(PAGE_MAX) };
        let from = cards.partition_point(|card| card.name.as_str() <= self.token.as_str());
        let rest = cards.get(from..).unwrap_or_default();
        let page = rest.get(..most).unwrap_or(rest);
        let mut said =
            json!({"models": page.iter().map(|card| one_json(card, Face::Gemini)).collect::<Vec<_>>()});
        if let Some(last) = page.last().filter(|_| page.len() < rest.len()) {
            said["nextPageToken"] = last.name.as_str().into();
        }
        said
    }
}

/// Anthropic's SDK says which version it speaks, and Google's has a header of its own for the key; OpenAI's has neither.
fn face(req: &HttpRequest) -> Face {
    if Face::of_path(req.path()) == Face::Gemini || req.headers().contains_key("x-goog-api-key") {
        Face::Gemini
    } else if req.headers().contains_key("anthropic-version") {
        Face::Anthropic
    } else {
        Face::OpenAi
    }
}

async fn cards(req: &HttpRequest, state: &State) -> Result<Vec<ModelCard>> {
    let credential = match face(req) {
        Face::Gemini => extract::credential_or_query(req),
        _ => extract::credential(req.headers()),
    };
    let caller = state.caller(req, credential.as_ref()).await?;
    Ok(state.gateway.models(&caller))
}

fn one_json(card: &ModelCard, face: Face) -> Value {
    let name = card.name.as_str();
    match face {
        Face::OpenAi | Face::Cohere | Face::LiteLlm => {
            let owner = card.provider.as_deref().unwrap_or("sluicegate");
            json!({"id": name, "object": "model", "created": CREATED_S, "owned_by": owner})
        }
        Face::Gemini => json!({
            "name": format!("models/{name}"),
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
        Face::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_both_ways() {
        let cards: Vec<ModelCard> =
            ["a", "b", "c", "d", "e"].map(|name| ModelCard { name: name.into(), provider: None }).into();
        for (query, want) in [
            ("", Ok(("abcde", false))),
            ("limit=2", Ok(("ab", true))),
            ("limit=2&after_id=b", Ok(("cd", true))),
            ("limit=2&after_id=d", Ok(("e", false))),
            ("after_id=e", Ok(("", false))),
            ("limit=2&before_id=d", Ok(("bc", true))),
            ("limit=3&before_id=d", Ok(("abc", false))),
            ("limit=0", Err(())),
            ("limit=1001", Err(())),
            ("limit=x", Err(())),
            ("after_id=zzz", Err(())),
            ("after_id=a&before_id=b", Err(())),
        ] {
            let req =
                actix_web::test::TestRequest::with_uri(&format!("/v1/models?{query}")).to_http_request();
            let got = Turn::of(&req).and_then(|turn| turn.take(&cards));
            let got = got
                .map(|(page, more)| (page.iter().map(|card| card.name.as_str()).collect::<String>(), more));
            assert_eq!(got.map_err(|_| ()), want.map(|(names, more)| (names.to_owned(), more)), "{query}");
        }
    }

    #[test]
    fn google_turns_pages_by_tokens() {
        let cards: Vec<ModelCard> =
            (0..1_100).map(|n| ModelCard { name: format!("m{n:04}").into(), provider: None }).collect();
        for (query, want) in [
            // How many, the first, and the token of the next page.
            ("key=k", Ok((50, "m0000", Some("m0049")))),
            ("pageSize=2", Ok((2, "m0000", Some("m0001")))),
            ("page_size=2&page_token=m0001", Ok((2, "m0002", Some("m0003")))),
            ("pageSize=0&pageToken=", Ok((50, "m0000", Some("m0049")))),
            ("pageSize=5000", Ok((1_000, "m0000", Some("m0999")))),
            ("pageSize=1000&pageToken=m0999", Ok((100, "m1000", None))),
            // The model that ended the page before may be gone.
            ("pageSize=1&pageToken=m0001x", Ok((1, "m0002", Some("m0002")))),
            ("pageToken=z", Ok((0, "", None))),
            ("pageSize=-1", Err(())),
            ("pageSize=x", Err(())),
        ] {
            let uri = format!("/v1beta/models?{query}");
            let req = actix_web::test::TestRequest::with_uri(&uri).to_http_request();
            let got = Page::of(&req).map(|page| page.json(&cards)).map_err(|_| ());
            let got = got.as_ref().map(|said| {
                let models = said["models"].as_array().unwrap();
                let first = models.first().and_then(|model| model["displayName"].as_str());
                (models.len(), first.unwrap_or_default(), said["nextPageToken"].as_str())
            });
            assert_eq!(got.ok(), want.ok(), "{query}");
        }
    }
}
