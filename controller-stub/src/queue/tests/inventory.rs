//! What a member says that it holds.

use super::*;

/// Leave a doubt as it is when a store was lost, and the next inventory, of a store that is the same as the last,
/// makes certain that nothing happened.
#[test]
fn f19_what_a_lost_store_may_have_begun_stays_in_doubt_over_the_next_inventory() {
    let (mut world, _) = World::holding(TaskKind::ExpirePassword, "accepted");
    world.queue.tick(at(TTL));
    assert_eq!(world.state(1), "in_doubt");
    world.queue.settle(ONE, &Held::new(), Memory::Lost, at(TTL + 1));
    world.queue.settle(ONE, &Held::new(), Memory::Same, at(TTL + 2));
    assert_eq!(world.state(1), "in_doubt");
    world.queue.tick(at(TTL + SETTLE));
    assert_eq!(world.outcome(1), Some(Outcome::Unknown));
}

#[test]
fn an_inventory_settles_every_task_the_member_is_believed_to_hold() {
    use HeldState::{Journaled, Reported as IsReported, Started};
    use Memory::{Lost, Same};
    // believed, what the member says (epochs back, state), its memory, then state and reconcile
    let table = [
        ("leased", Some((0, Journaled)), Same, "accepted", false),
        ("leased", Some((0, Started)), Same, "started", false),
        ("leased", Some((0, IsReported)), Same, "started", false),
        ("accepted", Some((0, Journaled)), Same, "accepted", false),
        ("started", Some((0, Journaled)), Same, "in_doubt", false),
        ("leased", None, Same, "queued", false),
        ("accepted", None, Same, "queued", false),
        ("started", None, Same, "in_doubt", false),
        ("leased", None, Lost, "in_doubt", false),
        ("accepted", None, Lost, "in_doubt", false),
        ("started", None, Lost, "in_doubt", false),
        ("leased", Some((1, Journaled)), Same, "queued", false),
        ("leased", Some((1, Started)), Same, "queued", true),
        ("leased", Some((1, IsReported)), Same, "queued", true),
    ];
    for (believed, says, memory, state, reconcile) in table {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, believed);
        let held: Held =
            says.into_iter().map(|(back, state)| (lease.task, (Epoch(lease.epoch.0 - back), state))).collect();
        world.queue.settle(ONE, &held, memory, at(1));
        assert_eq!((world.state(1), world.record(1).reconcile), (state, reconcile), "{believed} {says:?} {memory:?}");
    }
}

/// Queue it, and the member begins once more under the lease that a renewal on its way let it keep, beside the next holder.
#[test]
fn a_member_that_has_forgotten_that_it_began_has_no_lease_any_more() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
    world.queue.connect(TWO, holder(10));
    world.queue.settle(TWO, &Held::new(), Memory::Same, at(0));
    assert_eq!(world.queue.renew(ONE, lease, at(1).now), LeaseVerdict::Kept);
    world.queue.settle(ONE, &Held::from([(lease.task, (lease.epoch, HeldState::Journaled))]), Memory::Same, at(2));
    assert_eq!(world.queue.renew(ONE, lease, at(3).now), LeaseVerdict::Fenced);
    assert_eq!(world.assign(TTL), None);
    world.queue.tick(at(2 * TTL + SETTLE));
    assert_eq!((world.state(1), world.record(1).reconcile), ("queued", true));
    assert!(world.assign(2 * TTL + SETTLE).is_some());
}

/// A renewal on its way may have told it that it keeps the lease: queue the task, and two work on it once the member is
/// enabled again.
#[test]
fn what_a_draining_member_has_not_begun_is_its_until_it_gives_it_back() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
    world.queue.connect(TWO, holder(10));
    world.queue.settle(TWO, &Held::new(), Memory::Same, at(0));
    world.queue.set_enabled(ONE, false, at(0).now);
    assert_eq!(world.queue.renew(ONE, lease, at(1).now), LeaseVerdict::Kept);
    world.queue.settle(ONE, &Held::from([(lease.task, (lease.epoch, HeldState::Journaled))]), Memory::Same, at(2));
    assert_eq!(world.assign(2), None);
    assert_eq!(world.state(1), "accepted");
    world.queue.reject(ONE, lease, no(Rejection::Draining, 0), at(3));
    assert!(world.assign(3).is_some(), "given back");
}

#[test]
fn an_inventory_revives_a_doubt_that_nobody_acted_on() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
    world.queue.tick(at(TTL));
    assert_eq!(world.state(1), "in_doubt");
    world.queue.settle(ONE, &Held::from([(lease.task, (lease.epoch, HeldState::Journaled))]), Memory::Same, at(TTL));
    assert_eq!(world.state(1), "accepted");
    world.queue.tick(at(2 * TTL - 1));
    assert_eq!(world.state(1), "accepted", "with a whole new lease");
}

/// The ledger was restored from a backup: a member holds what this one has as queued, and another would be given it.
#[test]
fn a_lease_in_an_inventory_that_this_ledger_never_gave_is_a_reason_to_look_first() {
    // the member's store, the epoch it names (the record's is 1), whether that is a reason
    let table =
        [(other(0), 2, true), (other(0), 1, true), (other(0), 0, false), (holder(0), 2, true), (holder(0), 1, false)];
    for (who, epoch, reason) in table {
        for state in [HeldState::Journaled, HeldState::Started, HeldState::Reported] {
            let (mut world, lease) = World::holding(TaskKind::ExpirePassword, "leased");
            world.queue.disconnect(ONE, at(0).now);
            world.queue.connect(TWO, who.clone());
            world.queue.settle(TWO, &Held::from([(lease.task, (Epoch(epoch), state))]), Memory::Same, at(1));
            assert_eq!(world.record(1).reconcile, reason, "{epoch} {state:?}");
            let stranger = Holder { cluster: "other".parse().unwrap(), ..who.clone() };
            let (mut world, lease) = World::holding(TaskKind::ExpirePassword, "leased");
            world.queue.connect(TWO, stranger);
            world.queue.settle(TWO, &Held::from([(lease.task, (Epoch(epoch), state))]), Memory::Same, at(1));
            assert!(!world.record(1).reconcile);
        }
    }
}
