//! A collector of traces: takes OTLP over HTTP in JSON, and keeps every byte of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The largest request of an exporter, and then some.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A collector on a free port of the loopback. It ends with it.
pub struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    _listener: JoinSet<()>,
}

impl Collector {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let bodies = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let mut serving = JoinSet::new();
        let kept = Arc::clone(&bodies);
        serving.spawn(async move {
            let mut callers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                callers.spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { url, bodies, _listener: serving }
    }

    /// Where it is, as a configuration names it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every request's body.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        locked(&self.bodies).clone()
    }

    /// Every span that was told, with the name of the program that told it as `service`.
    pub fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for body in self.bodies() {
            let told: Value = serde_json::from_slice(&body).expect("OTLP in JSON");
            for resource in told["resourceSpans"].as_array().expect("resources") {
                let about = resource["resource"]["attributes"].as_array().expect("attributes");
                let service = about.iter().find(|it| it["key"] == "service.name").expect("a service");
                for scope in resource["scopeSpans"].as_array().expect("scopes") {
                    for span in scope["spans"].as_array().expect("spans") {
                        let mut span = span.clone();
                        span["service"] = service["value"]["stringValue"].clone();
                        spans.push(span);
                    }
                }
            }
        }
        spans
    }
}

fn locked(bodies: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    bodies.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests of one connection, one after the other.
async fn serve(mut stream: TcpStream, bodies: Arc<Mutex<Vec<Vec<u8>>>>) {
    while let Some(body) = request(&mut stream).await {
        locked(&bodies).push(body);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// The body of the next request.
async fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head in ASCII").to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let length: usize = length.trim().parse().expect("a number");
    assert!(length <= MAX_BODY, "{length}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}
