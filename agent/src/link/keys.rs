//! How the sealing keys of this agent follow one another: [`Rotation`] decides, here is what it decides about.

use std::sync::Arc;

use postern_agent_core::sealing_keys::{Rotation, Step, Terms};
use postern_fail_point::Point;
use postern_protocol::Timestamp;
use postern_protocol::bounded::List;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{AnnouncedKey, KeyAck, KeyAnnounce, ProtocolError};
use postern_protocol::plain::Chain;
use postern_protocol::seal::{KeyId, MAX_MEMBER_KEYS, SealingKey};
use postern_protocol::time::UnixMillis;
use serde::Serialize;
use tokio::sync::watch;

use super::certificates::{Work, blocking, until};
use crate::clock;
use crate::dispatcher::Dispatcher;
use crate::identity::{IdentityDir, IdentityError, KeptKey};
use crate::keys::SealingKeys;

/// Something that takes time: the disk, or the question whether a key is needed.
pub(super) enum Done {
    Made(Result<KeptKey, IdentityError>),
    Noted(Result<(), IdentityError>),
    Forgotten(KeyId, Result<(), IdentityError>),
    Needed(KeyId),
}

/// What a running agent tells about its sealing keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// The newest.
    pub newest: String,
    /// When it was made, in milliseconds since 1970.
    pub made: UnixMillis,
    /// Whether the controller gives it to submitters.
    pub acknowledged: bool,
    /// How many there are.
    pub number: usize,
}

impl KeyStatus {
    fn of(rotation: &Rotation) -> Option<Self> {
        let (newest, number) = (rotation.keys().first()?, rotation.keys().len());
        let acknowledged = newest.acknowledged.is_some();
        Some(Self { newest: newest.id.to_string(), made: newest.made, acknowledged, number })
    }
}

/// The sealing keys of this member, on disk and at the controller.
pub struct KeyRing {
    directory: Arc<IdentityDir>,
    keys: SealingKeys,
    dispatcher: Dispatcher,
    rotation: Rotation,
    /// One at a time: each writes the whole file.
    working: Option<Work<Done>>,
    status: watch::Sender<Option<KeyStatus>>,
}

impl KeyRing {
    /// The keys that are `kept` in the directory, and where it is told how they are.
    pub fn new(
        directory: Arc<IdentityDir>,
        kept: Vec<KeptKey>,
        keys: &SealingKeys,
        dispatcher: &Dispatcher,
        terms: Terms,
    ) -> (Self, watch::Receiver<Option<KeyStatus>>) {
        let rotation = Rotation::new(kept.into_iter().map(|kept| kept.known).collect(), terms);
        let (status, told) = watch::channel(KeyStatus::of(&rotation));
        let (keys, dispatcher) = (keys.clone(), dispatcher.clone());
        (Self { directory, keys, dispatcher, rotation, working: None, status }, told)
    }

    fn tell(&self) {
        self.status.send_replace(KeyStatus::of(&self.rotation));
    }

    /// What `Hello` tells.
    pub(super) fn introduce(&mut self) -> List<AnnouncedKey, MAX_MEMBER_KEYS> {
        self.rotation.handle_introduced();
        self.announced()
    }

    fn announced(&self) -> List<AnnouncedKey, MAX_MEMBER_KEYS> {
        let announced = |key: &SealingKey| AnnouncedKey { id: key.public().id(), public: *key.public() };
        List::clipped(self.keys.all().iter().map(announced).collect())
    }

    /// The controller welcomed this member, and with it the keys that `Hello` told.
    pub(super) fn handle_welcomed(&mut self) {
        if self.rotation.handle_connected(clock::unix_millis()) {
            self.note();
        }
        self.tell();
    }

    /// The controller gives the newest key to submitters.
    pub(super) fn handle_acknowledged(&mut self, ack: &KeyAck) {
        if self.rotation.handle_acknowledged(ack.newest, clock::unix_millis()) {
            Point::KeyAcknowledged.reach();
            tracing::info!(key = %ack.newest, "secrets for this agent are sealed to a new key from now on");
            self.note();
        }
        self.tell();
    }

    /// The controller could not take a frame: it may be the one that tells the keys.
    pub(super) fn handle_complaint(&mut self, complaint: &ProtocolError) {
        if complaint.tag == FromMember::from(KeyAnnounce { keys: List::default() }).tag() {
            self.rotation.handle_refused(clock::now());
        }
    }

    /// The session is over.
    pub(super) fn handle_disconnected(&mut self) {
        self.rotation.handle_disconnected();
    }

    /// Begins what is to be done next in this session. Returns a frame to send.
    pub(super) fn poll(&mut self) -> Option<KeyAnnounce> {
        if self.working.is_some() {
            return None;
        }
        match self.rotation.poll(clock::now(), clock::unix_millis())? {
            Step::Announce => return Some(KeyAnnounce { keys: self.announced() }),
            Step::Make => {
                let (directory, new) = (Arc::clone(&self.directory), KeptKey::generate());
                let keys = [vec![new.clone()], self.kept()].concat();
                self.working = Some(Box::pin(async move {
                    Done::Made(blocking(directory, move |it| it.store_sealing_keys(&keys)).await.map(|()| new))
                }));
            }
            Step::Forget(id) => {
                let (directory, dispatcher) = (Arc::clone(&self.directory), self.dispatcher.clone());
                let keys: Vec<KeptKey> = self.kept().into_iter().filter(|kept| kept.known.id != id).collect();
                self.working = Some(Box::pin(async move {
                    if !dispatcher.forget_key(id).await {
                        return Done::Needed(id);
                    }
                    Done::Forgotten(id, blocking(directory, move |it| it.store_sealing_keys(&keys)).await)
                }));
            }
        }
        None
    }

    /// When to call [`KeyRing::poll`] again.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        if self.working.is_some() { None } else { self.rotation.poll_timeout(clock::now(), clock::unix_millis()) }
    }

    /// Waits for what takes time: for ever, if there is nothing.
    pub(super) async fn work(&mut self) -> Done {
        until(&mut self.working).await
    }

    /// What took time is done.
    pub(super) fn handle_done(&mut self, done: Done) {
        match done {
            Done::Made(Ok(new)) => {
                Point::KeyDurable.reach();
                tracing::info!(key = %new.known.id, "a new sealing key was made");
                self.keys.add(new.key);
                self.rotation.handle_made(new.known);
            }
            Done::Forgotten(id, Ok(())) => {
                Point::KeyWiped.reach();
                tracing::info!(key = %id, "an old sealing key was wiped");
                self.rotation.handle_forgotten(id);
            }
            Done::Needed(id) => {
                tracing::debug!(key = %id, "an old sealing key is still needed");
                self.rotation.handle_needed(id, clock::now());
            }
            Done::Noted(Ok(())) => (),
            // The next session tells it again.
            Done::Noted(Err(error)) => tracing::warn!(error = %Chain(&error), "the sealing keys cannot be written"),
            Done::Made(Err(error)) | Done::Forgotten(_, Err(error)) => {
                tracing::warn!(error = %Chain(&error), "the sealing keys cannot be written; it is tried again");
                self.rotation.handle_failed(clock::now());
            }
        }
        self.tell();
    }

    /// Makes durable what is known of the keys. What is being written meanwhile is followed by another write in time.
    fn note(&mut self) {
        if self.working.is_none() {
            let (directory, keys) = (Arc::clone(&self.directory), self.kept());
            self.working = Some(Box::pin(async move {
                Done::Noted(blocking(directory, move |it| it.store_sealing_keys(&keys)).await)
            }));
        }
    }

    /// What the file is to hold.
    fn kept(&self) -> Vec<KeptKey> {
        let keys = self.keys.all();
        let kept = |known: &postern_agent_core::sealing_keys::Key| {
            let key = keys.iter().find(|key| key.public().id() == known.id)?;
            Some(KeptKey { key: key.clone(), known: *known })
        };
        self.rotation.keys().iter().filter_map(kept).collect()
    }
}
