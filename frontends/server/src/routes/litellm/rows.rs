//! Our keys, groups, users and records as LiteLLM's rows.

use serde_json::{Map, Value, json};
use sluicegate::admin::member_limits;
use sluicegate::core::record::UsageRecord;
use sluicegate::tenant::{ACCESS_GROUP, ModelAccess};
use sluicegate::{ApiKey, Group, Limit, Membership, OutcomeClass, Role, Timestamp, User};

use super::budget::{Budget, usd_json};
use super::route;

/// What a row says besides the thing itself.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Spent so far, in nano-USD.
    pub spend: i64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// When.
    pub updated_at: Timestamp,
}

impl Trace {
    fn describe(&self, row: &mut Map<String, Value>) {
        row.insert("spend".to_owned(), usd_json(self.spend));
        row.insert("created_by".to_owned(), json!(self.created_by));
        row.insert("created_at".to_owned(), time(self.created_at));
        row.insert("updated_by".to_owned(), json!(self.updated_by));
        row.insert("updated_at".to_owned(), time(self.updated_at));
    }
}

/// A key's row. `token` is the hash that LiteLLM names keys by.
pub fn key(key: &ApiKey, token: &str, trace: &Trace) -> Map<String, Value> {
    let mut row = object(json!({
        "token": token,
        "token_id": token,
        "key_name": key.hint,
        "key_alias": key.alias,
        "expires": key.expires_at.map(time),
        "user_id": key.user,
        "team_id": key.group,
        "organization_id": key.organization,
        "models": models(&key.access),
        "aliases": key.aliases,
        "config": {},
        "permissions": {},
        "metadata": key.metadata,
        "tags": key.tags,
        "blocked": key.blocked,
        "allowed_routes": route::words(&key.routes),
        "key_type": route::kind(&key.routes),
        "allowed_cache_controls": [],
        "budget_id": null,
        "litellm_budget_table": null,
        "guardrails": key.metadata.get("guardrails"),
        "router_settings": {},
        "policies": [],
        "access_group_ids": access_groups(&key.access),
        "agent_id": null,
        "project_id": null,
        "object_permission_id": null,
        "auto_rotate": false,
        "rotation_interval": null,
    }));
    trace.describe(&mut row);
    limits(&mut row, &key.limits);
    row
}

/// A team's row.
pub fn team(group: &Group, members: &[Membership], trace: &Trace) -> Map<String, Value> {
    let with_roles: Vec<_> = members
        .iter()
        .map(|m| json!({"user_id": m.user, "user_email": null, "role": team_role(m.role)}))
        .collect();
    let of = |admin: bool| {
        members.iter().filter(|m| (m.role >= Role::GroupAdmin) == admin).map(|m| &m.user).collect::<Vec<_>>()
    };
    let mut row = object(json!({
        "team_id": group.id,
        "team_alias": group.alias,
        "organization_id": group.organization,
        "admins": of(true),
        "members": of(false),
        "members_with_roles": with_roles,
        "models": models(&group.access),
        "access_group_ids": access_groups(&group.access),
        "metadata": group.metadata,
        "blocked": group.blocked,
        "model_id": null,
        "litellm_model_table": (!group.aliases.is_empty()).then(|| json!({"model_aliases": group.aliases})),
        "team_member_permissions": [],
    }));
    trace.describe(&mut row);
    limits(&mut row, &group.limits);
    let of_members = member_limits(group);
    let table = (!of_members.is_empty()).then(|| {
        let mut table = Map::new();
        limits(&mut table, &of_members);
        table
    });
    row.insert("team_member_budget_table".to_owned(), json!(table));
    row
}

/// One user's place in a team; what they spent there is told to whoever may know.
pub fn membership(membership: &Membership, spend: Option<i64>) -> Value {
    let mut table = Map::new();
    limits(&mut table, &membership.limits);
    json!({
        "user_id": membership.user,
        "team_id": membership.group,
        "spend": spend.map(usd_json),
        "budget_id": null,
        "litellm_budget_table": if membership.limits.is_empty() { Value::Null } else { table.into() },
    })
}

/// A user's row.
pub fn user(user: &User, teams: &[String], trace: &Trace) -> Map<String, Value> {
    let mut row = object(json!({
        "user_id": user.id,
        "user_email": user.email,
        "user_alias": user.alias,
        "user_role": user_role(user.role),
        "teams": teams,
        "organization_id": user.organization,
        "models": user.access.patterns(),
        "metadata": user.metadata,
    }));
    trace.describe(&mut row);
    limits(&mut row, &user.limits);
    row
}

/// What a call's row says of what it names.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Its key's hash, where that is known.
    pub token: Option<String>,
    /// What its key is called.
    pub key_alias: Option<String>,
    /// What its team is called.
    pub team_alias: Option<String>,
    /// Whose the channel is that it was sent through last.
    pub provider: Option<String>,
    /// Where that channel sends, for who may see it.
    pub address: Option<String>,
}

/// A call's row in the spend log. What isn't kept of a call is null.
pub fn spend_log(record: &UsageRecord, names: &Names) -> Value {
    let ok = record.outcome == OutcomeClass::Ok;
    let last = record.attempts.last();
    let token = names.token.as_deref();
    let metadata = told_beside(record, names);
    json!({
        "request_id": record.call,
        "litellm_call_id": record.call,
        // What the caller knows it by.
        "response_id": record.answer,
        "call_type": call_type(record),
        "api_key": token.or(record.key.as_ref().map(|key| key.as_str())).unwrap_or_default(),
        "spend": usd_json(record.spend),
        "total_tokens": record.usage.total_tokens(),
        "prompt_tokens": record.usage.input_tokens(),
        "completion_tokens": record.usage.output_tokens(),
        "startTime": time(record.started_at),
        "endTime": time(record.ended_at),
        "completionStartTime": record.first_byte_at.map(time),
        "request_duration_ms": record.ended_at.since_ms(record.started_at),
        "model": last.map_or(&record.model, |attempt| &attempt.upstream_model),
        "model_id": last.map(|attempt| &attempt.channel),
        "model_group": last.map_or(&record.model, |attempt| &attempt.model),
        "custom_llm_provider": names.provider,
        "api_base": names.address,
        "user": record.user,
        "team_id": record.group,
        "organization_id": record.organization,
        "end_user": record.customer.as_deref().unwrap_or_default(),
        "request_tags": record.tags,
        "cache_hit": "False",
        "cache_key": null,
        "requester_ip_address": null,
        "session_id": null,
        "agent_id": null,
        "mcp_namespaced_tool_name": null,
        "status": if ok { "success" } else { "failure" },
        "metadata": metadata,
        "messages": {},
        "response": {},
        "proxy_server_request": {},
    })
}

/// What a call's row says beside the call itself.
fn told_beside(record: &UsageRecord, names: &Names) -> Value {
    let ok = record.outcome == OutcomeClass::Ok;
    let models = record.attempts.iter().map(|attempt| &attempt.model);
    let fallbacks = models.clone().zip(models.skip(1)).filter(|(one, next)| one != next).count();
    let retries = record.attempts.len().saturating_sub(1).saturating_sub(fallbacks);
    let usage = &record.usage;
    json!({
        "user_api_key": names.token,
        "user_api_key_alias": names.key_alias,
        "user_api_key_team_id": record.group,
        "user_api_key_team_alias": names.team_alias,
        "user_api_key_user_id": record.user,
        "user_api_key_org_id": record.organization,
        "status": if ok { "success" } else { "failure" },
        "attempted_retries": retries,
        "attempted_fallbacks": fallbacks,
        "spend_logs_metadata": null,
        "requester_ip_address": null,
        "additional_usage_values": {},
        "usage_object": {
            "prompt_tokens": usage.input_tokens(),
            "completion_tokens": usage.output_tokens(),
            "total_tokens": usage.total_tokens(),
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens()},
            "completion_tokens_details": {"reasoning_tokens": usage.output_reasoning},
        },
        "cost_breakdown": {"input_cost": null, "output_cost": null, "total_cost": usd_json(record.spend)},
        "error": record.error,
        "cache_read_input_tokens": record.usage.cached_tokens(),
    })
}

fn call_type(record: &UsageRecord) -> &'static str {
    match record.format {
        sluicegate::Format::OpenaiEmbeddings => "aembedding",
        sluicegate::Format::AnthropicMessages => "anthropic_messages",
        sluicegate::Format::OpenaiResponses => "aresponses",
        sluicegate::Format::OpenaiCompact => "acompact_responses",
        sluicegate::Format::GeminiGenerate => "agenerate_content",
        sluicegate::Format::OpenaiCompletions => "atext_completion",
        sluicegate::Format::OpenaiImages => "aimage_generation",
        sluicegate::Format::OpenaiImageEdits => "aimage_edit",
        sluicegate::Format::OpenaiImageVariations => "aimage_variation",
        sluicegate::Format::OpenaiSpeech => "aspeech",
        sluicegate::Format::OpenaiTranscriptions | sluicegate::Format::OpenaiTranslations => "atranscription",
        sluicegate::Format::OpenaiModerations => "amoderation",
        sluicegate::Format::Rerank => "arerank",
        format if format.counts_tokens() => "acount_tokens",
        sluicegate::Format::PassThrough => "pass_through_endpoint",
        _ => "acompletion",
    }
}

/// LiteLLM's word for a role in a team.
pub fn team_role(role: Role) -> &'static str {
    if role >= Role::GroupAdmin { "admin" } else { "user" }
}

/// LiteLLM's word for a role.
pub fn user_role(role: Role) -> &'static str {
    match role {
        Role::SuperAdmin => "proxy_admin",
        Role::Auditor => "proxy_admin_viewer",
        Role::OrganizationAdmin => "org_admin",
        Role::User | Role::GroupAdmin => "internal_user",
    }
}

/// The role that a word of LiteLLM's means.
pub fn role_of(word: &str) -> Option<Role> {
    Some(match word {
        "proxy_admin" => Role::SuperAdmin,
        "proxy_admin_viewer" => Role::Auditor,
        "org_admin" => Role::OrganizationAdmin,
        "internal_user" | "internal_user_viewer" | "user" | "customer" => Role::User,
        "admin" | "team" => Role::GroupAdmin,
        _ => return None,
    })
}

/// The models of a list that aren't access groups by their id.
fn models(access: &ModelAccess) -> Vec<&str> {
    let names = access.patterns().iter().map(|name| name.as_str());
    names.filter(|name| !name.starts_with(ACCESS_GROUP)).collect()
}

/// The access groups that a list names by their id.
fn access_groups(access: &ModelAccess) -> Vec<&str> {
    access.patterns().iter().filter_map(|name| name.as_str().strip_prefix(ACCESS_GROUP)).collect()
}

fn limits(row: &mut Map<String, Value>, limits: &[Limit]) {
    Budget::of(limits).describe(row);
}

pub(super) fn time(at: Timestamp) -> Value {
    json!(at.to_string())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_translated_both_ways() {
        for role in [Role::SuperAdmin, Role::Auditor, Role::OrganizationAdmin, Role::User] {
            assert_eq!(role_of(user_role(role)), Some(role));
        }
        assert_eq!(role_of("emperor"), None);
        assert_eq!(team_role(Role::GroupAdmin), "admin");
    }
}
