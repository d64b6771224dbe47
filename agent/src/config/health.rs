//! Where this agent says how it is.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::ConfigError;
use super::source::Source;

const SECTION: &str = "health";
const ENTRY: &str = "[health]";

/// Where this agent says how it is, besides its own socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The address of the endpoint for probes and Prometheus; `None`: there is none.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    listen: Option<String>,
    open_to_the_network: bool,
}

impl Health {
    pub(super) fn from_source(source: &Arc<Source>) -> Result<Self, ConfigError> {
        let section: Section = source.section(SECTION)?;
        let wrong = |problem: String| Err(source.error(source.place_of(SECTION, "listen"), ENTRY, problem));
        let Some(text) = section.listen else { return Ok(Self { listen: None }) };
        let Ok(address) = text.parse::<SocketAddr>() else {
            return wrong(format!("`listen`: `{text}` is not an address with a port: write `127.0.0.1:9464`"));
        };
        if !address.ip().is_loopback() && !section.open_to_the_network {
            return wrong(format!(
                "`listen`: `{address}` can be reached from elsewhere, by everybody and in clear: write `127.0.0.1:{}`, or \
                 `open_to_the_network = true` beside it",
                address.port()
            ));
        }
        Ok(Self { listen: Some(address) })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn parse(text: &str) -> Result<Option<String>, String> {
        let config = Config::parse(Path::new("agent.toml"), &format!("[health]\n{text}\n"));
        config.map(|it| it.health.listen.map(|it| it.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_no_endpoint_unless_one_is_named() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("listen = \"127.0.0.1:9464\""), Ok(Some("127.0.0.1:9464".to_owned())));
        assert_eq!(parse("listen = \"[::1]:9464\""), Ok(Some("[::1]:9464".to_owned())));
    }

    #[test]
    fn the_endpoint_stays_on_this_host_unless_that_is_said_in_so_many_words() {
        let error = parse("listen = \"0.0.0.0:9464\"").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [health]: `listen`: `0.0.0.0:9464` can be reached"), "{error}");
        assert!(parse("listen = \"0.0.0.0:9464\"\nopen_to_the_network = true").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_place() {
        for wrong in ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:99999"] {
            let error = parse(&format!("listen = \"{wrong}\"")).unwrap_err();
            assert!(error.starts_with("agent.toml:2: [health]: `listen`: ") && error.contains("9464"), "{error}");
        }
        assert!(parse("listen = 9464").unwrap_err().starts_with("agent.toml:2: [health]: `listen`"));
        assert!(parse("port = 9464").unwrap_err().contains("unknown field `port`"));
    }
}
