//! The configuration as a page, from the annotated example: that it is true is a matter of the agent's tests.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::GENERATED;

/// A table of the configuration.
#[derive(Debug)]
pub struct Section {
    /// As it is written, brackets included.
    pub header: String,
    /// What it is.
    pub meaning: String,
    /// What may stand in it. Where there is a choice of methods, the keys of each.
    pub keys: Vec<Key>,
}

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The value shown: its default, unless the standing says otherwise.
    pub value: String,
    /// What the value shown is.
    pub standing: Standing,
    /// What it does; empty if the key before it says so.
    pub meaning: String,
}

/// What the value shown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What holds if the key is not there.
    Default,
    /// One of many; without the key there is no such thing.
    Example,
    /// One of many; the key has to be there.
    Needed,
}

/// Reads an annotated configuration.
pub fn sections(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines() {
        let said = line.strip_prefix('#').unwrap_or(line);
        let is_statement = !said.starts_with(' ') && (said.starts_with('[') || said.contains(" = "));
        if line.is_empty() {
            comment.clear();
        } else if !is_statement {
            comment.push(said.trim());
        } else {
            let meaning = std::mem::take(&mut comment).join(" ").replace("  ", " ").trim().to_owned();
            if said.starts_with('[') {
                sections.push(Section { header: said.to_owned(), meaning, keys: Vec::new() });
            } else if let Some(section) = sections.last_mut() {
                let mut key = key(said, meaning);
                if let Some(first) = section.keys.iter().find(|it: &&Key| it.name == key.name && key.meaning.is_empty())
                {
                    key.meaning.clone_from(&first.meaning);
                }
                section.keys.push(key);
            }
        }
    }
    sections
}

fn key(said: &str, meaning: String) -> Key {
    let (name, value) = said.split_once(" = ").expect("a statement that is no table has a value");
    let (value, standing) = match value.rsplit_once("  # ") {
        Some((value, "example")) => (value, Standing::Example),
        Some((value, "needed")) => (value, Standing::Needed),
        _ => (value, Standing::Default),
    };
    Key { name: name.to_owned(), value: value.to_owned(), standing, meaning }
}

impl Key {
    /// The bounds of a number, as its meaning gives them: `5 to 3600`.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        let number = |word: &str| word.trim_matches(|it: char| !it.is_ascii_digit()).parse().ok();
        let words: Vec<&str> = self.meaning.split(' ').collect();
        let of = |words: &[&str]| if words[1] == "to" { Some((number(words[0])?, number(words[2])?)) } else { None };
        words.windows(3).find_map(of).filter(|_| self.kind() == "whole number")
    }

    /// What kind of value it takes.
    pub fn kind(&self) -> &'static str {
        let parsed: Table = format!("it = {}", self.value).parse().expect("a value that is shown is one");
        match &parsed["it"] {
            Value::String(_) => "text",
            Value::Integer(_) => "whole number",
            Value::Boolean(_) => "true or false",
            Value::Array(items) if items.iter().all(Value::is_str) => "list of texts",
            Value::Array(_) => "list of tables",
            Value::Table(table) if ["file", "credential", "env"].iter().any(|it| table.contains_key(*it)) => "secret",
            Value::Table(_) => "table",
            Value::Float(_) | Value::Datetime(_) => "no kind that there is",
        }
    }
}

pub(super) fn page(text: &str) -> String {
    let mut page = format!(
        "# Configuration of the agent\n\n{GENERATED}\nThe agent reads one file, `/etc/postern/agent.toml` unless \
         `--config` names another. The same with every comment is \
         [`packaging/config/agent.toml`](../../packaging/config/agent.toml). A key that is not here is refused, with file, \
         line and name.\n\nA *secret* never stands in the file; it is pointed to as `{{ file = \"/path\" }}` (mode 0600), \
         `{{ credential = \"name\" }}` (of systemd) or `{{ env = \"NAME\" }}`.\n"
    );
    for section in sections(text) {
        let _ = writeln!(page, "\n## `{}`\n", section.header);
        if !section.meaning.is_empty() {
            let _ = writeln!(page, "{}\n", section.meaning);
        }
        page.push_str("| key | takes | default | |\n|---|---|---|---|\n");
        section.keys.iter().for_each(|key| page.push_str(&row(key)));
    }
    page
}

fn row(key: &Key) -> String {
    let bounds = key.bounds().map(|(least, most)| format!(", {least} to {most}")).unwrap_or_default();
    let shown = format!("`{}`", key.value.replace('|', "\\|"));
    let (default, example) = match key.standing {
        Standing::Default => (shown, String::new()),
        Standing::Example => ("–".to_owned(), format!(" For example: {shown}")),
        Standing::Needed => ("needed".to_owned(), format!(" For example: {shown}")),
    };
    let meaning = if key.meaning.is_empty() { "As above." } else { &key.meaning };
    let meaning = meaning.replace('|', "\\|").replace('<', "&lt;");
    format!("| `{}` | {}{bounds} | {default} | {meaning}{example} |\n", key.name, key.kind())
}
