//! What the gateway and its workers share: what is in use and how it is exchanged, who calls, and the ids of calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sluicegate_config::Diagnostic;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::ports::Alert;
use sluicegate_core::{CallId, Error, ErrorKind, Result, Secret, Snapshot, hash};

use super::{IN_USE, InUse, Inner};
use crate::credential::KeyHash;
use crate::jwt;
use crate::script::{self, Scripts};
use crate::secret::Secrets;
use crate::start::{build_targets, marks_of, marks_of_settings, with_stored};
use crate::store::{PolicyVersion, Reach, Stored, StoredChannel};

impl Inner {
    /// Where credentials are.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Whether other calls are under way beside the one that asks.
    pub(crate) fn in_company(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 1
    }

    /// What there is to say about the file, beside what is in force now.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let now = self.engine.snapshot();
        self.file.diagnostics.iter().filter(|it| it.holds(&now)).cloned().collect()
    }

    pub(super) async fn reload(&self) -> Result<()> {
        let mut in_use = self.in_use.lock().await;
        let channels = self.store.channels().await?;
        let policies = self.store.policy_versions(&IN_USE, &Reach::ALL).await?;
        let settings = self.store.settings().await?;
        self.exchange(channels, &policies, &settings, &mut in_use)
    }

    fn exchange(
        &self,
        channels: Vec<StoredChannel>,
        policies: &[Stored<PolicyVersion>],
        settings: &[(String, Stored<serde_json::Value>)],
        in_use: &mut InUse,
    ) -> Result<()> {
        let marks = InUse {
            channels: marks_of(&channels),
            policies: script::marks_of(policies),
            settings: marks_of_settings(settings),
        };
        let (mut declared, host) =
            with_stored(&self.file, channels, settings, &self.secrets, self.master_source.as_ref())?;
        let before = self.scripts.load_full();
        let (scripts, alerts) = match marks.policies == in_use.policies {
            true => (before, Vec::new()),
            false => Scripts::next((&self.file.declared).into(), policies, &before),
        };
        declared.policies = scripts.sources().to_vec();
        let version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        self.engine.swap_with(Snapshot::build(version, declared), scripts.hook(), scripts.shadows());
        self.scripts.store(scripts);
        self.targets.store(Arc::new(build_targets(&self.engine, &self.secrets)));
        self.auth.store(Arc::new(host.auth.clone()));
        self.host.store(Arc::new(host));
        self.directory.invalidate();
        *in_use = marks;
        alerts.into_iter().for_each(|alert| self.engine.alert(alert));
        Ok(())
    }

    /// Takes back versions of policies that do badly in their first time, and says so.
    pub(crate) async fn watch_policies(&self) {
        let scripts = self.scripts.load_full();
        let Some(admin) = self.admin.get() else { return };
        for it in scripts.failing(&self.file.host.policy_rollback, self.clock.now()) {
            match admin.take_policy_back(&it.name, it.number, it.reason.clone()).await {
                Ok(Some(to)) => self.engine.alert(Alert::PolicyRolledBack {
                    policy: it.name.to_string(),
                    version: it.number,
                    to,
                    reason: it.reason,
                }),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(policy = %it.name, version = it.number, %error, "a version that does badly can't be taken back");
                    // A database that doesn't answer is asked again; anything else is for somebody to mend.
                    if error.kind() != ErrorKind::Store {
                        self.engine.alert(Alert::PolicyUnusable {
                            policy: it.name.to_string(),
                            version: it.number,
                            error: format!("{}, and can't be taken back: {}", it.reason, error.message()),
                        });
                        scripts.give_up(&it);
                    }
                }
            }
        }
    }

    /// Takes up what other nodes have changed, if something was changed at all.
    pub(crate) async fn follow(&self) -> Result<()> {
        if !self.directory.poll().await? {
            return Ok(());
        }
        let mut in_use = self.in_use.lock().await;
        let channels = self.store.channels().await?;
        let policies = self.store.policy_versions(&IN_USE, &Reach::ALL).await?;
        let settings = self.store.settings().await?;
        if in_use.channels == marks_of(&channels)
            && in_use.policies == script::marks_of(&policies)
            && in_use.settings == marks_of_settings(&settings)
        {
            return Ok(());
        }
        self.exchange(channels, &policies, &settings, &mut in_use)
    }

    pub(crate) async fn caller(&self, credential: Option<&Secret>) -> Result<Arc<BoundCaller>> {
        let Some(credential) = credential else {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "no api key was given; send it as `authorization: Bearer <key>` or `x-api-key: <key>`",
            ));
        };
        let hash = KeyHash::of(credential.expose());
        if let Some(caller) = self.directory.cached(&hash) {
            return Ok(caller);
        }
        if self.master.is(&hash) {
            return Ok(Arc::clone(&self.operator));
        }
        if self.issuers.is_theirs(credential.expose())
            && let Some(admin) = self.admin.get()
        {
            let around = jwt::Around { directory: &self.directory, admin, now: self.clock.now() };
            return Box::pin(self.issuers.caller(&hash, credential.expose(), &around)).await;
        }
        Box::pin(self.directory.find(&hash)).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                "this api key isn't known here; check it, or ask for a new one",
            )
        })
    }

    pub(crate) fn call_id(&self) -> CallId {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        // The time first: ids are in the order of their calls.
        let number =
            u128::from(hash::mix(self.random ^ count)) | (i128::from(self.clock.now().as_ms()) as u128) << 64;
        let mut text = *b"call-............................";
        for (digit, shift) in text.iter_mut().skip(5).zip((0..112).step_by(4).rev()) {
            // INVARIANT: four bits.
            *digit = b"0123456789abcdef".get((number >> shift) as usize & 15).copied().unwrap_or(b'0');
        }
        CallId::from(std::str::from_utf8(&text).unwrap_or_default())
    }

    pub(crate) fn seed(&self) -> u64 {
        hash::mix(self.random.wrapping_add(self.counter.fetch_add(1, Ordering::Relaxed)))
    }
}
