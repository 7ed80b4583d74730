//! Against a listener of the test's own: what is sent on which connection.

use std::time::Duration;

use reqwest::header::HeaderMap;
use sluicegate_core::Format;
use sluicegate_core::channel::{Timeouts, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::upstream::http::{IDLE_FOR, IDLE_PER_HOST};
use crate::upstream::target::parse;
use crate::upstream::{HttpUpstream, Target, Upstream as _, UpstreamRequest};

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(5);

struct Scene {
    listener: TcpListener,
    upstream: HttpUpstream,
    target: Arc<Target>,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = parse(&format!("http://{}/v1/chat?a=b", listener.local_addr().unwrap())).unwrap();
        let target = Target::new(Some(address), HeaderMap::new(), Transport::default(), Format::OpenaiChat);
        Self { listener, upstream: HttpUpstream::default(), target: Arc::new(target) }
    }

    async fn send(&self) -> Result<UpstreamResponse, UpstreamFault> {
        self.ask(Bytes::from_static(b"question"), Vec::new()).await
    }

    async fn ask(
        &self,
        body: Bytes,
        headers: Vec<(String, String)>,
    ) -> Result<UpstreamResponse, UpstreamFault> {
        let request = UpstreamRequest {
            target: Arc::clone(&self.target),
            headers,
            body,
            timeouts: Timeouts::default(),
            stream: false,
            special: None,
        };
        timeout(SOON, self.upstream.send(request)).await.unwrap()
    }

    async fn accept(&self) -> TcpStream {
        timeout(SOON, self.listener.accept()).await.unwrap().unwrap().0
    }

    /// Whether somebody connected whom nobody accepted yet.
    async fn connected(&self) -> bool {
        timeout(Duration::from_millis(50), self.listener.accept()).await.is_ok()
    }

    /// Makes a call whose answer is `answer`, read to its end.
    async fn call(&self, at: &mut TcpStream, answer: &str) -> Result<Vec<u8>, UpstreamFault> {
        let (sent, ()) = tokio::join!(async { read(self.send().await?).await }, async {
            request(at).await;
            at.write_all(answer.as_bytes()).await.unwrap();
        });
        sent
    }

    /// Makes a first call, whose connection then waits.
    async fn with_idle(answer: &str) -> (Self, TcpStream) {
        let scene = Self::new().await;
        let (sent, at) = tokio::join!(async { read(scene.send().await?).await }, async {
            let mut at = scene.accept().await;
            request(&mut at).await;
            at.write_all(answer.as_bytes()).await.unwrap();
            at
        });
        sent.unwrap();
        (scene, at)
    }
}

async fn read(mut response: UpstreamResponse) -> Result<Vec<u8>, UpstreamFault> {
    let mut all = Vec::new();
    while let Some(chunk) = timeout(SOON, response.body.chunk()).await.unwrap() {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

/// Reads one request.
async fn request(at: &mut TcpStream) -> String {
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n\r\nquestion") {
        let mut some = [0; 1024];
        let n = timeout(SOON, at.read(&mut some)).await.unwrap().unwrap();
        assert!(n > 0, "closed after {all:?}");
        all.extend_from_slice(&some[..n]);
    }
    String::from_utf8(all).unwrap()
}

/// Whether the other side closes without sending anything.
async fn closes(at: &mut TcpStream) -> bool {
    matches!(timeout(SOON, at.read(&mut [0; 1])).await, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn the_request_is_what_an_origin_expects() {
    let scene = Scene::new().await;
    let host = scene.listener.local_addr().unwrap();
    let (_, text) = tokio::join!(scene.send(), async {
        let mut at = scene.accept().await;
        let text = request(&mut at).await;
        at.write_all(WHOLE.as_bytes()).await.unwrap();
        text
    });
    assert!(text.starts_with("POST /v1/chat?a=b HTTP/1.1\r\n"), "{text}");
    assert!(text.contains(&format!("host: {host}\r\n")), "{text}");
    assert!(text.contains("content-length: 8\r\n"), "{text}");
}

#[tokio::test]
async fn a_calls_own_header_stands_in_place_of_the_standing_one() {
    let mut scene = Scene::new().await;
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("a", "standing"), ("b", "standing"), ("content-length", "1"), ("host", "other.example")]
    {
        headers.insert(name, value.parse().unwrap());
    }
    let address = scene.target.address.clone();
    scene.target = Arc::new(Target::new(address, headers, Transport::default(), Format::OpenaiChat));
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (own, want) in [
        (vec![], "a: standing\r\nb: standing\r\nhost: other.example\r\n"),
        (
            vec![own("a", "own"), own("c", "own"), own("d", "no\nvalue")],
            "a: own\r\nb: standing\r\nhost: other.example\r\nc: own\r\n",
        ),
    ] {
        let scene = &scene;
        let (_, text) = tokio::join!(scene.ask(Bytes::from_static(b"question"), own), async {
            let mut at = scene.accept().await;
            let text = request(&mut at).await;
            at.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            text
        });
        assert_eq!(text, format!("POST /v1/chat?a=b HTTP/1.1\r\n{want}content-length: 8\r\n\r\nquestion"));
    }
}

#[tokio::test]
async fn a_long_question_arrives_whole_on_a_connection_that_serves_again() {
    let (scene, mut at) = Scene::with_idle(WHOLE).await;
    let body = Bytes::from("0123456789".repeat(1_000_000));
    let (sent, got) = tokio::join!(async { read(scene.ask(body.clone(), Vec::new()).await?).await }, async {
        let mut got = vec![0; body.len()];
        while !got.ends_with(b"\r\n\r\n") {
            got.push(at.read_u8().await.unwrap());
        }
        got.truncate(body.len());
        at.read_exact(&mut got).await.unwrap();
        at.write_all(WHOLE.as_bytes()).await.unwrap();
        got
    });
    assert_eq!(sent.unwrap(), b"{}");
    assert!(got == body);
    scene.call(&mut at, WHOLE).await.unwrap();
}

#[tokio::test]
async fn a_question_goes_on_while_its_answer_has_begun() {
    let (scene, mut at) = Scene::with_idle(WHOLE).await;
    let body = Bytes::from(vec![b' '; 16 << 20]);
    let (sent, ()) = tokio::join!(async { read(scene.ask(body.clone(), Vec::new()).await?).await }, async {
        at.read_exact(&mut [0; 1000]).await.unwrap();
        at.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await.unwrap();
        // Says more only to who has asked all of it.
        let mut left = body.len() - 1_000;
        let mut some = vec![0; 1 << 20];
        while left > 0 {
            let n = timeout(SOON, at.read(&mut some)).await.unwrap().unwrap();
            left = left.saturating_sub(n);
        }
        at.write_all(b"{}").await.unwrap();
        while let Ok(n) = timeout(Duration::from_millis(20), at.read(&mut some)).await {
            assert!(n.unwrap() > 0, "closed");
        }
    });
    assert_eq!(sent.unwrap(), b"{}");
    scene.call(&mut at, WHOLE).await.unwrap();
}

#[tokio::test]
async fn an_answer_to_half_a_question_is_given_and_nothing_follows_it() {
    for goes in [false, true] {
        let (scene, mut at) = Scene::with_idle(WHOLE).await;
        let (sent, at) = tokio::join!(scene.ask(Bytes::from(vec![b' '; 64 << 20]), Vec::new()), async {
            at.read_exact(&mut [0; 1000]).await.unwrap();
            at.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            // Leaves with the rest unread, or stays and reads no more.
            (!goes).then_some(at)
        });
        let Ok(answer) = sent else {
            // A reset may overtake the answer.
            assert!(goes);
            continue;
        };
        assert_eq!(answer.status, 413);
        assert_eq!(read(answer).await.unwrap(), b"{}");
        let (sent, ()) = tokio::join!(scene.send(), async {
            let mut fresh = scene.accept().await;
            request(&mut fresh).await;
            fresh.write_all(WHOLE.as_bytes()).await.unwrap();
        });
        sent.unwrap();
        drop(at);
    }
}

#[tokio::test]
async fn a_connection_serves_one_call_after_another() {
    for answer in [WHOLE, CHUNKED, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] {
        let (scene, mut at) = Scene::with_idle(answer).await;
        for _ in 0..3 {
            scene.call(&mut at, answer).await.unwrap();
        }
        assert!(!scene.connected().await, "{answer}");
    }
}

#[tokio::test]
async fn calls_at_the_same_time_have_connections_of_their_own() {
    let (scene, mut first) = Scene::with_idle(WHOLE).await;
    let (one, two, ()) = tokio::join!(scene.send(), scene.send(), async {
        let mut second = scene.accept().await;
        for at in [&mut first, &mut second] {
            request(at).await;
            at.write_all(WHOLE.as_bytes()).await.unwrap();
        }
    });
    assert_eq!(
        (read(one.unwrap()).await.unwrap(), read(two.unwrap()).await.unwrap()),
        (b"{}".into(), b"{}".into())
    );
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_is_replaced() {
    let (scene, at) = Scene::with_idle(WHOLE).await;
    drop(at);
    // The end of the connection takes a moment to arrive.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (sent, ()) = tokio::join!(async { read(scene.send().await?).await }, async {
        let mut at = scene.accept().await;
        request(&mut at).await;
        at.write_all(WHOLE.as_bytes()).await.unwrap();
    });
    assert_eq!(sent.unwrap(), b"{}");
}

#[tokio::test]
async fn a_connection_that_says_it_closes_or_says_too_much_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let (scene, mut at) = Scene::with_idle(answer).await;
        assert!(closes(&mut at).await, "{answer}");
        let (sent, ()) = tokio::join!(async { read(scene.send().await?).await }, async {
            let mut at = scene.accept().await;
            request(&mut at).await;
            at.write_all(WHOLE.as_bytes()).await.unwrap();
        });
        assert_eq!(sent.unwrap(), b"{}", "{answer}");
    }
}

#[tokio::test]
async fn what_an_upstream_may_have_seen_is_never_sent_again() {
    // Before the head and within it.
    for answer in ["", "HTTP/1.1 200"] {
        let (scene, mut at) = Scene::with_idle(WHOLE).await;
        for _ in 0..2 {
            let (sent, ()) = tokio::join!(scene.send(), async {
                request(&mut at).await;
                at.write_all(answer.as_bytes()).await.unwrap();
                at.shutdown().await.unwrap();
            });
            assert!(matches!(sent, Err(UpstreamFault::Broken(_))), "{answer}: {:?}", sent.err());
            assert!(closes(&mut at).await);
            assert!(!scene.connected().await, "{answer}");
            let (sent, fresh) = tokio::join!(scene.send(), async {
                let mut at = scene.accept().await;
                request(&mut at).await;
                at.write_all(WHOLE.as_bytes()).await.unwrap();
                at
            });
            drop(std::mem::replace(&mut at, fresh));
            assert_eq!(read(sent.unwrap()).await.unwrap(), b"{}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{}",
    ] {
        let (scene, mut at) = Scene::with_idle(WHOLE).await;
        let (sent, ()) = tokio::join!(async { read(scene.send().await?).await }, async {
            request(&mut at).await;
            at.write_all(answer.as_bytes()).await.unwrap();
            at.shutdown().await.unwrap();
        });
        assert!(matches!(sent, Err(UpstreamFault::Broken(_))), "{answer}: {sent:?}");
    }
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let (scene, mut at) = Scene::with_idle(WHOLE).await;
    // While it waits for the head.
    let waiting = timeout(Duration::from_millis(20), scene.send());
    let (sent, _) = tokio::join!(waiting, request(&mut at));
    assert!(sent.is_err());
    assert!(closes(&mut at).await);
    // Within the body.
    let (sent, mut at) = tokio::join!(scene.send(), async {
        let mut at = scene.accept().await;
        request(&mut at).await;
        at.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}").await.unwrap();
        at
    });
    let mut sent = sent.unwrap();
    assert_eq!(sent.body.chunk().await.unwrap().unwrap(), "{}");
    drop(sent);
    assert!(closes(&mut at).await);
}

#[tokio::test]
async fn a_body_whose_end_is_there_need_not_be_read_for_the_connection_to_be_used_again() {
    let (scene, mut at) = Scene::with_idle(WHOLE).await;
    for answer in [CHUNKED, WHOLE] {
        let (sent, ()) = tokio::join!(scene.send(), async {
            request(&mut at).await;
            at.write_all(answer.as_bytes()).await.unwrap();
        });
        let mut sent = sent.unwrap();
        assert_eq!(sent.body.chunk().await.unwrap().unwrap(), "{}");
        drop(sent);
        scene.call(&mut at, WHOLE).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let scene = Scene::new().await;
    let Scene { listener, upstream, target } = scene;
    drop(listener);
    let scene = Scene { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), upstream, target };
    assert!(matches!(scene.send().await, Err(UpstreamFault::Unreachable(_))));
}

/// A connection that waits, and its other end.
async fn waiting(idle: &Arc<Idle>, listener: &TcpListener, origin: &Arc<str>) -> TcpStream {
    let address = listener.local_addr().unwrap();
    let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let stream = hyper_rustls::MaybeHttpsStream::Http(hyper_util::rt::TokioIo::new(stream.unwrap()));
    idle.give(origin, Wire::new(stream));
    accepted.unwrap().0
}

async fn is_closed(at: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(2), at.read(&mut [0; 1])).await.is_ok()
}

#[tokio::test]
async fn no_more_than_so_many_wait_and_the_last_used_goes_first() {
    let (idle, origin) = (Arc::<Idle>::default(), Arc::from("http://a"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut ends = Vec::new();
    for _ in 0..IDLE_PER_HOST + 2 {
        ends.push(waiting(&idle, &listener, &origin).await);
    }
    assert!(is_closed(&mut ends[0]).await && is_closed(&mut ends[1]).await && !is_closed(&mut ends[2]).await);
    assert!(idle.take("http://b").is_none());
    assert!(!is_closed(ends.last_mut().unwrap()).await);
    drop(idle.take("http://a").unwrap());
    assert!(is_closed(ends.last_mut().unwrap()).await);
    drop(idle);
    assert!(is_closed(&mut ends[2]).await);
}

#[tokio::test(start_paused = true)]
async fn what_has_waited_too_long_is_closed() {
    let (idle, origin) = (Arc::<Idle>::default(), Arc::from("http://a"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..2 {
        let mut end = waiting(&idle, &listener, &origin).await;
        assert!(!is_closed(&mut end).await);
        // Nobody takes it: the sweep finds it.
        tokio::time::sleep(IDLE_FOR + Duration::from_secs(11)).await;
        assert!(is_closed(&mut end).await);
    }
    let mut end = waiting(&idle, &listener, &origin).await;
    tokio::time::advance(IDLE_FOR).await;
    assert!(idle.take("http://a").is_none());
    assert!(is_closed(&mut end).await);
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_ends_with_the_time_to_connect() {
    // It takes connections, by its queue alone, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = parse(&format!("https://{}/v1", silent.local_addr().unwrap())).unwrap();
    let direct = Direct::build(None, 200).unwrap();
    let sent = direct.send(&address, b"", Bytes::new(), None);
    let fault = timeout(SOON, sent).await.unwrap().err().unwrap();
    assert!(matches!(fault, UpstreamFault::Unreachable(_)), "{fault:?}");
}
