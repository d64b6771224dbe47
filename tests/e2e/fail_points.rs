//! A program dies at one precise point of one task, and the task is done once all the same; or of its enrollment, and becomes one
//! member.

use postern_fail_point::Point;
use postern_protocol::TaskId;
use postern_tests::lab::new_task_id;
use postern_tests::{Agent, Lab};
use serde_json::{Value, json};

use crate::{JOE, programs};

struct Scene {
    lab: Lab,
    agent: Agent,
}

impl Scene {
    async fn set() -> Self {
        let lab = Lab::start(programs()).await;
        let agent = lab.member("agent").await;
        Self { lab, agent }
    }

    /// Submits a task in the middle of which the agent dies, and starts the agent again.
    async fn agent_dies_at(&mut self, point: Point) -> TaskId {
        self.agent.fail_points().arm(point);
        let task = self.lab.controller.submit("disable_user", JOE).await;
        self.dies(point).await;
        self.agent.spawn();
        task
    }

    async fn dies(&mut self, point: Point) {
        self.agent.dies().await;
        assert!(self.agent.fail_points().was_hit(point), "{}", self.agent.log());
    }

    /// Submits a task in the middle of which the controller dies, and starts the controller again.
    async fn controller_dies_at(&mut self, point: Point) -> TaskId {
        let controller = &mut self.lab.controller;
        controller.fail_points().arm(point);
        let task = new_task_id();
        // It may die before it answers.
        let _ = controller.try_submit(task, "disable_user", json!({ "account": JOE })).await;
        controller.dies().await;
        assert!(controller.fail_points().was_hit(point), "{}", controller.log());
        controller.restart().await;
        task
    }

    /// The task as it ended: done, once, reported once, and nothing is owed any more.
    async fn done_once(&self, task: TaskId) -> Value {
        let ended = self.lab.controller.finished(task).await;
        assert_eq!((&ended["outcome"], &ended["changed"]), (&json!("succeeded"), &json!("yes")), "{ended}");
        assert_eq!(self.lab.salesforce.counters().users[JOE].deactivations, 1, "{ended}");
        self.agent.owes(0).await;
        let again = self.lab.controller.task(task).await;
        assert_eq!(again["observations"], Value::Null, "reported once: {again}");
        again
    }
}

/// The member does not know of the task, so it is given out once more.
#[tokio::test]
async fn f01_a_task_that_was_not_durable_when_the_agent_died_is_given_out_again() {
    let mut scene = Scene::set().await;
    let task = scene.agent_dies_at(Point::OfferTaken).await;
    assert_eq!(scene.done_once(task).await["epoch"], json!(2));
}

/// The controller has not heard that it was taken, and the member has it.
#[tokio::test]
async fn f02_a_task_whose_accept_never_left_is_done_under_the_lease_it_came_with() {
    let mut scene = Scene::set().await;
    let task = scene.agent_dies_at(Point::OfferDurable).await;
    assert_eq!(scene.done_once(task).await["epoch"], json!(1));
}

#[tokio::test]
async fn f03_a_change_whose_call_never_left_is_made_by_the_next_attempt() {
    let mut scene = Scene::set().await;
    let task = scene.agent_dies_at(Point::IntentDurable).await;
    scene.done_once(task).await;
}

#[tokio::test]
async fn f04_a_change_whose_reply_nobody_saw_is_found_and_not_repeated() {
    let mut scene = Scene::set().await;
    let task = scene.agent_dies_at(Point::CallMade).await;
    scene.done_once(task).await;
}

#[tokio::test]
async fn f05_an_outcome_that_was_not_durable_is_found_out_again() {
    let mut scene = Scene::set().await;
    let task = scene.agent_dies_at(Point::OutcomeKnown).await;
    scene.done_once(task).await;
}

/// Nothing is asked of Salesforce any more.
#[tokio::test]
async fn f06_a_report_that_was_durable_is_sent_by_the_next_process() {
    let mut scene = Scene::set().await;
    let point = Point::ReportDurable;
    scene.agent.fail_points().arm(point);
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    scene.dies(point).await;
    let routes = scene.lab.salesforce.counters().routes;
    scene.agent.start().await;
    scene.done_once(task).await;
    let users = |routes: &std::collections::BTreeMap<String, u64>| {
        routes.iter().filter(|(route, _)| route.contains("sobjects")).map(|(_, calls)| calls).sum::<u64>()
    };
    assert_eq!(users(&scene.lab.salesforce.counters().routes), users(&routes));
}

#[tokio::test]
async fn f07_a_report_that_was_acknowledged_and_not_deleted_is_not_reported_twice() {
    let mut scene = Scene::set().await;
    let task = scene.agent_dies_at(Point::ReportAcknowledged).await;
    scene.done_once(task).await;
}

/// Two deaths in the same step: the third might be the machine's.
#[tokio::test]
async fn f10_a_task_that_kills_the_process_each_time_is_given_up_and_others_are_done() {
    let mut scene = Scene::set().await;
    let point = Point::CallMade;
    let task = scene.agent_dies_at(Point::IntentDurable).await;
    scene.agent.fail_points().arm(point);
    scene.dies(point).await;
    scene.agent.spawn();
    let ended = scene.lab.controller.finished(task).await;
    assert_eq!(ended["outcome"], json!("dead_lettered"), "{ended}");
    assert_eq!(scene.lab.salesforce.counters().users[JOE].deactivations, 1, "it is not run a third time");
    let other = scene.lab.controller.submit("disable_user", "user0002@acme.example").await;
    assert_eq!(scene.lab.controller.finished(other).await["outcome"], json!("succeeded"));
}

#[tokio::test]
async fn f39_a_lease_whose_offer_never_left_is_given_out_anew() {
    let mut scene = Scene::set().await;
    let task = scene.controller_dies_at(Point::LeaseDurable).await;
    assert_eq!(scene.done_once(task).await["epoch"], json!(2));
}

#[tokio::test]
async fn f40_a_report_whose_acknowledgement_never_left_is_stored_once() {
    let mut scene = Scene::set().await;
    let task = scene.controller_dies_at(Point::ReportStored).await;
    scene.done_once(task).await;
}

/// Make a key, or the store with its name, only when the answer is there, and the token is used up by somebody else.
#[tokio::test]
async fn an_enrollment_that_is_killed_is_gone_on_with_as_the_same_applicant() {
    let lab = Lab::start(programs()).await;
    for (number, point) in Point::ENROLLMENT.into_iter().enumerate() {
        let agent = lab.agent(&format!("agent-{number}"));
        let token = lab.controller.token().await;
        agent.fail_points().arm(point);
        let died = agent.try_enroll(lab.controller.url(), &token).await;
        assert_eq!((died.code, agent.fail_points().was_hit(point)), (None, true), "{}", died.err);
        let again = agent.try_enroll(lab.controller.url(), &token).await;
        assert_eq!(again.code, Some(0), "{point:?}: {}", again.err);
        let members = lab.controller.cli(&["member", "list"]).await;
        let newest = members.as_array().unwrap().iter().filter(|it| it["id"] == again.json()["member"]).count();
        assert_eq!((newest, members.as_array().unwrap().len()), (1, number + 1), "{members}");
    }
}
