//! The annotated example is a configuration, and what it comments out is too.

use std::path::Path;

use postern_agent::config::Config;
use postern_agent::connector::{self, Bucket, Keep, Pending, Visit};
use postern_protocol::Failure;

const EXAMPLE: &str = include_str!("../../packaging/config/agent.toml");

struct Nothing;

impl Keep for Nothing {
    fn recall(&self, _: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn keep<'a>(&'a self, _: &'a str, _: Vec<u8>) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn forget<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn bucket(&self, _: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn keep_buckets(&self, _: Vec<Bucket>) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn each_bucket(&self, _: &str, _: &mut Visit<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn forget_buckets<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn delivered(&self, _: postern_protocol::TaskId) -> Result<bool, Failure> {
        Ok(false)
    }
}

fn build(text: &str) -> Result<(), String> {
    let config = Config::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())?;
    let system = config.system("acme").ok_or("there is no system `acme`")?;
    let keep = std::sync::Arc::new(Nothing);
    connector::build(system, keep).map(drop).map_err(|error| error.to_string())
}

/// The example with the methods' lines replaced by those of `method`, and everything else that is commented out on.
fn with_method(method: &str) -> String {
    let mut text = String::new();
    let mut section = String::new();
    for line in EXAMPLE.lines() {
        let is_plain = |it: &&str| (it.contains(" = ") || it.starts_with('[')) && !it.starts_with(' ');
        let plain = line.strip_prefix('#').filter(is_plain).unwrap_or(line);
        let key = plain.split(" = ").next().unwrap_or_default();
        if key == "method" {
            plain.clone_into(&mut section);
        } else if key == "network" {
            section.clear();
        }
        let chosen = section.is_empty() || section.contains(&format!("\"{method}\""));
        let unusable = ["urls", "root_certificates", "schema"].contains(&key)
            || key == "proxy"
            || key == "network" && !["oauth-password", "soap"].contains(&method);
        if chosen && !unusable {
            text.push_str(plain);
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_example_is_a_configuration() {
    build(EXAMPLE).unwrap();
}

#[test]
fn what_the_example_comments_out_is_right_too() {
    for method in ["oauth-jwt", "oauth-client-credentials", "oauth-password", "soap"] {
        build(&with_method(method)).unwrap_or_else(|error| panic!("{method}: {error}"));
    }
    let config = Config::parse(Path::new("agent.toml"), &with_method("oauth-jwt")).unwrap();
    assert_eq!(config.collections.len(), 1);
}

#[test]
fn a_connector_that_does_not_exist_is_refused_with_those_that_do() {
    let wrong = EXAMPLE.replace("connector = \"salesforce\"", "connector = \"ldap\"");
    let error = build(&wrong).unwrap_err();
    assert!(error.contains("the table `salesforce` is not of the connector `ldap`"), "{error}");
    let error = build(&wrong.replace("[connected_system.salesforce]", "[connected_system.ldap]")).unwrap_err();
    assert!(error.contains("there is no connector `ldap`; there is: `salesforce`"), "{error}");
}
