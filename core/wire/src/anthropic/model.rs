//! What Claude models take, by their names.

/// Models that decide themselves how much to think, and refuse budgets and sampling parameters.
// QUIRK(anthropic, 2026-05): Opus from 4.7 on, and the fifth generation.
pub(super) fn is_adaptive(model: &str) -> bool {
    let model = model.replace('.', "-");
    ["opus-4-7", "opus-4-8", "opus-4-9", "opus-5", "sonnet-5", "haiku-5", "fable", "mythos"]
        .iter()
        .any(|family| model.contains(family))
}

/// Whether nothing keeps a model from thinking.
// QUIRK(anthropic, 2026-05): the models above Opus.
pub(super) fn always_thinks(model: &str) -> bool {
    ["fable", "mythos"].iter().any(|family| model.contains(family))
}

/// Whether a model goes on with an answer that the caller has begun.
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/about-claude/models/migration-guide): from 4.6 on a last turn of the
// assistant's is refused.
pub(super) fn takes_prefill(model: &str) -> bool {
    generation(model).is_none_or(|generation| generation < (4, 6))
}

/// Whether a model takes a temperature together with `top_p`.
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/about-claude/models/migration-guide): from Opus 4.1 and 4.5 on only
// one of them.
pub(super) fn takes_both(model: &str) -> bool {
    generation(model).is_none_or(|generation| generation < (4, 1))
}

/// Whether a model can be held to schemas: for its answer (`output_config.format`), and for what tools take (`strict`).
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs): the page lists
// 4.5 and later; 400 before.
pub(super) fn takes_schemas(model: &str) -> bool {
    generation(model).is_none_or(|generation| generation >= (4, 5))
}

/// Whether a model can think.
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking): from 3.7 on; 400 before.
pub(super) fn thinks(model: &str) -> bool {
    generation(model).is_none_or(|generation| generation >= (3, 7))
}

/// The generation of a model: `(4, 6)` for `claude-opus-4-6-20260205` and `anthropic/claude-opus-4.6`; `None` for one that isn't
/// Claude, or doesn't say.
fn generation(model: &str) -> Option<(u32, u32)> {
    let model = model.to_ascii_lowercase();
    let name = model.get(model.find("claude")?..)?;
    let mut found: Vec<u32> = Vec::new();
    for part in name.split(['-', '.', '_', '@', ':', '/']) {
        match part.parse::<u32>().ok().filter(|_| part.len() <= 2) {
            Some(n) => found.push(n),
            // What follows is a date, or a version of the host's.
            None if !found.is_empty() && !matches!(part, "opus" | "sonnet" | "haiku" | "instant") => break,
            None => {}
        }
    }
    match found.as_slice() {
        // These count anew.
        _ if always_thinks(name) => Some((5, 0)),
        [] => None,
        [major] => Some((*major, 0)),
        [major, minor, ..] => Some((*major, *minor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_read_from_names() {
        for (model, want) in [
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("claude-opus-4-1-20250805", Some((4, 1))),
            ("claude-sonnet-4-5", Some((4, 5))),
            ("anthropic/claude-sonnet-4.6", Some((4, 6))),
            ("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("claude-opus-4-7@20260401", Some((4, 7))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-mythos-preview", Some((5, 0))),
            ("claude-fable-1-20260701", Some((5, 0))),
            ("claude-sonnet-latest", None),
            ("kimi-k2.6", None),
        ] {
            assert_eq!(generation(model), want, "{model}");
        }
    }

    #[test]
    fn what_models_take() {
        for (model, schemas, thinking) in [
            ("claude-3-haiku-20240307", false, false),
            ("claude-3-5-sonnet-20241022", false, false),
            ("claude-3-7-sonnet-20250219", false, true),
            ("claude-sonnet-4-20250514", false, true),
            ("claude-opus-4-1-20250805", false, true),
            ("claude-haiku-4-5", true, true),
            ("claude-fable-1-20260701", true, true),
            ("kimi-k2.6", true, true),
        ] {
            assert_eq!((takes_schemas(model), thinks(model)), (schemas, thinking), "{model}");
        }
    }
}
