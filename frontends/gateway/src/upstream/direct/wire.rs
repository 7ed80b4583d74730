//! One connection, driven by whoever uses it.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Request = hyper::Request<Full<Bytes>>;

/// Why a request got no answer.
pub(super) enum Unanswered {
    /// Nothing of it was written: here it is again.
    Unsent(Box<Request>, hyper::Error),
    /// The upstream may have seen it.
    Broken(hyper::Error),
}

/// A connection that carries one call at a time. Dropping it closes it.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// `None` when it is closed.
    connection: Option<Connection<Stream, Full<Bytes>>>,
}

impl Wire {
    pub(super) async fn new(stream: Stream) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) = Builder::new().handshake(stream).await?;
        Ok(Box::new(Self { sender, connection: Some(connection) }))
    }

    /// Reads and writes what can be read and written now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // An error has been told to the call under way, or there is none. Dropping it ends what still waits for it.
            self.connection = None;
        }
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: Request,
    ) -> Result<(hyper::Response<Incoming>, Box<Self>), Unanswered> {
        // Only the connection answers, and it is asked right after each time that it is driven: there is nobody to be
        // woken. A budget that is used up would need somebody, so there is none either.
        let mut answer = pin!(tokio::task::unconstrained(self.sender.try_send_request(request)));
        let answer = std::future::poll_fn(|cx| {
            self.poll(cx);
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        match answer.await {
            Ok(response) => Ok((response, self)),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Unanswered::Unsent(Box::new(request), error.into_error()),
                None => Unanswered::Broken(error.into_error()),
            }),
        }
    }

    /// The connection after an answer, if it can carry another call.
    pub(super) fn rested(mut self: Box<Self>) -> Option<Box<Self>> {
        // It shall not wake the call that used it when something happens to it later.
        self.poll(&mut Context::from_waker(Waker::noop()));
        (self.connection.is_some() && self.sender.is_ready()).then_some(self)
    }
}
