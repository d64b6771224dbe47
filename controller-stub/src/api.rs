//! The interface for operators and submitters: JSON over HTTP on the loopback, with tokens that have roles.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use axum::middleware;
use axum::{Extension, Router};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use postern_protocol::plain::Chain;
use postern_store::Spool;
use postern_traces::Spans;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::dispatcher::Handle;
use crate::door::{Door, Visitor};
use crate::limits::{HEAD, MAX_HEAD, MAX_HEADERS};
use crate::metrics::metrics;
use crate::pace::{Given, Taken};
use crate::space::Space;
use crate::spawn::Spawner;
use crate::state::api_tokens::KnownTokens;
use crate::telemetry::Hush;

mod asked;
mod audit;
mod auth;
pub mod bodies;
mod ca;
mod clusters;
mod described;
mod desk;
mod events;
mod fields;
pub mod head;
mod members;
mod once;
mod openapi;
mod outbox;
mod page;
mod problem;
mod records;
mod routes;
mod shield;
mod status;
mod streams;
mod systems;
mod tasks;
mod tokens;
mod under_way;

pub(crate) use asked::read_body;
pub use audit::AuditView;
pub(crate) use auth::Address;
pub use auth::CallRates;
pub use clusters::{ClusterView, KeyView, KeysView, TokenView};
pub use events::{RemovedView, ResetView, TaskProgressView};
pub use openapi::{openapi, reference};
pub use outbox::HandedInView;
pub use page::{MAX_LIMIT, Page};
pub use problem::Problem;
pub use records::RecordView;
pub use routes::{Permission, permissions};
pub(crate) use shield::is_this_host;
pub use status::StatusView;
pub use streams::StreamView;
pub use systems::SystemView;
pub use tasks::read_submission;
pub use tokens::{CallerView, NewApiTokenView};

use auth::Gate;
use desk::Desk;
use under_way::UnderWay;

/// What the API is made of.
pub struct Parts {
    /// The state's owner.
    pub handle: Handle,
    /// Where payloads are.
    pub spool: Spool,
    /// How much room there is for them, and for tasks.
    pub space: Space,
    /// Whose callers are let in.
    pub tokens: watch::Receiver<KnownTokens>,
    /// How often.
    pub rates: CallRates,
    /// How much the log tells of strangers.
    pub hush: Arc<Hush>,
    /// What callers may call this host, besides the loopback.
    pub names: Vec<String>,
    /// Where agents may be told to connect to.
    pub controller_urls: Vec<String>,
    /// Where traces are told, if they are.
    pub spans: Option<Spans>,
    /// Where the audit log and the authority are.
    pub data_dir: PathBuf,
    /// Runs what is done for a request.
    pub spawner: Spawner,
    /// The program is stopping: long requests end early.
    pub stop: CancellationToken,
}

#[cfg(test)]
impl Parts {
    /// With room for many calls.
    pub(crate) fn of_test(
        handle: Handle,
        spool: Spool,
        space: Space,
        tokens: watch::Receiver<KnownTokens>,
        data_dir: &std::path::Path,
    ) -> Self {
        let rate = postern_protocol::rate::Rate::new(10_000, std::time::Duration::from_secs(1));
        Self {
            handle,
            spool,
            space,
            tokens,
            rates: CallRates { calls: rate, failures: rate },
            hush: Arc::default(),
            names: Vec::new(),
            controller_urls: Vec::new(),
            spans: None,
            data_dir: data_dir.to_owned(),
            spawner: Spawner::default(),
            stop: CancellationToken::new(),
        }
    }
}

/// What every request needs.
#[derive(Clone)]
pub struct Api {
    desk: Desk,
    gate: Arc<Gate>,
    watchers: UnderWay,
    spool: Spool,
    space: Space,
    names: Arc<[String]>,
    controller_urls: Arc<[String]>,
    spans: Option<Spans>,
    data_dir: Arc<PathBuf>,
    spawner: Spawner,
    stop: CancellationToken,
}

impl Api {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        Self {
            desk: Desk::new(parts.handle),
            gate: Arc::new(Gate::new(parts.tokens, parts.rates, parts.hush)),
            watchers: UnderWay::watchers(),
            spool: parts.spool,
            space: parts.space,
            names: parts.names.into(),
            controller_urls: parts.controller_urls.into(),
            spans: parts.spans,
            data_dir: Arc::new(parts.data_dir),
            spawner: parts.spawner,
            stop: parts.stop,
        }
    }

    /// Serves requests until `stop`.
    pub async fn serve(self, listener: TcpListener, door: Door) {
        let (stop, spawner) = (self.stop.clone(), self.spawner.clone());
        let router = self.router();
        loop {
            let (stream, address, visitor) = tokio::select! {
                () = stop.cancelled() => return,
                accepted = door.accept(&listener) => accepted,
            };
            // Answers are small, and a caller waits for each.
            let _ = stream.set_nodelay(true);
            let router = router.clone().layer(Extension(ConnectInfo(address)));
            spawner.spawn(move |stop| connection(stream, router, Arc::new(visitor), stop));
        }
    }

    /// Who is let in.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    fn router(self) -> Router {
        routes::router()
            .layer(middleware::from_fn_with_state(self.clone(), auth::check))
            .merge(console::router())
            .layer(middleware::from_fn_with_state(self.clone(), shield::cover))
            .with_state(self)
    }
}

/// Serves one connection. It is a visitor, which makes room when there is too little, but for the requests that show a token that is
/// good: whoever signs in may be anybody yet.
async fn connection<S>(stream: S, router: Router, visitor: Arc<Visitor>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let service = service_fn(|request| answer(router.clone(), &visitor, request));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Taken::over(stream)), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = visitor.turned_out() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %Chain(&error), "a caller of the API was left");
    }
}

async fn answer(
    router: Router,
    visitor: &Arc<Visitor>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Given::of);
    request.extensions_mut().insert(Arc::clone(visitor));
    let answer = TowerToHyperService::new(router).call(request).await?;
    let act = answer.extensions().get::<routes::Act>().map_or("none", |act| act.0);
    metrics().requests.one(&[act, answer.status().as_str()]);
    Ok(answer)
}

/// Keeps something until all of an answer is on its way.
fn until_taken<T: Send + 'static>(answer: Response<Body>, kept: T) -> Response<Body> {
    answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &kept;
            frame
        }))
    })
}

/// Somebody else has the place already, and the connection is about to end.
fn full() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the API has more callers than there is room for: try again")
}

/// What a caller of its own is answered.
#[cfg(test)]
pub(crate) async fn answer_of_test(router: Router, mut request: Request<Body>) -> Response<Body> {
    let door = Door::new(crate::limits::callers(), Arc::default());
    request.extensions_mut().insert(Arc::new(door.visitor([127, 0, 0, 1].into())));
    TowerToHyperService::new(router).call(request).await.unwrap()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::sse::{Event, KeepAlive, Sse};
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::limits::callers;

    /// What a caller is answered that sends this, with so long a pause before each byte of the end.
    async fn answered(begin: &[u8], dripped: &[u8]) -> String {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let router = Router::new()
            .route("/", get(async || "here").post(async |body: axum::body::Bytes| format!("{} bytes", body.len())));
        let visitor = Arc::new(Door::new(callers(), Arc::default()).visitor([127, 0, 0, 1].into()));
        let asks = async {
            let mut answer = Vec::new();
            theirs.write_all(begin).await.unwrap();
            for byte in dripped {
                tokio::time::sleep(Duration::from_secs(2)).await;
                if theirs.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            // A connection may be reset while it is read.
            let _ = theirs.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        let serves = connection(ours, router, visitor, CancellationToken::new());
        let both = async { tokio::join!(asks, serves).0 };
        tokio::time::timeout(Duration::from_secs(60 * 60), both).await.expect("the connection ends")
    }

    /// Take the timer away, and a connection that sends nothing is there for ever.
    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_silent_or_drips_a_head_or_a_body_is_left() {
        let long = vec![b'x'; 1000];
        assert_eq!(answered(b"", b"").await, "", "silent");
        assert_eq!(answered(b"GET / HTTP/1.1\r\nx: ", &long).await, "", "a head");
        let body = answered(b"POST / HTTP/1.1\r\ncontent-length: 1000\r\n\r\n", &long).await;
        assert!(body.starts_with("HTTP/1.1 400"), "a body: {body}");
        let whole = answered(b"GET / HTTP/1.1\r\n\r\n", b"").await;
        assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("here"), "and then it was idle: {whole}");
    }

    /// Whether a watcher is still there after an hour in which it was sent an event of so many bytes every second, or
    /// heartbeats alone.
    async fn still_watches(size: usize, reads: bool) -> bool {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let events = async move || {
            let events = stream::unfold((), move |()| async move {
                if size == 0 {
                    return std::future::pending().await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<_, Infallible>(Event::default().data("x".repeat(size))), ()))
            });
            Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        };
        let router = Router::new().route("/", get(events));
        let visitor = Arc::new(Door::new(callers(), Arc::default()).visitor([127, 0, 0, 1].into()));
        theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let watches = async {
            let mut buffer = vec![0; 64 * 1024];
            while reads && theirs.read(&mut buffer).await.unwrap() > 0 {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = connection(ours, router, visitor, CancellationToken::new()) => false,
            () = tokio::time::sleep(Duration::from_secs(60 * 60)) => true,
            () = watches => true,
        }
    }

    /// Give watchers no pace, and one that reads nothing keeps its place for ever.
    #[tokio::test(start_paused = true)]
    async fn a_watcher_may_rest_as_long_as_it_reads_and_one_that_reads_nothing_is_left() {
        assert!(still_watches(0, true).await, "nothing changes");
        assert!(still_watches(1024, true).await);
        assert!(!still_watches(1024, false).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_too_large_is_refused_with_the_reason_that_http_has() {
        let header = format!("x: {}\r\n", "y".repeat(MAX_HEAD));
        let many = "a: b\r\n".repeat(MAX_HEADERS + 1);
        let line = "/".repeat(MAX_HEAD);
        for (request, status) in [
            (format!("GET / HTTP/1.1\r\n{header}\r\n"), "431"),
            (format!("GET / HTTP/1.1\r\n{many}\r\n"), "431"),
            (format!("GET {line} HTTP/1.1\r\n\r\n"), "431"),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS)), "200"),
        ] {
            let answer = answered(request.as_bytes(), b"").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
        }
    }
}
