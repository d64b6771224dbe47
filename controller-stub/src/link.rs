//! The listener for agents: TLS 1.3, one port for sessions and for enrollment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_protocol::plain::Chain;
use postern_protocol::time::UnixMillis;
use postern_protocol::{MemberId, Timestamp};
use postern_store::Spool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::ca::{Authority, SERVER_LIFE};
use crate::clock::{self, Moment};
use crate::dispatcher::Handle;
use crate::door::{Door, Visitor};
use crate::limits::HANDSHAKE;
use crate::space::Space;
use crate::spawn::Spawner;
use crate::telemetry::Hush;

mod accept;
mod enroll;
mod incoming;
mod outgoing;
mod pump;
mod tls;
mod websocket;

pub use enroll::Applicants;
pub use tls::{TlsError, server_config};

use accept::{AcceptError, Accepted, Place};

/// What every connection needs.
#[derive(Clone)]
pub struct Link {
    /// The state's owner.
    pub handle: Handle,
    /// Where payloads are.
    pub spool: Spool,
    /// How much room there is for them.
    pub space: Space,
    /// How often a session asks for a sign of life.
    pub heartbeat: Duration,
    /// How much the log tells of each member.
    pub hush: Arc<Hush<MemberId>>,
    /// How often applicants of one address are told why they are refused.
    pub applicants: Applicants,
}

/// How long a listener whose certificate could not be made goes on with the one it has.
const ANOTHER_TRY: Duration = Duration::from_secs(60 * 60);

/// How often a listener that nobody comes to looks whether the clock on the wall was set.
const LOOK: Duration = Duration::from_secs(60);

/// TLS as agents see it, which changes with the authority and before its certificate runs out.
pub struct Tls {
    names: Vec<String>,
    authority: watch::Receiver<Arc<Authority>>,
    acceptor: TlsAcceptor,
    renewal: Timestamp,
    /// When that was last made, or tried, by the clock on the wall: its certificate is not good before.
    made: UnixMillis,
}

impl Tls {
    /// With a certificate for `names`.
    pub fn new(names: Vec<String>, authority: watch::Receiver<Arc<Authority>>) -> Result<Self, TlsError> {
        let Moment { now, wall } = clock::moment();
        let config = server_config(&authority.borrow(), &names, wall)?;
        Ok(Self { names, authority, acceptor: TlsAcceptor::from(config), renewal: now + SERVER_LIFE / 2, made: wall })
    }

    /// Whether it is time for another certificate, or the clock was wrong when this one was made.
    fn is_due(&self, at: Moment) -> bool {
        at.now >= self.renewal || at.wall < self.made || at.wall > clock::after(self.made, SERVER_LIFE / 2)
    }

    /// Waits until the authority has changed, and follows it, or until the certificate is to be renewed.
    async fn follow(&mut self) {
        while !self.is_due(clock::moment()) {
            tokio::select! {
                changed = self.authority.changed() => match changed {
                    Ok(()) => break,
                    // Nothing decides any more.
                    Err(_) => return std::future::pending().await,
                },
                () = tokio::time::sleep(LOOK) => (),
            }
        }
        let Moment { now, wall } = clock::moment();
        self.made = wall;
        let config = server_config(&self.authority.borrow_and_update(), &self.names, wall);
        match config {
            Ok(config) => {
                self.acceptor = TlsAcceptor::from(config);
                self.renewal = now + SERVER_LIFE / 2;
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the listener goes on with the certificate and roots it had, and tries again in an hour");
                self.renewal = now + ANOTHER_TRY;
            }
        }
    }
}

impl Link {
    /// Accepts connections until `stop`.
    pub async fn listen(
        self,
        listener: TcpListener,
        mut tls: Tls,
        door: Door,
        spawner: Spawner,
        stop: CancellationToken,
    ) {
        loop {
            let (stream, address, visitor) = tokio::select! {
                // Who comes after the roots have changed meets the new ones.
                biased;
                () = stop.cancelled() => return,
                () = tls.follow() => continue,
                accepted = door.accept(&listener) => accepted,
            };
            let (link, acceptor, visitor) = (self.clone(), tls.acceptor.clone(), Arc::new(visitor));
            spawner.spawn(move |stop| async move { link.serve(stream, address, &acceptor, visitor, stop).await });
        }
    }

    async fn serve(
        self,
        stream: TcpStream,
        address: SocketAddr,
        tls: &TlsAcceptor,
        visitor: Arc<Visitor>,
        stop: CancellationToken,
    ) {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            () = visitor.turned_out() => return turned_out(&visitor, address),
            accepted = handshake(stream, tls) => accepted,
        };
        match accepted {
            Ok(Ok(Accepted { socket, place: Place::Session(peer) })) => {
                pump::run(self, *socket, peer, address, visitor, stop).await;
            }
            Ok(Ok(Accepted { socket, place: Place::Enrollment(exporter) })) => tokio::select! {
                () = visitor.turned_out() => turned_out(&visitor, address),
                () = enroll::run(&self, *socket, address.ip(), &visitor, exporter) => (),
            },
            Ok(Err(error)) if visitor.may_be_told() => {
                tracing::info!(%address, error = %Chain(&error), "a connection was turned away");
            }
            Err(_) if visitor.may_be_told() => {
                tracing::info!(%address, "a connection was turned away: its handshake took too long");
            }
            Ok(Err(_)) | Err(_) => (),
        }
    }
}

async fn handshake(stream: TcpStream, tls: &TlsAcceptor) -> Result<Result<Accepted, AcceptError>, Elapsed> {
    tokio::time::timeout(HANDSHAKE, accept::accept(stream, tls)).await
}

fn turned_out(visitor: &Visitor, address: SocketAddr) {
    if visitor.may_be_told() {
        tracing::warn!(%address, "a connection was turned away: of too many handshakes it was under way for longest");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Wait for the authority alone, and a controller that runs for as long as its certificate is good lets nobody in.
    #[tokio::test(start_paused = true)]
    async fn the_listeners_certificate_is_renewed_at_half_of_its_life() {
        let folder = tempfile::tempdir().unwrap();
        let authority = watch::Sender::new(Arc::new(Authority::open(folder.path(), clock::wall()).unwrap()));
        let mut tls = Tls::new(vec!["localhost".to_owned()], authority.subscribe()).unwrap();
        let first = Arc::clone(tls.acceptor.config());
        let soon = SERVER_LIFE / 3;
        assert!(tokio::time::timeout(ANOTHER_TRY, tls.follow()).await.is_err());
        assert!(tls.renewal > clock::now() + soon);
        assert!(Arc::ptr_eq(&first, tls.acceptor.config()));

        tls.renewal = clock::now();
        tokio::time::timeout(ANOTHER_TRY, tls.follow()).await.expect("it is renewed");
        assert!(!Arc::ptr_eq(&first, tls.acceptor.config()));
        assert!(tls.renewal > clock::now() + soon);
    }

    /// Go by the clock alone that never goes back, and whoever starts before its time was set lets nobody in until it is restarted.
    #[tokio::test(start_paused = true)]
    async fn the_listeners_certificate_is_made_again_when_the_time_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let authority = watch::Sender::new(Arc::new(Authority::open(folder.path(), clock::wall()).unwrap()));
        let hours = |count: u32| Duration::from_secs(60 * 60) * count;
        let (ahead, behind) = (clock::after(clock::wall(), hours(8)), clock::before(clock::wall(), hours(398 * 24)));
        for wrong in [ahead, behind] {
            let mut tls = Tls::new(vec!["localhost".to_owned()], authority.subscribe()).unwrap();
            let first = Arc::clone(tls.acceptor.config());
            tls.made = wrong;
            tokio::time::timeout(2 * LOOK, tls.follow()).await.expect("it is made again");
            assert!(!Arc::ptr_eq(&first, tls.acceptor.config()));
            assert!(tokio::time::timeout(ANOTHER_TRY, tls.follow()).await.is_err(), "once");
        }
    }

    /// Take the time-out away, and a stranger keeps its place for ever.
    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_does_not_go_on_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), clock::wall()).unwrap();
        let tls = TlsAcceptor::from(server_config(&authority, &["localhost".to_owned()], clock::wall()).unwrap());
        for begun in [&b""[..], &[22, 3, 1, 2, 0, 1, 0]] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            stranger.write_all(begun).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let began = tokio::time::Instant::now();
            let ended = tokio::time::timeout(4 * HANDSHAKE, handshake(stream, &tls)).await;
            assert!(ended.expect("it is not waited for for ever").is_err(), "{begun:?}");
            // The clock counts whole milliseconds.
            assert_eq!(began.elapsed().as_secs(), HANDSHAKE.as_secs(), "{begun:?}");
        }
    }
}
