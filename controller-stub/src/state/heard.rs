//! What a member says in its session, and what becomes of its tasks.

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::code::CodeSet as _;
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{
    Accept, CertRenew, Connection, Credit, Extension, Held, HeldTask, Hello, Inventory, LeaseRef, LogLevel,
    MemberStateAck, MembershipState, Progress, Reject, Rejection, Renew, Report, ServedSystem, Started, StreamFault,
    StreamOpen, StreamRef, TrustBundleAck,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::seal::{SealedOutput, SealingKey};
use postern_protocol::signature::{SignatureView, TaskSignature};
use postern_protocol::{Epoch, ReportNo, TaskKind, TaskRequest, codec};
use rcgen::{CertificateParams, KeyPair};

use super::ledger::Ledger;
use super::record::{Association, MemberRecord};
use super::*;
use crate::access::Role;
use crate::clock;
use crate::membership::Action;
use crate::queue::{Holder, MAX_OBSERVATIONS};

/// A controller and its only member.
struct AtWork {
    state: State,
    ledger: Ledger,
    at: Moment,
    id: MemberId,
    session: SessionNo,
    told: mpsc::Receiver<ToSession>,
    /// Cancelled when the session is over.
    over: CancellationToken,
    _folder: tempfile::TempDir,
}

impl AtWork {
    /// The member has a session in which it takes whatever it is offered.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_cluster("acme".parse().unwrap(), at).unwrap();
        let new = NewSystem {
            name: "sf".parse().unwrap(),
            connector: "salesforce".to_owned(),
            association: Association::Server,
            changes: SystemChanges::default(),
        };
        state.add_system(new, None, at).unwrap();
        // Whom a system is given to has to be connected.
        state.systems.values_mut().for_each(|it| it.association = Association::Cluster("acme".parse().unwrap()));
        let record = lab::member(MembershipState::Enabled);
        let id = record.id;
        state.members.insert(id, Member::new(record, sessions::FIRST_NUMBERS));
        let (_, told) = mpsc::channel(1);
        let mut at_work = Self {
            state,
            ledger,
            at,
            id,
            session: SessionNo(0),
            told,
            over: CancellationToken::new(),
            _folder: folder,
        };
        at_work.connect().await;
        at_work
    }

    /// Another session, of a member that holds nothing.
    async fn connect(&mut self) {
        let asked = self.reconnect().await;
        self.holds_nothing(asked);
        self.hear(Credit { offers: 1_000 });
    }

    /// Another session, in which the member is asked what it holds; returns the question's number.
    async fn reconnect(&mut self) -> u64 {
        let (words, told) = mpsc::channel(64);
        let (cut, over) = (CancellationToken::new(), CancellationToken::new());
        let introduction = Introduction {
            cluster: "acme".parse().unwrap(),
            member: self.id,
            certificate: Vec::new(),
            address: "192.0.2.7".to_owned(),
            hello: hello(self.session),
            session: SessionHandle { words, cut, over: over.clone() },
        };
        let greeting = self.state.introduce(introduction, self.at);
        let Greeting::Welcome(welcomed) = greeting else { panic!("{greeting:?}") };
        (self.session, self.told, self.over) = (welcomed.session, told, over);
        self.state.establish(self.id, self.session, self.at);
        self.asked().await
    }

    /// Whether a payload is taken as complete in the present session.
    fn completes(&mut self, number: u8) -> bool {
        self.state.complete_output(self.id, self.session, payload(number), self.at)
    }

    fn hear(&mut self, frame: impl Into<FromMember>) {
        self.state.hear(self.id, self.session, frame.into(), self.at);
    }

    fn holds_nothing(&mut self, nonce: u64) {
        self.hear(Inventory { nonce, last: true, tasks: List::default() });
    }

    fn submit(&mut self, user: &str) -> TaskId {
        let id = TaskId::from_random(self.at.wall.0, crate::random::bytes());
        let submission = lab::enabling(id, "sf", user);
        self.state.submit(submission, Role::Operator, self.at).unwrap()
    }

    /// A task of which a payload may come.
    fn submit_batch(&mut self) -> TaskId {
        let id = TaskId::from_random(self.at.wall.0, crate::random::bytes());
        let request = TaskRequest::from_json(TaskKind::DescribeSchema, serde_json::json!({})).unwrap();
        let requester = Some(*SealingKey::from_random(&crate::random::secret()).public());
        self.state
            .submit(Submission { request, requester, ..lab::enabling(id, "sf", "joe") }, Role::Operator, self.at)
            .unwrap()
    }

    /// Ends a turn; returns what the member is told.
    async fn turn(&mut self) -> Vec<FromController> {
        self.state.assign(self.at).unwrap();
        let mut turn = self.state.end_turn();
        self.ledger.commit(std::mem::take(&mut turn.writes)).await.unwrap();
        turn.speak();
        std::iter::from_fn(|| self.told.try_recv().ok())
            .map(|said| {
                let ToSession::Frame(frame) = said else { panic!("not a frame: {said:?}") };
                *frame
            })
            .collect()
    }

    /// The member announces a payload of a task.
    fn announces(&mut self, task: TaskId, number: u8) -> Result<(), StreamFault> {
        let stream = StreamRef { id: payload(number), length: 1, sha256: [0; 32] };
        let answer = self.state.open_output(self.id, self.session, &StreamOpen { task, stream }, self.at);
        answer.expect("its session is over").map(drop)
    }

    /// The payloads that are known, in the order of their numbers.
    fn payloads(&self) -> Vec<StreamId> {
        self.state.streams.keys().copied().collect()
    }

    /// Ends a turn in which the member is offered a task.
    async fn offered(&mut self) -> LeaseRef {
        let told = self.turn().await;
        let lease = |it: &FromController| {
            let FromController::Offer(offer) = it else { return None };
            Some(LeaseRef { task: offer.task, epoch: offer.epoch })
        };
        told.iter().find_map(lease).unwrap_or_else(|| panic!("{told:?}"))
    }

    /// Ends a turn in which the member is asked what it holds; returns the last question's number.
    async fn asked(&mut self) -> u64 {
        let told = self.turn().await;
        let nonce = |it: &FromController| {
            let FromController::InventoryAsk(ask) = it else { return None };
            Some(ask.nonce)
        };
        told.iter().filter_map(nonce).next_back().unwrap_or_else(|| panic!("{told:?}"))
    }
}

fn hello(last_session: SessionNo) -> Hello {
    Hello {
        agent_version: Text::clipped("0"),
        host: Text::clipped("host"),
        incarnation: Incarnation::from_bytes([1; 16]),
        last_session,
        revisions: List::clipped(FromMember::REVISIONS.to_vec()),
        systems: List::clipped(vec![ServedSystem {
            name: "sf".parse().unwrap(),
            connector: Text::clipped("salesforce"),
            kinds: List::clipped(TaskKind::ALL.iter().map(|kind| (*kind).into()).collect()),
            connection: Connection {
                domain: Text::clipped("acme.my.salesforce.com"),
                login_method: Text::clipped("oauth-jwt"),
                secure: true,
                compression: true,
                connect_timeout_secs: 30,
                log_level: LogLevel::Info.into(),
            },
        }]),
        sealing_keys: List::default(),
        next_report: ReportNo(1_000),
        held: Held::default(),
        ext: List::default(),
    }
}

fn payload(number: u8) -> StreamId {
    StreamId::from_bytes([number; 16])
}

fn failed(number: u64, lease: LeaseRef) -> Report {
    lab::failed(number, lease.task, lease.epoch)
}

/// Leave it to a later turn, and how soon a revoked member is out is for others to say.
#[tokio::test]
async fn the_turn_that_revokes_a_member_ends_its_session_and_nothing_it_says_behind_that_counts() {
    let mut it = AtWork::new().await;
    let task = it.submit("joe");
    let lease = it.offered().await;
    it.state.act_on_member(it.id, Action::Revoke, it.at).unwrap();
    it.hear(failed(1_000, lease));
    let mut turn = it.state.end_turn();
    it.ledger.commit(std::mem::take(&mut turn.writes)).await.unwrap();
    assert!(!it.over.is_cancelled(), "on disk first");
    turn.speak();
    assert!(it.over.is_cancelled());
    assert!(it.state.queue.task(task).is_some(), "what it reported is not the end of its task");
}

/// Believe what a ledger from before the loss says that members trust, and a root that one of them was told to forget since signs
/// for it: neither session nor recovery brings it back.
#[tokio::test]
async fn behind_a_ledger_that_was_put_back_every_member_is_asked_anew_which_roots_it_trusts() {
    let mut it = AtWork::new().await;
    let away = MemberId::from_bytes([9; 16]);
    let record = MemberRecord { id: away, ..lab::member(MembershipState::Enabled) };
    it.state.members.insert(away, Member::new(record, sessions::FIRST_NUMBERS));
    it.state.roots.bundle = 3;
    let both = |it: &AtWork| [it.id, away].map(|id| it.state.members[&id].record.acked_bundle);
    let told = |it: &mut AtWork| {
        let ack = TrustBundleAck { number: it.state.roots.bundle };
        for id in [it.id, away] {
            it.state.trust_is_durable(id, &ack);
        }
    };
    // In a session with a number that this ledger has not given.
    let again = async |it: &mut AtWork| {
        it.state.disconnect(it.id, it.session, it.at);
        it.session = SessionNo(it.session.0 + 10);
        it.connect().await;
    };
    told(&mut it);
    assert!(both(&it).iter().all(|bundle| *bundle == it.state.roots.bundle));

    again(&mut it).await;
    assert_eq!(both(&it), [0, 0]);

    told(&mut it);
    again(&mut it).await;
    assert!(both(&it).iter().all(|bundle| *bundle == it.state.roots.bundle), "one member has all asked once");
}

fn is_offer(frame: &FromController) -> bool {
    matches!(frame, FromController::Offer(_))
}

/// Store what is not kept with the task as well, and a member that takes it, forgets it and reports it fills the disk.
#[tokio::test]
async fn of_the_late_reports_of_one_task_so_many_are_stored() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    let mut lease = at_work.offered().await;
    for number in 1..=20 {
        at_work.connect().await;
        let newer = at_work.offered().await;
        at_work.hear(failed(number, std::mem::replace(&mut lease, newer)));
    }
    at_work.turn().await;
    let stored = (1..=20).filter(|epoch| at_work.ledger.report(task, Epoch(*epoch)).unwrap().is_some()).count();
    assert_eq!(stored, MAX_OBSERVATIONS);
    assert_eq!(at_work.state.queue.task(task).unwrap().observations.len(), MAX_OBSERVATIONS);
}

/// Show what is sealed of the outcome alone, and a password that is in force lies here, acknowledged, and nobody can fetch it.
#[tokio::test]
async fn what_a_late_report_has_sealed_can_be_fetched() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    let late = at_work.offered().await;
    at_work.connect().await;
    let newest = at_work.offered().await;
    at_work.hear(failed(1, newest));
    at_work.turn().await;
    let sealed = SealedOutput { name: Text::clipped("password"), enc: [7; 32], ciphertext: Bytes::default() };
    at_work.hear(Report { sealed: List::clipped(vec![sealed]), ..failed(2, late) });

    at_work.turn().await;

    let view = at_work.state.task(task).unwrap();
    let [observation] = &view.observations[..] else { panic!("{view:?}") };
    let names: Vec<&str> = observation.sealed.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((observation.epoch, names), (late.epoch, vec!["password"]));
    assert!(view.sealed.is_empty(), "it did not come with the outcome");
    assert!(view.without_sealed().observations[0].sealed.is_empty(), "viewers see nothing that is sealed");
}

/// Read the record in the ledger for each, and the second of a turn is written over the first, which is acknowledged: a password
/// that came with it is in force, and nobody can fetch it.
#[tokio::test]
async fn of_two_late_reports_about_a_finished_task_in_one_turn_both_are_kept() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    let first = at_work.offered().await;
    at_work.connect().await;
    let second = at_work.offered().await;
    at_work.connect().await;
    let newest = at_work.offered().await;
    at_work.hear(failed(1, newest));
    at_work.turn().await;

    at_work.hear(failed(2, first));
    at_work.hear(failed(3, second));
    at_work.turn().await;

    let record = at_work.ledger.task(task).unwrap().unwrap();
    let epochs: Vec<Epoch> = record.observations.iter().map(|it| it.epoch).collect();
    assert_eq!(epochs, [first.epoch, second.epoch]);
}

/// Offer it something before it has answered, and the answer, which is older, says that it is not there: another member is
/// given it as well.
#[tokio::test]
async fn a_member_that_is_enabled_again_is_given_nothing_before_it_has_said_what_it_holds() {
    let mut at_work = AtWork::new().await;
    let disabled = at_work.state.act_on_member(at_work.id, Action::DisableHard, at_work.at).unwrap();
    at_work.hear(MemberStateAck { epoch: Epoch(disabled.epoch) });
    let first = at_work.asked().await;
    at_work.state.act_on_member(at_work.id, Action::Enable, at_work.at).unwrap();
    at_work.submit("joe");
    let told = at_work.turn().await;
    let [FromController::MemberState(_), FromController::InventoryAsk(second)] = &told[..] else { panic!("{told:?}") };
    at_work.holds_nothing(first);
    assert_eq!(at_work.turn().await, [], "an answer from before it was enabled");
    at_work.holds_nothing(second.nonce);
    let told = at_work.turn().await;
    assert!(matches!(&told[..], [it] if is_offer(it)), "{told:?}");
}

/// Ask only a member that is being asked already, and a reset that it gave up unbegun, without a word because the lease was gone,
/// ends as unknown when the lease and a settle time are over.
#[tokio::test]
async fn what_a_member_gave_up_unbegun_is_given_out_again_although_it_was_enabled_before_it_acknowledged() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    let LeaseRef { epoch, .. } = at_work.offered().await;
    at_work.hear(Accept { task, epoch });
    at_work.turn().await;
    let disabled = at_work.state.act_on_member(at_work.id, Action::DisableHard, at_work.at).unwrap();
    let enabled = at_work.state.act_on_member(at_work.id, Action::Enable, at_work.at).unwrap();
    at_work.hear(MemberStateAck { epoch: Epoch(disabled.epoch) });
    at_work.hear(MemberStateAck { epoch: Epoch(enabled.epoch) });

    let asked = at_work.asked().await;
    at_work.holds_nothing(asked);

    let again = at_work.offered().await;
    assert_eq!(again.task, task);
    assert!(!at_work.state.queue.task(task).unwrap().reconcile, "nobody can have begun it");
}

/// Leave the first report of a session out because it was refused, and the next is the first, with a gap before it: the
/// member takes the refused one for acknowledged, and drops it.
#[tokio::test]
async fn a_report_that_was_refused_is_not_acknowledged_with_the_next() {
    for (number, acked) in [(1, 0), (5, 4)] {
        let mut at_work = AtWork::new().await;
        at_work.submit("joe");
        let lease = at_work.offered().await;
        let unknown = Extension { kind: 900, critical: true, bytes: Bytes::default() };
        at_work.hear(Report { ext: List::clipped(vec![unknown]), ..failed(number, lease) });
        at_work.hear(failed(number + 1, lease));
        let told = at_work.turn().await;
        let [FromController::ProtocolError(_), FromController::ReportAck(ack)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(ack.upto, ReportNo(acked));
    }
}

/// Refuse it in place of the oldest, and a task whose members die in the middle of their results can never deliver them.
#[tokio::test]
async fn of_the_payloads_of_a_task_the_oldest_that_is_not_whole_makes_room() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit_batch();
    at_work.offered().await;
    (1..=8).for_each(|number| at_work.announces(task, number).unwrap());
    assert!(at_work.completes(1));
    at_work.announces(task, 9).unwrap();
    assert_eq!(at_work.payloads(), [1, 3, 4, 5, 6, 7, 8, 9].map(payload));
    assert_eq!(at_work.announces(task, 2), Err(StreamFault::Full), "its file is yet to go");
    assert!(!at_work.completes(2), "it has to come again");
    at_work.turn().await;
    at_work.announces(task, 2).unwrap();
    for number in [2, 4, 5, 6, 7, 8, 9] {
        assert!(at_work.completes(number));
    }
    at_work.announces(task, 10).unwrap();
    assert_eq!(at_work.payloads(), [2, 4, 5, 6, 7, 8, 9, 10].map(payload), "whoever has the task can always deliver");

    at_work.turn().await;
    let disabled = at_work.state.act_on_member(at_work.id, Action::DisableHard, at_work.at).unwrap();
    at_work.hear(MemberStateAck { epoch: Epoch(disabled.epoch) });
    let asked = at_work.asked().await;
    at_work.holds_nothing(asked);
    assert_eq!(at_work.announces(task, 11), Err(StreamFault::Full), "and nobody else takes its place");
}

/// Take its word, and what the next session does to the same file meanwhile is recorded as complete.
#[tokio::test]
async fn a_payload_is_complete_only_by_the_session_that_is_there() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit_batch();
    at_work.offered().await;
    at_work.announces(task, 1).unwrap();
    let before = at_work.session;
    at_work.connect().await;
    assert!(!at_work.state.complete_output(at_work.id, before, payload(1), at_work.at));
    assert!(!at_work.state.stream(payload(1)).unwrap().complete);
    assert!(at_work.completes(1));
}

/// What the member had sent waits behind the revocation. Hear it, and a member that is out keeps its lease for another term,
/// and has a certificate more.
#[tokio::test]
async fn what_a_member_sent_before_it_was_revoked_renews_nothing_after() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    let lease = at_work.offered().await;
    at_work.hear(Accept { task, epoch: lease.epoch });
    at_work.hear(Started { task, epoch: lease.epoch, attempt: 1 });
    at_work.turn().await;
    assert_eq!(at_work.state.task(task).unwrap().state, "started");
    let csr = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    at_work.state.act_on_member(at_work.id, Action::Revoke, at_work.at).unwrap();
    let audited = at_work.state.audit_waiting();
    at_work.hear(Renew { nonce: 1, leases: List::clipped(vec![lease]) });
    at_work.hear(CertRenew { csr: Bytes::new(csr).unwrap() });
    assert_eq!(at_work.state.task(task).unwrap().state, "in_doubt");
    assert_eq!(at_work.state.members[&at_work.id].record.next, None);
    assert_eq!(at_work.state.audit_waiting(), audited, "no certificate is issued");
}

/// Leave it out, and the task is given to another as one that nobody has begun.
#[tokio::test]
async fn what_a_later_version_calls_otherwise_is_held_as_begun() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    let lease = at_work.offered().await;
    at_work.hear(Accept { task, epoch: lease.epoch });
    at_work.turn().await;
    let asked = at_work.reconnect().await;
    let state = codec::decode(&codec::encode(&99_u16).unwrap()).unwrap();
    let held = HeldTask { lease, state };
    at_work.hear(Inventory { nonce: asked, last: true, tasks: List::clipped(vec![held]) });
    at_work.turn().await;
    assert_eq!(at_work.state.task(task).unwrap().state, "started");
}

/// Offer what is left by the clock alone, and every member refuses the task as one that was signed for less.
#[tokio::test]
async fn what_was_signed_is_not_offered_for_longer_after_the_clock_was_set_back() {
    const SIGNED: Duration = Duration::from_secs(600);
    let mut at_work = AtWork::new().await;
    let id = TaskId::from_random(at_work.at.wall.0, crate::random::bytes());
    let view = SignatureView { key: "0".repeat(16), bytes: "0".repeat(128) };
    let signature = Some(TaskSignature::of_view(&view, 600_000).unwrap());
    let submission = Submission { deadline: Some(SIGNED), signature, ..lab::enabling(id, "sf", "joe") };
    at_work.state.submit(submission, Role::Operator, at_work.at).unwrap();
    at_work.at.wall.0 -= 120_000;
    at_work.state.tick(at_work.at);
    let told = at_work.turn().await;
    let deadline = |it: &FromController| if let FromController::Offer(it) = it { Some(it.deadline_ms) } else { None };
    assert_eq!(told.iter().find_map(deadline), Some(600_000));
}

/// Keep them, and a member fills the disk with what nobody can fetch.
#[tokio::test]
async fn of_a_finished_task_the_payloads_are_kept_that_its_outcome_names_and_no_others() {
    for names in [true, false] {
        let mut at_work = AtWork::new().await;
        at_work.submit_batch();
        let lease = at_work.offered().await;
        (1..=3).for_each(|number| at_work.announces(lease.task, number).unwrap());
        assert!(at_work.completes(2) && at_work.completes(3));
        at_work.state.tick(at_work.at);
        at_work.turn().await;
        assert_eq!(at_work.payloads().len(), 3);
        let named = StreamRef { id: payload(2), length: 1, sha256: [0; 32] };
        let streams = List::clipped(if names { vec![named] } else { Vec::new() });
        at_work.hear(Report { streams, ..failed(1, lease) });
        at_work.turn().await;
        let kept: Vec<StreamId> = at_work.ledger.streams().unwrap().iter().map(|it| it.id).collect();
        assert_eq!(kept, if names { vec![payload(2)] } else { Vec::new() });
        assert_eq!(at_work.payloads(), kept);
    }
}

/// What was sent for the outcome is named by the report under the lease it was told under first. Go by the present one, and
/// it is gone, or by the last that came late.
#[tokio::test]
async fn what_an_outcome_names_is_kept_when_it_is_told_again_in_short() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit_batch();
    let first = at_work.offered().await;
    at_work.announces(task, 1).unwrap();
    assert!(at_work.completes(1));
    at_work.connect().await;
    let second = at_work.offered().await;
    let streams = List::clipped(vec![StreamRef { id: payload(1), length: 1, sha256: [0; 32] }]);
    at_work.hear(Report { streams, ..failed(1, first) });
    at_work.turn().await;
    at_work.connect().await;
    let third = at_work.offered().await;
    at_work.hear(failed(2, second));
    at_work.turn().await;
    at_work.hear(failed(3, third));
    at_work.turn().await;
    assert_eq!(at_work.state.task(task).unwrap().state, "finished");
    assert_eq!(at_work.payloads(), [payload(1)]);
}

/// Say that it is here, and a file that goes at the end of the turn is taken for handed over.
#[tokio::test]
async fn what_becomes_of_a_file_is_not_said_in_the_turn_in_which_its_task_ended() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit_batch();
    let lease = at_work.offered().await;
    at_work.announces(task, 1).unwrap();
    assert!(at_work.completes(1));
    at_work.hear(failed(1, lease));
    assert_eq!(at_work.announces(task, 1), Err(StreamFault::Full));
    at_work.turn().await;
    assert_eq!(at_work.announces(task, 1), Err(StreamFault::Unknown));
}

/// Take it, and whoever has two tasks that change an account fills the disk for everybody.
#[tokio::test]
async fn of_a_task_of_a_kind_without_results_no_payload_is_taken() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit("joe");
    at_work.offered().await;
    assert_eq!(at_work.announces(task, 1), Err(StreamFault::Unknown));
    assert_eq!(at_work.payloads(), []);
}

/// Count what any member serves, and a cluster whose agents are gone waits for days beside one that works.
#[tokio::test]
async fn tasks_that_wait_and_no_member_of_their_cluster_is_there_for_are_counted() {
    let mut it = AtWork::new().await;
    let other: ClusterName = "other".parse().unwrap();
    it.state.create_cluster(other.clone(), it.at).unwrap();
    it.submit("joe");
    it.submit("joe");
    it.offered().await;
    assert_eq!(it.state.tasks_without_member(), 0, "one is at work, the other waits for it");
    // The same system, given to a cluster without members.
    it.state.systems.values_mut().for_each(|it| it.association = Association::Cluster(other.clone()));
    it.submit("jim");
    assert_eq!(it.state.tasks_without_member(), 1);
    let (id, session) = (it.id, it.session);
    it.state.queue.set_enabled(id, false, it.at.now);
    assert_eq!(it.state.tasks_without_member(), 2, "the one that is held may be done");
    it.state.queue.set_enabled(id, true, it.at.now);
    let other_things = [("sf".parse().unwrap(), [TaskKind::TestConnection.code()].into())].into();
    let cluster = "acme".parse().unwrap();
    it.state.queue.connect(id, Holder::new(cluster, Incarnation::from_bytes([9; 16]), other_things, true));
    assert_eq!(it.state.tasks_without_member(), 2, "it can do other things only");
    it.state.disconnect(id, session, it.at);
    assert_eq!(it.state.tasks_without_member(), 2);
}

/// Tell what a lease before that came to, and an import that waits, or begins again, is taken for half done.
#[tokio::test]
async fn how_far_a_task_is_is_told_while_the_member_that_said_so_has_it() {
    let mut it = AtWork::new().await;
    let task = it.submit("joe");
    let lease = it.offered().await;
    let progress = || Progress { task, done: 1, total: 2, phase: Text::clipped("looking") };
    it.hear(progress());
    assert!(it.state.task(task).unwrap().progress.is_some());
    it.hear(Reject {
        task,
        epoch: lease.epoch,
        reason: Rejection::Overloaded.into(),
        message: Text::default(),
        retry_after_ms: 1,
    });
    assert!(it.state.task(task).unwrap().progress.is_none(), "it waits");
    it.at.now = it.at.now + Duration::from_secs(10);
    it.state.tick(it.at);
    assert!(it.offered().await.epoch > lease.epoch);
    assert!(it.state.task(task).unwrap().progress.is_none(), "it begins again");
    it.hear(progress());
    assert!(it.state.task(task).unwrap().progress.is_some());
}

/// Take it for the one that waits already, and no later report is ever acknowledged.
#[tokio::test]
async fn a_report_whose_task_ended_while_it_waited_is_acknowledged_when_it_is_said_without_its_file() {
    let mut at_work = AtWork::new().await;
    let task = at_work.submit_batch();
    let lease = at_work.offered().await;
    at_work.announces(task, 1).unwrap();
    let streams = List::clipped(vec![StreamRef { id: payload(1), length: 1, sha256: [0; 32] }]);
    at_work.hear(Report { streams, ..failed(1, lease) });
    at_work.hear(failed(2, lease));
    at_work.turn().await;
    assert_eq!(at_work.state.task(task).unwrap().state, "finished");
    assert!(!at_work.completes(1), "its file is not wanted any more");

    at_work.hear(failed(1, lease));
    let told = at_work.turn().await;
    let [FromController::ReportAck(ack)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(ack.upto, ReportNo(2));
}
