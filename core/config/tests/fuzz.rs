//! The targets of `fuzz/` that read files, on mutated ones, for ten seconds; see `core/wire/tests/fuzz.rs`.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests read fixtures and clocks, and fail by panicking"
)]

#[path = "../../../fuzz/src/config.rs"]
#[expect(unreachable_pub, reason = "it is a library's for libFuzzer")]
mod config;
#[path = "../../wire/tests/fuzz/rounds.rs"]
mod rounds;

#[test]
fn no_file_of_strangers_breaks_anything() {
    let mut seeds: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, text) in rounds::texts("examples/config") {
        seeds.push((format!("file {name}"), text.into_bytes()));
    }
    for (name, text) in rounds::texts("tests/data/config") {
        // Each case holds files in its strings.
        let cases: Vec<serde_json::Value> = serde_saphyr::from_str(&text).unwrap_or_default();
        let strings =
            cases.iter().flat_map(|case| case.as_object().into_iter().flat_map(|case| case.values()));
        let files = strings.filter_map(|value| value.as_str()).filter(|text| text.contains('\n'));
        seeds.extend(files.map(|file| (format!("file {name}"), file.as_bytes().to_vec())));
    }
    assert!(seeds.len() > 50, "the fixtures have another form now");
    seeds.retain(|(_, data)| data.len() < 16 * 1024);
    rounds::run(&config::TARGETS, &seeds);
}
