//! A listener on a free port of loopback.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Takes connections until it is dropped, and ends them all with it.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Door {
    /// Opens it. Every connection is given to `serve`.
    pub(super) async fn open<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port's number");
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, _serving: serving }
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
