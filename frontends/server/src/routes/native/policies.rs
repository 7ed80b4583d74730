//! Policies: those of the file, read-only, and those of the database, as versions.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::Value;
use sluicegate::admin::NewPolicyVersion;
use sluicegate::{Error, ErrorKind, Result};

use super::{listing, parameter, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const DIFF: &[(&str, &str)] = &[
    ("from", "The number of the older side. Default: the version that runs."),
    ("to", "The number of the newer side. Default: the newest."),
];

/// Which version is meant.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyChoice {
    version: Option<i64>,
}

/// Which version is taken into use, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyActivation {
    version: Option<i64>,
    watched: bool,
}

impl Default for PolicyActivation {
    fn default() -> Self {
        Self { version: None, watched: true }
    }
}

/// Where a rollback leads, and why.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyReturn {
    version: Option<i64>,
    reason: Option<String>,
}

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "policies", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let one = "/api/v1/policies/{policy}";
    let mut all = vec![
        entry(
            Method::GET,
            "/api/v1/policies",
            || ask::route(Method::GET, list),
            op("listPolicies", "Every policy, the file's first.").answers(200, "PolicyList"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getPolicy", "A policy, and which of its versions runs.").answers(200, "Policy"),
        ),
        entry(
            Method::PUT,
            one,
            || ask::route(Method::PUT, put),
            op("putPolicy", "Stores a new version as a draft; what runs stays.")
                .body("NewPolicyVersion")
                .answers(201, "PolicyVersion"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deletePolicy", "Removes a policy with all its versions.").answers_nothing(204),
        ),
        entry(
            Method::POST,
            "/api/v1/policies/{policy}/check",
            || ask::route(Method::POST, check),
            op("checkPolicy", "Checks a script and runs its tests; stores nothing.")
                .body("NewPolicyVersion")
                .answers(200, "PolicyCheck"),
        ),
        entry(
            Method::GET,
            "/api/v1/policies/{policy}/versions",
            || ask::route(Method::GET, versions),
            op("listPolicyVersions", "The versions of a policy, newest first, without their texts.")
                .answers(200, "PolicyVersionList"),
        ),
        entry(
            Method::GET,
            "/api/v1/policies/{policy}/versions/{version}",
            || ask::route(Method::GET, version),
            op("getPolicyVersion", "A version, with its text.").answers(200, "PolicyVersion"),
        ),
        entry(
            Method::GET,
            "/api/v1/policies/{policy}/diff",
            || ask::route(Method::GET, diff),
            op("diffPolicy", "What differs between two versions.").query(DIFF).answers(200, "PolicyDiff"),
        ),
    ];
    all.extend(turns());
    all
}

/// What becomes of a version.
fn turns() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "policies", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let shadow_path = "/api/v1/policies/{policy}/shadow";
    vec![
        entry(
            Method::GET,
            shadow_path,
            || ask::route(Method::GET, report),
            op("getPolicyShadow", "How the version in shadow compares with what runs, on this node.")
                .answers(200, "PolicyShadow"),
        ),
        entry(
            Method::POST,
            shadow_path,
            || ask::route(Method::POST, shadow),
            op("shadowPolicy", "Tries a version beside the one that runs: calls are decided by both and served by the old.")
                .body("PolicyChoice")
                .answers(200, "PolicyVersion"),
        ),
        entry(
            Method::DELETE,
            shadow_path,
            || ask::route(Method::DELETE, end_shadow),
            op("endPolicyShadow", "Ends the trial of the version in shadow.").answers(200, "PolicyVersion"),
        ),
        entry(
            Method::POST,
            "/api/v1/policies/{policy}/activate",
            || ask::route(Method::POST, activate),
            op("activatePolicy", "Takes a version into use in the place of the one that runs.")
                .body("PolicyActivation")
                .answers(200, "PolicyVersion"),
        ),
        entry(
            Method::POST,
            "/api/v1/policies/{policy}/rollback",
            || ask::route(Method::POST, rollback),
            op("rollbackPolicy", "Takes the version that runs back, and puts the one before it, or the one named, into its place.")
                .body("PolicyReturn")
                .answers(200, "PolicyVersion"),
        ),
    ]
}

fn name(ask: &Ask) -> String {
    ask.param("policy")
}

fn values<T: serde::Serialize>(items: &[T]) -> Result<Done> {
    let failed = |error| Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(error);
    let all: Vec<Value> = items.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(failed)?;
    let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
    Done::ok(&listing(all, total))
}

fn number(what: &'static str, text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        let message = format!("`{text}` is no version of a policy; versions are numbered from 1");
        Error::new(ErrorKind::InvalidRequest, message).with("param", what)
    })
}

async fn list(ask: Ask) -> Result<Done> {
    values(&ask.admin().policies(&ask.actor).await?)
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().policy(&ask.actor, &name(&ask)).await?).map(Done::tagged)
}

async fn put(ask: Ask) -> Result<Done> {
    let new: NewPolicyVersion = ask.json()?;
    Done::created(&ask.admin().put_policy(&ask.actor, &name(&ask), new).await?)
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_policy(&ask.actor, &name(&ask)).await?;
    Done::nothing()
}

async fn check(ask: Ask) -> Result<Done> {
    let new: NewPolicyVersion = ask.json()?;
    Done::ok(&ask.admin().check_policy(&ask.actor, &name(&ask), new).await?)
}

async fn versions(ask: Ask) -> Result<Done> {
    values(&ask.admin().policy_versions(&ask.actor, &name(&ask)).await?)
}

async fn version(ask: Ask) -> Result<Done> {
    let version = number("version", &ask.param("version"))?;
    Done::ok(&ask.admin().policy_version(&ask.actor, &name(&ask), Some(version)).await?)
}

async fn diff(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["from", "to"])?;
    let side = |what| parameter(&query, what).map(|text| number(what, &text)).transpose();
    let (from, to) = (side("from")?, side("to")?);
    Done::ok(&ask.admin().policy_diff(&ask.actor, &name(&ask), from, to).await?)
}

async fn report(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().policy_shadow(&ask.actor, &name(&ask)).await?)
}

async fn shadow(ask: Ask) -> Result<Done> {
    let choice: PolicyChoice = ask.json()?;
    Done::ok(&ask.admin().shadow_policy(&ask.actor, &name(&ask), choice.version).await?)
}

async fn end_shadow(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().end_policy_shadow(&ask.actor, &name(&ask)).await?)
}

async fn activate(ask: Ask) -> Result<Done> {
    let PolicyActivation { version, watched } = ask.json()?;
    Done::ok(&ask.admin().activate_policy(&ask.actor, &name(&ask), version, watched).await?)
}

async fn rollback(ask: Ask) -> Result<Done> {
    let PolicyReturn { version, reason } = ask.json()?;
    Done::ok(&ask.admin().rollback_policy(&ask.actor, &name(&ask), version, reason).await?)
}
