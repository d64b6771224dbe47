//! What stands between a program and its disk: writes down what is done to it, or makes it fail.
//!
//! It is written in C, because it takes the place of functions of the C library in a program that is not changed for it;
//! `tests/disk/disk.c` says how it is told what to do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("../disk/disk.c");

/// The library, compiled.
#[derive(Debug, Clone)]
pub struct Library(PathBuf);

impl Library {
    /// Compiles it beside the program that runs: what is in memory, or in a folder for temporary files, may not be executed.
    ///
    /// # Errors
    ///
    /// What is missing on this machine, in a sentence.
    pub fn build() -> Result<Self, String> {
        if !cfg!(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")) {
            return Err("the disk is watched on Linux with glibc and 64 bit alone".to_owned());
        }
        let here = std::env::current_exe().map_err(|error| format!("this program is nowhere: {error}"))?;
        let folder = here.parent().ok_or("this program is in no folder")?;
        let room = tempfile::Builder::new().prefix("postern-disk-").tempdir_in(folder);
        let room = room.map_err(|error| format!("there is no place for a library: {error}"))?;
        let (source, made) = (room.path().join("disk.c"), room.path().join("disk.so"));
        std::fs::write(&source, SOURCE).map_err(|error| format!("{} cannot be written: {error}", source.display()))?;
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(&compiler)
            .args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"])
            .args([&made, &source])
            .arg("-lpthread")
            .output()
            .map_err(|error| format!("there is no C compiler `{}` ({error}): install one", compiler.display()))?;
        if !output.status.success() {
            return Err(format!("`{}` failed:\n{}", compiler.display(), String::from_utf8_lossy(&output.stderr)));
        }
        // Others may be at it, and made the same.
        let library = folder.join("postern-disk.so");
        std::fs::rename(&made, &library).map_err(|error| format!("{} cannot be made: {error}", library.display()))?;
        Ok(Self(library))
    }

    /// The environment of a program whose changes below `below` are to be written down in `journal`.
    pub fn journal(&self, below: &Path, journal: &Path) -> Vec<(&'static str, OsString)> {
        let mut environment = self.watch(below);
        environment.push(("POSTERN_DISK_JOURNAL", journal.into()));
        environment
    }

    /// The environment of a program whose disk below `below` fails as [`Faults`] in `faults` say.
    pub fn fail(&self, below: &Path, faults: &Faults) -> Vec<(&'static str, OsString)> {
        let mut environment = self.watch(below);
        environment.push(("POSTERN_DISK_FAULTS", faults.0.clone().into()));
        environment
    }

    fn watch(&self, below: &Path) -> Vec<(&'static str, OsString)> {
        vec![("LD_PRELOAD", self.0.clone().into()), ("POSTERN_DISK_BELOW", below.into())]
    }
}

/// What can fail.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    /// Writing, cutting and growing.
    Write,
    /// Making durable.
    Sync,
    /// Opening for writing, creating, renaming, removing.
    Names,
}

/// The faults of a disk, which begin and end while the program runs.
#[derive(Debug)]
pub struct Faults(PathBuf);

impl Faults {
    /// None yet; they are told in the folder `folder`.
    pub fn none(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for faults");
        Self(folder.to_owned())
    }

    /// Every such call fails with this number from now on.
    pub fn fail(&self, call: Call, errno: i32) {
        self.set(call, &errno.to_string());
    }

    /// The `number`-th such call of the process fails, and no other.
    pub fn fail_once(&self, call: Call, errno: i32, number: u64) {
        self.set(call, &format!("{errno} {number}"));
    }

    /// Every such call hangs from now on.
    pub fn hold(&self, call: Call) {
        self.set(call, "hold");
    }

    /// Such calls work again, and those that hung go on.
    pub fn end(&self, call: Call) {
        let _ = std::fs::remove_file(self.path(call));
    }

    fn set(&self, call: Call, text: &str) {
        // Whoever looks at it meanwhile sees the whole text or nothing.
        let new = self.0.join("new");
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, self.path(call))).expect("a fault");
    }

    fn path(&self, call: Call) -> PathBuf {
        self.0.join(match call {
            Call::Write => "write",
            Call::Sync => "sync",
            Call::Names => "names",
        })
    }
}
