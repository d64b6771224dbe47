//! From rows to the sealed file, on a thread that may wait for the disk.

use std::sync::Arc;

use postern_protocol::message::v1::StreamRef;
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Failure, FailureClass};

use super::delta::Tracker;
use super::plan::Plan;
use super::value::Column;
use super::{Portion, Rows, Taker};
use crate::connector::{Payload, unwritten};
use crate::dataset::Change;
use crate::dataset::writer::{Cell, Writer};

/// The file while it grows.
pub(super) struct Sink {
    payload: Box<dyn Payload>,
    writer: Writer,
    columns: Arc<[Column]>,
    tracker: Option<Tracker>,
    read: u64,
    written: u64,
}

impl Sink {
    pub(super) async fn begin(
        plan: &Plan,
        payload: Box<dyn Payload>,
        tracker: Option<Tracker>,
    ) -> Result<Self, Failure> {
        let names = match &tracker {
            Some(tracker) => tracker.names(),
            None => plan.columns.iter().map(|column| column.name.clone()).collect(),
        };
        let writer = Writer::new(plan.form, names);
        let columns = Arc::clone(&plan.columns);
        let sink = Self { payload, writer, columns, tracker, read: 0, written: 0 };
        sink.blocking(|sink| sink.writer.begin(&mut sink.payload).map_err(|error| unwritten(&error))).await
    }

    fn add(&mut self, row: Vec<Option<String>>) -> Result<(), Failure> {
        self.read += 1;
        let cells: Vec<Cell> = self.columns.iter().zip(row).map(|(column, text)| column.cell(text)).collect();
        let told = match &mut self.tracker {
            Some(tracker) => tracker.take(&cells)?,
            None => Some((Change::Add, cells.into_iter().map(Some).collect())),
        };
        if let Some((change, cells)) = told {
            self.writer.record(&mut self.payload, change, &cells).map_err(|error| unwritten(&error))?;
            self.written += 1;
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<((StreamRef, SealedOutput), u64), Failure> {
        let sink = self.blocking(|sink| sink.writer.end(&mut sink.payload).map_err(|error| unwritten(&error))).await?;
        let written = sink.written;
        let finished = tokio::task::spawn_blocking(move || sink.payload.finish()).await.map_err(|_| crashed())?;
        Ok((finished?, written))
    }

    async fn blocking(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        tokio::task::spawn_blocking(move || work(&mut self).map(|()| self)).await.map_err(|_| crashed())?
    }
}

impl Taker for Sink {
    const PORTION: Portion = Portion::AsTheyCome;

    async fn take(self, rows: Rows) -> Result<Self, Failure> {
        let mut sink = self.blocking(|sink| rows.into_iter().try_for_each(|row| sink.add(row))).await?;
        if let Some(tracker) = &mut sink.tracker {
            tracker.remember().await?;
        }
        Ok(sink)
    }

    fn taken(&self) -> u64 {
        self.read
    }
}

fn crashed() -> Failure {
    Failure::new(FailureClass::Internal, "writer_crashed", "writing the export ended in a defect")
}
