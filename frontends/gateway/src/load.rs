//! From a configuration text to what the gateway runs on: reading what the pure crates must not.

use std::path::Path;
use std::sync::Arc;

use sluicegate_config::{Environment, Loaded, Source};
use sluicegate_core::snapshot::Declared;
use sluicegate_core::{Error, ErrorKind, Result};
use sluicegate_policy::{Policies, PolicyDiagnostic};

/// Looks an environment variable up. Tests and embedders pass their own.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The process's environment. An empty variable counts as none.
pub fn process_variables() -> Variables {
    Arc::new(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// A configuration, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigText {
    /// Where it came from, for messages and for the files that it names.
    pub path: String,
    /// The text, YAML or JSON, in any dialect.
    pub text: String,
}

impl ConfigText {
    /// Reads a file.
    ///
    /// # Errors
    /// `Config` when it can't be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|why| {
            Error::new(
                ErrorKind::Config,
                format!("`{}` can't be read: {why}; check its path", path.display()),
            )
        })?;
        Ok(Self { path: path.display().to_string(), text })
    }
}

/// Reads a configuration with everything that it names. All there is to say about it is in the diagnostics.
pub fn load(config: Option<&ConfigText>, variables: &Variables) -> Loaded {
    let variable = |name: &str| variables(name);
    let file = |path: &str| std::fs::read_to_string(path).map_err(|why| why.to_string());
    let environment = Environment::new(&variable).with_files(&file);
    match config {
        Some(config) => {
            sluicegate_config::load(Source { path: &config.path, text: &config.text }, &environment)
        }
        None => sluicegate_config::load_environment(&environment),
    }
}

/// Refuses a configuration with errors, all of them in one message.
///
/// # Errors
/// `Config`.
pub(crate) fn refuse_errors(loaded: &Loaded) -> Result<()> {
    if !loaded.has_errors() {
        return Ok(());
    }
    let errors: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.severity == sluicegate_config::Severity::Error)
        .map(ToString::to_string)
        .collect();
    Err(Error::new(ErrorKind::Config, format!("the configuration can't be used:\n{}", errors.join("\n"))))
}

/// Compiles the scripts of a configuration.
///
/// # Errors
/// `Config` with every fault of every script, each with its line and column.
pub(crate) fn compile_policies(declared: &Declared) -> Result<Policies> {
    Policies::compile_with(&declared.policies, &declared.policy_modules).map_err(|faults| unusable(&faults))
}

/// What is wrong with scripts as one error.
pub(crate) fn unusable(faults: &[PolicyDiagnostic]) -> Error {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    Error::new(ErrorKind::Config, format!("the policies can't be used:\n{}", faults.join("\n")))
}
