//! The API's only doors to the state: one to look, one to act.

use postern_protocol::TaskId;
use tokio::sync::oneshot;

use super::Problem;
use super::auth::Caller;
use crate::clock::Moment;
use crate::dispatcher::{Handle, Stopped};
use crate::state::{Refusal, State};

/// The doors. Whoever looks cannot change anything, and whoever acts says who it is.
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

    /// [`Desk::act`] for work that adds about `bytes` to the commit, and whose result is part of what is told of it.
    pub(super) async fn act_told<T: Send + 'static>(
        &self,
        bytes: usize,
        _caller: &Caller,
        _on: impl FnOnce(Option<&T>) -> String + Send + 'static,
        work: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.handle.ask_large(bytes, work).await??)
    }
}
