//! The life of an enrollment token: made once, shown once, used once.

use std::time::Duration;

use postern_protocol::ClusterName;
use postern_protocol::enrollment::v1::{Enroll, EnrollRefusal};
use postern_protocol::enrollment::{ProofKey, Request, TokenText};
use postern_protocol::id::TokenId;
use postern_protocol::time::UnixMillis;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::after;
use crate::random;
use crate::state::once::TokenSecret;
use crate::state::record::TokenRecord;

/// How long a token may wait for its agent.
pub const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long the same request gets the same answer, for agents whose answer was lost.
pub const REPEAT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A token that was just made.
pub struct NewToken {
    /// What the ledger keeps.
    pub record: TokenRecord,
    /// What the operator is shown once.
    pub text: TokenText,
}

/// Makes a token of a secret.
pub fn make(cluster: ClusterName, secret: &TokenSecret, ca_sha256: [u8; 32], wall: UnixMillis) -> NewToken {
    let id = TokenId::from_random(wall.0, random::bytes());
    let record = TokenRecord {
        id,
        cluster,
        proof_key: *ProofKey::derive(secret).expose(),
        expires: after(wall, TOKEN_LIFE),
        used: None,
    };
    NewToken::of(record, secret, ca_sha256)
}

impl NewToken {
    /// The token of this record, whose secret this is.
    pub fn of(record: TokenRecord, secret: &TokenSecret, ca_sha256: [u8; 32]) -> Self {
        let text = TokenText::new(record.cluster.clone(), record.id, secret, ca_sha256);
        Self { record, text }
    }
}

/// What an applicant's request leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// A new member.
    New {
        /// What the token remembers of the request.
        request: [u8; 32],
    },
    /// The member that this very request made before.
    Again(postern_protocol::MemberId),
    /// None: another request made this member.
    Spent(postern_protocol::MemberId),
}

/// Judges a request under the token it names.
pub fn admit(
    token: Option<&TokenRecord>,
    enroll: &Enroll,
    exporter: &[u8; 32],
    wall: UnixMillis,
) -> Result<Admission, EnrollRefusal> {
    let token = token.ok_or(EnrollRefusal::InvalidToken)?;
    let key = ProofKey::from_bytes(Zeroizing::new(token.proof_key));
    let request = Request { incarnation: enroll.incarnation, sealing_key: &enroll.sealing_key, csr: &enroll.csr };
    if !key.verify(exporter, &request, &enroll.proof) {
        return Err(EnrollRefusal::InvalidToken);
    }
    let digest = digest(enroll);
    match &token.used {
        None if wall < token.expires => Ok(Admission::New { request: digest }),
        Some(used) if used.request == digest && wall < after(used.at, REPEAT_LIFE) => Ok(Admission::Again(used.member)),
        None => Err(EnrollRefusal::InvalidToken),
        Some(used) => Ok(Admission::Spent(used.member)),
    }
}

/// Whether a token can be of no more use.
pub fn is_stale(token: &TokenRecord, wall: UnixMillis) -> bool {
    match &token.used {
        None => wall >= token.expires,
        Some(used) => wall >= after(used.at, REPEAT_LIFE),
    }
}

fn digest(enroll: &Enroll) -> [u8; 32] {
    Sha256::new()
        .chain_update(enroll.incarnation.as_bytes())
        .chain_update(enroll.sealing_key.0)
        .chain_update(&enroll.csr[..])
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
    use postern_protocol::MemberId;
    use postern_protocol::bounded::{Bytes, Text};
    use postern_protocol::enrollment::EnrollmentToken;
    use postern_protocol::id::Incarnation;
    use postern_protocol::seal::SealingPublicKey;

    use super::*;
    use crate::state::record::TokenUse;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);
    const CHANNEL: [u8; 32] = [9; 32];

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(NOW.0 + seconds * 1000)
    }

    fn request(token: &EnrollmentToken, csr: &[u8]) -> Enroll {
        let incarnation = Incarnation::from_bytes([4; 16]);
        let sealing_key = SealingPublicKey([3; 32]);
        let proof = token.key.prove(&CHANNEL, &Request { incarnation, sealing_key: &sealing_key, csr });
        Enroll {
            token: token.id,
            incarnation,
            host: Text::default(),
            agent_version: Text::default(),
            sealing_key,
            csr: Bytes::new(csr.to_vec()).unwrap(),
            proof,
        }
    }

    fn made() -> (TokenRecord, EnrollmentToken) {
        let new = make("acme".parse().unwrap(), &random::secret(), [2; 32], NOW);
        let token = new.text.expose().parse().unwrap();
        (new.record, token)
    }

    #[test]
    fn a_token_admits_once_and_repeats_its_answer_for_a_day() {
        let (mut record, token) = made();
        let enroll = request(&token, b"csr");
        let Ok(Admission::New { request: digest }) = admit(Some(&record), &enroll, &CHANNEL, at(60)) else {
            panic!("refused");
        };
        let member = MemberId::from_bytes([5; 16]);
        record.used = Some(TokenUse { request: digest, member, at: at(60) });

        assert_eq!(admit(Some(&record), &enroll, &CHANNEL, at(3600)), Ok(Admission::Again(member)));
        let other = request(&token, b"other csr");
        assert_eq!(admit(Some(&record), &other, &CHANNEL, at(61)), Ok(Admission::Spent(member)));
        let late = admit(Some(&record), &enroll, &CHANNEL, at(60 + 24 * 3600));
        assert_eq!(late, Ok(Admission::Spent(member)));
        assert!(is_stale(&record, at(60 + 24 * 3600)));
    }

    /// F49 and its kin. Leave out the comparison with `expires` and the second line fails.
    #[test]
    fn f49_an_unknown_expired_or_relayed_token_is_refused_in_the_same_words() {
        let (record, token) = made();
        let enroll = request(&token, b"csr");
        assert_eq!(admit(None, &enroll, &CHANNEL, at(0)), Err(EnrollRefusal::InvalidToken));
        assert_eq!(admit(Some(&record), &enroll, &CHANNEL, at(15 * 60)), Err(EnrollRefusal::InvalidToken));
        assert_eq!(admit(Some(&record), &enroll, &[8; 32], at(0)), Err(EnrollRefusal::InvalidToken));
        assert!(!is_stale(&record, at(15 * 60 - 1)));
        assert!(is_stale(&record, at(15 * 60)));
    }

    #[test]
    fn the_record_does_not_hold_the_secret() {
        let new = make("acme".parse().unwrap(), &random::secret(), [2; 32], NOW);
        let json = serde_json::to_string(&new.record).unwrap();
        let token: EnrollmentToken = new.text.expose().parse().unwrap();
        assert!(json.contains(&HEXLOWER.encode(token.key.expose())));
        // Behind it is the hash of the root's key, and nothing else.
        // The body may have hyphens of its own.
        let body = new.text.expose().strip_prefix("postern-token-").unwrap();
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
        let secret: [u8; 32] = bytes[bytes.len() - 64..bytes.len() - 32].try_into().unwrap();
        assert_eq!(ProofKey::derive(&Zeroizing::new(secret)).expose(), token.key.expose(), "it is the secret");
        let list = serde_json::to_string(&secret).unwrap();
        for form in [HEXLOWER.encode(&secret), BASE64_NOPAD.encode(&secret), BASE64URL_NOPAD.encode(&secret), list] {
            assert!(!json.contains(&form), "{form}");
        }
    }
}
