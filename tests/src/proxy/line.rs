//! A line between an agent and its controller that delays, swallows and breaks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::door::Door;

/// What is passed on at once.
const PIECE: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever dialled, such as the agent, to whom it dialled, such as the controller.
    Up,
    /// The other way.
    Down,
}

/// How connections break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// Both sides see the end.
    Close,
    /// Both sides see a reset.
    Reset,
    /// Whoever this way leads to sees the end; the other way goes on.
    HalfClose(Way),
    /// Nothing arrives any more this way, and nobody is told.
    Swallow(Way),
    /// Nothing arrives any more, either way, and nobody is told.
    SwallowAll,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    connections: AtomicUsize,
    cuts: AtomicUsize,
    carried: [AtomicUsize; 2],
    closed: AtomicBool,
    delay: Mutex<Duration>,
    idle: Mutex<Option<Duration>>,
    cut: Mutex<Option<(Way, usize)>>,
    breakages: watch::Sender<Option<Breakage>>,
}

/// A line to one address. It ends, with every connection, when it is dropped.
#[derive(Debug)]
pub struct Line {
    door: Door,
    shared: Arc<Shared>,
}

impl Line {
    /// Opens a line to `target` on a free port.
    pub async fn open(target: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            target,
            connections: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            carried: Default::default(),
            closed: AtomicBool::new(false),
            delay: Mutex::default(),
            idle: Mutex::default(),
            cut: Mutex::default(),
            breakages: watch::Sender::new(None),
        });
        let of_connections = Arc::clone(&shared);
        let door = Door::open(move |stream| {
            let shared = Arc::clone(&of_connections);
            async move { shared.serve(stream).await }
        })
        .await;
        Self { door, shared }
    }

    /// The controller's URL by way of this line.
    pub fn url(&self) -> String {
        format!("wss://{}", self.door.address())
    }

    /// How many connections it carried.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many connections it cut, at a byte or because nothing went on.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// How many bytes of the newest connection it carried this way.
    pub fn carried(&self, way: Way) -> usize {
        self.shared.carried(way).load(Ordering::Relaxed)
    }

    /// Breaks every connection there is. Those that come later are whole.
    pub fn breaks(&self, breakage: Breakage) {
        self.shared.breakages.send_replace(Some(breakage));
    }

    /// Turns every new connection away, until [`Line::admit`].
    pub fn turn_away(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }

    /// Carries new connections again.
    pub fn admit(&self) {
        self.shared.closed.store(false, Ordering::Relaxed);
    }

    /// Makes everything take this much longer, each way.
    pub fn delay(&self, delay: Duration) {
        *self.shared.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    /// Closes every later connection on which nothing goes one way for so long, as many a proxy does.
    pub fn ends_idle(&self, after: Option<Duration>) {
        *self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner) = after;
    }

    /// Closes the next connection, and no other, when this many bytes have gone this way.
    pub fn cut_next(&self, way: Way, after: usize) {
        *self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some((way, after));
    }
}

impl Shared {
    const fn carried(&self, way: Way) -> &AtomicUsize {
        let [up, down] = &self.carried;
        match way {
            Way::Up => up,
            Way::Down => down,
        }
    }

    async fn serve(&self, mut agent: TcpStream) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let breakages = self.breakages.subscribe();
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.carried.iter().for_each(|it| it.store(0, Ordering::Relaxed));
        let Ok(mut controller) = TcpStream::connect(self.target).await else { return };
        let _ = controller.set_nodelay(true);
        let broken = {
            let (from_agent, to_agent) = agent.split();
            let (from_controller, to_controller) = controller.split();
            let left = |way| cut.filter(|(of, _)| *of == way).map_or(usize::MAX, |(_, after)| after);
            let up = self.pass_on(Way::Up, from_agent, to_controller, left(Way::Up), breakages.clone());
            let down = self.pass_on(Way::Down, from_controller, to_agent, left(Way::Down), breakages);
            tokio::try_join!(up, down)
        };
        if broken == Err(Breakage::Reset) {
            let _ = (agent.set_zero_linger(), controller.set_zero_linger());
        }
    }

    /// Passes bytes on until they end. `Err` breaks both ways of the connection.
    async fn pass_on(
        &self,
        way: Way,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        mut left: usize,
        mut breakages: watch::Receiver<Option<Breakage>>,
    ) -> Result<(), Breakage> {
        let mut piece = vec![0; PIECE];
        let patience = *self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let count = tokio::select! {
                biased;
                breakage = next(&mut breakages) => match breakage {
                    Breakage::Close | Breakage::Reset => return Err(breakage),
                    Breakage::HalfClose(broken) if broken == way => 0,
                    Breakage::HalfClose(_) => continue,
                    Breakage::Swallow(broken) if broken != way => continue,
                    Breakage::Swallow(_) | Breakage::SwallowAll => return swallow(&mut breakages).await,
                },
                count = from.read(&mut piece) => count.map_err(|_| Breakage::Reset)?,
                () = idle(patience) => {
                    self.cuts.fetch_add(1, Ordering::Relaxed);
                    return Err(Breakage::Close);
                }
            };
            if count == 0 {
                let _ = to.shutdown().await;
                return Ok(());
            }
            let delay = *self.delay.lock().unwrap_or_else(PoisonError::into_inner);
            tokio::time::sleep(delay).await;
            let (arrives, _) = piece.split_at(count.min(left));
            to.write_all(arrives).await.map_err(|_| Breakage::Reset)?;
            self.carried(way).fetch_add(arrives.len(), Ordering::Relaxed);
            left -= arrives.len();
            if left == 0 {
                self.cuts.fetch_add(1, Ordering::Relaxed);
                return Err(Breakage::Close);
            }
        }
    }
}

async fn idle(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

async fn next(breakages: &mut watch::Receiver<Option<Breakage>>) -> Breakage {
    while breakages.changed().await.is_ok() {
        if let Some(breakage) = *breakages.borrow_and_update() {
            return breakage;
        }
    }
    std::future::pending().await
}

/// Leaves everything where it is until the connection is broken in a way that is seen.
async fn swallow(breakages: &mut watch::Receiver<Option<Breakage>>) -> Result<(), Breakage> {
    loop {
        let breakage = next(breakages).await;
        if matches!(breakage, Breakage::Close | Breakage::Reset) {
            return Err(breakage);
        }
    }
}
