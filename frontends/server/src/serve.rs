//! Listening, and stopping without cutting anybody off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use sluicegate::tenant::IpNetwork;
use sluicegate::{Error, ErrorKind, Gateway, Result};

use crate::cross_origin::CrossOrigin;
use crate::routes;
use crate::state::State;
use crate::tls;

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address, or a name that resolves to some.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Worker threads; default one for each core that the process may use.
    pub workers: Option<usize>,
    /// How long streams may take to finish once the process is asked to stop. Default 30 s.
    pub shutdown_s: u64,
}

impl Settings {
    /// These, with one worker for each core and 30 s to stop.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, workers: None, shutdown_s: 30 }
    }
}

/// A connection without a request is kept open for so long: longer than the load balancers in front of it do.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A request's head must be there after so long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A TLS handshake must be done after so long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that one worker holds at the same time.
const CONNECTIONS_MAX: usize = 25_000;
/// Threads of one worker for what would block it, such as unpacking bodies. They come and go as needed.
const BLOCKING_THREADS_MAX: usize = 16;

/// Runs a future on a system of its own: what [`serve`] must be called in, for hosts that have none.
pub fn block_on<F: std::future::Future>(future: F) -> F::Output {
    actix_web::rt::System::new().block_on(future)
}

/// Serves until the process is asked to stop (SIGTERM or SIGINT), then lets streams finish and closes the gateway, so that
/// its records are written. `ready` is told where it listens.
///
/// Call it inside an `actix_web::rt::System`.
///
/// # Errors
/// `Config` when the address can't be listened on.
pub async fn serve(gateway: Gateway, settings: Settings, ready: impl FnOnce(&[SocketAddr])) -> Result<()> {
    let body_limit = usize::try_from(gateway.host().body_limit_bytes).unwrap_or(usize::MAX);
    let trusted: Arc<[IpNetwork]> = gateway.host().trusted_proxies.clone().into();
    let origins: Arc<[String]> = gateway.host().cors_origins().into_iter().map(str::to_owned).collect();
    let certificates = gateway.host().tls.as_ref().map(tls::Certificates::open).transpose()?;
    let secure = certificates.as_ref().map(|it| it.settings()).transpose()?;
    let on_worker = gateway.clone();
    let server = HttpServer::new(move || {
        let state = State {
            worker: on_worker.worker(),
            gateway: on_worker.clone(),
            body_limit,
            trusted_proxies: Arc::clone(&trusted),
        };
        App::new()
            .wrap(CrossOrigin::new(&origins))
            .app_data(web::Data::new(state))
            .configure(routes::configure)
    })
    .workers(settings.workers.unwrap_or_else(cores))
    .worker_max_blocking_threads(BLOCKING_THREADS_MAX)
    .max_connections(CONNECTIONS_MAX)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    // Who closes their end has left: their call is cancelled and settled, not finished for nobody.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .shutdown_timeout(settings.shutdown_s)
    .disable_signals();
    let place = (settings.host.as_str(), settings.port);
    let server = match secure {
        None => server.bind(place),
        // A handshake takes a few round trips; who takes longer holds a place for nothing.
        Some(config) => server.tls_handshake_timeout(HANDSHAKE_TIMEOUT).bind_rustls_0_23(place, config),
    }
    .map_err(|error| cannot_listen(&settings, error))?;
    ready(&server.addrs());
    let server = server.run();
    let stopper = actix_web::rt::spawn(stop_on_signal(server.handle(), settings.shutdown_s));
    let renewer = certificates.map(|it| actix_web::rt::spawn(it.follow()));
    let served = server.await;
    stopper.abort();
    renewer.inspect(|it| it.abort());
    gateway.shutdown().await;
    served.map_err(|error| Error::new(ErrorKind::Internal, "the server stopped").with_source(error))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn cannot_listen(settings: &Settings, error: std::io::Error) -> Error {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => "something else listens there; stop it, or choose another --port",
        std::io::ErrorKind::PermissionDenied => {
            "choose a --port of 1024 or higher, or give the process the right to"
        }
        _ => "choose a --host that this machine has",
    };
    let message = format!("can't listen on `{}:{}`: {error}; {remedy}", settings.host, settings.port);
    Error::new(ErrorKind::Config, message).with_source(error)
}

/// The first signal lets streams finish, the second doesn't.
async fn stop_on_signal(handle: ServerHandle, shutdown_s: u64) {
    signal().await;
    tracing::info!("stopping; streams have {shutdown_s} s to finish");
    actix_web::rt::spawn(handle.stop(true));
    signal().await;
    tracing::info!("stopping at once");
    handle.stop(false).await;
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without a way to be told, nobody tells us.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
