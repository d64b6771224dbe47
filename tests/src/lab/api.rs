//! The controller's API, as whoever submits uses it.

use std::path::{Path, PathBuf};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method, Response};
use serde_json::Value;

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// The API of one controller, which may be killed and started again meanwhile: what is asked then has no answer.
#[derive(Debug, Clone)]
pub struct Api {
    ready_file: PathBuf,
    token_file: PathBuf,
    http: reqwest::Client,
}

impl Api {
    pub(super) fn of(ready_file: PathBuf, data: &Path) -> Self {
        // reqwest wants a provider even for plain HTTP; that another test was first is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { ready_file, token_file: data.join("api.token"), http }
    }

    /// Asks for something, or has something done with a JSON body. Status 0 if there is no answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string);
        read(self.send(method, path, body.map(|it| (JSON, Body::from(it))), None).await).await
    }

    /// Submits a task in the trace of this `traceparent`. Status 0 if there is no answer.
    pub async fn submit_in(&self, traceparent: &str, task: &Value) -> (u16, Value) {
        let body = Some((JSON, Body::from(task.to_string())));
        read(self.send(Method::POST, "/v1/tasks", body, Some(traceparent)).await).await
    }

    /// Uploads bytes. Status 0 if there is no answer.
    pub async fn upload(&self, path: &str, bytes: Vec<u8>) -> (u16, Value) {
        read(self.send(Method::POST, path, Some((BYTES, bytes.into())), None).await).await
    }

    /// Downloads bytes, all or none. `Err` says what the answer was, status 0 if there was none or it broke off.
    pub async fn download(&self, path: &str) -> Result<Vec<u8>, (u16, Value)> {
        match self.send(Method::GET, path, None, None).await {
            Ok(response) if response.status().is_success() => {
                response.bytes().await.map(Vec::from).map_err(|error| (0, Value::String(error.to_string())))
            }
            other => Err(read(other).await),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Body)>,
        traceparent: Option<&str>,
    ) -> Result<Response, String> {
        let text = |path: &Path| std::fs::read_to_string(path).map_err(|error| error.to_string());
        let ready: Value = serde_json::from_str(&text(&self.ready_file)?).map_err(|error| error.to_string())?;
        let url = format!("{}{path}", ready["api_url"].as_str().unwrap_or_default().trim_end_matches('/'));
        let mut request = self.http.request(method, url).bearer_auth(text(&self.token_file)?.trim());
        if let Some((media_type, body)) = body {
            request = request.header(CONTENT_TYPE, media_type).body(body);
        }
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        request.send().await.map_err(|error| error.to_string())
    }
}

async fn read(answer: Result<Response, String>) -> (u16, Value) {
    match answer {
        Ok(response) => {
            let status = response.status().as_u16();
            (status, response.json().await.unwrap_or(Value::Null))
        }
        Err(error) => (0, Value::String(error)),
    }
}
