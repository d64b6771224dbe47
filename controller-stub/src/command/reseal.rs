//! `task reseal`: a password is sealed again, in this process as the first time.

use std::path::Path;

use postern_protocol::seal::MAX_SECRET;
use postern_protocol::{TaskId, TaskKind, TaskRequest};
use postern_store::password;
use serde_json::json;

use super::signing::{self, Content};
use super::submit::{cannot_seal, keys_of};
use crate::client::Client;
use crate::client::sealing::Binding;
use crate::exit::{Exit, Failure};
use crate::state::tasks::TaskView;

pub(super) async fn run(
    client: &Client,
    task: TaskId,
    password_file: &Path,
    sign_with: Option<&Path>,
) -> Result<TaskView, Failure> {
    let signer = sign_with.map(signing::read_key).transpose()?;
    let view: TaskView = client.get_patiently(&format!("/v1/tasks/{task}")).await?;
    let name = secret_of(&view)?;
    let password =
        password::read(password_file, MAX_SECRET).map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    let request = TaskRequest::from_json(view.kind, view.params.clone())
        .map_err(|error| Failure::new(Exit::Failed, format!("the task cannot be read: {error}")))?;
    let binding = Binding { task, system: view.system.clone(), request };
    let keys = keys_of(client, &view.cluster).await?;
    let sealed = [binding.seal(name, &password, &keys).map_err(|error| cannot_seal(&error))?];
    let deadline_secs = view.deadline.map(|deadline| deadline.0.saturating_sub(view.submitted.0) / 1_000);
    let content =
        Content { binding: &binding, sealed: &sealed, streams: &[], requester: view.requester, deadline_secs };
    let signature = signer.map(|key| signing::sign(&content, &key)).transpose()?;
    let body = json!({ "sealed": sealed, "signature": signature });
    client.post_patiently(&format!("/v1/tasks/{task}/reseal"), &body).await
}

/// The field that a person can seal again. What a dataset is sealed with was made up for it, and kept by nobody.
fn secret_of(view: &TaskView) -> Result<&'static str, Failure> {
    let refused = |why: String| Err(Failure::new(Exit::Refused, why));
    match view.kind.sealed_fields() {
        [_, ..] if view.kind == TaskKind::ImportBatch => refused(format!(
            "the key of a dataset is made up for each submission and kept by nobody: `postern-controller task cancel {}`, \
             then submit the dataset again",
            view.id
        )),
        [name, ..] if !view.sealed_to.is_empty() => Ok(name),
        _ => refused(format!("task {} has no secret that could be sealed again", view.id)),
    }
}
