//! Searches of the web that models make of every call, whether or not they are asked to: where they have a fee, it is reserved.

/// Begins, or stands in, the names of models that search once for every answer, wherever they are served. More than are charged for it: what a
/// relay calls its models is its own affair.
const ONCE: [&str; 3] = ["-search-preview", "-search-api", "sonar"];
/// And of those that search as often as they like.
const AT_WILL: [&str; 2] = ["deep-research", "deep_research"];

/// The searches that an answer of a model may be charged for though nobody asked for them, at most; `None` where nothing
/// bounds them.
pub fn unasked(model: &str) -> Option<u64> {
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/tools-web-search): `gpt-4o-search-preview`, `gpt-5-search-api`.
    // QUIRK(perplexity, 2026-11, https://docs.perplexity.ai/getting-started/pricing): a fee for each request; deep research for each query.
    let has =
        |part: &&str| model.as_bytes().windows(part.len()).any(|at| at.eq_ignore_ascii_case(part.as_bytes()));
    if AT_WILL.iter().any(has) {
        return None;
    }
    Some(u64::from(ONCE.iter().any(has)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_whether_a_model_searches_unasked() {
        for (model, searches) in [
            ("gpt-5", Some(0)),
            ("gpt-5-research", Some(0)),
            ("claude-sonnet-5", Some(0)),
            ("", Some(0)),
            ("gpt-4o-mini-search-preview-2025-03-11", Some(1)),
            ("openai/gpt-5-search-api", Some(1)),
            ("sonar", Some(1)),
            ("perplexity/Sonar-Pro", Some(1)),
            ("relay/pplx-sonar-reasoning-pro:online", Some(1)),
            ("sonar-deep-research", None),
            ("o4-mini-deep-research-2025-06-26", None),
            ("deep-research-preview-04-2026", None),
        ] {
            assert_eq!(unasked(model), searches, "{model}");
        }
    }
}
