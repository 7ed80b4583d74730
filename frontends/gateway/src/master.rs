//! The administrator's key.

use sluicegate_config::{HostSettings, is_weak_master_key};
use sluicegate_core::{Result, Secret, SecretRef};
use subtle::ConstantTimeEq as _;

use crate::credential::{self, KeyHash};
use crate::gateway::Options;
use crate::store::{AuditChain, Change, Expect, NewEvent, Store};

/// Where the hash of a key that was made here is kept.
const SETTING: &str = "master_key_sha256";

/// How strong the administrator's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStrength {
    /// There is none: nobody can administer the gateway.
    Unset,
    /// It is short, or known from documentation.
    Weak,
    /// It may guard a gateway that others can reach.
    Strong,
}

/// The administrator's key, as its hash.
pub(crate) struct Master {
    hash: Option<KeyHash>,
    pub(crate) strength: KeyStrength,
    pub(crate) made: Option<Secret>,
}

impl Master {
    /// The key of the options, else of the configuration, else the one that was made at an earlier start; else makes
    /// one, if that is asked for.
    pub(crate) async fn resolve(
        options: &Options,
        host: &HostSettings,
        store: &dyn Store,
        chain: &dyn AuditChain,
    ) -> Result<Self> {
        let configured = match &host.master_key {
            SecretRef::Env(name) => (options.variables)(name).map(Secret::new),
            SecretRef::Inline(secret) => Some(secret.clone()),
            SecretRef::None | SecretRef::Sealed => None,
        };
        if let Some(key) = options.master_key.clone().or(configured) {
            let weak = is_weak_master_key(key.expose());
            let strength = if weak { KeyStrength::Weak } else { KeyStrength::Strong };
            return Ok(Self { hash: Some(KeyHash::of(key.expose())), strength, made: None });
        }
        let stored = store.setting(SETTING).await?;
        if let Some(hash) = stored.and_then(|s| KeyHash::from_hex(s.value.as_str()?)) {
            return Ok(Self { hash: Some(hash), strength: KeyStrength::Strong, made: None });
        }
        if !options.make_master_key {
            return Ok(Self { hash: None, strength: KeyStrength::Unset, made: None });
        }
        let issued = credential::issue()?;
        keep(&issued.hash, options, store, chain).await?;
        Ok(Self { hash: Some(issued.hash), strength: KeyStrength::Strong, made: Some(issued.secret) })
    }

    /// Whether this is its hash. Takes the same time whatever it is.
    pub(crate) fn is(&self, hash: &KeyHash) -> bool {
        self.hash.is_some_and(|mine| bool::from(mine.0.ct_eq(&hash.0)))
    }
}

/// Keeps the hash of a key that was made, and writes down that it was.
async fn keep(hash: &KeyHash, options: &Options, store: &dyn Store, chain: &dyn AuditChain) -> Result<()> {
    let event = NewEvent {
        at: options.clock.now(),
        actor: "start".to_owned(),
        action: "master_key.create".to_owned(),
        target: "master key".to_owned(),
        organization: None,
        group: None,
        user: None,
        detail: serde_json::Value::Null,
        address: None,
        credential: None,
    };
    let change = Change::PutSetting(SETTING.to_owned(), hash.to_string().into(), Expect::New);
    store.apply(&[change], &event, chain).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{ConfigText, Gateway, Secret};

    #[tokio::test]
    async fn pages_of_other_origins_guess_no_weak_key() {
        for (key, cors, origins) in [
            ("sk-1234", "", &[][..]),
            (
                "sk-1234",
                "server: {cors: {origins: 'https://chat.example.com'}}",
                &["https://chat.example.com"],
            ),
            ("sk-9b1e6c40f2a74d0c8e35", "", &["*"]),
        ] {
            let text = format!("version: 1\n{cors}\n");
            let config = Some(ConfigText { path: "file".to_owned(), text });
            let options = Options {
                config,
                variables: Arc::new(|_| None),
                master_key: Some(Secret::new(key)),
                ..Options::default()
            };
            let gateway = Gateway::open(options).await.unwrap();
            assert_eq!(gateway.host().cors_origins(), origins, "{key} {cors}");
        }
    }
}
