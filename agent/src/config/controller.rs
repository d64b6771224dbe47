//! How the agent reaches its controller, and what stands in between.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::source::Source;
use super::{ConfigError, SecretError, SecretSource};

const SECTION: &str = "controller";
const ENTRY: &str = "[controller]";

/// How the agent reaches its controller.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The controller's URLs, tried in turn; empty: those learned at enrollment.
    pub urls: Vec<Url>,
    /// The proxy on the way.
    pub proxy: Option<Proxy>,
    /// The longest that TCP, TLS and upgrade may take together.
    pub connect_timeout: Duration,
    source: Arc<Source>,
}

/// An HTTP proxy to go through with `CONNECT`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its URL: `http://host:port`.
    #[serde(deserialize_with = "proxy_url")]
    pub url: Url,
    /// The name for Basic authentication.
    pub username: Option<String>,
    /// The password for Basic authentication.
    pub password: Option<SecretSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    urls: Vec<String>,
    proxy: Option<Proxy>,
    connect_timeout_secs: u64,
}

/// What holds for the keys that the file does not give.
pub(super) fn defaults() -> Vec<(&'static str, String)> {
    let secs = Section::default().connect_timeout_secs.to_string();
    vec![("urls", "those learned at enrollment".to_owned()), ("connect_timeout_secs", secs)]
}

impl Default for Section {
    fn default() -> Self {
        Self { urls: Vec::new(), proxy: None, connect_timeout_secs: 15 }
    }
}

const PROXY_FORM: &str = "a proxy's `url` looks like `http://proxy.example.com:3128`";

/// The message must not repeat what was written: there may be a password in it.
fn proxy_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| de::Error::custom(PROXY_FORM))
}

impl Proxy {
    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        if self.url.scheme() != "http" || self.url.host().is_none() {
            Some(PROXY_FORM)
        } else if !self.url.username().is_empty() || self.url.password().is_some() {
            Some("put the proxy's name in `username` and its password in a file named by `password`, not in the URL")
        } else if self.username.is_some() != self.password.is_some() {
            Some("a proxy needs both `username` and `password`, or neither")
        } else {
            None
        }
    }
}

/// What is said of what [`controller_url`] refuses, which is not repeated: there may be a password in it.
pub const NO_CONTROLLER_URL: &str =
    "not a controller's URL: write `wss://host:port`, without a name or a password, and never plain `ws://`";

/// The URL of a controller, if it is one.
pub fn controller_url(text: &str) -> Option<Url> {
    let is_fit = |url: &Url| {
        let is_open = url.username().is_empty() && url.password().is_none();
        url.scheme() == "wss" && url.host().is_some() && is_open
    };
    Url::parse(text).ok().filter(is_fit)
}

impl Controller {
    pub(super) fn from_source(source: &Arc<Source>) -> Result<Self, ConfigError> {
        let section: Section = source.section(SECTION)?;
        let wrong = |key: &str, problem: String| Err(source.error(source.place_of(SECTION, key), ENTRY, problem));
        let mut urls = Vec::new();
        for (number, text) in (1..).zip(&section.urls) {
            let Some(url) = controller_url(text) else {
                return wrong("urls", format!("number {number} of `urls` is {NO_CONTROLLER_URL}"));
            };
            urls.push(url);
        }
        if let Some(problem) = section.proxy.as_ref().and_then(Proxy::problem) {
            return wrong("proxy", problem.to_owned());
        }
        if !(1..=300).contains(&section.connect_timeout_secs) {
            return wrong("connect_timeout_secs", "`connect_timeout_secs` must be between 1 and 300".to_owned());
        }
        Ok(Self {
            urls,
            proxy: section.proxy,
            connect_timeout: Duration::from_secs(section.connect_timeout_secs),
            source: Arc::clone(source),
        })
    }

    /// The error that the secret of `field` cannot be read.
    pub fn unreadable(&self, field: &str, error: SecretError) -> ConfigError {
        self.source.secret(self.source.place_of(SECTION, field), ENTRY, field, error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn refused(text: &str) -> String {
        Config::parse(Path::new("agent.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_plain_url_is_refused() {
        let error = refused("[controller]\n\nurls = [\"ws://a.example\"]\n");
        assert!(error.starts_with("agent.toml:3: [controller]: number 1 of `urls` is not"), "{error}");
    }

    #[test]
    fn a_controller_whose_url_has_a_password_is_refused_without_repeating_it() {
        for url in
            ["wss://ops:hush@a.example", "https://ops:hush@a.example", "wss://hush@a.example", "ops:hush@a.example"]
        {
            let error = refused(&format!("[controller]\nurls = [\"wss://b.example\", \"{url}\"]\n"));
            assert!(error.starts_with("agent.toml:2: [controller]: number 2 of `urls` is not"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_with_what_to_change() {
        let error = refused("[controller]\nproxy = { url = \"http://a:b@proxy:1\" }\n");
        assert!(error.contains("not in the URL"), "{error}");
        let error = refused("[controller]\nproxy = { url = \"a:b@proxy\" }\n");
        assert!(error.contains("looks like `http://") && !error.contains("a:b"), "{error}");
        let error = refused("[controller]\nproxy = { url = \"http://proxy:1\", username = \"x\" }\n");
        assert!(error.contains("both `username` and `password`"), "{error}");
        let error = refused("[controller]\nproxy = { url = \"http://proxy:1\", usrname = \"x\" }\n");
        assert!(error.starts_with("agent.toml:2: [controller]: `proxy`: unknown field `usrname`"), "{error}");
    }
}
