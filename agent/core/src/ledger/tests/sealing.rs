//! Keys that are still needed, and secrets that were sealed again.

use postern_protocol::seal::{KeyId, SealingPublicKey, WrappedKey};
use postern_protocol::signature::TaskSignature;

use super::*;

fn key(n: u8) -> SealingPublicKey {
    SealingPublicKey([n; 32])
}

/// A reset whose password is sealed to this key.
fn sealed_to(n: u8, epoch: u64) -> Offer {
    let wrapped = WrappedKey { key: key(n).id(), enc: [0; 32], wrapped: Bytes::default() };
    let keys = List::new(vec![wrapped]).unwrap();
    let field = SealedField { name: Text::new("password").unwrap(), ciphertext: Bytes::default(), keys };
    Offer { sealed: List::new(vec![field]).unwrap(), ..offer(1, TaskKind::DisableUser, epoch) }
}

/// Count what is journaled alone, and a task that began is not gone on with after its key was wiped.
#[test]
fn a_key_is_needed_until_every_task_that_names_it_has_ended() {
    let mut desk = Desk::connected();
    assert!(!desk.ledger.needs_key(key(1).id()));
    desk.offer(sealed_to(1, 1));
    assert!(desk.ledger.needs_key(key(1).id()), "before it is on disk already");
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(1)]);
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(1)]);
    assert!(desk.ledger.needs_key(key(1).id()) && !desk.ledger.needs_key(key(2).id()));
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert!(!desk.ledger.needs_key(key(1).id()));
}

#[test]
fn what_came_of_a_task_of_this_machine_keeps_its_key_until_it_was_taken() {
    let mut desk = Desk::new();
    let offer = Offer { requester: Some(key(1)), ..offer(1, TaskKind::DisableUser, 1) };
    let origin = Origin::Local(Caller::Schedule);
    desk.ledger.handle_offer(Offered { offer, origin, refusal: None }, desk.now);
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(1)]);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert!(desk.ledger.needs_key(key(1).id()));
    desk.ledger.handle_local_taken(id(1), true);
    assert!(!desk.ledger.needs_key(key(1).id()));
}

/// Leave what is sealed as it was in `lease_anew`, and the secret that was given first is set after all.
#[test]
fn a_held_task_that_was_sealed_again_goes_on_with_the_new_secret() {
    let mut desk = Desk::connected();
    desk.offer(sealed_to(1, 1));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(1)]);
    desk.ledger.handle_failed(id(1), busy(1), desk.now);
    desk.offer(sealed_to(2, 2));
    desk.sync();
    assert!(desk.disk.iter().any(|write| matches!(write, Write::PutTask(offer, _) if **offer == sealed_to(2, 2))));
    desk.now = at(200);
    desk.renew(LeaseVerdict::Kept);
    let events = desk.events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Start { offer, .. } if offer.sealed == sealed_to(2, 2).sealed)),
        "{events:?}"
    );
}

/// Leave the refusal out of `offer_of_held`, and a controller has a secret set that nobody signed.
#[test]
fn a_held_task_that_was_sealed_again_is_refused_for_the_reasons_that_any_task_is() {
    let mut desk = Desk::connected();
    desk.offer(sealed_to(1, 1));
    desk.sync();
    desk.sent();
    let refusal = Some(Refusal::lasting(Rejection::NeedsReseal, "for others".to_owned()));
    let origin = Origin::Controller;
    for (offer, reason) in [(sealed_to(2, 2), Some(Rejection::NeedsReseal)), (sealed_to(1, 3), None)] {
        let refusal = refusal.clone();
        desk.ledger.handle_offer(Offered { offer, origin, refusal }, desk.now);
        desk.sync();
        let rejected = desk.sent().into_iter().find_map(|frame| match frame {
            FromMember::Reject(reject) => reject.reason.known(),
            _ => None,
        });
        assert_eq!(rejected, reason);
    }
    assert!(desk.ledger.needs_key(key(1).id()) && !desk.ledger.needs_key(key(2).id()));
}

/// Take whatever signature comes with a newer lease, and a controller says in the audit log who signed what is done.
#[test]
fn a_held_task_keeps_the_signature_that_was_looked_at() {
    let signed = |offer: Offer, key: u8| {
        let signature = TaskSignature { key: KeyId::of(&[key]), deadline_ms: 0, bytes: [key; 64] };
        Offer { signature: Some(Box::new(signature)), ..offer }
    };
    let mut desk = Desk::connected();
    desk.offer(signed(sealed_to(1, 1), 1));
    desk.sync();
    let refusal = Some(Refusal::lasting(Rejection::BadSignature, "of nobody".to_owned()));
    let (offer, origin) = (signed(sealed_to(1, 2), 2), Origin::Controller);
    desk.ledger.handle_offer(Offered { offer, origin, refusal }, desk.now);
    desk.sync();
    let kept = desk.ledger.tasks.get(&id(1)).unwrap().offer.signature.clone();
    assert_eq!(kept, signed(sealed_to(1, 1), 1).signature);
    desk.offer(signed(sealed_to(2, 3), 3));
    desk.sync();
    let kept = desk.ledger.tasks.get(&id(1)).unwrap().offer.signature.clone();
    assert_eq!(kept, signed(sealed_to(2, 3), 3).signature);
}

/// Leave what is sealed out of `is_same_work`, and a restore that has begun sets a password that no ceiling counted.
#[test]
fn a_held_task_is_not_given_a_secret_that_it_did_not_have() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.sent();
    desk.offer(Offer { kind: offer(1, TaskKind::DisableUser, 2).kind, ..sealed_to(1, 2) });
    desk.sync();
    let frames = desk.sent();
    let rejected = frames.iter().any(|frame| match frame {
        FromMember::Reject(reject) => reject.reason.known() == Some(Rejection::Invalid),
        _ => false,
    });
    assert!(rejected && !desk.ledger.needs_key(key(1).id()), "{frames:?}");
}

/// Take the refusal for a lasting one, and the member is never asked again.
#[test]
fn a_held_task_that_was_sealed_again_and_is_refused_for_now_says_when_to_ask_again() {
    let mut desk = Desk::connected();
    desk.offer(sealed_to(1, 1));
    desk.sync();
    desk.sent();
    let (reason, message) = (Rejection::StoreFault, "the disk is full".to_owned());
    let refusal = Some(Refusal { reason, message, retry_after: Some(Duration::from_secs(10)) });
    let (offer, origin) = (sealed_to(2, 2), Origin::Controller);
    desk.ledger.handle_offer(Offered { offer, origin, refusal }, desk.now);
    desk.sync();
    let rejected = desk.sent().into_iter().find_map(|frame| match frame {
        FromMember::Reject(reject) => Some(reject.retry_after_ms),
        _ => None,
    });
    assert_eq!(rejected, Some(10_000));
}
