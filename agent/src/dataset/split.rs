//! One dataset into one for each connected system that its entries name.
//!
//! Entries are copied byte for byte, between what stands before the first entry and what stands after the last: each
//! part is a dataset in the form of the whole. All parts appear together, when all are whole.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use postern_protocol::SystemName;
use postern_protocol::code::CodeSet as _;
use postern_protocol::task::import_batch::{Delimiter, Format};
use postern_store::private::{self, PartFile};
use zeroize::Zeroizing;

use super::draft::shown;
use super::{BadEntry, DatasetError, Entry, Item, Whole, is};

/// The most connected systems of one dataset: each is an open file until the end. More are a column of something else.
pub const MAX_SYSTEMS: usize = 100;
/// Bytes before the first entry, and behind the last: each part has them, and they are the names of columns, or a root.
pub const MAX_AROUND: u64 = 1024 * 1024;
/// Rejected entries that are told at once; the file of reasons has all.
const SHOWN: usize = 20;
/// Bytes copied at once.
const PIECE: usize = 64 * 1024;
/// What no connected system is called.
const REJECTED: &str = "_rejected";
const REASONS: &str = "_reasons.jsonl";

/// Why a dataset was not split. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// There is something already.
    #[error("`{0}` is there already, and nothing is written over it; name another folder")]
    Exists(PathBuf),
    /// A process was killed.
    #[error("`{0}` was left behind by a split that did not end; remove it and run this again")]
    LeftBehind(PathBuf),
    /// Not one entry can be read.
    #[error("the dataset cannot be read; nothing was written")]
    Malformed(#[source] DatasetError),
    /// More than [`MAX_SYSTEMS`].
    #[error(
        "the dataset names more than {MAX_SYSTEMS} connected systems; nothing was written. See whether the attribute is \
         the right one, or split the dataset by hand"
    )]
    TooManySystems,
    /// More than [`MAX_AROUND`].
    #[error(
        "what stands before the first entry of the dataset, or behind the last, is longer than {MAX_AROUND} bytes, and each part \
         would have it; nothing was written. Take out what is neither an entry nor around all of them, such as comments and \
         empty lines"
    )]
    TooMuchAround,
    /// The dataset could not be read again.
    #[error("the dataset cannot be read; nothing was written")]
    Read(#[source] io::Error),
    /// A part could not be written.
    #[error("`{path}` cannot be written; nothing of it is left")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What was made of a dataset.
#[derive(Debug)]
pub struct Summary {
    /// Entries in the dataset.
    pub entries: u64,
    /// The datasets, by system.
    pub parts: Vec<Made>,
    /// What is in none of them, if anything.
    pub rejected: Option<Rejected>,
}

/// The dataset of one connected system.
#[derive(Debug)]
pub struct Made {
    /// The connected system.
    pub system: SystemName,
    /// Entries in it.
    pub entries: u64,
    /// Where it is.
    pub file: PathBuf,
}

/// Entries of no connected system.
#[derive(Debug)]
pub struct Rejected {
    /// How many.
    pub entries: u64,
    /// A dataset of them.
    pub file: PathBuf,
    /// A line of JSON for each.
    pub reasons: PathBuf,
    /// The first of them.
    pub first: Vec<BadEntry>,
}

/// Splits `dataset` by the attribute `by`, in any case, into files of a new `folder`. Blocks.
///
/// # Errors
///
/// [`SplitError`]; entries that cannot be used are no error.
pub fn split(
    dataset: &File,
    format: Format,
    delimiter: Delimiter,
    by: &str,
    folder: &Path,
) -> Result<Summary, SplitError> {
    let length = dataset.metadata().map_err(SplitError::Read)?.len();
    let reader = dataset.try_clone().map_err(SplitError::Read)?;
    let folder = Folder::begin(folder)?;
    let mut parts = Parts { dataset, length, format, folder, head: None, end: 0, cut: false, systems: BTreeMap::new() };
    let mut rejects = None;
    let mut entries = 0;
    for item in Whole::new(super::read(Box::new(reader), format, delimiter)) {
        let item = item.map_err(SplitError::Malformed)?;
        entries += 1;
        let (place, end) = match &item {
            Ok(entry) => (entry.place, Some(entry.end)),
            Err(bad) => (bad.place, bad.end),
        };
        let head = parts.head.get_or_insert(0..place.offset);
        if head.end > MAX_AROUND {
            return Err(SplitError::TooMuchAround);
        }
        parts.end = end.unwrap_or(length);
        parts.cut = end.is_none();
        let range = place.offset..parts.end;
        match sort(item, by) {
            Ok(system) => parts.of(system)?.append(dataset, range)?,
            Err(bad) => {
                if rejects.is_none() {
                    rejects = Some(Rejects::begin(&parts)?);
                }
                if let Some(rejects) = &mut rejects {
                    rejects.part.append(dataset, range)?;
                    rejects.note(bad)?;
                }
            }
        }
    }
    parts.finish(entries, rejects)
}

/// The system that an entry is for.
fn sort(item: Item, by: &str) -> Result<SystemName, BadEntry> {
    let entry = item?;
    system(&entry, by).map_err(|(code, problem)| {
        let Entry { number, place, end, .. } = entry;
        BadEntry { number, place, end: Some(end), code, problem }
    })
}

fn system(entry: &Entry, by: &str) -> Result<SystemName, (&'static str, String)> {
    let mut named = entry.record.attributes.iter().filter(|it| is(it.name.trim(), by.trim()));
    let name = named.next().map(|it| it.value.expose().trim()).unwrap_or_default();
    if name.is_empty() {
        return Err(("system_missing", format!("the entry lacks `{by}`, which says which connected system it is for")));
    }
    if named.next().is_some() {
        return Err(("attribute_twice", format!("`{by}` is there twice")));
    }
    name.parse().map_err(|_| {
        let problem = format!(
            "`{}` is no name of a connected system: those are up to 63 lower-case letters, digits, `-`, `_` and `.`",
            shown(name)
        );
        ("system_malformed", problem)
    })
}

/// A folder that appears when it is whole. Dropped before, nothing is left of it.
struct Folder {
    part: PathBuf,
    path: PathBuf,
    is_whole: bool,
}

impl Folder {
    fn begin(path: &Path) -> Result<Self, SplitError> {
        let part = PartFile::part(path);
        if fs::symlink_metadata(path).is_ok() {
            return Err(SplitError::Exists(path.to_owned()));
        }
        if fs::symlink_metadata(&part).is_ok() {
            return Err(SplitError::LeftBehind(part));
        }
        private::directory(&part).map_err(|error| unwritten(path)(io::Error::other(error)))?;
        Ok(Self { part, path: path.to_owned(), is_whole: false })
    }

    /// Puts it in its place, durably. A folder with something in it is not replaced: the system refuses that.
    fn complete(mut self) -> Result<(), SplitError> {
        fs::rename(&self.part, &self.path).map_err(unwritten(&self.path))?;
        self.is_whole = true;
        let parent = self.path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|it| it.sync_all()).map_err(unwritten(&self.path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = fs::remove_dir_all(&self.part);
        }
    }
}

/// All the parts while they grow.
struct Parts<'a> {
    dataset: &'a File,
    length: u64,
    format: Format,
    folder: Folder,
    /// What stands before the first entry.
    head: Option<Range<u64>>,
    /// Where the last entry ended, and whether it is all the rest, because nothing in it can be read.
    end: u64,
    cut: bool,
    systems: BTreeMap<SystemName, Part>,
}

impl Parts<'_> {
    /// The part of a system.
    fn of(&mut self, system: SystemName) -> Result<&mut Part, SplitError> {
        let (is_full, name) = (self.systems.len() >= MAX_SYSTEMS, self.name(system.as_str()));
        match self.systems.entry(system) {
            Slot::Occupied(slot) => Ok(slot.into_mut()),
            Slot::Vacant(_) if is_full => Err(SplitError::TooManySystems),
            Slot::Vacant(slot) => Ok(slot.insert(Part::begin(&self.folder, name, self.dataset, self.head.clone())?)),
        }
    }

    fn name(&self, stem: &str) -> String {
        format!("{stem}.{}", self.format.name())
    }

    fn finish(self, entries: u64, rejects: Option<Rejects>) -> Result<Summary, SplitError> {
        let Self { dataset, length, format, folder, end, cut, systems, .. } = self;
        let tail = match (cut, format) {
            (false, _) if length.saturating_sub(end) > MAX_AROUND => return Err(SplitError::TooMuchAround),
            (false, _) => Tail::Copied(end..length),
            // What the rest holds of it stands in the part of what was rejected.
            (true, Format::Xml) => Tail::Made(b"</root>\n"),
            (true, Format::Csv | Format::Jsonl) => Tail::Made(b""),
        };
        let mut parts = Vec::new();
        for (system, part) in systems {
            let (file, entries) = part.finish(&folder, dataset, tail.clone())?;
            parts.push(Made { system, entries, file });
        }
        let rejected = match rejects {
            Some(rejects) => Some(rejects.finish(&folder, dataset, if cut { Tail::Made(b"") } else { tail })?),
            None => None,
        };
        folder.complete()?;
        Ok(Summary { entries, parts, rejected })
    }
}

/// What stands behind the last entry.
#[derive(Clone)]
enum Tail {
    Copied(Range<u64>),
    Made(&'static [u8]),
}

/// One part while it grows.
struct Part {
    name: String,
    out: PartFile,
    entries: u64,
}

impl Part {
    fn begin(folder: &Folder, name: String, dataset: &File, head: Option<Range<u64>>) -> Result<Self, SplitError> {
        let path = folder.part.join(&name);
        let out = PartFile::begin(&path).map_err(unwritten(&path))?;
        let mut part = Self { name, out, entries: 0 };
        part.copy(dataset, head.unwrap_or_default())?;
        Ok(part)
    }

    fn append(&mut self, dataset: &File, entry: Range<u64>) -> Result<(), SplitError> {
        self.entries += 1;
        self.copy(dataset, entry)
    }

    /// Copies bytes of the dataset, so that what follows stands on a line of its own.
    fn copy(&mut self, dataset: &File, range: Range<u64>) -> Result<(), SplitError> {
        let mut piece: Zeroizing<Vec<u8>> = Zeroizing::default();
        let (mut at, mut last) = (range.start, b'\n');
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
            piece.resize(length, 0);
            dataset.read_exact_at(&mut piece, at).map_err(SplitError::Read)?;
            self.write(&piece)?;
            last = piece.last().copied().unwrap_or(last);
            at += u64::try_from(length).unwrap_or(u64::MAX);
        }
        if last == b'\n' { Ok(()) } else { self.write(b"\n") }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SplitError> {
        self.out.write_all(bytes).map_err(unwritten(self.out.path()))
    }

    /// Where it will be, and how many entries it has.
    fn finish(mut self, folder: &Folder, dataset: &File, tail: Tail) -> Result<(PathBuf, u64), SplitError> {
        match tail {
            Tail::Copied(range) => self.copy(dataset, range)?,
            Tail::Made(bytes) => self.write(bytes)?,
        }
        let path = self.out.path().to_owned();
        self.out.complete().map_err(unwritten(&path))?;
        Ok((folder.path.join(self.name), self.entries))
    }
}

/// Entries of no system, and why.
struct Rejects {
    part: Part,
    reasons: PartFile,
    first: Vec<BadEntry>,
}

impl Rejects {
    fn begin(parts: &Parts<'_>) -> Result<Self, SplitError> {
        let part = Part::begin(&parts.folder, parts.name(REJECTED), parts.dataset, parts.head.clone())?;
        let path = parts.folder.part.join(REASONS);
        let reasons = PartFile::begin(&path).map_err(unwritten(&path))?;
        Ok(Self { part, reasons, first: Vec::new() })
    }

    fn note(&mut self, bad: BadEntry) -> Result<(), SplitError> {
        writeln!(self.reasons, "{}", bad.as_json()).map_err(unwritten(self.reasons.path()))?;
        if self.first.len() < SHOWN {
            self.first.push(bad);
        }
        Ok(())
    }

    fn finish(self, folder: &Folder, dataset: &File, tail: Tail) -> Result<Rejected, SplitError> {
        let (file, entries) = self.part.finish(folder, dataset, tail)?;
        let path = self.reasons.path().to_owned();
        self.reasons.complete().map_err(unwritten(&path))?;
        Ok(Rejected { entries, file, reasons: folder.path.join(REASONS), first: self.first })
    }
}

fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> SplitError {
    let path = path.to_owned();
    move |source| SplitError::Write { path, source }
}

#[cfg(test)]
mod tests;
