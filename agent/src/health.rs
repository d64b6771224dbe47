//! How this agent is: facts, gathered where they are; what they speak against; and the metrics that are read.

mod judge;
mod page;

use std::sync::Arc;
use std::time::Duration;

use postern_health::{Life, Notify, Stalled, Told, Verdict, Word};
use postern_protocol::message::v1::SignInState;
use postern_protocol::time::UnixMillis;
use postern_protocol::{MemberId, SystemName};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::judge::{Facts, judge};
use crate::audit;
use crate::clock;
use crate::connector::Calls;
use crate::dispatcher::{self, Dispatcher, System};
use crate::executor::Executor;
use crate::link::{CertificateStatus, LinkStatus, LinkVitals};
use crate::store::Store;
use crate::watchdog;

/// How long the dispatcher may take to answer. It does between two inputs, also while it waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where facts are gathered. Clones are the same.
#[derive(Clone)]
pub struct Vitals(Arc<Sources>);

/// Who tells what.
pub struct Sources {
    /// The member.
    pub member: MemberId,
    /// What is held.
    pub dispatcher: Dispatcher,
    /// The disk.
    pub store: Store,
    /// The connected systems.
    pub executor: Executor,
    /// The link, for people.
    pub link: watch::Receiver<LinkStatus>,
    /// The link, for health.
    pub link_vitals: LinkVitals,
    /// The certificate.
    pub certificate: watch::Receiver<CertificateStatus>,
    /// The audit log.
    pub audit: watch::Receiver<audit::Status>,
    /// What does not move.
    pub stalled: Stalled,
    /// Fires when the agent is asked to stop.
    pub stopping: CancellationToken,
    /// When it began.
    pub started: UnixMillis,
}

/// What was found at one moment.
struct Seen {
    facts: Facts,
    held: Option<dispatcher::Status>,
    calls: Vec<(SystemName, Calls)>,
}

impl Vitals {
    /// From these.
    pub fn new(sources: Sources) -> Self {
        Self(Arc::new(sources))
    }

    async fn look(&self) -> Seen {
        let it = &*self.0;
        let held = tokio::time::timeout(PATIENCE, it.dispatcher.status()).await.ok().flatten();
        let link = match &*it.link.borrow() {
            LinkStatus::Waiting { error, .. } => Some(error.clone()),
            LinkStatus::Connecting { .. } | LinkStatus::Connected { .. } => None,
        };
        let life = Life {
            stalled: it.stalled.borrow().clone(),
            is_silent: held.is_none(),
            is_broken: it.store.is_broken(),
            is_stopping: it.stopping.is_cancelled(),
        };
        let facts = Facts {
            life,
            without_session: it.link_vitals.without_session(clock::now()),
            link_error: link,
            member: held.as_ref().map(|held| (held.member_state, it.member)),
            has_room: it.store.has_room_for(0),
            audit_has_room: it.store.audit().has_room(),
            systems: held.as_ref().map(|it| it.systems.iter().map(sign_in).collect()),
        };
        Seen { facts, held, calls: it.executor.calls() }
    }

    /// What speaks against this agent's being live, ready and useful.
    pub async fn verdict(&self) -> Verdict {
        judge(&self.look().await.facts)
    }
}

/// A connected system, and why nobody may sign in to it, if nobody may.
fn sign_in(system: &System) -> (SystemName, Option<String>) {
    let is_blocked = system.sign_in.state == SignInState::Blocked;
    let why = || system.sign_in.failure.clone().unwrap_or_else(|| "it was refused before the agent started".to_owned());
    (system.name.clone(), is_blocked.then(why))
}

impl postern_health::Vitals for Vitals {
    async fn verdict(&self) -> Verdict {
        Self::verdict(self).await
    }

    async fn metrics(&self) -> String {
        let seen = self.look().await;
        page::page(&self.0, &seen).text()
    }
}

/// Tells whoever supervises this agent how it is.
pub async fn supervise(notify: Arc<Notify>, vitals: Vitals, stop: CancellationToken) {
    let stalled = vitals.0.stalled.clone();
    let look = || async {
        let seen = vitals.look().await;
        Told { is_ready: judge(&seen.facts).holds(Word::Ready), sentence: page::sentence(&vitals.0, &seen) }
    };
    postern_health::supervise(notify, stalled, Some(watchdog::DISK), look, stop).await;
}
