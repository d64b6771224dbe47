//! Fixed seeds, those that failed once, and whether the planted bugs still fit the code.

use postern_sim::mutants;
use postern_sim::search::{self, Asked};

/// Enough for every test run; `.ci/run` runs more.
const SEEDS: u64 = 60;

#[test]
fn no_order_of_loss_crash_and_delay_breaks_a_promise() {
    let found = search::many(&Asked { from: 0, seeds: SEEDS, jobs: 2 }).unwrap();
    assert!(found.failure.is_none(), "{found}");
}

/// Each line of `regressions.txt` is a seed, those of its steps that failed, and what was wrong.
#[test]
fn what_failed_once_holds() {
    for line in include_str!("../regressions.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let seed = words.next().unwrap().parse().unwrap();
        let only: Vec<usize> = words.next().unwrap().split(',').map(|it| it.parse().unwrap()).collect();
        let found = search::one(seed, Some(&only)).unwrap();
        assert!(found.failure.is_none(), "{line}\n{found}");
    }
}

#[test]
fn every_bug_that_is_planted_fits_the_code() {
    let mutants = mutants::all().unwrap();
    assert!(mutants.len() >= 10, "there are {}", mutants.len());
    for mutant in mutants {
        mutant.planted().unwrap();
    }
}

#[test]
fn a_seed_runs_the_same_way_every_time() {
    let told = || search::one(7, None).unwrap().fates;
    let (one, other) = (told(), told());
    assert!(!one.is_empty());
    assert_eq!(one, other);
}
