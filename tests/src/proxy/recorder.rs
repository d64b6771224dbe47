//! A line to a server that speaks in clear, which keeps all that goes over it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Way;
use super::door::Door;

/// What is passed on at once.
const PIECE: usize = 16 * 1024;

/// What went one way over each connection.
type Passed = Arc<Mutex<Vec<(Way, Vec<u8>)>>>;

/// A line to one address. It ends, with every connection, when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    door: Door,
    passed: Passed,
}

impl Recorder {
    /// Opens a line to `target` on a free port.
    pub async fn open(target: SocketAddr) -> Self {
        let passed = Passed::default();
        let kept = Arc::clone(&passed);
        let door = Door::open(move |mut caller| {
            let kept = Arc::clone(&kept);
            async move {
                let Ok(mut server) = TcpStream::connect(target).await else { return };
                let _ = server.set_nodelay(true);
                let (from_caller, to_caller) = caller.split();
                let (from_server, to_server) = server.split();
                tokio::join!(
                    pass_on(&kept, Way::Up, from_caller, to_server),
                    pass_on(&kept, Way::Down, from_server, to_caller)
                );
            }
        })
        .await;
        Self { door, passed }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// All that has gone this way, one connection after the other.
    pub fn passed(&self, way: Way) -> Vec<u8> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.iter().filter(|it| it.0 == way).flat_map(|it| &it.1).copied().collect()
    }
}

async fn pass_on(kept: &Passed, way: Way, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let number = {
        let mut kept = kept();
        kept.push((way, Vec::new()));
        kept.len() - 1
    };
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let (arrived, _) = piece.split_at(count);
        kept()[number].1.extend(arrived);
        if to.write_all(arrived).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
