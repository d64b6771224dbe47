//! Keys that follow one another, and tasks that have to be sealed again.

use postern_controller_stub::api::KeysView;
use postern_controller_stub::client::sealing::Binding;
use postern_controller_stub::exit::Failure;
use postern_controller_stub::random;
use postern_controller_stub::state::tasks::{OpaqueView, TaskView};
use postern_protocol::bounded::{List, Text};
use postern_protocol::message::v1::{AnnouncedKey, Hello, KeyAnnounce, Offer, Reject, Rejection};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::seal::{SealContext, SealingKey, SealingPublicKey};
use postern_protocol::session::Ended;
use postern_protocol::{Outcome, TaskId, TaskKind, TaskRequest};
use serde_json::{Value, json};

use crate::lab::{Lab, new_task};
use crate::member::{Application, Identity, Session, succeeded};

fn new_key() -> SealingKey {
    SealingKey::from_random(&random::secret())
}

fn announce(keys: &[&SealingKey]) -> KeyAnnounce {
    let announced = |key: &&SealingKey| AnnouncedKey { id: key.public().id(), public: *key.public() };
    KeyAnnounce { keys: List::new(keys.iter().map(announced).collect()).unwrap() }
}

/// The keys that a submitter is given.
async fn given(lab: &Lab) -> Vec<SealingPublicKey> {
    let keys: KeysView = lab.client().get("/v1/clusters/acme/keys").await.unwrap();
    keys.keys.into_iter().map(|key| key.public).collect()
}

fn binding(task: TaskId) -> Binding {
    let request = json!({ "account": "joe", "source": "given" });
    let request = TaskRequest::from_json(TaskKind::ResetPassword, request).unwrap();
    Binding { task, system: "sf".parse().unwrap(), request }
}

fn sealed(task: TaskId, password: &str, key: &SealingKey) -> OpaqueView {
    binding(task).seal("password", password.as_bytes(), &[*key.public()]).unwrap()
}

/// What is submitted to have a password set that is sealed so.
fn reset(task: TaskId, sealed: &OpaqueView) -> Value {
    json!({ "id": task, "system": "sf", "kind": "reset_password", "params": binding(task).request.to_json(), "sealed": [sealed] })
}

async fn submit(lab: &Lab, body: &Value) -> Result<TaskView, Failure> {
    lab.client().post("/v1/tasks", body).await
}

async fn reseal(lab: &Lab, task: TaskId, body: &Value) -> Result<TaskView, Failure> {
    lab.client().post(&format!("/v1/tasks/{task}/reseal"), body).await
}

fn opened(offer: &Offer, key: &SealingKey) -> String {
    let kind = TaskKind::ResetPassword;
    let context = SealContext { task: offer.task, kind, system: &offer.system, target: &offer.target };
    String::from_utf8(offer.sealed[0].open(context, std::slice::from_ref(key)).unwrap().to_vec()).unwrap()
}

fn needs_reseal(offer: &Offer) -> Reject {
    let message = Text::new("not to my keys").unwrap();
    Reject { task: offer.task, epoch: offer.epoch, reason: Rejection::NeedsReseal.into(), message, retry_after_ms: 0 }
}

/// Send the `KeyAck` before the commit, or keep the keys of `Hello` alone, and what is sealed after the kill is to the old key.
#[tokio::test]
async fn a_key_is_given_to_submitters_once_it_is_acknowledged_and_for_ever_after() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let (old, new) = (identity.sealing.clone(), new_key());
    assert_eq!(given(&lab).await, [*old.public()]);
    let waiting = new_task();
    submit(&lab, &reset(waiting, &sealed(waiting, "before", &old))).await.unwrap();
    let offer = session.offer().await;
    session.accept(&offer).await;

    session.send(announce(&[&new, &old])).await;
    let FromController::KeyAck(ack) = session.next().await else { panic!("no KeyAck") };
    assert_eq!(ack.newest, new.public().id());
    identity.last_session = session.number();
    lab.kill();
    lab.restart().await;
    assert_eq!(given(&lab).await, [*new.public()], "the old one is for what was sealed before");

    // Said again in every `Hello`; and what was sealed to the old one is given out for as long as it is told.
    let late = new_task();
    submit(&lab, &reset(late, &sealed(late, "late", &old))).await.unwrap();
    let keys = announce(&[&new, &old]).keys;
    let hello = Hello { sealing_keys: keys, ..identity.hello() };
    let mut session = Session::greet(&lab, hello, &identity).await.unwrap();
    session.answer_inventory(&[]).await;
    session.send(postern_protocol::message::v1::Credit { offers: 1 }).await;
    let offer = session.offer().await;
    assert!(["before", "late"].contains(&opened(&offer, &old).as_str()));
}

/// What it says again, and what others say, is no change. Leave `check_keys` out, and each change is a look at every task
/// that is sealed to the member.
#[tokio::test]
async fn a_member_that_changes_its_sealing_keys_all_the_time_is_told_to_wait_and_its_session_goes_on() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let (mut other, mut other_session) = lab.working_member().await;
    let (one, two) = (new_key(), new_key());
    let mut taken = 0;
    let refused = loop {
        let newest = if taken % 2 == 0 { &one } else { &two };
        session.send(announce(&[newest])).await;
        match session.next().await {
            FromController::KeyAck(ack) => assert_eq!(ack.newest, newest.public().id()),
            FromController::ProtocolError(refused) => break refused,
            other => panic!("not about keys: {other:?}"),
        }
        taken += 1;
        assert!(taken < 100, "each was taken");
    };
    assert!(taken >= 30, "{taken}");
    assert_eq!(refused.tag, FromMember::from(announce(&[])).tag());
    assert!(refused.message.contains("wait "), "{}", refused.message);
    let (mut known, mut unknown) = if taken % 2 == 0 { (two, one) } else { (one, two) };
    assert!(given(&lab).await.contains(known.public()) && !given(&lab).await.contains(unknown.public()));
    for _ in 0..3 {
        session.send(announce(&[&known])).await;
        let FromController::KeyAck(_) = session.next().await else { panic!("it is no change") };
    }
    let its_own = new_key();
    other_session.send(announce(&[&its_own])).await;
    let FromController::KeyAck(_) = other_session.next().await else { panic!("of another member") };

    (identity.last_session, other.last_session) = (session.number(), other_session.number());
    let with =
        |identity: &Identity, key: &SealingKey| Hello { sealing_keys: announce(&[key]).keys, ..identity.hello() };
    drop(session);
    // As time passes it may change them once more, now and then.
    let mut welcomed = 0;
    let (reason, message) = loop {
        match Session::greet(&lab, with(&identity, &unknown), &identity).await {
            Err(Ended::Refused { reason, message, .. }) => break (reason, message),
            Err(ended) => panic!("{ended}"),
            Ok(session) => identity.last_session = session.number(),
        }
        std::mem::swap(&mut known, &mut unknown);
        welcomed += 1;
        assert!(welcomed < 100, "each was welcomed");
    };
    assert_eq!(reason, "overloaded", "{message}");
    assert!(message.contains("sealing keys"), "{message}");
    assert!(Session::greet(&lab, with(&identity, &known), &identity).await.is_ok());
    assert!(Session::greet(&lab, with(&other, &new_key()), &other).await.is_ok());
}

/// Take one in, and no secret can be sealed for its cluster any more: whoever seals, seals to all its members or to nobody.
#[tokio::test]
async fn a_key_that_nothing_can_be_sealed_to_is_refused_wherever_it_comes_from_and_those_before_stay() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let unusable = SealingPublicKey([0; 32]);
    let keys = |all: &[SealingPublicKey]| {
        List::new(all.iter().map(|public| AnnouncedKey { id: public.id(), public: *public }).collect()).unwrap()
    };
    for all in [vec![unusable], vec![*new_key().public(), unusable]] {
        session.send(KeyAnnounce { keys: keys(&all) }).await;
        let FromController::ProtocolError(refused) = session.next().await else { panic!("it was taken") };
        assert!(refused.message.contains(&unusable.id().to_string()), "{}", refused.message);
        assert_eq!(given(&lab).await, [*identity.sealing.public()]);
    }
    identity.last_session = session.number();
    let hello = Hello { sealing_keys: keys(&[unusable]), ..identity.hello() };
    match Session::greet(&lab, hello, &identity).await {
        Err(Ended::Refused { reason, message, .. }) => {
            assert_eq!(reason, "protocol_violation");
            assert!(message.contains(&unusable.id().to_string()), "{message}");
        }
        Err(ended) => panic!("{ended}"),
        Ok(_) => panic!("welcomed"),
    }
    let refused = Application::new().send_with(&lab, &lab.token().await, unusable).await.unwrap_err();
    assert_eq!(refused.reason.to_string(), "invalid_request", "{}", refused.message);
    assert!(Session::greet(&lab, identity.hello(), &identity).await.is_ok());
    assert_eq!(given(&lab).await, [*identity.sealing.public()]);
}

/// Give work to whoever has credit, or keys of whoever is enrolled, and secrets reach hosts that nobody approved.
#[tokio::test]
async fn a_pending_member_gets_neither_work_nor_a_key_of_any_secret() {
    let lab = Lab::start_with(&[]).await;
    let (approved, pending) = (lab.enroll().await, lab.enroll().await);
    lab.approve(approved.member).await;
    let mut waits = Session::open(&lab, &pending).await;
    let mut works = Session::open(&lab, &approved).await;
    lab.add_system().await;
    assert_eq!(given(&lab).await, [*approved.sealing.public()], "what is sealed is sealed to it alone");
    for number in 1..=3 {
        let task = new_task();
        submit(&lab, &reset(task, &sealed(task, "secret", &approved.sealing))).await.unwrap();
        let offer = works.offer().await;
        assert_eq!(offer.task, task);
        works.send(succeeded(number, &offer)).await;
        assert_eq!(works.acked().await, number);
    }
    let waiting = lab.submit("enable_user", "joe").await;
    assert_eq!(works.offer().await.task, waiting);

    lab.approve(pending.member).await;
    let FromController::MemberState(_) = waits.next().await else { panic!("it was given something before") };
    assert_eq!(given(&lab).await.len(), 2);
    lab.act(pending.member, "disable?hard=true").await.unwrap();
    assert_eq!(given(&lab).await, [*approved.sealing.public()]);
    lab.act(pending.member, "enable").await.unwrap();
    assert_eq!(given(&lab).await.len(), 2);
    lab.act(pending.member, "revoke").await.unwrap();
    assert_eq!(given(&lab).await, [*approved.sealing.public()]);
}

/// F50 through the controller: it cannot look into what is sealed, and who opens it finds that it is of another task.
#[tokio::test]
async fn f50_a_sealed_field_is_bound_to_its_task() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let (of, under) = (new_task(), new_task());
    submit(&lab, &reset(under, &sealed(of, "moved", &identity.sealing))).await.unwrap();
    let offer = session.offer().await;
    assert_eq!(offer.task, under);
    let keys = std::slice::from_ref(&identity.sealing);
    let context =
        |task| SealContext { task, kind: TaskKind::ResetPassword, system: &offer.system, target: &offer.target };
    assert!(offer.sealed[0].open(context(under), keys).is_err());
    assert_eq!(offer.sealed[0].open(context(of), keys).unwrap().as_slice(), b"moved", "nothing else is wrong with it");
}

/// Leave the state out, and it fails, or is offered again and again.
#[tokio::test]
async fn a_task_that_no_member_can_open_says_to_which_keys_it_must_be_sealed_and_goes_on_under_its_id_when_it_is() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = new_task();
    let first = reset(task, &sealed(task, "first", &identity.sealing));
    submit(&lab, &first).await.unwrap();
    let offer = session.offer().await;
    session.send(needs_reseal(&offer)).await;
    let view = lab.in_state(task, "needs_reseal").await;
    assert_eq!(view.reseal_to, [*identity.sealing.public()]);
    assert_eq!(view.sealed_to, [identity.sealing.public().id().to_string()]);
    assert!(view.waits_for.contains(&format!("task reseal {task}")), "{}", view.waits_for);
    assert_eq!(view.outcome, None);

    // A member that comes again may be able to now; one that has forgotten the key is not even asked.
    let (old, new) = (identity.sealing.clone(), new_key());
    identity.last_session = session.number();
    identity.sealing = new.clone();
    lab.kill();
    lab.restart().await;
    let mut session = Session::open(&lab, &identity).await;
    let view = lab.in_state(task, "needs_reseal").await;
    assert_eq!((view.reseal_to, view.attempt), (vec![*new.public()], 1));

    let again = json!({ "sealed": [sealed(task, "second", &new)] });
    assert_eq!(reseal(&lab, task, &again).await.unwrap().id, task);
    let offer = session.offer().await;
    assert_eq!((offer.task, opened(&offer, &new)), (task, "second".to_owned()));
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    reseal(&lab, task, &again).await.expect("the same once more, because the first answer was lost");
    submit(&lab, &first).await.expect("and the submission, which seals nothing back");
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.finished(task).await.outcome, Some(Outcome::Succeeded));
    assert!(!lab.log().contains("second"));
    drop(old);
}

/// What was sealed again is durable with the answer: the offer after the kill is of that.
#[tokio::test]
async fn a_task_that_was_sealed_again_stays_so_when_the_controller_is_killed() {
    let mut lab = Lab::start().await;
    let identity = lab.enroll().await;
    lab.add_system().await;
    let (task, other) = (new_task(), new_key());
    submit(&lab, &reset(task, &sealed(task, "first", &other))).await.unwrap();
    lab.in_state(task, "needs_reseal").await;
    reseal(&lab, task, &json!({ "sealed": [sealed(task, "second", &identity.sealing)] })).await.unwrap();
    lab.kill();
    lab.restart().await;
    assert_eq!(lab.task(task).await.state, "queued");
    let mut session = Session::open(&lab, &identity).await;
    assert_eq!(opened(&session.offer().await, &identity.sealing), "second");
}

#[tokio::test]
async fn what_cannot_be_sealed_again_so_is_refused_with_the_reason() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let (task, other) = (new_task(), new_key());
    submit(&lab, &reset(task, &sealed(task, "first", &other))).await.unwrap();
    lab.in_state(task, "needs_reseal").await;
    let refused = async |task: TaskId, body: Value, words: &str| {
        let text = reseal(&lab, task, &body).await.expect_err("it is not taken in").text;
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    };
    let good = sealed(task, "second", &identity.sealing);
    refused(task, json!({ "password": "hunter2" }), "never travels in clear").await;
    refused(task, json!({ "sealed": [good], "password": "hunter2" }), "never travels in clear").await;
    refused(task, json!({ "sealed": [{ "name": "password", "bytes": "aHVudGVyMg==" }] }), "not a sealed field").await;
    refused(task, json!({ "sealed": [{ "name": "password", "value": "hunter2" }] }), "sealed").await;
    refused(task, json!({ "sealed": [] }), "`password`").await;
    refused(task, json!({ "sealed": [good, good] }), "`password`").await;
    refused(task, json!({ "sealed": [good], "params": { "account": "jane" } }), "no field `params`").await;
    refused(task, json!({ "sealed": [sealed(task, "x", &other)] }), "/v1/clusters/acme/keys").await;
    refused(new_task(), json!({ "sealed": [good] }), "there is no task").await;
    assert_eq!(lab.task(task).await.state, "needs_reseal");

    let plain = lab.submit("enable_user", "jane").await;
    refused(plain, json!({ "sealed": [good] }), "no secret").await;
    reseal(&lab, task, &json!({ "sealed": [good] })).await.unwrap();
    let mut offer = session.offer().await;
    if offer.task != task {
        offer = session.offer().await;
    }
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    refused(task, json!({ "sealed": [sealed(task, "third", &identity.sealing)] }), "only a task that waits").await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    refused(task, json!({ "sealed": [sealed(task, "third", &identity.sealing)] }), "has ended").await;
}

/// The signature is of what was sealed before: take a task in without another, and a member that asks for signatures
/// refuses it when it is too late to sign.
#[tokio::test]
async fn a_signed_task_is_sealed_again_with_another_signature_alone() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let (task, other) = (new_task(), new_key());
    let signature = |byte: &str| json!({ "key": "0011223344556677", "bytes": byte.repeat(64) });
    let mut body = reset(task, &sealed(task, "first", &other));
    body["signature"] = signature("11");
    body["deadline_secs"] = json!(600);
    submit(&lab, &body).await.unwrap();
    let good = sealed(task, "second", &identity.sealing);
    let text = reseal(&lab, task, &json!({ "sealed": [good] })).await.expect_err("it is not signed").text;
    assert!(text.contains("sign it again"), "{text}");
    reseal(&lab, task, &json!({ "sealed": [good], "signature": signature("22") })).await.unwrap();
    let signature = session.offer().await.signature.unwrap();
    assert_eq!((signature.bytes, signature.deadline_ms), ([0x22; 64], 600_000), "the deadline stays");
}

#[tokio::test]
async fn the_command_line_seals_a_password_again_and_says_what_to_do_about_a_dataset() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let (task, other) = (new_task(), new_key());
    submit(&lab, &reset(task, &sealed(task, "first", &other))).await.unwrap();
    let file = lab.path("pw");
    std::fs::write(&file, "s3cret two\n").unwrap();
    let again =
        |task: TaskId| lab.command(&["task", "reseal", &task.to_string(), "--password-file", file.to_str().unwrap()]);
    let (code, out, err) = again(task);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("state") && !format!("{out}{err}{}", lab.log()).contains("s3cret two"), "{out}");
    assert_eq!(opened(&session.offer().await, &identity.sealing), "s3cret two");

    let plain = lab.submit("enable_user", "jane").await;
    let (code, _, err) = again(plain);
    assert!(code != Some(0) && err.contains("no secret"), "{err}");
    let dataset = lab.path("users.jsonl");
    std::fs::write(&dataset, "{}").unwrap();
    let import = ["task", "submit", "import_batch", "--system", "sf", "--dataset", dataset.to_str().unwrap()];
    let (code, out, err) = lab.command(&[&import[..], &["--async", "--json"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let import: TaskView = serde_json::from_str(&out).unwrap();
    let (code, _, err) = again(import.id);
    assert!(code != Some(0) && err.contains("task cancel") && err.contains("submit the dataset again"), "{err}");
}
