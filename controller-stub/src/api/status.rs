//! `/v1/status`: how the controller is.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use postern_protocol::time::UnixMillis;
use postern_store::audit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, Problem};
use crate::state::served::{AttentionView, QueueView};

/// How the audit log is.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is of use")]
struct AuditStatus {
    /// Its last line, as `NUMBER:HASH`.
    head: String,
    /// How many events wait for being written.
    waiting: u64,
    /// Why it cannot be written, if it cannot.
    trouble: Option<String>,
    /// What was found wrong with it when the program started.
    fault: Option<String>,
}

/// How the controller is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// Where agents may be told to connect to: the port of `--listen` at each `--public-name`, as `postern enroll --controller`
    /// takes it.
    #[serde(default)]
    pub controller_urls: Vec<String>,
    /// How many members there are, by state.
    pub members: BTreeMap<String, usize>,
    /// How many of them have a session.
    pub connected: usize,
    /// How many tasks are not finished, by state.
    pub unfinished: BTreeMap<String, usize>,
    /// What is not finished, by cluster and connected system.
    #[serde(default)]
    pub queues: Vec<QueueView>,
    /// Members that somebody should look at; no more than 20.
    #[serde(default)]
    pub attention: Vec<AttentionView>,
    /// How many members show a certificate that is newer than the one on record, and wait for it to be accepted.
    pub newer_certificates: usize,
    /// When the next API token runs out, of those that are still good and do.
    #[serde(default)]
    pub next_api_token_expiry: Option<UnixMillis>,
    /// How many finished tasks are kept.
    pub finished: usize,
    /// How many commits and how many barriers the store made since the start.
    pub commits: u64,
    /// Barriers.
    pub barriers: u64,
    /// How the audit log is.
    #[schemars(with = "AuditStatus")]
    pub audit: audit::Status,
}

pub(super) async fn show(State(api): State<Api>) -> Result<Json<StatusView>, Problem> {
    let controller_urls = api.controller_urls.to_vec();
    let view = api
        .desk
        .look_through(move |state, at| {
            let (commits, barriers) = state.commits_and_barriers();
            StatusView {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                controller_urls,
                members: state.members_by_state().into_iter().map(|(it, count)| (it.to_string(), count)).collect(),
                connected: state.connected(),
                unfinished: state.unfinished_by_state().into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
                queues: state.queues(),
                attention: state.attention(at),
                newer_certificates: state.waiting_to_be_accepted(),
                next_api_token_expiry: state.next_api_token_expiry(at),
                finished: state.finished(),
                commits,
                barriers,
                audit: state.audit_status(),
            }
        })
        .await?;
    Ok(Json(view))
}
