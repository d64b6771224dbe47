//! `/v1/api-tokens`: who may use this API.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use postern_protocol::id::{ApiTokenId, ApiTokenName};
use postern_protocol::time::UnixMillis;
use postern_store::private;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{Body, Path, Query};
use super::auth::Caller;
use super::once::IdempotencyKey;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::access::{Made, Role};
use crate::state::api_tokens::{ApiTokenView, BOOTSTRAP};
use crate::state::once::Done;

/// The longest life that is meant: beyond ten years it is a mistake.
const MAX_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Whoever calls.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CallerView {
    /// What the token is called.
    pub name: ApiTokenName,
    /// What it is good for.
    pub role: Role,
    /// When it runs out, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<UnixMillis>,
}

/// A token that was just made. Its text cannot be shown again.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewApiTokenView {
    /// What is known of it from here on.
    #[serde(flatten)]
    pub about: ApiTokenView,
    /// The token.
    pub token: String,
}

pub(super) async fn whoami(caller: Caller) -> Json<CallerView> {
    Json(caller.view())
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<ApiTokenView>>, Problem> {
    let part: Part<ApiTokenId> = Part::of("api-tokens", wanted)?;
    Ok(Json(api.desk.look_through(move |state, at| part.cut(state.api_tokens(at), |it| it.id)).await?))
}

/// A token to make.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewApiToken {
    /// What to call it.
    name: ApiTokenName,
    /// What it is good for.
    role: Role,
    /// After how many seconds it runs out; never, if it is not said.
    expires_secs: Option<u64>,
}

pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<NewApiToken>,
) -> Result<Json<NewApiTokenView>, Problem> {
    let asked = key.asked(&caller, &[&body.bytes]);
    let NewApiToken { name, role, expires_secs } = body.said;
    let life = expires_secs.map(Duration::from_secs);
    if life.is_some_and(|it| it > MAX_LIFE || it.is_zero()) {
        return Err(Problem::field("expires_secs", "`expires_secs` has to be between one second and ten years"));
    }
    let wanted = format!("{name}, {role}");
    let on = move |done: Option<&Done<(ApiTokenView, Made)>>| match done {
        Some(done) => format!("{} {wanted}{}", done.it.0.id, done.told()),
        None => wanted,
    };
    let work = move |state: &mut crate::state::State, at| state.create_api_token(name, role, life, asked.as_ref(), at);
    let (about, made) = api.desk.act_told(0, &caller, on, work).await?.it;
    Ok(Json(NewApiTokenView { about, token: made.text.expose().to_owned() }))
}

pub(super) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    // An id looks like a name; a whole token does not, and is repeated nowhere.
    Path(token): Path<ApiTokenName>,
) -> Result<Json<ApiTokenView>, Problem> {
    let gone =
        api.desk.take_away(&caller, token.to_string(), move |state, at| state.revoke_api_token(&token, at)).await?;
    if gone.name.as_str() == BOOTSTRAP {
        // Only its hash counted, and that is gone; a file that stays tells nobody anything.
        let _ = private::remove_if_any(&api.data_dir.join("api.token"));
    }
    Ok(Json(gone))
}
