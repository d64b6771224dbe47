//! The listener for agents: TLS 1.3, one port for sessions and for enrollment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_store::Spool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::ca::Authority;
use crate::clock;
use crate::dispatcher::Handle;
use crate::exit::Chain;
use crate::spawn::Spawner;

mod accept;
mod enroll;
mod incoming;
mod outgoing;
mod pump;
mod tls;
mod websocket;

pub use tls::{TlsError, server_config};

use accept::{Accepted, Place};

/// The most connections at once: each takes about 300 KiB at worst, and a pilot has tens of members.
const MAX_CONNECTIONS: usize = 4096;
/// How long a connection may take from TCP to the WebSocket.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// What every connection needs.
#[derive(Clone)]
pub struct Link {
    /// The state's owner.
    pub handle: Handle,
    /// Where payloads are.
    pub spool: Spool,
    /// How often a session asks for a sign of life.
    pub heartbeat: Duration,
}

/// TLS as agents see it, which changes with the authority.
pub struct Tls {
    names: Vec<String>,
    authority: watch::Receiver<Arc<Authority>>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// With a certificate for `names`.
    pub fn new(names: Vec<String>, authority: watch::Receiver<Arc<Authority>>) -> Result<Self, TlsError> {
        let config = server_config(&authority.borrow(), &names, clock::wall())?;
        Ok(Self { names, authority, acceptor: TlsAcceptor::from(config) })
    }

    /// Waits until the authority has changed, and follows it.
    async fn follow(&mut self) {
        if self.authority.changed().await.is_err() {
            // Nothing decides any more.
            return std::future::pending().await;
        }
        let config = server_config(&self.authority.borrow_and_update(), &self.names, clock::wall());
        match config {
            Ok(config) => self.acceptor = TlsAcceptor::from(config),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the listener goes on with the roots it had: start the controller again");
            }
        }
    }
}

impl Link {
    /// Accepts connections until `stop`.
    pub async fn listen(self, listener: TcpListener, mut tls: Tls, spawner: Spawner, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                () = tls.follow() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of descriptors: asking again at once would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                tracing::warn!(%address, "too many connections: one was turned away");
                continue;
            };
            let (link, acceptor) = (self.clone(), tls.acceptor.clone());
            spawner.spawn(move |stop| async move {
                link.serve(stream, address, &acceptor, stop).await;
                drop(permit);
            });
        }
    }

    async fn serve(self, stream: TcpStream, address: SocketAddr, tls: &TlsAcceptor, stop: CancellationToken) {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = tokio::time::timeout(HANDSHAKE, accept::accept(stream, tls)) => accepted,
        };
        match accepted {
            Ok(Ok(Accepted { socket, place: Place::Session(peer) })) => {
                pump::run(self, *socket, peer, address, stop).await;
            }
            Ok(Ok(Accepted { socket, place: Place::Enrollment(exporter) })) => {
                enroll::run(&self.handle, *socket, exporter).await;
            }
            Ok(Err(error)) => tracing::info!(%address, error = %Chain(&error), "a connection was turned away"),
            Err(_) => tracing::info!(%address, "a connection was turned away: its handshake took too long"),
        }
    }
}
