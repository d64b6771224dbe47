//! The controller is killed, and nothing it acknowledged is lost.

use postern_controller_stub::exit::Failure;
use postern_controller_stub::state::members::MemberView;
use postern_protocol::Outcome;
use postern_protocol::bounded::List;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{HeldState, LeaseRef, LeaseVerdict, Renew};

use crate::lab::Lab;
use crate::member::{Session, succeeded};

/// F41: leave the ledger's tasks out of `State::open` and no offer comes.
#[tokio::test]
async fn f41_a_queued_task_outlives_the_controller() {
    let mut lab = Lab::start().await;
    let identity = lab.enroll().await;
    lab.add_system().await;
    let task = lab.submit("enable_user", "a").await;
    lab.kill();
    lab.restart().await;
    let mut session = Session::open(&lab, &identity).await;
    assert_eq!(session.offer().await.task, task);
}

/// F39: the lease is durable, the offer may never have arrived; the member's inventory says so.
#[tokio::test]
async fn f39_a_lease_the_member_never_saw_is_given_out_again_under_a_newer_epoch() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("disable_user", "a").await;
    assert_eq!(session.offer().await.epoch.0, 1);
    identity.last_session = session.number();
    lab.kill();
    lab.restart().await;
    let mut session = Session::open(&lab, &identity).await;
    let offer = session.offer().await;
    assert_eq!((offer.task, offer.epoch.0, offer.reconcile), (task, 2, false));
}

#[tokio::test]
async fn a_lease_the_member_holds_goes_on_after_a_restart_and_nobody_else_gets_the_task() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("disable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    session.start(&offer).await;
    lab.in_state(task, "started").await;
    identity.last_session = session.number();
    lab.kill();
    lab.restart().await;

    let other = lab.enroll().await;
    let mut idle = Session::open(&lab, &other).await;
    let held = [(task, offer.epoch, HeldState::Started)];
    let mut session = Session::open_holding(&lab, &identity, &held).await;
    let lease = LeaseRef { task, epoch: offer.epoch };
    session.send(Renew { nonce: 1, leases: List::new(vec![lease]).unwrap() }).await;
    let FromController::Renewed(renewed) = session.next().await else { panic!("no Renewed") };
    assert_eq!(renewed.leases[0].verdict, LeaseVerdict::Kept.into());
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded));

    drop(session);
    lab.disconnected(identity.member).await;
    let next = lab.submit("enable_user", "b").await;
    assert_eq!(idle.offer().await.task, next, "its first offer is the new task");
}

/// F40, F07: acknowledge before the commit in `Dispatcher::settle` and the first half fails.
#[tokio::test]
async fn f40_an_acknowledged_report_is_there_after_a_kill_and_an_unacknowledged_one_is_taken_again() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    for number in 1..=20 {
        let task = lab.submit("enable_user", &format!("user{number}")).await;
        let offer = session.offer().await;
        let report = succeeded(number, &offer);
        session.send(report.clone()).await;
        let acked = number % 2 == 0;
        if acked {
            assert_eq!(session.acked().await, number);
        }
        identity.last_session = session.number();
        identity.next_report = number + 1;
        lab.kill();
        lab.restart().await;
        let held = [(task, offer.epoch, HeldState::Reported)];
        session = if acked {
            assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded));
            Session::open(&lab, &identity).await
        } else {
            let mut session = Session::open_holding(&lab, &identity, &held).await;
            assert!(session.welcome.as_ref().unwrap().acked_report.0 >= number - 1);
            session.send(report).await;
            assert_eq!(session.acked().await, number);
            session
        };
        assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded));
        assert_eq!(lab.task(task).await.attempt, 1, "it was given out once");
    }
}

/// The member lost its store in the middle of an effect: whoever gets the task next has to look first.
#[tokio::test]
async fn f19_a_task_of_a_lost_store_is_in_doubt_and_not_simply_given_out_again() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("disable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    drop(session);
    lab.disconnected(identity.member).await;
    identity.incarnation = postern_protocol::id::Incarnation::from_bytes([8; 16]);
    let _session = Session::open(&lab, &identity).await;
    lab.in_state(task, "in_doubt").await;
}

/// Take the memory of a store from the last Hello instead of the last inventory and the task is simply given out again.
#[tokio::test]
async fn f19_a_lost_store_is_remembered_until_the_member_said_what_it_holds() {
    let mut lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let task = lab.submit("disable_user", "a").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(task, "accepted").await;
    drop(session);
    lab.disconnected(identity.member).await;

    identity.incarnation = postern_protocol::id::Incarnation::from_bytes([8; 16]);
    for _ in 0..2 {
        let unconfirmed = Session::welcomed(&lab, identity.hello(), &identity).await;
        assert!(unconfirmed.is_ok(), "a store begun anew knows of no session, however often it begins");
    }
    let mut confirmed = Session::greet(&lab, identity.hello(), &identity).await.unwrap();
    assert!(matches!(confirmed.next().await, FromController::InventoryAsk(_)));
    identity.last_session = confirmed.number();
    lab.kill();
    lab.restart().await;

    let _session = Session::open(&lab, &identity).await;
    lab.in_state(task, "in_doubt").await;
}

/// A restored store numbers its reports from where the backup was, and knows nothing of what it did since.
#[tokio::test]
async fn f19_a_store_from_a_backup_is_settled_and_heard_like_one_that_was_lost() {
    let lab = Lab::start().await;
    let (mut identity, mut session) = lab.working_member().await;
    let backup = identity.hello();
    let done = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(done).await.outcome, Some(Outcome::Succeeded));
    let held = lab.submit("disable_user", "b").await;
    let offer = session.offer().await;
    session.accept(&offer).await;
    lab.in_state(held, "accepted").await;
    drop(session);
    lab.disconnected(identity.member).await;

    assert!(Session::greet(&lab, backup.clone(), &identity).await.is_err());
    lab.act(identity.member, "enable").await.unwrap();
    let mut session = Session::greet(&lab, backup, &identity).await.unwrap();
    identity.last_session = session.number();
    session.answer_inventory(&[]).await;
    session.send(postern_protocol::message::v1::Credit { offers: 1_000 }).await;
    lab.in_state(held, "in_doubt").await;

    let task = lab.submit("enable_user", "c").await;
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    assert_eq!(session.acked().await, 1);
    assert_eq!(lab.task(task).await.outcome, Some(Outcome::Succeeded), "its first report is another one than before");
}

#[tokio::test]
async fn f42_two_controllers_cannot_share_a_data_directory() {
    let lab = Lab::start().await;
    let (code, _, err) = lab.command(&["serve", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(79), "{err}");
    assert!(err.contains("in use"), "{err}");
}

/// A supervisor starts what has ended again, and would begin without members what a backup could bring back. Leave
/// `begun_or_new` out of `open` and the first start does.
#[tokio::test]
async fn a_damaged_ledger_is_begun_anew_by_a_person_alone() {
    let mut lab = Lab::start().await;
    let identity = lab.enroll().await;
    assert_eq!(lab.terminate(), Some(0));
    let store = lab.data_dir().join("store");
    std::fs::write(store.join("format"), b"nonsense").unwrap();

    let aside = || {
        let entries = std::fs::read_dir(&store).unwrap().map(|it| it.unwrap().path());
        entries.filter(|it| it.file_name().unwrap().to_string_lossy().starts_with("corrupt-")).collect::<Vec<_>>()
    };
    for start in 1..=3 {
        let (code, _, told) = lab.command(&["serve", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]);
        let [kept] = aside().try_into().unwrap();
        assert_eq!(code, Some(78), "start {start}: {told}");
        assert!(told.contains("the ledger was damaged"), "start {start}: {told}");
        assert!(told.contains(kept.to_str().unwrap()) && told.contains("restore a copy"), "start {start}: {told}");
    }

    // What a person does who has no copy. From then on the damaged one may be put back beside it.
    let [kept] = aside().try_into().unwrap();
    std::fs::rename(&kept, lab.path("kept")).unwrap();
    lab.restart().await;
    let found: Result<MemberView, Failure> = lab.client().get(&format!("/v1/members/{}", identity.member)).await;
    assert!(found.is_err());
    assert_eq!(lab.terminate(), Some(0));
    std::fs::rename(lab.path("kept"), &kept).unwrap();
    lab.restart().await;
}
