//! `task results`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use postern_protocol::TaskId;
use postern_protocol::task::import_batch::Remainder;
use postern_store::excerpt;
use postern_store::private::NewFile;

use crate::client::Client;
use crate::exit::{Exit, Failure};

/// The longest line that is understood; an agent's are much shorter.
const MAX_LINE: usize = 64 * 1024;

/// Downloads results, and writes what did not succeed as a dataset if that is wanted: into the first file, out of the
/// second.
pub(super) async fn run(
    client: &Client,
    task: TaskId,
    output: Option<&Path>,
    rest: Option<(&Path, &Path)>,
) -> Result<(), Failure> {
    let path = format!("/v1/tasks/{task}/results");
    let sink: Box<dyn Write> = match output {
        None => Box::new(io::stdout().lock()),
        Some(file) => Box::new(File::create(file).map_err(|error| unwritable(file, &error))?),
    };
    let mut lines = Lines { sink, line: Vec::new(), rest: Remainder::default() };
    client.download(&path, &mut lines).await?;
    lines.flush().map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let Some((target, dataset)) = rest else { return Ok(()) };
    let mut source = File::open(dataset).map_err(|error| {
        Failure::new(Exit::Usage, format!("the dataset `{}` cannot be read: {error}", dataset.display()))
    })?;
    let length = source.metadata().map_err(|error| Failure::from_error(Exit::Failed, &error))?.len();
    let parts = lines.rest.parts(length);
    if parts.is_empty() {
        return Ok(());
    }
    // It may hold passwords.
    let written = NewFile::create(target).and_then(|mut target| target.fill(|file| excerpt(&mut source, &parts, file)));
    written.map_err(|error| unwritable(target, &error))
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", file.display()))
}

/// Passes results on and reads along.
struct Lines {
    sink: Box<dyn Write>,
    line: Vec<u8>,
    rest: Remainder,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.sink.write(bytes)?;
        for byte in bytes.iter().take(taken) {
            if *byte == b'\n' {
                self.rest.note(&self.line);
                self.line.clear();
            } else if self.line.len() < MAX_LINE {
                self.line.push(*byte);
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
