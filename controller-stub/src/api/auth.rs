//! Who is calling: a token that is known, not revoked, has not run out, and has not called too often.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use postern_protocol::id::{ApiTokenId, ApiTokenName};
use postern_protocol::rate::{Buckets, Rate};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::tokens::CallerView;
use super::under_way::{Begun, UnderWay};
use super::{Api, Problem, full, until_taken};
use crate::access::{Presented, Role};
use crate::clock::{self, Moment};
use crate::console::{Key, Session, Sessions, session_of};
use crate::door::Visitor;
use crate::network::Network;
use crate::state::api_tokens::{Known, KnownTokens};
use crate::state::audit::By;
use crate::telemetry::Hush;

/// The most addresses and tokens that are told apart: some hundred KiB.
const MAX_TOLD_APART: usize = 4096;

/// How often the API may be called.
#[derive(Debug, Clone, Copy)]
pub struct CallRates {
    /// By one token.
    pub calls: Rate,
    /// From one address without a token that is good.
    pub failures: Rate,
}

/// Lets callers in.
pub(crate) struct Gate {
    tokens: watch::Receiver<KnownTokens>,
    calls: Mutex<Buckets<ApiTokenId>>,
    failures: Mutex<Buckets<Network>>,
    hush: Arc<Hush>,
    under_way: UnderWay,
    sessions: Sessions,
}

impl Gate {
    pub(super) fn new(tokens: watch::Receiver<KnownTokens>, rates: CallRates, hush: Arc<Hush>) -> Self {
        Self {
            tokens,
            calls: Mutex::new(Buckets::new(rates.calls, MAX_TOLD_APART)),
            failures: Mutex::new(Buckets::new(rates.failures, MAX_TOLD_APART)),
            hush,
            under_way: UnderWay::requests(),
            sessions: Sessions::default(),
        }
    }

    /// The token that a request shows, or that its session was opened with, and how long that is good for. A good one gets
    /// in whatever else came from its address: on the loopback, and behind a proxy, everybody has the same.
    fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<(Arc<Known>, Good, Begun), Problem> {
        let at = clock::moment();
        let found = match headers.get(AUTHORIZATION) {
            Some(given) => {
                let known = given.to_str().ok().and_then(|it| self.known(it.strip_prefix("Bearer ")?, at));
                known.map(|it| (Good::of_token(&it), it))
            }
            None => match self.session(headers, at) {
                Some((session, known)) => {
                    check_origin(&session, method, headers)?;
                    Some((Good { over: session.over, left: session.ends.since(at.now) }, known))
                }
                None => None,
            },
        };
        let (good, known) = found.ok_or_else(|| self.refuse(address, at))?;
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).take(known.id, at.now)?;
        let begun = self.under_way.begin(known.id, known.role)?;
        Ok((known, good, begun))
    }

    /// Opens a session for whoever has this token, from that page.
    pub(crate) fn open_session(&self, token: &str, origin: &HeaderValue, address: IpAddr) -> Result<Key, Problem> {
        let at = clock::moment();
        let known = self.known(token, at).ok_or_else(|| self.refuse(address, at))?;
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).take(known.id, at.now)?;
        Ok(self.sessions.open(known.id, known.over(), origin, at.now))
    }

    /// Who is signed in to the console.
    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Somebody came without a token that is good.
    fn refuse(&self, address: IpAddr, at: Moment) -> Problem {
        if let Err(often) = self.failures.lock().unwrap_or_else(PoisonError::into_inner).take(address.into(), at.now) {
            return often.into();
        }
        if self.hush.allows(at.now) {
            tracing::warn!(%address, "a request without a token that is good was refused");
        }
        unknown()
    }

    fn known(&self, token: &str, at: Moment) -> Option<Arc<Known>> {
        let presented: Presented = token.parse().ok()?;
        let known = Arc::clone(self.tokens.borrow().get(&presented.id)?);
        known.admits(&presented, at.wall).then_some(known)
    }

    /// The session that a request shows, while its token is good.
    fn session(&self, headers: &HeaderMap, at: Moment) -> Option<(Session, Arc<Known>)> {
        let session = self.sessions.find(&session_of(headers)?, at.now)?;
        let known = Arc::clone(self.tokens.borrow().get(&session.token)?);
        known.is_good(at.wall).then_some((session, known))
    }
}

/// What changes something under a session comes from the page that opened it: a browser sends the cookie along with what
/// other pages of this host ask for, too.
fn check_origin(session: &Session, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() || headers.get(ORIGIN) == Some(&session.origin) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "what changes something in a session of the console has to come from the page that opened it: sign in again",
    ))
}

/// The same words for a token that is missing, wrong, revoked, or has run out: who guesses learns nothing.
fn unknown() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "the API needs a token that is known here, was not revoked and has not run out: send `Authorization: Bearer TOKEN`; \
         the first administrator's is in `api.token` in the controller's data directory, others are made with \
         `postern-controller api-token create`",
    )
}

/// How long what somebody showed is good for.
#[derive(Clone)]
struct Good {
    over: CancellationToken,
    left: Duration,
}

impl Good {
    /// A token that runs out is over then, too.
    fn of_token(known: &Known) -> Self {
        Self { over: known.over().clone(), left: Duration::MAX }
    }

    async fn ended(self) {
        // Either way it has ended.
        let _ = tokio::time::timeout(self.left, self.over.cancelled()).await;
    }
}

/// Whoever makes a request, and what it asks for.
#[derive(Clone)]
pub(super) struct Caller {
    desk: Desk,
    known: Arc<Known>,
    good: Good,
    address: IpAddr,
    /// What it asks for, as the route is called.
    pub(super) act: &'static str,
}

impl Caller {
    pub(super) fn role(&self) -> Role {
        self.known.role
    }

    pub(super) fn token(&self) -> ApiTokenId {
        self.known.id
    }

    /// Cancelled when the token is no longer good, or whoever had signed in with it signs out.
    pub(super) fn over(&self) -> CancellationToken {
        self.good.over.clone()
    }

    /// Done then, or when the time of a session is over: for what would go on for ever.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.good.clone().ended()
    }

    #[cfg(test)]
    pub(super) fn of_test(desk: Desk, known: Arc<Known>, act: &'static str) -> Self {
        Self { desk, good: Good::of_token(&known), known, address: Ipv4Addr::LOCALHOST.into(), act }
    }

    /// What it may know of itself.
    pub(super) fn view(&self) -> CallerView {
        CallerView { name: self.known.name.clone(), role: self.known.role, expires: self.known.expires() }
    }

    /// Who is told to have done it.
    pub(super) fn by(&self) -> By {
        let Known { id, name, role, .. } = &*self.known;
        By { token: *id, name: name.clone(), role: *role, from: self.address }
    }

    /// The answer to a caller whose role is too low.
    pub(super) async fn turn_away(&self, least: Role, path: &str) -> Problem {
        if let Err(stopped) = self.desk.turn_away(self, object(path), format!("needs the role {least}")).await {
            return stopped.into();
        }
        Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "this needs a token with the role {least}, and `{}` has {}: use another, or have an administrator make \
                 one with `postern-controller api-token create --name NAME --role {least}`",
                self.known.name, self.known.role
            ),
        )
    }
}

/// What a path is about, as far as it may be repeated: its part behind the kind of thing, if that is a name or an id. A
/// whole token, which somebody may have pasted there, is neither.
fn object(path: &str) -> String {
    let part = path.split('/').nth(3).and_then(|it| it.parse().ok());
    part.map(|it: ApiTokenName| it.to_string()).unwrap_or_default()
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(unknown)
    }
}

/// Where a request comes from.
pub(crate) struct Address(pub(crate) IpAddr);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(address(&parts.extensions)))
    }
}

fn address(extensions: &Extensions) -> IpAddr {
    let come_from = extensions.get::<ConnectInfo<SocketAddr>>();
    come_from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.0.ip().to_canonical())
}

/// Lets a request through if its token is good, and ends it when the token no longer is.
pub(super) async fn check(
    State(api): State<Api>,
    Extension(visitor): Extension<Arc<Visitor>>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = address(request.extensions());
    let (known, good, begun) = match api.gate.admit(request.method(), request.headers(), address) {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    let Some(mut inside) = visitor.inside() else { return full().into_response() };
    inside.is_known();
    let caller = Caller { desk: api.desk.clone(), known, good, address, act: "" };
    let over = caller.over();
    request.extensions_mut().insert(caller);
    // Whoever hears 401 takes it for a no: that of an act that may have been done comes when it is asked for again.
    let status = if request.method().is_safe() { StatusCode::UNAUTHORIZED } else { StatusCode::SERVICE_UNAVAILABLE };
    let response = unless_over(next.run(request), &over).await.unwrap_or_else(|| {
        Problem::new(
            status,
            "the token was revoked or ran out, or its session ended, while it waited for this: what was asked for may have \
             been done",
        )
        .into_response()
    });
    until_taken(response, (begun, inside))
}

/// The answer, unless what was shown is over before there is one. Whoever takes its own token back is answered before that
/// is over, so an answer that came between the two looks counts.
async fn unless_over<T>(answer: impl Future<Output = T>, over: &CancellationToken) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => Some(answer),
        () = over.cancelled() => answer.now_or_never(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Take the time of a session away, and whoever watches under it watches for ever.
    #[tokio::test(start_paused = true)]
    async fn what_goes_on_under_a_session_ends_with_its_time_or_when_it_is_over() {
        let over = CancellationToken::new();
        let lasts = async |left| {
            let begin = tokio::time::Instant::now();
            let ended = Good { over: over.clone(), left }.ended();
            tokio::time::timeout(Duration::from_secs(3600), ended).await.expect("it ends");
            begin.elapsed().as_secs()
        };
        assert_eq!(lasts(Duration::from_secs(60)).await, 60);
        over.cancel();
        assert_eq!(lasts(Duration::MAX).await, 0);
    }

    /// Take the last look at the answer away, and a token that revokes itself may be told that it is not known.
    #[tokio::test]
    async fn who_is_answered_and_then_over_hears_the_answer_and_who_waits_on_does_not() {
        let over = CancellationToken::new();
        let mut looks = 0;
        let answer = std::future::poll_fn(|_| {
            looks += 1;
            // Answered, and then over, behind the first look.
            over.cancel();
            if looks > 1 { std::task::Poll::Ready("gone") } else { std::task::Poll::Pending }
        });
        assert_eq!(unless_over(answer, &over).await, Some("gone"));
        assert_eq!(unless_over(std::future::pending::<()>(), &over).await, None);
    }
}
