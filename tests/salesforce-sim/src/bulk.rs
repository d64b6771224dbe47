//! Bulk API 2.0: jobs, and the work they do while nobody waits for it.
//!
//! There is no worker: whoever looks at the world next does what is due, so a test decides by polls or by the clock
//! how far a job is, and a job goes on after its caller has gone.

pub(crate) mod fate;
pub(crate) mod ingest;
pub(crate) mod job;
pub(crate) mod pace;
pub(crate) mod query;

use std::collections::{BTreeMap, BTreeSet};

use crate::id::RecordId;
use crate::world::World;
use job::Job;
use pace::Pace;

/// Jobs kept.
const MAX_JOBS: usize = 1_000;
/// How long a job is told of in lists (published).
const TOLD_FOR_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Jobs on one page of a list (published).
const A_PAGE: usize = 1_000;

/// Every job of every org.
#[derive(Debug)]
pub(crate) struct Bulk {
    jobs: BTreeMap<RecordId, Job>,
    /// Those that have work to do.
    busy: BTreeSet<RecordId>,
    serial: u64,
    /// How long the jobs started from here on take.
    pub(crate) pace: Pace,
    /// Part of every locator of query results and of lists of jobs: a new one makes those given out invalid.
    pub(crate) locator_serial: u64,
    /// Jobs on one page of a list.
    pub(crate) a_page: usize,
}

impl Default for Bulk {
    fn default() -> Self {
        Self {
            jobs: BTreeMap::new(),
            busy: BTreeSet::new(),
            serial: 0,
            pace: Pace::default(),
            locator_serial: 0,
            a_page: A_PAGE,
        }
    }
}

impl Bulk {
    /// The number of a new job.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Keeps a new job, or one that was changed. The oldest one that has nothing to do makes room.
    pub(crate) fn put(&mut self, job: Job) {
        if job.state.is_busy() {
            self.busy.insert(job.id);
        } else {
            self.busy.remove(&job.id);
        }
        self.jobs.insert(job.id, job);
        if self.jobs.len() > MAX_JOBS
            && let Some(idle) = self.jobs.keys().find(|it| !self.busy.contains(it)).copied()
        {
            self.jobs.remove(&idle);
        }
    }

    pub(crate) fn get(&self, id: RecordId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Takes a job out, to be changed and put back, or to be forgotten.
    pub(crate) fn take(&mut self, id: RecordId) -> Option<Job> {
        self.busy.remove(&id);
        self.jobs.remove(&id)
    }

    pub(crate) fn forget_all(&mut self) {
        self.jobs.clear();
        self.busy.clear();
    }

    /// The jobs of an org that lists tell of at this moment, whoever made them.
    pub(crate) fn told(&self, org: usize, now: i64) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(move |job| job.owner.org == org && now - job.created <= TOLD_FOR_MILLIS)
    }
}

/// Does the work that is due.
pub(crate) fn settle(world: &mut World) {
    if world.bulk.busy.is_empty() {
        return;
    }
    for id in world.bulk.busy.clone() {
        if let Some(mut job) = world.bulk.take(id) {
            job.advance(world);
            world.bulk.put(job);
        }
    }
}
