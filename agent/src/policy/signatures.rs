//! Whose tasks are taken.

use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::message::v1::Offer;
use postern_protocol::seal::KeyId;
use postern_protocol::signature::{SignerKey, TaskSignature};

use super::refused::{Refused, Rule};

/// How long after its making a signed task without a deadline may be taken: as long as a controller keeps tasks. Later it
/// may be one that was done already, and is forgotten here.
const GOOD_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How far the clocks of a submitter and of this host may be apart, whichever is ahead.
const CLOCKS_APART: Duration = Duration::from_secs(10 * 60);

/// Which signatures are good.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    /// Whether a task has to be signed.
    pub required: bool,
    /// Whose signatures are good. If this is empty and none is required, nobody looks at them.
    pub accepted: Vec<SignerKey>,
}

impl Signatures {
    /// Whether the task of an offer may be taken, as far as its signature goes.
    pub(super) fn check(&self, offer: &Offer, now: Timestamp) -> Result<(), Refused> {
        self.check_with(offer, now, |signature, key| signature.is_of(offer, key))
    }

    /// The same of an offer without its payloads. The signature is of these too, and is taken for that of the task.
    pub(super) fn check_without_payloads(&self, offer: &Offer, now: Timestamp) -> Result<(), Refused> {
        self.check_with(offer, now, |_, _| true)
    }

    /// The key of whoever signed the task of an offer, if it is one that is accepted.
    pub(super) fn signer(&self, offer: &Offer) -> Option<KeyId> {
        let signature = offer.signature.as_ref()?;
        self.accepted.iter().find(|key| signature.is_of(offer, key)).map(SignerKey::id)
    }

    fn check_with(
        &self,
        offer: &Offer,
        now: Timestamp,
        is_of_task: impl FnOnce(&TaskSignature, &SignerKey) -> bool,
    ) -> Result<(), Refused> {
        let foreign = |why: String| Err(Refused::new(Rule::AcceptedSigners, why));
        match &offer.signature {
            None if self.required => {
                let why = "the task is not signed; submit it with `--sign-with`, signed by a key in `accepted_signers`";
                Err(Refused::new(Rule::RequireSignature, why.to_owned()))
            }
            None => Ok(()),
            Some(_) if self.accepted.is_empty() && !self.required => Ok(()),
            Some(signature) => match self.accepted.iter().find(|key| key.id() == signature.key) {
                None => foreign(format!(
                    "the task is signed with the key {}, which is not accepted; sign with another, or add its public half",
                    signature.key
                )),
                Some(key) if !is_of_task(signature, key) => foreign(
                    "the signature is not that of this task, which was altered on its way, or was moved from another; \
                     find out by whom, and submit the task again"
                        .to_owned(),
                ),
                Some(_) if is_early(offer, now) => {
                    let why = "the signed task was made later than this host's clock says that it is; see that the clocks of \
                               submitter and agent are right";
                    Err(Refused::new(Rule::AcceptedSigners, why.to_owned()).again(Some(earliest(offer))))
                }
                Some(_) if is_late(signature, offer, now) => foreign(
                    "the time in which the signed task may be begun is over; submit it again, and see that the clocks of \
                     submitter and agent are right"
                        .to_owned(),
                ),
                Some(_) => Ok(()),
            },
        }
    }
}

/// Whether the task's id is of later than now. Good from now on, it could be done, forgotten here, and done again when its time comes.
fn is_early(offer: &Offer, now: Timestamp) -> bool {
    made(offer) > since_1970(now).saturating_add(CLOCKS_APART)
}

/// From when on it is not, by the clock of this host.
fn earliest(offer: &Offer) -> Timestamp {
    let earliest = i64::try_from(made(offer).saturating_sub(CLOCKS_APART).as_millis()).ok();
    earliest.and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or(Timestamp::MAX)
}

/// Whether the signed deadline is over, or was made longer on the way. It counts from the making of the task's id, because
/// what the offer says of it is the controller's word.
fn is_late(signature: &TaskSignature, offer: &Offer, now: Timestamp) -> bool {
    let signed = Duration::from_millis(signature.deadline_ms);
    let left = Duration::from_millis(offer.deadline_ms);
    let is_longer = !signed.is_zero() && (left.is_zero() || left > signed);
    let good_for = if signed.is_zero() { GOOD_FOR } else { signed.min(GOOD_FOR) };
    is_longer || since_1970(now) > made(offer).saturating_add(good_for).saturating_add(CLOCKS_APART)
}

fn made(offer: &Offer) -> Duration {
    Duration::from_millis(offer.task.made().0)
}

fn since_1970(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.as_millisecond()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use postern_protocol::bounded::{Bytes, Text};
    use postern_protocol::seal::SealingPublicKey;
    use postern_protocol::signature::SigningKey;
    use postern_protocol::task::enable_user;
    use postern_protocol::{TaskId, TaskRequest};
    use zeroize::Zeroizing;

    use super::*;
    use crate::local::{self, Along};

    const MADE: u64 = 1_767_600_000_000;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_private(Zeroizing::new([seed; 32])).unwrap()
    }

    fn offer(n: u8) -> Offer {
        let request = TaskRequest::EnableUser(enable_user::Request { account: Text::new("joe").unwrap() });
        let task = TaskId::from_random(MADE, [n; 10]);
        local::offer(task, &"acme".parse().unwrap(), &request, Along::default()).unwrap()
    }

    fn signed(offer: Offer, deadline_ms: u64, key: &SigningKey) -> Offer {
        let signature = TaskSignature::sign(&offer, deadline_ms, key).unwrap();
        Offer { signature: Some(signature.into()), ..offer }
    }

    fn after(millis: u64) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(MADE + millis).unwrap()).unwrap()
    }

    fn rule(signatures: &Signatures, offer: &Offer) -> Option<Rule> {
        signatures.check(offer, after(1_000)).err().map(|refused| refused.rule)
    }

    #[test]
    fn f51_only_an_untouched_task_of_an_accepted_signer_is_taken() {
        let required = Signatures { required: true, accepted: vec![*key(1).public(), *key(2).public()] };
        let good = signed(offer(1), 0, &key(2));
        assert_eq!(rule(&required, &good), None);
        let signature = good.signature.clone();
        let foreign = Some(Rule::AcceptedSigners);
        for (what, forged, expected) in [
            ("missing", offer(1), Some(Rule::RequireSignature)),
            ("of an unknown key", signed(offer(1), 0, &key(3)), foreign),
            ("of another task", Offer { signature: signature.clone(), ..offer(2) }, foreign),
            ("of other params", Offer { params: Bytes::new(vec![1]).unwrap(), ..good.clone() }, foreign),
            ("of another target", Offer { target: Text::new("ceo").unwrap(), ..good.clone() }, foreign),
            ("of another requester", Offer { requester: Some(SealingPublicKey([1; 32])), ..good.clone() }, foreign),
        ] {
            assert_eq!(rule(&required, &forged), expected, "{what}");
        }
        let mut claimed = good.clone();
        if let Some(signature) = &mut claimed.signature {
            signature.key = key(1).public().id();
        }
        assert_eq!(rule(&required, &claimed), foreign, "said to be of another accepted key");
        let optional = Signatures { required: false, ..required.clone() };
        assert_eq!(
            (rule(&optional, &offer(1)), rule(&optional, &claimed)),
            (None, foreign),
            "if there is one, it is good"
        );
        assert_eq!(rule(&Signatures::default(), &claimed), None, "nobody looks");
        assert_eq!(required.signer(&good), Some(key(2).public().id()));
        assert_eq!((required.signer(&claimed), Signatures::default().signer(&good)), (None, None));
        let nobody = Signatures { required: true, accepted: Vec::new() };
        assert_eq!(rule(&nobody, &good), foreign);
    }

    /// Take the offer's word for the deadline, and a controller may keep a signed task for as long as it likes, and have it
    /// done a second time when the first is forgotten.
    #[test]
    fn f51_a_signed_task_is_not_kept_for_later() {
        let signatures = Signatures { required: true, accepted: vec![*key(1).public()] };
        let minute = signed(offer(1), 60_000, &key(1));
        let left = |deadline_ms| Offer { deadline_ms, ..minute.clone() };
        let ten_minutes = 10 * 60_000;
        for (offered, after_millis, is_taken) in [
            (left(60_000), 0, true),
            (left(1), 59_000, true),
            (left(60_001), 0, false),
            (left(0), 0, false),
            (left(60_000), 60_000 + ten_minutes, true),
            (left(60_000), 60_001 + ten_minutes, false),
            (signed(offer(1), 0, &key(1)), 29 * 24 * 3_600_000, true),
            (signed(offer(1), 0, &key(1)), 31 * 24 * 3_600_000, false),
        ] {
            let verdict = signatures.check(&offered, after(after_millis));
            assert_eq!(verdict.is_ok(), is_taken, "{} {after_millis}", offered.deadline_ms);
        }
    }

    /// Take it from now on, and a task whose submitter's clock is ahead is good for longer than members remember what they did.
    #[test]
    fn f51_a_signed_task_whose_id_is_of_later_is_not_taken() {
        let signatures = Signatures { required: true, accepted: vec![*key(1).public()] };
        let ten_minutes = 10 * 60_000;
        for (what, offered, before_millis, is_taken) in [
            ("clocks that differ", signed(offer(1), 0, &key(1)), ten_minutes, true),
            ("without a deadline", signed(offer(1), 0, &key(1)), ten_minutes + 1, false),
            ("with one", signed(offer(1), 60_000, &key(1)), ten_minutes + 1, false),
        ] {
            let now = Timestamp::from_millisecond(i64::try_from(MADE - before_millis).unwrap()).unwrap();
            let offered = Offer { deadline_ms: 60_000, ..offered };
            let verdict = signatures.check(&offered, now);
            assert_eq!(verdict.is_ok(), is_taken, "{what}");
            let again = verdict.err().and_then(|refused| refused.again);
            assert_eq!(
                again,
                (!is_taken).then(|| Timestamp::from_millisecond(i64::try_from(MADE - ten_minutes).unwrap()).unwrap()),
                "{what}"
            );
        }
    }
}
