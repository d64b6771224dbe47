//! What must hold: at each call, whenever a task changes at the controllers, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use postern_agent_core::JournalEntry;
use postern_controller_stub::state::record::{MemberRecord, TaskRecord, TaskState};
use postern_protocol::message::v1::MembershipState;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::Repeat;
use postern_protocol::{Outcome, TaskId, TaskKind};

use crate::attempt::Told;
use crate::coverage::Situation;
use crate::member::Member;
use crate::oracle::Broken;
use crate::salesforce::{CALL_TIMEOUT, Change, Question};
use crate::truth::{Call, Truth};
use crate::workload::{Policy, key};
use crate::world::World;

impl World {
    /// Invariants 5, 6, 7 and 26 at the moment a change is asked for.
    pub(super) fn check_call(&mut self, m: usize, task: TaskId, intent: &JournalEntry, change: &Change) {
        let now = self.agenda.now();
        let member = &self.members[m];
        // Who has it by the copy, since when, and under which lease says nothing about who else may work on it.
        let is_forgotten = self.oracle.forgotten.contains(&task);
        if !is_forgotten && self.tasks.get(&task).is_none_or(|it| !it.is_open) && self.oracle.outcome(task).is_some() {
            return self.oracle.broken(6, now, format!("member {m} changes {change:?} for {task}, which has ended"));
        }
        let member_id = member.id;
        let hard = member.disk.membership.is_some_and(|it| it.hard && it.state == MembershipState::Disabled);
        let forfeited = member.disk.is_forfeited(task) && !is_forgotten;
        let is_intended = member.disk.earlier(task).open_intents().any(|it| it == intent);
        let record = self.controllers.disk.records().tasks.get(&task).cloned();
        if !is_intended {
            return self.oracle.broken(5, now, format!("member {m} changes {change:?} for {task} without an intent"));
        }
        if member.disk.has_done(task) {
            return self.oracle.broken(26, now, format!("member {m} changes {change:?} for {task}, which it has done"));
        }
        if hard {
            return self.oracle.broken(7, now, format!("member {m}, disabled hard, changes {change:?} for {task}"));
        }
        if forfeited {
            let seen =
                format!("member {m} changes {change:?} for {task} under a lease from before it was disabled hard");
            return self.oracle.broken(7, now, seen);
        }
        let Some(record) = record.filter(|_| !is_forgotten) else { return };
        // A lease that was taken away runs on for a holder that does not know it yet.
        let newest = record.leases.last().map(|it| it.epoch).unwrap_or_default();
        let until = self.oracle.lease_until(task, newest);
        if record.state.holder() != Some(member_id) || until < now + CALL_TIMEOUT {
            let seen = format!(
                "member {m} changes {change:?} for {task} under a lease until {until} ms, while it is {:?}, epoch {}",
                record.state, record.epoch
            );
            self.oracle.broken(6, now, seen);
        }
    }

    /// Invariant 12 after a password may have been sent.
    pub(super) fn check_password(&mut self, task: TaskId) {
        let is_forgotten = self.oracle.forgotten.contains(&task);
        if let Err((invariant, seen)) = self.truth(task).may_be_sent(is_forgotten) {
            self.oracle.broken(invariant, self.agenda.now(), seen);
        }
    }

    /// A task is about to change on the controllers' disk.
    pub fn observe_task(&mut self, before: Option<&TaskRecord>, now: &TaskRecord) {
        let mut met = Vec::new();
        self.tell(|it| {
            let Some(truth) = it.tasks.get(&now.id) else { return String::new() };
            let (state, epoch, finish) = (now.state, now.epoch, now.finish.as_ref().map(|it| it.outcome));
            format!("task of step {} is {state:?} {finish:?}, epoch {epoch}, reconcile {}", truth.step, now.reconcile)
        });
        self.check_task(before, now);
        if now.observations.len() > before.map_or(0, |it| it.observations.len()) {
            met.push(Situation::MovedAndReported);
            let told = now.observations.last().map(|it| (it.epoch, it.outcome, it.certainty));
            if told == Some((now.epoch, Outcome::Succeeded, Certainty::Probable)) {
                met.push(Situation::OnlySeen);
            }
        }
        if before.is_some_and(|it| it.alone.is_some()) && now.alone.is_none() && !now.leases.is_empty() {
            met.push(Situation::LeasedBetween);
        }
        if let Some(finish) = &now.finish {
            self.truth(now.id).is_open = false;
            let is_unheld = before.is_some_and(|it| it.finish.is_none() && it.state.holder().is_none());
            if is_unheld && finish.member.is_some() {
                self.oracle.ended_unheld.insert(now.id);
            }
            if before.is_some_and(|it| matches!(it.state, TaskState::InDoubt { .. })) && finish.member.is_some() {
                met.push(match finish.certainty {
                    Certainty::Certain => Situation::ClosedInDoubt,
                    _ => Situation::ClosedProbably,
                });
            }
            match finish.outcome {
                Outcome::Expired => met.push(Situation::Expired),
                Outcome::Unknown => met.push(Situation::EndedUnknown),
                Outcome::Cancelled => met.push(Situation::EndedCancelled),
                _ => (),
            }
        }
        for situation in met {
            self.coverage.met(situation);
        }
    }

    /// What the controllers may decide by themselves (invariant 15): that nobody can know, and who has to look.
    fn check_task(&mut self, before: Option<&TaskRecord>, now: &TaskRecord) {
        let at = self.agenda.now();
        let Some(before) = before.filter(|_| !self.oracle.forgotten.contains(&now.id)) else {
            return;
        };
        let kind = now.kind;
        let in_doubt = matches!(before.state, TaskState::InDoubt { .. });
        let heard_of = now.observations.len() > before.observations.len();
        if now.reconcile && !before.reconcile && !in_doubt && !heard_of {
            let began = matches!(before.state, TaskState::Started { .. }) || {
                let holder = self.members.iter().find(|it| before.state.holder() == Some(it.id));
                holder.is_some_and(|it| it.disk.may_have_begun(now.id))
            };
            // A store that was put back knows a lease that it has given back: who hears of it cannot know that.
            let is_told_of = self.tasks.get(&now.id).is_some_and(Truth::was_ever_put_back);
            if !began && !is_told_of {
                let seen =
                    format!("{kind} {} is to be looked at, and nobody may have begun it: {:?}", now.id, before.state);
                self.oracle.broken(15, at, seen);
            }
        }
        let Some(finish) = now.finish.as_ref().filter(|_| before.finish.is_none()) else { return };
        let undecidable = now.reconcile || (in_doubt && kind.repeat() == Repeat::Never);
        if finish.member.is_none() && finish.certainty != Certainty::Certain && !undecidable {
            self.oracle.broken(15, at, format!("{kind} {} ended as {finish:?}, and nobody may have begun it", now.id));
        }
        self.check_refused(before, now);
        let newest = before.leases.last().map(|it| it.epoch).unwrap_or_default();
        let is_sure = finish.certainty == Certainty::Certain && finish.outcome == Outcome::Succeeded;
        // A member that was acknowledged says under a newer epoch only how it ended; what it told then counts.
        let told = (finish.epoch, finish.outcome, finish.certainty, finish.changed);
        let told_before = before.observations.iter().any(|it| (it.epoch, it.outcome, it.certainty, it.changed) == told);
        if in_doubt && finish.member.is_some() && finish.epoch < newest && !is_sure && !told_before {
            let seen = format!("{kind} {} was in doubt and ended under an older epoch as {finish:?}", now.id);
            self.oracle.broken(24, at, seen);
        }
    }

    /// What a member refuses for good, the controllers may end only if nobody is waited for who would do it.
    fn check_refused(&mut self, before: &TaskRecord, now: &TaskRecord) {
        let at = self.agenda.now();
        let is_refused = now.finish.as_ref().is_some_and(|it| it.member.is_none() && it.outcome == Outcome::Failed);
        let Some(truth) = self.tasks.get(&now.id).filter(|_| is_refused) else { return };
        let absence = self.pace.lease + self.pace.settle;
        let records = self.controllers.disk.records();
        let would_do = |m: usize, member: &Member| {
            let can_open = truth.wish.sealed_to.is_none_or(|only| only == m);
            // Who is revoked, or disabled because its store was put back, does not come back by itself.
            let is_out = |it: &MemberRecord| it.state == MembershipState::Revoked || it.alarm.is_some();
            // Half of it, as who was there is looked at now and then.
            let is_awaited = self.controllers.seen.get(m).is_some_and(|seen| seen + absence / 2 > at);
            let comes = is_awaited && !records.member(member.id).is_none_or(is_out);
            can_open && comes && member.policy == Policy::Allows && !truth.refused_by.contains(&m)
        };
        let awaited = self.members.iter().enumerate().find(|(m, member)| would_do(*m, member)).map(|(m, _)| m);
        drop(records);
        self.coverage.met(Situation::RefusedByAll);
        if let Some(m) = awaited {
            let seen = format!("{} {} failed as {:?}, and member {m} would do it", now.kind, now.id, before.state);
            self.oracle.broken(27, at, seen);
        }
    }

    pub(super) fn check_liveness(&mut self) {
        let now = self.agenda.now();
        if self.oracle.violation.is_some() {
            return;
        }
        let open: Vec<String> = self
            .tasks
            .values()
            .filter(|it| it.is_open || !it.acknowledged)
            .map(|it| {
                let record = self.controllers.disk.records().tasks.get(&it.id).cloned();
                format!("{} of step {} ({}) is {:?}", it.id, it.step, it.wish.kind, record.map(|it| it.state))
            })
            .collect();
        if let Some(first) = open.first() {
            self.oracle.broken(0, now, format!("{} tasks have no outcome: {first}", open.len()));
        }
        let records = self.controllers.disk.records();
        for (m, member) in self.members.iter().enumerate() {
            let is_revoked = records.member(member.id).is_some_and(|it| it.state == MembershipState::Revoked);
            // Nobody listens to it any more, and what it holds was given to others.
            if !member.is_idle() && !is_revoked {
                let (tasks, reports) = (member.disk.tasks().count(), member.disk.reports.len());
                self.oracle.broken(0, now, format!("member {m} still holds {tasks} tasks and {reports} reports"));
            }
        }
    }

    /// Invariants 10 to 15, 20 and 25, when all has come to its end.
    pub(super) fn check_effects(&mut self) {
        let now = self.agenda.now();
        if self.oracle.violation.is_some() {
            return;
        }
        // What came into force so late, or was done by whoever nobody knew of, may pass for another task's doing, or undo it.
        let late: BTreeSet<&str> = self
            .tasks
            .values()
            .filter(|it| self.oracle.forgotten.contains(&it.id) || it.calls.iter().any(|call| call.late))
            .map(|it| it.wish.user.as_str())
            .collect();
        let mut states: BTreeMap<String, Option<bool>> = BTreeMap::new();
        let disk = self.controllers.disk.clone();
        let records = disk.records();
        let mut broken = Vec::new();
        for (task, finish) in self.oracle.ended() {
            let Some(truth) = self.tasks.get(&task) else { continue };
            if self.oracle.forgotten.contains(&task) {
                continue;
            }
            let committed: Vec<&Call> = truth.committed().collect();
            let certain = finish.certainty == Certainty::Certain;
            let kind = truth.wish.kind;
            if matches!(finish.outcome, Outcome::Cancelled | Outcome::Expired) && !committed.is_empty() {
                broken.push((13, format!("{kind} {task} ended {}, with effects", finish.outcome)));
            }
            if certain && finish.changed == Changed::No && !committed.is_empty() {
                broken.push((14, format!("{kind} {task} changed nothing for certain, with effects: {finish:?}")));
            }
            let did = finish.outcome == Outcome::Succeeded && finish.changed == Changed::Yes && certain;
            if did && committed.is_empty() {
                broken.push((14, format!("{kind} {task} succeeded for certain, without effects")));
            }
            match kind {
                TaskKind::ResetPassword if truth.wish.made_up => {
                    let report = records.reports.get(&(task, finish.epoch)).filter(|_| finish.member.is_some());
                    broken.extend(truth.hands_over(finish, report).err());
                }
                TaskKind::ResetPassword | TaskKind::ExpirePassword
                    if finish.outcome == Outcome::Succeeded
                        && committed.is_empty()
                        && !truth.wall_went_on
                        && !late.contains(truth.wish.user.as_str()) =>
                {
                    broken.push((25, format!("{kind} {task} is told as done, and another did it: {finish:?}")));
                }
                TaskKind::EnableUser | TaskKind::DisableUser => {
                    let wanted = kind == TaskKind::EnableUser;
                    let state = states.entry(truth.wish.user.clone()).or_insert(Some(true));
                    // A report under a lease that was over tells of an effect from before; what was done for the user
                    // meanwhile, by a task that ended earlier, may be the newer one.
                    let is_older = self.oracle.ended_unheld.contains(&task)
                        || records.tasks.get(&task).is_some_and(|it| finish.epoch < it.epoch);
                    match (finish.outcome, finish.certainty, finish.changed) {
                        _ if is_older => *state = None,
                        (Outcome::Succeeded | Outcome::AlreadySatisfied, _, _) => *state = Some(wanted),
                        (_, Certainty::Certain, Changed::No) => (),
                        _ => *state = None,
                    }
                }
                _ => (),
            }
            debug_assert!(kind.repeat() != Repeat::Never || kind == TaskKind::ExpirePassword);
        }
        for (user, state) in states {
            let is = self.org.look(&Question::User(user.clone())).active;
            if state.is_some_and(|state| state != is) && !late.contains(user.as_str()) {
                broken.push((10, format!("{user} is active: {is}, and its last task wanted otherwise")));
            }
        }
        let forgotten: BTreeSet<String> = self
            .tasks
            .values()
            .filter(|it| self.oracle.forgotten.contains(&it.id))
            .flat_map(|it| (0..it.wish.records).map(|record| key(it.id, record)))
            .collect();
        for (key, made) in self.org.made() {
            if made > 1 && !forgotten.contains(key) {
                broken.push((11, format!("{made} users were made for {key}")));
            }
        }
        drop(records);
        broken.extend(self.check_batches());
        for (invariant, seen) in broken {
            self.oracle.broken(invariant, now, seen);
        }
    }

    /// A batch that ended tells of each of its records what became of it.
    fn check_batches(&self) -> Vec<Broken> {
        let records = self.controllers.disk.records();
        let mut broken = Vec::new();
        for (task, finish) in self.oracle.ended() {
            let is_known_batch =
                |it: &&Truth| it.wish.kind == TaskKind::ImportBatch && !self.oracle.forgotten.contains(&it.id);
            let Some(truth) = self.tasks.get(&task).filter(is_known_batch) else { continue };
            let report = records.reports.get(&(task, finish.epoch)).filter(|_| finish.member.is_some());
            let streams = report.into_iter().flat_map(|it| it.streams.iter());
            let told: BTreeMap<u64, Told> =
                streams.filter_map(|it| self.told.get(&it.id)).flatten().map(|(record, end)| (*record, *end)).collect();
            broken.extend(truth.tells(finish, &told).err());
        }
        broken
    }
}
