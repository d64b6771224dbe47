//! What this controller tells of tasks as traces: of each the whole, each wait in the queue, each lease and the report.
//!
//! It is read off what becomes durable, in one place, and told once it is. What was known of a lease only while the process
//! lived is gone with it: the lease's span then begins with the process.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::message::v1::Report;
use postern_protocol::time::UnixMillis;
use postern_protocol::trace::{self, SpanId, TraceContext};
use postern_protocol::{Epoch, Outcome, TaskId};
use postern_traces::{Kind, Moment, Span, Spans};

use crate::random;
use crate::state::ledger::{Ledger, LedgerError, Write};
use crate::state::record::{TaskRecord, TaskState};
use crate::state::records::Records as _;

/// What is told of tasks as they change.
#[derive(Debug)]
pub struct Traces {
    spans: Spans,
    /// Unfinished tasks whose traces are to be told.
    tasks: BTreeMap<TaskId, Traced>,
}

#[derive(Debug)]
struct Traced {
    context: TraceContext,
    /// Since when it waits, if that is known.
    waits: Option<UnixMillis>,
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    epoch: Epoch,
    span: Span,
    state: TaskState,
}

impl Traces {
    /// Told to whoever takes these spans.
    pub const fn new(spans: Spans) -> Self {
        Self { spans, tasks: BTreeMap::new() }
    }

    /// What these changes, which are about to be committed, will have to be told once they are.
    pub fn notice(&mut self, writes: &[Write], ledger: &Ledger, now: UnixMillis) -> Result<Vec<Span>, LedgerError> {
        let mut spans = Vec::new();
        for write in writes {
            if let Write::Offer(offer) = write
                && let Some(context) = TraceContext::of(&offer.ext).filter(TraceContext::is_sampled)
            {
                let traced = Traced { context, waits: Some(now), lease: None };
                self.tasks.entry(offer.task).or_insert(traced);
            }
        }
        for write in writes {
            if let Write::Report(report) = write {
                spans.extend(self.reported(report, now));
            }
        }
        let mut ended = BTreeSet::new();
        for write in writes {
            if let Write::Task(record) = write
                && !ended.contains(&record.id)
            {
                self.changed(record, ledger, now, &mut spans)?;
                ended.extend(record.finish.as_ref().map(|_| record.id));
            }
        }
        Ok(spans)
    }

    /// Tells what was noticed.
    pub fn tell(&self, spans: Vec<Span>) {
        for span in spans {
            self.spans.record(span);
        }
    }

    /// The taking of a report, below the attempt that it tells of if that is told too.
    fn reported(&self, report: &Report, now: UnixMillis) -> Option<Span> {
        let (task, epoch) = (report.task, report.epoch);
        let of_lease = || Some(self.tasks.get(&task)?.context.below(SpanId::of(task, epoch, trace::LEASE)));
        let above = TraceContext::of(&report.ext).filter(|it| it.span().is_some()).or_else(of_lease)?;
        let span = Span::below(above, SpanId::of(task, epoch, "report"), "report", Kind::Consumer, now)
            .with("postern.task", task.to_string())
            .with("postern.outcome", report.outcome.to_string());
        Some(span)
    }

    fn changed(
        &mut self,
        record: &TaskRecord,
        ledger: &Ledger,
        now: UnixMillis,
        spans: &mut Vec<Span>,
    ) -> Result<(), LedgerError> {
        let traced = match self.tasks.entry(record.id) {
            Entry::Occupied(traced) => traced.into_mut(),
            Entry::Vacant(place) => {
                // A late report is kept with a task that ended before.
                if record.finish.is_some() && ledger.task(record.id)?.is_some_and(|it| it.finish.is_some()) {
                    return Ok(());
                }
                let Some(offer) = ledger.offer(record.id)? else { return Ok(()) };
                let Some(context) = TraceContext::of(&offer.ext).filter(TraceContext::is_sampled) else {
                    return Ok(());
                };
                // An earlier process took it in; if nobody had it yet, it has waited since then.
                let waits = (record.attempt <= 1).then_some(record.submitted);
                place.insert(Traced { context, waits, lease: None })
            }
        };
        spans.extend(traced.change(record, now));
        if let Some(finish) = &record.finish {
            spans.push(whole(record, traced.context, finish.outcome).until(finish.at));
            self.tasks.remove(&record.id);
        }
        Ok(())
    }
}

impl Traced {
    fn below(&self, task: TaskId) -> TraceContext {
        self.context.below(SpanId::of(task, Epoch(0), trace::TASK))
    }

    /// The waits and leases that end with a change.
    fn change(&mut self, record: &TaskRecord, now: UnixMillis) -> Vec<Span> {
        let mut over = Vec::new();
        let is_leased = matches!(record.state, TaskState::Leased { .. });
        let goes_on = record.state.holder().is_some()
            && self.lease.as_ref().is_some_and(|it| !is_leased || it.epoch == record.epoch);
        if !goes_on {
            over.extend(self.lease.take().map(|it| it.end(record, now)));
        }
        if record.state.holder().is_none() {
            self.waits = self.waits.or(Some(now));
        } else if let Some(lease) = &mut self.lease {
            lease.go_on(record.state, now);
        } else {
            if let Some(since) = self.waits.take() {
                let id = SpanId::of(record.id, record.epoch, "queue");
                over.push(Span::below(self.below(record.id), id, "queue", Kind::Internal, since).until(now));
            }
            self.lease = Some(Lease::begin(record, self.below(record.id), now));
        }
        over
    }
}

impl Lease {
    fn begin(record: &TaskRecord, above: TraceContext, now: UnixMillis) -> Self {
        let id = SpanId::of(record.id, record.epoch, trace::LEASE);
        let mut span = Span::below(above, id, "lease", Kind::Producer, now)
            .with("postern.task", record.id.to_string())
            .with("postern.epoch", record.epoch.0)
            .with("postern.attempt", u64::from(record.attempt));
        if let Some(member) = record.state.holder() {
            span = span.with("postern.member", member.to_string());
        }
        let before = record.leases.iter().rev().map(|it| it.epoch).find(|it| *it < record.epoch);
        span.after = before.map(|it| SpanId::of(record.id, it, trace::LEASE));
        Self { epoch: record.epoch, span, state: record.state }
    }

    fn go_on(&mut self, state: TaskState, now: UnixMillis) {
        if self.state != state {
            self.span.happens(Moment { at: now, name: state.name(), attributes: Vec::new() });
            self.state = state;
        }
    }

    fn end(mut self, record: &TaskRecord, now: UnixMillis) -> Span {
        if record.finish.is_none() && matches!(self.state, TaskState::InDoubt { .. }) {
            self.span.error = Some("lapsed".to_owned());
        }
        self.span.until(now)
    }
}

/// The span of a task from its submission to its end.
fn whole(record: &TaskRecord, context: TraceContext, outcome: Outcome) -> Span {
    let id = SpanId::of(record.id, Epoch(0), trace::TASK);
    let mut span = Span::below(context, id, format!("task {}", record.kind), Kind::Internal, record.submitted)
        .with("postern.task", record.id.to_string())
        .with("postern.kind", record.kind.to_string())
        .with("postern.system", record.system.to_string())
        .with("postern.cluster", record.cluster.to_string())
        .with("postern.outcome", outcome.to_string());
    if !matches!(outcome, Outcome::Succeeded | Outcome::AlreadySatisfied) {
        span.error = Some(outcome.to_string());
    }
    span
}

/// The span of a request that a task was submitted with: whoever got no answer submits it once more.
pub fn submission(task: TaskId, context: TraceContext, begun: UnixMillis, now: UnixMillis) -> Span {
    let above = context.below(SpanId::of(task, Epoch(0), trace::TASK));
    let span = Span::below(above, SpanId::from_random(random::bytes()), "submit", Kind::Server, begun);
    span.with("postern.task", task.to_string()).until(now)
}

#[cfg(test)]
mod tests {
    use postern_protocol::bounded::Bytes;
    use postern_protocol::id::Incarnation;
    use postern_protocol::message::v1::{Extensions, Offer};
    use postern_protocol::outcome::{Certainty, Changed};
    use postern_protocol::task::test_connection;
    use postern_protocol::{MemberId, TaskKind, TaskRequest};

    use super::*;
    use crate::state::lab;
    use crate::state::record::{Finish, LeaseRecord};

    const TASK: TaskId = TaskId::from_bytes([7; 16]);
    const MEMBER: MemberId = MemberId::from_bytes([1; 16]);

    fn record(state: TaskState, epoch: u64) -> TaskRecord {
        let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
        let store = Incarnation::from_bytes([1; 16]);
        TaskRecord {
            state,
            submitted: UnixMillis(100),
            epoch: Epoch(epoch),
            attempt: u32::try_from(epoch).unwrap(),
            leases: (1..=epoch).map(|epoch| LeaseRecord { epoch: Epoch(epoch), store }).collect(),
            ..TaskRecord::queued(TASK, cluster, system, TaskKind::DisableUser, String::new())
        }
    }

    fn finished(epoch: u64) -> TaskRecord {
        let (outcome, certainty, changed) = (Outcome::Succeeded, Certainty::Certain, Changed::Yes);
        let (epoch, at) = (Epoch(epoch), UnixMillis(900));
        let finish = Finish { outcome, certainty, changed, member: Some(MEMBER), epoch, note: String::new(), at };
        TaskRecord { finish: Some(finish), ..record(TaskState::Finished, epoch.0) }
    }

    fn offer() -> Offer {
        let request = TaskRequest::TestConnection(test_connection::Request {});
        let offer = Offer::new(TASK, "sf".parse().unwrap(), &request, Bytes::default());
        Offer { ext: TraceContext::of_task(TASK).among(&offer.ext), ..offer }
    }

    /// Name, begin, end, error and whether it is linked to an earlier one.
    fn told(spans: &[Span]) -> Vec<(&str, u64, u64, Option<&str>, bool)> {
        spans
            .iter()
            .map(|it| (it.name.as_str(), it.begun.0, it.ended.0, it.error.as_deref(), it.after.is_some()))
            .collect()
    }

    #[test]
    fn waits_and_leases_are_told_one_after_the_other_and_the_next_lease_names_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let (spans, _exporter) =
            postern_traces::exporter::channel("test", "0", String::new(), str::to_owned, crate::clock::now);
        let mut traces = Traces::new(spans);
        let mut notice = |now, writes: &[Write]| traces.notice(writes, &ledger, UnixMillis(now)).unwrap();
        let (leased, doubt) =
            (TaskState::Leased { holder: MEMBER }, TaskState::InDoubt { holder: MEMBER, started: true });

        assert!(notice(100, &[Write::Offer(Box::new(offer())), Write::Task(record(TaskState::Queued, 0))]).is_empty());
        assert_eq!(told(&notice(200, &[Write::Task(record(leased, 1))])), [("queue", 100, 200, None, false)]);
        assert!(notice(300, &[Write::Task(record(doubt, 1))]).is_empty());
        let lapsed = notice(400, &[Write::Task(record(TaskState::Queued, 1))]);
        assert_eq!(told(&lapsed), [("lease", 200, 400, Some("lapsed"), false)]);
        assert_eq!(told(&notice(500, &[Write::Task(record(leased, 2))])), [("queue", 400, 500, None, false)]);
        let ended = notice(900, &[Write::Task(finished(2))]);
        assert_eq!(told(&ended), [("lease", 500, 900, None, true), ("task disable_user", 100, 900, None, false)]);
        assert_eq!(ended[0].after, lapsed[0].context.span());
        assert!(traces.tasks.is_empty(), "nothing is kept of what has ended");
    }

    /// Whoever lost the lease may tell much later what it did: the task's record is written once more, and it ended once.
    #[tokio::test]
    async fn a_finished_task_that_is_written_again_is_not_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let (spans, _exporter) =
            postern_traces::exporter::channel("test", "0", String::new(), str::to_owned, crate::clock::now);
        let mut traces = Traces::new(spans);
        let offer = || Write::Offer(Box::new(offer()));
        let ends = [offer(), Write::Task(finished(2)), Write::Task(finished(2))];
        assert_eq!(told(&traces.notice(&ends, &ledger, UnixMillis(900)).unwrap()).len(), 1, "in the same turn");
        ledger.commit(vec![offer(), Write::Task(finished(2))]).await.unwrap();
        let later = traces.notice(&[Write::Task(finished(2))], &ledger, UnixMillis(1_000)).unwrap();
        assert_eq!(told(&later), [], "much later");
    }

    #[test]
    fn a_task_that_is_submitted_once_more_has_another_span_for_that() {
        let submitted = || submission(TASK, TraceContext::of_task(TASK), UnixMillis(1), UnixMillis(2)).context.span();
        assert_ne!(submitted(), submitted());
    }

    /// Look only at what this process took in, and tasks that outlive a restart are lost to their traces.
    #[tokio::test]
    async fn a_task_that_an_earlier_process_took_in_is_told_of_and_one_without_a_trace_is_not() {
        for (offer, names) in
            [(offer(), &["lease", "task disable_user"][..]), (Offer { ext: Extensions::default(), ..offer() }, &[])]
        {
            let folder = tempfile::tempdir().unwrap();
            let (ledger, _spool) = lab::ledger(folder.path());
            ledger.commit(vec![Write::Offer(Box::new(offer))]).await.unwrap();
            let (spans, _exporter) =
                postern_traces::exporter::channel("test", "0", String::new(), str::to_owned, crate::clock::now);
            let mut traces = Traces::new(spans);
            let started = record(TaskState::Started { holder: MEMBER }, 2);
            let mut spans = traces.notice(&[Write::Task(started)], &ledger, UnixMillis(500)).unwrap();
            spans.extend(traces.notice(&[Write::Task(finished(2))], &ledger, UnixMillis(900)).unwrap());
            assert_eq!(spans.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), names);
        }
    }
}
