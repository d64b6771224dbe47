//! What submitters see of their tasks, and what they can still do about them.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use postern_protocol::message::v1::{Cancel, Mode, Offer, Report};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::{MAX_RECIPIENTS, SealedField, SealingPublicKey};
use postern_protocol::signature::SignatureView;
use postern_protocol::time::UnixMillis;
use postern_protocol::{
    ClusterName, Epoch, Failure, MemberId, Outcome, StreamId, SystemName, TaskId, TaskKind, TaskOutput, TaskRequest,
    codec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::origin::Origin;
use super::record::{AttemptRecord, Finish, ObservationRecord, StateName, TaskRecord, TaskState};
use super::reports::is_bare;
use super::{MAX_WAITERS, Refusal, RefusalKind, State, ToSession, reseal};
use crate::clock::Moment;
use crate::queue::Cancelled;

/// A task, as submitters see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// The connected system.
    pub system: SystemName,
    /// The cluster whose members may do it.
    pub cluster: ClusterName,
    /// What it is to do.
    pub kind: TaskKind,
    /// With which parameters.
    pub params: serde_json::Value,
    /// Who is behind it.
    pub origin: Origin,
    /// Whether the submitter waits.
    pub mode: Mode,
    /// Larger goes first.
    pub priority: u8,
    /// How far it is.
    pub state: String,
    /// Why nobody has it, when nobody has.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub waits_for: String,
    /// The key its secret outputs are sealed to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub requester: Option<SealingPublicKey>,
    /// The short names of the keys its secrets are sealed to.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sealed_to: Vec<String>,
    /// The keys to seal them to again, while no member can open it; 64 at most.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reseal_to: Vec<SealingPublicKey>,
    /// What its originator signed, while its secrets can be sealed again; in the answer about this task alone, and if it has no
    /// dataset.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signed: Option<SignedView>,
    /// How many leases it had.
    pub attempt: u32,
    /// The newest of them, the last one last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attempts: Vec<AttemptRecord>,
    /// The number of its newest lease.
    pub epoch: u64,
    /// The member that has it, or that finished it.
    pub member: Option<MemberId>,
    /// Somebody wants it cancelled.
    pub cancel_requested: bool,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted: UnixMillis,
    /// When it must not be begun any more.
    pub deadline: Option<UnixMillis>,
    /// When it ended.
    pub finished: Option<UnixMillis>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How sure that is.
    pub certainty: Option<Certainty>,
    /// Whether anything was changed.
    pub changed: Option<Changed>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The controller's sentence, if it ended the task itself, or if the member does not know any more why it ended so.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// What came of it.
    pub output: Option<serde_json::Value>,
    /// Its secret outputs, sealed to the requester.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sealed: Vec<OpaqueView>,
    /// Its payloads.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub streams: Vec<PayloadView>,
    /// How far it is, newest wins.
    pub progress: Option<ProgressView>,
    /// What earlier holders reported too late.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub observations: Vec<ObservationView>,
}

impl TaskView {
    /// The same for whom nothing is that is sealed.
    pub(crate) fn without_sealed(mut self) -> Self {
        self.signed = None;
        self.sealed.clear();
        self.observations.iter_mut().for_each(|it| it.sealed.clear());
        self
    }
}

/// A report that came under an epoch that had passed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ObservationView {
    /// Who reported.
    pub member: MemberId,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What.
    pub outcome: Outcome,
    /// How sure.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// Its secret outputs, sealed to the requester: a password that it may have set.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sealed: Vec<OpaqueView>,
}

/// A sealed value: the bytes are the encoding of `docs/protocol.md`, in base64.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpaqueView {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: String,
}

impl OpaqueView {
    /// The one with this encoding.
    pub(crate) fn new(name: &str, encoding: &[u8]) -> Self {
        Self { name: name.to_owned(), bytes: BASE64.encode(encoding) }
    }
}

/// What was signed of a task beside what a view shows of it anyway. Whoever signs it anew sees by this that it is still the
/// task that he signed, whatever a controller says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignedView {
    /// Its secrets, as they were sealed.
    pub sealed: Vec<OpaqueView>,
    /// The signature.
    pub signature: SignatureView,
}

/// A payload that came of a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PayloadView {
    /// Its id.
    pub id: StreamId,
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256 in hexadecimal.
    pub sha256: String,
}

/// How far a task is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProgressView {
    /// Records done.
    pub done: u64,
    /// Records in all; zero if not known.
    pub total: u64,
    /// What is being done.
    pub phase: String,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this system only.
    pub system: Option<SystemName>,
    /// In this state only.
    pub state: Option<StateName>,
    /// Older than this one.
    pub before: Option<TaskId>,
    /// At most so many.
    pub limit: usize,
}

/// What is said of a task whose outcome is all that its member remembered.
const FORGOTTEN: &str = "the member had told of the end of this task before, and remembered how it ended and not why: that stands in its log";

/// How many records one request may look through: some tens of milliseconds of the owner's time.
const MAX_SCANNED: usize = 5_000;

/// What was found of them.
#[derive(Debug)]
pub struct Found {
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// The last that was looked at, when there are older ones.
    pub more_behind: Option<TaskId>,
}

impl State {
    /// A task.
    pub fn task(&self, id: TaskId) -> Result<TaskView, Refusal> {
        let record = self.any_task(id)?.ok_or_else(|| unknown(id))?;
        let signed = match record.state {
            TaskState::Queued | TaskState::NeedsReseal => self.content(id)?.as_ref().and_then(signed),
            TaskState::Leased { .. }
            | TaskState::Accepted { .. }
            | TaskState::Started { .. }
            | TaskState::InDoubt { .. }
            | TaskState::Finished => None,
        };
        Ok(TaskView { signed, ..self.task_view(&record)? })
    }

    /// Tasks, the newest first.
    pub fn tasks(&self, filter: &Filter) -> Result<Found, Refusal> {
        let mut found = Found { tasks: Vec::new(), more_behind: None };
        let mut last = None;
        for (number, record) in self.records.tasks(filter.before).enumerate() {
            if number >= MAX_SCANNED || found.tasks.len() >= filter.limit {
                found.more_behind = last;
                break;
            }
            let record = record?;
            last = Some(record.id);
            if filter.system.as_ref().is_some_and(|it| *it != record.system) {
                continue;
            }
            let record = self.newer_task(record.id).cloned().unwrap_or(record);
            if filter.state.is_none_or(|it| it == record.state.named()) {
                found.tasks.push(self.task_view(&record)?);
            }
        }
        Ok(found)
    }

    /// How far an unfinished task is. Whoever has it next may begin with its first step.
    pub fn progress(&self, id: TaskId) -> Option<ProgressView> {
        let task = self.queue.task(id).filter(|it| it.state.holder().is_some())?;
        let (_, it) = self.progress.get(&id).filter(|(epoch, _)| *epoch == task.epoch)?;
        Some(ProgressView { done: it.done, total: it.total, phase: it.phase.to_string() })
    }

    /// Somebody wants a task cancelled.
    pub fn cancel_task(&mut self, id: TaskId, at: Moment) -> Result<TaskView, Refusal> {
        match self.queue.cancel(id, at) {
            Cancelled::Ask(member) => self.say(member, ToSession::frame(Cancel { task: id })),
            Cancelled::AtOnce | Cancelled::Later | Cancelled::TooLate => (),
        }
        self.collect_changes();
        self.task(id)
    }

    /// Resolves when the task is finished; at once if it is.
    pub fn wait(&mut self, id: TaskId) -> Result<oneshot::Receiver<()>, Refusal> {
        let (done, waiter) = oneshot::channel();
        if self.queue.task(id).is_none() {
            self.any_task(id)?.ok_or_else(|| unknown(id))?;
            let _ = done.send(());
            return Ok(waiter);
        }
        if self.waiting() >= MAX_WAITERS {
            self.forget_who_left();
        }
        if self.waiting() >= MAX_WAITERS {
            return Err(Refusal::new(
                RefusalKind::Crowded,
                format!("{MAX_WAITERS} requests wait for tasks: ask again later, or look without waiting"),
            ));
        }
        let waiters = self.waiters.entry(id).or_default();
        waiters.retain(|it| !it.is_closed());
        waiters.push(done);
        Ok(waiter)
    }

    fn waiting(&self) -> usize {
        self.waiters.values().map(Vec::len).sum()
    }

    /// Whoever waited for a task and gave up counts until somebody else waits for it, or until this.
    fn forget_who_left(&mut self) {
        self.waiters.retain(|_, waiters| {
            waiters.retain(|it| !it.is_closed());
            !waiters.is_empty()
        });
    }

    fn task_view(&self, record: &TaskRecord) -> Result<TaskView, Refusal> {
        let offer = self.content(record.id)?;
        let sealed_to = offer.as_ref().map(reseal::sealed_to).unwrap_or_default();
        let requester = offer.as_ref().and_then(|it| it.requester);
        let reseal_to = match record.state {
            TaskState::NeedsReseal => {
                self.newest_keys(&record.cluster).map(|(_, key)| key).take(MAX_RECIPIENTS).collect()
            }
            TaskState::Queued
            | TaskState::Leased { .. }
            | TaskState::Accepted { .. }
            | TaskState::Started { .. }
            | TaskState::InDoubt { .. }
            | TaskState::Finished => Vec::new(),
        };
        let params = offer
            .and_then(|it| TaskRequest::decode(it.kind.number(), it.kind_rev, &it.params).ok())
            .map_or(serde_json::Value::Null, |it| it.to_json());
        let finish = record.finish.as_ref();
        let report = match finish {
            Some(finish) if finish.member.is_some() => self.report_of(record.id, finish.epoch)?,
            _ => None,
        };
        Ok(TaskView {
            id: record.id,
            system: record.system.clone(),
            cluster: record.cluster.clone(),
            kind: record.kind,
            params,
            origin: record.origin,
            mode: record.mode,
            priority: record.priority,
            state: record.state.name().to_owned(),
            waits_for: self.queue.waits_for(record.id),
            requester,
            sealed_to: sealed_to.iter().map(ToString::to_string).collect(),
            reseal_to,
            signed: None,
            attempt: record.attempt,
            attempts: self.attempts(record.id)?,
            epoch: record.epoch.0,
            member: finish.and_then(|it| it.member).or(record.state.holder()),
            cancel_requested: record.cancel_requested,
            submitted: record.submitted,
            deadline: record.deadline,
            finished: finish.map(|it| it.at),
            outcome: finish.map(|it| it.outcome),
            certainty: finish.map(|it| it.certainty),
            changed: finish.map(|it| it.changed),
            failure: report.as_ref().and_then(|it| it.failure.clone()),
            note: finish.map(|it| note(it, report.as_ref())).unwrap_or_default(),
            output: report.as_ref().and_then(|it| output(record.kind, it)),
            sealed: report.as_ref().map(sealed).unwrap_or_default(),
            streams: report.as_ref().map(payloads).unwrap_or_default(),
            progress: self.progress(record.id),
            observations: self.observations(record)?,
        })
    }

    /// The newest attempts, made durable or not.
    fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRecord>, Refusal> {
        let mut attempts: BTreeMap<u32, _> = self.records.attempts(id)?.into_iter().map(|it| (it.number, it)).collect();
        for write in &self.writes {
            if let super::Write::Attempt(task, it) = write
                && *task == id
            {
                attempts.insert(it.number, *it);
            }
        }
        Ok(attempts.into_values().collect())
    }

    fn observations(&self, record: &TaskRecord) -> Result<Vec<ObservationView>, Refusal> {
        let view = |it: &ObservationRecord| {
            let ObservationRecord { member, epoch, outcome, certainty, changed } = *it;
            let sealed = self.report_of(record.id, epoch)?.as_ref().map(sealed).unwrap_or_default();
            Ok(ObservationView { member, epoch, outcome, certainty, changed, sealed })
        };
        record.observations.iter().map(view).collect()
    }

    pub(super) fn report_of(&self, id: TaskId, epoch: Epoch) -> Result<Option<Report>, Refusal> {
        for write in &self.writes {
            if let super::Write::Report(it) = write
                && (it.task, it.epoch) == (id, epoch)
            {
                return Ok(Some((**it).clone()));
            }
        }
        Ok(self.records.report(id, epoch)?)
    }

    /// How many tasks are unfinished.
    pub fn unfinished(&self) -> usize {
        self.queue.len()
    }

    /// The counts of the status page: unfinished tasks by state.
    pub fn unfinished_by_state(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for record in self.queue.tasks() {
            if !matches!(record.state, TaskState::Finished) {
                *counts.entry(record.state.name()).or_default() += 1;
            }
        }
        counts
    }
}

fn output(kind: TaskKind, report: &Report) -> Option<serde_json::Value> {
    if report.output.is_empty() {
        return None;
    }
    let output = TaskOutput::decode(kind, &report.output).ok()?;
    serde_json::to_value(output).ok()
}

fn sealed(report: &Report) -> Vec<OpaqueView> {
    report.sealed.iter().filter_map(|it| Some(OpaqueView::new(&it.name, &codec::encode(it).ok()?))).collect()
}

fn signed(offer: &Offer) -> Option<SignedView> {
    let signature = offer.signature.as_ref().filter(|_| offer.streams.is_empty())?.view();
    let view = |it: &SealedField| Some(OpaqueView::new(&it.name, &codec::encode(it).ok()?));
    let sealed: Vec<_> = offer.sealed.iter().filter_map(view).collect();
    (!sealed.is_empty()).then_some(SignedView { sealed, signature })
}

fn payloads(report: &Report) -> Vec<PayloadView> {
    let view = |it: &postern_protocol::message::v1::StreamRef| PayloadView {
        id: it.id,
        length: it.length,
        sha256: HEXLOWER.encode(&it.sha256),
    };
    report.streams.iter().map(view).collect()
}

pub(super) fn unknown(id: TaskId) -> Refusal {
    Refusal {
        kind: RefusalKind::NotFound,
        field: Some("task"),
        message: format!(
            "there is no task `{id}`, or it finished so long ago that it was forgotten: see `postern-controller task list`"
        ),
    }
}

/// The controller's sentence about the end of a task.
fn note(finish: &Finish, told: Option<&Report>) -> String {
    let has_reason = match finish.outcome {
        Outcome::Failed | Outcome::PartiallySucceeded | Outcome::Unknown | Outcome::DeadLettered => true,
        Outcome::Succeeded | Outcome::AlreadySatisfied | Outcome::Cancelled | Outcome::Expired => false,
    };
    if has_reason && told.is_some_and(is_bare) { FORGOTTEN.to_owned() } else { finish.note.clone() }
}

#[cfg(test)]
mod tests {
    use postern_protocol::FailureClass;
    use postern_protocol::bounded::List;
    use postern_protocol::message::v1::StreamRef;

    use super::*;
    use crate::clock;
    use crate::state::lab;
    use crate::state::ledger::Write;

    /// Whoever reads that a task failed, and not why, is to know where it stands.
    #[test]
    fn a_task_that_did_not_succeed_says_where_the_reason_is_when_its_member_forgot_it() {
        let bare = lab::failed(1, TaskId::from_bytes([1; 16]), Epoch(2));
        let why = Failure::new(FailureClass::Rejected, "INACTIVE", "it is not active");
        let failed = Report { failure: Some(why), ..bare.clone() };
        let results = List::clipped(vec![StreamRef { id: StreamId::from_bytes([1; 16]), length: 1, sha256: [0; 32] }]);
        let batch = Report { streams: results, ..bare.clone() };
        for (outcome, told, is_said) in [
            (Outcome::Failed, Some(&bare), true),
            (Outcome::DeadLettered, Some(&bare), true),
            (Outcome::PartiallySucceeded, Some(&bare), true),
            (Outcome::Unknown, Some(&bare), true),
            (Outcome::Failed, Some(&failed), false),
            (Outcome::PartiallySucceeded, Some(&batch), false),
            (Outcome::Succeeded, Some(&bare), false),
            (Outcome::Unknown, None, false),
        ] {
            let (member, at) = (Some(MemberId::from_bytes([1; 16])), UnixMillis(0));
            let (certainty, changed) = (Certainty::Unknown, Changed::Unknown);
            let finish =
                Finish { outcome, certainty, changed, member, epoch: Epoch(2), note: "by itself".to_owned(), at };
            let note = note(&finish, told);
            assert_eq!((note.contains("in its log"), note == "by itself"), (is_said, !is_said), "{outcome}: {note}");
        }
    }

    /// Look until there is a page, and whoever asks for a system that has no tasks has all of them read.
    #[tokio::test]
    async fn a_page_ends_early_with_a_cursor_behind_thousands_of_tasks_that_are_none_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let named = |system: &str, made: u64| {
            let id = TaskId::from_random(made, [0; 10]);
            let (cluster, system) = ("acme".parse().unwrap(), system.parse().unwrap());
            TaskRecord::queued(id, cluster, system, TaskKind::EnableUser, "joe".to_owned())
        };
        let newest = 2 + u64::try_from(MAX_SCANNED).unwrap();
        let others = (2..newest).map(|made| named("others", made));
        let records: Vec<_> = others.chain([named("wanted", 0), named("others", 1)]).collect();
        ledger.commit(records.into_iter().map(Write::Task).collect()).await.unwrap();
        let page = |before| {
            let filter = Filter { system: Some("wanted".parse().unwrap()), state: None, before, limit: 10 };
            let Found { tasks, more_behind } = state.tasks(&filter).unwrap();
            (tasks.len(), more_behind)
        };
        let (found, cursor) = page(None);
        assert_eq!((found, cursor), (0, Some(TaskId::from_random(2, [0; 10]))));
        assert_eq!(page(cursor), (1, None));
    }
}
