//! Queries: pages of rows, one after the other, or several queries in one call.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use super::super::{Salesforce, error, soql};
use super::call::Call;
use super::reply::{Answer, Miss, classify, problem, too_long, typed};
use crate::http::{Reply, TREE_LIMIT, weighed_json};
use crate::traces;

/// Queries that one call of `composite` may hold.
const QUERIES_AT_ONCE: usize = 5;
/// A list of so many values fits any URL.
const SHORTEST_LIST: usize = 200;
/// Pages of a query that is expected to fit one; Salesforce makes pages smaller when rows are wide.
const MAX_PAGES: usize = 50;
/// More rows than any query finds.
const MAX_ROWS: u64 = 1_000_000_000;

/// How often a list is read until its pages came to the end. An org keeps ten queries of an account open, and closes the oldest for
/// whoever asks for one more.
const READS: usize = 3;

/// Some rows of a query.
pub(in super::super) struct Page {
    pub(in super::super) records: Vec<Json>,
    /// How many rows the query finds in all.
    pub(in super::super) total: u64,
    /// What leads to the next page.
    pub(in super::super) next: Option<String>,
    /// When it was read, by the service's clock.
    pub(in super::super) at: Option<Timestamp>,
    /// About how much memory it takes.
    weight: usize,
}

impl Page {
    pub(in super::super) fn read(mut answer: Answer) -> Result<Self, Failure> {
        let Some(Json::Array(records)) = answer.json.get_mut("records").map(Json::take) else {
            return Err(error::strange(200));
        };
        let next = locator(answer.json.get("nextRecordsUrl").and_then(Json::as_str)).map(str::to_owned);
        let done = answer.json.get("done").and_then(Json::as_bool);
        // A page that is not the last and leads nowhere would pass for a whole answer; one without rows that leads on may do
        // so for ever.
        if done != Some(next.is_none()) || (records.is_empty() && next.is_some()) {
            return Err(error::strange(200));
        }
        let total = answer.json.get("totalSize").and_then(Json::as_u64).filter(|total| *total <= MAX_ROWS);
        let total = total.ok_or_else(|| error::strange(200))?;
        Ok(Self { records, total, next, at: answer.at, weight: answer.weight })
    }

    /// What leads to the page after this one, with which so many rows were read; `None` after the last. More than there
    /// are were read where a page leads back.
    pub(in super::super) fn after(&self, read: usize) -> Result<Option<&str>, Failure> {
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        if read > self.total { Err(error::strange(200)) } else { Ok(self.next.as_deref()) }
    }
}

/// Rows of a query, as they are wanted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rows<T> {
    records: Vec<T>,
    total_size: usize,
    done: bool,
    next_records_url: Option<String>,
}

/// What the rows of queries may still take in memory.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Room(usize);

impl Room {
    /// For all pages of a query that is expected to fit one: as much as one answer.
    const SMALL: Self = Self(TREE_LIMIT);
    /// For queries of which a page is often not enough, alone or together: 100,000 groups by name, or fifty memberships of each of
    /// 2,000 users, take about 220 MiB.
    pub(in super::super) const LARGE: Self = Self(4 * TREE_LIMIT);

    fn take(&mut self, weight: usize) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(weight).ok_or_else(error::too_large)?;
        Ok(())
    }
}

/// How long the lists of a batch's queries may be. Nobody says what an org takes, so a page's worth is tried first.
#[derive(Debug)]
pub(in super::super) struct Longest(AtomicUsize);

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

impl Salesforce {
    /// All rows of a query that is expected to be small.
    pub(in super::super) async fn query(&self, soql: &str) -> Result<(Vec<Json>, Option<Timestamp>), Failure> {
        self.query_within(soql, Room::SMALL).await
    }

    /// All rows of a query of which there may be some pages.
    pub(in super::super) async fn query_pages(&self, soql: &str) -> Result<Vec<Json>, Failure> {
        self.query_within(soql, Room::LARGE).await.map(|(rows, _)| rows)
    }

    async fn query_within(&self, soql: &str, room: Room) -> Result<(Vec<Json>, Option<Timestamp>), Failure> {
        to_the_end(|| self.read_pages(soql, room)).await
    }

    async fn read_pages(&self, soql: &str, mut room: Room) -> Result<(Vec<Json>, Option<Timestamp>), Failure> {
        let mut page = self.first_page(soql).await?;
        let mut rows = Vec::new();
        let at = page.at;
        for _ in 0..MAX_PAGES {
            room.take(page.weight)?;
            rows.append(&mut page.records);
            let Some(next) = page.after(rows.len())? else { return Ok((rows, at)) };
            page = self.next_page(next).await?;
        }
        Err(Failure::new(FailureClass::Internal, "too_many_pages", "A query brought more pages than expected"))
    }

    /// All rows of which a field has one of many values, in as few calls as there can be. `select` is the statement up
    /// to its condition. An org that takes no lists of that length gets shorter ones.
    pub(in super::super) async fn query_lists<T: DeserializeOwned>(
        &self,
        select: &str,
        values: &[(&str, &[&str])],
        longest: &Longest,
    ) -> Result<Vec<T>, Failure> {
        let mut room = Room::LARGE;
        self.query_lists_within(select, values, longest, &mut room).await
    }

    /// The same, where the rows of several queries are held at once: they share the room.
    pub(in super::super) async fn query_lists_within<T: DeserializeOwned>(
        &self,
        select: &str,
        values: &[(&str, &[&str])],
        longest: &Longest,
        room: &mut Room,
    ) -> Result<Vec<T>, Failure> {
        let most = values.iter().map(|(_, all)| all.len()).max().unwrap_or_default();
        loop {
            let length = longest.get().min(most);
            let mut statements = Vec::new();
            for (field, all) in values {
                let lists = soql::in_lists(all.iter().copied(), length);
                statements.extend(lists.iter().map(|list| format!("{select} WHERE {field} IN ({list})")));
            }
            match to_the_end(|| self.query_many(&statements, *room)).await {
                Err(failure) if error::is_too_long(&failure) && longest.shorten(length) => (),
                told => {
                    let (rows, left) = told?;
                    *room = left;
                    return Ok(rows);
                }
            }
        }
    }

    /// All rows of queries that each find a page of rows or a little more, and the room that they leave.
    async fn query_many<T: DeserializeOwned>(
        &self,
        statements: &[String],
        mut room: Room,
    ) -> Result<(Vec<T>, Room), Failure> {
        let mut all = Vec::new();
        for some in statements.chunks(QUERIES_AT_ONCE) {
            let (first, weight) = self.first_rows(some).await?;
            room.take(weight)?;
            for mut rows in first {
                let before = all.len();
                all.append(&mut rows.records);
                for _ in 0..MAX_PAGES {
                    let Some(locator) = locator(rows.next_records_url.as_deref()) else { break };
                    let call = Call::get(format!("query/{locator}"));
                    let weight;
                    (rows, weight) = self.read_as(&call, |reply| typed(&reply)).await?;
                    room.take(weight)?;
                    all.append(&mut rows.records);
                }
                // A page that is not the last and leads nowhere would pass for a whole answer. More rows than there are come
                // from one that leads back.
                if !rows.done || all.len() - before > rows.total_size {
                    return Err(error::strange(200));
                }
            }
        }
        Ok((all, room))
    }

    /// The first pages of a few queries, in one call, and about how much memory they take.
    async fn first_rows<T: DeserializeOwned>(&self, statements: &[String]) -> Result<(Vec<Rows<T>>, usize), Failure> {
        if let [one] = statements
            && let path = format!("query?q={}", encoded(one))
            && path.len() <= soql::MAX_ENCODED
        {
            let (rows, weight) = self.read_as(&Call::get(path), |reply| typed(&reply)).await?;
            return Ok((vec![rows], weight));
        }
        let call = self.composite(statements);
        let (Answers { all }, weight) = self.read_as(&call, |reply| typed_answers(&reply, statements.len())).await?;
        Ok((all.into_iter().map(|inner| inner.body).collect(), weight))
    }

    /// Queries in the body of one call, which has room for statements that a URL has not.
    fn composite(&self, statements: &[String]) -> Call {
        let inner = statements.iter().enumerate().map(|(number, soql)| {
            let url = format!("/services/data/v{}/query?q={}", self.settings.api_version, encoded(soql));
            json!({ "method": "GET", "url": url, "referenceId": format!("query{number}") })
        });
        Call::ask("composite", json!({ "compositeRequest": inner.collect::<Vec<_>>() }))
    }

    /// The first page of a query. A statement too long for a URL travels in the body of another call.
    pub(in super::super) async fn first_page(&self, soql: &str) -> Result<Page, Failure> {
        let encoded = encoded(soql);
        if encoded.len() <= soql::MAX_ENCODED {
            return Page::read(self.read(&Call::get(format!("query?q={encoded}"))).await?);
        }
        let mut answer = self.read(&self.composite(&[soql.to_owned()])).await?;
        let mut told = answer.json.pointer_mut("/compositeResponse/0").map(Json::take).unwrap_or_default();
        let body = told.get_mut("body").map(Json::take).unwrap_or_default();
        match (told.get("httpStatusCode").and_then(Json::as_u64), problem(&body)) {
            (Some(200), _) => Page::read(Answer { json: body, ..answer }),
            (_, Some((code, message))) => Err(error::failure(&code, &message)),
            (_, None) => Err(error::strange(200)),
        }
    }

    /// A page after the first.
    pub(in super::super) async fn next_page(&self, locator: &str) -> Result<Page, Failure> {
        Page::read(self.read(&Call::get(format!("query/{locator}"))).await?)
    }
}

/// What a list tells, which is read anew where what leads through it was closed.
async fn to_the_end<T, F: Future<Output = Result<T, Failure>>>(read: impl Fn() -> F) -> Result<T, Failure> {
    let mut reads = 1;
    loop {
        match read().await {
            Err(failure) if error::says_cursor_is_closed(&failure) && reads < READS => reads += 1,
            // Another attempt may find fewer open.
            Err(failure) if error::says_cursor_is_closed(&failure) => {
                return Err(Failure { class: FailureClass::Transient.into(), ..failure });
            }
            told => return told,
        }
        traces::happened("retry", "the query was closed");
    }
}

/// What leads to the next page, of the path that Salesforce names.
fn locator(next: Option<&str>) -> Option<&str> {
    Some(next?.split_once("/query/")?.1).filter(|it| is_locator(it))
}

/// Whether it may be what Salesforce has led through a query with, and be part of a URL.
pub(in super::super) fn is_locator(text: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~=+".contains(&byte);
    text.len() <= soql::MAX_ENCODED
        && text.bytes().all(is_of_one)
        && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

fn encoded(soql: &str) -> String {
    form_urlencoded::byte_serialize(soql.as_bytes()).collect()
}

/// What a reply tells of so many calls in one. One that was refused speaks for all.
fn typed_answers<T: DeserializeOwned>(reply: &Reply, calls: usize) -> Result<(Answers<T>, usize), Miss> {
    let told: Option<(Answers<T>, usize)> = weighed_json(&reply.body).ok().filter(|_| reply.status == StatusCode::OK);
    match told {
        Some(told) if told.0.all.len() == calls => return Ok(told),
        // A query without an answer would pass for one that found nothing.
        Some(_) => return Err(Miss::Not(error::strange(200))),
        None => (),
    }
    let Answer { json, .. } = classify(reply, StatusCode::OK)?;
    let inner = json.get("compositeResponse").and_then(Json::as_array);
    let refused = inner.and_then(|all| all.iter().find_map(refusal));
    Err(Miss::Not(refused.unwrap_or_else(|| error::strange(200))))
}

/// How many rows each of so many queries in one call found.
pub(in super::super) fn found(reply: &Reply, queries: usize) -> Result<Vec<usize>, Miss> {
    let (answers, _): (Answers<Rows<Json>>, usize) = typed_answers(reply, queries)?;
    Ok(answers.all.iter().map(|answer| answer.body.records.len()).collect())
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

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn reply(body: &str) -> Reply {
        Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    /// It becomes part of a path, and has a library refuse the call as one that cannot be made if it is too long.
    #[test]
    fn a_locator_is_one_segment_of_a_path_and_no_longer_than_a_statement() {
        let longest = "A".repeat(soql::MAX_ENCODED);
        for (locator, expected) in [
            ("01g5g00000XyZ12AAF-2000", true),
            ("cXVlcnk6MDAw_-.~+==", true),
            (&longest, true),
            (&format!("{longest}A"), false),
            ("a/b", false),
            ("a?b", false),
            ("a b", false),
            ("%2e%2e", false),
            ("..", false),
            ("", false),
        ] {
            assert_eq!(is_locator(locator), expected, "{locator}");
            let next = format!("/services/data/v66.0/query/{locator}");
            let json = json!({ "totalSize": 2, "done": false, "records": [{}], "nextRecordsUrl": next });
            assert_eq!(Page::read(Answer { json, at: None, weight: 0 }).is_ok(), expected, "{locator}");
        }
    }

    /// Otherwise users would pass for absent.
    #[test]
    fn as_many_answers_as_calls_are_an_answer() {
        let one = r#"{"body":{"totalSize":0,"done":true,"records":[]},"httpStatusCode":200}"#;
        for (answers, calls, whole) in [(1, 1, true), (2, 2, true), (1, 2, false), (0, 1, false), (2, 1, false)] {
            let body = format!(r#"{{"compositeResponse":[{}]}}"#, vec![one; answers].join(","));
            let told = found(&reply(&body), calls);
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
            let Err(Miss::Not(failure)) = typed_answers::<Rows<Json>>(&reply(&body.to_string()), 1) else {
                panic!("it is a refusal")
            };
            assert_eq!(error::is_too_long(&failure), expected, "{failure:?}");
        }
        let page = json!({"compositeResponse": [{"body": null, "httpStatusCode": 414}]});
        let Err(Miss::Not(failure)) = typed_answers::<Rows<Json>>(&reply(&page.to_string()), 1) else {
            panic!("it is a refusal")
        };
        assert!(error::is_too_long(&failure));
    }
}
