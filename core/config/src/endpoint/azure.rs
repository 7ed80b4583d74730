//! Azure OpenAI: OpenAI's formats under addresses of its own.

use sluicegate_core::call::Format;
use sluicegate_core::channel::{Endpoint, MODEL};

use super::{split_query, with_query};

/// Its wire.
pub(crate) const AZURE: &str = "azure-openai";
/// The last dated version that is generally available: what an address by deployments is called with that names none.
// QUIRK(azure, 2026-11, https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference): paths of deployments want one.
const AZURE_VERSION: &str = "2024-10-21";
/// What its operations stand under without a dated version.
const V1: &str = "/openai/v1";
const RESPONSES: &str = "/responses";
const COMPACT: &str = "/responses/compact";

/// What it serves by deployment, and under [`V1`].
// QUIRK(azure, 2026-11, same page): variations of images and the older completions aren't there.
const OPERATIONS: [(Format, &str); 7] = [
    (Format::OpenaiChat, "/chat/completions"),
    (Format::OpenaiEmbeddings, "/embeddings"),
    (Format::OpenaiImages, "/images/generations"),
    (Format::OpenaiImageEdits, "/images/edits"),
    (Format::OpenaiSpeech, "/audio/speech"),
    (Format::OpenaiTranscriptions, "/audio/transcriptions"),
    (Format::OpenaiTranslations, "/audio/translations"),
];

/// Azure's addresses: by deployment where the base names one (`…/openai/deployments/NAME`), or a dated `api-version`: there
/// [`MODEL`] stands for the deployment; else `/openai/v1`, which takes the model from the body.
pub(super) fn endpoints(base: &str) -> Vec<Endpoint> {
    let (path, query) = split_query(base);
    let mut root = path.trim_end_matches('/');
    for operation in OPERATIONS.iter().map(|(_, path)| *path).chain([COMPACT, RESPONSES]) {
        root = root.strip_suffix(operation).unwrap_or(root);
    }
    let version = query
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("api-version=")))
        .filter(|version| !version.is_empty());
    let host = root.split_once("/openai").map_or(root, |(host, _)| host);
    let is_dated = version.is_some_and(|version| version.starts_with("20"));
    let is_one_deployment = root.contains("/deployments/");
    let v1 = format!("{host}{V1}");
    let (root, query) = if is_one_deployment {
        let query = match version {
            Some(_) => query.unwrap_or_default().to_owned(),
            None => format!("api-version={AZURE_VERSION}"),
        };
        (root.to_owned(), Some(query))
    } else if is_dated {
        (format!("{host}/openai/deployments/{MODEL}"), query.map(str::to_owned))
    } else {
        (v1.clone(), query.map(str::to_owned))
    };
    let url = |operation: &str| with_query(format!("{root}{operation}"), query.as_deref());
    let mut endpoints: Vec<_> =
        OPERATIONS.into_iter().map(|(format, path)| Endpoint { format, url: url(path) }).collect();
    // QUIRK(azure, 2026-11, same page): responses have no address by deployment, and older dates don't have them: they take the
    // deployment from the body. Where the address names the only one, the body may call it otherwise.
    if !is_one_deployment {
        let query = query.filter(|_| !is_dated);
        let url = |operation: &str| with_query(format!("{v1}{operation}"), query.as_deref());
        endpoints.insert(2, Endpoint { format: Format::OpenaiResponses, url: url(RESPONSES) });
        endpoints.push(Endpoint { format: Format::OpenaiCompact, url: url(COMPACT) });
    }
    endpoints
}

/// Lets Azure's addresses that name no version be called with this one: with a date by deployments.
pub(crate) fn dated(endpoints: &mut [Endpoint], version: &str) {
    let is_dated = version.starts_with("20");
    for endpoint in endpoints {
        let (path, query) = split_query(&endpoint.url);
        if query.is_some_and(|query| query.contains("api-version=") && !path.contains("/deployments/")) {
            continue;
        }
        if is_dated && endpoint.format.is_of_responses() && path.contains(V1) {
            continue;
        }
        let by_deployment = format!("/openai/deployments/{MODEL}/");
        let path = match is_dated {
            true => path.replace("/openai/v1/", &by_deployment),
            false => path.to_owned(),
        };
        endpoint.url = with_query(path, Some(&format!("api-version={version}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(endpoints: &[Endpoint], format: Format) -> Option<&str> {
        endpoints.iter().find(|it| it.format == format).map(|it| it.url.as_str())
    }

    #[test]
    fn every_operation_has_its_address() {
        const HOST: &str = "https://res.openai.azure.com";
        let dated_by = "?api-version=2025-04-01-preview";
        for (base, root, query, responses) in [
            ("", "/openai/v1", "", Some("/openai/v1/responses")),
            ("/openai/v1/responses", "/openai/v1", "", Some("/openai/v1/responses")),
            (
                "/openai/v1?api-version=preview",
                "/openai/v1",
                "?api-version=preview",
                Some("/openai/v1/responses?api-version=preview"),
            ),
            (dated_by, "/openai/deployments/{model}", dated_by, Some("/openai/v1/responses")),
            ("/openai/deployments/gpt", "/openai/deployments/gpt", "?api-version=2024-10-21", None),
        ] {
            let got = endpoints(&format!("{HOST}{base}"));
            for (format, path) in OPERATIONS {
                let want = format!("{HOST}{root}{path}{query}");
                assert_eq!(url_of(&got, format), Some(want.as_str()), "{base}");
            }
            let want = responses.map(|path| format!("{HOST}{path}"));
            assert_eq!(url_of(&got, Format::OpenaiResponses), want.as_deref(), "{base}");
        }
    }

    #[test]
    fn a_date_said_beside_the_address_is_for_deployments_alone() {
        let mut got = endpoints("https://res.openai.azure.com");
        dated(&mut got, "2025-04-01-preview");
        assert_eq!(
            url_of(&got, Format::OpenaiResponses),
            Some("https://res.openai.azure.com/openai/v1/responses")
        );
        assert_eq!(
            url_of(&got, Format::OpenaiSpeech),
            Some(
                "https://res.openai.azure.com/openai/deployments/{model}/audio/speech?api-version=2025-04-01-preview"
            )
        );
        let mut got = endpoints("https://res.openai.azure.com");
        dated(&mut got, "preview");
        assert_eq!(
            url_of(&got, Format::OpenaiResponses),
            Some("https://res.openai.azure.com/openai/v1/responses?api-version=preview")
        );
    }
}
