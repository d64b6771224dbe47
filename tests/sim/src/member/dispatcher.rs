//! The agent's own loop: settle, then act and speak, then handle.

use std::time::Duration;

use postern_agent_core::Event;
use postern_agent_core::ledger::Ending;
use postern_protocol::Outcome;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::Rejection;

use super::Input;
use crate::attempt::Answer;
use crate::coverage::Situation;
use crate::salesforce::CALL_TIMEOUT;
use crate::workload::Point;
use crate::world::{Happens, World};

/// Inputs that share a barrier.
const GATHER: usize = 64;

impl World {
    /// Something for a member's dispatcher.
    pub fn member_input(&mut self, m: usize, input: Input) {
        if let Some(process) = self.members[m].process.as_mut() {
            process.inputs.push_back(input);
            self.settle_member(m);
        }
    }

    /// Everything decided reaches the disk before anyone hears of it: the agent's own loop.
    pub(super) fn settle_member(&mut self, m: usize) {
        loop {
            let true_time = self.agenda.now();
            let now = self.members[m].now(true_time);
            let life = self.members[m].life;
            let has_room = self.members[m].full <= true_time;
            let Some(process) = self.members[m].process.as_mut() else { return };
            if process.committing.is_some() {
                return;
            }
            process.ledger.handle_store_room(has_room);
            if let Some((mark, writes)) = process.ledger.poll_writes(now) {
                process.committing = Some((mark, writes));
                let takes = self.chance.u64(1..self.pace.disk);
                self.agenda.put_after(takes, Happens::MemberDisk(m, life));
                self.at_point(m, Point::Committing);
                return;
            }
            if let Some((link, welcome)) = process.welcome.take() {
                if self.at_point(m, Point::Welcomed) {
                    return;
                }
                self.confirm(m, link, welcome);
            }
            if !self.member_acts(m) {
                return;
            }
            let Some(process) = self.members[m].process.as_mut() else { return };
            if process.stopping && !process.drained && !process.ledger.is_running() {
                process.drained = true;
                process.ledger.handle_drained();
            }
            self.member_speaks(m);
            let Some(process) = self.members[m].process.as_mut() else { return };
            if process.ledger.has_writes() {
                continue;
            }
            if process.drained && (process.link.is_none() || process.ledger.is_settled()) {
                return self.member_stopped(m);
            }
            if process.inputs.is_empty() {
                break;
            }
            for _ in 0..GATHER {
                let input = self.members[m].process.as_mut().and_then(|it| it.inputs.pop_front());
                let Some(input) = input else { break };
                if !self.member_handles(m, input) {
                    return;
                }
            }
        }
        self.wake_member(m);
    }

    pub(super) fn wake_member(&mut self, m: usize) {
        let (clock, life, present) = (self.members[m].clock, self.members[m].life, self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        let session = process.link.as_ref().map(|(_, session)| session.poll_timeout());
        let Some(at) = process.ledger.poll_timeout().into_iter().chain(session).min() else { return };
        // What is due at once has been looked at just now; time has to pass before it is looked at again.
        let at = at.as_millis().saturating_sub(clock).max(present + 1);
        if process.wakes <= present || at < process.wakes {
            process.wakes = at;
            self.agenda.put(at, Happens::MemberWakes(m, life));
        }
    }

    /// Time passed for a member.
    pub fn member_wakes(&mut self, m: usize) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.ledger.poll_timeout().is_some_and(|at| at <= now) && process.committing.is_none() {
            process.ledger.handle_timeout(now);
        }
        if let Some((_, session)) = process.link.as_mut()
            && session.poll_timeout() <= now
        {
            session.handle_timeout(now);
            self.member_session(m);
        }
        self.settle_member(m);
    }

    /// Does what the ledger wants done. Whether the process lives.
    fn member_acts(&mut self, m: usize) -> bool {
        loop {
            let now = self.members[m].now(self.agenda.now());
            let Some(process) = self.members[m].process.as_mut() else { return false };
            let Some(event) = process.ledger.poll_event(now) else { return true };
            match event {
                Event::Start { offer, resumed, alone, .. } => self.begin_attempt(m, *offer, resumed, alone),
                Event::GiveUp { offer, failure, why, .. } => {
                    let task = offer.task;
                    let journal = self.members[m].disk.earlier(task);
                    let mut ending = Ending::given_up(failure, &journal, why, offer.reconcile);
                    ending.streams = self.results(m, task);
                    if ending.outcome == Outcome::DeadLettered {
                        self.coverage.met(Situation::DeadLettered);
                    }
                    let life = self.members[m].life;
                    self.agenda.put_after(1, Happens::MemberInput(m, life, Input::Ended(task, Ok(Box::new(ending)))));
                }
                Event::Stop(task) => {
                    if let Some(attempt) = process.attempts.get(&task) {
                        attempt.stop();
                    }
                }
                Event::Granted(ticket) => {
                    let Some(task) = process.tickets.remove(&ticket) else { continue };
                    if self.at_point(m, Point::IntentDurable) {
                        return false;
                    }
                    self.go_on(m, task, Some(Answer::Written(Ok(()))));
                }
                Event::Recorded(ticket) => {
                    let Some(task) = process.tickets.remove(&ticket) else { continue };
                    self.go_on(m, task, Some(Answer::Written(Ok(()))));
                }
                Event::Refused(ticket, failure) => {
                    let Some(task) = process.tickets.remove(&ticket) else { continue };
                    if failure.code.as_str() == "lease_too_short" {
                        self.coverage.met(Situation::LeaseRefusedCall);
                    }
                    self.go_on(m, task, Some(Answer::Written(Err(failure))));
                }
                Event::Upload(task, stream) => {
                    process.uploads.insert(task, stream);
                    self.upload(m, task);
                }
                Event::Forget(streams) => {
                    for stream in streams {
                        self.members[m].disk.payloads.remove(&stream);
                    }
                }
                // Nobody counts here, nor runs tasks of this machine; whether it is late an attempt is told whenever it goes on.
                Event::Late(_) | Event::Again(_) | Event::Ended(_) | Event::LocalReport(_) => (),
            }
        }
    }

    /// Handles one input. Whether the process lives.
    fn member_handles(&mut self, m: usize, input: Input) -> bool {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return false };
        match input {
            Input::Introduce => self.introduce(m),
            Input::Welcomed(link, welcome, membership) => {
                process.ledger.handle_welcome(welcome.session, membership, now);
                process.welcome = Some((link, *welcome));
            }
            Input::Established(link, welcome) => self.established(m, link, &welcome),
            Input::Frame(frame) => return self.member_hears(m, *frame),
            Input::Intend(task, entry) => {
                process.next_ticket += 1;
                process.tickets.insert(process.next_ticket, task);
                let reach = Duration::from_millis(CALL_TIMEOUT);
                process.ledger.handle_intend(task, process.next_ticket, entry, reach, now);
            }
            Input::Record(task, entries) => {
                process.next_ticket += 1;
                process.tickets.insert(process.next_ticket, task);
                process.ledger.handle_record(task, process.next_ticket, entries, Vec::new());
            }
            Input::Ended(task, ended) => {
                process.under_way.entry(task).and_modify(|it| *it = true);
                match ended {
                    Ok(ending) => process.ledger.handle_concluded(task, *ending, now),
                    Err(unfinished) => process.ledger.handle_failed(task, unfinished, now),
                }
            }
            Input::PayloadHere(task, stream) => process.ledger.handle_stream_here(task, stream),
            Input::Uploaded(task) => {
                process.uploads.remove(&task);
                process.ledger.handle_uploaded(task, now);
            }
            Input::Unwanted(task) => {
                process.uploads.remove(&task);
                process.ledger.handle_unwanted(task, now);
            }
            Input::ResultsLost(task) => {
                process.uploads.remove(&task);
                process.ledger.handle_results_lost(task, now);
            }
            Input::Disconnected => {
                process.established = false;
                process.ledger.handle_disconnected();
            }
            Input::Stop => {
                process.stopping = true;
                process.ledger.handle_stopping();
            }
        }
        true
    }

    /// Says what may be said.
    fn member_speaks(&mut self, m: usize) {
        loop {
            let now = self.members[m].now(self.agenda.now());
            let Some(process) = self.members[m].process.as_mut() else { return };
            let Some(link) = process.link.as_ref().filter(|_| process.established).map(|(link, _)| *link) else {
                return;
            };
            let Some(frame) = process.ledger.poll_transmit(now) else { return };
            match &frame {
                FromMember::Credit(credit) => process.granted = credit.offers.max(process.granted),
                FromMember::Reject(reject) => match reject.reason.known() {
                    Some(Rejection::Draining) => self.coverage.met(Situation::GaveBack),
                    Some(Rejection::StoreFault) => self.coverage.met(Situation::OfferedFull),
                    Some(Rejection::Policy) => {
                        self.coverage.met(Situation::RefusedByPolicy);
                        self.truth(reject.task).refused_by.insert(m);
                    }
                    _ => (),
                },
                _ => (),
            }
            self.send_frame_to_controller(link, &frame);
        }
    }
}
