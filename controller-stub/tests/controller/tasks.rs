//! Tasks from submission to outcome.

use postern_protocol::bounded::{List, Text};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{
    CancelAck, CancelVerdict, Credit, HeldState, LeaseRef, LeaseVerdict, MemberStateAck, Progress, Reject, Rejection,
    Renew, Report, StreamFault, StreamOpen, StreamRef,
};
use postern_protocol::seal::{SealContext, SealedOutput};
use postern_protocol::task::reset_password;
use postern_protocol::{Failure, FailureClass, Outcome, StreamId, TaskId, TaskKind, TaskOutput, TaskRequest};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::member::{Identity, Session, succeeded};

#[tokio::test]
async fn a_task_goes_to_a_member_and_its_outcome_comes_back() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("disable_user", "Joe@Example.com").await;

    let offer = session.offer().await;
    assert_eq!((offer.task, offer.epoch.0, offer.attempt, offer.reconcile), (task, 1, 1, false));
    assert_eq!(offer.target.as_str(), "joe@example.com");
    let request = TaskRequest::decode(offer.kind.number(), offer.kind_rev, &offer.params).unwrap();
    assert_eq!(request.kind(), TaskKind::DisableUser);

    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    session.send(Progress { task, done: 1, total: 2, phase: Text::new("looking").unwrap() }).await;
    lab.wait_for("the progress", async || lab.task(task).await.progress.filter(|it| it.done == 1)).await;

    let output: TaskOutput =
        postern_protocol::task::disable_user::Output { user_id: Text::new("005xx").unwrap(), frozen_instead: false }
            .into();
    let report = Report {
        output: postern_protocol::bounded::Bytes::new(output.encode().unwrap()).unwrap(),
        ..succeeded(1, &offer)
    };
    session.send(report).await;
    assert_eq!(session.acked().await, 1);
    let view = lab.task(task).await;
    assert_eq!((view.outcome, view.member), (Some(Outcome::Succeeded), Some(identity.member)));
    assert_eq!(view.output.unwrap()["user_id"], "005xx");
    assert!(view.progress.is_none());
}

#[tokio::test]
async fn the_member_with_the_least_to_do_gets_the_task_and_nobody_more_than_it_allows() {
    let lab = Lab::start().await;
    let (_first, mut one) = lab.working_member().await;
    let second = lab.enroll().await;
    let mut two = Session::greet(&lab, second.hello(), &second).await.unwrap();
    two.answer_inventory(&[]).await;
    two.send(Credit { offers: 1 }).await;
    lab.wait_for("the credit", async || (lab.member(second.member).await.room == 1).then_some(())).await;

    for account in ["a", "b", "c"] {
        lab.submit("enable_user", account).await;
    }
    let offers = [one.offer().await, one.offer().await];
    two.offer().await;
    assert_ne!(offers[0].task, offers[1].task);
    assert_eq!(lab.member(second.member).await.room, 0);
}

/// Invariant 8.
#[tokio::test]
async fn work_on_one_account_is_done_one_after_the_other() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let first = lab.submit("disable_user", "joe").await;
    let second = lab.submit("enable_user", "JOE").await;
    let offer = session.offer().await;
    assert_eq!(offer.task, first);
    let waiting = lab.task(second).await;
    assert!(waiting.waits_for.contains(&first.to_string()), "{}", waiting.waits_for);
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(session.offer().await.task, second);
}

#[tokio::test]
async fn a_report_sent_twice_is_acknowledged_twice_and_stored_once() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    let lie = Report { outcome: Outcome::Failed.into(), ..succeeded(1, &offer) };
    session.send(lie).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded), "an outcome never changes");
}

/// Show how many there were, and of a task that was handed on nobody is told who had it, nor what they said of it since.
#[tokio::test]
async fn a_task_that_was_handed_on_is_shown_with_who_had_it_and_what_they_said() {
    let lab = Lab::start().await;
    let (one, mut first) = lab.working_member().await;
    let task = lab.submit("disable_user", "a").await;
    let earlier = first.offer().await;
    first.accept(&earlier).await;
    lab.in_state(task, "accepted").await;
    let (two, mut second) = lab.working_member().await;
    lab.act(one.member, "disable?hard=true").await.unwrap();
    let FromController::MemberState(state) = first.next().await else { panic!("no MemberState") };
    first.send(MemberStateAck { epoch: state.epoch }).await;
    first.answer_inventory(&[(task, earlier.epoch, HeldState::Journaled)]).await;
    // What was taken away has a number of its own.
    assert_eq!(second.offer().await.epoch.0, 3);
    first.send(succeeded(1, &earlier)).await;
    assert_eq!(first.acked().await, 1);

    let (_, out, err) = lab.command(&["task", "show", &task.to_string()]);
    for it in [
        format!("1, lease 1: {}", one.member),
        format!("2, lease 3: {}", two.member),
        format!("lease 1: {} said succeeded (certain; anything changed: yes)", one.member),
    ] {
        assert!(out.contains(&it), "{it}: {out}{err}");
    }
}

/// Leave the lease out of `Queue::report` and the stranger's word is the outcome; store its report and it is what is
/// shown beside the holder's outcome; let it wait for its payload and it is never acknowledged.
#[tokio::test]
async fn a_member_can_neither_end_nor_touch_a_task_it_was_never_given() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("disable_user", "a").await;
    let offer = session.offer().await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;

    let stranger = Identity::enroll(&lab, &lab.token_into("other").await).await.unwrap();
    let mut theirs = Session::open(&lab, &stranger).await;
    let payload = StreamRef { id: StreamId::from_bytes([5; 16]), length: 7, sha256: [1; 32] };
    let failed = |code| Failure::new(FailureClass::Rejected, code, "It did not work");
    let lie =
        Report { failure: Some(failed("lie")), streams: List::new(vec![payload]).unwrap(), ..succeeded(1, &offer) };
    theirs.send(lie).await;
    assert_eq!(theirs.acked().await, 1);
    theirs.send(StreamOpen { task, stream: payload }).await;
    let FromController::StreamReset(reset) = theirs.next().await else { panic!("no StreamReset") };
    assert_eq!(reset.fault, StreamFault::Unknown.into());
    let message = Text::new("not for you").unwrap();
    let reason = Rejection::Invalid.into();
    theirs.send(Reject { task, epoch: offer.epoch, reason, message, retry_after_ms: 0 }).await;
    let lease = LeaseRef { task, epoch: offer.epoch };
    theirs.send(Renew { nonce: 1, leases: List::new(vec![lease]).unwrap() }).await;
    let FromController::Renewed(renewed) = theirs.next().await else { panic!("no Renewed") };
    assert_eq!(renewed.leases[0].verdict, LeaseVerdict::Fenced.into());
    let view = lab.task(task).await;
    assert_eq!((view.state.as_str(), view.member, view.observations.len()), ("started", Some(identity.member), 0));

    let truth = Report { outcome: Outcome::Failed.into(), failure: Some(failed("truth")), ..succeeded(1, &offer) };
    session.send(truth).await;
    assert_eq!(session.acked().await, 1);
    let view = lab.task(task).await;
    assert_eq!((view.outcome, view.member), (Some(Outcome::Failed), Some(identity.member)));
    assert_eq!(view.failure.unwrap().code.as_str(), "truth");
}

#[tokio::test]
async fn leases_are_renewed_and_strangers_are_told_so() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    let mine = LeaseRef { task: offer.task, epoch: offer.epoch };
    let older = LeaseRef { task: offer.task, epoch: postern_protocol::Epoch(0) };
    let unknown = LeaseRef { task: TaskId::from_bytes([7; 16]), epoch: offer.epoch };
    session.send(Renew { nonce: 5, leases: List::new(vec![mine, older, unknown]).unwrap() }).await;
    let FromController::Renewed(renewed) = session.next().await else { panic!("no Renewed") };
    let verdicts: Vec<_> = renewed.leases.iter().map(|it| it.verdict.known().unwrap()).collect();
    assert_eq!(renewed.nonce, 5);
    assert_eq!(verdicts, [LeaseVerdict::Kept, LeaseVerdict::Fenced, LeaseVerdict::Unknown]);
}

#[tokio::test]
async fn a_task_is_cancelled_before_it_is_given_out_or_by_asking_its_holder() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    lab.add_system().await;
    let queued = lab.submit("enable_user", "a").await;
    let cancelled: Value = lab.client().post(&format!("/v1/tasks/{queued}/cancel"), &json!({})).await.unwrap();
    assert_eq!(cancelled["outcome"], "cancelled");
    assert_eq!(cancelled["changed"], "no");

    let mut session = Session::open(&lab, &identity).await;
    let held = lab.submit("enable_user", "b").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    let _: Value = lab.client().post(&format!("/v1/tasks/{held}/cancel"), &json!({})).await.unwrap();
    let FromController::Cancel(cancel) = session.next().await else { panic!("no Cancel") };
    assert_eq!(cancel.task, held);
    session.send(CancelAck { task: held, verdict: CancelVerdict::Dropped.into() }).await;
    let report = Report {
        outcome: Outcome::Cancelled.into(),
        changed: postern_protocol::outcome::Changed::No.into(),
        ..succeeded(1, &offer)
    };
    session.send(report).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(held).await.outcome, Some(Outcome::Cancelled));
}

#[tokio::test]
async fn a_task_nobody_can_do_fails_and_one_that_has_to_wait_waits() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let hopeless = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    let no = |reason: Rejection, retry_after_ms| Reject {
        task: offer.task,
        epoch: offer.epoch,
        reason: reason.into(),
        message: Text::new("no such system here").unwrap(),
        retry_after_ms,
    };
    session.send(no(Rejection::Unsupported, 0)).await;
    let view = lab.finished(hopeless).await;
    assert_eq!(view.outcome, Some(Outcome::Failed));
    assert!(view.note.contains("no such system here"), "{}", view.note);

    lab.submit("enable_user", "b").await;
    let offer = session.offer().await;
    let later = Reject { task: offer.task, epoch: offer.epoch, ..no(Rejection::Overloaded, 1) };
    session.send(later).await;
    let again = session.offer().await;
    assert_eq!((again.task, again.epoch.0), (offer.task, 2));
}

#[tokio::test]
async fn a_lease_nobody_renews_runs_out_and_a_read_goes_to_the_next() {
    let lab = Lab::start_with(&["--auto-approve", "--lease-ttl-secs", "1"]).await;
    let (_identity, mut session) = lab.working_member().await;
    let task = lab.submit("validate_user", "a").await;
    let first = session.offer().await;
    session.accept(&first).await;
    let second = session.offer().await;
    assert_eq!((second.task, second.epoch.0, second.reconcile), (task, 2, false));

    let writing = lab.submit("disable_user", "b").await;
    let offer = loop {
        let offer = session.offer().await;
        if offer.task == writing {
            break offer;
        }
    };
    session.accept(&offer).await;
    lab.in_state(writing, "in_doubt").await;
    let lease = LeaseRef { task: writing, epoch: offer.epoch };
    session.send(Renew { nonce: 1, leases: List::new(vec![lease]).unwrap() }).await;
    let renewed = session.next_but_offers().await;
    let FromController::Renewed(renewed) = renewed else { panic!("no Renewed: {renewed:?}") };
    assert_eq!(renewed.leases[0].verdict, LeaseVerdict::Kept.into());
    session.send(succeeded(1, &offer)).await;
    let acked = session.next_but_offers().await;
    assert!(matches!(acked, FromController::ReportAck(_)), "{acked:?}");
    assert_eq!(lab.finished(writing).await.epoch, 1, "nobody else was given it");
}

#[tokio::test]
async fn the_command_line_seals_a_given_password_and_opens_a_generated_one() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    std::fs::write(lab.path("pw"), "s3cret one\n").unwrap();
    let (pw, new) = (lab.path("pw"), lab.path("new"));
    let (lab, given) = {
        let pw = pw.to_str().unwrap().to_owned();
        let lab = std::sync::Arc::new(lab);
        let inner = std::sync::Arc::clone(&lab);
        let given = tokio::task::spawn_blocking(move || {
            inner.command(&[
                "task",
                "submit",
                "reset_password",
                "--system",
                "sf",
                "--account",
                "joe",
                "--password-file",
                &pw,
            ])
        });
        (lab, given)
    };
    let offer = session.offer().await;
    let system = "sf".parse().unwrap();
    let context =
        SealContext { task: offer.task, kind: TaskKind::ResetPassword, system: &system, target: &offer.target };
    let opened = offer.sealed[0].open(context, std::slice::from_ref(&identity.sealing)).unwrap();
    assert_eq!(opened.as_slice(), b"s3cret one");
    session.send(succeeded(1, &offer)).await;
    let (code, out, err) = given.await.unwrap();
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!format!("{out}{err}{}", lab.log()).contains("s3cret one"));

    let inner = std::sync::Arc::clone(&lab);
    let path = new.to_str().unwrap().to_owned();
    let generated = tokio::task::spawn_blocking(move || {
        inner.command(&[
            "task",
            "submit",
            "reset_password",
            "--system",
            "sf",
            "--account",
            "joe",
            "--generate",
            "--output-password",
            &path,
        ])
    });
    assert_eq!(session.acked().await, 1);
    let offer = session.offer().await;
    let context =
        SealContext { task: offer.task, kind: TaskKind::ResetPassword, system: &system, target: &offer.target };
    let sealed = SealedOutput::seal(
        context,
        reset_password::PASSWORD,
        b"made up",
        &offer.requester.unwrap(),
        &mut postern_controller_stub::random::generator(),
    )
    .unwrap();
    session.send(Report { sealed: List::new(vec![sealed]).unwrap(), ..succeeded(2, &offer) }).await;
    let (code, out, err) = generated.await.unwrap();
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "made up\n");
    assert!(!out.contains("made up"));
}

/// Make the file when the password is there and it is lost.
#[tokio::test]
async fn a_generated_password_that_has_nowhere_to_go_is_not_asked_for() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    std::fs::write(lab.path("there"), "precious").unwrap();
    for place in ["there", "nowhere/new"] {
        let place = lab.path(place);
        let place = place.to_str().unwrap();
        let arguments = ["task", "submit", "reset_password", "--system", "sf", "--account", "joe", "--generate"];
        let (code, _, err) =
            lab.command(&[&arguments[..], &["--output-password", place, "--deadline-secs", "1"]].concat());
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(place), "{err}");
    }
    let submitted: Vec<Value> = lab.client().list("/v1/tasks", usize::MAX).await.unwrap();
    assert_eq!(submitted, Vec::<Value>::new());
    assert_eq!(std::fs::read_to_string(lab.path("there")).unwrap(), "precious");

    let unused = lab.path("unused");
    let arguments = ["task", "submit", "reset-password", "--system", "sf", "--account", "joe", "--generate"];
    let place = ["--output-password", unused.to_str().unwrap(), "--deadline-secs", "1"];
    let (code, _, err) = lab.command(&[&arguments[..], &place].concat());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("expired"), "{err}");
    assert!(!unused.exists(), "nothing stands in the way of the next try");
}
