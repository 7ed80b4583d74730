//! One connection, driven by whoever uses it.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::message::{self, Answer, Body, Piece};
use crate::upstream::UpstreamFault;
use crate::upstream::head::Head;

pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// So much is read at once, in bytes: most answers, or some dozens of a stream's events.
const ROOM: usize = 8 * 1024;
/// Where so much is read at once as there is room for, in bytes, there is more: no read is larger than this.
const ROOM_MAX: usize = 64 * 1024;
/// With less room than this left, in bytes, more is made before the next read.
const ROOM_LEFT: usize = 1024;

/// A request, ready to be written.
pub(super) struct Outgoing {
    pub(super) head: Bytes,
    pub(super) body: Bytes,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nothing of it was written.
    Unsent(io::Error),
    /// The upstream may have seen some of it.
    Broken(String),
}

/// A connection that carries one call at a time. Dropping it closes it.
pub(super) struct Wire {
    stream: TokioIo<Stream>,
    /// What is still to be written of the request under way.
    write: Option<Write>,
    /// What has been read and not been taken yet.
    read: BytesMut,
    /// How much is read at once.
    room: usize,
    /// What is to come of the answer under way.
    body: Body,
    /// Another call may follow.
    reusable: bool,
}

/// A request on its way out.
struct Write {
    head: Bytes,
    body: Bytes,
    /// Some of it has been written.
    begun: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self {
            stream: TokioIo::new(stream),
            write: None,
            read: BytesMut::new(),
            room: ROOM,
            body: Body::Over,
            reusable: true,
        })
    }

    /// Sends a request and waits for the answer's head. What an upstream hasn't taken by then is written while the body is
    /// read.
    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: &Outgoing,
    ) -> Result<(Head, Box<Self>), Unanswered> {
        self.write = Some(Write { head: request.head.clone(), body: request.body.clone(), begun: false });
        let mut failed = None;
        let head = std::future::poll_fn(|cx| {
            if let Err(error) = self.go_on_writing(cx) {
                // Over TLS some of it may have gone out, whatever is said to have been taken.
                let is_plain = matches!(self.stream.inner(), MaybeHttpsStream::Http(_));
                if is_plain && self.write.as_ref().is_some_and(|write| !write.begun) {
                    return Poll::Ready(Err(Unanswered::Unsent(error)));
                }
                // An upstream that closes half-way may have said why.
                failed = Some(error);
                self.write = None;
            }
            match ready!(self.poll_head(cx)) {
                Ok(head) => Poll::Ready(Ok(head)),
                Err(error) => Poll::Ready(Err(Unanswered::Broken(match &failed {
                    Some(error) => error.to_string(),
                    None => error,
                }))),
            }
        })
        .await?;
        self.reusable &= failed.is_none();
        Ok((head, self))
    }

    /// Writes what can be written now, and forgets the request when all of it is out.
    fn go_on_writing(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(write) = &mut self.write else { return Ok(()) };
        match write.poll(Pin::new(&mut self.stream), cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.write = None;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, String>> {
        // BOUND: each turn reads some of it, and a head has an end.
        loop {
            match message::take_head(&mut self.read) {
                Ok(Some(Answer { head, body, reusable })) => {
                    (self.body, self.reusable) = (body, reusable);
                    return Poll::Ready(Ok(head));
                }
                Ok(None) => {}
                Err(why) => return Poll::Ready(Err(why.to_owned())),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) => return Poll::Ready(Err("it was closed before an answer".to_owned())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error.to_string())),
            }
        }
    }

    /// The next piece of the answer's body; `None` at its end.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        if self.go_on_writing(cx).is_err() {
            // The answer may be whole all the same.
            self.write = None;
            self.reusable = false;
        }
        // BOUND: each turn reads some of it, or is the last.
        let why = loop {
            match self.body.take(&mut self.read) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Piece::Over) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(why) => break why.to_owned(),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if self.body == Body::UntilClose => return Poll::Ready(None),
                Ok(0) => break "it was closed within the answer".to_owned(),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        Poll::Ready(Some(Err(UpstreamFault::Broken(why))))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < ROOM_LEFT {
            self.read.reserve(self.room);
        }
        let room = self.read.capacity() - self.read.len();
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read))?;
        if read == room {
            self.room = (self.room * 2).min(ROOM_MAX);
        }
        Poll::Ready(Ok(read))
    }

    /// Whether the other side is open and has nothing to say. From here on nobody is woken when that changes.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0; 1];
        // A budget that is used up would look like silence.
        let asked = pin!(tokio::task::unconstrained(std::future::poll_fn(|cx| {
            Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte))
        })));
        asked.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// The connection after an answer, if it can carry another call.
    pub(super) fn rested(mut self: Box<Self>) -> Option<Box<Self>> {
        // What came behind the answer belongs to nothing that was asked.
        let is_over = self.write.is_none() && self.body == Body::Over && self.read.is_empty();
        let can = self.reusable && is_over && self.is_quiet();
        // Idle connections need no memory to read into.
        self.read = BytesMut::new();
        self.room = ROOM;
        can.then_some(self)
    }
}

impl Write {
    fn poll(&mut self, mut stream: Pin<&mut TokioIo<Stream>>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // BOUND: each turn writes some of it.
        while !(self.head.is_empty() && self.body.is_empty()) {
            let written = match (self.head.is_empty(), self.body.is_empty()) {
                (false, false) => {
                    let both = [IoSlice::new(&self.head), IoSlice::new(&self.body)];
                    ready!(stream.as_mut().poll_write_vectored(cx, &both))?
                }
                (false, true) => ready!(stream.as_mut().poll_write(cx, &self.head))?,
                (true, _) => ready!(stream.as_mut().poll_write(cx, &self.body))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.begun = true;
            let of_head = written.min(self.head.len());
            self.head.advance(of_head);
            self.body.advance(written - of_head);
        }
        stream.poll_flush(cx)
    }
}
