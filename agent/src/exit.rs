//! What the program's exit code tells a script.

use std::process::ExitCode;

/// How a command ended. The numbers do not change.
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
    /// Every way to end, by number.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::Bug,
        Self::Store,
        Self::Refused,
        Self::Config,
        Self::StoreInUse,
    ];

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

    /// What it says to people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "it was tried and failed",
            Self::Usage => {
                "the command line makes no sense, or a file that it names is not there, not what it should be, or there already"
            }
            Self::Unreachable => "the controller cannot be reached",
            Self::Bug => "a defect of Postern's",
            Self::Store => "the store cannot be written or read",
            Self::Refused => "not enrolled, enrolled already, or refused by the controller",
            Self::Config => "the configuration, or a file it names, is not usable",
            Self::StoreInUse => "another process has the store (the agent is running)",
        }
    }
}

/// Every code with its meaning, a line each, for the help.
pub fn table() -> String {
    Exit::ALL.map(|exit| format!("  {:2}  {}", exit.code(), exit.meaning())).join("\n")
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
