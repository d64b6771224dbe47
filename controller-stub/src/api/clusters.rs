//! `/v1/clusters`, `/v1/clusters/{cluster}/keys` and `/v1/tokens`.

use axum::Json;
use axum::extract::State;
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::{ClusterName, MemberId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{Body, Path, Query};
use super::auth::Caller;
use super::once::IdempotencyKey;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::enrollment::NewToken;
use crate::state::once::Done;
use crate::state::record::ClusterRecord;

/// A cluster.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClusterView {
    /// Its name.
    pub name: ClusterName,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
}

impl From<&ClusterRecord> for ClusterView {
    fn from(it: &ClusterRecord) -> Self {
        Self { name: it.name.clone(), created: it.created.0 }
    }
}

/// A token that was just made. It cannot be shown again.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Its id, which is not secret.
    pub id: String,
    /// The cluster it leads into.
    pub cluster: ClusterName,
    /// When it runs out, in milliseconds since 1970.
    pub expires: u64,
    /// The token.
    pub token: String,
}

/// The keys that secrets for a cluster are sealed to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeysView {
    /// The cluster.
    pub cluster: ClusterName,
    /// The newest of each enabled member.
    pub keys: Vec<KeyView>,
}

/// One key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// Whose it is.
    pub member: MemberId,
    /// Its short name.
    pub id: String,
    /// The key, 64 hexadecimal digits of X25519.
    pub public: SealingPublicKey,
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<ClusterView>>, Problem> {
    let part: Part<ClusterName> = Part::of("clusters", wanted)?;
    let look = move |state: &crate::state::State, _| part.cut(state.clusters(), |it| it.name.clone()).map(Into::into);
    Ok(Json(api.desk.look_through(look).await?))
}

/// A cluster to make.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewCluster {
    /// Its name.
    name: ClusterName,
}

pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    body: Body<NewCluster>,
) -> Result<Json<ClusterView>, Problem> {
    let NewCluster { name } = body.said;
    let on = name.to_string();
    let made = api.desk.act(&caller, on, move |state, at| state.create_cluster(name, at)).await?;
    Ok(Json(ClusterView::from(&made)))
}

pub(super) async fn keys(State(api): State<Api>, Path(cluster): Path<ClusterName>) -> Result<Json<KeysView>, Problem> {
    let of = cluster.clone();
    let members = api.desk.look_through(move |state, _| state.sealing_keys(&of)).await??;
    let view = |(member, public): (MemberId, SealingPublicKey)| KeyView { member, id: public.id().to_string(), public };
    let keys = members.into_iter().map(view).collect();
    Ok(Json(KeysView { cluster, keys }))
}

/// A token to make.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TokenInto {
    /// The cluster it leads into.
    cluster: ClusterName,
}

pub(super) async fn create_token(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<TokenInto>,
) -> Result<Json<TokenView>, Problem> {
    let asked = key.asked(&caller, &[&body.bytes]);
    let TokenInto { cluster } = body.said;
    let into = cluster.to_string();
    let on = move |done: Option<&Done<NewToken>>| match done {
        Some(done) => format!("{} into {}{}", done.it.record.id, done.it.record.cluster, done.told()),
        None => into,
    };
    let work = move |state: &mut crate::state::State, at| state.create_token(cluster, asked.as_ref(), at);
    let made = api.desk.act_told(0, &caller, on, work).await?.it;
    Ok(Json(TokenView {
        id: made.record.id.to_string(),
        cluster: made.record.cluster,
        expires: made.record.expires.0,
        token: made.text.expose().to_owned(),
    }))
}
