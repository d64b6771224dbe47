//! The file of the keys that secrets for this agent are sealed to.

use postern_agent_core::sealing_keys;
use postern_protocol::seal::{MAX_MEMBER_KEYS, SealingKey};
use postern_protocol::time::UnixMillis;
use postern_store::private;
use zeroize::Zeroizing;

use super::{IdentityDir, IdentityError, MAX_FILE};
use crate::{clock, random};

/// All keys in one file: what is known of one changes together with what is known of the next.
pub(super) const KEYS: &str = "sealing.keys";
/// What the file begins with. Any 32 bytes are a private key, so that nothing else tells keys from entries of another form.
const FORM: &[u8] = b"postern sealing keys 1\n";
/// The private half, when it was made, and when it was acknowledged or zero: milliseconds since 1970, little-endian.
const ENTRY: usize = 32 + 8 + 8;

/// A key with what is known of it.
#[derive(Debug, Clone)]
pub struct KeptKey {
    /// The key.
    pub key: SealingKey,
    /// What is known of it.
    pub known: sealing_keys::Key,
}

impl KeptKey {
    /// A new key, which is on no disk yet.
    pub fn generate() -> Self {
        Self::new(SealingKey::from_random(&random::secret()), clock::unix_millis(), None)
    }

    fn new(key: SealingKey, made: UnixMillis, acknowledged: Option<UnixMillis>) -> Self {
        let known = sealing_keys::Key { id: key.public().id(), made, acknowledged };
        Self { key, known }
    }

    fn read(entry: &[u8; ENTRY]) -> Option<Self> {
        let (private, times) = entry.split_first_chunk()?;
        let (made, rest) = times.split_first_chunk()?;
        let (acknowledged, _) = rest.split_first_chunk()?;
        let moment = |bytes: &[u8; 8]| UnixMillis(u64::from_le_bytes(*bytes));
        let key = SealingKey::from_private(Zeroizing::new(*private)).ok()?;
        Some(Self::new(key, moment(made), Some(moment(acknowledged)).filter(|it| it.0 > 0)))
    }

    fn write(&self, file: &mut Vec<u8>) {
        file.extend(self.key.expose_private());
        file.extend(self.known.made.0.to_le_bytes());
        file.extend(self.known.acknowledged.map_or(0, |it| it.0).to_le_bytes());
    }
}

impl IdentityDir {
    /// The keys that secrets for this agent are sealed to, the newest first: read, or one made and written first.
    pub fn sealing_keys(&self) -> Result<Vec<KeptKey>, IdentityError> {
        if let Some(keys) = self.kept_sealing_keys()? {
            return Ok(keys);
        }
        let keys = vec![KeptKey::generate()];
        self.store_sealing_keys(&keys)?;
        Ok(keys)
    }

    /// Those that there are; `None`: there is no file of them.
    pub fn kept_sealing_keys(&self) -> Result<Option<Vec<KeptKey>>, IdentityError> {
        let path = self.file(KEYS);
        let Some(bytes) = private::read_if_any(&path, MAX_FILE)? else { return Ok(None) };
        let damaged = |reason: &str| IdentityError::Damaged { path, reason: reason.to_owned() };
        let Some(entries) = bytes.strip_prefix(FORM) else {
            return Err(damaged("it does not begin as keys of this version do"));
        };
        let (entries, rest) = entries.as_chunks();
        let keys: Option<Vec<KeptKey>> = entries.iter().map(KeptKey::read).collect();
        keys.filter(|keys| rest.is_empty() && (1..=MAX_MEMBER_KEYS).contains(&keys.len()))
            .map(Some)
            .ok_or_else(|| damaged("it does not hold whole keys, or too many"))
    }

    /// Makes a new key the newest; what was sealed to those before is still opened, as far as there is room for them.
    pub(super) fn replace_sealing_key(&self) -> Result<(), IdentityError> {
        let mut keys = self.sealing_keys()?;
        // The newest makes room if no controller acknowledged it: its enrollment came to nothing, while what waits is sealed to
        // those before.
        if keys.len() >= MAX_MEMBER_KEYS && keys.first().is_some_and(|newest| newest.known.acknowledged.is_none()) {
            keys.remove(0);
        }
        keys.truncate(MAX_MEMBER_KEYS - 1);
        keys.insert(0, KeptKey::generate());
        self.store_sealing_keys(&keys)
    }

    /// Makes these keys durable, and no other: those that are gone are overwritten.
    pub fn store_sealing_keys(&self, keys: &[KeptKey]) -> Result<(), IdentityError> {
        // Room for all of them, because what grows leaves copies behind.
        let mut file = Zeroizing::new(Vec::with_capacity(FORM.len() + keys.len() * ENTRY));
        file.extend(FORM);
        for key in keys {
            key.write(&mut file);
        }
        Ok(private::supersede(&self.file(KEYS), &file)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, IdentityDir) {
        let folder = tempfile::tempdir().unwrap();
        let identity = IdentityDir::open(&folder.path().join("state")).unwrap();
        (folder, identity)
    }

    fn known(keys: &[KeptKey]) -> Vec<sealing_keys::Key> {
        keys.iter().map(|key| key.known).collect()
    }

    #[test]
    fn a_first_key_is_made_once_and_the_keys_come_back_in_their_order() {
        let (_folder, identity) = folder();
        let mut keys = identity.sealing_keys().unwrap();
        assert_eq!(known(&keys), known(&identity.sealing_keys().unwrap()));
        keys.insert(0, KeptKey::generate());
        keys[1].known.acknowledged = Some(UnixMillis(7));
        identity.store_sealing_keys(&keys).unwrap();
        let read = identity.sealing_keys().unwrap();
        assert_eq!(known(&read), known(&keys));
        assert_eq!(read[1].key.expose_private(), keys[1].key.expose_private());
    }

    /// Look at the length alone, and entries of a version that keeps more of each are other keys, to which everybody seals until
    /// the next rotation overwrites the true ones.
    #[test]
    fn a_file_of_keys_that_is_damaged_or_of_another_version_is_named_and_left() {
        let (_folder, identity) = folder();
        let ours = |entries: usize, more: &[u8]| [FORM, &vec![1; entries * ENTRY], more].concat();
        let theirs = [b"postern sealing keys 2\n".as_slice(), &[1; ENTRY]].concat();
        let others = [vec![], b"short".to_vec(), vec![1; ENTRY], theirs];
        let damaged = [ours(0, b""), ours(1, b"x"), ours(MAX_MEMBER_KEYS + 1, b"")];
        for content in others.iter().chain(&damaged) {
            private::replace(&identity.file(KEYS), content).unwrap();
            for error in [identity.sealing_keys().err(), identity.replace_sealing_key().err()] {
                let told = error.unwrap().to_string();
                assert!(told.contains(KEYS) && told.contains("enroll") && told.contains("newer version"), "{told}");
            }
            assert_eq!(std::fs::read(identity.file(KEYS)).unwrap(), *content);
        }
        private::replace(&identity.file(KEYS), &ours(MAX_MEMBER_KEYS, b"")).unwrap();
        assert_eq!(identity.sealing_keys().unwrap().len(), MAX_MEMBER_KEYS);
    }
}
