//! Big payloads: written in order, resumed, read from any place.

use std::fs;

use postern_store::{Spool, SpoolError, SpoolId, Store};

use crate::lab::Folder;

const ID: SpoolId = SpoolId([0xab; 16]);
const OTHER: SpoolId = SpoolId([0xcd; 16]);
const CHUNK: u64 = 64 * 1024;

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|it| (it.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len().try_into().unwrap()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn spool(folder: &Folder) -> (Store, Spool) {
    let store = folder.store();
    let spool = store.spool().unwrap();
    (store, spool)
}

fn write(spool: &Spool, id: SpoolId, bytes: &[u8]) {
    let mut writer = spool.write(id, length(bytes)).unwrap();
    writer.append(bytes).unwrap();
    writer.finish(&hash(bytes)).unwrap();
}

fn read(spool: &Spool, id: SpoolId, len: u64) -> Vec<u8> {
    let reader = spool.read(id, len).unwrap();
    let mut all = Vec::new();
    loop {
        let piece = reader.read_at(length(&all)).unwrap();
        if piece.is_empty() {
            return all;
        }
        all.extend(piece);
    }
}

#[test]
fn a_payload_of_any_length_comes_back() {
    let folder = Folder::new();
    let (_store, spool) = spool(&folder);
    for bytes in [0, 1, 65_535, 65_536, 65_537, 200_000].map(payload) {
        let len = length(&bytes);
        write(&spool, ID, &bytes);

        assert_eq!(read(&spool, ID, len), bytes);
        spool.verify(ID, len, &hash(&bytes)).unwrap();
    }
    let bytes = payload(200_000);
    let piece = spool.read(ID, 200_000).unwrap().read_at(150_000).unwrap();
    assert_eq!(piece, bytes[150_000..196_608], "up to the end of its chunk");
}

/// Seen to fail without the removal of what follows the last whole chunk.
#[test]
fn a_payload_is_resumed_where_it_was_durable() {
    let folder = Folder::new();
    let bytes = payload(300_000);
    let (store, first) = spool(&folder);
    let mut writer = first.write(ID, 300_000).unwrap();
    writer.append(&bytes[..70_000]).unwrap();
    assert_eq!(writer.durable(), 0);
    assert_eq!(writer.sync().unwrap(), CHUNK);
    writer.append(&bytes[70_000..200_000]).unwrap();
    assert_eq!(writer.offset(), 200_000);
    drop((store, first, writer));
    // A power cut may leave anything behind the last sync.
    let part = folder.join(&format!("spool/{ID}.part"));
    let mut content = fs::read(&part).unwrap();
    content.truncate(70_000);
    content.resize(400_000, 0);
    fs::write(&part, content).unwrap();

    let (_store, spool) = spool(&folder);
    assert!(!spool.contains(ID));
    let mut writer = spool.write(ID, 300_000).unwrap();
    assert_eq!((writer.offset(), writer.durable()), (CHUNK, CHUNK));
    writer.append(&bytes[65_536..]).unwrap();
    writer.finish(&hash(&bytes)).unwrap();

    assert_eq!(read(&spool, ID, 300_000), bytes);
    assert!(!part.exists());
}

#[test]
fn a_payload_is_bounded_and_must_be_the_one_announced() {
    let folder = Folder::new();
    let (_store, spool) = spool(&folder);
    let bytes = payload(100);

    let mut writer = spool.write(ID, 100).unwrap();
    let error = writer.append(&payload(101)).unwrap_err();
    assert!(matches!(error, SpoolError::TooLong { limit: 100, .. }), "{error}");
    writer.append(&bytes[..99]).unwrap();
    assert!(matches!(writer.finish(&hash(&bytes)), Err(SpoolError::Mismatch(_))), "too short");

    let mut writer = spool.write(ID, 100).unwrap();
    assert_eq!(writer.offset(), 0, "a mismatch begins again");
    writer.append(&bytes).unwrap();
    assert!(matches!(writer.finish(&[0; 32]), Err(SpoolError::Mismatch(_))), "other hash");
    assert!(matches!(spool.read(ID, 100), Err(SpoolError::Missing(_))));
}

/// F18, F23. Seen to fail without the index or the id in what a chunk is sealed for.
#[test]
fn f18_a_flipped_moved_or_missing_chunk_is_noticed() {
    let folder = Folder::new();
    let (_store, spool) = spool(&folder);
    let bytes = payload(200_000);
    write(&spool, ID, &bytes);
    let path = folder.join(&format!("spool/{ID}"));
    let sound = fs::read(&path).unwrap();
    let sealed = 65_536 + 40;
    let damaged = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        let found = spool.verify(ID, 200_000, &hash(&bytes));
        assert!(matches!(found, Err(SpoolError::Damaged { .. })), "{found:?}");
    };

    let mut flipped = sound.clone();
    flipped[sealed + 5] ^= 1;
    damaged(&flipped);
    let mut swapped = sound[sealed..2 * sealed].to_vec();
    swapped.extend_from_slice(&sound[..sealed]);
    swapped.extend_from_slice(&sound[2 * sealed..]);
    damaged(&swapped);
    damaged(&sound[..2 * sealed]);
    damaged(&[]);

    fs::write(folder.join(&format!("spool/{OTHER}")), &sound).unwrap();
    assert!(matches!(spool.verify(OTHER, 200_000, &hash(&bytes)), Err(SpoolError::Damaged { at: 0, .. })));
}

/// F23.
#[test]
fn f23_orphans_go_and_what_is_referenced_stays() {
    let folder = Folder::new();
    let (_store, spool) = spool(&folder);
    write(&spool, ID, b"kept");
    write(&spool, OTHER, b"orphan");
    drop(spool.write(SpoolId([1; 16]), 10).unwrap());
    fs::write(folder.join("spool/README"), b"not ours").unwrap();

    assert_eq!(spool.retain(|id| id == ID).unwrap(), 2);

    assert_eq!(read(&spool, ID, 4), b"kept");
    assert!(!spool.contains(OTHER));
    assert!(folder.join("spool/README").exists());
    spool.delete(ID).unwrap();
    spool.delete(ID).unwrap();
    assert!(matches!(spool.read(ID, 4), Err(SpoolError::Missing(_))));
}

/// Leave the last chunk out of `finish_here` and this fails.
#[test]
fn a_payload_of_unknown_length_is_complete_where_it_ends() {
    let folder = Folder::new();
    let (_store, spool) = spool(&folder);
    for len in [0, 1, 65_536, 200_000] {
        let bytes = payload(len);
        let mut writer = spool.begin(ID).unwrap();
        bytes.chunks(50_000).for_each(|piece| writer.append(piece).unwrap());
        assert!(!spool.contains(ID), "it has no name before it is whole");

        assert_eq!(writer.finish_here().unwrap(), (u64::try_from(len).unwrap(), hash(&bytes)));
        assert_eq!(read(&spool, ID, u64::try_from(len).unwrap()), bytes);
        spool.delete(ID).unwrap();
    }
}
