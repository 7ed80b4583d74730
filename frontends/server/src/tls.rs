//! What TLS is served with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sluicegate::config::TlsFiles;
use sluicegate::{Error, ErrorKind, Result};

/// The settings that a listener needs.
///
/// # Errors
/// `Config` naming the file that can't be used, and why.
pub fn settings(files: &TlsFiles) -> Result<ServerConfig> {
    let wrong = |path: &str, why: String| {
        Error::new(ErrorKind::Config, format!("`{path}` can't be used for TLS: {why}; see server.tls"))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|why| wrong(&files.certificate, why.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "it holds no certificate in PEM form".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| wrong(&files.key, why.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| {
            Error::new(ErrorKind::Internal, "no TLS protocol version is available").with_source(why)
        })?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|why| wrong(&files.key, format!("it isn't the key of the certificate: {why}")))
}
