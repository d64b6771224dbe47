//! Calls of the REST API: reads that may be repeated, and changes that may not.
//!
//! Every reply to a change is one of three: done, not done, unknown. Only what is known not to have been done is
//! repeated, and only for two reasons: a session that had ended (once), and a locked row (a few times).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tokio_util::bytes::Bytes;
use url::form_urlencoded;

use super::governor::{self, Batches, Place};
use super::sign_in::Session;
use super::{Salesforce, error, soql, time};
use crate::connector::AttemptCx;
use crate::http::{Lost, Opened, Reply, Sent};
use crate::random;

/// Rows are locked for as long as somebody's transaction runs: seconds, rarely more.
const LOCK_TRIES: u32 = 5;
const LOCK_WAIT: Duration = Duration::from_millis(200);
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// Queries that one call of `composite` may hold.
const QUERIES_AT_ONCE: usize = 5;
/// A list of so many values fits any URL.
const SHORTEST_LIST: usize = 200;
/// Pages of a query that is expected to fit one; Salesforce makes pages smaller when rows are wide.
const MAX_PAGES: usize = 50;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const CSV_UTF8: &str = "text/csv; charset=UTF-8";

/// One call below `/services/data/v…/`. Its body may hold a password, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Body,
    /// The status that says it was done.
    done: StatusCode,
    /// The form of answer that is asked for.
    accept: &'static str,
}

/// What goes along with a call.
#[derive(Clone)]
enum Body {
    Nothing,
    Json(Json),
    /// Rows for a bulk job.
    Csv(Bytes),
}

/// What was answered, and when by the service's clock. It may hold a password, so it has no `Debug`.
pub(super) struct Answer {
    pub(super) json: Json,
    pub(super) at: Option<Timestamp>,
}

/// An answer that is read piece by piece. It keeps its place among the calls until it is dropped.
pub(super) struct Download {
    opened: Opened,
    _place: Place,
}

impl Download {
    /// A header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.opened.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body; `None` after the last.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        self.opened.piece().await.map_err(|lost| error::lost(&lost))
    }

    async fn whole(self) -> Result<Reply, Lost> {
        self.opened.whole().await
    }
}

/// A change that was not proved done.
#[derive(Debug)]
pub(super) enum Undone {
    /// It had no effect.
    Not(Failure),
    /// It may have had.
    Unknown(Failure),
}

/// Some rows of a query.
pub(super) struct Page {
    pub(super) records: Vec<Json>,
    /// How many rows the query finds in all.
    pub(super) total: u64,
    /// What leads to the next page.
    pub(super) next: Option<String>,
    /// When it was read, by the service's clock.
    pub(super) at: Option<Timestamp>,
}

impl Page {
    fn read(mut answer: Answer) -> Result<Self, Failure> {
        let Some(Json::Array(records)) = answer.json.get_mut("records").map(Json::take) else {
            return Err(error::strange(200));
        };
        let next = answer.json.get("nextRecordsUrl").and_then(Json::as_str);
        let next = next.and_then(|next| next.split_once("/query/")).map(|(_, locator)| locator.to_owned());
        let done = answer.json.get("done").and_then(Json::as_bool);
        // A page that is not the last and leads nowhere would pass for a whole answer.
        if done != Some(next.is_none()) {
            return Err(error::strange(200));
        }
        let total = answer.json.get("totalSize").and_then(Json::as_u64).ok_or_else(|| error::strange(200))?;
        Ok(Self { records, total, next, at: answer.at })
    }
}

/// Rows of a query, as they are wanted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rows<T> {
    records: Vec<T>,
    done: bool,
    next_records_url: Option<String>,
}

/// How long the lists of a batch's queries may be. Nobody says what an org takes, so a page's worth is tried first.
#[derive(Debug)]
pub(super) struct Longest(AtomicUsize);

impl Default for Longest {
    fn default() -> Self {
        Self(AtomicUsize::new(soql::MAX_VALUES))
    }
}

impl Longest {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Halves a length that is too much. `false`: it is as short as it gets.
    fn shorten(&self, length: usize) -> bool {
        let shorter = (length / 2).max(SHORTEST_LIST);
        self.0.fetch_min(shorter, Ordering::Relaxed);
        shorter < length
    }
}

/// The answers of several queries in one call.
#[derive(Deserialize)]
struct Answers<T> {
    #[serde(rename = "compositeResponse")]
    all: Vec<Inner<T>>,
}

#[derive(Deserialize)]
struct Inner<T> {
    body: T,
}

/// Why a call was not proved done, before anything is repeated.
enum Miss {
    /// The session has ended.
    Expired(Failure),
    Not(Failure),
    Unknown(Failure),
    Lost(Lost),
}

/// For what a read was repeated already.
#[derive(Debug, Default)]
struct Repeats {
    renewed: bool,
    lost: bool,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, body: Option<Json>, done: StatusCode) -> Self {
        Self { method, path: path.into(), body: body.map_or(Body::Nothing, Body::Json), done, accept: JSON }
    }

    /// Reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None, StatusCode::OK)
    }

    /// Reads records as CSV, which is answered as one JSON text.
    pub(super) fn get_csv(path: impl Into<String>) -> Self {
        Self { accept: CSV, ..Self::get(path) }
    }

    /// Asks for something that takes more words than a URL has room for. Changes no record.
    pub(super) fn ask(path: impl Into<String>, body: Json) -> Self {
        Self::new(Method::POST, path, Some(body), StatusCode::OK)
    }

    /// Ends a job of the org before its time.
    pub(super) fn abort(path: impl Into<String>) -> Self {
        let body = serde_json::json!({ "state": "Aborted" });
        Self::new(Method::PATCH, path, Some(body), StatusCode::OK)
    }

    /// Forgets a job of the org and its results.
    pub(super) fn forget(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None, StatusCode::NO_CONTENT)
    }

    /// Changes a record.
    pub(super) fn patch(path: impl Into<String>, body: Json) -> Self {
        Self::new(Method::PATCH, path, Some(body), StatusCode::NO_CONTENT)
    }

    /// Changes up to 200 records.
    pub(super) fn patch_many(body: Json) -> Self {
        Self::new(Method::PATCH, "composite/sobjects", Some(body), StatusCode::OK)
    }

    /// Makes up to 200 records.
    pub(super) fn post_many(body: Json) -> Self {
        Self::new(Method::POST, "composite/sobjects", Some(body), StatusCode::OK)
    }

    /// Deletes up to 200 records.
    pub(super) fn delete_many(ids: &[String]) -> Self {
        let path = format!("composite/sobjects?allOrNone=false&ids={}", ids.join(","));
        Self::new(Method::DELETE, path, None, StatusCode::OK)
    }

    /// Makes a bulk job for users.
    pub(super) fn post_job(operation: &str) -> Self {
        let body = serde_json::json!({
            "object": "User", "operation": operation, "contentType": "CSV", "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        });
        Self::new(Method::POST, "jobs/ingest", Some(body), StatusCode::OK)
    }

    /// Gives a bulk job its rows.
    pub(super) fn put_rows(job: &str, rows: Bytes) -> Self {
        let call = Self::new(Method::PUT, format!("jobs/ingest/{job}/batches"), None, StatusCode::CREATED);
        Self { body: Body::Csv(rows), ..call }
    }

    /// Hands a bulk job over, or gives it up.
    pub(super) fn patch_job(job: &str, state: &str) -> Self {
        let body = serde_json::json!({ "state": state });
        Self::new(Method::PATCH, format!("jobs/ingest/{job}"), Some(body), StatusCode::OK)
    }

    /// Sets a password.
    pub(super) fn set_password(user: &str, password: &str) -> Self {
        let body = serde_json::json!({ "NewPassword": password });
        Self::new(Method::POST, format!("sobjects/User/{user}/password"), Some(body), StatusCode::NO_CONTENT)
    }

    /// Resets a password.
    pub(super) fn reset_password(user: &str) -> Self {
        Self::new(Method::DELETE, format!("sobjects/User/{user}/password"), None, StatusCode::OK)
    }
}

impl Salesforce {
    /// Reads. A connection that broke is tried once more: the pool may have handed out one that had just been closed.
    pub(super) async fn read(&self, call: &Call) -> Result<Answer, Failure> {
        self.read_as(call, |reply| told(call, reply)).await
    }

    /// Reads what is not JSON. A refusal is JSON even then.
    pub(super) async fn read_raw(&self, call: &Call) -> Result<Reply, Failure> {
        let told = |reply: Reply| {
            if reply.status == call.done {
                return Ok(reply);
            }
            let strange = Miss::Not(error::strange(reply.status.as_u16()));
            Err(classify(&reply, call.done).err().unwrap_or(strange))
        };
        self.read_as(call, told).await
    }

    /// Reads what is too long to be held: its body is read piece by piece. A refusal is JSON even then.
    pub(super) async fn download(&self, call: &Call) -> Result<Download, Failure> {
        let (mut session, mut repeats) = (self.sessions.current().await?, Repeats::default());
        loop {
            let place = self.governor.place().await;
            let download = match self.open(place, &session, call).await {
                Ok(download) if download.opened.status == call.done => return Ok(download),
                download => download,
            };
            let whole = async { download?.whole().await.map_err(Miss::Lost) };
            let miss = match whole.await {
                Ok(reply) => {
                    let strange = Miss::Not(error::strange(reply.status.as_u16()));
                    classify(&reply, call.done).err().unwrap_or(strange)
                }
                Err(miss) => miss,
            };
            session = self.once_more(session, &mut repeats, miss).await?;
        }
    }

    async fn read_as<T>(&self, call: &Call, told: impl Fn(Reply) -> Result<T, Miss>) -> Result<T, Failure> {
        let (mut session, mut repeats) = (self.sessions.current().await?, Repeats::default());
        loop {
            let place = self.governor.place().await;
            match self.fetch(place, &session, call).await.and_then(&told) {
                Ok(answer) => return Ok(answer),
                Err(miss) => session = self.once_more(session, &mut repeats, miss).await?,
            }
        }
    }

    /// The session with which a read is repeated, if it is.
    async fn once_more(
        &self,
        session: Arc<Session>,
        repeats: &mut Repeats,
        miss: Miss,
    ) -> Result<Arc<Session>, Failure> {
        match miss {
            Miss::Expired(failure) if repeats.renewed => Err(failure),
            Miss::Expired(_) => {
                repeats.renewed = true;
                self.sessions.renew(&session).await
            }
            Miss::Lost(lost) if repeats.lost || lost.sent == Sent::No => Err(error::lost(&lost)),
            Miss::Lost(_) => {
                repeats.lost = true;
                Ok(session)
            }
            Miss::Not(failure) | Miss::Unknown(failure) => Err(failure),
        }
    }

    /// Makes a change, after an intent for it was made durable. A call that is sent again gets its own intent: the
    /// lease may have ended while the sign-in or the lock was waited for.
    pub(super) async fn change(&self, cx: &AttemptCx, step: u32, note: &[u8], call: &Call) -> Result<Answer, Undone> {
        let mut session = self.sessions.current().await.map_err(Undone::Not)?;
        let (mut renewed, mut locked) = (false, 0);
        loop {
            // Before the intent: the lease covers the call, and not the wait for a place.
            let place = self.governor.place().await;
            cx.intend(step, note.to_vec(), self.reach()).await.map_err(Undone::Not)?;
            let (failure, expired) = match self.send(place, &session, call).await {
                Ok(answer) => return Ok(answer),
                Err(Miss::Unknown(failure)) => return Err(Undone::Unknown(failure)),
                Err(Miss::Lost(lost)) if lost.sent == Sent::Perhaps => return Err(Undone::Unknown(error::lost(&lost))),
                Err(Miss::Lost(lost)) => (error::lost(&lost), false),
                Err(Miss::Not(failure)) => (failure, false),
                Err(Miss::Expired(failure)) => (failure, true),
            };
            cx.take_back(step, note.to_vec()).await.map_err(Undone::Not)?;
            if expired && !renewed {
                session = self.sessions.renew(&session).await.map_err(Undone::Not)?;
                renewed = true;
            } else if is_locked(&failure) && locked + 1 < LOCK_TRIES {
                tokio::time::sleep(lock_wait(locked)).await;
                locked += 1;
            } else {
                return Err(Undone::Not(failure));
            }
        }
    }

    /// Lets a batch go on, unless the rest of the org's calls is for others.
    pub(super) async fn may_go_on(&self) -> Result<(), Failure> {
        if self.governor.batches() == Batches::MayAsk {
            self.read(&Call::get("limits")).await?;
        }
        match self.governor.batches() {
            Batches::Wait(usage) => Err(governor::reserved(usage, self.settings.api_budget_percent)),
            Batches::MayGoOn | Batches::MayAsk => Ok(()),
        }
    }

    /// All rows of a query that is expected to be small.
    pub(super) async fn query(&self, soql: &str) -> Result<(Vec<Json>, Option<Timestamp>), Failure> {
        let mut page = self.first_page(soql).await?;
        let mut rows = Vec::new();
        let at = page.at;
        for _ in 0..MAX_PAGES {
            rows.append(&mut page.records);
            let Some(next) = &page.next else { return Ok((rows, at)) };
            page = self.next_page(next).await?;
        }
        Err(Failure::new(FailureClass::Internal, "too_many_pages", "A query brought more pages than expected"))
    }

    /// All rows of which a field has one of many values, in as few calls as there can be. `select` is the statement up
    /// to its condition. An org that takes no lists of that length gets shorter ones.
    pub(super) async fn query_lists<T: DeserializeOwned>(
        &self,
        select: &str,
        values: &[(&str, &[&str])],
        longest: &Longest,
    ) -> Result<Vec<T>, Failure> {
        let most = values.iter().map(|(_, all)| all.len()).max().unwrap_or_default();
        loop {
            let length = longest.get().min(most);
            let mut statements = Vec::new();
            for (field, all) in values {
                let lists = soql::in_lists(all.iter().copied(), length);
                statements.extend(lists.iter().map(|list| format!("{select} WHERE {field} IN ({list})")));
            }
            match self.query_many(&statements).await {
                Err(failure) if error::is_too_long(&failure) && longest.shorten(length) => (),
                told => return told,
            }
        }
    }

    /// All rows of queries that each find a page of rows or a little more.
    async fn query_many<T: DeserializeOwned>(&self, statements: &[String]) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for some in statements.chunks(QUERIES_AT_ONCE) {
            for mut rows in self.first_rows(some).await? {
                all.append(&mut rows.records);
                for _ in 0..MAX_PAGES {
                    let next = rows.next_records_url.as_deref().and_then(|next| next.split_once("/query/"));
                    let Some((_, locator)) = next else { break };
                    rows = self.read_as(&Call::get(format!("query/{locator}")), |reply| typed(&reply)).await?;
                    all.append(&mut rows.records);
                }
                // A page that is not the last and leads nowhere would pass for a whole answer.
                if !rows.done {
                    return Err(error::strange(200));
                }
            }
        }
        Ok(all)
    }

    /// The first pages of a few queries, in one call.
    async fn first_rows<T: DeserializeOwned>(&self, statements: &[String]) -> Result<Vec<Rows<T>>, Failure> {
        if let [one] = statements
            && let path = format!("query?q={}", encoded(one))
            && path.len() <= soql::MAX_ENCODED
        {
            return Ok(vec![self.read_as(&Call::get(path), |reply| typed(&reply)).await?]);
        }
        let inner: Vec<Json> = statements.iter().enumerate().map(|it| self.inner_query(it)).collect();
        let call = Call::ask("composite", json!({ "compositeRequest": inner }));
        let Answers { all } = self.read_as(&call, |reply| typed_answers(&reply, statements.len())).await?;
        Ok(all.into_iter().map(|inner| inner.body).collect())
    }

    fn inner_query(&self, (number, soql): (usize, &String)) -> Json {
        let url = format!("/services/data/v{}/query?q={}", self.settings.api_version, encoded(soql));
        json!({ "method": "GET", "url": url, "referenceId": format!("query{number}") })
    }

    /// The first page of a query. A statement too long for a URL travels in the body of another call.
    pub(super) async fn first_page(&self, soql: &str) -> Result<Page, Failure> {
        let encoded = encoded(soql);
        if encoded.len() <= soql::MAX_ENCODED {
            return Page::read(self.read(&Call::get(format!("query?q={encoded}"))).await?);
        }
        let url = format!("/services/data/v{}/query?q={encoded}", self.settings.api_version);
        let inner = serde_json::json!({ "method": "GET", "url": url, "referenceId": "query" });
        let mut answer = self.read(&Call::ask("composite", serde_json::json!({ "compositeRequest": [inner] }))).await?;
        let told = answer.json.pointer_mut("/compositeResponse/0").map(Json::take).unwrap_or_default();
        let body = told.get("body").cloned().unwrap_or_default();
        match (told.get("httpStatusCode").and_then(Json::as_u64), problem(&body)) {
            (Some(200), _) => Page::read(Answer { json: body, at: answer.at }),
            (_, Some((code, message))) => Err(error::failure(&code, &message)),
            (_, None) => Err(error::strange(200)),
        }
    }

    /// A page after the first.
    pub(super) async fn next_page(&self, locator: &str) -> Result<Page, Failure> {
        Page::read(self.read(&Call::get(format!("query/{locator}"))).await?)
    }

    /// Waits until a call without an answer has taken effect if it ever will.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(self.settings.settle).await;
    }

    /// How long a change may take; a lease must outlive it.
    pub(super) fn reach(&self) -> Duration {
        self.settings.http.timeout + Duration::from_secs(1)
    }

    async fn send(&self, place: Place, session: &Session, call: &Call) -> Result<Answer, Miss> {
        self.fetch(place, session, call).await.and_then(|reply| told(call, reply))
    }

    /// Makes a call in its place, which is free again afterwards.
    async fn fetch(&self, place: Place, session: &Session, call: &Call) -> Result<Reply, Miss> {
        self.open(place, session, call).await?.whole().await.map_err(Miss::Lost)
    }

    async fn open(&self, place: Place, session: &Session, call: &Call) -> Result<Download, Miss> {
        let base = format!("/services/data/v{}/{}", self.settings.api_version, call.path);
        let url = session.instance.join(&base).map_err(|_| Miss::Not(error::no_address(&base)))?;
        let request =
            self.http.request(call.method.clone(), url).bearer_auth(session.token.expose()).header(ACCEPT, call.accept);
        let request = match &call.body {
            Body::Nothing => request,
            Body::Json(body) => {
                let body = Bytes::from(body.to_string());
                self.http.with_body(request.header(CONTENT_TYPE, JSON), body).await
            }
            Body::Csv(rows) => self.http.with_body(request.header(CONTENT_TYPE, CSV_UTF8), rows.clone()).await,
        };
        let opened = self.http.open(request).await.map_err(Miss::Lost)?;
        self.governor.note(opened.status, &opened.headers);
        if let Some(at) = date(&opened.headers) {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        }
        Ok(Download { opened, _place: place })
    }
}

fn encoded(soql: &str) -> String {
    form_urlencoded::byte_serialize(soql.as_bytes()).collect()
}

/// What a reply tells, in the form that is wanted.
fn typed<T: DeserializeOwned>(reply: &Reply) -> Result<T, Miss> {
    if reply.status == StatusCode::OK
        && let Ok(told) = serde_json::from_slice(&reply.body)
    {
        return Ok(told);
    }
    Err(classify(reply, StatusCode::OK).err().unwrap_or_else(|| Miss::Not(error::strange(200))))
}

/// What a reply tells of so many calls in one. One that was refused speaks for all.
fn typed_answers<T: DeserializeOwned>(reply: &Reply, calls: usize) -> Result<Answers<T>, Miss> {
    let told: Option<Answers<T>> = serde_json::from_slice(&reply.body).ok().filter(|_| reply.status == StatusCode::OK);
    match told {
        Some(answers) if answers.all.len() == calls => return Ok(answers),
        // A query without an answer would pass for one that found nothing.
        Some(_) => return Err(Miss::Not(error::strange(200))),
        None => (),
    }
    let Answer { json, .. } = classify(reply, StatusCode::OK)?;
    let inner = json.get("compositeResponse").and_then(Json::as_array);
    let refused = inner.and_then(|all| all.iter().find_map(refusal));
    Err(Miss::Not(refused.unwrap_or_else(|| error::strange(200))))
}

fn too_long(code: &str, message: &str) -> Failure {
    error::too_long(FailureClass::Rejected, &format!("{code} {message}"))
}

/// Why one of several calls was refused, if it was.
fn refusal(inner: &Json) -> Option<Failure> {
    let status = inner.get("httpStatusCode").and_then(Json::as_u64).and_then(|it| u16::try_from(it).ok())?;
    match inner.get("body").and_then(problem) {
        Some((code, message)) if error::says_too_long(status, &message) => Some(too_long(&code, &message)),
        Some((code, message)) => Some(error::failure(&code, &message)),
        None => (status >= 400).then(|| error::strange(status)),
    }
}

/// What a reply tells.
fn told(call: &Call, reply: Reply) -> Result<Answer, Miss> {
    if call.accept == CSV && reply.status == call.done {
        let text = String::from_utf8(reply.body).map_err(|_| Miss::Unknown(error::strange(200)))?;
        return Ok(Answer { json: Json::String(text), at: None });
    }
    classify(&reply, call.done)
}

/// Done, not done, or unknown.
fn classify(reply: &Reply, done: StatusCode) -> Result<Answer, Miss> {
    let status = reply.status;
    let at = date(&reply.headers);
    if status == done && (status == StatusCode::NO_CONTENT || status == StatusCode::CREATED) {
        return Ok(Answer { json: Json::Null, at });
    }
    let json: Option<Json> = serde_json::from_slice(&reply.body).ok();
    if status == done {
        return json.map(|json| Answer { json, at }).ok_or_else(|| Miss::Unknown(error::strange(status.as_u16())));
    }
    // Proxies and gateways answer with pages, or with JSON of their own, also to calls that have had their effect: an
    // inspecting one may refuse the *answer*. Only Salesforce's own words say that nothing happened.
    let Some((code, message)) = json.as_ref().and_then(problem) else {
        return Err(Miss::Unknown(error::strange(status.as_u16())));
    };
    if error::says_too_long(status.as_u16(), "") {
        return Err(Miss::Not(too_long(&code, &message)));
    }
    let failure = error::failure(&code, &message);
    Err(match status.as_u16() {
        401 if is_renewable(&message) => Miss::Expired(failure),
        429 => Miss::Not(Failure { class: FailureClass::RateLimited.into(), ..failure }),
        300..=599 => Miss::Not(failure),
        other => Miss::Unknown(error::strange(other)),
    })
}

/// Some 401 are not about the session, and signing in again would go on for ever.
fn is_renewable(message: &str) -> bool {
    !message.contains("not valid for use with the REST API") && !message.contains("not attached to Agent")
}

/// Code and message of Salesforce's error body: an array of objects, or, on some paths, one object.
fn problem(json: &Json) -> Option<(String, String)> {
    let object = json.as_array().map_or(Some(json), |list| list.first())?;
    let text = |name: &str| object.get(name).and_then(Json::as_str);
    let code = text("errorCode").filter(|code| is_code(code))?;
    Some((code.to_owned(), text("message")?.to_owned()))
}

/// The id of a job, from the answer to its making. Letters and digits: it becomes part of a path.
pub(super) fn job_id(made: &Json) -> Option<&str> {
    let is_id = |id: &&str| matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    made.get("id").and_then(Json::as_str).filter(is_id)
}

/// Salesforce's codes are words in capitals.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

pub(super) fn is_locked(failure: &Failure) -> bool {
    failure.code.as_str() == "UNABLE_TO_LOCK_ROW"
}

/// Half fixed, half random, so that those who met at a row do not meet again.
pub(super) fn lock_wait(tries: u32) -> Duration {
    let window = LOCK_WAIT.saturating_mul(1 << tries.min(10)).min(LOCK_WAIT_MAX);
    window / 2 + (window / 2).mul_f64(f64::from(random::number()) / f64::from(u32::MAX))
}

/// When it was answered, by the service's clock.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(DATE)?.to_str().ok().and_then(time::parse_http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    fn class(status: u16, body: &str, done: StatusCode) -> &'static str {
        match classify(&reply(status, body), done) {
            Ok(_) => "done",
            Err(Miss::Expired(_)) => "expired",
            Err(Miss::Not(_)) => "not done",
            Err(Miss::Unknown(_) | Miss::Lost(_)) => "unknown",
        }
    }

    #[test]
    fn every_reply_is_done_not_done_or_unknown() {
        let error = r#"[{"message":"m","errorCode":"UNKNOWN_EXCEPTION"}]"#;
        let session = r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#;
        let rule_5 =
            r#"[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]"#;
        let page = "<html></html>";
        let gateway = r#"{"errorCode":"blocked","message":"by policy"}"#;
        for (status, body, expected) in [
            (204, "", "done"),
            (200, "", "unknown"),
            (200, page, "unknown"),
            (400, error, "not done"),
            (400, page, "unknown"),
            (403, page, "unknown"),
            (403, gateway, "unknown"),
            (401, session, "expired"),
            (401, "", "unknown"),
            (401, rule_5, "not done"),
            (302, "", "unknown"),
            (429, "", "unknown"),
            (429, error, "not done"),
            (503, gateway, "unknown"),
            (500, error, "not done"),
            (500, page, "unknown"),
            (503, page, "unknown"),
            (502, "", "unknown"),
        ] {
            assert_eq!(class(status, body, StatusCode::NO_CONTENT), expected, "{status} {body}");
        }
        assert_eq!(class(200, "[]", StatusCode::OK), "done");
        assert_eq!(class(200, "[{\"id\":", StatusCode::OK), "unknown");
    }

    /// Otherwise users would pass for absent.
    #[test]
    fn as_many_answers_as_calls_are_an_answer() {
        let one = r#"{"body":{"totalSize":0,"done":true,"records":[]},"httpStatusCode":200}"#;
        for (answers, calls, whole) in [(1, 1, true), (2, 2, true), (1, 2, false), (0, 1, false), (2, 1, false)] {
            let body = format!(r#"{{"compositeResponse":[{}]}}"#, vec![one; answers].join(","));
            let told = typed_answers::<Rows<Json>>(&reply(200, &body), calls);
            assert_eq!(told.is_ok(), whole, "{answers} of {calls}");
        }
    }

    #[test]
    fn an_inner_call_that_is_too_long_is_told_by_status_code_or_words() {
        for (status, code, message, expected) in [
            (414, "URI_TOO_LONG", "", true),
            (400, "UNKNOWN_EXCEPTION", "URI too long", true),
            (400, "QUERY_TOO_COMPLICATED", "Query is either selecting too many fields", true),
            (503, "REQUEST_RUNNING_TOO_LONG", "Your request was running for too long", false),
            (400, "MALFORMED_QUERY", "unexpected token", false),
        ] {
            let body = json!({"compositeResponse": [
                {"body": [{"errorCode": code, "message": message}], "httpStatusCode": status}
            ]});
            let Err(Miss::Not(failure)) = typed_answers::<Rows<Json>>(&reply(200, &body.to_string()), 1) else {
                panic!("it is a refusal")
            };
            assert_eq!(error::is_too_long(&failure), expected, "{failure:?}");
        }
        let page = json!({"compositeResponse": [{"body": null, "httpStatusCode": 414}]});
        let Err(Miss::Not(failure)) = typed_answers::<Rows<Json>>(&reply(200, &page.to_string()), 1) else {
            panic!("it is a refusal")
        };
        assert!(error::is_too_long(&failure));
        assert_eq!(class(414, "<html></html>", StatusCode::OK), "unknown");
    }

    #[test]
    fn a_jobs_id_is_letters_and_digits() {
        for (id, expected) in
            [("7505g00000AbCdEAAV", true), ("7505g00000AbCdE", true), ("../750/../../xyz12", false), ("", false)]
        {
            assert_eq!(job_id(&json!({ "id": id })).is_some(), expected, "{id}");
        }
    }

    #[test]
    fn an_error_is_an_array_or_an_object() {
        let Err(Miss::Not(failure)) =
            classify(&reply(403, r#"{"message":"no","errorCode":"INSUFFICIENT_ACCESS"}"#), StatusCode::OK)
        else {
            panic!("it is a refusal")
        };
        assert_eq!(failure.code.as_str(), "INSUFFICIENT_ACCESS");
    }

    #[test]
    fn waits_for_a_lock_grow_and_stay_within_bounds() {
        for tries in 0..40 {
            let wait = lock_wait(tries);
            assert!((LOCK_WAIT / 2..=LOCK_WAIT_MAX).contains(&wait), "{wait:?}");
        }
    }
}
