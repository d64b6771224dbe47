//! The requests of a client, made again by one that does nothing else: what the work costs at the least.
//!
//! A request begins when all those have been answered that had been answered when it began the first time, so that what
//! was done at once is done at once again. Waiting is left out: a job is asked for until it is done.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Failure;

/// Between two looks at a job that is not done.
const POLL: Duration = Duration::from_millis(5);
/// How often at most: a minute and a half.
const POLLS: u32 = 18_000;

/// A request as it was recorded.
#[derive(Debug, Deserialize)]
struct Recorded {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
    /// How many answers had been given when it began.
    after: usize,
    /// How many had been given when it was answered.
    rank: usize,
}

/// Which answers have been given.
struct Answers {
    given: Mutex<HashSet<usize>>,
    /// All below this have been.
    all_below: watch::Sender<usize>,
}

/// Makes the requests of a recording. How many there were.
pub async fn replay(recording: &Path, simulator: &str) -> Result<usize, Failure> {
    let requests: Vec<Recorded> = serde_json::from_slice(&std::fs::read(recording)?)?;
    let http = Client::builder().no_proxy().http1_only().build()?;
    let answers = Arc::new(Answers { given: Mutex::default(), all_below: watch::Sender::new(0) });
    let token = Arc::new(watch::Sender::new(String::new()));
    let count = requests.len();
    let mut under_way = JoinSet::new();
    let mut last_poll = None;
    for request in requests {
        let mut below = answers.all_below.subscribe();
        below.wait_for(|below| *below >= request.after).await?;
        let polls = is_poll(&request);
        // A job that was asked for again and again is asked for until it is done, which is once.
        if polls && last_poll.as_ref() == Some(&request.path) {
            answers.give(request.rank);
            continue;
        }
        last_poll = polls.then(|| request.path.clone());
        let (http, simulator) = (http.clone(), simulator.to_owned());
        let (answers, token) = (Arc::clone(&answers), Arc::clone(&token));
        under_way.spawn(async move {
            let mut tries = 0;
            loop {
                let answer = send(&http, &simulator, &request, &token).await?;
                if !is_poll(&request) || is_over(&serde_json::from_slice(&answer)?) {
                    break;
                }
                tries += 1;
                if tries == POLLS {
                    return Err(Failure::from(format!("the job of {} is never done", request.path)));
                }
                tokio::time::sleep(POLL).await;
            }
            answers.give(request.rank);
            Ok(())
        });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(count)
}

async fn send(
    http: &Client,
    simulator: &str,
    request: &Recorded,
    token: &watch::Sender<String>,
) -> Result<Vec<u8>, Failure> {
    let method = Method::from_bytes(request.method.as_bytes())?;
    let mut builder = http.request(method, format!("{simulator}{}", request.path));
    let signs_in = request.path.starts_with("/services/oauth2/token");
    for (name, value) in request.headers.iter().filter(|(name, _)| signs_in || *name != AUTHORIZATION.as_str()) {
        builder = builder.header(name, value);
    }
    if !request.body.is_empty() {
        builder = builder.body(BASE64.decode(request.body.as_bytes())?);
    }
    if !signs_in {
        builder = builder.bearer_auth(token.borrow().as_str());
    }
    let mut answer = builder.send().await?.error_for_status()?;
    // Nobody looks at an answer, so none is kept but the short ones that say how to go on.
    let keep = signs_in || is_poll(request);
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if keep {
            body.extend_from_slice(&chunk);
        }
    }
    if signs_in {
        let session: Value = serde_json::from_slice(&body)?;
        let given = session.get("access_token").and_then(Value::as_str).ok_or("no session was given")?;
        token.send_replace(given.to_owned());
    }
    Ok(body)
}

impl Answers {
    fn give(&self, rank: usize) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(rank);
        let mut below = *self.all_below.borrow();
        while given.remove(&below) {
            below += 1;
        }
        self.all_below.send_replace(below);
    }
}

/// Whether it asks how far a job in bulk is.
fn is_poll(request: &Recorded) -> bool {
    let mut parts = request.path.rsplit('/');
    let (_, kind, jobs) = (parts.next(), parts.next(), parts.next());
    request.method == "GET" && jobs == Some("jobs") && matches!(kind, Some("ingest" | "query"))
}

fn is_over(job: &Value) -> bool {
    matches!(job.get("state").and_then(Value::as_str), Some("JobComplete" | "Failed" | "Aborted"))
}
