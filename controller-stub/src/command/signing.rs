//! Keys that sign tasks, and what they sign. Both happen in the submitter's own process.

use std::path::Path;

use data_encoding::BASE64;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::codec;
use postern_protocol::message::v1::{Offer, StreamRef};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::signature::{NoKey, SignatureView, SignerKey, SigningKey, TaskSignature};
use postern_store::private;
use serde_json::json;
use zeroize::Zeroizing;

use super::{new_file, output};
use crate::cli::Reach;
use crate::client::sealing::Binding;
use crate::exit::{Exit, Failure};
use crate::random;
use crate::state::tasks::OpaqueView;

/// Makes a key, and tells its public half.
pub(super) fn make_key(reach: &Reach, file: &Path) -> Result<(), Failure> {
    let key = SigningKey::from_private(random::secret()).map_err(|error| Failure::from_error(Exit::Bug, &error))?;
    new_file::keep(file, "key", key.expose_private())?;
    let (public, id) = (key.public().to_string(), key.public().id().to_string());
    if reach.json {
        return output::json(&json!({ "public": public, "key": id }));
    }
    output::say(format!("{public}\nnext: write it into `accepted_signers` of the agents' [connected_system.policy]"));
    Ok(())
}

/// Reads a key.
pub(super) fn read_key(file: &Path) -> Result<SigningKey, Failure> {
    let bytes = private::read(file, 32).map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    let key =
        bytes.as_slice().try_into().map_err(|_| NoKey).and_then(|it| SigningKey::from_private(Zeroizing::new(it)));
    key.map_err(|_| {
        let sentence = format!("`{}` holds no key that signs; `task signing-key` makes one", file.display());
        Failure::new(Exit::Usage, sentence)
    })
}

/// What a task is made of, beside what its secrets are bound to.
pub(super) struct Content<'a> {
    pub(super) binding: &'a Binding,
    pub(super) sealed: &'a [OpaqueView],
    pub(super) streams: &'a [StreamRef],
    pub(super) requester: Option<SealingPublicKey>,
    pub(super) deadline_secs: Option<u64>,
}

impl Content<'_> {
    fn deadline_ms(&self) -> u64 {
        self.deadline_secs.unwrap_or_default().saturating_mul(1_000)
    }
}

/// Signs a task as the members will be offered it.
pub(super) fn sign(content: &Content<'_>, key: &SigningKey) -> Result<SignatureView, Failure> {
    let offer = offer(content).map_err(|error| cannot_sign(&error))?;
    let signature =
        TaskSignature::sign(&offer, content.deadline_ms(), key).map_err(|error| cannot_sign(&error.to_string()))?;
    Ok(signature.view())
}

/// Whether the owner of `key` signed this.
pub(super) fn is_signed(content: &Content<'_>, signature: &SignatureView, key: &SignerKey) -> Result<bool, Failure> {
    let offer = offer(content).map_err(|error| cannot_sign(&error))?;
    let signature = TaskSignature::of_view(signature, content.deadline_ms());
    Ok(signature.is_ok_and(|it| it.is_of(&offer, key)))
}

fn offer(content: &Content<'_>) -> Result<Offer, String> {
    let Binding { task, system, request } = content.binding;
    let opened = |view: &OpaqueView| {
        let bytes = BASE64.decode(view.bytes.as_bytes()).map_err(|error| error.to_string())?;
        codec::decode(&bytes).map_err(|error| error.to_string())
    };
    let sealed = content.sealed.iter().map(opened).collect::<Result<_, String>>()?;
    let params = request.encode().map_err(|error| error.to_string())?;
    let params = Bytes::new(params).map_err(|error| error.to_string())?;
    Ok(Offer {
        sealed: List::new(sealed).map_err(|error| error.to_string())?,
        streams: List::new(content.streams.to_vec()).map_err(|error| error.to_string())?,
        requester: content.requester,
        ..Offer::new(*task, system.clone(), request, params)
    })
}

fn cannot_sign(error: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the task could not be signed: {error}"))
}
