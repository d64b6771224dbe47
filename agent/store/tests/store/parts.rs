//! Records larger than a value.

use postern_store::{Batch, MAX_VALUE, Store, StoreError, parts};

use crate::lab::{Folder, TASKS};

/// Puts a record in one batch.
fn put_record(store: &Store, key: &[u8], record: &[u8]) {
    let mut batch = Batch::new();
    for (key, value) in parts::cut(TASKS, key, record).unwrap() {
        batch.put(TASKS, &key, &value).unwrap();
    }
    store.commit_blocking(batch).unwrap();
}

fn record(len: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(len).collect()
}

#[test]
fn a_record_of_any_length_comes_back_whole() {
    let folder = Folder::new();
    let store = folder.store();
    let lengths = [0, 1, MAX_VALUE - 2, MAX_VALUE - 1, MAX_VALUE, 10 * MAX_VALUE];
    let records: Vec<(Vec<u8>, Vec<u8>)> =
        lengths.into_iter().map(|len| (len.to_be_bytes().to_vec(), record(len))).collect();
    for (key, record) in &records {
        put_record(&store, key, record);
        assert_eq!(parts::read(&store, TASKS, key).unwrap().as_ref(), Some(record));
    }
    assert_eq!(parts::read_all(&store, TASKS).unwrap(), records);
    let found: Result<Vec<_>, _> = parts::scan_prefix(&store, TASKS, &[0; 6]).collect();
    assert_eq!(found.unwrap(), records);
    let (key, _) = &records[5];
    assert_eq!(parts::scan_prefix(&store, TASKS, key).map(Result::unwrap).collect::<Vec<_>>(), records[5..]);
    assert_eq!(parts::keys(&store, TASKS, key).count(), 11);
    assert_eq!(parts::keys(&store, TASKS, &key[..7]).count(), 0);
    assert_eq!(parts::read(&store, TASKS, b"absent").unwrap(), None);
}

#[test]
fn a_shorter_record_hides_the_parts_of_a_longer_one() {
    let folder = Folder::new();
    let store = folder.store();
    put_record(&store, b"a", &record(3 * MAX_VALUE));
    put_record(&store, b"a", b"short");
    assert_eq!(parts::read(&store, TASKS, b"a").unwrap().unwrap(), b"short");
    let short = [(b"a".to_vec(), b"short".to_vec())];
    assert_eq!(parts::read_all(&store, TASKS).unwrap(), short);
    assert_eq!(parts::scan_prefix(&store, TASKS, b"").map(Result::unwrap).collect::<Vec<_>>(), short);
}

#[test]
fn records_whose_keys_begin_alike_are_kept_apart() {
    let folder = Folder::new();
    let store = folder.store();
    // The second key's only part lies between the two of the first.
    put_record(&store, b"a", &record(MAX_VALUE));
    put_record(&store, b"a\0\0", b"two");
    assert_eq!(parts::read(&store, TASKS, b"a").unwrap().unwrap(), record(MAX_VALUE));
    assert_eq!(parts::read(&store, TASKS, b"a\0\0").unwrap().unwrap(), b"two");
}

#[test]
fn a_record_that_lacks_any_of_its_parts_is_named() {
    let folder = Folder::new();
    let store = folder.store();
    let whole = parts::cut(TASKS, b"a", &record(2 * MAX_VALUE)).unwrap();
    assert_eq!(whole.len(), 3);
    for (key, _) in &whole {
        // What the longer record leaves behind must not fill the gap.
        put_record(&store, b"a", &record(5 * MAX_VALUE));
        put_record(&store, b"a", &record(2 * MAX_VALUE));
        let mut batch = Batch::new();
        batch.delete(TASKS, key).unwrap();
        store.commit_blocking(batch).unwrap();

        let error = parts::read(&store, TASKS, b"a").unwrap_err();

        assert!(matches!(&error, StoreError::Incomplete { key, .. } if key == "61"), "{error}");
        assert!(parts::read_all(&store, TASKS).is_err());
        assert!(parts::scan_prefix(&store, TASKS, b"").next().unwrap().is_err());
    }
}

#[test]
fn a_record_of_more_parts_than_can_be_numbered_is_refused() {
    let record = vec![0; MAX_VALUE * 65_536];
    assert!(matches!(parts::cut(TASKS, b"a", &record), Err(StoreError::TooLarge { what: "record", .. })));
}
