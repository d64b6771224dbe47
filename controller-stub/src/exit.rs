//! How the program ends: documented exit codes and one sentence.

use std::error::Error;
use std::process::ExitCode;

use postern_protocol::plain::Chain;

/// Why the program ends, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was understood and did not succeed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The controller's API does not answer, or asks to be asked again later.
    Unreachable,
    /// A defect of Postern's.
    Bug,
    /// The store cannot be used.
    Store,
    /// The controller said no.
    Refused,
    /// The configuration makes no sense.
    Configuration,
    /// Another process has the store.
    StoreInUse,
    /// A task goes on, or may have been taken in: it is not known how it ends. None of sysexits.h, whose code for what passes by
    /// itself has a job begun anew.
    UnderWay,
}

impl Exit {
    /// Every way to end badly, by number.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::Bug,
        Self::Store,
        Self::Refused,
        Self::Configuration,
        Self::StoreInUse,
        Self::UnderWay,
    ];

    /// The process exit code; the numbers of sysexits.h where it has one.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::Bug => 70,
            Self::Store => 74,
            Self::Refused => 77,
            Self::Configuration => 78,
            Self::StoreInUse => 79,
            Self::UnderWay => 80,
        }
    }

    /// What it says to people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "failed: the task did not succeed, or something broke",
            Self::Usage => {
                "the command line makes no sense, or a file that it names is not there, not what it should be, or there already"
            }
            Self::Unreachable => "the controller does not answer, or has no time or no room now",
            Self::Bug => "a defect of Postern's",
            Self::Store => "the store cannot be used",
            Self::Refused => "the controller refused",
            Self::Configuration => {
                "the configuration, the data directory, the store's key or the API token is not usable"
            }
            Self::StoreInUse => "another process has the store",
            Self::UnderWay => {
                "the task goes on, or may have been taken in: wait for the one that is named before it is submitted again"
            }
        }
    }
}

/// Every code with its meaning, a line each, for the help.
pub fn table() -> String {
    let bad = Exit::ALL.map(|exit| format!("\n  {:2}  {}", exit.code(), exit.meaning()));
    format!("   0  done{}", bad.concat())
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command ended badly: a code for scripts, a sentence with the next step for people.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The sentence.
    pub text: String,
    /// Whether it was said that to ask again makes sense only after longer than a restart takes.
    pub is_for_later: bool,
}

impl Failure {
    /// With a sentence.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), is_for_later: false }
    }

    /// With the whole story of an error.
    pub fn from_error(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, Chain(error).to_string())
    }
}

/// Ends the process as it stands, where waiting for its parts would be waiting without end.
#[allow(clippy::exit, reason = "the one place for it")]
pub fn at_once(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}
