//! The interface for operators and submitters: JSON over HTTP on the loopback, with a bearer token.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, Response, StatusCode};
use axum::middleware;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use postern_protocol::Secret;
use postern_store::Spool;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::Handle;
use crate::door::{Door, Visitor};
use crate::exit::Chain;
use crate::limits::{HEAD, MAX_HEAD, MAX_HEADERS};
use crate::pace::{Given, Taken};
use crate::spawn::Spawner;

mod auth;
mod ca;
mod clusters;
mod fields;
mod members;
mod outbox;
mod problem;
mod status;
mod streams;
mod systems;
mod tasks;

pub use clusters::{ClusterView, KeysView, TokenView};
pub use outbox::HandedInView;
pub use problem::Problem;
pub use status::StatusView;
pub use streams::StreamView;
pub use systems::SystemView;

/// The largest JSON body: the largest task is about 90 KiB, a third more in base64.
const MAX_BODY: usize = 256 * 1024;

/// What every request needs.
#[derive(Clone)]
pub struct Api {
    /// The state's owner.
    pub handle: Handle,
    /// Where payloads are.
    pub spool: Spool,
    /// What a caller has to know.
    pub token: Arc<Secret>,
    /// Where the disk is that must not fill up.
    pub data_dir: Arc<PathBuf>,
    /// The program is stopping: long requests end early.
    pub stop: CancellationToken,
}

impl Api {
    /// Serves requests until `stop`.
    pub async fn serve(self, listener: TcpListener, door: Door, spawner: Spawner) {
        let stop = self.stop.clone();
        let router = self.router();
        loop {
            let (stream, _, visitor) = tokio::select! {
                () = stop.cancelled() => return,
                accepted = door.accept(&listener) => accepted,
            };
            // Answers are small, and a caller waits for each.
            let _ = stream.set_nodelay(true);
            let router = router.clone();
            spawner.spawn(move |stop| connection(stream, router, Arc::new(visitor), stop));
        }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/v1/status", get(status::show))
            .route("/v1/ca", get(ca::show))
            .route("/v1/ca/rotation/{step}", post(ca::rotate))
            .route("/v1/tokens", post(clusters::create_token))
            .route("/v1/clusters", get(clusters::list).post(clusters::create))
            .route("/v1/clusters/{cluster}/keys", get(clusters::keys))
            .route("/v1/members", get(members::list))
            .route("/v1/members/{member}", get(members::show).delete(members::remove))
            .route("/v1/members/{member}/{action}", post(members::act))
            .route("/v1/outbox", post(outbox::hand_in))
            .route("/v1/systems", get(systems::list).post(systems::add))
            .route("/v1/systems/{system}", get(systems::show).post(systems::edit).delete(systems::remove))
            .route("/v1/systems/{system}/associate", post(systems::associate))
            .route("/v1/tasks", get(tasks::list).post(tasks::submit))
            .route("/v1/tasks/{task}", get(tasks::show))
            .route("/v1/tasks/{task}/cancel", post(tasks::cancel))
            .route("/v1/tasks/{task}/wait", get(tasks::wait))
            .route("/v1/tasks/{task}/results", get(streams::results))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .merge(Router::new().route("/v1/streams", post(streams::upload)).layer(DefaultBodyLimit::disable()))
            .fallback(problem::not_found)
            .layer(middleware::from_fn_with_state(self.clone(), auth::check))
            .with_state(self)
    }
}

/// Serves one connection. Between requests it is a visitor that makes room when there is too little.
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
    // Somebody else has the place already: the connection ends.
    let Some(inside) = visitor.inside() else { return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()) };
    let answer = TowerToHyperService::new(router).call(request.map(Given::of)).await?;
    // It is inside until all of the answer is on its way.
    Ok(answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &inside;
            frame
        }))
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::limits::callers;

    /// What a caller is answered that sends this, with so long a pause before each byte of the end.
    async fn answered(begin: &[u8], dripped: &[u8]) -> String {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let router = Router::new()
            .route("/", get(async || "here").post(async |body: axum::body::Bytes| format!("{} bytes", body.len())));
        let visitor = Arc::new(Door::new(callers()).visitor([127, 0, 0, 1].into()));
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
        tokio::join!(asks, connection(ours, router, visitor, CancellationToken::new())).0
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
