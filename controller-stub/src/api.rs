//! The interface for operators and submitters: JSON over HTTP on the loopback, with tokens that have roles.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::serve::ListenerExt as _;
use postern_store::Spool;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::Handle;
use crate::state::api_tokens::KnownTokens;

mod auth;
mod clusters;
mod desk;
mod fields;
mod members;
mod problem;
mod routes;
mod shield;
mod status;
mod streams;
mod systems;
mod tasks;
mod tokens;

pub use auth::CallRates;
pub use clusters::{ClusterView, KeysView, TokenView};
pub use problem::Problem;
pub use routes::{Permission, permissions};
pub use status::StatusView;
pub use streams::StreamView;
pub use systems::SystemView;
pub use tokens::NewApiTokenView;

use auth::Gate;
use desk::Desk;

/// What the API is made of.
pub struct Parts {
    /// The state's owner.
    pub handle: Handle,
    /// Where payloads are.
    pub spool: Spool,
    /// Whose callers are let in.
    pub tokens: watch::Receiver<KnownTokens>,
    /// How often.
    pub rates: CallRates,
    /// What callers may call this host, besides the loopback.
    pub names: Vec<String>,
    /// Where the disk is that must not fill up.
    pub data_dir: PathBuf,
    /// The program is stopping: long requests end early.
    pub stop: CancellationToken,
}

/// What every request needs.
#[derive(Clone)]
pub struct Api {
    desk: Desk,
    gate: Arc<Gate>,
    spool: Spool,
    names: Arc<[String]>,
    data_dir: Arc<PathBuf>,
    stop: CancellationToken,
}

impl Api {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        Self {
            desk: Desk::new(parts.handle),
            gate: Arc::new(Gate::new(parts.tokens, parts.rates)),
            spool: parts.spool,
            names: parts.names.into(),
            data_dir: Arc::new(parts.data_dir),
            stop: parts.stop,
        }
    }

    /// Serves requests until `stop`.
    pub async fn serve(self, listener: TcpListener) {
        let stop = self.stop.clone();
        // Answers are small, and a caller waits for each.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the API stopped");
        }
    }

    fn router(self) -> Router {
        routes::router()
            .layer(middleware::from_fn_with_state(self.clone(), auth::check))
            .layer(middleware::from_fn_with_state(self.clone(), shield::cover))
            .with_state(self)
    }
}
