//! HTTPS to connected systems: the one place that builds a client.
//!
//! Every wait and every body is bounded here. What was lost is described by how far it got ([`Hop`]) and by whether
//! the request may have reached the other side ([`Sent`]): the second decides whether it may be repeated.

mod lost;
mod roots;

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, PROXY_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use tokio_util::bytes::Bytes;
use url::Url;

pub use lost::{Hop, Lost, Sent};
pub use roots::{Roots, RootsError, SystemRoots};

use crate::chain::Chain;
use crate::config::{Proxy, SecretError};

/// Larger than any answer in JSON that the agent asks for; two thousand rows of a query take a tenth of it.
pub const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// Below what load balancers commonly allow: a connection that the other side closed while idle fails the next
/// request on it.
const IDLE: Duration = Duration::from_secs(20);

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
    /// Whether answers may be compressed.
    pub compression: Compression,
    /// Whether plain HTTP is refused.
    pub encryption: Encryption,
}

/// Whether answers may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// They may.
    Allowed,
    /// They may not.
    Off,
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
    client: reqwest::Client,
    proxied: bool,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed; at most [`BODY_LIMIT`] bytes.
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
}

impl Http {
    /// Builds a client.
    pub fn new(options: &Options) -> Result<Self, HttpError> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(options.roots.client_config()?)
            .https_only(options.encryption == Encryption::Required)
            // HTTP/1.1 with keep-alive beat HTTP/2 on small requests, and a cut stream cannot take others along.
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(IDLE)
            .gzip(options.compression == Compression::Allowed)
            .timeout(options.timeout);
        if let Some(limit) = options.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(with_credentials(proxy)?);
        }
        let client = builder.build().map_err(HttpError::Client)?;
        Ok(Self { client, proxied: options.proxy.is_some() })
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, Lost> {
        self.open(request).await?.whole().await
    }

    /// Sends a request and reads the head of the answer.
    pub async fn open(&self, request: RequestBuilder) -> Result<Opened, Lost> {
        let lost = |error| Lost::from_reqwest(error, self.proxied);
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(refused_by_proxy(response.headers()));
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Opened { status, headers, response })
    }
}

impl Opened {
    /// The next piece of the body, decompressed; `None` after the last. A reply that breaks off is as good as none:
    /// whatever was asked for may have been done.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Lost> {
        self.response.chunk().await.map_err(Lost::in_reply)
    }

    /// The whole answer.
    pub async fn whole(mut self) -> Result<Reply, Lost> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > BODY_LIMIT {
                return Err(Lost::new(
                    Hop::Reply,
                    Sent::Perhaps,
                    format!("the answer is larger than {BODY_LIMIT} bytes"),
                ));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Reply { status: self.status, headers: self.headers, body })
    }
}

fn with_credentials(proxy: &Proxy) -> Result<reqwest::Proxy, HttpError> {
    let built = reqwest::Proxy::all(proxy.url.clone()).map_err(HttpError::Client)?;
    match (&proxy.username, &proxy.password) {
        (Some(username), Some(password)) => {
            let password = password.read().map_err(HttpError::ProxyPassword)?;
            Ok(built.basic_auth(username, password.expose()))
        }
        _ => Ok(built),
    }
}

fn refused_by_proxy(headers: &HeaderMap) -> Lost {
    let asked_for = headers.get(PROXY_AUTHENTICATE).map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    let asked_for = asked_for.map(|it| format!(" ({})", it.chars().take(100).collect::<String>())).unwrap_or_default();
    Lost::new(Hop::Proxy, Sent::No, format!("the proxy asks for a name and password{asked_for}"))
}

/// Everything an error and its causes say, in one line.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    Chain(error).to_string()
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
        tokio::join!(http.send(http.request(Method::GET, url)), serve).0
    }

    #[tokio::test]
    async fn a_whole_answer_is_read() {
        let reply = get(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno", options()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.as_slice()), (400, &b"no"[..]));
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/secret-name", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let http = Http::new(&options()).unwrap();
        let lost = http.send(http.request(Method::POST, url)).await.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Connection, Sent::No));
        assert!(!lost.to_string().contains("secret-name"), "{lost}");
    }

    #[tokio::test]
    async fn plain_http_needs_the_word_of_the_operator() {
        let http = Http::new(&Options { encryption: Encryption::Required, ..options() }).unwrap();
        let lost = http.send(http.request(Method::GET, "http://127.0.0.1:9/".parse().unwrap())).await.unwrap_err();
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
        let lost = tokio::join!(http.send(http.request(Method::GET, url)), serve).0.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Tls, Sent::No), "{lost}");
    }

    #[tokio::test]
    async fn a_proxy_that_asks_for_a_password_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let proxy = Some(Proxy { url, username: None, password: None });
        let http = Http::new(&Options { proxy, ..options() }).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        };
        let send = http.send(http.request(Method::GET, "https://login.example/".parse().unwrap()));
        let lost = tokio::join!(send, serve).0.unwrap_err();
        assert_eq!((lost.hop, lost.sent), (Hop::Proxy, Sent::No), "{lost}");
        assert!(lost.to_string().contains("authorization required"), "{lost}");
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
