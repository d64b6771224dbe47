//! What the configuration says about one Salesforce org: the table `[connected_system.salesforce]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::domain;
use super::network::Network;
use super::range::Range;
use crate::config::{ConfigError, Proxy, SecretSource, System, quoted};
use crate::http::{Compression, Encryption, Options, Roots, SystemRoots, Version};

/// Everything the connector knows of its org before it has talked to it.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Where to sign in.
    pub(super) login_url: Url,
    /// How to sign in.
    pub(super) method: Method,
    /// How to get there.
    pub(super) http: Options,
    /// How many calls may run at once.
    pub(super) max_concurrent_calls: usize,
    /// How much of the org's API calls batches may see used before they wait.
    pub(super) api_budget_percent: u8,
    /// As in `66.0`.
    pub(super) api_version: String,
    /// When it is looked for the effect of a call without an answer: most that come at all have come by then.
    pub(super) settle: Duration,
    /// How long it is looked for before the call is taken for one without an effect, if that matters.
    pub(super) settle_once: Duration,
    /// The attribute that tells a new user from any other, beside its name.
    pub(super) marker: Option<String>,
    /// How many refused sign-ins open the circuit.
    pub(super) max_refused_logins: u32,
    /// The addresses from which Salesforce wants no security token, as the operator knows them.
    pub(super) trusted_ranges: Vec<Range>,
    /// Where the schema comes from, if it is not the standard one.
    pub(super) schema: Option<PathBuf>,
}

/// How to sign in.
#[derive(Debug, Clone)]
pub(super) enum Method {
    OauthJwt { consumer_key: String, username: String, private_key: SecretSource, audience: String },
    OauthClientCredentials { consumer_key: String, consumer_secret: SecretSource },
    OauthPassword { consumer_key: String, consumer_secret: SecretSource, login: PasswordLogin },
    Soap { login: PasswordLogin },
}

/// A name and a password, and the token that Salesforce wants from unknown networks.
#[derive(Debug, Clone)]
pub(super) struct PasswordLogin {
    pub(super) username: String,
    pub(super) password: SecretSource,
    pub(super) security_token: Option<SecretSource>,
    pub(super) network: Network,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MethodName {
    OauthJwt,
    OauthClientCredentials,
    OauthPassword,
    Soap,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
struct Table {
    #[serde(default)]
    domain: String,
    method: MethodName,
    consumer_key: Option<String>,
    consumer_secret: Option<SecretSource>,
    private_key: Option<SecretSource>,
    audience: Option<String>,
    username: Option<String>,
    password: Option<SecretSource>,
    security_token: Option<SecretSource>,
    network: Option<Network>,
    proxy: Option<Proxy>,
    #[serde(default)]
    root_certificates: Vec<PathBuf>,
    #[serde(default)]
    only_these_roots: bool,
    #[serde(default)]
    insecure_plain_http: bool,
    #[serde(default = "yes")]
    compression: bool,
    #[serde(default)]
    http2: bool,
    #[serde(default = "max_concurrent_calls")]
    max_concurrent_calls: usize,
    #[serde(default = "api_budget_percent")]
    api_budget_percent: u64,
    #[serde(default = "connect_timeout")]
    connect_timeout_secs: u64,
    #[serde(default = "request_timeout")]
    request_timeout_secs: u64,
    #[serde(default = "api_version")]
    api_version: String,
    #[serde(default = "settle")]
    settle_ms: u64,
    settle_once_ms: Option<u64>,
    create_marker: Option<String>,
    #[serde(default = "max_refused_logins")]
    max_refused_logins: u32,
    #[serde(default)]
    trusted_ranges: Vec<String>,
    schema: Option<PathBuf>,
}

/// More than an org can have.
const MAX_RANGES: usize = 1_000;
/// Three times the length of those that Salesforce makes.
const MAX_CONSUMER_KEY: usize = 256;
/// The longest name of a user in Salesforce.
const MAX_USERNAME: usize = 80;
/// A URL of the longest host.
const MAX_AUDIENCE: usize = 300;
/// The longest name of an attribute in Salesforce.
const MAX_ATTRIBUTE: usize = 80;

const fn yes() -> bool {
    true
}

const fn connect_timeout() -> u64 {
    30
}

const fn request_timeout() -> u64 {
    60
}

/// Salesforce refuses more than 25 calls that run longer than 20 seconds, whoever makes them.
const fn max_concurrent_calls() -> usize {
    10
}

/// The last quarter of the calls is for people, other programs and tasks about single accounts.
const fn api_budget_percent() -> u64 {
    75
}

/// Out for a year, so every org has it, and nothing newer is used.
fn api_version() -> String {
    "66.0".to_owned()
}

/// Most calls that will commit at all have done so by then.
const fn settle() -> u64 {
    2_000
}

/// Calls were seen to commit a minute and a half after their time-out. The time-out itself comes on top: what a process
/// asked for a moment before it died was not given up yet.
const fn settle_once(request_timeout_secs: u64) -> u64 {
    90_000 + request_timeout_secs * 1_000
}

/// The strictest lock-out that Salesforce offers comes after three.
const fn max_refused_logins() -> u32 {
    2
}

type Checked<T> = Result<T, (&'static str, String)>;

impl Settings {
    /// Reads and checks the settings of a system.
    pub(super) fn read(system: &System) -> Result<Self, ConfigError> {
        let table: Table = system.settings()?;
        table.check().map_err(|(field, problem)| system.invalid(field, problem))
    }

    /// What holds for the keys that are not given, as the file would say it.
    pub(super) fn defaults(system: &System) -> Vec<(&'static str, String)> {
        let settings = Self::read(system);
        let settle_once =
            settings.as_ref().map_or(settle_once(request_timeout()), |it| settle_once(it.http.timeout.as_secs()));
        let mut defaults = vec![
            ("domain", quoted(domain::PRODUCTION)),
            ("root_certificates", "[]".to_owned()),
            ("only_these_roots", false.to_string()),
            ("insecure_plain_http", false.to_string()),
            ("compression", yes().to_string()),
            ("http2", false.to_string()),
            ("max_concurrent_calls", max_concurrent_calls().to_string()),
            ("api_budget_percent", api_budget_percent().to_string()),
            ("connect_timeout_secs", connect_timeout().to_string()),
            ("request_timeout_secs", request_timeout().to_string()),
            ("api_version", quoted(&api_version())),
            ("settle_ms", settle().to_string()),
            ("settle_once_ms", settle_once.to_string()),
            ("max_refused_logins", max_refused_logins().to_string()),
            ("trusted_ranges", "[]".to_owned()),
        ];
        match settings.map(|settings| settings.method) {
            Ok(Method::OauthJwt { audience, .. }) => defaults.push(("audience", quoted(&audience))),
            Ok(Method::OauthPassword { .. } | Method::Soap { .. }) => defaults.push(("network", quoted("auto"))),
            Ok(Method::OauthClientCredentials { .. }) | Err(_) => (),
        }
        defaults
    }
}

impl Table {
    fn check(mut self) -> Checked<Settings> {
        let encryption = if self.insecure_plain_http { Encryption::NotRequired } else { Encryption::Required };
        let login_url = domain::login_url(&self.domain, encryption).map_err(|problem| ("domain", problem))?;
        self.check_texts()?;
        self.check_paths()?;
        let api_budget_percent = self.check_numbers()?;
        let settle_once_ms = self.settle_once_ms.unwrap_or_else(|| settle_once(self.request_timeout_secs));
        let trusted_ranges = self.ranges()?;
        let method = self.method(&login_url)?;
        self.check_leftovers()?;
        if let Some(problem) = self.proxy.as_ref().and_then(Proxy::problem) {
            return Err(("proxy", problem.to_owned()));
        }
        let system = if self.only_these_roots { SystemRoots::Ignored } else { SystemRoots::Trusted };
        Ok(Settings {
            login_url,
            method,
            http: Options {
                proxy: self.proxy,
                roots: Roots { files: self.root_certificates, system },
                connect_timeout: (self.connect_timeout_secs > 0)
                    .then(|| Duration::from_secs(self.connect_timeout_secs)),
                timeout: Duration::from_secs(self.request_timeout_secs),
                compression: if self.compression { Compression::Allowed } else { Compression::Off },
                encryption,
                version: if self.http2 { Version::Http2 } else { Version::Http1 },
            },
            max_concurrent_calls: self.max_concurrent_calls,
            api_budget_percent,
            api_version: self.api_version,
            settle: Duration::from_millis(self.settle_ms),
            settle_once: Duration::from_millis(settle_once_ms.max(self.settle_ms)),
            marker: self.create_marker,
            max_refused_logins: self.max_refused_logins,
            trusted_ranges,
            schema: self.schema,
        })
    }

    fn ranges(&self) -> Checked<Vec<Range>> {
        let wrong = |problem: String| ("trusted_ranges", problem);
        if self.trusted_ranges.len() > MAX_RANGES {
            return Err(wrong(format!("there are more than {MAX_RANGES}; join them")));
        }
        let read = |text: &String| {
            Range::parse(text)
                .ok_or_else(|| wrong(format!("`{text}` is no range of addresses; write `203.0.113.0/24`")))
        };
        self.trusted_ranges.iter().map(read).collect()
    }

    fn check_texts(&self) -> Checked<()> {
        let texts = [
            ("consumer_key", &self.consumer_key, MAX_CONSUMER_KEY),
            ("username", &self.username, MAX_USERNAME),
            ("audience", &self.audience, MAX_AUDIENCE),
            ("create_marker", &self.create_marker, MAX_ATTRIBUTE),
        ];
        for (field, text, most) in texts {
            let length = text.as_ref().map(|text| text.trim().chars().count());
            if length.is_some_and(|length| !(1..=most).contains(&length)) {
                return Err((field, format!("it must have between 1 and {most} characters")));
            }
        }
        Ok(())
    }

    fn check_paths(&self) -> Checked<()> {
        // From where the agent is called is no place: a unit calls it from `/`, and a person from anywhere.
        let wrong = |field, like: &str| Err((field, format!("it needs an absolute path, like `{like}`")));
        if self.root_certificates.iter().any(|it| it.is_relative()) {
            return wrong("root_certificates", "/etc/postern/proxy-ca.pem");
        }
        if self.schema.as_ref().is_some_and(|it| it.is_relative()) {
            return wrong("schema", "/etc/postern/secrets/acme-schema.xml");
        }
        Ok(())
    }

    fn check_numbers(&self) -> Checked<u8> {
        let wrong = |field, problem: &str| Err((field, problem.to_owned()));
        if self.connect_timeout_secs > 600 {
            return wrong("connect_timeout_secs", "it must be at most 600; 0 means that only the request is bounded");
        }
        // Of the longest lease of a controller, 839 s, two thirds, and a second less: no change could be made with more.
        if !(1..=558).contains(&self.request_timeout_secs) {
            return wrong("request_timeout_secs", "it must be between 1 and 558: no lease is long enough for more");
        }
        if !(1..=25).contains(&self.max_concurrent_calls) {
            return wrong("max_concurrent_calls", "it must be between 1 and 25, which is what Salesforce allows");
        }
        let api_budget_percent = u8::try_from(self.api_budget_percent).ok().filter(|it| (1..=100).contains(it));
        let Some(api_budget_percent) = api_budget_percent else {
            return wrong("api_budget_percent", "it must be between 1 and 100; 100 means that batches never wait");
        };
        if self.settle_ms > 600_000 {
            return wrong("settle_ms", "it must be at most 600000");
        }
        // What holds with the longest time-out.
        if self.settle_once_ms.is_some_and(|it| it > 648_000) {
            return wrong("settle_once_ms", "it must be at most 648000");
        }
        let is_name =
            |name: &String| !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        if !self.create_marker.as_ref().is_none_or(is_name) {
            return wrong("create_marker", "it is the name of an attribute of users, like `FederationIdentifier`");
        }
        if !(1..=10).contains(&self.max_refused_logins) {
            return wrong("max_refused_logins", "it must be between 1 and 10");
        }
        let major = self.api_version.strip_suffix(".0").and_then(|major| major.parse::<u32>().ok());
        if !major.is_some_and(|major| (50..=99).contains(&major)) {
            return wrong("api_version", "it looks like `66.0`, and must be 50.0 or newer");
        }
        if self.only_these_roots && self.root_certificates.is_empty() {
            return wrong("only_these_roots", "name the roots in `root_certificates`");
        }
        Ok(api_budget_percent)
    }

    fn method(&mut self, login_url: &Url) -> Checked<Method> {
        let name = self.method;
        let needs = move |field: &'static str| {
            move || (field, format!("it is missing; `method = \"{}\"` needs it", name.text()))
        };
        match name {
            MethodName::OauthJwt => Ok(Method::OauthJwt {
                consumer_key: self.consumer_key.take().ok_or_else(needs("consumer_key"))?,
                username: self.username.take().ok_or_else(needs("username"))?,
                private_key: self.private_key.take().ok_or_else(needs("private_key"))?,
                audience: self.audience.take().unwrap_or_else(|| domain::audience(login_url)),
            }),
            MethodName::OauthClientCredentials if domain::is_shared(login_url) => {
                let problem =
                    "client credentials work on the org's own host only; write `<my-domain>.my.salesforce.com`";
                Err(("domain", problem.to_owned()))
            }
            MethodName::OauthClientCredentials => Ok(Method::OauthClientCredentials {
                consumer_key: self.consumer_key.take().ok_or_else(needs("consumer_key"))?,
                consumer_secret: self.consumer_secret.take().ok_or_else(needs("consumer_secret"))?,
            }),
            MethodName::OauthPassword => Ok(Method::OauthPassword {
                consumer_key: self.consumer_key.take().ok_or_else(needs("consumer_key"))?,
                consumer_secret: self.consumer_secret.take().ok_or_else(needs("consumer_secret"))?,
                login: self.login(needs)?,
            }),
            MethodName::Soap => Ok(Method::Soap { login: self.login(needs)? }),
        }
    }

    fn login<F: FnOnce() -> (&'static str, String)>(
        &mut self,
        needs: impl Fn(&'static str) -> F,
    ) -> Checked<PasswordLogin> {
        let network = self.network.take().unwrap_or(Network::Auto);
        let security_token = self.security_token.take();
        match (network, &security_token) {
            (Network::Token, None) => {
                return Err(("security_token", "it is missing; `network = \"token\"` needs it".to_owned()));
            }
            (Network::TrustedIp, Some(_)) => {
                let problem = "`network = \"trusted-ip\"` never uses it; remove it, or use `network = \"auto\"`";
                return Err(("security_token", problem.to_owned()));
            }
            _ => (),
        }
        Ok(PasswordLogin {
            username: self.username.take().ok_or_else(needs("username"))?,
            password: self.password.take().ok_or_else(needs("password"))?,
            security_token,
            network,
        })
    }

    /// What the method has not taken, it does not use: the operator expects something else of it.
    fn check_leftovers(&self) -> Checked<()> {
        let left = [
            ("consumer_key", self.consumer_key.is_some()),
            ("consumer_secret", self.consumer_secret.is_some()),
            ("private_key", self.private_key.is_some()),
            ("audience", self.audience.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("security_token", self.security_token.is_some()),
            ("network", self.network.is_some()),
        ];
        match left.into_iter().find(|(_, is_left)| *is_left) {
            Some((field, _)) => {
                Err((field, format!("`method = \"{}\"` does not use it; remove it", self.method.text())))
            }
            None => Ok(()),
        }
    }
}

impl MethodName {
    const fn text(self) -> &'static str {
        match self {
            Self::OauthJwt => "oauth-jwt",
            Self::OauthClientCredentials => "oauth-client-credentials",
            Self::OauthPassword => "oauth-password",
            Self::Soap => "soap",
        }
    }
}

impl Method {
    /// Its name, as in the configuration.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::OauthJwt { .. } => MethodName::OauthJwt.text(),
            Self::OauthClientCredentials { .. } => MethodName::OauthClientCredentials.text(),
            Self::OauthPassword { .. } => MethodName::OauthPassword.text(),
            Self::Soap { .. } => MethodName::Soap.text(),
        }
    }

    /// Whether a refusal says that the token is wanted: OAuth says the same of everything.
    pub(super) const fn asks_for_token(&self) -> bool {
        matches!(self, Self::Soap { .. })
    }

    /// The account it signs in with; client credentials do not say.
    pub(super) fn username(&self) -> Option<&str> {
        match self {
            Self::OauthJwt { username, .. } => Some(username),
            Self::OauthClientCredentials { .. } => None,
            Self::OauthPassword { login, .. } | Self::Soap { login } => Some(&login.username),
        }
    }

    /// The password and what belongs to it, for the methods that have one.
    pub(super) fn login(&self) -> Option<&PasswordLogin> {
        match self {
            Self::OauthJwt { .. } | Self::OauthClientCredentials { .. } => None,
            Self::OauthPassword { login, .. } | Self::Soap { login } => Some(login),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(settings: &str) -> Result<Settings, String> {
        let text = format!(
            "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[connected_system.salesforce]\n{settings}\n"
        );
        let config = Config::parse(Path::new("agent.toml"), &text).unwrap();
        Settings::read(&config.systems[0]).map_err(|error| error.to_string())
    }

    const JWT: &str = "method = \"oauth-jwt\"\nconsumer_key = \"k\"\nusername = \"u\"\nprivate_key = { env = \"K\" }\n";
    const SOAP: &str = "method = \"soap\"\nusername = \"u\"\npassword = { env = \"P\" }\n";

    /// Feature C2.
    #[test]
    fn each_method_has_its_fields() {
        let settings = read(JWT).unwrap();
        assert_eq!(settings.method.name(), "oauth-jwt");
        assert!(matches!(settings.method, Method::OauthJwt { audience, .. } if audience == domain::PRODUCTION));
        assert!(read(SOAP).unwrap().method.login().is_some());
        let client = "method = \"oauth-client-credentials\"\nconsumer_key = \"k\"\nconsumer_secret = { env = \"S\" }\n";
        assert!(read(&format!("{client}domain = \"acme.my.salesforce.com\"")).is_ok());
        assert!(read(client).unwrap_err().contains("the org's own host"));
        let password = "method = \"oauth-password\"\nconsumer_key = \"k\"\nconsumer_secret = { env = \"S\" }\n\
                        username = \"u\"\npassword = { env = \"P\" }\nnetwork = \"token\"\nsecurity_token = { env = \"T\" }";
        assert_eq!(read(password).unwrap().method.username(), Some("u"));
    }

    #[test]
    fn a_field_too_few_or_too_many_is_named_with_its_line() {
        let error = read("method = \"soap\"\nusername = \"u\"").unwrap_err();
        assert!(error.contains("`password`: it is missing; `method = \"soap\"` needs it"), "{error}");
        let error = read(&format!("{JWT}password = {{ env = \"P\" }}")).unwrap_err();
        assert!(error.starts_with("agent.toml:9: connected system `acme`: `password`: `method"), "{error}");
        let error = read(&format!("{SOAP}network = \"token\"")).unwrap_err();
        assert!(error.contains("`security_token`: it is missing"), "{error}");
        let error = read(&format!("{SOAP}network = \"trusted-ip\"\nsecurity_token = {{ env = \"T\" }}")).unwrap_err();
        assert!(error.contains("never uses it"), "{error}");
        let error = read(&format!("{SOAP}netwrok = \"auto\"")).unwrap_err();
        assert!(error.contains("agent.toml:8:") && error.contains("unknown field `netwrok`"), "{error}");
    }

    /// Feature B18.
    #[test]
    fn a_value_outside_its_limits_is_refused_by_the_name_of_its_key() {
        for (line, field) in [
            ("connect_timeout_secs = 601", "connect_timeout_secs"),
            ("request_timeout_secs = 0", "request_timeout_secs"),
            ("request_timeout_secs = 559", "request_timeout_secs"),
            ("max_concurrent_calls = 0", "max_concurrent_calls"),
            ("max_concurrent_calls = 26", "max_concurrent_calls"),
            ("api_budget_percent = 0", "api_budget_percent"),
            ("api_budget_percent = 101", "api_budget_percent"),
            ("api_budget_percent = 300", "api_budget_percent"),
            ("settle_ms = 600001", "settle_ms"),
            ("settle_once_ms = 648001", "settle_once_ms"),
            ("create_marker = \"Id, Name\"", "create_marker"),
            ("max_refused_logins = 0", "max_refused_logins"),
            ("api_version = \"66\"", "api_version"),
            ("only_these_roots = true", "only_these_roots"),
            ("root_certificates = [\"/ca.pem\", \"proxy-ca.pem\"]", "root_certificates"),
            ("schema = \"acme.xml\"", "schema"),
        ] {
            let error = read(&format!("{SOAP}{line}")).unwrap_err();
            assert!(error.contains(&format!("`{field}`: ")), "{error}");
        }
        let long = "x".repeat(301);
        for (field, method) in
            [("consumer_key", "oauth-jwt"), ("username", "soap"), ("audience", "oauth-jwt"), ("create_marker", "soap")]
        {
            for value in ["", "  ", &long] {
                let error = read(&format!("method = \"{method}\"\n{field} = \"{value}\"")).unwrap_err();
                assert!(error.contains(&format!("`{field}`: it must have between 1 and ")), "{error}");
            }
        }
        let error = read(&format!("{SOAP}domain = \"{long}.example\"")).unwrap_err();
        assert!(error.contains("`domain`: no host has a name of more than 253 characters"), "{error}");
        let error = read(&format!("{SOAP}domain = \"https://me:hunter2@acme.my.salesforce.com\"")).unwrap_err();
        assert!(
            error.contains("`domain`: it is a host or a URL without name") && !error.contains("hunter2"),
            "{error}"
        );
        assert_eq!(read(&format!("{SOAP}connect_timeout_secs = 0")).unwrap().http.connect_timeout, None);
    }

    /// What a process asked for a moment before it died has all of its time left, however long that is.
    #[test]
    fn an_effect_is_looked_for_longer_than_a_call_may_take() {
        for (line, secs) in [
            ("", 150),
            ("request_timeout_secs = 300", 390),
            ("request_timeout_secs = 558", 648),
            ("request_timeout_secs = 300\nsettle_once_ms = 1000", 1),
            ("settle_once_ms = 648000", 648),
        ] {
            assert_eq!(read(&format!("{SOAP}settle_ms = 0\n{line}")).unwrap().settle_once.as_secs(), secs, "{line}");
        }
    }

    #[test]
    fn the_annotated_example_shows_the_defaults() {
        let example = include_str!("../../../../packaging/config/agent.toml");
        let (_, table) = example.split_once("[connected_system.salesforce]").unwrap();
        let (table, _) = table.split_once("[connected_system.policy]").unwrap();
        let lines = table.lines().filter_map(|line| line.strip_prefix('#'));
        let defaults = lines.filter(|it| !it.starts_with(' ') && it.contains(" = ") && !it.contains("  # "));
        for line in defaults {
            let shown = |text: &str| format!("{:?}", read(text).unwrap());
            assert_eq!(shown(&format!("{SOAP}{line}")), shown(SOAP), "{line}");
        }
    }

    #[test]
    fn a_trusted_range_that_is_none_is_named() {
        let ranges = |list: &str| read(&format!("{SOAP}trusted_ranges = {list}"));
        assert_eq!(ranges("[\"203.0.113.0/24\", \"2001:db8::/32\"]").unwrap().trusted_ranges.len(), 2);
        let error = ranges("[\"203.0.113.1-203.0.113.9\"]").unwrap_err();
        assert!(error.contains("`trusted_ranges`: `203.0.113.1-203.0.113.9` is no range"), "{error}");
    }

    /// Feature B18.
    #[test]
    fn plain_http_takes_a_word() {
        let plain = format!("{SOAP}domain = \"http://127.0.0.1:8080\"\n");
        assert!(read(&plain).unwrap_err().contains("insecure_plain_http = true"));
        assert!(read(&format!("{plain}insecure_plain_http = true")).is_ok());
    }
}
