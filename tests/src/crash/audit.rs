//! Whether what was promised was kept: every task against what the simulator saw of it.

mod accounts;
mod exports;
mod imports;
mod logs;
mod outcomes;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use postern_protocol::code::CodeSet as _;

use super::desk::Desk;
use super::ended::{Ended, Seen, Told};
use super::kills::Death;
use super::load::World;
use super::{Tally, load};
use crate::Agent;
use crate::lab::Controller;

/// How many tasks are looked at again at once.
const AT_ONCE: usize = 8;
/// The latest call of the last tasks has taken effect by then.
const LATEST: Duration = Duration::from_secs(2);

/// What fell into the life of a task, so that not everything can be known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trouble {
    /// Deaths of agents.
    kills: usize,
    /// Those of the agent that died most often.
    kills_of_one: usize,
    /// Whether a call took effect late, or may have: it had no answer in time.
    late: bool,
    /// Whether somebody wanted it cancelled.
    cancelled: bool,
}

impl Trouble {
    fn of(it: &Ended, deaths: &[Death], has_lost_answers: bool) -> Self {
        let mut kills = BTreeMap::<usize, usize>::new();
        for death in deaths.iter().filter(|death| death.from <= it.to && it.from <= death.to) {
            *kills.entry(death.agent).or_default() += 1;
        }
        let kills_of_one = kills.values().copied().max().unwrap_or(0);
        Self { kills: kills.values().sum(), kills_of_one, late: it.late || has_lost_answers, cancelled: it.cancelled }
    }

    /// Whether an answer may have been lost.
    fn may_have_lost_answers(self) -> bool {
        self.kills > 0 || self.late
    }
}

pub(super) async fn audit(world: World<'_>, agents: &[Agent], deaths: &[Death], tally: &mut Tally) {
    tokio::time::sleep(LATEST).await;
    let counters = world.salesforce.counters();
    let (desk, ended) = world.end();
    let unanswered = logs::tasks_with_lost_answers(agents);
    for it in &ended {
        count(it, tally);
        let trouble = Trouble::of(it, deaths, unanswered.contains(&it.id.to_string()));
        let mut complaints = outcomes::check(it, trouble);
        complaints.extend(match &it.seen {
            Seen::Account { effects, as_asked } => accounts::check_effects(it, trouble, *effects, *as_asked),
            Seen::Password { calls, is_set } => accounts::check_password(it, trouble, *calls, *is_set),
            Seen::Import { entries, results } => imports::check(it, trouble, entries, results.as_ref(), tally),
            Seen::Export { names } => exports::check(it, names).into_iter().collect(),
        });
        for complaint in complaints {
            let (id, kind, of, Told { outcome, why, attempts, .. }) = (it.id, it.kind, &it.of, &it.told);
            let what = format!("{id}, {kind} of {of}, {outcome} ({why}) in {attempts} attempts, {trouble:?}");
            tally.violations.push(format!("{what}: {complaint}"));
        }
    }
    tally.violations.extend(imports::check_made(&ended, &counters));
    tally.violations.extend(outcomes::check_rates(tally));
    tally.violations.extend(check_lasting(&desk, &ended).await);
    let (lines, complaints) = logs::check(agents, &ended).await;
    tally.audited = lines;
    tally.violations.extend(complaints);
}

fn count(it: &Ended, tally: &mut Tally) {
    tally.tasks += 1;
    tally.effects += match &it.seen {
        Seen::Account { effects, .. } => effects.after.issued,
        Seen::Password { calls, .. } => calls.after.taken,
        Seen::Import { .. } | Seen::Export { .. } => 0,
    };
    tally.late += u64::from(it.late);
    *tally.outcomes.entry(it.kind.name()).or_default().entry(it.told.outcome.clone()).or_default() += 1;
}

/// An outcome that was told is told for ever.
async fn check_lasting(desk: &Desk, ended: &[Ended]) -> Vec<String> {
    let look = async |Ended { id, told, .. }: &Ended| {
        let now = Told::of(&desk.outcome(*id).await);
        (now != *told).then(|| format!("{id} was told as {told:?}, and is now told as {now:?}"))
    };
    futures_util::stream::iter(ended.iter().map(look))
        .buffer_unordered(AT_ONCE)
        .filter_map(async |it| it)
        .collect()
        .await
}

/// A store that could not be opened is moved aside: none may have been.
pub(super) fn check_stores(controller: &Controller, agent: &Agent, tally: &mut Tally) {
    for store in [agent.folder().join("state/store"), controller.data().to_owned()] {
        for entry in walk(&store) {
            if entry.contains("corrupt-") {
                tally.violations.push(format!("a store had to be given up: {entry}"));
            }
        }
    }
}

fn walk(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            let mut found = if path.is_dir() { walk(&path) } else { Vec::new() };
            found.push(path.display().to_string());
            found
        })
        .collect()
}
