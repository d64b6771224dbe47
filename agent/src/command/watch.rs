//! Saying something again and again, until Ctrl-C.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use postern_health::{Facts, Form, News};
use tokio::signal::ctrl_c;

use super::Failed;
use super::status::moment;
use crate::clock;
use crate::exit::Exit;

/// Says what `look` finds, now and whenever it changed. On a terminal the screen is drawn anew, elsewhere what changed is
/// said in lines.
pub(super) async fn run<F>(every: Duration, json: bool, mut look: impl FnMut() -> F) -> Result<Exit, Failed>
where
    F: Future<Output = Result<Facts, Failed>>,
{
    let mut interrupted = std::pin::pin!(ctrl_c());
    let form = Form::of(json, stdout().is_terminal());
    let mut news = News::default();
    loop {
        let found = tokio::select! {
            ended = &mut interrupted => return interrupted_by(ended),
            found = look() => found?,
        };
        let text = news.tell(found, form, &moment(clock::unix_millis().0));
        // Whoever read may have read enough.
        if stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()).is_err() {
            return Ok(Exit::Ok);
        }
        tokio::select! {
            ended = &mut interrupted => return interrupted_by(ended),
            () = tokio::time::sleep(every) => (),
        }
    }
}

fn interrupted_by(ended: std::io::Result<()>) -> Result<Exit, Failed> {
    ended.map(|()| Exit::Ok).map_err(|error| Failed::because(Exit::Bug, &error))
}
