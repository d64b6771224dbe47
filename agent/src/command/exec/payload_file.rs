//! The file that a sealed payload is opened into.

use std::io::{self, Write as _};
use std::path::Path;

use postern_protocol::message::v1::{Offer, Report, StreamRef};
use postern_protocol::seal::{SealContext, SealingKey, SegmentOpener};
use postern_protocol::stream::CHUNK_BYTES;
use postern_store::SpoolReader;
use postern_store::private::PartFile;
use zeroize::Zeroizing;

use super::Failed;
use crate::app::App;
use crate::chain::Chain;
use crate::exit::Exit;
use crate::store::spool_id;

/// Begins the file before the task runs: what cannot be kept need not be asked for.
pub(super) fn begin(path: &Path) -> Result<PartFile, Failed> {
    PartFile::begin(path).map_err(|error| {
        let message = format!("`{}` cannot be made; name another file: {error}", path.display());
        Failed::new(Exit::Usage, message)
    })
}

/// Opens the payload of a task into the file. A task without one leaves none.
pub(super) fn fill(file: PartFile, app: &App, key: &SealingKey, offer: &Offer, report: &Report) -> Result<(), Failed> {
    let (Some(stream), Some(sealed)) = (report.streams.first(), report.sealed.first()) else { return Ok(()) };
    let kind = offer.kind.known().ok_or_else(|| Failed::new(Exit::Bug, "the task's kind is not known"))?;
    let context = SealContext { task: offer.task, kind, system: &offer.system, target: &offer.target };
    let opened = sealed.open(context, key).map_err(|error| Failed::because(Exit::Bug, &error))?;
    let stream_key = opened.as_slice().try_into().map(Zeroizing::new);
    let stream_key = stream_key.map_err(|_| Failed::new(Exit::Bug, "the key of the payload has another length"))?;
    let reader = app.store.spool().read(spool_id(stream.id), stream.length);
    let reader = reader.map_err(|error| Failed::because(Exit::Store, &error))?;
    let shown = file.path().display().to_string();
    write(file, &reader, stream, &mut SegmentOpener::new(&stream_key))
        .map_err(|error| Failed::new(Exit::Failed, format!("the file `{shown}` cannot be written: {}", Chain(&error))))
}

fn write(mut file: PartFile, reader: &SpoolReader, stream: &StreamRef, opener: &mut SegmentOpener) -> io::Result<()> {
    let mut offset = 0;
    while offset < stream.length {
        let sealed = reader.read_at(offset).map_err(io::Error::other)?;
        offset += CHUNK_BYTES;
        file.write_all(&opener.open(&sealed, offset >= stream.length).map_err(io::Error::other)?)?;
    }
    file.complete()
}
