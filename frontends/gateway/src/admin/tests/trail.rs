//! What the audit trail tells: whatever was done, with what went and came along, to whoever it touches.

use serde_json::{Value, json};

use super::*;
use crate::store::AuditEvent;

impl World {
    /// What was written down after `seq`, oldest first.
    async fn trail(&self, seq: i64) -> Vec<AuditEvent> {
        let page = Page::new(Page::MAX, 0);
        let found = self.admin.events(&Actor::operator(), &AuditFilter::default(), page).await.unwrap();
        let mut items = found.items;
        items.retain(|it| it.seq > seq);
        items.reverse();
        items
    }

    async fn seq(&self) -> i64 {
        self.admin.audit_anchor(&Actor::operator()).await.unwrap().seq
    }
}

/// Who reads of an event beside the organization: action, group, user.
fn told(it: &AuditEvent) -> String {
    let name = |id: Option<&str>| id.unwrap_or("-").to_owned();
    let group = name(it.event.group.as_ref().map(|id| id.as_str()));
    let user = name(it.event.user.as_ref().map(|id| id.as_str()));
    format!("{} {group} {user}", it.event.action)
}

#[tokio::test]
async fn what_goes_along_is_named_in_the_event() {
    for (what, want) in [
        ("member", json!({"keys": {"count": 1, "ids": ["k1"]}})),
        (
            "group",
            json!({"keys": {"count": 2, "ids": ["k1", "k2"]}, "members": {"count": 2, "ids": ["ga", "u1"]}}),
        ),
        (
            "user",
            json!({"keys": {"count": 1, "ids": ["k1"]}, "groups": {"count": 1, "ids": ["g1"]},
                "tokens": {"count": 1, "ids": ["t1"]}}),
        ),
        ("key", Value::Null),
    ] {
        let (w, operator) = (world().await, Actor::operator());
        let token = crate::store::AccessToken {
            id: "t1".to_owned(),
            user: "u1".into(),
            name: "t".to_owned(),
            hint: "…".to_owned(),
            scopes: vec!["read".to_owned()].try_into().unwrap(),
            expires_at: Timestamp::from_ms(NOW + 1),
        };
        let put = Change::PutAccessToken(token, KeyHash::of("t1"), Expect::New);
        w.admin.commit(&operator, Deed::new("test.token", String::new()), vec![put]).await.unwrap();
        let seq = w.seq().await;
        match what {
            "member" => drop(w.admin.remove_member(&operator, "g1", &"u1".into()).await.unwrap()),
            "group" => drop(w.admin.delete_group(&operator, "g1").await.unwrap()),
            "user" => drop(w.admin.delete_user(&operator, &"u1".into()).await.unwrap()),
            _ => drop(w.admin.delete_key(&operator, &by_id("k1")).await.unwrap()),
        }
        let trail = w.trail(seq).await;
        assert_eq!(trail.len(), 1, "{what}: {trail:?}");
        let removed = trail[0].event.detail.get("removed").cloned().unwrap_or_default();
        assert_eq!(removed, want, "{what}");
        assert!(w.admin.verify_audit(&operator, &[]).await.unwrap().sound, "{what}");
    }
}

#[tokio::test]
async fn whoever_comes_into_a_group_or_is_made_along_has_an_event_of_their_own() {
    let w = world().await;
    let operator = Actor::operator();
    let member = |user: &str, create_user| NewMember { create_user, ..NewMember::new(user) };
    let group = |members| NewGroup {
        id: Some("gn".into()),
        organization: Some("o1".into()),
        members,
        ..NewGroup::default()
    };
    let seq = w.seq().await;
    w.admin.create_group(&operator, group(vec![member("u2", false), member("new1", true)])).await.unwrap();
    w.admin.add_members(&operator, "gn", vec![member("u1", false), member("new2", true)]).await.unwrap();
    let user = NewUser {
        id: Some("new3".into()),
        organization: Some("o1".into()),
        groups: vec!["gn".to_owned()],
        ..NewUser::default()
    };
    w.admin.create_user(&operator, user).await.unwrap();
    let key = NewKey {
        user: Some("new4".into()),
        organization: Some("o1".into()),
        create_user: true,
        ..NewKey::default()
    };
    w.admin.create_key(&operator, key).await.unwrap();
    let trail: Vec<String> = w.trail(seq).await.iter().map(told).collect();
    assert_eq!(
        trail,
        [
            "group.create gn -",
            "member.add gn u2",
            "user.create - new1",
            "member.add gn new1",
            "member.add gn u1",
            "member.add gn new2",
            "user.create - new2",
            "user.create - new3",
            "member.add gn new3",
            "key.create - new4",
            "user.create - new4",
        ]
    );
    // Who belongs to it reads of it.
    let seen = w.actor("u2").await;
    let found = w.admin.events(&seen, &AuditFilter::default(), Page::default()).await.unwrap();
    assert!(found.items.iter().any(|it| told(it) == "member.add gn u2"), "{found:?}");
}

#[tokio::test]
async fn a_key_that_is_passed_on_leaves_an_event_where_it_was() {
    for (patch, want) in [
        (
            KeyPatch { group: Patch::Set("g2".to_owned()), ..KeyPatch::default() },
            &["key.update g2 u1", "key.leave g1 -"][..],
        ),
        (KeyPatch { group: Patch::Clear, ..KeyPatch::default() }, &["key.update - u1", "key.leave g1 -"]),
        (
            KeyPatch { user: Patch::Set("ga".into()), ..KeyPatch::default() },
            &["key.update g1 ga", "key.leave - u1"],
        ),
        (KeyPatch { blocked: Some(true), ..KeyPatch::default() }, &["key.update g1 u1"]),
    ] {
        let w = world().await;
        let seq = w.seq().await;
        w.admin.update_key(&Actor::operator(), &by_id("k1"), patch).await.unwrap();
        let trail = w.trail(seq).await;
        assert_eq!(trail.iter().map(told).collect::<Vec<_>>(), want);
        let left = trail.get(1).map(|it| it.event.detail.to_string()).unwrap_or_default();
        assert!(!left.contains("g2") && !left.contains("ga"), "{left}");
    }
}

#[tokio::test]
async fn a_channels_event_says_that_its_credential_is_another_and_never_which() {
    let w = world().await;
    let operator = Actor::operator();
    let proxied = |user: &str| Some(format!("http://{user}:pw@proxy.example:8080"));
    let mut given = channel("");
    given.headers.insert("x-org".to_owned(), "first-org".to_owned());
    given.transport.proxy = proxied("first-user");
    let new = NewChannel { channel: given.clone(), secret: Some(Secret::new("first-secret")), entry: None };
    let made = w.admin.create_channel(&operator, new).await.unwrap();
    let (id, mut now) = (made.channel.id.clone(), made.channel.clone());
    let first = print("first-secret");
    for (secret, header, proxy, want) in [
        (
            Some("other-secret"),
            None,
            None,
            json!({"credential": "replaced", "fingerprints": {"from": [first], "to": [print("other-secret")]}}),
        ),
        (
            Some("other-secret"),
            None,
            None,
            json!({"credential": "entered again", "fingerprints": {"from": [print("other-secret")], "to": [print("other-secret")]}}),
        ),
        (None, Some("other-org"), None, json!({"header_values": ["x-org"]})),
        // By another proxy nothing is sent that was meant for the one before.
        (
            Some("other-secret"),
            Some("other-org"),
            proxied("other-user"),
            json!({"credential": "entered again", "proxy_credential": "replaced",
                "fingerprints": {"from": [print("other-secret")], "to": [print("other-secret")]}}),
        ),
        (None, None, None, json!({})),
    ] {
        let seq = w.seq().await;
        if let Some(header) = header {
            now.headers.insert("x-org".to_owned(), header.to_owned());
        }
        if let Some(proxy) = proxy {
            now.transport.proxy = Some(proxy);
        }
        let patch = ChannelPatch {
            channel: now.clone(),
            secret: secret.map(Secret::new),
            entry: None,
            revoke: false,
        };
        now = w.admin.update_channel(&operator, &id, patch).await.unwrap().channel;
        assert_eq!(w.trail(seq).await[0].event.detail, want);
    }
    let trail = serde_json::to_string(&w.trail(0).await).unwrap();
    for secret in ["first-secret", "other-secret", "first-org", "other-org", "first-user", "other-user"] {
        assert!(!trail.contains(secret), "{secret}");
    }
}

fn print(secret: &str) -> String {
    KeyHash::of(secret).to_string()[..16].to_owned()
}

#[tokio::test]
async fn a_shared_credentials_event_names_the_secrets_that_are_others() {
    let w = world().await;
    let operator = Actor::operator();
    let change = |one: &str, two: &str| CredentialChange {
        values: serde_json::Map::new(),
        secrets: from_json(json!({"api_key": one, "api_token": two})),
        info: serde_json::Map::new(),
        channels: Vec::new(),
    };
    w.admin.create_credential(&operator, "corp", change("a-secret", "b-secret")).await.unwrap();
    let before = w.admin.shared_credential(&operator, "corp").await.unwrap();
    w.admin.update_credential(&operator, "corp", &before, change("a-secret", "c-secret")).await.unwrap();
    let trail = w.trail(0).await;
    assert_eq!(trail.last().unwrap().event.detail["replaced"], json!(["api_token"]));
    assert!(!serde_json::to_string(&trail).unwrap().contains("-secret"));
}

#[tokio::test]
async fn what_free_data_holds_under_names_of_secrets_isnt_told() {
    let w = world().await;
    let operator = Actor::operator();
    let logging = |secret: &str| {
        from_json::<serde_json::Map<String, Value>>(json!({
            "logging": [{"callback_name": "langfuse", "callback_vars": {"langfuse_secret_key": secret}}], "note": "kept",
        }))
    };
    let seq = w.seq().await;
    let new = NewKey { group: Some("g1".to_owned()), metadata: logging("sk-lf-1"), ..NewKey::default() };
    let made = w.admin.create_key(&operator, new).await.unwrap();
    let patch = KeyPatch { metadata: Patch::Set(logging("sk-lf-2")), ..KeyPatch::default() };
    w.admin.update_key(&operator, &KeyRef::Id(made.view.key.id.clone()), patch).await.unwrap();
    let group = GroupPatch { metadata: Patch::Set(logging("sk-lf-3")), ..GroupPatch::default() };
    w.admin.update_group(&operator, "g1", group).await.unwrap();
    let trail = w.trail(seq).await;
    assert_eq!(trail.len(), 3);
    let text = serde_json::to_string(&trail).unwrap();
    assert!(
        !text.contains("sk-lf") && text.contains("langfuse_secret_key") && text.contains("kept"),
        "{text}"
    );
    // What is kept is what was given.
    let key = w.admin.key(&operator, &KeyRef::Id(made.view.key.id)).await.unwrap().key;
    assert_eq!(key.metadata, logging("sk-lf-2"));
}
