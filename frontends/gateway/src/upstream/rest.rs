//! The part of a request's body that is still coming while it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use parking_lot::Mutex;
use sluicegate_core::Error;

/// A look at each piece that passes; an error ends the body.
type Look = Box<dyn FnMut(&Bytes) -> Result<(), Error> + Send>;

/// The pieces of a body, as they come from the caller. It can be sent once; until something of it was taken, again.
#[derive(Clone)]
pub struct Rest(Arc<Shared>);

struct Shared {
    coming: Mutex<Coming>,
    /// Something of it was taken: it can't be sent again.
    taken: AtomicBool,
    /// Why it broke off.
    broken: Mutex<Option<Error>>,
}

struct Coming {
    pieces: tokio::sync::mpsc::Receiver<Result<Bytes, Error>>,
    look: Look,
    /// Bytes to come, where that is known.
    left: Option<u64>,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rest({})", if self.is_taken() { "taken" } else { "whole" })
    }
}

impl Rest {
    pub(crate) fn new(
        pieces: tokio::sync::mpsc::Receiver<Result<Bytes, Error>>,
        left: Option<u64>,
        look: impl FnMut(&Bytes) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        let coming = Mutex::new(Coming { pieces, look: Box::new(look), left });
        Self(Arc::new(Shared { coming, taken: AtomicBool::new(false), broken: Mutex::new(None) }))
    }

    /// Whether something of it was taken.
    pub fn is_taken(&self) -> bool {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Why it broke off, if it did: the caller's fault, and no upstream's.
    pub fn broken(&self) -> Option<Error> {
        self.0.broken.lock().clone()
    }

    /// A body that begins with these bytes.
    pub(crate) fn after(&self, first: Bytes) -> RestBody {
        RestBody { first: Some(first).filter(|first| !first.is_empty()), rest: self.clone() }
    }
}

/// A body of which the rest is still coming.
pub(crate) struct RestBody {
    first: Option<Bytes>,
    rest: Rest,
}

impl http_body::Body for RestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let shared = &self.rest.0;
        shared.taken.store(true, Ordering::Release);
        let mut coming = shared.coming.lock();
        let piece = match std::task::ready!(coming.pieces.poll_recv(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(piece)) => (coming.look)(&piece).map(|()| piece),
            Some(Err(error)) => Err(error),
        };
        match piece {
            Ok(piece) => {
                coming.left = coming.left.map(|left| left.saturating_sub(piece.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(error) => {
                *shared.broken.lock() = Some(error.clone());
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let first = self.first.as_ref().map_or(0, Bytes::len) as u64;
        match self.rest.0.coming.lock().left {
            Some(left) => http_body::SizeHint::with_exact(first.saturating_add(left)),
            None => http_body::SizeHint::default(),
        }
    }
}
