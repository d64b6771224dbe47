//! From rows to the sealed file, on a thread that may wait for the disk.

use std::sync::Arc;
use std::vec;

use postern_protocol::message::v1::StreamRef;
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Failure, FailureClass};

use super::delta::Tracker;
use super::plan::Plan;
use super::value::Column;
use super::{Portion, Row, Rows, Taker};
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

    fn add(&mut self, row: Row) -> Result<(), Failure> {
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

    /// Adds rows until there is something to be remembered.
    async fn add_some(mut self, mut rows: vec::IntoIter<Row>) -> Result<(Self, vec::IntoIter<Row>), Failure> {
        let added = tokio::task::spawn_blocking(move || {
            while !self.tracker.as_ref().is_some_and(Tracker::is_full)
                && let Some(row) = rows.next()
            {
                self.add(row)?;
            }
            Ok((self, rows))
        });
        added.await.map_err(|_| crashed())?
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
    const PHASE: &'static str = "export";
    const PORTION: Portion = Portion::AsTheyCome;

    async fn take(mut self, rows: Rows) -> Result<Self, Failure> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            (self, rows) = self.add_some(rows).await?;
            if let Some(tracker) = &mut self.tracker {
                tracker.remember().await?;
            }
        }
        Ok(self)
    }

    fn taken(&self) -> u64 {
        self.read
    }
}

fn crashed() -> Failure {
    Failure::new(FailureClass::Internal, "writer_crashed", "writing the export ended in a defect")
}
