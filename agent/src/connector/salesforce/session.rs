//! One session for all tasks of an org: signed in once, by whoever comes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_protocol::Failure;
use tokio::sync::Mutex;

use super::sign_in::{Session, SignIn};

/// The session in use, and the way to another.
pub(super) struct Sessions {
    sign_in: SignIn,
    state: Mutex<State>,
    /// The number of sign-ins that have ended. Read before waiting: whoever waited through one shares its result.
    ended: AtomicU64,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// How the last sign-in failed, if it did.
    failure: Option<Failure>,
}

impl Sessions {
    /// No session yet.
    pub(super) fn new(sign_in: SignIn) -> Self {
        Self { sign_in, state: Mutex::default(), ended: AtomicU64::new(0) }
    }

    /// The session in use, or a new one.
    pub(super) async fn current(&self) -> Result<Arc<Session>, Failure> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        match &state.session {
            Some(session) => Ok(Arc::clone(session)),
            None => self.sign_in(&mut state, seen).await,
        }
    }

    /// Another session than `stale`, which the org no longer knows.
    pub(super) async fn renew(&self, stale: &Arc<Session>) -> Result<Arc<Session>, Failure> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        match &state.session {
            Some(session) if !Arc::ptr_eq(session, stale) => Ok(Arc::clone(session)),
            _ => self.sign_in(&mut state, seen).await,
        }
    }

    /// A session of its own time, to prove that signing in works now. A failure leaves the session in use alone.
    pub(super) async fn fresh(&self) -> Result<Arc<Session>, Failure> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        self.sign_in(&mut state, seen).await
    }

    async fn sign_in(&self, state: &mut State, seen: u64) -> Result<Arc<Session>, Failure> {
        if self.ended.load(Ordering::Acquire) > seen {
            return match (&state.failure, &state.session) {
                (Some(failure), _) => Err(failure.clone()),
                (None, Some(session)) => Ok(Arc::clone(session)),
                (None, None) => self.sign_in_now(state).await,
            };
        }
        self.sign_in_now(state).await
    }

    async fn sign_in_now(&self, state: &mut State) -> Result<Arc<Session>, Failure> {
        let result = self.sign_in.run().await.map(Arc::new);
        state.failure = result.as_ref().err().cloned();
        if let Ok(session) = &result {
            state.session = Some(Arc::clone(session));
        }
        self.ended.fetch_add(1, Ordering::AcqRel);
        result
    }
}
