//! Bodies that go on while they come: never held whole, and taken only as fast as they are sent on.

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures_util::StreamExt;
use sluicegate::{Error, ErrorKind, Result, Upload};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::body;
use crate::state::State;

/// So many pieces may wait to be sent on.
// BOUND: a piece is what one read of a connection gives.
const WAITING: usize = 4;

/// Whether there is a body at all.
pub(crate) fn has_body(req: &HttpRequest) -> bool {
    body::declared(req).is_some_and(|length| length > 0) || req.headers().contains_key(TRANSFER_ENCODING)
}

/// Begins to take the body.
///
/// # Errors
/// `PayloadTooLarge` for one that says that it is, `InvalidRequest` for one that would have to be unpacked.
pub(crate) fn take(req: &HttpRequest, payload: web::Payload, state: &State) -> Result<Upload> {
    let most = state.gateway.host().upload_limit_bytes;
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    if req.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let message =
            "a body that is sent on as it comes can't be unpacked: send it without content-encoding";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    let length = body::declared(req);
    if length.is_some_and(|length| length > most) {
        return Err(body::too_large(limit));
    }
    let kind = req.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (pieces, taken) = mpsc::channel(WAITING);
    actix_web::rt::spawn(pump(payload, pieces, limit));
    Ok(Upload { content_type: kind.to_owned(), length, most, pieces: taken })
}

/// Hands on what comes, until nobody wants it.
async fn pump(payload: web::Payload, pieces: mpsc::Sender<Result<Bytes>>, limit: usize) {
    let mut payload = payload.into_inner();
    let mut came = 0usize;
    // BOUND: in bytes by the limit, in time by the pauses and by whoever takes it.
    loop {
        // Whoever stops taking has answered: nothing more is read for them.
        let next = tokio::select! {
            next = timeout(body::IDLE_TIME, payload.next()) => next,
            () = pieces.closed() => break,
        };
        let piece: Result<Bytes> = match next {
            Err(_) => Err(body::stalled()),
            Ok(None) => return,
            Ok(Some(Err(error))) => Err(broken(error)),
            Ok(Some(Ok(piece))) => {
                came = came.saturating_add(piece.len());
                if came > limit { Err(body::too_large(limit)) } else { Ok(piece) }
            }
        };
        let is_over = piece.is_err();
        if pieces.send(piece).await.is_err() || is_over {
            break;
        }
    }
    body::discard(&mut payload, limit).await;
}

fn broken(error: PayloadError) -> Error {
    body::broken(error)
}
