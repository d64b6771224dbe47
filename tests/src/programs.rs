//! One binary that becomes any of the programs by the name it is started under.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A whole program.
type Main = fn() -> ExitCode;

/// The names, and what runs under them.
const PROGRAMS: [(&str, Main); 4] = [
    ("postern", postern_agent::main),
    ("postern-controller", postern_controller_stub::main),
    ("salesforce-sim", salesforce_sim::program::main),
    (crate::powercut::WORKER, crate::powercut::worker_main),
];

/// Runs the program whose name this process was started under; `None` if it is none of them.
pub fn run_by_name() -> Option<ExitCode> {
    let started_as = PathBuf::from(std::env::args_os().next()?);
    let name = started_as.file_name()?.to_str()?;
    PROGRAMS.iter().find(|(program, _)| *program == name).map(|(_, main)| main())
}

/// Links every program into `folder`, as `binary` under its name.
pub fn link(binary: &Path, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    PROGRAMS.iter().try_for_each(|(name, _)| std::os::unix::fs::symlink(binary, folder.join(name)))
}
