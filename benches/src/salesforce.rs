//! The simulated Salesforce, in a process of its own.
//!
//! Within this process it would share a runtime with the bare client, which then reached it without waking another
//! process, while the agent has to: the ratio would compare two distances. As a process it is equally far from both.

use std::path::Path;

use postern_tests::lab::Process;
use reqwest::Client;
use serde_json::{Value, json};

use crate::Failure;

/// A running simulator with no latency and no daily limit.
#[derive(Debug)]
pub struct Salesforce {
    url: String,
    http: Client,
    process: Process,
}

impl Salesforce {
    /// Starts it with so many users; `programs` is where the lab keeps its programs, `folder` where to write.
    pub async fn start(programs: &Path, folder: &Path, users: usize) -> Result<Self, Failure> {
        Self::start_with(programs, folder, users, 1).await
    }

    /// The same, with so many licenses to spare.
    pub async fn start_with(programs: &Path, folder: &Path, users: usize, licenses: usize) -> Result<Self, Failure> {
        let ready = folder.join("salesforce.ready");
        // Another simulator may have said it was ready in the same place.
        let _ = std::fs::remove_file(&ready);
        let ready_text = ready.to_str().ok_or("a path that is not UTF-8")?;
        let (users, licenses) = (users.to_string(), licenses.to_string());
        let arguments =
            ["--https", "off", "--users", &users, "--spare-licenses", &licenses, "--ready-file", ready_text];
        let log = folder.join("salesforce.log");
        let mut process = Process::start(&programs.join("salesforce-sim"), &arguments, &log);
        process.wait_ready(&ready).await;
        let said: Value = serde_json::from_slice(&std::fs::read(&ready)?)?;
        let url = said.get("http_url").and_then(Value::as_str).ok_or("the simulator told no URL")?.to_owned();
        let http = Client::builder().no_proxy().build()?;
        let unlimited = http.post(format!("{url}/__sim/switches")).json(&json!({ "unlimited": true }));
        unlimited.send().await?.error_for_status()?;
        Ok(Self { url, http, process })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of its process.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn pid(&self) -> Result<u32, Failure> {
        self.process.pid().ok_or_else(|| "the simulator has ended".into())
    }

    /// How many calls it has had since it started.
    pub async fn calls(&self) -> Result<u64, Failure> {
        let counters = self.http.get(format!("{}/__sim/counters", self.url)).send().await?.error_for_status()?;
        let counters: Value = counters.json().await?;
        Ok(counters.get("http_calls").and_then(Value::as_u64).ok_or("the simulator counted no calls")?)
    }
}
