//! A controller made of nothing but the protocol crate, TLS and a WebSocket, with the authority of a real one.

use futures_util::{SinkExt as _, StreamExt as _};
use postern_controller_stub::ca::Authority;
use postern_controller_stub::clock;
use postern_controller_stub::link::server_config;
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{
    Confirm, Hello, LeaseVerdict, MembershipState, Offer, Pong, Renewed, RenewedLease, Welcome,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::task::test_connection;
use postern_protocol::{Epoch, MemberId, Outcome, ReportNo, TaskId, TaskRequest};
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions, SYSTEM};
use postern_tests::{Agent, Lab};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::programs;

/// Far beyond what anything here takes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// An agent at work for an impostor.
pub(super) struct Stage {
    pub(super) agent: Agent,
    pub(super) authority: Authority,
    listener: TcpListener,
    tls: TlsAcceptor,
    pub(super) lab: Lab,
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::set_with(&[]).await
    }

    /// The same with more options for `serve`.
    pub(super) async fn set_with(serve: &[&'static str]) -> Self {
        let mut stage = Self::with_a_stranger(serve).await;
        stage.agent.enroll(&stage.lab.controller).await;
        stage.agent.spawn();
        stage
    }

    /// A stage whose agent is not enrolled.
    pub(super) async fn with_a_stranger(serve: &[&'static str]) -> Self {
        let controller = ControllerOptions { serve: serve.to_vec(), ..ControllerOptions::default() };
        let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
        let authority = Authority::open(lab.controller.data(), clock::wall()).unwrap();
        let config = server_config(&authority, &["127.0.0.1".to_owned()], clock::wall());
        let tls = TlsAcceptor::from(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let urls = format!("urls = [\"wss://{}\"]", listener.local_addr().unwrap());
        let agent = lab.agent_with("agent", AgentOptions { controller_section: urls, ..AgentOptions::default() });
        Self { agent, authority, listener, tls, lab }
    }

    /// The URL of the impostor.
    pub(super) fn url(&self) -> String {
        format!("wss://{}", self.listener.local_addr().unwrap())
    }

    /// All that the next connection says by its first message: the head of its request, and that message.
    pub(super) async fn first_words(&self) -> (String, Vec<u8>) {
        let mut head = String::new();
        let mut socket = self.accept(|request| head = format!("{request:?}")).await;
        match next(&mut socket).await {
            Some(Ok(Message::Binary(bytes))) => (head, bytes.to_vec()),
            other => panic!("no frame but {other:?}"),
        }
    }

    /// The agent's next connection, up to its `Hello`.
    pub(super) async fn hello(&self) -> (Socket, Hello) {
        let (mut socket, _) = self.connection().await;
        match read(&mut socket).await {
            Some(FromMember::Hello(hello)) => (socket, hello),
            other => panic!("no Hello but {other:?}"),
        }
    }

    /// The agent's next connection, and the certificate it shows.
    pub(super) async fn connection(&self) -> (Socket, Vec<u8>) {
        let socket = self.accept(|_| ()).await;
        let shown = socket.get_ref().get_ref().1.peer_certificates().unwrap()[0].to_vec();
        (socket, shown)
    }

    /// The next connection; `look` sees the head of its request.
    async fn accept(&self, look: impl FnOnce(&Request) + Unpin) -> Socket {
        let (stream, _) =
            tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("the agent dials").unwrap();
        let stream = self.tls.accept(stream).await.unwrap();
        #[allow(clippy::result_large_err, reason = "the callback's type is the library's")]
        let agree = |request: &Request, mut response: Response| {
            look(request);
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, request.headers()[SEC_WEBSOCKET_PROTOCOL].clone());
            Ok(response)
        };
        accept_hdr_async(stream, agree).await.unwrap()
    }

    /// The agent's next session, established.
    pub(super) async fn session(&self) -> Session {
        self.session_with(welcome).await
    }

    /// The same with another welcome.
    pub(super) async fn session_with(&self, welcome: impl FnOnce(&Hello) -> Welcome) -> Session {
        let (socket, hello) = self.hello().await;
        self.welcome(socket, &hello, welcome).await
    }

    /// Welcomes the agent, and waits until it has confirmed.
    pub(super) async fn welcome(
        &self,
        socket: Socket,
        hello: &Hello,
        welcome: impl FnOnce(&Hello) -> Welcome,
    ) -> Session {
        let mut session = Session { socket };
        let member = self.agent.member().parse().unwrap();
        let welcome = Welcome { member, ..welcome(hello) };
        let number = welcome.session;
        session.send(welcome).await;
        let confirmed = |frame: &FromMember| match frame {
            FromMember::Confirm(Confirm { session, .. }) => Some(*session),
            _ => None,
        };
        assert_eq!(session.until(confirmed).await, number);
        session
    }
}

/// A welcome that an enabled member gets, whichever it is.
pub(super) fn welcome(hello: &Hello) -> Welcome {
    Welcome {
        session: hello.last_session.next(),
        member: MemberId::from_bytes([1; 16]),
        state: MembershipState::Enabled.into(),
        member_epoch: Epoch(1),
        hard: false,
        heartbeat_ms: 10_000,
        lease_ttl_ms: 60_000,
        acked_report: ReportNo(hello.next_report.0 - 1),
        observed_address: Text::default(),
        controller_version: Text::default(),
        revisions: List::new(FromController::REVISIONS.to_vec()).unwrap(),
        ext: List::default(),
    }
}

/// A task that every agent can do.
pub(super) fn offer(number: u8) -> Offer {
    let request = TaskRequest::TestConnection(test_connection::Request {});
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    let offer = Offer::new(TaskId::from_bytes([number; 16]), SYSTEM.parse().unwrap(), &request, params);
    Offer { epoch: Epoch(1), lease_ttl_ms: 60_000, attempt: 1, ..offer }
}

/// A frame's header with this tag before this body.
pub(super) fn frame(tag: u16, body: &[u8]) -> Message {
    let length = u32::try_from(body.len()).unwrap();
    let header = [&tag.to_le_bytes()[..], &1_u16.to_le_bytes(), &length.to_le_bytes()].concat();
    Message::Binary([&header[..], body].concat().into())
}

/// A session with the agent.
pub(super) struct Session {
    pub(super) socket: Socket,
}

impl Session {
    pub(super) async fn send(&mut self, frame: impl Into<FromController>) {
        self.socket.send(Message::Binary(frame.into().encode().unwrap().into())).await.unwrap();
    }

    /// Reads until `wanted` finds what it looks for, and answers what an agent waits for meanwhile.
    pub(super) async fn until<T>(&mut self, wanted: impl Fn(&FromMember) -> Option<T>) -> T {
        loop {
            let frame = read(&mut self.socket).await.expect("the agent is still there");
            if let Some(found) = wanted(&frame) {
                return found;
            }
            match frame {
                FromMember::Ping(ping) => self.send(Pong { nonce: ping.nonce }).await,
                FromMember::Renew(renew) => {
                    let kept = |lease| RenewedLease { lease, verdict: LeaseVerdict::Kept.into() };
                    let leases = List::new(renew.leases.iter().copied().map(kept).collect()).unwrap();
                    self.send(Renewed { nonce: renew.nonce, ttl_ms: 60_000, leases }).await;
                }
                _ => (),
            }
        }
    }

    /// Waits until the agent has done an offer that was sent.
    pub(super) async fn reported(&mut self, offer: &Offer) {
        let task = offer.task;
        let outcome = |frame: &FromMember| match frame {
            FromMember::Report(report) if report.task == task => Some(report.outcome.known()),
            _ => None,
        };
        assert_eq!(self.until(outcome).await, Some(Outcome::Succeeded));
    }

    /// The agent does a task in this session.
    pub(super) async fn does_a_task(&mut self, number: u8) {
        self.send(offer(number)).await;
        self.reported(&offer(number)).await;
    }

    /// Waits until the agent has ended the session.
    pub(super) async fn left(&mut self) {
        while read(&mut self.socket).await.is_some() {}
    }
}

/// The next frame; `None` when there are no more.
pub(super) async fn read(socket: &mut Socket) -> Option<FromMember> {
    loop {
        match next(socket).await? {
            Ok(Message::Binary(bytes)) => return Some(FromMember::decode(&bytes).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => (),
        }
    }
}

async fn next(socket: &mut Socket) -> Option<Result<Message, Error>> {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("the agent says something or goes")
}
