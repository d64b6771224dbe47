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
use postern_protocol::{Epoch, ReportNo, SessionNo, SystemName, TaskKind};
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

/// F14. Leave the look at the disk out of `refusal`, and the commit is refused instead: the process ends with 74, is
/// started again, takes the same offer and ends again.
#[tokio::test]
async fn f14_a_full_disk_refuses_new_work_and_the_agent_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disklike(AtomicU64::new(1 << 40)));
    let options = Options { headroom: 1 << 20, disk: Arc::<Disklike>::clone(&disk) };
    let (store, _) = Store::open_with(folder.path(), &options).unwrap();
    let (dispatcher, inputs) = Dispatcher::channel();
    let (streams, _commands) = Streams::channel();
    let willing: Arc<dyn Connector> = Arc::new(Willing);
    let connectors = [(acme(), willing)].into();
    let executor = Executor::new(connectors, Vec::new(), store.clone(), dispatcher.clone(), Spawner::default());
    let ledger = Ledger::restore(Limits::for_systems([(acme(), 1)].into()), store.restore().unwrap());
    let (frames, mut sent) = mpsc::channel(64);

    let told = async {
        let enabled = Membership { state: MembershipState::Enabled, epoch: Epoch(1), hard: false };
        assert!(dispatcher.welcomed(SessionNo(1), enabled).await);
        dispatcher.established(ReportNo(0), Duration::from_secs(60), frames).await;

        disk.0.store(1 << 20, Ordering::SeqCst);
        dispatcher.frame(offer(1).into()).await;
        let refused = next(&mut sent, |frame| matches!(frame, FromMember::Reject(_))).await;
        let FromMember::Reject(Reject { reason, retry_after_ms, .. }) = refused else { unreachable!() };
        assert_eq!((reason.known(), retry_after_ms), (Some(Rejection::StoreFault), 10_000));

        // It still takes down what it is told.
        let draining = MemberState { state: MembershipState::Draining.into(), epoch: Epoch(2), hard: false };
        dispatcher.frame(draining.into()).await;
        let enabled = MemberState { state: MembershipState::Enabled.into(), epoch: Epoch(3), hard: false };
        disk.0.store(1 << 40, Ordering::SeqCst);
        dispatcher.frame(enabled.into()).await;
        dispatcher.frame(offer(2).into()).await;
        next(&mut sent, |frame| matches!(frame, FromMember::Report(_))).await;
        dispatcher.stop().await;
        dispatcher.disconnected().await;
    };
    let work = Loop::new(ledger, store, executor, streams, inputs).run(CancellationToken::new());
    let (ended, ()) = tokio::join!(work, told);
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
