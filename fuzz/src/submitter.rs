//! What a submitter or an operator sends to the controller, in the head of a request and in its body, what is signed of it, and
//! what the controller answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use postern_agent::offered;
use postern_controller_stub::api::{
    self, AuditView, ClusterView, HandedInView, KeysView, NewApiTokenView, Page, Problem, RecordView, StatusView,
    StreamView, SystemView, TokenView, bodies, head,
};
use postern_controller_stub::server::Addresses;
use postern_controller_stub::state::api_tokens::ApiTokenView;
use postern_controller_stub::state::members::MemberView;
use postern_controller_stub::state::roots::CaView;
use postern_controller_stub::state::tasks::TaskView;
use postern_health::is_asked_by_address;
use postern_protocol::TaskRequest;
use postern_protocol::code::CodeSet as _;
use postern_protocol::message::FromController;
use postern_protocol::outbox::OwedReport;
use postern_protocol::signature::{SignatureView, SigningKey, TaskSignature, header};
use postern_store::SpoolId;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::store::Bench;
use crate::{choice, grown};

/// The body of a submission: what is taken can travel, and an error is in words of some length.
pub fn submission(data: &[u8]) -> bool {
    match api::read_submission(data) {
        Ok((submission, _)) => {
            let request = &submission.request;
            let Ok(bytes) = request.encode() else { return false };
            let again = TaskRequest::decode(request.kind().code(), TaskRequest::REV, &bytes);
            assert_eq!(&again.expect("what is taken in can travel"), request, "it travels as another task");
            true
        }
        Err(problem) => {
            assert!(!problem.detail.is_empty() && problem.status >= 400, "{problem:?}");
            false
        }
    }
}

/// The same body as `postern policy check` reads it: where the API takes it as well, both read one task.
pub fn policy_check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(offer) = offered(text) else { return false };
    let Ok((submission, _)) = api::read_submission(data) else { return false };
    let request = TaskRequest::decode(offer.kind.number(), offer.kind_rev, &offer.params);
    assert_eq!(request.expect("what is asked about can travel"), submission.request, "another task");
    assert_eq!((offer.task, offer.system), (submission.id, submission.system));
    assert_eq!(offer.sealed.to_vec(), submission.sealed, "other secrets");
    assert_eq!(offer.requester, submission.requester, "for somebody else");
    assert_eq!(
        offer.signature.as_deref(),
        submission.signature.as_ref(),
        "signed by somebody else, or until another time"
    );
    true
}

/// The bodies of all routes, by the first byte: what is taken is a JSON object or nothing, and an error is in words.
pub fn api_bodies(data: &[u8]) -> bool {
    let (route, body) = choice(data);
    let Some(read) = bodies::ROUTES.get(route % bodies::ROUTES.len()) else { return false };
    match read(body) {
        Ok(()) => {
            let is_object = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|it| it.is_object());
            assert!(body.is_empty() || is_object, "it is no object");
            true
        }
        Err(problem) => {
            assert!(!problem.detail.is_empty() && (400..500).contains(&problem.status), "{problem:?}");
            false
        }
    }
}

/// What a controller, perhaps of another version, answers the command line; and the file that says where it is: what was read
/// means the same when it was written.
pub fn api_answer(data: &[u8]) -> bool {
    let (what, body) = choice(data);
    match what % 15 {
        0 => again::<Problem>(body),
        1 => again::<Page<TaskView>>(body),
        2 => again::<Page<MemberView>>(body),
        3 => again::<Page<SystemView>>(body),
        4 => again::<Page<ClusterView>>(body),
        5 => again::<StatusView>(body),
        6 => again::<KeysView>(body),
        7 => again::<Addresses>(body),
        8 => again::<Page<ApiTokenView>>(body),
        9 => again::<NewApiTokenView>(body),
        10 => again::<TokenView>(body),
        11 => again::<CaView>(body),
        12 => again::<StreamView>(body),
        13 => again::<HandedInView>(body),
        _ => again::<Page<AuditView>>(body),
    }
}

fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return false };
    let written = serde_json::to_value(&read).expect("what was read can be written");
    let read: T = serde_json::from_value(written.clone()).expect("what was written can be read");
    assert_eq!(serde_json::to_value(&read).ok(), Some(written), "it means something else");
    true
}

/// What stands beside the body: a query with a cursor, `Last-Event-ID`, the console's cookie, a token, `Idempotency-Key`, `Host`
/// and `Origin`. What is wrong with it is told by its name; no name that leads to the loopback passes for it.
pub fn request_head(data: &[u8]) -> bool {
    let (what, bytes) = choice(data);
    let text = String::from_utf8_lossy(bytes);
    match what % 8 {
        0 => match head::part("list", &text) {
            Ok(part) => {
                assert!((1..=api::MAX_LIMIT).contains(&part.limit), "{part:?}");
                true
            }
            Err(problem) => {
                assert!(problem.status == 422 && problem.field.is_some(), "{problem:?}");
                false
            }
        },
        1 => {
            let cursor = BASE64URL_NOPAD.encode(bytes);
            let Ok(part) = head::part("list", &format!("cursor={cursor}")) else { return false };
            assert_eq!(part.cursor.as_ref(), Some(&cursor), "a cursor has one form");
            assert_eq!(part.after.as_deref(), text.strip_prefix("list\n"), "of another list, or behind another");
            part.after.is_some()
        }
        2 => {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return false };
            match head::last_event(value) {
                Ok(last) => {
                    assert_eq!(text.trim_start_matches(['+', '0']).parse().ok(), last.filter(|it| *it > 0));
                    true
                }
                Err(problem) => {
                    assert_eq!(problem.field.as_deref(), Some("Last-Event-ID"));
                    false
                }
            }
        }
        3 => {
            let Some(key) = HeaderValue::from_bytes(bytes).ok().and_then(head::session) else { return false };
            let shown = |it: &str| it.trim().strip_prefix("postern_session=").map(str::to_lowercase);
            let first = text.split(';').find_map(shown).expect("it is among the cookies");
            assert_eq!(HEXLOWER_PERMISSIVE.decode(first.as_bytes()).as_deref(), Ok(&key[..]), "another key");
            true
        }
        4 => {
            let Some(id) = head::token(&text) else { return false };
            assert!(text.trim().to_lowercase().starts_with(&id.to_string()), "another token");
            true
        }
        6 => {
            let is_ours = |name: &str| {
                let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
                let is_loopback = address.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
                is_loopback || ["localhost", "api.example"].iter().any(|it| it.eq_ignore_ascii_case(name))
            };
            let name = text.rsplit_once(':').map_or(&*text, |(name, _)| name);
            let means_us = head::means_us(&text, "api.example");
            assert!(!means_us || is_ours(&text) || is_ours(name), "{text}");
            let is_address =
                text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
            let is_localhost =
                text.strip_prefix("localhost").is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
            assert_eq!(is_asked_by_address(&text), is_address || is_localhost, "{text}");
            means_us
        }
        7 => {
            let (origin, host) = text.split_once('\n').unwrap_or((&text, ""));
            let values = (HeaderValue::from_str(origin), HeaderValue::from_str(host));
            let (Ok(page), Ok(called)) = values else { return false };
            let is_one = ["http://", "https://"].iter().any(|it| origin.strip_prefix(it) == Some(host));
            let is_of_host = head::is_of_host(page, called);
            assert!(!is_of_host || is_one, "{origin} is not of {host}");
            is_of_host
        }
        _ => {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return false };
            if let Err(problem) = head::idempotency_key(value) {
                assert_eq!(problem.field.as_deref(), Some("Idempotency-Key"));
                false
            } else {
                assert!(text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
                true
            }
        }
    }
}

/// Results that a member sent, and a cursor, behind its eight bytes and one for how much is asked for: a page is no longer than
/// that, and leads on or nowhere; and all pages together show what is there, once and in its order.
pub fn records_page(data: &[u8]) -> bool {
    const LIST: &str = "records";
    const RESULTS: SpoolId = SpoolId([8; 16]);
    const MOST_PAGES: usize = 64;
    let Some((cursor, rest)) = data.split_first_chunk::<8>() else { return false };
    let (how, results) = choice(rest);
    let results = grown(results);
    let (limit, is_wanted) =
        (how % 128 + 1, |it: &RecordView| how < 128 || matches!(&*it.outcome, "failed" | "unknown"));
    let bench = Bench::take();
    let reader = Arc::new(bench.write(RESULTS, &results));
    bench.delete(RESULTS);
    let page_behind = |behind: u64| {
        let cursor = BASE64URL_NOPAD.encode(format!("{LIST}\n{behind}").as_bytes());
        let only = if how < 128 { "" } else { "&only=failed" };
        let page = head::records(&reader, LIST, &format!("limit={limit}&cursor={cursor}{only}"));
        let page = page.expect("a cursor of this list is taken");
        let next = page.next.map(|it| BASE64URL_NOPAD.decode(it.as_bytes()).expect("a cursor has one form"));
        let next = next.map(|it| String::from_utf8_lossy(&it).trim_start_matches("records\n").parse::<u64>());
        let next = next.map(|it| it.expect("it says how far the page went"));
        assert!(page.items.len() <= limit && page.items.iter().all(is_wanted), "more than was asked for");
        assert!(next.is_none_or(|next| next > behind), "{next:?} is not behind {behind}");
        (page.items, next)
    };
    page_behind(u64::from_le_bytes(*cursor));

    let (mut shown, mut behind) = (Vec::new(), Some(0));
    for _ in 0..MOST_PAGES {
        let Some(from) = behind else { break };
        let (items, next) = page_behind(from);
        shown.extend(items);
        behind = next;
    }
    let lines = results.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<RecordView>(line).ok());
    let there: Vec<RecordView> = lines.filter(is_wanted).collect();
    let as_json = |records: &[RecordView]| serde_json::to_value(records).expect("records can be shown");
    if behind.is_none() && results.split(|byte| *byte == b'\n').all(|line| line.len() < 64 * 1024) {
        assert_eq!(as_json(&shown), as_json(&there), "a record is left out, or shown twice");
    }
    !shown.is_empty()
}

/// The body of a report that is handed in: it means the same when it was written, and the report in it travels with the
/// same bytes.
pub fn owed_report(data: &[u8]) -> bool {
    let Ok(owed) = serde_json::from_slice::<OwedReport>(data) else { return false };
    let written = serde_json::to_vec(&owed).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<OwedReport>(&written).expect("what was written can be read"), owed);
    let (statement, _) = (owed.statement().ok(), owed.proof());
    let Ok(report) = owed.report() else { return false };
    let again = OwedReport::new(owed.member, owed.incarnation, &report).expect("what was read can be written");
    assert_eq!(again.report, owed.report, "another report of the same meaning");
    assert_eq!(again.statement().ok(), statement, "what is signed is the report, and not what stands beside it");
    true
}

/// An offer with whatever is in it, signed by somebody known and by nobody: only the one who signed it did, and not
/// after a byte was changed. The signature's form for people, too.
pub fn signed_task(data: &[u8]) -> bool {
    if let Ok(view) = serde_json::from_slice::<SignatureView>(data)
        && let Ok(signature) = TaskSignature::of_view(&view, 0)
    {
        let again = TaskSignature::of_view(&signature.view(), 0).expect("what is shown can be read");
        assert_eq!(again, signature);
        return true;
    }
    let Ok(FromController::Offer(mut offer)) = FromController::decode(data) else { return false };
    let key = |seed| SigningKey::from_private(Zeroizing::new([seed; 32])).expect("it is a key");
    let (signer, other) = (key(7), key(8));
    if let Some(signature) = &offer.signature {
        assert!(!signature.is_of(&offer, other.public()), "nobody has that key");
    }
    let Ok(signature) = TaskSignature::sign(&offer, 0, &signer) else { return false };
    assert!(signature.is_of(&offer, signer.public()) && !signature.is_of(&offer, other.public()));
    let before = header(&offer, 0).ok();
    offer.kind_rev = offer.kind_rev.wrapping_add(1);
    assert_ne!(header(&offer, 0).ok(), before, "what is signed tells the difference");
    assert!(!signature.is_of(&offer, signer.public()), "another task");
    true
}
