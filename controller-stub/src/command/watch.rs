//! Saying something again and again, until Ctrl-C.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use tokio::signal::ctrl_c;

use super::output;
use crate::clock;
use crate::exit::{Exit, Failure};

/// What is said: names and values, in order.
pub(super) type Facts = Vec<(String, String)>;

/// Says what `look` finds, now and whenever it changed. On a terminal the screen is drawn anew, elsewhere what changed is
/// said in lines. JSON is a line for itself.
pub(super) async fn run<F>(every: Duration, json: bool, mut look: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<Facts, Failure>>,
{
    let mut interrupted = std::pin::pin!(ctrl_c());
    let is_terminal = stdout().is_terminal() && !json;
    let mut said: Option<Facts> = None;
    loop {
        let found = tokio::select! {
            ended = &mut interrupted => return ended.map_err(|error| Failure::from_error(Exit::Bug, &error)),
            found = look() => found?,
        };
        let text = match () {
            () if json => news(said.as_ref(), &found).map(|(_, value)| value.clone() + "\n").collect(),
            () if is_terminal => screen(said.as_ref(), &found),
            () => changes(said.as_ref(), &found),
        };
        // Whoever read may have read enough.
        if stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()).is_err() {
            return Ok(());
        }
        said = Some(found);
        tokio::select! {
            ended = &mut interrupted => return ended.map_err(|error| Failure::from_error(Exit::Bug, &error)),
            () = tokio::time::sleep(every) => (),
        }
    }
}

/// What is not as it was. At first that is everything.
fn news<'a>(said: Option<&'a Facts>, found: &'a Facts) -> impl Iterator<Item = &'a (String, String)> {
    found.iter().filter(move |fact| said.is_none_or(|said| !said.contains(fact)))
}

/// The whole screen, from its upper left corner. What changed is bold; what is too long is cut by the terminal.
fn screen(said: Option<&Facts>, found: &Facts) -> String {
    let width = found.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let is_new = |fact: &(String, String)| said.is_some_and(|said| !said.contains(fact));
    let line = |fact: &(String, String)| {
        let (name, value) = fact;
        let (begin, end) = if is_new(fact) { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        format!("{name:width$}  {begin}{value}{end}\x1b[K\r\n")
    };
    let lines: Vec<String> = found.iter().map(line).collect();
    let clear = if said.is_none() { "\x1b[2J" } else { "" };
    let now = output::moment(clock::wall().0);
    format!("{clear}\x1b[H\x1b[?7l{}\x1b[K\r\n{now}; Ctrl-C ends\x1b[K\x1b[J\x1b[?7h", lines.concat())
}

/// What is not as it was, a line each, and what is not there any more.
fn changes(said: Option<&Facts>, found: &Facts) -> String {
    let now = output::moment(clock::wall().0);
    let is_gone = |(name, _): &&(String, String)| !found.iter().any(|(found, _)| found == name);
    let gone = said.into_iter().flatten().filter(is_gone).map(|(name, _)| format!("{now}  {name}: none any more\n"));
    let new = news(said, found).map(|(name, value)| format!("{now}  {name}: {value}\n"));
    new.chain(gone).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(facts: &[(&str, &str)]) -> Facts {
        facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lines_tell_what_changed_and_nothing_else() {
        let (first, second) = (facts(&[("a", "1"), ("b", "1")]), facts(&[("a", "2")]));
        assert_eq!(changes(None, &first).lines().count(), 2);
        let changed = changes(Some(&first), &second);
        let lines: Vec<&str> = changed.lines().filter_map(|line| line.split_once("UTC  ")).map(|it| it.1).collect();
        assert_eq!(lines, ["a: 2", "b: none any more"]);
        assert_eq!(changes(Some(&second), &second), "");
    }

    #[test]
    fn a_screen_is_drawn_over_the_one_before_with_what_changed_in_bold() {
        let (first, second) = (facts(&[("a", "1"), ("b", "1")]), facts(&[("a", "2"), ("b", "1")]));
        assert!(screen(None, &first).starts_with("\x1b[2J\x1b[H\x1b[?7l"));
        let again = screen(Some(&first), &second);
        assert!(again.starts_with("\x1b[H\x1b[?7la  \x1b[1m2\x1b[0m\x1b[K\r\nb  1\x1b[K"), "{again:?}");
        assert!(again.ends_with("\x1b[J\x1b[?7h"), "{again:?}");
    }
}
