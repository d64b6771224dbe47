//! `/v1/events`: what changes, as server-sent events.
//!
//! Nobody waits for a watcher. It is told what changed when it is ready to hear, each thing once and as it is then; one
//! that falls behind what is known of changes is left, and told to load everything anew when it is back.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{StreamExt as _, stream};
use postern_protocol::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::auth::Caller;
use super::described::{Events, Operation, Taken};
use super::tasks::seen_by;
use super::under_way::Begun;
use super::{Api, ClusterView, Problem, SystemView, until_taken};
use crate::access::Role;
use crate::clock::Moment;
use crate::dispatcher::Stopped;
use crate::state::changes::Thing;
use crate::state::members::MemberView;
use crate::state::tasks::{ProgressView, TaskView};

/// How often a watcher is sent something although nothing changes: more often than proxies lose patience.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long changes are gathered for one look at the state: what changes again meanwhile is told once.
const GATHER: Duration = Duration::from_millis(50);
/// The most things that are looked at together: a few milliseconds of the owner's time.
const MAX_AT_ONCE: usize = 64;

/// How far a task is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskProgressView {
    /// The task.
    pub task: TaskId,
    /// How far.
    #[serde(flatten)]
    pub progress: ProgressView,
}

/// A thing that is no longer there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemovedView {
    /// Its id or its name.
    pub removed: String,
}

/// What a watcher cannot be told one by one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ResetView {
    /// What to do about it.
    pub detail: String,
}

/// A thing as it is now.
enum Told {
    Task(Box<TaskView>),
    Progress(TaskProgressView),
    Member(Box<MemberView>),
    Cluster(ClusterView),
    System(Box<SystemView>),
    Removed(&'static str, RemovedView),
}

pub(super) async fn watch(State(api): State<Api>, caller: Caller, last: LastEventId) -> Result<Events, Problem> {
    let place = api.watchers.begin(caller.token(), caller.role())?;
    let LastEventId(last) = last;
    let (newest, is_known) = api
        .desk
        .look(move |state, _| {
            let is_known = last.is_none_or(|it| state.changes_behind(it, 0).is_some());
            (state.newest_change(), is_known)
        })
        .await?;
    let here = *newest.borrow();
    let after = last.filter(|_| is_known).unwrap_or(here);
    // The first event has an id and nothing else, so that whoever is cut off before anything changed can go on as well.
    let mut ready = VecDeque::from([Event::default().id(after.to_string())]);
    if !is_known {
        ready.push_back(event(
            here,
            "reset",
            &ResetView { detail: "what changed since is not known any more: load everything anew".to_owned() },
        ));
    }
    let over = caller.ended();
    let watcher = Watcher { api: api.clone(), caller, newest, after, ready };
    let ended = async move {
        tokio::select! {
            () = over => (),
            () = api.stop.cancelled() => (),
        }
    };
    let events = stream::unfold(watcher, Watcher::next).take_until(Box::pin(ended));
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let response = Sse::new(events).keep_alive(heartbeat).into_response();
    Ok(Events(until_taken::<Begun>(response, place)))
}

/// The event behind which a watcher goes on.
pub(super) struct LastEventId(pub(super) Option<u64>);

impl LastEventId {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(last) = headers.get("last-event-id") else { return Ok(Self(None)) };
        let last = last.to_str().ok().and_then(|it| it.parse().ok());
        let last =
            last.ok_or_else(|| Problem::field("Last-Event-ID", "`Last-Event-ID` has to be the id of an event"))?;
        Ok(Self(Some(last)))
    }
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl Taken for LastEventId {
    fn describe(operation: &mut Operation<'_>) {
        operation.header("Last-Event-ID", "The event behind which to go on.");
    }
}

struct Watcher {
    api: Api,
    caller: Caller,
    newest: watch::Receiver<u64>,
    after: u64,
    ready: VecDeque<Event>,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        while self.ready.is_empty() {
            let after = self.after;
            self.newest.wait_for(|it| *it > after).await.ok()?;
            tokio::time::sleep(GATHER).await;
            self.look().await.ok()??;
        }
        self.ready.pop_front().map(|event| (Ok(event), self))
    }

    /// Looks at what changed. `None` when that is not known any more.
    async fn look(&mut self) -> Result<Option<()>, Stopped> {
        let (after, role) = (self.after, self.caller.role());
        let look = move |state: &crate::state::State, at| {
            let changes = state.changes_behind(after, MAX_AT_ONCE)?;
            Some(changes.into_iter().map(|(number, thing)| (number, told(state, thing, role, at))).collect::<Vec<_>>())
        };
        let Some(changes) = self.api.desk.look(look).await? else { return Ok(None) };
        for (number, told) in changes {
            self.after = number;
            self.ready.extend(told.map(|it| it.event(number)));
        }
        Ok(Some(()))
    }
}

/// How a thing is now. Nothing is told of a task that was forgotten, or of its progress once it has an outcome.
fn told(state: &crate::state::State, thing: Thing, role: Role, at: Moment) -> Option<Told> {
    let removed = |name, removed: String| Told::Removed(name, RemovedView { removed });
    Some(match thing {
        Thing::Task(id) => Told::Task(Box::new(seen_by(role, state.task(id).ok()?))),
        Thing::Progress(task) => Told::Progress(TaskProgressView { task, progress: state.progress(task)? }),
        Thing::Member(id) => match state.member(id) {
            Ok(view) => Told::Member(Box::new(view)),
            Err(_) => removed("member", id.to_string()),
        },
        Thing::Cluster(name) => Told::Cluster(state.clusters().find(|it| it.name == name)?.into()),
        Thing::System(name) => match state.system(&name) {
            Ok(record) => Told::System(Box::new(SystemView::with_members(state, record, at))),
            Err(_) => removed("system", name.to_string()),
        },
    })
}

impl Told {
    fn event(&self, number: u64) -> Event {
        match self {
            Self::Task(view) => event(number, "task", view),
            Self::Progress(view) => event(number, "progress", view),
            Self::Member(view) => event(number, "member", view),
            Self::Cluster(view) => event(number, "cluster", view),
            Self::System(view) => event(number, "system", view),
            Self::Removed(name, view) => event(number, name, view),
        }
    }
}

fn event(number: u64, name: &str, data: &impl Serialize) -> Event {
    // Views are texts, numbers and lists: there is nothing that JSON could not say.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().id(number.to_string()).event(name).data(data)
}
