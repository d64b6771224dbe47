//! What holds, key by key, and where each value came from. Secrets are told by where they are, never by what they are.

use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Source;
use super::{Config, DISK_TIMEOUT_SECS, System, collection, controller, secret, system};
use crate::connector;

/// What stands in place of a secret, and of a name that is left out.
const HIDDEN: &str = "***";

/// The keys that name accounts.
const NAMES: [&str; 4] = ["username", "allow", "deny", "protected"];

/// One key, and what holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The table that it is in, with the name of what the table is about.
    pub section: String,
    /// The key.
    pub key: String,
    /// Its value, as the file would say it.
    pub value: String,
    /// Where it came from.
    pub from: String,
}

impl Setting {
    /// The same without the names of accounts.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        if NAMES.contains(&self.key.rsplit('.').next().unwrap_or_default()) {
            HIDDEN.clone_into(&mut self.value);
        }
        self
    }
}

impl Config {
    /// Every key, and what holds for it.
    pub fn effective(&self) -> Vec<Setting> {
        let Ok(document) = self.source.document() else { return Vec::new() };
        let document = document.into_inner();
        let mut all = Listing { source: &self.source, settings: Vec::new() };
        let section = |name: &str| document.get(name).and_then(|it| it.get_ref().as_table());
        all.table("[agent]", section("agent"), &self.agent_defaults());
        all.table("[controller]", section("controller"), &controller::defaults());
        all.table("[health]", section("health"), &[("open_to_the_network", false.to_string())]);
        all.table("[telemetry]", section("telemetry"), &[]);
        for (system, table) in self.systems.iter().zip(tables(&document, "connected_system")) {
            all.system(system, table);
        }
        for (collection, table) in self.collections.iter().zip(tables(&document, "collection")) {
            let section = format!("[[collection]] {}", collection.name.as_str());
            all.table(&section, Some(table), &collection::defaults());
        }
        all.settings
    }

    fn agent_defaults(&self) -> Vec<(&'static str, String)> {
        let days = self.sealing_keys.life.as_secs() / (24 * 60 * 60);
        vec![
            ("state_dir", quoted(Self::DEFAULT_STATE_DIR)),
            ("store_key", format!("{HIDDEN}, in the file store.key of the state directory")),
            ("log_level", quoted("info")),
            ("log_format", quoted("text")),
            ("disk_timeout_secs", DISK_TIMEOUT_SECS.to_string()),
            ("sealing_key_days", days.to_string()),
        ]
    }
}

/// A text as the file would say it.
pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The tables of an array of them.
fn tables<'a, 'b>(document: &'a DeTable<'b>, name: &str) -> Vec<&'a DeTable<'b>> {
    let array = document.get(name).and_then(|it| it.get_ref().as_array());
    array.into_iter().flat_map(|it| it.iter()).filter_map(|it| it.get_ref().as_table()).collect()
}

struct Listing<'a> {
    source: &'a Source,
    settings: Vec<Setting>,
}

impl Listing<'_> {
    fn system(&mut self, system: &System, table: &DeTable<'_>) {
        let of = |name: &str| table.get(name).and_then(|it| it.get_ref().as_table());
        let name = &system.name;
        self.keys(&format!("[[connected_system]] {name}"), table, &[system.connector.as_str(), super::policy::TABLE]);
        self.defaults(&format!("[[connected_system]] {name}"), Some(table), &system::defaults());
        let (connector, begin) = (&system.connector, self.settings.len());
        let type_of = connector::type_of(system);
        let defaults = type_of.as_ref().map(|it| it.defaults(system)).unwrap_or_default();
        self.table(&format!("[connected_system.{connector}] {name}"), of(connector), &defaults);
        if type_of.and_then(|it| it.whereabouts(system)).is_err() {
            // What is wrong with it may be that a secret stands in it.
            for setting in self.settings.iter_mut().skip(begin) {
                HIDDEN.clone_into(&mut setting.value);
                setting.from.push_str(", not shown while the connector cannot read this table");
            }
        }
        let rules = [("require_signature", false.to_string())];
        self.table(&format!("[connected_system.policy] {name}"), of(super::policy::TABLE), &rules);
    }

    fn table(&mut self, section: &str, table: Option<&DeTable<'_>>, defaults: &[(&'static str, String)]) {
        if let Some(table) = table {
            self.keys(section, table, &[]);
        }
        self.defaults(section, table, defaults);
    }

    /// The keys that the file gives, in its order.
    fn keys(&mut self, section: &str, table: &DeTable<'_>, but: &[&str]) {
        let mut keys: Vec<_> = table.iter().filter(|(key, _)| !but.contains(&key.get_ref().as_ref())).collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in keys {
            self.key(section, key.get_ref().as_ref(), value);
        }
    }

    fn key(&mut self, section: &str, key: &str, value: &Spanned<DeValue<'_>>) {
        let place = self.source.place(value.span());
        if let Some(secret) = secret::reference(value.get_ref()) {
            return self.add(section, key, HIDDEN.to_owned(), format!("{place}, {secret}"));
        }
        match value.get_ref().as_table() {
            Some(table) => {
                let mut keys: Vec<_> = table.iter().collect();
                keys.sort_by_key(|(key, _)| key.span().start);
                for (inner, value) in keys {
                    self.key(section, &format!("{key}.{}", inner.get_ref()), value);
                }
            }
            None => self.add(section, key, self.source.as_written(value.span()), place),
        }
    }

    fn defaults(&mut self, section: &str, table: Option<&DeTable<'_>>, defaults: &[(&'static str, String)]) {
        for (key, value) in defaults.iter().filter(|(key, _)| table.is_none_or(|table| table.get(*key).is_none())) {
            self.add(section, key, value.clone(), "default".to_owned());
        }
    }

    fn add(&mut self, section: &str, key: &str, value: String, from: String) {
        self.settings.push(Setting { section: section.to_owned(), key: key.to_owned(), value, from });
    }
}

impl Source {
    /// The file and the line.
    fn place(&self, span: Range<usize>) -> String {
        format!("{}:{}", self.path().display(), self.line(Some(span)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    const TEXT: &str = r#"
[agent]
log_level = "debug"
[controller]
proxy = { url = "http://proxy.example:3128", username = "joe", password = { file = "/etc/proxy" } }
[[connected_system]]
name = "acme"
connector = "salesforce"
[connected_system.salesforce]
method = "soap"
username = "svc@acme.example"
password = { credential = "password" }
trusted_ranges = [
    "203.0.113.0/24",   # the office
]
[connected_system.policy]
deny = ["ceo@*"]
"#;

    fn setting<'a>(all: &'a [Setting], key: &str) -> &'a Setting {
        all.iter().find(|it| it.key == key).unwrap_or_else(|| panic!("{key} is not told: {all:?}"))
    }

    #[test]
    fn each_value_is_told_with_where_it_came_from_and_no_secret_is() {
        let all = Config::parse(Path::new("agent.toml"), TEXT).unwrap().effective();
        let told = |key: &str| (setting(&all, key).value.as_str(), setting(&all, key).from.as_str());
        assert_eq!(told("log_level"), ("\"debug\"", "agent.toml:3"));
        assert_eq!(told("log_format"), ("\"text\"", "default"));
        assert_eq!(told("proxy.url"), ("\"http://proxy.example:3128\"", "agent.toml:5"));
        assert_eq!(told("proxy.password"), ("***", "agent.toml:5, the file `/etc/proxy`"));
        assert_eq!(told("password"), ("***", "agent.toml:12, the credential `password`"));
        assert_eq!(told("trusted_ranges"), ("[ \"203.0.113.0/24\", # the office ]", "agent.toml:13"));
        assert_eq!(told("network"), ("\"auto\"", "default"));
        assert_eq!(setting(&all, "deny").section, "[connected_system.policy] acme");
        let keys: BTreeSet<_> = all.iter().map(|it| (&it.section, &it.key)).collect();
        assert_eq!(keys.len(), all.len(), "a key is told twice: {all:?}");
    }

    #[test]
    fn a_secret_that_stands_in_the_file_by_mistake_is_not_told() {
        let password = "password = { credential = \"password\" }";
        for wrong in
            ["password = \"hunter2\"", "passwort = \"hunter2\"", "proxy = { url = \"http://joe:hunter2@proxy\" }"]
        {
            let all = Config::parse(Path::new("agent.toml"), &TEXT.replace(password, wrong)).unwrap().effective();
            assert!(!format!("{all:?}").contains("hunter2"), "{wrong}: {all:?}");
            assert!(setting(&all, "method").from.contains("cannot read this table"), "{all:?}");
            assert_eq!(setting(&all, "deny").value, "[\"ceo@*\"]");
        }
    }

    #[test]
    fn names_of_accounts_can_be_left_out() {
        let all = Config::parse(Path::new("agent.toml"), TEXT).unwrap().effective();
        let all: Vec<Setting> = all.into_iter().map(Setting::without_names).collect();
        for key in ["username", "proxy.username", "deny"] {
            assert_eq!(setting(&all, key).value, "***");
        }
        assert_eq!(setting(&all, "method").value, "\"soap\"");
    }

    /// The annotated example shows every key that has a default behind `#`, with that default.
    #[test]
    fn every_default_that_the_example_shows_is_told() {
        let example = include_str!("../../../packaging/config/agent.toml");
        let collection = "[[collection]]\nname = \"n\"\nsystem = \"acme\"\nrepeats = \"daily\"\ndirectory = \"/x\"\n";
        let text = format!("{}{collection}", TEXT.replace("log_level = \"debug\"", ""));
        let all = Config::parse(Path::new("agent.toml"), &text).unwrap().effective();
        let shown = example.lines().filter(|line| !line.contains("  # ")).filter_map(|line| line.strip_prefix('#'));
        let is_key = |key: &str| {
            !key.is_empty() && key.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
        };
        let defaults = shown.filter_map(|line| line.split_once(" = ")).filter(|(key, _)| is_key(key));
        let is_told = |(key, value): &(&str, &str)| all.iter().any(|it| it.key == *key && it.value == *value);
        let (told, absent): (Vec<_>, Vec<_>) = defaults.partition(is_told);
        assert_eq!(absent, []);
        assert!(told.len() > 20, "the example is written otherwise now: {told:?}");
    }
}
