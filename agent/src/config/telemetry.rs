//! Where the agent tells of tasks.

use std::path::PathBuf;
use std::sync::Arc;

use postern_traces::Collector;
use serde::Deserialize;

use super::ConfigError;
use super::source::Source;

const SECTION: &str = "telemetry";
const ENTRY: &str = "[telemetry]";

/// Where the agent tells of tasks, if it does.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// The collector of traces.
    pub otlp: Option<Collector>,
    /// Who may vouch for it, besides the roots of the operating system.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    otlp: Option<String>,
    ca_file: Option<PathBuf>,
}

impl Telemetry {
    pub(super) fn from_source(source: &Arc<Source>) -> Result<Self, ConfigError> {
        let Section { otlp, ca_file } = source.section(SECTION)?;
        let otlp = otlp.map(|text| text.parse()).transpose().map_err(|error| {
            // It is not repeated: there may be a password in it.
            source.error(source.place_of(SECTION, "otlp"), ENTRY, format!("`otlp`: {error}"))
        })?;
        if ca_file.as_ref().is_some_and(|it| it.is_relative()) {
            // From where the agent is called is no place: a unit calls it from `/`, and a person from anywhere.
            let problem = "`ca_file`: it needs an absolute path, like `/etc/postern/collector-ca.pem`";
            return Err(source.error(source.place_of(SECTION, "ca_file"), ENTRY, problem.to_owned()));
        }
        Ok(Self { otlp, ca_file })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Telemetry, String> {
        Config::parse(Path::new("agent.toml"), text).map(|it| it.telemetry).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_told_unless_a_collector_is_named() {
        assert_eq!(parse("").unwrap().otlp, None);
        let told = parse("[telemetry]\notlp = \"https://collector.example\"\n").unwrap();
        assert_eq!(told.otlp.unwrap().url().as_str(), "https://collector.example/v1/traces");
    }

    #[test]
    fn who_vouches_for_the_collector_is_in_the_same_place_wherever_the_agent_is_called_from() {
        assert!(parse("[telemetry]\nca_file = \"/etc/postern/ca.pem\"\n").unwrap().ca_file.is_some());
        let error = parse("[telemetry]\n\nca_file = \"ca.pem\"\n").unwrap_err();
        assert!(error.starts_with("agent.toml:3: [telemetry]: `ca_file`: it needs an absolute path"), "{error}");
    }

    #[test]
    fn a_collector_that_is_none_is_refused_with_its_place_and_without_its_password() {
        let error = parse("[telemetry]\n\notlp = \"https://me:hush@collector.example\"\n").unwrap_err();
        assert!(error.starts_with("agent.toml:3: [telemetry]: `otlp`: expected the URL"), "{error}");
        assert!(!error.contains("hush"), "{error}");
        let error = parse("[telemetry]\notlp = \"http://collector.example\"\n").unwrap_err();
        assert!(error.contains("plain `http://` reaches a collector on this host only"), "{error}");
        let error = parse("[telemetry]\nheaders = \"x\"\n").unwrap_err();
        assert!(error.starts_with("agent.toml:2: [telemetry]: unknown field `headers`"), "{error}");
    }
}
