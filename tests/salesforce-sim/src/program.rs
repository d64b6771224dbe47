//! The command line of the simulator.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is the program's voice")]

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::assumptions::Assumptions;
use crate::config::{Certificate, Config};
use crate::seed::{ADMIN, ADMIN_PASSWORD, ADMIN_TOKEN, CONSUMER_KEY, CONSUMER_SECRET, OrgSeed, SPARE_LICENSES};
use crate::simulator::{Simulator, StartError};

const EXAMPLES: &str = "\
Examples:
  salesforce-sim                               the built-in org on free ports; prints the URLs
  salesforce-sim --http 127.0.0.1:8080         plain HTTP on a fixed port, HTTPS on a free one
  salesforce-sim --users 100000 --json         a big org; the URLs and credentials as one JSON line
  salesforce-sim --org-file acme.toml          your own org; see README.md for the format

Steer it while it runs (same ports):
  curl -X POST URL/__sim/faults -d '{\"what\":{\"respond\":{\"status\":503}},\"times\":2}'
  curl -X POST URL/__sim/switches -d '{\"expire_sessions\":true}'
  curl URL/__sim/counters

Exit codes: 0 stopped by a signal, 1 cannot start, 2 wrong usage.";

/// A Salesforce simulator for user administration: SOAP and OAuth sign-in, REST, SOQL, collections, passwords, bulk jobs.
#[derive(Debug, Parser)]
#[command(name = "salesforce-sim", version, after_help = EXAMPLES)]
struct Options {
    /// Where to listen for plain HTTP; port 0 takes a free one; `off` for none
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    http: String,

    /// Where to listen for HTTPS; port 0 takes a free one; `off` for none
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    https: String,

    /// A TOML or JSON file with the org; without it the built-in one is used. May be given several times
    #[arg(long, value_name = "FILE")]
    org_file: Vec<PathBuf>,

    /// How many people the built-in org has besides its administrator
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "org_file")]
    users: usize,

    /// How many licenses the built-in org has beyond one for each of its people
    #[arg(long, value_name = "N", default_value_t = SPARE_LICENSES, conflicts_with = "org_file")]
    spare_licenses: usize,

    /// Certificate or public key (PEM) of the built-in org's connected app: allows JWT bearer logins
    #[arg(long, value_name = "FILE", conflicts_with = "org_file")]
    app_certificate: Option<PathBuf>,

    /// A TOML file with behavior to assume where the documentation is silent; see README.md
    #[arg(long, value_name = "FILE")]
    assumptions: Option<PathBuf>,

    /// The HTTPS certificate chain (PEM); without it one is made
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// Writes the certificate clients have to trust (PEM)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// The instance URL that logins give back; without it, the address the caller used
    #[arg(long, value_name = "URL")]
    instance_url: Option<String>,

    /// Prints the URLs as one JSON object
    #[arg(long)]
    json: bool,

    /// Writes the URLs as JSON once the simulator listens
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Why the program cannot run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("`{0}` is neither `off` nor an address with a port, such as 127.0.0.1:8080")]
    Address(String),
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` does not hold what it should, as TOML", path.display())]
    Toml {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    #[error("`{}` does not hold what it should, as JSON", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the simulator cannot start")]
    Start(#[from] StartError),
    #[error("the runtime cannot start")]
    Runtime(#[source] std::io::Error),
}

/// Runs the program until a signal stops it.
pub fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("salesforce-sim: {}", chain(&failure));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let config = config(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let simulator = Simulator::start(config).await?;
        announce(options, &simulator)?;
        wait_for_signal().await;
        simulator.stop().await;
        Ok(())
    })
}

fn config(options: &Options) -> Result<Config, Failure> {
    let orgs = if options.org_file.is_empty() {
        vec![built_in(options)?]
    } else {
        options.org_file.iter().map(|it| description(it)).collect::<Result<_, _>>()?
    };
    let certificate = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Some(Certificate { chain_pem: read(cert)?, key_pem: read(key)? }),
        _ => None,
    };
    Ok(Config {
        http: address(&options.http)?,
        https: address(&options.https)?,
        certificate,
        names: Vec::new(),
        instance_url: options.instance_url.clone(),
        orgs,
        assumptions: match &options.assumptions {
            Some(path) => description(path)?,
            None => Assumptions::default(),
        },
    })
}

fn built_in(options: &Options) -> Result<OrgSeed, Failure> {
    let mut org = OrgSeed::acme(options.users);
    org.license(options.users.saturating_add(options.spare_licenses));
    if let (Some(path), Some(app)) = (&options.app_certificate, org.apps.first_mut()) {
        app.certificate = Some(read(path)?);
    }
    Ok(org)
}

fn address(text: &str) -> Result<Option<SocketAddr>, Failure> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Failure::Address(text.to_owned()))
}

/// Reads a file as JSON if it is named so, else as TOML.
fn description<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = read(path)?;
    let path = path.to_owned();
    if path.extension().is_some_and(|it| it.eq_ignore_ascii_case("json")) {
        serde_json::from_str(&text).map_err(|source| Failure::Json { path, source })
    } else {
        toml::from_str(&text).map_err(|source| Failure::Toml { path, source })
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Read { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|source| Failure::Write { path: path.to_owned(), source })
}

/// Says where the simulator listens. The ready file comes last and whole: whoever waits for it may start.
fn announce(options: &Options, simulator: &Simulator) -> Result<(), Failure> {
    if let Some(path) = &options.ca_file {
        write(path, simulator.ca_pem())?;
    }
    let mut ready = json!({
        "http_url": simulator.http_url(),
        "https_url": simulator.https_url(),
        "pid": std::process::id(),
    });
    if options.org_file.is_empty()
        && let Some(ready) = ready.as_object_mut()
    {
        ready.insert("username".to_owned(), json!(ADMIN));
        ready.insert("password".to_owned(), json!(ADMIN_PASSWORD));
        ready.insert("security_token".to_owned(), json!(ADMIN_TOKEN));
        ready.insert("consumer_key".to_owned(), json!(CONSUMER_KEY));
        ready.insert("consumer_secret".to_owned(), json!(CONSUMER_SECRET));
    }
    if options.json {
        println!("{ready}");
    } else {
        println!("salesforce-sim listens on {} {}", simulator.http_url(), simulator.https_url());
    }
    if let Some(path) = &options.ready_file {
        let unfinished = path.with_extension("unfinished");
        write(&unfinished, &format!("{ready}\n"))?;
        std::fs::rename(&unfinished, path).map_err(|source| Failure::Write { path: path.clone(), source })?;
    }
    Ok(())
}

/// Ctrl-C or SIGTERM. Without signal handlers there is nothing to wait for but the end of the process.
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => (),
                _ = terminate.recv() => (),
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut beneath = error.source();
    while let Some(error) = beneath {
        text.push_str(": ");
        text.push_str(&error.to_string());
        beneath = error.source();
    }
    text
}
