//! `task results`.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use postern_protocol::task::import_batch::Remainder;
use postern_protocol::{TaskId, TaskKind};
use postern_store::excerpt;
use postern_store::private::{NewFile, PartFile};

use super::output::{AsItCame, WhileRead, remark};
use super::{new_file, payload};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::state::tasks::TaskView;

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
    let mut rest = rest.map(|(failed, dataset)| Rest::begin(output, failed, dataset)).transpose()?;
    let path = format!("/v1/tasks/{task}/results");
    let lines = match output {
        None => {
            let stdout = io::stdout();
            let mut shown = AsItCame::new(WhileRead(stdout.lock()), stdout.is_terminal());
            download(client, &path, &mut shown).await?
        }
        Some(output) => {
            let mut file = payload::begin(output)?;
            let lines = download(client, &path, &mut file).await?;
            file.complete().map_err(|error| unwritable(output, &error))?;
            lines
        }
    };
    // Behind the download: a task that has results has ended.
    let view: TaskView = client.get_patiently(&format!("/v1/tasks/{task}")).await?;
    let entries = view.output.as_ref().and_then(|output| output.get("entries")?.as_u64());
    if view.kind == TaskKind::ImportBatch && !lines.is_whole(entries) {
        remark(format!(
            "the results tell of {} of the entries: what they leave out was not done, or is not known; `--failed` \
             writes it as well",
            lines.told()
        ));
    }
    rest.as_mut().map_or(Ok(()), |it| it.write(&lines, entries))
}

async fn download(client: &Client, path: &str, sink: &mut dyn Write) -> Result<Remainder, Failure> {
    let mut lines = Lines { sink, line: Vec::new(), rest: Remainder::default() };
    client.download(path, &mut lines).await?;
    lines.flush().map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    Ok(lines.rest)
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", file.display()))
}

/// What did not succeed, as a dataset.
struct Rest {
    file: NewFile,
    dataset: File,
}

impl Rest {
    /// Makes the file before anything is fetched; it goes again if there is nothing to write into it.
    fn begin(output: Option<&Path>, failed: &Path, dataset: &Path) -> Result<Self, Failure> {
        if output.is_some_and(|output| takes(output, dataset)) {
            let sentence = "--output: this would take the place of the dataset; name another file";
            return Err(Failure::new(Exit::Usage, sentence));
        }
        let source = File::open(dataset).map_err(|error| {
            Failure::new(Exit::Usage, format!("the dataset `{}` cannot be read: {error}", dataset.display()))
        })?;
        // It may hold passwords.
        let file = new_file::create(failed, "dataset")?;
        if output.is_some_and(|output| takes(output, failed)) {
            let sentence = "--output and --failed name one file; name another for one of them";
            return Err(Failure::new(Exit::Usage, sentence));
        }
        Ok(Self { file, dataset: source })
    }

    fn write(&mut self, rest: &Remainder, entries: Option<u64>) -> Result<(), Failure> {
        let length = self.dataset.metadata().map_err(|error| Failure::from_error(Exit::Failed, &error))?.len();
        let parts = rest.parts(length, entries);
        if parts.is_empty() {
            return Ok(());
        }
        let Self { file, dataset } = self;
        let written = file.fill(|file| excerpt(dataset, &parts, file));
        written.map_err(|error| unwritable(file.path(), &error))
    }
}

/// Whether writing the file `path` would take the place of the file `other`, by whatever name it is there.
fn takes(path: &Path, other: &Path) -> bool {
    let Ok(other) = fs::metadata(other) else { return false };
    [path, &PartFile::part(path)]
        .into_iter()
        .any(|path| fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (other.dev(), other.ino())))
}

/// Passes results on and reads along.
struct Lines<'a> {
    sink: &'a mut dyn Write,
    line: Vec<u8>,
    rest: Remainder,
}

impl Write for Lines<'_> {
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
