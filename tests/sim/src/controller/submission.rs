//! Wishes as the controller's API takes them.

use std::time::Duration;

use postern_controller_stub::state::Submission;
use postern_controller_stub::state::origin::Origin;
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{Mode, StreamRef};
use postern_protocol::seal::{SealedField, SealingPublicKey, WrappedKey};
use postern_protocol::task::{
    Account, disable_user, enable_user, expire_password, import_batch, reset_password, validate_user,
};
use postern_protocol::{StreamId, TaskId, TaskKind, TaskRequest};

use super::{EVERYBODYS_KEY, key_of};
use crate::workload::{Wish, given};
use crate::world::SYSTEM;

/// The secrets of a task, sealed to all members.
pub(super) fn sealed_to_all(id: TaskId, wish: &Wish) -> Vec<SealedField> {
    submission(id, &Wish { sealed_to: None, ..wish.clone() }).0.sealed
}

/// What is submitted for a wish, with the payload that comes first.
pub(super) fn submission(id: TaskId, wish: &Wish) -> (Submission, Option<StreamRef>) {
    let account = || Account::new(wish.user.as_str()).expect("it is short");
    let sealed = |name: &str, secret: String, key: SealingPublicKey| SealedField {
        name: Text::clipped(name),
        ciphertext: Bytes::new(secret.into_bytes()).unwrap_or_default(),
        keys: List::clipped(vec![WrappedKey { key: key.id(), enc: [0; 32], wrapped: Bytes::default() }]),
    };
    let (mut secrets, mut stream, mut requester) = (Vec::new(), None, None);
    let request = match wish.kind {
        TaskKind::EnableUser => TaskRequest::EnableUser(enable_user::Request { account: account() }),
        TaskKind::DisableUser => {
            let if_refused = disable_user::IfRefused::Fail.into();
            TaskRequest::DisableUser(disable_user::Request { account: account(), if_refused })
        }
        TaskKind::ExpirePassword => {
            TaskRequest::ExpirePassword(expire_password::Request { account: account(), repeat_if_unknown: false })
        }
        TaskKind::ResetPassword if wish.made_up => {
            requester = Some(SealingPublicKey([0; 32]));
            let source = reset_password::Source::Generated.into();
            TaskRequest::ResetPassword(reset_password::Request { account: account(), source, repeat_if_unknown: false })
        }
        TaskKind::ResetPassword => {
            secrets.push(sealed(reset_password::PASSWORD, given(id), wish.sealed_to.map_or(EVERYBODYS_KEY, key_of)));
            let source = reset_password::Source::Given.into();
            TaskRequest::ResetPassword(reset_password::Request { account: account(), source, repeat_if_unknown: false })
        }
        TaskKind::ImportBatch => {
            secrets.push(sealed(import_batch::DATASET_KEY, String::new(), EVERYBODYS_KEY));
            let bytes = id.as_bytes().map(|it| !it);
            stream = Some(StreamRef { id: StreamId::from_bytes(bytes), length: wish.records, sha256: [0; 32] });
            TaskRequest::ImportBatch(import_batch::Request::new(import_batch::Format::Jsonl))
        }
        _ => TaskRequest::ValidateUser(validate_user::Request { account: account() }),
    };
    let submission = Submission {
        trace: None,
        id,
        system: SYSTEM.parse().expect("it is a name"),
        request,
        sealed: secrets,
        streams: stream.iter().map(|it| it.id).collect(),
        requester,
        signature: None,
        origin: Origin::default(),
        mode: Mode::Async,
        priority: wish.priority,
        deadline: wish.deadline.map(Duration::from_millis),
    };
    (submission, stream)
}
