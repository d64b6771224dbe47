//! An HTTP proxy that knows `CONNECT` (RFC 9110, section 9.3.6) and nothing else.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::door::Door;
use super::intercept::Interceptor;

/// More than any request for a tunnel has.
const MAX_HEAD: usize = 8 * 1024;

/// How a proxy treats who asks for a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Everybody gets one.
    Open,
    /// Only with these Basic credentials; the others get 407.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// Nobody gets one, and a page in HTML says so with 403.
    Refuse,
    /// Everybody gets a tunnel that ends here, with TLS under a certificate of the proxy's own.
    Intercept,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    known: Mutex<Option<(String, SocketAddr)>>,
    interceptor: Interceptor,
    tunnels: AtomicUsize,
    refused: AtomicUsize,
}

/// A running proxy. It ends, with every tunnel, when it is dropped.
#[derive(Debug)]
pub struct ConnectProxy {
    door: Door,
    shared: Arc<Shared>,
}

impl ConnectProxy {
    /// Starts a proxy on a free port.
    pub async fn start(manner: Manner) -> Self {
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            known: Mutex::default(),
            interceptor: Interceptor::new(),
            tunnels: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let of_connections = Arc::clone(&shared);
        let door = Door::open(move |stream| {
            let shared = Arc::clone(&of_connections);
            async move {
                // An error here is a side that hung up.
                let _ = shared.serve(stream).await;
            }
        })
        .await;
        Self { door, shared }
    }

    /// Its URL, for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Treats who comes from now on otherwise.
    pub fn turn(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Knows where a host is that no name service knows: who reaches it came through here.
    pub fn knows(&self, host: &str, address: SocketAddr) {
        *self.shared.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((host.to_owned(), address));
    }

    /// How many tunnels it opened.
    pub fn tunnels(&self) -> usize {
        self.shared.tunnels.load(Ordering::Relaxed)
    }

    /// How many it refused to open.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let head = read_head(&mut client).await?;
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let manner = self.manner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match manner {
            Manner::Basic { username, password } if !has_credentials(&head, &username, &password) => {
                self.refuse(&mut client, "407 Proxy Authentication Required").await
            }
            Manner::Refuse => self.refuse(&mut client, "403 Forbidden").await,
            Manner::Open | Manner::Basic { .. } => match self.connect(target).await {
                Ok(mut server) => {
                    self.accept(&mut client).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
                }
                Err(_) => self.refuse(&mut client, "502 Bad Gateway").await,
            },
            Manner::Intercept => {
                self.accept(&mut client).await?;
                self.interceptor.listen_in(client).await
            }
        }
    }

    async fn connect(&self, target: &str) -> std::io::Result<TcpStream> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        match known.filter(|(name, _)| name == host) {
            Some((_, address)) => TcpStream::connect(address).await,
            None => TcpStream::connect(target).await,
        }
    }

    async fn accept(&self, client: &mut TcpStream) -> std::io::Result<()> {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await
    }

    async fn refuse(&self, client: &mut TcpStream, status: &str) -> std::io::Result<()> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let page = format!("<html><body><h1>{status}</h1><p>Access denied by policy.</p></body></html>");
        let answer = format!(
            "HTTP/1.1 {status}\r\nProxy-Authenticate: Basic realm=\"lab\"\r\nContent-Type: text/html\r\nContent-Length: \
             {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        );
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await
    }
}

/// Reads up to the empty line, byte by byte: what follows belongs to the tunnel.
async fn read_head(client: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn has_credentials(head: &str, username: &str, password: &str) -> bool {
    let expected = format!("Basic {}", BASE64.encode(format!("{username}:{password}").as_bytes()));
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value.trim() == expected)
}
