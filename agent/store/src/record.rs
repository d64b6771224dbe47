//! How one record stands on disk.
//!
//! sled key: `table tag (1)  key`. sled value: `version (1)  table tag (1)  crc32 (4, little-endian)
//! nonce (24)  ciphertext  seal tag (16)`. The CRC covers the sled key and everything of the value
//! but itself: it tells damage from tampering or a wrong key, and from a record of another version, without decrypting.
//! So every version has its first six bytes in common.

use data_encoding::HEXLOWER;

use crate::seal::{SEAL_OVERHEAD, Sealer};
use crate::{StoreError, Table};

const VERSION: u8 = 1;
const CRC_LEN: usize = 4;
const HEADER_LEN: usize = 2 + CRC_LEN;
const CONTEXT: &[u8] = b"postern-store record 1";

/// What a record may take on disk. sled keeps up to 17 of them in one page, and a page of more
/// than 128 KiB would go to a file that sled never syncs.
const MAX_RECORD: usize = 4096;

/// The longest value in bytes; anything longer is put in [`parts`](crate::parts) or belongs in the
/// [`Spool`](crate::Spool).
pub const MAX_VALUE: usize = MAX_RECORD - HEADER_LEN - SEAL_OVERHEAD;

/// The longest key in bytes. Ids take 16, numbers 8; this leaves room for composed keys.
pub const MAX_KEY: usize = 128;

pub(crate) fn disk_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut disk_key = Vec::with_capacity(1 + key.len());
    disk_key.push(table.tag());
    disk_key.extend_from_slice(key);
    disk_key
}

pub(crate) fn seal(sealer: &Sealer, disk_key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
    let tag = disk_key.first().copied().unwrap_or_default();
    let mut record = Vec::with_capacity(HEADER_LEN + SEAL_OVERHEAD + value.len());
    record.extend_from_slice(&[VERSION, tag, 0, 0, 0, 0]);
    sealer.seal(&associated(disk_key), value, &mut record).map_err(StoreError::Entropy)?;
    let crc = checksum(disk_key, &record).unwrap_or_default().to_le_bytes();
    if let Some(place) = record.get_mut(2..HEADER_LEN) {
        place.copy_from_slice(&crc);
    }
    Ok(record)
}

/// The value of a record, after its CRC and its seal were checked.
///
/// `name` is the table's name if the reader knows it.
pub(crate) fn open(sealer: &Sealer, name: Option<&str>, disk_key: &[u8], record: &[u8]) -> Result<Vec<u8>, StoreError> {
    let bad = |reason| bad_record(name, disk_key, reason);
    let Some((&[version, tag, ref crc @ ..], body)) = record.split_first_chunk::<HEADER_LEN>() else {
        return Err(bad("too short"));
    };
    if checksum(disk_key, record) != Some(u32::from_le_bytes(*crc)) {
        return Err(bad("checksum"));
    }
    if version != VERSION {
        let (table, key) = name_of(name, disk_key);
        return Err(StoreError::OtherRecord { table, key, found: version, known: VERSION });
    }
    if disk_key.first() != Some(&tag) {
        return Err(bad("of another table"));
    }
    sealer.open(&associated(disk_key), body).ok_or_else(|| bad("seal"))
}

fn checksum(disk_key: &[u8], record: &[u8]) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(disk_key);
    hasher.update(record.get(..2)?);
    hasher.update(record.get(HEADER_LEN..)?);
    Some(hasher.finalize())
}

fn associated(disk_key: &[u8]) -> Vec<u8> {
    [CONTEXT, disk_key].concat()
}

fn bad_record(name: Option<&str>, disk_key: &[u8], reason: &'static str) -> StoreError {
    let (table, key) = name_of(name, disk_key);
    StoreError::BadRecord { table, key, reason }
}

/// Table and key of a record, for people.
fn name_of(name: Option<&str>, disk_key: &[u8]) -> (String, String) {
    let (table, key) = match disk_key {
        [tag, key @ ..] => (name.map_or_else(|| format!("#{tag}"), str::to_owned), key),
        [] => ("#?".to_owned(), disk_key),
    };
    (table, HEXLOWER.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreKey;

    fn sealer() -> Sealer {
        Sealer::new(&StoreKey::from_bytes([7; 32]))
    }

    #[test]
    fn a_record_opens_only_under_its_own_key_and_table() {
        let sealer = sealer();
        let key = disk_key(Table::new("one", 1), b"k");
        let record = seal(&sealer, &key, b"value").unwrap();

        assert_eq!(open(&sealer, None, &key, &record).unwrap(), b"value");
        for other in [disk_key(Table::new("two", 2), b"k"), disk_key(Table::new("one", 1), b"l")] {
            // With the CRC mended, only the associated data is left to notice the move.
            let mut moved = record.clone();
            moved[1] = other[0];
            let crc = checksum(&other, &moved).unwrap().to_le_bytes();
            moved[2..HEADER_LEN].copy_from_slice(&crc);
            let error = open(&sealer, None, &other, &moved).unwrap_err();
            assert!(matches!(error, StoreError::BadRecord { reason: "seal", .. }), "{error}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let sealer = sealer();
        let key = disk_key(Table::new("one", 1), b"key");
        let record = seal(&sealer, &key, b"some value").unwrap();

        for at in 0..record.len() {
            for bit in 0..8 {
                let mut flipped = record.clone();
                flipped[at] ^= 1 << bit;
                let error = open(&sealer, Some("one"), &key, &flipped).unwrap_err();
                assert!(
                    matches!(&error, StoreError::BadRecord { table, key, .. }
                        if table == "one" && key == "6b6579"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn the_largest_record_takes_four_kibibytes() {
        let key = disk_key(Table::new("one", 1), &[0; MAX_KEY]);
        assert_eq!(seal(&sealer(), &key, &[0; MAX_VALUE]).unwrap().len(), 4096);
    }
}
