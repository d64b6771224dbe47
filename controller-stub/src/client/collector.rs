//! The way to a collector of traces.

use postern_protocol::plain::Chain;
use postern_traces::Collector;
use postern_traces::exporter::{ANSWER, CONNECT};
use reqwest::header::CONTENT_TYPE;

use crate::exit::Failure;

/// A client of one collector. Clones share its connections.
#[derive(Clone)]
pub struct Way {
    http: reqwest::Client,
    collector: Collector,
}

impl Way {
    /// To this collector, over TLS with the roots of the system if it is not on this host.
    pub fn to(collector: Collector) -> Result<Self, Failure> {
        let http = super::http(collector.url().as_str(), CONNECT)?;
        Ok(Self { http, collector })
    }

    /// Sends the body of a request.
    pub async fn send(self, body: Vec<u8>) -> Result<(), String> {
        let request = self.http.post(self.collector.url().clone()).header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.timeout(ANSWER).send().await.map_err(|error| Chain(&error).to_string())?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}
