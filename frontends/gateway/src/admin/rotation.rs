//! Another master secret: everything that is sealed under the present one is sealed under it, and the audit trail goes on under its
//! key. See decision 33.

use serde::Serialize;
use serde_json::{Value, json};
use sluicegate_core::{Error, ErrorKind, Result};

use super::seed::Seeds;
use super::{Actor, Admin, Deed, Then, forbidden, invalid};
use crate::secret::{KeyedChain, MasterSecret, Sealer};
use crate::store::{AuditChain, Change, Expect, SecretChange, Store, StoredEvent};

/// What the event is called that is the last one under a key. Who doesn't hold that key can't write one.
const LAST: &str = "secret.rotate";
/// Where the trail's earlier keys are, sealed, oldest first.
pub(super) const RETIRED: &str = "secret/retired";

/// What was sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// Channels' credentials.
    pub channels: usize,
    /// Credentials that several channels share.
    pub credentials: usize,
    /// Second steps, with those that are offered.
    pub second_steps: usize,
    /// The number of the audit trail's last event under the present master secret.
    pub last: i64,
}

/// The keys that a trail was written under, one after the other.
pub(super) struct Keys<'a> {
    retired: std::slice::Iter<'a, KeyedChain>,
    present: &'a dyn AuditChain,
    now: &'a dyn AuditChain,
}

impl<'a> Keys<'a> {
    /// Those of a trail from its beginning.
    pub(super) fn new(retired: &'a [KeyedChain], present: &'a dyn AuditChain) -> Self {
        let mut it = Self { retired: retired.iter(), present, now: present };
        it.turn();
        it
    }

    /// The one that the next event is under.
    pub(super) fn now(&self) -> &'a dyn AuditChain {
        self.now
    }

    /// An event has passed: the last one under a key turns to the next.
    pub(super) fn pass(&mut self, action: &str) {
        if action == LAST {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let retired = self.retired.next().map(|chain| chain as &dyn AuditChain);
        self.now = retired.unwrap_or(self.present);
    }
}

/// The trail's earlier keys, oldest first.
///
/// # Errors
/// `Config` when they were sealed under another master secret, `Store`.
pub(super) async fn retired(store: &dyn Store, sealer: &Sealer) -> Result<Vec<KeyedChain>> {
    let Some(stored) = store.setting(RETIRED).await? else { return Ok(Vec::new()) };
    let sealed: Vec<String> = serde_json::from_value(stored.value).unwrap_or_default();
    let open =
        |(place, sealed): (usize, &String)| KeyedChain::opened(place, sealed, sealer).ok_or_else(unfit);
    sealed.iter().enumerate().map(open).collect()
}

fn unfit() -> Error {
    let message = "the master secret isn't the one that the audit trail goes on under; use that one, or `sluicegate secret rotate` with it";
    Error::new(ErrorKind::Config, message)
}

/// Whether the audit trail goes on under this master secret: its last event carries a code of it. A trail that has none, or whose end
/// is gone, goes on under any.
///
/// # Errors
/// `Store`.
pub(crate) async fn is_fit(store: &dyn Store, secret: &MasterSecret) -> Result<bool> {
    let (head, _) = store.audit_head().await?;
    let ends = store.scan_events(head - 2, 2).await?;
    let (previous, last) = match ends.as_slice() {
        [last] if last.event.seq == 1 => ("", last),
        [previous, last] if last.event.seq == head => (&*previous.event.mac, last),
        _ => return Ok(true),
    };
    let StoredEvent { event, detail } = last;
    let has_code = |chain: &KeyedChain| chain.link(previous, event.seq, &event.event, detail) == event.mac;
    if event.event.action != LAST {
        return Ok(has_code(&secret.audit_chain()));
    }
    match retired(store, &secret.sealer()).await {
        Ok(chains) => Ok(chains.last().is_some_and(has_code)),
        Err(error) if error.kind() == ErrorKind::Config => Ok(false),
        Err(error) => Err(error),
    }
}

impl Admin {
    /// Seals everything that is sealed under the present master secret under another one, and lets the audit trail go on under that:
    /// all of it, or nothing. Every gateway on the database must have been stopped, and be started with the new one.
    ///
    /// # Errors
    /// `Forbidden`; `InvalidRequest` when they are the same; `Config` when the present one isn't that which the trail goes on under,
    /// or naming what can't be opened: then nothing has changed; `Store`.
    pub async fn rotate_secret(
        &self,
        actor: &Actor,
        present: &MasterSecret,
        new: &MasterSecret,
    ) -> Result<Rotated> {
        if !actor.is_super() {
            return Err(forbidden("change the master secret"));
        }
        if present.is(new) {
            return Err(invalid("secret", "the new master secret is the present one; make another"));
        }
        if !is_fit(self.store(), present).await? {
            return Err(unfit());
        }
        let (old, sealer) = (present.sealer(), new.sealer());
        let (mut done, mut changes) = (Rotated::default(), Vec::new());
        for stored in self.store().channels().await? {
            let Some(sealed) = &stored.secret else { continue };
            let (channel, version) = (stored.channel.value, stored.channel.version);
            let sealed = SecretChange::Set(old.reseal(&channel, sealed, &sealer)?);
            changes.push(Change::PutChannel(Box::new(channel), sealed, Expect::Version(version)));
            done.channels += 1;
        }
        let credentials = self.resealed_credentials(&sealer).await?;
        done.credentials = credentials.len();
        changes.extend(credentials);
        let second_steps = self.resealed_second_steps(&sealer).await?;
        done.second_steps = second_steps.len();
        changes.extend(second_steps);
        let mut keys = retired(self.store(), &old).await?;
        keys.push(present.audit_chain());
        let sealed = keys.iter().enumerate().map(|(place, key)| key.sealed(place, &sealer));
        let sealed: Vec<String> = sealed.collect::<Result<_>>()?;
        changes.push(Change::PutSetting(RETIRED.to_owned(), Value::from(sealed), Expect::Any));
        let told = json!({"channels": done.channels, "credentials": done.credentials, "second_steps": done.second_steps});
        let deed = Deed { detail: told, ..Deed::new(LAST, "master secret".to_owned()) };
        done.last = self.write(actor, deed, changes, Seeds::new(), Then::Nothing).await?.seq;
        Ok(done)
    }
}
