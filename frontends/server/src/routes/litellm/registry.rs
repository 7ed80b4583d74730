//! Every management route of LiteLLM's that its operators script against, as data: which we serve, and why not the others.
//! The router is made from it, so that none is missing by accident: a route that isn't served answers 501 and says why.

use actix_web::http::Method;
use serde_json::json;
use sluicegate::{Error, ErrorKind, Result};

use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// Routes of one kind.
pub struct Area {
    /// What they are about.
    pub name: &'static str,
    /// Methods, path, and why it isn't served; nothing where it is.
    pub rows: &'static [Row],
}

/// Methods, such as `GET` or `GET POST`; the path; why it isn't served.
pub type Row = (&'static str, &'static str, &'static str);

const SERVED: &str = "";
const NO_SESSIONS: &str =
    "calls are recorded one by one, without a session; name one in a tag, and find its calls by that";
const NO_CACHE: &str = "answers aren't cached";
const NO_CALLBACKS: &str = "nothing is sent to other services for single teams";
const CLAIM: &str =
    "an invitation is accepted by who is invited, at /onboarding/claim_token or in the console";
const PROJECTS: &str = "there are no projects: a team is the smallest thing that has a budget of its own";
const HUB: &str = "there is no public list of models; GET /v1/models lists what a key may call";
const COSTS: &str = "prices come with the gateway and from its configuration, and change with them";
const SETTINGS: &str = "GET and PATCH /api/v1/settings have those that change while the gateway runs; the others stand in the configuration file";
const FALLBACKS: &str = "fallbacks are the whole gateway's and stand in the configuration file, as `fallbacks` (in a LiteLLM file `router_settings.fallbacks`); change them there, and `sluicegate check` it";
const GROUP_BUDGET: &str =
    "a budget is a team's, key's, user's, customer's or tag's; give those who name the group one";
const TESTS: &str = "a channel is tried at /api/v1/channels/{channel}/test";
const ELSEWHERE: &str = "see /metrics, which counts it";

/// All of them.
pub const AREAS: &[Area] = &[
    Area {
        name: "keys",
        rows: &[
            ("POST", "/key/generate", SERVED),
            ("POST", "/key/service-account/generate", SERVED),
            ("POST", "/key/update", SERVED),
            ("POST", "/key/bulk_update", SERVED),
            ("POST", "/team/key/bulk_update", SERVED),
            ("POST", "/key/delete", SERVED),
            ("GET", "/key/info", SERVED),
            ("POST", "/v2/key/info", SERVED),
            ("GET", "/key/list", SERVED),
            ("GET", "/key/aliases", SERVED),
            ("POST", "/key/block", SERVED),
            ("POST", "/key/unblock", SERVED),
            ("POST", "/key/regenerate", SERVED),
            ("POST", "/key/{key}/regenerate", SERVED),
            ("POST", "/key/{key}/reset_spend", SERVED),
            ("POST", "/key/health", SERVED),
            ("GET", "/key/spend/report", SERVED),
        ],
    },
    Area {
        name: "teams",
        rows: &[
            ("POST", "/team/new", SERVED),
            ("POST", "/team/update", SERVED),
            ("PATCH", "/team/{team_id}", SERVED),
            ("POST", "/team/delete", SERVED),
            ("GET", "/team/info", SERVED),
            ("GET", "/team/list", SERVED),
            ("GET", "/v2/team/list", SERVED),
            ("POST", "/team/member_add", SERVED),
            ("POST", "/team/member_update", SERVED),
            ("POST", "/team/member_delete", SERVED),
            ("POST", "/team/bulk_member_add", SERVED),
            ("POST", "/team/block", SERVED),
            ("POST", "/team/unblock", SERVED),
            ("POST", "/team/model/add", SERVED),
            ("POST", "/team/model/delete", SERVED),
            ("GET", "/team/permissions_list", SERVED),
            ("POST", "/team/permissions_update", SERVED),
            ("GET", "/team/available", SERVED),
            ("GET", "/team/daily/activity", SERVED),
            ("GET", "/team/daily/activity/aggregated", SERVED),
            ("GET", "/team/spend/report", SERVED),
            ("GET POST DELETE", "/team/{team_id}/callback", NO_CALLBACKS),
            ("POST", "/team/{team_id}/disable_logging", NO_CALLBACKS),
            ("POST", "/team/{team_id}/member/{user_id}/reset_spend", SERVED),
            ("POST", "/team/{team_id}/reset_budget", SERVED),
        ],
    },
    Area {
        name: "users",
        rows: &[
            ("POST", "/user/new", SERVED),
            ("GET", "/user/info", SERVED),
            ("GET", "/v2/user/info", SERVED),
            ("POST", "/user/update", SERVED),
            ("POST", "/user/bulk_update", SERVED),
            ("GET", "/user/list", SERVED),
            ("POST", "/user/delete", SERVED),
            ("GET", "/user/available_roles", SERVED),
            ("GET", "/user/daily/activity", SERVED),
            ("GET", "/user/daily/activity/aggregated", SERVED),
            ("GET", "/user/spend/report", SERVED),
            ("POST", "/user/password/change", SERVED),
            ("POST", "/session/logout", SERVED),
            ("POST", "/invitation/new", SERVED),
            ("POST", "/invitation/update", CLAIM),
            ("POST", "/invitation/delete", SERVED),
            ("GET", "/invitation/info", SERVED),
            ("GET", "/onboarding/get_token", CLAIM),
            ("POST", "/onboarding/claim_token", SERVED),
        ],
    },
    Area {
        name: "organizations",
        rows: &[
            ("POST", "/organization/new", SERVED),
            ("PATCH", "/organization/update", SERVED),
            ("DELETE", "/organization/delete", SERVED),
            ("GET POST", "/organization/info", SERVED),
            ("GET", "/organization/list", SERVED),
            ("POST", "/organization/member_add", SERVED),
            ("PATCH", "/organization/member_update", SERVED),
            ("DELETE", "/organization/member_delete", SERVED),
            ("GET", "/organization/daily/activity", SERVED),
            ("GET", "/organization/daily/activity/aggregated", SERVED),
            ("GET", "/organization/spend/report", SERVED),
        ],
    },
    Area {
        name: "customers",
        rows: &[
            ("POST", "/customer/new", SERVED),
            ("POST", "/end_user/new", SERVED),
            ("GET", "/customer/info", SERVED),
            ("GET", "/end_user/info", SERVED),
            ("POST", "/customer/update", SERVED),
            ("POST", "/end_user/update", SERVED),
            ("POST", "/customer/delete", SERVED),
            ("POST", "/end_user/delete", SERVED),
            ("POST", "/customer/block", SERVED),
            ("POST", "/end_user/block", SERVED),
            ("POST", "/customer/unblock", SERVED),
            ("POST", "/end_user/unblock", SERVED),
            ("GET", "/customer/list", SERVED),
            ("GET", "/end_user/list", SERVED),
            ("GET", "/customer/daily/activity", SERVED),
            ("GET", "/customer/daily/activity/aggregated", SERVED),
            ("GET", "/end_user/daily/activity", SERVED),
            ("GET", "/end_user/daily/activity/aggregated", SERVED),
        ],
    },
    Area {
        name: "budgets",
        rows: &[
            ("POST", "/budget/new", SERVED),
            ("POST", "/budget/update", SERVED),
            ("POST", "/budget/info", SERVED),
            ("GET", "/budget/list", SERVED),
            ("GET", "/budget/settings", SERVED),
            ("POST", "/budget/delete", SERVED),
            ("GET", "/provider/budgets", SERVED),
        ],
    },
    Area {
        name: "tags",
        rows: &[
            ("POST", "/tag/new", SERVED),
            ("POST", "/tag/update", SERVED),
            ("POST", "/tag/info", SERVED),
            ("POST", "/tag/delete", SERVED),
            ("GET", "/tag/list", SERVED),
            ("GET", "/tag/daily/activity", SERVED),
            ("GET", "/tag/daily/activity/aggregated", SERVED),
            ("GET", "/tag/distinct", SERVED),
            ("GET", "/tag/summary", SERVED),
            ("GET", "/tag/dau", SERVED),
            ("GET", "/tag/wau", SERVED),
            ("GET", "/tag/mau", SERVED),
        ],
    },
    Area {
        name: "models",
        rows: &[
            ("GET", "/v1/models", SERVED),
            ("GET", "/models", SERVED),
            ("GET", "/v1/models/{model:.*}", SERVED),
            ("GET", "/models/{model:.*}", SERVED),
            ("POST", "/model/new", SERVED),
            ("POST", "/model/update", SERVED),
            ("PATCH", "/model/{model_id}/update", SERVED),
            ("POST", "/model/delete", SERVED),
            ("POST", "/model/block", SERVED),
            ("POST", "/model/unblock", SERVED),
            ("GET", "/model/info", SERVED),
            ("GET", "/v1/model/info", SERVED),
            ("GET", "/v2/model/info", SERVED),
            ("GET", "/model_group/info", SERVED),
            ("POST", "/model_group/make_public", HUB),
            ("GET", "/public/model_hub", SERVED),
            ("GET", "/public/providers", SERVED),
            ("GET", "/model/settings", "a model's settings are listed in docs/configuration.md"),
            ("GET", "/model/metrics", SERVED),
            ("GET", "/model/metrics/slow_responses", SERVED),
            ("GET", "/model/metrics/exceptions", SERVED),
            ("GET", "/model/streaming_metrics", SERVED),
            ("GET", "/get/litellm_model_cost_map", SERVED),
            ("POST", "/reload/model_cost_map", COSTS),
            ("POST", "/schedule/model_cost_map_reload", COSTS),
            ("POST", "/fallback", FALLBACKS),
            ("GET", "/fallback/{model}", SERVED),
            ("DELETE", "/fallback/{model}", FALLBACKS),
            ("POST", "/utils/token_counter", SERVED),
            ("GET", "/utils/supported_openai_params", SERVED),
            ("POST", "/utils/transform_request", SERVED),
            ("POST", "/cost/estimate", SERVED),
        ],
    },
    Area {
        name: "access groups",
        rows: &[
            ("POST", "/access_group/new", SERVED),
            ("GET", "/access_group/list", SERVED),
            ("GET", "/access_group/{access_group}/info", SERVED),
            ("PUT", "/access_group/{access_group}/update", SERVED),
            ("DELETE", "/access_group/{access_group}/delete", SERVED),
            ("GET PUT DELETE", "/access_group/{access_group}/budget", GROUP_BUDGET),
            ("GET POST", "/v1/access_group", SERVED),
            ("GET PUT DELETE", "/v1/access_group/{access_group}", SERVED),
        ],
    },
    Area {
        name: "credentials",
        rows: &[
            ("GET POST", "/credentials", SERVED),
            ("GET PATCH DELETE", "/credentials/{credential_name}", SERVED),
            ("GET", "/credentials/by_name/{credential_name}", SERVED),
            ("GET", "/credentials/by_model/{model_id}", SERVED),
        ],
    },
    Area {
        name: "spend",
        rows: &[
            ("GET", "/spend/logs", SERVED),
            ("GET", "/spend/logs/v2", SERVED),
            ("GET", "/spend/logs/ui", SERVED),
            ("GET", "/spend/logs/ui/{request_id}", SERVED),
            ("GET", "/spend/logs/session/ui", NO_SESSIONS),
            ("GET", "/spend/keys", SERVED),
            ("GET", "/spend/users", SERVED),
            ("GET", "/spend/tags", SERVED),
            ("POST", "/spend/calculate", SERVED),
            ("GET", "/spend/capture_rate", "providers' invoices aren't read"),
            ("GET", "/global/spend", SERVED),
            ("GET", "/global/spend/logs", SERVED),
            ("GET", "/global/spend/keys", SERVED),
            ("GET", "/global/spend/teams", SERVED),
            ("GET", "/global/spend/models", SERVED),
            ("GET", "/global/spend/provider", SERVED),
            ("GET", "/global/spend/tags", SERVED),
            ("GET", "/global/spend/all_tag_names", SERVED),
            ("POST", "/global/spend/end_users", SERVED),
            ("GET", "/global/spend/report", SERVED),
            ("POST", "/global/spend/reset", SERVED),
            ("POST", "/global/spend/refresh", SERVED),
            ("GET", "/global/activity", SERVED),
            ("GET", "/global/activity/model", SERVED),
            ("GET", "/global/activity/exceptions", SERVED),
            ("GET", "/global/activity/exceptions/deployment", SERVED),
            ("GET", "/global/activity/cache_hits", SERVED),
        ],
    },
    Area { name: "audit", rows: &[("GET", "/audit", SERVED), ("GET", "/audit/{id}", SERVED)] },
    Area {
        name: "projects",
        rows: &[
            ("POST", "/project/new", PROJECTS),
            ("POST", "/project/update", PROJECTS),
            ("GET", "/project/info", PROJECTS),
            ("GET", "/project/list", PROJECTS),
            ("DELETE", "/project/delete", PROJECTS),
        ],
    },
    Area {
        name: "health",
        rows: &[
            ("GET", "/health/liveliness", SERVED),
            ("GET", "/health/liveness", SERVED),
            ("GET", "/health/readiness", SERVED),
            ("GET", "/health/readiness/details", SERVED),
            ("GET", "/health", SERVED),
            ("GET", "/health/latest", ELSEWHERE),
            (
                "GET",
                "/health/services",
                "nothing is sent to other services; alerts stand in the log and at /metrics",
            ),
            ("GET", "/health/history", ELSEWHERE),
            ("POST", "/health/test_connection", TESTS),
            ("GET", "/health/backlog", ELSEWHERE),
            ("POST", "/health/drain", "a gateway drains when it is told to stop"),
            ("GET", "/health/license", "there are no licences: everything is free"),
        ],
    },
    Area {
        name: "sign-in and others",
        rows: &[
            ("POST", "/login", SERVED),
            ("POST", "/v2/login", "sign in at /api/v1/session, or by the form of /login"),
            ("POST", "/v3/login", "sign in at /api/v1/session, or by the form of /login"),
            ("GET", "/routes", SERVED),
            ("GET", "/metrics", SERVED),
            ("POST", "/config/update", SETTINGS),
            ("GET", "/config/list", SETTINGS),
            ("GET", "/get/config/callbacks", SETTINGS),
            ("GET", "/router/settings", SETTINGS),
            ("GET", "/cache/ping", NO_CACHE),
        ],
    },
];

/// One method and path of it.
pub struct Route {
    /// What it is about.
    pub area: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// Why it isn't served, if it isn't.
    pub why: &'static str,
}

/// Every method and path.
pub fn routes() -> impl Iterator<Item = Route> {
    AREAS.iter().flat_map(|area| {
        area.rows.iter().flat_map(|(methods, path, why)| {
            let route = |method: Method| Route { area: area.name, method, path, why };
            methods.split(' ').filter_map(|method| method.parse().ok()).map(route)
        })
    })
}

/// What an access token needs a scope of for a route of theirs; `account`, which no token reaches, for what is none of these.
pub fn scope(route: &str) -> &'static str {
    let area = routes().find(|it| it.path == route).map_or("", |it| it.area);
    match area {
        "keys" => "keys",
        "teams" => "groups",
        "users" => "users",
        "organizations" | "customers" | "budgets" | "tags" => "organizations",
        "models" | "credentials" | "access groups" | "health" => "channels",
        "spend" => "usage",
        "audit" => "audit",
        _ => "account",
    }
}

/// Whether LiteLLM has a management route of this path: it is answered in LiteLLM's manner then. What other APIs have, too, isn't.
pub fn speaks(path: &str) -> bool {
    let is_shared = |path: &str| path.contains("models") || path == "/metrics";
    AREAS.iter().flat_map(|area| area.rows).any(|(_, pattern, _)| !is_shared(pattern) && fits(path, pattern))
}

/// Whether a path is one of a pattern's: as many segments, those in braces whatever they are.
fn fits(path: &str, pattern: &str) -> bool {
    let mut segments = path.split('/');
    let all = pattern.split('/').all(|want| match segments.next() {
        Some(got) => want == got || (want.starts_with('{') && !got.is_empty()),
        None => false,
    });
    all && segments.next().is_none()
}

/// What isn't served by any of `served`, as routes that say so to whoever is known.
pub(super) fn unserved(served: &[Entry]) -> Vec<Entry> {
    let is_served =
        |route: &Route| served.iter().any(|entry| entry.method == route.method && entry.path == route.path);
    routes()
        .filter(|route| !is_served(route))
        .filter_map(|route| {
            let make: fn() -> actix_web::Route = match route.method {
                Method::GET => || ask::unserved(Method::GET, refuse),
                Method::POST => || ask::unserved(Method::POST, refuse),
                Method::PUT => || ask::unserved(Method::PUT, refuse),
                Method::PATCH => || ask::unserved(Method::PATCH, refuse),
                Method::DELETE => || ask::unserved(Method::DELETE, refuse),
                _ => return None,
            };
            Some(Entry::plain(route.method, route.path, make))
        })
        .collect()
}

pub(super) fn table() -> Vec<Entry> {
    vec![Entry::plain(Method::GET, "/routes", || ask::route(Method::GET, list))]
}

/// `GET /routes`: every route that is served, whoever's it is.
async fn list(_: Ask) -> Result<Done> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for entry in crate::routes::table() {
        let why = routes().find(|it| it.method == entry.method && it.path == entry.path).map(|it| it.why);
        if why.is_some_and(|why| !why.is_empty()) {
            continue;
        }
        let path = entry.path.replace(":.*}", "}");
        let method = entry.method.to_string();
        match all.iter_mut().find(|(known, _)| *known == path) {
            Some((_, methods)) => methods.push(method),
            None => all.push((path, vec![method])),
        }
    }
    let row = |(path, methods): (String, Vec<String>)| {
        let name = path.trim_start_matches('/').replace(['/', '-'], "_").replace(['{', '}'], "");
        json!({"path": path, "methods": methods, "name": name, "endpoint": name})
    };
    Done::ok(&json!({"routes": all.into_iter().map(row).collect::<Vec<_>>()}))
}

async fn refuse(ask: Ask) -> Result<Done> {
    let (method, pattern) = ask.route();
    let why = routes().find(|it| it.method == *method && it.path == pattern).map_or("", |it| it.why);
    let name = format!("`{method} {}` isn't served by sluicegate", ask.path());
    let message = if why.is_empty() { name } else { format!("{name}: {why}") };
    Err(Error::new(ErrorKind::NotSupported, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_is_listed_twice() {
        let mut all: Vec<_> = routes().map(|it| format!("{} {}", it.method, it.path)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        // Every method was one.
        let methods = AREAS.iter().flat_map(|area| area.rows).map(|(methods, ..)| methods.split(' ').count());
        assert_eq!(methods.sum::<usize>(), count);
    }

    #[test]
    fn a_path_is_litellms_when_a_pattern_fits_it() {
        for (path, want) in [
            ("/key/generate", true),
            ("/key/sk-1/regenerate", true),
            ("/key", false),
            ("/key//regenerate", false),
            ("/key/a/b/regenerate", false),
            ("/v1/models", false),
            ("/models/gpt-4", false),
            ("/metrics", false),
            ("/health", true),
            ("/api/v1/keys", false),
            ("/team/t-1", true),
        ] {
            assert_eq!(speaks(path), want, "{path}");
        }
    }
}
