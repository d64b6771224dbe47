//! Giving queued tasks to members.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use postern_protocol::task::{Lane, Repeat};
use postern_protocol::{MemberId, SystemName, TaskId, TaskKind, Timestamp};

use super::alone::target;
use super::line::{Line, Place, Stands, Takes, in_order, place};
use super::{Entry, Holder, MAX_LEASES, Queue};
use crate::clock::Moment;
use crate::state::record::{LeaseRecord, TaskState};

/// How many queued tasks in one lane of a system are looked at in one go: enough to pass what members asked to wait with,
/// little enough not to be felt.
const LOOK_AHEAD: usize = 512;

/// A task for a member. The lease is the member's once it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The task.
    pub task: TaskId,
    /// The member.
    pub member: MemberId,
    /// Milliseconds until the task must not be begun any more; zero is no deadline.
    pub deadline_ms: u64,
    /// For how many milliseconds the task has been alone with its target.
    pub alone_ms: u64,
}

impl Queue {
    /// The next task that somebody can be given now. Systems take turns; within one, priority, lane and age decide, but
    /// every fourth turn of a system is that of the lane whose first task has waited longest.
    pub fn poll_assign(&mut self, at: Moment) -> Option<Assignment> {
        self.freed.pass(at.now);
        if self.ready.is_empty() {
            return None;
        }
        let (system, task, member) = self.systems_in_turn().into_iter().find_map(|system| {
            let found = self.first_for(&system, at.now)?;
            Some((system, found.0, found.1))
        })?;
        if let Some(line) = self.line.get_mut(&system) {
            line.turns += 1;
        }
        self.last_system = Some(system);
        Some(self.lease(task, member, at))
    }

    fn systems_in_turn(&self) -> Vec<SystemName> {
        let after = self.last_system.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let upto = self.last_system.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let later = self.line.range::<SystemName, _>((after, Bound::Unbounded));
        // Without a last system the first range was everything already.
        let earlier = self.line.range::<SystemName, _>((Bound::Unbounded, upto));
        let earlier = earlier.take(if self.last_system.is_some() { usize::MAX } else { 0 });
        later.chain(earlier).filter(|(_, line)| !line.lanes.is_empty()).map(|(system, _)| system.clone()).collect()
    }

    fn first_for(&self, system: &SystemName, now: Timestamp) -> Option<(TaskId, MemberId)> {
        let line = self.line.get(system)?;
        if self.ready.is_none_for(system) {
            return None;
        }
        let in_turn = self.lanes_in_turn(system, line).into_iter();
        let mut places = in_turn.flat_map(|lane| in_order(lane).take(LOOK_AHEAD));
        let first = places.find_map(|(_, _, id)| self.goes_to(*id, now))?;
        Some(self.change_before(first.0, now).unwrap_or(first))
    }

    /// The change of the same account that goes before this one and that somebody can be given now. Whoever asked last is to
    /// have the last word, in whatever lanes they stand; and one that is urgent draws forward what it has to wait for.
    fn change_before(&self, id: TaskId, now: Timestamp) -> Option<(TaskId, MemberId)> {
        let entry = self.tasks.get(&id).filter(|it| is_change(it.record.kind))?;
        let (system, place) = (&entry.record.system, place(entry));
        let stands = self.waiting.get(&target(&entry.record)?)?.iter();
        let changes = stands.filter(|(takes, _)| is_change(takes.kind) && self.is_there_for(system, takes));
        let in_order = in_order(changes.map(|(_, places)| places)).take_while(|it| **it < place);
        in_order.take(LOOK_AHEAD).find_map(|(_, _, id)| self.goes_to(*id, now))
    }

    fn goes_to(&self, id: TaskId, now: Timestamp) -> Option<(TaskId, MemberId)> {
        let entry = self.tasks.get(&id)?;
        if is_change(entry.record.kind) && self.is_behind_unsorted(entry) {
            return None;
        }
        Some((id, self.best_member(entry, now)?))
    }

    /// Those that are ready and can do a task, in the order in which they are asked.
    fn able(&self, entry: &Entry) -> impl Iterator<Item = MemberId> {
        let record = &entry.record;
        let can = |member: &MemberId| self.holders.get(member).is_some_and(|it| it.can(&record.system, record.kind));
        self.ready.of(&record.system, &record.cluster).filter(can)
    }

    /// Whether somebody who is ready may be given the tasks that take this.
    fn is_there_for(&self, system: &SystemName, takes: &Takes) -> bool {
        let can = |it: &Holder| it.cluster == takes.cluster && it.is_ready() && it.can(system, takes.kind);
        let fits = |member: MemberId| self.holders.get(&member).is_some_and(can);
        match &takes.sealed_to {
            None => self.ready.of(system, &takes.cluster).any(fits),
            Some(keys) => self.openers.with_any(keys).any(fits),
        }
    }

    /// What somebody who is ready may be given, lane by lane.
    fn lanes_in_turn<'a>(&self, system: &SystemName, line: &'a Line) -> Vec<Vec<&'a BTreeSet<Place>>> {
        let doable = |stands: &'a Stands| -> Vec<&'a BTreeSet<Place>> {
            stands.iter().filter(|(takes, _)| self.is_there_for(system, takes)).map(|(_, places)| places).collect()
        };
        let mut lanes: Vec<_> = line
            .lanes
            .iter()
            .map(|(lane, stands)| (*lane, doable(stands)))
            .filter_map(|(lane, stands)| Some((stands.iter().filter_map(|it| it.first()).min()?, lane, stands)))
            .collect();
        if Lane::is_for_the_oldest(line.turns) {
            lanes.sort_by_key(|((_, submitted, _), lane, _)| (*submitted, *lane));
        } else {
            lanes.sort_by_key(|((rank, ..), lane, _)| (*rank, *lane));
        }
        lanes.into_iter().map(|(_, _, stands)| stands).collect()
    }

    /// The member with the least to do, among equals the one served longest ago.
    fn best_member(&self, entry: &Entry, now: Timestamp) -> Option<MemberId> {
        if entry.deadline.is_some_and(|deadline| deadline <= now) {
            return None;
        }
        self.able(entry).filter(|member| self.can_open(*member, entry)).find(|member| {
            match entry.refused_by.get(member) {
                None => true,
                Some(None) => false,
                Some(Some(again)) => again.until <= now,
            }
        })
    }

    fn lease(&mut self, task: TaskId, member: MemberId, at: Moment) -> Assignment {
        self.turn += 1;
        let mut deadline_ms = 0;
        if let (Some(holder), Some(entry)) = (self.holders.get_mut(&member), self.tasks.get_mut(&task)) {
            holder.offered += 1;
            holder.last_turn = self.turn;
            entry.record.epoch = entry.record.epoch.next();
            let leases = &mut entry.record.leases;
            if leases.len() >= MAX_LEASES {
                leases.remove(0);
            }
            leases.push(LeaseRecord { epoch: entry.record.epoch, store: holder.store });
            entry.record.attempt = entry.record.attempt.saturating_add(1);
            entry.until = at.now + self.config.lease_ttl;
            if let Some(deadline) = entry.deadline {
                deadline_ms = millis(deadline.since(at.now)).max(1);
            }
        }
        let alone_ms = millis(self.come_alone(task, at));
        self.move_to(task, TaskState::Leased { holder: member });
        Assignment { task, member, deadline_ms, alone_ms }
    }

    /// How many tasks are queued that no member is there to do. Who holds one is not looked for: it may end its work with nobody
    /// else there.
    pub fn without_member(&self) -> usize {
        let mut waiting: BTreeMap<_, BTreeMap<TaskKind, usize>> = BTreeMap::new();
        for it in self.tasks().filter(|it| matches!(it.state, TaskState::Queued)) {
            *waiting.entry((&it.cluster, &it.system)).or_default().entry(it.kind).or_default() += 1;
        }
        for holder in self.holders.values().filter(|it| it.enabled && !it.stopping) {
            for system in holder.serves.keys() {
                if let Some(kinds) = waiting.get_mut(&(&holder.cluster, system)) {
                    kinds.retain(|kind, _| !holder.can(system, *kind));
                }
            }
        }
        waiting.into_values().flat_map(BTreeMap::into_values).sum()
    }

    /// Why a queued task is not given to anyone, for people; empty if it will be at once.
    pub fn waits_for(&self, id: TaskId) -> String {
        let Some(entry) = self.tasks.get(&id) else { return String::new() };
        let record = &entry.record;
        if matches!(record.state, TaskState::NeedsReseal) {
            if self.is_unsorted(entry) {
                return "it is looked at soon whether a member has a key to open it with".to_owned();
            }
            return format!(
                "no member of cluster {} has a key to open it with: postern-controller task reseal {id}",
                record.cluster
            );
        }
        if !matches!(record.state, TaskState::Queued) {
            return String::new();
        }
        let key = (record.system.clone(), record.target.clone());
        if let Some(other) = self.busy.get(&key).filter(|_| !record.target.is_empty()) {
            return format!("{other} works on the same account");
        }
        if self.fails_soon(id) {
            return format!(
                "a member refused it: {}; it fails soon unless one that is away comes back and takes it",
                entry.fails_because
            );
        }
        let mut there = self.holders.iter().filter(|(_, it)| it.cluster == record.cluster).peekable();
        if there.peek().is_none() {
            return format!("no member of cluster {} is connected", record.cluster);
        }
        let mut able = there.filter(|(_, it)| it.can(&record.system, record.kind)).peekable();
        if able.peek().is_none() {
            return format!(
                "no connected member of cluster {} serves system {} for {}: add the system to an agent's configuration",
                record.cluster, record.system, record.kind
            );
        }
        let mut enabled = able.filter(|(_, it)| it.enabled && !it.stopping).peekable();
        if enabled.peek().is_none() {
            return "the members that serve it are not enabled: see `postern-controller member list`".to_owned();
        }
        let mut openers = enabled.filter(|(member, _)| self.can_open(**member, entry)).peekable();
        if openers.peek().is_none() {
            return format!(
                "the members that can open it are not there; for the others: postern-controller task reseal {id}"
            );
        }
        if openers.all(|(_, it)| !it.is_ready()) {
            return "the members that serve it are busy".to_owned();
        }
        if !entry.refused_by.is_empty() {
            return format!("a member did not take it: {}", entry.refused_because);
        }
        self.goes_before(id).map_or_else(String::new, |other| format!("{other} is for the same account and goes first"))
    }
}

fn is_change(kind: TaskKind) -> bool {
    kind.repeat() != Repeat::Freely
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
