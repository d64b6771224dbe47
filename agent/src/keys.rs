//! The sealing keys of this agent, as everybody who opens or seals something here sees them.

use std::sync::{Arc, PoisonError, RwLock};

use postern_protocol::seal::{KeyId, SealingKey, SealingPublicKey};

/// The keys that secrets for this agent are sealed to, the newest first. Each of them is on disk. Clones share them.
#[derive(Debug, Clone)]
pub struct SealingKeys(Arc<RwLock<Arc<Vec<SealingKey>>>>);

impl SealingKeys {
    /// These keys, the newest first.
    pub fn new(keys: Vec<SealingKey>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Arc<Vec<SealingKey>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The one that is sealed to from now on.
    pub fn newest(&self) -> SealingPublicKey {
        *self.all().first().expect("an agent has a key from its first start on").public()
    }

    /// A new key is on disk.
    pub fn add(&self, key: SealingKey) {
        self.change(|keys| keys.insert(0, key));
    }

    /// Nothing is opened with this key any more.
    pub fn drop_key(&self, id: KeyId) {
        self.change(|keys| keys.retain(|key| key.public().id() != id));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<SealingKey>)) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut keys));
    }
}
