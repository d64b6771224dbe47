//! What only the process that submits a task knows: its id, and the key that opens what comes of it.

use postern_protocol::TaskId;

use super::output;
use crate::client::Client;
use crate::exit::{Exit, Failure};

/// What comes of a task and nobody else can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A password that is made up.
    Password,
    /// A payload: an export, a schema or a collection.
    Payload,
}

impl Held {
    /// In the middle of a sentence.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Password => "the new password",
            Self::Payload => "what comes of it",
        }
    }

    /// Asks until the controller answers: whoever gives up loses it.
    pub(super) async fn until_answered<T>(
        self,
        client: &Client,
        ask: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let tell = |failure: &Failure| {
            output::remark(format!("{}; this waits for it: nobody else can open {}", failure.text, self.name()));
        };
        client.until_answered(ask, tell).await
    }

    /// Why it was given up, with what is lost.
    pub(super) fn lost(self, task: TaskId, failure: Failure) -> Failure {
        let Failure { exit, text, .. } = failure;
        let next = match self {
            Self::Password => format!(
                "nobody can open the password that {task} sets: see what becomes of it (`postern-controller task wait \
                 {task}`), and reset it again"
            ),
            Self::Payload => format!(
                "nobody can open what comes of {task}: once it has ended (`postern-controller task wait {task}`), submit it \
                 again, a delta with `restart`, because it tells each change once"
            ),
        };
        Failure::new(exit, format!("{text}; {next}"))
    }
}

/// What Ctrl-C does to whoever waits for a task, and what is lost then.
pub(super) fn at_ctrl_c(held: Option<Held>) -> String {
    let loss = held.map(|it| format!(", and nobody can open {} then", it.name())).unwrap_or_default();
    format!("Ctrl-C ends the waiting, not the task{loss}")
}

/// Why nobody can say here how a task ends that may have been submitted. Whoever submits it again without its id has it done
/// twice.
pub(super) fn in_doubt(task: TaskId, held: Option<Held>, failure: Failure) -> Failure {
    under_way(task, held, failure, "may have been taken in")
}

/// The same of one that was taken in.
pub(super) fn untold(task: TaskId, held: Option<Held>, failure: Failure) -> Failure {
    under_way(task, held, failure, "was taken in")
}

/// Why nobody can say here how a task ends that was asked for. Whoever hears nothing has not heard that it failed.
pub(super) fn unheard(task: TaskId, failure: Failure) -> Failure {
    if !matches!(failure.exit, Exit::Unreachable | Exit::Failed) {
        return failure;
    }
    let text =
        format!("{}; what becomes of {task} is not known here: ask again before it is submitted again", failure.text);
    Failure::new(Exit::UnderWay, text)
}

fn under_way(task: TaskId, held: Option<Held>, failure: Failure, what: &str) -> Failure {
    let text = match held {
        Some(held) => held.lost(task, failure).text,
        // It says so already.
        None if failure.exit == Exit::UnderWay => failure.text,
        None => format!(
            "{}; it {what} as {task}: see what becomes of it (`postern-controller task wait {task}`) before it is submitted \
             again",
            failure.text
        ),
    };
    Failure::new(Exit::UnderWay, text)
}
