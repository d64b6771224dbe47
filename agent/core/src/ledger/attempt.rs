//! Running attempts: what they may begin, what they proved, how they ended.

use std::time::Duration;

use postern_protocol::bounded::Text;
use postern_protocol::message::v1::{self, Started};
use postern_protocol::outcome::Certainty;
use postern_protocol::{Failure, FailureClass, Outcome, StreamId, TaskId, Timestamp};

use super::ending::Ending;
use super::failure::EXPIRED;
use super::held::Parked;
use super::{Again, Event, Gated, GivenUp, Ledger, Unfinished, failure};
use crate::journal::JournalEntry;
use crate::limits::Limits;
use crate::retry;
use crate::write::{Caller, Origin, Write};

/// An intent on its way to the disk, and who waits for it.
#[derive(Debug)]
pub(super) struct Grant {
    task: TaskId,
    ticket: u64,
    entry: JournalEntry,
    reach: Duration,
}

impl Ledger {
    /// An attempt is about to act. Answered with [`Event::Granted`] or [`Event::Refused`] under `ticket`.
    pub fn handle_intend(&mut self, task: TaskId, ticket: u64, entry: JournalEntry, reach: Duration, now: Timestamp) {
        if let Err(failure) = self.may_act(task, now) {
            self.events.push_back(Event::Refused(ticket, failure));
            return;
        }
        let Some(held) = self.tasks.get_mut(&task) else { return };
        if held.lease.covers(reach, now) {
            self.write_intent(task, ticket, entry, reach);
        } else if let Some(ttl) = self.session.as_ref().and_then(|session| session.too_short_for(reach)) {
            self.events.push_back(Event::Refused(ticket, failure::never_long_enough(ttl, reach)));
        } else {
            held.parked.push(Parked { ticket, entry, reach, since: now });
            self.renew_now();
        }
    }

    pub(super) fn may_act(&self, task: TaskId, now: Timestamp) -> Result<(), Failure> {
        let (membership, stopping) = (self.membership, self.stopping);
        let Some(held) = self.tasks.get(&task).filter(|held| held.running) else {
            return Err(failure::not_held());
        };
        let begun = held.is_begun();
        let is_ours = held.origin.is_local();
        if !is_ours && !membership.may_go_on() {
            return Err(failure::not_enabled());
        }
        if held.fenced.is_some() {
            return Err(failure::fenced());
        }
        if held.overtaken {
            return Err(failure::leased_anew());
        }
        if is_ours {
            return Ok(());
        }
        if !held.may_have_acted() && held.cancelled {
            return Err(failure::cancelled());
        }
        if !held.may_have_acted() && held.is_expired(now) {
            return Err(failure::expired());
        }
        if !begun && (stopping || !membership.may_begin()) {
            return Err(failure::not_enabled());
        }
        Ok(())
    }

    pub(super) fn write_intent(&mut self, task: TaskId, ticket: u64, entry: JournalEntry, reach: Duration) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let (epoch, attempt) = (held.lease.epoch, held.offer.attempt);
        let number = held.next_journal();
        held.possible.add(&entry);
        let state = held.start();
        let first = state.is_some();
        self.writes.extend(state.map(|state| Write::PutState(task, state)));
        let local = held.origin.is_local();
        self.writes.push(Write::PutJournal(task, number, entry.clone()));
        if first && !local {
            self.after_writes(Gated::Transmit(Started { task, epoch, attempt }.into()));
        }
        self.after_writes(Gated::Grant(Grant { task, ticket, entry, reach }));
    }

    /// The intent is on disk: may the call still begin?
    pub(super) fn grant(&mut self, grant: &Grant, now: Timestamp) {
        let may = self.may_act(grant.task, now);
        let held = self.tasks.get_mut(&grant.task).filter(|held| held.lease.covers(grant.reach, now));
        match (may, held) {
            (Ok(()), Some(held)) => {
                held.possible.act(&grant.entry, now);
                self.events.push_back(Event::Granted(grant.ticket));
            }
            (Ok(()), None) => self.refuse(grant, failure::lease_too_short()),
            (Err(failure), _) => self.refuse(grant, failure),
        }
    }

    /// Nothing is done about an intent that is on disk already: taken back, so that no later attempt takes it for a
    /// call that may have been made.
    pub(super) fn refuse(&mut self, grant: &Grant, failure: Failure) {
        if let Some(held) = self.tasks.get_mut(&grant.task) {
            let (number, entry) = (held.next_journal(), grant.entry.taken_back());
            held.possible.add(&entry);
            self.writes.push(Write::PutJournal(grant.task, number, entry));
        }
        self.events.push_back(Event::Refused(grant.ticket, failure));
    }

    /// An attempt proved what became of its intents, of which the audit log tells these events. Answered with
    /// [`Event::Recorded`] under `ticket`.
    pub fn handle_record(&mut self, task: TaskId, ticket: u64, entries: Vec<JournalEntry>, audit: Vec<Vec<u8>>) {
        self.writes.extend(audit.into_iter().map(Write::PutAudit));
        if let Some(held) = self.tasks.get_mut(&task) {
            // To look, to remember and to take back can be done again and again without getting any further.
            let further = entries.iter().any(|entry| entry.mark.is_end());
            for entry in entries {
                let number = held.next_journal();
                held.possible.add(&entry);
                self.writes.push(Write::PutJournal(task, number, entry));
            }
            let state = if further { held.get_further() } else { None };
            self.writes.extend(state.map(|state| Write::PutState(task, state)));
        }
        self.after_writes(Gated::Event(Event::Recorded(ticket)));
    }

    /// An attempt says how far it is.
    pub fn handle_progress(&mut self, task: TaskId, done: u64, total: u64, phase: &str) {
        if self.session.is_some() && self.tasks.get(&task).is_some_and(|held| held.origin == Origin::Controller) {
            self.progress.insert(task, v1::Progress { task, done, total, phase: Text::clipped(phase) });
        }
    }

    /// An attempt ended the task, unless it was overtaken and has only seen how: another task may have done it between
    /// the two leases. Nor does it end of what was known when it was given up, if it was leased again since.
    pub fn handle_concluded(&mut self, task: TaskId, mut ending: Ending, now: Timestamp) {
        let was_seen = ending.outcome == Outcome::Succeeded && ending.certainty == Certainty::Probable;
        if self.tasks.get(&task).is_some_and(|held| held.overtaken && (was_seen || held.is_given_up)) {
            // The attempt that follows makes its own.
            let results: Vec<StreamId> = ending.streams.iter().map(|it| it.id).collect();
            self.events.extend((!results.is_empty()).then_some(Event::Forget(results)));
            return self.handle_failed(task, failure::leased_anew(), now);
        }
        // Of one that is given up each attempt was counted, and no other was made.
        if !self.tasks.get(&task).is_some_and(|held| held.is_given_up) {
            self.count_in_a_row(task, ending.failure.as_ref().and_then(|it| it.class.known()));
        }
        self.writes.extend(ending.audit.drain(..).map(Write::PutAudit));
        if let Some(held) = self.tasks.get_mut(&task) {
            held.stop_running();
            self.conclude(task, ending);
        }
    }

    /// An attempt ended without ending the task.
    pub fn handle_failed(&mut self, task: TaskId, unfinished: impl Into<Unfinished>, now: Timestamp) {
        let unfinished = unfinished.into();
        self.count_in_a_row(task, unfinished.failure.class.known());
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let state = if held.is_given_up { None } else { held.survive() };
        held.stop_running();
        if !is_interruption(&unfinished.failure) {
            held.failed_of = Some(unfinished.failure.clone());
        }
        self.writes.extend(state.map(|state| Write::PutState(task, state)));
        if !self.end_without_retry(task, &unfinished.failure, now) {
            self.retry(task, unfinished, now);
        }
    }

    /// Ends a task that no further attempt follows, whatever its last one failed of. Whether that is so.
    fn end_without_retry(&mut self, task: TaskId, failure: &Failure, now: Timestamp) -> bool {
        let Some(held) = self.tasks.get(&task) else { return true };
        let interrupted = is_interruption(failure);
        // What a process before this one took back only the journal knows, and an attempt that has read it.
        let is_found_untouched = interrupted && failure.code.as_str() == EXPIRED && !held.in_doubt();
        let untouched = held.is_untouched() || is_found_untouched;
        let (begun, target) = (held.is_begun(), held.offer.target.clone());
        // An attempt that was late from its beginning makes no intent that could be refused for that: one whose intent was would
        // come round for ever.
        let tells_of_entries = held.is_batch() && !(held.began_late && failure.code.as_str() == EXPIRED);
        if held.fenced.is_some() {
            // What has begun may be leased to this member again, which then goes on from the journal.
            if !begun {
                self.drop_task(task);
            }
        } else if held.cancelled && untouched {
            self.conclude(task, Ending::cancelled());
        } else if held.cancelled && interrupted && held.finds_out && !self.stopping {
            self.give_up(task, failure::cancelled_too_late(&target), GivenUp::Cancelled);
        } else if held.is_expired(now) && untouched {
            self.conclude_expired(task);
        } else if held.is_expired(now) && interrupted && !begun && !tells_of_entries {
            self.give_up(task, failure::expired_in_doubt(&target), GivenUp::Failed);
        } else {
            return false;
        }
        true
    }

    fn retry(&mut self, task: TaskId, unfinished: Unfinished, now: Timestamp) {
        let Unfinished { failure, patience, unsettled_for } = unfinished;
        let Limits { attempts, long_wait, waiting, .. } = self.limits;
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let interrupted = is_interruption(&failure);
        let asked = !interrupted && patience >= long_wait;
        // Whoever waits for it can decide better.
        let is_for_person = asked && held.origin == Origin::Local(Caller::Person);
        // A task that does as it was asked has not failed; but nobody waits for ever.
        let waits = asked && !is_for_person && held.waited + patience <= waiting;
        held.failures += u32::from(!interrupted && !waits);
        let mut next = retry::decide(failure.class.known(), held.failures, attempts, patience);
        if is_for_person {
            next = retry::Next::GiveUp;
        }
        let unsettled = held.unsettled(unsettled_for, now);
        if next == retry::Next::GiveUp && !unsettled.is_zero() && held.failures < 2 * attempts {
            // Its end frees the account, behind whose next task's back a call could take effect. Then it is looked once more;
            // if each look makes calls whose effects cannot be looked at, that has an end too.
            next = retry::Next::Again(unsettled);
        }
        match next {
            // What may have had an effect is gone on with: nothing can be said of it before it was looked at, and nothing
            // is left half done. A batch that is late begins nothing, and tells of each entry that it is.
            retry::Next::Again(after)
                if held.may_have_acted()
                    || !held.is_expired(now + after)
                    || (held.is_batch() && !held.is_untouched()) =>
            {
                held.retry_at = Some(now + after);
                if waits {
                    held.waits = true;
                    held.waited += after;
                }
                if !after.is_zero() {
                    let (kind, system) = (held.offer.kind, held.offer.system.clone());
                    self.events.push_back(Event::Again(Box::new(Again { task, kind, system, after, failure })));
                }
                self.give_back();
            }
            retry::Next::Again(_) if held.is_untouched() => self.conclude_expired(task),
            retry::Next::Again(_) | retry::Next::GiveUp => self.give_up(task, failure, GivenUp::Failed),
        }
    }
}

fn is_interruption(failure: &Failure) -> bool {
    failure.class.known() == Some(FailureClass::Interrupted)
}
