//! The audit trail.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sluicegate_core::{Result, Timestamp};

use super::rotation::{self, Keys};
use super::{Actor, Admin, forbidden};
use crate::store::{AuditEvent, AuditFilter, Listing, Page, StoredEvent};

/// Faults that a check names; it goes on counting.
// BOUND: of an answer, however much is wrong.
const FAULTS_MAX: usize = 100;
/// Events that are read at once.
const PIECE: u32 = 1_000;

/// A place in the audit trail, to be kept elsewhere: who holds it can tell later whether everything up to it is still what was
/// written, even when the newest events are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditAnchor {
    /// The number of the newest event; 0 when there is none.
    pub seq: i64,
    /// Its code.
    pub mac: String,
    /// When the anchor was taken, in milliseconds since 1970.
    #[serde(default)]
    pub at: Timestamp,
}

/// What is wrong with the audit trail at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFault {
    /// The number of the event.
    pub seq: i64,
    /// What is wrong.
    pub what: AuditFaultKind,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditFaultKind {
    /// It isn't what was written, or doesn't stand where it was written.
    Changed,
    /// It, and all up to the next one that is there, are missing.
    Missing,
    /// The end of the trail isn't what its head says: the newest events were removed, or some were put in.
    End,
    /// The event that an anchor names isn't there, or has another code.
    Anchor,
}

/// What a check of the audit trail has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditCheck {
    /// Whether all is what was written.
    pub sound: bool,
    /// So many events were checked.
    pub events: u64,
    /// The newest event's number, to be kept as an anchor.
    pub seq: i64,
    /// Its code.
    pub mac: String,
    /// So many faults were found.
    pub faulty: u64,
    /// The first hundred of them.
    pub faults: Vec<AuditFault>,
}

impl AuditCheck {
    fn fault(&mut self, seq: i64, what: AuditFaultKind) {
        self.sound = false;
        self.faulty += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(AuditFault { seq, what });
        }
    }
}

impl Admin {
    /// What was done, as far as an actor may see it, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn events(
        &self,
        actor: &Actor,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<AuditEvent>> {
        let bounded = Page::new(page.limit, page.offset);
        self.store().events(filter, &actor.reach(), Page { uncounted: page.uncounted, ..bounded }).await
    }

    /// The newest event, as an anchor.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators, `Store`.
    pub async fn audit_anchor(&self, actor: &Actor) -> Result<AuditAnchor> {
        if !actor.is_super() {
            return Err(forbidden("take anchors of the audit trail"));
        }
        let (seq, mac) = self.store().audit_head().await?;
        Ok(AuditAnchor { seq, mac, at: self.now() })
    }

    /// Checks every link of the audit trail, its end, and anchors that were taken earlier. What is appended meanwhile may be
    /// left out.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators, `Store`.
    pub async fn verify_audit(&self, actor: &Actor, anchors: &[AuditAnchor]) -> Result<AuditCheck> {
        if !actor.is_super() {
            return Err(forbidden("verify the audit trail"));
        }
        // Without a master secret there are no earlier keys, and none is made for asking.
        let retired = match self.store().setting(rotation::RETIRED).await? {
            Some(_) => rotation::retired(self.store(), &self.0.host.sealer()?).await?,
            None => Vec::new(),
        };
        let mut keys = Keys::new(&retired, &*self.0.chain);
        let (head, head_mac) = self.store().audit_head().await?;
        let mut check =
            AuditCheck { sound: true, events: 0, seq: 0, mac: String::new(), faulty: 0, faults: Vec::new() };
        // Several may be of one place: whoever kept them needn't have kept the same.
        let mut left: HashMap<i64, Vec<&AuditAnchor>> = HashMap::new();
        for anchor in anchors.iter().filter(|anchor| anchor.seq > 0) {
            left.entry(anchor.seq).or_default().push(anchor);
        }
        let mut after = i64::MIN;
        // BOUND: as many as there were when the check began.
        while after < head {
            let events = self.store().scan_events(after, PIECE).await?;
            let Some(last) = events.last().map(|it| it.event.seq) else { break };
            after = last;
            for StoredEvent { event, detail } in events.iter().take_while(|it| it.event.seq <= head) {
                if event.seq != check.seq + 1 {
                    // Its own link can't be told: what it hangs on is gone.
                    check.fault(check.seq + 1, AuditFaultKind::Missing);
                } else if event.mac != keys.now().link(&check.mac, event.seq, &event.event, detail) {
                    check.fault(event.seq, AuditFaultKind::Changed);
                }
                keys.pass(&event.event.action);
                for anchor in left.remove(&event.seq).unwrap_or_default() {
                    if anchor.mac != event.mac {
                        check.fault(anchor.seq, AuditFaultKind::Anchor);
                    }
                }
                check.events += 1;
                (check.seq, check.mac) = (event.seq, event.mac.clone());
            }
        }
        if (check.seq, &check.mac) != (head, &head_mac) {
            check.fault(head.max(check.seq), AuditFaultKind::End);
        }
        // What is appended moves the head along with it, so that nothing stands behind the head that is read afterwards.
        if let Some(StoredEvent { event, .. }) = self.store().scan_events(head, 1).await?.first()
            && event.seq > self.store().audit_head().await?.0
        {
            check.fault(event.seq, AuditFaultKind::End);
        }
        let mut left: Vec<&AuditAnchor> = left.into_values().flatten().collect();
        left.sort_unstable_by_key(|anchor| anchor.seq);
        for anchor in left {
            check.fault(anchor.seq, AuditFaultKind::Anchor);
        }
        Ok(check)
    }
}
