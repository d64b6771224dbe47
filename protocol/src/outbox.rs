//! What a member owes, in a file: the way for the reports of one that may have no session any more.
//!
//! One [`OwedReport`] is one line of JSON. What people want to read stands beside the report; what counts is the report
//! itself, as it would have been sent, with a signature by the key of the member's certificate.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::id::{Epoch, Incarnation, MemberId, TaskId};
use crate::message::v1::Report;
use crate::outcome::{Certainty, Changed, Failure, Outcome};

/// A report that a member owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OwedReport {
    /// The member.
    pub member: MemberId,
    /// The life of its store.
    pub incarnation: Incarnation,
    /// The task.
    pub task: TaskId,
    /// The number of the lease it was done under.
    pub epoch: Epoch,
    /// How it ended.
    pub outcome: Code<Outcome>,
    /// How sure that is.
    pub certainty: Code<Certainty>,
    /// Whether anything was changed.
    pub changed: Code<Changed>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// How many payloads of results go with it, which are not here.
    pub payloads: usize,
    /// The report, in base64. Secrets in it are sealed to the requester.
    pub report: String,
    /// The signature of all of it that counts: ECDSA with SHA-256, DER, in base64.
    pub proof: String,
}

impl OwedReport {
    /// A report of a member, not signed yet.
    pub fn new(member: MemberId, incarnation: Incarnation, report: &Report) -> Result<Self, CodecError> {
        Ok(Self {
            member,
            incarnation,
            task: report.task,
            epoch: report.epoch,
            outcome: report.outcome,
            certainty: report.certainty,
            changed: report.changed,
            failure: report.failure.clone(),
            payloads: report.streams.len(),
            report: BASE64.encode(&codec::encode(report)?),
            proof: String::new(),
        })
    }

    /// The same with its signature.
    #[must_use]
    pub fn signed(self, proof: &[u8]) -> Self {
        Self { proof: BASE64.encode(proof), ..self }
    }

    /// What is signed: whose report it is, from which life of its store, and the report.
    pub fn statement(&self) -> Result<Vec<u8>, CodecError> {
        let report = decode(&self.report, "the report")?;
        Ok([b"postern/outbox/v1".as_slice(), self.member.as_bytes(), self.incarnation.as_bytes(), &report].concat())
    }

    /// The signature.
    pub fn proof(&self) -> Result<Vec<u8>, CodecError> {
        decode(&self.proof, "the signature")
    }

    /// The report.
    pub fn report(&self) -> Result<Report, CodecError> {
        codec::decode(&decode(&self.report, "the report")?)
    }
}

/// The bytes of a text, of which there is one for each: padding in its middle would be read, too.
fn decode(base64: &str, what: &str) -> Result<Vec<u8>, CodecError> {
    let malformed = |why: &str| CodecError::Malformed { reason: format!("{what} is not base64: {why}") };
    let bytes = BASE64.decode(base64.as_bytes()).map_err(|error| malformed(&error.to_string()))?;
    if BASE64.encode(&bytes) == base64 { Ok(bytes) } else { Err(malformed("padding in the middle")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{Bytes, List};
    use crate::id::ReportNo;

    fn report() -> Report {
        Report {
            number: ReportNo(3),
            task: TaskId::from_bytes([1; 16]),
            epoch: Epoch(2),
            attempt: 1,
            outcome: Outcome::Succeeded.into(),
            certainty: Certainty::Certain.into(),
            changed: Changed::Yes.into(),
            failure: None,
            output: Bytes::default(),
            sealed: List::default(),
            streams: List::default(),
            ext: List::default(),
        }
    }

    #[test]
    fn a_report_survives_its_line_and_what_is_signed_is_all_of_it() {
        let (member, incarnation) = (MemberId::from_bytes([7; 16]), Incarnation::from_bytes([8; 16]));
        let owed = OwedReport::new(member, incarnation, &report()).unwrap().signed(b"proof");
        let line = serde_json::to_string(&owed).unwrap();
        let read: OwedReport = serde_json::from_str(&line).unwrap();
        assert_eq!((&read, read.report().unwrap()), (&owed, report()));
        assert_eq!(read.proof().unwrap(), b"proof");
        let other = OwedReport::new(member, incarnation, &Report { attempt: 2, ..report() }).unwrap();
        assert_ne!(other.statement().unwrap(), owed.statement().unwrap());
        let other = OwedReport { incarnation: Incarnation::from_bytes([9; 16]), ..owed.clone() };
        assert_ne!(other.statement().unwrap(), owed.statement().unwrap());
    }

    /// Leave the comparison out of `decode` and one report has several texts.
    #[test]
    fn a_report_has_one_text() {
        let (member, incarnation) = (MemberId::from_bytes([7; 16]), Incarnation::from_bytes([8; 16]));
        let owed = OwedReport::new(member, incarnation, &report()).unwrap();
        let (first, rest) = codec::encode(&report()).map(|it| (it[..1].to_vec(), it[1..].to_vec())).unwrap();
        let in_two = OwedReport { report: BASE64.encode(&first) + &BASE64.encode(&rest), ..owed };
        assert!(in_two.report().unwrap_err().to_string().contains("padding in the middle"));
        assert!(in_two.statement().is_err());
    }
}
