//! Accepts connections, hands calls to the world, and lets faults spoil the answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::{Delivery, Dropped, ReplyBody};
use super::reply::Reply;
use super::request::{Origin, Request};
use super::role_write::RoleWrite;
use crate::api;
use crate::bulk;
use crate::fault::{Mishap, Verdict};
use crate::world::World;

/// Connections served at once, well below the usual limit of open files.
const MAX_CONNECTIONS: usize = 800;
/// An idle connection is closed after this time, as real servers do.
const IDLE: Duration = Duration::from_secs(65);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    places: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    /// The world, with everything done in it that is due by now. A panic elsewhere while it was held leaves it
    /// usable: every write is checked first.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        bulk::settle(&mut world);
        world
    }
}

/// Serves a listener until the simulator stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let scheme = if tls.is_some() { "https" } else { "http" };
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = accept(&shared, &listener) => accepted,
        };
        let Some((permit, stream, source)) = accepted else { continue };
        let origin = Origin { source: source.ip(), scheme };
        let (connection, tls) = (Arc::clone(&shared), tls.clone());
        shared.tasks.spawn(async move {
            // Small answers must not wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let served = async {
                match tls {
                    None => talk(&connection, stream, origin).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            talk(&connection, stream, origin).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = connection.stop.cancelled() => (),
                () = served => (),
            }
            drop(permit);
        });
    }
}

type Accepted = (tokio::sync::OwnedSemaphorePermit, tokio::net::TcpStream, std::net::SocketAddr);

async fn accept(shared: &Shared, listener: &TcpListener) -> Option<Accepted> {
    let permit = Arc::clone(&shared.places).acquire_owned().await.ok()?;
    if let Ok((stream, source)) = listener.accept().await {
        return Some((permit, stream, source));
    }
    // Out of file descriptors, most likely: give the others time to close theirs.
    tokio::time::sleep(Duration::from_millis(50)).await;
    None
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(shared: &Arc<Shared>, stream: S, origin: Origin) {
    let service = service_fn(|request| answer(Arc::clone(shared), request, origin));
    // An error here is a caller that went away or a fault that was asked for.
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
    origin: Origin,
) -> Result<hyper::Response<ReplyBody>, Dropped> {
    let request = match Request::read(request, origin).await {
        Ok(request) => request,
        Err(reply) => return Ok(response(reply, Delivery::Whole)),
    };
    if api::is_admin(&request) {
        return Ok(response(api::admin::handle(&shared, &request), Delivery::Whole));
    }
    {
        let mut world = shared.world();
        world.tally.http_calls += 1;
        world.tally.http2_calls += u64::from(request.is_http2);
        world.tally.compressed_calls += u64::from(request.was_compressed);
    }
    let Verdict { latency_millis, mishap } = judged(&shared, &request).await;
    let _role_write = RoleWrite::begin(&shared, &request);
    if latency_millis > 0 {
        tokio::time::sleep(Duration::from_millis(latency_millis)).await;
    }
    let (zip, takes_json) = (request.accepts_gzip(), request.takes_json());
    let delivery = Delivery::of(mishap.as_ref());
    let reply = match mishap {
        Some(Mishap::Respond { status, code, message }) => api::spoiled(status, code, message),
        Some(Mishap::RespondAt { status, code, message, .. }) => api::spoiled(status, Some(code), Some(message)),
        Some(Mishap::Busy { status, retry_after }) => {
            let mut reply = api::spoiled(status, None, None);
            reply.headers.retain(|(name, _)| *name != "retry-after");
            reply.with("retry-after", retry_after)
        }
        Some(Mishap::Maintenance) => Reply::html(503, "Down for Maintenance"),
        Some(Mishap::Refuse) => return Err(Dropped),
        Some(Mishap::DelayCommit { millis } | Mishap::DelayCommitAt { millis, .. }) => {
            later(&shared, request, millis).await.ok_or(Dropped)?
        }
        Some(Mishap::DropReply) => {
            api::handle(&mut shared.world(), &request);
            return Err(Dropped);
        }
        Some(Mishap::OtherReply { status, body }) => {
            let reply = api::handle(&mut shared.world(), &request);
            Reply { status, body: body.into_bytes(), ..reply }
        }
        Some(Mishap::OtherDate { ahead_secs }) => {
            let mut world = shared.world();
            let date = crate::time::format_http(world.now() + ahead_secs.cast_signed() * 1_000);
            api::handle(&mut world, &request).with("date", date)
        }
        Some(Mishap::HangAt { .. }) => {
            api::handle(&mut shared.world(), &request);
            return std::future::pending().await;
        }
        Some(Mishap::LoseReply { status }) => {
            api::handle(&mut shared.world(), &request);
            Reply::html(status, "Service Unavailable")
        }
        Some(Mishap::EndSession) => {
            let mut world = shared.world();
            let reply = api::handle(&mut world, &request);
            if let Ok(token) = request.token() {
                world.sessions.end(token);
            }
            reply
        }
        Some(Mishap::GzipBomb { megabytes }) => {
            let reply = api::handle(&mut shared.world(), &request);
            return Ok(response(reply.bomb(megabytes), delivery));
        }
        // Half of what is compressed would be nothing a caller can read.
        Some(Mishap::TruncateReply) => return Ok(response(api::handle(&mut shared.world(), &request), delivery)),
        Some(Mishap::Latency { .. } | Mishap::Hold | Mishap::DripReply { .. } | Mishap::WrongLength { .. }) | None => {
            api::handle(&mut shared.world(), &request)
        }
    };
    let reply = if takes_json { reply } else { reply.without_json() };
    Ok(response(if zip { reply.zipped() } else { reply }, delivery))
}

/// What the faults do to a call, once none of them holds it any more.
async fn judged(shared: &Shared, request: &Request) -> Verdict {
    loop {
        let mut withdrawn = {
            let mut world = shared.world();
            match world.faults.hold(&request.method, &request.path) {
                Some(withdrawn) => withdrawn,
                None => return world.faults.judge(&request.method, &request.path, &request.body),
            }
        };
        // An error says that all faults are gone, which ends the wait as well.
        let _ = withdrawn.changed().await;
    }
}

/// Does the work of a call after a while, in a task of its own: the caller may be gone by then.
async fn later(shared: &Arc<Shared>, request: Request, millis: u64) -> Option<Reply> {
    let owner = Arc::clone(shared);
    let work = shared.tasks.spawn(async move {
        tokio::select! {
            () = owner.stop.cancelled() => None,
            () = tokio::time::sleep(Duration::from_millis(millis)) => Some(api::handle(&mut owner.world(), &request)),
        }
    });
    work.await.ok().flatten()
}

fn response(reply: Reply, delivery: Delivery) -> hyper::Response<ReplyBody> {
    let length = delivery.told_length(reply.body.len());
    let mut response = hyper::Response::new(ReplyBody::new(Bytes::from(reply.body), delivery));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or(hyper::StatusCode::OK);
    let headers = response.headers_mut();
    // 204 and 304 have neither body nor length.
    if !matches!(reply.status, 204 | 304) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            let name = HeaderName::from_static(name);
            if name == DATE {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
    }
    response
}
