//! What the member may do, and giving back what it may not begin any more.

use postern_protocol::bounded::Text;
use postern_protocol::message::v1::{Drain, Drained, MemberStateAck, Rejection};
use postern_protocol::{TaskId, Timestamp};

use super::held::Held;
use super::{Event, Gated, Ledger};
use crate::membership::Membership;
use crate::write::{Origin, TaskState, Write};

impl Ledger {
    /// The controller changed what this member may do. Acknowledged once it is on disk.
    pub fn handle_member_state(&mut self, membership: Membership, now: Timestamp) {
        if membership.epoch >= self.membership.epoch {
            self.put_membership(membership, now);
            self.give_back();
        }
        self.after_writes(Gated::Transmit(MemberStateAck { epoch: membership.epoch }.into()));
    }

    pub(super) fn put_membership(&mut self, membership: Membership, now: Timestamp) {
        let before = std::mem::replace(&mut self.membership, membership);
        self.writes.push(Write::PutMembership(membership));
        // The state before may be that of a former process, under which nothing was lost yet.
        if !membership.may_go_on() || !before.may_go_on() {
            self.lose_all(now);
        }
        if ![before.epoch, before.epoch.next()].contains(&membership.epoch) {
            // In between it was another, for which the controller may have taken the leases away.
            self.ask_for_leases_again();
        }
    }

    /// A member that must not go on has no leases any more: when it is enabled again, only newer ones give it the right
    /// to act.
    fn lose_all(&mut self, now: Timestamp) {
        let has_lease = |held: &Held| held.is_leased() && !held.is_concluded();
        let lost: Vec<TaskId> = self.tasks.iter().filter(|(_, held)| has_lease(held)).map(|(task, _)| *task).collect();
        for task in lost {
            self.lose(task, now);
        }
    }

    /// Hands tasks that have not begun and are not to begin here back to the controller, so that another member can take them
    /// at once.
    pub(super) fn give_back(&mut self) {
        if self.session.is_none() {
            return;
        }
        let may_begin = self.membership.may_begin() && !self.stopping;
        let unbegun = |held: &Held| {
            held.is_leased() && matches!(held.state, TaskState::Journaled { .. }) && !(may_begin && self.serves(held))
        };
        let unbegun: Vec<TaskId> = self.tasks.iter().filter(|(_, held)| unbegun(held)).map(|(task, _)| *task).collect();
        for task in unbegun {
            let Some(held) = self.tasks.get(&task) else { continue };
            if held.running {
                self.events.push_back(Event::Stop(task));
            } else {
                let offer = held.offer.clone();
                self.drop_task(task);
                self.reject(&offer, Rejection::Draining, "the member gives its unbegun work back");
            }
        }
    }

    /// Leaves what has begun for a connected system that is not in the configuration any more to the member that has it now. If
    /// there is none, what the journal knows is told.
    pub(super) fn lose_unserved(&mut self, now: Timestamp) {
        let unserved = |held: &Held| {
            held.origin == Origin::Controller && !held.running && !held.is_concluded() && !self.serves(held)
        };
        let unserved: Vec<TaskId> =
            self.tasks.iter().filter(|(_, held)| unserved(held)).map(|(task, _)| *task).collect();
        for task in unserved {
            self.lose(task, now);
        }
    }

    fn serves(&self, held: &Held) -> bool {
        self.limits.systems.contains_key(&held.offer.system)
    }

    /// The agent is about to stop: no new work, unbegun work goes back. What nobody can take back is begun another time, and
    /// a batch goes on then where it was.
    pub fn handle_stopping(&mut self) {
        self.stopping = true;
        let tasks = self.tasks.keys().filter(|task| self.stops(**task)).map(|task| Event::Stop(*task));
        self.events.extend(tasks.collect::<Vec<_>>());
        self.transmits.push_back(Drain { reason: Text::clipped("the agent is stopping") }.into());
        self.give_back();
    }

    /// Whether what runs for a task is to stop where it can because the agent is about to.
    pub fn stops(&self, task: TaskId) -> bool {
        let Some(held) = self.tasks.get(&task).filter(|held| held.running && self.stopping) else { return false };
        let is_local = held.origin.is_local();
        if held.is_begun() { held.is_batch() && !is_local } else { is_local || self.session.is_none() }
    }

    /// The agent ends, and what runs is cut off by that: the process did not die of it.
    pub fn handle_cut_off(&mut self) {
        // To give it up was counted by nobody.
        let runs = |held: &Held| held.running && !held.is_given_up;
        for (task, held) in self.tasks.iter_mut().filter(|(_, held)| runs(held)) {
            self.writes.extend(held.survive().map(|state| Write::PutState(*task, state)));
        }
    }

    /// Everything that could be finished is: says goodbye.
    pub fn handle_drained(&mut self) {
        let left = self.held();
        self.after_writes(Gated::Transmit(Drained { left }.into()));
    }
}
