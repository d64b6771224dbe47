//! The API's only doors to the state: one to look, one to act.

use postern_protocol::TaskId;
use tokio::sync::oneshot;

use super::Problem;
use super::auth::Caller;
use crate::clock::Moment;
use crate::dispatcher::{Handle, Stopped};
use crate::state::audit::{ROW_BYTES, Room};
use crate::state::{Refusal, State};

/// The doors. Whoever looks cannot change anything, and of whoever acts a line is written.
#[derive(Clone)]
pub(super) struct Desk {
    handle: Handle,
}

impl Desk {
    pub(super) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Looks.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State, Moment) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        self.handle.ask(move |state, at| work(state, at)).await
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
            let result = state.check_audit(room).and_then(|()| work(state, at));
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
    use postern_protocol::{ClusterName, MemberId};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::api::auth::Caller;
    use crate::clock;
    use crate::dispatcher::Dispatcher;
    use crate::state::lab;
    use crate::state::records::Records as _;

    const NOBODY: MemberId = MemberId::from_bytes([1; 16]);

    /// Nobody writes the log here, so that the rows stay. Tell of an act in a turn of its own and the act is there alone.
    #[tokio::test]
    async fn an_act_and_its_line_are_durable_before_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, spool) = lab::ledger(folder.path());
        let state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let (dispatcher, handle) = Dispatcher::new(state, ledger.clone(), spool);
        let desk = Desk::new(handle);
        let caller = Caller::of_test(desk.clone(), "cluster.create");
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
}
