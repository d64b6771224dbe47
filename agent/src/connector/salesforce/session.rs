//! One session for all tasks of an org: signed in once, by whoever comes first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use postern_protocol::Failure;
use tokio::sync::Mutex;

use super::sign_in::{Session, SignIn};

/// The session in use, and the way to another.
pub(super) struct Sessions {
    sign_in: SignIn,
    session: RwLock<Option<Arc<Session>>>,
    /// Held by whoever signs in. Holds how the last sign-in failed, if it did.
    failure: Mutex<Option<Failure>>,
    /// The number of sign-ins that have ended. Read before waiting: whoever waited through one shares its result.
    ended: AtomicU64,
}

impl Sessions {
    /// No session yet.
    pub(super) fn new(sign_in: SignIn) -> Self {
        Self { sign_in, session: RwLock::default(), failure: Mutex::default(), ended: AtomicU64::new(0) }
    }

    /// The session in use, or a new one.
    pub(super) async fn current(&self) -> Result<Arc<Session>, Failure> {
        match self.in_use() {
            Some(session) => Ok(session),
            None => self.sign_in(|session| session).await,
        }
    }

    /// Another session than `former`, which the org no longer knows.
    pub(super) async fn renew(&self, former: &Arc<Session>) -> Result<Arc<Session>, Failure> {
        self.sign_in(|session| session.filter(|it| !Arc::ptr_eq(it, former))).await
    }

    /// A session made now, to prove that signing in works. Tasks under way go on with the session in use.
    pub(super) async fn fresh(&self) -> Result<Arc<Session>, Failure> {
        self.sign_in(|_| None).await
    }

    /// Signs in, unless `enough` of the session in use, or somebody else does meanwhile.
    async fn sign_in(
        &self,
        enough: impl Fn(Option<Arc<Session>>) -> Option<Arc<Session>>,
    ) -> Result<Arc<Session>, Failure> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut last = self.failure.lock().await;
        if let Some(session) = enough(self.in_use()) {
            return Ok(session);
        }
        if self.ended.load(Ordering::Acquire) > seen {
            match (last.as_ref(), self.in_use()) {
                (Some(failure), _) => return Err(failure.clone()),
                (None, Some(session)) => return Ok(session),
                (None, None) => (),
            }
        }
        let result = self.sign_in.run().await.map(Arc::new);
        *last = result.as_ref().err().cloned();
        if let Ok(session) = &result {
            *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(session));
        }
        self.ended.fetch_add(1, Ordering::AcqRel);
        result
    }

    /// Why nobody may sign in now, if nobody may.
    pub(super) fn barred(&self) -> Option<Failure> {
        self.sign_in.barred()
    }

    fn in_use(&self) -> Option<Arc<Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
