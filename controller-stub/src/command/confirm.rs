//! What a person is asked before it is done.

use std::io::{BufRead as _, IsTerminal as _, Read as _, stdin};

use super::output;
use crate::cli::Reach;
use crate::exit::{Exit, Failure};

/// More than anybody types who says yes or no.
const MAX_ANSWER: u64 = 256;

/// Whether there is somebody to ask.
pub(super) fn can_be_asked(reach: &Reach) -> bool {
    !reach.json && stdin().is_terminal()
}

/// Asks, and hears whether that is a yes.
pub(super) fn says_yes(question: &str) -> Result<bool, Failure> {
    output::remark(question);
    let mut answer = String::new();
    let read = stdin().lock().take(MAX_ANSWER).read_line(&mut answer);
    read.map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
