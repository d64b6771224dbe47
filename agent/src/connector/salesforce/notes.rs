//! What is kept of an org, and noted of tasks for it, read without an org: for whoever has bytes that another version, or
//! somebody else, may have written, as the fuzzer has.
//!
//! Nothing is decided here. Each function calls the one reader that the connector has, and writes what was read.

use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::guard::Guard;
use super::kept::buckets;
use super::mailed::Mails;
use super::task::{collect, export, import_batch, new_password, reset_by_mail};
use crate::connector::unpacked;

/// The bytes of one kind once more, if they can be read.
pub type Again = fn(&[u8]) -> Option<Vec<u8>>;

/// Every kind of what is kept and noted.
pub const KINDS: [Again; 11] = [
    |bytes| Some(Guard::decode(bytes).encode()),
    // The names of collections and of cursors.
    json::<Vec<String>>,
    json::<collect::State>,
    buckets::again::<collect::Seen>,
    json::<export::State>,
    buckets::again::<export::Known>,
    json::<export::Made>,
    json::<import_batch::Note>,
    json::<new_password::Note>,
    json::<reset_by_mail::Note>,
    json::<Mails>,
];

/// How many entries are counted in what was told of the finished steps of an import.
pub fn counted(told: impl Read) -> Option<u64> {
    import_batch::Tally::of_results(unpacked(told)).ok().map(|tally| tally.entries())
}

fn json<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<Vec<u8>> {
    serde_json::to_vec(&serde_json::from_slice::<T>(bytes).ok()?).ok()
}
