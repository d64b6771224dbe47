//! Keys that members announce, what tasks are sealed to, and sealing a task again that nobody can open.

use std::collections::BTreeSet;

use postern_protocol::bounded::List;
use postern_protocol::message::v1::{AnnouncedKey, KeyAck, KeyAnnounce, MembershipState, Offer};
use postern_protocol::rate::TooOften;
use postern_protocol::seal::{KeyId, SealError, SealedField};
use postern_protocol::signature::{SignatureView, TaskSignature};
use postern_protocol::{MemberId, TaskId};

use super::ledger::{LedgerError, Write};
use super::record::{MemberRecord, TaskRecord, TaskState};
use super::records::Records;
use super::tasks::{TaskView, unknown};
use super::{Refusal, State, ToSession};
use crate::clock::Moment;
use crate::queue::{Opener, Queue};

/// The secrets of a task, sealed again.
#[derive(Debug, Clone)]
pub struct Resealing {
    /// Its secrets.
    pub sealed: Vec<SealedField>,
    /// What its originator says to the task as it is now, if it is signed.
    pub signature: Option<SignatureView>,
}

/// Why the keys of a member are not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysRefused {
    /// They change all the time.
    #[error("they changed too often: {0}")]
    TooOften(#[from] TooOften),
    /// Nothing can be sealed to one of them.
    #[error("{0}")]
    Unusable(SealError),
}

impl State {
    /// A member has other keys than before. They are on its disk; the answer leaves once they are on ours.
    pub(super) fn announce_keys(&mut self, id: MemberId, announce: &KeyAnnounce, tag: u16, at: Moment) {
        let Some(newest) = announce.keys.first().map(|key| key.public.id()) else { return };
        if let Err(no) = self.check_keys(id, &announce.keys, at) {
            tracing::debug!(member = %id, %no, "the sealing keys of a member are not taken");
            self.complain(id, tag, format!("the sealing keys before stay: {no}"));
            return;
        }
        let Some(member) = self.members.get_mut(&id) else { return };
        let keys: Vec<_> = announce.keys.iter().map(|key| key.public).collect();
        if member.record.sealing_keys != keys {
            tracing::info!(member = %id, newest = %newest, keys = keys.len(), "a member has other sealing keys");
            member.record.sealing_keys = keys;
            self.writes.push(Write::Member(member.record.clone()));
            self.note_opener(id);
        }
        self.say(id, ToSession::frame(KeyAck { newest }));
    }

    /// Whether a member may have these keys now. Those it has, it may tell as often as it likes.
    pub(super) fn check_keys(&mut self, id: MemberId, keys: &[AnnouncedKey], at: Moment) -> Result<(), KeysRefused> {
        let known = self.members.get(&id).map(|it| it.record.sealing_keys.as_slice()).unwrap_or_default();
        if known.iter().eq(keys.iter().map(|key| &key.public)) {
            return Ok(());
        }
        self.attempts.sealing_keys.take(id, at.now)?;
        // A secret is sealed to all members of a cluster or to nobody.
        keys.iter().try_for_each(|key| key.public.check().map_err(KeysRefused::Unusable))
    }

    /// The queue is to know what this member can open.
    pub(super) fn note_opener(&mut self, id: MemberId) {
        let opener = self.members.get(&id).and_then(|member| opener(&member.record));
        self.queue.set_opener(id, opener);
    }

    /// Takes secrets in that were sealed again, for a task that nobody has. The same once more is no error.
    pub fn reseal(&mut self, id: TaskId, resealing: &Resealing) -> Result<TaskView, Refusal> {
        let record = self.any_task(id)?.ok_or_else(|| unknown(id))?;
        let Some(content) = self.content(id)? else {
            return Err(LedgerError::Unreadable { table: "offers" }.into());
        };
        let offer = resealed(&record, &content, resealing)?;
        if offer == content {
            return self.task(id);
        }
        match record.state {
            TaskState::Queued | TaskState::NeedsReseal => (),
            TaskState::Finished => return Err(Refusal::conflict(format!("task {id} has ended: submit another"))),
            TaskState::Leased { holder }
            | TaskState::Accepted { holder }
            | TaskState::Started { holder }
            | TaskState::InDoubt { holder, .. } => {
                return Err(Refusal::conflict(format!(
                    "member {holder} has task {id}: only a task that waits can be sealed again"
                )));
            }
        }
        let sealed_to = sealed_to(&offer);
        if !self.newest_keys(&record.cluster).any(|(_, key)| sealed_to.contains(&key.id())) {
            return Err(Refusal::field(
                "sealed",
                format!(
                    "it is sealed to none of the keys of cluster {0}: ask /v1/clusters/{0}/keys for them",
                    record.cluster
                ),
            ));
        }
        tracing::info!(task = %id, "a task was sealed again");
        self.writes.push(Write::Offer(Box::new(offer.clone())));
        self.new_offers.insert(id, offer);
        self.queue.reseal(id, sealed_to);
        self.collect_changes();
        self.task(id)
    }
}

/// A task that differs from what was submitted in how it is sealed, and in what is said to that, alone.
fn resealed(record: &TaskRecord, content: &Offer, it: &Resealing) -> Result<Offer, Refusal> {
    let names = |fields: &[SealedField]| fields.iter().map(|field| field.name.to_string()).collect::<Vec<_>>();
    let expected = names(&content.sealed);
    if expected.is_empty() {
        return Err(Refusal::conflict(format!("task {} has no secret that could be sealed again", record.id)));
    }
    if names(&it.sealed) != expected {
        let expected = expected.join("`, `");
        return Err(Refusal::field("sealed", format!("the sealed fields of this task are `{expected}`")));
    }
    if content.signature.is_some() && it.signature.is_none() {
        return Err(Refusal::field(
            "signature",
            "the task was signed as it was sealed before: sign it again, as it is now",
        ));
    }
    let deadline_ms = record.deadline.map_or(0, |deadline| deadline.0.saturating_sub(record.submitted.0));
    let signature = it.signature.as_ref().map(|view| TaskSignature::of_view(view, deadline_ms)).transpose();
    let signature = signature.map_err(|error| Refusal::field("signature", format!("`signature`: {error}")))?;
    let sealed = List::new(it.sealed.clone()).map_err(|error| Refusal::field("sealed", error.to_string()))?;
    Ok(Offer { sealed, signature: signature.map(Box::new), ..content.clone() })
}

/// The keys with which every secret of a task can be opened.
pub(super) fn sealed_to(offer: &Offer) -> BTreeSet<KeyId> {
    let mut fields = offer.sealed.iter().map(|field| field.recipients().collect::<BTreeSet<_>>());
    let first = fields.next().unwrap_or_default();
    fields.fold(first, |common, keys| &common & &keys)
}

/// What a member can open; nothing if it is out for good.
pub(super) fn opener(record: &MemberRecord) -> Option<Opener> {
    let keys = record.sealing_keys.iter().map(postern_protocol::seal::SealingPublicKey::id).collect();
    (record.state != MembershipState::Revoked).then(|| Opener {
        cluster: record.cluster.clone(),
        keys,
        enabled: record.state == MembershipState::Enabled,
    })
}

/// Takes an unfinished task of the ledger into the queue.
pub(super) fn restore(
    queue: &mut Queue,
    records: &impl Records,
    task: TaskRecord,
    at: Moment,
) -> Result<(), LedgerError> {
    let (id, may_be_sealed) = (task.id, !task.kind.sealed_fields().is_empty());
    queue.restore(task, at);
    if may_be_sealed && let Some(offer) = records.offer(id)?.filter(|offer| !offer.sealed.is_empty()) {
        queue.set_sealed_to(id, sealed_to(&offer));
    }
    Ok(())
}
