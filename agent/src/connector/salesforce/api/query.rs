//! Queries: pages of rows, one after the other, or several queries in one call.

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use super::super::{Salesforce, error, soql};
use super::call::Call;
use super::reply::{Answer, Miss, classify, problem, typed};
use crate::http::{Reply, read_json};

/// Queries that one call of `composite` may hold.
const QUERIES_AT_ONCE: usize = 5;
/// Pages of a query that is expected to fit one; Salesforce makes pages smaller when rows are wide.
const MAX_PAGES: usize = 50;

/// Some rows of a query.
pub(in super::super) struct Page {
    pub(in super::super) records: Vec<Json>,
    /// How many rows the query finds in all.
    pub(in super::super) total: u64,
    /// What leads to the next page.
    pub(in super::super) next: Option<String>,
    /// When it was read, by the service's clock.
    pub(in super::super) at: Option<Timestamp>,
}

impl Page {
    fn read(mut answer: Answer) -> Result<Self, Failure> {
        let Some(Json::Array(records)) = answer.json.get_mut("records").map(Json::take) else {
            return Err(error::strange(200));
        };
        let next = locator(answer.json.get("nextRecordsUrl").and_then(Json::as_str)).map(str::to_owned);
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

    /// All rows of queries that each find a page of rows or a little more, in as few calls as there can be.
    pub(in super::super) async fn query_many<T: DeserializeOwned>(
        &self,
        statements: &[String],
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for some in statements.chunks(QUERIES_AT_ONCE) {
            for mut rows in self.first_rows(some).await? {
                all.append(&mut rows.records);
                for _ in 0..MAX_PAGES {
                    let Some(locator) = locator(rows.next_records_url.as_deref()) else { break };
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
        let call = self.composite(statements);
        let Answers { all } = self.read_as(&call, |reply| typed_answers(&reply)).await?;
        Ok(all.into_iter().map(|inner| inner.body).collect())
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
        let told = answer.json.pointer_mut("/compositeResponse/0").map(Json::take).unwrap_or_default();
        let body = told.get("body").cloned().unwrap_or_default();
        match (told.get("httpStatusCode").and_then(Json::as_u64), problem(&body)) {
            (Some(200), _) => Page::read(Answer { json: body, at: answer.at }),
            (_, Some((code, message))) => Err(error::failure(&code, &message)),
            (_, None) => Err(error::strange(200)),
        }
    }

    /// A page after the first.
    pub(in super::super) async fn next_page(&self, locator: &str) -> Result<Page, Failure> {
        Page::read(self.read(&Call::get(format!("query/{locator}"))).await?)
    }
}

/// What leads to the next page, of the path that Salesforce names.
fn locator(next: Option<&str>) -> Option<&str> {
    Some(next?.split_once("/query/")?.1)
}

fn encoded(soql: &str) -> String {
    form_urlencoded::byte_serialize(soql.as_bytes()).collect()
}

/// What a reply tells of several calls in one. One that was refused speaks for all.
fn typed_answers<T: DeserializeOwned>(reply: &Reply) -> Result<Answers<T>, Miss> {
    let all_well = read_json(&reply.body).ok().filter(|_| reply.status == StatusCode::OK);
    if let Some(answers) = all_well {
        return Ok(answers);
    }
    let Answer { json, .. } = classify(reply, StatusCode::OK)?;
    let inner = json.get("compositeResponse").and_then(Json::as_array);
    let refused = inner.and_then(|all| all.iter().find_map(|inner| problem(inner.get("body")?)));
    Err(Miss::Not(refused.map_or_else(|| error::strange(200), |(code, message)| error::failure(&code, &message))))
}
