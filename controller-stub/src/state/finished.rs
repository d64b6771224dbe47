//! Finished tasks are kept for a while and then forgotten, so that memory and disk have a bound.

use std::collections::BTreeSet;
use std::time::Duration;

use postern_protocol::TaskId;
use postern_protocol::time::UnixMillis;

use super::ledger::Write;
use super::record::{ForgottenRecord, TaskRecord};
use super::{Refusal, State};
use crate::clock::{self, Moment};

/// How long finished tasks are kept. One is forgotten when neither rule keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Each for so long after it finished.
    pub days: u32,
    /// The newest for longer.
    pub newest: usize,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most tasks forgotten in one tick: three hundred a second are more than members finish, and few enough that the
/// files of their payloads are removed before anybody notices.
const MAX_FORGOTTEN: usize = 32;
/// How far a submitter's clock may be ahead. An id from farther in the future would be kept as long.
const AHEAD: Duration = DAY;

/// The finished tasks that are kept: what may be forgotten first comes first.
pub(super) type Finished = BTreeSet<(UnixMillis, TaskId)>;

/// A finished task's place among them. By the same clock no id is forgotten before it is so old that it would be refused.
pub(super) fn place(record: &TaskRecord) -> Option<(UnixMillis, TaskId)> {
    record.finish.as_ref().map(|finish| (finish.at.max(record.id.made()), record.id))
}

impl State {
    /// How many finished tasks are kept.
    pub fn finished(&self) -> usize {
        self.finished.len()
    }

    /// Forgets finished tasks that no rule keeps any more, with their payloads.
    pub(super) fn forget_finished(&mut self, at: Moment) {
        let horizon = self.horizon(at);
        let mut forgotten = BTreeSet::new();
        while self.finished.len() > self.settings.keep.newest && forgotten.len() < MAX_FORGOTTEN {
            let Some((_, task)) = self.finished.first().copied().filter(|(since, _)| *since < horizon) else { break };
            self.finished.pop_first();
            forgotten.insert(task);
        }
        if forgotten.is_empty() {
            return;
        }
        tracing::info!(tasks = forgotten.len(), "finished tasks were forgotten");
        let payloads = self.streams.values().filter(|it| it.task.is_some_and(|task| forgotten.contains(&task)));
        let payloads = payloads.map(|it| it.id).collect();
        // First: what is left of a task that is known goes another time.
        self.forget_payloads(payloads);
        let newest = forgotten.iter().map(TaskId::made).max().unwrap_or(self.newest_forgotten);
        if newest > self.newest_forgotten {
            self.newest_forgotten = newest;
            self.writes.push(Write::Forgotten(ForgottenRecord { newest }));
        }
        self.writes.extend(forgotten.into_iter().map(Write::ForgetTask));
    }

    /// Refuses an id of which it cannot be known any more whether its task was done.
    pub(super) fn check_made(&self, id: TaskId, at: Moment) -> Result<(), Refusal> {
        let made = id.made();
        if made < self.horizon(at) {
            return Err(Refusal::field(
                "id",
                format!(
                    "the id of {id} was made more than {} days ago, and a task that finished so long ago may be \
                     forgotten: find out whether it was done, then submit it under a new id",
                    self.settings.keep.days
                ),
            ));
        }
        // Where submitters' clocks were ahead as well, an id from a time that is yet to come would refuse whatever is new.
        if made <= self.newest_forgotten && self.newest_forgotten <= clock::after(at.wall, AHEAD) {
            return Err(Refusal::field(
                "id",
                format!(
                    "tasks with ids as new as {id} are forgotten already (the controller's clock was ahead for a while, or \
                     tasks were kept for a shorter time): find out whether it was done, then submit it under a new id"
                ),
            ));
        }
        if made > clock::after(at.wall, AHEAD) {
            return Err(Refusal::field(
                "id",
                format!(
                    "the id of {id} was made at a time that is yet to come: it has to be a version 7 UUID, made by a \
                     clock that is right"
                ),
            ));
        }
        Ok(())
    }

    /// What finished before this may be forgotten.
    fn horizon(&self, at: Moment) -> UnixMillis {
        clock::before(at.wall, DAY.saturating_mul(self.settings.keep.days))
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::outcome::{Certainty, Changed};
    use postern_protocol::{Epoch, Outcome, TaskKind, Timestamp};

    use super::super::Settings;
    use super::super::record::{Finish, TaskState};
    use super::super::records::Records as _;
    use super::*;
    use crate::access::Role;
    use crate::state::lab;

    const NOW: u64 = 1_795_000_000_000;

    fn days(number: u64) -> Duration {
        Duration::from_secs(number * 24 * 60 * 60)
    }

    fn days_ago(number: u64) -> UnixMillis {
        clock::before(UnixMillis(NOW), days(number))
    }

    fn at(wall: UnixMillis) -> Moment {
        Moment { now: Timestamp::from_millis(0), wall }
    }

    fn task(made: UnixMillis, finished: Option<UnixMillis>) -> TaskRecord {
        let end = |at| Finish {
            outcome: Outcome::Succeeded,
            certainty: Certainty::Certain,
            changed: Changed::Yes,
            member: None,
            epoch: Epoch(1),
            note: String::new(),
            at,
        };
        let id = TaskId::from_random(made.0, [1; 10]);
        let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
        TaskRecord {
            submitted: made,
            state: if finished.is_some() { TaskState::Finished } else { TaskState::Queued },
            finish: finished.map(end),
            ..TaskRecord::queued(id, cluster, system, TaskKind::EnableUser, String::new())
        }
    }

    /// What is left of these tasks after a day's ticks.
    async fn kept(newest: usize, tasks: &[TaskRecord]) -> Vec<TaskRecord> {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        ledger.commit(tasks.iter().cloned().map(Write::Task).collect()).await.unwrap();
        let now = at(UnixMillis(NOW));
        let settings = Settings { keep: Retention { days: 30, newest }, ..lab::SETTINGS };
        let mut state = lab::state(folder.path(), &ledger, settings, now);
        for _ in 0..4 {
            state.tick(now);
            ledger.commit(state.end_turn().writes).await.unwrap();
        }
        let mut left: Vec<_> = ledger.tasks(None).map(Result::unwrap).collect();
        left.reverse();
        left
    }

    #[tokio::test]
    async fn a_finished_task_is_kept_for_its_days_and_the_newest_for_longer() {
        let long_ago = task(days_ago(90), Some(days_ago(80)));
        let finished_late = task(days_ago(70), Some(days_ago(20)));
        let unfinished = task(days_ago(60), None);
        let old = task(days_ago(50), Some(days_ago(40)));
        let young = task(days_ago(10), Some(days_ago(10)));
        let all = [&long_ago, &finished_late, &unfinished, &old, &young].map(Clone::clone);
        assert_eq!(kept(0, &all).await, [&finished_late, &unfinished, &young].map(Clone::clone));
        assert_eq!(kept(3, &all).await, [&finished_late, &unfinished, &old, &young].map(Clone::clone));
        assert_eq!(kept(4, &all).await, all);
    }

    /// Forget a task by the time it finished alone and its id could be submitted again.
    #[tokio::test]
    async fn no_task_is_forgotten_before_its_id_would_be_refused() {
        let ahead = task(clock::after(days_ago(30), days(1)), Some(days_ago(31)));
        assert_eq!(kept(0, std::slice::from_ref(&ahead)).await, [ahead]);
    }

    /// Else a task of last week would be done again, if its id comes back.
    #[tokio::test]
    async fn what_was_forgotten_by_a_clock_that_was_ahead_is_refused_when_the_clock_is_right_again() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let [older, newest] = [task(days_ago(3), Some(days_ago(3))), task(days_ago(2), Some(days_ago(2)))];
        ledger.commit([&older, &newest].map(|it| Write::Task(it.clone())).into()).await.unwrap();
        let settings = Settings { keep: Retention { days: 30, newest: 0 }, ..lab::SETTINGS };
        let right = at(UnixMillis(NOW));
        let mut state = lab::state(folder.path(), &ledger, settings.clone(), right);
        state.tick(at(clock::after(UnixMillis(NOW), days(29))));
        ledger.commit(state.end_turn().writes).await.unwrap();
        assert_eq!(ledger.tasks(None).count(), 0);
        for mut state in [state, lab::state(folder.path(), &ledger, settings, right)] {
            for forgotten in [&older, &newest] {
                let refusal = state.submit(lab::enabling(forgotten.id, "sf", "u"), Role::Operator, right).unwrap_err();
                assert!(refusal.message.contains("clock was ahead"), "{}", refusal.message);
            }
            let new = TaskId::from_random(days_ago(2).0 + 1, [1; 10]);
            let refusal = state.submit(lab::enabling(new, "sf", "u"), Role::Operator, right).unwrap_err();
            assert_eq!(refusal.field, Some("system"), "the id is good: {}", refusal.message);
        }
    }

    /// Refuse by an id from next year, and nothing new is taken for a year.
    #[tokio::test]
    async fn ids_of_submitters_that_were_ahead_as_well_keep_nothing_new_out() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let next_year = clock::after(UnixMillis(NOW), days(300));
        ledger.commit(vec![Write::Task(task(next_year, Some(next_year)))]).await.unwrap();
        let settings = Settings { keep: Retention { days: 30, newest: 0 }, ..lab::SETTINGS };
        let right = at(UnixMillis(NOW));
        let mut state = lab::state(folder.path(), &ledger, settings, right);
        state.tick(at(clock::after(next_year, days(40))));
        ledger.commit(state.end_turn().writes).await.unwrap();
        assert_eq!(ledger.tasks(None).count(), 0);
        let new = TaskId::from_random(NOW, [1; 10]);
        let refusal = state.submit(lab::enabling(new, "sf", "u"), Role::Operator, right).unwrap_err();
        assert_eq!(refusal.field, Some("system"), "the id is good: {}", refusal.message);
    }

    #[tokio::test]
    async fn many_are_forgotten_over_several_ticks() {
        let many: Vec<_> = (0..100).map(|number| task(days_ago(100 + number), Some(days_ago(90)))).collect();
        assert_eq!(kept(0, &many).await, []);
    }
}
