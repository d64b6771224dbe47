//! HTTPS to connected systems: the one place that builds a client.
//!
//! Every wait and every body is bounded here. What was lost is described by how far it got ([`Hop`]) and by whether
//! the request may have reached the other side ([`Sent`]): the second decides whether it may be repeated.

mod body;
mod connections;
mod lost;
mod roots;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, PROXY_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, StatusCode};
use tokio_util::bytes::Bytes;
use url::Url;

use connections::Connections;
use lost::Way;
pub use lost::{Hop, Lost, Sent};
pub use roots::{Roots, RootsError, SystemRoots};
pub use tree::{TREE_LIMIT, Unread, read as read_json, weighed as weighed_json};

use crate::config::{Proxy, SecretError};
use crate::redaction::{self, InUse};

/// Larger than any answer that is held as a whole; the results of a bulk job take a quarter of it.
pub const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// Larger than any answer in JSON: 2,000 records with 200 attributes each take 12 MiB as text.
pub const JSON_LIMIT: usize = 16 * 1024 * 1024;
/// Much larger than a session, or the page of a gateway in its place.
pub const SIGN_IN_LIMIT: usize = 1024 * 1024;

/// Below what load balancers commonly allow: a connection that the other side closed while idle fails the next
/// request on it.
const IDLE: Duration = Duration::from_secs(20);
/// With HTTP/2 all calls share one connection, and every next one would be put on it after it has died unnoticed.
const PING: Duration = Duration::from_secs(10);
/// How long a call that failed waits for root certificates to be read again: they are a few files.
const READING: Duration = Duration::from_secs(5);

/// How to reach a connected system.
#[derive(Debug, Clone)]
pub struct Options {
    /// The proxy on the way.
    pub proxy: Option<Proxy>,
    /// Who may vouch for the other side.
    pub roots: Roots,
    /// The longest that connecting may take; `None`: only `timeout` bounds it.
    pub connect_timeout: Option<Duration>,
    /// The longest that one request may take from beginning to end.
    pub timeout: Duration,
    /// Whether requests and answers may be compressed.
    pub compression: Compression,
    /// Whether plain HTTP is refused.
    pub encryption: Encryption,
    /// What is spoken over TLS.
    pub version: Version,
}

/// Whether requests and answers may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// They may.
    Allowed,
    /// They may not.
    Off,
}

/// What is spoken over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1 with keep-alive: faster with small requests, and a connection that is cut takes one call along.
    Http1,
    /// HTTP/2 where the other side speaks it, all calls on one connection; else HTTP/1.1.
    Http2,
}

/// Whether plain HTTP is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// HTTPS only.
    Required,
    /// The operator said `insecure_plain_http = true`.
    NotRequired,
}

/// No client can be built.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The proxy's password cannot be read.
    #[error("the proxy's password cannot be read")]
    ProxyPassword(#[source] SecretError),
    /// A file of root certificates cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The HTTP library refused.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// A client for one connected system.
#[derive(Debug, Clone)]
pub struct Http {
    connections: Connections,
    /// Host and port of the proxy.
    proxy: Option<String>,
    compression: Compression,
    /// The password of the proxy, and what is sent of it.
    _in_use: Option<Arc<[InUse; 2]>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Vec<u8>,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Opened {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    way: Way,
    connections: Connections,
}

impl Http {
    /// Builds a client.
    pub fn new(options: &Options) -> Result<Self, HttpError> {
        let (proxy, in_use) = options.proxy.as_ref().map(with_credentials).transpose()?.unzip();
        let connections = Connections::new(options, proxy)?;
        let proxy = options.proxy.as_ref().map(|proxy| lost::place(&proxy.url));
        Ok(Self { connections, proxy, compression: options.compression, _in_use: in_use.flatten().map(Arc::new) })
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.connections.client().request(method, url)
    }

    /// Gives a request its body, compressed if that is allowed and pays.
    pub async fn with_body(&self, request: RequestBuilder, body: Bytes) -> RequestBuilder {
        match self.compression {
            Compression::Allowed => body::compressed(request, body).await,
            Compression::Off => request.body(body),
        }
    }

    /// Sends a request and reads the whole answer, of at most so many bytes.
    pub async fn send(&self, request: RequestBuilder, limit: usize) -> Result<Reply, Lost> {
        self.open(request).await?.whole(limit).await
    }

    /// Sends a request and reads the head of the answer.
    pub async fn open(&self, request: RequestBuilder) -> Result<Opened, Lost> {
        let way = |to| Way { to, by: self.proxy.clone() };
        let request = request.build().map_err(|error| way(String::new()).lost(error))?;
        let way = way(lost::place(request.url()));
        // Only what goes in clear goes through its hands.
        let is_by_proxy = self.proxy.is_some() && request.url().scheme() == "http";
        let mut response = match self.connections.client().execute(request).await {
            Ok(response) => response,
            Err(error) => {
                let lost = way.lost(error);
                if lost.hop == Hop::Tls {
                    let connections = self.connections.clone();
                    let reading = tokio::task::spawn_blocking(move || connections.trust_anew());
                    // Whoever tries again does so with the new ones, unless the disk hangs.
                    drop(tokio::time::timeout(READING, reading).await);
                }
                return Err(lost);
            }
        };
        let status = response.status();
        if is_by_proxy && status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(way.refused_by_proxy(&refusal(response.headers())));
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Opened { status, headers, response, way, connections: self.connections.clone() })
    }
}

impl Opened {
    /// The next piece of the body, decompressed; `None` after the last. A reply that breaks off is as good as none:
    /// whatever was asked for may have been done.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Lost> {
        self.response.chunk().await.map_err(|error| self.way.broke_off(error))
    }

    /// The whole answer, of at most so many bytes once it is decompressed.
    pub async fn whole(mut self, limit: usize) -> Result<Reply, Lost> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > limit {
                return Err(self.way.too_large(limit));
            }
            body.extend_from_slice(&piece);
        }
        // A session that was asked for is used on; a secret that is quoted must not stay in the connection's buffers.
        if !self.status.is_success() && redaction::is_told(&body) {
            self.connections.give_up();
        }
        Ok(Reply { status: self.status, headers: self.headers, body })
    }
}

fn with_credentials(proxy: &Proxy) -> Result<(reqwest::Proxy, Option<[InUse; 2]>), HttpError> {
    let built = reqwest::Proxy::all(proxy.url.clone()).map_err(HttpError::Client)?;
    match (&proxy.username, &proxy.password) {
        (Some(username), Some(password)) => {
            let password = password.read().map_err(HttpError::ProxyPassword)?;
            let (_, in_use) = redaction::basic_in_use(username, password.expose());
            Ok((built.basic_auth(username, password.expose()), Some(in_use)))
        }
        _ => Ok((built, None)),
    }
}

fn refusal(headers: &HeaderMap) -> String {
    let asked_for = headers.get(PROXY_AUTHENTICATE).map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    // A secret that is cut is not known any more.
    let begins = |it: &str| redaction::redacted(it).chars().take(100).collect::<String>();
    let asked_for = asked_for.map(|it| format!(" ({})", begins(&it))).unwrap_or_default();
    format!("the proxy asks for a name and password{asked_for}")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn options() -> Options {
        Options {
            proxy: None,
            roots: Roots { files: Vec::new(), system: SystemRoots::Trusted },
            connect_timeout: Some(Duration::from_secs(5)),
            timeout: Duration::from_secs(10),
            compression: Compression::Allowed,
            encryption: Encryption::NotRequired,
            version: Version::Http1,
        }
    }

    /// Sends one request to a listener that answers with `answer` and hangs up.
    async fn get(answer: &'static [u8], options: Options) -> Result<Reply, Lost> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new(&options).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
        };
        tokio::join!(http.send(http.request(Method::GET, url), BODY_LIMIT), serve).0
    }

    #[tokio::test]
    async fn a_whole_answer_is_read() {
        let reply = get(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno", options()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.as_slice()), (400, &b"no"[..]));
    }

    /// Cut first, and the beginning of a secret that the cut falls into is told.
    #[test]
    fn a_secret_is_kept_out_of_what_a_proxy_asks_for_wherever_it_is_cut() {
        let _in_use = redaction::in_use(b"Repeated-By-A-Proxy");
        for before in 70..110 {
            let asked_for = format!("{}Repeated-By-A-Proxy", "x".repeat(before));
            let headers = HeaderMap::from_iter([(PROXY_AUTHENTICATE, asked_for.parse().unwrap())]);
            let told = refusal(&headers);
            assert!(told.contains("(xxx") && !told.contains('R'), "{told}");
        }
    }

    /// Sends two requests, with a secret in use, to a listener whose first answer is this. How many connections it took.
    async fn connections_after(status: &str, body: &str) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new(&options()).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let serve = async {
            let mut connections = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections += 1;
                let mut request = [0; 1024];
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    if request.starts_with(b"DELETE") {
                        return connections;
                    }
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        };
        let send = async {
            let _in_use = redaction::in_use(b"Quoted-By-The-Other-Side");
            http.send(http.request(Method::GET, url.clone()), BODY_LIMIT).await.unwrap();
            drop(http.send(http.request(Method::DELETE, url), BODY_LIMIT).await);
        };
        let serve = async { tokio::time::timeout(Duration::from_secs(60), serve).await.unwrap() };
        tokio::select! {
            count = serve => count,
            () = async { send.await; std::future::pending().await } => unreachable!(),
        }
    }

    /// Keep the connection, and this fails.
    #[tokio::test]
    async fn a_connection_over_which_a_secret_was_quoted_is_given_up() {
        assert_eq!(connections_after("400 Bad Request", "Quoted-By-The-Other-Side is no good").await, 2);
        assert_eq!(connections_after("400 Bad Request", "it is no good").await, 1);
        assert_eq!(connections_after("200 OK", "Quoted-By-The-Other-Side").await, 1);
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_or_breaks_off_may_hide_an_effect() {
        for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno"] {
            let lost = get(answer, options()).await.unwrap_err();
            assert_eq!((lost.hop, lost.sent), (Hop::Reply, Sent::Perhaps), "{lost}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_had_no_effect() {
        // Bound and never listening: connections are refused, and nobody else is given the port.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = closed.local_addr().unwrap();
        let url: Url = format!("http://{address}/secret-name").parse().unwrap();
        let http = Http::new(&options()).unwrap();
        let lost = http.send(http.request(Method::POST, url), BODY_LIMIT).await.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Connection, Sent::No));
        assert!(!lost.to_string().contains("secret-name"), "{lost}");
        assert_eq!(lost.at, address.to_string());
    }

    #[tokio::test]
    async fn plain_http_needs_the_word_of_the_operator() {
        let http = Http::new(&Options { encryption: Encryption::Required, ..options() }).unwrap();
        let lost =
            http.send(http.request(Method::GET, "http://127.0.0.1:9/".parse().unwrap()), BODY_LIMIT).await.unwrap_err();
        assert_eq!(lost.sent, Sent::No);
    }

    #[tokio::test]
    async fn a_listener_without_tls_is_found_at_the_tls_hop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new(&options()).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        };
        let lost = tokio::join!(http.send(http.request(Method::GET, url), BODY_LIMIT), serve).0.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Tls, Sent::No), "{lost}");
    }

    /// A proxy may quote the header it was sent, and not the password in it.
    #[test]
    fn the_password_of_a_proxy_is_kept_out_of_texts_as_it_is_sent_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        postern_store::private::replace(&file, b"proxied-Horse-7").unwrap();
        let url = "http://127.0.0.1:1/".parse().unwrap();
        let password = Some(crate::config::SecretSource::File(file));
        let proxy = Some(Proxy { url, username: Some("joe".to_owned()), password });
        let _http = Http::new(&Options { proxy, ..options() }).unwrap();
        let sent = data_encoding::BASE64.encode(b"joe:proxied-Horse-7");
        for (text, told) in [(format!("Basic {sent}"), "Basic ***"), ("proxied-Horse-7".to_owned(), "***")] {
            assert_eq!(redaction::redacted(&text), told);
        }
    }

    #[tokio::test]
    async fn a_proxy_that_asks_for_a_password_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}").parse().unwrap();
        let proxy = Some(Proxy { url, username: None, password: None });
        let http = Http::new(&Options { proxy, ..options() }).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        };
        let send = http.send(http.request(Method::GET, "https://login.example/".parse().unwrap()), BODY_LIMIT);
        let lost = tokio::join!(send, serve).0.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Proxy, Sent::No), "{lost}");
        assert!(lost.to_string().contains("authorization required"), "{lost}");
        assert_eq!(lost.at, address.to_string(), "the proxy itself");
    }

    /// In clear a proxy speaks for itself; without one, whoever says so is the other side, and may have done what was asked.
    #[tokio::test]
    async fn a_407_is_the_proxys_where_there_is_one() {
        let answer: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(get(answer, options()).await.unwrap().status.as_u16(), 407);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let proxy = Some(Proxy { url, username: None, password: None });
        let http = Http::new(&Options { proxy, ..options() }).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
        };
        let send = http.send(http.request(Method::GET, "http://login.example/".parse().unwrap()), BODY_LIMIT);
        let lost = tokio::join!(send, serve).0.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Proxy, Sent::No), "{lost}");
    }

    /// Sends one request with this body, and returns it as it travelled: its head in lower case, and its body.
    async fn travelled(body: &'static [u8], compression: Compression) -> (String, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new(&Options { compression, ..options() }).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            loop {
                let count = stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "the request is whole");
                request.extend_from_slice(&piece[..count]);
                let Some(end) = request.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
                let length = head.lines().find_map(|it| it.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if request.len() >= end + 4 + length.unwrap() {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                    return (head, request.split_off(end + 4));
                }
            }
        };
        let send = async {
            let request = http.with_body(http.request(Method::POST, url), Bytes::from_static(body)).await;
            http.send(request, BODY_LIMIT).await.unwrap()
        };
        tokio::join!(send, serve).1
    }

    #[tokio::test]
    async fn a_large_body_travels_compressed_and_a_small_one_as_it_is() {
        use std::io::Read;
        static LARGE: [u8; 300_000] = [b'x'; 300_000];
        for length in [1_024, 300_000] {
            let plain = &LARGE[..length];
            let (head, body) = travelled(plain, Compression::Allowed).await;
            assert!(head.contains("\r\ncontent-encoding: gzip"), "{head}");
            assert!(body.len() < length / 10, "{} bytes travelled", body.len());
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain);
        }
        for (length, compression) in [(1_023, Compression::Allowed), (300_000, Compression::Off)] {
            let plain = &LARGE[..length];
            let (head, body) = travelled(plain, compression).await;
            assert!(!head.contains("content-encoding"), "{head}");
            assert_eq!(head.contains("accept-encoding: gzip"), compression == Compression::Allowed);
            assert_eq!(body, plain);
        }
    }

    /// A listener that takes connections and says nothing.
    async fn silent(connect_timeout: Option<Duration>, timeout: Duration) -> Lost {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let http = Http::new(&Options { connect_timeout, timeout, ..options() }).unwrap();
        http.send(http.request(Method::GET, url), BODY_LIMIT).await.unwrap_err()
    }

    #[tokio::test]
    async fn connecting_has_its_own_bound_and_without_one_the_bound_of_the_request() {
        let (short, long) = (Duration::from_millis(50), Duration::from_secs(600));
        let lost = silent(Some(short), long).await;
        assert_eq!((lost.hop, lost.sent), (Hop::Connection, Sent::No), "{lost}");
        let lost = silent(None, short).await;
        assert_eq!((lost.hop, lost.sent), (Hop::Reply, Sent::Perhaps), "{lost}");
    }

    /// The library's own bounds: 100 headers, 400 KiB.
    #[tokio::test]
    async fn an_answer_whose_head_is_too_large_or_has_too_many_headers_is_none() {
        let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(200));
        let large = format!("HTTP/1.1 200 OK\r\na: {}\r\ncontent-length: 0\r\n\r\n", "b".repeat(600 * 1024));
        for head in [many, large] {
            let lost = get(head.into_bytes().leak(), options()).await.unwrap_err();
            assert_eq!((lost.hop, lost.sent), (Hop::Reply, Sent::Perhaps), "{lost}");
        }
    }

    /// F64: a body of zeros that is small only while it travels.
    #[tokio::test]
    async fn f64_a_compressed_bomb_is_cut() {
        use std::io::Write;
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![0; BODY_LIMIT + 1]).unwrap();
        let bomb = bomb.finish().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
        let answer: &'static [u8] = [head.into_bytes(), bomb].concat().leak();
        let lost = get(answer, options()).await.unwrap_err();
        assert!(lost.to_string().contains("larger than"), "{lost}");
    }
}
