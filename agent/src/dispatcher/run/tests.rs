use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_agent_core::{Limits, Restored, RestoredTask, TaskState};
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{
    Cancel, LeaseVerdict, MembershipState, Reject, Renew, Renewed, RenewedLease, StreamOpen, StreamRef,
};
use postern_protocol::outcome::Changed;
use postern_protocol::seal::{SealedField, SealedOutput, SealingKey, WrappedKey};
use postern_protocol::signature::{SigningKey, TaskSignature};
use postern_protocol::task::import_batch::{self, Format};
use postern_protocol::task::{disable_user, expire_password, restore_user, test_connection};
use postern_protocol::{Epoch, FailureClass, Outcome, ReportNo, SessionNo, StreamId, SystemName, TaskKind};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::super::Dispatcher;
use super::*;
use crate::connector::{Alone, AttemptCx, Conclusion, Connector, DISK_FULL, Earlier, Pending, Proved, unwritten};
use crate::executor::{Served, Who};
use crate::keys::SealingKeys;
use crate::policy::{Admission, Ceiling, Ceilings, Pattern, Policy, Signatures};
use crate::random;
use crate::redaction;
use crate::spawn::Spawner;
use crate::store::lab::Disklike;

/// Longer than anything here takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A system where everything works at once.
struct Willing;

impl Connector for Willing {
    fn name(&self) -> &'static str {
        "willing"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, _: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            let output = disable_user::Output { user_id: Text::clipped("1"), frozen_instead: false };
            Ok(Conclusion::succeeded(output, Changed::No))
        })
    }
}

/// A system where nothing works, in the worst way.
struct Panicking;

impl Connector for Panicking {
    fn name(&self) -> &'static str {
        "panicking"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, _: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async { unreachable!("a defect of the connector") })
    }
}

/// A system where every task makes one change, which works at once and could have taken so long.
struct Changing {
    reach: Duration,
}

/// One whose changes are quick.
const CHANGING: Changing = Changing { reach: Duration::from_secs(1) };

impl Connector for Changing {
    fn name(&self) -> &'static str {
        "changing"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            cx.intend(0, Vec::new(), Vec::new(), self.reach).await?;
            cx.intend(1, Vec::new(), Vec::new(), self.reach).await?;
            let output = disable_user::Output { user_id: Text::clipped("1"), frozen_instead: false };
            Ok(Conclusion::succeeded(output, Changed::Yes))
        })
    }
}

/// A system whose failures quote a secret that is in use: the one that it gives up with, or the one it concludes with.
struct Quoting {
    concludes: bool,
}

impl Connector for Quoting {
    fn name(&self) -> &'static str {
        "quoting"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, _: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            let failure = Failure::new(FailureClass::Rejected, "refused", "Quoted-Secret is no good");
            if self.concludes { Ok(Conclusion::unknown(failure)) } else { Err(failure) }
        })
    }
}

/// A system where a batch comes through one unit, and is refused for good in the next.
struct Halfway;

impl Connector for Halfway {
    fn name(&self) -> &'static str {
        "halfway"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            cx.intend(0, Vec::new(), Vec::new(), Duration::from_secs(1)).await?;
            cx.done(0, b"told", Proved::Nothing).await?;
            cx.intend(1, Vec::new(), Vec::new(), Duration::from_secs(1)).await?;
            let failure = Failure::new(FailureClass::Unauthorized, "refused", "It is refused");
            Err(failure.with_next_step("Mend it"))
        })
    }
}

/// A system that takes a change, says nothing of it, and wants to be left alone for long from then on.
#[derive(Default)]
struct Away {
    attempts: AtomicU64,
}

impl Connector for Away {
    fn name(&self) -> &'static str {
        "away"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn patience(&self, _: &Failure) -> Duration {
        Duration::from_secs(900)
    }

    fn unsettled_for(&self) -> Duration {
        // An attempt that fails later than that leaves nothing to look for.
        Duration::from_secs(3)
    }

    fn place(&self, journal: &Earlier) -> String {
        let noted: Vec<u8> = journal.open_intents().flat_map(|entry| entry.note.clone()).collect();
        format!("over there, as {},", String::from_utf8(noted).unwrap())
    }

    fn owed(&self, _: TaskKind, journal: &Earlier) -> Vec<SealedOutput> {
        let sealed = |_| SealedOutput { name: Text::clipped("password"), enc: [0; 32], ciphertext: Bytes::default() };
        journal.open_intents().map(sealed).collect()
    }

    fn run<'a>(&'a self, _: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            if self.attempts.fetch_add(1, Ordering::SeqCst) == 0 {
                cx.intend(0, b"joe's id".to_vec(), Vec::new(), Duration::from_secs(1)).await?;
            }
            let failure = Failure::new(FailureClass::RateLimited, "away", "Nobody is there");
            Err(failure.with_next_step("If the task has ended by then, submit it again"))
        })
    }
}

/// A system that tells what an attempt knows of those before it, and changes nothing.
struct Telling {
    told: mpsc::Sender<(Alone, bool)>,
}

impl Connector for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, request: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        self.told.try_send((cx.alone, cx.reconcile)).unwrap();
        Willing.run(request, cx)
    }
}

/// A system where batches have results as soon as they may, after which they end or `fail` for good.
struct Importing {
    fails: bool,
    may: Arc<Notify>,
}

impl Connector for Importing {
    fn name(&self) -> &'static str {
        "importing"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            if !cx.is_done(0) {
                self.may.notified().await;
                cx.intend(0, Vec::new(), Vec::new(), Duration::from_secs(1)).await?;
                cx.done(0, b"told", Proved::Nothing).await?;
            }
            if self.fails {
                return Err(Failure::new(FailureClass::Rejected, "refused", "It is refused"));
            }
            let output = disable_user::Output { user_id: Text::clipped("1"), frozen_instead: false };
            Ok(Conclusion::succeeded(output, Changed::Yes))
        })
    }
}

/// A system of which a file is written, as soon as that may be.
#[derive(Default)]
struct Exporting {
    begun: Notify,
    may: Notify,
}

impl Connector for Exporting {
    fn name(&self) -> &'static str {
        "exporting"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            self.begun.notify_one();
            self.may.notified().await;
            let mut payload = cx.journal.payload("key")?;
            payload.write_all(&vec![7; 1 << 20]).map_err(|error| unwritten(&error))?;
            unreachable!("the disk is full")
        })
    }
}

/// A system where batches wait until they are late, and tell whether they were asked to stop.
struct Waiting {
    begun: Arc<Notify>,
}

impl Connector for Waiting {
    fn name(&self) -> &'static str {
        "waiting"
    }

    fn supports(&self) -> &'static [TaskKind] {
        TaskKind::ALL
    }

    fn run<'a>(&'a self, _: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>> {
        Box::pin(async {
            self.begun.notify_one();
            cx.until_late().await;
            let code = if cx.stop.is_cancelled() { "stopped" } else { "late" };
            Err(Failure::new(FailureClass::Rejected, code, "It is late"))
        })
    }
}

fn acme() -> SystemName {
    "acme".parse().unwrap()
}

fn offer(n: u8) -> Offer {
    let request = TaskRequest::TestConnection(test_connection::Request {});
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    let offer = Offer::new(TaskId::from_bytes([n; 16]), acme(), &request, params);
    Offer { epoch: Epoch(1), lease_ttl_ms: 60_000, attempt: 1, ..offer }
}

/// An agent over a disk, and how it is talked to.
struct Desk {
    _folder: tempfile::TempDir,
    disk: Arc<Disklike>,
    dispatcher: Dispatcher,
    work: Loop,
    frames: mpsc::Sender<FromMember>,
    sent: mpsc::Receiver<FromMember>,
    commands: mpsc::Receiver<Command>,
}

fn desk() -> Desk {
    desk_with(Arc::new(Willing))
}

fn desk_with(connector: Arc<dyn Connector>) -> Desk {
    desk_under(Policy::default(), connector)
}

fn desk_under(policy: Policy, connector: Arc<dyn Connector>) -> Desk {
    desk_holding(Vec::new(), policy, connector)
}

/// One that took these offers before it was started again.
fn desk_holding(offers: Vec<Offer>, policy: Policy, connector: Arc<dyn Connector>) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = Disklike::with_store(folder.path());
    let (dispatcher, inputs) = Dispatcher::channel();
    let (streams, commands) = Streams::channel();
    let admission = Admission::open(Arc::new(policy), acme(), store.clone()).unwrap().into();
    let systems = [(acme(), Served { connector, admission })].into();
    let executor = Executor::new(
        systems,
        SealingKeys::new(Vec::new()),
        Who::default(),
        store.clone(),
        dispatcher.clone(),
        Spawner::default(),
    );
    let held = offers.into_iter().map(|offer| RestoredTask {
        offer,
        origin: Origin::Controller,
        state: TaskState::Journaled { unended: 0 },
        journal: 0,
        streams_here: Vec::new(),
    });
    let membership = Some(Membership { state: MembershipState::Enabled, epoch: Epoch(1), hard: false });
    let restored = Restored { tasks: held.collect(), membership, ..store.restore().unwrap() };
    let ledger = Ledger::restore(Limits::for_systems([(acme(), 1)].into()), restored);
    let (frames, sent) = mpsc::channel(64);
    let work = Loop::new(ledger, store, executor, streams, inputs);
    Desk { _folder: folder, disk, dispatcher, work, frames, sent, commands }
}

/// An offer to disable an account.
fn disable(n: u8, account: &str) -> Offer {
    let if_refused = disable_user::IfRefused::Fail.into();
    let request = disable_user::Request { account: Text::new(account).unwrap(), if_refused };
    let request = TaskRequest::DisableUser(request);
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    Offer { kind: request.kind().into(), target: request.target(), params, ..offer(n) }
}

/// An offer to have the password of an account reset by mail.
fn expire(n: u8, account: &str) -> Offer {
    let request = expire_password::Request { account: Text::new(account).unwrap(), repeat_if_unknown: false };
    let request = TaskRequest::ExpirePassword(request);
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    Offer { kind: request.kind().into(), target: request.target(), params, ..offer(n) }
}

/// An offer to restore an account that has its name already.
fn restore(n: u8, account: &str) -> Offer {
    let account = Text::new(account).unwrap();
    let request = restore_user::Request { account: account.clone(), name: account, email: Text::default() };
    let request = TaskRequest::RestoreUser(request);
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    Offer { kind: request.kind().into(), target: request.target(), params, ..offer(n) }
}

/// Let the journal forget how long the call may take, and another member acts while it can still take effect.
#[tokio::test]
async fn a_call_that_may_outlive_every_lease_is_refused_for_good() {
    let slow = Changing { reach: Duration::from_secs(61) };
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(slow));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        dispatcher.frame(disable(1, "joe").into()).await;
        let renew = next(&mut sent, |frame| matches!(frame, FromMember::Renew(_))).await;
        let FromMember::Renew(renew) = renew else { unreachable!() };
        dispatcher.frame(kept(&renew, 60_000)).await;
        let reported = next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
        let FromMember::Report(report) = reported else { unreachable!() };
        let code = report.failure.map(|failure| failure.code.to_string());
        assert_eq!((code.as_deref(), report.changed.known()), (Some("leases_too_short"), Some(Changed::No)));
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Tell why it could not be looked at and no more, and whoever reads that submits it again: the user gets a second mail. End it
/// with the first attempt, and the change may be made after all.
#[tokio::test]
async fn what_is_given_up_while_it_may_have_happened_is_looked_at_once_more_and_says_whom_to_look_at() {
    let connector = Arc::<Away>::default();
    let Desk { _folder, dispatcher, work, .. } = desk_with(connector.clone());
    let told = async {
        let (watch, mut events) = mpsc::channel(4);
        dispatcher.run_local(expire(1, "joe"), Caller::Person, watch).await;
        let Some(LocalEvent::Again { after, failure }) = events.recv().await else { unreachable!() };
        assert_eq!((after.is_zero(), failure.code.as_str()), (false, "away"), "whoever waits is told what for");
        let Some(LocalEvent::Ended(report)) = events.recv().await else { unreachable!() };
        assert_eq!((report.outcome.known(), report.sealed.len()), (Some(Outcome::Unknown), 1), "nobody else knows it");
        let next_step = report.failure.unwrap().next_step.to_string();
        assert_eq!(next_step, "Look at `joe` over there, as joe's id, before submitting the task again");
        assert_eq!(connector.attempts.load(Ordering::SeqCst), 2);
        dispatcher.local_taken(report.task, true).await;
        dispatcher.stop().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Tell it as of one account, and it is one without a name; that what was done has a line, and how to have the rest done, is not
/// told.
#[tokio::test]
async fn a_batch_that_is_given_up_in_a_unit_says_what_its_results_tell_of() {
    let Desk { _folder, dispatcher, work, .. } = desk_with(Arc::new(Halfway));
    let told = async {
        let (watch, mut events) = mpsc::channel(4);
        dispatcher.run_local(import(1), Caller::Person, watch).await;
        let Some(LocalEvent::Ended(report)) = events.recv().await else { unreachable!() };
        assert_eq!((report.outcome.known(), report.changed.known()), (Some(Outcome::Unknown), Some(Changed::Yes)));
        let next_step = report.failure.as_ref().unwrap().next_step.to_string();
        for word in ["an entry without a line in the results", "`--failed`", "Mend it"] {
            assert!(next_step.contains(word), "`{word}` is not in: {next_step}");
        }
        assert!(!next_step.contains("``"), "{next_step}");
        dispatcher.local_taken(report.task, true).await;
        dispatcher.stop().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Lose since when it is alone, and a password that another task set between two leases is told as this one's own success.
#[tokio::test]
async fn an_attempt_knows_since_when_its_task_is_alone() {
    let (told, mut known) = mpsc::channel(1);
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(Telling { told }));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        let offer = Offer { epoch: Epoch(7), alone_since: Epoch(5), alone_ms: 60_000, reconcile: true, ..offer(1) };
        dispatcher.frame(offer.into()).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
        let (alone, reconcile) = known.recv().await.unwrap();
        assert_eq!((alone.lease, alone.since, alone.ago.long), (Epoch(7), Epoch(5), Duration::from_secs(60)));
        assert!(reconcile);
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Take the asking out of `intend`, and everything is done; let each intent of a task ask, and one task takes up two
/// places.
#[tokio::test]
async fn a_task_begins_only_if_the_policy_lets_it_and_counts_once() {
    let deactivations = Ceiling { per_hour: None, per_day: Some(2) };
    let policy = Policy { ceilings: Ceilings { deactivations, ..Ceilings::default() }, ..Policy::default() };
    let Desk { dispatcher, work, _folder, .. } = desk_under(policy, Arc::new(CHANGING));
    let told = async {
        for (n, outcome) in [(1, Outcome::Succeeded), (2, Outcome::Succeeded), (3, Outcome::Failed)] {
            let (watch, mut events) = mpsc::channel(4);
            dispatcher.run_local(disable(n, "joe"), Caller::Person, watch).await;
            let Some(LocalEvent::Ended(report)) = events.recv().await else { unreachable!() };
            assert_eq!(report.outcome.known(), Some(outcome), "{report:?}");
            if let Some(failure) = report.failure {
                assert_eq!((failure.code.as_str(), report.changed.known()), ("policy", Some(Changed::No)));
                assert!(failure.summary.contains("`deactivations_per_day`"), "{failure}");
                assert!(failure.summary.contains("possible again at"), "{failure}");
            }
            dispatcher.local_taken(report.task, true).await;
        }
        dispatcher.stop().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Leave the sealed fields of an offer out of `brings_password`, and every password may be set that a controller likes.
#[tokio::test]
async fn a_restored_account_that_gets_a_password_counts_as_a_reset() {
    let resets = Ceiling { per_hour: Some(0), per_day: None };
    let policy = Policy { ceilings: Ceilings { resets, ..Ceilings::default() }, ..Policy::default() };
    let Desk { dispatcher, work, _folder, .. } = desk_under(policy, Arc::new(CHANGING));
    let key = SealingKey::from_random(&random::secret());
    let wrapped = WrappedKey { key: key.public().id(), enc: [0; 32], wrapped: Bytes::default() };
    work.executor.keys().add(key);
    let keys = List::new(vec![wrapped]).unwrap();
    let password = SealedField { name: Text::clipped("password"), ciphertext: Bytes::default(), keys };
    let told = async {
        for (n, sealed, rule) in [(1, vec![password], "`resets_per_hour`"), (2, Vec::new(), "")] {
            let (watch, mut events) = mpsc::channel(4);
            let offer = Offer { sealed: List::new(sealed).unwrap(), ..restore(n, "joe") };
            dispatcher.run_local(offer, Caller::Person, watch).await;
            let Some(LocalEvent::Ended(report)) = events.recv().await else { unreachable!() };
            let summary = report.failure.map(|failure| failure.summary.to_string());
            assert_eq!(summary.is_some(), !rule.is_empty(), "{summary:?}");
            assert!(summary.unwrap_or_default().contains(rule));
            dispatcher.local_taken(report.task, true).await;
        }
        dispatcher.stop().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

#[tokio::test]
async fn what_the_policy_never_lets_through_is_rejected_for_good_and_the_rule_is_named() {
    let policy = Policy { deny: vec![Pattern::new("ceo@*").unwrap()], ..Policy::default() };
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_under(policy, Arc::new(CHANGING));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        dispatcher.frame(disable(1, "CEO@acme.example").into()).await;
        let refused = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_))).await;
        let FromMember::Reject(Reject { reason, retry_after_ms, message, .. }) = refused else { unreachable!() };
        assert_eq!((reason.known(), retry_after_ms), (Some(Rejection::Policy), 0));
        assert!(message.contains("rule `deny`"), "{message}");
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Nothing is done that could not be told.
#[tokio::test]
async fn while_too_much_waits_for_the_audit_log_nothing_is_taken() {
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(CHANGING));
    let store = work.store.clone();
    let told = async {
        let (watch, mut events) = mpsc::channel(4);
        dispatcher.connect(Duration::from_secs(60), frames).await;
        store.audit().pretend(u64::MAX);
        dispatcher.frame(disable(2, "joe").into()).await;
        let refused = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_))).await;
        let FromMember::Reject(Reject { task, reason, retry_after_ms, message, .. }) = refused else { unreachable!() };
        assert_eq!((task, reason.known()), (disable(2, "joe").task, Some(Rejection::StoreFault)));
        assert!(retry_after_ms > 0 && message.contains("audit log"), "{message}");
        dispatcher.run_local(disable(3, "joe"), Caller::Person, watch).await;
        let Some(LocalEvent::NotTaken(why)) = events.recv().await else { unreachable!() };
        assert!(why.contains("audit log") && events.recv().await.is_none(), "nor is a task of this machine: {why}");
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Leave `check_signature` out of `refusal`, and the forged task is accepted.
#[tokio::test]
async fn f51_a_forged_task_is_rejected_for_good_before_anything_is_done() {
    let signer = SigningKey::from_private(Zeroizing::new([1; 32])).unwrap();
    let signatures = Signatures { required: true, accepted: vec![*signer.public()] };
    let policy = Policy { signatures, ..Policy::default() };
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_under(policy, Arc::new(CHANGING));
    let task = |n| TaskId::from_random(clock::unix_millis().0, [n; 10]);
    let good = Offer { task: task(1), ..disable(1, "joe") };
    let good = Offer { signature: Some(TaskSignature::sign(&good, 0, &signer).unwrap().into()), ..good };
    let forged = Offer { task: task(2), signature: good.signature.clone(), ..disable(2, "ceo") };
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        for bad in [disable(3, "joe"), forged] {
            dispatcher.frame(bad.clone().into()).await;
            let answer = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_) | FromMember::Accept(_))).await;
            let FromMember::Reject(Reject { task, reason, retry_after_ms, .. }) = answer else { panic!("{answer:?}") };
            assert_eq!((task, reason.known(), retry_after_ms), (bad.task, Some(Rejection::BadSignature), 0));
        }
        dispatcher.frame(good.clone().into()).await;
        let answer = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_) | FromMember::Accept(_))).await;
        assert!(matches!(answer, FromMember::Accept(_)), "{answer:?}");
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Look at the time of a signature only when a task is taken, and a controller that keeps a dataset back, or an agent that is
/// started again, has it begin long after.
#[tokio::test]
async fn f51_a_signed_task_that_waited_here_for_too_long_is_not_begun() {
    const MONTH_MS: u64 = 31 * 24 * 60 * 60 * 1000;
    let signer = SigningKey::from_private(Zeroizing::new([1; 32])).unwrap();
    let signatures = Signatures { required: true, accepted: vec![*signer.public()] };
    let policy = Policy { signatures, ..Policy::default() };
    let of = |made: u64, n| {
        let offer = Offer { task: TaskId::from_random(made, [n; 10]), ..disable(n, "joe") };
        Offer { signature: Some(TaskSignature::sign(&offer, 0, &signer).unwrap().into()), ..offer }
    };
    let now = clock::unix_millis().0;
    let (late, good) = (of(now - MONTH_MS, 1), of(now, 2));
    let held = vec![late.clone(), good.clone()];
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_holding(held, policy, Arc::new(CHANGING));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        let mut codes = BTreeMap::new();
        while codes.len() < 2 {
            let frame = sent.recv().await.unwrap();
            if let FromMember::Renew(renew) = &frame {
                dispatcher.frame(kept(renew, 60_000)).await;
            }
            if let FromMember::Report(report) = frame {
                let code = report.failure.map(|failure| failure.code.to_string());
                codes.insert(report.task, (code, report.changed.known()));
            }
        }
        assert_eq!(codes[&late.task], (Some("policy".to_owned()), Some(Changed::No)));
        assert_eq!(codes[&good.task], (None, Some(Changed::Yes)));
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Leave the comparison out of `refusal`, and the task is accepted.
#[tokio::test]
async fn f50_an_offer_about_another_account_than_its_request_names_is_rejected_for_good() {
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(CHANGING));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        for target in ["joe", "", "CEO"] {
            dispatcher.frame(Offer { target: Text::clipped(target), ..disable(1, "ceo") }.into()).await;
            let answer = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_) | FromMember::Accept(_))).await;
            let FromMember::Reject(Reject { reason, retry_after_ms, message, .. }) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!((reason.known(), retry_after_ms), (Some(Rejection::Invalid), 0));
            assert!(message.contains(&format!("about `{target}`, and its request names `ceo`")), "{message}");
        }
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

impl Dispatcher {
    async fn connect(&self, ttl: Duration, frames: Frames) {
        let enabled = Membership { state: MembershipState::Enabled, epoch: Epoch(1), hard: false };
        assert!(self.welcomed(SessionNo(1), enabled).await);
        self.established(ReportNo(0), ttl, frames).await;
    }
}

/// F14. Leave the look at the disk out of `refusal`, and the commit is refused instead: the process ends with 74, is
/// started again, takes the same offer and ends again.
#[tokio::test]
async fn f14_a_full_disk_refuses_new_work_and_the_agent_lives_on() {
    let Desk { disk, dispatcher, work, frames, mut sent, .. } = desk();
    let told = async {
        disk.free.store(3 << 20, Ordering::SeqCst);
        dispatcher.connect(Duration::from_secs(60), frames).await;
        disk.free.store(1 << 20, Ordering::SeqCst);
        // Beyond the two that it is offered without having asked for any.
        let wants_more = |frame: &FromMember| matches!(frame, FromMember::Credit(it) if it.offers > 2);
        for number in [1, 3] {
            dispatcher.frame(offer(number).into()).await;
            let is_answer = |frame: &FromMember| matches!(frame, FromMember::Reject(_)) || wants_more(frame);
            let refused = next(&mut sent, is_answer).await;
            let FromMember::Reject(Reject { reason, retry_after_ms, .. }) = refused else { panic!("it wants more") };
            assert_eq!((reason.known(), retry_after_ms), (Some(Rejection::StoreFault), 10_000));
        }

        // It still takes down what it is told.
        let draining = MemberState { state: MembershipState::Draining.into(), epoch: Epoch(2), hard: false };
        dispatcher.frame(draining.into()).await;
        let enabled = MemberState { state: MembershipState::Enabled.into(), epoch: Epoch(3), hard: false };
        disk.free.store(1 << 40, Ordering::SeqCst);
        dispatcher.frame(enabled.into()).await;
        next(&mut sent, wants_more).await;
        dispatcher.frame(offer(2).into()).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// F14. Count an offer's own payloads alone, and each of these is taken, though the disk has room for one.
#[tokio::test]
async fn f14_room_is_kept_for_the_payloads_that_are_still_to_come() {
    let Desk { _folder, disk, dispatcher, work, frames, mut sent, commands: _commands } = desk();
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        disk.free.store(150 << 20, Ordering::SeqCst);
        let dataset = |n| StreamRef { id: StreamId::from_bytes([n; 16]), length: 100 << 20, sha256: [n; 32] };
        for (n, is_taken) in [(1, true), (2, false)] {
            let offer = Offer { streams: List::new(vec![dataset(n)]).unwrap(), ..offer(n) };
            dispatcher.frame(offer.into()).await;
            let answer = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_) | FromMember::Accept(_))).await;
            assert_eq!(matches!(answer, FromMember::Accept(_)), is_taken, "{answer:?}");
        }
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Look at the time of a signature also of what begins nothing any more, and of a batch that another member may have begun nothing
/// is told of any entry, and the operator is sent to look at clocks.
#[tokio::test]
async fn a_signed_batch_that_another_may_have_begun_is_told_of_however_late_it_is() {
    let signer = SigningKey::from_private(Zeroizing::new([1; 32])).unwrap();
    let signatures = Signatures { required: true, accepted: vec![*signer.public()] };
    let policy = Policy { signatures, ..Policy::default() };
    let made = TaskId::from_random(clock::unix_millis().0 - 24 * 60 * 60 * 1000, [1; 10]);
    let late = Offer { task: made, reconcile: true, ..import(1) };
    let late = Offer { signature: Some(TaskSignature::sign(&late, 60_000, &signer).unwrap().into()), ..late };
    let connector = Arc::new(Waiting { begun: Arc::default() });
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_holding(vec![late], policy, connector);
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        let FromMember::Renew(renew) = next(&mut sent, |frame| matches!(frame, FromMember::Renew(_))).await else {
            unreachable!()
        };
        dispatcher.frame(answered(&renew, 60_000, LeaseVerdict::Late)).await;
        let reported = next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
        let FromMember::Report(report) = reported else { unreachable!() };
        assert_eq!(report.failure.map(|failure| failure.code.to_string()).as_deref(), Some("late"));
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// An offer to import a dataset.
fn import(n: u8) -> Offer {
    let request = TaskRequest::ImportBatch(import_batch::Request::new(Format::Jsonl));
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    Offer { kind: request.kind().into(), params, ..offer(n) }
}

/// Every lease that a member asks for is kept.
fn kept(asked: &Renew, ttl_ms: u32) -> FromController {
    answered(asked, ttl_ms, LeaseVerdict::Kept)
}

fn answered(asked: &Renew, ttl_ms: u32, verdict: LeaseVerdict) -> FromController {
    let verdict = verdict.into();
    let leases = asked.leases.iter().map(|lease| RenewedLease { lease: *lease, verdict }).collect();
    Renewed { nonce: asked.nonce, ttl_ms, leases: List::new(leases).unwrap() }.into()
}

/// The controller tells of the deadline while an attempt that knows of none waits, or before it runs. Stop it, and nothing is told
/// of its entries; tell it nothing, and it waits for ever.
#[tokio::test]
async fn an_attempt_is_told_of_a_deadline_that_was_forgotten_and_is_not_stopped() {
    static PAUSED_MS: AtomicU64 = AtomicU64::new(0);
    const LONG: u32 = 3_600_000;
    for is_running in [true, false] {
        let begun = Arc::<Notify>::default();
        let held = vec![Offer { reconcile: true, ..import(1) }];
        let connector = Arc::new(Waiting { begun: Arc::clone(&begun) });
        let Desk { _folder, dispatcher, mut work, frames, mut sent, .. } =
            desk_holding(held, Policy::default(), connector);
        work.day = || UnixMillis(clock::unix_millis().0 + PAUSED_MS.load(Ordering::SeqCst));
        let told = async {
            dispatcher.connect(Duration::from_secs(60), frames).await;
            let kept = is_running.then_some(LeaseVerdict::Kept);
            for verdict in kept.into_iter().chain([LeaseVerdict::Late]) {
                let renew = next(&mut sent, |frame| matches!(frame, FromMember::Renew(_))).await;
                let FromMember::Renew(renew) = renew else { unreachable!() };
                dispatcher.frame(answered(&renew, LONG, verdict)).await;
                if verdict == LeaseVerdict::Kept {
                    begun.notified().await;
                    // It asks again at once.
                    PAUSED_MS.fetch_add(600_000, Ordering::SeqCst);
                }
            }
            let reported = next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
            let FromMember::Report(report) = reported else { unreachable!() };
            let code = report.failure.map(|failure| failure.code.to_string());
            assert_eq!(code.as_deref(), Some("late"), "{is_running}");
            dispatcher.stop().await;
            dispatcher.disconnected().await;
        };
        let work = tokio::time::timeout(PATIENCE, work.run(CancellationToken::new()));
        let (ended, ()) = tokio::join!(work, told);
        ended.expect("it is told").unwrap();
    }
}

/// The start of an attempt waits for the disk when the controller tells of the deadline: it knows of none, and nobody runs yet who
/// could be told. Do not ask when it starts, and it never hears of it.
#[tokio::test]
async fn an_attempt_whose_start_waited_for_the_disk_is_told_of_a_deadline_that_came_first() {
    let held = vec![Offer { reconcile: true, ..import(1) }];
    let connector = Arc::new(Waiting { begun: Arc::default() });
    let Desk { _folder, mut work, .. } = desk_holding(held, Policy::default(), connector);
    // Whatever is told here is over when the dispatcher reads its clock.
    let mut now = Timestamp::from_millis(0);
    let membership = Membership { state: MembershipState::Enabled, epoch: Epoch(1), hard: false };
    let sync = |ledger: &mut Ledger, now| {
        while let Some((mark, _)) = ledger.poll_writes(now) {
            ledger.handle_durable(mark, now);
        }
    };
    work.ledger.handle_welcome(SessionNo(1), membership, now);
    sync(&mut work.ledger, now);
    work.ledger.handle_established(ReportNo(0), Duration::from_secs(60), now);
    sync(&mut work.ledger, now);
    for verdict in [LeaseVerdict::Kept, LeaseVerdict::Late] {
        while let Some(frame) = work.ledger.poll_transmit(now) {
            if let FromMember::Renew(Renew { nonce, leases }) = frame {
                let leases =
                    leases.iter().map(|lease| RenewedLease { lease: *lease, verdict: verdict.into() }).collect();
                let renewed = Renewed { nonce, ttl_ms: 60_000, leases: List::new(leases).unwrap() };
                work.ledger.handle_renewed(&renewed, now);
            }
        }
        while let Some(event) = work.ledger.poll_event(now) {
            assert!(!matches!(event, Event::Start { .. }), "its start is not on disk");
            work.act(event).await;
        }
        now = now + Duration::from_secs(20);
        work.ledger.handle_timeout(now);
    }
    sync(&mut work.ledger, now);
    let event = work.ledger.poll_event(now).unwrap();
    assert!(matches!(event, Event::Start { deadline: None, .. }), "{event:?}");
    work.act(event).await;
    assert!(work.running[&import(1).task].halt.late.is_cancelled());
}

/// A batch is taken, and its results find a disk with enough space for records and none for payloads.
async fn import_onto_a_full_disk(
    dispatcher: &Dispatcher,
    sent: &mut mpsc::Receiver<FromMember>,
    disk: &Disklike,
    may: &Notify,
) {
    dispatcher.frame(import(1).into()).await;
    let renew = next(sent, |frame| matches!(frame, FromMember::Renew(_))).await;
    let FromMember::Renew(renew) = renew else { unreachable!() };
    next(sent, |frame| matches!(frame, FromMember::Accept(_))).await;
    disk.free.store(5 << 19, Ordering::SeqCst);
    dispatcher.frame(kept(&renew, 60_000)).await;
    may.notify_one();
    next(sent, |frame| matches!(frame, FromMember::Started(_))).await;
}

/// F14. Let results wait until the attempts are stopped, and the agent takes as long to stop as it may, and counts each
/// stop as a death of the process in this task; let what is given up end, and its results are lost.
#[tokio::test]
async fn f14_results_that_wait_for_room_do_not_hold_up_a_stop() {
    for fails in [false, true] {
        let may = Arc::<Notify>::default();
        let connector = Importing { fails, may: Arc::clone(&may) };
        let Desk { _folder, disk, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(connector));
        let store = work.store.clone();
        let told = async {
            dispatcher.connect(Duration::from_secs(60), frames).await;
            import_onto_a_full_disk(&dispatcher, &mut sent, &disk, &may).await;
            dispatcher.stop().await;
            dispatcher.disconnected().await;
        };
        let work = tokio::time::timeout(PATIENCE, work.run(CancellationToken::new()));
        let (ended, ()) = tokio::join!(work, told);
        ended.expect("it stops").unwrap();
        let [held] = store.restore().unwrap().tasks.try_into().unwrap();
        assert_eq!(
            (held.offer.task, held.state),
            (import(1).task, TaskState::Started { unended: 0 }),
            "fails: {fails}"
        );
    }
}

/// F14. Try again as for what passes within seconds, and what was accepted fails after a quarter of a minute of a full disk; wait for
/// so long that it is not counted, and a file larger than the disk is made anew for days.
#[tokio::test]
async fn f14_a_file_that_finds_no_room_is_tried_again_for_minutes_and_not_for_days() {
    let connector = Arc::<Exporting>::default();
    let Desk { _folder, disk, dispatcher, work, .. } = desk_with(connector.clone());
    let told = async {
        let (watch, mut events) = mpsc::channel(4);
        let requester = Some(*SealingKey::from_random(&Zeroizing::new([4; 32])).public());
        dispatcher.run_local(Offer { requester, ..offer(1) }, Caller::Schedule, watch).await;
        connector.begun.notified().await;
        disk.free.store(5 << 19, Ordering::SeqCst);
        connector.may.notify_one();
        let told = events.recv().await;
        let Some(LocalEvent::Again { after, failure }) = told else { panic!("{told:?}") };
        assert_eq!(failure.code.as_str(), DISK_FULL);
        let uncounted = Limits::for_systems(BTreeMap::new()).long_wait;
        assert!((Duration::from_secs(50)..uncounted).contains(&after), "{after:?}");
        dispatcher.stop().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// F14. Without a token for it, what waits for a day cannot be stopped.
#[tokio::test]
async fn f14_whoever_cancels_a_failed_batch_whose_results_wait_for_room_has_it_end_without_them() {
    let may = Arc::<Notify>::default();
    let connector = Importing { fails: true, may: Arc::clone(&may) };
    let Desk { _folder, disk, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(connector));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        import_onto_a_full_disk(&dispatcher, &mut sent, &disk, &may).await;
        for _ in 0..2 {
            dispatcher.frame(Cancel { task: import(1).task }.into()).await;
        }
        let reported = next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
        let FromMember::Report(report) = reported else { unreachable!() };
        assert_eq!((report.changed.known(), report.streams.len()), (Some(Changed::Yes), 0), "{report:?}");
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let work = tokio::time::timeout(PATIENCE, work.run(CancellationToken::new()));
    let (ended, ()) = tokio::join!(work, told);
    ended.expect("it stops").unwrap();
}

/// Take either call of `redaction::failure` out of the executor, and what a library says of a call that it was given secrets
/// for leaves the host.
#[tokio::test]
async fn no_failure_that_leaves_an_attempt_tells_a_secret_in_use() {
    let _in_use = redaction::in_use(b"Quoted-Secret");
    for concludes in [false, true] {
        let Desk { _folder, dispatcher, work, .. } = desk_with(Arc::new(Quoting { concludes }));
        let told = async {
            let (watch, mut events) = mpsc::channel(4);
            dispatcher.run_local(offer(1), Caller::Person, watch).await;
            let Some(LocalEvent::Ended(report)) = events.recv().await else { unreachable!() };
            let summary = report.failure.map(|failure| failure.summary.to_string());
            assert_eq!(summary.as_deref(), Some("*** is no good"), "concludes: {concludes}");
            dispatcher.local_taken(report.task, true).await;
            dispatcher.stop().await;
        };
        let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
        ended.unwrap();
    }
}

/// F09. Take `catch_unwind` out of the executor, and the task stays in its slot, running for ever.
#[tokio::test]
async fn f09_a_panic_is_the_failure_of_its_task_and_leaves_the_slot_free() {
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk_with(Arc::new(Panicking));
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        for n in 1..=3 {
            dispatcher.frame(offer(n).into()).await;
            let reported = next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
            let FromMember::Report(report) = reported else { unreachable!() };
            assert_eq!((report.task, report.outcome.known()), (offer(n).task, Some(Outcome::Failed)));
            assert_eq!((report.changed.known(), report.failure.unwrap().code.as_str()), (Some(Changed::No), "panic"));
        }
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// F21. Let the loop wait for the disk alone, and no lease is renewed before it is done.
#[tokio::test]
async fn f21_leases_are_renewed_while_the_disk_is_busy() {
    let Desk { disk, dispatcher, work, frames, mut sent, .. } = desk();
    let told = async {
        // Short, so that it is renewed soon.
        dispatcher.connect(Duration::from_millis(600), frames).await;
        disk.is_busy(true);
        dispatcher.frame(offer(1).into()).await;
        for _ in 0..3 {
            let renew = next(&mut sent, |frame| {
                assert!(!matches!(frame, FromMember::Accept(_)), "the task is not on disk");
                matches!(frame, FromMember::Renew(_))
            });
            let FromMember::Renew(renew) = renew.await else { unreachable!() };
            dispatcher.frame(kept(&renew, 600)).await;
        }
        assert!(dispatcher.status().await.is_some(), "it answers whoever asks");
        disk.is_busy(false);
        next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
    };
    let told = async {
        let told = tokio::time::timeout(PATIENCE, told).await;
        // The store does not close while the disk is busy.
        disk.is_busy(false);
        told.unwrap();
    };
    tokio::select! {
        ended = work.run(CancellationToken::new()) => panic!("{ended:?}"),
        () = told => (),
    }
}

static PAUSED_MS: AtomicU64 = AtomicU64::new(0);

/// Look at one clock alone, and the next renewal comes when a third of the lease is over by it.
#[tokio::test]
async fn f13_after_a_pause_of_its_virtual_machine_a_member_asks_for_its_leases_again() {
    const LONG: u32 = 3_600_000;
    let Desk { _folder, dispatcher, mut work, frames, mut sent, .. } = desk();
    work.day = || UnixMillis(clock::unix_millis().0 + PAUSED_MS.load(Ordering::SeqCst));
    let told = async {
        dispatcher.connect(Duration::from_millis(LONG.into()), frames).await;
        let dataset = StreamRef { id: StreamId::from_bytes([1; 16]), length: 1, sha256: [1; 32] };
        dispatcher.frame(Offer { streams: List::new(vec![dataset]).unwrap(), ..offer(1) }.into()).await;
        let renew = next(&mut sent, |frame| matches!(frame, FromMember::Renew(_))).await;
        let FromMember::Renew(renew) = renew else { unreachable!() };
        dispatcher.frame(kept(&renew, LONG)).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Accept(_))).await;
        PAUSED_MS.store(600_000, Ordering::SeqCst);
        let again = tokio::time::timeout(PATIENCE, next(&mut sent, |frame| matches!(frame, FromMember::Renew(_))));
        again.await.expect("it asks at once");
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
    ended.unwrap();
}

/// Wait for the streams, and whoever has them wait keeps the agent from everything else: they wait for a controller that takes
/// what they send.
#[tokio::test]
async fn the_dispatcher_goes_on_while_the_streams_take_nothing() {
    let Desk { _folder, dispatcher, work, frames, mut sent, commands: _commands, .. } = desk();
    while let Some(place) = work.streams.try_place() {
        place.send(Command::Disconnected);
    }
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        let stream = StreamRef { id: StreamId::from_bytes([1; 16]), length: 1, sha256: [1; 32] };
        dispatcher.frame(Offer { streams: List::new(vec![stream]).unwrap(), ..offer(1) }.into()).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Accept(_))).await;
        dispatcher.frame(StreamOpen { task: TaskId::from_bytes([1; 16]), stream }.into()).await;
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let both = async { tokio::join!(work.run(CancellationToken::new()), told) };
    let (ended, ()) = tokio::time::timeout(PATIENCE, both).await.expect("it waits for nobody");
    ended.unwrap();
}

/// Say it only if there is room at once, and a payload whose announcement had no answer does not come for the rest of the session.
#[tokio::test]
async fn every_announcement_is_answered_however_much_waits_to_be_sent() {
    const MORE_THAN_FIT: u8 = 200;
    let Desk { _folder, dispatcher, work, frames, mut sent, .. } = desk();
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        for n in 0..MORE_THAN_FIT {
            let stream = StreamRef { id: StreamId::from_bytes([n; 16]), length: 1, sha256: [1; 32] };
            dispatcher.frame(StreamOpen { task: TaskId::from_bytes([1; 16]), stream }.into()).await;
        }
        // Behind it all of them were taken in.
        dispatcher.status().await.unwrap();
        for n in 0..MORE_THAN_FIT {
            let FromMember::StreamReset(reset) = next(&mut sent, |it| matches!(it, FromMember::StreamReset(_))).await
            else {
                unreachable!()
            };
            assert_eq!(reset.stream, StreamId::from_bytes([n; 16]));
        }
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let both = async { tokio::join!(work.run(CancellationToken::new()), told) };
    let (ended, ()) = tokio::time::timeout(PATIENCE, both).await.expect("all of them are answered");
    ended.unwrap();
}

/// Take the task before what is left of its payload is deleted, and the word that it was there counts for the new lease, at the
/// controller, which sends it no more, and here, where the task begins without it.
#[tokio::test]
async fn a_task_is_not_taken_again_before_its_payload_is_deleted() {
    let Desk { _folder, dispatcher, work, frames, mut sent, mut commands, .. } = desk();
    let task = TaskId::from_bytes([1; 16]);
    let stream = StreamRef { id: StreamId::from_bytes([1; 16]), length: 1, sha256: [1; 32] };
    let leased = |epoch| Offer { epoch: Epoch(epoch), streams: List::new(vec![stream]).unwrap(), ..offer(1) };
    let became = |state: MembershipState, epoch| {
        FromController::from(MemberState { state: state.into(), epoch: Epoch(epoch), hard: false })
    };
    let told = async {
        dispatcher.connect(Duration::from_secs(60), frames).await;
        dispatcher.frame(leased(1).into()).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Accept(_))).await;
        dispatcher.frame(StreamOpen { task, stream }.into()).await;
        assert!(matches!(commands.recv().await, Some(Command::Receive(..))));
        dispatcher.frame(became(MembershipState::Draining, 2)).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Reject(_))).await;
        assert!(matches!(commands.recv().await, Some(Command::Forget(_))));
        dispatcher.frame(became(MembershipState::Enabled, 3)).await;
        dispatcher.frame(leased(2).into()).await;
        let FromMember::Reject(rejected) = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_))).await else {
            unreachable!()
        };
        assert_eq!(rejected.reason.known(), Some(Rejection::Overloaded));
        dispatcher.place().await.unwrap().tell(Moved::Here(task, stream.id));
        dispatcher.place().await.unwrap().tell(Moved::Forgotten(stream.id));
        dispatcher.frame(leased(3).into()).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Accept(_))).await;
        dispatcher.frame(StreamOpen { task, stream }.into()).await;
        assert!(matches!(commands.recv().await, Some(Command::Receive(..))));
        let held = dispatcher.status().await.unwrap().tasks;
        assert!(matches!(&held[..], [it] if it.running_since.is_none()), "it has begun without its payload");
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let both = async { tokio::join!(work.run(CancellationToken::new()), told) };
    let (ended, ()) = tokio::time::timeout(PATIENCE, both).await.expect("it is refused, and then taken");
    ended.unwrap();
}

async fn next(sent: &mut mpsc::Receiver<FromMember>, wanted: impl Fn(&FromMember) -> bool) -> FromMember {
    loop {
        let frame = sent.recv().await.unwrap();
        if wanted(&frame) {
            return frame;
        }
    }
}
