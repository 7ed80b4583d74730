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
