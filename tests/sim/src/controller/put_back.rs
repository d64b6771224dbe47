//! The controllers' ledger is put back from a copy, as an administrator does it: what was told after the copy is gone, members
//! that were put out are put out again before anybody is let in, and submitters submit again what the copy has not.

use postern_controller_stub::membership::Action;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::{MemberId, TaskId};

use super::Request;
use crate::agenda::Millis;
use crate::coverage::Situation;
use crate::disk::ControllerRecords;
use crate::world::{Happens, World};

impl World {
    /// A copy of the ledger is made.
    pub fn copy_ledger(&mut self) {
        let copy = self.controllers.disk.records().clone();
        self.controllers.copies.push((self.agenda.now(), copy));
    }

    /// The ledger is put back to what it was `ago`, and a controller starts with it after `down`.
    pub(super) fn put_controller_back(&mut self, ago: Millis, down: Millis) {
        let before = self.agenda.now().saturating_sub(ago);
        let Some((_, copy)) = self.controllers.copies.iter().rfind(|(at, _)| *at <= before).cloned() else { return };
        self.kill_controller(down);
        let lost = std::mem::replace(&mut *self.controllers.disk.records(), copy.clone());
        self.controllers.put_out_again = put_out_since(&lost, &copy);
        self.oracle.forgets(&copy, self.net.newest());
        let unknown: Vec<TaskId> =
            self.tasks.keys().filter(|id| copy.tasks.get(id).is_none_or(|it| it.finish.is_none())).copied().collect();
        for id in unknown {
            let is_known = copy.tasks.contains_key(&id);
            let (before, after) = (lost.tasks.get(&id), copy.tasks.get(&id));
            // With the same record it is a start like any other.
            if before != after && before.is_some_and(|it| !it.leases.is_empty()) {
                self.oracle.forgotten.insert(id);
            }
            let truth = self.truth(id);
            truth.is_open = true;
            truth.acknowledged &= is_known;
            let (step, was_done) = (truth.step, truth.committed().next().is_some());
            if was_done {
                self.coverage.met(Situation::PutBack);
            }
            if !is_known {
                self.agenda.put_after(down + 1, Happens::SubmitAgain(step));
            }
        }
    }

    /// Whoever was out when the ledger was lost is out again before anybody is let in.
    pub(super) fn put_out_again(&mut self) {
        for (member, action) in std::mem::take(&mut self.controllers.put_out_again) {
            self.ask_controller(Request::Operate(member, action));
        }
    }
}

/// Who is out by `lost` and in by `copy`, and by what.
fn put_out_since(lost: &ControllerRecords, copy: &ControllerRecords) -> Vec<(MemberId, Action)> {
    let out = |member| match lost.member(member)?.state {
        MembershipState::Revoked => Some((member, Action::Revoke)),
        MembershipState::Disabled => Some((member, Action::DisableHard)),
        _ => None,
    };
    let is_in = |member| copy.member(member).is_some_and(|it| it.state == MembershipState::Enabled);
    lost.numbers.keys().copied().filter(|member| is_in(*member)).filter_map(out).collect()
}
