//! The key of a store: where it comes from, and how it is changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use postern_store::{Home, HomeError, KeyError, KeySource, Opened, Options, Rekeyed, SpoolError, SpoolId, Store};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::lab::{NOW, TASKS, fill, put, value};

const WHOLE: SpoolId = SpoolId([1; 16]);
const EMPTY: SpoolId = SpoolId([2; 16]);
const BEGUN: SpoolId = SpoolId([3; 16]);
const PAYLOAD: usize = 150_000;

fn payload() -> Vec<u8> {
    (0..PAYLOAD).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn len() -> u64 {
    u64::try_from(PAYLOAD).unwrap()
}

/// A directory with a store in it that has something of everything.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let store = place.open();
        fill(&store, 300);
        let spool = store.spool().unwrap();
        for (id, bytes) in [(WHOLE, &payload()[..]), (EMPTY, &[])] {
            let mut writer = spool.write(id, u64::try_from(bytes.len()).unwrap()).unwrap();
            writer.append(bytes).unwrap();
            writer.finish(&hash(bytes)).unwrap();
        }
        let mut begun = spool.write(BEGUN, len()).unwrap();
        begun.append(&payload()[..70_000]).unwrap();
        begun.sync().unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn key(&self) -> Vec<u8> {
        fs::read(self.path("store.key")).unwrap()
    }

    fn home(&self) -> Home {
        Home::with_key_file(self.0.path())
    }

    fn with(&self, source: KeySource) -> Home {
        Home::new(self.0.path(), source)
    }

    /// A credential, as systemd hands it over: its access list shows as group permission.
    fn credential(&self, name: &str, bytes: &[u8]) -> KeySource {
        let folder = self.path("credentials");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o440)).unwrap();
        KeySource::credential(name, Some(&folder)).unwrap()
    }

    fn open(&self) -> Store {
        sound(&self.home())
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut waiting = vec![self.0.path().to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { waiting.push(path) } else { found.push((path.clone(), fs::read(path).unwrap())) }
            }
        }
        found.sort();
        found
    }
}

fn sound(home: &Home) -> Store {
    let Opened { store, recovered } = home.open(&Options::default(), NOW).unwrap();
    assert_eq!(recovered, None);
    store
}

fn refused(home: &Home) -> KeyError {
    match home.open(&Options::default(), NOW) {
        Err(HomeError::Key(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn rotate(home: &Home, to: Option<&KeySource>) -> Result<Vec<Rekeyed>, HomeError> {
    let mut told = Vec::new();
    home.rotate_key(to, &Options::default(), &mut |it| told.push(it))?;
    Ok(told)
}

/// Everything that was there is there.
fn check(store: &Store) {
    let records = store.scan(TASKS).collect::<Result<Vec<_>, _>>().unwrap();
    assert!(records.into_iter().eq((0..300_u64).map(|it| (it.to_be_bytes().to_vec(), value(it)))));
    let spool = store.spool().unwrap();
    spool.verify(WHOLE, len(), &hash(&payload())).unwrap();
    spool.verify(EMPTY, 0, &hash(&[])).unwrap();
    let mut begun = spool.write(BEGUN, len()).unwrap();
    assert_eq!(begun.durable(), 65_536);
    begun.append(&payload()[65_536..]).unwrap();
    begun.finish(&hash(&payload())).unwrap();
}

#[test]
fn a_key_moves_from_its_file_to_a_credential_with_the_same_bytes() {
    let place = Place::new();
    let credential = place.credential("store.key", &place.key());
    fs::remove_file(place.path("store.key")).unwrap();
    check(&sound(&place.with(credential)));
    assert!(!place.path("store.key").exists(), "no other key is made");
}

#[test]
fn a_store_of_another_key_is_refused_with_both_sources_and_nothing_is_touched() {
    let place = Place::new();
    let other = place.with(place.credential("other", &[9; 32]));
    let before = place.files();
    let words = |error: KeyError| error.to_string();

    let told = words(refused(&other));
    for word in
        ["the credential `other`", "it is the key in the file `", "store.key`", "systemd-creds encrypt --name=other"]
    {
        assert!(told.contains(word), "`{word}` is missing from: {told}");
    }
    assert!(place.files() == before);

    fs::rename(place.path("store.key"), place.path("elsewhere")).unwrap();
    let before = place.files();
    let told = words(refused(&other));
    assert!(told.contains("the credential `other`") && told.contains("no key in the file `"), "{told}");
    let told = words(refused(&place.home()));
    assert!(told.contains("is not in the file `") && told.contains("credential that the key was moved to"), "{told}");
    assert!(place.files() == before, "no new key is made for a store that has one");

    fs::write(place.path("store.key"), [7; 32]).unwrap();
    fs::set_permissions(place.path("store.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let told = words(refused(&place.home()));
    assert!(told.contains("another key than that of the file `") && told.contains("credential"), "{told}");
    let told = words(refused(&other));
    assert!(told.contains("is another, too"), "{told}");
}

#[test]
fn a_credential_that_is_not_there_or_is_no_key_is_named() {
    let place = Place::new();
    let absent = KeySource::credential("absent", Some(place.0.path())).unwrap();
    let line = "LoadCredentialEncrypted=absent:/etc/credstore.encrypted/absent`";
    assert!(refused(&place.with(absent)).to_string().contains(line));
    let nowhere = KeySource::credential("nowhere", None).unwrap();
    assert!(refused(&place.with(nowhere)).to_string().contains("LoadCredentialEncrypted=nowhere"));
    let short = place.credential("short", b"short");
    assert!(refused(&place.with(short)).to_string().contains("the credential `short` does not hold the 32 bytes"));
    assert!(matches!(KeySource::credential("../key", None), Err(KeyError::BadName(_))));
}

#[test]
fn everything_is_there_under_a_new_key_and_nothing_is_left_of_the_old() {
    let place = Place::new();
    let (old, incarnation) = (place.key(), place.open().incarnation());
    let stranger = place.path("store/spool/notes");
    fs::write(&stranger, "no payload").unwrap();
    let before = place.files();

    let told = rotate(&place.home(), None).unwrap();

    assert_eq!(told.first(), Some(&Rekeyed::Records(302)), "{told:?}");
    assert_eq!(told.last(), Some(&Rekeyed::Payloads(4)), "{told:?}");
    assert_ne!(place.key(), old);
    assert!(!place.files().iter().any(|(_, content)| content.windows(32).any(|it| it == old)), "the old key");
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    let inside = |path: &&PathBuf| !path.starts_with(place.path("store/data"));
    assert!(
        names(&before).iter().filter(inside).eq(names(&place.files()).iter().filter(inside)),
        "nothing is left over"
    );
    for (path, content) in place.files() {
        let same = before.iter().any(|it| it.0 == path && it.1 == content && content.len() > 100);
        assert!(!same || path.ends_with("headroom"), "{}", path.display());
    }
    assert_eq!(fs::read(&stranger).unwrap(), b"no payload");
    let other = place.with(place.credential("old", &old));
    assert!(matches!(refused(&other), KeyError::Unfit { .. }));
    let store = place.open();
    assert_eq!(store.incarnation(), incarnation);
    check(&store);
    store.commit_blocking(put(TASKS, b"more", b"work")).unwrap();
}

#[test]
fn a_new_key_in_a_credential_takes_the_place_of_a_file_or_of_a_credential() {
    let place = Place::new();
    let (one, two) = (place.credential("one", &[1; 32]), place.credential("two", &[2; 32]));
    rotate(&place.home(), Some(&one)).unwrap();
    assert!(!place.path("store.key").exists(), "the old key is gone");
    rotate(&place.with(one.clone()), Some(&two)).unwrap();
    assert!(matches!(refused(&place.with(one)), KeyError::Unfit { .. }));
    check(&sound(&place.with(two)));
}

#[test]
fn a_key_that_cannot_be_changed_is_left_with_the_reason() {
    let place = Place::new();
    let present = place.credential("present", &place.key());
    let same = rotate(&place.home(), Some(&present)).unwrap_err().to_string();
    assert!(same.contains("the key that the store has"), "{same}");
    let foreign = rotate(&place.with(present.clone()), None).unwrap_err().to_string();
    assert!(foreign.contains("cannot be written from here"), "{foreign}");
    let absent = rotate(&Home::with_key_file(place.path("nowhere")), None).unwrap_err().to_string();
    assert!(absent.contains("no store at"), "{absent}");
    assert!(!place.path("nowhere").exists());

    let store = place.open();
    assert!(matches!(rotate(&place.home(), None), Err(HomeError::Store(error)) if error.is_in_use()));
    drop(store);

    fs::create_dir(place.path("store/corrupt-1")).unwrap();
    let aside = rotate(&place.home(), None).unwrap_err().to_string();
    assert!(aside.contains("corrupt-*") && aside.contains("the old key would be gone"), "{aside}");
    fs::remove_dir(place.path("store/corrupt-1")).unwrap();
    check(&sound(&place.with(present)));
}

/// What is under a key that was given up is as good as random, and takes space.
#[test]
fn what_a_change_left_that_was_cut_short_goes_at_the_next_start() {
    let place = Place::new();
    for name in ["store/data.rekeyed", "store/spool.rekeyed"] {
        fs::create_dir(place.path(name)).unwrap();
        fs::write(place.path(name).join("half"), "made").unwrap();
    }
    fs::write(place.path("store.key.next"), [5; 32]).unwrap();
    fs::set_permissions(place.path("store.key.next"), fs::Permissions::from_mode(0o600)).unwrap();
    check(&place.open());
    for name in ["store/data.rekeyed", "store/spool.rekeyed", "store.key.next"] {
        assert!(!place.path(name).exists(), "{name}");
    }
}

/// The change was complete but for the name of the key, so that what is aside is of the key that was to follow.
#[test]
fn the_key_of_a_store_that_was_moved_aside_is_kept() {
    let place = Place::new();
    let old = place.key();
    rotate(&place.home(), None).unwrap();
    fs::rename(place.path("store.key"), place.path("store.key.next")).unwrap();
    fs::write(place.path("store.key"), &old).unwrap();
    fs::set_permissions(place.path("store.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let only = fs::read(place.path("store.key.next")).unwrap();
    fs::write(place.path("store/format"), "nonsense").unwrap();
    let recovered = place.home().open(&Options::default(), NOW).unwrap().recovered.unwrap();
    let aside = recovered.moved_aside.unwrap().to;
    place.open();
    assert_eq!(fs::read(place.path("store.key.next")).unwrap(), only, "after a second start as well");

    fs::remove_dir_all(aside).unwrap();
    place.open();
    assert!(!place.path("store.key.next").exists());
}

#[test]
fn a_damaged_payload_is_damaged_under_the_new_key_too() {
    let place = Place::new();
    let file = place.path("store/spool").join(WHOLE.to_string());
    let mut bytes = fs::read(&file).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&file, bytes).unwrap();
    rotate(&place.home(), None).unwrap();
    let read = place.open().spool().unwrap().verify(WHOLE, len(), &hash(&payload()));
    assert!(matches!(read, Err(SpoolError::Damaged { .. })), "{read:?}");
}

#[test]
fn a_key_file_may_be_elsewhere() {
    let place = Place::new();
    let elsewhere = place.path("credentials");
    fs::create_dir(&elsewhere).unwrap();
    let file = elsewhere.join("key");
    fs::rename(place.path("store.key"), &file).unwrap();
    let home = place.with(KeySource::File(file.clone()));
    rotate(&home, None).unwrap();
    check(&sound(&home));
    assert_eq!(names(&elsewhere), ["key"]);
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}
