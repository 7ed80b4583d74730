use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use sluicegate_config::HostSettings;
use sluicegate_core::channel::{Auth, Endpoint, SecretRef};
use sluicegate_core::ledger::{Balance, bucket_ms};
use sluicegate_core::snapshot::{Declared, ModuleSource, PolicySource};
use sluicegate_core::{
    ApiKey, Channel, Format, Group, Membership, Metric, Mode, Organization, Role, Secret, Snapshot,
    Timestamp, User, Window,
};

use super::*;
use crate::ManualClock;
use crate::credential::KeyHash;
use crate::secret::MasterSecret;
use crate::store::{
    AuditFilter, Expect, GroupFilter, KeyFilter, KeyRef, Page, Reach, RecordFilter, UserFilter,
};

mod access_group;
mod alias;
mod bound;
mod gone;
mod hand;
mod identity;
mod kept;
mod limits;
mod log;
mod matrix;
mod member;
mod policy;
mod report;
mod rotation;
mod trail;

struct Host {
    reloads: AtomicUsize,
    only_file: AtomicBool,
    /// When it was started, if it runs; else negative.
    started_at: AtomicI64,
    master: MasterSecret,
}

#[async_trait]
impl AdminHost for Host {
    async fn flush_records(&self) -> Result<()> {
        Ok(())
    }

    async fn reload(&self) -> Result<()> {
        self.reloads.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    async fn try_channel(&self, _: &Trial) -> Result<Trialled> {
        Ok(Trialled::default())
    }

    async fn ask_upstream(&self, _: &Trial, _: &str) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn about(&self) -> Option<About> {
        let started_at = Some(self.started_at.load(Ordering::SeqCst)).filter(|at| *at >= 0)?;
        Some(About {
            started_at: Timestamp::from_ms(started_at),
            database: "memory",
            host: HostSettings::default(),
            findings: Vec::new(),
            problems: Vec::new(),
        })
    }

    fn config_file(&self) -> Option<String> {
        Some("gateway.yaml".to_owned())
    }

    fn stores_models(&self) -> bool {
        !self.only_file.load(Ordering::SeqCst)
    }

    fn file_policies(&self) -> Vec<PolicySource> {
        vec![from_json(serde_json::json!({"name": "pf", "text": "fn route(call) {}"}))]
    }

    fn file(&self) -> Arc<Loaded> {
        Arc::default()
    }

    fn policy_modules(&self) -> Vec<ModuleSource> {
        Vec::new()
    }

    fn policy_shadow(&self, _: &str, _: i64) -> Option<ShadowReport> {
        None
    }

    fn policy_denied_ppm(&self, _: &str, number: i64) -> Option<u32> {
        u32::try_from(number).ok()
    }

    fn journal(&self) -> Option<Journal> {
        None
    }

    async fn record(&self, _: UsageRecord) -> Result<()> {
        Ok(())
    }

    fn follow_records(&self) -> Result<tokio::sync::broadcast::Receiver<Arc<sluicegate_core::RecordEntry>>> {
        Err(sluicegate_core::Error::new(sluicegate_core::ErrorKind::Store, "nothing is recorded here"))
    }

    fn records_waiting(&self) -> usize {
        0
    }

    fn sealer(&self) -> Result<Sealer> {
        Ok(self.master.sealer())
    }
}

fn master() -> MasterSecret {
    MasterSecret::from_text(&"m".repeat(32)).unwrap()
}

pub(super) struct World {
    pub(super) admin: Admin,
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    host: Arc<Host>,
}

const NOW: i64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z

fn from_json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn user(id: &str, organization: &str, role: &str) -> User {
    from_json(serde_json::json!({"id": id, "organization": organization, "role": role}))
}

fn group(id: &str, organization: &str) -> Group {
    from_json(serde_json::json!({"id": id, "alias": format!("{id} alias"), "organization": organization}))
}

fn key(id: &str, organization: &str, group: Option<&str>, user: Option<&str>) -> ApiKey {
    let alias = format!("{id} alias");
    from_json(
        serde_json::json!({"id": id, "alias": alias, "organization": organization, "group": group, "user": user}),
    )
}

fn channel(id: &str) -> Channel {
    from_json(serde_json::json!({
        "id": id, "name": format!("{id} name"), "provider": "openai", "auth": "bearer", "secret": "none", "models": [],
        "endpoints": [{"format": "openai_chat", "url": "https://api.example.com/v1/chat/completions"}],
    }))
}

/// What the file declares: group `gf`, user `uf`, key `kf` and channel `cf`, all of `o1`.
fn declared() -> (Declared, Vec<(KeyHash, ApiKey)>) {
    let file = sluicegate_core::tenant::Source::File;
    let key = ApiKey { source: file, ..key("kf", "o1", Some("gf"), None) };
    let declared = Declared {
        channels: vec![Channel { source: file, ..channel("cf") }],
        groups: vec![Group { source: file, ..group("gf", "o1") }],
        users: vec![User { source: file, ..user("uf", "o1", "user") }],
        keys: vec![(key.clone(), SecretRef::None)],
        ..Declared::default()
    };
    (declared, vec![(KeyHash::of("kf"), key)])
}

/// Organization `o1`: groups `g1`, `g2`; users `boss` (super administrator), `oa` (its administrator), `au` (auditor), `ga`
/// (administers `g1`), `u1` (in `g1`), `u2` (in no group); keys `k1` (`g1`, `u1`), `k2` (`g1`), `k3` (`u2`), `kg2` (`g2`).
/// Organization `o2`: group `g3`; users `xa` (its administrator), `u3`; key `k4` (`g3`, `u3`).
pub(super) async fn world() -> World {
    world_with(AuthSettings::default()).await
}

/// The same with these settings of signing in.
async fn world_with(auth: AuthSettings) -> World {
    let store = crate::store::open("memory", jiff::tz::TimeZone::UTC).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(NOW)));
    let (declared, keys) = declared();
    let engine = Arc::new(Engine::new(
        Snapshot::build(1, declared.clone()),
        Arc::new(sluicegate_policy::Policies::default()),
    ));
    let directory = Arc::new(Directory::new(Arc::clone(&engine), Arc::clone(&store), clock.clone()));
    directory.declare(&declared, keys);
    let host = Arc::new(Host {
        reloads: AtomicUsize::new(0),
        only_file: AtomicBool::new(false),
        started_at: AtomicI64::new(-1),
        master: master(),
    });
    let admin = Admin::new(AdminParts {
        store: Arc::clone(&store),
        directory: Arc::clone(&directory),
        engine: Arc::clone(&engine),
        clock: clock.clone(),
        chain: Arc::new(master().audit_chain()),
        auth: Arc::new(ArcSwap::from_pointee(auth)),
        providers: Arc::default(),
        host: host.clone(),
    });
    let organization = |id: &str| from_json::<Organization>(serde_json::json!({"id": id}));
    let mut changes = vec![
        Change::PutOrganization(organization("o1"), Expect::New),
        Change::PutOrganization(organization("o2"), Expect::New),
    ];
    changes.extend(
        [("g1", "o1"), ("g2", "o1"), ("g3", "o2")].map(|(id, o)| Change::PutGroup(group(id, o), Expect::New)),
    );
    let users = [
        ("boss", "o1", "super_admin"),
        ("oa", "o1", "organization_admin"),
        ("au", "o1", "auditor"),
        ("ga", "o1", "user"),
        ("u1", "o1", "user"),
        ("u2", "o1", "user"),
        ("xa", "o2", "organization_admin"),
        ("u3", "o2", "user"),
    ];
    changes.extend(users.map(|(id, o, role)| Change::PutUser(user(id, o, role), Expect::New)));
    for (user, role) in [("ga", Role::GroupAdmin), ("u1", Role::User)] {
        let it = Membership { group: "g1".into(), user: user.into(), role, limits: Vec::new(), given: None };
        changes.push(Change::PutMembership(it, Expect::New));
    }
    for (id, o, group, user) in [
        ("k1", "o1", Some("g1"), Some("u1")),
        ("k2", "o1", Some("g1"), None),
        ("k3", "o1", None, Some("u2")),
        ("kg2", "o1", Some("g2"), None),
        ("k4", "o2", Some("g3"), Some("u3")),
    ] {
        let hash = KeyHash::of(id);
        changes.push(Change::PutKey {
            key: key(id, o, group, user),
            hash,
            old_hash_until: None,
            issuers: None,
            expect: Expect::New,
        });
    }
    admin.commit(&Actor::operator(), Deed::new("test.world", String::new()), changes).await.unwrap();
    World { admin, store, directory, engine, clock, host }
}

impl World {
    /// `operator`, `key` (whoever holds `k2`), or a user.
    async fn actor(&self, name: &str) -> Actor {
        match name {
            "operator" => Actor::operator(),
            "key" => self.actor_by("k2").await.unwrap(),
            user => self.admin.actor_of(&user.into()).await.unwrap().unwrap(),
        }
    }

    async fn actor_by(&self, credential: &str) -> Result<Actor> {
        self.actor_from(credential, None).await
    }

    async fn actor_from(&self, credential: &str, ip: Option<&str>) -> Result<Actor> {
        let caller = self.directory.find(&KeyHash::of(credential)).await?.unwrap();
        self.admin.actor(&caller.caller, ip.map(|ip| ip.parse().unwrap())).await
    }
}

fn by_id(id: &str) -> KeyRef {
    KeyRef::Id(id.into())
}

#[tokio::test]
async fn an_issued_key_opens_at_once_and_a_deleted_one_doesnt() {
    let w = world().await;
    let operator = Actor::operator();
    let new = NewKey { group: Some("g1 alias".to_owned()), user: Some("u1".into()), ..NewKey::default() };
    let issued = w.admin.create_key(&operator, new).await.unwrap();
    let hash = KeyHash::of(issued.secret.expose());
    assert_eq!(issued.view.hash, Some(hash));
    let caller = w.directory.find(&hash).await.unwrap().unwrap();
    assert_eq!(caller.caller.group.as_ref().unwrap().as_str(), "g1");

    let id = KeyRef::Id(issued.view.key.id.clone());
    w.admin.block_key(&operator, &id, true).await.unwrap();
    assert!(w.directory.lookup_blocked(&hash).await);
    w.admin.block_key(&operator, &id, false).await.unwrap();
    assert!(!w.directory.lookup_blocked(&hash).await);

    let again = w
        .admin
        .regenerate_key(&operator, &id, Regenerate { grace: Some("1h".to_owned()), ..Regenerate::default() })
        .await
        .unwrap();
    let caller = w.directory.find(&hash).await.unwrap().unwrap();
    assert_eq!(caller.caller.expires_at, Some(Timestamp::from_ms(NOW + 3_600_000)));
    assert_eq!(caller.caller.key, Some(issued.view.key.id.clone()));
    w.admin.delete_key(&operator, &KeyRef::Hash(KeyHash::of(again.secret.expose()))).await.unwrap();
    for hash in [hash, KeyHash::of(again.secret.expose())] {
        assert!(w.directory.find(&hash).await.unwrap().is_none());
    }
}

impl Directory {
    async fn lookup_blocked(&self, hash: &KeyHash) -> bool {
        self.find(hash).await.unwrap().unwrap().caller.blocked.is_some()
    }
}

#[tokio::test]
async fn a_chosen_key_works_once() {
    let w = world().await;
    let new =
        || NewKey { key: Some(Secret::new("sk-3f9c1e77ab04d25866e1904cfa7b2d38")), ..NewKey::default() };
    w.admin.create_key(&Actor::operator(), new()).await.unwrap();
    assert_eq!(w.admin.create_key(&Actor::operator(), new()).await.unwrap_err().kind(), ErrorKind::Conflict);
    let weak = NewKey { key: Some(Secret::new("sk-1234")), ..NewKey::default() };
    assert_eq!(
        w.admin.create_key(&Actor::operator(), weak).await.unwrap_err().kind(),
        ErrorKind::InvalidRequest
    );
}

#[tokio::test]
async fn a_user_who_doesnt_exist_is_made_only_when_asked_and_allowed() {
    let w = world().await;
    let new = |create_user| NewKey { user: Some("fresh".into()), create_user, ..NewKey::default() };
    let error = w.admin.create_key(&Actor::operator(), new(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let ga = w.actor("ga").await;
    let theirs = NewKey { group: Some("g1".to_owned()), ..new(true) };
    assert_eq!(w.admin.create_key(&ga, theirs).await.unwrap_err().kind(), ErrorKind::NotFound);
    w.admin.create_key(&Actor::operator(), new(true)).await.unwrap();
    assert!(w.store.user(&"fresh".into(), &Reach::ALL).await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_file_declares_is_read_only_and_named() {
    let w = world().await;
    let operator = Actor::operator();
    let view = w.admin.key(&operator, &by_id("kf")).await.unwrap();
    assert_eq!(view.key.source, Source::File);
    let listed = w.admin.keys(&operator, &KeyFilter::default(), Page::new(2, 0)).await.unwrap();
    assert_eq!((listed.total, listed.items[0].key.id.as_str()), (6, "kf"));
    let second = w.admin.keys(&operator, &KeyFilter::default(), Page::new(2, 2)).await.unwrap();
    assert!(second.items.iter().all(|it| !listed.items.contains(it)) && second.items.len() == 2);
    for error in [
        w.admin.delete_key(&operator, &by_id("kf")).await.unwrap_err(),
        w.admin.delete_group(&operator, "gf alias").await.unwrap_err(),
        w.admin.delete_user(&operator, &"uf".into()).await.unwrap_err(),
        w.admin.delete_channel(&operator, &"cf".into()).await.unwrap_err(),
        w.admin
            .create_group(&operator, NewGroup { id: Some("gf".into()), ..NewGroup::default() })
            .await
            .unwrap_err(),
        w.admin
            .create_group(&operator, NewGroup { alias: Some("gf alias".to_owned()), ..NewGroup::default() })
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.message().contains("gateway.yaml"), "{error}");
    }
}

#[tokio::test]
async fn blocked_and_expired_keys_administer_nothing() {
    let w = world().await;
    let operator = Actor::operator();
    w.admin.block_key(&operator, &by_id("k2"), true).await.unwrap();
    assert_eq!(w.actor_by("k2").await.unwrap_err().kind(), ErrorKind::Forbidden);
    let soon = KeyPatch { ttl: Some("1m".to_owned()), ..KeyPatch::default() };
    w.admin.update_key(&operator, &by_id("k1"), soon).await.unwrap();
    assert_eq!(w.actor_by("k1").await.unwrap().name(), "user u1");
    w.clock.set(Timestamp::from_ms(NOW + 60_000));
    assert_eq!(w.actor_by("k1").await.unwrap_err().kind(), ErrorKind::Forbidden);
    w.admin
        .update_user(&operator, &"u2".into(), UserPatch { blocked: Some(true), ..UserPatch::default() })
        .await
        .unwrap();
    assert_eq!(w.actor_by("k3").await.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_key_administers_from_where_it_may_be_used() {
    let w = world().await;
    let ips = Patch::Set(from_json(serde_json::json!(["10.1.0.0/16"])));
    let patch = KeyPatch { allowed_ips: ips, ..KeyPatch::default() };
    w.admin.update_key(&Actor::operator(), &by_id("k1"), patch).await.unwrap();
    assert!(w.actor_from("k1", Some("10.1.2.3")).await.is_ok());
    for elsewhere in [Some("10.2.2.3"), None] {
        assert_eq!(w.actor_from("k1", elsewhere).await.unwrap_err().kind(), ErrorKind::Forbidden);
    }
}

#[tokio::test]
async fn a_change_holds_even_when_whoever_made_it_has_left() {
    let w = world().await;
    let operator = Actor::operator();
    let hash = KeyHash::of("k2");
    assert!(w.directory.find(&hash).await.unwrap().is_some());
    let deed = Deed::new("key.delete", "key k2".to_owned());
    let mut leaving = Box::pin(w.admin.commit(&operator, deed, vec![Change::DeleteKey("k2".into())]));
    // It has begun, and is dropped.
    let turn = std::future::poll_fn(|cx| std::task::Poll::Ready(leaving.as_mut().poll(cx).is_ready()));
    assert!(!turn.await, "it was too quick for this test");
    drop(leaving);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while w.directory.find(&hash).await.unwrap().is_some() {
        assert!(std::time::Instant::now() < until, "the key goes on working");
        tokio::task::yield_now().await;
    }
    let trail = w.store.events(&AuditFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    assert_eq!(trail.items[0].event.action, "key.delete");
}

#[tokio::test]
async fn what_is_not_shown_of_a_channel_survives_a_change_and_no_move() {
    let w = world().await;
    let operator = Actor::operator();
    let mut new = channel("");
    new.headers.insert("x-team".to_owned(), "team-credential".to_owned());
    new.transport.proxy = Some("http://user:pass-word@proxy.example:3128".to_owned());
    let made = w
        .admin
        .create_channel(&operator, NewChannel { channel: new, secret: None, entry: None })
        .await
        .unwrap();
    let seen = serde_json::to_string(&made).unwrap();
    assert!(!seen.contains("team-credential") && !seen.contains("pass-word"), "{seen}");
    assert_eq!(made.channel.transport.proxy.as_deref(), Some("http://…@proxy.example:3128"));

    let id = made.channel.id.clone();
    let stored = async || w.store.channels().await.unwrap().pop().unwrap().channel.value;
    let patch = |channel: Channel| ChannelPatch { channel, secret: None, entry: None, revoke: false };
    let heavier = Channel { weight: 5, ..made.channel.clone() };
    w.admin.update_channel(&operator, &id, patch(heavier.clone())).await.unwrap();
    let kept = stored().await;
    assert_eq!((kept.weight, kept.headers["x-team"].as_str()), (5, "team-credential"));
    assert_eq!(kept.transport.proxy.as_deref(), Some("http://user:pass-word@proxy.example:3128"));

    let elsewhere = Some("http://proxy.evil.example:3128".to_owned());
    let transport = sluicegate_core::channel::Transport { proxy: elsewhere, ..heavier.transport.clone() };
    let moved = Channel { transport, ..heavier };
    let error = w.admin.update_channel(&operator, &id, patch(moved)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains("x-team"), "{error}");
    let trail = w.store.events(&AuditFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    let trail = serde_json::to_string(&trail.items).unwrap();
    assert!(!trail.contains("team-credential") && !trail.contains("pass-word"), "{trail}");
}

#[tokio::test]
async fn a_file_may_keep_models_to_itself() {
    let w = world().await;
    w.host.only_file.store(true, Ordering::SeqCst);
    let new = NewChannel { channel: channel(""), secret: None, entry: None };
    let refused = w.admin.create_channel(&Actor::operator(), new).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    assert!(refused.message().contains("store_models"));
    assert!(w.store.channels().await.unwrap().is_empty());
}

#[tokio::test]
async fn changes_of_bodies_are_checked_as_those_of_files_are() {
    let w = world().await;
    let operator = Actor::operator();
    let with = |edit: &str| {
        let mut new = channel("");
        new.body_edits = vec![serde_json::from_str(edit).unwrap()];
        new
    };
    let fine = with(r#"{"path":"temperature","change":{"set":{"value":0,"keep":false}}}"#);
    let made = w
        .admin
        .create_channel(&operator, NewChannel { channel: fine, secret: None, entry: None })
        .await
        .unwrap();
    for (edit, remedy) in [
        (r#"{"path":"models","change":{"set":{"value":["dear"],"keep":false}}}"#, "declare a channel"),
        (r#"{"path":"max_tokens","change":"delete"}"#, "`max_output`"),
        (r#"{"path":"","change":"delete"}"#, "`path`"),
    ] {
        let new = NewChannel {
            channel: Channel { name: "other".to_owned(), ..with(edit) },
            secret: None,
            entry: None,
        };
        let error = w.admin.create_channel(&operator, new).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{edit}: {error}");
        assert!(error.message().contains(remedy), "{edit}: {error}");
        let patch = Channel { body_edits: with(edit).body_edits, ..made.channel.clone() };
        let patch = ChannelPatch { channel: patch, secret: None, entry: None, revoke: false };
        let error = w.admin.update_channel(&operator, &made.channel.id, patch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{edit}: {error}");
    }
}

#[tokio::test]
async fn a_credential_undoes_no_change_of_a_channel_and_what_is_gone_holds_it_up_no_more() {
    let w = world().await;
    let operator = Actor::operator();
    let new = NewChannel { channel: channel(""), secret: Some(Secret::new("first")), entry: None };
    let made = w.admin.create_channel(&operator, new).await.unwrap();
    let id = made.channel.id.clone();
    let values = |key: &str| serde_json::Map::from_iter([("api_key".to_owned(), key.into())]);
    let change =
        |key: &str, channels: Vec<(sluicegate_core::ChannelId, String, ChannelPatch)>| CredentialChange {
            values: serde_json::Map::new(),
            secrets: values(key),
            info: serde_json::Map::new(),
            channels,
        };
    w.admin.create_credential(&operator, "corp", change("first", Vec::new())).await.unwrap();
    let before = w.admin.shared_credential(&operator, "corp").await.unwrap();
    // Worked out from how the channel was, before somebody changed it.
    let patch = |channel: &Channel| ChannelPatch {
        channel: channel.clone(),
        secret: Some(Secret::new("second")),
        entry: None,
        revoke: false,
    };
    let heavier = Channel { weight: 7, ..made.channel.clone() };
    let mended = ChannelPatch { channel: heavier, secret: None, entry: None, revoke: false };
    let after = w.admin.update_channel(&operator, &id, mended).await.unwrap();
    let stale = change("second", vec![(id.clone(), made.etag.clone(), patch(&made.channel))]);
    let error = w.admin.update_credential(&operator, "corp", &before, stale).await.unwrap_err();
    assert!(came_second(&error), "{error:?}");
    assert_eq!(w.admin.channel(&operator, &id).await.unwrap().channel.weight, 7);
    let fresh = change("second", vec![(id.clone(), after.etag.clone(), patch(&after.channel))]);
    w.admin.update_credential(&operator, "corp", &before, fresh).await.unwrap();
    assert_eq!(w.admin.channel(&operator, &id).await.unwrap().channel.weight, 7);
    // An entry whose channel is gone.
    let params = serde_json::json!({"litellm_credential_name": "corp"});
    let metadata = serde_json::Map::from_iter([("litellm_params".to_owned(), params)]);
    let left = NamedScope { metadata, ..NamedScope::default() };
    w.admin.create_named(&operator, NamedKind::Model, "gone", left).await.unwrap();
    w.admin.delete_credential(&operator, "corp").await.unwrap();
}

#[test]
fn what_access_groups_hold_is_in_the_digest() {
    let digest = |models: &[&str]| {
        let models = models.iter().map(|&name| name.into()).collect();
        let access_groups = [("beta".to_owned(), models)].into_iter().collect();
        Snapshot::build(1, Declared { access_groups, ..Declared::default() }).digest()
    };
    assert_eq!(digest(&["a"]), digest(&["a"]));
    assert_ne!(digest(&["a"]), digest(&["a", "b"]));
}

#[tokio::test]
async fn no_channel_takes_its_credential_along_when_it_moves() {
    let w = world().await;
    let operator = Actor::operator();
    let new =
        NewChannel { channel: channel(""), secret: Some(Secret::new("upstream-credential")), entry: None };
    let made = w.admin.create_channel(&operator, new).await.unwrap();
    let id = made.channel.id.clone();
    assert!(made.has_secret && w.host.reloads.load(Ordering::SeqCst) == 1);
    let sealed = async || w.store.channels().await.unwrap().pop().unwrap();
    let stored = sealed().await;
    assert!(!format!("{stored:?}").contains("upstream-credential"));
    let opened = master().sealer().open(&stored.channel.value, stored.secret.as_deref().unwrap()).unwrap();
    assert_eq!(opened.expose(), "upstream-credential");

    let patch = |channel: Channel, secret: Option<&str>| ChannelPatch {
        channel,
        secret: secret.map(Secret::new),
        entry: None,
        revoke: false,
    };
    let renamed = Channel { name: "other".to_owned(), weight: 5, ..made.channel.clone() };
    let view = w.admin.update_channel(&operator, &id, patch(renamed.clone(), None)).await.unwrap();
    assert!(view.has_secret && view.channel.weight == 5);
    let address = "https://evil.example/v1/chat/completions".to_owned();
    let moved =
        Channel { endpoints: vec![Endpoint { format: Format::OpenaiChat, url: address }], ..renamed.clone() };
    let error = w.admin.update_channel(&operator, &id, patch(moved.clone(), None)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains("again"), "{error}");
    assert_eq!(sealed().await.channel.value.endpoints, made.channel.endpoints);
    let view = w.admin.update_channel(&operator, &id, patch(moved.clone(), Some(""))).await.unwrap();
    assert!(!view.has_secret && sealed().await.secret.is_none());
    let view =
        w.admin.update_channel(&operator, &id, patch(moved.clone(), Some("entered again"))).await.unwrap();
    assert!(view.has_secret);
    let other = Channel { auth: Auth::Header("x-api-key".to_owned()), ..moved };
    w.admin.update_channel(&operator, &id, patch(other.clone(), None)).await.unwrap_err();
    let named = Channel { secret: sluicegate_core::SecretRef::Env("OTHER".to_owned()), ..other.clone() };
    let view = w.admin.update_channel(&operator, &id, patch(named, None)).await.unwrap();
    assert!(view.has_secret && sealed().await.secret.is_none());
    w.admin.update_channel(&operator, &id, patch(other, Some("third"))).await.unwrap();

    let new_master = MasterSecret::from_text(&"n".repeat(32)).unwrap();
    let done = w.admin.rotate_secret(&operator, &master(), &new_master).await.unwrap();
    assert_eq!((done.channels, done.credentials, done.second_steps), (1, 0, 0));
    let stored = sealed().await;
    let opened = new_master.sealer().open(&stored.channel.value, stored.secret.as_deref().unwrap()).unwrap();
    assert_eq!(opened.expose(), "third");

    let trail =
        w.store.events(&crate::store::AuditFilter::default(), &Reach::ALL, Page::default()).await.unwrap();
    let trail = serde_json::to_string(&trail.items).unwrap();
    for secret in ["upstream-credential", "entered again", "third"] {
        assert!(!trail.contains(secret));
    }
    w.admin.delete_channel(&operator, &id).await.unwrap();
    assert!(w.store.channels().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_change_is_in_the_audit_trail_and_tampering_shows() {
    let w = world().await;
    let oa = w.actor("oa").await;
    w.admin
        .update_group(&oa, "g1", GroupPatch { alias: Patch::Set("new".to_owned()), ..GroupPatch::default() })
        .await
        .unwrap();
    w.admin.add_member(&oa, "g1", NewMember::new("u2")).await.unwrap();
    let issued =
        w.admin.create_key(&oa, NewKey { group: Some("new".to_owned()), ..NewKey::default() }).await.unwrap();
    let ga = w.actor("ga").await;
    let seen = w.admin.events(&ga, &crate::store::AuditFilter::default(), Page::default()).await.unwrap();
    let actions: Vec<&str> = seen.items.iter().map(|it| it.event.action.as_str()).collect();
    assert_eq!(actions[..3], ["key.create", "member.add", "group.update"]);
    assert_eq!(seen.items[2].event.detail["alias"], serde_json::json!({"from": "g1 alias", "to": "new"}));
    assert_eq!(seen.items[2].event.actor, "user oa");
    assert!(!serde_json::to_string(&seen.items).unwrap().contains(issued.secret.expose()));
    let xa = w.actor("xa").await;
    assert_eq!(
        w.admin.events(&xa, &crate::store::AuditFilter::default(), Page::default()).await.unwrap().total,
        2,
        "that their own organization's users were made"
    );

    let anchor = w.admin.audit_anchor(&Actor::operator()).await.unwrap();
    let check = w.admin.verify_audit(&Actor::operator(), std::slice::from_ref(&anchor)).await.unwrap();
    assert!(check.sound && check.faults.is_empty(), "{check:?}");
    // Of the world 11, of what it was made of.
    assert_eq!((check.events, check.seq, &check.mac), (14, 14, &seen.items[0].mac));
    assert_eq!((anchor.seq, &anchor.mac), (14, &check.mac));
    let forged = crate::store::NewEvent { actor: "forger".to_owned(), ..seen.items[0].event.clone() };
    struct Forger;
    impl AuditChain for Forger {
        fn link(&self, _: &str, _: i64, _: &crate::store::NewEvent, _: &str) -> String {
            "0".repeat(64)
        }
    }
    w.store.apply(&[], &forged, &Forger).await.unwrap();
    let check = w.admin.verify_audit(&Actor::operator(), &[anchor]).await.unwrap();
    assert_eq!(check.faults, [AuditFault { seq: 15, what: AuditFaultKind::Changed }]);
    assert!(!check.sound && check.events == 15, "{check:?}");
    // An anchor tells when the newest events were replaced by others that are linked as well.
    let foreign = AuditAnchor { seq: 2, mac: "0".repeat(64), ..AuditAnchor::default() };
    let later = AuditAnchor { seq: 19, ..foreign.clone() };
    let check = w.admin.verify_audit(&Actor::operator(), &[foreign, later]).await.unwrap();
    let anchors: Vec<i64> =
        check.faults.iter().filter(|it| it.what == AuditFaultKind::Anchor).map(|it| it.seq).collect();
    assert_eq!(anchors, [2, 19]);
}

#[tokio::test]
async fn a_change_that_came_second_is_made_on_what_is_there() {
    let w = world().await;
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let admin = w.admin.clone();
            tokio::spawn(async move {
                let edit = LimitEditor::new(move |limits| {
                    limits.push(Limit::strict(Metric::Requests, Window::RollingMs(1_000 + n), 1))
                });
                let patch = KeyPatch { edit_limits: Some(edit), ..KeyPatch::default() };
                admin.update_key(&Actor::operator(), &by_id("k1"), patch).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(w.admin.key(&Actor::operator(), &by_id("k1")).await.unwrap().key.limits.len(), 6);
}

#[tokio::test]
async fn what_steers_calls_in_free_data_is_not_for_those_whom_it_holds() {
    let w = world().await;
    let data = |value: serde_json::Value| from_json::<serde_json::Map<_, _>>(value);
    let set = data(serde_json::json!({"guardrails": ["pii"], "note": 1}));
    let boss = w.actor("oa").await;
    let patch = KeyPatch { edit_metadata: set.clone(), ..KeyPatch::default() };
    w.admin.update_key(&boss, &by_id("k1"), patch).await.unwrap();
    let patch = GroupPatch { metadata: Patch::Set(set), ..GroupPatch::default() };
    w.admin.update_group(&boss, "g1", patch).await.unwrap();

    let (owner, admin) = (w.actor("u1").await, w.actor("ga").await);
    for (change, passes) in [
        (serde_json::json!({"guardrails": ["pii"], "note": 2}), true),
        (serde_json::json!({"note": 3}), false),
        (serde_json::json!({"guardrails": [], "note": 3}), false),
        (serde_json::json!({"guardrails": ["pii"], "tags": ["fast"]}), false),
    ] {
        let metadata = Patch::Set(data(change.clone()));
        let of_key = KeyPatch { metadata: metadata.clone(), ..KeyPatch::default() };
        let of_group = GroupPatch { metadata, ..GroupPatch::default() };
        let done = w.admin.update_key(&owner, &by_id("k1"), of_key).await;
        assert_eq!(done.map(drop).map_err(|error| error.kind()).is_ok(), passes, "{change}");
        let done = w.admin.update_group(&admin, "g1", of_group).await;
        assert_eq!(done.map(drop).map_err(|error| error.kind()).is_ok(), passes, "{change}");
    }
    let key = w.admin.key(&boss, &by_id("k1")).await.unwrap().key;
    assert_eq!(key.metadata, data(serde_json::json!({"guardrails": ["pii"], "note": 2})));
    // Whoever may say what a key may do takes it out again, and leaves the rest.
    let patch =
        KeyPatch { edit_metadata: data(serde_json::json!({"guardrails": null})), ..KeyPatch::default() };
    w.admin.update_key(&boss, &by_id("k1"), patch).await.unwrap();
    let key = w.admin.key(&boss, &by_id("k1")).await.unwrap().key;
    assert_eq!(key.metadata, data(serde_json::json!({"note": 2})));
    // What nobody could read isn't taken, wherever it comes in.
    for wrong in [
        serde_json::json!({"guardrails": "pii"}),
        serde_json::json!({"tags": ["a", 1]}),
        serde_json::json!({"tags": vec!["x"; 65]}),
    ] {
        let metadata = data(wrong.clone());
        let new_key = NewKey { metadata: metadata.clone(), ..NewKey::default() };
        let new_group = NewGroup { metadata: metadata.clone(), ..NewGroup::default() };
        let set = KeyPatch { metadata: Patch::Set(metadata.clone()), ..KeyPatch::default() };
        let edit = GroupPatch { edit_metadata: metadata, ..GroupPatch::default() };
        for refused in [
            w.admin.create_key(&boss, new_key).await.map(drop),
            w.admin.create_group(&boss, new_group).await.map(drop),
            w.admin.update_key(&boss, &by_id("k1"), set).await.map(drop),
            w.admin.update_group(&boss, "g1", edit).await.map(drop),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{wrong}: {error}");
            assert!(error.message().contains("a list of at most 64 texts"), "{wrong}: {error}");
        }
    }
}
