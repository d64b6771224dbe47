//! `/v1/members` and what can be done with them.

use axum::Json;
use axum::extract::{Path, Query, State};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
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

/// What does this with a member.
pub(super) fn act(
    action: Action,
) -> impl Fn(State<Api>, Caller, Path<String>, Query<How>) -> BoxFuture<'static, Result<Json<MemberView>, Problem>> + Clone
{
    move |State(api), caller, Path(member), Query(how)| {
        async move { act_on(&api, &caller, &member, action, &how).await }.boxed()
    }
}

async fn act_on(
    api: &Api,
    caller: &Caller,
    member: &str,
    action: Action,
    how: &How,
) -> Result<Json<MemberView>, Problem> {
    let member = parse_member(member)?;
    let (action, on) = match how.hard {
        None | Some(false) => (action, member.to_string()),
        Some(true) if action == Action::Disable => (Action::DisableHard, format!("{member}, hard")),
        Some(true) => return Err(Problem::field("hard", "only `disable` can be hard")),
    };
    let work = move |state: &mut crate::state::State, at| state.act_on_member(member, action, at);
    Ok(Json(match action {
        Action::Approve | Action::Enable => api.desk.act(caller, on, work).await?,
        Action::Drain | Action::Disable | Action::DisableHard | Action::Revoke => {
            api.desk.take_away(caller, on, work).await?
        }
    }))
}

fn parse_member(text: &str) -> Result<MemberId, Problem> {
    text.parse().map_err(|error: postern_protocol::id::InvalidId| Problem::field("member", error.to_string()))
}
