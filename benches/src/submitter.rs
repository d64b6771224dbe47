//! Whoever submits tasks: a client of the controller's HTTP API.

use std::time::Duration;

use postern_protocol::TaskId;
use postern_protocol::enrollment::EnrollmentToken;
use postern_tests::lab::{Controller, SYSTEM, new_task_id};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::{Failure, Kind, Person};

/// How long an outcome is waited for, in seconds: less than the controller allows.
const WAIT_SECS: u64 = 30;
/// Longer than that.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Batches committed.
    pub commits: u64,
    /// Barriers paid for them.
    pub barriers: u64,
}

impl Stored {
    /// Reads `commits` and `barriers` of a status.
    pub fn of(status: &Value) -> Result<Self, Failure> {
        let field = |name: &str| status.get(name).and_then(Value::as_u64).ok_or(format!("no `{name}` in {status}"));
        Ok(Self { commits: field("commits")?, barriers: field("barriers")? })
    }

    /// What was done between `earlier` and this.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            commits: self.commits.saturating_sub(earlier.commits),
            barriers: self.barriers.saturating_sub(earlier.barriers),
        }
    }
}

/// A client of the controller's API.
#[derive(Debug, Clone)]
pub struct Submitter {
    http: Client,
    api: String,
    token: String,
}

impl Submitter {
    /// A client of this controller.
    pub fn new(controller: &Controller) -> Result<Self, Failure> {
        let ready: Value = serde_json::from_slice(&std::fs::read(controller.data().with_extension("ready"))?)?;
        let api = ready.get("api_url").and_then(Value::as_str).ok_or("the controller told no URL")?;
        let token = std::fs::read_to_string(controller.data().join("api.token"))?;
        Ok(Self {
            http: Client::builder().no_proxy().timeout(PATIENCE).build()?,
            api: api.trim_end_matches('/').to_owned(),
            token: token.trim().to_owned(),
        })
    }

    /// Submits a task and waits for its outcome, which has to be success: a task that had nothing to do would be a
    /// cheaper one.
    pub async fn work(&self, kind: Kind, person: &Person) -> Result<(), Failure> {
        let kind = match kind {
            Kind::Validate => "validate_user",
            Kind::Switch if person.flip() => "enable_user",
            Kind::Switch => "disable_user",
        };
        self.submit(kind, &person.account).await
    }

    /// The same for a kind of task about an account.
    pub async fn submit(&self, kind: &str, account: &str) -> Result<(), Failure> {
        let id = self.hand_in(kind, &json!({ "account": account })).await?;
        self.succeeded(id).await
    }

    /// Waits for the outcome of a task, which has to be success.
    pub async fn succeeded(&self, id: TaskId) -> Result<(), Failure> {
        let path = format!("{}/v1/tasks/{id}/wait?secs={WAIT_SECS}", self.api);
        let ended = self.ask(self.http.get(path)).await?;
        match ended.get("outcome").and_then(Value::as_str) {
            Some("succeeded") => Ok(()),
            _ => Err(format!("a task did not succeed: {ended}").into()),
        }
    }

    /// Submits a task and does not wait for it.
    pub async fn hand_in(&self, kind: &str, params: &Value) -> Result<TaskId, Failure> {
        let id = new_task_id();
        self.hand_in_to(SYSTEM, id, kind, params).await?;
        Ok(id)
    }

    /// The same to a system, under an id that was made before.
    pub async fn hand_in_to(&self, system: &str, id: TaskId, kind: &str, params: &Value) -> Result<(), Failure> {
        let task = json!({ "id": id, "system": system, "kind": kind, "params": params, "mode": "async" });
        self.ask(self.http.post(format!("{}/v1/tasks", self.api)).json(&task)).await?;
        Ok(())
    }

    /// A token with which one member can enroll.
    pub async fn enrollment_token(&self, cluster: &str) -> Result<EnrollmentToken, Failure> {
        let path = format!("{}/v1/tokens", self.api);
        let made = self.ask(self.http.post(path).json(&json!({ "cluster": cluster }))).await?;
        let token = made.get("token").and_then(Value::as_str).ok_or("the controller made no token")?;
        Ok(token.parse()?)
    }

    /// What the controller's store has done.
    pub async fn stored(&self) -> Result<Stored, Failure> {
        Stored::of(&self.status().await?)
    }

    /// How many members the controller knows to be connected.
    pub async fn connected(&self) -> Result<u64, Failure> {
        let status = self.status().await?;
        status.get("connected").and_then(Value::as_u64).ok_or_else(|| format!("no `connected` in {status}").into())
    }

    async fn status(&self) -> Result<Value, Failure> {
        self.ask(self.http.get(format!("{}/v1/status", self.api))).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = request.bearer_auth(&self.token).send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if status.is_success() { Ok(answer) } else { Err(format!("the controller answered {status}: {answer}").into()) }
    }
}
