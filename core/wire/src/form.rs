//! `multipart/form-data`, read as it comes: fields are kept, files pass in pieces. Read by hand since what goes on must be the
//! very bytes that came.

use bytes::{Buf as _, Bytes, BytesMut};
use sluicegate_core::Format;

use crate::error::{Result, WireError};
use crate::json::{escape_into, object};
use crate::scan::Field;

/// A form's fields together are no longer, in bytes; files aren't counted.
pub(crate) const FIELDS_BYTES_MAX: usize = 1024 * 1024;
/// A part's headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Parts of a form.
// BOUND: names are compared with each other.
const PARTS_MAX: usize = 128;
/// RFC 2046 §5.1.1.
const BOUNDARY_MAX: usize = 70;

/// The boundary that a `content-type` names; `None` when it is no form.
pub fn form_boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameter(parameters, "boundary")?;
    // What RFC 2046 lets a boundary be.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=BOUNDARY_MAX).contains(&value.len()) && !value.ends_with(' ') && value.bytes().all(plain);
    fits.then_some(value)
}

/// A parameter of a header's value, quoted or not.
fn parameter(all: &str, wanted: &str) -> Option<String> {
    parameters(all).into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
}

/// The parameters of a header's value, with their names in lower case.
fn parameters(all: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = all;
    // BOUND: each turn takes something of the rest.
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let Some((name, after)) = rest.split_once('=') else { return found };
        let name = name.trim().to_ascii_lowercase();
        let value;
        (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut text = String::new();
                let mut chars = quoted.char_indices();
                let mut end = quoted.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        // Only a quote is escaped: names of files on Windows have backslashes.
                        '\\' if quoted.get(at + 1..).is_some_and(|rest| rest.starts_with('"')) => {
                            text.extend(chars.next().map(|(_, c)| c));
                        }
                        c => text.push(c),
                    }
                }
                (text, quoted.get(end..).unwrap_or_default())
            }
            None => {
                let (text, rest) = after.split_once(';').unwrap_or((after, ""));
                (text.trim().to_owned(), rest)
            }
        };
        found.push((name, value));
    }
}

/// A field of a form, which is no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// Its name, without the `[]` of lists.
    pub name: String,
    /// Its headers as they came.
    head: Bytes,
    /// Its value as it came.
    value: Bytes,
}

/// What was read of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormEvent {
    /// A field, whole.
    Field(FormField),
    /// A file begins: its headers as they came.
    File(Bytes),
    /// A piece of it.
    Piece(Bytes),
    /// It is over.
    FileEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary: another part, or the end.
    Boundary,
    Head,
    Value,
    File,
    /// Behind the last boundary.
    End,
}

/// Reads a form.
#[derive(Clone, Debug)]
pub struct FormReader {
    /// `\r\n--` and the boundary.
    delimiter: Vec<u8>,
    /// So much of what is held has no boundary.
    searched: usize,
    state: State,
    held: BytesMut,
    head: Bytes,
    name: String,
    parts: usize,
    field_bytes: usize,
}

impl FormReader {
    /// For a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            searched: 0,
            state: State::Preamble,
            // The first boundary has no line before it.
            held: BytesMut::from(&b"\r\n"[..]),
            head: Bytes::new(),
            name: String::new(),
            parts: 0,
            field_bytes: 0,
        }
    }

    /// Takes what has come.
    ///
    /// # Errors
    /// `InvalidRequest` when it is no form, or one beyond the bounds.
    pub fn push(&mut self, chunk: &[u8], seen: &mut impl FnMut(FormEvent)) -> Result<()> {
        self.held.extend_from_slice(chunk);
        // BOUND: each turn takes something of what is held, or waits for more.
        while self.step(seen)? {}
        Ok(())
    }

    /// Whether the form is over.
    pub fn ended(&self) -> bool {
        self.state == State::End
    }

    /// Within a file: what is held back of it, since it may be the beginning of a boundary.
    pub fn held_of_file(&self) -> Option<&[u8]> {
        (self.state == State::File).then_some(&*self.held)
    }

    fn step(&mut self, seen: &mut impl FnMut(FormEvent)) -> Result<bool> {
        match self.state {
            State::Preamble => {
                let Some(at) = self.find()? else {
                    if self.held.len() > HEAD_BYTES_MAX {
                        return Err(malformed("its boundary isn't in it"));
                    }
                    return Ok(false);
                };
                self.held.advance(at + self.delimiter.len());
                self.state = State::Boundary;
            }
            State::Boundary => {
                if self.held.starts_with(b"--") {
                    self.state = State::End;
                    return Ok(true);
                }
                let Some(at) = memchr::memmem::find(&self.held, b"\r\n") else {
                    if self.held.len() > BOUNDARY_MAX {
                        return Err(malformed("a boundary isn't followed by a line break"));
                    }
                    return Ok(false);
                };
                if !self.held.iter().take(at).all(|byte| matches!(byte, b' ' | b'\t')) {
                    return Err(malformed("a boundary isn't followed by a line break"));
                }
                // The line break stays: a part without headers begins with another.
                self.held.advance(at);
                self.state = State::Head;
            }
            State::Head => return self.read_head(seen),
            State::Value => {
                let Some(at) = self.find()? else {
                    if self.field_bytes + self.held.len() > FIELDS_BYTES_MAX {
                        return Err(self.too_long());
                    }
                    return Ok(false);
                };
                self.field_bytes += at;
                if self.field_bytes > FIELDS_BYTES_MAX {
                    return Err(self.too_long());
                }
                let value = self.held.split_to(at).freeze();
                self.held.advance(self.delimiter.len());
                self.state = State::Boundary;
                let (name, head) = (std::mem::take(&mut self.name), std::mem::take(&mut self.head));
                seen(FormEvent::Field(FormField { name, head, value }));
            }
            State::File => {
                if let Some(at) = self.find()? {
                    if at > 0 {
                        seen(FormEvent::Piece(self.held.split_to(at).freeze()));
                    }
                    self.held.advance(self.delimiter.len());
                    self.state = State::Boundary;
                    seen(FormEvent::FileEnd);
                    return Ok(true);
                }
                let sure = self.held.len().saturating_sub(self.delimiter.len() - 1);
                if sure > 0 {
                    seen(FormEvent::Piece(self.held.split_to(sure).freeze()));
                    self.searched = 0;
                }
                return Ok(false);
            }
            State::End => {
                // What stands behind the end means nothing.
                self.held.clear();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_head(&mut self, seen: &mut impl FnMut(FormEvent)) -> Result<bool> {
        let Some(at) = memchr::memmem::find(&self.held, b"\r\n\r\n") else {
            if self.held.len() > HEAD_BYTES_MAX {
                return Err(malformed("the headers of a part are too long"));
            }
            return Ok(false);
        };
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(WireError::invalid(format!("the form has more than {PARTS_MAX} parts: send fewer")));
        }
        let mut head = self.held.split_to(at + 4).freeze();
        head.advance(2);
        let text = std::str::from_utf8(&head).map_err(|_| malformed("the headers of a part aren't UTF-8"))?;
        let given = disposition(text)?;
        let mut names = given.iter().filter(|(name, _)| name == "name").map(|(_, value)| value);
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(malformed("a part has no name, or several"));
        };
        // What some readers take for something else than others.
        if given.iter().any(|(it, _)| it == "name*")
            || name.contains(['"', '\\'])
            || name.chars().any(char::is_control)
        {
            return Err(malformed("a part's name isn't plain"));
        }
        let plain = name.strip_suffix("[]").unwrap_or(name);
        if given.iter().any(|(it, _)| it == "filename" || it == "filename*") {
            if FORMS.iter().any(|format| form_governs(*format, plain)) {
                return Err(WireError::invalid(format!(
                    "`{plain}` is no file: send it without a file's name"
                ))
                .at(plain));
            }
            self.state = State::File;
            seen(FormEvent::File(head));
        } else {
            // Ours, so that nobody reads another name in it.
            self.head = Bytes::from(format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n"));
            self.name = plain.to_owned();
            self.state = State::Value;
        }
        Ok(true)
    }

    /// Where the next boundary is. One that doesn't begin a line is none to us, and would be one to other readers: what they
    /// see must be what was looked at.
    fn find(&mut self) -> Result<Option<usize>> {
        let bare = self.delimiter.get(2..).unwrap_or_default();
        // BOUND: what was searched isn't searched again.
        let from = self.searched.saturating_sub(bare.len()).min(self.held.len());
        let found = memchr::memmem::find(self.held.get(from..).unwrap_or_default(), bare).map(|at| at + from);
        let Some(at) = found else {
            self.searched = self.held.len();
            return Ok(None);
        };
        self.searched = 0;
        match at.checked_sub(2) {
            Some(line) if self.held.get(line..at) == Some(b"\r\n") => Ok(Some(line)),
            _ => Err(malformed("its boundary stands within a part: choose another")),
        }
    }

    fn too_long(&self) -> WireError {
        let name = self.name.as_str();
        WireError::invalid(format!(
            "the form's fields are longer than {FIELDS_BYTES_MAX} bytes with `{name}`: send less, or send it as a file"
        ))
        .at(name)
    }
}

/// The operations that take forms.
const FORMS: [Format; 4] = [
    Format::OpenaiImageEdits,
    Format::OpenaiImageVariations,
    Format::OpenaiTranscriptions,
    Format::OpenaiTranslations,
];

/// What a part's headers say of its content: the parameters of the one `content-disposition`.
fn disposition(head: &str) -> Result<Vec<(String, String)>> {
    let mut found = None;
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Err(malformed("a part has a header without a name"));
        };
        if name.trim() != name || line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(malformed("a part's header goes over several lines"));
        }
        if name.eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some() {
            return Err(malformed("a part has two dispositions"));
        }
    }
    let value = found.unwrap_or_default();
    if value.contains("\\\\\"") {
        return Err(malformed("a part's name isn't plain"));
    }
    Ok(value.split_once(';').map(|(_, rest)| parameters(rest)).unwrap_or_default())
}

fn malformed(what: &str) -> WireError {
    WireError::invalid(format!("the body isn't valid multipart/form-data: {what}"))
}

/// The fields as the JSON object that is scanned in the form's place. Of several fields of one name becomes a list; what is a
/// number or a truth to us is written as one.
///
/// # Errors
/// `InvalidRequest` for a value that isn't UTF-8.
pub fn form_json(fields: &[FormField]) -> Result<Bytes> {
    let mut done: Vec<&str> = Vec::new();
    let mut wrong = None;
    let json = object(|o| {
        for field in fields.iter().filter(|field| field.name != "file") {
            if done.contains(&&*field.name) {
                continue;
            }
            done.push(&field.name);
            let mut values = fields.iter().filter(|other| other.name == field.name).map(|other| {
                std::str::from_utf8(&other.value).unwrap_or_else(|_| {
                    wrong = Some(field.name.clone());
                    ""
                })
            });
            match (values.next(), values.next()) {
                (Some(only), None) => o.raw(&field.name, &value_json(&field.name, only)),
                (first, second) => o.array(&field.name, |list| {
                    first.into_iter().chain(second).chain(values).for_each(|value| list.str(value));
                }),
            }
        }
    });
    match wrong {
        Some(name) => Err(WireError::invalid(format!("`{name}` isn't UTF-8")).at(name)),
        None => Ok(Bytes::from(json)),
    }
}

fn value_json(name: &str, value: &str) -> String {
    let is_plain = match name {
        "n" | "partial_images" => value.parse::<u64>().is_ok() && !value.starts_with('+'),
        "stream" => matches!(value, "true" | "false"),
        _ => false,
    };
    if is_plain {
        return value.to_owned();
    }
    let mut quoted = String::new();
    escape_into(&mut quoted, value);
    quoted
}

/// The fields as they go on: as they came where `sent`, the edited object, has what `json` had, with the new value where it differs.
///
/// # Errors
/// `InvalidRequest` when a new value holds the form's boundary.
pub fn form_fields(boundary: &str, fields: &[FormField], json: &[u8], sent: &[u8]) -> Result<Bytes> {
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
    let (Ok(before), Ok(after)) = (read(json), read(sent)) else {
        return Err(WireError::invalid("the form's fields can't be edited"));
    };
    let mut out = BytesMut::new();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut written: Vec<&str> = Vec::new();
    for field in fields {
        let (was, is) = (before.get(&field.name), after.get(&field.name));
        let Some(is) = is.filter(|_| was.is_some()).or_else(|| is.filter(|_| field.name == "file")) else {
            continue;
        };
        if was == Some(is) {
            put(&mut out, boundary, &field.head, &field.value)?;
            continue;
        }
        if written.contains(&&*field.name) {
            continue;
        }
        written.push(&field.name);
        match is {
            serde_json::Value::Array(all) => {
                for value in all {
                    put(&mut out, boundary, &field.head, &checked(boundary, &field.name, text(value))?)?;
                }
            }
            one => put(&mut out, boundary, &field.head, &checked(boundary, &field.name, text(one))?)?,
        }
    }
    for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        if name.contains(['"', '\r', '\n']) {
            return Err(WireError::invalid(format!("`{name}` is no name of a form's field")));
        }
        let head = format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        put(&mut out, boundary, head.as_bytes(), &checked(boundary, name, text(value))?)?;
    }
    Ok(out.freeze())
}

fn checked(boundary: &str, name: &str, value: String) -> Result<Bytes> {
    if value.contains(boundary) {
        return Err(
            WireError::invalid(format!("the form's boundary is part of `{name}`: choose another")).at(name)
        );
    }
    Ok(Bytes::from(value))
}

fn put(out: &mut BytesMut, boundary: &str, head: &[u8], value: &[u8]) -> Result<()> {
    for part in [b"--".as_slice(), boundary.as_bytes(), b"\r\n", head, value, b"\r\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Whether a field of that name decides something about a call: it must come before what is sent on unseen.
pub fn form_governs(format: Format, name: &str) -> bool {
    crate::scan::field_of(format, name) != Field::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XX  \r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a\\\"b.wav\"\r\nContent-Type: audio/wav\r\n\r\n\r\n--X\r\nY\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"include[]\"\r\n\r\na\r\n--XX\r\nContent-Disposition: form-data; name=\"include[]\"\r\n\r\nb\r\n\
        --XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n--XX--\r\nepilogue";

    fn read(form: &str, pieces: usize) -> Result<(Vec<FormField>, Vec<u8>, bool)> {
        let mut reader = FormReader::new("XX");
        let (mut fields, mut file) = (Vec::new(), Vec::new());
        for piece in form.as_bytes().chunks(pieces) {
            reader.push(piece, &mut |event| match event {
                FormEvent::Field(field) => fields.push(field),
                FormEvent::Piece(piece) => file.extend_from_slice(&piece),
                FormEvent::File(_) => file.push(b'<'),
                FormEvent::FileEnd => file.push(b'>'),
            })?;
        }
        Ok((fields, file, reader.ended()))
    }

    #[test]
    fn however_it_is_cut_the_form_is_the_same() {
        let whole = read(FORM, usize::MAX).unwrap();
        assert_eq!(whole.1, b"<\r\n--X\r\nY>");
        assert!(whole.2);
        assert_eq!(form_json(&whole.0).unwrap(), r#"{"model":"whisper-1","include":["a","b"],"n":2}"#);
        for pieces in 1..40 {
            assert_eq!(read(FORM, pieces).unwrap(), whole, "{pieces}");
        }
    }

    #[test]
    fn fields_go_on_as_they_came_unless_they_were_edited() {
        let (fields, ..) = read(FORM, usize::MAX).unwrap();
        let json = form_json(&fields).unwrap();
        let same = form_fields("XX", &fields, &json, &json).unwrap();
        assert!(same.starts_with(
            b"--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XX\r\n"
        ));
        assert_eq!(memchr::memmem::find_iter(&same, b"include[]").count(), 2);
        let edited = br#"{"model":"w2","include":["c"],"seed":7}"#;
        let sent = form_fields("XX", &fields, &json, edited).unwrap();
        let (again, ..) = read(&format!("{}--XX--", std::str::from_utf8(&sent).unwrap()), 7).unwrap();
        assert_eq!(form_json(&again).unwrap(), r#"{"model":"w2","include":"c","seed":"7"}"#);
        assert!(form_fields("XX", &fields, &json, br#"{"model":"XX"}"#).is_err());
    }

    #[test]
    fn what_is_no_form_is_refused_and_what_is_too_long() {
        let long = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}",
            "x".repeat(FIELDS_BYTES_MAX + 1)
        );
        let many = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n".repeat(PARTS_MAX + 1);
        let nameless = "--XX\r\nContent-Type: text/plain\r\n\r\nb\r\n--XX--";
        let preamble = "x".repeat(HEAD_BYTES_MAX + 1);
        let part = |head: &str, body: &str| format!("--XX\r\n{head}\r\n\r\n{body}\r\n--XX--");
        const NAMED: &str = "Content-Disposition: form-data; name=\"n\"";
        let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a\"";
        // What another reader would take for something else than we do.
        let sly = [
            part(file, "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n10"),
            part(file, "a\n--XX\r\nb"),
            part(&format!("{NAMED}; filename=\"\""), "10"),
            part(&format!("{NAMED}\r\nContent-Disposition: form-data; name=\"model\""), "10"),
            part(&format!("{NAMED}; name=\"model\""), "10"),
            part(&format!("{NAMED}; name*=utf-8''model"), "10"),
            part(&format!("{NAMED};\r\n name=\"model\""), "10"),
            part(
                "Content-Disposition: form-data; filename=\"a\\\\\"; name=\"model\"; x=\"\"; name=\"file\"",
                "10",
            ),
        ];
        for wrong in &sly {
            assert!(read(wrong, usize::MAX).is_err(), "{wrong}");
            assert!(read(wrong, 1).is_err(), "{wrong}");
        }
        for wrong in [&*long, &many, nameless, &preamble, "--XXY\r\n"] {
            assert!(read(wrong, 1_000).is_err(), "{}", &wrong[..wrong.len().min(60)]);
        }
        assert!(!read("--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb", 5).unwrap().2);
        let (fields, ..) =
            read("--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--XX--", 5).unwrap();
        assert_eq!(form_json(&fields).unwrap(), r#"{"a":""}"#);
    }

    #[test]
    fn the_boundary_is_found() {
        for (kind, boundary) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data; boundary=a\\b", None),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("application/json; boundary=abc", None),
        ] {
            assert_eq!(form_boundary(kind).as_deref(), boundary, "{kind}");
        }
    }

    #[test]
    fn fields_that_decide_something_are_known() {
        let format = Format::OpenaiTranscriptions;
        assert!(
            form_governs(format, "model") && form_governs(format, "stream") && form_governs(format, "tags")
        );
        assert!(!form_governs(format, "language") && !form_governs(format, "prompt"));
        assert!(
            form_governs(Format::OpenaiImageEdits, "n") && form_governs(Format::OpenaiImageEdits, "prompt")
        );
    }
}
