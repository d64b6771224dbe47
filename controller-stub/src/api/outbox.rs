//! `/v1/outbox`: reports of members that may have no session any more.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use postern_protocol::outbox::OwedReport;
use postern_protocol::plain;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::{Api, Problem};
use crate::state::outbox::HandedIn;

/// What became of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandedInView {
    /// What it meant.
    pub verdict: HandedIn,
}

pub(super) async fn hand_in(
    State(api): State<Api>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<HandedInView>, Problem> {
    let owed: OwedReport = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body is not a line of `postern outbox export`: {}", plain::json(&error));
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    // A report is stored about as long as it came.
    let on = format!("{} of {}", owed.task, owed.member);
    let decided = api.desk.act_told(body.len(), &caller, move |_| on, move |state, at| state.hand_in(&owed, at));
    Ok(Json(HandedInView { verdict: decided.await? }))
}
