//! A member made of nothing but the protocol crate, TLS and a WebSocket.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use postern_controller_stub::ca::peer::Peer;
use postern_controller_stub::{clock, random};
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::enrollment::v1::{Enroll, EnrollRefused, Enrolled, Recover};
use postern_protocol::enrollment::{self, EnrollmentToken, FromApplicant, FromAuthority, Request};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{
    Accept, AnnouncedKey, Connection, Credit, Held, HeldState, HeldTask, Hello, Inventory, LeaseRef, LogLevel, Offer,
    Report, ServedSystem, Started, Welcome,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::{SealedOutput, SealingKey, SealingPublicKey};
use postern_protocol::session::member::Event;
use postern_protocol::session::{self, Ended, MemberSession};
use postern_protocol::{Epoch, MemberId, Outcome, ReportNo, SessionNo, TaskId, TaskKind};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::lab::{Lab, PATIENCE};

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// What a member keeps on its disk.
pub(crate) struct Identity {
    pub(crate) member: MemberId,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) sealing: SealingKey,
    /// The roots it trusts.
    pub(crate) trusts: Vec<Vec<u8>>,
    pub(crate) incarnation: Incarnation,
    pub(crate) last_session: SessionNo,
    pub(crate) next_report: u64,
}

/// What an applicant makes up before it asks.
pub(crate) struct Application {
    pub(crate) key: KeyPair,
    pub(crate) csr: Vec<u8>,
    pub(crate) sealing: SealingKey,
    pub(crate) incarnation: Incarnation,
}

impl Application {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let sealing = SealingKey::from_random(&random::secret());
        Self { key, csr, sealing, incarnation: Incarnation::from_bytes(random::bytes()) }
    }

    pub(crate) async fn send(&self, lab: &Lab, token: &EnrollmentToken) -> Result<Enrolled, EnrollRefused> {
        self.send_with(lab, token, *self.sealing.public()).await
    }

    /// The same with any bytes for a sealing key.
    pub(crate) async fn send_with(
        &self,
        lab: &Lab,
        token: &EnrollmentToken,
        sealing_key: SealingPublicKey,
    ) -> Result<Enrolled, EnrollRefused> {
        let mut socket = connect(lab, enrollment::PATH, Some(enrollment::SUBPROTOCOL), None).await.unwrap();
        let exporter =
            socket.get_ref().get_ref().1.export_keying_material([0; 32], enrollment::EXPORTER_LABEL, None).unwrap();
        let request = Request { incarnation: self.incarnation, sealing_key: &sealing_key, csr: &self.csr };
        let enroll = Enroll {
            token: token.id,
            incarnation: self.incarnation,
            host: Text::new("lab").unwrap(),
            agent_version: Text::new("0.0.0").unwrap(),
            sealing_key,
            csr: Bytes::new(self.csr.clone()).unwrap(),
            proof: token.key.prove(&exporter, &request),
        };
        ask(&mut socket, enroll).await
    }
}

/// Asks on the enrollment path.
async fn ask(socket: &mut Socket, question: impl Into<FromApplicant>) -> Result<Enrolled, EnrollRefused> {
    let frame = question.into().encode().unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    let Some(Ok(Message::Binary(answer))) = socket.next().await else { panic!("no answer") };
    match FromAuthority::decode(&answer).unwrap() {
        FromAuthority::Enrolled(enrolled) => Ok(enrolled),
        FromAuthority::EnrollRefused(refused) => Err(refused),
    }
}

impl Identity {
    pub(crate) async fn enroll(lab: &Lab, token: &EnrollmentToken) -> Result<Self, EnrollRefused> {
        let application = Application::new();
        let enrolled = application.send(lab, token).await?;
        Ok(Self {
            member: enrolled.member,
            certificate: enrolled.certificate.into_vec(),
            key: application.key.serialize_der(),
            sealing: application.sealing,
            trusts: enrolled.trust.roots.iter().map(|it| it.to_vec()).collect(),
            incarnation: application.incarnation,
            last_session: SessionNo(0),
            next_report: 1,
        })
    }

    /// The same member with another key and its certificate.
    pub(crate) fn with(&self, application: &Application, certificate: &[u8]) -> Self {
        let (certificate, key) = (certificate.to_vec(), application.key.serialize_der());
        Self { certificate, key, sealing: self.sealing.clone(), trusts: self.trusts.clone(), ..*self }
    }

    /// Asks for the next certificate by proof of the present one's key, for a channel with `exporter` or its own.
    pub(crate) async fn recover(
        &self,
        lab: &Lab,
        application: &Application,
        exporter: Option<[u8; 32]>,
    ) -> Result<Enrolled, EnrollRefused> {
        let place = (enrollment::PATH, Some(enrollment::SUBPROTOCOL));
        let mut socket = connect_trusting(lab, &self.trusts, place, None).await.unwrap();
        let own = socket.get_ref().get_ref().1.export_keying_material([0; 32], enrollment::EXPORTER_LABEL, None);
        let certificate = CertificateDer::from(self.certificate.clone());
        let serial = Peer::from_certificate(&certificate).unwrap().serial;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(self.key.as_slice()),
            &PKCS_ECDSA_P256_SHA256,
        )
        .unwrap();
        let statement = enrollment::recovery_statement(
            &exporter.unwrap_or(own.unwrap()),
            self.sealing.public(),
            &serial,
            &application.csr,
        );
        let recover = Recover {
            member: self.member,
            serial: Bytes::new(serial).unwrap(),
            sealing_key: *self.sealing.public(),
            csr: Bytes::new(application.csr.clone()).unwrap(),
            proof: Bytes::new(key.sign(&statement).unwrap()).unwrap(),
        };
        ask(&mut socket, recover).await
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            agent_version: Text::new("0.0.0").unwrap(),
            host: Text::new("lab").unwrap(),
            incarnation: self.incarnation,
            last_session: self.last_session,
            revisions: List::new(FromMember::REVISIONS.to_vec()).unwrap(),
            systems: List::new(vec![ServedSystem {
                name: "sf".parse().unwrap(),
                connector: Text::new("salesforce").unwrap(),
                kinds: List::new(TaskKind::ALL.iter().map(|kind| (*kind).into()).collect()).unwrap(),
                connection: Connection {
                    domain: Text::new("acme.my.salesforce.com").unwrap(),
                    login_method: Text::new("oauth-jwt").unwrap(),
                    secure: true,
                    compression: true,
                    connect_timeout_secs: 30,
                    log_level: LogLevel::Info.into(),
                },
            }])
            .unwrap(),
            sealing_keys: List::new(vec![AnnouncedKey {
                id: self.sealing.public().id(),
                public: *self.sealing.public(),
            }])
            .unwrap(),
            next_report: ReportNo(self.next_report),
            held: Held::default(),
            ext: List::default(),
        }
    }
}

/// Connects to a place, with or without a certificate.
pub(crate) async fn connect(
    lab: &Lab,
    path: &str,
    subprotocol: Option<&str>,
    identity: Option<&Identity>,
) -> Result<Socket, Error> {
    let trusts = identity.map_or_else(|| lab.roots(), |it| it.trusts.clone());
    connect_trusting(lab, &trusts, (path, subprotocol), identity).await
}

async fn connect_trusting(
    lab: &Lab,
    trusts: &[Vec<u8>],
    (path, subprotocol): (&str, Option<&str>),
    identity: Option<&Identity>,
) -> Result<Socket, Error> {
    let mut roots = RootCertStore::empty();
    for root in trusts {
        roots.add(CertificateDer::from(root.clone())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from(identity.certificate.clone())],
                PrivatePkcs8KeyDer::from(identity.key.clone()).into(),
            )
            .unwrap(),
    };
    let tcp = TcpStream::connect(lab.listener()).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let mut request = format!("wss://localhost{path}").into_client_request()?;
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
    }
    client_async(request, tls).await.map(|(socket, _)| socket)
}

/// A member in a session.
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) machine: MemberSession,
    pub(crate) welcome: Option<Welcome>,
}

impl Session {
    /// A session up to `Confirm`, with an empty inventory and credit for many offers. The controller has heard all of it, so
    /// that the member has its share of what is submitted from here on.
    pub(crate) async fn open(lab: &Lab, identity: &Identity) -> Self {
        let session = Box::pin(Self::open_holding(lab, identity, &[])).await;
        lab.wait_for("the credit", async || (lab.member(identity.member).await.room > 0).then_some(())).await;
        session
    }

    /// A session of a member that holds these tasks.
    pub(crate) async fn open_holding(lab: &Lab, identity: &Identity, held: &[(TaskId, Epoch, HeldState)]) -> Self {
        let mut session = Self::greet(lab, identity.hello(), identity).await.unwrap();
        session.answer_inventory(held).await;
        session.send(Credit { offers: 1_000 }).await;
        session
    }

    /// A session up to `Confirm`.
    pub(crate) async fn greet(lab: &Lab, hello: Hello, identity: &Identity) -> Result<Self, Ended> {
        let mut session = Self::welcomed(lab, hello, identity).await?;
        session.machine.handle_durable();
        session.flush().await;
        Ok(session)
    }

    /// A session up to `Welcome`, not confirmed.
    pub(crate) async fn welcomed(lab: &Lab, hello: Hello, identity: &Identity) -> Result<Self, Ended> {
        let socket = connect(lab, session::PATH, Some(session::SUBPROTOCOL), Some(identity)).await.unwrap();
        Self::welcomed_over(socket, identity.member, hello).await
    }

    /// The same over a connection that was opened before.
    pub(crate) async fn welcomed_over(socket: Socket, member: MemberId, hello: Hello) -> Result<Self, Ended> {
        let mut session = Self { socket, machine: MemberSession::new(member, hello, clock::now()), welcome: None };
        session.flush().await;
        while session.welcome.is_none() {
            session.read().await;
            match session.machine.poll_event() {
                Some(Event::Welcomed(welcome)) => session.welcome = Some(*welcome),
                Some(Event::Ended(why)) => return Err(why),
                other => assert_eq!(other, None),
            }
        }
        Ok(session)
    }

    pub(crate) fn number(&self) -> SessionNo {
        self.welcome.as_ref().unwrap().session
    }

    pub(crate) async fn answer_inventory(&mut self, held: &[(TaskId, Epoch, HeldState)]) {
        let ask = loop {
            match self.next().await {
                FromController::InventoryAsk(ask) => break ask,
                // Behind a ledger that was put back, every member is told the roots anew.
                FromController::TrustBundle(_) => (),
                other => panic!("{other:?} in place of an InventoryAsk"),
            }
        };
        let tasks = held
            .iter()
            .map(|(task, epoch, state)| HeldTask {
                lease: LeaseRef { task: *task, epoch: *epoch },
                state: (*state).into(),
            })
            .collect();
        self.send(Inventory { nonce: ask.nonce, last: true, tasks: List::new(tasks).unwrap() }).await;
    }

    async fn flush(&mut self) {
        while let Some(frame) = self.machine.poll_transmit() {
            self.socket.send(Message::Binary(frame.encode().unwrap().into())).await.unwrap();
        }
    }

    pub(crate) async fn send(&mut self, frame: impl Into<FromMember>) {
        let bytes = frame.into().encode().unwrap();
        self.send_raw(bytes).await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    pub(crate) async fn socket_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn read(&mut self) {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the controller is silent");
        let Some(Ok(Message::Binary(bytes))) = message else { panic!("not a frame: {message:?}") };
        self.machine.handle_message(FromController::decode(&bytes).unwrap(), clock::now());
        self.flush().await;
    }

    /// The next frame about work.
    pub(crate) async fn next(&mut self) -> FromController {
        let next = async {
            loop {
                match self.machine.poll_event() {
                    Some(Event::Message(frame)) => return *frame,
                    Some(other) => panic!("not a frame about work: {other:?}"),
                    None => self.read().await,
                }
            }
        };
        // Signs of life are no frames about work.
        tokio::time::timeout(PATIENCE, next).await.expect("the controller says nothing about work")
    }

    /// Why the session ends; frames about work before that do not matter.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = async {
            loop {
                match self.machine.poll_event() {
                    Some(Event::Ended(why)) => return why,
                    Some(_) => (),
                    None => self.read().await,
                }
            }
        };
        // Signs of life are no end.
        tokio::time::timeout(PATIENCE, ended).await.expect("the session does not end")
    }

    /// The next frame about work that is no offer.
    pub(crate) async fn next_but_offers(&mut self) -> FromController {
        loop {
            match self.next().await {
                FromController::Offer(_) => (),
                other => return other,
            }
        }
    }

    pub(crate) async fn offer(&mut self) -> Offer {
        match self.next().await {
            FromController::Offer(offer) => offer,
            other => panic!("not an offer: {other:?}"),
        }
    }

    pub(crate) async fn accept(&mut self, offer: &Offer) {
        self.send(Accept { task: offer.task, epoch: offer.epoch }).await;
    }

    pub(crate) async fn start(&mut self, offer: &Offer) {
        self.send(Started { task: offer.task, epoch: offer.epoch, attempt: offer.attempt }).await;
    }

    pub(crate) async fn acked(&mut self) -> u64 {
        match self.next().await {
            FromController::ReportAck(ack) => ack.upto.0,
            other => panic!("not an acknowledgement: {other:?}"),
        }
    }
}

/// The report of a success.
pub(crate) fn succeeded(number: u64, offer: &Offer) -> Report {
    Report {
        number: ReportNo(number),
        task: offer.task,
        epoch: offer.epoch,
        attempt: offer.attempt,
        outcome: Outcome::Succeeded.into(),
        certainty: Certainty::Certain.into(),
        changed: Changed::Yes.into(),
        failure: None,
        output: Bytes::default(),
        sealed: List::default(),
        streams: List::default(),
        ext: List::default(),
    }
}

/// The same report with a secret of its own, sealed to whoever asked.
pub(crate) fn with_sealed_output(report: Report) -> Report {
    let sealed =
        SealedOutput { name: Text::clipped("password"), enc: [1; 32], ciphertext: Bytes::new(vec![2; 32]).unwrap() };
    Report { sealed: List::new(vec![sealed]).unwrap(), ..report }
}
