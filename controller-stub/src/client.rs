//! The API as the commands use it.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use data_encoding::HEXLOWER;
use postern_protocol::plain::Chain;
use postern_protocol::{Secret, plain};
use postern_store::private;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::api::{MAX_LIMIT, Page, Problem, is_this_host};
use crate::exit::{Exit, Failure};
use crate::random;
use crate::server::{ADDRESSES, Addresses, MAX_FILE};
use crate::state::once;

#[cfg(test)]
pub(crate) mod canned;
pub mod collector;
mod flow;
pub mod sealing;

use flow::Silence;

/// How long a connection may take: the API is on this host or behind a proxy near it.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than the longest wait the API allows. Of what may be large, each piece.
const ANSWER: Duration = Duration::from_secs(90);
/// How often and after which pause a request that may be repeated is repeated while the controller restarts or has no time.
/// The pause is shorter than the second that the API asks for: a place that is free again is taken by whoever looks first,
/// and a request that is turned away at the door costs next to nothing.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// The largest answer: a page of two hundred tasks, each with its output.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Goes straight to whom it is sent to, at a URL that begins like this one. Connecting may take so long. How long an answer
/// may is for each request to say: the client's own bound would be one for the whole of it, however well it flows.
fn http(url: &str, connect: Duration) -> Result<reqwest::Client, Failure> {
    // The client wants a TLS provider even for plain HTTP. Another part of the process may have set it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_plain = url.starts_with("http://");
    let builder =
        reqwest::Client::builder().no_proxy().connect_timeout(connect).redirect(reqwest::redirect::Policy::none());
    // Hosts without roots are common, and plain HTTP needs none.
    let builder = if is_plain { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| {
        let why = Chain(&error);
        let next = "install the root certificates of the system (package `ca-certificates`)";
        Failure::new(Exit::Configuration, format!("TLS cannot be spoken with {url}: {next}: {why}"))
    })
}

/// Where the API is and what it wants to hear.
#[derive(Debug, Clone)]
pub enum Where {
    /// As `api.json` in this data directory says, with the token in this file if not the first administrator's.
    DataDir {
        /// The directory.
        directory: PathBuf,
        /// The file.
        token_file: Option<PathBuf>,
    },
    /// At this URL, with the token in this file.
    Url {
        /// The URL.
        url: String,
        /// The file.
        token_file: PathBuf,
    },
    /// At this URL, with the first administrator's token of this data directory.
    UrlOfDataDir {
        /// The URL.
        url: String,
        /// The directory.
        directory: PathBuf,
    },
}

/// Why a task was not submitted, as far as that is known.
pub struct Unsubmitted {
    /// What was said last.
    pub failure: Failure,
    /// Whether a try may have been taken in all the same, because nobody said that it was not.
    pub is_in_doubt: bool,
}

/// A connection to the API.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Secret,
    /// [`ANSWER`], unless a test has less patience.
    answer: Duration,
    /// [`PAUSE`], unless a test has less patience.
    pause: Duration,
}

impl Client {
    /// Finds the API.
    pub fn open(place: &Where) -> Result<Self, Failure> {
        let (url, token_file, found_by) = match place {
            Where::Url { url, token_file } => (url.clone(), token_file.clone(), None),
            Where::DataDir { directory, token_file } => {
                let Addresses { api_url, api_token_file, .. } = addresses(directory)?;
                match token_file {
                    Some(token_file) => (api_url, token_file.clone(), None),
                    None => (api_url, api_token_file, Some(directory)),
                }
            }
            Where::UrlOfDataDir { url, directory } => (url.clone(), directory.join("api.token"), Some(directory)),
        };
        check_way(&url)?;
        let token = match found_by {
            // What its owner names there is to be its owner's: root reads any file for him, and he may be who is sent it.
            Some(directory) => private::read_of(owner_of(directory)?, &token_file, MAX_FILE),
            None => private::read(&token_file, MAX_FILE),
        };
        let token = token.map_err(|error| {
            let failure = Failure::from_error(Exit::Configuration, &error);
            if error.is_missing() {
                let hint = "name the file with your token with --api-token-file";
                return Failure::new(failure.exit, format!("{}: {hint}", failure.text));
            }
            failure
        })?;
        let token = Secret::new(String::from_utf8_lossy(&token).trim().to_owned());
        if token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            let sentence = format!(
                "`{}` holds no API token: name the file with yours with --api-token-file",
                token_file.display()
            );
            return Err(Failure::new(Exit::Configuration, sentence));
        }
        let http = http(&url, CONNECT)?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token, answer: ANSWER, pause: PAUSE })
    }

    /// [`Client::open`] that outlives a restart of the controller: while it is away, nothing in its directory says where it
    /// listens. A directory that is not there is nobody's.
    pub async fn open_patiently(place: &Where) -> Result<Self, Failure> {
        match place {
            Where::DataDir { directory, .. } if directory.is_dir() => {
                patiently(PAUSE, async || Self::open(place)).await
            }
            Where::DataDir { .. } | Where::Url { .. } | Where::UrlOfDataDir { .. } => Self::open(place),
        }
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// [`Client::get`], or nothing if nobody listens there.
    pub async fn get_if_any<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.request(Method::GET, path).send().await.map_err(Silence::from) {
            Err(silence) if silence.is_refused() => Ok(None),
            sent => self.read(sent.map_err(|silence| self.unreachable(&silence))?).await.map(Some),
        }
    }

    /// Asks for a list, page after page, until it ends or there are so many.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<Vec<T>, Failure> {
        Ok(self.beginning(path, most).await?.0)
    }

    /// [`Client::list`], and whether there are more.
    pub async fn beginning<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<(Vec<T>, bool), Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        let mark = if path.contains('?') { '&' } else { '?' };
        while items.len() < most {
            let limit = MAX_LIMIT.min(most - items.len());
            let behind = cursor.map(|it: String| format!("&cursor={it}")).unwrap_or_default();
            let page: Page<T> = self.get(&format!("{path}{mark}limit={limit}{behind}")).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok((items, false)),
            }
        }
        Ok((items, true))
    }

    /// Has something done, with a JSON body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    /// Has something made that has no id of ours: an answer that is lost is asked for again, under the same key.
    pub async fn make<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.once(|key| {
            let request = self.request(Method::POST, path).json(body).header(once::HEADER, key);
            async { Ok(request.send().await?) }
        })
        .await
    }

    /// Uploads bytes, however long that takes while they flow.
    pub async fn upload<T: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> Result<T, Failure> {
        let bytes = Bytes::from(bytes);
        self.once(|key| {
            let request = self.unbounded(Method::POST, path).header(CONTENT_TYPE, "application/octet-stream");
            flow::send(request.header(once::HEADER, key), bytes.clone(), self.answer)
        })
        .await
    }

    async fn once<T, F>(&self, send: impl Fn(&str) -> F) -> Result<T, Failure>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<reqwest::Response, Silence>>,
    {
        let key = HEXLOWER.encode(&random::bytes::<16>());
        let told = match send(&key).await {
            // Nobody heard of it, so there is nothing to find out.
            Err(silence) if silence.is_unsent() => return Err(self.unreachable(&silence)),
            Err(silence) => Err(self.unreachable(&silence)),
            Ok(response) => self.read(response).await,
        };
        let again = async || self.read(send(&key).await.map_err(|silence| self.unreachable(&silence))?).await;
        match told {
            Err(failure) if is_soon(&failure) => patiently(self.pause, again).await,
            told => told,
        }
    }

    /// Has something taken away.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    /// [`Client::get`] that outlives a restart of the controller.
    pub async fn get_patiently<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        patiently(self.pause, || self.get(path)).await
    }

    /// [`Client::post`] that outlives a restart of the controller; only for what may be done twice.
    pub async fn post_patiently<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        patiently(self.pause, || self.post(path, body)).await
    }

    /// Submits a task, which outlives a restart of the controller: under its id it may be submitted twice.
    pub async fn submit<T: DeserializeOwned>(&self, task: &impl Serialize) -> Result<T, Unsubmitted> {
        let is_in_doubt = Cell::new(false);
        let submit = async || {
            let sent = self.request(Method::POST, "/v1/tasks").json(task).send().await.map_err(Silence::from);
            let is_no = match &sent {
                Ok(response) => is_no(response.status()),
                Err(silence) => silence.is_unsent(),
            };
            let told = match sent {
                Ok(response) => self.read(response).await,
                Err(silence) => Err(self.unreachable(&silence)),
            };
            // What one try left open is not settled by what is said to the next.
            is_in_doubt.set(is_in_doubt.get() || told.is_err() && !is_no);
            told
        };
        patiently(self.pause, submit).await.map_err(|failure| Unsubmitted { failure, is_in_doubt: is_in_doubt.get() })
    }

    /// Asks until the controller answers, however long it is away, and tells once that it does not.
    pub async fn until_answered<T>(
        &self,
        mut ask: impl AsyncFnMut() -> Result<T, Failure>,
        tell: impl FnOnce(&Failure),
    ) -> Result<T, Failure> {
        let mut tell = Some(tell);
        loop {
            match ask().await {
                Err(failure) if failure.exit == Exit::Unreachable => {
                    if let Some(tell) = tell.take() {
                        tell(&failure);
                    }
                    tokio::time::sleep(self.pause).await;
                }
                other => return other,
            }
        }
    }

    /// Downloads into `sink`, piece by piece, however long that takes while they flow.
    pub async fn download(&self, path: &str, sink: &mut dyn std::io::Write) -> Result<u64, Failure> {
        let response = flow::within(self.answer, self.unbounded(Method::GET, path).send()).await;
        let mut response = self.check(response.map_err(|silence| self.unreachable(&silence))?).await?;
        let mut total = 0_u64;
        while let Some(piece) = self.piece(&mut response).await? {
            sink.write_all(&piece).map_err(|error| Failure::from_error(Exit::Failed, &error))?;
            total = total.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(total)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.unbounded(method, path).timeout(self.answer)
    }

    /// A request that may take as long as it likes: whoever sends it sees to it that something moves.
    fn unbounded(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(self.token.expose())
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Failure> {
        self.read(request.send().await.map_err(|error| self.unreachable(&error.into()))?).await
    }

    async fn read<T: DeserializeOwned>(&self, response: reqwest::Response) -> Result<T, Failure> {
        let response = self.check(response).await?;
        let bytes = self.body(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("the answer of {} is not what was expected: {}", self.url, plain::json(&error)),
            )
        })
    }

    async fn check(&self, response: reqwest::Response) -> Result<reqwest::Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.body(response).await?;
        let (sentence, retry_after) = match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => (problem.detail, problem.retry_after),
            Err(_) => (format!("{} answered {status}: is this the controller's API?", self.url), None),
        };
        let exit = match status {
            // Nothing was done, and to ask again is all there is to do about it.
            _ if retry_after.is_some() => Exit::Unreachable,
            // The last two are a proxy's that has no answer of the controller's, which says neither itself.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Exit::Unreachable
            }
            _ if status.is_client_error() => Exit::Refused,
            _ => Exit::Failed,
        };
        let is_for_later = retry_after.is_some_and(|secs| Duration::from_secs(secs) > PAUSE * TRIES);
        Err(Failure { is_for_later, ..Failure::new(exit, sentence) })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut response).await? {
            if bytes.len() + piece.len() > MAX_ANSWER {
                return Err(Failure::new(Exit::Failed, "the answer is too large: ask for less, e.g. with --limit"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    async fn piece(&self, response: &mut reqwest::Response) -> Result<Option<Bytes>, Failure> {
        flow::within(self.answer, response.chunk()).await.map_err(|silence| self.unreachable(&silence))
    }

    fn unreachable(&self, silence: &Silence) -> Failure {
        Failure::new(
            Exit::Unreachable,
            format!(
                "the controller at {} does not answer ({}): is `postern-controller serve` running there?",
                self.url,
                Chain(silence)
            ),
        )
    }
}

/// Whether who answers so has not done what was asked for. Nobody can tell that of a proxy without an answer, nor of a
/// controller that stops or fails in the middle.
fn is_no(status: StatusCode) -> bool {
    status.is_redirection() || status.is_client_error() || status == StatusCode::INSUFFICIENT_STORAGE
}

/// Asks while the controller restarts or has no time, a few times, with such pauses.
async fn patiently<T, F: Future<Output = Result<T, Failure>>>(
    pause: Duration,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    for _ in 1..TRIES {
        match ask().await {
            Err(failure) if is_soon(&failure) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    ask().await
}

/// Whether the answer may be another one soon.
fn is_soon(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable && !failure.is_for_later
}

/// Refuses what would be open to everybody on the way, the token before all: the API is on the loopback, so that one that is
/// reached from elsewhere is behind a proxy that speaks TLS.
fn check_way(url: &str) -> Result<(), Failure> {
    // `localhost:7080` is a URL, of the scheme `localhost`. What leads nowhere at any time is not to look like a controller
    // that is away for a while.
    let Some(parsed) = Url::parse(url).ok().filter(|it| matches!(it.scheme(), "http" | "https")) else {
        let sentence = format!("`{url}` is no URL of the API: write it like `http://127.0.0.1:7080`");
        return Err(Failure::new(Exit::Usage, sentence));
    };
    if parsed.scheme() != "http" || parsed.host_str().is_some_and(is_this_host) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Configuration,
        format!(
            "plain `http://` would show your token to everybody on the way to {url}: use `https://`; only a controller on \
             this host is reached without, as 127.0.0.1 or localhost"
        ),
    ))
}

fn addresses(directory: &Path) -> Result<Addresses, Failure> {
    let path = directory.join(ADDRESSES);
    let bytes = private::read(&path, MAX_FILE).map_err(|error| {
        if error.is_missing() {
            let sentence = format!("no controller runs in `{}`: {}", directory.display(), start_it(directory));
            Failure::new(Exit::Unreachable, sentence)
        } else {
            Failure::from_error(Exit::Configuration, &error)
        }
    })?;
    let addresses: Addresses = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(
            Exit::Configuration,
            format!("`{}` is not what this program wrote: {}", path.display(), plain::json(&error)),
        )
    })?;
    if is_process_of_owner(addresses.pid, directory) {
        return Ok(addresses);
    }
    Err(Failure::new(
        Exit::Unreachable,
        format!(
            "the controller in `{}` does not answer, it has ended (process {}): {}",
            directory.display(),
            addresses.pid,
            start_it(directory)
        ),
    ))
}

/// Where a package installed it, its service knows as whom it runs and under which names its members look for it.
fn start_it(directory: &Path) -> String {
    format!(
        "start it (`systemctl start postern-controller`, or `postern-controller serve --data-dir {}` with the options that \
         it had), or name another with --data-dir or --api-url",
        directory.display()
    )
}

fn owner_of(directory: &Path) -> Result<u32, Failure> {
    let found = fs::metadata(directory).map_err(|error| {
        let hint = "name the file with your token with --api-token-file";
        Failure::new(Exit::Configuration, format!("`{}` cannot be looked at: {error}: {hint}", directory.display()))
    })?;
    Ok(found.uid())
}

/// Whether the process runs and is of whoever has the directory: the port of one that has ended is anybody's, who would be
/// sent the token.
fn is_process_of_owner(pid: u32, directory: &Path) -> bool {
    let process = fs::metadata(format!("/proc/{pid}"));
    process.and_then(|process| Ok(process.uid() == fs::metadata(directory)?.uid())).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::sleep;

    use super::canned::{Canned, PATIENCE};
    use super::*;

    /// The patience of a client is longer, and shorter than several of it.
    const PART: Duration = PATIENCE.checked_div(5).unwrap();

    /// Look at the URL after the token was sent, and whoever is on the way has it.
    #[test]
    fn a_token_goes_in_clear_nowhere_but_to_this_host() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        private::replace(&token_file, b"secret").unwrap();
        let open = |url: &str| Client::open(&Where::Url { url: url.to_owned(), token_file: token_file.clone() });
        for url in
            ["http://api.example.com", "HTTP://192.0.2.1:8444/", "http://127.0.0.1@example.com", "http://[2001:db8::1]"]
        {
            let failure = open(url).map(|_| ()).unwrap_err();
            assert_eq!(failure.exit, Exit::Configuration, "{url}");
            assert!(failure.text.contains("https://"), "{}", failure.text);
        }
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(open(url).is_ok(), "{url}");
        }
        for url in ["", "localhost:7080", "127.0.0.1:7080", "wss://localhost:7080", "http://", "https:/ /x"] {
            let failure = open(url).map(|_| ()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{url}");
            assert!(failure.text.contains("http://127.0.0.1:7080"), "{}", failure.text);
        }
    }

    /// Bound the whole of a download instead of its pieces, and an export that takes longer can never be fetched.
    #[tokio::test]
    async fn a_download_may_take_long_while_it_flows_and_ends_when_it_does_not() {
        let canned = Canned::new().await;
        let server = async {
            let (mut stream, ..) = canned.accept().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n").await.unwrap();
            for _ in 0..6 {
                sleep(PART).await;
                stream.write_all(b"x").await.unwrap();
            }
            // The last byte is never sent.
            stream
        };
        let mut file = Vec::new();
        let (told, _stream) = tokio::join!(canned.client.download("/", &mut file), server);
        assert_eq!(file, b"xxxxxx");
        let failure = told.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.text.contains("nothing came through"), "{}", failure.text);
    }

    /// Bound the whole of an upload, and a large dataset over a slow line is sent from its beginning again and again.
    #[tokio::test]
    async fn an_upload_may_take_long_while_it_flows() {
        let canned = Canned::new().await;
        let dataset = vec![7; 48 * 1024 * 1024];
        let server = async {
            let (mut stream, head, mut taken) = canned.accept().await;
            assert!(head.contains(&format!("content-length: {}\r\n", dataset.len())), "{head}");
            let mut buffer = vec![0; 1024 * 1024];
            let mut waits = 0;
            while taken < dataset.len() {
                taken += stream.read(&mut buffer).await.unwrap();
                // All that the kernel holds is less than a seventh of it.
                if taken > (waits + 1) * dataset.len() / 7 && waits < 6 {
                    waits += 1;
                    sleep(PART).await;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue").await.unwrap();
        };
        let (taken_in, ()) = tokio::join!(canned.client.upload::<bool>("/", dataset.clone()), server);
        assert!(taken_in.unwrap());
    }

    /// Ask once, and a task that is submitted while the controller restarts is refused, whoever would have waited for it.
    #[tokio::test]
    async fn a_controller_that_is_just_starting_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("data");
        let place = Where::DataDir { directory: directory.clone(), token_file: None };
        let is_there = async || Client::open_patiently(&place).await.map(|_| ());
        assert_eq!(is_there().await.unwrap_err().exit, Exit::Unreachable);

        private::directory(&directory).unwrap();
        let token = directory.join("api.token");
        let (told, ()) = tokio::join!(is_there(), async {
            tokio::task::yield_now().await;
            private::replace(&token, b"secret").unwrap();
            let here = Addresses {
                controller_url: "wss://127.0.0.1:1/v1/link".to_owned(),
                api_url: "http://127.0.0.1:1".to_owned(),
                api_token_file: token,
                pid: std::process::id(),
            };
            private::replace(&directory.join(ADDRESSES), &serde_json::to_vec(&here).unwrap()).unwrap();
        });
        told.unwrap();
    }

    /// Take it for one that is off, and nobody hears of a log that does not end where a running controller says.
    #[tokio::test]
    async fn a_controller_that_hangs_up_is_told_from_one_that_is_off() {
        let canned = Canned::new().await;
        let (told, ()) = tokio::join!(canned.client.get_if_any::<bool>("/"), async { drop(canned.accept().await) });
        assert_eq!(told.unwrap_err().exit, Exit::Unreachable);
        assert_eq!(canned.off().get_if_any::<bool>("/").await.unwrap(), None);
    }

    /// Take what a proxy says for an answer of the controller's, and a restart behind it is told as a task that failed.
    #[tokio::test]
    async fn a_proxy_without_a_controller_behind_it_is_waited_for() {
        let canned = Canned::new().await;
        let away = [(1, 502, "<html>"), (1, 504, "<html>"), (1, 200, "true")];
        let (answer, _) = tokio::join!(canned.client.get_patiently::<bool>("/"), canned.answer(&away));
        assert!(answer.unwrap());
        let (answer, _) = tokio::join!(canned.client.get::<bool>("/"), canned.answer(&away[..1]));
        let failure = answer.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.text.contains("502"), "{}", failure.text);
    }

    /// Take it for a refusal, and whoever waits beside too many others hears no more of a task that runs.
    #[tokio::test]
    async fn a_controller_that_asks_to_be_asked_again_later_is_and_one_that_is_full_is_not() {
        let canned = Canned::new().await;
        let problem = |detail| Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
        let text = |problem: &Problem| serde_json::to_string(problem).unwrap();
        let later = text(&Problem { retry_after: Some(1), ..problem("128 requests are under way") });
        let busy = [(3, 429, later.as_str()), (1, 200, "true")];
        let once = [(1, 429, later.as_str())];
        let no_room = text(&Problem { retry_after: Some(60), ..problem("100000 tasks are unfinished") });
        // Who is told to wait for longer than a restart takes is not asked twenty times until then.
        for status in [429, 507] {
            let no_room = [(1, status, no_room.as_str())];
            let (answer, _) = tokio::join!(canned.client.get_patiently::<bool>("/"), canned.answer(&no_room));
            assert_eq!(answer.unwrap_err().exit, Exit::Unreachable);
            let (answer, _) = tokio::join!(canned.client.make::<bool>("/", &()), canned.answer(&no_room));
            assert_eq!(answer.unwrap_err().exit, Exit::Unreachable);
            let (answer, _) = tokio::join!(canned.client.submit::<bool>(&()), canned.answer(&no_room));
            assert!(!answer.unwrap_err().is_in_doubt);
        }
        let (answer, _) = tokio::join!(canned.client.get_patiently::<bool>("/"), canned.answer(&busy));
        assert!(answer.unwrap());
        let (answer, _) = tokio::join!(canned.client.make::<bool>("/", &()), canned.answer(&busy));
        assert!(answer.unwrap());
        let (answer, _) = tokio::join!(canned.client.get::<bool>("/"), canned.answer(&once));
        let failure = answer.unwrap_err();
        assert_eq!((failure.exit, failure.text.as_str()), (Exit::Unreachable, "128 requests are under way"));

        let full = text(&problem("1000 API tokens are there"));
        let full = [(1, 429, full.as_str())];
        let (answer, _) = tokio::join!(canned.client.get_patiently::<bool>("/"), canned.answer(&full));
        assert_eq!(answer.unwrap_err().exit, Exit::Refused);

        let no_url = Client { url: "localhost:1".to_owned(), ..canned.off() };
        let unsubmitted = no_url.submit::<bool>(&()).await.unwrap_err();
        assert!(
            unsubmitted.failure.exit == Exit::Unreachable && !unsubmitted.is_in_doubt,
            "nothing can have been sent"
        );
    }
}
