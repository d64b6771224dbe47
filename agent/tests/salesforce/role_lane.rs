//! Writes to roles and groups go one after the other; nothing else waits for them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use postern_protocol::task::import_batch::{Format, Request};
use salesforce_sim::{Fault, Matching, Mishap, OrgSeed, Switches};
use serde_json::{Value, json};

use crate::lab::{DONE, Death, Lab, Task, disable, import_with, validate, verdict};

const JOE: &str = "user0001@acme.example";
const EVE: &str = "user0002@acme.example";
const NO_ROLE: &str = "user0003@acme.example";
const NO_ROLE_EITHER: &str = "user0004@acme.example";

/// An org in which two of the users have no role.
async fn lab() -> Lab {
    let mut org = OrgSeed::acme(20);
    let without = |user: &&mut salesforce_sim::UserSeed| [NO_ROLE, NO_ROLE_EITHER].contains(&user.username.as_str());
    org.users.iter_mut().filter(without).for_each(|user| user.role = None);
    Lab::with_org(org).await
}

fn import(entries: &[Value], bulk_threshold: u32) -> Task {
    let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
    import_with(Request { bulk_threshold, ..Request::new(Format::Jsonl) }, lines.join("\n"))
}

fn role_of(lab: &Lab, user: &str) -> String {
    lab.sim.user(user).unwrap().text("UserRoleId").to_owned()
}

async fn until(condition: impl Fn() -> bool) {
    let looking = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.expect("it comes about");
}

/// Leave the lane out of `change`, and all of them are under way at once.
#[tokio::test]
async fn roles_memberships_and_disabling_are_written_one_after_the_other() {
    let lab = lab().await;
    let (connector, role) = (lab.connector(), role_of(&lab, JOE));
    let when = Matching { method: None, path: Some("/sobjects".to_owned()) };
    lab.sim.inject(Fault { when, what: Mishap::Latency { millis: 50 }, times: None });
    let mut tasks: Vec<Task> = [JOE, EVE, "user0005@acme.example"].map(disable).into();
    tasks.push(import(&[json!({ "Username": NO_ROLE, "UserRoleId": role })], 1_000));
    tasks.push(import(&[json!({ "Username": NO_ROLE_EITHER, "PermissionSets": "Report_Builder" })], 1_000));
    tasks.push(import(&[json!({ "Username": "user0006@acme.example", "IsActive": "false" })], 1_000));
    for conclusion in join_all(tasks.iter_mut().map(|task| task.attempt(&connector))).await {
        assert_eq!(verdict(&conclusion.unwrap()), DONE);
    }
    assert_eq!(lab.counters().role_writes_at_once, 1);
    assert_eq!(role_of(&lab, NO_ROLE), role);
}

/// Let every change of a user take the lane, and the title never comes.
#[tokio::test]
async fn a_title_and_a_user_without_a_role_do_not_wait_for_the_lane() {
    let lab = lab().await;
    let connector = lab.connector();
    let joe = format!("/sobjects/User/{}", lab.sim.user(JOE).unwrap().text("Id"));
    lab.fault("PATCH", &joe, Mishap::HangAt { piece: "IsActive".to_owned() }, 1);
    let (mut hung, mut next) = (disable(JOE), disable(EVE));
    {
        let is_hung = || lab.sim.faults() == 0;
        let mut hung = pin!(hung.attempt(&connector));
        let mut next = pin!(async {
            until(is_hung).await;
            next.attempt(&connector).await
        });
        let others = async {
            until(is_hung).await;
            let mut titled = import(&[json!({ "Username": "user0005@acme.example", "Title": "Chief" })], 1_000);
            assert_eq!(verdict(&titled.attempt(&connector).await.unwrap()), DONE);
            assert_eq!(verdict(&disable(NO_ROLE).attempt(&connector).await.unwrap()), DONE);
        };
        tokio::select! {
            it = &mut hung => panic!("nobody answered it: {it:?}"),
            it = &mut next => panic!("it overtook the one in the lane: {it:?}"),
            () = others => (),
        }
    }
    assert_eq!((lab.effects(EVE).deactivations, lab.counters().role_writes_at_once), (0, 1));
    assert_eq!(verdict(&next.attempt(&connector).await.unwrap()), DONE, "what is given up leaves the lane");
}

/// Keep the session of before the wait, and one that ended is refused to each in line, which then waits once more.
#[tokio::test]
async fn a_session_that_was_renewed_meanwhile_serves_those_that_waited_for_the_lane() {
    let lab = lab().await;
    let connector = lab.connector();
    let joe = format!("/sobjects/User/{}", lab.sim.user(JOE).unwrap().text("Id"));
    lab.fault("PATCH", &joe, Mishap::HangAt { piece: "IsActive".to_owned() }, 1);
    let (mut hung, mut next) = (disable(JOE), disable(EVE));
    let looks = || lab.counters().routes.get("GET query").copied().unwrap_or_default();
    let conclusion = {
        let (mut hung, mut next) = (Box::pin(hung.attempt(&connector)), pin!(next.attempt(&connector)));
        tokio::select! {
            it = &mut hung => panic!("nobody answered it: {it:?}"),
            () = until(|| lab.sim.faults() == 0) => (),
        }
        let before = looks();
        let renewed = async {
            until(|| looks() > before).await;
            lab.fault("GET", "/query", Mishap::EndSession, 1);
            for _ in 0..2 {
                validate(NO_ROLE).attempt(&connector).await.unwrap();
            }
        };
        tokio::select! {
            it = &mut hung => panic!("nobody answered it: {it:?}"),
            it = &mut next => panic!("it overtook the one in the lane: {it:?}"),
            () = renewed => (),
        }
        drop(hung);
        next.await.unwrap()
    };
    assert_eq!((verdict(&conclusion), next.intents(), lab.counters().login_attempts), (DONE, 1, 2));
}

/// Wait for the lane whatever becomes of the task, and it stops when everybody before it is done.
#[tokio::test]
async fn a_task_that_is_stopped_does_not_wait_for_its_turn_in_the_lane() {
    let lab = lab().await;
    let connector = lab.connector();
    let joe = format!("/sobjects/User/{}", lab.sim.user(JOE).unwrap().text("Id"));
    lab.fault("PATCH", &joe, Mishap::HangAt { piece: "IsActive".to_owned() }, 1);
    let (mut hung, mut next) = (disable(JOE), disable(EVE));
    let (mut hung, stop) = (pin!(hung.attempt(&connector)), next.stop.clone());
    let looks = || lab.counters().routes.get("GET query").copied().unwrap_or_default();
    let stopped = async {
        until(|| lab.sim.faults() == 0).await;
        let before = looks();
        let stopping = async {
            until(|| looks() > before).await;
            stop.cancel();
        };
        // The call in the lane is given up after a minute.
        let both = join(next.attempt(&connector), stopping);
        tokio::time::timeout(Duration::from_secs(30), both).await.expect("it stops while the lane is taken").0
    };
    tokio::select! {
        it = &mut hung => panic!("nobody answered it: {it:?}"),
        it = stopped => assert_eq!(it.unwrap_err().code.as_str(), "stopped"),
    }
    assert_eq!(lab.effects(EVE).deactivations, 0);
}

#[tokio::test]
async fn one_bulk_job_at_a_time_writes_to_roles_and_single_writes_do_not_wait_for_it() {
    let lab = lab().await;
    let (connector, role) = (lab.connector(), role_of(&lab, JOE));
    let job = |user: &str, field: &str, value: &str| import(&[json!({ "Username": user, field: value })], 0);
    lab.sim.switch(&Switches { bulk_millis: Some(3_600_000), ..Switches::default() }).unwrap();
    let count = |route: &str| lab.counters().routes.get(route).copied().unwrap_or_default();
    let mut roles = [job(NO_ROLE, "UserRoleId", &role), job(NO_ROLE_EITHER, "UserRoleId", &role)];
    let mut title = job("user0005@acme.example", "Title", "Chief");
    let [first, second] = roles.each_mut().map(|task| task.attempt(&connector));
    let later = async {
        until(|| count("PATCH jobs/ingest") == 1).await;
        join(second, title.attempt(&connector)).await
    };
    let singles = async {
        until(|| count("PATCH jobs/ingest") == 2).await;
        for user in [JOE, EVE] {
            assert_eq!(verdict(&disable(user).attempt(&connector).await.unwrap()), DONE);
        }
        assert_eq!(count("POST jobs/ingest"), 2, "a title's is made beside it, another of roles is not");
        lab.sim.switch(&Switches { bulk_millis: Some(0), advance_secs: 3_600, ..Switches::default() }).unwrap();
    };
    let (first, (second, title), ()) = join3(first, later, singles).await;
    for end in [first, second, title] {
        assert_eq!(verdict(&end.unwrap()), DONE);
    }
    assert_eq!((role_of(&lab, NO_ROLE), role_of(&lab, NO_ROLE_EITHER)), (role.clone(), role));
}

/// Another job may take hours. Wait for nothing but its end, and what was not begun is sent hours after the deadline; wait for it
/// no longer although the unit was begun, and what was refused of it is sent once more.
#[tokio::test]
async fn a_batch_that_is_late_does_not_wait_for_a_job_that_writes_to_roles_unless_it_has_begun() {
    let job = |user: &str, role: &str| json!({ "Username": user, "UserRoleId": role });
    for begun in [None, Some("before"), Some("in this attempt")] {
        let lab = lab().await;
        let (connector, role) = (lab.connector(), role_of(&lab, JOE));
        lab.sim.switch(&Switches { bulk_millis: Some(3_600_000), ..Switches::default() }).unwrap();
        let count = |route: &str| lab.counters().routes.get(route).copied().unwrap_or_default();
        let mut entries = vec![job(NO_ROLE_EITHER, &role), job("user0005@acme.example", &role)];
        if begun == Some("in this attempt") {
            entries.push(json!({
                "op": "add", "Username": "new@acme.example", "LastName": "New", "Alias": "new",
                "Email": "not-an-address", "ProfileId": lab.sim.user(JOE).unwrap().text("ProfileId"),
                "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8",
                "LanguageLocaleKey": "en_US",
            }));
        }
        let (mut first, mut next) = (import(&[job(NO_ROLE, &role)], 0), import(&entries, 1));
        if begun == Some("before") {
            next.dies = Some(Death::AtIntent(1));
            next.attempt(&connector).await.unwrap_err();
        }
        let before = count("GET query");
        let (late, notes) = (next.late.clone(), Arc::clone(&next.notes));
        let later = async {
            until(|| count("PATCH jobs/ingest") == 1).await;
            let looked = count("GET query") - before;
            let passes = async {
                until(|| count("GET query") >= before + 2 * looked).await;
                // What the policy counted is noted last before anything is sent.
                until(|| !notes.lock().unwrap().is_empty()).await;
                until(|| begun != Some("in this attempt") || count("POST composite/sobjects") == 1).await;
                late.cancel();
                lab.sim.switch(&Switches { bulk_millis: Some(0), advance_secs: 3_600, ..Switches::default() }).unwrap();
            };
            join(next.attempt(&connector), passes).await.0
        };
        let (first, ended) = join(first.attempt(&connector), later).await;
        assert_eq!(verdict(&first.unwrap()), DONE);
        if begun.is_some() {
            ended.unwrap();
            let outcomes: Vec<_> = next.lines().iter().map(|line| line["outcome"].clone()).collect();
            assert_eq!(outcomes[..2], ["modified", "modified"], "what it has begun it does to its end");
            assert!(outcomes[2..].iter().all(|it| it == "failed"), "{outcomes:?}");
        } else {
            assert_eq!((ended.unwrap_err().code.as_str(), next.intents()), ("stopped", 0));
            next.attempt(&connector).await.unwrap();
            assert!(next.lines().iter().all(|line| line["code"] == "expired") && next.intents() == 0);
        }
    }
}
