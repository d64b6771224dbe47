//! Payloads that are sealed to the submitter.

use std::fs;
use std::path::Path;

use postern_protocol::seal::SealingKey;
use postern_protocol::task::export;
use postern_protocol::{Outcome, TaskRequest};
use postern_store::private::{self, PartFile};
use zeroize::Zeroizing;

use super::new_file;
use crate::client::Client;
use crate::client::sealing::{Binding, Opening};
use crate::exit::{Exit, Failure};
use crate::state::tasks::TaskView;

/// Keeps the private half of the key that a payload is sealed to.
pub(super) fn keep_key(file: &Path, key: &SealingKey) -> Result<(), Failure> {
    new_file::keep(file, "key", key.expose_private())
}

/// Takes it away again, if nothing is sealed to it. That it cannot be is told to whoever tries again.
pub(super) fn forget_key(file: &Path) {
    let _ = private::remove_if_any(file);
}

/// Reads it again.
pub(super) fn read_key(file: &Path) -> Result<SealingKey, Failure> {
    let bytes = private::read(file, 32).map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    let bytes = bytes.as_slice().try_into().map(Zeroizing::new).ok();
    bytes.and_then(|bytes| SealingKey::from_private(bytes).ok()).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("`{}` holds no key; name the file that `task submit --result-key` kept", file.display()),
        )
    })
}

/// Begins the file that a payload is to be opened into: what could not be replaced at the end is refused now.
pub(super) fn begin(file: &Path) -> Result<PartFile, Failure> {
    let shown = file.display();
    if fs::metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(Failure::new(Exit::Usage, format!("`{shown}` is no file that can be replaced; name another")));
    }
    PartFile::begin(file)
        .map_err(|error| Failure::new(Exit::Usage, format!("`{shown}` cannot be made; name another file: {error}")))
}

/// Downloads what came of a task and opens it into `file`, which is not there before it is whole. Nothing came of a task
/// that did not succeed.
pub(super) async fn download(
    client: &Client,
    view: &TaskView,
    key: &SealingKey,
    mut file: PartFile,
) -> Result<(), Failure> {
    if !matches!(view.outcome, Some(Outcome::Succeeded | Outcome::AlreadySatisfied)) {
        return Ok(());
    }
    let sealed = view.sealed.iter().find(|it| it.name == export::RESULT_KEY).ok_or_else(|| {
        let why = "is not sealed to a key, or your token may not have it, which takes an operator's";
        Failure::new(Exit::Failed, format!("what came of {} {why}", view.id))
    })?;
    let unopened = |why: &str| Failure::new(Exit::Failed, format!("what came of {} cannot be opened: {why}", view.id));
    let request =
        TaskRequest::from_json(view.kind, view.params.clone()).map_err(|error| unopened(&error.to_string()))?;
    let binding = Binding { task: view.id, system: view.system.clone(), request };
    let opened = binding.open(sealed, key).map_err(|error| unopened(&error.to_string()))?;
    let stream_key = opened.as_slice().try_into().map(Zeroizing::new);
    let stream_key = stream_key.map_err(|_| unopened("its key has another length"))?;

    let path = file.path().to_owned();
    let unwritten =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("`{}` cannot be written: {error}", path.display()));
    let mut opening = Opening::new(&stream_key, &mut file);
    client.download(&format!("/v1/tasks/{}/results", view.id), &mut opening).await?;
    opening.finish().map_err(unwritten)?;
    file.complete().map_err(unwritten)
}
