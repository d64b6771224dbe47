//! Saying something again and again, until Ctrl-C.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use postern_health::{Facts, Form, News};
use tokio::signal::ctrl_c;

use super::output;
use crate::clock;
use crate::exit::{Exit, Failure};

/// Says what `look` finds, now and whenever it changed. On a terminal the screen is drawn anew, elsewhere what changed is
/// said in lines.
pub(super) async fn run<F>(every: Duration, json: bool, mut look: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<Facts, Failure>>,
{
    let mut interrupted = std::pin::pin!(ctrl_c());
    let form = Form::of(json, stdout().is_terminal());
    let mut news = News::default();
    loop {
        let found = tokio::select! {
            ended = &mut interrupted => return ended.map_err(|error| Failure::from_error(Exit::Bug, &error)),
            found = look() => found?,
        };
        let text = news.tell(found, form, &output::moment(clock::wall().0));
        // Whoever read may have read enough.
        if stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()).is_err() {
            return Ok(());
        }
        tokio::select! {
            ended = &mut interrupted => return ended.map_err(|error| Failure::from_error(Exit::Bug, &error)),
            () = tokio::time::sleep(every) => (),
        }
    }
}
