//! Why would a call go where? And what there is to say about the configuration in force.

use std::sync::Arc;

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sluicegate::admin::NewPolicyVersion;
use sluicegate::call::Needs;
use sluicegate::credential::PREFIX;
use sluicegate::engine::BoundCaller;
use sluicegate::{Address, Call, Error, ErrorKind, Format, Inbound, ModelName, Result, Secret};

use super::find_key;
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;
use crate::told;

pub(super) fn table() -> Vec<Entry> {
    let explain_op =
        Operation::new("explain", "routing", "Why would this call go where? Nothing is reserved or sent.")
            .body("ExplainRequest")
            .answers(200, "Explanation");
    vec![
        Entry {
            method: Method::POST,
            path: "/api/v1/explain",
            make: || ask::route(Method::POST, explain),
            operation: Some(explain_op),
        },
        Entry {
            method: Method::GET,
            path: "/api/v1/diagnostics",
            make: || ask::route(Method::GET, diagnostics),
            operation: Some(
                Operation::new(
                    "listDiagnostics",
                    "meta",
                    "What there is to say about the configuration in force.",
                )
                .answers(200, "DiagnosticList"),
            ),
        },
    ]
}

/// A call to be explained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    #[serde(default)]
    model: Option<ModelName>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default = "chat")]
    format: Format,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    max_output: Option<u64>,
    #[serde(default)]
    choices: Option<u32>,
    #[serde(default)]
    needs: Needs,
    #[serde(default)]
    customer: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    draft: Option<NewPolicyVersion>,
}

fn chat() -> Format {
    Format::OpenaiChat
}

impl Question {
    fn call(self, id: sluicegate::CallId) -> Result<Call> {
        let Some(model) = self.model else {
            return Err(without("model", "name the `model`, or give the whole request as `body`"));
        };
        Ok(Call {
            stream: self.stream,
            input_bound: Some(self.input_tokens),
            input_estimate: self.input_tokens,
            max_output: self.max_output,
            choices: self.choices.unwrap_or(1).max(1),
            needs: self.needs,
            customer: self.customer,
            tags: self.tags.into_iter().collect(),
            ..Call::new(id, self.format, model)
        })
    }
}

async fn explain(ask: Ask) -> Result<Done> {
    let mut question: Question = ask.json()?;
    let caller = caller_of(&ask, question.key.as_deref()).await?;
    let scripts = match (question.policy.take(), question.draft.take()) {
        (Some(name), Some(draft)) => Some(ask.admin().policy_scripts(&ask.actor, &name, draft).await?),
        (None, None) => None,
        (Some(_), None) => return Err(without("draft", "give the script of the `policy` as `draft`")),
        (None, Some(_)) => return Err(without("policy", "name the `policy` that this is a draft of")),
    };
    let gateway = ask.gateway();
    let has_text = question.body.is_some();
    let explained = match &question.body {
        Some(body) => {
            let mut inbound = Inbound::new(question.format, "", body.get().to_owned());
            if question.format == Format::GeminiGenerate {
                // Its requests are addressed by them.
                let Some(model) = &question.model else {
                    return Err(without("model", "name the `model`: a request of Gemini's doesn't"));
                };
                inbound.address = Some(Address { model: model.to_string(), stream: question.stream });
            }
            inbound.tags.clone_from(&question.tags);
            gateway.explain_body(inbound, &caller, scripts).await?
        }
        None => gateway.explain(question.call(gateway.call_id())?, &caller, scripts.as_ref()),
    };
    let snapshot = gateway.engine().snapshot();
    let order: Vec<_> = explained
        .order
        .iter()
        .map(|id| {
            let channel = snapshot.channels().iter().find(|channel| channel.id == *id);
            json!({"id": id, "name": channel.map(|channel| channel.name.as_str())})
        })
        .collect();
    let denial = explained.denial.as_ref().map(|denial| {
        let error = denial.to_error(gateway.clock().now());
        json!({"kind": error.kind(), "message": error.message(), "detail": denial})
    });
    let mut explanation = json!(explained.explanation);
    let groups = caller
        .caller
        .group
        .as_ref()
        .is_some_and(|group| ask.actor.runs_group(&caller.caller.organization, group));
    if !told::sees_all(&ask.actor) {
        told::hide_parents(&mut explanation, groups);
        // What scripts look for in prompts is their operators'.
        if let Some(steps) = explanation.as_array_mut() {
            steps.retain(|step| step["step"] != "prompt");
        }
    }
    // What an explanation can't know, since nothing is sent and nobody waits.
    let size = match has_text {
        true => "guardrails aren't asked: the prompt is taken as it came",
        false => {
            "the prompt's size is taken as given and its text isn't known: give the whole request as `body` to have it counted"
        }
    };
    let assumed = [size, "no call waits in line for another's reservation"];
    Done::ok(&json!({"order": order, "denial": denial, "explanation": explanation, "assumed": assumed}))
}

fn without(param: &'static str, message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequest, message).with("param", param)
}

/// Who would call: the key that is named, if the asker may see it, else the asker.
async fn caller_of(ask: &Ask, key: Option<&str>) -> Result<Arc<BoundCaller>> {
    let Some(name) = key.filter(|name| !name.is_empty()) else {
        return ask.caller.clone().ok_or_else(|| {
            without("key", "sessions and access tokens call nothing; name the `key` that would call")
        });
    };
    let view = match find_key(ask, name).await {
        Ok(reference) => ask.admin().key(&ask.actor, &reference).await,
        Err(error) => Err(error),
    };
    match view {
        Ok(view) => match &view.hash {
            Some(hash) => ask.gateway().caller_by_hash(hash).await,
            None => Err(Error::new(
                ErrorKind::Conflict,
                "this key has no credential; set the variable that it names",
            )),
        },
        // The administrator's own key is no key of the directory.
        Err(error) if name.starts_with(PREFIX) => {
            if ask.actor.is_super() && ask.gateway().is_master_key(name) {
                return ask.gateway().caller(Some(&Secret::new(name))).await;
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn diagnostics(ask: Ask) -> Result<Done> {
    if !ask.actor.is_super() {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "only super administrators may read the configuration's diagnostics",
        ));
    }
    let items = ask.gateway().diagnostics();
    Done::ok(&json!({"items": items, "total": items.len()}))
}
