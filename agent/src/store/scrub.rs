//! What is looked at before a store is taken up: what belongs to what, and every payload.
//!
//! The engine has read every record by then. What belongs to nothing was left behind by a crash between two steps, and
//! goes. A payload that is not whole goes too: one of a task comes again, and results that are lost are told in place of
//! the outcome they belong to.

use std::collections::BTreeSet;

use postern_agent_core::ledger::lose_results;
use postern_agent_core::{RestoredTask, TaskState};
use postern_protocol::message::v1::{Report, StreamRef};
use postern_protocol::plain::Chain;
use postern_protocol::{StreamId, TaskId};
use postern_store::{Batch, SpoolId};

use super::{AgentStoreError, DELETED_AT_ONCE, JOURNAL, OFFERS, STATES, Store, spool_id};

impl Store {
    /// Removes states and journals whose task is gone.
    pub(super) fn sweep_records(&self) -> Result<(), AgentStoreError> {
        for table in [STATES, JOURNAL] {
            let mut batch = Batch::new();
            let mut held: Option<(TaskId, bool)> = None;
            for key in self.engine.scan_keys(table, &[]) {
                let key = key?;
                let Some((task, _)) = key.split_first_chunk::<16>() else { continue };
                let task = TaskId::from_bytes(*task);
                let is_held = match held {
                    Some((known, is_held)) if known == task => is_held,
                    _ => self.engine.scan_keys(OFFERS, task.as_bytes()).next().is_some(),
                };
                held = Some((task, is_held));
                if is_held {
                    continue;
                }
                // All of it, before any task is taken: what stayed would be read as the journal of a later attempt.
                if batch.len() == DELETED_AT_ONCE {
                    self.engine.commit_blocking(std::mem::take(&mut batch))?;
                }
                batch.delete(table, &key)?;
            }
            if !batch.is_empty() {
                self.engine.commit_blocking(batch)?;
            }
        }
        Ok(())
    }

    /// Looks at every payload that a task or a report names, and removes every other.
    pub(super) fn check_payloads(&self, tasks: &mut [RestoredTask], reports: &[Report]) -> Result<(), AgentStoreError> {
        let mut named = BTreeSet::new();
        for task in tasks {
            for stream in &task.offer.streams {
                named.insert(spool_id(stream.id));
                if self.spool.contains(spool_id(stream.id)) && self.is_whole(stream)? {
                    task.streams_here.push(stream.id);
                }
            }
            if let TaskState::Concluded(report) = &mut task.state {
                self.check_results(report)?;
                named.extend(report.streams.iter().map(|stream| spool_id(stream.id)));
            }
        }
        for stream in reports.iter().flat_map(|report| report.streams.iter()) {
            // The controller has it, whatever is left of it here: a report is owed only behind its results.
            named.insert(spool_id(stream.id));
        }
        self.remove_orphans(&named)
    }

    /// Results that are lost would be waited for without end.
    fn check_results(&self, report: &mut Report) -> Result<(), AgentStoreError> {
        let mut lost: Vec<StreamId> = Vec::new();
        for stream in &report.streams {
            if !self.is_whole(stream)? {
                lost.push(stream.id);
            }
        }
        if !lost.is_empty() {
            tracing::error!(task = %report.task, outcome = %report.outcome, "the results of a task are lost");
            lose_results(report);
        }
        Ok(())
    }

    /// Whether a payload is what was announced. One that is not is removed.
    fn is_whole(&self, stream: &StreamRef) -> Result<bool, AgentStoreError> {
        let id = spool_id(stream.id);
        match self.spool.verify(id, stream.length, &stream.sha256) {
            Ok(()) => Ok(true),
            Err(error) if error.is_damage() => {
                tracing::error!(error = %Chain(&error), "a payload is not whole");
                self.spool.delete(id)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn remove_orphans(&self, named: &BTreeSet<SpoolId>) -> Result<(), AgentStoreError> {
        match self.spool.retain(|id| named.contains(&id))? {
            0 => (),
            removed => tracing::info!(removed, "payloads that nothing refers to were removed"),
        }
        Ok(())
    }
}
