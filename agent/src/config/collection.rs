//! One collection as the file describes it: which users are gathered, when, and where the files go.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use postern_protocol::SystemName;
use postern_protocol::task::collect::{MAX_LOGINS, Name, Request, UserStatus};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::source::Source;
use super::{ConfigError, System, quoted};
use crate::schedule::{Repeats, Schedule};

/// Each reads every user of an org, and the agent's status tells of each.
const MAX_COLLECTIONS: usize = 32;
/// A year of hourly files.
const MAX_KEPT: usize = 10_000;
/// A run begins no sooner than this after the one before.
const MOST_OFTEN: SignedDuration = SignedDuration::from_mins(1);

/// One collection.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its name, which the files bear.
    pub name: Name,
    /// The connected system.
    pub system: SystemName,
    /// Which users.
    pub user_status: UserStatus,
    /// How many sign-ins are told of each user.
    pub logins: u16,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether it runs at all.
    pub active: bool,
    /// Where the files go.
    pub directory: PathBuf,
    /// How many files are kept there.
    pub keep: usize,
    source: Arc<Source>,
    keys: BTreeMap<String, Range<usize>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    system: SystemName,
    #[serde(default = "active_users")]
    user_status: String,
    #[serde(default = "logins")]
    logins: u16,
    repeats: String,
    #[serde(default)]
    days: Vec<String>,
    #[serde(default = "midnight")]
    start_time: String,
    #[serde(default = "utc")]
    time_zone: String,
    #[serde(default = "yes")]
    active: bool,
    directory: PathBuf,
    #[serde(default = "keep")]
    keep: usize,
}

fn active_users() -> String {
    UserStatus::Active.to_string()
}

const fn logins() -> u16 {
    Request::LOGINS
}

fn midnight() -> String {
    "00:00".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn yes() -> bool {
    true
}

const fn keep() -> usize {
    30
}

/// What holds for the keys that the file does not give.
pub(super) fn defaults() -> Vec<(&'static str, String)> {
    vec![
        ("user_status", quoted(&active_users())),
        ("logins", logins().to_string()),
        ("days", "[]".to_owned()),
        ("start_time", quoted(&midnight())),
        ("time_zone", quoted(&utc())),
        ("active", yes().to_string()),
        ("keep", keep().to_string()),
    ]
}

impl Collection {
    pub(super) fn all_from_source(source: &Arc<Source>, systems: &[System]) -> Result<Vec<Self>, ConfigError> {
        let Some(value) = source.document()?.into_inner().remove("collection") else { return Ok(Vec::new()) };
        let place = value.span();
        let DeValue::Array(entries) = value.into_inner() else {
            let problem = "write `[[collection]]`, with two brackets: there can be several".to_owned();
            return Err(source.error(Some(place), "", problem));
        };
        if entries.len() > MAX_COLLECTIONS {
            return Err(source.error(Some(place), "", format!("there can be {MAX_COLLECTIONS} collections at most")));
        }
        let mut collections = Vec::new();
        let mut names = BTreeSet::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let reader = Reader::new(source, index, &entry);
            let collection = reader.read(entry, systems)?;
            if !names.insert(collection.name.to_lowercase()) {
                return Err(reader.wrong("name", "there is another collection of this name; give each its own"));
            }
            collections.push(collection);
        }
        Ok(collections)
    }

    /// The task that a run is.
    pub fn request(&self) -> Request {
        Request { name: self.name.clone(), user_status: self.user_status.into(), logins: self.logins }
    }

    /// The error that what it says under `key` cannot be used.
    pub fn invalid(&self, key: &str, problem: impl AsRef<str>) -> ConfigError {
        let entry = format!("collection `{}`", self.name.as_str());
        self.source.error(self.keys.get(key).cloned(), &entry, format!("`{key}`: {}", problem.as_ref()))
    }
}

/// Reads one entry, and knows where in the file its keys are.
struct Reader<'a> {
    source: &'a Arc<Source>,
    label: String,
    entry: Range<usize>,
    keys: BTreeMap<String, Range<usize>>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Arc<Source>, index: usize, entry: &Spanned<DeValue<'_>>) -> Self {
        let keys = entry
            .get_ref()
            .as_table()
            .map(|table| table.keys().map(|key| (key.get_ref().to_string(), key.span())).collect());
        let label = format!("collection no. {}", index + 1);
        Self { source, label, entry: entry.span(), keys: keys.unwrap_or_default() }
    }

    fn place(&self, key: &str) -> Range<usize> {
        self.keys.get(key).unwrap_or(&self.entry).clone()
    }

    fn wrong(&self, key: &str, problem: impl AsRef<str>) -> ConfigError {
        self.source.error(Some(self.place(key)), &self.label, format!("`{key}`: {}", problem.as_ref()))
    }

    fn read(&self, entry: Spanned<DeValue<'_>>, systems: &[System]) -> Result<Collection, ConfigError> {
        let it: Entry = self.source.decode(entry, &self.label)?;
        let is_plain = |name: &str| name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
        let name = Name::new(&it.name).ok().filter(|name| !name.is_empty() && is_plain(name));
        let Some(name) = name else {
            return Err(self.wrong("name", "files bear it: up to 64 letters, digits, `-` and `_`"));
        };
        if !systems.iter().any(|system| system.name == it.system) {
            return Err(self.wrong("system", format!("there is no connected system `{}`", it.system)));
        }
        let Ok(user_status) = it.user_status.parse() else {
            return Err(self.wrong("user_status", "it is one of active, inactive, all"));
        };
        if it.logins > MAX_LOGINS {
            return Err(self.wrong("logins", format!("it is at most {MAX_LOGINS}")));
        }
        if !it.directory.is_absolute() {
            // From where the agent is called is no place: a unit calls it from `/`, and a person from anywhere.
            return Err(self.wrong("directory", "it needs an absolute path, like `/var/lib/postern/collected`"));
        }
        if !(1..=MAX_KEPT).contains(&it.keep) {
            return Err(self.wrong("keep", format!("it must be between 1 and {MAX_KEPT}")));
        }
        Ok(Collection {
            schedule: self.schedule(&it)?,
            name,
            system: it.system,
            user_status,
            logins: it.logins,
            active: it.active,
            directory: it.directory,
            keep: it.keep,
            source: Arc::clone(self.source),
            keys: self.keys.clone(),
        })
    }

    fn schedule(&self, it: &Entry) -> Result<Schedule, ConfigError> {
        let days = it.days.iter().map(|day| weekday(day)).collect::<Option<Vec<_>>>();
        let Some(days) = days else {
            return Err(self.wrong("days", "a day is one of monday, tuesday, …, sunday"));
        };
        let repeats = match it.repeats.as_str() {
            "weekly" if days.is_empty() => return Err(self.wrong("repeats", "`weekly` needs `days = [\"saturday\"]`")),
            "weekly" => Repeats::Weekly(days),
            _ if !days.is_empty() => return Err(self.wrong("days", "they belong to `repeats = \"weekly\"`")),
            "daily" => Repeats::Daily,
            "hourly" => Repeats::Every(SignedDuration::from_hours(1)),
            other => every(other).map(Repeats::Every).ok_or_else(|| {
                let right =
                    "it is `hourly`, `daily`, `weekly`, `every 15 minutes` or `every 6 hours`, of at most a day";
                self.wrong("repeats", right)
            })?,
        };
        let Ok(start) = it.start_time.parse::<Time>() else {
            return Err(self.wrong("start_time", "it is a time of the day, like `02:30`"));
        };
        let Ok(zone) = TimeZone::get(&it.time_zone) else {
            let problem = format!(
                "this host knows no time zone `{}`; it is a name like `Europe/Berlin`, or `UTC`, and its data comes \
                 with the system's package tzdata",
                it.time_zone
            );
            return Err(self.wrong("time_zone", problem));
        };
        Ok(Schedule { repeats, start, zone })
    }
}

/// `every 15 minutes`, `every 6 hours`.
fn every(text: &str) -> Option<SignedDuration> {
    let (count, unit) = text.strip_prefix("every ")?.split_once(' ')?;
    let count: u16 = count.parse().ok()?;
    let step = match unit {
        "minute" | "minutes" => SignedDuration::from_mins(i64::from(count)),
        "hour" | "hours" => SignedDuration::from_hours(i64::from(count)),
        _ => return None,
    };
    (MOST_OFTEN..=SignedDuration::from_hours(24)).contains(&step).then_some(step)
}

pub(super) fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const SYSTEM: &str = "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n";
    const PLAIN: &str = "[[collection]]\nname = \"nightly\"\nsystem = \"acme\"\nrepeats = \"daily\"\ndirectory = \"/var/lib/collected\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("agent.toml"), &format!("{SYSTEM}{text}")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let collection = parse(PLAIN).unwrap().collections.remove(0);
        assert_eq!((collection.name.as_str(), collection.user_status), ("nightly", UserStatus::Active));
        assert_eq!((collection.logins, collection.keep, collection.active), (10, 30, true));
        assert_eq!(collection.schedule.repeats, Repeats::Daily);
        assert_eq!(collection.schedule.zone.iana_name(), Some("UTC"));
    }

    #[test]
    fn every_way_to_repeat_is_understood() {
        for (text, repeats) in [
            ("hourly", Repeats::Every(SignedDuration::from_hours(1))),
            ("every 15 minutes", Repeats::Every(SignedDuration::from_mins(15))),
            ("every 24 hours", Repeats::Every(SignedDuration::from_hours(24))),
        ] {
            let config = parse(&PLAIN.replace("daily", text)).unwrap();
            assert_eq!(config.collections[0].schedule.repeats, repeats, "{text}");
        }
        let weekly = parse(&format!("{}days = [\"sunday\"]\n", PLAIN.replace("daily", "weekly"))).unwrap();
        assert_eq!(weekly.collections[0].schedule.repeats, Repeats::Weekly(vec![Weekday::Sunday]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_file_line_and_key() {
        for (more, line, words) in [
            ("tme_zone = \"UTC\"\n", 9, "unknown field `tme_zone`"),
            ("time_zone = \"Mars/Olympus\"\n", 9, "`time_zone`: this host knows no time zone `Mars/Olympus`"),
            ("start_time = \"25:00\"\n", 9, "`start_time`: it is a time of the day"),
            ("days = [\"sunday\"]\n", 9, "`days`: they belong to"),
            ("user_status = \"some\"\n", 9, "`user_status`: it is one of active"),
            ("keep = 0\n", 9, "`keep`: it must be between"),
            ("logins = 101\n", 9, "`logins`: it is at most 100"),
            ("active = \"no\"\n", 9, "`active`: invalid type"),
        ] {
            let error = parse(&format!("{PLAIN}{more}")).unwrap_err();
            assert!(error.starts_with(&format!("agent.toml:{line}: collection no. 1: ")), "{error}");
            assert!(error.contains(words), "{error}");
        }
        for (from, to, line, words) in [
            ("daily", "sometimes", 7, "`repeats`: it is `hourly`"),
            ("daily", "every 0 minutes", 7, "`repeats`: it is `hourly`"),
            ("daily", "every 25 hours", 7, "`repeats`: it is `hourly`"),
            ("daily", "weekly", 7, "`weekly` needs `days"),
            ("nightly", "../x", 5, "`name`: files bear it"),
            ("acme", "other", 6, "there is no connected system `other`"),
            ("directory = \"/", "directory = \"", 8, "`directory`: it needs an absolute path"),
        ] {
            let error = parse(&PLAIN.replace(from, to)).unwrap_err();
            assert!(error.starts_with(&format!("agent.toml:{line}: ")) && error.contains(words), "{error}");
        }
        let error = parse(&format!("{PLAIN}{}", PLAIN.replace("nightly", "Nightly"))).unwrap_err();
        assert!(error.contains("collection no. 2: `name`: there is another"), "{error}");
        assert!(parse("[collection]\nname = \"x\"\n").unwrap_err().contains("two brackets"));
    }
}
