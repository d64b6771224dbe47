//! Going on from what a store held.

use std::collections::{BTreeMap, VecDeque};

use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::{ReportNo, SessionNo, StreamId, TaskId, Timestamp};

use super::deferred::DeferredWrites;
use super::held::Held;
use super::{GivenUp, Ledger, failure};
use crate::limits::Limits;
use crate::membership::Membership;
use crate::outbox::Outbox;
use crate::write::{Origin, TaskState, Tombstone};

/// What a store held when it was opened.
#[derive(Debug, Default)]
pub struct Restored {
    /// Tasks held.
    pub tasks: Vec<RestoredTask>,
    /// Reports owed.
    pub reports: Vec<Report>,
    /// Ended tasks remembered.
    pub tombstones: Vec<Tombstone>,
    /// The number of the next report.
    pub next_report: ReportNo,
    /// The newest session.
    pub session: SessionNo,
    /// The newest state of the member.
    pub membership: Option<Membership>,
}

/// One task of a store that was opened.
#[derive(Debug)]
pub struct RestoredTask {
    /// The task as it was offered.
    pub offer: Offer,
    /// Where it came from.
    pub origin: Origin,
    /// How far it was.
    pub state: TaskState,
    /// How many entries its journal has.
    pub journal: u32,
    /// Those of its payloads that are complete on this machine.
    pub streams_here: Vec<StreamId>,
}

impl Ledger {
    /// Takes up what a store held. Nothing starts before its lease is renewed, local tasks excepted.
    pub fn restore(limits: Limits, restored: Restored) -> Self {
        let mut ledger = Self {
            limits,
            tasks: BTreeMap::new(),
            outbox: Outbox::restore(restored.reports, restored.next_report.max(ReportNo(1))),
            calls_left: BTreeMap::new(),
            failed_in_a_row: BTreeMap::new(),
            store_has_room: true,
            tombstones: restored.tombstones.into_iter().collect(),
            membership: restored.membership.unwrap_or(Membership::UNKNOWN),
            session_no: restored.session,
            session: None,
            stopping: false,
            looked_at: Timestamp::from_millis(0),
            arrivals: 0,
            turn: 0,
            writes: Vec::new(),
            deferred: DeferredWrites::default(),
            written: 0,
            durable: 0,
            gated: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            progress: BTreeMap::new(),
        };
        for task in restored.tasks {
            ledger.restore_task(task);
        }
        ledger
    }

    fn restore_task(&mut self, restored: RestoredTask) {
        self.arrivals += 1;
        let (task, state) = (restored.offer.task, restored.state.clone());
        let held = Held::restore(restored, self.arrivals);
        let origin = held.origin;
        if held.origin.is_local() && !held.is_concluded() {
            return self.restore_abandoned(task, held);
        }
        let target = held.offer.target.clone();
        let process_died = held.deaths() >= held.most_deaths(&self.limits);
        self.tasks.insert(task, held);
        if process_died {
            self.give_up(task, failure::process_died(&target), GivenUp::ProcessDied);
        }
        if let TaskState::Concluded(report) = state {
            self.announce_conclusion(task, origin, report);
        }
    }

    /// Whoever ran a task on this machine is gone with the process: it is not run behind their back. What it had begun
    /// is found out from its journal and logged.
    fn restore_abandoned(&mut self, task: TaskId, held: Held) {
        let target = held.offer.target.clone();
        let begun = held.is_begun();
        self.tasks.insert(task, held);
        if begun {
            self.give_up(task, failure::abandoned(&target), GivenUp::Failed);
        } else {
            self.drop_task(task);
        }
    }
}
