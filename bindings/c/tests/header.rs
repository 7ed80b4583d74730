//! The committed header is what the source says. `SLUICEGATE_BLESS=1 cargo test -p sluicegate-c --test header` writes it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use sluicegate::ErrorKind;

const INTRODUCTION: &str = "\
/* Sluicegate: one policy engine for LLM API traffic, behind a C ABI. Generated from bindings/c/src/lib.rs; don't edit.
 *
 * Texts are UTF-8 JSON that ends in a zero byte; docs/c.md describes them. Every function may be called from any thread.
 * Functions that return int32_t give 0 or a code of enum sluicegate_code; sluicegate_last_error() then says what is wrong. */";

/// The codes, from the one list that there is.
fn codes() -> String {
    let mut all = String::from(
        "\n/* Codes. They never change; new ones are only added. */\nenum sluicegate_code {\n    SLUICEGATE_OK = 0",
    );
    for kind in ErrorKind::ALL {
        write!(all, ",\n    SLUICEGATE_{} = {}", kind.as_str().to_uppercase(), kind.code()).unwrap();
    }
    all + "\n};"
}

#[test]
fn the_committed_header_is_what_the_source_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config {
        language: Language::C,
        header: Some(INTRODUCTION.to_owned()),
        include_guard: Some("SLUICEGATE_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stdint.h".to_owned()],
        after_includes: Some(codes()),
        cpp_compat: true,
        style: Style::Type,
        documentation_style: DocumentationStyle::C,
        line_length: 100,
        ..Config::default()
    };
    let mut made = Vec::new();
    let bindings = Builder::new().with_config(config).with_src(here.join("src/lib.rs")).generate();
    bindings.unwrap_or_else(|why| panic!("{why}")).write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = here.join("include/sluicegate.h");
    if std::env::var_os("SLUICEGATE_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == made, "the header is out of date; run this test with SLUICEGATE_BLESS=1\n{made}");
}
