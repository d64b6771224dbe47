//! All light agents, and what is told of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postern_agent::link::{DialError, Dialer};
use postern_benches::{Failure, Submitter, keep_busy_until};
use postern_protocol::TaskId;
use postern_tests::lab::CLUSTER;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::identity::Identity;
use crate::member;

/// The longest that one address may take from TCP to the end of the upgrade: an agent's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Who enrolls at once.
const APPLICANTS: usize = 16;
/// The longest until all are there: ten times what backing off to its widest window takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it is looked whether all are there.
const LOOK: Duration = Duration::from_millis(5);

/// What members are to do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Orders {
    /// Those with a lower number are to have a session.
    pub(crate) online: usize,
    /// Grows when all connections are cut.
    pub(crate) cut: u64,
}

/// What members share, and what they tell.
pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) dialer: Dialer,
    pub(crate) registered: AtomicUsize,
    pub(crate) acknowledged: AtomicU64,
    /// Connections that ended before their members were registered.
    pub(crate) unregistered: AtomicU64,
    /// Dials to which nobody listened, and those that were cut in a handshake.
    unheard: AtomicU64,
    turned_away: AtomicU64,
    dials: Mutex<BTreeMap<usize, u64>>,
    arrivals: Mutex<Vec<Instant>>,
    submitted: Mutex<BTreeMap<TaskId, Instant>>,
    latencies: Mutex<Vec<Duration>>,
}

fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn dialled(&self, number: usize) {
        *locked(&self.dials).entry(number).or_default() += 1;
    }

    pub(crate) fn turned_away(&self, error: &DialError) {
        let counter = if matches!(error, DialError::Connect { .. }) { &self.unheard } else { &self.turned_away };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn registered(&self) {
        locked(&self.arrivals).push(Instant::now());
        self.registered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn offered(&self, task: TaskId) {
        if let Some(submitted) = locked(&self.submitted).remove(&task) {
            locked(&self.latencies).push(submitted.elapsed());
        }
    }

    /// A task is about to be submitted.
    pub(crate) fn submits(&self, task: TaskId) {
        locked(&self.submitted).insert(task, Instant::now());
    }

    /// How long the offers since the last call took from before the submission, in order.
    pub(crate) fn take_latencies(&self) -> Vec<Duration> {
        let mut latencies = std::mem::take(&mut *locked(&self.latencies));
        latencies.sort();
        latencies
    }
}

/// What it took until all were there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storm {
    /// Until half of them, 99 in a hundred, and all of them were registered.
    pub(crate) half: Duration,
    pub(crate) most: Duration,
    pub(crate) all: Duration,
    /// Dials in all, and of the one with most.
    pub(crate) dials: u64,
    pub(crate) most_dials: u64,
    /// Dials to which nobody listened.
    pub(crate) unheard: u64,
    /// Handshakes that were cut, and connections that ended before the member was registered.
    pub(crate) turned_away: u64,
}

/// The light agents.
pub(crate) struct Fleet {
    pub(crate) shared: Arc<Shared>,
    orders: watch::Sender<Orders>,
    members: JoinSet<()>,
}

impl Fleet {
    /// Nobody yet.
    pub(crate) fn new(url: &str) -> Self {
        let shared = Shared {
            url: url.to_owned(),
            dialer: Dialer { proxy: None, timeout: CONNECT_TIMEOUT },
            registered: AtomicUsize::new(0),
            acknowledged: AtomicU64::new(0),
            unregistered: AtomicU64::new(0),
            unheard: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            dials: Mutex::default(),
            arrivals: Mutex::default(),
            submitted: Mutex::default(),
            latencies: Mutex::default(),
        };
        Self { shared: Arc::new(shared), orders: watch::Sender::default(), members: JoinSet::new() }
    }

    /// Has so many more enroll. They are not connected yet.
    pub(crate) async fn enroll(&mut self, count: usize, submitter: &Submitter) -> Result<Duration, Failure> {
        let start = Instant::now();
        let enrolled = Arc::<Mutex<Vec<Identity>>>::default();
        keep_busy_until(APPLICANTS, 0..count, |_| {
            let (shared, submitter, enrolled) = (Arc::clone(&self.shared), submitter.clone(), Arc::clone(&enrolled));
            async move {
                let token = submitter.enrollment_token(CLUSTER).await?;
                let identity = Identity::enroll(&shared.dialer, &shared.url, &token).await?;
                locked(&enrolled).push(identity);
                Ok(())
            }
        })
        .await?;
        let took = start.elapsed();
        for identity in locked(&enrolled).drain(..) {
            let number = self.members.len();
            self.members.spawn(member::live(number, identity, Arc::clone(&self.shared), self.orders.subscribe()));
        }
        Ok(took)
    }

    /// Has the first so many connected, and no others.
    pub(crate) async fn bring(&self, online: usize) -> Result<Storm, Failure> {
        self.forget();
        let start = Instant::now();
        self.orders.send_modify(|it| it.online = online);
        self.all_there(start, online).await
    }

    /// Cuts all connections at once.
    pub(crate) async fn cut(&self) -> Result<Storm, Failure> {
        self.forget();
        let start = Instant::now();
        let online = self.orders.borrow().online;
        self.orders.send_modify(|it| it.cut += 1);
        self.dialled_again(online).await?;
        self.all_there(start, online).await
    }

    /// Waits until all of them have come back to a controller that was away.
    pub(crate) async fn come_back(&self, start: Instant) -> Result<Storm, Failure> {
        let online = self.orders.borrow().online;
        self.dialled_again(online).await?;
        self.all_there(start, online).await
    }

    /// Begins to count anew.
    pub(crate) fn forget(&self) {
        locked(&self.shared.dials).clear();
        locked(&self.shared.arrivals).clear();
        for counter in [&self.shared.unheard, &self.shared.turned_away, &self.shared.unregistered] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Waits until each of them has noticed that its connection is gone.
    async fn dialled_again(&self, online: usize) -> Result<(), Failure> {
        self.until(|| locked(&self.shared.dials).len() == online).await
    }

    async fn all_there(&self, start: Instant, online: usize) -> Result<Storm, Failure> {
        self.until(|| self.shared.registered.load(Ordering::Relaxed) == online).await?;
        let mut arrivals: Vec<Duration> =
            locked(&self.shared.arrivals).iter().map(|it| it.saturating_duration_since(start)).collect();
        arrivals.sort();
        let dials = locked(&self.shared.dials).clone();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Storm {
            half: percentile(&arrivals, 50),
            most: percentile(&arrivals, 99),
            all: percentile(&arrivals, 100),
            dials: dials.values().sum(),
            most_dials: dials.values().copied().max().unwrap_or(0),
            unheard: count(&self.shared.unheard),
            turned_away: count(&self.shared.turned_away) + count(&self.shared.unregistered),
        })
    }

    async fn until(&self, condition: impl Fn() -> bool) -> Result<(), Failure> {
        let start = Instant::now();
        while !condition() {
            if start.elapsed() > PATIENCE {
                let there = self.shared.registered.load(Ordering::Relaxed);
                return Err(format!("{there} are there after {} s", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The value below which so many in a hundred of these lie, which are in order. Zero of none.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
