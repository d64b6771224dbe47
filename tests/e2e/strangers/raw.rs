//! A peer made of nothing but the protocol crate, TLS and a WebSocket, with the identity files of an agent.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use postern_controller_stub::ca::Authority;
use postern_protocol::bounded::{List, Text};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{Confirm, Held, Hello};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::time::UnixMillis;
use postern_protocol::{MemberId, ReportNo, SessionNo, session};
use postern_tests::lab::CLUSTER;
use postern_tests::{Agent, Lab};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// What an agent keeps on its disk to be recognized by.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) member: MemberId,
    pub(super) certificate: Vec<u8>,
    key: String,
}

impl Identity {
    /// The identity of an agent that is enrolled.
    pub(super) fn of(agent: &Agent) -> Self {
        let key = std::fs::read_to_string(agent.folder().join("state/identity/current.pem")).unwrap();
        let certificate = CertificateDer::from_pem_slice(key.as_bytes()).unwrap().to_vec();
        Self { member: agent.member().parse().unwrap(), certificate, key }
    }

    fn key(&self) -> KeyPair {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        KeyPair::from_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).unwrap()
    }

    /// The same with a certificate that `authority` made at `at`.
    pub(super) fn with_certificate_of(&self, authority: &Authority, member: MemberId, at: UnixMillis) -> Self {
        let request = CertificateParams::default().serialize_request(&self.key()).unwrap();
        let issued = authority.issue_member(request.der(), &CLUSTER.parse().unwrap(), member, WEEK, at).unwrap();
        Self { certificate: issued.certificate.to_vec(), ..self.clone() }
    }
}

/// Connects to the lab's controller as an agent does, or almost.
pub(super) async fn connect(
    lab: &Lab,
    path: &str,
    subprotocol: Option<&str>,
    identity: Option<&Identity>,
) -> Result<Socket, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(std::fs::read(lab.controller.data().join("ca.der")).unwrap().into()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = vec![CertificateDer::from(identity.certificate.clone())];
            let key = PrivatePkcs8KeyDer::from(identity.key().serialize_der());
            builder.with_client_auth_cert(chain, key.into()).unwrap()
        }
    };
    let stream = TcpStream::connect(lab.controller.address()).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let mut request = format!("wss://{}{path}", lab.controller.address()).into_client_request()?;
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
    }
    client_async(request, stream).await.map(|(socket, _)| socket)
}

/// An introduction of a member that serves nothing, and has a new store every time it is asked.
pub(super) fn hello() -> FromMember {
    let mut incarnation = [0; 16];
    getrandom::fill(&mut incarnation).unwrap();
    Hello {
        agent_version: Text::new("0.0.0").unwrap(),
        host: Text::new("lab").unwrap(),
        incarnation: Incarnation::from_bytes(incarnation),
        last_session: SessionNo(0),
        revisions: List::new(FromMember::REVISIONS.to_vec()).unwrap(),
        systems: List::default(),
        sealing_keys: List::default(),
        next_report: ReportNo(1),
        held: Held::default(),
        ext: List::default(),
    }
    .into()
}

/// A session of that member, past the handshake.
pub(super) async fn session(lab: &Lab, identity: &Identity) -> Socket {
    let mut socket = connect(lab, session::PATH, Some(session::SUBPROTOCOL), Some(identity)).await.unwrap();
    socket.send(Message::Binary(hello().encode().unwrap().into())).await.unwrap();
    let FromController::Welcome(welcome) = read(&mut socket).await else { panic!("not welcome") };
    let confirm = FromMember::from(Confirm { session: welcome.session, member_epoch: welcome.member_epoch });
    socket.send(Message::Binary(confirm.encode().unwrap().into())).await.unwrap();
    let FromController::InventoryAsk(_) = read(&mut socket).await else { panic!("no InventoryAsk") };
    socket
}

async fn read(socket: &mut Socket) -> FromController {
    let message = tokio::time::timeout(std::time::Duration::from_secs(60), socket.next()).await.expect("an answer");
    let Some(Ok(Message::Binary(bytes))) = message else { panic!("not a frame: {message:?}") };
    FromController::decode(&bytes).unwrap()
}

/// What the controller says about the frame it could not take.
pub(super) async fn complaint(socket: &mut Socket) -> String {
    loop {
        if let FromController::ProtocolError(error) = read(socket).await {
            return error.message.to_string();
        }
    }
}
