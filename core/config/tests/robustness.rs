//! No text makes `load` panic, and what it says is presentable.

use proptest::prelude::*;
use sluicegate_config::{Environment, Source, load};

fn check(text: &str) {
    let variable = |name: &str| (name.len().is_multiple_of(2)).then(|| format!("value of {name}"));
    let file = |path: &str| {
        if path.len().is_multiple_of(2) { Ok(text.to_owned()) } else { Err("no such file".to_owned()) }
    };
    let loaded = load(Source { path: "c.yaml", text }, &Environment::new(&variable).with_files(&file));
    for found in &loaded.diagnostics {
        assert!(found.line >= 1 && found.column >= 1);
        assert!(!found.message.is_empty());
        assert!(!found.to_string().is_empty());
    }
    let mut ids: Vec<_> = loaded.declared.channels.iter().map(|channel| channel.id.clone()).collect();
    ids.sort();
    ids.dedup();
    // Doubled ids are only ever the file's own, which are refused.
    assert!(ids.len() == loaded.declared.channels.len() || loaded.has_errors());
}

/// Words of all dialects, so that random documents get past the first key.
const WORDS: [&str; 64] = [
    "version",
    "1",
    "server",
    "channels",
    "name",
    "provider",
    "openai",
    "anthropic",
    "models",
    "credential",
    "${A}",
    "${AB}",
    "model_list",
    "model_name",
    "litellm_params",
    "model",
    "openai/x",
    "rpm",
    "tpm",
    "weight",
    "order",
    "general_settings",
    "master_key",
    "database_url",
    "postgresql://...",
    "litellm_settings",
    "fallbacks",
    "router_settings",
    "model_group_alias",
    "type",
    "base_url",
    "key",
    "groups",
    "model_mapping",
    "setting",
    "limits",
    "total_tokens",
    "day",
    "2M",
    "spend",
    "100 USD",
    "quotas",
    "time_zone",
    "keys",
    "id",
    "group",
    "prices",
    "price",
    "tiers",
    "include",
    "os.environ/AB",
    "environment_variables",
    "https://x.test/v1",
    "-1",
    "1e999",
    "0.3",
    "null",
    "true",
    "[]",
    "{}",
    "*",
    "&a x",
    "*a",
    "<<",
];

fn node() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(6, 64, 6, |inner| {
        let word = prop::sample::select(WORDS.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((word, inner), 0..6).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,400}") {
        check(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn yaml_looking_text(text in "([ \\-a-c:{}\\[\\],&*!|>'\"%#\\n?~<$]{0,200})") {
        check(&text);
    }

    #[test]
    fn documents_of_known_words(entries in prop::collection::vec((prop::sample::select(WORDS.to_vec()), node()), 0..8)) {
        let text: String = entries.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        check(&text);
    }
}

/// A long list of known words as one seed with pieces cut out.
#[test]
fn cut_anywhere() {
    let seeds = [
        include_str!("../../../tests/data/seeds/litellm-config.yaml"),
        include_str!("../../../tests/data/seeds/newapi-channels.yaml"),
    ];
    for seed in seeds {
        for (at, _) in seed.char_indices() {
            check(&seed[..at]);
            check(&seed[at..]);
        }
    }
}
