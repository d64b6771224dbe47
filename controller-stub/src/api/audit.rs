//! `/v1/audit`: who did what.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use postern_protocol::plain::Chain;
use postern_store::audit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::Query;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::audit::directory;
use crate::spawn::blocking;

/// A line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AuditView {
    /// Its number.
    pub number: u64,
    /// When it happened, in RFC 3339.
    pub time: String,
    /// What happened: `by`, `act`, `on`, `result`, and perhaps `why` and `left_out`.
    pub event: Value,
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<AuditView>>, Problem> {
    let part: Part<u64> = Part::of("audit", wanted)?;
    let directory = directory(&api.data_dir);
    let read = blocking(move || {
        let mut items: Vec<AuditView> = Vec::new();
        let mut next = None;
        let read = audit::backwards(&directory, part.after, |line| {
            if items.len() >= part.limit {
                next = items.last().map(|it| part.cursor(&it.number));
                return false;
            }
            let event = serde_json::from_str(line.event).unwrap_or_default();
            items.push(AuditView { number: line.head.number, time: line.time.to_owned(), event });
            true
        });
        read.map(|()| Page { items, next })
    });
    read.await.map(Json).map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the audit log cannot be read: {}; see `postern-controller audit verify`", Chain(&error)),
        )
    })
}
