//! The document's schemas against what is really written and read.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sluicegate::admin::{
    AccountView, AuditAnchor, AuditCheck, AuditFault, AuditFaultKind, ChannelBulk, ChannelDraft,
    ChannelPatch, ChannelTrial, GroupPatch, JournalStatus, KeyPatch, KeyView, LedgerAudit, LedgerStatus,
    LimitUse, MemberPatch, NewChannelKeys, NewGroup, NewKey, NewMember, NewOrganization, NewPassword,
    NewPolicyVersion, NewToken, NewUser, OrganizationPatch, PasswordChange, PolicyCheck, PolicyDiff,
    PolicyShadow, PolicyVersionView, PolicyView, Proof, Reconcile, Regenerate, ReplayPolicy, ReplayQuestion,
    SecondStepOffer, SessionView, SetUp, TokenView, UserPatch,
};
use sluicegate::config::{SETTINGS, Setting, SettingKind, Severity};
use sluicegate::core::health::HealthView;
use sluicegate::core::ledger::Held;
use sluicegate::store::{AuditEvent, Sums};
use sluicegate::{ApiKey, Channel, Group, Organization, Usage, User};

use super::policies::{PolicyChoice, PolicyReturn};
use super::session::{SecondStepCode, SignIn};
use super::{PageQuery, present, time};
use sluicegate::Timestamp;
use sluicegate::store::Page;

fn properties(schema: &str) -> Map<String, Value> {
    let document: Value = serde_json::from_str(crate::openapi::document()).unwrap();
    document["components"]["schemas"][schema]["properties"]
        .as_object()
        .unwrap_or_else(|| panic!("no schema {schema}"))
        .clone()
}

fn names(map: &Map<String, Value>) -> BTreeSet<String> {
    map.keys().cloned().collect()
}

/// Whatever a value has is in its schema. Fields that are left out when empty may be in the schema alone.
#[track_caller]
fn described<T: Serialize>(schema: &str, value: &T) {
    let value = serde_json::to_value(value).unwrap();
    let properties = properties(schema);
    let missing: Vec<_> =
        value.as_object().unwrap().keys().filter(|name| !properties.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{schema} lacks {missing:?}");
}

/// The type reads exactly the schema's fields: each of them by itself, and no other.
#[track_caller]
fn read<T: DeserializeOwned>(schema: &str, required: &Value) {
    for name in properties(schema).keys() {
        let mut body = required.as_object().unwrap().clone();
        body.insert(name.clone(), json!({"no": "such value"}));
        let complaint =
            serde_json::from_value::<T>(body.into()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!complaint.contains("unknown field"), "{schema}.{name} isn't read: {complaint}");
    }
    let mut body = required.as_object().unwrap().clone();
    body.insert("nonsense".to_owned(), json!(1));
    let complaint = serde_json::from_value::<T>(body.into())
        .err()
        .unwrap_or_else(|| panic!("{schema} reads anything"))
        .to_string();
    // The complaint lists what is known: nothing of it may be missing from the schema.
    let known: BTreeSet<String> = complaint.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    let described = names(&properties(schema));
    let lacking: Vec<_> = known.difference(&described).collect();
    assert!(lacking.is_empty(), "{schema} lacks {lacking:?}");
}

#[test]
fn requests_are_read_as_described() {
    read::<NewKey>("NewKey", &json!({}));
    read::<KeyPatch>("KeyPatch", &json!({}));
    read::<SetUp>("SetUp", &json!({"password": "p"}));
    read::<SignIn>("SignIn", &json!({"login": "l", "password": "p"}));
    read::<SecondStepCode>("SecondStepCode", &json!({"code": "c"}));
    read::<PasswordChange>("PasswordChange", &json!({"current": "c", "new": "n"}));
    read::<NewPassword>("NewPassword", &json!({}));
    read::<Proof>("Proof", &json!({"password": "p"}));
    read::<NewToken>("NewToken", &json!({"name": "n", "scopes": ["read"]}));
    read::<Regenerate>("Regenerate", &json!({}));
    read::<NewGroup>("NewGroup", &json!({}));
    read::<GroupPatch>("GroupPatch", &json!({}));
    read::<NewMember>("NewMember", &json!({"user": "u"}));
    read::<MemberPatch>("MemberPatch", &json!({}));
    read::<NewUser>("NewUser", &json!({}));
    read::<UserPatch>("UserPatch", &json!({}));
    read::<NewOrganization>("NewOrganization", &json!({}));
    read::<OrganizationPatch>("OrganizationPatch", &json!({}));
    read::<NewPolicyVersion>("NewPolicyVersion", &json!({}));
    read::<PolicyChoice>("PolicyChoice", &json!({}));
    read::<PolicyReturn>("PolicyReturn", &json!({}));
    read::<ReplayQuestion>("ReplayQuestion", &json!({}));
    read::<ReplayPolicy>("ReplayPolicy", &json!({}));
    let channel = channel();
    read::<Reconcile>("Reconcile", &json!({"charge": "free"}));
    read::<ChannelDraft>("NewChannel", &json!({}));
    read::<ChannelDraft>("ChannelDraft", &json!({}));
    read::<ChannelTrial>("ChannelTrial", &json!({}));
    read::<ChannelBulk>("ChannelBulk", &json!({}));
    read::<NewChannelKeys>("NewChannelKeys", &json!({"secret": "s"}));
    read::<ChannelPatch>("ChannelPatch", &json!({ "channel": channel }));
}

fn channel() -> Channel {
    serde_json::from_value(json!({
        "id": "c", "name": "c", "provider": "openai", "endpoints": [], "auth": "bearer", "secret": "none",
        "models": [{"group": "m", "upstream": "m"}],
    }))
    .unwrap()
}

#[test]
fn every_setting_that_may_be_changed_is_described_with_its_range() {
    let described = properties("SettingsPatch");
    let names: BTreeSet<String> = SETTINGS.iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(names, self::names(&described));
    for setting in SETTINGS {
        let schema = &described[setting.name()];
        match setting.kind() {
            SettingKind::Number { min, max } => {
                assert_eq!(
                    (&schema["minimum"], &schema["maximum"]),
                    (&json!(min), &json!(max)),
                    "{setting:?}"
                );
            }
            SettingKind::Word(words) => {
                let mut all: Vec<Value> = words.iter().map(|&word| word.into()).collect();
                all.push(Value::Null);
                assert_eq!(schema["enum"], json!(all), "{setting:?}");
            }
            SettingKind::Registration => assert!(schema["anyOf"].is_array(), "{setting:?}"),
        }
    }
    let named = properties("ChangeableSetting")["name"]["enum"].clone();
    assert_eq!(named, json!(SETTINGS.map(Setting::name)));
}

#[test]
fn answers_are_written_as_described() {
    let key: ApiKey = serde_json::from_value(json!({"id": "k", "organization": "o"})).unwrap();
    let view = KeyView {
        limit_states: Vec::new(),
        user_limits_apply: false,
        key,
        hash: None,
        etag: String::new(),
        stored_at: Default::default(),
        created_by: String::new(),
        updated_at: Default::default(),
        updated_by: String::new(),
        used: Sums::default(),
    };
    described("Key", &present(&view, &[]).unwrap());
    let group: Group = serde_json::from_value(json!({"id": "g", "organization": "o"})).unwrap();
    described("Group", &present(&group, &[]).unwrap());
    let user: User = serde_json::from_value(json!({"id": "u", "organization": "o"})).unwrap();
    described("User", &present(&user, &[]).unwrap());
    let organization: Organization = serde_json::from_value(json!({"id": "o"})).unwrap();
    described("Organization", &present(&organization, &[]).unwrap());
    described("ChannelBody", &channel());
    described("ChannelModel", &channel().models[0]);
    described("Sums", &Sums::default());
    described("Usage", &Usage::default());
    described("Health", &HealthView::default());
    let journal = JournalStatus {
        id: String::new(),
        position: 1,
        stored: 1,
        lag: 0,
        segment: 1,
        segment_bytes: 1,
        segments: 1,
        durability: "power".to_owned(),
    };
    described("JournalStatus", &journal);
    described(
        "LedgerStatus",
        &LedgerStatus { journal: Some(journal), counters: 1, open: 0, held: 0, records_waiting: 0 },
    );
    let attempt = json!({
        "number": 1, "started_at": 0, "admitted_at": 0, "format": "openai_chat", "stream": false, "requested": "m",
        "organization": "o", "key": null, "user": null, "group": null, "customer": null, "tags": [], "seed": 0, "snapshot": 1,
        "input_bound": null, "input_estimate": 0, "max_output": null, "choices": 1, "price_ratio_ppm": 1, "channel": "c",
        "model": "m", "upstream_model": "m", "ceiling": null, "bound": {}, "bound_cost": 0, "priced": true,
    });
    let held: Held = serde_json::from_value(json!({
        "id": 1, "since": 0, "call": "c", "attempt": attempt, "class": "timeout", "recorded": true, "amounts": [],
    }))
    .unwrap();
    described("Held", &held);
    described("HeldAttempt", &held.attempt);
    let audit: LedgerAudit = serde_json::from_value(json!({
        "at": 0, "records": 0, "counters": 0, "by_daily_sums": 0, "left_out": 0, "under_way": 0, "differing": 0, "differences": [],
    }))
    .unwrap();
    described("LedgerAudit", &audit);
    let state: LimitUse = serde_json::from_value(json!({
        "scope": "key", "metric": "spend", "window": "day", "model": null, "mode": "strict", "max": 1, "settled": 0,
        "reserved": 0, "held": 0, "remaining": 1, "resets_at": null,
    }))
    .unwrap();
    described("LimitUse", &state);
    let event: AuditEvent = serde_json::from_value(json!({
        "seq": 1, "at": 0, "actor": "a", "action": "key.create", "target": "c", "organization": null, "group": null, "user": null,
        "detail": {}, "mac": "m",
    }))
    .unwrap();
    described("AuditEvent", &event);
    assert_eq!(properties("AuditEvent")["action"]["enum"], json!(sluicegate::admin::ACTIONS));
    described(
        "Diagnostic",
        &sluicegate::config::Diagnostic {
            severity: Severity::Note,
            code: "unpriced",
            path: String::new(),
            line: 1,
            column: 1,
            at: String::new(),
            message: String::new(),
            remedy: String::new(),
            paste: Some(String::new()),
            unless: None,
        },
    );
    assert_eq!(properties("Diagnostic")["code"]["enum"], json!(sluicegate::config::CODES));
}

#[test]
fn ways_to_sign_in_are_written_as_described() {
    let at = Timestamp::default();
    let session = SessionView {
        id: String::new(),
        user: "u".into(),
        stage: sluicegate::store::Stage::Done,
        created_at: at,
        seen_at: at,
        expires_at: at,
        address: None,
        agent: None,
        current: true,
    };
    described("Session", &session);
    let (second_step, backup_codes, must_change) = (true, 1, false);
    described("Account", &AccountView { user: "u".into(), second_step, backup_codes, must_change });
    described("SecondStepOffer", &SecondStepOffer { secret: String::new(), url: String::new() });
    let token = serde_json::from_value(
        json!({"id": "t", "user": "u", "name": "n", "hint": "h", "scopes": ["read"], "expires_at": 1}),
    )
    .unwrap();
    described("Token", &TokenView { token, created_at: at, used_at: None });
    described("AuditAnchor", &AuditAnchor::default());
    let fault = AuditFault { seq: 1, what: AuditFaultKind::Changed };
    described("AuditFault", &fault);
    let (sound, events, seq, faulty) = (false, 1, 1, 1);
    described(
        "AuditCheck",
        &AuditCheck { sound, events, seq, mac: String::new(), faulty, faults: vec![fault] },
    );
}

#[test]
fn policies_are_written_as_described() {
    let view: PolicyView = serde_json::from_value(json!({
        "name": "p", "source": "database", "organization": null, "group": null, "key": null, "active": 1, "shadow": null, "newest": 1,
        "etag": "1-0", "updated_at": 0, "updated_by": "a",
    }))
    .unwrap();
    described("Policy", &view);
    let version: PolicyVersionView = serde_json::from_value(json!({
        "policy": "p", "number": 1, "state": "draft", "text": "t", "organization": null, "group": null,
        "key": null,
        "on_error": "fail_open", "note": "", "digest": "", "created_at": 0, "created_by": "a", "updated_at": 0,
        "updated_by": "a", "tests": {"passed": 0, "failures": [{"name": "n", "line": 1, "column": 1, "message": "m"}]},
    }))
    .unwrap();
    described("PolicyVersion", &version);
    described("PolicyTests", &version.tests);
    described("PolicyCheck", &PolicyCheck::default());
    described("PolicyDiff", &PolicyDiff { from: 1, to: 2, diff: String::new() });
    let shadow = PolicyShadow { policy: "p".to_owned(), version: 1, report: Default::default() };
    described("PolicyShadow", &shadow);
    described("PolicyDecision", &sluicegate::core::engine::ShadowDecision::default());
}

#[test]
fn times_are_read_in_three_spellings() {
    for text in ["2026-11-23", "2026-11-23T00:00:00Z", "1795392000000"] {
        assert_eq!(time("from", text).unwrap(), Timestamp::from_ms(1_795_392_000_000), "{text}");
    }
    // A time without a zone is no day.
    for text in ["2026-11-23 23:59:59", "2026-11-23T23:59:59"] {
        assert_eq!(time("to", text).unwrap(), Timestamp::from_ms(1_795_478_399_000), "{text}");
    }
    for text in ["yesterday", "2026-11-23 25:00:00", "2026-11-23 noon"] {
        assert!(time("from", text).is_err(), "{text}");
    }
}

#[test]
fn a_page_is_bounded() {
    let page = |limit: &str| PageQuery { limit: Some(limit.into()), offset: None }.page();
    assert_eq!(page("100000").unwrap(), Page::new(Page::MAX, 0));
    assert!(page("-1").is_err());
}
