//! What changes, as whoever watches is told.

use postern_controller_stub::access::Role;
use postern_protocol::bounded::Text;
use postern_protocol::message::v1::Progress;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::access::{Caller, token};
use crate::lab::{Lab, PATIENCE};
use crate::member::{Session, succeeded, with_sealed_output};

/// One event as it was sent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Event {
    id: u64,
    name: String,
    data: Value,
}

struct Watcher {
    response: Response,
    rest: String,
}

impl Watcher {
    async fn open(lab: &Lab, token: &str, last: Option<u64>) -> Self {
        let mut watcher = Self { response: asked(lab, token, last).await, rest: String::new() };
        assert_eq!(watcher.response.status(), StatusCode::OK);
        assert_eq!(watcher.response.headers()["content-type"], "text/event-stream");
        let first = watcher.next().await.unwrap();
        assert!(first.id > 0 && first.data == Value::Null, "{first:?}");
        watcher
    }

    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(':').unwrap() {
                        ("id", it) => event.id = it.trim().parse().unwrap(),
                        ("event", it) => it.trim().clone_into(&mut event.name),
                        ("data", it) => event.data = serde_json::from_str(it).unwrap(),
                        _ => (),
                    }
                }
                self.rest = rest.to_owned();
                return Some(event);
            }
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("something is told");
            self.rest.push_str(std::str::from_utf8(&piece.ok()??).unwrap());
        }
    }

    /// The next event that is like this.
    async fn event(&mut self, is: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if is(&event) {
                return event;
            }
        }
    }

    async fn task_in(&mut self, state: &str) -> Event {
        self.event(|it| it.name == "task" && it.data["state"] == state).await
    }
}

async fn asked(lab: &Lab, token: &str, last: Option<u64>) -> Response {
    let caller = Caller::of(lab);
    let request = caller.request("GET", "/v1/events").bearer_auth(token);
    let request = last.into_iter().fold(request, |it, last| it.header("Last-Event-ID", last));
    request.send().await.unwrap()
}

async fn administrator(lab: &Lab) -> String {
    token(lab, "watcher", Role::Administrator).await
}

#[tokio::test]
async fn a_watcher_is_told_of_a_tasks_whole_life_and_of_whatever_else_changes() {
    let lab = Lab::start().await;
    let mut watcher = Watcher::open(&lab, &administrator(&lab).await, None).await;
    let identity = lab.enroll().await;
    assert_eq!(watcher.event(|it| it.name == "cluster").await.data["name"], "acme");
    let member = watcher.event(|it| it.name == "member").await;
    assert_eq!(member.data["id"], identity.member.to_string());
    let mut session = Session::open(&lab, &identity).await;
    watcher.event(|it| it.name == "member" && it.data["connected"] == true).await;
    lab.add_system().await;
    let system = watcher.event(|it| it.name == "system").await;
    let shown: Value = lab.client().get("/v1/systems/sf").await.unwrap();
    assert_eq!(system.data, shown, "it is the view of the thing");

    let task = lab.submit("disable_user", "joe").await;
    let offer = session.offer().await;
    let leased = watcher.task_in("leased").await;
    assert_eq!(leased.data["id"], task.to_string());
    session.accept(&offer).await;
    watcher.task_in("accepted").await;
    session.start(&offer).await;
    watcher.task_in("started").await;
    session.send(Progress { task, done: 1, total: 2, phase: Text::new("looking").unwrap() }).await;
    let progress = watcher.event(|it| it.name == "progress").await;
    assert_eq!(progress.data, json!({ "task": task, "done": 1, "total": 2, "phase": "looking" }));
    session.send(succeeded(1, &offer)).await;
    let finished = watcher.task_in("finished").await;
    assert_eq!(finished.data["outcome"], "succeeded");
    assert!(leased.id < progress.id && progress.id < finished.id);

    let _: Value = lab.client().delete("/v1/systems/sf").await.unwrap();
    assert_eq!(watcher.event(|it| it.name == "system").await.data, json!({ "removed": "sf" }));
}

#[tokio::test]
async fn a_watcher_that_comes_back_goes_on_where_it_was_and_one_of_another_life_begins_anew() {
    let mut lab = Lab::start().await;
    let token = administrator(&lab).await;
    let mut watcher = Watcher::open(&lab, &token, None).await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let last = watcher.event(|it| it.name == "system").await.id;
    drop(watcher);
    let first = lab.submit("enable_user", "a").await;
    let second = lab.submit("enable_user", "b").await;
    let mut watcher = Watcher::open(&lab, &token, Some(last)).await;
    for task in [first, second] {
        let event = watcher.next().await.unwrap();
        assert_eq!((event.name.as_str(), &event.data["id"]), ("task", &json!(task)));
        assert!(event.id > last);
    }
    lab.kill();
    assert_eq!(watcher.next().await, None, "the stream ends with the controller");
    lab.restart().await;
    for stale in [last, 0, u64::MAX] {
        let mut watcher = Watcher::open(&lab, &token, Some(stale)).await;
        let reset = watcher.next().await.unwrap();
        assert_eq!(reset.name, "reset", "{reset:?}");
        assert!(reset.data["detail"].as_str().unwrap().contains("load everything anew"), "{reset:?}");
        let task = lab.submit("enable_user", "c").await;
        let told = watcher.event(|it| it.name == "task").await;
        assert_eq!(told.data["id"], task.to_string(), "and from there it goes on");
    }
}

/// Show a task as the state has it, and whoever looks has the sealed outputs of every task.
#[tokio::test]
async fn a_viewer_is_told_nothing_that_is_sealed() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let mut viewer = Watcher::open(&lab, &token(&lab, "v", Role::Viewer).await, None).await;
    let mut operator = Watcher::open(&lab, &token(&lab, "o", Role::Operator).await, None).await;
    lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.send(with_sealed_output(succeeded(1, &offer))).await;
    assert!(operator.task_in("finished").await.data.get("sealed").is_some());
    let seen = viewer.task_in("finished").await;
    assert_eq!(seen.data.get("sealed"), None, "{seen:?}");
}

#[tokio::test]
async fn a_watcher_whose_token_is_revoked_or_whose_controller_stops_is_left() {
    let mut lab = Lab::start().await;
    let mut watcher = Watcher::open(&lab, &token(&lab, "v", Role::Viewer).await, None).await;
    let mut other = Watcher::open(&lab, &token(&lab, "w", Role::Viewer).await, None).await;
    let _: Value = lab.client().delete("/v1/api-tokens/v").await.unwrap();
    assert_eq!(watcher.next().await, None);
    assert_eq!(lab.terminate(), Some(0));
    assert_eq!(other.next().await, None);
}

/// Leave the bounds out, and one token has every place of the API.
#[tokio::test]
async fn watchers_are_bounded_for_each_token_and_in_all_and_places_are_given_back() {
    let lab = Lab::start().await;
    let tokens = [
        token(&lab, "a", Role::Viewer).await,
        token(&lab, "b", Role::Viewer).await,
        token(&lab, "c", Role::Viewer).await,
    ];
    let mut watchers = Vec::new();
    for token in &tokens {
        for _ in 0..16 {
            watchers.push(Watcher::open(&lab, token, None).await);
        }
        assert_eq!(asked(&lab, token, None).await.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    let fourth = token(&lab, "d", Role::Viewer).await;
    let refused: Value = asked(&lab, &fourth, None).await.json().await.unwrap();
    assert_eq!((&refused["status"], &refused["retry_after"]), (&json!(429), &json!(1)), "{refused}");
    let administrators = administrator(&lab).await;
    Watcher::open(&lab, &administrators, None).await;
    watchers.pop();
    lab.wait_for("the place to be given back", async || {
        (asked(&lab, &fourth, None).await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_last_event_that_is_none_is_refused_by_its_name() {
    let lab = Lab::start().await;
    let caller = Caller::of(&lab);
    for strange in ["x", "", "-1", "18446744073709551616"] {
        let request = caller.request("GET", "/v1/events").bearer_auth(administrator_of(&lab));
        let refused: Value = request.header("Last-Event-ID", strange).send().await.unwrap().json().await.unwrap();
        assert_eq!((&refused["status"], &refused["field"]), (&json!(422), &json!("Last-Event-ID")), "{refused}");
    }
}

fn administrator_of(lab: &Lab) -> String {
    std::fs::read_to_string(lab.data_dir().join("api.token")).unwrap().trim().to_owned()
}
