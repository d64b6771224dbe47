//! The API's only doors to the state: to look, and to act.

use std::sync::Arc;

use postern_protocol::TaskId;
use tokio::sync::{Semaphore, oneshot};

use super::Problem;
use super::auth::Caller;
use crate::clock::Moment;
use crate::dispatcher::{Handle, Stopped};
use crate::limits::SCANS;
use crate::state::audit::{ROW_BYTES, Room};
use crate::state::{Refusal, State};

/// The doors. Whoever looks cannot change anything, and of whoever acts a line is written.
#[derive(Clone)]
pub(super) struct Desk {
    handle: Handle,
    scans: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, scans: Arc::new(Semaphore::new(SCANS)) }
    }

    /// Looks at one thing, or at a few.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State, Moment) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        self.handle.ask(move |state, at| work(state, at)).await
    }

    /// Looks through many things, for which whoever else does so is waited for.
    pub(super) async fn look_through<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State, Moment) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        // Nobody closes it. The place is the work's, which is done whether its caller is still there or not, and is given back
        // with the answer: a turn of the owner has no more of these than there are places.
        let place = Arc::clone(&self.scans).acquire_owned().await;
        let (found, _place) = self.look(move |state, at| (work(state, at), place)).await?;
        Ok(found)
    }

    /// Waits until a task is finished; at once if it is.
    pub(super) async fn wait(&self, task: TaskId) -> Result<oneshot::Receiver<()>, Problem> {
        Ok(self.handle.ask(move |state, _| state.wait(task)).await??)
    }

    /// Has something done on what is named so.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        caller: &Caller,
        on: String,
        work: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        self.act_told(0, caller, |_| on, work).await
    }

    /// [`Desk::act`] for work that only takes something away from what is named so, which is done when nothing else is.
    pub(super) async fn take_away<T: Send + 'static>(
        &self,
        caller: &Caller,
        on: String,
        work: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        self.act_within(Room::taking_away(caller.role()), 0, caller, |_| on, work).await
    }

    /// Tells of somebody who may not do what it asked for, or of what is refused before the state can be asked to do it.
    pub(super) async fn turn_away(&self, caller: &Caller, on: String, why: String) -> Result<(), Stopped> {
        let (by, act) = (caller.by(), caller.act);
        self.handle.ask(move |state, at| state.audit(&by, act, &on, Some(&why), at)).await
    }

    /// [`Desk::act`] for work that adds about `bytes` to the commit, and whose result is part of what is told of it.
    pub(super) async fn act_told<T: Send + 'static>(
        &self,
        bytes: usize,
        caller: &Caller,
        on: impl FnOnce(Option<&T>) -> String + Send + 'static,
        work: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        self.act_within(Room::Usual, bytes, caller, on, work).await
    }

    async fn act_within<T: Send + 'static>(
        &self,
        room: Room,
        bytes: usize,
        caller: &Caller,
        on: impl FnOnce(Option<&T>) -> String + Send + 'static,
        work: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let (by, act) = (caller.by(), caller.act);
        let work = move |state: &mut State, at: Moment| {
            let may = state.check_api_token(by.token, at).and_then(|()| state.check_audit(room));
            let result = may.and_then(|()| work(state, at));
            let on = on(result.as_ref().ok());
            let refused = result.as_ref().err().map(ToString::to_string);
            // Part of the same turn, so it is durable with what it tells of, and before anybody hears of that.
            state.audit(&by, act, &on, refused.as_deref(), at);
            result
        };
        Ok(self.handle.ask_large(bytes + ROW_BYTES, work).await??)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use axum::http::Request;
    use axum::http::header::{AUTHORIZATION, HOST};
    use futures_util::FutureExt as _;
    use postern_protocol::{ClusterName, MemberId};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::access::Role;
    use crate::api::auth::Caller;
    use crate::api::{Api, Parts, answer_of_test};
    use crate::clock;
    use crate::dispatcher::Dispatcher;
    use crate::space::Space;
    use crate::state::api_tokens::Known;
    use crate::state::lab;
    use crate::state::records::Records as _;

    const NOBODY: MemberId = MemberId::from_bytes([1; 16]);

    /// A token that is good.
    fn known(state: &mut State, name: &str) -> Arc<Known> {
        let (view, _) =
            state.create_api_token(name.parse().unwrap(), Role::Administrator, None, None, clock::moment()).unwrap().it;
        state.end_turn().publish();
        Arc::clone(&state.known_api_tokens().borrow()[&view.id])
    }

    /// Nobody writes the log here, so that the rows stay. Tell of an act in a turn of its own and the act is there alone.
    #[tokio::test]
    async fn an_act_and_its_line_are_durable_before_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, spool) = lab::ledger(folder.path());
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let known = known(&mut state, "ci");
        let (dispatcher, handle) = Dispatcher::new(state, ledger.clone(), spool);
        let desk = Desk::new(handle);
        let caller = Caller::of_test(desk.clone(), known, "cluster.create");
        let asking = async {
            for name in ["acme", "other"] {
                let name: ClusterName = name.parse().unwrap();
                desk.act(&caller, name.to_string(), move |state, at| state.create_cluster(name, at)).await.unwrap();
                let (clusters, rows) = (ledger.clusters().unwrap(), ledger.audit_rows().unwrap());
                assert_eq!(clusters.len(), rows.len());
            }
            let refused = desk.act(&caller, "x".to_owned(), |state, at| state.remove_member(NOBODY, at)).await;
            assert_eq!(refused.unwrap_err().status, 404);
            assert!(ledger.audit_rows().unwrap().last().unwrap().event.contains("refused"));
        };
        let stop = CancellationToken::new();
        tokio::select! {
            ended = dispatcher.run(stop) => panic!("the owner ended: {ended:?}"),
            () = asking => (),
        }
    }

    /// Let in is who has a token that is good. Believe that when its turn comes, and a thief whose acts stand in line has made
    /// himself another token once his is revoked.
    #[tokio::test]
    async fn what_stands_in_line_behind_the_revocation_of_its_token_is_refused_and_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, spool) = lab::ledger(folder.path());
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let (mine, stolen) = (known(&mut state, "mine"), known(&mut state, "stolen"));
        let (dispatcher, handle) = Dispatcher::new(state, ledger.clone(), spool);
        let desk = Desk::new(handle.clone());
        let mine = Caller::of_test(desk.clone(), mine, "api_token.revoke");
        let thief = Caller::of_test(desk.clone(), stolen, "api_token.create");
        let make = |name: &'static str| {
            let work = move |state: &mut State, at| {
                state.create_api_token(name.parse().unwrap(), Role::Administrator, None, None, at).map(|it| it.it.0)
            };
            desk.act(&thief, name.to_owned(), work)
        };
        let revoke = desk
            .take_away(&mine, "stolen".to_owned(), |state, at| state.revoke_api_token(&"stolen".parse().unwrap(), at));
        let asking = async {
            let (before, revoked, behind) = tokio::join!(make("before"), revoke, make("behind"));
            assert!(before.is_ok() && revoked.is_ok());
            assert_eq!(behind.unwrap_err().status, 401);
            let names = |state: &mut State, at| state.api_tokens(at).map(|it| it.name.to_string()).collect();
            let names: BTreeSet<String> = handle.ask(names).await.unwrap();
            assert_eq!(names, ["before", "mine"].map(str::to_owned).into());
            let line = ledger.audit_rows().unwrap().pop().unwrap().event;
            assert!(line.contains(r#""result":"refused""#) && line.contains("was revoked"), "{line}");
        };
        tokio::select! {
            biased;
            () = asking => (),
            ended = dispatcher.run(CancellationToken::new()) => panic!("the owner ended: {ended:?}"),
        }
    }

    /// What is shown of many things at once.
    const SCANNING: [&str; 8] = [
        "/v1/tasks?system=nosuch",
        "/v1/status",
        "/v1/ca",
        "/v1/members",
        "/v1/clusters",
        "/v1/clusters/acme/keys",
        "/v1/systems",
        "/v1/api-tokens",
    ];

    /// Look through many things as at one, and whoever needs the owner waits behind all who do. Give a place back when its
    /// caller is gone, and whoever goes and comes again has as many as it likes.
    #[tokio::test]
    async fn few_looks_through_many_things_wait_for_the_owner_at_once_also_of_callers_that_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let at = clock::moment();
        let (ledger, spool) = lab::ledger(folder.path());
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_cluster("acme".parse().unwrap(), at).unwrap();
        let (_, token) = state.create_api_token("a".parse().unwrap(), Role::Administrator, None, None, at).unwrap().it;
        let tokens = state.known_api_tokens();
        state.end_turn().publish();
        let (dispatcher, handle) = Dispatcher::new(state, ledger.clone(), spool.clone());
        let space = Space::new(ledger.store().clone());
        let router = Api::new(Parts::of_test(handle.clone(), spool, space, tokens, folder.path())).router();
        let ask = |path: &str| {
            let request = Request::get(path).header(HOST, "localhost");
            let request = request.header(AUTHORIZATION, format!("Bearer {}", token.text.expose()));
            Box::pin(answer_of_test(router.clone(), request.body(Body::empty()).unwrap()))
        };

        let mut asking = Vec::new();
        for path in SCANNING {
            for _ in 0..5 {
                assert!(ask(path).now_or_never().is_none(), "{path}: it is gone before it is answered");
                let mut asked = ask(path);
                assert!((&mut asked).now_or_never().is_none(), "{path}");
                asking.push(asked);
                assert!(handle.waiting() <= SCANS, "{path}: {} wait for the owner", handle.waiting());
                // What polls so many by itself has to let the runtime on.
                tokio::task::yield_now().await;
            }
        }
        let mut member = ask(&format!("/v1/members/{NOBODY}"));
        assert!((&mut member).now_or_never().is_none());
        assert_eq!(handle.waiting(), SCANS + 1, "a look at one thing does not stand in their line");

        let answers = async {
            assert_eq!(member.await.status(), 404);
            for answer in asking {
                assert_eq!(answer.await.status(), 200);
            }
        };
        tokio::select! {
            ended = dispatcher.run(CancellationToken::new()) => panic!("the owner ended: {ended:?}"),
            () = answers => (),
        }
    }
}
