//! Which certificates upstreams are checked against.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sluicegate_core::{Error, ErrorKind, Result};

/// The TLS settings for a channel: the system's authorities (or Mozilla's, on a system without any), and those of
/// `extra_ca_file`. Built once for each file and shared by all workers.
///
/// # Errors
/// `Config` when the file can't be read or holds no certificate.
pub(crate) fn client_config(extra_ca_file: Option<&str>) -> Result<ClientConfig> {
    static CONFIGS: OnceLock<Mutex<HashMap<Option<String>, Arc<ClientConfig>>>> = OnceLock::new();
    let configs = CONFIGS.get_or_init(Mutex::default);
    let key = extra_ca_file.map(str::to_owned);
    if let Some(config) = configs.lock().get(&key) {
        return Ok(ClientConfig::clone(config));
    }
    let config = build(extra_ca_file)?;
    // BOUND: one entry for each file that the configuration names.
    configs.lock().insert(key, Arc::new(config.clone()));
    Ok(config)
}

fn build(extra_ca_file: Option<&str>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = extra_ca_file {
        let wrong = |why: String| {
            Error::new(ErrorKind::Config, format!("`{path}` can't be used as extra_ca_file: {why}"))
        };
        let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .map_err(|why| wrong(why.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(wrong("it holds no certificate in PEM form".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| {
            Error::new(ErrorKind::Internal, "no TLS protocol version is available").with_source(why)
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
