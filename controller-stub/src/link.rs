//! The listener for agents: TLS 1.3, one port for sessions and for enrollment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_store::Spool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

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

pub use enroll::Applicants;
pub use tls::server_config;

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
    /// TLS as agents see it.
    pub tls: TlsAcceptor,
    /// How often applicants of one address may ask.
    pub applicants: Applicants,
}

impl Link {
    /// Accepts connections until `stop`.
    pub async fn listen(self, listener: TcpListener, spawner: Spawner, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
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
            let link = self.clone();
            spawner.spawn(move |stop| async move {
                link.serve(stream, address, stop).await;
                drop(permit);
            });
        }
    }

    async fn serve(self, stream: TcpStream, address: SocketAddr, stop: CancellationToken) {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = tokio::time::timeout(HANDSHAKE, accept::accept(stream, &self.tls)) => accepted,
        };
        match accepted {
            Ok(Ok(Accepted { socket, place: Place::Session(peer) })) => {
                pump::run(self, *socket, peer, address, stop).await;
            }
            Ok(Ok(Accepted { socket, place: Place::Enrollment(exporter) })) => {
                enroll::run(&self.handle, &self.applicants, *socket, address.ip(), exporter).await;
            }
            Ok(Err(error)) => tracing::info!(%address, error = %Chain(&error), "a connection was turned away"),
            Err(_) => tracing::info!(%address, "a connection was turned away: its handshake took too long"),
        }
    }
}
