//! From a URL to a WebSocket: address, proxy, TLS, upgrade.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_protocol::frame::MAX_FRAME;
use postern_protocol::{Secret, enrollment, session};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, http};
use url::Url;

use crate::config::{NO_CONTROLLER_URL, Proxy, SecretError, controller_url};
use crate::member_state::AGAIN;
use crate::redaction::{self, redacted};

/// Addresses of a name that are tried one after the other: those of any controller or proxy. Each of them may be silent for as
/// long as one may take.
pub const MOST_ADDRESSES: u8 = 8;
/// The most bytes a proxy's answer to CONNECT may have before its end is seen.
const MAX_PROXY_HEAD: usize = 8 * 1024;
/// As much of its status line as is repeated.
const MAX_STATUS: usize = 128;
/// Unsent bytes beyond which a peer that does not read is given up.
const MAX_WRITE_BUFFER: usize = 512 * 1024;

/// A WebSocket over TLS.
pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URL is of no use.
    #[error("it is {NO_CONTROLLER_URL}")]
    BadUrl,
    /// The name has no address.
    #[error("the name `{host}` cannot be resolved; check DNS on this host")]
    Resolve {
        /// The name.
        host: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No address answered.
    #[error("cannot connect to {host}:{port}; check that it is up and that outbound connections to it are allowed")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The proxy asks for credentials.
    #[error("the proxy asks for credentials (407); set `username` and `password` of `[controller] proxy`")]
    ProxyCredentials,
    /// The proxy refused.
    #[error("the proxy answered CONNECT with `{status}`; ask its administrator to allow {host}:{port}")]
    ProxyRefused {
        /// Its status line.
        status: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The proxy's answer made no sense.
    #[error("the proxy did not answer CONNECT with HTTP")]
    ProxyNonsense,
    /// TLS failed.
    #[error("TLS with {host} failed")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// TLS ended because of what this agent showed.
    #[error(
        "{host} does not accept this agent's certificate (TLS alert {}): it ran out, the clock of one of the two hosts is \
         wrong, its root is not trusted there any more, or another controller issued it; if both clocks are right and the \
         agent gets no other by proof of its key, {AGAIN}",
        u8::from(*alert)
    )]
    OwnCertificate {
        /// The host.
        host: String,
        /// What it said.
        alert: AlertDescription,
    },
    /// The upgrade was refused.
    #[error("{host} answered the WebSocket upgrade with HTTP {status}: {body}")]
    Upgrade {
        /// The host.
        host: String,
        /// The status.
        status: u16,
        /// The beginning of the answer's text.
        body: String,
    },
    /// The upgrade failed otherwise.
    #[error("the WebSocket upgrade failed")]
    WebSocket(#[source] Box<tungstenite::Error>),
    /// It took too long.
    #[error("no connection to {host} within {} s", after.as_secs())]
    TimedOut {
        /// The host.
        host: String,
        /// How long was waited.
        after: Duration,
    },
}

impl DialError {
    /// Whether the controller does not accept what this agent showed.
    pub const fn is_about_certificate(&self) -> bool {
        matches!(self, Self::OwnCertificate { .. })
    }

    /// Whether the controller, which this agent recognized, says that the certificate it showed is of no use any more: it
    /// has run out, or its root is not trusted there any more.
    pub const fn is_over(&self) -> bool {
        use AlertDescription::{CertificateExpired, DecryptError, UnknownCA};
        matches!(self, Self::OwnCertificate { alert: CertificateExpired | UnknownCA | DecryptError, .. })
    }
}

/// A proxy with its password read.
#[derive(Clone)]
pub struct ProxyRoute {
    /// Its host and port.
    pub at: Destination,
    /// Name and password for Basic authentication.
    pub credentials: Option<(String, Secret)>,
}

impl ProxyRoute {
    /// The proxy of a configuration, with its password read.
    pub fn of(proxy: &Proxy) -> Result<Self, SecretError> {
        let credentials = match (&proxy.username, &proxy.password) {
            (Some(name), Some(password)) => Some((name.clone(), password.read()?)),
            _ => None,
        };
        // A proxy's URL has a host, see `Proxy::problem`.
        let at = Destination::of(&proxy.url).unwrap_or_else(|| Destination { host: String::new(), port: 80 });
        Ok(Self { at, credentials })
    }
}

/// How to reach a controller.
#[derive(Clone)]
pub struct Dialer {
    /// The proxy on the way.
    pub proxy: Option<ProxyRoute>,
    /// The longest that one address may take from TCP to the end of the upgrade.
    pub timeout: Duration,
}

/// A place of a controller's listener.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    path: &'static str,
    subprotocol: &'static str,
}

impl Place {
    /// Where members have their sessions.
    pub const SESSION: Self = Self { path: session::PATH, subprotocol: session::SUBPROTOCOL };
    /// Where applicants ask.
    pub const ENROLLMENT: Self = Self { path: enrollment::PATH, subprotocol: enrollment::SUBPROTOCOL };
}

/// Where a connection is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Destination {
    /// The host and the port of a URL; `None` if it has none.
    pub fn of(url: &Url) -> Option<Self> {
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some(Self { host, port: url.port_or_known_default()? })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The part of a controller's URL that matters.
struct Target {
    url: Url,
    destination: Destination,
}

impl Target {
    fn parse(text: &str) -> Result<Self, DialError> {
        let url = controller_url(text).ok_or(DialError::BadUrl)?;
        let destination = Destination::of(&url).ok_or(DialError::BadUrl)?;
        Ok(Self { url, destination })
    }

    fn at(text: &str, place: Place) -> Result<Self, DialError> {
        let mut target = Self::parse(text)?;
        target.url.set_path(place.path);
        Ok(target)
    }
}

impl Dialer {
    /// Opens a WebSocket at `place` of the controller at `url`, over TLS with the agent's identity or the pinned CA.
    pub async fn dial(&self, tls: &Arc<ClientConfig>, url: &str, place: Place) -> Result<Socket, DialError> {
        let target = Target::at(url, place)?;
        let first = self.proxy.as_ref().map_or(&target.destination, |proxy| &proxy.at);
        let timed_out = |_| DialError::TimedOut { host: first.host.clone(), after: self.timeout };
        let addresses = tokio::time::timeout(self.timeout, resolve(first)).await.map_err(timed_out)??;
        self.dial_each(tls, addresses, &first.host, &target, place.subprotocol).await
    }

    /// Tries one address of `host` after the other: a dead one among good ones must not keep the agent away. The last
    /// failure if none is good.
    async fn dial_each(
        &self,
        tls: &Arc<ClientConfig>,
        addresses: Vec<SocketAddr>,
        host: &str,
        target: &Target,
        subprotocol: &'static str,
    ) -> Result<Socket, DialError> {
        let mut last = Err(no_address(host));
        for address in addresses {
            let attempt = tokio::time::timeout(self.timeout, self.connect(tls, address, target, subprotocol)).await;
            let timed_out = |_| Err(DialError::TimedOut { host: host.to_owned(), after: self.timeout });
            last = attempt.unwrap_or_else(timed_out);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn connect(
        &self,
        tls: &Arc<ClientConfig>,
        address: SocketAddr,
        target: &Target,
        subprotocol: &'static str,
    ) -> Result<Socket, DialError> {
        let mut stream = connect(address).await?;
        if let Some(proxy) = &self.proxy {
            tunnel(&mut stream, proxy, &target.destination).await?;
        }
        let stream = secure(stream, tls, &target.destination).await?;
        Ok(upgrade(stream, target, subprotocol).await?.0)
    }
}

fn no_address(host: &str) -> DialError {
    DialError::Resolve { host: host.to_owned(), source: std::io::Error::other("it has no address") }
}

/// The first step: the addresses of the other side, or of the proxy: one at least and [`MOST_ADDRESSES`] at most, of both families
/// in turn.
pub async fn resolve(name: &Destination) -> Result<Vec<SocketAddr>, DialError> {
    let unresolved = |source| DialError::Resolve { host: name.host.clone(), source };
    let found = tokio::net::lookup_host((name.host.as_str(), name.port)).await.map_err(unresolved)?;
    let found = in_turn(found.collect());
    if found.is_empty() { Err(no_address(&name.host)) } else { Ok(found) }
}

/// The first of these addresses, one of each family in turn: where one is out of order, all of it is.
fn in_turn(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    found.dedup();
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut some, mut others): (VecDeque<_>, VecDeque<_>) =
        found.into_iter().partition(|it| it.is_ipv6() == first_is_v6);
    let mut all = Vec::new();
    while !(some.is_empty() && others.is_empty()) {
        all.extend(some.pop_front());
        all.extend(others.pop_front());
    }
    all.truncate(MOST_ADDRESSES.into());
    all
}

/// The second step: TCP, to the other side or to the proxy.
pub async fn connect(address: SocketAddr) -> Result<TcpStream, DialError> {
    let cannot_connect = |source| DialError::Connect { host: address.ip().to_string(), port: address.port(), source };
    let stream = TcpStream::connect(address).await.map_err(cannot_connect)?;
    stream.set_nodelay(true).map_err(cannot_connect)?;
    Ok(stream)
}

/// The step behind the proxy: TLS.
pub async fn secure(
    stream: TcpStream,
    tls: &Arc<ClientConfig>,
    to: &Destination,
) -> Result<TlsStream<TcpStream>, DialError> {
    let tls_error = |source| DialError::Tls { host: to.host.clone(), source: own_words(source) };
    let name = ServerName::try_from(to.host.clone()).map_err(|_| DialError::BadUrl)?;
    TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(tls_error)
}

/// What this agent's own judges of a certificate said, without what rustls puts before it.
fn own_words(error: std::io::Error) -> std::io::Error {
    match error.get_ref().and_then(|it| it.downcast_ref()) {
        Some(rustls::Error::General(words)) => std::io::Error::other(words.clone()),
        Some(_) | None => error,
    }
}

/// The last step: a WebSocket at `place` of the controller at `url`, over TLS that stands; and what time it is there, if it
/// says so.
pub async fn open(
    stream: TlsStream<TcpStream>,
    url: &str,
    place: Place,
) -> Result<(Socket, Option<String>), DialError> {
    upgrade(stream, &Target::at(url, place)?, place.subprotocol).await
}

/// Asks the proxy for a tunnel (RFC 9110, section 9.3.6).
pub async fn tunnel(stream: &mut TcpStream, proxy: &ProxyRoute, to: &Destination) -> Result<(), DialError> {
    let failed = |source| DialError::Connect { host: proxy.at.host.clone(), port: proxy.at.port, source };
    let mut in_use = Vec::new();
    let mut request = zeroize::Zeroizing::new(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n"));
    if let Some((name, password)) = &proxy.credentials {
        let (basic, both) = redaction::basic_in_use(name, password.expose());
        in_use.extend(both);
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&basic);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let head = read_head(stream).await.map_err(failed)?;
    match ProxyAnswer::of(&head) {
        ProxyAnswer::Open => Ok(()),
        ProxyAnswer::AsksForCredentials => Err(DialError::ProxyCredentials),
        ProxyAnswer::Refused(status) => Err(DialError::ProxyRefused { status, host: to.host.clone(), port: to.port }),
        ProxyAnswer::Nonsense => Err(DialError::ProxyNonsense),
    }
}

/// What a proxy answers to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyAnswer {
    /// What follows goes to the controller.
    Open,
    /// 407.
    AsksForCredentials,
    /// It says no, with this status line.
    Refused(String),
    /// It does not speak HTTP.
    Nonsense,
}

impl ProxyAnswer {
    /// Reads the head of its answer. What is in use is chosen by others, too: were it taken out before, it could take the answer's
    /// meaning along.
    pub fn of(head: &str) -> Self {
        let status = head.lines().next().unwrap_or_default();
        match status.split_whitespace().nth(1).filter(|_| status.starts_with("HTTP/1.")) {
            Some("200") => Self::Open,
            Some("407") => Self::AsksForCredentials,
            Some(_) => Self::Refused(redacted(status).chars().take(MAX_STATUS).collect()),
            None => Self::Nonsense,
        }
    }
}

/// Reads up to the empty line, byte by byte: what follows belongs to TLS.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_PROXY_HEAD {
            return Err(std::io::Error::other("the proxy's answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    target: &Target,
    subprotocol: &'static str,
) -> Result<(WebSocketStream<S>, Option<String>), DialError> {
    let failed = |error| DialError::WebSocket(Box::new(error));
    let mut request = target.url.as_str().into_client_request().map_err(failed)?;
    request.headers_mut().insert(http::header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
        .max_write_buffer_size(MAX_WRITE_BUFFER);
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, response)) => {
            let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
            Ok((socket, date.map(str::to_owned)))
        }
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            // A secret that is cut is not known any more.
            let body: String = redacted(&String::from_utf8_lossy(body)).chars().take(256).collect();
            Err(DialError::Upgrade { host: target.destination.host.clone(), status: response.status().as_u16(), body })
        }
        // In TLS 1.3 a client learns what became of its certificate only when it reads for the first time.
        Err(error) => Err(match certificate_alert(&error) {
            Some(alert) => DialError::OwnCertificate { host: target.destination.host.clone(), alert },
            None => failed(error),
        }),
    }
}

/// The alert with which the other side turned this agent's certificate down, if that is what happened.
fn certificate_alert(error: &tungstenite::Error) -> Option<AlertDescription> {
    let tungstenite::Error::Io(error) = error else { return None };
    let Some(rustls::Error::AlertReceived(alert)) = error.get_ref()?.downcast_ref() else { return None };
    // A signature that does not fit, because another authority has the same name, is a `DecryptError`.
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
    .then_some(*alert)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wss_is_dialled() {
        for bad in [
            "ws://controller.example:7443",
            "https://controller.example",
            "controller.example",
            "wss://",
            "wss://ops:hush@controller.example",
            "ws://ops:hush@controller.example",
        ] {
            let error = Target::parse(bad).err().unwrap().to_string();
            assert!(error.contains("wss://host:port") && !error.contains("hush"), "{bad}: {error}");
        }
        let target = Target::parse("wss://[::1]:7443").unwrap();
        assert_eq!((target.destination.host.as_str(), target.destination.port), ("::1", 7443));
        assert_eq!(target.destination.to_string(), "[::1]:7443");
    }

    /// What comes of a proxy that answers CONNECT so.
    async fn tunnelled(answer: &[u8]) -> Result<(), DialError> {
        tunnelled_with(None, answer).await
    }

    /// The same for a proxy that wants to know who asks.
    async fn tunnelled_with(credentials: Option<(String, Secret)>, answer: &[u8]) -> Result<(), DialError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = Destination { host: "proxy".to_owned(), port: 3128 };
        let proxy = ProxyRoute { at, credentials };
        let to = Destination { host: "controller.example".to_owned(), port: 443 };
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let answers = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // It may be left before all of it is sent.
            let _ = stream.write_all(answer).await;
            stream
        };
        tokio::join!(tunnel(&mut stream, &proxy, &to), answers).0
    }

    /// Try them in the order in which the name service tells them, and where one family is out of order none of the other is
    /// among those that are tried.
    #[test]
    fn of_many_addresses_both_families_are_tried() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 443)).collect()
        };
        let six = ["::1", "::2", "::3", "::4", "::5", "::6", "::7", "::8", "::9"];
        let all = [&six[..], &["192.0.2.1", "192.0.2.2"]].concat();
        let expected = ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3", "::4", "::5", "::6"];
        assert_eq!(in_turn(addresses(&all)), addresses(&expected));
        assert_eq!(in_turn(addresses(&["192.0.2.1", "192.0.2.1", "::1"])), addresses(&["192.0.2.1", "::1"]));
        assert_eq!(in_turn(Vec::new()), []);
    }

    /// Take the bound away, and the agent reads as long as the proxy sends.
    #[tokio::test]
    async fn the_answer_of_a_proxy_is_read_to_its_end_or_to_8_kib() {
        let endless = [&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'y'; MAX_PROXY_HEAD]].concat();
        let Err(DialError::Connect { source, .. }) = tunnelled(&endless).await else { panic!("it has no end") };
        assert!(source.to_string().contains("has no end"), "{source}");
        assert!(matches!(tunnelled(&[b'\n'; MAX_PROXY_HEAD + 1]).await, Err(DialError::Connect { .. })));
        assert!(matches!(tunnelled(b"SSH-2.0-proxy\r\n\r\n").await, Err(DialError::ProxyNonsense)));
        tunnelled(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    }

    /// Look for the password alone, and what is sent of it is told; look after this, and nothing is: the status line is in the
    /// log, in `postern status` and in what `doctor` writes.
    #[tokio::test]
    async fn a_proxy_that_repeats_its_credentials_has_them_told_to_nobody() {
        let credentials = Some(("ops".to_owned(), Secret::new("Proxied-Secret".to_owned())));
        let sent = data_encoding::BASE64.encode(b"ops:Proxied-Secret");
        let answer = format!("HTTP/1.1 403 not for Basic {sent} or Proxied-Secret\r\n\r\n");
        let refused = tunnelled_with(credentials, answer.as_bytes()).await;
        let Err(DialError::ProxyRefused { status, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(status, "HTTP/1.1 403 not for Basic *** or ***");
    }

    /// Take the secrets in use out before, and an org whose session is called like the answer cuts the agent off.
    #[tokio::test]
    async fn what_a_proxy_answers_is_understood_whatever_secret_is_in_use() {
        let _in_use = redaction::in_use(b"HTTP/1.0 200 and through");
        tunnelled(b"HTTP/1.0 200 and through\r\n\r\n").await.unwrap();
    }

    /// Cut first, and the beginning of a secret that the cut falls into is told.
    #[tokio::test]
    async fn a_secret_is_kept_out_of_what_a_controller_answers_wherever_it_is_cut() {
        let target = Target::parse("wss://controller.example").unwrap();
        let _in_use = redaction::in_use(b"Repeated-By-Whoever-Answers");
        for before in [0, 230, 250, 256] {
            let body = format!("{}Repeated-By-Whoever-Answers", "x".repeat(before));
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let head = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n", body.len());
            theirs.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            let upgraded = upgrade(ours, &target, session::SUBPROTOCOL).await;
            let Err(DialError::Upgrade { body, .. }) = upgraded else { panic!("{:?}", upgraded.err()) };
            assert!(body.starts_with(&"x".repeat(before)) && !body.contains('R'), "{body}");
        }
    }

    /// The library's own bounds: 64 KiB, 124 headers.
    #[tokio::test]
    async fn the_head_of_a_controllers_answer_is_read_to_its_end_or_to_64_kib() {
        let target = Target::parse("wss://controller.example").unwrap();
        let begin = "HTTP/1.1 101 Switching Protocols\r\n";
        for head in [format!("{begin}x: {}", "y".repeat(70_000)), format!("{begin}{}\r\n", "a: b\r\n".repeat(200))] {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let answers = async {
                // It may be left before all of it is sent.
                let _ = theirs.write_all(head.as_bytes()).await;
                theirs
            };
            let (upgraded, _) = tokio::join!(upgrade(ours, &target, session::SUBPROTOCOL), answers);
            assert!(matches!(upgraded, Err(DialError::WebSocket(_))), "{:?}", upgraded.err());
        }
    }

    /// F37. Return the first failure from `dial_each`, and the last address is never asked.
    #[tokio::test]
    async fn f37_an_address_that_is_dead_or_silent_does_not_keep_the_agent_from_the_next() {
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // Bound and never listening: connections are refused, and nobody else is given the port.
        let dead = tokio::net::TcpSocket::new_v4().unwrap();
        dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (silent, last) = (listen(), listen());
        let addresses = [dead.local_addr(), silent.local_addr(), last.local_addr()].map(|it| it.unwrap());
        let tls = super::super::tls::for_enrollment([0; 32]);
        let target = Target::parse("wss://controller.example").unwrap();
        let dial = async |timeout, addresses: &[SocketAddr]| {
            let dialer = Dialer { proxy: None, timeout: Duration::from_secs(timeout) };
            dialer.dial_each(&tls, addresses.to_vec(), "controller.example", &target, "postern.v1").await
        };
        let [dead_one, silent_one, last_one] = addresses;

        let dialled = dial(2, &[silent_one, dead_one]).await;
        assert!(matches!(dialled, Err(DialError::Connect { .. })), "the failure of the last: {:?}", dialled.err());
        let hang_up = tokio::task::spawn_blocking(move || drop(last.accept().unwrap()));
        let dialled = dial(60, &[dead_one, last_one]).await;
        assert!(matches!(dialled, Err(DialError::Tls { .. })), "the failure of the last: {:?}", dialled.err());
        hang_up.await.unwrap();
        silent.set_nonblocking(true).unwrap();
        assert!(silent.accept().is_ok(), "it was asked as well");
    }
}
