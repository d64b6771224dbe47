//! What a client asks of the simulator, written down so that it can be asked again.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Failure;

/// The headers that make a difference to what is answered. The session is another one the next time.
const KEPT: [HeaderName; 5] = [AUTHORIZATION, ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, CONTENT_ENCODING];

/// A client's requests while it makes them. Stands between the client and the simulator.
pub struct Recorder {
    url: String,
    seen: Arc<Mutex<Seen>>,
    _server: JoinSet<()>,
}

/// Requests in the order in which they began.
#[derive(Default)]
struct Seen {
    requests: Vec<Value>,
    ended: u64,
}

impl Recorder {
    /// Records what is asked of `simulator`.
    pub async fn start(simulator: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let seen = Arc::<Mutex<Seen>>::default();
        // Bodies are passed on as they are, compressed or not.
        let onward = Client::builder().no_proxy().no_gzip().build()?;
        let (simulator, shared) = (simulator.to_owned(), Arc::clone(&seen));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (simulator, shared, onward) = (simulator.clone(), Arc::clone(&shared), onward.clone());
                let service = service_fn(move |request| {
                    let (simulator, shared, onward) = (simulator.clone(), Arc::clone(&shared), onward.clone());
                    async move {
                        let answer = pass_on(request, &simulator, &shared, &onward).await;
                        Ok::<_, Infallible>(answer.unwrap_or_else(|_| {
                            let mut answer = Response::new(Full::default());
                            *answer.status_mut() = StatusCode::BAD_GATEWAY;
                            answer
                        }))
                    }
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, seen, _server: server })
    }

    /// Where clients are to be sent.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes down what was asked.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(path, serde_json::to_vec(&seen.requests)?)?;
        Ok(())
    }
}

async fn pass_on(
    request: Request<Incoming>,
    simulator: &str,
    seen: &Mutex<Seen>,
    onward: &Client,
) -> Result<Response<Full<Bytes>>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let headers: serde_json::Map<String, Value> = KEPT
        .iter()
        .filter_map(|name| Some((name.to_string(), Value::from(head.headers.get(name)?.to_str().ok()?))))
        .collect();
    let place = {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let after = seen.ended;
        seen.requests.push(json!({
            "method": head.method.as_str(), "path": path, "headers": headers, "body": BASE64.encode(&body),
            "after": after,
        }));
        seen.requests.len() - 1
    };
    // The host stays as it was: the simulator gives it back as its own, and the client comes here again.
    let mut headers = head.headers;
    headers.remove(TRANSFER_ENCODING);
    let answer = onward.request(head.method, format!("{simulator}{path}")).headers(headers).body(body).send().await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(response) = response.headers_mut() {
        *response = answer.headers().clone();
        response.remove(TRANSFER_ENCODING);
    }
    let response = response.body(Full::new(answer.bytes().await?))?;
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let rank = seen.ended;
    seen.ended += 1;
    if let Some(request) = seen.requests.get_mut(place).and_then(Value::as_object_mut) {
        request.insert("rank".to_owned(), Value::from(rank));
    }
    Ok(response)
}
