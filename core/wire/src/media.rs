//! Inline media: data URLs in and out, and what the bytes really are.

use std::borrow::Cow;

use crate::error::{Result, WireError};
use crate::ir::Source;
use crate::loss::Losses;

/// The media type and base64 data of a `data:` URL. Parameters such as a charset are ignored.
fn data_url(url: &str) -> Option<(String, &str)> {
    let rest =
        url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and_then(|_| url.get(5..))?;
    let (head, data) = rest.split_once(',')?;
    let mut words = head.split(';');
    let media_type = words.next().unwrap_or_default().trim().to_ascii_lowercase();
    words.any(|word| word.trim().eq_ignore_ascii_case("base64")).then_some((media_type, data))
}

/// What has a source in an address: itself, or a `data:` URL.
pub(crate) fn data_address(source: &Source) -> Cow<'_, str> {
    match source {
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}").into(),
        Source::Url(address) | Source::Stored(address) | Source::Text(address) => address.into(),
    }
}

/// What an image's first bytes say it is.
pub(crate) fn sniff(data: &str) -> Option<&'static str> {
    // The signatures, in base64.
    [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")]
        .into_iter()
        .find(|(mark, _)| data.starts_with(mark))
        .map(|(_, media_type)| media_type)
}

/// The source of an image given by a URL. Bytes are believed before the label.
pub(crate) fn image_source(url: &str, path: &str, losses: &mut Losses) -> Result<Source> {
    if let Some((label, data)) = data_url(url) {
        let media_type = match sniff(data) {
            Some(found) => {
                if found != label && !(found == "image/jpeg" && label == "image/jpg") {
                    losses.approximated(
                        format!("{path}.image_url"),
                        "the label of the image doesn't match its bytes",
                    );
                }
                found.to_owned()
            }
            None => label,
        };
        return Ok(Source::Base64 { media_type, data: data.to_owned() });
    }
    let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
    if lower.starts_with("https://") || lower.starts_with("http://") {
        return Ok(Source::Url(url.to_owned()));
    }
    let why = format!("the image of `{path}` must be an https or a base64 data: URL");
    Err(elsewhere(url, why).at(path))
}

/// What is at an address of another kind may be read by another channel, whose provider knows it.
fn elsewhere(url: &str, why: String) -> WireError {
    if url.contains("://") { WireError::unsupported(why) } else { WireError::invalid(why) }
}

/// A kind of content that only a channel of the caller's own format may take.
pub(crate) fn no_such_part(kind: &str, path: &str) -> WireError {
    let kind = crate::names::cut(kind, 64);
    WireError::unsupported(format!("`{path}.type` is `{kind}`: that can't be translated")).at(path)
}

/// Whether a file can be read as it is.
pub(crate) fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

/// The text of a file in base64, if it is one.
pub(crate) fn text_of(data: &str) -> Option<String> {
    crate::base64::decode(data).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// The source of a file given as a URL, or as bare base64 of a PDF.
pub(crate) fn document_source(file_data: &str, path: &str) -> Result<Source> {
    let (media_type, data) = match data_url(file_data) {
        Some((media_type, data)) => (media_type, data),
        None if file_data.starts_with("JVBERi") => ("application/pdf".to_owned(), file_data),
        None if ["https://", "http://"].iter().any(|scheme| file_data.starts_with(scheme)) => {
            return Ok(Source::Url(file_data.to_owned()));
        }
        None => {
            let why = format!("the file of `{path}` must be an https or a base64 data: URL");
            return Err(elsewhere(file_data, why).at(path));
        }
    };
    if is_text(&media_type) {
        let text = text_of(data).ok_or_else(|| {
            WireError::invalid(format!("the file of `{path}` isn't base64 of UTF-8 text")).at(path)
        })?;
        return Ok(Source::Text(text));
    }
    if media_type != "application/pdf" {
        return Err(WireError::unsupported(format!(
            "the file of `{path}` is `{media_type}`: only PDF and text can be translated"
        ))
        .at(path));
    }
    Ok(Source::Base64 { media_type, data: data.to_owned() })
}

#[cfg(test)]
mod tests {
    use sluicegate_core::ErrorKind;

    use super::*;

    #[test]
    fn data_urls_with_parameters_and_wrong_labels() {
        let mut losses = Losses::default();
        let png = "data:image/jpeg;charset=utf-8;BASE64,iVBORw0KGgoAAAA";
        let source = image_source(png, "p", &mut losses).unwrap();
        assert_eq!(source, Source::Base64 { media_type: "image/png".into(), data: "iVBORw0KGgoAAAA".into() });
        assert_eq!(losses.count(), 1);
        assert_eq!(
            image_source("https://x/y.png", "p", &mut losses),
            Ok(Source::Url("https://x/y.png".into()))
        );
        for bad in ["", "file:///etc/passwd", "data:image/png,raw", "data:"] {
            assert!(image_source(bad, "p", &mut losses).is_err(), "{bad}");
        }
        let text = |text: &str| Ok(Source::Text(text.to_owned()));
        assert_eq!(document_source("data:text/csv;charset=utf-8;base64,YSxi", "p"), text("a,b"));
        assert_eq!(document_source("data:application/json;base64,e30=", "p"), text("{}"));
        for (file, kind) in [
            ("data:text/plain;base64,/w==", ErrorKind::InvalidRequest),
            ("data:application/zip;base64,YQ==", ErrorKind::NotSupported),
        ] {
            assert_eq!(document_source(file, "p").map_err(|e| e.kind()), Err(kind), "{file}");
        }
        assert!(document_source("JVBERi0xLjQ=", "p").is_ok());
        assert_eq!(document_source("https://x/y.pdf", "p"), Ok(Source::Url("https://x/y.pdf".into())));
        for (url, kind) in
            [("oss://b/k.png", ErrorKind::NotSupported), ("nonsense", ErrorKind::InvalidRequest)]
        {
            assert_eq!(image_source(url, "p", &mut losses).map_err(|e| e.kind()), Err(kind), "{url}");
            assert_eq!(document_source(url, "p").map_err(|e| e.kind()), Err(kind), "{url}");
        }
    }
}
