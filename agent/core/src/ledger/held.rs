//! One task in the agent's hands.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::task::{Lane, Repeat};
use postern_protocol::time::Ago;
use postern_protocol::{Epoch, Failure, StreamId, TaskKind, Timestamp};

use super::RestoredTask;
use super::offer::is_lasting;
use crate::journal::{JournalEntry, Mark};
use crate::lease::Lease;
use crate::limits::Limits;
use crate::write::{Origin, TaskState};

/// An intent that waits for the lease to be renewed.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) ticket: u64,
    pub(super) entry: JournalEntry,
    pub(super) reach: Duration,
    pub(super) since: Timestamp,
}

/// What the journal of a task leaves possible, as far as it is known here.
#[derive(Debug, Default)]
pub(super) struct Possible {
    /// Intents of this process that were not taken back, of each step that is not proved done, oldest first.
    open: BTreeMap<u32, Vec<Open>>,
    /// A step was proved done.
    done: bool,
    /// An earlier process left an effect, or an intent, or both taken back: only the journal knows.
    earlier: bool,
    /// When its last call is taken for made: when this process first asked.
    earlier_acted_at: Option<Timestamp>,
}

/// An intent that may become an effect.
#[derive(Debug)]
struct Open {
    /// What tells it from others of its step.
    note: u64,
    /// When its call was let begin.
    acted_at: Option<Timestamp>,
}

fn hash_of(note: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    note.hash(&mut hasher);
    hasher.finish()
}

impl Possible {
    pub(super) fn add(&mut self, entry: &JournalEntry) {
        match entry.mark {
            Mark::Intent => {
                let open = Open { note: hash_of(&entry.note), acted_at: None };
                self.open.entry(entry.step).or_default().push(open);
            }
            Mark::TakenBack => {
                let (note, open) = (hash_of(&entry.note), self.open.entry(entry.step).or_default());
                if let Some(last) = open.iter().rposition(|it| it.note == note) {
                    open.remove(last);
                }
            }
            Mark::Done | Mark::Unchanged => {
                self.open.remove(&entry.step);
                self.done = true;
            }
            Mark::Memo => (),
        }
    }

    fn may_be_effects(&self) -> bool {
        self.done || self.may_be_open()
    }

    /// Whether there may have been a call of which nothing is proved.
    fn may_be_open(&self) -> bool {
        self.earlier || self.open.values().any(|open| !open.is_empty())
    }

    /// The call of an intent begins.
    pub(super) fn act(&mut self, intent: &JournalEntry, now: Timestamp) {
        let note = hash_of(&intent.note);
        let open = self.open.get_mut(&intent.step).into_iter().flatten();
        if let Some(open) = open.rev().find(|it| it.note == note && it.acted_at.is_none()) {
            open.acted_at = Some(now);
        }
    }

    /// When the last call was let begin of which nothing is proved.
    fn last_acted_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let earlier = self.earlier.then(|| *self.earlier_acted_at.get_or_insert(now));
        self.open.values().flatten().filter_map(|it| it.acted_at).chain(earlier).max()
    }
}

/// When nothing more of an offer that comes now may be begun.
pub(super) fn deadline_of(offer: &Offer, now: Timestamp) -> Option<Timestamp> {
    (offer.deadline_ms > 0).then(|| now + Duration::from_millis(offer.deadline_ms))
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(super) struct Held {
    pub(super) offer: Offer,
    pub(super) origin: Origin,
    pub(super) state: TaskState,
    pub(super) lease: Lease,
    /// Order of arrival, among tasks of one priority.
    pub(super) arrival: u64,
    pub(super) running: bool,
    /// The deadline had passed when its last attempt began.
    pub(super) began_late: bool,
    /// The lease under which it was run for the first time, as far as that is known.
    pub(super) first_run: Option<Epoch>,
    /// A process before this one held it.
    pub(super) restored: bool,
    /// What its journal leaves possible.
    pub(super) possible: Possible,
    /// Attempts that failed, as opposed to having been interrupted, since the task last got further.
    pub(super) failures: u32,
    /// Of what the last of them failed.
    pub(super) failed_of: Option<Failure>,
    pub(super) retry_at: Option<Timestamp>,
    /// The connected system asked for the wait that is under way, and it is long.
    pub(super) waits: bool,
    /// How long such waits were in all.
    pub(super) waited: Duration,
    pub(super) deadline: Option<Timestamp>,
    /// When its newest offer came, or, after a restart, when it was first run: times that the offer tells count from here.
    pub(super) offered_at: Option<Timestamp>,
    /// When its end and its results became durable, or this process took them up.
    pub(super) concluded_at: Option<Timestamp>,
    pub(super) cancelled: bool,
    /// The running attempt, or the last, began when the task was cancelled already: to find out what there is.
    pub(super) finds_out: bool,
    /// Since when the lease is known to be lost.
    pub(super) fenced: Option<Timestamp>,
    /// The running attempt began under an older lease: what it has read may be out of date.
    pub(super) overtaken: bool,
    /// Whether what runs only finds out how it ends without a further attempt.
    pub(super) is_given_up: bool,
    pub(super) missing: BTreeSet<StreamId>,
    /// Those of its payloads that were announced since it was taken, or since the start.
    pub(super) announced: BTreeSet<StreamId>,
    pub(super) journal: u32,
    /// The mark of the write that makes the offer durable.
    pub(super) durable_after: u64,
    pub(super) parked: Vec<Parked>,
}

impl Held {
    /// The controller announces every payload once the offer is accepted, and only then it is known to be here: one that is
    /// left from an earlier lease may be on its way out.
    pub(super) fn offered(offer: Offer, origin: Origin, arrival: u64, now: Timestamp) -> Self {
        let deadline = deadline_of(&offer, now);
        let here = match origin {
            Origin::Controller => Vec::new(),
            Origin::Local(_) => offer.streams.iter().map(|stream| stream.id).collect(),
        };
        Self { deadline, offered_at: Some(now), ..Self::new(offer, origin, &here, arrival) }
    }

    /// The deadline is gone with the process that counted it: the controller, which knows it, says what is late, and nothing is
    /// done before it was asked.
    pub(super) fn restore(restored: RestoredTask, arrival: u64) -> Self {
        let has_begun = matches!(restored.state, TaskState::Started { .. });
        Self {
            first_run: has_begun.then_some(restored.offer.epoch),
            possible: Possible { earlier: has_begun, ..Possible::default() },
            state: restored.state,
            restored: true,
            journal: restored.journal,
            ..Self::new(restored.offer, restored.origin, &restored.streams_here, arrival)
        }
    }

    fn new(offer: Offer, origin: Origin, streams_here: &[StreamId], arrival: u64) -> Self {
        let lease = match origin {
            Origin::Controller => Lease::offered(offer.epoch),
            Origin::Local(_) => Lease::local(),
        };
        let missing = offer.streams.iter().map(|stream| stream.id).filter(|id| !streams_here.contains(id)).collect();
        Self {
            origin,
            state: TaskState::Journaled { unended: 0 },
            lease,
            arrival,
            running: false,
            began_late: false,
            first_run: None,
            restored: false,
            possible: Possible::default(),
            failures: 0,
            failed_of: None,
            retry_at: None,
            waits: false,
            waited: Duration::ZERO,
            deadline: None,
            offered_at: None,
            concluded_at: None,
            cancelled: false,
            finds_out: false,
            fenced: None,
            overtaken: false,
            is_given_up: false,
            missing,
            announced: BTreeSet::new(),
            journal: 0,
            durable_after: 0,
            parked: Vec::new(),
            offer,
        }
    }

    /// For how long no other task for its target was under way, at the least: how long ago the offer came is gone with the
    /// process that took it.
    pub(super) fn alone(&mut self, now: Timestamp) -> Ago {
        let as_of = *self.offered_at.get_or_insert(now);
        Ago { long: Duration::from_millis(self.offer.alone_ms), as_of }
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Whether an attempt of another member may have had an effect: then nothing can be said of the task before the
    /// target was looked at.
    pub(super) fn in_doubt(&self) -> bool {
        self.offer.reconcile && !self.only_reads()
    }

    /// Whether it was begun here. What came of that may be taken back, all of it.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self.state, TaskState::Started { .. })
    }

    /// Whether an effect of this agent may exist.
    pub(super) fn may_have_acted(&self) -> bool {
        self.is_begun() && self.possible.may_be_effects()
    }

    /// For how long a call of this agent may still take effect, of which nothing is proved, if any does so for this long
    /// after it was begun.
    pub(super) fn unsettled(&mut self, after: Duration, now: Timestamp) -> Duration {
        let acted_at = if self.is_begun() { self.possible.last_acted_at(now) } else { None };
        acted_at.map_or(Duration::ZERO, |it| (it + after).since(now))
    }

    /// Whether it is certain that nothing came of it, whoever had it.
    pub(super) fn is_untouched(&self) -> bool {
        !self.is_concluded() && !self.may_have_acted() && !self.in_doubt()
    }

    /// How often the process is known to have died in an attempt that got no further.
    pub(super) fn deaths(&self) -> u32 {
        match self.state {
            TaskState::Journaled { unended } | TaskState::Started { unended } => unended,
            TaskState::Concluded(_) => 0,
        }
    }

    /// After how many deaths it is not run again. An import that has begun, here or elsewhere, finds the entry in which the
    /// process dies.
    pub(super) fn most_deaths(&self, limits: &Limits) -> u32 {
        let is_import = self.offer.kind.known() == Some(TaskKind::ImportBatch);
        if is_import && (self.is_begun() || self.in_doubt()) { limits.import_deaths } else { limits.deaths }
    }

    /// Notes that an attempt begins, if its death is to be known. What is to be on disk before it does.
    pub(super) fn resume(&mut self) -> Option<TaskState> {
        // The first process is given the benefit of the doubt: a write for every task would be much to ask.
        if !self.is_begun() && !self.restored {
            return None;
        }
        *self.unended()? += 1;
        Some(self.state.clone())
    }

    /// Notes that the running attempt is about to act for the first time. What is to be on disk before it does.
    pub(super) fn start(&mut self) -> Option<TaskState> {
        if self.is_begun() {
            return None;
        }
        self.state = TaskState::Started { unended: 1 };
        Some(self.state.clone())
    }

    /// Notes that an attempt ended without the death of the process. What is to be on disk, if anything is.
    pub(super) fn survive(&mut self) -> Option<TaskState> {
        *self.unended().filter(|unended| **unended > 0)? -= 1;
        Some(self.state.clone())
    }

    /// Notes that the running attempt got the task further. What is to be on disk, if anything is.
    pub(super) fn get_further(&mut self) -> Option<TaskState> {
        // A batch of hours meets more of what passes than a single call, and none of it is in the way any more.
        self.failures = 0;
        *self.unended().filter(|unended| **unended > 1)? = 1;
        Some(self.state.clone())
    }

    fn unended(&mut self) -> Option<&mut u32> {
        match &mut self.state {
            TaskState::Journaled { unended } | TaskState::Started { unended } => Some(unended),
            TaskState::Concluded(_) => None,
        }
    }

    /// Whether an attempt should go no further than to find out what there is. A batch that is late tells of each entry that it
    /// is, and is not to stop before.
    pub(super) fn is_unwanted(&self, now: Timestamp) -> bool {
        let is_late = !self.is_batch() && !self.may_have_acted() && self.is_expired(now);
        self.cancelled || self.fenced.is_some() || is_late
    }

    /// How it ended, if it has.
    pub(super) fn conclusion(&self) -> Option<&Report> {
        match &self.state {
            TaskState::Concluded(report) => Some(report),
            TaskState::Journaled { .. } | TaskState::Started { .. } => None,
        }
    }

    pub(super) fn is_concluded(&self) -> bool {
        self.conclusion().is_some()
    }

    /// Whether it is under a lease of the controller's that is not known to be lost.
    pub(super) fn is_leased(&self) -> bool {
        self.origin == Origin::Controller && self.fenced.is_none()
    }

    /// Whether it may run without a lease: it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        let kind = self.offer.kind.known();
        kind.is_some_and(|kind| kind.repeat() == Repeat::Freely)
    }

    /// Where it waits for its turn.
    pub(super) fn lane(&self) -> Lane {
        self.offer.kind.known().map_or(Lane::Provisioning, TaskKind::lane)
    }

    /// Whether what is about one account goes before it.
    pub(super) fn is_batch(&self) -> bool {
        self.lane() == Lane::Batch
    }

    pub(super) fn stop_running(&mut self) {
        self.running = false;
        self.overtaken = false;
        self.is_given_up = false;
        self.parked.clear();
    }

    pub(super) fn next_journal(&mut self) -> u32 {
        self.journal += 1;
        self.journal - 1
    }

    /// Every payload on this machine that belongs to it.
    pub(super) fn streams(&self) -> Vec<StreamId> {
        let results = self.conclusion().into_iter().flat_map(|report| report.streams.iter());
        self.offer.streams.iter().chain(results).map(|stream| stream.id).collect()
    }

    /// Whether it ended here in a way that others, who may have worked on its target since, may have made wrong.
    pub(super) fn is_outdated_by(&self, offer: &Offer) -> bool {
        offer.reconcile && self.conclusion().is_some_and(|report| !is_lasting(report, offer))
    }

    /// Whether the same work is asked for, whatever the lease.
    pub(super) fn is_same_work(&self, offer: &Offer) -> bool {
        self.offer.kind == offer.kind
            && self.offer.kind_rev == offer.kind_rev
            && self.offer.system == offer.system
            && self.offer.params == offer.params
            // Under other keys, but no other secrets: with a password, a task would do more than was let in.
            && sealed_names(&self.offer).eq(sealed_names(offer))
    }
}

fn sealed_names(offer: &Offer) -> impl Iterator<Item = &str> {
    offer.sealed.iter().map(|field| field.name.as_str())
}
