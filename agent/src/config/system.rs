//! One connected system as the file describes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use postern_protocol::SystemName;
use postern_protocol::message::v1::LogLevel;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::{Source, place};
use super::{ConfigError, SecretError, policy};
use crate::policy::Policy;

/// Salesforce slows down long before, and every task in flight holds its dataset's window in memory.
const MAX_CONCURRENCY: usize = 32;
/// As many as a member can tell its controller of.
const MAX_SYSTEMS: usize = 64;

/// One connected system.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name, as the controller knows it.
    pub name: SystemName,
    /// The type of connector that serves it.
    pub connector: String,
    /// How many tasks may run on it at once.
    pub concurrency: usize,
    /// What is logged of it, if not the same as of the agent itself.
    pub log_level: Option<LogLevel>,
    /// What may be done to it.
    pub policy: Arc<Policy>,
    source: Arc<Source>,
    index: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: SystemName,
    connector: String,
    #[serde(default = "default_concurrency")]
    concurrency: usize,
    log_level: Option<LogLevel>,
}

const fn default_concurrency() -> usize {
    4
}

/// What holds for the keys that the file does not give.
pub(super) fn defaults() -> Vec<(&'static str, String)> {
    vec![("concurrency", default_concurrency().to_string())]
}

impl System {
    pub(super) fn all_from_source(source: &Arc<Source>) -> Result<Vec<Self>, ConfigError> {
        let Some(value) = source.document()?.into_inner().remove("connected_system") else {
            return Ok(Vec::new());
        };
        let place = value.span();
        let DeValue::Array(entries) = value.into_inner() else {
            let problem = "write `[[connected_system]]`, with two brackets: there can be several".to_owned();
            return Err(source.error(Some(place), "", problem));
        };
        if entries.len() > MAX_SYSTEMS {
            let problem = format!("there can be {MAX_SYSTEMS} connected systems at most; give others to another agent");
            return Err(source.error(Some(place), "[[connected_system]]", problem));
        }
        let mut systems = Vec::new();
        let mut names = BTreeSet::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let place = entry.span();
            let system = Self::from_entry(source, index, entry)?;
            if !names.insert(system.name.clone()) {
                let problem = "there is another connected system of this name; give each its own".to_owned();
                return Err(source.error(Some(place), &system.entry(), problem));
            }
            systems.push(system);
        }
        Ok(systems)
    }

    fn from_entry(source: &Arc<Source>, index: usize, entry: Spanned<DeValue<'_>>) -> Result<Self, ConfigError> {
        let label = format!("connected system no. {}", index + 1);
        let place = entry.span();
        let DeValue::Table(mut table) = entry.into_inner() else {
            return Err(source.error(Some(place), &label, "it must be a table".to_owned()));
        };
        let policy = table.remove(policy::TABLE);
        // Without it, nobody can say whose the tables are.
        if table.get("connector").is_none() {
            return Err(source.error(Some(place), &label, "missing field `connector`".to_owned()));
        }
        if let Some(connector) = table.get("connector").and_then(|value| value.get_ref().as_str()).map(str::to_owned) {
            table.remove(connector.as_str());
            if let Some((key, _)) = table.iter().find(|(_, value)| value.get_ref().is_table()) {
                let problem =
                    format!("the table `{}` is not of the connector `{connector}`; correct either", key.get_ref());
                return Err(source.error(Some(key.span()), &label, problem));
            }
        }
        let read: Entry = source.decode(Spanned::new(place.clone(), DeValue::Table(table)), &label)?;
        let Entry { name, connector, concurrency, log_level } = read;
        let policy = match policy {
            Some(table) => policy::read(source, &format!("connected system `{name}`"), table)?,
            None => Policy::default(),
        };
        let source = Arc::clone(source);
        let system = Self { name, connector, concurrency, log_level, policy: policy.into(), source, index };
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            return Err(system.invalid("concurrency", format!("it must be between 1 and {MAX_CONCURRENCY}")));
        }
        Ok(system)
    }

    /// The connector's own settings, the table `[connected_system.<connector>]`.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let entry = format!("{}, [connected_system.{}]", self.entry(), self.connector);
        let document = self.source.document()?;
        let table = self.table(document.into_inner());
        let Some(value) = table.and_then(|mut table| table.remove(self.connector.as_str())) else {
            let problem = format!("there are no settings; add a table `[connected_system.{}]`", self.connector);
            return Err(self.source.error(self.place("name"), &self.entry(), problem));
        };
        if value.get_ref().is_array() {
            let problem = format!("write `[connected_system.{}]`, with one bracket: it is one table", self.connector);
            return Err(self.source.error(Some(value.span()), &entry, problem));
        }
        self.source.decode(value, &entry)
    }

    /// The error that `field`, of the system or of its connector's settings, is wrong.
    pub fn invalid(&self, field: &str, problem: impl Into<String>) -> ConfigError {
        self.source.error(self.place(field), &self.entry(), format!("`{field}`: {}", problem.into()))
    }

    /// The error that the secret of `field` cannot be read.
    pub fn unreadable(&self, field: &str, error: SecretError) -> ConfigError {
        self.source.secret(self.place(field), &self.entry(), field, error)
    }

    fn entry(&self) -> String {
        format!("connected system `{}`", self.name)
    }

    fn place(&self, field: &str) -> Option<std::ops::Range<usize>> {
        let document = self.source.document().ok()?.into_inner();
        let table = self.table(document)?;
        let settings = table.get(self.connector.as_str());
        place(&table, field)
            .or_else(|| place(settings?.get_ref().as_table()?, field))
            .or_else(|| settings.map(Spanned::span))
            .or_else(|| place(&table, "name"))
    }

    fn table<'a>(&self, mut document: DeTable<'a>) -> Option<DeTable<'a>> {
        let DeValue::Array(entries) = document.remove("connected_system")?.into_inner() else { return None };
        let DeValue::Table(table) = entries.into_iter().nth(self.index)?.into_inner() else { return None };
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const TWO: &str = r#"
[[connected_system]]
name = "acme"
connector = "salesforce"

[connected_system.salesforce]
domain = "x"

[[connected_system]]
name = "other"
connector = "salesforce"
concurrency = 2
log_level = "debug"

[connected_system.salesforce]
domain = "y"
colour = "red"
"#;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        domain: String,
    }

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_connector_reads_its_own_settings() {
        let config = parse(TWO).unwrap();
        assert_eq!(config.systems[0].settings::<Settings>().unwrap().domain, "x");
        assert_eq!((config.systems[0].concurrency, config.systems[1].concurrency), (4, 2));
        assert_eq!((config.systems[0].log_level, config.systems[1].log_level), (None, Some(LogLevel::Debug)));
        let error = config.systems[1].settings::<Settings>().unwrap_err().to_string();
        assert!(error.starts_with("agent.toml:17: connected system `other`, "), "{error}");
        assert!(error.contains("unknown field `colour`"), "{error}");
    }

    #[test]
    fn an_error_of_a_connector_has_its_place() {
        let config = parse(TWO).unwrap();
        let error = config.systems[1].invalid("domain", "is wrong").to_string();
        assert_eq!(error, "agent.toml:16: connected system `other`: `domain`: is wrong");
    }

    #[test]
    fn an_unknown_key_two_of_a_name_and_a_wrong_number_are_refused() {
        let error = parse("[[connected_system]]\nname = \"a\"\nconnector = \"x\"\nconcurency = 1\n").unwrap_err();
        assert!(error.starts_with("agent.toml:4: connected system no. 1: unknown field `concurency`"), "{error}");
        let error = parse(&TWO.replace("other", "acme")).unwrap_err();
        assert!(error.contains("another connected system of this name"), "{error}");
        let error = parse(&TWO.replace("concurrency = 2", "concurrency = 0")).unwrap_err();
        assert!(error.starts_with("agent.toml:12: connected system `other`: `concurrency`: it must"), "{error}");
        let error = parse("[connected_system]\nname = \"a\"\n").unwrap_err();
        assert!(error.contains("two brackets"), "{error}");
    }

    /// Look at the tables of a system without a connector first, and its settings are called unknown.
    #[test]
    fn a_system_without_a_connector_and_settings_that_are_several_are_told_as_what_they_are() {
        let error = parse("[[connected_system]]\nname = \"a\"\n[connected_system.salesforce]\n").unwrap_err();
        assert_eq!(error, "agent.toml:1: connected system no. 1: missing field `connector`");
        let twice = TWO.replace("[connected_system.salesforce]\ndomain = \"y\"", "[[connected_system.salesforce]]");
        let error = parse(&twice).unwrap().systems[1].settings::<Settings>().unwrap_err().to_string();
        let place = "agent.toml:15: connected system `other`, [connected_system.salesforce]: ";
        assert_eq!(error, format!("{place}write `[connected_system.salesforce]`, with one bracket: it is one table"));
    }

    #[test]
    fn a_system_without_settings_is_told_where_to_put_them() {
        let config = parse("[[connected_system]]\nname = \"a\"\nconnector = \"salesforce\"\n").unwrap();
        let error = config.systems[0].settings::<Settings>().unwrap_err().to_string();
        assert!(error.contains("add a table `[connected_system.salesforce]`"), "{error}");
    }
}
