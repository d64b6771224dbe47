//! Reports on their way to the controller: in order, each until it is acknowledged.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;

use postern_protocol::bounded::List;
use postern_protocol::message::v1::{MAX_PARTS, Report, StreamRef};
use postern_protocol::{ReportNo, StreamId, TaskId, Timestamp, codec};

/// The most bytes of a report: everything in it as long as it may be, and the one extension that this version knows, its
/// trace.
pub(crate) const LARGEST_REPORT: usize = 28 * 1024;

/// The reports owed. Sent once a session; a new session sends all of them again.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    reports: BTreeMap<ReportNo, Entry>,
    /// The reports of each task.
    of_task: BTreeMap<TaskId, BTreeSet<ReportNo>>,
    /// How many reports name these results.
    naming: BTreeMap<StreamId, usize>,
    bytes: usize,
    sent: ReportNo,
    /// Up to here the controller has said in this session that it has them.
    acked: ReportNo,
    next: ReportNo,
}

/// How many bytes a report has.
pub(crate) fn bytes_of(report: &Report) -> usize {
    codec::encode(report).map_or(LARGEST_REPORT, |encoded| encoded.len())
}

#[derive(Debug)]
struct Entry {
    report: Report,
    bytes: usize,
    durable: bool,
    /// When it became durable, if that was in this process.
    since: Option<Timestamp>,
    /// Its results were announced again, and nobody has said yet whether the controller still has them, or wants them.
    is_announced: bool,
}

impl Outbox {
    pub(crate) fn restore(reports: Vec<Report>, next: ReportNo) -> Self {
        let mut outbox = Self { next, ..Self::default() };
        for report in reports {
            outbox.insert(report, true);
        }
        outbox
    }

    fn insert(&mut self, report: Report, durable: bool) {
        let bytes = bytes_of(&report);
        self.bytes += bytes;
        self.of_task.entry(report.task).or_default().insert(report.number);
        for stream in &report.streams {
            *self.naming.entry(stream.id).or_default() += 1;
        }
        self.reports.insert(report.number, Entry { report, bytes, durable, since: None, is_announced: false });
    }

    pub(crate) fn len(&self) -> usize {
        self.reports.len()
    }

    /// The bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest of them became durable, if that was in this process.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.reports.values().next()?.since
    }

    /// The number the next report will have.
    pub(crate) fn next(&self) -> ReportNo {
        self.next
    }

    pub(crate) fn push(&mut self, mut report: Report) -> Report {
        report.number = self.next;
        self.next = self.next.next();
        self.insert(report.clone(), false);
        report
    }

    pub(crate) fn handle_durable(&mut self, number: ReportNo, now: Timestamp) {
        if let Some(entry) = self.reports.get_mut(&number) {
            entry.durable = true;
            entry.since = Some(now);
        }
    }

    /// The next report to send: the oldest not sent in this session, if it is on disk.
    pub(crate) fn poll(&mut self) -> Option<Report> {
        let (_, entry) = self.reports.range((Bound::Excluded(self.sent), Bound::Unbounded)).next()?;
        if !entry.durable {
            return None;
        }
        self.sent = entry.report.number;
        Some(entry.report.clone())
    }

    /// The newest report that was sent in this session.
    pub(crate) fn sent(&self) -> ReportNo {
        self.sent
    }

    /// A new session: everything owed is sent again, and what its controller has it says anew.
    pub(crate) fn rewind(&mut self) {
        (self.sent, self.acked) = (ReportNo(0), ReportNo(0));
    }

    /// Sends this report, and those after it, again.
    pub(crate) fn rewind_to(&mut self, number: ReportNo) {
        self.sent = self.sent.min(ReportNo(number.0.saturating_sub(1)));
    }

    /// What this report says has changed: it is sent once more, when that is on disk.
    pub(crate) fn say_anew(&mut self, number: ReportNo) {
        if let Some(entry) = self.reports.get_mut(&number) {
            entry.durable = false;
        }
        self.rewind_to(number);
    }

    /// A new session: the results of everything owed are announced again. Returns them.
    pub(crate) fn announce_results(&mut self) -> impl Iterator<Item = (TaskId, StreamRef)> {
        self.reports.values_mut().filter_map(|entry| {
            let results = *entry.report.streams.first()?;
            entry.is_announced = true;
            Some((entry.report.task, results))
        })
    }

    /// The controller has the results of a task that were announced again.
    pub(crate) fn handle_results_kept(&mut self, task: TaskId) {
        for number in self.of_task.get(&task).into_iter().flatten() {
            if let Some(entry) = self.reports.get_mut(number) {
                entry.is_announced = false;
            }
        }
    }

    /// Nothing comes of it that the results of a task were announced again: they are left out of its reports. Returns what is owed
    /// without them, and what they were.
    pub(crate) fn leave_results_out(
        &mut self,
        task: TaskId,
        leave_out: impl Fn(&mut Report) -> List<StreamRef, MAX_PARTS>,
    ) -> Vec<(Report, List<StreamRef, MAX_PARTS>)> {
        let mut without = Vec::new();
        for number in self.of_task.get(&task).into_iter().flatten() {
            let Some(entry) = self.reports.get_mut(number).filter(|it| it.is_announced) else { continue };
            entry.is_announced = false;
            let results = leave_out(&mut entry.report);
            unname(&mut self.naming, &results);
            self.bytes -= entry.bytes;
            entry.bytes = bytes_of(&entry.report);
            self.bytes += entry.bytes;
            without.push((entry.report.clone(), results));
        }
        without
    }

    /// Up to which report the controller has said in this session that it has them.
    pub(crate) fn acked(&self) -> ReportNo {
        self.acked
    }

    /// The controller has every report up to `upto`; returns those of which nothing is open any more.
    pub(crate) fn handle_ack(&mut self, upto: ReportNo) -> Vec<Report> {
        // A controller may count further than this store, which was put back: what it has not seen it does not mean.
        let newest = self.reports.last_key_value().map_or(self.acked, |(number, _)| *number);
        self.acked = self.acked.max(upto.min(newest));
        let mut acked = Vec::new();
        let is_over = |entry: &Entry| entry.durable && !entry.is_announced;
        // A report not yet on disk cannot have been sent, so an acknowledgement of it is nonsense and ignored.
        while let Some(entry) = self.reports.first_entry().filter(|it| *it.key() <= upto && is_over(it.get())) {
            let (number, Entry { report, bytes, .. }) = entry.remove_entry();
            self.bytes -= bytes;
            unname(&mut self.naming, &report.streams);
            if let btree_map::Entry::Occupied(mut of_task) = self.of_task.entry(report.task) {
                of_task.get_mut().remove(&number);
                if of_task.get().is_empty() {
                    of_task.remove();
                }
            }
            acked.push(report);
        }
        acked
    }

    /// The newest report of a task.
    pub(crate) fn find(&self, task: TaskId) -> Option<&Report> {
        let number = self.of_task.get(&task)?.last()?;
        self.reports.get(number).map(|entry| &entry.report)
    }

    /// How many reports of a task are owed.
    pub(crate) fn count_of(&self, task: TaskId) -> usize {
        self.of_task.get(&task).map_or(0, BTreeSet::len)
    }

    /// Whether a report that is owed names these results.
    pub(crate) fn names(&self, results: StreamId) -> bool {
        self.naming.contains_key(&results)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Report> {
        self.reports.values().map(|entry| &entry.report)
    }
}

/// A report does not name these results any more.
fn unname(naming: &mut BTreeMap<StreamId, usize>, results: &[StreamRef]) {
    for stream in results {
        if let btree_map::Entry::Occupied(mut named) = naming.entry(stream.id) {
            *named.get_mut() -= 1;
            if *named.get() == 0 {
                named.remove();
            }
        }
    }
}
