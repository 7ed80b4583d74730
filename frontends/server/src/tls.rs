//! What TLS is served with: certificates that follow their files.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sluicegate::config::TlsFiles;
use sluicegate::{Error, ErrorKind, Result};

/// The files are looked at so often.
const LOOK: Duration = Duration::from_secs(10);

/// The certificates of a listener. Connections that are open keep theirs.
pub struct Certificates {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Current>,
}

struct Current {
    /// What the files held: their time says little where they are swapped by a link.
    texts: (Vec<u8>, Vec<u8>),
    key: Arc<CertifiedKey>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads them.
    ///
    /// # Errors
    /// `Config` naming the file that can't be used, and why.
    pub fn open(files: &TlsFiles) -> Result<Arc<Self>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Current::read(files, &provider)?;
        Ok(Arc::new(Self { files: files.clone(), provider, current: ArcSwap::from_pointee(current) }))
    }

    /// The settings that a listener needs.
    ///
    /// # Errors
    /// `Internal` when no protocol version is available.
    pub fn settings(self: &Arc<Self>) -> Result<ServerConfig> {
        let none =
            |why| Error::new(ErrorKind::Internal, "no TLS protocol version is available").with_source(why);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(none)?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::<Self>::clone(self)))
    }

    /// Takes the files' certificates into use if they are others now; whether they were.
    ///
    /// # Errors
    /// `Config` when they can't be used: those in use stay in use.
    pub fn renew(&self) -> Result<bool> {
        let texts = read_both(&self.files)?;
        if self.current.load().texts == texts {
            return Ok(false);
        }
        self.current.store(Arc::new(Current::of(&self.files, texts, &self.provider)?));
        Ok(true)
    }

    /// Follows the files without end. A certificate and a key that don't belong together are half of a change: it is tried again.
    pub async fn follow(self: Arc<Self>) {
        let mut told = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let this = Arc::clone(&self);
            let renewed = tokio::task::spawn_blocking(move || this.renew()).await;
            match renewed {
                Ok(Ok(true)) => tracing::info!(file = %self.files.certificate, "the certificate was renewed"),
                Ok(Err(error)) if told.as_deref() != Some(error.message()) => {
                    tracing::error!(%error, "the certificate can't be renewed; the one in use stays");
                    told = Some(error.message().to_owned());
                }
                Ok(Err(_)) | Err(_) => {}
                Ok(Ok(false)) => told = None,
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

impl Current {
    fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self> {
        Self::of(files, read_both(files)?, provider)
    }

    fn of(files: &TlsFiles, texts: (Vec<u8>, Vec<u8>), provider: &CryptoProvider) -> Result<Self> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&texts.0)
            .collect::<std::result::Result<_, _>>()
            .map_err(|why| wrong(&files.certificate, &why.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(&files.certificate, "it holds no certificate in PEM form"));
        }
        let key =
            PrivateKeyDer::from_pem_slice(&texts.1).map_err(|why| wrong(&files.key, &why.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, provider)
            .map_err(|why| wrong(&files.key, &format!("it isn't the key of the certificate: {why}")))?;
        Ok(Self { texts, key: Arc::new(key) })
    }
}

fn read_both(files: &TlsFiles) -> Result<(Vec<u8>, Vec<u8>)> {
    let read = |path: &str| std::fs::read(path).map_err(|why| wrong(path, &why.to_string()));
    Ok((read(&files.certificate)?, read(&files.key)?))
}

fn wrong(path: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{path}` can't be used for TLS: {why}; see server.tls"))
}
