use std::path::Path;

use sluicegate_core::Format;
use sluicegate_core::replay::Dimension;

use super::*;
use crate::{Gateway, Inbound};

const KEYS: [&str; 2] = ["sk-3f9c1e77ab04d25866e1904cfa7b2d38", "sk-8a41d0c25be79f6330127ac9e4bd5f16"];

fn config(weight: u32) -> ConfigText {
    let text = format!(
        "version: 1\n\
         channels:\n\
         \x20 - {{name: one, provider: mock, weight: {weight}, models: [{{name: m, price: {{input: 1, output: 2}}}}]}}\n\
         \x20 - {{name: two, provider: mock, models: [{{name: m, price: {{input: 100, output: 200}}}}]}}\n\
         keys:\n\
         \x20 - {{id: k0, credential: {}}}\n\
         \x20 - {{id: k1, credential: {}, limits: {{requests: {{hour: 3}}}}}}\n",
        KEYS[0], KEYS[1]
    );
    ConfigText { path: "test.yaml".to_owned(), text }
}

fn options(dir: &Path, weight: u32, policy: Option<&str>) -> ReplayOptions {
    ReplayOptions {
        config: Some(config(weight)),
        variables: Arc::new(|_| None),
        database: None,
        data_dir: Some(dir.to_owned()),
        policies: policy.map(|text| ("new".to_owned(), text.to_owned())).into_iter().collect(),
        only_these_policies: false,
        from: "2020-01-01".to_owned(),
        to: "2100-01-01T00:00:00Z".to_owned(),
    }
}

async fn history(dir: &Path) {
    let options = Options {
        config: Some(config(1)),
        variables: Arc::new(|name| (name == "SLUICEGATE_MASTER_SECRET").then(|| "7d".repeat(32))),
        data_dir: Some(dir.to_owned()),
        ..Options::default()
    };
    let gateway = Gateway::open(options).await.unwrap();
    let worker = gateway.worker();
    for n in 0..20 {
        let body = r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#;
        let _ = worker.call(Inbound::new(Format::OpenaiChat, KEYS[n % 2], body)).await;
    }
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_replay_tells_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    history(dir.path()).await;
    let world = World::open(&options(dir.path(), 1, None)).await.unwrap();
    let records =
        world.store.scan((Timestamp::from_ms(0), &CallId::from("")), Timestamp::MAX, 100).await.unwrap();
    let (first, last) = (records.first().unwrap().started_at, records.last().unwrap().started_at);
    let late = records.iter().filter(|it| it.started_at == last).count() as u64;
    // From `begin` on, with `limit` calls at most: what was told, in order.
    for (begin, limit, want) in [
        (first, u64::MAX, vec![(Phase::Reading, 20, None), (Phase::Replaying, 20, Some(20))]),
        (first, 5, vec![(Phase::Reading, 5, None), (Phase::Replaying, 5, Some(5))]),
        (
            last,
            u64::MAX,
            vec![
                (Phase::Reading, late, None),
                (Phase::Counting, 20 - late, None),
                (Phase::Replaying, late, Some(late)),
            ],
        ),
    ] {
        let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let bounds = Bounds {
            calls: limit,
            go_on: Box::new(|| Ok(())),
            told: Box::new(move |course| told.lock().push(course)),
        };
        world.replay((begin, last.plus_ms(1)), &bounds).await.unwrap();
        let seen = seen.lock();
        let got: Vec<_> = seen.iter().map(|it| (it.phase, it.done, it.of)).collect();
        assert_eq!(got, want);
        assert!(seen.is_sorted_by_key(|it| it.share_ppm), "{seen:?}");
        assert!(seen.last().unwrap().share_ppm > 900_000, "{seen:?}");
    }
    world.store.close().await;
}

#[tokio::test]
async fn what_a_gateway_wrote_is_replayed_as_it_was_and_as_it_would_have_been() {
    let dir = tempfile::tempdir().unwrap();
    history(dir.path()).await;
    let same = replay(options(dir.path(), 1, None)).await.unwrap().report;
    let counts = same.counts;
    assert_eq!((counts.calls, counts.changed, counts.estimated), (20, 0, 0));
    assert_eq!(
        (counts.other_configuration, counts.other_policy, counts.cut, counts.unknown_callers),
        (0, 0, 0, 0)
    );
    assert_eq!(same.total.recorded, same.total.replayed);
    assert_eq!(same.total.recorded.denied, 7, "of the second key's ten calls three were let in");

    let deny = r#"fn route(call) { if call.key == "k0" { deny("no"); } exclude("channel:two"); }"#;
    let tried = replay(options(dir.path(), 1, Some(deny))).await.unwrap().report;
    assert_eq!(tried.counts.other_policy, 20);
    assert_eq!(tried.total.replayed.denied, 17);
    let rows: HashMap<_, _> = tried.rows(Dimension::Channel).collect();
    assert!(rows.get("two").is_none_or(|row| row.replayed.calls == 0));

    let weights = replay(options(dir.path(), 0, None)).await.unwrap().report;
    assert_eq!(weights.counts.other_configuration, 20);
    assert!(weights.total.replayed.spend > weights.total.recorded.spend);
    // Nothing was written: it all comes out the same again.
    assert_eq!(replay(options(dir.path(), 1, None)).await.unwrap().report, same);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |options: ReplayOptions| async { replay(options).await.unwrap_err().to_string() };
    assert!(fails(options(dir.path(), 1, None)).await.contains("there is no database"));
    history(dir.path()).await;
    let broken = fails(options(dir.path(), 1, Some("fn route(call) { nonsense( }"))).await;
    assert!(broken.contains("new") && broken.contains("1"), "{broken}");
    let set = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        ReplayOptions { from, to, ..options(dir.path(), 1, None) }
    };
    assert!(fails(set("2026-01-02", "2026-01-01")).await.contains("must be before"));
    assert!(fails(set("yesterday", "now")).await.contains("`yesterday` is no time"));
    assert!(fails(set("2020-01-01", "2020-01-02")).await.contains("no call came"));
}

const UPSTREAM_KEY: &str = "the upstream's";

/// A configuration with modules, whose credentials are all in variables.
fn by_variables() -> ConfigText {
    let text = "version: 1\n\
         channels:\n\
         \x20 - {name: one, provider: openai, url: \"http://127.0.0.1:9/v1\", credential: \"${UP}\", models: [{name: m, price: {input: 1, output: 2}}]}\n\
         \x20 - {name: two, provider: openai, url: \"http://127.0.0.1:9/v1\", keys: [\"${UP}\", \"${UP_TOO}\"], models: [m]}\n\
         routing: {retries: 0}\n\
         keys:\n\
         \x20 - {id: k0, credential: \"${K0}\"}\n\
         \x20 - {id: k1, credential: \"${K1}\"}\n\
         policy_modules:\n\
         \x20 words: {script: 'const WHY = \"not at night\";'}\n\
         policies:\n\
         \x20 - {name: door, script: 'fn admit(call) { tag(\"seen\"); }'}\n";
    ConfigText { path: "test.yaml".to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn stored_policies_are_in_force_and_no_credential_is_needed() {
    use crate::admin::{Actor, NewPolicyVersion};
    let dir = tempfile::tempdir().unwrap();
    let variables = |name: &str| {
        let value = match name {
            "SLUICEGATE_MASTER_SECRET" => "7d".repeat(32),
            "UP" | "UP_TOO" => UPSTREAM_KEY.to_owned(),
            "K0" => KEYS[0].to_owned(),
            "K1" => KEYS[1].to_owned(),
            _ => return None,
        };
        Some(value)
    };
    let gateway = Gateway::open(Options {
        config: Some(by_variables()),
        variables: Arc::new(variables),
        data_dir: Some(dir.path().to_owned()),
        ..Options::default()
    })
    .await
    .unwrap();
    let text = "import \"words\" as words; fn route(call) { deny(words::WHY); }".to_owned();
    let new = NewPolicyVersion { text, key: Some("k0".into()), ..NewPolicyVersion::default() };
    let admin = gateway.admin();
    admin.put_policy(&Actor::operator(), "night", new).await.unwrap();
    admin.activate_policy(&Actor::operator(), "night", None, true).await.unwrap();
    let worker = gateway.worker();
    for n in 0..6 {
        let body = r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#;
        let _ = worker.call(Inbound::new(Format::OpenaiChat, KEYS[n % 2], body)).await;
    }
    gateway.shutdown().await;

    let under = |policies: &[(&str, &str)]| ReplayOptions {
        config: Some(by_variables()),
        policies: policies.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        ..options(dir.path(), 1, None)
    };
    let same = replay(under(&[])).await.unwrap().report;
    let counts = same.counts;
    assert_eq!((counts.calls, counts.changed, counts.unknown_callers), (6, 0, 0));
    assert_eq!((counts.other_policy, counts.other_configuration), (0, 0));
    assert_eq!(same.total.replayed.denied, 3, "the stored script refuses those of its key");
    assert_eq!(same.total.recorded, same.total.replayed);
    // The stored script's place is taken with what it is attached to.
    let tried = replay(under(&[("night", "fn route(call) { deny(\"never\"); }")])).await.unwrap().report;
    assert_eq!((tried.total.replayed.denied, tried.counts.other_policy), (3, 6));
    let door = replay(under(&[("door", "fn admit(call) { deny(\"shut\"); }")])).await.unwrap().report;
    assert_eq!(door.total.replayed.denied, 6);
    let alone = ReplayOptions { only_these_policies: true, ..under(&[("other", "fn route(call) { }")]) };
    assert_eq!(replay(alone).await.unwrap().report.total.replayed.denied, 0);
    let broken = replay(under(&[("night", "fn route(call) { nonsense( }")])).await.unwrap_err().to_string();
    assert!(broken.contains("night"), "{broken}");
}
