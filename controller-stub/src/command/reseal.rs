//! `task reseal`: a password is sealed again, in this process as the first time.

use std::path::Path;

use postern_protocol::seal::MAX_SECRET;
use postern_protocol::signature::SignerKey;
use postern_protocol::{TaskId, TaskKind, TaskRequest};
use postern_store::password;
use serde_json::json;

use super::signing::{self, Content};
use super::submit::{cannot_seal, keys_of};
use crate::client::Client;
use crate::client::sealing::Binding;
use crate::exit::{Exit, Failure};
use crate::state::tasks::{OpaqueView, TaskView};

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
    let binding = binding(task, &view)?;
    if let Some(key) = &signer {
        check_signed(&view, &binding, key.public())?;
    }
    let keys = keys_of(client, &view.cluster).await?;
    let sealed = [binding.seal(name, &password, &keys).map_err(|error| cannot_seal(&error))?];
    let signature = signer.map(|key| signing::sign(&content(&view, &binding, &sealed), &key)).transpose()?;
    let body = json!({ "sealed": sealed, "signature": signature });
    client.post_patiently(&format!("/v1/tasks/{task}/reseal"), &body).await
}

/// What the secret of the task that a person named is bound to.
fn binding(task: TaskId, view: &TaskView) -> Result<Binding, Failure> {
    let request = TaskRequest::from_json(view.kind, view.params.clone())
        .map_err(|error| Failure::new(Exit::Failed, format!("the task cannot be read: {error}")))?;
    Ok(Binding { task, system: view.system.clone(), request })
}

fn content<'a>(view: &TaskView, binding: &'a Binding, sealed: &'a [OpaqueView]) -> Content<'a> {
    let deadline_secs = view.deadline.map(|deadline| deadline.0.saturating_sub(view.submitted.0) / 1_000);
    Content { binding, sealed, streams: &[], requester: view.requester, deadline_secs }
}

/// What the task is, the controller says. A key signs again only what it signed before, or whoever holds the controller would
/// have another task signed, of another account.
fn check_signed(view: &TaskView, binding: &Binding, key: &SignerKey) -> Result<(), Failure> {
    let refused = |why: &str| {
        Err(Failure::new(
            Exit::Refused,
            format!(
                "task {0} {why}, and is not signed: `postern-controller task cancel {0}`, then submit it again with \
                 `--sign-with`",
                binding.task
            ),
        ))
    };
    let Some(signed) = &view.signed else {
        return refused("was not signed when it was submitted, or does not wait any more");
    };
    if !signing::is_signed(&content(view, binding, &signed.sealed), &signed.signature, key)? {
        return refused("is not, as the controller shows it, what this key signed before");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use postern_protocol::seal::SealingPublicKey;
    use postern_protocol::signature::SigningKey;
    use serde_json::Value;
    use zeroize::Zeroizing;

    use super::*;

    const TASK: TaskId = TaskId::from_bytes([1; 16]);

    fn signing_key(seed: u8) -> SigningKey {
        SigningKey::from_private(Zeroizing::new([seed; 32])).unwrap()
    }

    /// A task that waits, as a controller shows it, with what `key` signed of it.
    fn signed_by(key: &SigningKey) -> Value {
        let mut shown = json!({
            "id": TASK,
            "system": "sf",
            "cluster": "acme",
            "kind": "reset_password",
            "params": { "account": "joe@example.com", "source": "given" },
            "origin": "administrator",
            "mode": "sync",
            "priority": 5,
            "state": "needs_reseal",
            "requester": SealingPublicKey([2; 32]),
            "attempt": 1,
            "epoch": 1,
            "cancel_requested": false,
            "submitted": 1_000,
            "deadline": 601_000,
        });
        let view: TaskView = serde_json::from_value(shown.clone()).unwrap();
        let binding = binding(TASK, &view).unwrap();
        let sealed = [binding.seal("password", b"Pa55word", &[SealingPublicKey([9; 32])]).unwrap()];
        let signature = signing::sign(&content(&view, &binding, &sealed), key).unwrap();
        shown["signed"] = json!({ "sealed": sealed, "signature": signature });
        shown
    }

    fn check(shown: &Value, key: &SigningKey) -> Result<(), Failure> {
        let view: TaskView = serde_json::from_value(shown.clone()).unwrap();
        check_signed(&view, &binding(TASK, &view).unwrap(), key.public())
    }

    /// Believe the controller, and whoever seals a harmless password again signs a reset of any other account, of which the
    /// outcome is sealed to whom the controller likes.
    #[test]
    fn a_key_signs_again_only_what_it_signed_before() {
        let key = signing_key(1);
        let shown = signed_by(&key);
        check(&shown, &key).unwrap();
        let others = [
            ("system", json!("sf2")),
            ("params", json!({ "account": "cfo@example.com", "source": "given" })),
            ("params", json!({ "account": "joe@example.com", "source": "generated" })),
            ("requester", json!(SealingPublicKey([3; 32]))),
            ("requester", json!(null)),
            ("deadline", json!(602_000)),
            ("deadline", json!(null)),
            ("signed", json!(null)),
        ];
        for (field, other) in others {
            let mut altered = shown.clone();
            altered[field] = other;
            assert_eq!(check(&altered, &key).unwrap_err().exit, Exit::Refused, "{field}");
        }
        assert!(check(&shown, &signing_key(2)).is_err());
        let view: TaskView = serde_json::from_value(shown).unwrap();
        let asked = binding(TaskId::from_bytes([2; 16]), &view).unwrap();
        assert!(check_signed(&view, &asked, key.public()).is_err(), "it is another task than the one asked about");
    }
}
