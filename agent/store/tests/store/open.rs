//! Who may open the store, and what opening leaves alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use postern_store::private::PrivateError;
use postern_store::{FORMAT, Options, Store, StoreError, StoreKey};

use crate::lab::{Folder, NOW, OUTBOX, TASKS, fill, put, value};

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let folder = Folder::new();
    let store = folder.store();
    let incarnation = store.incarnation();
    let mut batch = put(TASKS, b"a", b"one");
    batch.put(OUTBOX, b"a", b"two").unwrap();
    batch.put(TASKS, b"gone", b"three").unwrap();
    store.commit_blocking(batch).unwrap();
    let mut batch = put(TASKS, b"b", b"");
    batch.delete(TASKS, b"gone").unwrap();
    store.commit_blocking(batch).unwrap();
    drop(store);

    let store = folder.store();

    assert_eq!(store.incarnation(), incarnation);
    let tasks = store.scan(TASKS).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(tasks, [(b"a".to_vec(), b"one".to_vec()), (b"b".to_vec(), b"".to_vec())]);
    assert_eq!(store.get(OUTBOX, b"a").unwrap().unwrap(), b"two");
    assert_eq!(store.get(OUTBOX, b"b").unwrap(), None);
}

#[test]
fn a_scan_is_in_key_order_from_either_end_and_stays_in_its_table() {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 300);
    store.commit_blocking(put(OUTBOX, &7_u64.to_be_bytes(), b"other")).unwrap();

    let keys = store.scan(TASKS).map(|it| it.unwrap().0).collect::<Vec<_>>();
    assert_eq!(keys, (0..300_u64).map(|it| it.to_be_bytes().to_vec()).collect::<Vec<_>>());
    let last = store.scan(TASKS).next_back().unwrap().unwrap();
    assert_eq!(last, (299_u64.to_be_bytes().to_vec(), value(299)));
    let page = 256_u64.to_be_bytes();
    assert_eq!(store.scan_prefix(TASKS, &page[..7]).count(), 44);
}

#[test]
fn everything_is_readable_by_its_owner_alone() {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 100);
    store.spool().unwrap();
    drop(store);
    drop(folder.store());

    for (path, _) in folder.files() {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600, "{}", path.display());
    }
    for name in ["", "data", "spool"] {
        let found = fs::metadata(folder.join(name)).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o700, "{name}");
    }
}

#[test]
fn a_directory_open_to_others_is_refused_with_the_remedy() {
    let folder = Folder::new();
    drop(folder.store());
    for name in ["", "data"] {
        let path = folder.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();

        let error = folder.open_with(&Options::default()).unwrap_err();

        assert!(matches!(error, StoreError::Private(PrivateError::Exposed { mode: 0o750, .. })), "{error}");
        assert!(error.to_string().contains("chmod 700"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    drop(folder.store());
}

#[test]
fn the_same_process_cannot_open_it_twice_either() {
    let folder = Folder::new();
    let _store = folder.store();
    assert!(folder.open_with(&Options::default()).unwrap_err().is_in_use());
}

#[test]
fn a_spool_keeps_the_lock_after_the_store_is_gone() {
    let folder = Folder::new();
    let spool = folder.store().spool().unwrap();
    assert!(folder.open_with(&Options::default()).unwrap_err().is_in_use());
    drop(spool);
    drop(folder.store());
}

/// F58. Seen to fail with the check after sled was opened: sled writes a snapshot.
#[test]
fn f58_a_store_of_a_newer_version_is_refused_and_not_touched() {
    let told = refused("format = 2\nversion = 0.9.1\nsomething = else\n");
    let ours = env!("CARGO_PKG_VERSION");
    let told = told.split_once("has ").unwrap().1;
    assert_eq!(
        told,
        format!(
            "format 2, of version 0.9.1, and this is version {ours}, which reads format 1: start the newer version again"
        )
    );
    assert_eq!(FORMAT, 1);
}

/// An older store is no damage: moved aside, its tasks would be lost.
#[test]
fn a_store_of_a_version_that_is_too_old_is_refused_and_not_touched() {
    assert!(refused("format = 0\nversion = 0.0.1\n").ends_with("start a version in between first"));
}

/// What does not look like a version is not repeated.
#[test]
fn a_version_that_is_none_is_not_told() {
    let long = format!("format = 2\nversion = {}\n", "9".repeat(200));
    for text in ["format = 2\n", "format = 2\nversion = \u{1b}[31m\n", &long] {
        assert!(refused(text).contains("of version unknown"), "{text:?}");
    }
}

/// A release that changes records and forgets the format's number, and an operator who goes back behind it. Seen to fail
/// with the store moved aside, and a new and empty one in its place.
#[test]
fn f58_a_store_with_a_record_of_another_version_is_refused_and_stays_where_it_is() {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 1000);
    drop(store);
    let place = [&[TASKS.tag()], &7_u64.to_be_bytes()[..]].concat();
    let db = folder.sled();
    let ours = db.get(&place).unwrap().unwrap();
    let mut theirs = ours.to_vec();
    theirs[0] = 2;
    let mut crc = crc32fast::Hasher::new();
    for part in [&place[..], &theirs[..2], &theirs[6..]] {
        crc.update(part);
    }
    theirs[2..6].copy_from_slice(&crc.finalize().to_le_bytes());
    db.insert(&place, &theirs[..]).unwrap();
    drop(db);

    for replace in [true, false] {
        let error = folder.open_with(&Options { replace, ..Options::default() }).unwrap_err();
        assert!(error.is_other_format(), "{error}");
        assert_eq!(
            error.to_string(),
            "record 0000000000000007 of table `#1` is of another version of the store's records, 2, and this program \
             reads 1 alone: start the version again that ran last"
        );
    }

    let db = folder.sled();
    assert_eq!(db.get(&place).unwrap().unwrap(), theirs);
    db.insert(&place, ours).unwrap();
    drop(db);
    assert_eq!(folder.store().scan(TASKS).count(), 1000);
}

/// What is said of a store whose `format` file has this text.
fn refused(format: &str) -> String {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 1000);
    drop(store);
    fs::write(folder.join("format"), format).unwrap();
    let before = folder.files();

    let error = folder.open_with(&Options::default()).unwrap_err();

    assert!(error.is_other_format(), "{error}");
    assert!(folder.files() == before);
    error.to_string()
}

/// Seen to fail without the key check: every record looks damaged, and the store is moved aside.
#[test]
fn a_wrong_key_is_refused_and_nothing_is_touched() {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 10);
    drop(store);
    let before = folder.files();

    let other = StoreKey::from_bytes([1; 32]);
    let error = Store::open(&folder.path(), &other, &Options::default(), NOW).unwrap_err();

    assert!(matches!(error, StoreError::WrongKey { .. }), "{error}");
    assert!(folder.files() == before);
}

/// Seen to fail with records stored as they are.
#[test]
fn no_value_is_on_disk_in_clear() {
    let folder = Folder::new();
    let store = folder.store();
    let secret = b"correct horse battery staple";
    store.commit_blocking(put(TASKS, b"the key is in clear", secret)).unwrap();
    let spool = store.spool().unwrap();
    let mut writer = spool.write(postern_store::SpoolId([1; 16]), 280_000).unwrap();
    writer.append(&secret.repeat(10_000)).unwrap();
    writer.sync().unwrap();
    drop((store, spool, writer));
    drop(folder.store());

    let holds = |needle: &[u8]| {
        folder.files().iter().any(|(_, content)| content.windows(needle.len()).any(|window| window == needle))
    };
    assert!(holds(b"the key is in clear"), "the search itself must work");
    assert!(!holds(&secret[..8]));
    assert!(!holds(&[42; 32]), "the key");
}
