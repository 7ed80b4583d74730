//! The audit trail.

use sluicegate_core::{ErrorKind, Result};

use super::{Actor, Admin, forbidden};
use crate::store::{AuditEvent, AuditFilter, Listing, Page, Reach};

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
        self.store().events(filter, &actor.reach(), Page::new(page.limit, page.offset)).await
    }

    /// Checks every link of the audit trail. Returns the newest event's number and code, to be kept elsewhere as an
    /// anchor, or fails at the first event that isn't what was written.
    ///
    /// # Errors
    /// `Forbidden` for anybody but super administrators; `Conflict` naming the event that was changed, or before which
    /// some were removed.
    pub async fn verify_audit(&self, actor: &Actor) -> Result<(i64, String)> {
        if !actor.is_super() {
            return Err(forbidden("verify the audit trail"));
        }
        let (mut previous, mut expected) = (String::new(), 1);
        let total = self.store().events(&AuditFilter::default(), &Reach::ALL, Page::new(1, 0)).await?.total;
        let mut left = total;
        // BOUND: a page less each time.
        while left > 0 {
            let size = left.min(u64::from(Page::MAX));
            left -= size;
            // Newest first: what was appended meanwhile only moves the pages, so they are taken from the end.
            let now = self.store().events(&AuditFilter::default(), &Reach::ALL, Page::new(1, 0)).await?.total;
            let page = Page::new(u32::try_from(size).unwrap_or(Page::MAX), left + now.saturating_sub(total));
            for event in
                self.store().events(&AuditFilter::default(), &Reach::ALL, page).await?.items.iter().rev()
            {
                let code = self.0.chain.link(&previous, event.seq, &event.event);
                if event.seq != expected || event.mac != code {
                    return Err(sluicegate_core::Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "event {} of the audit trail isn't what was written, or some before it are missing",
                            event.seq
                        ),
                    ));
                }
                previous = code;
                expected += 1;
            }
        }
        Ok((expected - 1, previous))
    }
}
