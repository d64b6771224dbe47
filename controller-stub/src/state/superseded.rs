//! Certificates that were a member's and were followed by another: whoever shows one was put back, or is the member itself,
//! and somebody who has a copy renewed in its place.

use std::time::Duration;

use data_encoding::BASE64;
use postern_protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;

use super::{Introduction, Member, State, certificates};
use crate::ca::peer::Peer;
use crate::clock::{Moment, after};
use crate::metrics::metrics;

/// For how long after it was last shown somebody is to look: an agent asks again every minute.
const TOLD_FOR: Duration = Duration::from_secs(60 * 60);

/// Why a member is disabled in whose place another renewed.
const COPIED: &str = "an agent came with this member's store from before, and its certificate from before: its state directory was copied, \
                      or put back";

/// When a certificate of a member that was followed by another was last shown, and where.
pub(super) struct Superseded {
    at: UnixMillis,
    address: String,
}

impl State {
    /// A member is not let in with this certificate. If it was its own, that is told; if its own store comes with it, the member is
    /// disabled. For the certificate alone nobody is: whoever stole one long ago would keep the member out.
    pub(super) fn handle_superseded(&mut self, it: &Introduction, at: Moment) {
        let peer = Peer::from_certificate(&CertificateDer::from(it.certificate.as_slice()));
        let is_its_own = peer.is_some_and(|peer| (peer.member, &peer.cluster) == (it.member, &it.cluster));
        if !is_its_own || self.authority.signer_of(&it.certificate).is_none() {
            return;
        }
        let Some(member) = self.members.get_mut(&it.member) else { return };
        // Where newer ones wait to be accepted, this may be one of them for which there is no room.
        let some_wait = !member.newer.is_empty();
        if some_wait || certificates::acceptable(&member.record, &BASE64.encode(&it.certificate)).is_some() {
            return;
        }
        member.superseded = Some(Superseded { at: at.wall, address: it.address.clone() });
        metrics().superseded.one(&[]);
        // Not one of the lines about a member, which whoever took its place could use up.
        if self.attempts.superseded.take(it.member, at.now).is_ok() {
            tracing::error!(
                member = %it.member, address = it.address,
                "a member shows a certificate that was followed by another: it was put back, or somebody has a copy of it"
            );
        }
        // Its own store, too, and from before a session that it had on disk: one of the two is a copy.
        if member.numbers.incarnation == it.hello.incarnation && it.hello.last_session < member.numbers.confirmed {
            self.raise_alarm(it.member, COPIED, at);
        }
    }
}

impl Member {
    /// Why somebody should look at a certificate that was shown lately, for people.
    pub(super) fn shows_superseded(&self, at: Moment) -> Option<String> {
        let shown = self.superseded.as_ref().filter(|it| at.wall < after(it.at, TOLD_FOR))?;
        Some(format!(
            "shows a certificate that was followed by another, from {}: its identity was put back, or somebody has a copy of it",
            shown.address
        ))
    }
}
