//! Whether a task may end as it did.

use postern_protocol::TaskKind;

use super::super::ended::Ended;
use super::super::{LEASE, SETTLE, Tally};
use super::Trouble;

/// In how many deaths a task is given up that got no further.
const DEATHS: usize = 2;
/// And an import that had begun.
const DEATHS_OF_IMPORT: usize = 20;
/// In how many deaths each of the five entries of an import is found to be one that the process dies of: the halves that
/// it was tried in, and each alone.
const DEATHS_OF_ALL_ENTRIES: usize = 9;
/// A run of fewer kills says nothing about rates.
const KILLS_FOR_RATES: u64 = 50;

pub(super) fn check(it: &Ended, trouble: Trouble) -> Vec<String> {
    let may_be = match it.told.outcome.as_str() {
        "succeeded" | "already_satisfied" => true,
        // A task that was cancelled while it was in doubt may be told with what is known by then.
        "cancelled" | "failed" => trouble.cancelled,
        "unknown" => trouble.cancelled || may_be_unknown(it, trouble),
        "partially_succeeded" => it.kind == TaskKind::ImportBatch,
        "dead_lettered" => trouble.kills_of_one >= deaths_until_given_up(it),
        _ => false,
    };
    let mut complaints = Vec::new();
    if !may_be {
        complaints.push("it may not end so".to_owned());
    }
    if matches!(it.told.outcome.as_str(), "cancelled" | "expired") && it.told.changed != "no" {
        complaints.push(format!("nothing may have happened, and changed is {}", it.told.changed));
    }
    complaints
}

/// What brings about a state is found out by looking, and of a given password that nobody sees the second call is
/// answered, unless it is another member's that cannot tell whose the first was. What is never repeated may stay unknown, and
/// so may entries that are given up, each alone.
fn may_be_unknown(it: &Ended, trouble: Trouble) -> bool {
    let taken_over = it.told.attempts > 1;
    (it.kind == TaskKind::ExpirePassword && (trouble.may_have_lost_answers() || was_given_up(it)))
        || (it.kind == TaskKind::ResetPassword && (taken_over || trouble.kills + usize::from(trouble.late) >= 2))
        || (it.kind == TaskKind::ImportBatch && trouble.kills_of_one >= DEATHS_OF_ALL_ENTRIES)
}

/// Whether the controller may have waited in vain for who had the task: an agent that lost its session in the death of a
/// controller may dial too late for its lease.
fn was_given_up(it: &Ended) -> bool {
    !it.told.by_member && it.to - it.from >= LEASE + SETTLE
}

/// An import that was given up before it began is told again without the reason if it is leased anew after that was acknowledged:
/// then nobody knows what another member changed meanwhile.
fn deaths_until_given_up(it: &Ended) -> usize {
    let is_told_again = it.told.changed == "unknown" && it.told.why.contains("remembered how it ended and not why");
    let has_begun = it.told.changed != "no" && !is_told_again;
    if it.kind == TaskKind::ImportBatch && has_begun { DEATHS_OF_IMPORT } else { DEATHS }
}

/// Two deaths in one step are bad luck, which some kills have; each has several tasks in its way, so that many would mean
/// that deaths are miscounted. How many tasks there are between two kills is for the speed of the machine to say.
pub(super) fn check_rates(tally: &Tally) -> Option<String> {
    let dead: u64 = tally.outcomes.values().filter_map(|outcomes| outcomes.get("dead_lettered")).sum();
    (tally.rounds >= KILLS_FOR_RATES && dead > tally.rounds)
        .then(|| format!("{dead} tasks were dead-lettered in {} kills", tally.rounds))
}
