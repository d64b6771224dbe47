//! F17: the power goes, and what was not durable is lost or torn.

use postern_tests::powercut::{self, Guard, Plan, Tally, audit_log_at_work, identity_at_work, store_key_rotation};

use crate::programs;

fn cut(states: u64, without: Option<Guard>) -> Tally {
    let plan = Plan { states, seed: 1, without };
    powercut::run(programs(), plan, |_| ()).unwrap_or_else(|why| panic!("{why}"))
}

/// A short run of what the program `powercut` does at length.
#[test]
fn f17_a_power_cut_at_any_moment_loses_nothing_that_was_told() {
    let tally = cut(75, None);
    assert_eq!(tally.violations, Vec::<String>::new(), "{tally:?}");
    assert!(tally.states == 75 && tally.at_risk > 0 && tally.opening > 0, "{tally:?}");
}

/// The states are bad enough to tell: each guard of the store is missed when it is not there.
#[test]
fn f17_a_guard_that_is_left_out_is_missed() {
    for guard in [Guard::DataSync, Guard::FileSync, Guard::DirectorySync] {
        let tally = cut(50, Some(guard));
        assert!(tally.lost + tally.unopenable + tally.payloads > 0, "{guard:?}: {tally:?}");
    }
}

/// Behind everything that a change of the key does to the disk. Let the new key count before the payloads are under it, and
/// this fails.
#[test]
fn f17_a_store_whose_key_is_being_changed_opens_after_a_kill_or_a_power_cut_at_any_write() {
    let tally = store_key_rotation(programs(), 1, None).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(tally.violations, Vec::<String>::new(), "{tally:?}");
    assert!(tally.states > 150 && tally.at_risk > 0, "{tally:?}");
    for guard in [Guard::FileSync, Guard::DirectorySync] {
        let tally = store_key_rotation(programs(), 4, Some(guard)).unwrap_or_else(|why| panic!("{why}"));
        assert!(tally.lost + tally.unopenable + tally.payloads > 0, "{guard:?}: {tally:?}");
    }
}

/// Behind everything that a member does to its keys, certificates and roots. Let a request leave before its key is on disk, or
/// leave a sync out where a file is replaced, and this fails.
#[test]
fn f17_a_member_has_all_that_others_know_of_it_after_a_kill_or_a_power_cut_at_any_write() {
    let tally = identity_at_work(programs(), 1, None).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(tally.violations, Vec::<String>::new(), "{tally:?}");
    assert!(tally.states > 500 && tally.at_risk > 0, "{tally:?}");
    for guard in [Guard::FileSync, Guard::DirectorySync] {
        let tally = identity_at_work(programs(), 2, Some(guard)).unwrap_or_else(|why| panic!("{why}"));
        assert!(tally.lost + tally.unopenable > 0, "{guard:?}: {tally:?}");
    }
}

/// Behind everything that is done to an audit log. Take half a line for one that was edited, or leave a sync out, and this
/// fails.
#[test]
fn f17_an_audit_log_is_whole_and_called_so_after_a_kill_or_a_power_cut_at_any_write() {
    let tally = audit_log_at_work(programs(), 1, None).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(tally.violations, Vec::<String>::new(), "{tally:?}");
    assert!(tally.states > 500 && tally.at_risk > 0, "{tally:?}");
    for guard in [Guard::FileSync, Guard::DirectorySync] {
        let tally = audit_log_at_work(programs(), 2, Some(guard)).unwrap_or_else(|why| panic!("{why}"));
        assert!(tally.lost + tally.unopenable > 0, "{guard:?}: {tally:?}");
    }
}
