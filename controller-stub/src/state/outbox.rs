//! Reports that come in a file, from a member that may have no session any more.

use postern_protocol::message::v1::{MembershipState, Report, unknown_critical};
use postern_protocol::outbox::OwedReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::MemberRecord;
use super::{Refusal, RefusalKind, State};
use crate::ca::peer;
use crate::clock::Moment;
use crate::queue::{Holder, Serves, Verdict};

/// What a report from a file meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandedIn {
    /// It is the task's outcome.
    Finished,
    /// It came too late to be the outcome and is kept beside it.
    Observed,
    /// It changes nothing: the task has its outcome, is forgotten, or has as many late reports as are kept.
    NotOpen,
    /// It counts for nothing: the member was never given the task under that epoch, or gave it back.
    NeverLeased,
}

impl State {
    /// Takes in what a member owes that was revoked. It counts as it would have in a session, and only if the member
    /// vouches for it.
    pub fn hand_in(&mut self, owed: &OwedReport, at: Moment) -> Result<HandedIn, Refusal> {
        let (record, report) = self.admit_report(owed)?;
        let id = record.id;
        // A lease is known by the store it was given to: nobody vouches for another member's.
        if self.members.get(&id).is_none_or(|it| it.numbers.incarnation != owed.incarnation) {
            return Ok(HandedIn::NeverLeased);
        }
        let holder = Holder::new(record.cluster.clone(), owed.incarnation, Serves::new(), false);
        // Which tasks it was given hangs on its store; for the length of this call it is known as if it were here.
        self.queue.connect(id, holder);
        let lacks = self.has_to_wait(id, &report);
        let verdict = (!lacks).then(|| self.store_report(id, report, at));
        self.queue.disconnect(id, at.now);
        match verdict {
            Some(Verdict::Finished) => Ok(HandedIn::Finished),
            Some(Verdict::Observed) => Ok(HandedIn::Observed),
            Some(Verdict::OneTooMany | Verdict::NotOpen) => Ok(HandedIn::NotOpen),
            Some(Verdict::NeverLeased) => Ok(HandedIn::NeverLeased),
            None => Err(Refusal::conflict(
                "its results are with the agent alone, so it is not taken for the outcome: enroll the agent again to have \
                 them, or go by what the file says",
            )),
        }
    }

    /// The member whose report this is, and the report; or why it is not to be heard.
    fn admit_report(&self, owed: &OwedReport) -> Result<(MemberRecord, Report), Refusal> {
        let unreadable = |error| Refusal::new(RefusalKind::Invalid, format!("the report cannot be read: {error}"));
        let statement = owed.statement().map_err(unreadable)?;
        let proof = owed.proof().map_err(unreadable)?;
        let vouched =
            |record: &&MemberRecord| record.certificates().any(|it| peer::has_signed(&it, &statement, &proof));
        let known = self.members.get(&owed.member).map(|it| &it.record).ok_or_else(|| {
            let message = format!(
                "member {} is not known here, so nobody can vouch for it: it was removed, or is another controller's; go by \
                 what the file says",
                owed.member
            );
            Refusal::new(RefusalKind::NotFound, message)
        })?;
        let record = Some(known).filter(vouched).ok_or_else(|| {
            Refusal::new(
                RefusalKind::Forbidden,
                "no member of this controller vouches for it: the file was altered, or is of another controller's agent",
            )
        })?;
        if record.state != MembershipState::Revoked {
            let message = format!("member {} is not revoked: it hands its reports over itself when it runs", record.id);
            return Err(Refusal::conflict(message));
        }
        let report = owed.report().map_err(unreadable)?;
        let told = OwedReport::new(owed.member, owed.incarnation, &report).map_err(unreadable)?;
        if told.signed(&proof) != *owed {
            let message = "what stands beside the report is not what the report says: the file was altered";
            return Err(Refusal::new(RefusalKind::Forbidden, message));
        }
        match unknown_critical(&report.ext) {
            Some(kind) => Err(Refusal::new(RefusalKind::Invalid, format!("extension {kind} of it is not known here"))),
            None => Ok((record.clone(), report)),
        }
    }
}
