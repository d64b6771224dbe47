//! Saying something again and again, until Ctrl-C.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use postern_health::{Facts, Form, News};
use postern_protocol::plain::{json_on_a_terminal, on_one_line};
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
            found = look() => cleaned(found?, form),
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

/// Members have a say in some of them, and not in what a terminal does.
fn cleaned(found: Facts, form: Form) -> Facts {
    let clean = |text: String| match form {
        Form::Json => json_on_a_terminal(&text),
        Form::Screen | Form::Lines => on_one_line(&text),
    };
    found.into_iter().map(|(name, value)| (clean(name), clean(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leave it to a member, and a host's name draws over what is said of the others.
    #[test]
    fn what_members_say_does_nothing_to_the_terminal_of_whoever_watches() {
        let said = "\u{1b}[2J\u{9b}2J\r\nx";
        let found = || vec![(format!("look at {said}"), format!("{said} (main)"))];
        for form in [Form::Screen, Form::Lines] {
            assert_eq!(
                cleaned(found(), form),
                [("look at  [2J 2J  x".to_owned(), " [2J 2J  x (main)".to_owned())],
                "{form:?}"
            );
        }
        let json = vec![("status".to_owned(), "{\"host\":\"\u{9b}2J\"}".to_owned())];
        assert_eq!(cleaned(json, Form::Json)[0].1, "{\"host\":\"\\u009b2J\"}");
    }
}
