//! The certificate that follows a member's present one: asked for in a session, or by proof of the old key once that has
//! run out.

use data_encoding::{BASE64, HEXLOWER};
use postern_protocol::MemberId;
use postern_protocol::bounded::{Bytes, Text};
use postern_protocol::enrollment::recovery_statement;
use postern_protocol::enrollment::v1::{EnrollRefusal, EnrollRefused, Enrolled, Recover};
use postern_protocol::message::v1::{CertIssued, CertRefusal, CertRefused, CertRenew, MembershipState};
use postern_protocol::rate::TooOften;
use sha2::{Digest, Sha256};

use super::audit::Room;
use super::enroll::refused;
use super::ledger::Write;
use super::record::{MemberRecord, NextCertificate};
use super::{Refusal, State, ToSession};
use crate::ca::{CaError, RootNo, peer};
use crate::clock::{Moment, after};

/// Why there is no next certificate.
#[derive(Debug, thiserror::Error)]
enum NoCertificate {
    /// The request cannot be used, or the authority cannot sign.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// The member asks all the time.
    #[error("this member was given certificates all the time: {0}")]
    TooOften(#[from] TooOften),
    /// It might be a thief's, and would be newer than what the member shows.
    #[error(
        "a certificate of this member that is newer than the one on record waits to be accepted: an operator decides, see \
         `postern-controller member show {0}`"
    )]
    Contested(MemberId),
    /// There is no room for its line.
    #[error(transparent)]
    NoLine(#[from] Refusal),
}

/// The root of a certificate that a session may be opened with: the present one, or the one that follows it.
/// All of it is compared, because whoever has seen the key of a root can give another any name and number.
pub(super) fn acceptable(record: &MemberRecord, certificate: &str) -> Option<RootNo> {
    let next = record.next.as_ref().filter(|next| next.certificate == certificate).map(|next| next.root);
    if record.certificate == certificate { Some(record.root) } else { next }
}

/// The next certificate takes the place of the present one, if a session was opened with it. There is no way back: what
/// was the present one is of no use any more.
pub(super) fn take_up_next(record: &mut MemberRecord, certificate: &str) {
    let Some(next) = record.next.take_if(|next| next.certificate == certificate) else { return };
    tracing::info!(member = %record.id, serial = next.serial, "a member's certificate was renewed");
    record.certificate = next.certificate;
    record.serial = next.serial;
    record.certificate_expires = next.expires;
    record.root = next.root;
}

impl State {
    /// A member asks in its session for the next certificate. The answer leaves once it is durable.
    pub(super) fn renew_certificate(&mut self, id: MemberId, renew: &CertRenew, at: Moment) {
        let request: [u8; 32] = Sha256::digest(&renew.csr[..]).into();
        let issued = self.next_certificate(id, &renew.csr, at);
        let answer = issued.and_then(|next| Ok(CertIssued { request, certificate: der(&next.certificate)? }));
        match answer {
            Ok(issued) => self.say(id, ToSession::frame(issued)),
            Err(error) => {
                let reason = match &error {
                    NoCertificate::TooOften(_) | NoCertificate::Contested(_) | NoCertificate::NoLine(_) => {
                        CertRefusal::Overloaded
                    }
                    NoCertificate::Authority(CaError::BadRequest(_)) => CertRefusal::InvalidRequest,
                    NoCertificate::Authority(
                        CaError::File(_)
                        | CaError::Unreadable { .. }
                        | CaError::Missing { .. }
                        | CaError::Unfit { .. }
                        | CaError::Altered { .. }
                        | CaError::BadName { .. }
                        | CaError::Sign(_),
                    ) => CertRefusal::AuthorityFault,
                };
                // Whoever asks all the time does not fill the log with it.
                if reason != CertRefusal::Overloaded && self.hush.allows_of(id, at.now) {
                    tracing::warn!(member = %id, %error, "a certificate was not renewed");
                }
                let message = Text::clipped(error.to_string());
                self.say(id, ToSession::frame(CertRefused { request, reason: reason.into(), message }));
            }
        }
    }

    /// A member whose certificate has run out proves over a channel with this exporter that it has the key. The answer may
    /// leave once it is durable.
    pub fn recover(&mut self, it: &Recover, exporter: &[u8; 32], at: Moment) -> Result<Enrolled, EnrollRefused> {
        if let Err(no) = self.admit_recovery(it, exporter, at) {
            if self.members.contains_key(&it.member)
                && let Err(often) = self.attempts.wrong_keys.take(it.member, at.now)
            {
                return Err(refused(EnrollRefusal::Overloaded, format!("too many attempts for this member: {often}")));
            }
            return Err(no);
        }
        let next = self.next_certificate(it.member, &it.csr, at).map_err(|error| {
            let reason = match error {
                NoCertificate::TooOften(_) | NoCertificate::Contested(_) | NoCertificate::NoLine(_) => {
                    EnrollRefusal::Overloaded
                }
                NoCertificate::Authority(_) => EnrollRefusal::InvalidRequest,
            };
            refused(reason, error.to_string())
        })?;
        if self.hush.allows_of(it.member, at.now) {
            tracing::info!(member = %it.member, "a member whose certificate ran out gets another by proof of its key");
        }
        self.membership(it.member, Some(&next))
    }

    /// Whoever cannot prove that it is the member learns nothing of it. One that is here under a certificate that is good asks in
    /// its session.
    fn admit_recovery(&self, it: &Recover, exporter: &[u8; 32], at: Moment) -> Result<(), EnrollRefused> {
        let statement = recovery_statement(exporter, &it.sealing_key, &it.serial, &it.csr);
        let proved = |record: &&MemberRecord| {
            record.serial == HEXLOWER.encode(&it.serial) && peer::has_signed(&record.der(), &statement, &it.proof)
        };
        let record = self.members.get(&it.member).map(|it| &it.record).filter(proved).ok_or_else(|| {
            let message = self.is_to_be_accepted(it, &statement).unwrap_or_else(|| {
                "this is not the present certificate of a member of this controller: enroll the agent again with a new \
                 token; if nobody put its identity back, somebody may have renewed in its place, so revoke its member first"
                    .to_owned()
            });
            refused(EnrollRefusal::InvalidProof, message)
        })?;
        if record.state == MembershipState::Revoked {
            return Err(refused(
                EnrollRefusal::Revoked,
                "this member was revoked: enroll the agent again with a new token",
            ));
        }
        let is_here = self.members.get(&it.member).is_some_and(|it| it.session().is_some());
        if is_here && at.wall < record.certificate_expires && self.is_trusted(record.root) {
            return Err(refused(
                EnrollRefusal::Overloaded,
                "this member is here, and its certificate has not run out: it asks for the next one in its session",
            ));
        }
        if at.wall > after(record.certificate_expires, self.settings.recovery) {
            return Err(refused(
                EnrollRefusal::TooLate,
                "the certificate ran out longer ago than this controller allows: enroll the agent again with a new token",
            ));
        }
        Ok(())
    }

    /// The certificate for this request: the same as long as that is valid and of the root that signs, because any answer
    /// may be lost.
    fn next_certificate(&mut self, id: MemberId, csr: &[u8], at: Moment) -> Result<NextCertificate, NoCertificate> {
        let bad = |why: &str| CaError::BadRequest(why.to_owned());
        let request: [u8; 32] = Sha256::digest(csr).into();
        let member = self.members.get_mut(&id).ok_or_else(|| bad("it is of no member"))?;
        let is_contested = member.is_contested(at);
        let record = &mut member.record;
        let signing = self.authority.signing().number();
        let is_it = |next: &&NextCertificate| next.request == request && next.root == signing && at.wall < next.expires;
        if let Some(next) = record.next.as_ref().filter(is_it) {
            return Ok(next.clone());
        }
        if is_contested {
            return Err(NoCertificate::Contested(id));
        }
        if peer::has_key_of(&der(&record.certificate)?, csr) {
            return Err(bad("its key has a certificate already: a new certificate is for a new key").into());
        }
        self.audit.check(Room::Usual)?;
        self.attempts.certificates.take(id, at.now)?;
        let issued = self.authority.issue_member(csr, &record.cluster, id, self.settings.certificate_life, at.wall)?;
        let next = NextCertificate {
            request,
            certificate: BASE64.encode(&issued.certificate),
            serial: HEXLOWER.encode(&issued.serial),
            expires: issued.expires,
            root: issued.root,
        };
        record.next = Some(next.clone());
        self.writes.push(Write::Member(record.clone()));
        self.forget_outdated(id);
        self.audit_own("certificate.issue", &format!("{id}, {}", next.serial), Ok(None), at);
        Ok(next)
    }
}

/// A certificate as it was kept.
fn der(base64: &str) -> Result<Bytes<4096>, CaError> {
    let unusable = || CaError::BadRequest("the certificate that was kept cannot be read".to_owned());
    Bytes::new(BASE64.decode(base64.as_bytes()).map_err(|_| unusable())?).map_err(|_| unusable())
}
