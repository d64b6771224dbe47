//! `/v1/members` and what can be done with them.

use axum::Json;
use axum::extract::{Path, Query, State};
use postern_protocol::MemberId;
use serde::Deserialize;

use super::auth::Caller;
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
    Ok(Json(api.desk.look(move |state, _| state.members(cluster.as_ref())).await?))
}

pub(super) async fn show(State(api): State<Api>, Path(member): Path<String>) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(&member)?;
    Ok(Json(api.desk.look(move |state, _| state.member(member)).await??))
}

pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(member): Path<String>,
) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(&member)?;
    Ok(Json(api.desk.act(&caller, member.to_string(), move |state, at| state.remove_member(member, at)).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct How {
    hard: Option<bool>,
}

pub(super) async fn approve(
    api: State<Api>,
    caller: Caller,
    member: Path<String>,
    how: Query<How>,
) -> Result<Json<MemberView>, Problem> {
    act(&api, &caller, &member, Action::Approve, &how).await
}

pub(super) async fn revoke(
    api: State<Api>,
    caller: Caller,
    member: Path<String>,
    how: Query<How>,
) -> Result<Json<MemberView>, Problem> {
    act(&api, &caller, &member, Action::Revoke, &how).await
}

pub(super) async fn enable(
    api: State<Api>,
    caller: Caller,
    member: Path<String>,
    how: Query<How>,
) -> Result<Json<MemberView>, Problem> {
    act(&api, &caller, &member, Action::Enable, &how).await
}

pub(super) async fn drain(
    api: State<Api>,
    caller: Caller,
    member: Path<String>,
    how: Query<How>,
) -> Result<Json<MemberView>, Problem> {
    act(&api, &caller, &member, Action::Drain, &how).await
}

pub(super) async fn disable(
    api: State<Api>,
    caller: Caller,
    member: Path<String>,
    how: Query<How>,
) -> Result<Json<MemberView>, Problem> {
    act(&api, &caller, &member, Action::Disable, &how).await
}

async fn act(api: &Api, caller: &Caller, member: &str, action: Action, how: &How) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(member)?;
    let (action, on) = match how.hard {
        None | Some(false) => (action, member.to_string()),
        Some(true) if action == Action::Disable => (Action::DisableHard, format!("{member}, hard")),
        Some(true) => return Err(Problem::field("hard", "only `disable` can be hard")),
    };
    Ok(Json(api.desk.act(caller, on, move |state, at| state.act_on_member(member, action, at)).await?))
}

fn parse_member(text: &str) -> Result<MemberId, Problem> {
    text.parse().map_err(|error: postern_protocol::id::InvalidId| Problem::field("member", error.to_string()))
}
