//! `/v1/members` and what can be done with them.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use postern_protocol::MemberId;
use serde::Deserialize;

use super::clusters::parse_cluster;
use super::{Api, Problem};
use crate::membership::Action;
use crate::state::members::MemberView;

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    cluster: Option<String>,
}

pub(super) async fn list(State(api): State<Api>, Query(which): Query<Which>) -> Result<Json<Vec<MemberView>>, Problem> {
    let cluster = which.cluster.map(|it| parse_cluster(&it)).transpose()?;
    Ok(Json(api.handle.ask(move |state, _| state.members(cluster.as_ref())).await?))
}

pub(super) async fn show(State(api): State<Api>, Path(member): Path<String>) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(&member)?;
    Ok(Json(api.handle.ask(move |state, _| state.member(member)).await??))
}

pub(super) async fn remove(State(api): State<Api>, Path(member): Path<String>) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(&member)?;
    Ok(Json(api.handle.ask(move |state, at| state.remove_member(member, at)).await??))
}

pub(super) async fn act(
    State(api): State<Api>,
    Path((member, action)): Path<(String, String)>,
    Query(how): Query<How>,
) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(&member)?;
    let action = match (action.as_str(), how.hard.unwrap_or(false)) {
        ("approve", false) => Action::Approve,
        ("enable", false) => Action::Enable,
        ("drain", false) => Action::Drain,
        ("disable", false) => Action::Disable,
        ("disable", true) => Action::DisableHard,
        ("revoke", false) => Action::Revoke,
        (_, true) => return Err(Problem::field("hard", "only `disable` can be hard")),
        (other, false) => {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                format!("a member cannot be told to `{other}`: use approve, enable, disable, drain or revoke"),
            ));
        }
    };
    Ok(Json(api.handle.ask(move |state, at| state.act_on_member(member, action, at)).await??))
}

#[derive(Debug, Deserialize)]
pub(super) struct How {
    hard: Option<bool>,
}

fn parse_member(text: &str) -> Result<MemberId, Problem> {
    text.parse().map_err(|error: postern_protocol::id::InvalidId| Problem::field("member", error.to_string()))
}
