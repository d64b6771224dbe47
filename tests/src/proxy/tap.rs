//! A tap on the line between an agent and its controller: TLS ends here with the keys of both, so that their frames can
//! be watched and kept back.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postern_controller_stub::ca::Authority;
use postern_controller_stub::clock;
use postern_protocol::message::{FromController, FromMember};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::door::Door;
use crate::lab::Controller;

/// A frame that passes.
#[derive(Debug)]
pub enum Passing {
    /// From the agent to the controller, in so many bytes.
    Up(FromMember, usize),
    /// From the controller to the agent, in so many bytes.
    Down(FromController, usize),
}

/// Says of every frame whether it may pass.
type Judge = Arc<dyn Fn(&Passing) -> bool + Send + Sync>;

/// A tap. It ends, with every connection, when it is dropped.
pub struct Tap {
    door: Door,
    cuts: watch::Sender<()>,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

#[derive(Clone)]
struct Ends {
    controller: SocketAddr,
    data: PathBuf,
    /// The agent's folder, which has its identity once it is enrolled.
    agent: PathBuf,
}

impl Tap {
    /// Opens a tap between the controller and the agent in this folder. Whatever `judge` does not let pass is lost.
    pub async fn open(
        controller: &Controller,
        agent: &Path,
        judge: impl Fn(&Passing) -> bool + Send + Sync + 'static,
    ) -> Self {
        let ends =
            Ends { controller: controller.address(), data: controller.data().to_owned(), agent: agent.to_owned() };
        let judge: Judge = Arc::new(judge);
        let cuts = watch::Sender::new(());
        let of_connections = cuts.clone();
        let door = Door::open(move |stream| {
            let (ends, judge, mut cut) = (ends.clone(), Arc::clone(&judge), of_connections.subscribe());
            async move {
                tokio::select! {
                    // Nothing passes any more once it is to end.
                    biased;
                    _ = cut.changed() => (),
                    _ = ends.serve(stream, judge) => (),
                }
            }
        })
        .await;
        Self { door, cuts }
    }

    /// The controller's URL by way of this tap.
    pub fn url(&self) -> String {
        format!("wss://{}", self.door.address())
    }

    /// Ends every connection there is.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}

impl Ends {
    async fn serve(&self, agent: TcpStream, judge: Judge) -> io::Result<()> {
        let agent = self.as_controller()?.accept(agent).await?;
        let controller = TcpStream::connect(self.controller).await?;
        controller.set_nodelay(true)?;
        let name = ServerName::from(self.controller.ip());
        let controller = self.as_agent()?.connect(name, controller).await?;
        let (from_agent, to_agent) = tokio::io::split(agent);
        let (from_controller, to_controller) = tokio::io::split(controller);
        let up = Arc::clone(&judge);
        let up = move |frame: &[u8]| FromMember::decode(frame).is_ok_and(|it| up(&Passing::Up(it, frame.len())));
        let down =
            move |frame: &[u8]| FromController::decode(frame).is_ok_and(|it| judge(&Passing::Down(it, frame.len())));
        // The end of one direction is the end of both.
        tokio::select! {
            ended = carry(from_agent, to_controller, up) => ended,
            ended = carry(from_controller, to_agent, down) => ended,
        }
    }

    /// TLS as the controller speaks it.
    fn as_controller(&self) -> io::Result<TlsAcceptor> {
        let authority = Authority::open(&self.data, clock::wall()).map_err(io::Error::other)?;
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let identity = authority.issue_server(&names, clock::wall()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots(authority.signing().certificate().clone())?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
            .with_single_cert(identity.chain, identity.key)
            .map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// TLS as the agent speaks it.
    fn as_agent(&self) -> io::Result<TlsConnector> {
        let identity = self.agent.join("state/identity");
        let ca = std::fs::read(identity.join("roots.pem"))?;
        let ca = CertificateDer::from_pem_slice(&ca).map_err(io::Error::other)?;
        let current = std::fs::read(identity.join("current.pem"))?;
        let key = PrivateKeyDer::from_pem_slice(&current).map_err(io::Error::other)?;
        let certificate = CertificateDer::from_pem_slice(&current).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .with_root_certificates(roots(ca)?)
            .with_client_auth_cert(vec![certificate], key)
            .map_err(io::Error::other)?;
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn roots(root: CertificateDer<'static>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(root).map_err(io::Error::other)?;
    Ok(roots)
}

/// Carries one direction of a WebSocket: the upgrade as it is, then every message that may pass. Neither side makes
/// fragments or extensions.
async fn carry(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    may_pass: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
    const BINARY: u8 = 0x82;
    let mut from = BufReader::new(from);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    to.write_all(&head).await?;
    loop {
        to.flush().await?;
        let (kind, size) = (from.read_u8().await?, from.read_u8().await?);
        let mut message = vec![kind, size];
        let length = match size & 0x7f {
            126 => {
                let length = from.read_u16().await?;
                message.extend(length.to_be_bytes());
                u64::from(length)
            }
            127 => {
                let length = from.read_u64().await?;
                message.extend(length.to_be_bytes());
                length
            }
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        if size & 0x80 != 0 {
            from.read_exact(&mut mask).await?;
            message.extend(mask);
        }
        let mut payload = Vec::new();
        (&mut from).take(length).read_to_end(&mut payload).await?;
        message.extend(&payload);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        if kind != BINARY || may_pass(&payload) {
            to.write_all(&message).await?;
        }
    }
}
