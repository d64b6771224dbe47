//! Whom a collection has seen, so that it can tell who is there no longer.
//!
//! Of every user the newest run that saw it is kept. A user whom the present run did not see is told to be gone, by
//! every run, until one that told it is known to have been handed over: whatever is lost is told again.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use postern_protocol::task::collect::Request;
use postern_protocol::{Failure, FailureClass, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::super::super::kept::buckets::{self, Buckets, Fact, put_number, put_text, take_number, take_text};
use super::super::super::kept::{UnderWay, admit, dismiss, is_of_another, names, short_hash};
use crate::connector::Keep;

/// Collections of one connected system: each remembers every user, and the disk has an end.
const MAX_COLLECTIONS: usize = 32;
/// Where their names are kept.
const COLLECTIONS: &str = "salesforce/collections";
/// The layout of what is kept.
const FORMAT: u32 = 1;
/// A collection that has not begun a run for so many days gives its place to another when there is none left: names are given by
/// whoever submits, and nobody else knows which are still wanted. A quarter, so that one that runs each month keeps its own.
const IDLE: SignedDuration = SignedDuration::from_hours(24 * 92);
/// Users who are forgotten in one run. More are forgotten in the next.
const FORGOTTEN: usize = 10_000;

/// The memory of a collection during one run.
#[derive(Clone)]
pub(super) struct Memory {
    keep: Arc<dyn Keep>,
    place: String,
    state: State,
    /// An earlier attempt of the same task began a run.
    pub(super) is_again: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in super::super::super) struct State {
    #[serde(default)]
    format: u32,
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
    /// The id of the org whose users they are; empty if that was not kept yet.
    #[serde(default)]
    org: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    number: u64,
    task: String,
    /// Whether that is taken anew: then nothing counted as handed over before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anew: bool,
    /// When it began, for people.
    started: String,
    /// What had been forgotten when it began: told until a file that tells it was handed over.
    #[serde(default)]
    forgot: Option<String>,
}

/// A user as the newest run saw him that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super::super) struct Seen {
    run: u64,
    username: String,
}

impl Fact for Seen {
    fn encode(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        put_number(self.run, out);
        put_text(&self.username, out);
    }

    fn decode<'a>(bytes: &'a [u8], _: Option<&Self>) -> Option<(Self, &'a [u8])> {
        let (run, rest) = take_number(bytes)?;
        let (username, rest) = take_text(rest)?;
        Some((Self { run, username: username.to_owned() }, rest))
    }
}

/// Who is gone.
pub(super) struct Gone {
    pub(super) count: u64,
    /// The ids of those whom a run that was handed over has told of.
    pub(super) told_before: Vec<String>,
}

impl Memory {
    /// Begins a run, and says what has been forgotten if it is not of the same users as before. The caller holds the turn of its
    /// place in `under_way`.
    pub(super) async fn begin(
        (keep, under_way): (&Arc<dyn Keep>, &UnderWay),
        it: &Request,
        org: &str,
        task: TaskId,
        started: &str,
        now: Option<Timestamp>,
    ) -> Result<(Self, Option<String>), Failure> {
        let (keep, place) = (Arc::clone(keep), place(&it.name));
        let stored = keep.recall(&place)?;
        while stored.is_none() && !admit(keep.as_ref(), COLLECTIONS, &place, MAX_COLLECTIONS).await? {
            if !make_place(keep.as_ref(), under_way, now).await? {
                return Err(full(&it.name));
            }
        }
        let read = stored.as_deref().and_then(|stored| serde_json::from_slice::<State>(stored).ok());
        let known = read.filter(|state| state.format == FORMAT);
        let mut forgot = (stored.is_some() && known.is_none()).then(|| UNKNOWN.to_owned());
        if known.is_none() {
            // What another version kept cannot be told from what this one would keep.
            buckets::forget(keep.as_ref(), &place).await?;
        }
        let mut state = known.unwrap_or_else(|| State { format: FORMAT, ..State::default() });
        let about = it.user_status.to_string();
        let anew = keep.taken_anew(task)?;
        let task = HEXLOWER.encode(task.as_bytes());
        let is_again = state.pending.as_ref().is_some_and(|run| run.task == task && run.anew == anew);
        let untold = state.settle(keep.as_ref())?;
        forgot = forgot.or(untold);
        if anew && !is_again {
            // Which files of other runs are lost nobody here knows.
            state.handed_over = None;
            forgot = forgot.or_else(|| Some(FILES_LOST.to_owned()));
        }
        state.run += 1;
        if state.run > 1 && state.about != about {
            state.forget();
            let before = std::mem::take(&mut state.about);
            let told = "nobody is told to be gone for being none of";
            forgot = Some(format!("The collection was of {before} users before; {told} {about}"));
        }
        state.about = about;
        if state.run > 1 && is_of_another(&state.org, org) {
            state.forget();
            let before = std::mem::take(&mut state.org);
            forgot = Some(format!(
                "The collection was of the org {before} before; nobody is told to be gone for being none of {org}"
            ));
        }
        if !org.is_empty() {
            org.clone_into(&mut state.org);
        }
        state.pending =
            Some(Run { number: state.run, task, anew, started: started.to_owned(), forgot: forgot.clone() });
        // On disk before any user is seen by this run, so that no two runs have the same number.
        keep.keep(&place, serde_json::to_vec(&state).unwrap_or_default()).await?;
        Ok((Self { keep, place, state, is_again }, forgot))
    }

    /// When the newest run began that is known to have been handed over; empty if there is none.
    pub(super) fn since(&self) -> &str {
        self.state.handed_over.as_ref().map_or("", |run| run.started.as_str())
    }

    /// Keeps that this run saw these users, each with the name.
    pub(super) async fn saw(&self, users: Vec<(String, String)>) -> Result<(), Failure> {
        let seen = |(id, username)| (id, Some(Seen { run: self.state.run, username }));
        self.buckets().put_all(users.into_iter().map(seen).collect()).await
    }

    /// Tells those whom earlier runs saw and this one did not. Only for a run that saw everybody. Blocks.
    pub(super) fn gone(&self, mut tell: impl FnMut(Json) -> Result<(), Failure>) -> Result<Gone, Failure> {
        let mut gone = Gone { count: 0, told_before: Vec::new() };
        buckets::each(self.keep.as_ref(), &self.place, |id, Seen { run, username }| {
            if run >= self.state.run {
                return Ok(());
            }
            if run < self.state.from || self.was_told(run) {
                if gone.told_before.len() < FORGOTTEN {
                    gone.told_before.push(id);
                }
                return Ok(());
            }
            gone.count += 1;
            tell(json!({ "Id": id, "Username": username }))
        })?;
        Ok(gone)
    }

    /// Whether a run that was handed over has told that somebody is gone whom `run` was the last to see.
    fn was_told(&self, run: u64) -> bool {
        self.state.handed_over.as_ref().is_some_and(|handed_over| run < handed_over.number)
    }

    /// Forgets users.
    pub(super) async fn forget(&self, ids: Vec<String>) -> Result<(), Failure> {
        self.buckets().put_all(ids.into_iter().map(|id| (id, None)).collect()).await
    }

    fn buckets(&self) -> Buckets<Seen> {
        Buckets::new(Arc::clone(&self.keep), &self.place)
    }
}

impl State {
    /// Finds out what became of the run before: handed over, or perhaps not. Then it told nobody what had been forgotten.
    fn settle(&mut self, keep: &dyn Keep) -> Result<Option<String>, Failure> {
        let Some(pending) = self.pending.take() else { return Ok(None) };
        let task = HEXLOWER.decode(pending.task.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        if let Some(task) = task
            && keep.delivered(TaskId::from_bytes(task))?
        {
            self.handed_over = Some(pending);
            return Ok(None);
        }
        Ok(pending.forgot)
    }

    /// When its newest run began.
    fn began(&self) -> Option<Timestamp> {
        self.pending.as_ref().or(self.handed_over.as_ref()).and_then(|run| run.started.parse().ok())
    }

    /// Nobody was seen before this run.
    fn forget(&mut self) {
        self.from = self.run;
        self.handed_over = None;
    }
}

/// Forgets the collection that has been idle for longest by Salesforce's clock, if one has been for long and is none that is under
/// way. Whether there was one.
async fn make_place(keep: &dyn Keep, under_way: &UnderWay, now: Option<Timestamp>) -> Result<bool, Failure> {
    let Some(now) = now else { return Ok(false) };
    let mut idle = Vec::new();
    for place in names(keep, COLLECTIONS)? {
        idle.extend(idle_since(keep, &place, now)?.map(|began| (began, place)));
    }
    idle.sort_unstable();
    for (_, place) in idle {
        let Some(_turn) = under_way.begin(&place) else { continue };
        // It may have had a run since.
        if idle_since(keep, &place, now)?.is_some() {
            dismiss(keep, COLLECTIONS, &place).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// When the newest run of a collection began, if that is long ago.
fn idle_since(keep: &dyn Keep, place: &str, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let began = match keep.recall(place)? {
        Some(state) => serde_json::from_slice::<State>(&state).ok().and_then(|state| state.began()),
        // It was about to be forgotten, or to begin, when the process was killed.
        None => Some(Timestamp::MIN),
    };
    Ok(began.filter(|began| now.duration_since(*began) > IDLE))
}

/// Where a collection is kept.
pub(super) fn place(name: &str) -> String {
    format!("salesforce/collection/{}", short_hash(&[name.to_lowercase().as_str()]))
}

const UNKNOWN: &str = "What the collection remembered was written by another version of the agent, so it begins anew: nobody is \
                       told to be gone whom only earlier runs saw";

const FILES_LOST: &str = "A task of the collection had ended here and came again: the controller may have lost files, so who is gone is \
                          told again, but for those whom a later run has let go; compare with the newest file that is left";

fn full(shown: &str) -> Failure {
    let summary =
        format!("There is no place for the collection `{shown}`: a member keeps {MAX_COLLECTIONS} for one system");
    Failure::new(FailureClass::Rejected, "too_many_collections", summary)
        .with_next_step("Use one that is there. One that has not run for 92 days gives its place to another by itself")
}

#[cfg(test)]
mod tests {
    use postern_protocol::bounded::Text;

    use super::*;
    use crate::kept::Kept;

    async fn begin(
        (keep, under_way): (&Arc<dyn Keep>, &UnderWay),
        name: &str,
        started: &str,
        now: &str,
    ) -> Result<String, Failure> {
        let request = serde_json::from_value(json!({ "name": name })).unwrap();
        let (org, task, now) = ("00D5g000004c92EAAQ", TaskId::from_bytes([7; 16]), now.parse().ok());
        let (memory, _) = Memory::begin((keep, under_way), &request, org, task, started, now).await?;
        Ok(memory.since().to_owned())
    }

    /// Names of one night each are never used again, and nobody can say which those are.
    #[tokio::test]
    async fn the_collection_that_was_idle_for_longest_makes_place_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let keep: Arc<dyn Keep> = Arc::new(Kept::in_folder(folder.path()));
        let (under_way, both) = (UnderWay::default(), |name| names(name, COLLECTIONS).unwrap());
        let here = (&keep, &under_way);
        for number in 1..MAX_COLLECTIONS {
            let day = if number == 9 { 1 } else { 2 + number % 20 };
            let night = format!("2026-01-{day:02}T02:00:00Z");
            begin(here, &number.to_string(), &night, &night).await.unwrap();
        }
        // It has a place, and has kept nothing yet.
        let beginning = under_way.begin(&place("beginning")).unwrap();
        assert!(admit(keep.as_ref(), COLLECTIONS, &place("beginning"), MAX_COLLECTIONS).await.unwrap());

        let (early, late) = ("2026-04-03T01:00:00Z", "2026-04-03T03:00:00Z");
        // A host whose clock is ahead asks Salesforce's.
        let full = begin(here, "another", "2036-04-03T01:00:00Z", early).await.unwrap_err();
        assert_eq!(full.code, Text::clipped("too_many_collections"));
        begin(here, "another", late, "").await.unwrap_err();
        let turn = under_way.begin(&place("9")).unwrap();
        begin(here, "another", late, late).await.unwrap_err();
        drop(turn);
        begin(here, "another", late, late).await.unwrap();
        let there = both(keep.as_ref());
        assert!(there.contains(&place("another")) && !there.contains(&place("9")), "{there:?}");
        assert!(keep.recall(&place("9")).unwrap().is_none());
        begin(here, "yet another", late, late).await.unwrap_err();

        drop(beginning);
        begin(here, "yet another", late, late).await.unwrap();
        assert!(
            !both(keep.as_ref()).contains(&place("beginning")),
            "nothing of it was kept, and it is under way no more"
        );
    }
}
