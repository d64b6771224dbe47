//! For tests: a controller that says what it is told to, and a client of it that has little patience.

use std::time::Duration;

use postern_protocol::TaskId;
use postern_store::private;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Client, Where};

/// How long the client waits for the next piece.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The controller.
pub(crate) struct Canned {
    pub(crate) client: Client,
    listener: TcpListener,
}

impl Canned {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        private::replace(&token_file, b"postern-api-nonsense").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::open(&Where::Url { url, token_file }).unwrap();
        Self { client: Client { answer: PATIENCE, pause: Duration::from_millis(1), ..client }, listener }
    }

    /// The client, when nobody listens any more.
    pub(crate) fn off(self) -> Client {
        self.client
    }

    /// The next request: its head, and how much of its body came along with that.
    pub(crate) async fn accept(&self) -> (TcpStream, String, usize) {
        let next = tokio::time::timeout(10 * PATIENCE, self.listener.accept()).await;
        let (mut stream, _) = next.expect("nothing is asked any more").unwrap();
        let mut bytes = Vec::new();
        loop {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                return (stream, String::from_utf8_lossy(&bytes[..at]).into_owned(), bytes.len() - at - 4);
            }
        }
    }

    /// Answers a request for something with so many of each of these, and returns the first lines of what it was asked.
    pub(crate) async fn answer(&self, answers: &[(usize, u16, &str)]) -> Vec<String> {
        let mut asked = Vec::new();
        for (_, status, body) in answers.iter().flat_map(|it| std::iter::repeat_n(it, it.0)) {
            let (mut stream, head, _) = self.accept().await;
            asked.push(head.lines().next().unwrap_or_default().to_owned());
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        asked
    }
}

/// A task that succeeded, as the API tells it.
pub(crate) fn task(id: TaskId) -> Value {
    json!({
        "id": id, "system": "acme", "cluster": "pilot", "kind": "enable_user", "params": { "account": "joe" },
        "origin": "administrator", "mode": "sync", "priority": 100, "state": "finished", "attempt": 1, "epoch": 1,
        "cancel_requested": false, "submitted": 0, "outcome": "succeeded",
    })
}
