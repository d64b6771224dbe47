//! A second process on a store that is in use.

use std::process::Command;

use postern_store::{Options, Store, StoreError};

use crate::lab::{Folder, NOW, key};

/// F24. Seen to fail without the lock: the child then gets an error of sled instead, and with
/// sled's own lock gone too it would open.
#[test]
fn f24_a_second_process_is_told_who_has_the_store() {
    let _alone = crate::alone();
    let folder = Folder::new();
    let store = folder.store();

    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second::child_tries_to_open", "--nocapture"])
        .env("STORE_TO_OPEN", folder.path())
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&child.stdout);
    let expected = format!("in use by {}", std::process::id());
    assert!(said.contains(&expected), "{said}");
    drop(store);
    drop(folder.store());
}

/// The other process of the test above; by itself it does nothing.
#[test]
fn child_tries_to_open() {
    let Ok(path) = std::env::var("STORE_TO_OPEN") else { return };
    match Store::open(path.as_ref(), &key(), &Options::default(), NOW) {
        Err(StoreError::InUse { pid: Some(pid), .. }) => println!("in use by {pid}"),
        other => println!("{other:?}"),
    }
}
