//! A loopback port that nobody else is given while nobody listens there.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of `127.0.0.1` that is kept for whoever knows it. While nobody listens there, connections are refused.
///
/// The socket that keeps it never listens itself. It lets its address be used again, so a program that does the same may
/// listen beside it, as often as it likes; and whoever asks the system for a free port is given another one.
#[derive(Debug)]
pub struct Reserved {
    socket: TcpSocket,
}

impl Reserved {
    /// Reserves a free port.
    pub fn port() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket that shares its address");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        Self { socket }
    }

    /// The port with the address it is on.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("the address of a bound socket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1)
    }

    /// More tries than there are ports to be given. Do not keep the socket, and one of them is this one.
    #[tokio::test]
    async fn a_reserved_port_is_given_to_nobody_refuses_connections_and_can_be_listened_on_again_and_again() {
        let reserved = Reserved::port();
        for _ in 0..40_000 {
            let other = listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
            assert_ne!(other.local_addr().expect("its address"), reserved.address());
        }
        for _ in 0..2 {
            let refused = std::net::TcpStream::connect(reserved.address()).expect_err("nobody listens");
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
            let listener = listen(reserved.address()).expect("whoever knows the port may listen");
            let caller = std::net::TcpStream::connect(reserved.address()).expect("a connection");
            // The end that closes first remembers the connection for a while; that may be the listener's.
            drop(listener.accept().await.expect("the connection"));
            drop((listener, caller));
        }
    }
}
