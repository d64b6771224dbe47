use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_agent_core::Limits;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{MembershipState, Mode, Reject};
use postern_protocol::outcome::Changed;
use postern_protocol::task::{disable_user, test_connection};
use postern_protocol::{Epoch, Outcome, ReportNo, SessionNo, SystemName, TaskKind};
use postern_store::{Disk, Options, RealDisk};

use super::super::Dispatcher;
use super::*;
use crate::connector::{AttemptCx, Conclusion, Connector, Pending};
use crate::spawn::Spawner;

/// A disk with as much free space as the test says.
#[derive(Debug)]
struct Disklike(AtomicU64);

impl Disk for Disklike {
    fn sync(&self, db: &File) -> io::Result<()> {
        RealDisk.sync(db)
    }

    fn free(&self, _: &File) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

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

fn acme() -> SystemName {
    "acme".parse().unwrap()
}

fn offer(n: u8) -> Offer {
    let request = TaskRequest::TestConnection(test_connection::Request {});
    Offer {
        task: TaskId::from_bytes([n; 16]),
        kind: request.kind().into(),
        kind_rev: TaskRequest::REV,
        epoch: Epoch(1),
        lease_ttl_ms: 60_000,
        deadline_ms: 0,
        priority: 0,
        system: acme(),
        target: Text::default(),
        mode: Mode::Async.into(),
        attempt: 1,
        reconcile: false,
        observations: List::default(),
        params: Bytes::new(request.encode().unwrap()).unwrap(),
        sealed: List::default(),
        streams: List::default(),
        requester: None,
        ext: List::default(),
    }
}

/// A dispatcher over a fresh store on `disk`, with `acme` as this connector serves it, and the other end of its session.
struct Scene {
    dispatcher: Dispatcher,
    work: Loop,
    frames: mpsc::Sender<FromMember>,
    sent: mpsc::Receiver<FromMember>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(connector: Arc<dyn Connector>, disk: Arc<dyn Disk>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open_with(folder.path(), &Options { headroom: 1 << 20, disk }).unwrap();
        let (dispatcher, inputs) = Dispatcher::channel();
        let (streams, _commands) = Streams::channel();
        let connectors = [(acme(), connector)].into();
        let executor = Executor::new(connectors, Vec::new(), store.clone(), dispatcher.clone(), Spawner::default());
        let ledger = Ledger::restore(Limits::for_systems([(acme(), 1)].into()), store.restore().unwrap());
        let (frames, sent) = mpsc::channel(64);
        let work = Loop::new(ledger, store, executor, streams, inputs);
        Self { dispatcher, work, frames, sent, _folder: folder }
    }

    /// Runs until `story`, which is told in an established session, has ended.
    async fn run(self, story: impl AsyncFnOnce(&Dispatcher, &mut mpsc::Receiver<FromMember>)) {
        let Self { dispatcher, work, frames, mut sent, _folder } = self;
        let told = async {
            let enabled = Membership { state: MembershipState::Enabled, epoch: Epoch(1), hard: false };
            assert!(dispatcher.welcomed(SessionNo(1), enabled).await);
            dispatcher.established(ReportNo(0), Duration::from_secs(60), frames).await;
            story(&dispatcher, &mut sent).await;
            dispatcher.stop().await;
            dispatcher.disconnected().await;
        };
        let (ended, ()) = tokio::join!(work.run(CancellationToken::new()), told);
        ended.unwrap();
    }
}

/// F14. Leave the look at the disk out of `refusal`, and the commit is refused instead: the process ends with 74, is
/// started again, takes the same offer and ends again.
#[tokio::test]
async fn f14_a_full_disk_refuses_new_work_and_the_agent_lives_on() {
    let disk = Arc::new(Disklike(AtomicU64::new(1 << 40)));
    let scene = Scene::new(Arc::new(Willing), Arc::<Disklike>::clone(&disk));
    scene
        .run(async |dispatcher, sent| {
            disk.0.store(1 << 20, Ordering::SeqCst);
            dispatcher.frame(offer(1).into()).await;
            let refused = next(sent, |frame| matches!(frame, FromMember::Reject(_))).await;
            let FromMember::Reject(Reject { reason, retry_after_ms, .. }) = refused else { unreachable!() };
            assert_eq!((reason.known(), retry_after_ms), (Some(Rejection::StoreFault), 10_000));

            // It still takes down what it is told.
            let draining = MemberState { state: MembershipState::Draining.into(), epoch: Epoch(2), hard: false };
            dispatcher.frame(draining.into()).await;
            let enabled = MemberState { state: MembershipState::Enabled.into(), epoch: Epoch(3), hard: false };
            disk.0.store(1 << 40, Ordering::SeqCst);
            dispatcher.frame(enabled.into()).await;
            dispatcher.frame(offer(2).into()).await;
            next(sent, |frame| matches!(frame, FromMember::Report(_))).await;
        })
        .await;
}

/// F09. Take `catch_unwind` out of the executor, and the task stays in its slot, running for ever.
#[tokio::test]
async fn f09_a_panic_is_the_failure_of_its_task_and_leaves_the_slot_free() {
    let scene = Scene::new(Arc::new(Panicking), Arc::new(RealDisk));
    scene
        .run(async |dispatcher, sent| {
            for n in 1..=3 {
                dispatcher.frame(offer(n).into()).await;
                let reported = next(sent, |frame| matches!(frame, FromMember::Report(_))).await;
                let FromMember::Report(report) = reported else { unreachable!() };
                assert_eq!((report.task, report.outcome.known()), (offer(n).task, Some(Outcome::Failed)));
                assert_eq!(
                    (report.changed.known(), report.failure.unwrap().code.as_str()),
                    (Some(Changed::No), "panic")
                );
            }
        })
        .await;
}

async fn next(sent: &mut mpsc::Receiver<FromMember>, wanted: impl Fn(&FromMember) -> bool) -> FromMember {
    loop {
        let frame = sent.recv().await.unwrap();
        if wanted(&frame) {
            return frame;
        }
    }
}
