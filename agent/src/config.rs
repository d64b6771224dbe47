//! The configuration: one annotated TOML file, checked as a whole before anything starts.
//!
//! Unknown keys are refused. Secrets never stand in the file, see [`SecretSource`]. What a connector needs to know
//! of its system is opaque here: the connector reads it with [`System::settings`].

mod collection;
mod controller;
mod effective;
mod error;
mod file;
mod health;
mod policy;
mod secret;
mod source;
mod system;
mod telemetry;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::sealing_keys::Terms;
use postern_health::Supervisor;
use postern_protocol::message::v1::LogLevel;
use postern_store::private::{Inspection, NotPrivate, PrivateError};
use postern_store::{Home, KeySource};
use serde::Deserialize;

pub use collection::Collection;
pub use controller::{Controller, NO_CONTROLLER_URL, Proxy, controller_url};
pub use effective::{Setting, quoted};
pub use error::ConfigError;
pub use file::{read_file, read_up_to, text};
pub use health::Health;
pub use secret::{SecretError, SecretSource};
pub use system::System;
pub use telemetry::Telemetry;

use source::Source;

/// Everything the file says.
#[derive(Debug)]
pub struct Config {
    /// Where the agent keeps its identity and its store.
    pub state_dir: PathBuf,
    /// Where the key of the store is, if not beside it.
    pub store_key: Option<KeySource>,
    /// How it logs.
    pub log: Log,
    /// How long the disk may take before the agent gives it up.
    pub disk_timeout: Duration,
    /// How long it uses sealing keys.
    pub sealing_keys: Terms,
    /// Where it says how it is.
    pub health: Health,
    /// Who supervises it: of the environment, not of the file.
    pub supervisor: Supervisor,
    /// How it reaches its controller.
    pub controller: Controller,
    /// Where it tells of tasks.
    pub telemetry: Telemetry,
    /// The connected systems it serves, in the order of the file. Their names differ.
    pub systems: Vec<System>,
    /// What it gathers on a schedule. Their names differ.
    pub collections: Vec<Collection>,
    /// Where all this stands.
    source: Arc<Source>,
    /// The files that secrets are in, wherever the file names one.
    secret_files: Vec<PathBuf>,
    /// The files of roots, wherever the file names one.
    root_files: Vec<PathBuf>,
}

/// Why what is private is not.
#[derive(Debug, thiserror::Error)]
pub enum ExposedError {
    /// Others may use it.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// It could not be looked at.
    #[error(transparent)]
    Unreadable(#[from] PrivateError),
}

/// How the agent logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// What a line looks like.
    pub format: LogFormat,
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AgentSection {
    state_dir: Option<PathBuf>,
    store_key: Option<SecretSource>,
    log_level: LogLevel,
    log_format: LogFormat,
    disk_timeout_secs: Option<u64>,
    sealing_key_days: Option<u64>,
}

/// Longer than a disk takes that is only busy, and no longer than most leases.
const DISK_TIMEOUT_SECS: u64 = 120;
const DISK_TIMEOUTS: RangeInclusive<u64> = 5..=3600;

/// Longer than a replaced key is kept, so that there are few at a time; and no longer than one may do harm that was stolen.
const SEALING_KEY_DAYS: RangeInclusive<u64> = 15..=90;

/// The agent's socket is in there, and the path of a socket has at most 107 bytes.
const MAX_STATE_DIR: usize = 90;

const SECTIONS: &str =
    "`[agent]`, `[controller]`, `[health]`, `[telemetry]`, `[[connected_system]]` and `[[collection]]`";

impl Config {
    /// Where the state is kept if the file does not say.
    pub const DEFAULT_STATE_DIR: &str = "/var/lib/postern";

    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::from_source(Source::read(path)?)
    }

    /// Checks `text` as if it had been read from `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::from_source(Source::new(path, text.to_owned()))
    }

    fn from_source(source: Source) -> Result<Self, ConfigError> {
        let source = Arc::new(source);
        for key in source.document()?.get_ref().keys() {
            if !matches!(
                key.get_ref().as_ref(),
                "agent" | "controller" | "health" | "telemetry" | "connected_system" | "collection"
            ) {
                let problem = format!("`{}` is not a section; there are {SECTIONS}", key.get_ref());
                return Err(source.error(Some(key.span()), "", problem));
            }
        }
        let agent: AgentSection = source.section("agent")?;
        let state_dir = agent.state_dir.unwrap_or_else(|| PathBuf::from(Self::DEFAULT_STATE_DIR));
        if state_dir.as_os_str().len() > MAX_STATE_DIR {
            let problem = format!("`state_dir` must be a path of at most {MAX_STATE_DIR} bytes");
            return Err(source.error(source.place_of("agent", "state_dir"), "[agent]", problem));
        }
        let within = |key: &str, value: u64, range: RangeInclusive<u64>| {
            if range.contains(&value) {
                return Ok(value);
            }
            let problem = format!("`{key}` must be between {} and {}", range.start(), range.end());
            Err(source.error(source.place_of("agent", key), "[agent]", problem))
        };
        let disk_timeout = agent.disk_timeout_secs.unwrap_or(DISK_TIMEOUT_SECS);
        let disk_timeout = within("disk_timeout_secs", disk_timeout, DISK_TIMEOUTS)?;
        let mut sealing_keys = Terms::default();
        if let Some(days) = agent.sealing_key_days {
            let days = within("sealing_key_days", days, SEALING_KEY_DAYS)?;
            sealing_keys.life = Duration::from_secs(24 * 60 * 60 * days);
        }
        let systems = System::all_from_source(&source)?;
        let store_key = agent.store_key.map(SecretSource::of_store).transpose().map_err(|problem| {
            let problem = format!("`store_key`: {problem}");
            source.error(source.place_of("agent", "store_key"), "[agent]", problem)
        })?;
        Ok(Self {
            source: Arc::clone(&source),
            secret_files: secret::files_in(&source.document()?.into_inner()),
            root_files: secret::roots_in(&source.document()?.into_inner()),
            store_key,
            state_dir,
            disk_timeout: Duration::from_secs(disk_timeout),
            log: Log { level: agent.log_level, format: agent.log_format },
            sealing_keys,
            health: Health::from_source(&source)?,
            supervisor: Supervisor::from_environment(|name| std::env::var_os(name)),
            controller: Controller::from_source(&source)?,
            telemetry: Telemetry::from_source(&source)?,
            collections: Collection::all_from_source(&source, &systems)?,
            systems,
        })
    }

    /// The state directory with its store.
    pub fn home(&self) -> Home {
        match &self.store_key {
            Some(key) => Home::new(&self.state_dir, key.clone()),
            None => Home::with_key_file(&self.state_dir),
        }
    }

    /// Looks whether the state directory with everything below it, and every file that a secret is in, are this user's
    /// alone.
    pub fn inspect(&self) -> Result<(), ExposedError> {
        let mut inspection = Inspection::default();
        inspection.unwritable(self.file())?;
        inspection.tree(&self.state_dir)?;
        self.secret_files.iter().try_for_each(|file| inspection.file(file))?;
        Ok(inspection.done()?)
    }

    /// Looks whether nobody else may write the file: whoever can decides what this agent lets be done.
    pub fn inspect_itself(&self) -> Result<(), ExposedError> {
        let mut inspection = Inspection::default();
        inspection.unwritable(self.file())?;
        Ok(inspection.done()?)
    }

    /// Looks whether nobody else may put another file in the place of this one or of a file of roots, nor write one of these:
    /// whoever can decides who is taken for a connected system, and so who gets the password.
    pub fn inspect_trust(&self) -> Result<(), ExposedError> {
        let mut inspection = Inspection::default();
        inspection.unwritable_directory_of(self.file())?;
        for file in &self.root_files {
            inspection.unwritable(file)?;
            inspection.unwritable_directory_of(file)?;
        }
        Ok(inspection.done()?)
    }

    /// Looks whether the files that secrets are in are this user's alone.
    pub fn inspect_secrets(&self) -> Result<(), ExposedError> {
        let mut inspection = Inspection::default();
        self.secret_files.iter().try_for_each(|file| inspection.file(file))?;
        Ok(inspection.done()?)
    }

    /// Looks whether the state directory with everything below it is this user's alone.
    pub fn inspect_state(&self) -> Result<(), ExposedError> {
        let mut inspection = Inspection::default();
        inspection.tree(&self.state_dir)?;
        Ok(inspection.done()?)
    }

    /// Where all this stands.
    pub fn file(&self) -> &Path {
        self.source.path()
    }

    /// The connected system of that name.
    pub fn system(&self, name: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.name.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.state_dir, Path::new(Config::DEFAULT_STATE_DIR));
        assert_eq!(config.log, Log::default());
        assert!(config.systems.is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_line_and_key() {
        let error = parse("[agent]\nlog_level = \"info\"\nstat_dir = \"/x\"\n").unwrap_err();
        assert!(error.starts_with("agent.toml:3: [agent]: unknown field `stat_dir`"), "{error}");
        let error = parse("\n[agents]\n").unwrap_err();
        assert!(error.starts_with("agent.toml:2: `agents` is not a section"), "{error}");
    }

    /// Look at the files alone, and whoever may rename in their directory chooses who is sent the password.
    #[test]
    fn a_directory_where_others_may_put_other_roots_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = folder.path().join("certificates");
        std::fs::create_dir(&certificates).unwrap();
        let files = ["a.pem", "b.pem"].map(|name| certificates.join(name));
        for file in &files {
            std::fs::write(file, "").unwrap();
            std::fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        let text = format!(
            "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[connected_system.salesforce]\nroot_certificates = {files:?}\n"
        );
        let config = Config::parse(&folder.path().join("agent.toml"), &text).unwrap();
        let told = |mode| {
            std::fs::set_permissions(&certificates, Permissions::from_mode(mode)).unwrap();
            config.inspect_trust().err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!((told(0o755), told(0o1777)), (String::new(), String::new()));
        let told = told(0o775);
        let named = format!("chmod go-w '{}'   # mode 0775", certificates.display());
        assert_eq!(told.matches(&named).count(), 1, "{told}");
    }

    #[test]
    fn a_disk_is_waited_for_within_bounds() {
        assert_eq!(parse("").unwrap().disk_timeout, Duration::from_secs(120));
        assert_eq!(parse("[agent]\ndisk_timeout_secs = 5").unwrap().disk_timeout, Duration::from_secs(5));
        let error = parse("[agent]\ndisk_timeout_secs = 4").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [agent]: `disk_timeout_secs` must be between 5 and 3600"), "{error}");
    }

    #[test]
    fn a_sealing_key_is_used_for_thirty_days_or_as_many_as_are_told_within_bounds() {
        let days = |text| parse(text).unwrap().sealing_keys.life.as_secs() / (24 * 60 * 60);
        assert_eq!((days(""), days("[agent]\nsealing_key_days = 15")), (30, 15));
        let error = parse("[agent]\nsealing_key_days = 14").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [agent]: `sealing_key_days` must be between 15 and 90"), "{error}");
    }

    #[test]
    fn there_may_be_so_many_of_each_thing_and_no_more() {
        let system = "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n";
        let collections = |count: u32| {
            let one = |number| {
                format!(
                    "[[collection]]\nname = \"c{number}\"\nsystem = \"acme\"\nrepeats = \"daily\"\ndirectory = \"/c/{number}\"\n"
                )
            };
            (0..count).map(one).collect::<String>()
        };
        let systems =
            |more: u32| (0..more).map(|number| system.replace("acme", &format!("s{number}"))).collect::<String>();
        let list = |key: &str, item: &str, count: usize| {
            format!("[connected_system.policy]\n{key} = [{}]\n", vec![item; count].join(", "))
        };
        let key =
            format!("\"{}\"", postern_protocol::signature::SigningKey::from_private([7; 32].into()).unwrap().public());
        let hours = "time_zone = \"UTC\"\nquiet_hours";
        let window = "{ from = \"22:00\", to = \"06:00\" }";
        for (most, one_more, words) in [
            (systems(63), systems(64), "there can be 64 connected systems at most"),
            (collections(32), collections(33), "there can be 32 collections at most"),
            ("concurrency = 32\n".to_owned(), "concurrency = 33\n".to_owned(), "between 1 and 32"),
            (list("deny", "\"a*\"", 256), list("deny", "\"a*\"", 257), "`deny`: there can be 256 patterns at most"),
            (list(hours, window, 32), list(hours, window, 33), "`quiet_hours`: there can be 32 at most"),
            (list("accepted_signers", &key, 64), list("accepted_signers", &key, 65), "there can be 64 at most"),
        ] {
            let told = parse(&format!("{system}{most}")).map(drop);
            assert_eq!(told, Ok(()), "{words}");
            let error = parse(&format!("{system}{one_more}")).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_place() {
        let error = parse("[agent]\nlog_level = \n").unwrap_err();
        assert!(error.starts_with("agent.toml:2: "), "{error}");
    }

    /// Take the key that stands before a value on its line, and of a value of several lines none is named.
    #[test]
    fn whatever_is_wrong_the_line_the_section_and_the_key_are_named() {
        let error = parse("[agent]\nlog_level = \"info\"\n# again\nlog_level = \"debug\"\n").unwrap_err();
        assert_eq!(error, "agent.toml:4: [agent]: `log_level` is there twice; leave one out");
        let error = parse("[agent]\nlog_level = \n").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [agent]: `log_level`: "), "{error}");
        let error = parse("[health]\n[agent]\n[health] # again\n").unwrap_err();
        assert_eq!(error, "agent.toml:3: [health]: `health` is there twice; leave one out");
        let error = parse("[controller]\nurls = [\n  \"wss://a.example\",\n  7,\n]\n").unwrap_err();
        assert_eq!(error, "agent.toml:4: [controller]: `urls`: invalid type: integer `7`, expected a string");
        let error = parse("[agent]\nlog_level.of = 7\n").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [agent]: ") && error.contains("log_level"), "{error}");
    }

    #[test]
    fn a_wrong_value_names_its_place_and_the_right_ones() {
        let error = parse("[agent]\nlog_level = \"loud\"\n").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [agent]: `log_level`: `loud` is not one of"), "{error}");
        assert!(error.contains("debug"), "{error}");
        let error = parse(&format!("[agent]\n\nstate_dir = \"/{}\"\n", "x".repeat(90))).unwrap_err();
        assert_eq!(error, "agent.toml:3: [agent]: `state_dir` must be a path of at most 90 bytes");
        let error = parse("[controller]\nconnect_timeout_secs = \"9\"\n").unwrap_err();
        let told = "`connect_timeout_secs`: invalid type: string \"9\", expected a whole number";
        assert_eq!(error, format!("agent.toml:2: [controller]: {told}"));
    }
}
