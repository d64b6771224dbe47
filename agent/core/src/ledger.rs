//! Every task this agent holds, from offer to acknowledgement.

mod attempt;
mod calls;
mod cancel;
mod conclusion;
mod deferred;
mod drain;
mod ending;
mod event;
mod failure;
mod flow;
mod held;
mod inventory;
mod offer;
mod renewal;
mod restore;
mod schedule;
mod session;
mod tombstones;
mod view;

use std::collections::{BTreeMap, VecDeque};

use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{self, StreamRef};
use postern_protocol::seal::{KeyId, SealedField};
use postern_protocol::{ReportNo, SessionNo, StreamId, SystemName, TaskId, Timestamp};

use self::attempt::Grant;
pub use self::calls::CallsLeft;
pub use self::conclusion::lose_results;
use self::deferred::DeferredWrites;
pub use self::ending::Ending;
pub use self::event::{Again, Ended, Event, GivenUp, Offered, Refusal, Unfinished};
pub use self::failure::{EXPIRED, IN_THE_SYSTEM, LEASES_TOO_SHORT, to_be_looked_at};
use self::held::Held;
pub use self::restore::{Restored, RestoredTask};
use self::session::Session;
use self::tombstones::Tombstones;
pub use self::view::{OutboxView, TaskView};
use crate::limits::Limits;
use crate::membership::Membership;
use crate::outbox::Outbox;
use crate::write::{TaskState, Write};

/// Something that may leave only when the writes before it are on disk.
#[derive(Debug)]
enum Gated {
    Transmit(FromMember),
    Event(Event),
    Grant(Grant),
    ReportDurable(ReportNo),
}

/// Every task this agent holds.
///
/// - `handle_*` take what happened, with the time it happened at;
/// - [`poll_writes`](Self::poll_writes) hands out what must be on disk, [`handle_durable`](Self::handle_durable) says
///   that it is;
/// - [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) hand out what may be said and done,
///   never before the writes it rests on are on disk;
/// - [`poll_timeout`](Self::poll_timeout) says when to call [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    tasks: BTreeMap<TaskId, Held>,
    outbox: Outbox,
    calls_left: BTreeMap<SystemName, CallsLeft>,
    /// How many attempts at single tasks of a system failed since one last had an answer.
    failed_in_a_row: BTreeMap<SystemName, u32>,
    /// Whether the store takes new work.
    store_has_room: bool,
    tombstones: Tombstones,
    membership: Membership,
    session_no: SessionNo,
    session: Option<Session>,
    stopping: bool,
    looked_at: Timestamp,
    arrivals: u64,
    /// Attempts started.
    turn: u64,
    writes: Vec<Write>,
    deferred: DeferredWrites,
    written: u64,
    durable: u64,
    gated: VecDeque<(u64, Gated)>,
    transmits: VecDeque<FromMember>,
    events: VecDeque<Event>,
    progress: BTreeMap<TaskId, v1::Progress>,
}

impl Ledger {
    /// The newest session on disk.
    pub fn session_no(&self) -> SessionNo {
        self.session_no
    }

    /// What the controller lets this member do.
    pub fn membership(&self) -> Membership {
        self.membership
    }

    /// The number the next report will have.
    pub fn next_report(&self) -> ReportNo {
        self.outbox.next()
    }

    /// How many tasks are held, by state.
    pub fn held(&self) -> v1::Held {
        let count = |matches: fn(&TaskState) -> bool| {
            u32::try_from(self.tasks.values().filter(|held| matches(&held.state)).count()).unwrap_or(u32::MAX)
        };
        v1::Held {
            journaled: count(|state| matches!(state, TaskState::Journaled { .. })),
            started: count(|state| matches!(state, TaskState::Started { .. })),
            reported: count(|state| matches!(state, TaskState::Concluded(_)))
                .saturating_add(u32::try_from(self.outbox.len()).unwrap_or(u32::MAX)),
        }
    }

    /// How many bytes of payloads are still to come for the tasks that are held.
    pub fn awaited(&self) -> u64 {
        let streams = self
            .tasks
            .values()
            .flat_map(|held| held.offer.streams.iter().filter(|stream| held.missing.contains(&stream.id)));
        streams.fold(0, |sum, stream| sum.saturating_add(stream.length))
    }

    /// Whether a task is held: begun or not, or concluded and not taken.
    pub fn holds(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }

    /// Whether something that is sealed to this key is still to be opened here: a secret of a task that is held, or what
    /// came of a task of this machine and was not taken.
    pub fn needs_key(&self, key: KeyId) -> bool {
        self.tasks.values().any(|held| {
            held.offer.sealed.iter().flat_map(SealedField::recipients).any(|recipient| recipient == key)
                || held.offer.requester.is_some_and(|requester| requester.id() == key)
        })
    }

    /// Whether any attempt is running.
    pub fn is_running(&self) -> bool {
        self.tasks.values().any(|held| held.running)
    }

    /// Whether something waits to be written that others wait for. Deferred writes may be there all the same: if they
    /// are lost with the process, they are asked for again.
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether nothing waits to be written, sent or acted on, deferred writes excepted.
    pub fn is_settled(&self) -> bool {
        self.writes.is_empty() && self.gated.is_empty() && self.transmits.is_empty() && self.events.is_empty()
    }

    /// Whether a task should stop at the next point where it can.
    pub fn is_unwanted(&self, task: TaskId, now: Timestamp) -> bool {
        self.tasks.get(&task).is_some_and(|held| held.is_unwanted(now))
    }

    /// Whether nothing more of a task may be begun.
    pub fn is_late(&self, task: TaskId, now: Timestamp) -> bool {
        self.tasks.get(&task).is_some_and(|held| held.is_expired(now))
    }

    /// Whether a task is no longer wanted by whoever submitted it.
    pub fn is_cancelled(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|held| held.cancelled)
    }

    /// Whether what runs for a task is to heed a stop. Of one that is given up only what is known is told: whoever cancels the
    /// task or leases it again stops that, a lost lease does not.
    pub fn heeds_stop(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_none_or(|held| !held.is_given_up || held.cancelled || held.overtaken)
    }

    /// The payload of a held task that is announced as `stream`, if the task expects it. Only from here on it is heeded that
    /// it is here: before, it would be of an earlier lease.
    pub fn handle_announced(&mut self, task: TaskId, stream: StreamId) -> Option<StreamRef> {
        let held = self.tasks.get_mut(&task)?;
        let expected = held.offer.streams.iter().find(|expected| expected.id == stream).copied()?;
        held.announced.insert(stream);
        Some(expected)
    }

    /// Whether a payload is yet to be deleted, because a task that had it is held no more.
    pub fn is_forgetting(&self, stream: StreamId) -> bool {
        let gated = self.gated.iter().filter_map(|(_, item)| match item {
            Gated::Event(event) => Some(event),
            Gated::Transmit(_) | Gated::Grant(_) | Gated::ReportDurable(_) => None,
        });
        gated.chain(&self.events).any(|event| matches!(event, Event::Forget(streams) if streams.contains(&stream)))
    }

    /// The writes decided so far and the mark to give to [`Self::handle_durable`]. They belong together.
    ///
    /// Deferred writes go with the next others. While there are only such, this is `None` until they have waited long
    /// enough, until they are too many, or until the agent is stopping, which flushes them.
    pub fn poll_writes(&mut self, now: Timestamp) -> Option<(u64, Vec<Write>)> {
        if self.writes.is_empty() && !self.stopping && !self.deferred.is_due(now) {
            return None;
        }
        let mut writes = self.deferred.take();
        writes.append(&mut self.writes);
        if writes.is_empty() {
            return None;
        }
        self.written += 1;
        Some((self.written, writes))
    }

    /// The writes up to this mark are on disk.
    pub fn handle_durable(&mut self, mark: u64, now: Timestamp) {
        self.durable = self.durable.max(mark);
        self.release(now);
    }

    /// Hands out what waits no longer.
    fn release(&mut self, now: Timestamp) {
        while let Some((_, item)) = self.gated.pop_front_if(|(after, _)| *after <= self.durable) {
            match item {
                Gated::Transmit(frame) => self.transmits.push_back(frame),
                Gated::Event(event) => {
                    if let Event::Upload(task, _) = event
                        && let Some(held) = self.tasks.get_mut(&task)
                    {
                        held.concluded_at = Some(now);
                    }
                    self.events.push_back(event);
                }
                Gated::ReportDurable(number) => self.outbox.handle_durable(number, now),
                Gated::Grant(grant) => self.grant(&grant, now),
            }
        }
    }

    /// Holds `item` back until everything decided so far is on disk.
    fn after_writes(&mut self, item: Gated) {
        self.gated.push_back((self.next_mark(), item));
    }

    /// The mark under which what is decided so far will be, or was, handed out.
    fn next_mark(&self) -> u64 {
        if self.writes.is_empty() { self.written } else { self.written + 1 }
    }

    /// The next frame to send. Reports come after everything else, progress last.
    pub fn poll_transmit(&mut self, now: Timestamp) -> Option<FromMember> {
        self.release(now);
        self.session.as_ref()?;
        if let Some(renew) = self.poll_renew(now) {
            return Some(renew.into());
        }
        if let Some(frame) = self.transmits.pop_front() {
            return Some(frame);
        }
        if let Some(report) = self.outbox.poll() {
            return Some(report.into());
        }
        if let Some(credit) = self.poll_credit() {
            return Some(credit.into());
        }
        self.progress.pop_first().map(|(_, progress)| progress.into())
    }

    /// An answer of the shell's, which is sent in its turn, for as long as the session lasts.
    pub fn answer(&mut self, answer: FromMember) {
        if self.session.is_some() {
            self.transmits.push_back(answer);
        }
    }

    /// The next thing to act on.
    pub fn poll_event(&mut self, now: Timestamp) -> Option<Event> {
        self.looked_at = now;
        self.release(now);
        // Looking for what to start may end what only waited for its end.
        self.events.pop_front().or_else(|| self.poll_start(now)).or_else(|| self.events.pop_front())
    }
}

#[cfg(test)]
mod tests;
