//! Whom a collection has seen, so that it can tell who is there no longer.
//!
//! Of every user the newest run that saw it is kept. A user whom the present run did not see is told to be gone, by
//! every run, until one that told it is known to have been handed over: whatever is lost is told again.

use data_encoding::HEXLOWER;
use postern_protocol::task::collect::Request;
use postern_protocol::{Failure, FailureClass, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::super::super::kept::{admit, short_hash};
use crate::connector::Keep;

/// Collections of one connected system: each remembers every user, and the disk has an end.
const MAX_COLLECTIONS: usize = 32;
/// Where their names are kept.
const COLLECTIONS: &str = "salesforce/collections";
/// Users who are forgotten in one run. More are forgotten in the next.
const FORGOTTEN: usize = 10_000;

/// The memory of a collection during one run.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    key: String,
    state: State,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// The newest run.
    run: u64,
    /// What runs before this one saw does not count any more.
    from: u64,
    /// The newest run that is known to have been handed over.
    handed_over: Option<Run>,
    /// The run that was not known to be handed over when this was written.
    pending: Option<Run>,
    /// Which users the collection is of.
    about: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    number: u64,
    task: String,
    /// When it began, for people.
    started: String,
}

/// Who is gone.
pub(super) struct Gone {
    pub(super) count: u64,
    /// Where those are kept whom a run that was handed over has told of.
    pub(super) told_before: Vec<String>,
}

impl Memory {
    /// Begins a run, and says what has been forgotten if it is of other users than before.
    pub(super) async fn begin(
        keep: &dyn Keep,
        it: &Request,
        task: TaskId,
        started: &str,
    ) -> Result<(Self, Option<String>), Failure> {
        let key = format!("salesforce/collection/{}", short_hash(&[it.name.to_lowercase().as_str()]));
        let stored = keep.recall(&key)?;
        if stored.is_none() && !admit(keep, COLLECTIONS, &key, MAX_COLLECTIONS).await? {
            return Err(full(&it.name));
        }
        let stored = stored.map(|stored| serde_json::from_slice(&stored));
        let mut state: State = match stored {
            Some(Ok(state)) => state,
            // Nothing can be said about a memory that cannot be read, so it begins anew.
            Some(Err(_)) | None => State::default(),
        };
        let about = it.user_status.to_string();
        state.settle(keep)?;
        state.run += 1;
        let changed = state.run > 1 && state.about != about;
        let forgot = changed.then(|| {
            state.forget();
            let before = std::mem::take(&mut state.about);
            format!("The collection was of {before} users before; nobody is told to be gone for being none of {about}")
        });
        state.about = about;
        let task = HEXLOWER.encode(task.as_bytes());
        state.pending = Some(Run { number: state.run, task, started: started.to_owned() });
        // On disk before any user is seen by this run, so that no two runs have the same number.
        keep.keep(&key, serde_json::to_vec(&state).unwrap_or_default()).await?;
        Ok((Self { key, state }, forgot))
    }

    /// When the newest run began that is known to have been handed over; empty if there is none.
    pub(super) fn since(&self) -> &str {
        self.state.handed_over.as_ref().map_or("", |run| run.started.as_str())
    }

    /// What is to be kept of a user whom this run saw.
    pub(super) fn seen(&self, id: &str, username: &str) -> (String, Vec<u8>) {
        (format!("{}/{id}", self.key), [&self.state.run.to_le_bytes(), username.as_bytes()].concat())
    }

    /// Tells those whom earlier runs saw and this one did not. Only for a run that saw everybody. Blocks.
    pub(super) fn gone(
        &self,
        keep: &dyn Keep,
        mut tell: impl FnMut(Json) -> Result<(), Failure>,
    ) -> Result<Gone, Failure> {
        let mut gone = Gone { count: 0, told_before: Vec::new() };
        let prefix = format!("{}/", self.key);
        keep.each(&prefix, &mut |key, value| {
            let Some((run, username)) = value.split_first_chunk::<8>() else { return Ok(()) };
            let run = u64::from_le_bytes(*run);
            if run >= self.state.run {
                return Ok(());
            }
            if run < self.state.from || self.was_told(run) {
                if gone.told_before.len() < FORGOTTEN {
                    gone.told_before.push(key.to_owned());
                }
                return Ok(());
            }
            gone.count += 1;
            let id = key.strip_prefix(&prefix).unwrap_or_default();
            tell(json!({ "Id": id, "Username": String::from_utf8_lossy(username) }))
        })?;
        Ok(gone)
    }

    /// Whether a run that was handed over has told that somebody is gone whom `run` was the last to see.
    fn was_told(&self, run: u64) -> bool {
        self.state.handed_over.as_ref().is_some_and(|handed_over| run < handed_over.number)
    }

    /// Forgets users.
    pub(super) async fn forget(&self, keep: &dyn Keep, keys: Vec<String>) -> Result<(), Failure> {
        keep.forget_all(keys).await
    }
}

impl State {
    /// Finds out what became of the run before: handed over, or perhaps not.
    fn settle(&mut self, keep: &dyn Keep) -> Result<(), Failure> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let task = HEXLOWER.decode(pending.task.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        if let Some(task) = task
            && keep.delivered(TaskId::from_bytes(task))?
        {
            self.handed_over = Some(pending);
        }
        Ok(())
    }

    /// Nobody was seen before this run.
    fn forget(&mut self) {
        self.from = self.run;
        self.handed_over = None;
    }
}

fn full(shown: &str) -> Failure {
    let summary =
        format!("There is no place for the collection `{shown}`: a member keeps {MAX_COLLECTIONS} for one system");
    Failure::new(FailureClass::Rejected, "too_many_collections", summary).with_next_step("Use one that is there")
}
