//! The address that each operation of each provider of the catalogue becomes, at its own address with everything filled in.
//! `SLUICEGATE_UPDATE=1 cargo test -p sluicegate-config --test addresses` writes what is: read the difference.

use sluicegate_config::{Provider, endpoints_of, providers};
use sluicegate_core::Format;
use sluicegate_core::channel::Endpoint;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/config/addresses.txt");

/// The operations of a provider at its own address, with `{name}` filled in as `name`.
fn served(provider: &Provider) -> Vec<Endpoint> {
    let base = provider.base_url.contains('{').then(|| provider.base_url.replace(['{', '}'], ""));
    endpoints_of(provider, base.as_deref()).unwrap()
}

fn with_addresses() -> impl Iterator<Item = Provider> {
    providers().filter(|it| it.is_served() && !it.base_url.is_empty())
}

#[test]
fn every_operation_of_the_catalogue_has_its_address() {
    let mut got = String::new();
    for provider in with_addresses() {
        let all = served(&provider);
        for endpoint in &all {
            assert_eq!(endpoint.url.matches("//").count(), 1, "{}: {}", provider.id, endpoint.url);
            got.push_str(&format!("{} {} {}\n", provider.id, endpoint.format.as_str(), endpoint.url));
        }
        // Whoever writes the catalogue's address down gets what it says by itself. At an Ollama that address is of one of its two
        // formats alone.
        if provider.wire != "ollama" && !provider.base_url.contains('{') {
            let said = endpoints_of(&provider, Some(provider.base_url)).unwrap();
            // Of what runs on the operator's own machine only the catalogue's own address is known to speak Anthropic's format.
            let others = |it: &&Endpoint| it.format != Format::AnthropicMessages;
            assert!(said.iter().filter(others).eq(all.iter().filter(others)), "{}: {said:?}", provider.id);
        }
    }
    if std::env::var_os("SLUICEGATE_UPDATE").is_some() {
        std::fs::write(FILE, &got).unwrap();
    }
    let want = std::fs::read_to_string(FILE).unwrap();
    for (want, got) in want.lines().zip(got.lines()) {
        assert_eq!(got, want, "SLUICEGATE_UPDATE=1 writes what is");
    }
    assert_eq!(got.lines().count(), want.lines().count());
}

/// A provider whose page lists a format serves it.
#[test]
fn what_is_listed_is_served() {
    for provider in with_addresses() {
        let all = served(&provider);
        for (format, _) in provider.formats() {
            assert!(all.iter().any(|it| it.format.as_str() == format), "{} lists {format}", provider.id);
        }
    }
}
