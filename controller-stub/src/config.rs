//! How `serve` runs: what the command line said, checked.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use postern_health::Supervisor;
use postern_protocol::rate::Rate;
use postern_store::Home;
use postern_traces::{Collector, CollectorError};
use url::Host;

use crate::api::CallRates;
use crate::cli::Serve;
use crate::limits::Connections;
use crate::state::{Retention, Settings};

/// The shortest and longest lease that makes sense: below a second nothing can renew it in time.
const LEASE_SECS: std::ops::RangeInclusive<u64> = 1..=LEASE_AND_SETTLE_SECS - 1;
/// That is more than any call to a connected system takes.
const SETTLE_SECS: std::ops::RangeInclusive<u64> = 1..=LEASE_AND_SETTLE_SECS - 1;
/// The most that both may be together: agents keep what they had begun and lost for a quarter of an hour, and by then somebody
/// else has to have it, or they say that nobody can know what came of it.
const LEASE_AND_SETTLE_SECS: u64 = 840;
/// The same for signs of life; what members accept.
const HEARTBEAT_SECS: std::ops::RangeInclusive<u64> = 1..=60;
/// The fewest and most days that finished tasks are kept: submitters that repeat what got no answer are done within a
/// day, and beyond ten years nobody asks.
const KEEP_DAYS: std::ops::RangeInclusive<u64> = 1..=3660;
/// The fewest and most days that a member's certificate lasts: with less than a day nobody has the time to look why it is
/// not renewed, and beyond a month a stolen one is worth too much.
const CERTIFICATE_DAYS: std::ops::RangeInclusive<u64> = 1..=30;
/// The longest time after which a certificate that has run out is still good for a new one; 0: never.
const RECOVERY_DAYS: std::ops::RangeInclusive<u64> = 0..=14;
/// The fewest and most calls that one token may make in a second: below ten a person with a few windows is slowed down, and
/// nobody gets more than a million through.
const CALLS_PER_SEC: std::ops::RangeInclusive<u64> = 10..=1_000_000;
/// The fewest and most calls without a good token that are answered as such in a minute.
const FAILURES_PER_MIN: std::ops::RangeInclusive<u64> = 1..=60_000;
/// The fewest and most enrollments and recoveries of one address that are told why they were refused in a minute.
const ENROLLMENTS_PER_MIN: std::ops::RangeInclusive<u64> = 1..=60_000;
/// The fewest and most connections: with fewer a handful of slow ones would disturb everybody, and each takes up to 300 KiB.
const CONNECTIONS: std::ops::RangeInclusive<u64> = 16..=65_536;
const DAY: u64 = 24 * 60 * 60;
/// The most names a certificate needs.
const MAX_NAMES: usize = 32;

/// What the configuration gets wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The API would be open to the network.
    #[error(
        "the API speaks plain HTTP and listens on the loopback only, not on `{0}`: bind it to 127.0.0.1 and put a TLS \
         proxy before it if it has to be reached from elsewhere"
    )]
    ApiNotLoopback(SocketAddr),
    /// Health would be told to the network.
    #[error(
        "`--health-listen {0}` can be reached from elsewhere, by everybody and in clear: bind it to 127.0.0.1, or say \
         `--health-open-to-the-network` beside it"
    )]
    HealthNotLoopback(SocketAddr),
    /// A number is out of range.
    #[error("`{option}` has to be between {least} and {most}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// An agent would give up what another is yet to look at.
    #[error(
        "`--lease-ttl-secs` and `--settle-secs` together have to be at most {LEASE_AND_SETTLE_SECS}, or an agent gives a task \
         up as unknown before another may look at it"
    )]
    TooLongTogether,
    /// There is no such collector.
    #[error("`--otlp`: {0}")]
    Otlp(#[source] CollectorError),
    /// No caller could ever say it.
    #[error("`--api-name {0}`: a host name or an IP address alone, without scheme, port and `*`")]
    ApiName(String),
    /// Too many names.
    #[error("at most {MAX_NAMES} `--public-name` and `--api-name` are possible")]
    TooManyNames,
}

/// How `serve` runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything durable is.
    pub data_dir: PathBuf,
    /// The same with its store.
    pub home: Home,
    /// Where agents connect to.
    pub listen: SocketAddr,
    /// Where the API is.
    pub api_listen: SocketAddr,
    /// What callers may call the API's host, besides the loopback.
    pub api_names: Vec<String>,
    /// Where probes and Prometheus are answered; `None`: nowhere.
    pub health_listen: Option<SocketAddr>,
    /// Who supervises it: of the environment.
    pub supervisor: Supervisor,
    /// How often the API may be called.
    pub call_rates: CallRates,
    /// How often agents of one address are told why they are not enrolled, or recovered.
    pub enrollments: Rate,
    /// The names and addresses agents connect to, for the certificate.
    pub public_names: Vec<String>,
    /// What its state goes by.
    pub settings: Settings,
    /// How many agents may be connected at once.
    pub connections: Connections,
    /// Where traces of tasks are sent.
    pub otlp: Option<Collector>,
    /// Where to write the bound addresses once everything listens.
    pub ready_file: Option<PathBuf>,
}

impl Config {
    /// What the command line said, with the store that is in the data directory.
    pub(crate) fn of(told: Serve, home: Home) -> Result<Self, ConfigError> {
        if !told.api_listen.ip().is_loopback() {
            return Err(ConfigError::ApiNotLoopback(told.api_listen));
        }
        if let Some(address) =
            told.health_listen.filter(|it| !it.ip().is_loopback() && !told.health_open_to_the_network)
        {
            return Err(ConfigError::HealthNotLoopback(address));
        }
        check("--certificate-days", told.certificate_days, CERTIFICATE_DAYS)?;
        check("--recovery-days", told.recovery_days, RECOVERY_DAYS)?;
        check("--lease-ttl-secs", told.lease_ttl_secs, LEASE_SECS)?;
        check("--settle-secs", told.settle_secs, SETTLE_SECS)?;
        if told.lease_ttl_secs + told.settle_secs > LEASE_AND_SETTLE_SECS {
            return Err(ConfigError::TooLongTogether);
        }
        check("--heartbeat-secs", told.heartbeat_secs, HEARTBEAT_SECS)?;
        check("--keep-finished-days", told.keep_finished_days.into(), KEEP_DAYS)?;
        check("--api-calls-per-sec", told.api_calls_per_sec.into(), CALLS_PER_SEC)?;
        check("--api-failures-per-min", told.api_failures_per_min.into(), FAILURES_PER_MIN)?;
        check("--enrollments-per-min", told.enrollments_per_min.into(), ENROLLMENTS_PER_MIN)?;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        check("--max-connections", count(told.max_connections), CONNECTIONS)?;
        check("--max-handshakes", count(told.max_handshakes), CONNECTIONS)?;
        check("--max-handshakes-per-address", count(told.max_handshakes_per_address), 1..=*CONNECTIONS.end())?;
        if told.public_names.len() > MAX_NAMES || told.api_names.len() > MAX_NAMES {
            return Err(ConfigError::TooManyNames);
        }
        let mut public_names = told.public_names;
        if public_names.is_empty() {
            public_names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        }
        Ok(Self {
            data_dir: told.data_dir,
            home,
            listen: told.listen,
            api_listen: told.api_listen,
            api_names: told.api_names.iter().map(|it| api_name(it)).collect::<Result<_, _>>()?,
            health_listen: told.health_listen,
            supervisor: Supervisor::from_environment(|name| std::env::var_os(name)),
            call_rates: CallRates {
                calls: Rate::per_second(told.api_calls_per_sec),
                failures: Rate::per_minute(told.api_failures_per_min),
            },
            enrollments: Rate::per_minute(told.enrollments_per_min),
            public_names,
            settings: Settings {
                auto_approve: told.auto_approve,
                certificate_life: Duration::from_secs(told.certificate_secs.unwrap_or(told.certificate_days * DAY)),
                recovery: Duration::from_secs(told.recovery_days * DAY),
                lease_ttl: Duration::from_secs(told.lease_ttl_secs),
                settle: Duration::from_secs(told.settle_secs),
                heartbeat: Duration::from_secs(told.heartbeat_secs),
                keep: Retention { days: told.keep_finished_days, newest: told.keep_finished_tasks },
            },
            connections: Connections {
                total: told.max_connections,
                handshakes: told.max_handshakes,
                handshakes_per_address: told.max_handshakes_per_address,
            },
            otlp: told.otlp.map(|it| it.parse()).transpose().map_err(ConfigError::Otlp)?,
            ready_file: told.ready_file,
        })
    }
}

/// What a variable says, also of an option that hides it.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The name of a host as callers of the API say it.
fn api_name(text: &str) -> Result<String, ConfigError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    match Host::parse(text) {
        Ok(Host::Domain(name)) if !name.contains('*') => Ok(name),
        Ok(Host::Ipv4(address)) => Ok(address.to_string()),
        Ok(Host::Ipv6(address)) => Ok(address.to_string()),
        Ok(Host::Domain(_)) | Err(_) => Err(ConfigError::ApiName(text.to_owned())),
    }
}

fn check(option: &'static str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { option, least: *range.start(), most: *range.end() })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use postern_protocol::Timestamp;
    use postern_protocol::rate::Buckets;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config(options: &[&str]) -> Result<Config, ConfigError> {
        let told = ["postern-controller", "serve", "--data-dir", "data"].iter().chain(options);
        let Command::Serve(told) = Cli::parse_from(told).command else { panic!("not serve") };
        Config::of(told, Home::with_key_file("data"))
    }

    /// Allow fewer of them, or ask for more in the guide, and nobody hears of whoever guesses tokens all day.
    #[test]
    fn who_guesses_tokens_all_the_time_is_refused_often_enough_for_the_alert() {
        let rate = config(&[]).unwrap().call_rates.failures;
        let mut failures = Buckets::new(rate, 1);
        let refused: u32 = (0..1_200_000)
            .step_by(100)
            .map(|at| u32::from(failures.take((), Timestamp::from_millis(at)).is_ok() && at >= 600_000))
            .sum();
        let guide = include_str!("../../docs/operations/day-two.md");
        let (_, bound) = guide.split_once(r#"{act="none",status="401"}[10m]) > "#).expect("the alert");
        let bound: f64 = bound.split('`').next().unwrap().parse().unwrap();
        assert!(
            f64::from(refused) / 600.0 > 1.5 * bound,
            "{refused} in ten minutes, and {bound} a second is the bound"
        );
    }

    /// Allow more, and a member that may not go on gives a task up as unknown before another may have it and look.
    #[test]
    fn no_task_is_kept_from_others_for_longer_than_its_member_waits_for_it() {
        assert!(config(&["--lease-ttl-secs", "780", "--settle-secs", "60"]).is_ok());
        let error = config(&["--lease-ttl-secs", "780", "--settle-secs", "61"]).unwrap_err();
        assert!(error.to_string().contains("`--lease-ttl-secs` and `--settle-secs` together"), "{error}");
    }

    #[test]
    fn the_api_stays_on_the_loopback() {
        assert!(config(&[]).is_ok());
        let error = config(&["--api-listen", "0.0.0.0:7080"]).unwrap_err();
        assert!(error.to_string().contains("TLS proxy"), "{error}");
    }

    #[test]
    fn health_stays_on_this_host_unless_that_is_said_in_so_many_words() {
        let listen = |address: &str, is_said: bool| {
            let said = if is_said { &["--health-open-to-the-network"][..] } else { &[] };
            config(&[&["--health-listen", address], said].concat()).map_err(|it| it.to_string())
        };
        assert!(listen("127.0.0.1:9465", false).is_ok() && listen("0.0.0.0:9465", true).is_ok());
        assert!(listen("0.0.0.0:9465", false).unwrap_err().contains("--health-open-to-the-network"));
    }

    #[test]
    fn a_certificate_lasts_seven_days_unless_told_otherwise() {
        let days = |certificate: &str, recovery: &str| {
            config(&["--certificate-days", certificate, "--recovery-days", recovery])
        };
        let settings = config(&[]).unwrap().settings;
        assert_eq!((settings.certificate_life.as_secs(), settings.recovery.as_secs()), (7 * 86_400, 14 * 86_400));
        assert_eq!(days("30", "0").unwrap().settings.certificate_life.as_secs(), 30 * 86_400);
        for (certificate, recovery, option) in
            [("0", "14", "--certificate-days"), ("31", "14", "--certificate-days"), ("7", "15", "--recovery-days")]
        {
            let error = days(certificate, recovery).unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        for (option, number) in [("--lease-ttl-secs", "0"), ("--certificate-days", "31")] {
            let error = config(&[option, number]).unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
        }
    }

    /// Take what is no name, and every call is answered with the advice to give the option that is there.
    #[test]
    fn a_name_of_the_api_is_one_that_a_caller_can_say() {
        for (name, said) in [
            ("API.example.com", "api.example.com"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::2]", "2001:db8::2"),
            ("2001:db8::2", "2001:db8::2"),
        ] {
            assert_eq!(config(&["--api-name", name]).unwrap().api_names, [said]);
        }
        for name in ["api.example.com:443", "https://api.example.com", "api.example.com ", "*.example.com", ""] {
            let error = config(&["--api-name", name]).unwrap_err().to_string();
            assert!(error.contains(&format!("`--api-name {name}`")), "{error}");
        }
    }
}
