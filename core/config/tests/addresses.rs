//! The address that each operation of each provider of the catalogue becomes, at its own address with everything filled in.
//! A difference is printed as the line that should stand in the file, or no longer does.

#![expect(clippy::panic, reason = "tests fail by panicking")]

use sluicegate_config::{Provider, endpoints_of, providers};
use sluicegate_core::Format;
use sluicegate_core::channel::Endpoint;

const ADDRESSES: &str = include_str!("../../../tests/data/config/addresses.txt");

/// The operations of a provider at its own address, with `{name}` filled in as `name`.
fn served(provider: &Provider) -> Vec<Endpoint> {
    let base = provider.base_url.contains('{').then(|| provider.base_url.replace(['{', '}'], ""));
    endpoints_of(provider, base.as_deref()).unwrap_or_else(|why| panic!("{}: {why}", provider.id))
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
    let is_in = |text: &str, line: &str| text.lines().any(|other| other == line);
    let new = got.lines().filter(|line| !is_in(ADDRESSES, line)).map(|line| format!("+ {line}"));
    let gone = ADDRESSES.lines().filter(|line| !is_in(&got, line)).map(|line| format!("- {line}"));
    let differ: Vec<_> = new.chain(gone).collect();
    assert!(differ.is_empty(), "tests/data/config/addresses.txt:\n{}", differ.join("\n"));
    assert_eq!(got.lines().count(), ADDRESSES.lines().count());
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
