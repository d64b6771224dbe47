//! F08, F18, F19: what a crash, a flipped byte or a missing file does to a store.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use postern_store::{Opened, Options, StoreError};

use crate::lab::{Folder, NOW, TASKS, fill, value};

/// A closed store with 2000 records in several segments, opened twice so that a snapshot exists.
fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 2000);
    drop(store);
    drop(folder.store());
    folder
}

fn snapshot(folder: &Folder) -> PathBuf {
    fs::read_dir(folder.join("data"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap."))
        .expect("an opened store has a snapshot")
}

fn assert_complete(opened: &Opened) {
    let found = opened.store.scan(TASKS).map(|it| it.unwrap().1).collect::<Vec<_>>();
    assert_eq!(found, (0..2000).map(value).collect::<Vec<_>>());
}

/// F08. Seen to fail without the removal: the store is taken for a damaged one and moved aside.
#[test]
fn f08_a_half_made_snapshot_does_not_cost_the_store() {
    for content in [&b""[..], b"half a snapshot, cut by a kill"] {
        let folder = filled();
        let leftover = folder.join("data/snap.00000000FFFFFFFF.generating");
        fs::write(&leftover, content).unwrap();

        let opened = folder.open();

        let recovered = opened.recovered.clone().unwrap();
        assert_eq!((recovered.moved_aside, recovered.snapshots), (None, 1));
        assert!(!leftover.exists());
        assert_complete(&opened);
    }
}

/// F08. Seen to fail without the second try: the store is moved aside.
#[test]
fn f08_a_damaged_snapshot_does_not_cost_the_store() {
    let folder = filled();
    let snapshot = snapshot(&folder);
    let mut content = fs::read(&snapshot).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&snapshot, content).unwrap();

    let opened = folder.open();

    let recovered = opened.recovered.clone().unwrap();
    assert_eq!((recovered.moved_aside, recovered.snapshots), (None, 1));
    assert_complete(&opened);
    drop(opened);
    assert_complete(&folder.open());
}

/// F18. A byte is flipped in every part of sled's file in turn. Either the store is as it was (the
/// byte was of no use any more), or it is moved aside whole and a new one begun. Seen to fail
/// without the watermark: records are missing and nobody is told.
#[test]
fn f18_a_flipped_byte_is_never_passed_over_in_silence() {
    let folder = filled();
    let db = folder.join("data/db");
    let sound = folder.files();
    let len = sound.iter().find(|(path, _)| *path == db).unwrap().1.len();
    let mut moved = 0;

    for step in 0..24 {
        let at = len * step / 24 + 1234;
        if at >= len {
            continue;
        }
        fs::remove_dir_all(folder.path()).unwrap();
        for (path, content) in &sound {
            let parent = path.parent().unwrap();
            fs::create_dir_all(parent.join("blobs")).unwrap();
            fs::set_permissions(parent, fs::Permissions::from_mode(0o700)).unwrap();
            let mut content = content.clone();
            if *path == db {
                content[at] ^= 0x10;
            }
            fs::write(path, content).unwrap();
        }

        let opened = folder.open();

        match opened.recovered.clone().and_then(|it| it.moved_aside) {
            None => assert_complete(&opened),
            Some(aside) => {
                moved += 1;
                assert_eq!(aside.to, folder.join(&format!("corrupt-{NOW}")));
                assert!(aside.to.join("data/db").exists());
                assert_eq!(opened.store.scan(TASKS).count(), 0);
            }
        }
    }

    assert!(moved > 0, "no flip did any damage");
}

/// F18, in the log's end, where sled takes damage for a write cut short by a crash. Seen to fail
/// without the watermark: the last records are gone and nobody is told.
#[test]
fn f18_a_cut_off_end_is_noticed() {
    let folder = Folder::new();
    let store = folder.store();
    fill(&store, 2000);
    let incarnation = store.incarnation();
    // As a crash leaves it: what closing would add is not there.
    let cut = fs::read(folder.join("data/db")).unwrap();
    fill(&store, 2050);
    let watermark = fs::read(folder.join("watermark")).unwrap();
    drop(store);
    fs::write(folder.join("data/db"), cut).unwrap();
    fs::write(folder.join("watermark"), watermark).unwrap();

    let opened = folder.open();

    let aside = opened.recovered.unwrap().moved_aside.unwrap();
    assert!(aside.reason.contains("ends at group"), "{}", aside.reason);
    assert_ne!(opened.store.incarnation(), incarnation);
    drop(opened.store);
    drop(folder.store());
}

/// F18, where sled finds nothing wrong. Seen to fail without the scrub: the store is taken for a
/// sound one.
#[test]
fn f18_a_record_that_is_not_what_was_written_is_named() {
    let folder = filled();
    let db = folder.sled();
    let place = [&[TASKS.tag()], &7_u64.to_be_bytes()[..]].concat();
    let other = [&[TASKS.tag()], &8_u64.to_be_bytes()[..]].concat();
    let record = db.get(other).unwrap().unwrap();
    db.insert(place, record).unwrap();
    drop(db);

    let opened = folder.open();

    let aside = opened.recovered.unwrap().moved_aside.unwrap();
    assert!(aside.reason.contains("0000000000000007 of table `#1`"), "{}", aside.reason);
}

/// F19. A store whose data was deleted begins a new life, which the incarnation tells.
#[test]
fn f19_a_deleted_store_has_another_incarnation() {
    let folder = filled();
    let before = folder.store().incarnation();
    fs::remove_dir_all(folder.join("data")).unwrap();

    let store = folder.store();

    assert_ne!(store.incarnation(), before);
    assert_eq!(store.scan(TASKS).count(), 0);
}

/// Seen to fail when sled's empty file was taken for a new store.
#[test]
fn an_emptied_file_is_damage_and_not_a_new_store() {
    let folder = filled();
    fs::write(folder.join("data/db"), b"").unwrap();

    let opened = folder.open();

    assert!(opened.recovered.unwrap().moved_aside.is_some());
}

/// Whatever a crash while moving aside leaves is moved aside by the next start.
#[test]
fn a_store_without_its_format_is_damaged() {
    let folder = filled();
    fs::remove_file(folder.join("format")).unwrap();
    let opened = folder.open();
    assert!(opened.recovered.unwrap().moved_aside.is_some());
    drop(opened.store);
    drop(folder.store());
}

#[test]
fn a_damaged_store_is_left_as_it_is_for_whoever_only_asks() {
    let folder = filled();
    fs::write(folder.join("format"), b"nonsense").unwrap();
    let names = || fs::read_dir(folder.join("")).unwrap().map(|it| it.unwrap().file_name()).collect::<BTreeSet<_>>();
    let before = names();
    let error = folder.open_with(&Options { replace: false, ..Options::default() }).unwrap_err();
    assert!(matches!(error, StoreError::Left { .. }), "{error}");
    assert_eq!(names(), before);
    assert!(folder.open().recovered.unwrap().moved_aside.is_some(), "the next start of an agent finds it");
}

#[test]
fn damaged_stores_are_kept_up_to_a_bound() {
    let folder = Folder::new();
    for _ in 0..8 {
        drop(folder.open());
        fs::write(folder.join("format"), b"nonsense").unwrap();
    }
    assert!(folder.open().recovered.unwrap().moved_aside.is_some());
    fs::write(folder.join("format"), b"nonsense").unwrap();

    let error = folder.open_with(&Options::default()).unwrap_err();

    assert!(error.to_string().contains("remove `corrupt-*`"), "{error}");
    assert!(folder.join("data").exists(), "the last one stays where it is");
}
