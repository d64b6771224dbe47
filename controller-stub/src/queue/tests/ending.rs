//! How a task ends that nobody did: refused, late, cancelled.

use super::*;

#[test]
fn a_rejection_means_what_its_reason_says() {
    for (reason, retry, outcome) in [
        (Rejection::Expired, 0, Some(Outcome::Expired)),
        (Rejection::Invalid, 0, Some(Outcome::Failed)),
        (Rejection::Unsupported, 0, Some(Outcome::Failed)),
        (Rejection::NeedsReseal, 0, Some(Outcome::Failed)),
        (Rejection::Policy, 0, Some(Outcome::Failed)),
        (Rejection::BadSignature, 0, Some(Outcome::Failed)),
        (Rejection::Overloaded, 1_000, None),
        (Rejection::Draining, 1_000, None),
        (Rejection::StoreFault, 0, None),
        (Rejection::Fenced, 0, None),
    ] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
        world.queue.reject(ONE, lease, no(reason, retry), at(0));
        assert_eq!(world.outcome(1), outcome, "{reason}");
        if outcome.is_none() {
            assert_eq!(world.assign(499), None, "{reason}: not at once");
            assert!(world.queue.waits_for(lease.task).ends_with(&format!("{reason}: no")), "a person reads why");
        }
    }
}

#[test]
fn a_member_that_cannot_is_left_out_and_another_gets_the_task() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.connect(TWO, holder(10));
    world.queue.reject(ONE, lease, no(Rejection::Unsupported, 0), at(0));
    let second = world.assign(1).unwrap();
    assert_eq!((world.queue.load(TWO), second.epoch), (1, Epoch(2)));
    world.queue.reject(TWO, second, no(Rejection::Overloaded, 2_000), at(1));
    assert_eq!(world.assign(2_000), None);
    assert!(world.assign(2_001).is_some());
}

/// Wait as long as it asks for, and a member that takes nothing has the ledger write two records of each task, twice a second.
#[test]
fn a_member_that_goes_on_not_taking_a_task_is_asked_ever_more_seldom() {
    for (asks_for, waits) in [
        (1, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 16_000]),
        (3_000, [3_000, 6_000, 12_000, 16_000, 16_000, 16_000, 16_000]),
        (30_000, [30_000; 7]),
    ] {
        let (mut world, mut lease) = World::holding(TaskKind::DisableUser, "leased");
        let mut now = 0;
        for wait in waits {
            world.queue.reject(ONE, lease, no(Rejection::Overloaded, asks_for), at(now));
            assert_eq!(world.assign(now + wait - 1), None, "{asks_for}, {now}");
            now += wait;
            lease = world.assign(now).unwrap();
        }
        let last = waits[6];
        // To say for a moment that it has it changes nothing.
        world.queue.accept(ONE, lease);
        world.queue.reject(ONE, lease, no(Rejection::Overloaded, asks_for), at(now + last - 1));
        assert_eq!(world.assign(now + 2 * last - 2), None, "{asks_for}");
        now += 2 * last - 1;
        lease = world.assign(now).unwrap();
        world.queue.reject(ONE, lease, no(Rejection::Overloaded, asks_for), at(now + last));
        assert!(world.assign(now + last + waits[0]).is_some(), "{asks_for}: it kept it for as long");
    }
}

/// Go on by one each time, and a member that knows the task from a ledger that is gone, under an epoch far ahead, waits for an hour.
#[test]
fn epochs_go_on_as_fast_as_if_a_member_that_knows_a_newer_one_were_asked_twice_a_second() {
    let (mut world, mut lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.set_credit(ONE, 100);
    let mut now = 0;
    while lease.epoch < Epoch(225) {
        world.queue.reject(ONE, lease, no(Rejection::Fenced, 0), at(now));
        now += [500, 1_000, 2_000, 4_000, 8_000, 16_000]
            .into_iter()
            .find(|wait| world.assign(now + wait).is_some())
            .unwrap();
        let epoch = world.queue.task(lease.task).unwrap().epoch;
        assert!(epoch > lease.epoch);
        lease.epoch = epoch;
    }
    assert!(now <= 225 * 500 + 16_000, "{now}");
}

/// Go by who is there, and what one member's policy refuses fails for good while the member that would do it is started again.
#[test]
fn what_one_member_refuses_waits_for_another_that_was_there_a_moment_ago() {
    let away = TTL + SETTLE;
    for reason in [Rejection::Policy, Rejection::BadSignature, Rejection::Unsupported] {
        let refused = || {
            let mut world = World::new();
            for member in [ONE, TWO] {
                let opener = Opener { cluster: "acme".parse().unwrap(), keys: BTreeSet::new(), enabled: true };
                world.queue.set_opener(member, Some(opener));
            }
            world.queue.tick(at(0));
            world.queue.connect(ONE, holder(10));
            world.queue.connect(TWO, other(10));
            world.queue.disconnect(TWO, at(away).now);
            world.queue.submit(task(1), at(away + 1));
            let lease = world.assign(away + 1).unwrap();
            world.queue.reject(ONE, lease, no(reason, 0), at(away + 2));
            assert_eq!((world.state(1), world.assign(away + 1_000)), ("queued", None), "{reason}");
            let waits = world.queue.waits_for(lease.task);
            assert!(waits.contains("away") && waits.contains(&format!("{reason}: no")), "{waits}");
            world
        };

        let mut comes_back = refused();
        comes_back.queue.connect(TWO, other(10));
        assert!(comes_back.assign(2 * away - 1).is_some(), "{reason}");
        comes_back.queue.tick(at(2 * away));
        assert_eq!(comes_back.state(1), "leased", "{reason}");

        let mut is_busy = refused();
        is_busy.queue.connect(TWO, other(0));
        assert!(!is_busy.queue.waits_for(id(1)).contains("away"), "{reason}");
        is_busy.queue.tick(at(2 * away));
        assert_eq!(is_busy.state(1), "queued", "{reason}");

        let mut leaves_again = refused();
        leaves_again.queue.connect(TWO, other(0));
        leaves_again.queue.disconnect(TWO, at(2 * away - 5).now);
        leaves_again.queue.tick(at(3 * away - 6));
        assert_eq!(leaves_again.state(1), "queued", "{reason}: it was there a moment ago");
        leaves_again.queue.tick(at(3 * away - 5));
        assert_eq!(leaves_again.outcome(1), Some(Outcome::Failed), "{reason}");

        let mut stays_away = refused();
        stays_away.queue.tick(at(2 * away - 1));
        assert_eq!(stays_away.state(1), "queued", "{reason}");
        stays_away.queue.tick(at(2 * away));
        assert_eq!(stays_away.outcome(1), Some(Outcome::Failed), "{reason}");
        let finish = stays_away.record(1).finish.unwrap();
        assert_eq!((finish.certainty, finish.note), (Certainty::Certain, format!("{reason}: no")), "{reason}");
        stays_away.queue.submit(task(2), at(2 * away));
        let lease = stays_away.assign(2 * away).unwrap();
        stays_away.queue.reject(ONE, lease, no(reason, 0), at(2 * away));
        assert_eq!(stays_away.outcome(2), Some(Outcome::Failed), "{reason}: it is given up by now");
    }
}

/// Leave any of these out, and every refusal comes as late as if somebody had to be waited for.
#[test]
fn nobody_waits_for_a_member_that_would_not_do_it() {
    let opener =
        |cluster: &str| Some(Opener { cluster: cluster.parse().unwrap(), keys: BTreeSet::new(), enabled: true });
    let serves_nothing = Holder { serves: Serves::new(), ..other(10) };
    for (two, knows, why) in [
        (serves_nothing, opener("acme"), "it does not serve the system"),
        (other(10), opener("other"), "it is of another cluster"),
        (other(10), None, "it was revoked"),
    ] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
        world.queue.set_opener(TWO, knows);
        world.queue.connect(TWO, two);
        world.queue.disconnect(TWO, at(1).now);
        world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(2));
        assert_eq!(world.outcome(1), Some(Outcome::Failed), "{why}");
    }

    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.tick(at(0));
    world.queue.set_opener(TWO, opener("acme").map(|it| Opener { enabled: false, ..it }));
    world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(1));
    assert_eq!(world.outcome(1), Some(Outcome::Failed), "it is not enabled, and was not seen yet");

    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.set_opener(TWO, opener("acme"));
    world.queue.connect(TWO, other(10));
    world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(0));
    let again = world.assign(0).unwrap();
    world.queue.reject(TWO, again, no(Rejection::Overloaded, 1_000), at(0));
    let again = world.assign(1_000).unwrap();
    world.queue.reject(TWO, again, no(Rejection::Policy, 0), at(1_000));
    assert_eq!(world.outcome(1), Some(Outcome::Failed), "everybody refused it");
}

/// Look when it is refused alone, and it waits without end for a member that was busy then and is gone since. Look at what a
/// member refused that is gone itself, and a short outage of everybody ends it.
#[test]
fn what_was_refused_fails_when_the_member_that_it_waited_for_is_gone() {
    type Goes = fn(&mut Queue);
    let goes: [(&str, Goes, u64); 5] = [
        ("its session ends", |queue| queue.disconnect(TWO, at(1_000).now), TTL + SETTLE),
        ("it is drained", |queue| queue.set_enabled(TWO, false, at(1_000).now), TTL + SETTLE),
        ("it is drained, then stopped", drain_and_stop, TTL + SETTLE),
        ("it is removed", |queue| queue.forget(TWO), 0),
        ("it does other things", |queue| queue.connect(TWO, Holder { serves: Serves::new(), ..other(10) }), 0),
    ];
    for (why, go, after) in goes {
        let refused = || {
            let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
            let opener = Opener { cluster: "acme".parse().unwrap(), keys: BTreeSet::new(), enabled: true };
            world.queue.set_opener(TWO, Some(opener));
            world.queue.connect(TWO, other(0));
            world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(0));
            go(&mut world.queue);
            world
        };
        let mut world = refused();
        assert!(world.queue.waits_for(id(1)).contains("fails soon"), "{why}");
        if after > 0 {
            world.queue.tick(at(1_000 + after - 1));
            assert_eq!(world.state(1), "queued", "{why}");
        }
        world.queue.tick(at(1_000 + after));
        assert_eq!(world.outcome(1), Some(Outcome::Failed), "{why}");

        let mut alone = refused();
        alone.queue.disconnect(ONE, at(1_000).now);
        alone.queue.tick(at(10 * (TTL + SETTLE)));
        assert_eq!(alone.state(1), "queued", "{why}: nobody is there who refuses it");
    }
}

/// Take what is given back for refused, and what another member refused for good fails while the one that does it is restarted.
#[test]
fn what_is_given_back_waits_for_the_member_that_gave_it_back() {
    for stops in [true, false] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
        for member in [ONE, TWO] {
            let opener = Opener { cluster: "acme".parse().unwrap(), keys: BTreeSet::new(), enabled: true };
            world.queue.set_opener(member, Some(opener));
        }
        world.queue.connect(TWO, other(1));
        world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(0));
        let lease = world.assign(0).unwrap();
        if stops {
            world.queue.set_stopping(TWO);
        } else {
            world.queue.set_enabled(TWO, false, at(1_000).now);
        }
        world.queue.reject(TWO, lease, no(Rejection::Draining, 0), at(1_000));
        world.queue.disconnect(TWO, at(1_000).now);
        world.queue.tick(at(1_000));
        assert_eq!(world.state(1), "queued", "stops: {stops}");
        world.queue.tick(at(1_000 + TTL + SETTLE));
        assert_eq!(world.outcome(1), Some(Outcome::Failed), "stops: {stops}");
        assert_eq!(world.record(1).finish.unwrap().note, "policy: no", "stops: {stops}");
    }
}

/// Keep one word for both, and whoever looks goes to a policy while a disk is full, or to a system that is not configured there
/// while it is the other's policy.
#[test]
fn a_task_says_why_it_waits_now_and_fails_with_what_was_said_last_for_good() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    let opener = Opener { cluster: "acme".parse().unwrap(), keys: BTreeSet::new(), enabled: true };
    world.queue.set_opener(TWO, Some(opener));
    world.queue.connect(TWO, other(10));
    world.queue.reject(ONE, lease, no(Rejection::Unsupported, 0), at(0));
    let lease = world.assign(0).unwrap();
    world.queue.reject(TWO, lease, no(Rejection::StoreFault, 1_000), at(0));
    assert_eq!(world.queue.waits_for(id(1)), "a member did not take it: store_fault: no");

    // Its session was cut, and it is asked again while the other's disk is still full.
    world.queue.disconnect(ONE, at(1).now);
    world.queue.connect(ONE, holder(10));
    let lease = world.assign(1).unwrap();
    world.queue.reject(ONE, lease, no(Rejection::Unsupported, 0), at(1));
    assert_eq!(world.queue.waits_for(id(1)), "a member did not take it: store_fault: no");

    world.queue.disconnect(TWO, at(1).now);
    let waits = world.queue.waits_for(id(1));
    assert!(waits.starts_with("a member refused it: unsupported: no; it fails soon"), "{waits}");

    world.queue.connect(TWO, other(10));
    let lease = world.assign(1_000).unwrap();
    world.queue.reject(TWO, lease, no(Rejection::Policy, 0), at(1_000));
    assert_eq!(world.record(1).finish.unwrap().note, "policy: no");
}

fn drain_and_stop(queue: &mut Queue) {
    queue.set_enabled(TWO, false, at(1_000).now);
    queue.connect(TWO, Holder { enabled: false, ..other(0) });
    queue.disconnect(TWO, at(2_000).now);
}

/// Look at the first ones alone, and what is behind them waits without end.
#[test]
fn however_much_was_refused_all_of_it_is_looked_at_in_turn() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    world.queue.connect(ONE, holder(1_000));
    world.queue.connect(TWO, other(0));
    for n in 0..500 {
        let target = format!("user{n}");
        world.queue.submit(TaskRecord { id: TaskId::from_random(n, [0; 10]), target, ..task(1) }, at(0));
        let lease = world.assign(0).unwrap();
        world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(0));
    }
    assert_eq!(world.queue.len(), 500);
    world.queue.forget(TWO);
    for tick in 1..=5 {
        world.queue.tick(at(tick * 100));
    }
    assert!(world.queue.is_empty(), "{}", world.queue.len());
}

/// Every member is away when a controller is started again, and those that are back first may be the ones that refuse it.
#[test]
fn what_one_member_refuses_waits_for_those_that_a_started_controller_has_not_seen_yet() {
    for (back, outcome) in [(true, None), (false, Some(Outcome::Failed))] {
        let mut world = World::new();
        for member in [ONE, TWO] {
            let opener = Opener { cluster: "acme".parse().unwrap(), keys: BTreeSet::new(), enabled: true };
            world.queue.set_opener(member, Some(opener));
        }
        world.queue.restore(task(1), at(0));
        world.queue.tick(at(0));
        world.queue.connect(ONE, holder(10));
        let lease = world.assign(1_000).unwrap();
        world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(1_000));
        assert_eq!(world.state(1), "queued");
        if back {
            world.queue.connect(TWO, other(10));
            assert!(world.assign(2_000).is_some());
        }
        world.queue.tick(at(TTL + SETTLE));
        assert_eq!(world.outcome(1), outcome, "comes back: {back}");
    }
}

#[test]
fn what_may_have_been_begun_never_ends_as_if_nothing_had_happened() {
    for reason in [Rejection::Expired, Rejection::Invalid, Rejection::NeedsReseal] {
        let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
        world.queue.tick(at(TTL));
        world.queue.tick(at(TTL + SETTLE));
        let again = world.assign(TTL + SETTLE).unwrap();
        world.queue.reject(ONE, again, no(reason, 0), at(0));
        assert_eq!(world.outcome(1), Some(Outcome::Unknown), "{reason}");
    }
}

/// Go by the clock that a controller starts with, and what is in time ends as expired, for good, and what is late is begun.
#[test]
fn deadlines_from_before_a_restart_follow_the_wall() {
    let right = |millis: u64| Moment { wall: UnixMillis(100_000_000 + millis), ..at(millis) };
    let restored = |wall: u64| {
        let mut world = World::new();
        world.queue.connect(ONE, holder(10));
        let deadline = Some(UnixMillis(right(3_600_000).wall.0));
        let start = Moment { wall: UnixMillis(wall), ..at(0) };
        world.queue.restore(TaskRecord { deadline, ..task(1) }, start);
        world.queue.submit(TaskRecord { deadline: Some(UnixMillis(wall + 7_200_000)), ..task(2) }, start);
        world.queue.tick(start);
        world
    };
    let mut ahead = restored(right(8 * 3_600_000).wall.0);
    assert!(ahead.assign(0).is_some_and(|it| it.task == id(2)), "the other is late by that clock");
    assert!(ahead.assign(0).is_none());
    ahead.queue.tick(right(1_000));
    assert_eq!(ahead.queue.poll_assign(right(1_000)).map(|it| it.deadline_ms), Some(3_599_000));

    let mut behind = restored(1_000_000);
    behind.queue.tick(right(3_600_001));
    assert_eq!(
        (behind.outcome(1), behind.outcome(2)),
        (Some(Outcome::Expired), None),
        "of the other this process knows"
    );

    let mut late = restored(right(8 * 3_600_000).wall.0);
    for (millis, outcome) in [(TTL - 1, None), (TTL, Some(Outcome::Expired))] {
        late.queue.tick(Moment { wall: UnixMillis(right(8 * 3_600_000 + millis).wall.0), ..at(millis) });
        if outcome.is_some() {
            assert_eq!(late.outcome(1), outcome, "{millis}");
        } else {
            assert!(late.queue.task(id(1)).is_some(), "{millis}");
        }
    }
}

/// Take what nothing was heard of for what has not begun, and an export that began in time, which tells nothing of that, is
/// stopped at its deadline.
#[test]
fn a_holder_is_told_that_the_deadline_passed_and_keeps_its_lease_because_it_may_have_begun() {
    for (kind, state) in [
        (TaskKind::Export, "leased"),
        (TaskKind::Export, "accepted"),
        (TaskKind::DisableUser, "leased"),
        (TaskKind::DisableUser, "accepted"),
    ] {
        let mut world = World::new();
        world.queue.connect(ONE, holder(10));
        let deadline = Some(UnixMillis(at(0).wall.0 + 500));
        world.queue.submit(TaskRecord { kind, deadline, ..task(1) }, at(0));
        let lease = world.assign(0).unwrap();
        if state == "accepted" {
            world.queue.accept(ONE, lease);
        }
        assert_eq!(world.queue.renew(ONE, lease, at(499).now), LeaseVerdict::Kept, "{kind} {state}");
        assert_eq!(world.queue.renew(ONE, lease, at(500).now), LeaseVerdict::Late, "{kind} {state}");
        world.queue.tick(at(TTL));
        assert_eq!((world.state(1), world.queue.load(ONE)), (state, 1), "{kind}");

        let report = reported(lease, Outcome::Expired, Certainty::Certain);
        assert_eq!(world.queue.report(ONE, report, at(TTL)), Verdict::Finished);
        assert_eq!(world.outcome(1), Some(Outcome::Expired), "it says itself what has not begun");
    }
}

/// Say only that it is kept, and one that was restarted waits for what another member sent, and goes on after the deadline, or
/// sends the rest of a batch that it began in time.
#[test]
fn a_holder_is_told_that_the_deadline_passed_of_what_is_not_cancelled_by_it() {
    let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
    let mut record = world.record(1);
    (record.deadline, record.state, record.reconcile) = (Some(UnixMillis(at(0).wall.0 + 500)), TaskState::Queued, true);
    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    world.queue.submit(record, at(0));
    let lease = world.assign(0).unwrap();
    world.queue.accept(ONE, lease);
    assert_eq!(world.queue.renew(ONE, lease, at(499).now), LeaseVerdict::Kept);
    assert_eq!(world.queue.renew(ONE, lease, at(500).now), LeaseVerdict::Late);
    world.queue.tick(at(TTL));
    assert_eq!(world.state(1), "accepted", "it is kept");
    world.queue.start(ONE, lease);
    assert_eq!(
        world.queue.renew(ONE, lease, at(TTL).now),
        LeaseVerdict::Late,
        "what it has begun of a batch is not all"
    );
    assert_eq!(world.state(1), "started");
}

#[test]
fn a_deadline_ends_what_nobody_has_and_leaves_the_rest_to_its_holder() {
    let mut world = World::new();
    let deadline = Some(UnixMillis(at(0).wall.0 + 500));
    world.queue.submit(TaskRecord { deadline, ..task(1) }, at(0));
    world.queue.submit(TaskRecord { deadline, ..task(2) }, at(0));
    world.queue.connect(ONE, holder(1));
    let assigned = world.queue.poll_assign(at(100)).unwrap();
    assert_eq!((assigned.task, assigned.deadline_ms), (id(1), 400));
    world.queue.tick(at(499));
    assert_eq!(world.state(2), "queued");
    world.queue.tick(at(500));
    assert_eq!((world.state(1), world.outcome(2)), ("leased", Some(Outcome::Expired)));
    assert_eq!(world.record(2).finish.unwrap().changed, Changed::No);
}

#[test]
fn cancelling_depends_on_how_far_the_task_is() {
    let mut world = World::new();
    world.queue.submit(task(1), at(0));
    assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::AtOnce);
    assert_eq!(world.outcome(1), Some(Outcome::Cancelled));
    assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::TooLate);

    for (state, verdict) in
        [("leased", LeaseVerdict::Cancelled), ("accepted", LeaseVerdict::Cancelled), ("started", LeaseVerdict::Kept)]
    {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, state);
        assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::Ask(ONE), "{state}");
        assert!(world.record(1).cancel_requested);
        assert_eq!(world.queue.renew(ONE, lease, at(1).now), verdict, "{state}");
    }

    let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    let now = at(TTL + SETTLE);
    assert_eq!(world.queue.cancel(id(1), now), Cancelled::Later, "somebody may have begun it");
    let lease = world.assign(TTL + SETTLE).unwrap();
    assert_eq!(world.queue.renew(ONE, lease, now.now), LeaseVerdict::Kept, "its next holder has to look");
}

/// Queue it, and it waits for a member that is told to stop there: without one it never ends.
#[test]
fn what_was_cancelled_and_comes_back_unbegun_is_cancelled() {
    type ComesBack = fn(&mut World, LeaseRef);
    let table: [(&str, ComesBack); 3] = [
        ("given back", |world, lease| world.queue.reject(ONE, lease, no(Rejection::Draining, 0), at(2))),
        ("not there", |world, _| world.queue.settle(ONE, &Held::new(), Memory::Same, at(2))),
        ("taken away unbegun", |world, _| {
            world.queue.take_away(ONE, at(2));
            world.queue.settle(ONE, &Held::new(), Memory::Same, at(3));
        }),
    ];
    for (why, comes_back) in table {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
        assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::Ask(ONE));
        comes_back(&mut world, lease);
        assert_eq!(world.outcome(1), Some(Outcome::Cancelled), "{why}");
        assert!(world.queue.is_empty(), "{why}");

        let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
        world.queue.tick(at(TTL));
        world.queue.tick(at(TTL + SETTLE));
        let again = world.assign(TTL + SETTLE).unwrap();
        world.queue.accept(ONE, again);
        world.queue.cancel(id(1), at(TTL + SETTLE));
        comes_back(&mut world, again);
        assert_eq!(world.state(1), "queued", "{why}: an earlier holder may have begun it");
    }

    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.cancel(id(1), at(1));
    world.queue.reject(ONE, lease, no(Rejection::Fenced, 0), at(2));
    assert_eq!(world.state(1), "queued", "a member that knows a newer lease may have begun it under that");
}

/// The ledger was restored from a backup, and the task submitted again: who did it says so, and another member is given it.
/// Let that one go ahead without a look, and a password is expired twice.
#[test]
fn whoever_is_given_what_another_member_knows_to_have_ended_looks_first() {
    let (mut world, lease) = World::holding(TaskKind::ExpirePassword, "leased");
    world.queue.connect(TWO, other(10));
    assert!(world.record(1).alone.is_some());
    world.queue.reject(ONE, lease, no(Rejection::Fenced, 0), at(1));
    let next = world.assign(1).unwrap();
    assert_eq!((world.queue.load(TWO), next.epoch, world.record(1).reconcile), (1, Epoch(2), true));
}

/// Take it for a refusal of one that must not work, and a member that was drained for a moment is never asked again.
#[test]
fn a_member_that_was_enabled_while_it_gave_its_work_back_is_asked_again() {
    type Rests = fn(&mut Queue);
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
    world.queue.set_enabled(ONE, false, at(0).now);
    world.queue.set_enabled(ONE, true, at(0).now);
    world.queue.reject(ONE, lease, no(Rejection::Draining, 0), at(0));
    assert_eq!(world.assign(499), None);
    assert!(world.assign(500).is_some());

    let table: [(&str, Rests); 2] =
        [("disabled", |queue| queue.set_enabled(ONE, false, at(0).now)), ("stopping", |queue| queue.set_stopping(ONE))];
    for (why, rests) in table {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
        rests(&mut world.queue);
        world.queue.reject(ONE, lease, no(Rejection::Draining, 0), at(0));
        assert_eq!(world.assign(10_000), None, "{why}");
    }
}
