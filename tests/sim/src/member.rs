//! A member's process: the real ledger and session, driven as the agent's dispatcher drives them.

mod attempts;
mod commit;
mod dispatcher;
mod frames;
mod life;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use postern_agent_core::ledger::Ending;
use postern_agent_core::{Backoff, JournalEntry, Ledger, Limits, Membership, Unfinished, Write};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{StreamRef, Welcome};
use postern_protocol::session::MemberSession;
use postern_protocol::{MemberId, StreamId, TaskId, Timestamp};

use crate::agenda::Millis;
use crate::attempt::Attempt;
use crate::disk::MemberDisk;
use crate::net::LinkId;
use crate::truth::Memory;
use crate::workload::{Point, Policy};
use crate::world::SYSTEM;

/// Attempts that a member runs at once.
const SLOTS: usize = 3;

/// A member, running or not.
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// What it has on disk.
    pub disk: MemberDisk,
    /// What it had there before, and when.
    pub backups: Vec<(Millis, MemberDisk)>,
    /// How far its clock is ahead of true time.
    pub clock: Millis,
    /// Nothing of it moves before.
    pub paused: Millis,
    /// The number of its present or next process.
    pub life: u64,
    /// Its process.
    pub process: Option<Process>,
    /// Where it is to die, and for how long.
    pub trap: Option<(Point, Millis)>,
    /// Where it is to lose its store.
    pub bad_disk: Option<Point>,
    /// How often its store was put back.
    pub put_back: u32,
    /// Until when its disk is too full for new work.
    pub full: Millis,
    /// What its policy says from its next start on.
    pub policy: Policy,
}

/// A member's process.
pub struct Process {
    ledger: Ledger,
    link: Option<(LinkId, MemberSession)>,
    backoff: Backoff,
    inputs: VecDeque<Input>,
    committing: Option<(u64, Vec<Write>)>,
    welcome: Option<(LinkId, Welcome)>,
    established: bool,
    attempts: BTreeMap<TaskId, Attempt>,
    /// Attempts of which the end is not on disk, and whether they ended.
    under_way: BTreeMap<TaskId, bool>,
    /// The tasks that it found on disk.
    found: BTreeSet<TaskId>,
    tickets: BTreeMap<u64, TaskId>,
    next_ticket: u64,
    uploads: BTreeMap<TaskId, StreamRef>,
    policy: Policy,
    stopping: bool,
    drained: bool,
    granted: u64,
    offered: u64,
    wakes: Millis,
}

/// What the dispatcher's channel carries.
#[derive(Debug)]
pub enum Input {
    Introduce,
    Welcomed(LinkId, Box<Welcome>, Membership),
    Established(LinkId, Box<Welcome>),
    Frame(Box<FromController>),
    Intend(TaskId, JournalEntry),
    Record(TaskId, Vec<JournalEntry>),
    Ended(TaskId, Result<Box<Ending>, Unfinished>),
    PayloadHere(TaskId, StreamId),
    Uploaded(TaskId),
    Unwanted(TaskId),
    ResultsLost(TaskId),
    Disconnected,
    Stop,
}

impl Member {
    /// Its present moment.
    pub fn now(&self, true_time: Millis) -> Timestamp {
        Timestamp::from_millis(true_time + self.clock)
    }

    /// Which of its memories it works with.
    pub const fn memory(&self) -> Memory {
        (self.disk.incarnation, self.put_back)
    }

    /// Whether it has nothing in its hands.
    pub fn is_idle(&self) -> bool {
        self.disk.reports.is_empty() && self.disk.tasks().next().is_none()
    }

    /// Whether this connection is that of a process whose policy allows changes.
    pub fn allows_changes_over(&self, link: LinkId) -> bool {
        let process = self.process.as_ref().filter(|it| it.policy == Policy::Allows);
        process.and_then(|it| it.link.as_ref()).is_some_and(|(present, _)| *present == link)
    }

    pub fn works(&self) -> bool {
        self.process.as_ref().is_some_and(|it| !it.attempts.is_empty())
    }
}

fn limits() -> Limits {
    Limits {
        tombstones: 32,
        // Few, so that it is met.
        import_deaths: 3,
        ..Limits::for_systems(BTreeMap::from([(SYSTEM.parse().expect("it is a name"), SLOTS)]))
    }
}
