//! `/v1/outbox`: reports of members that may have no session any more.

use axum::Json;
use axum::extract::State;
use postern_protocol::outbox::OwedReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::Body;
use super::auth::Caller;
use super::{Api, Problem};
use crate::state::outbox::HandedIn;

/// What became of a report.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HandedInView {
    /// What it meant.
    pub verdict: HandedIn,
}

pub(super) async fn hand_in(
    State(api): State<Api>,
    caller: Caller,
    body: Body<OwedReport>,
) -> Result<Json<HandedInView>, Problem> {
    let Body { said: owed, bytes } = body;
    // A report is stored about as long as it came.
    let on = format!("{} of {}", owed.task, owed.member);
    let decided = api.desk.act_told(bytes.len(), &caller, move |_| on, move |state, at| state.hand_in(&owed, at));
    Ok(Json(HandedInView { verdict: decided.await? }))
}
