//! TLS as a client meets it: a socket, a certificate of the test's own, and the session's cookie behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sluicegate::config::TlsFiles;
use sluicegate::{ConfigText, Gateway, Options, Secret};
use sluicegate_server::{Settings, block_on, serve, tls};

const MASTER: &str = "sk-master-0123456789abcdef0123456789abcdef";
const PASSWORD: &str = "walrus teapot octave 93";

/// A certificate for `localhost` and its key, in files.
fn files(folder: &Path, name: &str) -> (TlsFiles, rcgen::Certificate) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let path = |end: &str| folder.join(format!("{name}.{end}")).display().to_string();
    let files = TlsFiles { certificate: path("crt"), key: path("key") };
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    (files, cert)
}

/// One exchange over TLS, as text.
fn ask(address: SocketAddr, config: &Arc<ClientConfig>, head: &str, body: &str) -> String {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let length = body.len();
    write!(
        stream,
        "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    // The end may come without a farewell.
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn tls_is_served_and_what_cant_serve_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (files, certificate) = files(folder.path(), "a");
    let (other, _) = self::files(folder.path(), "b");
    let missing = folder.path().join("missing").display().to_string();
    for (wrong, named) in [
        (TlsFiles { certificate: missing.clone(), ..files.clone() }, &missing),
        (TlsFiles { key: missing.clone(), ..files.clone() }, &missing),
        (TlsFiles { certificate: files.key.clone(), ..files.clone() }, &files.key),
        (TlsFiles { key: other.key.clone(), ..files.clone() }, &other.key),
    ] {
        let error = tls::Certificates::open(&wrong).expect_err("it can't serve");
        assert!(error.message().contains(named.as_str()), "{error}");
    }

    let (ready, listens) = mpsc::channel();
    let text =
        format!("version: 1\nserver:\n  tls: {{certificate: {}, key: {}}}\n", files.certificate, files.key);
    std::thread::spawn(move || {
        block_on(async {
            let options = Options {
                config: Some(ConfigText { path: "sluicegate.yaml".to_owned(), text }),
                variables: Arc::new(|_| None),
                master_key: Some(Secret::new(MASTER)),
                demo: true,
                ..Options::default()
            };
            let gateway = Gateway::open(options).await.unwrap();
            let settings = Settings { workers: Some(1), ..Settings::new("127.0.0.1", 0) };
            serve(gateway, settings, |addresses| ready.send(addresses[0]).unwrap()).await.unwrap();
        });
    });
    let address = listens.recv().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());

    let bearer = format!("authorization: Bearer {MASTER}");
    let body = format!(r#"{{"password": "{PASSWORD}"}}"#);
    let made = ask(address, &config, &format!("POST /api/v1/setup HTTP/1.1\r\n{bearer}"), &body);
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let body = format!(r#"{{"login": "admin", "password": "{PASSWORD}"}}"#);
    let signed = ask(address, &config, "POST /api/v1/session HTTP/1.1\r\nx-sluicegate-csrf: 1", &body);
    let cookie =
        signed.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie")).expect(&signed);
    assert!(cookie.contains("__Host-sluicegate_session=") && cookie.contains("Secure"), "{cookie}");
    // Who talks plainly there gets nothing.
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET /health/liveliness HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
}

/// The certificate that a client is shown.
fn shown(certificates: &Arc<tls::Certificates>, trusted: &[&rcgen::Certificate]) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.der().clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let settings = Arc::new(certificates.settings().unwrap());
    let mut server = rustls::ServerConnection::new(settings).unwrap();
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    client.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn certificates_follow_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let (files, first) = files(folder.path(), "a");
    let certificates = tls::Certificates::open(&files).unwrap();
    let both = |second: &rcgen::Certificate| shown(&certificates, &[&first, second]);
    let (others, second) = self::files(folder.path(), "b");
    assert_eq!(both(&second), first.der().to_vec());
    assert!(!certificates.renew().unwrap(), "nothing has changed");
    // Half of a change: the certificate is new and its key isn't there yet.
    std::fs::copy(&others.certificate, &files.certificate).unwrap();
    assert!(certificates.renew().unwrap_err().message().contains(&files.key));
    assert_eq!(both(&second), first.der().to_vec(), "the one in use stays");
    std::fs::copy(&others.key, &files.key).unwrap();
    assert!(certificates.renew().unwrap());
    assert_eq!(both(&second), second.der().to_vec());
    std::fs::remove_file(&files.key).unwrap();
    assert!(certificates.renew().is_err());
    assert_eq!(both(&second), second.der().to_vec());
}
