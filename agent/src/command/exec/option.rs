//! Values of options as requests hold them.

use std::fmt::Display;

use postern_protocol::bounded::Text;

use super::Failed;
use crate::exit::Exit;

/// A text of at most so many bytes.
pub(super) fn text<const MAX: usize>(option: &str, value: &str) -> Result<Text<MAX>, Failed> {
    Text::new(value).map_err(|error| wrong(option, error))
}

/// What is wrong with an option.
pub(super) fn wrong(option: &str, problem: impl Display) -> Failed {
    Failed::new(Exit::Usage, format!("--{option}: {problem}"))
}
