//! How the agent reaches its controller, and what stands in between.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::source::{Source, place};
use super::{ConfigError, SecretSource};

/// How the agent reaches its controller.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The controller's URLs, tried in turn; empty: those learned at enrollment.
    pub urls: Vec<Url>,
    /// The proxy on the way.
    pub proxy: Option<Proxy>,
    /// The longest that TCP, TLS and upgrade may take together.
    pub connect_timeout: Duration,
}

/// An HTTP proxy to go through with `CONNECT`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its URL: `http://host:port`.
    pub url: Url,
    /// The name for Basic authentication.
    pub username: Option<String>,
    /// The password for Basic authentication.
    pub password: Option<SecretSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    urls: Vec<Url>,
    proxy: Option<Proxy>,
    connect_timeout_secs: u64,
}

impl Default for Section {
    fn default() -> Self {
        Self { urls: Vec::new(), proxy: None, connect_timeout_secs: 15 }
    }
}

impl Proxy {
    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        if self.url.scheme() != "http" || self.url.host().is_none() {
            Some("a proxy's `url` looks like `http://proxy.example.com:3128`")
        } else if !self.url.username().is_empty() || self.url.password().is_some() {
            Some("put the proxy's name in `username` and its password in a file named by `password`, not in the URL")
        } else if self.username.is_some() != self.password.is_some() {
            Some("a proxy needs both `username` and `password`, or neither")
        } else {
            None
        }
    }
}

impl Controller {
    pub(super) fn from_source(source: &Source) -> Result<Self, ConfigError> {
        let section: Section = source.section("controller")?;
        let wrong = |key: &str, problem: String| {
            let document = source.document()?.into_inner();
            let table = document.get("controller").and_then(|value| value.get_ref().as_table());
            Err(source.error(table.and_then(|table| place(table, key)), "[controller]", problem))
        };
        if let Some(url) = section.urls.iter().find(|url| url.scheme() != "wss" || url.host().is_none()) {
            return wrong("urls", format!("`{url}` is not a controller's URL: it must begin with `wss://`"));
        }
        if let Some(problem) = section.proxy.as_ref().and_then(Proxy::problem) {
            return wrong("proxy", problem.to_owned());
        }
        if !(1..=300).contains(&section.connect_timeout_secs) {
            return wrong("connect_timeout_secs", "`connect_timeout_secs` must be between 1 and 300".to_owned());
        }
        Ok(Self {
            urls: section.urls,
            proxy: section.proxy,
            connect_timeout: Duration::from_secs(section.connect_timeout_secs),
        })
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
        assert!(error.starts_with("agent.toml:3: [controller]: `ws://a.example/` is not"), "{error}");
    }

    #[test]
    fn a_proxy_is_checked() {
        let error = refused("[controller]\nproxy = { url = \"http://a:b@proxy:1\" }\n");
        assert!(error.contains("not in the URL"), "{error}");
        let error = refused("[controller]\nproxy = { url = \"http://proxy:1\", username = \"x\" }\n");
        assert!(error.contains("both `username` and `password`"), "{error}");
        let error = refused("[controller]\nproxy = { url = \"http://proxy:1\", usrname = \"x\" }\n");
        assert!(error.starts_with("agent.toml:2: [controller]: unknown field `usrname`"), "{error}");
    }
}
