//! Making a member of an applicant.

use data_encoding::{BASE64, HEXLOWER};
use postern_protocol::bounded::{Bytes, Text};
use postern_protocol::code::CodeSet;
use postern_protocol::enrollment::v1::{Enroll, EnrollRefusal, EnrollRefused, Enrolled};
use postern_protocol::id::TokenId;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::{Epoch, MemberId};

use super::audit::Room;
use super::ledger::Write;
use super::record::{MemberRecord, NextCertificate, TokenUse};
use super::{Member, State, sessions};
use crate::ca::{CaError, Issued};
use crate::clock::Moment;
use crate::enrollment::{self, Admission};
use crate::metrics::metrics;
use crate::random;

/// The most members of one controller.
const MAX_MEMBERS: usize = 10_000;

/// A no to an applicant.
pub(crate) fn refused(reason: EnrollRefusal, message: impl Into<String>) -> EnrollRefused {
    EnrollRefused { reason: reason.into(), message: Text::clipped(message) }
}

impl State {
    /// An applicant asks for membership over a channel with this exporter. The answer may leave once it is durable.
    pub fn enroll(&mut self, enroll: &Enroll, exporter: &[u8; 32], at: Moment) -> Result<Enrolled, EnrollRefused> {
        let token = self.tokens.get(&enroll.token);
        match enrollment::admit(token, enroll, exporter, at.wall) {
            Ok(Admission::Again(member)) => self.membership(member, None),
            Ok(Admission::New { request }) => {
                self.check_audit(Room::Usual).map_err(|no| refused(EnrollRefusal::Overloaded, no.message))?;
                let member = self.admit(enroll, request, at)?;
                self.membership(member, None)
            }
            Ok(Admission::Spent(member)) => {
                Err(self.turn_away(enroll.token, EnrollRefusal::InvalidToken, Some(member), at))
            }
            Err(reason) => Err(self.turn_away(enroll.token, reason, None, at)),
        }
    }

    /// Says no to who does not have the token, or has one that made a member already, and tells of it, if it is one that was
    /// made here.
    fn turn_away(
        &mut self,
        token: TokenId,
        reason: EnrollRefusal,
        spent: Option<MemberId>,
        at: Moment,
    ) -> EnrollRefused {
        if self.tokens.contains_key(&token) {
            let attempts = match spent {
                Some(_) => &mut self.attempts.used_tokens,
                None => &mut self.attempts.wrong_tokens,
            };
            if let Err(often) = attempts.take(token, at.now) {
                return refused(EnrollRefusal::Overloaded, format!("too many attempts with this token: {often}"));
            }
            self.audit_own("member.enroll", &format!("with {token}"), Err(&reason.to_string()), at);
            if let Some(member) = spent {
                metrics().used_tokens.one(&[]);
                tracing::error!(%token, %member, "a used enrollment token was presented again");
            }
        }
        refused(
            reason,
            "the token is unknown, used up or older than 15 minutes, or was not used by whom it was made for: make a new \
             one with `postern-controller token create`",
        )
    }

    fn admit(&mut self, enroll: &Enroll, request: [u8; 32], at: Moment) -> Result<MemberId, EnrollRefused> {
        if self.members.len() >= MAX_MEMBERS {
            return Err(refused(
                EnrollRefusal::Overloaded,
                format!(
                    "this controller has {MAX_MEMBERS} members, and no room for more: an administrator removes those that \
                     are out with `postern-controller member remove`"
                ),
            ));
        }
        enroll.sealing_key.check().map_err(|error| refused(EnrollRefusal::InvalidRequest, error.to_string()))?;
        let Some(token) = self.tokens.get_mut(&enroll.token) else {
            return Err(refused(EnrollRefusal::InvalidToken, "the token is gone"));
        };
        let id = MemberId::from_random(at.wall.0, random::bytes());
        let issued =
            self.authority.issue_member(&enroll.csr, &token.cluster, id, self.settings.certificate_life, at.wall);
        let issued = issued.map_err(|error| {
            let reason = match error {
                CaError::BadRequest(_) => EnrollRefusal::InvalidRequest,
                CaError::File(_)
                | CaError::Unreadable { .. }
                | CaError::Missing { .. }
                | CaError::Unfit { .. }
                | CaError::Altered { .. }
                | CaError::BadName { .. }
                | CaError::Sign(_) => EnrollRefusal::StoreFault,
            };
            refused(reason, error.to_string())
        })?;
        token.used = Some(TokenUse { request, member: id, at: at.wall });
        self.writes.push(Write::Token(token.clone()));
        let record = self.new_member(id, enroll, &issued, at);
        self.writes.push(Write::Member(record.clone()));
        tracing::info!(member = %id, cluster = %record.cluster, state = %record.state, "a member enrolled");
        let on = format!("{id} into {} with {}, {}", record.cluster, enroll.token, record.state);
        self.audit_own("member.enroll", &on, Ok(None), at);
        self.members.insert(id, Member::new(record, sessions::FIRST_NUMBERS));
        self.note_opener(id);
        Ok(id)
    }

    fn new_member(&self, id: MemberId, enroll: &Enroll, issued: &Issued, at: Moment) -> MemberRecord {
        let cluster = self.tokens.get(&enroll.token).map(|it| it.cluster.clone());
        let state = if self.settings.auto_approve { MembershipState::Enabled } else { MembershipState::Pending };
        MemberRecord {
            id,
            cluster: cluster.expect("the token was found a moment ago"),
            host: printable(&enroll.host),
            agent_version: printable(&enroll.agent_version),
            state,
            epoch: Epoch(1),
            hard: false,
            disable_when_drained: false,
            alarm: None,
            sealing_keys: vec![enroll.sealing_key],
            certificate: BASE64.encode(&issued.certificate),
            serial: HEXLOWER.encode(&issued.serial),
            certificate_expires: issued.expires,
            root: issued.root,
            // Whoever uses the certificate has stored before it what came with it.
            trusts: self.roots.phase.trusted(),
            acked_bundle: self.roots.bundle,
            next: None,
            enrolled: at.wall,
            seen: None,
        }
    }

    /// What a member is told of its membership, with its present certificate or the next one.
    pub(super) fn membership(&self, id: MemberId, next: Option<&NextCertificate>) -> Result<Enrolled, EnrollRefused> {
        let broken = || refused(EnrollRefusal::StoreFault, "the controller lost this member: make a new token");
        let record = &self.members.get(&id).ok_or_else(broken)?.record;
        let certificate = next.map_or(&record.certificate, |next| &next.certificate);
        let certificate = BASE64.decode(certificate.as_bytes()).map_err(|_| broken())?;
        Ok(Enrolled {
            cluster: record.cluster.clone(),
            member: id,
            certificate: Bytes::new(certificate).map_err(|_| broken())?,
            trust: self.trust_bundle(),
            approved: record.state.code() == MembershipState::Enabled.code(),
        })
    }
}

/// What a stranger says about itself, fit for a terminal and a log.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use postern_protocol::enrollment::EnrollmentToken;

    use super::*;
    use crate::clock;
    use crate::state::lab;

    /// Count both alike, and whoever knows a token's id, which is no secret, sees to it that nobody is told of its second use.
    #[test]
    fn a_token_that_is_used_again_is_told_of_however_often_others_were_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        let (used, other) = (lab::token(&mut state, at), lab::token(&mut state, at));
        let forged = EnrollmentToken { id: used.id, ..other };
        let member = MemberId::from_bytes([1; 16]);
        state.tokens.get_mut(&used.id).unwrap().used = Some(TokenUse { request: [0; 32], member, at: at.wall });

        let reason = |state: &mut State, token| lab::refused(state, token).reason.known().unwrap();
        for _ in 0..10 {
            assert_eq!(reason(&mut state, &forged), EnrollRefusal::InvalidToken);
        }
        assert_eq!(reason(&mut state, &forged), EnrollRefusal::Overloaded);
        let before = state.audit_waiting();
        assert_eq!(reason(&mut state, &used), EnrollRefusal::InvalidToken);
        assert_eq!(state.audit_waiting(), before + 1);
    }
}
