//! The interface for operators and submitters: JSON over HTTP on the loopback, with a bearer token.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use postern_protocol::Secret;
use postern_store::Spool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::Handle;

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
    pub async fn serve(self, listener: TcpListener) {
        let stop = self.stop.clone();
        // Answers are small, and a caller waits for each.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let served = axum::serve(listener, self.router()).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the API stopped");
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
