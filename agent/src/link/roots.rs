//! Which roots connections are opened with, and how others take their place: on disk first, then acknowledged.

use std::sync::Arc;

use postern_fail_point::Point;
use postern_protocol::bounded::Text;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{ProtocolError, TrustBundle, TrustBundleAck};
use postern_protocol::plain::Chain;

use super::certificates::{Work, blocking, until};
use crate::identity::{IdentityDir, IdentityError, Trust};
use crate::telemetry::{Topic, may_tell_of};

/// The roots of the bundle with this number are on disk, or not.
pub(super) struct Stored(u64, Result<Trust, IdentityError>);

/// The roots of this member.
pub(super) struct Roots {
    directory: Arc<IdentityDir>,
    trusted: Trust,
    /// What is on disk may be other roots: a write failed.
    is_unsure: bool,
    writing: Option<Work<Stored>>,
    /// What came while the bundle before it was written.
    waiting: Option<TrustBundle>,
}

impl Roots {
    pub(super) const fn new(directory: Arc<IdentityDir>, trusted: Trust) -> Self {
        Self { directory, trusted, is_unsure: false, writing: None, waiting: None }
    }

    /// Those that are trusted.
    pub(super) const fn trusted(&self) -> &Trust {
        &self.trusted
    }

    /// The controller says which roots to trust. Returns what to say at once: what is on disk already is acknowledged.
    pub(super) fn handle_bundle(&mut self, bundle: TrustBundle) -> Option<FromMember> {
        if self.is_writing() {
            self.waiting = Some(bundle);
            return None;
        }
        let (number, directory) = (bundle.number, Arc::clone(&self.directory));
        match Trust::from_bundle(&bundle) {
            Err(error) => Some(not_trusted(number, &error)),
            Ok(trust) if trust == self.trusted && !self.is_unsure => Some(TrustBundleAck { number }.into()),
            Ok(trust) => {
                let store = move |directory: &IdentityDir| directory.store_trust(&trust).map(|()| trust);
                self.writing = Some(Box::pin(async move { Stored(number, blocking(directory, store).await) }));
                None
            }
        }
    }

    /// Whether roots are being written.
    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Waits until roots are written: for ever, if there are none.
    pub(super) async fn work(&mut self) -> Stored {
        until(&mut self.writing).await
    }

    /// Roots are written, or not. Returns what to say.
    pub(super) fn handle_stored(&mut self, Stored(number, stored): Stored) -> Option<FromMember> {
        self.is_unsure = stored.is_err();
        let said = match stored {
            Ok(trust) => {
                Point::TrustDurable.reach();
                self.replace(trust);
                TrustBundleAck { number }.into()
            }
            Err(error) => not_trusted(number, &error),
        };
        match self.waiting.take() {
            Some(bundle) => self.handle_bundle(bundle),
            None => Some(said),
        }
    }

    /// These roots, which are on disk, are trusted from now on.
    pub(super) fn replace(&mut self, trust: Trust) {
        if may_tell_of(Topic::Roots) {
            tracing::info!(roots = trust.fingerprints().join(" "), "these roots are trusted from now on");
        }
        self.trusted = trust;
    }
}

/// The roots stay as they are. The controller says again in the next session which to trust.
fn not_trusted(number: u64, error: &(dyn std::error::Error + 'static)) -> FromMember {
    let why = format!("bundle {number} of roots is not taken over: {}", Chain(error));
    if may_tell_of(Topic::Roots) {
        tracing::error!(why, "the roots that were trusted before stay");
    }
    ProtocolError { tag: 0, message: Text::clipped(why) }.into()
}
