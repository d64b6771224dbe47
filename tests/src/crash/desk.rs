//! A submitter that does not give up: it seals once, and hands the same task over until it is taken in.

use std::sync::OnceLock;
use std::time::Duration;

use data_encoding::HEXLOWER;
use postern_controller_stub::api::{KeysView, StreamView};
use postern_controller_stub::client::sealing::{self, Binding, Opening};
use postern_controller_stub::random;
use postern_controller_stub::state::tasks::OpaqueView;
use postern_protocol::seal::{SealingKey, SealingPublicKey};
use postern_protocol::task::{export, import_batch, reset_password};
use postern_protocol::{TaskId, TaskKind, TaskRequest};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::lab::{Api, CLUSTER, SYSTEM, new_task_id};
use crate::wait_for;

/// How long a task may take once nothing is killed any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon is asked again whoever did not answer.
const STEP: Duration = Duration::from_millis(20);

/// Seals, submits, waits, and fetches what came of it.
pub(super) struct Desk {
    api: Api,
    /// Those of the cluster's members.
    keys: Vec<SealingPublicKey>,
    /// When the last program was killed.
    calm: OnceLock<Instant>,
}

/// A task as it is handed over, the same every time.
pub(super) struct Order {
    pub(super) id: TaskId,
    pub(super) kind: TaskKind,
    binding: Binding,
    body: Value,
    key: Option<SealingKey>,
}

impl Desk {
    pub(super) async fn open(api: Api) -> Self {
        let (_, keys) = api.ask(Method::GET, &format!("/v1/clusters/{CLUSTER}/keys"), None).await;
        let keys: KeysView = serde_json::from_value(keys).expect("the keys of the cluster's members");
        Self { api, keys: keys.keys.into_iter().map(|key| key.public).collect(), calm: OnceLock::new() }
    }

    /// A task without secrets.
    pub(super) fn order(kind: TaskKind, params: Value) -> Order {
        let id = new_task_id();
        let body = json!({ "id": id, "system": SYSTEM, "kind": kind, "params": params, "mode": "async" });
        let request = TaskRequest::from_json(kind, params).expect("parameters of that kind");
        let system = SYSTEM.parse().expect("the name of a system");
        Order { id, kind, binding: Binding { task: id, system, request }, body, key: None }
    }

    /// One that gives an account this password.
    pub(super) fn order_password(&self, account: &str, password: &str) -> Order {
        let order = Self::order(TaskKind::ResetPassword, json!({ "account": account, "source": "given" }));
        self.with_secret(order, reset_password::PASSWORD, password.as_bytes())
    }

    /// One that imports this dataset, which is uploaded for it.
    pub(super) async fn order_import(&self, params: Value, dataset: &str) -> Order {
        let sealed = sealing::dataset(dataset.as_bytes()).expect("a dataset that can be sealed");
        let order = Self::order(TaskKind::ImportBatch, params);
        let mut order = self.with_secret(order, import_batch::DATASET_KEY, sealed.key.as_slice());
        let path = format!("/v1/streams?sha256={}", HEXLOWER.encode(&Sha256::digest(&sealed.bytes)));
        let stream: StreamView =
            wait_for("a dataset to be taken in", async || match self.api.upload(&path, sealed.bytes.clone()).await {
                (200, answer) => Ok(serde_json::from_value(answer).expect("an uploaded payload")),
                other => Err(other),
            })
            .await;
        order.body["streams"] = json!([stream.id]);
        order
    }

    /// One that exports to this desk.
    pub(super) fn order_export(params: Value) -> Order {
        let key = SealingKey::from_random(&random::secret());
        let mut order = Self::order(TaskKind::Export, params);
        order.body["requester"] = json!(key.public());
        order.key = Some(key);
        order
    }

    fn with_secret(&self, mut order: Order, name: &str, secret: &[u8]) -> Order {
        let sealed = order.binding.seal(name, secret, &self.keys).expect("a secret that can be sealed");
        order.body["sealed"] = json!([sealed]);
        order
    }

    /// Submits until the controller acknowledges. The id makes repetitions harmless.
    pub(super) async fn submit(&self, order: &Order) {
        wait_for(&format!("an answer to the submission of {}", order.id), async || {
            match self.api.ask(Method::POST, "/v1/tasks", Some(&order.body)).await {
                (200..=202, _) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// Asks once. A controller that is killed meanwhile has not heard of it, and the task goes on.
    pub(super) async fn cancel(&self, id: TaskId) {
        let _ = self.api.ask(Method::POST, &format!("/v1/tasks/{id}/cancel"), None).await;
    }

    /// Nothing is killed any more: what has no outcome gets one soon.
    pub(super) fn calm_down(&self) {
        let _ = self.calm.set(Instant::now());
    }

    /// Waits until a task has its outcome, and returns the task. While programs are killed that may take long: one task may
    /// meet many kills.
    ///
    /// # Panics
    ///
    /// When it has none although nothing was killed for a minute.
    pub(super) async fn outcome(&self, id: TaskId) -> Value {
        let mut seen = Value::Null;
        loop {
            let (status, task) = self.api.ask(Method::GET, &format!("/v1/tasks/{id}/wait?secs=20"), None).await;
            if task["outcome"].is_string() {
                return task;
            }
            if status == 200 {
                seen = task;
            }
            let calm = self.calm.get().map(Instant::elapsed).unwrap_or_default();
            assert!(calm < PATIENCE, "{id} has no outcome after {} s of calm; last seen: {seen}", calm.as_secs());
            tokio::time::sleep(STEP).await;
        }
    }

    /// What came of a task beside its output. `Err` says why that cannot be had.
    pub(super) async fn results(&self, id: TaskId) -> Result<Vec<u8>, String> {
        wait_for(&format!("the results of {id}"), async || {
            match self.api.download(&format!("/v1/tasks/{id}/results")).await {
                Ok(bytes) => Ok(Ok(bytes)),
                Err((status, answer)) if (400..500).contains(&status) => Ok(Err(answer.to_string())),
                Err(other) => Err(other),
            }
        })
        .await
    }

    /// The same of an export, opened with the key that the order was made with.
    pub(super) async fn exported(&self, order: &Order, task: &Value) -> Result<String, String> {
        let payload = self.results(order.id).await?;
        let sealed: Vec<OpaqueView> = serde_json::from_value(task["sealed"].clone()).map_err(|it| it.to_string())?;
        let sealed = sealed.iter().find(|it| it.name == export::RESULT_KEY).ok_or("there is no key of the results")?;
        let own = order.key.as_ref().ok_or("the results are not for this desk")?;
        let key = order.binding.open(sealed, own).map_err(|error| error.to_string())?;
        let key = key.as_slice().try_into().map(zeroize::Zeroizing::new).map_err(|_| "a key of another length")?;
        let mut plain = Vec::new();
        let mut opening = Opening::new(&key, &mut plain);
        std::io::Write::write_all(&mut opening, &payload).map_err(|error| error.to_string())?;
        opening.finish().map_err(|error| error.to_string())?;
        String::from_utf8(plain).map_err(|error| error.to_string())
    }
}
