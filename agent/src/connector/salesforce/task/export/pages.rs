//! Records page by page.

use postern_protocol::Failure;
use serde_json::Value as Json;

use super::super::super::{Salesforce, error};
use super::plan::Plan;
use super::value::Column;
use super::{Rows, patiently};

/// Where a query is.
#[derive(Default)]
pub(super) struct Pages {
    /// How many records the query finds.
    pub(super) found: u64,
    next: Next,
}

#[derive(Default)]
enum Next {
    #[default]
    First,
    Page(String),
    Nothing,
}

impl Pages {
    /// The next page; `None` after the last.
    pub(super) async fn next(&mut self, org: &Salesforce, plan: &Plan) -> Result<Option<Rows>, Failure> {
        let page = match &self.next {
            Next::First => {
                let select = plan.select();
                patiently(org, || org.first_page(&select)).await?
            }
            Next::Page(locator) => patiently(org, || org.next_page(locator)).await?,
            Next::Nothing => return Ok(None),
        };
        // Whoever finds more with each page would be followed for ever.
        if matches!(self.next, Next::First) {
            self.found = page.total;
        }
        self.next = page.next.map_or(Next::Nothing, Next::Page);
        let rows =
            page.records.into_iter().map(|mut record| cells(&plan.columns, &mut record)).collect::<Option<Rows>>();
        rows.map(Some).ok_or_else(|| error::strange(200))
    }
}

/// The record's columns. A column that is not there is a defect, not an empty value.
pub(in super::super::super) fn cells(columns: &[Column], record: &mut Json) -> Option<Vec<Option<String>>> {
    columns
        .iter()
        .map(|column| match taken(record, &column.name)? {
            Json::Null => Some(None),
            Json::String(text) => Some(Some(text)),
            Json::Bool(truth) => Some(Some(truth.to_string())),
            Json::Number(number) => Some(Some(number.to_string())),
            Json::Array(_) | Json::Object(_) => None,
        })
        .collect()
}

/// What a path leads to, taken out of the record: nothing if a record on the way refers to none.
fn taken(record: &mut Json, path: &str) -> Option<Json> {
    let mut at = record;
    for step in path.split('.') {
        if at.is_null() {
            return Some(Json::Null);
        }
        at = at.get_mut(step)?;
    }
    Some(at.take())
}
