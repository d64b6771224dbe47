//! Records as bytes.
//!
//! Wire structs are stored in their wire encoding: they are frozen. What is the agent's own has a struct here, to be
//! changed only together with the store's format number.

use bincode::{Decode, Encode};
use data_encoding::HEXLOWER;
use postern_agent_core::{JournalEntry, Mark, Membership, Origin, TaskState, Tombstone};
use postern_protocol::bounded::Bytes;
use postern_protocol::code::Code;
use postern_protocol::codec::{self, CodecError};
use postern_protocol::codes;
use postern_protocol::message::v1::{MembershipState, Offer, Report};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, Outcome, TaskId};
use postern_store::{Store, Table};

use super::AgentStoreError;
use crate::connector::MAX_NOTE;

codes! {
    /// Where a task came from, on disk.
    enum OriginCode {
        1 Controller = "controller",
        2 Local = "local",
    }
}

fn malformed(reason: &str) -> CodecError {
    CodecError::Malformed { reason: reason.to_owned() }
}

/// The value of a code, or what is wrong with the record that has it.
fn known<E: postern_protocol::code::CodeSet>(code: Code<E>) -> Result<E, CodecError> {
    code.known().ok_or_else(|| malformed("a code of a newer version"))
}

#[derive(Encode, Decode)]
struct TaskRecord {
    origin: Code<OriginCode>,
    offer: Offer,
}

pub(super) fn task(offer: &Offer, origin: Origin) -> Result<Vec<u8>, CodecError> {
    let origin = match origin {
        Origin::Controller => OriginCode::Controller,
        Origin::Local => OriginCode::Local,
    };
    codec::encode(&TaskRecord { origin: origin.into(), offer: offer.clone() })
}

pub(super) fn read_task(bytes: &[u8]) -> Result<(Offer, Origin), CodecError> {
    let record: TaskRecord = codec::decode(bytes)?;
    let origin = match known(record.origin)? {
        OriginCode::Controller => Origin::Controller,
        OriginCode::Local => Origin::Local,
    };
    Ok((record.offer, origin))
}

#[derive(Encode, Decode)]
#[allow(clippy::large_enum_variant, reason = "it lives for one encoding")]
enum StateRecord {
    Journaled,
    Started { resumed: u32 },
    Concluded(Report),
}

pub(super) fn state(state: &TaskState) -> Result<Vec<u8>, CodecError> {
    codec::encode(&match state {
        TaskState::Journaled => StateRecord::Journaled,
        TaskState::Started { resumed } => StateRecord::Started { resumed: *resumed },
        TaskState::Concluded(report) => StateRecord::Concluded(Report::clone(report)),
    })
}

pub(super) fn read_state(bytes: &[u8]) -> Result<TaskState, CodecError> {
    Ok(match codec::decode(bytes)? {
        StateRecord::Journaled => TaskState::Journaled,
        StateRecord::Started { resumed } => TaskState::Started { resumed },
        StateRecord::Concluded(report) => TaskState::Concluded(Box::new(report)),
    })
}

codes! {
    /// What an entry says of its step, on disk.
    enum MarkCode {
        1 Intent = "intent",
        2 Done = "done",
        3 Void = "void",
    }
}

#[derive(Encode, Decode)]
struct EntryRecord {
    step: u32,
    mark: Code<MarkCode>,
    note: Bytes<MAX_NOTE>,
}

pub(super) fn entry(entry: &JournalEntry) -> Result<Vec<u8>, CodecError> {
    let note = Bytes::new(entry.note.clone()).map_err(|error| malformed(&error.to_string()))?;
    let mark = match entry.mark {
        Mark::Intent => MarkCode::Intent,
        Mark::Done => MarkCode::Done,
        Mark::Void => MarkCode::Void,
    };
    codec::encode(&EntryRecord { step: entry.step, mark: mark.into(), note })
}

pub(super) fn read_entry(bytes: &[u8]) -> Result<JournalEntry, CodecError> {
    let record: EntryRecord = codec::decode(bytes)?;
    let mark = match known(record.mark)? {
        MarkCode::Intent => Mark::Intent,
        MarkCode::Done => Mark::Done,
        MarkCode::Void => Mark::Void,
    };
    Ok(JournalEntry { step: record.step, mark, note: record.note.into_vec() })
}

pub(super) fn report(report: &Report) -> Result<Vec<u8>, CodecError> {
    codec::encode(report)
}

pub(super) fn read_report(bytes: &[u8]) -> Result<Report, CodecError> {
    codec::decode(bytes)
}

#[derive(Encode, Decode)]
struct TombstoneRecord {
    task: TaskId,
    epoch: Epoch,
    attempt: u32,
    outcome: Code<Outcome>,
    certainty: Code<Certainty>,
    changed: Code<Changed>,
}

pub(super) fn tombstone(stone: &Tombstone) -> Result<Vec<u8>, CodecError> {
    codec::encode(&TombstoneRecord {
        task: stone.task,
        epoch: stone.epoch,
        attempt: stone.attempt,
        outcome: stone.outcome.into(),
        certainty: stone.certainty.into(),
        changed: stone.changed.into(),
    })
}

pub(super) fn read_tombstone(bytes: &[u8]) -> Result<Tombstone, CodecError> {
    let record: TombstoneRecord = codec::decode(bytes)?;
    Ok(Tombstone {
        task: record.task,
        epoch: record.epoch,
        attempt: record.attempt,
        outcome: known(record.outcome)?,
        certainty: known(record.certainty)?,
        changed: known(record.changed)?,
    })
}

#[derive(Encode, Decode)]
struct MembershipRecord {
    state: Code<MembershipState>,
    epoch: Epoch,
    hard: bool,
}

pub(super) fn membership(membership: &Membership) -> Result<Vec<u8>, CodecError> {
    codec::encode(&MembershipRecord { state: membership.state.into(), epoch: membership.epoch, hard: membership.hard })
}

pub(super) fn read_membership(bytes: &[u8]) -> Result<Membership, CodecError> {
    let record: MembershipRecord = codec::decode(bytes)?;
    Ok(Membership { state: known(record.state)?, epoch: record.epoch, hard: record.hard })
}

pub(super) fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(super) fn read_number(bytes: &[u8]) -> Result<u64, CodecError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| malformed("a number has eight bytes"))
}

pub(super) fn too_large(length: usize) -> CodecError {
    CodecError::TooLarge { length }
}

/// The bytes before each part of a record: how many parts there are.
pub(super) const PART_HEADER: usize = 2;

/// One record, if it is there.
pub(super) fn read_parts(store: &Store, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, AgentStoreError> {
    let mut assembly = Assembly::default();
    for item in store.scan_prefix(table, key) {
        let (_, value) = item?;
        assembly.push(&value);
    }
    assembly.finish(table, key)
}

/// A key and what is recorded under it.
type Record = (Vec<u8>, Vec<u8>);

/// Every record of a table, with its key.
pub(super) fn collect_parts(store: &Store, table: Table) -> Result<Vec<Record>, AgentStoreError> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for item in store.scan(table) {
        let (mut key, _) = item?;
        key.truncate(key.len().saturating_sub(size_of::<u16>()));
        if keys.last() != Some(&key) {
            keys.push(key);
        }
    }
    keys.into_iter()
        .map(|key| {
            let bytes = read_parts(store, table, &key)?;
            bytes.map(|bytes| (key.clone(), bytes)).ok_or_else(|| incomplete(table, &key))
        })
        .collect()
}

/// A record being put together. A longer, older version of it may have left parts behind the last one.
#[derive(Default)]
struct Assembly {
    count: Option<u16>,
    parts: u16,
    bytes: Vec<u8>,
}

impl Assembly {
    fn push(&mut self, value: &[u8]) {
        if let Some((count, piece)) = value.split_first_chunk::<PART_HEADER>() {
            let count = *self.count.get_or_insert(u16::from_be_bytes(*count));
            if self.parts < count {
                self.parts += 1;
                self.bytes.extend_from_slice(piece);
            }
        }
    }

    fn finish(self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, AgentStoreError> {
        match self.count {
            None => Ok(None),
            Some(count) if count == self.parts => Ok(Some(self.bytes)),
            Some(_) => Err(incomplete(table, key)),
        }
    }
}

fn incomplete(table: Table, key: &[u8]) -> AgentStoreError {
    AgentStoreError::Incomplete { table: table.name(), key: HEXLOWER.encode(key) }
}
