//! What may be done to a connected system, as the file says it: the table `[connected_system.policy]`.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use postern_protocol::TaskKind;
use postern_protocol::message::v1::LogLevel;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::ConfigError;
use super::collection::weekday;
use super::source::Source;
use crate::policy::{Ceiling, Ceilings, Pattern, Policy, QuietHours, Signatures, Window};

/// The table's name.
pub(super) const TABLE: &str = "policy";

/// Every change is compared with each.
const MAX_PATTERNS: usize = 256;
const MAX_WINDOWS: usize = 32;
const MAX_SIGNERS: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    kinds: Option<Vec<String>>,
    allow: Option<Vec<String>>,
    deny: Vec<String>,
    protected: Vec<String>,
    deactivations_per_hour: Option<u32>,
    deactivations_per_day: Option<u32>,
    resets_per_hour: Option<u32>,
    resets_per_day: Option<u32>,
    creates_per_hour: Option<u32>,
    creates_per_day: Option<u32>,
    quiet_hours: Vec<Stretch>,
    time_zone: Option<String>,
    require_signature: bool,
    accepted_signers: Vec<String>,
    controller_log_level: Option<LogLevel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    from: String,
    to: String,
    #[serde(default)]
    days: Vec<String>,
}

/// Reads the table of a connected system.
pub(super) fn read(source: &Source, system: &str, table: Spanned<DeValue<'_>>) -> Result<Policy, ConfigError> {
    let reader = Reader::new(source, system, &table);
    let it: Table = source.decode(table, &reader.label)?;
    let ceiling = |per_hour, per_day| Ceiling { per_hour, per_day };
    Ok(Policy {
        kinds: it.kinds.as_deref().map(|kinds| reader.kinds(kinds)).transpose()?,
        allow: reader.allowed(it.allow.as_deref())?,
        deny: reader.patterns("deny", &it.deny)?,
        protected: reader.patterns("protected", &it.protected)?,
        ceilings: Ceilings {
            deactivations: ceiling(it.deactivations_per_hour, it.deactivations_per_day),
            resets: ceiling(it.resets_per_hour, it.resets_per_day),
            creates: ceiling(it.creates_per_hour, it.creates_per_day),
        },
        quiet_hours: reader.quiet_hours(&it)?,
        signatures: reader.signatures(&it)?,
        controller_log_level: it.controller_log_level,
    })
}

/// Knows where in the file the keys of the table are.
struct Reader<'a> {
    source: &'a Source,
    label: String,
    table: Range<usize>,
    keys: BTreeMap<String, Range<usize>>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Source, system: &str, table: &Spanned<DeValue<'_>>) -> Self {
        let keys = table.get_ref().as_table();
        let keys = keys.map(|keys| keys.keys().map(|key| (key.get_ref().to_string(), key.span())).collect());
        let label = format!("{system}, [connected_system.{TABLE}]");
        Self { source, label, table: table.span(), keys: keys.unwrap_or_default() }
    }

    fn wrong(&self, key: &str, problem: impl AsRef<str>) -> ConfigError {
        let place = self.keys.get(key).unwrap_or(&self.table).clone();
        self.source.error(Some(place), &self.label, format!("`{key}`: {}", problem.as_ref()))
    }

    fn kinds(&self, names: &[String]) -> Result<Vec<TaskKind>, ConfigError> {
        names.iter().map(|name| name.parse().map_err(|error| self.unknown_kind(&error))).collect()
    }

    fn unknown_kind(&self, error: &postern_protocol::code::UnknownName) -> ConfigError {
        self.wrong("kinds", error.to_string())
    }

    fn allowed(&self, names: Option<&[String]>) -> Result<Vec<Pattern>, ConfigError> {
        if names.is_some_and(<[_]>::is_empty) {
            // By the words of the key no account would be allowed, by the rule behind it every one.
            let problem =
                "it names nobody; leave the key out to allow every account, or say `kinds = []` to have nothing done";
            return Err(self.wrong("allow", problem));
        }
        self.patterns("allow", names.unwrap_or_default())
    }

    fn patterns(&self, key: &str, texts: &[String]) -> Result<Vec<Pattern>, ConfigError> {
        if texts.len() > MAX_PATTERNS {
            return Err(self.wrong(key, format!("there can be {MAX_PATTERNS} patterns at most")));
        }
        texts.iter().map(|text| Pattern::new(text).map_err(|error| self.wrong(key, error.to_string()))).collect()
    }

    fn signatures(&self, it: &Table) -> Result<Signatures, ConfigError> {
        if it.accepted_signers.len() > MAX_SIGNERS {
            return Err(self.wrong("accepted_signers", format!("there can be {MAX_SIGNERS} at most")));
        }
        if it.require_signature && it.accepted_signers.is_empty() {
            let problem = "name the keys in `accepted_signers`; `postern-controller task signing-key` makes one";
            return Err(self.wrong("require_signature", problem));
        }
        let key = |text: &String| {
            let problem = format!("`{text}` is no public key; it has 64 hexadecimal digits");
            text.parse().map_err(|_| self.wrong("accepted_signers", problem))
        };
        let accepted = it.accepted_signers.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Signatures { required: it.require_signature, accepted })
    }

    fn quiet_hours(&self, it: &Table) -> Result<Option<QuietHours>, ConfigError> {
        if it.quiet_hours.is_empty() {
            return match it.time_zone {
                Some(_) => Err(self.wrong("time_zone", "it belongs to `quiet_hours`")),
                None => Ok(None),
            };
        }
        if it.quiet_hours.len() > MAX_WINDOWS {
            return Err(self.wrong("quiet_hours", format!("there can be {MAX_WINDOWS} at most")));
        }
        let Some(name) = &it.time_zone else {
            let problem = "say by which clocks: `time_zone = \"Europe/Berlin\"`, or `\"UTC\"`";
            return Err(self.wrong("quiet_hours", problem));
        };
        let Ok(zone) = TimeZone::get(name) else {
            let problem = format!(
                "this host knows no time zone `{name}`; it is a name like `Europe/Berlin`, or `UTC`, and its data comes \
                 with the system's package tzdata"
            );
            return Err(self.wrong("time_zone", problem));
        };
        let windows = it.quiet_hours.iter().map(|stretch| self.window(stretch)).collect::<Result<_, _>>()?;
        Ok(Some(QuietHours { windows, zone }))
    }

    fn window(&self, it: &Stretch) -> Result<Window, ConfigError> {
        let time = |text: &str| -> Result<Time, ConfigError> {
            let problem = format!("`{text}` is no time of the day, like `22:00`");
            text.parse().map_err(|_| self.wrong("quiet_hours", problem))
        };
        let days = it.days.iter().map(|day| weekday(day)).collect::<Option<Vec<_>>>();
        let days = days.ok_or_else(|| self.wrong("quiet_hours", "a day is one of monday, tuesday, …, sunday"))?;
        Ok(Window { days, from: time(&it.from)?, to: time(&it.to)? })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const SYSTEM: &str =
        "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[connected_system.policy]\n";

    fn parse(policy: &str) -> Result<Policy, String> {
        let config = Config::parse(Path::new("agent.toml"), &format!("{SYSTEM}{policy}"));
        config.map(|config| (*config.systems[0].policy).clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_rule_is_read() {
        let policy = parse(
            "controller_log_level = \"info\"\nkinds = [\"disable_user\"]\nallow = [\"*@acme.example\"]\ndeny = [\"ceo@*\"]\nprotected = [\"admin@*\"]\n\
             deactivations_per_hour = 5\ndeactivations_per_day = 20\nresets_per_hour = 1\nresets_per_day = 2\n\
             creates_per_hour = 3\ncreates_per_day = 4\ntime_zone = \"UTC\"\n\
             quiet_hours = [{ from = \"22:00\", to = \"06:00\" }, { from = \"00:00\", to = \"00:00\", days = [\"sunday\"] }]\n",
        )
        .unwrap();
        assert_eq!(policy.kinds, Some(vec![TaskKind::DisableUser]));
        assert_eq!((policy.allow.len(), policy.deny.len(), policy.protected.len()), (1, 1, 1));
        let ceiling = |per_hour, per_day| Ceiling { per_hour: Some(per_hour), per_day: Some(per_day) };
        let expected = Ceilings { deactivations: ceiling(5, 20), resets: ceiling(1, 2), creates: ceiling(3, 4) };
        assert_eq!(policy.ceilings, expected);
        assert_eq!(policy.quiet_hours.as_ref().unwrap().windows.len(), 2);
        assert!(policy.lets_log(LogLevel::Info) && !policy.lets_log(LogLevel::Debug));
    }

    #[test]
    fn without_a_table_everything_is_let_through() {
        let config = Config::parse(Path::new("agent.toml"), SYSTEM.trim_end_matches("[connected_system.policy]\n"));
        let policy = &config.unwrap().systems[0].policy;
        assert!(policy.kinds.is_none() && !policy.looks_at_names() && policy.quiet_hours.is_none());
    }

    #[test]
    fn no_kind_at_all_is_a_way_to_have_nothing_done() {
        assert_eq!(parse("kinds = []\n").unwrap().kinds, Some(Vec::new()));
        assert!(!parse("deny = []\nprotected = []\n").unwrap().looks_at_names(), "of nobody");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_file_line_and_key() {
        for (text, words) in [
            ("kinds = [\"fly\"]\n", "`kinds`: `fly` is not one of: test_connection"),
            ("allow = []\n", "`allow`: it names nobody; leave the key out to allow every account"),
            ("deny = [\"\"]\n", "`deny`: a pattern has 1 to 128 characters"),
            ("controller_log_level = \"loud\"\n", "`controller_log_level`: `loud` is not one of"),
            ("denny = [\"x\"]\n", "unknown field `denny`"),
            ("require_signature = true\n", "`require_signature`: name the keys in `accepted_signers`"),
            ("accepted_signers = [\"5e\"]\n", "`accepted_signers`: `5e` is no public key"),
            ("resets_per_day = -1\n", "`resets_per_day`: "),
            ("time_zone = \"UTC\"\n", "`time_zone`: it belongs to `quiet_hours`"),
            ("quiet_hours = [{ from = \"22:00\", to = \"06:00\" }]\n", "`quiet_hours`: say by which clocks"),
            (
                "quiet_hours = [{ from = \"25:00\", to = \"06:00\" }]\ntime_zone = \"UTC\"\n",
                "`quiet_hours`: `25:00` is no time of the day",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with("agent.toml:5: connected system `acme`, [connected_system.policy]: "), "{error}");
            assert!(error.contains(words), "{error}");
        }
        let error =
            parse("quiet_hours = [{ from = \"22:00\", to = \"06:00\" }]\ntime_zone = \"Mars/Olympus\"\n").unwrap_err();
        assert!(error.starts_with("agent.toml:6: ") && error.contains("no time zone `Mars/Olympus`"), "{error}");
    }
}
