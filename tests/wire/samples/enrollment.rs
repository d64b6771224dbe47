//! Frames of enrollment.

use postern_protocol::MemberId;
use postern_protocol::enrollment::v1::{Enroll, EnrollRefusal, EnrollRefused, Enrolled, Recover};
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::id::{Incarnation, TokenId};
use postern_protocol::message::v1::TrustBundle;
use postern_protocol::seal::SealingPublicKey;

use super::{Content, Sample, array, bytes, list, snake_case, text};
use crate::describe::Describe;

pub(crate) fn all() -> Vec<Sample> {
    vec![applicant(enroll()), applicant(recover()), authority(enrolled()), authority(refused())]
}

fn enroll() -> Enroll {
    Enroll {
        token: TokenId::from_bytes(array(0x01)),
        incarnation: Incarnation::from_bytes(array(0x21)),
        host: text("hôte-1"),
        agent_version: text("1.2.3"),
        sealing_key: SealingPublicKey(array(0x41)),
        csr: bytes(0x30, 60),
        proof: array(0x81),
    }
}

fn recover() -> Recover {
    Recover {
        member: MemberId::from_bytes(array(0x61)),
        serial: bytes(0x51, 16),
        sealing_key: SealingPublicKey(array(0x41)),
        csr: bytes(0x30, 60),
        proof: bytes(0x91, 71),
    }
}

fn enrolled() -> Enrolled {
    Enrolled {
        cluster: "acme".parse().unwrap(),
        member: MemberId::from_bytes(array(0x61)),
        certificate: bytes(0x02, 50),
        trust: TrustBundle { number: 0x0f01, roots: list(vec![bytes(0x42, 40), bytes(0x92, 30)]) },
        approved: true,
    }
}

fn refused() -> EnrollRefused {
    EnrollRefused { reason: EnrollRefusal::StoreFault.into(), message: text("plus tard, s’il vous plaît") }
}

fn applicant<T: Describe>(body: T) -> Sample
where
    FromApplicant: From<T>,
{
    let fields = body.describe();
    let frame = FromApplicant::from(body);
    let name = frame.name().to_owned();
    Sample { file: snake_case(&name), name, content: Content::Applicant(frame), fields }
}

fn authority<T: Describe>(body: T) -> Sample
where
    FromAuthority: From<T>,
{
    let fields = body.describe();
    let frame = FromAuthority::from(body);
    let name = frame.name().to_owned();
    Sample { file: snake_case(&name), name, content: Content::Authority(frame), fields }
}
