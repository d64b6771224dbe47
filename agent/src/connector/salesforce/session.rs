//! One session for all tasks of an org: signed in once, by whoever comes first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use postern_protocol::message::v1::SignInState;
use postern_protocol::{Failure, Timestamp};
use tokio::sync::Mutex;

use super::sign_in::{Session, SignIn};
use crate::clock;
use crate::connector::SignIn as Told;
use crate::redaction::redacted;

/// Hosts that are remembered as those that sign-ins led to. An org has one, and another when it moves.
const MAX_HOSTS: usize = 16;
/// How long nobody signs in to find an org elsewhere after that was in vain: many times less often than Salesforce lets an
/// account sign in, and soon enough for one that is just being moved.
const IN_VAIN: Duration = Duration::from_secs(10);

/// What is shorter is no token: those that Salesforce makes up have a hundred characters and more. Texts are kept free of it, which
/// a word that stands everywhere would make unreadable.
const SHORTEST: usize = 16;

/// Whether what a sign-in was answered with can be a session's token.
pub(super) fn is_token(text: &str) -> bool {
    text.len() >= SHORTEST
}

/// The hosts that the sign-ins of this process led to.
#[derive(Default)]
struct Hosts(Vec<String>);

impl Hosts {
    /// A sign-in led there. Whether that is worth a warning: one for each of some hosts, however often they take turns.
    fn sees(&mut self, host: &str, is_expected: bool) -> bool {
        if self.0.len() >= MAX_HOSTS || self.0.iter().any(|known| known == host) {
            return false;
        }
        self.0.push(host.to_owned());
        self.0.len() > 1 || !is_expected
    }
}

/// The looks for an org elsewhere that another session was made for.
#[derive(Default)]
struct Looks {
    in_vain: Option<Timestamp>,
}

impl Looks {
    fn may_help(&self, now: Timestamp) -> bool {
        self.in_vain.is_none_or(|at| now >= at + IN_VAIN)
    }
}

/// The session in use, and the way to another.
pub(super) struct Sessions {
    sign_in: SignIn,
    session: RwLock<Option<Arc<Session>>>,
    /// Held by whoever signs in. Holds how the last sign-in failed, if it did.
    failure: Mutex<Option<Failure>>,
    /// The number of sign-ins that have ended. Read before waiting: whoever waited through one shares its result.
    ended: AtomicU64,
    /// How it goes, for `postern status`.
    told: RwLock<Told>,
    hosts: std::sync::Mutex<Hosts>,
    looks: std::sync::Mutex<Looks>,
}

impl Sessions {
    /// No session yet.
    pub(super) fn new(sign_in: SignIn) -> Self {
        let told = RwLock::new(Told { state: sign_in.state(), ..Told::default() });
        let (hosts, looks) = (std::sync::Mutex::default(), std::sync::Mutex::default());
        let (session, failure, ended) = (RwLock::default(), Mutex::default(), AtomicU64::new(0));
        Self { sign_in, session, failure, ended, told, hosts, looks }
    }

    /// How it goes.
    pub(super) fn told(&self) -> Told {
        self.told.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The org says where it saw the agent come from.
    pub(super) fn handle_seen_from(&self, address: &str) {
        self.told.write().unwrap_or_else(PoisonError::into_inner).address = Some(address.to_owned());
    }

    /// The org took the session. A sign-in that failed meanwhile is over, unless it refused the credentials: whoever signs
    /// in next needs them.
    pub(super) fn handle_honoured(&self) {
        // Every call that goes well comes by here.
        let state = self.told.read().unwrap_or_else(PoisonError::into_inner).state;
        if state != SignInState::Failing || self.sign_in.stands_refused() {
            return;
        }
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        told.state = SignInState::SignedIn;
        told.failure = None;
    }

    fn tell(&self, result: Result<(), &Failure>) {
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                let address = told.address.take();
                let last = Some(clock::unix_millis());
                *told = Told { state: SignInState::SignedIn, last, address, failure: None };
            }
            Err(failure) => {
                told.state = self.sign_in.state_failed();
                told.failure = Some(redacted(failure.summary.as_str()).into_owned());
            }
        }
    }

    /// The session in use, or a new one. To be asked for before a place among the calls is waited for, and again in it:
    /// nobody signs in with a place in hand, for there is a session by then, and whoever was first in line may have renewed it.
    pub(super) async fn current(&self) -> Result<Arc<Session>, Failure> {
        match self.in_use() {
            Some(session) => Ok(session),
            None => self.sign_in(|session| session).await,
        }
    }

    /// Whether there is a session already.
    pub(super) fn is_signed_in(&self) -> bool {
        self.in_use().is_some()
    }

    /// Whether the guard against lock-out would let a sign-in be made now. Makes none.
    pub(super) async fn may_sign_in(&self) -> Result<(), Failure> {
        self.sign_in.may_run().await
    }

    /// Another session than `former`, which the org no longer knows.
    pub(super) async fn renew(&self, former: &Arc<Session>) -> Result<Arc<Session>, Failure> {
        self.sign_in(|session| session.filter(|it| !Arc::ptr_eq(it, former))).await
    }

    /// The org is not where a session leads to that was made a moment ago: another would lead there as well.
    pub(super) fn handle_in_vain(&self) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).in_vain = Some(clock::now());
    }

    /// Whether another session may lead to an org that is not where this one leads to. One that is there already is tried.
    pub(super) fn may_lead_elsewhere(&self, session: &Arc<Session>) -> bool {
        let is_in_use = self.in_use().is_some_and(|it| Arc::ptr_eq(&it, session));
        !is_in_use || self.looks.lock().unwrap_or_else(PoisonError::into_inner).may_help(clock::now())
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
        self.tell(result.as_ref().map(drop));
        if let Ok(session) = &result {
            let host = session.instance.host_str().unwrap_or_default();
            let is_expected = self.sign_in.expects(&session.instance);
            if self.hosts.lock().unwrap_or_else(PoisonError::into_inner).sees(host, is_expected) {
                self.sign_in.warn_of(host);
            }
            *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(session));
        }
        self.ended.fetch_add(1, Ordering::AcqRel);
        result
    }

    fn in_use(&self) -> Option<Arc<Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Warn of each sign-in, and whoever answers them by turns fills the log; of none, and nobody knows where everything goes.
    #[test]
    fn a_host_is_warned_of_once_if_it_is_another_than_before_or_unexpected() {
        let mut hosts = Hosts::default();
        let seen = [("a", true), ("a", true), ("b", true), ("a", true), ("b", true), ("c", false)];
        let warned = seen.map(|(host, is_expected)| hosts.sees(host, is_expected));
        assert_eq!(warned, [false, false, true, false, false, true]);
        assert!(Hosts::default().sees("elsewhere.example", false), "the first");
        let count = (0..1_000).filter(|number| hosts.sees(&format!("{number}.example"), false)).count();
        assert_eq!(count, MAX_HOSTS - 3);
    }

    /// Never look again, and an org that moves after that is found when the agent is started again.
    #[test]
    fn after_a_look_in_vain_nobody_looks_for_ten_seconds() {
        let secs = |secs: u64| Timestamp::from_millis(secs * 1_000);
        assert!(Looks::default().may_help(secs(0)));
        let looks = Looks { in_vain: Some(secs(100)) };
        assert_eq!([100, 109, 110].map(|now| looks.may_help(secs(now))), [false, false, true]);
    }
}
