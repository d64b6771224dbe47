//! Records larger than a value, cut into parts under consecutive keys.
//!
//! The key of a part is the record's key and the part's number; its value begins with how many parts there are. Both
//! numbers take two bytes, big-endian. The parts of a record are put in one batch. A shorter record put over a longer
//! one leaves the last parts of the longer behind: they are not read, and go with every other key that begins with
//! the record's.

use data_encoding::HEXLOWER;

use crate::{MAX_VALUE, Store, StoreError, Table};

const NUMBER: usize = size_of::<u16>();

/// What one part holds, in bytes.
const PART: usize = MAX_VALUE - NUMBER;

/// A key and what is stored under it.
pub type Record = (Vec<u8>, Vec<u8>);

/// Cuts a record into the keys and values to be put for it.
///
/// # Errors
///
/// [`StoreError::TooLarge`] when there are more parts than can be numbered.
pub fn cut(table: Table, key: &[u8], record: &[u8]) -> Result<Vec<Record>, StoreError> {
    // A record of no bytes is there, too.
    let parts: Vec<&[u8]> = if record.is_empty() { vec![record] } else { record.chunks(PART).collect() };
    let count = u16::try_from(parts.len()).map_err(|_| StoreError::TooLarge {
        table: table.name(),
        what: "record",
        len: record.len(),
        limit: PART * usize::from(u16::MAX),
    })?;
    let put = |(number, part): (u16, &[u8])| (part_key(key, number), [&count.to_be_bytes(), part].concat());
    Ok((0..count).zip(parts).map(put).collect())
}

/// The record under `key`, if there is one.
///
/// # Errors
///
/// [`StoreError::Incomplete`] when a part is missing, and those of [`Store::get`].
pub fn read(store: &Store, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut is_there = false;
    for item in store.scan_prefix(table, key) {
        let (found, value) = item?;
        is_there |= found.len() == key.len() + NUMBER;
        if u16::try_from(parts.len()).is_ok_and(|number| found == part_key(key, number)) {
            parts.push(value);
        }
    }
    if is_there { join(&parts).map(Some).ok_or_else(|| incomplete(table, key)) } else { Ok(None) }
}

/// Every record of a table, with its key, in the order of the keys.
///
/// # Errors
///
/// As for [`read`].
pub fn read_all(store: &Store, table: Table) -> Result<Vec<Record>, StoreError> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for item in store.scan(table) {
        let (mut key, _) = item?;
        key.truncate(key.len().saturating_sub(NUMBER));
        if keys.last() != Some(&key) {
            keys.push(key);
        }
    }
    let record = |key: Vec<u8>| match read(store, table, &key)? {
        Some(record) => Ok((key, record)),
        None => Err(incomplete(table, &key)),
    };
    keys.into_iter().map(record).collect()
}

/// The records whose keys begin with `prefix`, with their keys, in the order of the keys.
///
/// # Errors
///
/// Each item is an error of its own, as for [`read`].
pub fn scan_prefix(
    store: &Store,
    table: Table,
    prefix: &[u8],
) -> impl Iterator<Item = Result<Record, StoreError>> + use<> {
    let mut found = store.scan_prefix(table, prefix).peekable();
    std::iter::from_fn(move || {
        let (first, part) = match found.next()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let key = without_number(&first).to_vec();
        let mut parts = Vec::new();
        let mut add = |found: &[u8], part| {
            if u16::try_from(parts.len()).is_ok_and(|number| found == part_key(&key, number)) {
                parts.push(part);
            }
        };
        add(&first, part);
        let of_it = |item: &Result<Record, StoreError>| item.as_ref().map_or(true, |it| without_number(&it.0) == key);
        while let Some(item) = found.next_if(of_it) {
            match item {
                Ok((found, part)) => add(&found, part),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(join(&parts).ok_or_else(|| incomplete(table, &key)).map(|record| (key, record)))
    })
}

/// The keys of the parts of one record, in their order.
///
/// # Errors
///
/// Each item is an error of its own, when it cannot be read.
pub fn keys(store: &Store, table: Table, key: &[u8]) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + use<> {
    let len = key.len() + NUMBER;
    store.scan_keys(table, key).filter(move |found| found.as_ref().map_or(true, |found| found.len() == len))
}

fn without_number(key: &[u8]) -> &[u8] {
    key.get(..key.len().saturating_sub(NUMBER)).unwrap_or_default()
}

fn part_key(key: &[u8], number: u16) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

/// The record whose first parts these are, if none of them is missing.
fn join(parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (count, _) = parts.first()?.split_first_chunk::<NUMBER>()?;
    let parts = parts.get(..u16::from_be_bytes(*count).into())?;
    Some(parts.iter().filter_map(|part| part.get(NUMBER..)).flatten().copied().collect())
}

fn incomplete(table: Table, key: &[u8]) -> StoreError {
    StoreError::Incomplete { table: table.name(), key: HEXLOWER.encode(key) }
}
