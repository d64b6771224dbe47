//! Everything the controller knows. One owner, the [`dispatcher`](crate::dispatcher), calls it, commits what it
//! decided, and only then lets its words out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postern_protocol::message::v1::{MembershipState, Offer, Progress};
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, Epoch, MemberId, SessionNo, StreamId, SystemName, TaskId, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::ca::Authority;
use crate::clock::Moment;
use crate::metrics::metrics;
use crate::queue::{Config, Queue};
use crate::telemetry::Hush;

pub mod api_tokens;
mod attempts;
pub mod audit;
#[cfg(test)]
mod bounds;
mod certificates;
pub mod changes;
mod clusters;
pub(crate) mod enroll;
mod finished;
#[cfg(test)]
mod heard;
#[cfg(test)]
pub(crate) mod lab;
pub mod ledger;
pub mod log_levels;
pub mod members;
pub mod newer;
mod offers;
pub mod once;
pub mod origin;
pub mod outbox;
pub mod record;
pub mod records;
mod refusal;
mod reports;
mod reseal;
pub mod roots;
pub mod served;
mod sessions;
pub mod streams;
mod submit;
mod superseded;
mod systems;
pub mod tasks;
mod words;

use api_tokens::{ApiTokens, Published};
use attempts::Attempts;
use audit::Audit;
use changes::Changes;
pub use finished::Retention;
use ledger::{LedgerError, Write};
use once::Once;
use record::{
    ClusterRecord, Direction, MemberNumbers, MemberRecord, NewerCertificate, RootsRecord, StreamRecord, SystemRecord,
    TaskRecord, TokenRecord,
};
use records::Records;
pub use refusal::{Refusal, RefusalKind};
pub use reseal::Resealing;
pub use sessions::{Greeting, Introduction, ToSession, Welcomed};
pub use submit::Submission;
pub use systems::{NewSystem, SystemChanges};
pub use tasks::TaskView;

/// What the controller was started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// New members may work without an operator's approval.
    pub auto_approve: bool,
    /// How long members' certificates last.
    pub certificate_life: Duration,
    /// For how long after its certificate ran out a member may get the next one by proof of the old key.
    pub recovery: Duration,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
    /// How long after a lease an effect may still appear: the longest call a member makes, and then some.
    pub settle: Duration,
    /// How often each side of a session asks for a sign of life.
    pub heartbeat: Duration,
    /// How long finished tasks are kept.
    pub keep: Retention,
}

/// The most unfinished tasks: a day's work of a large company, and some 400 MiB of memory.
const MAX_UNFINISHED: usize = 100_000;
/// Those of them that are left for administrators, however much others submit that nobody does.
const LEFT_FOR_ADMINISTRATORS: usize = 1_000;
/// The most who may wait for tasks at once: fifty times as many as the API has requests under way.
const MAX_WAITERS: usize = 10_000;

/// How a session is told things.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// What it is told.
    pub words: mpsc::Sender<ToSession>,
    /// Ends it at once, when it is too slow to listen.
    pub cut: CancellationToken,
    /// Cancelled with its last word: it ends a moment later, whether the member takes that or not.
    pub over: CancellationToken,
}

/// Words for a session, held back until what they tell of is durable.
struct Word {
    session: SessionHandle,
    said: ToSession,
}

/// A member with its live session, if it has one.
struct Member {
    record: MemberRecord,
    numbers: MemberNumbers,
    /// Certificates that wait to be accepted, the newest first.
    newer: Vec<NewerCertificate>,
    /// When one of them was last shown.
    newer_shown: Option<Timestamp>,
    /// A certificate that was its own before and was shown again.
    superseded: Option<superseded::Superseded>,
    live: Option<sessions::Live>,
    /// From where it had its last session.
    address: Option<String>,
    /// What it was last refused, or refused itself.
    trouble: Option<members::TroubleView>,
}

impl Member {
    const fn new(record: MemberRecord, numbers: MemberNumbers) -> Self {
        Self {
            record,
            numbers,
            newer: Vec::new(),
            newer_shown: None,
            superseded: None,
            live: None,
            address: None,
            trouble: None,
        }
    }

    /// Its session, once the member made it durable.
    fn session(&self) -> Option<&sessions::Live> {
        self.live.as_ref().filter(|it| it.established)
    }
}

/// What the controller knows, and what it decided but has not yet made durable.
pub struct State {
    records: Box<dyn Records>,
    authority: Arc<Authority>,
    seen_authority: watch::Sender<Arc<Authority>>,
    roots: RootsRecord,
    settings: Settings,
    clusters: BTreeMap<ClusterName, ClusterRecord>,
    tokens: BTreeMap<postern_protocol::id::TokenId, TokenRecord>,
    api_tokens: ApiTokens,
    once: Once,
    audit: Audit,
    changes: Changes,
    members: BTreeMap<MemberId, Member>,
    systems: BTreeMap<SystemName, SystemRecord>,
    streams: BTreeMap<StreamId, StreamRecord>,
    /// The payloads of unfinished tasks, in the order they were submitted with.
    inputs_of: BTreeMap<TaskId, Vec<StreamId>>,
    /// What came of unfinished tasks, the oldest first.
    outputs_of: BTreeMap<TaskId, Vec<StreamId>>,
    queue: Queue,
    attempts: Attempts,
    /// How much the log tells of each member.
    hush: Arc<Hush<MemberId>>,
    finished: finished::Finished,
    /// When the newest id was made of a task of which nothing is known any more.
    newest_forgotten: UnixMillis,
    /// How far tasks are, as was said under a lease.
    progress: BTreeMap<TaskId, (Epoch, Progress)>,
    waiters: BTreeMap<TaskId, Vec<oneshot::Sender<()>>>,
    /// Decided and not yet in the ledger.
    writes: Vec<Write>,
    /// To be said once it is.
    words: Vec<Word>,
    /// Contents of tasks among `writes`.
    new_offers: BTreeMap<TaskId, Offer>,
    /// Finished tasks among `writes`.
    new_finished: BTreeMap<TaskId, TaskRecord>,
    /// Tasks among `writes` that finished before, and of which more was reported.
    observed: BTreeMap<TaskId, TaskRecord>,
    /// What all members trust was doubted since the start.
    doubts_trust: bool,
    /// The spans of leases are told, so that what members tell can be part of them.
    tells_leases: bool,
    /// Tasks or members changed since it was last looked whether a member that drains is done.
    may_be_drained: bool,
    /// Payloads whose files are to go once the ledger does not name them any more.
    forgotten: Vec<StreamId>,
}

/// What one turn decided.
pub struct Turn {
    /// To be committed together.
    pub writes: Vec<Write>,
    /// Payloads whose files are of no use once it is.
    pub forgotten: Vec<StreamId>,
    authority: Option<(watch::Sender<Arc<Authority>>, Arc<Authority>)>,
    words: Vec<Word>,
    woken: Vec<oneshot::Sender<()>>,
    api_tokens: Option<Published>,
    audited: (watch::Sender<u64>, u64),
    changed: (watch::Sender<u64>, u64),
}

impl Turn {
    /// What the sessions will be told.
    pub fn words(&self) -> impl Iterator<Item = &ToSession> {
        self.words.iter().map(|word| &word.said)
    }

    /// Whether it changes the authority.
    pub const fn changes_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// Whom a committed turn lets in, or no longer, holds from here on, and its lines may be written.
    pub fn publish(&self) {
        for (newest, number) in [&self.audited, &self.changed] {
            newest.send_if_modified(|it| std::mem::replace(it, *number) != *number);
        }
        if let Some(published) = &self.api_tokens {
            published.publish();
        }
        if let Some((seen, authority)) = &self.authority {
            seen.send_replace(Arc::clone(authority));
        }
    }

    /// Lets the words of a committed turn out. A session too slow to take its word is ended; it hears everything
    /// again when it comes back.
    pub fn speak(self) {
        if let Some(published) = self.api_tokens {
            published.end_revoked();
        }
        for Word { session, said } in self.words {
            if matches!(said, ToSession::Close(_)) {
                session.over.cancel();
            }
            if session.words.try_send(said).is_err() {
                tracing::debug!("a session is over or too slow for what it was to be told");
                session.cut.cancel();
            }
        }
        for waiter in self.woken {
            let _ = waiter.send(());
        }
    }
}

impl State {
    /// Reads everything that is durable.
    pub fn open(
        records: impl Records + 'static,
        authority: Arc<Authority>,
        settings: Settings,
        at: Moment,
    ) -> Result<Self, LedgerError> {
        let config = Config { lease_ttl: settings.lease_ttl, settle: settings.settle, max_unfinished: MAX_UNFINISHED };
        let mut queue = Queue::new(config);
        let mut members = BTreeMap::new();
        for record in records.members()? {
            queue.set_opener(record.id, reseal::opener(&record));
            let numbers = records.numbers(record.id)?.unwrap_or(sessions::FIRST_NUMBERS);
            let newer = records.newer(record.id)?;
            // Whoever showed one has had no time to show it again.
            let newer_shown = (!newer.is_empty()).then_some(at.now);
            members.insert(record.id, Member { newer, newer_shown, ..Member::new(record, numbers) });
        }
        let mut finished = finished::Finished::new();
        for task in records.tasks(None) {
            let task = task?;
            match finished::place(&task) {
                Some(place) => {
                    finished.insert(place);
                }
                None => reseal::restore(&mut queue, &records, task, at)?,
            }
        }
        let is_stopped = |it: &&MemberRecord| it.state == MembershipState::Disabled && it.hard;
        for member in members.values().map(|it| &it.record).filter(is_stopped) {
            queue.take_away_the_rest(member.id, at);
        }
        let streams = streams::restore(&records, &queue)?;
        let inputs_of = streams::of_tasks(&streams, Direction::Input, &queue);
        let outputs_of = streams::of_tasks(&streams, Direction::Output, &queue);
        Ok(Self {
            roots: records.roots()?.unwrap_or_default(),
            clusters: records.clusters()?.into_iter().map(|it| (it.name.clone(), it)).collect(),
            tokens: records.tokens()?.into_iter().map(|it| (it.id, it)).collect(),
            api_tokens: ApiTokens::restore(records.api_tokens()?),
            once: Once::restore(records.once()?),
            audit: Audit::restore(records.audit_written()?, records.audit_rows()?),
            changes: Changes::new(at.wall),
            systems: records.systems()?.into_iter().map(|it| (it.name.clone(), it)).collect(),
            streams,
            inputs_of,
            outputs_of,
            members,
            queue,
            attempts: Attempts::new(settings.certificate_life),
            hush: Arc::default(),
            finished,
            newest_forgotten: records.forgotten()?.map_or(UnixMillis(0), |it| it.newest),
            records: Box::new(records),
            seen_authority: watch::Sender::new(Arc::clone(&authority)),
            authority,
            settings,
            progress: BTreeMap::new(),
            waiters: BTreeMap::new(),
            writes: Vec::new(),
            words: Vec::new(),
            new_offers: BTreeMap::new(),
            new_finished: BTreeMap::new(),
            observed: BTreeMap::new(),
            doubts_trust: false,
            tells_leases: false,
            may_be_drained: true,
            forgotten: Vec::new(),
        })
    }

    /// From here on the spans of leases are told.
    pub const fn tell_leases(&mut self) {
        self.tells_leases = true;
    }

    /// Time passed.
    pub fn tick(&mut self, at: Moment) {
        self.queue.tick(at);
        self.forget_stale_tokens(at);
        self.look_at_api_tokens(at);
        self.forget_old_keys(at);
        self.forget_unused_payloads(at);
        self.forget_finished(at);
        self.collect_changes();
        self.notice_drained(at);
    }

    /// Whether nobody waits to hear what was decided.
    pub fn is_quiet(&mut self) -> bool {
        self.collect_changes();
        self.words.is_empty() && self.new_finished.is_empty()
    }

    /// How many batches and barriers the store made since the start.
    pub fn commits_and_barriers(&self) -> (u64, u64) {
        self.records.commits_and_barriers()
    }

    /// How many leases ran out, and how many tasks came into doubt, since the start.
    pub const fn lapses_and_doubts(&self) -> (u64, u64) {
        self.queue.lapses_and_doubts()
    }

    /// How many changes wait to be committed: whoever gathers several requests into one turn stops at some.
    pub fn pending(&self) -> usize {
        self.writes.len()
    }

    /// Ends a turn: what to commit, and what to say after.
    pub fn end_turn(&mut self) -> Turn {
        self.collect_changes();
        self.forget_unnamed_outputs();
        self.new_offers.clear();
        self.observed.clear();
        for write in &self.writes {
            self.changes.note_write(write);
        }
        let woken = std::mem::take(&mut self.new_finished)
            .into_keys()
            .flat_map(|task| {
                self.progress.remove(&task);
                self.inputs_of.remove(&task);
                self.outputs_of.remove(&task);
                self.waiters.remove(&task).unwrap_or_default()
            })
            .collect();
        Turn {
            writes: std::mem::take(&mut self.writes),
            forgotten: std::mem::take(&mut self.forgotten),
            authority: (!Arc::ptr_eq(&self.authority, &self.seen_authority.borrow()))
                .then(|| (self.seen_authority.clone(), Arc::clone(&self.authority))),
            words: std::mem::take(&mut self.words),
            woken,
            api_tokens: self.api_tokens.take_published(),
            audited: self.audit.newest(),
            changed: self.changes.newest(),
        }
    }

    /// Takes over what the queue decided.
    fn collect_changes(&mut self) {
        for record in self.queue.take_changes() {
            self.may_be_drained = true;
            if let Some(place) = finished::place(&record) {
                if let Some(finish) = &record.finish {
                    metrics().finished.one(&[&record.kind.to_string(), &finish.outcome.to_string()]);
                    if finish.member.is_none() {
                        tracing::info!(
                            task = %record.id, outcome = %finish.outcome, why = finish.note, "the controller ended a task by itself"
                        );
                    }
                }
                self.finished.insert(place);
                self.new_finished.insert(record.id, record.clone());
            }
            self.writes.push(Write::Task(record));
        }
    }

    /// Says something about work to a member. Before its session is established there is no place for it, and after
    /// that the inventory settles everything.
    fn say(&mut self, member: MemberId, said: ToSession) {
        if let Some(live) = self.members.get(&member).and_then(Member::session) {
            self.words.push(Word { session: live.session.clone(), said });
        }
    }

    /// How much the log tells of each member: the sessions tell of it as well.
    pub fn hush(&self) -> Arc<Hush<MemberId>> {
        Arc::clone(&self.hush)
    }

    /// Whether `session` is the member's live one: words of a replaced session no longer count.
    fn is_live(&self, member: MemberId, session: SessionNo) -> bool {
        self.members.get(&member).and_then(|it| it.live.as_ref()).is_some_and(|it| it.number == session)
    }
}
