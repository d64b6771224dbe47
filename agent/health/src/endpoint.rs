//! Verdict and metrics over HTTP, for probes and Prometheus on the same host.
//!
//! Nothing here is worth much to hold: a connection is for one request, ends after [`WHOLE`] whatever it does, and there
//! are [`CONNECTIONS`] at most: of more, the one that came first makes room.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::under_way::UnderWay;
use crate::verdict::{Verdict, Word};

/// The most connections at once: a probe for each word, a few Prometheus servers, and a person who looks.
const CONNECTIONS: usize = 16;
/// How long a connection may take from its first byte to its last: the least that anybody lets a probe take.
const WHOLE: Duration = Duration::from_secs(10);
/// The largest head of a request, and its most headers: what Prometheus sends takes a tenth of it.
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;
/// How long to wait when no connection can be accepted: asking again at once would only burn the processor.
const PAUSE: Duration = Duration::from_secs(1);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What a program says of itself when it is asked.
pub trait Vitals: Send + Sync + 'static {
    /// What speaks against its being live, ready and useful.
    fn verdict(&self) -> impl Future<Output = Verdict> + Send;

    /// Its metrics, as text.
    fn metrics(&self) -> impl Future<Output = String> + Send;
}

/// Where it can be asked.
pub struct Endpoint {
    listener: TcpListener,
    is_loopback: bool,
}

impl Endpoint {
    /// Listens at `address`.
    ///
    /// # Errors
    ///
    /// When nobody may listen there, or somebody does.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let is_loopback = listener.local_addr()?.ip().is_loopback();
        Ok(Self { listener, is_loopback })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` fires.
    pub async fn serve(self, vitals: impl Vitals, stop: CancellationToken) {
        let mut connections = FuturesUnordered::new();
        let mut under_way = UnderWay::new(CONNECTIONS);
        loop {
            tokio::select! {
                // Those that are over are closed before another is accepted: each holds a descriptor.
                biased;
                () = stop.cancelled() => return,
                Some(()) = connections.next() => (),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.push(under_way.begin(connection(stream, &vitals, self.is_loopback)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a probe could not be answered");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// One request and its answer.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S, vitals: &impl Vitals, is_loopback: bool) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, vitals, is_loopback).await));
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(WHOLE, served).await {
        tracing::debug!(%error, "a probe was left");
    }
}

async fn answer(request: &Request<Incoming>, vitals: &impl Vitals, is_loopback: bool) -> Response<Full<Bytes>> {
    if is_loopback && !is_this_host(request) {
        return said(StatusCode::FORBIDDEN, TEXT, "ask for this host by its address, or as localhost\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = said(StatusCode::METHOD_NOT_ALLOWED, TEXT, "there is only GET here\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let path = request.uri().path();
    if path == "/metrics" {
        return said(StatusCode::OK, HeaderValue::from_static(metrics::CONTENT_TYPE), vitals.metrics().await);
    }
    let Some(word) = Word::ALL.into_iter().find(|word| path.strip_prefix('/') == Some(word.as_str())) else {
        return said(StatusCode::NOT_FOUND, TEXT, "there are /live, /ready, /useful and /metrics\n");
    };
    let verdict = vitals.verdict().await;
    let status = if verdict.holds(word) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    said(status, JSON, verdict.answer(word))
}

/// Whether it was asked for by address. A page of a browser that got here under a name of its own (DNS rebinding) was not.
fn is_this_host(request: &Request<Incoming>) -> bool {
    let host = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    is_asked_by_address(host.or_else(|| request.headers().get(HOST)?.to_str().ok()).unwrap_or_default())
}

/// Whether this `Host` is an address, with a port or without, or `localhost`.
pub fn is_asked_by_address(host: &str) -> bool {
    let is_address = host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_address || host.split(':').next() == Some("localhost")
}

fn said(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    struct Ready;

    impl Vitals for Ready {
        async fn verdict(&self) -> Verdict {
            let mut verdict = Verdict::default();
            verdict.against(Word::Useful, "no_session", "Nobody is there");
            verdict
        }

        async fn metrics(&self) -> String {
            "x 1\n".to_owned()
        }
    }

    /// What whoever sends this is answered, with so long a pause before each byte of the end.
    async fn answered(begin: &str, dripped: &str) -> String {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let asks = async {
            theirs.write_all(begin.as_bytes()).await.unwrap();
            for byte in dripped.bytes() {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if theirs.write_all(&[byte]).await.is_err() {
                    break;
                }
            }
            let mut answer = String::new();
            let _ = theirs.read_to_string(&mut answer).await;
            answer
        };
        let both = async { tokio::join!(asks, connection(ours, &Ready, true)).0 };
        tokio::time::timeout(Duration::from_secs(3600), both).await.expect("the connection ends")
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:9464\r\n\r\n")
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_is_answered_with_its_reasons_and_a_status_for_probes() {
        let ready = answered(&get("/ready"), "").await;
        assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""holds":true"#), "{ready}");
        let useful = answered(&get("/useful"), "").await;
        assert!(useful.starts_with("HTTP/1.1 503") && useful.contains("Nobody is there"), "{useful}");
        let metrics = answered(&get("/metrics"), "").await;
        assert!(metrics.contains("text/plain; version=0.0.4") && metrics.ends_with("x 1\n"), "{metrics}");
        assert!(answered(&get("/"), "").await.starts_with("HTTP/1.1 404"));
        let post = answered("POST /live HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n", "").await;
        assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    }

    /// Take the time-out away, and whoever is silent is there until others come.
    #[tokio::test(start_paused = true)]
    async fn whoever_is_silent_or_drips_is_left() {
        assert_eq!(answered("", "").await, "");
        let dripped = answered("GET /live HTTP/1.1\r\nx: ", &"x".repeat(1000)).await;
        assert!(!dripped.contains("200"), "{dripped}");
        let large = answered(&format!("GET /live HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD)), "").await;
        assert!(large.starts_with("HTTP/1.1 431"), "{large}");
    }

    /// Give the time-out to the head alone, and whoever reads nothing keeps the connection.
    #[tokio::test(start_paused = true)]
    async fn whoever_reads_no_answer_is_left() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let asks = async { theirs.write_all(get("/live").as_bytes()).await.unwrap() };
        let both = async { tokio::join!(asks, connection(ours, &Ready, true)) };
        tokio::time::timeout(Duration::from_secs(3600), both).await.expect("the connection ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_got_here_under_another_name_is_refused() {
        for (host, is_let_in) in [
            ("localhost", true),
            ("localhost:9464", true),
            ("[::1]:9464", true),
            ("[::1]", true),
            ("evil.example", false),
            ("evil.example:9464", false),
            ("localhost.evil.example", false),
        ] {
            let answer = answered(&format!("GET /live HTTP/1.1\r\nhost: {host}\r\n\r\n"), "").await;
            assert_eq!(answer.starts_with("HTTP/1.1 200"), is_let_in, "{host}: {answer}");
        }
        assert!(answered("GET /live HTTP/1.1\r\n\r\n", "").await.starts_with("HTTP/1.1 403"), "no host at all");
    }

    /// Have it wait, and whoever holds all places without a word keeps every probe out; let all in, and whoever opens connections
    /// takes the store's descriptors.
    #[tokio::test]
    async fn of_too_many_connections_the_one_that_came_first_makes_room() {
        let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = endpoint.address().unwrap();
        let stop = CancellationToken::new();
        let asks = async {
            let mut silent = Vec::new();
            for _ in 0..CONNECTIONS {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            let ask = async |mut stream: TcpStream| {
                stream.write_all(get("/live").as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            };
            let probe = ask(TcpStream::connect(address).await.unwrap()).await;
            assert!(probe.starts_with("HTTP/1.1 200"), "{probe}");

            let mut silent = silent.into_iter();
            let mut first = silent.next().unwrap();
            assert_eq!(first.read(&mut [0]).await.unwrap_or_default(), 0, "the first made room");
            for stream in silent {
                let answer = ask(stream).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "the others stayed: {answer}");
            }
            stop.cancel();
        };
        tokio::join!(endpoint.serve(Ready, stop.clone()), asks);
    }
}
