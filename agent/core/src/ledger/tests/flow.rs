//! How much is taken on: beside what is held, while reports pile up, and while calls are spoken for.

use postern_protocol::message::v1::{MAX_OUTPUT, MAX_PARTS, Report};
use postern_protocol::seal::{MAX_SECRET, SealedOutput};
use postern_protocol::trace::TraceContext;

use super::*;
use crate::outbox::LARGEST_REPORT;

fn task(n: u64) -> TaskId {
    TaskId::from_random(n, [7; 10])
}

/// A desk with room for this many reports whose controller is there and acknowledges nothing.
fn unheard(reports: usize) -> Desk {
    let mut desk = Desk::new();
    desk.ledger.limits.outbox = reports;
    desk.connect();
    desk
}

/// The newest credit among frames, absolute.
fn credit(frames: &[FromMember]) -> Option<u64> {
    let credit = |frame: &FromMember| match frame {
        FromMember::Credit(credit) => Some(credit.offers),
        _ => None,
    };
    frames.iter().rev().find_map(credit)
}

/// Offers a task; if it is taken, it is done at once. Whether it was.
fn done(desk: &mut Desk, n: u64, kind: TaskKind, ending: Ending) -> bool {
    desk.offer(Offer { task: task(n), ..offer(1, kind, 1) });
    desk.sync();
    if !desk.ledger.holds(task(n)) {
        return false;
    }
    desk.ledger.handle_concluded(task(n), ending, desk.now);
    desk.sync();
    true
}

/// Invariants 16 and 17. Grant `limits.held` whatever is owed and the second half fails; take changes in at any fill
/// and the last tenth does.
#[test]
fn f22_credit_shrinks_from_seventy_percent_of_the_outbox_on_and_changes_end_at_eighty_five() {
    let mut desk = unheard(1_000);
    let room = |desk: &Desk| desk.ledger.room();
    let mut rooms = Vec::new();
    for n in 0..2_000 {
        let taken = done(&mut desk, n, TaskKind::DisableUser, success());
        let owed = desk.ledger.outbox.len();
        assert!(taken || owed >= 850, "{owed}");
        if owed.is_multiple_of(50) {
            rooms.push((owed, room(&desk)));
        }
        if !taken {
            break;
        }
    }
    rooms.dedup();
    let from = |least: usize| rooms.iter().filter(move |(owed, _)| *owed >= least).map(|(_, room)| *room);
    assert!(rooms.iter().filter(|(owed, _)| *owed <= 700).all(|(_, room)| *room == 4), "{rooms:?}");
    assert_eq!(from(750).collect::<Vec<_>>(), [4, 3, 2], "{rooms:?}");
    assert_eq!(desk.ledger.outbox.len(), 850);

    let reads = (10_000..12_000).take_while(|n| done(&mut desk, *n, TaskKind::ValidateUser, success())).count();
    assert_eq!((reads, desk.ledger.outbox.len(), room(&desk)), (150, 1_000, 0), "reads go on to the end");
    desk.sent();
    assert_eq!(credit(&desk.sent()), None);

    desk.ledger.handle_report_ack(ReportNo(400), desk.now);
    assert!(credit(&desk.sent()).is_some());
    assert!(done(&mut desk, 20_000, TaskKind::DisableUser, success()));
}

/// Leave the look at the room out where an outcome is known already, and one task fills memory and disk.
#[test]
fn f22_tasks_that_ended_are_not_reported_again_beyond_the_quota() {
    for acknowledged in [false, true] {
        let mut desk = unheard(100);
        assert!((0..20).all(|n| done(&mut desk, n, TaskKind::DisableUser, success())));
        desk.sent();
        if acknowledged {
            desk.ledger.handle_report_ack(ReportNo(20), desk.now);
        }
        for (epoch, n) in (2..=50).flat_map(|epoch| (0..20).map(move |n| (epoch, n))) {
            desk.offer(Offer { task: task(n), ..offer(1, TaskKind::DisableUser, epoch) });
            desk.sync();
        }
        assert_eq!(desk.ledger.outbox.len(), 100);
        let refused = |frame: &FromMember| match frame {
            FromMember::Reject(reject) => reject.reason.known(),
            _ => None,
        };
        assert_eq!(desk.sent().iter().rev().find_map(refused), Some(Rejection::Overloaded));
    }
}

/// Nothing of it is dropped by age or number, and all of it comes in order after a restart.
#[test]
fn f22_an_outbox_at_its_quota_for_a_day_loses_nothing_and_grows_no_more() {
    let mut desk = unheard(1_000);
    let taken = (0..3_000).filter(|n| done(&mut desk, *n, TaskKind::ValidateUser, success())).count();
    assert_eq!(taken, 1_000);
    for hour in 0..24 {
        desk.now = at(100 + hour * 3_600);
        desk.ledger.handle_timeout(desk.now);
        desk.sync();
        desk.events();
    }
    let ledger = &desk.ledger;
    assert_eq!((ledger.outbox.len(), ledger.tasks.len(), ledger.gated.len(), ledger.events.len()), (1_000, 0, 0, 0));

    let reports = desk.disk.iter().filter_map(|write| match write {
        Write::PutReport(report) => Some((**report).clone()),
        _ => None,
    });
    let (reports, membership) = (reports.collect(), Some(enabled(1)));
    let mut again =
        Desk::restored(Restored { reports, next_report: ReportNo(1_001), membership, ..Restored::default() });
    again.connect();
    assert!(again.reports().iter().map(|it| it.number.0).eq(1..=1_000));
}

fn largest() -> Ending {
    let sealed = SealedOutput {
        name: Text::new("n".repeat(64)).unwrap(),
        enc: [1; 32],
        ciphertext: Bytes::new(vec![1; MAX_SECRET + 16]).unwrap(),
    };
    let stream = |n| StreamRef { id: StreamId::from_bytes([n; 16]), length: u64::MAX, sha256: [n; 32] };
    let texts = Failure::new(FailureClass::Internal, "c".repeat(64), "s".repeat(1024));
    Ending {
        failure: Some(texts.with_next_step("n".repeat(1024))),
        output: vec![1; MAX_OUTPUT],
        sealed: vec![sealed; MAX_PARTS],
        streams: (0..8).map(stream).collect(),
        trace: Some(TraceContext::of_task(task(1))),
        ..success()
    }
}

/// Forget the bytes in `reportable`, and the longest reports take 3 GiB before their number is reached.
#[test]
fn f22_the_outbox_is_bounded_in_bytes_however_long_reports_are() {
    let ending = Ending { streams: Vec::new(), ..largest() };
    let mut desk = unheard(100_000);
    desk.ledger.limits.outbox_bytes = 1024 * 1024;
    let taken = (0..100).filter(|n| done(&mut desk, *n, TaskKind::ValidateUser, ending.clone())).count();
    let bytes = desk.ledger.outbox.bytes();
    assert!(taken >= 36 && bytes <= 1024 * 1024, "{taken} reports of {bytes} bytes");
    let counted: usize = desk.ledger.outbox.iter().map(|it| postern_protocol::codec::encode(it).unwrap().len()).sum();
    assert_eq!(bytes, counted);
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(u64::MAX), desk.now);
    assert_eq!((desk.ledger.outbox.len(), desk.ledger.outbox.bytes()), (0, 0));
}

/// Take the number as it comes, and a controller that means "all that you have sent" makes the rest be forgotten.
#[test]
fn an_acknowledgement_covers_no_report_that_was_not_sent() {
    let mut desk = unheard(100);
    for n in 1..=3 {
        assert!(done(&mut desk, n, TaskKind::ValidateUser, success()));
    }
    let is_report = |frame: &FromMember| matches!(frame, FromMember::Report(_));
    while !desk.ledger.poll_transmit(desk.now).is_some_and(|frame| is_report(&frame)) {}
    desk.ledger.handle_report_ack(ReportNo(u64::MAX), desk.now);
    assert_eq!(desk.ledger.outbox.len(), 2);
    assert_eq!(desk.sent().iter().filter(|frame| is_report(frame)).count(), 2);
}

#[test]
fn what_is_owed_has_an_age_from_when_it_was_durable_until_it_is_acknowledged() {
    let mut desk = unheard(100);
    assert!(done(&mut desk, 1, TaskKind::ValidateUser, success()));
    let since = desk.now;
    desk.now = desk.now + Duration::from_secs(60);
    assert!(done(&mut desk, 2, TaskKind::ValidateUser, success()));
    let owed = desk.ledger.outbox();
    assert_eq!((owed.reports, owed.since), (2, Some(since)));
    assert_eq!(owed.bytes, desk.ledger.outbox.bytes());
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    assert_eq!(desk.ledger.outbox().since, Some(desk.now));
    desk.ledger.handle_report_ack(ReportNo(2), desk.now);
    assert_eq!((desk.ledger.outbox().reports, desk.ledger.outbox().since), (0, None));
}

/// Whatever is in a report, it fits what is reserved for it, and a frame.
#[test]
fn the_largest_report_fits_what_is_reserved_for_it_and_a_frame() {
    let report: Report = largest().into_report(&offer(1, TaskKind::ValidateUser, 1), Epoch(1));
    assert_eq!((report.output.len(), report.sealed.len(), report.streams.len()), (MAX_OUTPUT, MAX_PARTS, MAX_PARTS));
    assert_eq!(report.ext.len(), 1);
    let bytes = postern_protocol::codec::encode(&report).unwrap().len();
    assert!(bytes <= LARGEST_REPORT, "{bytes}");
    assert!(FromMember::from(report).encode().is_ok());
}

/// A controller that speaks and does not listen. Let the shell take in more all the same, and answers pile up for as
/// long as the link is patient.
#[test]
fn f29_answers_that_nobody_reads_choke_what_is_taken_in() {
    let mut desk = Desk::connected();
    assert!(!desk.ledger.is_choked());
    let cancels = (0..100_000).take_while(|n| {
        desk.ledger.handle_cancel(task(*n));
        !desk.ledger.is_choked()
    });
    assert!(cancels.count() < 1_024);
    desk.sent();
    assert!(!desk.ledger.is_choked());
}

/// Answer each question in full, and a burst of them is as many times all that is owed.
#[test]
fn only_the_newest_question_for_the_inventory_is_answered() {
    let mut desk = unheard(2_000);
    assert!((0..2_000).all(|n| done(&mut desk, n, TaskKind::ValidateUser, success())));
    desk.sent();
    (1..=50).for_each(|nonce| desk.ledger.handle_inventory_ask(nonce));
    desk.sync();
    let asked = |frame: &FromMember| if let FromMember::Inventory(page) = frame { Some(page.nonce) } else { None };
    assert_eq!(desk.sent().iter().filter_map(asked).collect::<Vec<_>>(), [50; 4]);
}

/// Invariant 17: an offer beyond the credit is refused, not swallowed.
#[test]
fn credit_is_absolute_and_bounds_what_is_held() {
    let mut desk = Desk::connected();
    assert_eq!(credit(&desk.sent()), Some(4));
    for n in 1..=5 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
    }
    desk.sync();
    let sent = desk.sent();
    assert!(
        matches!(sent.iter().find(|frame| frame.name() == "Reject"), Some(FromMember::Reject(reject)) if reject.task == id(5))
    );
    assert_eq!(desk.events().len(), 2, "as many as there are slots");
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert_eq!(credit(&desk.sent()), Some(6));
}

/// Grant it, and each task of a long queue is offered to a member that can take none, and again after ten seconds.
#[test]
fn no_credit_is_granted_while_the_store_has_no_room_for_new_work() {
    let mut desk = Desk::new();
    desk.ledger.handle_store_room(false);
    desk.connect();
    assert_eq!(credit(&desk.sent()), None);
    desk.ledger.handle_store_room(true);
    assert_eq!(credit(&desk.sent()), Some(4));

    desk.ledger.handle_store_room(false);
    for n in 1..=4 {
        let refusal = Some(Refusal { reason: Rejection::StoreFault, message: String::new(), retry_after: None });
        let offered = Offered { offer: urgent(n), origin: Origin::Controller, refusal };
        desk.ledger.handle_offer(offered, desk.now);
        assert_eq!(credit(&desk.sent()), None, "what was granted before is used up");
    }
    desk.ledger.handle_store_room(true);
    assert_eq!(credit(&desk.sent()), Some(8));
}

/// Grant none at all, and what was begun here is offered to nobody while the disk is full: it ends as unknown, though a look
/// would tell.
#[test]
fn what_was_begun_under_a_lost_lease_is_asked_for_though_the_store_has_no_room() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.started(2);
    desk.ledger.handle_store_room(false);
    desk.ledger.handle_disconnected();
    desk.connect();
    assert_eq!(credit(&desk.sent()), None, "both leases may be kept yet");
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Fenced);
    assert_eq!(credit(&desk.sent()), Some(2));

    for n in [1, 2] {
        desk.offer(Offer { reconcile: true, ..offer(n, TaskKind::DisableUser, 2) });
        desk.sync();
        assert!(desk.names().contains(&"Accept"), "{n}");
    }
    desk.ledger.handle_disconnected();
    desk.connect();
    assert_eq!(credit(&desk.sent()), None, "nothing is lost any more");
}

#[test]
fn credit_says_truly_what_would_be_taken_beside_batches() {
    let mut desk = Desk::connected();
    assert_eq!(credit(&desk.sent()), Some(4));
    for n in 1..=4 {
        desk.offer(offer(n, TaskKind::Export, 1));
    }
    desk.sync();
    assert_eq!(credit(&desk.sent()), Some(8));
    for n in 5..=8 {
        desk.offer(urgent(n));
    }
    desk.sync();
    let sent = desk.sent();
    assert!(sent.iter().all(|frame| frame.name() != "Reject"), "{sent:?}");
    assert_eq!((desk.ledger.room(), credit(&sent)), (0, None));
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert_eq!(
        (desk.ledger.room(), credit(&desk.sent())),
        (0, None),
        "one batch less: the others are as many as before"
    );
}

/// A desk of two systems that may hold so many tasks in all, nothing of which starts.
fn two_systems() -> Desk {
    let systems = ["acme", "beta"].map(|name| (name.parse().unwrap(), 2));
    let limits = Limits { held: 100, ..Limits::for_systems(systems.into()) };
    let mut desk = Desk::new();
    desk.ledger = Ledger::restore(limits, Restored::default());
    desk.connect();
    desk
}

fn calls_left(desk: &mut Desk, system: &str, calls: u64, until: u64) {
    desk.ledger.handle_calls_left(&system.parse().unwrap(), Some(CallsLeft { calls, until: at(until) }));
}

fn offer_to(desk: &mut Desk, n: u64, system: &str) {
    let system = system.parse().unwrap();
    desk.offer(Offer { task: task(n), system, ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
}

/// How long the newest refusal asks to wait.
fn refused_for(desk: &mut Desk) -> Option<u32> {
    let frames = desk.sent();
    frames.iter().rev().find_map(|frame| match frame {
        FromMember::Reject(reject) if reject.reason.known() == Some(Rejection::Overloaded) => {
            Some(reject.retry_after_ms)
        }
        _ => None,
    })
}

/// Leave the calls out of the room, and a hundred tasks wait here for an org that takes none.
#[test]
fn f61_credit_ends_where_the_calls_of_every_system_are_spoken_for_and_comes_back_with_the_next_day() {
    let mut desk = two_systems();
    assert_eq!(desk.ledger.room(), 100, "nobody says anything");
    calls_left(&mut desk, "acme", 15_000, 400);
    calls_left(&mut desk, "beta", 0, 1_000);
    assert_eq!(desk.ledger.room(), 100, "one is enough");
    calls_left(&mut desk, "acme", 24, 400);
    assert_eq!(desk.ledger.room(), 3);
    offer_to(&mut desk, 1, "acme");
    assert!(desk.ledger.holds(task(1)));
    assert_eq!(desk.ledger.room(), 2, "what is held needs some of them");
    calls_left(&mut desk, "acme", 7, 400);
    desk.sent();
    assert_eq!((desk.ledger.room(), credit(&desk.sent())), (0, None));

    assert_eq!(desk.ledger.poll_timeout(), Some(desk.now + TTL / 3), "leases come first");
    desk.now = at(400);
    desk.ledger.handle_timeout(desk.now);
    assert_eq!(desk.ledger.room(), 99, "what is not known any more is no bound");
    assert!(credit(&desk.sent()).is_some());
}

#[test]
fn f61_a_system_whose_calls_are_used_up_refuses_its_tasks_and_not_those_of_another() {
    let mut desk = two_systems();
    calls_left(&mut desk, "acme", 0, 1_000);
    offer_to(&mut desk, 1, "acme");
    assert_eq!((desk.ledger.holds(task(1)), refused_for(&mut desk)), (false, Some(900_000)));
    offer_to(&mut desk, 2, "beta");
    assert_eq!((desk.ledger.holds(task(2)), refused_for(&mut desk)), (true, None));

    desk.ledger.handle_calls_left(&"acme".parse().unwrap(), None);
    offer_to(&mut desk, 1, "acme");
    assert!(desk.ledger.holds(task(1)), "they are renewed");
}

/// A desk with two slots for each of two systems: eight tasks, and no batch, fill it.
fn small_desk() -> Desk {
    let systems = ["acme", "beta"].map(|name| (name.parse().unwrap(), 2));
    let mut desk = Desk::new();
    desk.ledger = Ledger::restore(Limits::for_systems(systems.into()), Restored::default());
    desk.connect();
    desk
}

/// Offers a look-up in a system. Whether it was taken.
fn takes(desk: &mut Desk, n: u64, system: &str) -> bool {
    desk.offer(Offer { task: task(n), system: system.parse().unwrap(), ..offer(1, TaskKind::ValidateUser, 1) });
    desk.sync();
    desk.ledger.holds(task(n))
}

fn fails_for_now() -> Unfinished {
    Failure::new(FailureClass::Transient, "unreachable", "no answer").into()
}

/// An org that asks everybody to wait, hour after hour. Take its tasks as long as there is room, and those that wait take
/// all of it.
#[test]
fn tasks_that_wait_for_one_system_leave_room_for_those_of_another() {
    let mut desk = small_desk();
    let mut numbers = 1_u64..;
    for _ in 0..10 {
        while takes(&mut desk, numbers.next().unwrap(), "acme") {}
        loop {
            let started = starts(&desk.events());
            if started.is_empty() {
                break;
            }
            for task in started {
                desk.ledger.handle_failed(task, busy(900), desk.now);
            }
            desk.sync();
        }
        desk.now = desk.now + Duration::from_secs(900);
    }
    let refused = refused_for(&mut desk);
    for _ in 0..4 {
        assert!(takes(&mut desk, numbers.next().unwrap(), "beta"), "twice its slots");
    }
    assert_eq!(refused, Some(30_000));
}

/// An org behind a firewall that drops everything asks for nothing. Heed only what asks, and its tasks take all of the room,
/// and again whatever comes free.
#[test]
fn tasks_that_fail_in_a_row_for_one_system_leave_room_for_those_of_another() {
    let mut desk = small_desk();
    let mut numbers = 1_u64..;
    for _ in 0..30 {
        while takes(&mut desk, numbers.next().unwrap(), "acme") {}
        for task in starts(&desk.events()) {
            desk.ledger.handle_failed(task, fails_for_now(), desk.now);
        }
        desk.sync();
        desk.now = desk.now + Duration::from_secs(30);
    }
    let refused = refused_for(&mut desk);
    for _ in 0..4 {
        assert!(takes(&mut desk, numbers.next().unwrap(), "beta"), "twice its slots");
    }
    assert_eq!(refused, Some(30_000));
}

/// Take their end for a sign of life, and a system that answers nothing has all the room again with each task that it ends.
#[test]
fn tasks_that_end_because_a_system_does_not_answer_are_no_answer_of_it() {
    let mut desk = small_desk();
    let mut numbers = 1_u64..;
    while takes(&mut desk, numbers.next().unwrap(), "acme") {}
    for _ in 0..2 {
        for task in starts(&desk.events()) {
            desk.ledger.handle_concluded(task, Ending::unknown(fails_for_now().failure), desk.now);
        }
        desk.sync();
    }
    while takes(&mut desk, numbers.next().unwrap(), "acme") {}
    assert!(takes(&mut desk, numbers.next().unwrap(), "beta"));
}

/// Refuse the tasks of a system for any failure, and a locked row here and there has it idle while nobody else wants the room.
#[test]
fn a_system_whose_tasks_fail_now_and_then_is_fed_as_before() {
    for is_refused in [false, true] {
        let mut desk = small_desk();
        assert!((1..=8).all(|n| takes(&mut desk, n, "acme")));
        for next in 9..20 {
            let started = starts(&desk.events());
            if is_refused {
                let refused = Failure::new(FailureClass::Rejected, "no_such_user", "no such user");
                desk.ledger.handle_failed(started[0], refused, desk.now);
            } else {
                desk.ledger.handle_concluded(started[0], success(), desk.now);
            }
            desk.ledger.handle_failed(started[1], fails_for_now(), desk.now);
            desk.sync();
            assert!(takes(&mut desk, next, "acme"), "{next}");
            desk.now = desk.now + Duration::from_secs(30);
        }
    }
}

/// Go on to refuse them when nothing of it is held, and where little room is left nobody finds out that it answers again.
#[test]
fn a_task_of_a_system_whose_tasks_failed_is_taken_if_none_is_held() {
    let mut desk = small_desk();
    assert!(takes(&mut desk, 1, "acme"));
    for _ in 0..5 {
        for task in starts(&desk.events()) {
            desk.ledger.handle_failed(task, fails_for_now(), desk.now);
        }
        desk.sync();
        desk.now = desk.now + Duration::from_secs(30);
    }
    assert!(!desk.ledger.holds(task(1)));
    desk.ledger.limits.held = 2;
    assert!(takes(&mut desk, 2, "acme"));
    assert!(!takes(&mut desk, 3, "acme"));
    assert!(takes(&mut desk, 4, "beta"));
}

/// Somebody looks again by himself, or an agent that holds nothing never does.
#[test]
fn f61_an_agent_that_holds_nothing_wakes_up_when_what_it_knows_of_calls_is_old() {
    let mut desk = two_systems();
    calls_left(&mut desk, "acme", 0, 1_000);
    calls_left(&mut desk, "beta", 0, 700);
    assert_eq!(desk.ledger.poll_timeout(), Some(at(700)));
}
