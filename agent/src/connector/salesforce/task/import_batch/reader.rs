//! Units of a dataset: read on a thread that may block, grouped in a way that another attempt repeats exactly.

use std::collections::HashSet;

use postern_protocol::{Failure, FailureClass};
use tokio::sync::mpsc;

use super::plan;
use crate::connector::{AttemptCx, stopped};
use crate::dataset::xml::XmlReader;
use crate::dataset::{DatasetError, Item};

/// What Salesforce takes in one call.
const MAX_ENTRIES: usize = 200;
/// Below what one call may carry, and what one unit may hold in memory.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Entries read ahead; each is at most 256 KiB.
const AHEAD: usize = 16;

/// A dataset in units.
pub(super) struct Units {
    items: mpsc::Receiver<Result<Item, DatasetError>>,
    next: Option<Item>,
}

impl Units {
    /// Starts to read.
    pub(super) fn start(cx: &AttemptCx) -> Result<Self, Failure> {
        let dataset = cx.journal.dataset()?;
        let (sender, items) = mpsc::channel(AHEAD);
        // It ends by itself, with the dataset or with the receiver.
        drop(tokio::task::spawn_blocking(move || {
            for item in XmlReader::new(dataset) {
                if sender.blocking_send(item).is_err() {
                    break;
                }
            }
        }));
        Ok(Self { items, next: None })
    }

    /// The next unit; empty after the last. No user is named twice in a unit: entries on one user follow each other.
    pub(super) async fn next(&mut self) -> Result<Vec<Item>, Failure> {
        let (mut unit, mut taken, mut bytes) = (Vec::new(), HashSet::new(), 0);
        while let Some(item) = self.item().await? {
            let (names, size) = match &item {
                Ok(entry) => (plan::names(entry), size(entry)),
                Err(_) => (Vec::new(), 0),
            };
            let fits =
                unit.len() < MAX_ENTRIES && bytes + size <= MAX_BYTES && !names.iter().any(|it| taken.contains(it));
            if !fits && !unit.is_empty() {
                self.next = Some(item);
                break;
            }
            taken.extend(names);
            bytes += size;
            unit.push(item);
        }
        Ok(unit)
    }

    async fn item(&mut self) -> Result<Option<Item>, Failure> {
        if let Some(item) = self.next.take() {
            return Ok(Some(item));
        }
        self.items.recv().await.transpose().map_err(|error| malformed(&error))
    }
}

/// Reads the whole dataset once and counts its entries: one that cannot be read to its end must change nothing.
pub(super) async fn count(cx: &AttemptCx) -> Result<u64, Failure> {
    let dataset = cx.journal.dataset()?;
    let stop = cx.stop.clone();
    let work = move || {
        let mut entries = 0;
        for item in XmlReader::new(dataset) {
            item.map_err(|error| malformed(&error)).map(drop)?;
            if stop.is_cancelled() {
                return Err(stopped());
            }
            entries += 1;
        }
        Ok(entries)
    };
    let crashed = || Failure::new(FailureClass::Internal, "reader_crashed", "reading the dataset ended in a defect");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(crashed()))
}

fn size(entry: &crate::dataset::Entry) -> usize {
    entry.attributes.iter().map(|it| it.name.len() + it.value.expose().len()).sum()
}

fn malformed(error: &DatasetError) -> Failure {
    Failure::new(FailureClass::Rejected, "dataset_malformed", format!("the dataset cannot be read: {error}"))
        .with_next_step("Correct the dataset at that place and submit it again; nothing was changed by this attempt.")
}
