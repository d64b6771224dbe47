//! What a submitter or an operator sends to the controller, in the head of a request and in its body, and what is signed of
//! it.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use postern_controller_stub::api::{self, head};
use postern_protocol::TaskRequest;
use postern_protocol::code::CodeSet as _;
use postern_protocol::message::FromController;
use postern_protocol::outbox::OwedReport;
use postern_protocol::signature::{SignatureView, SigningKey, TaskSignature, header};
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::choice;

/// The body of a submission: what is taken can travel, and an error is in words of some length.
pub fn submission(data: &[u8]) {
    match api::read_submission(data) {
        Ok((submission, _)) => {
            let request = &submission.request;
            let Ok(bytes) = request.encode() else { return };
            let again = TaskRequest::decode(request.kind().code(), TaskRequest::REV, &bytes);
            assert_eq!(&again.expect("what is taken in can travel"), request, "it travels as another task");
        }
        Err(problem) => assert!(!problem.detail.is_empty() && problem.status >= 400, "{problem:?}"),
    }
}

/// What stands beside the body: a query with a cursor, `Last-Event-ID`, the console's cookie, a token, `Idempotency-Key`.
/// What is wrong with it is told by its name.
pub fn request_head(data: &[u8]) {
    let (what, bytes) = choice(data);
    let text = String::from_utf8_lossy(bytes);
    match what % 6 {
        0 => match head::part("list", &text) {
            Ok(part) => assert!((1..=api::MAX_LIMIT).contains(&part.limit), "{part:?}"),
            Err(problem) => assert!(problem.status == 422 && problem.field.is_some(), "{problem:?}"),
        },
        1 => {
            let cursor = BASE64URL_NOPAD.encode(bytes);
            let Ok(part) = head::part("list", &format!("cursor={cursor}")) else { return };
            assert_eq!(part.cursor.as_ref(), Some(&cursor), "a cursor has one form");
            assert_eq!(part.after.as_deref(), text.strip_prefix("list\n"), "of another list, or behind another");
        }
        2 => {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
            match head::last_event(value) {
                Ok(last) => assert_eq!(text.trim_start_matches(['+', '0']).parse().ok(), last.filter(|it| *it > 0)),
                Err(problem) => assert_eq!(problem.field.as_deref(), Some("Last-Event-ID")),
            }
        }
        3 => {
            let Some(key) = HeaderValue::from_bytes(bytes).ok().and_then(head::session) else { return };
            let shown = |it: &str| it.trim().strip_prefix("postern_session=").map(str::to_lowercase);
            let first = text.split(';').find_map(shown).expect("it is among the cookies");
            assert_eq!(HEXLOWER_PERMISSIVE.decode(first.as_bytes()).as_deref(), Ok(&key[..]), "another key");
        }
        4 => {
            if let Some(id) = head::token(&text) {
                assert!(text.trim().to_lowercase().starts_with(&id.to_string()), "another token");
            }
        }
        _ => {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
            if let Err(problem) = head::idempotency_key(value) {
                assert_eq!(problem.field.as_deref(), Some("Idempotency-Key"));
            } else {
                assert!(text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            }
        }
    }
}

/// The body of a report that is handed in: it means the same when it was written, and the report in it travels with the
/// same bytes.
pub fn owed_report(data: &[u8]) {
    let Ok(owed) = serde_json::from_slice::<OwedReport>(data) else { return };
    let written = serde_json::to_vec(&owed).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<OwedReport>(&written).expect("what was written can be read"), owed);
    let (statement, _) = (owed.statement().ok(), owed.proof());
    let Ok(report) = owed.report() else { return };
    let again = OwedReport::new(owed.member, owed.incarnation, &report).expect("what was read can be written");
    assert_eq!(again.report, owed.report, "another report of the same meaning");
    assert_eq!(again.statement().ok(), statement, "what is signed is the report, and not what stands beside it");
}

/// An offer with whatever is in it, signed by somebody known and by nobody: only the one who signed it did, and not
/// after a byte was changed. The signature's form for people, too.
pub fn signed_task(data: &[u8]) {
    if let Ok(view) = serde_json::from_slice::<SignatureView>(data)
        && let Ok(signature) = TaskSignature::of_view(&view, 0)
    {
        let again = TaskSignature::of_view(&signature.view(), 0).expect("what is shown can be read");
        assert_eq!(again, signature);
    }
    let Ok(FromController::Offer(mut offer)) = FromController::decode(data) else { return };
    let key = |seed| SigningKey::from_private(Zeroizing::new([seed; 32])).expect("it is a key");
    let (signer, other) = (key(7), key(8));
    if let Some(signature) = &offer.signature {
        assert!(!signature.is_of(&offer, other.public()), "nobody has that key");
    }
    let Ok(signature) = TaskSignature::sign(&offer, 0, &signer) else { return };
    assert!(signature.is_of(&offer, signer.public()) && !signature.is_of(&offer, other.public()));
    let before = header(&offer, 0).ok();
    offer.kind_rev = offer.kind_rev.wrapping_add(1);
    assert_ne!(header(&offer, 0).ok(), before, "what is signed tells the difference");
    assert!(!signature.is_of(&offer, signer.public()), "another task");
}
