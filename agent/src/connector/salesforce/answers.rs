//! What an org says, read without an org: for whoever has bytes that no org would send, as the fuzzer has.
//!
//! Nothing is decided here. Each function calls the one reader that the connector has for that answer, and tells what
//! can be seen of the result from outside.

use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::Failure;
use postern_protocol::filter::Filter;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::api::{Answer, Miss, Page, classify, date, found};
use super::error::refused_sign_in;
use super::schema::describe::Described;
use super::schema::reach::Reach;
use super::task::export::{Column, Head, Table, cells};
use super::task::import_batch::{job_told, jobs_told, written};
use super::{governor, oauth, soap, soql};
use crate::dataset::writer::Cell;
use crate::http::Reply;
pub use crate::http::TREE_LIMIT;
pub use crate::redaction::{InUse, in_use};

/// What an answer to a sign-in is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// A session, with the origin of the API.
    Session(Url),
    /// A refusal.
    Refused(Failure),
}

/// What this answer of the token endpoint is: nothing if it is none.
pub fn token(succeeded: bool, body: &[u8]) -> Option<SignIn> {
    Some(match oauth::parse(succeeded, body)? {
        oauth::Answer::Session { instance, .. } => SignIn::Session(instance),
        oauth::Answer::Refused { code, message } => SignIn::Refused(refused_sign_in(&code, &message)),
    })
}

/// What this answer of `login()` is: nothing if it is none.
pub fn login(body: &[u8]) -> Option<SignIn> {
    Some(match soap::parse(body)? {
        soap::Answer::Session { instance, .. } => SignIn::Session(instance),
        soap::Answer::Fault { code, message } => SignIn::Refused(refused_sign_in(&code, &message)),
    })
}

/// What an answer proves of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It was done.
    Done,
    /// It was not done.
    NotDone(Failure),
    /// Nothing.
    Nothing(Failure),
}

/// What this answer proves of a call that is answered with `done` if it succeeds.
pub fn proof(status: StatusCode, body: Vec<u8>, done: StatusCode) -> Proof {
    match answer(status, body, done) {
        Ok(_) => Proof::Done,
        Err(Miss::Expired(failure) | Miss::Not(failure)) => Proof::NotDone(failure),
        Err(Miss::Unknown(failure)) => Proof::Nothing(failure),
        Err(Miss::Lost(lost)) => Proof::Nothing(super::error::lost(&lost)),
    }
}

/// The rows of this page, each with its texts for the columns of `object`: nothing if it is no page, or has more than there
/// are. A record may lack columns.
pub fn page(object: &Object, body: Vec<u8>) -> Option<Vec<Option<Vec<Option<String>>>>> {
    let page = Page::read(answer(StatusCode::OK, body, StatusCode::OK).ok()?).ok()?;
    page.after(page.records.len()).ok()?;
    let columns = object.columns();
    Some(page.records.into_iter().map(|mut record| cells(&columns, &mut record)).collect())
}

/// Which of so many records of a collection were written, by their ids: nothing if this is no answer to so many.
pub fn collection(body: Vec<u8>, records: usize) -> Option<Vec<Option<String>>> {
    let answer = answer(StatusCode::OK, body, StatusCode::OK).ok()?;
    written(&answer.json, records)
}

/// What a job says of itself and, in one of its lists of results, of its rows: of each its key, and its id or the code that it
/// was refused with.
pub fn job(state: Vec<u8>, list: usize, body: &[u8]) -> Vec<(String, Result<String, String>)> {
    let state = answer(StatusCode::OK, state, StatusCode::OK).ok();
    state.map(|it| job_told(&it.json, list, body)).unwrap_or_default()
}

/// The jobs by this account that a page of the list of jobs has under way, and what leads to the next page.
pub fn jobs(body: Vec<u8>, by: &str) -> (Vec<String>, Option<String>) {
    let page = answer(StatusCode::OK, body, StatusCode::OK).ok();
    page.map(|it| jobs_told(&it.json, by)).unwrap_or_default()
}

/// How many rows each of so many queries in one call found: nothing if this is no answer to so many.
pub fn composite(body: Vec<u8>, queries: usize) -> Option<Vec<usize>> {
    found(&Reply { status: StatusCode::OK, headers: HeaderMap::new(), body }, queries).ok()
}

/// What the values of a row stand for, each in the column of its place.
pub fn values(object: &Object, row: Vec<Option<String>>) -> Vec<Cell> {
    object.columns().iter().zip(row).map(|(column, text)| column.cell(text)).collect()
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The service's time.
    pub date: Option<Timestamp>,
    /// How many calls were made of those that there are.
    pub usage: Option<(u64, u64)>,
    /// How long it asks to wait.
    pub wait: Option<Duration>,
    /// How many records the page of a job has, if it is one and says so.
    pub records: Option<usize>,
}

/// What this head of an answer says.
pub fn head(status: StatusCode, headers: &HeaderMap) -> Told {
    Told {
        date: date(headers),
        usage: governor::usage(headers).map(|it| (it.used, it.of)),
        wait: governor::wait(status, headers),
        records: Head::read(headers).ok().and_then(|it| it.count),
    }
}

/// The rows of a table that comes in these pieces: nothing if it is no whole table with these columns.
pub fn table<'a>(columns: Vec<String>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<Vec<Option<String>>>> {
    let (mut table, mut rows) = (Table::new(columns, usize::MAX), Vec::new());
    pieces.into_iter().try_for_each(|piece| table.take(piece, &mut rows))?;
    table.is_whole().then_some(rows)
}

/// An object as an org describes it.
#[derive(Debug)]
pub struct Object(Reach);

impl Object {
    /// Reads a description.
    pub fn read(body: Vec<u8>) -> Result<Self, Failure> {
        match answer(StatusCode::OK, body, StatusCode::OK) {
            Ok(answer) => Described::read(answer).map(|described| Self(described.into())),
            Err(_) => Err(super::error::strange(200)),
        }
    }

    /// The condition that a filter becomes for records of this object.
    pub fn condition(&self, filter: &Filter) -> Result<String, Failure> {
        soql::condition::encode(filter, &self.0)
    }

    /// The names of its fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.object.fields.iter().map(|field| field.name.as_str())
    }

    fn columns(&self) -> Vec<Column> {
        self.fields().filter_map(|name| self.0.find(name)).map(|found| Column::new(&found, None)).collect()
    }
}

fn answer(status: StatusCode, body: Vec<u8>, done: StatusCode) -> Result<Answer, Miss> {
    classify(&Reply { status, headers: HeaderMap::new(), body }, done)
}
