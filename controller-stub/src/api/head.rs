//! What a request says beside its body, read without a controller: for whoever has bytes that no caller would send, as the
//! fuzzer has.
//!
//! Nothing is decided here. Each function calls the one reader that the API has, and tells what can be seen of the result.

use std::sync::Arc;

use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use postern_protocol::id::ApiTokenId;
use postern_store::SpoolReader;

use super::asked::read_query;
use super::events::LastEventId;
use super::once::IdempotencyKey;
use super::page::{Part, Wanted};
use super::{Page, Problem, RecordView, records, shield};
use crate::access::Presented;
use crate::console;

/// The part of a list that a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPart {
    /// How much of it.
    pub limit: usize,
    /// The last that was shown.
    pub after: Option<String>,
    /// The cursor for what comes behind that.
    pub cursor: Option<String>,
}

/// Which part of the list that is called so a query asks for.
pub fn part(list: &str, query: &str) -> Result<ListPart, Problem> {
    let part: Part<String> = Part::of(list, read_query::<Wanted>(query)?)?;
    let cursor = part.after.as_ref().map(|after| part.cursor(after));
    Ok(ListPart { limit: part.limit, after: part.after, cursor })
}

/// The page of these results, as a list that is called so, that a query asks for.
pub fn records(reader: &Arc<SpoolReader>, list: &str, query: &str) -> Result<Page<RecordView>, Problem> {
    records::page(reader, list, query)
}

/// The event behind which whoever sends this `Last-Event-ID` goes on.
pub fn last_event(value: HeaderValue) -> Result<Option<u64>, Problem> {
    LastEventId::of(&HeaderMap::from_iter([(HeaderName::from_static("last-event-id"), value)])).map(|it| it.0)
}

/// Looks whether this is an `Idempotency-Key`.
pub fn idempotency_key(value: HeaderValue) -> Result<(), Problem> {
    IdempotencyKey::of(&HeaderMap::from_iter([(HeaderName::from_static("idempotency-key"), value)])).map(drop)
}

/// The key of the console's session that these cookies show.
pub fn session(cookies: HeaderValue) -> Option<[u8; 32]> {
    console::session_of(&HeaderMap::from_iter([(COOKIE, cookies)])).map(|key| *key)
}

/// Whether a caller that names this host means the API, which has this name beside the loopback.
pub fn means_us(host: &str, name: &str) -> bool {
    shield::is_ours(host, &[name.to_owned()])
}

/// Whether a page of this origin is one of the host that it calls.
pub fn is_of_host(origin: HeaderValue, host: HeaderValue) -> bool {
    shield::has_own_origin(&HeaderMap::from_iter([(ORIGIN, origin), (HOST, host)]))
}

/// The API token that this text means.
pub fn token(text: &str) -> Option<ApiTokenId> {
    text.parse::<Presented>().ok().map(|presented| presented.id)
}
