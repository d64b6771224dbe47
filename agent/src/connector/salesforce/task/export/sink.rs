//! From rows to the sealed file, on a thread that may wait for the disk.

use std::io;
use std::sync::Arc;

use postern_protocol::message::v1::StreamRef;
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Failure, FailureClass};

use super::Rows;
use super::plan::Plan;
use super::value::Column;
use crate::connector::{Payload, unwritten};
use crate::dataset::Change;
use crate::dataset::writer::Writer;

/// The file while it grows.
pub(super) struct Sink {
    payload: Box<dyn Payload>,
    writer: Writer,
    columns: Arc<[Column]>,
    read: u64,
}

impl Sink {
    pub(super) async fn begin(plan: &Plan, payload: Box<dyn Payload>) -> Result<Self, Failure> {
        let names = plan.columns.iter().map(|column| column.name.clone()).collect();
        let writer = Writer::new(plan.form, names);
        let sink = Self { payload, writer, columns: Arc::clone(&plan.columns), read: 0 };
        sink.blocking(|sink| sink.writer.begin(&mut sink.payload)).await
    }

    /// How many records were taken.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    pub(super) async fn add(self, rows: Rows) -> Result<Self, Failure> {
        self.blocking(|sink| {
            for row in rows {
                let cells: Vec<_> =
                    sink.columns.iter().zip(row).map(|(column, text)| Some(column.cell(text))).collect();
                sink.writer.record(&mut sink.payload, Change::Add, &cells)?;
                sink.read += 1;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn finish(self) -> Result<((StreamRef, SealedOutput), u64), Failure> {
        let sink = self.blocking(|sink| sink.writer.end(&mut sink.payload)).await?;
        let read = sink.read;
        let finished = tokio::task::spawn_blocking(move || sink.payload.finish()).await.map_err(|_| crashed())?;
        Ok((finished?, read))
    }

    async fn blocking(
        mut self,
        work: impl FnOnce(&mut Self) -> io::Result<()> + Send + 'static,
    ) -> Result<Self, Failure> {
        let done = tokio::task::spawn_blocking(move || work(&mut self).map(|()| self)).await.map_err(|_| crashed())?;
        done.map_err(|error| unwritten(&error))
    }
}

fn crashed() -> Failure {
    Failure::new(FailureClass::Internal, "writer_crashed", "writing the export ended in a defect")
}
