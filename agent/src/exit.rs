//! What the program's exit code tells a script.

use std::process::ExitCode;

/// How a command ended. The numbers are documented in `postern --help` and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// It was tried and failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The controller cannot be reached.
    Unreachable,
    /// A defect of Postern's.
    Bug,
    /// The store cannot be written or read.
    Store,
    /// Not enrolled, enrolled already, or refused by the controller.
    Refused,
    /// The configuration, or a file it names, is not usable.
    Config,
    /// Another process has the store.
    StoreInUse,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::Bug => 70,
            Self::Store => 74,
            Self::Refused => 77,
            Self::Config => 78,
            Self::StoreInUse => 79,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Ends the process as it stands, where waiting for its parts would be waiting without end.
#[allow(clippy::exit, reason = "the one place for it")]
pub fn at_once(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}
