//! A worker whose power goes, or whose process, at every single thing that it does to its disk.

use std::path::Path;
use std::process::{Command, Stdio};

use super::dice::Dice;
use super::states::{Disk, Guard, Rules, Tree};
use super::{Event, Room, Tally, WORKER, Wrong, read_journal, room_for_disks, text};
use crate::disk::Library;
use crate::programs;

/// A worker, and what has to be found of it. `T` is what it told.
pub struct Trial<T> {
    /// What it works on, as its first argument says.
    pub work: &'static str,
    /// How many states that a power cut may leave are looked at behind each thing that it does.
    pub cuts: usize,
    /// Makes what it begins with.
    pub prepare: fn(&Path) -> Result<(), Box<dyn std::error::Error>>,
    /// Hears what it said.
    pub hear: fn(&mut T, &str),
    /// Looks whether everything is there that it told.
    pub audit: fn(&Path, &T) -> Result<(), Wrong>,
}

impl<T: Default> Trial<T> {
    /// Looks at the state that a kill leaves, and at some that a power cut may leave, behind everything that the worker does
    /// to its disk, or behind every so many of that.
    ///
    /// # Errors
    ///
    /// Why this machine cannot do it.
    pub fn run(&self, binary: &Path, every: usize, without: Option<Guard>) -> Result<Tally, String> {
        let prefix = format!("postern-{}-", self.work);
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(room_for_disks()).map_err(text)?;
        let top = folder.path().canonicalize().map_err(text)?;
        let library = Library::build()?;
        programs::link(binary, &top.join("bin")).map_err(text)?;
        let room = Room(top.join("worker"));
        (self.prepare)(&room.state()).map_err(text)?;
        let (base, files) = Tree::read(&room.state()).map_err(text)?;
        let ended = Command::new(top.join("bin").join(WORKER))
            .args([self.work, "0", "0"])
            .arg(room.state())
            .envs(library.journal(&room.state(), &room.journal()))
            .stdin(Stdio::null())
            .output()
            .map_err(text)?;
        if !ended.status.success() {
            return Err(format!("the worker failed: {}", String::from_utf8_lossy(&ended.stderr)));
        }
        let mut tally = Tally { workers: 1, ..Tally::default() };
        let mut disk = Disk::new(&base, &files, Rules { without, ..Rules::default() });
        let (mut told, mut dice) = (T::default(), Dice::new(1, 1));
        let events = read_journal(&room)?;
        for (number, event) in events.iter().enumerate() {
            disk.apply(event)?;
            if let Event::Said(said) = event {
                (self.hear)(&mut told, said);
            }
            if number % every != 0 {
                continue;
            }
            tally.at_risk += u64::try_from(disk.at_risk()).unwrap_or(u64::MAX);
            // A sync changes nothing that a kill would leave.
            let killed = !matches!(event, Event::SyncBegan(..) | Event::SyncEnded(..));
            let kill = killed.then(|| ("a kill", disk.intact()));
            let cuts: Vec<_> = (0..self.cuts).map(|_| ("a power cut", disk.cut(&mut dice))).collect();
            for (loss, tree) in kill.into_iter().chain(cuts) {
                let cut = top.join("cut");
                tree.write(&cut).map_err(text)?;
                if let Err(wrong) = (self.audit)(&cut, &told) {
                    tally.count(&wrong);
                    tally.violations.push(format!("{loss} behind event {number}, {event:?}: {wrong}"));
                }
                tally.states += 1;
                std::fs::remove_dir_all(&cut).map_err(text)?;
            }
        }
        let (end, _) = Tree::read(&room.state()).map_err(text)?;
        let differ = disk.intact().differences(&end, &super::NO_CONTENT);
        if differ.is_empty() { Ok(tally) } else { Err(format!("not everything was written down: {differ:?} differ")) }
    }
}
