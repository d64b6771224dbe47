//! Running seeds, and making the steps of one that failed as few as they can be.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postern_controller_stub::ca::{Authority, CaError};
use postern_protocol::time::UnixMillis;

use crate::coverage::Coverage;
use crate::oracle::Violation;
use crate::workload::{Plan, WALL};
use crate::world::{Run, Telling, World};

/// The most runs that shrinking may take: some seconds.
const MAX_SHRINKS: usize = 400;

/// Which seeds to run.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The first.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// How many at once.
    pub jobs: usize,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The first seed that failed, shrunk.
    pub failure: Option<Failed>,
    /// What was met.
    pub coverage: Coverage,
    /// Seeds run.
    pub seeds: u64,
    /// Tasks taken in.
    pub tasks: usize,
    /// Changes that took effect.
    pub effects: usize,
    /// Faults, cancels and acts of operators.
    pub faults: usize,
    /// Events.
    pub events: u64,
    /// What happened, for people, if one seed was run alone.
    pub fates: Vec<String>,
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The steps that suffice.
    pub plan: Plan,
    /// What they break.
    pub violation: Violation,
}

impl Found {
    fn add(&mut self, run: &Run) {
        self.seeds += 1;
        self.tasks += run.tasks;
        self.effects += run.effects;
        self.faults += run.faults;
        self.events += run.events;
        self.coverage.add(&run.coverage);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fates.iter().try_for_each(|fate| writeln!(f, "{fate}"))?;
        let Self { seeds, tasks, faults, effects, events, .. } = self;
        writeln!(f, "{seeds} seeds, {tasks} tasks, {faults} faults, {effects} effects, {events} events")?;
        match &self.failure {
            None => writeln!(f, "every invariant held"),
            Some(Failed { plan, violation }) => {
                let numbers: Vec<String> = plan.steps.iter().map(|(number, _)| number.to_string()).collect();
                writeln!(f, "\n{violation}\n\nwith these steps:")?;
                for (number, step) in &plan.steps {
                    writeln!(f, "{number:>4} {step}")?;
                }
                writeln!(f, "\nagain: cargo sim --seed {} --only {}", plan.seed, numbers.join(","))?;
                let text = plan.written(&violation.seen).map_err(|_| fmt::Error)?;
                writeln!(f, "\nto keep, in tests/sim/regressions.txt:\n{text}")
            }
        }
    }
}

/// What the controllers' certificates hang on. Nobody enrolls in a simulation, but the state wants one.
pub fn authority() -> Result<Arc<Authority>, CaError> {
    let folder = tempfile::tempdir().map_err(|error| CaError::BadRequest(error.to_string()))?;
    Ok(Arc::new(Authority::open(folder.path(), UnixMillis(WALL))?))
}

/// Runs one seed, or some of its steps.
pub fn one(seed: u64, only: Option<&[usize]>) -> Result<Found, CaError> {
    let authority = authority()?;
    let whole = Plan::of(seed);
    let plan = match only {
        Some(only) => whole.keeping(|number| only.contains(&number)),
        None => whole,
    };
    let mut found = run(plan, &authority);
    if only.is_none() {
        found.failure = found.failure.map(|failed| shrink(failed, &authority));
    }
    Ok(found)
}

/// Runs a plan as it is.
pub fn replay(plan: Plan) -> Result<Found, CaError> {
    Ok(run(plan, &authority()?))
}

fn run(plan: Plan, authority: &Arc<Authority>) -> Found {
    let run = World::run(&plan, authority, Telling::All);
    let mut found = Found { fates: run.fates.clone(), ..Found::default() };
    found.add(&run);
    found.failure = run.violation.map(|violation| Failed { plan, violation });
    found
}

/// Runs many seeds, until one fails.
pub fn many(asked: &Asked) -> Result<Found, CaError> {
    let authority = authority()?;
    let (next, stop) = (AtomicU64::new(asked.from), AtomicBool::new(false));
    let found = Mutex::new(Found::default());
    let end = asked.from.saturating_add(asked.seeds);
    std::thread::scope(|scope| {
        for _ in 0..asked.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let plan = Plan::of(seed);
                    let run = World::run(&plan, &authority, Telling::End);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.add(&run);
                    if let Some(violation) = run.violation {
                        stop.store(true, Ordering::Relaxed);
                        // The smallest seed, so that the same is printed however many run at once.
                        if found.failure.as_ref().is_none_or(|it| seed < it.plan.seed) {
                            found.failure = Some(Failed { plan, violation });
                        }
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.failure = found.failure.map(|failed| shrink(failed, &authority));
    Ok(found)
}

/// Leaves out whatever is not needed for the same invariant to break: halves first, then single steps.
fn shrink(mut failed: Failed, authority: &Arc<Authority>) -> Failed {
    let mut runs = 0;
    let mut size = failed.plan.steps.len() / 2;
    while size > 0 {
        let mut start = 0;
        while start < failed.plan.steps.len() && runs < MAX_SHRINKS {
            let gone: Vec<usize> = failed.plan.steps.iter().skip(start).take(size).map(|(number, _)| *number).collect();
            let plan = failed.plan.keeping(|number| !gone.contains(&number));
            runs += 1;
            match World::run(&plan, authority, Telling::End).violation {
                Some(violation) if violation.invariant == failed.violation.invariant => {
                    failed = Failed { plan, violation };
                }
                _ => start += size,
            }
        }
        size /= 2;
    }
    failed
}
