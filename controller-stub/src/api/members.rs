//! `/v1/members` and what can be done with them.

use axum::Json;
use axum::extract::State;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use postern_protocol::{ClusterName, MemberId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::asked::{Body, Both, Nothing, Path, Query};
use super::auth::Caller;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::membership::Action;
use crate::state::members::MemberView;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Which {
    /// Of this cluster only.
    cluster: Option<ClusterName>,
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(Both(which, wanted)): Query<Both<Which, Wanted>>,
) -> Result<Json<Page<MemberView>>, Problem> {
    let list = which.cluster.as_ref().map_or_else(|| "members".to_owned(), |it| format!("members of {it}"));
    let part: Part<MemberId> = Part::of(list, wanted)?;
    // What is shown of a member takes a look into its certificate: of those that were shown it is not made again.
    let look =
        move |state: &crate::state::State, _| part.cut(state.members(which.cluster.as_ref(), part.after), |it| it.id);
    Ok(Json(api.desk.look_through(look).await?))
}

pub(super) async fn show(State(api): State<Api>, Path(member): Path<MemberId>) -> Result<Json<MemberView>, Problem> {
    Ok(Json(api.desk.look(move |state, _| state.member(member)).await??))
}

pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(member): Path<MemberId>,
) -> Result<Json<MemberView>, Problem> {
    Ok(Json(api.desk.act(&caller, member.to_string(), move |state, at| state.remove_member(member, at)).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct How {
    /// Of `disable` alone: at once, and what the member holds goes to others as soon as that is safe.
    hard: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Compared {
    /// The fingerprint that `postern enroll` printed on the member's host. Whoever has another is not let in.
    fingerprint: String,
}

pub(super) async fn approve(
    State(api): State<Api>,
    caller: Caller,
    Path(member): Path<MemberId>,
    body: Body<Compared>,
) -> Result<Json<MemberView>, Problem> {
    let compared = body.said.fingerprint;
    let on = format!("{member}, {compared}");
    Ok(Json(api.desk.act(&caller, on, move |state, at| state.approve_member(member, &compared, at)).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct WhichCertificate {
    /// The fingerprint of the certificate, as `postern status` shows it on the member's host.
    fingerprint: String,
}

pub(super) async fn accept(
    State(api): State<Api>,
    caller: Caller,
    Path(member): Path<MemberId>,
    body: Body<WhichCertificate>,
) -> Result<Json<MemberView>, Problem> {
    let fingerprint = body.said.fingerprint;
    let on = format!("{member}, {fingerprint}");
    Ok(Json(api.desk.act(&caller, on, move |state, at| state.accept_certificate(member, &fingerprint, at)).await?))
}

type Acted = BoxFuture<'static, Result<Json<MemberView>, Problem>>;

/// What does this with a member.
pub(super) fn act(
    action: Action,
) -> impl Fn(State<Api>, Caller, Path<MemberId>, Query<How>, Body<Nothing>) -> Acted + Clone {
    move |State(api), caller, Path(member), Query(how), _| {
        async move { act_on(&api, &caller, member, action, &how).await }.boxed()
    }
}

async fn act_on(
    api: &Api,
    caller: &Caller,
    member: MemberId,
    action: Action,
    how: &How,
) -> Result<Json<MemberView>, Problem> {
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
