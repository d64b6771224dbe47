//! How a program is, told again and again to whoever watches it.

/// How a program is: names and values, in order.
pub type Facts = Vec<(String, String)>;

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// On a terminal: all of it, drawn over what was there.
    Screen,
    /// In lines: what changed.
    Lines,
    /// What changed, where each value is an object of JSON.
    Json,
}

impl Form {
    /// For programs if JSON is asked for, else as whatever is written to can show it.
    pub fn of(json: bool, is_terminal: bool) -> Self {
        if json {
            Self::Json
        } else if is_terminal {
            Self::Screen
        } else {
            Self::Lines
        }
    }
}

/// What was told last.
#[derive(Debug, Default)]
pub struct News(Option<Facts>);

impl News {
    /// What is to be said of what was found, at a moment in words.
    pub fn tell(&mut self, found: Facts, form: Form, now: &str) -> String {
        let text = match form {
            Form::Screen => self.screen(&found, now),
            Form::Lines => self.changes(&found, now),
            Form::Json => self.differing(&found).map(|(_, value)| value.clone() + "\n").collect(),
        };
        self.0 = Some(found);
        text
    }

    /// What is not as it was. At first that is everything.
    fn differing<'a>(&'a self, found: &'a Facts) -> impl Iterator<Item = &'a (String, String)> {
        found.iter().filter(|fact| self.0.as_ref().is_none_or(|said| !said.contains(fact)))
    }

    /// The whole screen, from its upper left corner. What changed is bold; what is too long is cut by the terminal.
    fn screen(&self, found: &Facts, now: &str) -> String {
        let width = found.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let is_new = |fact: &(String, String)| self.0.as_ref().is_some_and(|said| !said.contains(fact));
        let line = |fact: &(String, String)| {
            let (name, value) = fact;
            let (begin, end) = if is_new(fact) { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            format!("{name:width$}  {begin}{value}{end}\x1b[K\r\n")
        };
        let lines: String = found.iter().map(line).collect();
        let clear = if self.0.is_none() { "\x1b[2J" } else { "" };
        format!("{clear}\x1b[H\x1b[?7l{lines}\x1b[K\r\n{now}; Ctrl-C ends\x1b[K\x1b[J\x1b[?7h")
    }

    /// What is not as it was, a line each, and what is not there any more.
    fn changes(&self, found: &Facts, now: &str) -> String {
        let is_gone = |(name, _): &&(String, String)| !found.iter().any(|(found, _)| found == name);
        let gone = self.0.iter().flatten().filter(is_gone).map(|(name, _)| format!("{now}  {name}: none any more\n"));
        self.differing(found).map(|(name, value)| format!("{now}  {name}: {value}\n")).chain(gone).collect()
    }
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
        let mut news = News::default();
        assert_eq!(news.tell(first, Form::Lines, "now"), "now  a: 1\nnow  b: 1\n");
        assert_eq!(news.tell(second.clone(), Form::Lines, "now"), "now  a: 2\nnow  b: none any more\n");
        assert_eq!(news.tell(second, Form::Lines, "now"), "");
    }

    #[test]
    fn json_tells_what_changed_a_line_for_itself() {
        let mut news = News::default();
        let found = || facts(&[("", "{}")]);
        assert_eq!(
            (news.tell(found(), Form::Json, "now"), news.tell(found(), Form::Json, "now")),
            ("{}\n".to_owned(), String::new())
        );
    }

    #[test]
    fn a_screen_is_drawn_over_the_one_before_with_what_changed_in_bold() {
        let (first, second) = (facts(&[("a", "1"), ("b", "1")]), facts(&[("a", "2"), ("b", "1")]));
        let mut news = News::default();
        assert!(news.tell(first, Form::Screen, "now").starts_with("\x1b[2J\x1b[H\x1b[?7l"));
        let again = news.tell(second, Form::Screen, "now");
        assert!(again.starts_with("\x1b[H\x1b[?7la  \x1b[1m2\x1b[0m\x1b[K\r\nb  1\x1b[K"), "{again:?}");
        assert!(again.ends_with("now; Ctrl-C ends\x1b[K\x1b[J\x1b[?7h"), "{again:?}");
    }
}
