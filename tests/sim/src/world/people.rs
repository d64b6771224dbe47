//! What submitters and operators do.

use postern_controller_stub::membership::Action;
use postern_controller_stub::state::record::TaskState;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::{MemberId, TaskId};

use crate::controller::Request;
use crate::coverage::Situation;
use crate::truth::Truth;
use crate::workload::{Does, WALL};
use crate::world::{Happens, World};

impl World {
    pub(super) fn step(&mut self, number: usize) {
        let Some((_, step)) = self.plan.steps.iter().find(|(it, _)| *it == number).cloned() else { return };
        self.tell(|_| format!("step {number}: {step}"));
        match step.does {
            Does::Submit(wish) => {
                let id = TaskId::from_random(WALL + step.at, wish.id);
                self.tasks.insert(id, Truth::new(number, id, wish));
                self.submit(number);
                // Or two submit the same task.
                if self.chance.u8(0..4) == 0 {
                    self.submit(number);
                }
            }
            Does::Cancel(of) => {
                if let Some(task) = self.tasks.values().find(|it| it.step == of).map(|it| it.id) {
                    self.ask_controller(Request::Cancel(task));
                }
            }
            Does::SealAgain(of) => {
                if let Some(task) = self.tasks.values().find(|it| it.step == of).map(|it| it.id) {
                    self.ask_controller(Request::SealAgain(task));
                }
            }
            Does::Operate(m, action) => {
                if action == Action::Revoke && self.members[m].works() {
                    self.coverage.met(Situation::Revoked);
                }
                let member = self.members[m].id;
                self.ask_controller(Request::Operate(member, action));
            }
            Does::Fault(fault) => self.suffer(&fault),
        }
    }

    /// A submitter submits, and again until it knows that the task is taken in.
    pub(super) fn submit(&mut self, step: usize) {
        if self.tasks.values().any(|it| it.step == step && !it.acknowledged) {
            self.ask_controller(Request::Submit(step));
            let again = self.chance.u64(2_000..9_000);
            self.agenda.put_after(again, Happens::SubmitAgain(step));
        }
    }

    /// The submitter hears that its task is taken in.
    pub fn submitted(&mut self, step: usize) {
        if let Some(truth) = self.tasks.values_mut().find(|it| it.step == step) {
            if truth.acknowledged {
                self.coverage.met(Situation::SubmittedAgain);
            }
            truth.acknowledged = true;
        }
    }

    /// Submitters seal what nobody can open to everybody.
    pub(super) fn seal_what_waits(&mut self) {
        let waiting: Vec<TaskId> = self
            .controllers
            .disk
            .records()
            .tasks
            .values()
            .filter(|it| it.state == TaskState::NeedsReseal)
            .map(|it| it.id)
            .collect();
        for task in waiting {
            self.ask_controller(Request::SealAgain(task));
        }
    }

    /// Operators let every member in.
    pub(super) fn let_in(&mut self) {
        let ids: Vec<MemberId> = self.members.iter().map(|it| it.id).collect();
        for id in ids {
            let out = self.controllers.disk.records().member(id).is_some_and(|it| it.state != MembershipState::Enabled);
            if out {
                self.ask_controller(Request::Operate(id, Action::Enable));
            }
        }
    }
}
