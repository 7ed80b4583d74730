//! The gateway, as its own administration sees it.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use sluicegate_config::{HostSettings, Loaded};
use sluicegate_core::engine::ShadowReport;
use sluicegate_core::snapshot::{ModuleSource, PolicySource};
use sluicegate_core::{Error, ErrorKind, Result, UsageRecord};

use super::Inner;
use crate::admin::{About, AdminHost, Trial, Trialled};
use crate::journal::Journal;
use crate::secret::Sealer;
use crate::start::master_secret;
use crate::trial;

/// The gateway, as its own administration sees it.
pub(super) struct Around(pub(super) Weak<Inner>);

#[async_trait]
impl AdminHost for Around {
    async fn flush_records(&self) -> Result<()> {
        match self.0.upgrade() {
            Some(inner) => inner.records.flush().await,
            None => Ok(()),
        }
    }

    async fn reload(&self) -> Result<()> {
        match self.0.upgrade() {
            Some(inner) => inner.reload().await,
            None => Ok(()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.upgrade()?.secrets.variable(name)
    }

    async fn try_channel(&self, trial: &Trial) -> Result<Trialled> {
        let inner = self.0.upgrade().ok_or_else(closing)?;
        trial::call(&inner, trial).await
    }

    async fn ask_upstream(&self, trial: &Trial, url: &str) -> Result<serde_json::Value> {
        let inner = self.0.upgrade().ok_or_else(closing)?;
        trial::get(&inner, trial, url).await
    }

    fn about(&self) -> Option<About> {
        let inner = self.0.upgrade()?;
        let problems = &inner.targets.load().problems;
        Some(About {
            started_at: inner.started_at,
            database: inner.database,
            host: HostSettings::clone(&inner.host.load()),
            findings: inner.diagnostics().iter().map(|it| it.severity).collect(),
            problems: problems.iter().map(|(id, error)| (id.clone(), error.message().to_owned())).collect(),
        })
    }

    fn config_file(&self) -> Option<String> {
        self.0.upgrade()?.config_path.clone()
    }

    fn stores_models(&self) -> bool {
        self.0.upgrade().is_some_and(|inner| inner.file.host.store_model_in_db)
    }

    fn file_policies(&self) -> Vec<PolicySource> {
        self.0.upgrade().map(|inner| inner.file.declared.policies.clone()).unwrap_or_default()
    }

    fn file(&self) -> Arc<Loaded> {
        self.0.upgrade().map(|inner| Arc::clone(&inner.file)).unwrap_or_default()
    }

    fn policy_modules(&self) -> Vec<ModuleSource> {
        self.0.upgrade().map(|inner| inner.file.declared.policy_modules.clone()).unwrap_or_default()
    }

    fn policy_shadow(&self, policy: &str, number: i64) -> Option<ShadowReport> {
        self.0.upgrade()?.scripts.load().report(policy, number)
    }

    fn policy_denied_ppm(&self, policy: &str, number: i64) -> Option<u32> {
        self.0.upgrade()?.scripts.load().denied_ppm(policy, number)
    }

    fn journal(&self) -> Option<Journal> {
        self.0.upgrade()?.records.journal().cloned()
    }

    async fn record(&self, record: UsageRecord) -> Result<()> {
        let inner = self.0.upgrade().ok_or_else(closing)?;
        inner.records.push(record);
        inner.records.settled(false).await;
        Ok(())
    }

    fn follow_records(&self) -> Result<tokio::sync::broadcast::Receiver<Arc<sluicegate_core::RecordEntry>>> {
        self.0.upgrade().ok_or_else(closing)?.records.follow()
    }

    fn records_waiting(&self) -> usize {
        self.0.upgrade().map_or(0, |inner| inner.records.waiting())
    }

    fn sealer(&self) -> Result<Sealer> {
        let inner = self.0.upgrade();
        master_secret(inner.as_ref().and_then(|inner| inner.master_source.as_ref()))
            .map(|secret| secret.sealer())
    }
}

fn closing() -> Error {
    Error::new(ErrorKind::Store, "the gateway is closing; try again when it runs")
}
