//! Payloads: which there are and whose they are. Their bytes are in the spool.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::message::v1::{MAX_PARTS, StreamFault, StreamOpen, StreamRef};
use postern_protocol::stream::MAX_RESULT;
use postern_protocol::{MemberId, SessionNo, StreamId, TaskId};

use super::audit::Room;
use super::ledger::{LedgerError, Write};
use super::once::{Asked, Done, Making, TokenSecret};
use super::record::{Direction, Made, OnceRecord, StreamRecord};
use super::records::Records;
use super::{Refusal, RefusalKind, State, ToSession};
use crate::clock::{self, Moment};
use crate::queue::Queue;

/// The longest payload that a submitter may bring.
pub const MAX_STREAM: u64 = 256 * 1024 * 1024;
/// The most payloads known at once: about 15 MiB of memory. What is a task's is kept as long as the task.
const MAX_STREAMS: usize = 100_000;
/// How long an uploaded payload waits for its task.
const WAIT_FOR_TASK: Duration = Duration::from_secs(24 * 60 * 60);
/// The most of them that are forgotten in one tick: their files are removed while others wait.
const MAX_FORGOTTEN: usize = 32;

impl State {
    /// Whether a submitter's payload could be taken in.
    pub fn check_input(&self) -> Result<(), Refusal> {
        if self.streams.len() >= MAX_STREAMS {
            return Err(Refusal::new(
                RefusalKind::Crowded,
                format!(
                    "at most {MAX_STREAMS} payloads are kept: wait until tasks have ended, or have finished ones \
                     forgotten earlier (`serve --keep-finished-days`, `--keep-finished-tasks`)"
                ),
            ));
        }
        self.check_audit(Room::Usual)
    }

    /// A submitter's payload is complete in the spool.
    pub fn add_input(
        &mut self,
        stream: StreamRef,
        asked: Option<&Asked>,
        at: Moment,
    ) -> Result<Done<StreamRecord>, Refusal> {
        let find = |state: &Self, once: &OnceRecord, _: &TokenSecret| {
            let Made::Payload(id) = &once.made else { return None };
            state.streams.get(id).cloned()
        };
        self.once(asked, at, find, |state, _| state.new_input(stream, at))
    }

    fn new_input(&mut self, stream: StreamRef, at: Moment) -> Result<Making<StreamRecord>, Refusal> {
        self.check_input()?;
        let record = StreamRecord {
            id: stream.id,
            direction: Direction::Input,
            length: stream.length,
            sha256: stream.sha256,
            complete: true,
            task: None,
            created: at.wall,
        };
        self.streams.insert(stream.id, record.clone());
        Ok(Making { made: Made::Payload(stream.id), write: Write::Stream(record.clone()), it: record })
    }

    /// A payload.
    pub fn stream(&self, id: StreamId) -> Option<&StreamRecord> {
        self.streams.get(&id)
    }

    /// A member announces a payload that came of a task. `None` if its session is over.
    pub fn open_output(
        &mut self,
        member: MemberId,
        session: SessionNo,
        open: &StreamOpen,
        at: Moment,
    ) -> Option<Result<StreamRecord, StreamFault>> {
        self.is_live(member, session).then(|| self.output(member, open, at))
    }

    fn output(&mut self, member: MemberId, open: &StreamOpen, at: Moment) -> Result<StreamRecord, StreamFault> {
        let StreamOpen { task, stream } = *open;
        if self.is_pending(member) {
            // It keeps the payload, and announces it again.
            return Err(StreamFault::Full);
        }
        let of_task = self.any_task(task).ok().flatten();
        let holder = self.queue.holder(member);
        if !holder.zip(of_task.as_ref()).is_some_and(|(holder, of_task)| holder.was_ever_given(of_task)) {
            if self.hush.allows_of(member, at.now) {
                tracing::warn!(%member, %task, stream = %stream.id, "a payload was refused: its task was never leased to this member");
            }
            return Err(StreamFault::Unknown);
        }
        // What comes of the others stands in their reports. What nobody can ask for would only take the disk.
        if !of_task.as_ref().is_some_and(|it| it.kind.is_batch()) {
            if self.hush.allows_of(member, at.now) {
                tracing::warn!(%member, %task, stream = %stream.id, "a payload was refused: of a task of this kind comes none");
            }
            return Err(StreamFault::Unknown);
        }
        self.collect_changes();
        if self.new_finished.contains_key(&task) {
            // What becomes of its files is decided at the end of this turn.
            return Err(StreamFault::Full);
        }
        if let Some(there) = self.streams.get(&stream.id) {
            let same = there.direction == Direction::Output
                && there.task == Some(task)
                && (there.length, there.sha256) == (stream.length, stream.sha256);
            let there = same.then(|| there.clone()).ok_or(StreamFault::Corrupt)?;
            if !there.complete && self.attempts.payloads_again.take(member, at.now).is_err() {
                return Err(StreamFault::Full);
            }
            return Ok(there);
        }
        if self.queue.task(task).is_none() {
            if self.hush.allows_of(member, at.now) {
                tracing::info!(%member, %task, stream = %stream.id, "a payload was refused: its task is not open any more");
            }
            return Err(StreamFault::Unknown);
        }
        let is_holder = of_task.is_some_and(|it| it.state.holder() == Some(member));
        // The file of one that is forgotten goes after this turn.
        if stream.length > MAX_RESULT
            || self.forgotten.contains(&stream.id)
            || !self.has_room_for_output(task, is_holder)
        {
            return Err(StreamFault::Full);
        }
        let record = StreamRecord {
            id: stream.id,
            direction: Direction::Output,
            length: stream.length,
            sha256: stream.sha256,
            complete: false,
            task: Some(task),
            created: at.wall,
        };
        self.streams.insert(stream.id, record.clone());
        self.outputs_of.entry(task).or_default().push(stream.id);
        self.writes.push(Write::Stream(record.clone()));
        Ok(record)
    }

    /// Whether one more payload may come of a task: a report names no more than so many. For whoever has the task now the
    /// oldest makes room, those first that are not whole; for those who had it before none does.
    fn has_room_for_output(&mut self, task: TaskId, is_holder: bool) -> bool {
        let of_task = self.outputs_of.get(&task).map(Vec::as_slice).unwrap_or_default();
        if of_task.len() >= MAX_PARTS {
            let is_whole = |id: &StreamId| self.streams.get(id).is_some_and(|it| it.complete);
            let oldest = of_task.iter().copied().find(|id| !is_whole(id)).or_else(|| of_task.first().copied());
            let Some(oldest) = oldest.filter(|_| is_holder) else { return false };
            self.forget_payloads(vec![oldest]);
        }
        self.streams.len() < MAX_STREAMS
    }

    /// A member's payload is complete and verified in the spool. Once this is durable the member may forget it. `false` if
    /// it had to make room meanwhile, or its session is over and the next one may have the file open by now: then it has to
    /// come again.
    pub fn complete_output(&mut self, member: MemberId, session: SessionNo, id: StreamId, at: Moment) -> bool {
        if !self.is_live(member, session) {
            return false;
        }
        let Some(record) = self.streams.get_mut(&id) else { return false };
        if !record.complete {
            record.complete = true;
            self.writes.push(Write::Stream(record.clone()));
        }
        self.payload_came(member, at);
        true
    }

    /// Hands a task's payloads to the session of the member that has it.
    pub(super) fn send_payloads(&mut self, member: MemberId, task: TaskId) {
        let streams: Vec<StreamRef> = self
            .inputs_of
            .get(&task)
            .into_iter()
            .flatten()
            .filter_map(|id| self.streams.get(id))
            .map(|it| StreamRef { id: it.id, length: it.length, sha256: it.sha256 })
            .collect();
        if !streams.is_empty() {
            self.say(member, ToSession::Payloads(task, streams));
        }
    }

    /// Forgets what came of tasks that end in this turn and is not named by the report of their outcome: nobody could fetch it.
    pub(super) fn forget_unnamed_outputs(&mut self) {
        let mut unnamed = Vec::new();
        for (id, finish) in self.new_finished.iter().filter_map(|(id, it)| Some((id, it.finish.as_ref()?))) {
            let Some(outputs) = self.outputs_of.get(id).filter(|it| !it.is_empty()) else { continue };
            let report = match finish.member {
                Some(_) => self.report_of(*id, finish.epoch),
                None => Ok(None),
            };
            // Of a ledger that cannot be read nothing is known.
            let Ok(report) = report else { continue };
            let is_named = |id: &StreamId| report.iter().any(|it| it.streams.iter().any(|named| named.id == *id));
            unnamed.extend(outputs.iter().copied().filter(|it| !is_named(it)));
        }
        self.forget_payloads(unnamed);
    }

    /// Forgets payloads that never got a task, and what is not whole of those of finished ones.
    pub(super) fn forget_unused_payloads(&mut self, at: Moment) {
        let is_unused = |it: &&StreamRecord| match it.task {
            None => clock::after(it.created, WAIT_FOR_TASK) < at.wall,
            Some(task) => !it.complete && self.queue.task(task).is_none(),
        };
        let stale: Vec<StreamId> =
            self.streams.values().filter(is_unused).map(|it| it.id).take(MAX_FORGOTTEN).collect();
        self.forget_payloads(stale);
    }

    pub(super) fn forget_payloads(&mut self, payloads: Vec<StreamId>) {
        for id in &payloads {
            let task = self.streams.remove(id).and_then(|it| it.task);
            if let Some(of_task) = task.and_then(|task| self.outputs_of.get_mut(&task)) {
                of_task.retain(|it| it != id);
            }
            self.writes.push(Write::ForgetStream(*id));
        }
        self.forgotten.extend(payloads);
    }
}

/// The payloads on record. A crash between two batches may have left one that is bound to a task that never was: it waits
/// for a task, as before.
pub(super) fn restore(records: &impl Records, queue: &Queue) -> Result<BTreeMap<StreamId, StreamRecord>, LedgerError> {
    let mut streams = BTreeMap::new();
    for mut stream in records.streams()? {
        if let Some(task) = stream.task
            && queue.task(task).is_none()
            && records.task(task)?.is_none()
        {
            stream.task = None;
        }
        streams.insert(stream.id, stream);
    }
    Ok(streams)
}

/// The payloads of unfinished tasks, the oldest first.
pub(super) fn of_tasks(
    streams: &BTreeMap<StreamId, StreamRecord>,
    direction: Direction,
    queue: &Queue,
) -> BTreeMap<TaskId, Vec<StreamId>> {
    let mut of_tasks: BTreeMap<TaskId, Vec<StreamId>> = BTreeMap::new();
    let mut in_order: Vec<&StreamRecord> = streams.values().filter(|it| it.direction == direction).collect();
    in_order.sort_by_key(|it| it.created);
    for stream in in_order {
        if let Some(task) = stream.task.filter(|task| queue.task(*task).is_some()) {
            of_tasks.entry(task).or_default().push(stream.id);
        }
    }
    of_tasks
}

#[cfg(test)]
mod tests {
    use postern_protocol::outcome::{Certainty, Changed};
    use postern_protocol::time::UnixMillis;
    use postern_protocol::{Epoch, Outcome, TaskKind, Timestamp};

    use super::super::record::{Finish, TaskRecord, TaskState};
    use super::super::records::Records as _;
    use super::*;
    use crate::state::lab;

    /// Look at unfinished tasks alone, and what a member had sent of its results when the controller died stays as long as the
    /// task is kept.
    #[tokio::test]
    async fn what_is_not_whole_of_a_finished_task_is_forgotten_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
        let task = TaskId::from_random(at.wall.0, [1; 10]);
        let finish = Finish {
            outcome: Outcome::Unknown,
            certainty: Certainty::Unknown,
            changed: Changed::Unknown,
            member: None,
            epoch: Epoch(1),
            note: String::new(),
            at: at.wall,
        };
        let record = TaskRecord {
            state: TaskState::Finished,
            finish: Some(finish),
            ..TaskRecord::queued(task, cluster, system, TaskKind::Export, String::new())
        };
        let half = StreamRecord {
            id: StreamId::from_bytes([1; 16]),
            direction: Direction::Output,
            length: 1,
            sha256: [0; 32],
            complete: false,
            task: Some(task),
            created: at.wall,
        };
        ledger.commit(vec![Write::Task(record), Write::Stream(half)]).await.unwrap();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.tick(at);
        ledger.commit(state.end_turn().writes).await.unwrap();
        assert_eq!(ledger.streams().unwrap(), []);
    }

    /// Restore it as it is on record, and it stays, and counts, for ever.
    #[tokio::test]
    async fn a_payload_that_is_bound_to_a_task_that_never_was_is_forgotten_like_one_without() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let began = Moment { now: Timestamp::from_millis(0), wall: UnixMillis(1_795_000_000_000) };
        let queued = TaskId::from_random(began.wall.0, [1; 10]);
        let never = TaskId::from_random(began.wall.0, [2; 10]);
        let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
        let task = TaskRecord::queued(queued, cluster, system, TaskKind::ImportBatch, String::new());
        let payload = |number, task| StreamRecord {
            id: StreamId::from_bytes([number; 16]),
            direction: Direction::Input,
            length: 1,
            sha256: [0; 32],
            complete: true,
            task: Some(task),
            created: began.wall,
        };
        let (of_queued, of_none) = (payload(1, queued), payload(2, never));
        let writes = vec![Write::Task(task), Write::Stream(of_queued.clone()), Write::Stream(of_none.clone())];
        ledger.commit(writes).await.unwrap();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, began);
        state.tick(began);
        assert_eq!(state.streams.len(), 2, "its task may be submitted again");
        state.tick(Moment { wall: clock::after(began.wall, WAIT_FOR_TASK * 2), ..began });
        ledger.commit(state.end_turn().writes).await.unwrap();
        assert_eq!(ledger.streams().unwrap(), [of_queued]);
    }
}
