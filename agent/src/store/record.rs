//! Records as bytes.
//!
//! Wire structs are stored in their wire encoding: they are frozen. What is the agent's own has a struct here, to be
//! changed only together with the store's format number.

use bincode::{Decode, Encode};
use postern_agent_core::{Caller, JournalEntry, Mark, Membership, Origin, Payload, TaskState, Tombstone};
use postern_protocol::bounded::Bytes;
use postern_protocol::code::Code;
use postern_protocol::codec::{self, CodecError};
use postern_protocol::codes;
use postern_protocol::message::v1::{MembershipState, Offer, Report};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, Outcome, TaskId};
use postern_store::audit::{Event, Head};

use crate::connector::{MAX_EFFECT, MAX_NOTE};

codes! {
    /// Where a task came from, on disk.
    enum OriginCode {
        1 Controller = "controller",
        2 Person = "person",
        3 Schedule = "schedule",
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

/// An offer with where it came from.
pub fn task(offer: &Offer, origin: Origin) -> Result<Vec<u8>, CodecError> {
    let origin = match origin {
        Origin::Controller => OriginCode::Controller,
        Origin::Local(Caller::Person) => OriginCode::Person,
        Origin::Local(Caller::Schedule) => OriginCode::Schedule,
    };
    codec::encode(&TaskRecord { origin: origin.into(), offer: offer.clone() })
}

/// The offer in these bytes, and where it came from.
pub fn read_task(bytes: &[u8]) -> Result<(Offer, Origin), CodecError> {
    let record: TaskRecord = codec::decode(bytes)?;
    let origin = match known(record.origin)? {
        OriginCode::Controller => Origin::Controller,
        OriginCode::Person => Origin::Local(Caller::Person),
        OriginCode::Schedule => Origin::Local(Caller::Schedule),
    };
    Ok((record.offer, origin))
}

#[derive(Encode, Decode)]
#[allow(clippy::large_enum_variant, reason = "it lives for one encoding")]
enum StateRecord {
    Journaled { unended: u32 },
    Started { unended: u32 },
    Concluded(Report),
}

/// The state of a task.
pub fn state(state: &TaskState) -> Result<Vec<u8>, CodecError> {
    codec::encode(&match state {
        TaskState::Journaled { unended } => StateRecord::Journaled { unended: *unended },
        TaskState::Started { unended } => StateRecord::Started { unended: *unended },
        TaskState::Concluded(report) => StateRecord::Concluded(Report::clone(report)),
    })
}

/// The state in these bytes.
pub fn read_state(bytes: &[u8]) -> Result<TaskState, CodecError> {
    Ok(match codec::decode(bytes)? {
        StateRecord::Journaled { unended } => TaskState::Journaled { unended },
        StateRecord::Started { unended } => TaskState::Started { unended },
        StateRecord::Concluded(report) => TaskState::Concluded(Box::new(report)),
    })
}

codes! {
    /// What an entry says of its step, on disk.
    enum MarkCode {
        1 Intent = "intent",
        2 Done = "done",
        3 TakenBack = "taken_back",
        4 Memo = "memo",
        5 Unchanged = "unchanged",
    }
}

#[derive(Encode, Decode)]
struct EntryRecord {
    step: u32,
    mark: Code<MarkCode>,
    note: Bytes<MAX_NOTE>,
    effect: Bytes<MAX_EFFECT>,
}

/// An entry of a journal.
pub fn entry(entry: &JournalEntry) -> Result<Vec<u8>, CodecError> {
    let note = Bytes::new(entry.note.clone()).map_err(|error| malformed(&error.to_string()))?;
    let effect = Bytes::new(entry.effect.clone()).map_err(|error| malformed(&error.to_string()))?;
    let mark = match entry.mark {
        Mark::Intent => MarkCode::Intent,
        Mark::Done => MarkCode::Done,
        Mark::TakenBack => MarkCode::TakenBack,
        Mark::Memo => MarkCode::Memo,
        Mark::Unchanged => MarkCode::Unchanged,
    };
    codec::encode(&EntryRecord { step: entry.step, mark: mark.into(), note, effect })
}

/// The entry in these bytes.
pub fn read_entry(bytes: &[u8]) -> Result<JournalEntry, CodecError> {
    let record: EntryRecord = codec::decode(bytes)?;
    let mark = match known(record.mark)? {
        MarkCode::Intent => Mark::Intent,
        MarkCode::Done => Mark::Done,
        MarkCode::TakenBack => Mark::TakenBack,
        MarkCode::Memo => Mark::Memo,
        MarkCode::Unchanged => Mark::Unchanged,
    };
    Ok(JournalEntry { step: record.step, mark, note: record.note.into_vec(), effect: record.effect.into_vec() })
}

/// An event of the audit log: when it was, and what.
pub fn audit(event: &Event) -> Vec<u8> {
    [event.time.to_be_bytes().as_slice(), event.what.as_bytes()].concat()
}

/// The event in these bytes.
pub fn read_audit(bytes: &[u8]) -> Result<Event, CodecError> {
    let (time, what) = bytes.split_first_chunk().ok_or_else(|| malformed("an event without its time"))?;
    let what = String::from_utf8(what.to_vec()).map_err(|_| malformed("an event that is not text"))?;
    Ok(Event { time: u64::from_be_bytes(*time), what })
}

#[derive(Encode, Decode)]
struct WrittenRecord {
    row: u64,
    line: u64,
    hash: [u8; 32],
}

/// How far the audit log is written: a row of the store, and the line it became.
pub fn written(row: u64, head: Head) -> Result<Vec<u8>, CodecError> {
    codec::encode(&WrittenRecord { row, line: head.number, hash: head.hash })
}

/// How far it is, by these bytes.
pub fn read_written(bytes: &[u8]) -> Result<(u64, Head), CodecError> {
    let WrittenRecord { row, line, hash } = codec::decode(bytes)?;
    Ok((row, Head { number: line, hash }))
}

/// A report.
pub fn report(report: &Report) -> Result<Vec<u8>, CodecError> {
    codec::encode(report)
}

/// The report in these bytes.
pub fn read_report(bytes: &[u8]) -> Result<Report, CodecError> {
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
    /// None, handed over, lost.
    payload: u8,
}

/// A tombstone.
pub fn tombstone(stone: &Tombstone) -> Result<Vec<u8>, CodecError> {
    let payload = match stone.payload {
        Payload::None => 0,
        Payload::HandedOver => 1,
        Payload::Lost => 2,
    };
    let record = TombstoneRecord {
        task: stone.task,
        epoch: stone.epoch,
        attempt: stone.attempt,
        outcome: stone.outcome.into(),
        certainty: stone.certainty.into(),
        changed: stone.changed.into(),
        payload,
    };
    codec::encode(&(record, stone.ended))
}

/// The tombstone in these bytes. Earlier builds gave none a number: those ended before all that have one.
pub fn read_tombstone(bytes: &[u8]) -> Result<Tombstone, CodecError> {
    let numbered = codec::decode::<(TombstoneRecord, u64)>(bytes);
    let (record, ended) = numbered.or_else(|_| codec::decode(bytes).map(|record| (record, 0)))?;
    Ok(Tombstone {
        task: record.task,
        epoch: record.epoch,
        attempt: record.attempt,
        outcome: known(record.outcome)?,
        certainty: known(record.certainty)?,
        changed: known(record.changed)?,
        payload: match record.payload {
            0 => Payload::None,
            1 => Payload::HandedOver,
            2 => Payload::Lost,
            _ => return Err(malformed("a code of a newer version")),
        },
        ended,
    })
}

#[derive(Encode, Decode)]
struct MembershipRecord {
    state: Code<MembershipState>,
    epoch: Epoch,
    hard: bool,
}

/// What a member is to its controller.
pub fn membership(membership: &Membership) -> Result<Vec<u8>, CodecError> {
    codec::encode(&MembershipRecord { state: membership.state.into(), epoch: membership.epoch, hard: membership.hard })
}

/// The membership in these bytes.
pub fn read_membership(bytes: &[u8]) -> Result<Membership, CodecError> {
    let record: MembershipRecord = codec::decode(bytes)?;
    Ok(Membership { state: known(record.state)?, epoch: record.epoch, hard: record.hard })
}

/// A number.
pub fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The number in these bytes.
pub fn read_number(bytes: &[u8]) -> Result<u64, CodecError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| malformed("a number has eight bytes"))
}
