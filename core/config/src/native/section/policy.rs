//! What operators add: scripts and guardrails.

use super::{Kind, Section, key};

pub(crate) static POLICY_MODULE: Section = Section {
    name: "policy_module",
    about: "What scripts import.",
    required: &[],
    keys: &[
        key("script", Kind::Text, "The functions and constants themselves."),
        key("file", Kind::Text, "Their file, seen from this one, instead of `script`."),
    ],
};

pub(crate) static POLICY: Section = Section {
    name: "policy",
    about: "An operator's script.",
    required: &["name"],
    keys: &[
        key("name", Kind::Text, "Its name, for messages."),
        key("script", Kind::Text, "The script itself."),
        key("file", Kind::Text, "The script's file, seen from this one, instead of `script`."),
        key(
            "organization",
            Kind::Text,
            "The organization whose calls it steers, by id or alias. Default: all calls. Only one of `organization`, `group` and `key`.",
        ),
        key("group", Kind::Text, "The group whose calls it steers, by id or alias."),
        key("key", Kind::Text, "The key whose calls it steers, by id or alias."),
        key(
            "on_error",
            Kind::Word(&["fail_open", "fail_closed"]),
            "What happens to a call when it fails. Default fail_open.",
        ),
    ],
};

pub(crate) static GUARDRAIL: Section = Section {
    name: "guardrail",
    about: "Something that looks at the texts of requests and answers: the gateway itself, or a service at a `url`. It looks at the calls of the organizations, groups and keys that it names; at everybody's when it names none.",
    required: &["name"],
    keys: &[
        key("name", Kind::Text, "Its name, for messages, headers and records."),
        key(
            "phase",
            Kind::Word(&["pre", "post", "both"]),
            "Whether it looks at requests, at answers or at both. Default both.",
        ),
        key(
            "default_on",
            Kind::Boolean,
            "Whether it looks at every call that it is attached to; otherwise only at those that ask for it by name, or whose key or group does. Default true.",
        ),
        key("organizations", Kind::Texts, "Organizations whose calls it looks at, by id."),
        key("groups", Kind::Texts, "Groups whose calls it looks at."),
        key("keys", Kind::Texts, "Keys whose calls it looks at, by id."),
        key(
            "models",
            Kind::Texts,
            "Models that a call may end at, for which it looks; may end in `*`. Default all.",
        ),
        key("keywords", Kind::Texts, "Words and phrases to look for, wherever they stand."),
        key(
            "case_sensitive",
            Kind::Boolean,
            "Whether upper and lower case of keywords differ. Default false.",
        ),
        key(
            "patterns",
            Kind::Texts,
            "Regular expressions to look for, in the syntax of Rust's regex crate. Of a match longer than 256 bytes so much is found.",
        ),
        key(
            "detectors",
            Kind::Texts,
            "Personal data and secrets to look for: email, phone, chinese_id, credit_card, iban, ipv4, secret.",
        ),
        key(
            "action",
            Kind::Word(&["deny", "mask", "log"]),
            "What happens to what is found: the call is refused, or the answer ended; it is replaced; it is counted in the record. Default deny.",
        ),
        key(
            "replacement",
            Kind::Text,
            "What stands for what is masked. Default: what it was, such as [EMAIL]; [REDACTED] for keywords and patterns.",
        ),
        key("url", Kind::Text, "The address of a service to ask instead."),
        key("credential", Kind::Secret, "Sent to the service as a bearer credential."),
        key(
            "timeout",
            Kind::Duration,
            "An answer of the service that takes longer counts as none. Default 2s.",
        ),
        key(
            "on_error",
            Kind::Word(&["fail_open", "fail_closed"]),
            "What happens when the service gives no usable answer: the call goes on, or is refused. Default fail_closed.",
        ),
    ],
};
