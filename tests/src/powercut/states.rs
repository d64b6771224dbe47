//! The states a disk may be in after a power cut, by the journal of what was done to it.
//!
//! What a sync covered that had ended is there. Of everything else any part may be: writes are lost, torn into sectors or
//! kept, in any combination; lengths stay behind; of the names changed in a directory some are, in their order, each
//! directory for itself. What a failed sync should have covered is never durable by a later one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::dice::Dice;
use super::journal::{Event, FileNo, Sync};

/// Directories and files at rest, by their paths from the top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    directories: BTreeSet<String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// What is below a directory, with the numbers of the files.
    pub fn read(top: &Path) -> io::Result<(Self, BTreeMap<FileNo, String>)> {
        let (mut tree, mut numbers) = (Self::default(), BTreeMap::new());
        let mut open = vec![String::new()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(top.join(&directory))? {
                let entry = entry?;
                let path = join(&directory, &entry.file_name().to_string_lossy());
                if entry.file_type()?.is_dir() {
                    open.push(path.clone());
                    tree.directories.insert(path);
                } else {
                    numbers.insert(entry.metadata()?.ino(), path.clone());
                    tree.files.insert(path, fs::read(entry.path())?);
                }
            }
        }
        Ok((tree, numbers))
    }

    /// Makes it anew below `top`, as private as the store makes its files.
    pub fn write(&self, top: &Path) -> io::Result<()> {
        let private = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(top)?;
        for directory in &self.directories {
            private(&top.join(directory))?;
        }
        for (path, content) in &self.files {
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(top.join(path))?;
            file.write_all_at(content, 0)?;
        }
        Ok(())
    }

    /// The paths at which two trees differ, files called `but` left out.
    pub fn differences(&self, other: &Self, but: &[&str]) -> Vec<String> {
        let names: BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        let is_left_out = |path: &str| but.iter().any(|name| split(path).1 == *name);
        let mut differ: Vec<String> = self.directories.symmetric_difference(&other.directories).cloned().collect();
        differ.extend(
            names.into_iter().filter(|it| !is_left_out(it) && self.files.get(*it) != other.files.get(*it)).cloned(),
        );
        differ
    }
}

/// What is assumed of the file system and of the program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// A sync of a new file keeps its name too, as with ext4; else only a sync of its directory does.
    pub file_keeps_name: bool,
    /// The guard that the program is taken not to have: its syncs cover nothing.
    pub without: Option<Guard>,
}

/// What the store does so that a power cut loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Guard {
    /// `fdatasync` of sled's file behind each commit group.
    DataSync,
    /// `fsync` of files.
    FileSync,
    /// `fsync` of directories.
    DirectorySync,
}

/// A disk while things are done to it.
#[derive(Debug)]
pub struct Disk<'a> {
    rules: Rules,
    files: Vec<File<'a>>,
    /// The first is the top.
    directories: Vec<Directory>,
    /// Which file has a number at present.
    numbers: BTreeMap<FileNo, usize>,
    /// What has a path at present.
    paths: BTreeMap<String, Entry>,
    began: BTreeMap<u64, Began>,
}

#[derive(Debug, Default)]
struct File<'a> {
    /// What is durable and has nothing before it that is not.
    base: Vec<u8>,
    settled: usize,
    changes: Vec<(Change<'a>, Fate)>,
}

#[derive(Debug, Clone, Copy)]
enum Change<'a> {
    Write(u64, &'a [u8]),
    Cut(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pending,
    Durable,
    /// A sync of it failed.
    Doomed,
}

#[derive(Debug, Default)]
struct Directory {
    durable: BTreeMap<String, Entry>,
    settled: usize,
    changes: Vec<Naming>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Directory(usize),
}

#[derive(Debug, Clone)]
enum Naming {
    Put(String, Entry),
    Gone(String),
    Moved(String, String),
}

/// What a sync that began covers when it ends well.
#[derive(Debug, Clone, Copy)]
enum Began {
    File { file: usize, changes: usize, named: Option<(usize, usize)> },
    Directory(usize, usize),
    Nothing,
}

/// How much of what is not durable is lost.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Everything,
    Nothing,
    /// Each piece of a write is kept this often of a hundred times. A piece is a sector, or the whole write if that is 0.
    Each(u64, u64),
    /// What came first stays, this much of a hundred.
    Behind(usize),
    /// What came last stays, this much of a hundred.
    Before(usize),
}

impl Loss {
    fn choose(dice: &mut Dice) -> Self {
        let sector = [0, 512, 4096].get(dice.index(3)).copied().unwrap_or(0);
        let part = dice.index(101);
        match dice.below(8) {
            0 => Self::Everything,
            1 => Self::Nothing,
            2 => Self::Behind(part),
            3 => Self::Before(part),
            4 => Self::Each(10, sector),
            5 => Self::Each(90, sector),
            _ => Self::Each(50, sector),
        }
    }
}

impl<'a> Disk<'a> {
    /// A disk on which `tree` rests, whose files have these numbers.
    pub fn new(tree: &Tree, numbers: &BTreeMap<FileNo, String>, rules: Rules) -> Self {
        let mut disk = Self {
            rules,
            files: Vec::new(),
            directories: vec![Directory::default()],
            numbers: BTreeMap::new(),
            paths: BTreeMap::from([(String::new(), Entry::Directory(0))]),
            began: BTreeMap::new(),
        };
        let directories = tree.directories.iter().map(|path| (path, None));
        for (path, content) in directories.chain(tree.files.iter().map(|(path, content)| (path, Some(content)))) {
            let entry = match content {
                Some(content) => disk.new_file(content.clone()),
                None => disk.new_directory(),
            };
            disk.paths.insert(path.clone(), entry);
            let (above, name) = split(path);
            if let Some(above) = disk.directory_at(above).ok().and_then(|it| disk.directories.get_mut(it)) {
                above.durable.insert(name.to_owned(), entry);
            }
        }
        for (number, path) in numbers {
            if let Some(Entry::File(file)) = disk.paths.get(path) {
                disk.numbers.insert(*number, *file);
            }
        }
        disk
    }

    fn new_file(&mut self, base: Vec<u8>) -> Entry {
        self.files.push(File { base, ..File::default() });
        Entry::File(self.files.len() - 1)
    }

    fn new_directory(&mut self) -> Entry {
        self.directories.push(Directory::default());
        Entry::Directory(self.directories.len() - 1)
    }

    fn directory_at(&self, path: &str) -> Result<usize, String> {
        match self.paths.get(path) {
            Some(Entry::Directory(directory)) => Ok(*directory),
            Some(Entry::File(_)) | None => Err(format!("`{path}` is no known directory")),
        }
    }

    /// Does to the disk what was done.
    ///
    /// # Errors
    ///
    /// What cannot be told from the journal.
    pub fn apply(&mut self, event: &'a Event) -> Result<(), String> {
        match event {
            Event::Created(number, path) => {
                let entry = self.new_file(Vec::new());
                self.numbers.insert(*number, self.files.len() - 1);
                self.put(path, entry)
            }
            Event::MadeDirectory(path) => {
                let entry = self.new_directory();
                self.put(path, entry)
            }
            Event::Written(number, at, bytes) => self.change(*number, Change::Write(*at, bytes)),
            Event::Cut(number, len) => self.change(*number, Change::Cut(*len)),
            Event::Renamed(from, to) if split(from).0 == split(to).0 => {
                self.move_paths(from, to)?;
                self.name(to, |name| Naming::Moved(split(from).1.to_owned(), name))
            }
            Event::Renamed(from, to) => Err(format!("`{from}` was moved to another directory, `{to}`")),
            Event::Linked(from, to) => {
                let entry = *self.paths.get(from).ok_or_else(|| format!("`{from}` is not known"))?;
                self.put(to, entry)
            }
            Event::Removed(path) | Event::RemovedDirectory(path) => {
                self.paths.remove(path);
                self.name(path, Naming::Gone)
            }
            Event::SyncBegan(sync, what) => {
                let began = self.begin(what)?;
                self.began.insert(*sync, began);
                Ok(())
            }
            Event::SyncEnded(sync, well) => {
                if let Some(began) = self.began.remove(sync) {
                    self.end(began, *well);
                }
                Ok(())
            }
            Event::Said(_) => Ok(()),
        }
    }

    fn put(&mut self, path: &str, entry: Entry) -> Result<(), String> {
        self.paths.insert(path.to_owned(), entry);
        self.name(path, |name| Naming::Put(name, entry))
    }

    /// Whatever is below a directory goes with it.
    fn move_paths(&mut self, from: &str, to: &str) -> Result<(), String> {
        let entry = self.paths.remove(from).ok_or_else(|| format!("`{from}` is not known"))?;
        let below = format!("{from}/");
        let moved: Vec<String> = self.paths.keys().filter(|path| path.starts_with(&below)).cloned().collect();
        for path in moved {
            if let Some((entry, rest)) = self.paths.remove(&path).zip(path.strip_prefix(from)) {
                self.paths.insert(format!("{to}{rest}"), entry);
            }
        }
        self.paths.insert(to.to_owned(), entry);
        Ok(())
    }

    fn name(&mut self, path: &str, naming: impl FnOnce(String) -> Naming) -> Result<(), String> {
        let (directory, name) = split(path);
        let directory = self.directory_at(directory)?;
        if let Some(directory) = self.directories.get_mut(directory) {
            directory.changes.push(naming(name.to_owned()));
        }
        Ok(())
    }

    fn change(&mut self, number: FileNo, change: Change<'a>) -> Result<(), String> {
        let file = self.numbers.get(&number).and_then(|file| self.files.get_mut(*file));
        file.ok_or_else(|| format!("file {number} is not known"))?.changes.push((change, Fate::Pending));
        Ok(())
    }

    fn begin(&self, what: &Sync) -> Result<Began, String> {
        let (number, guard) = match what {
            Sync::Directory(_) if self.rules.without == Some(Guard::DirectorySync) => return Ok(Began::Nothing),
            Sync::Directory(path) => {
                let directory = self.directory_at(path)?;
                return Ok(Began::Directory(directory, self.names_in(directory)));
            }
            Sync::File(number) => (number, Guard::FileSync),
            Sync::Data(number) => (number, Guard::DataSync),
        };
        if self.rules.without == Some(guard) {
            return Ok(Began::Nothing);
        }
        let file = *self.numbers.get(number).ok_or_else(|| format!("file {number} is not known"))?;
        let changes = self.files.get(file).map_or(0, |it| it.settled + it.changes.len());
        let path = self.paths.iter().find(|(_, known)| **known == Entry::File(file)).map(|(path, _)| split(path).0);
        let named = path.filter(|_| self.rules.file_keeps_name).and_then(|path| {
            let directory = self.directory_at(path).ok()?;
            Some((directory, self.names_in(directory)))
        });
        Ok(Began::File { file, changes, named })
    }

    /// Changes of names in a directory so far.
    fn names_in(&self, directory: usize) -> usize {
        self.directories.get(directory).map_or(0, |it| it.settled + it.changes.len())
    }

    fn end(&mut self, began: Began, well: bool) {
        match began {
            Began::File { file, changes, named } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.settle(changes, if well { Fate::Durable } else { Fate::Doomed });
                }
                if let Some((directory, upto)) = named.filter(|_| well) {
                    self.settle_names(directory, upto);
                }
            }
            Began::Directory(directory, upto) if well => self.settle_names(directory, upto),
            Began::Directory(..) | Began::Nothing => (),
        }
    }

    fn settle_names(&mut self, directory: usize, upto: usize) {
        let Some(directory) = self.directories.get_mut(directory) else { return };
        let count = upto.saturating_sub(directory.settled).min(directory.changes.len());
        let changes: Vec<Naming> = directory.changes.drain(..count).collect();
        directory.settled += changes.len();
        for change in changes {
            apply_name(&mut directory.durable, change);
        }
    }

    /// What is there if the power never goes.
    pub fn intact(&self) -> Tree {
        self.rebuild(Loss::Nothing, &mut Dice::new(0, 0), false)
    }

    /// One of the states in which a power cut may leave it at this moment.
    pub fn cut(&self, dice: &mut Dice) -> Tree {
        let loss = Loss::choose(dice);
        self.rebuild(loss, dice, true)
    }

    /// Changes that a power cut at this moment may undo.
    pub fn at_risk(&self) -> usize {
        let of_files = self.files.iter().flat_map(|it| &it.changes).filter(|it| it.1 != Fate::Durable).count();
        of_files + self.directories.iter().map(|it| it.changes.len()).sum::<usize>()
    }

    fn rebuild(&self, loss: Loss, dice: &mut Dice, lengths: bool) -> Tree {
        let (mut tree, mut open) = (Tree::default(), vec![(String::new(), 0)]);
        // A file of two names has one content.
        let mut contents: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        while let Some((path, directory)) = open.pop() {
            let Some(directory) = self.directories.get(directory) else { continue };
            for (name, entry) in directory.after(loss, dice) {
                let path = join(&path, &name);
                match entry {
                    Entry::Directory(directory) => {
                        open.push((path.clone(), directory));
                        tree.directories.insert(path);
                    }
                    Entry::File(file) => {
                        let Some(known) = self.files.get(file) else { continue };
                        let content = contents.entry(file).or_insert_with(|| known.after(loss, dice, lengths));
                        tree.files.insert(path, content.clone());
                    }
                }
            }
        }
        tree
    }
}

impl Directory {
    fn after(&self, loss: Loss, dice: &mut Dice) -> BTreeMap<String, Entry> {
        let count = match loss {
            Loss::Everything => 0,
            Loss::Nothing => self.changes.len(),
            Loss::Each(..) | Loss::Behind(_) | Loss::Before(_) => dice.index(self.changes.len() + 1),
        };
        let mut names = self.durable.clone();
        self.changes.iter().take(count).for_each(|change| apply_name(&mut names, change.clone()));
        names
    }
}

fn apply_name(names: &mut BTreeMap<String, Entry>, change: Naming) {
    match change {
        Naming::Put(name, entry) => {
            names.insert(name, entry);
        }
        Naming::Gone(name) => {
            names.remove(&name);
        }
        Naming::Moved(from, to) => {
            if let Some(entry) = names.remove(&from) {
                names.insert(to, entry);
            }
        }
    }
}

impl File<'_> {
    /// What became of the first `upto` changes.
    fn settle(&mut self, upto: usize, fate: Fate) {
        let count = upto.saturating_sub(self.settled).min(self.changes.len());
        for (_, present) in self.changes.iter_mut().take(count).filter(|it| it.1 == Fate::Pending) {
            *present = fate;
        }
        let durable = self.changes.iter().take_while(|it| it.1 == Fate::Durable).count();
        for (change, _) in self.changes.drain(..durable) {
            apply_whole(&mut self.base, change);
        }
        self.settled += durable;
    }

    fn after(&self, loss: Loss, dice: &mut Dice, lengths: bool) -> Vec<u8> {
        let mut content = self.base.clone();
        let mut durable_len = len(&content);
        let count = self.changes.len();
        for (index, (change, fate)) in self.changes.iter().enumerate() {
            if *fate == Fate::Durable {
                apply_whole(&mut content, *change);
                durable_len = len_after(durable_len, *change);
                continue;
            }
            match loss {
                Loss::Everything => (),
                Loss::Nothing => apply_whole(&mut content, *change),
                Loss::Behind(part) if index * 100 < count * part => apply_whole(&mut content, *change),
                Loss::Before(part) if index * 100 >= count * part => apply_whole(&mut content, *change),
                Loss::Behind(_) | Loss::Before(_) => (),
                Loss::Each(often, sector) => apply_torn(&mut content, *change, often, sector, dice),
            }
        }
        let kept = usize::try_from(durable_len).unwrap_or(usize::MAX);
        if lengths && content.len() > kept && dice.one_in(4) {
            content.truncate(kept);
        }
        content
    }
}

fn apply_whole(content: &mut Vec<u8>, change: Change<'_>) {
    match change {
        Change::Write(at, bytes) => overwrite(content, at, bytes),
        Change::Cut(len) => content.resize(usize::try_from(len).unwrap_or(usize::MAX), 0),
    }
}

fn apply_torn(content: &mut Vec<u8>, change: Change<'_>, often: u64, sector: u64, dice: &mut Dice) {
    let (mut at, mut rest) = match change {
        Change::Write(at, bytes) if sector > 0 => (at, bytes),
        Change::Write(..) | Change::Cut(_) => {
            if dice.percent(often) {
                apply_whole(content, change);
            }
            return;
        }
    };
    while !rest.is_empty() {
        let room = usize::try_from(sector - at % sector).unwrap_or(usize::MAX);
        let (piece, behind) = rest.split_at(room.min(rest.len()));
        if dice.percent(often) {
            overwrite(content, at, piece);
        }
        at += len(piece);
        rest = behind;
    }
}

fn overwrite(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let end = at.saturating_add(bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

fn len_after(before: u64, change: Change<'_>) -> u64 {
    match change {
        Change::Write(at, bytes) => before.max(at + len(bytes)),
        Change::Cut(len) => len,
    }
}

fn len(bytes: &[u8]) -> u64 {
    bytes.len().try_into().unwrap_or(u64::MAX)
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> Event {
        Event::Written(1, 0, bytes.to_vec())
    }

    /// Every content that `f` was found with, over many cuts; `None` where it is not there.
    fn contents(events: &[Event], rules: Rules) -> BTreeSet<Option<Vec<u8>>> {
        let mut disk = Disk::new(&Tree::default(), &BTreeMap::new(), rules);
        for event in events {
            disk.apply(event).unwrap();
        }
        (0..400).map(|seed| disk.cut(&mut Dice::new(seed, 1)).files.get("f").cloned()).collect()
    }

    #[test]
    fn what_is_synced_with_its_name_stays_and_what_comes_later_may_not() {
        let file = Sync::Data(1);
        let mut events = vec![
            Event::Created(1, "f".to_owned()),
            written(b"one"),
            Event::SyncBegan(1, file),
            written(b"two"),
            Event::SyncEnded(1, true),
        ];
        assert!(contents(&events, Rules::default()).contains(&None), "its name is not durable");
        let ext4 = Rules { file_keeps_name: true, ..Rules::default() };
        assert!(!contents(&events, ext4).contains(&None));

        events.push(Event::SyncBegan(2, Sync::Directory(String::new())));
        events.push(Event::SyncEnded(2, true));
        let expected = BTreeSet::from([Some(b"one".to_vec()), Some(b"two".to_vec())]);
        assert_eq!(contents(&events, Rules::default()), expected);
        let without = Rules { without: Some(Guard::DataSync), ..Rules::default() };
        assert!(contents(&events, without).contains(&Some(b"".to_vec())));
    }

    #[test]
    fn a_sync_that_failed_or_never_ended_covers_nothing_then_or_later() {
        let began = |number| Event::SyncBegan(number, Sync::File(1));
        let events = |well| {
            vec![
                Event::Created(1, "f".to_owned()),
                Event::SyncBegan(9, Sync::Directory(String::new())),
                Event::SyncEnded(9, true),
                written(b"one"),
                began(1),
                Event::SyncEnded(1, well),
                began(2),
                Event::SyncEnded(2, true),
                began(3),
            ]
        };
        assert_eq!(contents(&events(true), Rules::default()), [Some(b"one".to_vec())].into());
        assert_eq!(contents(&events(false), Rules::default()), [Some(b"".to_vec()), Some(b"one".to_vec())].into());
    }

    #[test]
    fn a_write_is_torn_at_sectors_and_names_change_in_their_order() {
        let events = [
            Event::Created(1, "g".to_owned()),
            Event::Written(1, 256, vec![1; 1024]),
            Event::SyncBegan(1, Sync::File(1)),
            Event::SyncEnded(1, true),
            Event::Renamed("g".to_owned(), "f".to_owned()),
            Event::Written(1, 256, vec![2; 1024]),
        ];
        let found = contents(&events, Rules::default());
        assert!(found.contains(&None), "the new name may be lost");
        let mixed = |it: &Option<Vec<u8>>| it.as_ref().is_some_and(|it| it.contains(&1) && it.contains(&2));
        assert!(found.iter().any(mixed), "torn");
        for content in found.iter().flatten() {
            for sector in content.chunks(512) {
                let values: BTreeSet<&u8> = sector.iter().filter(|byte| **byte != 0).collect();
                assert!(values.len() == 1, "a sector is written whole");
            }
        }
    }

    #[test]
    fn a_disk_that_loses_nothing_is_as_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree { directories: ["a".to_owned()].into(), files: [("a/b".to_owned(), b"old".to_vec())].into() };
        tree.write(&folder.path().join("top")).unwrap();
        let (read, numbers) = Tree::read(&folder.path().join("top")).unwrap();
        assert_eq!(read, tree);
        let disk = Disk::new(&read, &numbers, Rules::default());
        assert_eq!(disk.intact(), tree);
        assert_eq!(disk.intact().differences(&Tree::default(), &["b"]), ["a"]);
    }
}
