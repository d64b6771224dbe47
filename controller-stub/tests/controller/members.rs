//! What operators do with members.

use postern_controller_stub::state::members::MemberView;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{HeldState, MemberStateAck, MembershipState};
use postern_protocol::session::Ended;
use postern_protocol::{MemberId, Outcome};
use serde_json::json;

use crate::audit;
use crate::lab::Lab;
use crate::member::{Session, succeeded};

#[tokio::test]
async fn a_soft_disable_lets_the_member_finish_and_then_disables_it() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;

    lab.act(identity.member, "disable").await.unwrap();
    let FromController::MemberState(draining) = session.next().await else { panic!("no MemberState") };
    assert_eq!(draining.state, MembershipState::Draining.into());
    session.send(MemberStateAck { epoch: draining.epoch }).await;
    let waiting = lab.submit("enable_user", "b").await;

    session.send(succeeded(1, &offer)).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(session.next().await);
    }
    let disabled = told.iter().find_map(|it| match it {
        FromController::MemberState(state) => Some(state.state),
        _ => None,
    });
    assert_eq!(disabled, Some(MembershipState::Disabled.into()), "{told:?}");
    assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded));
    assert_eq!(lab.task(waiting).await.state, "queued");
    assert!(lab.task(waiting).await.waits_for.contains("not enabled"));
    let lines = audit::of(&lab, "member.disable", 2).await;
    assert_eq!((&lines[1]["by"], &lines[1]["on"]), (&json!("controller"), &json!(identity.member)), "{lines:?}");
    assert_eq!(lines[1]["why"], "it holds nothing any more");
}

/// Operators see the other member take over at once, not after a lease.
#[tokio::test]
async fn a_hard_disable_gives_what_was_not_begun_to_another_member() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let begun = lab.submit("enable_user", "a").await;
    let first = session.offer().await;
    session.accept(&first).await;
    session.start(&first).await;
    let waiting = lab.submit("enable_user", "b").await;
    let second = session.offer().await;
    session.accept(&second).await;
    lab.in_state(waiting, "accepted").await;
    let other = lab.enroll().await;
    let mut takes_over = Session::open(&lab, &other).await;

    lab.act(identity.member, "disable?hard=true").await.unwrap();
    let FromController::MemberState(state) = session.next().await else { panic!("no MemberState") };
    assert!(state.hard);
    session.send(MemberStateAck { epoch: state.epoch }).await;
    let held = [(begun, first.epoch, HeldState::Started), (waiting, second.epoch, HeldState::Journaled)];
    session.answer_inventory(&held).await;

    let taken = takes_over.offer().await;
    assert_eq!((taken.task, taken.reconcile), (waiting, false));
    assert!(taken.epoch > second.epoch);
    let task = lab.in_state(begun, "in_doubt").await;
    assert_eq!(task.member, Some(identity.member), "what was on the wire is finished where it was begun");
    session.send(succeeded(1, &first)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(begun).await.outcome, Some(Outcome::Succeeded));
}

/// Forget it with the session, and of a stolen identity nobody can tell where the thief sat once it is revoked.
#[tokio::test]
async fn where_a_member_had_its_session_is_told_when_that_is_over() {
    let lab = Lab::start().await;
    let (identity, _session) = lab.working_member().await;
    let address = lab.member(identity.member).await.address;
    assert!(address.is_some());
    lab.act(identity.member, "revoke").await.unwrap();
    let view = lab.member(identity.member).await;
    assert_eq!((view.connected, &view.address), (false, &address));
    let (_, out, err) = lab.command(&["member", "show", &identity.member.to_string()]);
    assert!(out.contains(&format!(" from {}", address.unwrap())) && out.contains("no, last "), "{out}{err}");
}

/// Whoever asks for it means something that nothing but a disable does.
#[tokio::test]
async fn only_a_disable_can_be_hard() {
    let lab = Lab::start().await;
    let identity = lab.enroll().await;
    for action in ["enable", "drain", "revoke"] {
        let refused = lab.act(identity.member, &format!("{action}?hard=true")).await.unwrap_err();
        assert!(refused.text.contains("only `disable` can be hard"), "{}", refused.text);
    }
    let refused = lab.act(identity.member, "approve?hard=true").await.unwrap_err();
    assert!(refused.text.contains("no field `hard`"), "{}", refused.text);
    assert_eq!(lab.member(identity.member).await.state, MembershipState::Enabled);
    lab.act(identity.member, "drain?hard=false").await.unwrap();
    lab.act(identity.member, "disable?hard=true").await.unwrap();
    assert_eq!(lab.member(identity.member).await.state, MembershipState::Disabled);
}

/// An inventory that was on its way when the member was disabled may call unbegun what has begun since. Leave the
/// second asking out of `push_state`, and the task goes to another member on its word.
#[tokio::test]
async fn an_inventory_older_than_a_hard_disable_is_not_believed() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    identity.last_session = session.number();
    drop(session);

    let mut session = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    let FromController::InventoryAsk(first) = session.next().await else { panic!("no InventoryAsk") };
    lab.act(identity.member, "disable?hard=true").await.unwrap();
    let FromController::MemberState(_) = session.next().await else { panic!("no MemberState") };
    let FromController::InventoryAsk(second) = session.next().await else { panic!("no second InventoryAsk") };
    assert!(second.nonce > first.nonce);
}

#[tokio::test]
async fn a_member_that_is_out_and_holds_nothing_is_removed_for_good() {
    let mut lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let id = identity.member.to_string();
    let remove = ["member", "remove", id.as_str()];
    let (code, _, err) = lab.command(&remove);
    assert_eq!(code, Some(77));
    assert!(err.contains(&format!("member revoke {id}")), "{err}");

    let task = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    lab.act(identity.member, "revoke").await.unwrap();
    let (code, _, err) = lab.command(&remove);
    assert_eq!(code, Some(77));
    assert!(err.contains("holds 1 task") && err.contains("task list"), "{err}");
    lab.terminate();
    lab.restart_with(&["--auto-approve", "--lease-ttl-secs", "1", "--settle-secs", "1"]).await;
    lab.in_state(task, "queued").await;
    let (code, out, err) = lab.command(&remove);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&id), "{out}");

    lab.kill();
    lab.restart().await;
    assert!(!lab.command(&["member", "list"]).1.contains(&id));
    let Err(Ended::Refused { reason, message, .. }) = Session::greet(&lab, identity.hello(), &identity).await else {
        panic!("welcomed");
    };
    assert_eq!(reason, "unknown_member");
    assert!(message.contains("enroll"), "{message}");
}

#[tokio::test]
async fn a_pending_member_is_removed_in_the_middle_of_its_session() {
    let lab = Lab::start_with(&[]).await;
    let identity = lab.enroll().await;
    let mut session = Session::open(&lab, &identity).await;
    let path = format!("/v1/members/{}", identity.member);
    let removed: MemberView = lab.client().delete(&path).await.unwrap();
    assert_eq!(removed.id, identity.member);
    let Ended::GoneAway { reason, .. } = session.ended().await else { panic!("not a goodbye") };
    assert_eq!(reason, "unknown_member");
    assert!(lab.client().get::<MemberView>(&path).await.is_err());
}

#[tokio::test]
async fn members_of_one_host_can_be_told_apart_in_the_list() {
    let lab = Lab::start().await;
    let mut identity = lab.enroll().await;
    let never = lab.enroll().await;
    let before = lab.member(identity.member).await;
    assert_eq!((before.host, before.last_seen), (lab.member(never.member).await.host, None));

    let session = Session::open(&lab, &identity).await;
    identity.last_session = session.number();
    lab.wait_for("the session", async || lab.member(identity.member).await.connected.then_some(())).await;
    let began = lab.member(identity.member).await.last_seen.unwrap();
    assert!(began >= before.enrolled);
    drop(session);
    lab.disconnected(identity.member).await;
    assert!(lab.member(identity.member).await.last_seen.unwrap() >= began);

    let (_, out, _) = lab.command(&["member", "list"]);
    let line = |id: MemberId| out.lines().find(|line| line.contains(&id.to_string())).unwrap();
    assert!(line(identity.member).contains("no, last ") && line(never.member).contains("never"), "{out}");
}

/// Feature B18.
#[tokio::test]
async fn only_clusters_with_an_enabled_member_can_be_chosen() {
    let lab = Lab::start_with(&[]).await;
    let identity = lab.enroll().await;
    let add = ["system", "add", "sf", "--with", "acme"];
    let (code, _, err) = lab.command(&add);
    assert_eq!(code, Some(77));
    assert!(err.contains("no registered and enabled member"), "{err}");
    lab.approve(identity.member).await;
    assert_eq!(lab.command(&add).0, Some(0));
    assert_eq!(lab.command(&["system", "add", "here", "--with", "server"]).0, Some(0));
    let (code, _, err) = lab.command(&["task", "submit", "test_connection", "--system", "here"]);
    assert_eq!(code, Some(77));
    assert!(err.contains("runs no connectors itself"), "{err}");
}
