//! Who a credential is: a cache before the store, with what the configuration file declares in front of both.

mod declared;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::{AccessGroups, CallerParts};
use sluicegate_core::{ApiKey, Caller, Clock, Engine, Result};

pub use declared::DeclaredTenants;

use crate::credential::KeyHash;
use crate::start::DEFAULT_ORGANIZATION;
use crate::store::{KeyParts, Reach, Store};

/// How the cache works.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryOptions {
    /// Callers kept. Default 100,000.
    pub capacity: u64,
    /// Credentials kept that we never issued. Default 10,000.
    pub unknown_capacity: u64,
    /// A caller is looked up anew after this time. Default 60 s.
    pub time_to_live: Duration,
    /// A credential that we never issued is looked up anew after this time. Default 5 s.
    pub unknown_time_to_live: Duration,
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            unknown_capacity: 10_000,
            time_to_live: Duration::from_secs(60),
            unknown_time_to_live: Duration::from_secs(5),
        }
    }
}

#[derive(Clone)]
struct Entry {
    generation: u64,
    bound: Arc<BoundCaller>,
}

/// Who a credential is.
///
/// Changes show at once: a change to one key forgets that key, any other forgets everybody, by counting up a
/// generation that every entry carries. What was being loaded while something changed is not kept.
pub struct Directory {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    declared: ArcSwap<DeclaredTenants>,
    cache: moka::sync::Cache<[u8; 32], Entry>,
    unknown: moka::sync::Cache<[u8; 32], u64>,
    /// Counts up with each change to more than one key; entries of another generation don't count.
    generation: AtomicU64,
    /// Counts up with each change at all; what was loaded across one isn't kept.
    epoch: AtomicU64,
    /// The store's newest event that was seen.
    head: AtomicU64,
}

impl Directory {
    /// A directory over a store, with nothing declared yet: see [`declare`](Self::declare).
    pub fn new(engine: Arc<Engine>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self::with(engine, store, clock, DirectoryOptions::default())
    }

    /// Like [`new`](Self::new), with options.
    pub fn with(
        engine: Arc<Engine>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        options: DirectoryOptions,
    ) -> Self {
        Self {
            engine,
            store,
            clock,
            declared: ArcSwap::default(),
            cache: moka::sync::Cache::builder()
                .max_capacity(options.capacity)
                .time_to_live(options.time_to_live)
                .build(),
            unknown: moka::sync::Cache::builder()
                .max_capacity(options.unknown_capacity)
                .time_to_live(options.unknown_time_to_live)
                .build(),
            generation: AtomicU64::new(1),
            epoch: AtomicU64::new(1),
            head: AtomicU64::new(0),
        }
    }

    /// Takes over what a configuration declares: tenants, limits on everybody, and keys with the hashes of their
    /// credentials.
    pub fn declare(&self, declared: &Declared, keys: impl IntoIterator<Item = (KeyHash, ApiKey)>) {
        self.declared.store(Arc::new(DeclaredTenants::new(declared, keys)));
        self.invalidate();
    }

    /// What the configuration in use declares.
    pub fn declared(&self) -> Arc<DeclaredTenants> {
        self.declared.load_full()
    }

    /// Who a credential is, if that is at hand. Never waits.
    pub fn cached(&self, hash: &KeyHash) -> Option<Arc<BoundCaller>> {
        let entry = self.cache.get(&hash.0)?;
        (entry.generation == self.generation.load(Ordering::Acquire)).then_some(entry.bound)
    }

    /// Who a credential is; `None` for one that we never issued.
    ///
    /// # Errors
    /// `Store` when it isn't at hand and the store can't be asked.
    pub async fn find(&self, hash: &KeyHash) -> Result<Option<Arc<BoundCaller>>> {
        if let Some(bound) = self.cached(hash) {
            return Ok(Some(bound));
        }
        let generation = self.generation.load(Ordering::Acquire);
        let epoch = self.epoch.load(Ordering::Acquire);
        if self.unknown.get(&hash.0) == Some(epoch) {
            return Ok(None);
        }
        let declared = self.declared.load_full();
        let caller = match declared.parts(hash) {
            Some(parts) => Some(self.caller_of(&self.fill(parts).await?, &declared)),
            None => self.store.key_by_hash(hash, self.clock.now()).await?.and_then(|mut parts| {
                declared.complete(&mut parts);
                has_its_scopes(&parts, &declared).then(|| self.caller_of(&parts, &declared))
            }),
        };
        let Some(caller) = caller else {
            if self.epoch.load(Ordering::Acquire) == epoch {
                self.unknown.insert(hash.0, epoch);
            }
            return Ok(None);
        };
        let bound = self.engine.bind(caller);
        self.keep(hash, (generation, epoch), &bound);
        Ok(Some(bound))
    }

    /// Who calls by a credential that isn't ours and that somebody else has checked: `key` stands for it. `None` when whom it
    /// names isn't there, or is another organization's.
    ///
    /// # Errors
    /// `Store`.
    pub(crate) async fn find_named(
        &self,
        hash: &KeyHash,
        key: ApiKey,
        customer: Option<Arc<str>>,
    ) -> Result<Option<Arc<BoundCaller>>> {
        let generation = self.generation.load(Ordering::Acquire);
        let epoch = self.epoch.load(Ordering::Acquire);
        let declared = self.declared.load_full();
        let mut parts =
            KeyParts { key, group: None, user: None, membership: None, organization: None, retires_at: None };
        declared.complete(&mut parts);
        let parts = self.fill(parts).await?;
        let organization = &parts.key.organization;
        let is_own = parts.group.iter().all(|group| group.organization == *organization)
            && parts.user.iter().all(|user| user.organization == *organization);
        if !is_own || !has_its_scopes(&parts, &declared) {
            return Ok(None);
        }
        let bound = self.engine.bind(Caller { customer, ..self.caller_of(&parts, &declared) });
        self.keep(hash, (generation, epoch), &bound);
        Ok(Some(bound))
    }

    /// What names of access groups in lists of models stand for.
    pub(crate) fn access_groups(&self) -> AccessGroups {
        self.engine.snapshot().declared.access_groups.clone()
    }

    /// The caller that a key's parts make, with limits on everybody. What access groups hold is the snapshot's word: whoever
    /// swaps it forgets everybody.
    fn caller_of(&self, parts: &KeyParts, declared: &DeclaredTenants) -> Caller {
        let snapshot = self.engine.snapshot();
        let mut caller = Caller::resolve(CallerParts {
            key: &parts.key,
            group: parts.group.as_ref(),
            user: parts.user.as_ref(),
            membership: parts.membership.as_ref(),
            organization: parts.organization.as_ref(),
            global: &declared.global,
            access_groups: &snapshot.declared.access_groups,
            apply_user_limits_to_group_keys: declared.apply_user_limits_to_group_keys,
        });
        caller.expires_at = match (caller.expires_at, parts.retires_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        caller
    }

    /// Remembers a caller, unless something has changed since it was looked up.
    fn keep(&self, hash: &KeyHash, (generation, epoch): (u64, u64), bound: &Arc<BoundCaller>) {
        self.cache.insert(hash.0, Entry { generation, bound: Arc::clone(bound) });
        // Looked at after the entry is in: whoever changes something after this look forgets it by themselves.
        if self.epoch.load(Ordering::Acquire) != epoch {
            self.cache.invalidate(&hash.0);
        }
    }

    /// A declared key may name a group, user or organization that only the store knows.
    async fn fill(&self, mut parts: KeyParts) -> Result<KeyParts> {
        if let (Some(id), None) = (&parts.key.group, &parts.group) {
            parts.group = self.store.group_by_id(id).await?.map(|it| it.value);
        }
        if let (Some(id), None) = (&parts.key.user, &parts.user) {
            parts.user = self.store.user(id, &Reach::ALL).await?.map(|it| it.value);
        }
        if parts.organization.is_none() {
            parts.organization =
                self.store.organization(&parts.key.organization, &Reach::ALL).await?.map(|it| it.value);
        }
        if let (Some(group), Some(user), None) = (&parts.key.group, &parts.key.user, &parts.membership) {
            let stored = self.store.memberships(Some(group), Some(user)).await?;
            parts.membership = stored.into_iter().next().map(|it| it.value);
        }
        Ok(parts)
    }

    /// Forgets one key.
    pub fn invalidate_key(&self, hash: &KeyHash) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.cache.invalidate(&hash.0);
    }

    /// Forgets everybody: something changed that several keys depend on.
    pub fn invalidate(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.cache.invalidate_all();
        self.unknown.invalidate_all();
    }

    /// Counts up with each change of anything that callers and administrators depend on: while it is the same, so is what was
    /// looked up since.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes note of a change that was made here, so that [`poll`](Self::poll) doesn't take it for somebody else's.
    /// Unless another came in between: then both are news.
    pub fn saw(&self, event: i64) {
        let (Ok(event), Ok(before)) = (u64::try_from(event), u64::try_from(event.saturating_sub(1))) else {
            return;
        };
        // It says itself whether it was the next one, and nothing follows from that.
        let _ = self.head.compare_exchange(before, event, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Forgets everybody when the store holds a change that this directory hasn't seen, such as another node's. To be
    /// called every second or so where several nodes share a store.
    ///
    /// # Errors
    /// `Store`.
    pub async fn poll(&self) -> Result<bool> {
        let head = u64::try_from(self.store.head().await?).unwrap_or_default();
        let changed = self.head.swap(head, Ordering::AcqRel) != head;
        if changed {
            self.invalidate();
        }
        Ok(changed)
    }
}

/// Whether the organization, group and user that a stored key names exist (still): without their limits it must not work. The
/// default organization is used without being made, and so is one that the file names.
fn has_its_scopes(parts: &KeyParts, declared: &DeclaredTenants) -> bool {
    let id = &parts.key.organization;
    let has_organization =
        parts.organization.is_some() || id.as_str() == DEFAULT_ORGANIZATION || declared.has_organization(id);
    has_organization
        && parts.key.group.is_some() == parts.group.is_some()
        && parts.key.user.is_some() == parts.user.is_some()
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
