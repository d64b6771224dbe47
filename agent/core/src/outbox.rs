//! Reports on their way to the controller: in order, each until it is acknowledged.

use std::collections::BTreeMap;

use postern_protocol::message::v1::Report;
use postern_protocol::{ReportNo, TaskId};

/// The reports owed. Sent once a session; a new session sends all of them again.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    reports: BTreeMap<ReportNo, Entry>,
    sent: ReportNo,
    next: ReportNo,
}

#[derive(Debug)]
struct Entry {
    report: Report,
    durable: bool,
}

impl Outbox {
    pub(crate) fn restore(reports: Vec<Report>, next: ReportNo) -> Self {
        let reports = reports.into_iter().map(|report| (report.number, Entry { report, durable: true })).collect();
        Self { reports, sent: ReportNo(0), next }
    }

    pub(crate) fn len(&self) -> usize {
        self.reports.len()
    }

    /// The number the next report will have.
    pub(crate) fn next(&self) -> ReportNo {
        self.next
    }

    pub(crate) fn push(&mut self, mut report: Report) -> Report {
        report.number = self.next;
        self.next = self.next.next();
        self.reports.insert(report.number, Entry { report: report.clone(), durable: false });
        report
    }

    pub(crate) fn handle_durable(&mut self, number: ReportNo) {
        if let Some(entry) = self.reports.get_mut(&number) {
            entry.durable = true;
        }
    }

    /// The next report to send: the oldest not sent in this session, if it is on disk.
    pub(crate) fn poll(&mut self) -> Option<Report> {
        let entry = self.reports.get(&self.sent.next()).or_else(|| {
            // Numbers before the first one owed were acknowledged in an earlier session.
            self.reports.iter().find(|(number, _)| **number > self.sent).map(|(_, entry)| entry)
        })?;
        if !entry.durable {
            return None;
        }
        self.sent = entry.report.number;
        Some(entry.report.clone())
    }

    /// A new session: everything owed is sent again.
    pub(crate) fn rewind(&mut self) {
        self.sent = ReportNo(0);
    }

    /// Sends this report, and those after it, again.
    pub(crate) fn rewind_to(&mut self, number: ReportNo) {
        self.sent = self.sent.min(ReportNo(number.0.saturating_sub(1)));
    }

    /// The controller has every report up to `upto`; returns them.
    pub(crate) fn handle_ack(&mut self, upto: ReportNo) -> Vec<Report> {
        // A report not yet on disk cannot have been sent, so an acknowledgement of it is nonsense and ignored.
        let acked: Vec<ReportNo> = self
            .reports
            .iter()
            .take_while(|(number, entry)| **number <= upto && entry.durable)
            .map(|(n, _)| *n)
            .collect();
        acked.iter().filter_map(|number| self.reports.remove(number)).map(|entry| entry.report).collect()
    }

    pub(crate) fn find(&self, task: TaskId) -> Option<&Report> {
        self.reports.values().map(|entry| &entry.report).rev().find(|report| report.task == task)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Report> {
        self.reports.values().map(|entry| &entry.report)
    }
}
