//! Requests that are to be done once, however often they are sent: by a key that whoever asks makes up.

use sluicegate_core::{Error, ErrorKind, Result, Retry, Secret};

use super::{Actor, Admin};
use crate::store::Once;

/// A key, and the answer to what was done under it, are kept for so long, in milliseconds.
const KEPT_MS: i64 = 24 * 3_600_000;
/// No longer key is taken, in bytes.
const KEY_MAX: usize = 255;

/// A request that is under way for the first time.
#[derive(Debug)]
pub struct OnceTicket(String);

/// What to do with a request that is to be done once.
#[derive(Debug)]
pub enum OnceBegun {
    /// Do it, and say how it ended.
    Do(OnceTicket),
    /// It was done: this was the answer.
    Answered(Secret),
}

impl Admin {
    /// Begins a request that is to be done once. `request` is all that makes it this one and no other.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no key, and when another request was sent under it; `Conflict` while the first is under
    /// way, or when nobody knows how it ended. `Config` when there is no master secret. `Store`.
    pub async fn begin_once(&self, actor: &Actor, key: &str, request: &[&[u8]]) -> Result<OnceBegun> {
        let fine = (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !fine {
            let message = format!(
                "an idempotency key has 1 to {KEY_MAX} visible characters of ASCII; make a random one"
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "idempotency-key"));
        }
        let sealer = self.0.host.sealer()?;
        let id = sealer.code(&[b"once", actor.name().as_bytes(), key.as_bytes()]);
        // Whoever may do something else by now, or asks by a credential that opens less, is told nothing of what was answered.
        let credential = actor.is_confined().then(|| actor.credential());
        let rights = format!("{:?}", (actor.role(), actor.organization(), actor.admin_of(), credential));
        let parts = [&b"request"[..], rights.as_bytes()].into_iter().chain(request.iter().copied());
        let parts: Vec<&[u8]> = parts.collect();
        let request = sealer.code(&parts);
        let now = self.now();
        match self.store().begin_once(&id, &request, now, now.plus_ms(KEPT_MS)).await? {
            Once::New => Ok(OnceBegun::Do(OnceTicket(id))),
            Once::Known { request: known, .. } if known != request => {
                let message = "another request was sent under this idempotency key; make a new key for each thing to do";
                Err(Error::new(ErrorKind::InvalidRequest, message).with("unprocessable", "idempotency-key"))
            }
            Once::Known { answer: None, .. } => {
                let message = "the request under this idempotency key is under way, or was cut off; try again in a moment, and if it stays so look whether it was done";
                Err(Error::new(ErrorKind::Conflict, message).with_retry(Retry::AfterMs(1_000)))
            }
            Once::Known { answer: Some(sealed), .. } => {
                let lost = || {
                    let message = "the request under this idempotency key was done, and its answer can't be read any more: the master secret is another";
                    Error::new(ErrorKind::Conflict, message)
                };
                sealer.open_text(&purpose(&id), &sealed).map(OnceBegun::Answered).ok_or_else(lost)
            }
        }
    }

    /// Keeps the answer to a request that was done.
    ///
    /// # Errors
    /// `Config` when there is no master secret, `Store`.
    pub async fn end_once(&self, OnceTicket(id): &OnceTicket, answer: &Secret) -> Result<()> {
        let sealed = self.0.host.sealer()?.seal_text(&purpose(id), answer)?;
        self.store().end_once(id, &sealed).await
    }

    /// Says that a request was refused: nothing was done, and it may be sent again.
    ///
    /// # Errors
    /// `Store`.
    pub async fn leave_once(&self, OnceTicket(id): &OnceTicket) -> Result<()> {
        self.store().leave_once(id).await
    }
}

fn purpose(id: &str) -> String {
    format!("answer to a request\0{id}")
}
