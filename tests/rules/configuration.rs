//! The annotated example is a configuration, what it comments out is too, and it tells every key there is and nothing that
//! is not so.

use std::path::Path;

use postern_agent::config::Config;
use postern_agent::connector::{self, Bucket, Keep, Pending, Visit};
use postern_protocol::Failure;
use postern_tests::reference::{ANNOTATED as EXAMPLE, Key, Standing, sections};

use crate::features::spans;
use crate::tree::nothing_breaks;

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

    fn taken_anew(&self, _: postern_protocol::TaskId) -> Result<bool, Failure> {
        Ok(false)
    }

    fn owed(&self, _: postern_protocol::TaskId) -> Result<bool, Failure> {
        Ok(false)
    }
}

fn build(text: &str) -> Result<(), String> {
    let config = Config::parse(Path::new("agent.toml"), text).map_err(|error| error.to_string())?;
    let system = config.system("acme").ok_or("there is no system `acme`")?;
    let keep = std::sync::Arc::new(Nothing);
    connector::type_of(system).and_then(|it| it.build(system, keep)).map(drop).map_err(|error| error.to_string())
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

/// Every table, with what it needs.
const EVERY_TABLE: &str = r#"
[agent]
[controller]
[health]
[telemetry]
[[connected_system]]
name = "acme"
connector = "salesforce"
[connected_system.salesforce]
method = "oauth-jwt"
consumer_key = "k"
username = "u"
private_key = { env = "K" }
[connected_system.policy]
[[collection]]
name = "nightly"
system = "acme"
repeats = "daily"
directory = "/x"
"#;

fn with_line(header: &str, line: &str) -> String {
    assert!(EVERY_TABLE.contains(&format!("\n{header}\n")), "{header} is a table that this test does not know");
    EVERY_TABLE.replace(&format!("\n{header}\n"), &format!("\n{header}\n{line}\n"))
}

#[test]
fn the_example_has_every_key_that_there_is() {
    let mut places = Vec::new();
    for section in sections(EXAMPLE) {
        let error = build(&with_line(&section.header, "no_such_key = 1")).unwrap_err();
        let (_, known) = error.split_once("expected").unwrap_or_else(|| panic!("{error}"));
        for key in spans(known) {
            if !section.keys.iter().any(|it| it.name == key) {
                places.push(format!("{}: {key}", section.header));
            }
        }
    }
    nothing_breaks("packaging/config/agent.toml has every key that there is.", &places);
}

#[test]
fn the_bounds_that_the_example_gives_are_those_there_are() {
    let mut places = Vec::new();
    for section in sections(EXAMPLE) {
        for key in section.keys.iter().filter(|key| key.kind() == "whole number") {
            let takes = |number: u64| build(&with_line(&section.header, &format!("{} = {number}", key.name))).is_ok();
            let (least, most) = key.bounds().unwrap_or((0, u32::MAX.into()));
            let is_so = takes(least) && takes(most) && !takes(most + 1) && (least == 0 || !takes(least - 1));
            if !is_so {
                places.push(format!("{}: {}: {least} to {most}", section.header, key.name));
            }
        }
    }
    nothing_breaks("The bounds of a number in packaging/config/agent.toml are those it has.", &places);
}

/// What the connector makes of its settings is looked at beside them.
#[test]
fn the_defaults_that_the_example_gives_are_those_there_are() {
    let said = |text: &str| {
        let config = Config::parse(Path::new("agent.toml"), text).unwrap_or_else(|error| panic!("{error}"));
        let system = &config.systems[0];
        let it = &config.collections[0];
        format!(
            "{:?}",
            (
                (&config.state_dir, &config.store_key, config.log, config.disk_timeout, config.sealing_keys),
                (&config.controller.urls, &config.controller.proxy, config.controller.connect_timeout),
                (system.concurrency, &system.policy),
                (it.user_status, it.logins, &it.schedule, it.active, it.keep),
            )
        )
    };
    // What may be reached shows only beside an address that others than this host reach.
    let reached = |line: &str| build(&with_line("[health]", &format!("listen = \"0.0.0.0:9464\"\n{line}"))).is_ok();
    let is_default = |key: &&Key| key.standing == Standing::Default;
    let mut places = Vec::new();
    for section in sections(EXAMPLE).iter().filter(|it| it.header != "[connected_system.salesforce]") {
        for key in section.keys.iter().filter(is_default) {
            let line = format!("{} = {}", key.name, key.value);
            let is_so = said(&with_line(&section.header, &line)) == said(EVERY_TABLE)
                && (section.header != "[health]" || reached(&line) == reached(""));
            if !is_so {
                places.push(format!("{}: {line}", section.header));
            }
        }
    }
    nothing_breaks("What packaging/config/agent.toml comments out without `example` is the default.", &places);
}
