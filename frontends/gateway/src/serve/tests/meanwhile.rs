//! What becomes of calls whose caller isn't let in any more while they wait, or before they are tried again.

use std::sync::atomic::{AtomicUsize, Ordering};

use sluicegate_core::{Limit, Metric, Window};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::admin::{Actor, IssuedKey, KeyPatch, Limits, NewKey, Patch};
use crate::store::KeyRef;

/// An upstream that answers when it is let, and counts how often it was asked.
struct Gate {
    status: u16,
    asked: AtomicUsize,
    first: Notify,
    open: Semaphore,
}

impl Gate {
    fn new(status: u16) -> Arc<Self> {
        let (asked, first, open) = (AtomicUsize::new(0), Notify::new(), Semaphore::new(0));
        Arc::new(Self { status, asked, first, open })
    }
}

#[async_trait]
impl Upstream for Gate {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.first.notify_one();
        self.open.acquire().await.unwrap().forget();
        let text = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",
            "content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let answer = Scripted::new(Does::Says(text, true)).send(request).await?;
        Ok(UpstreamResponse { status: self.status, ..answer })
    }
}

/// What an administrator does to a key in the meantime, and what a call by it is told then.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Blocks,
    Deletes,
    TakesTheModel,
    Renames,
}

impl Meanwhile {
    async fn happens(self, gateway: &Gateway, issued: &IssuedKey) {
        let (admin, operator) = (gateway.admin(), Actor::operator());
        let key = KeyRef::Id(issued.view.key.id.clone());
        let patch = match self {
            Self::Deletes => return admin.delete_key(&operator, &key).await.map(drop).unwrap(),
            Self::Blocks => KeyPatch { blocked: Some(true), ..KeyPatch::default() },
            Self::TakesTheModel => {
                KeyPatch { models: Patch::Set(vec!["other".into()]), ..KeyPatch::default() }
            }
            Self::Renames => KeyPatch { alias: Patch::Set("renamed".to_owned()), ..KeyPatch::default() },
        };
        admin.update_key(&operator, &key, patch).await.unwrap();
    }

    fn told(self) -> Option<&'static str> {
        match self {
            Self::Blocks => Some("this key is blocked"),
            Self::Deletes => Some("this api key isn't known here"),
            Self::TakesTheModel => Some("there is no model `m`"),
            Self::Renames => None,
        }
    }
}

async fn world(retries: u32) -> (Gateway, IssuedKey) {
    let gateway = gateway_of(format!(
        "version: 1\n\
         channels:\n\
         \x20 - name: c\n\
         \x20   provider: openai\n\
         \x20   credential: sk-upstream-0123456789\n\
         \x20   models: [{{name: m, price: {{input: 1, output: 2}}}}]\n\
         routing: {{retries: {retries}}}\n\
         keys: [{{id: k, credential: {KEY}}}]\n"
    ))
    .await;
    let one = Limit::strict(Metric::Concurrency, Window::Lifetime, 1);
    let new = NewKey { limits: Limits(vec![one]), ..NewKey::default() };
    let issued = gateway.admin().create_key(&Actor::operator(), new).await.unwrap();
    (gateway, issued)
}

fn by(issued: &IssuedKey) -> Inbound {
    Inbound { credential: Some(issued.secret.clone()), ..inbound("m", false) }
}

const ALL: [Meanwhile; 4] =
    [Meanwhile::Blocks, Meanwhile::Deletes, Meanwhile::TakesTheModel, Meanwhile::Renames];

#[tokio::test]
async fn who_is_refused_by_the_time_that_it_is_their_turn_isnt_let_in() {
    for change in ALL {
        let (gateway, issued) = world(0).await;
        let gate = Gate::new(200);
        let worker = gateway.worker_with(gate.clone());
        let second = async {
            gate.first.notified().await;
            let mut call = Box::pin(worker.call(by(&issued)));
            for _ in 0..100 {
                tokio::select! {
                    biased;
                    _ = &mut call => panic!("{change:?}: it didn't wait"),
                    () = tokio::task::yield_now() => {}
                }
            }
            change.happens(&gateway, &issued).await;
            gate.open.add_permits(9);
            call.await
        };
        let (first, second) = tokio::join!(worker.call(by(&issued)), second);
        assert!(first.is_ok(), "{change:?}: what was sent is answered");
        match change.told() {
            Some(told) => {
                let error = second.err().unwrap().error;
                assert!(error.message().contains(told), "{change:?}: {error}");
                assert_eq!(gate.asked.load(Ordering::SeqCst), 1, "{change:?}");
            }
            None => assert!(second.is_ok(), "{change:?}"),
        }
        assert_eq!(records(&gateway).await.len(), 2, "{change:?}: both have a record");
    }
}

#[tokio::test]
async fn who_is_refused_by_the_next_attempt_has_none() {
    for change in ALL {
        let (gateway, issued) = world(1).await;
        let gate = Gate::new(500);
        let worker = gateway.worker_with(gate.clone());
        let meanwhile = async {
            gate.first.notified().await;
            change.happens(&gateway, &issued).await;
            gate.open.add_permits(9);
        };
        let (answer, ()) = tokio::join!(worker.call(by(&issued)), meanwhile);
        let error = answer.err().unwrap().error;
        let asked = gate.asked.load(Ordering::SeqCst);
        match change.told() {
            Some(told) => {
                assert!(error.message().contains(told), "{change:?}: {error}");
                assert_eq!(asked, 1, "{change:?}");
            }
            None => assert_eq!(asked, 2, "{change:?}"),
        }
    }
}
