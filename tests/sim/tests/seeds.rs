//! Fixed seeds, those that failed once, and whether the planted bugs still fit the code.

use postern_sim::mutants;
use postern_sim::search::{self, Asked};
use postern_sim::workload::Plan;

/// Enough for every test run; `.ci/run` runs more.
const SEEDS: u64 = 60;

#[test]
fn no_order_of_loss_crash_and_delay_breaks_a_promise() {
    let found = search::many(&Asked { from: 0, seeds: SEEDS, jobs: 2 }).unwrap();
    assert!(found.failure.is_none(), "{found}");
}

#[test]
fn what_failed_once_holds() {
    let plans = Plan::read(include_str!("../regressions.txt")).unwrap();
    assert!(!plans.is_empty());
    for (plan, wrong) in plans {
        let found = search::replay(plan).unwrap();
        assert!(found.failure.is_none(), "{wrong}\n{found}");
    }
}

#[test]
fn a_plan_is_written_and_read_as_it_was() {
    for seed in 0..50 {
        let text = Plan::of(seed).written("what was wrong").unwrap();
        let read = Plan::read(&text).unwrap();
        let [(plan, wrong)] = read.as_slice() else { panic!("{} plans", read.len()) };
        assert_eq!(plan.written(wrong).unwrap(), text);
    }
}

#[test]
fn every_bug_that_is_planted_fits_the_code() {
    let mutants = mutants::all().unwrap();
    assert!(mutants.len() >= 10, "there are {}", mutants.len());
    for mutant in mutants {
        mutant.planted().unwrap();
        // The simulation's own model: what it sees there says nothing about the product.
        assert_eq!(mutant.file.starts_with("tests/sim/"), !mutant.twin.is_empty(), "{}", mutant.name);
        for twin in mutant.twin {
            twin.planted().unwrap();
        }
    }
}

#[test]
fn a_seed_runs_the_same_way_every_time() {
    let told = || search::one(7, None).unwrap().fates;
    let (one, other) = (told(), told());
    assert!(!one.is_empty());
    assert_eq!(one, other);
}
