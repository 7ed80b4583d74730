//! Bodies that are too large to be held: forms with files, and whatever is passed through. A form's fields are read until they
//! say what is asked; its files go on as they come.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use sluicegate_core::{Error, ErrorKind, Format, Result};
use sluicegate_wire::{
    FormEvent, FormField, FormReader, WireError, form_boundary, form_fields, form_governs, form_json,
};
use tokio::sync::mpsc::Receiver;

use crate::upstream::Rest;

/// A form up to this size, in bytes, is held: it can be sent again. Of a longer one there is one attempt.
// BOUND: memory of each call under way.
pub(crate) const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A form whose `model` comes late is held this long, in bytes; then it is refused.
pub(crate) const MODEL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A form that hasn't said by then what it asks never will.
const READ_TIME: Duration = Duration::from_secs(600);
/// No form has more files: sixteen images to edit, and a mask.
const FILES_MAX: u32 = 17;

/// A body that is still coming.
#[derive(Debug)]
pub struct Upload {
    /// Its `content-type`.
    pub content_type: String,
    /// Its length in bytes, where that is known.
    pub length: Option<u64>,
    /// No more bytes than this will come: what its sender bounds it by.
    pub most: u64,
    /// Its pieces. An error stands for a body that broke off.
    pub pieces: Receiver<Result<Bytes>>,
}

/// A form whose fields are known.
pub(crate) struct Form {
    boundary: String,
    content_type: String,
    fields: Vec<FormField>,
    json: Bytes,
    /// The files as they came, with their boundaries; and, when the form is over, its end.
    files: Bytes,
    file_count: u32,
    most: u64,
    rest: Option<Rest>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form")
            .field("fields", &self.fields.len())
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

/// What is written of a form that is being read.
struct Written {
    boundary: String,
    fields: Vec<FormField>,
    files: BytesMut,
    file_count: u32,
    has_model: bool,
}

impl Written {
    fn see(&mut self, event: FormEvent) {
        match event {
            FormEvent::Field(field) => {
                self.has_model |= field.name == "model";
                self.fields.push(field);
            }
            FormEvent::File(head) => {
                self.file_count += 1;
                self.files.put_slice(b"--");
                self.files.put_slice(self.boundary.as_bytes());
                self.files.put_slice(b"\r\n");
                self.files.put_slice(&head);
            }
            FormEvent::Piece(piece) => self.files.put_slice(&piece),
            FormEvent::FileEnd => self.files.put_slice(b"\r\n"),
        }
    }
}

fn invalid(error: &WireError) -> Error {
    let new = Error::new(error.kind(), error.message().to_owned());
    match error.param() {
        Some(param) => new.with("param", param),
        None => new,
    }
}

impl Form {
    /// Reads a form until it is over, or until what it asks is known and the rest is a file. `strict` lets no field come after that.
    ///
    /// # Errors
    /// `InvalidRequest` when it is no form, breaks off, or names its model too late.
    pub(crate) async fn read(format: Format, upload: Upload, strict: bool) -> Result<Self> {
        tokio::time::timeout(READ_TIME, Self::read_on(format, upload, strict)).await.unwrap_or_else(|_| {
            let message = "the form broke off: what says what is asked didn't come in time; send it again";
            Err(Error::new(ErrorKind::InvalidRequest, message))
        })
    }

    async fn read_on(format: Format, mut upload: Upload, strict: bool) -> Result<Self> {
        let Some(boundary) = form_boundary(&upload.content_type) else {
            let message = "this takes a form: send `content-type: multipart/form-data` with its boundary";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        };
        let mut reader = FormReader::new(&boundary);
        let mut written = Written {
            boundary: boundary.clone(),
            fields: Vec::new(),
            files: BytesMut::new(),
            file_count: 0,
            has_model: false,
        };
        let mut came = 0u64;
        // BOUND: what is held is.
        let rest = loop {
            if reader.ended() {
                break None;
            }
            let bound = if written.has_model { KEPT_BYTES_MAX } else { MODEL_BYTES_MAX };
            if written.files.len() > bound
                && let Some(held) = reader.held_of_file()
            {
                if !written.has_model {
                    let message = format!(
                        "`model` didn't come within the first {} MiB of the form: put it before the file",
                        MODEL_BYTES_MAX >> 20
                    );
                    return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "model"));
                }
                written.files.put_slice(held);
                let left = upload.length.map(|length| length.saturating_sub(came));
                break Some(Rest::new(upload.pieces, left, look(format, reader, strict, written.file_count)));
            }
            let Some(piece) = upload.pieces.recv().await else {
                let message = "the form broke off: its last boundary is missing; send it whole";
                return Err(Error::new(ErrorKind::InvalidRequest, message));
            };
            let piece = piece?;
            came += piece.len() as u64;
            reader.push(&piece, &mut |event| written.see(event)).map_err(|error| invalid(&error))?;
        };
        let Written { fields, mut files, file_count, .. } = written;
        let most = match &rest {
            Some(_) => upload.length.unwrap_or(upload.most),
            None => {
                let size = files.len() as u64;
                files.put_slice(format!("--{boundary}--\r\n").as_bytes());
                size
            }
        };
        let json = form_json(&fields).map_err(|error| invalid(&error))?;
        Ok(Self {
            boundary: boundary.clone(),
            // Ours: what else the caller's says is read by others in their own ways.
            content_type: format!("multipart/form-data; boundary=\"{boundary}\""),
            fields,
            json,
            files: files.freeze(),
            file_count,
            most,
            rest,
        })
    }

    /// Its fields as the object that is read in its place.
    pub(crate) fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// How many files there are, where they are all here, and their bytes, at most.
    pub(crate) fn files(&self) -> (Option<u32>, u64) {
        (self.rest.is_none().then_some(self.file_count), self.most)
    }

    /// What is still to come.
    pub(crate) fn rest(&self) -> Option<&Rest> {
        self.rest.as_ref()
    }

    /// The `content-type` to send it with.
    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// What of it is here, as it is sent: with fields as in `sent`, the edited object.
    pub(crate) fn body(&self, sent: &[u8]) -> std::result::Result<Bytes, WireError> {
        let fields = form_fields(&self.boundary, &self.fields, &self.json, sent)?;
        let mut body = BytesMut::with_capacity(fields.len() + self.files.len());
        body.put_slice(&fields);
        body.put_slice(&self.files);
        Ok(body.freeze())
    }
}

/// Looks at what passes unseen for fields that should have been seen.
fn look(
    format: Format,
    mut reader: FormReader,
    strict: bool,
    mut files: u32,
) -> impl FnMut(&Bytes) -> Result<()> + Send + 'static {
    move |piece| {
        let (mut late, mut too_many) = (None, false);
        let looked = reader.push(piece, &mut |event| {
            match event {
                FormEvent::Field(field) if strict || form_governs(format, &field.name) => {
                    late.get_or_insert(field.name);
                }
                // As many as were reserved for.
                FormEvent::File(_) => {
                    files += 1;
                    too_many |= files > FILES_MAX;
                }
                _ => {}
            }
        });
        looked.map_err(|error| invalid(&error))?;
        if too_many {
            let message = format!("the form has more than {FILES_MAX} files: send fewer");
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        match late {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "`{name}` came after a file of more than {} MiB: put it before",
                    KEPT_BYTES_MAX >> 20
                );
                Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name))
            }
        }
    }
}
