//! What may be large may take long: a bound on the time from one piece to the next, and none on the whole.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::ready;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, RequestBuilder, Response};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How much of an upload is handed over at once. That the connection asks for more is how it is known to flow.
const PIECE: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    /// The connection says so.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
    /// It says nothing at all.
    #[error("nothing came through for {} seconds", .0.as_secs())]
    Stalled(Duration),
}

impl Silence {
    /// Whether nobody listens there.
    pub(super) fn is_refused(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        let beneath = std::iter::successors(error.source(), |&error| error.source());
        beneath
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Whether nobody can have heard of the request.
    pub(super) fn is_unsent(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_connect() || error.is_builder())
    }
}

/// Takes the next step of something, which may take so long.
pub(super) async fn within<T>(
    patience: Duration,
    step: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, Silence> {
    Ok(timeout(patience, step).await.map_err(|_| Silence::Stalled(patience))??)
}

/// Sends a body, of which each piece may take so long, and the answer to it.
pub(super) async fn send(request: RequestBuilder, bytes: Bytes, patience: Duration) -> Result<Response, Silence> {
    let (signal, mut moved) = watch::channel(());
    let length = bytes.len();
    let pieces = stream::unfold(bytes, move |mut rest| {
        signal.send_replace(());
        let piece = rest.split_to(rest.len().min(PIECE));
        ready((!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), rest)))
    });
    // A stream has no length of its own, and the API wants to know it before it takes anything in.
    let request = request.header(CONTENT_LENGTH, length).body(Body::wrap_stream(pieces));
    let mut answer = pin!(request.send());
    loop {
        tokio::select! {
            answered = &mut answer => return Ok(answered?),
            Ok(()) = moved.changed() => (),
            () = sleep(patience) => return Err(Silence::Stalled(patience)),
        }
    }
}
