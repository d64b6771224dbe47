//! What attempts ask of Salesforce, and what becomes of it.

use postern_agent_core::JournalEntry;
use postern_protocol::message::v1::Offer;
use postern_protocol::{TaskId, TaskKind};

use crate::agenda::Millis;
use crate::attempt::{Answer, Undone, rejected, transient};
use crate::coverage::Situation;
use crate::salesforce::{CALL_TIMEOUT, Change, LATEST_COMMIT, Question};
use crate::truth::{Call, Fate};
use crate::workload::made;
use crate::world::{Happens, World};

impl World {
    /// An attempt reads.
    pub fn read(&mut self, m: usize, task: TaskId, question: &Question) {
        let life = self.members[m].life;
        let after = self.chance.u64(20..1_500);
        let chance = self.chance.u8(0..100);
        let bad = if self.refusing > self.agenda.now() || self.silent > self.agenda.now() { 50 } else { 2 };
        let seen =
            if chance < bad && !self.healed { Err(transient("UNAVAILABLE")) } else { Ok(self.org.look(question)) };
        self.agenda.put_after(after, Happens::Answer(m, life, task, Some(Answer::Seen(seen))));
    }

    /// Notes whether who takes a password over finds one that another task changed.
    pub fn meet_password(&mut self, offer: &Offer, alone_from: Millis) {
        if !offer.reconcile || offer.kind.known() != Some(TaskKind::ResetPassword) {
            return;
        }
        let changed = self.org.look(&Question::User(offer.target.to_string())).password_changed;
        let by_another = changed.is_some_and(|at| made(offer.task) <= at && at < alone_from);
        if by_another && self.truth(offer.task).committed().next().is_none() {
            self.coverage.met(Situation::PasswordOfAnother);
        }
    }

    /// An attempt makes a change.
    pub fn call(&mut self, m: usize, task: TaskId, intent: &JournalEntry, change: Change) {
        let now = self.agenda.now();
        self.tell(|_| format!("member {m} asks for {change:?}"));
        self.check_call(m, task, intent, &change);
        let life = self.members[m].life;
        let by = self.members[m].memory();
        let calls = &mut self.truth(task).calls;
        let call = calls.len();
        calls.push(Call { change, by, fate: Fate::Answered, at: now, committed: false, late: false });
        let (soon, answers) = (self.chance.u64(20..2_000), self.chance.u64(10..2_000));
        let luck = self.chance.u8(0..100);
        let (refused, unanswered) = match () {
            () if self.healed => (0, 0),
            () if self.refusing > now => (70, 75),
            () if self.silent > now => (2, 80),
            () => (4, 12),
        };
        if luck < refused {
            if self.refusing > now {
                self.coverage.met(Situation::LockedStorm);
            }
            self.truth(task).calls[call].fate = Fate::Refused;
            let failure = if luck == 0 { rejected("FIELD_INTEGRITY") } else { transient("UNABLE_TO_LOCK_ROW") };
            let answer = Answer::Changed(Err(Undone::Not(failure)));
            self.agenda.put_after(soon, Happens::Answer(m, life, task, Some(answer)));
        } else if luck < unanswered {
            self.truth(task).calls[call].fate = Fate::Lost;
            let at = match self.chance.u8(0..3) {
                0 => Some(soon),
                1 => {
                    self.coverage.met(Situation::LateCommit);
                    Some(CALL_TIMEOUT + self.chance.u64(0..LATEST_COMMIT))
                }
                _ => {
                    self.coverage.met(Situation::NeverCommitted);
                    None
                }
            };
            if let Some(at) = at {
                self.agenda.put_after(at, Happens::Commits(task, call));
            }
            let answer = Answer::Changed(Err(Undone::Unknown(transient("no_answer"))));
            self.agenda.put_after(CALL_TIMEOUT, Happens::Answer(m, life, task, Some(answer)));
        } else {
            self.agenda.put_after(soon, Happens::Commits(task, call));
            self.agenda.put_after(soon + answers, Happens::Answer(m, life, task, Some(Answer::Changed(Ok(())))));
        }
        self.check_password(task);
    }

    pub(super) fn commits(&mut self, task: TaskId, call: usize) {
        let (now, settle) = (self.agenda.now(), self.pace.settle);
        let call = &mut self.truth(task).calls[call];
        call.committed = true;
        call.late = now > call.at + CALL_TIMEOUT + settle;
        let change = call.change.clone();
        self.tell(|_| format!("Salesforce does {change:?}"));
        self.org.commit(&change, now);
    }
}
