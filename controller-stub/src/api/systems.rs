//! `/v1/systems`: connected systems and who works on them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use postern_protocol::SystemName;
use postern_protocol::code::UnknownName;
use postern_protocol::message::v1::LogLevel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::{Body, Both, Path, Query};
use super::auth::Caller;
use super::once::IdempotencyKey;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::clock::Moment;
use crate::state::once::Done;
use crate::state::record::{Association, PasswordResetBy, ProvisioningOption, SystemDetails, SystemRecord};
use crate::state::served::{ServingView, differing};
use crate::state::{NewSystem, SystemChanges, log_levels};

/// Why something is not edited.
const NEVER: &str = "never changes";
const ELSEWHERE: &str = "is said with `system associate`";

/// The level that is none: what the configuration says.
const CONFIGURED: &str = "configured";

/// What connectors do: every type there is supports both.
const SUPPORTS: [&str; 2] = ["identity", "provisioning"];

/// A connected system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SystemView {
    /// Its name.
    pub name: SystemName,
    /// Its type.
    #[serde(rename = "type")]
    pub connector: String,
    /// Its name for people.
    pub display_name: String,
    /// What it is.
    pub description: String,
    /// `server`, or the cluster whose members work on it.
    pub association: String,
    /// What its connector does.
    pub supports: Vec<String>,
    /// What else is known of it.
    #[serde(flatten)]
    pub details: SystemDetails,
    /// What members are to log of it for a while, as long as that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level_order: Option<OrderView>,
    /// The members that serve it now, as they say; only where one system is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<ServingView>,
    /// The facts of the connection in which these differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differing: Vec<String>,
    /// How often it was edited or associated: for `revision` of whoever does so next.
    pub revision: u64,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
}

/// What members are to log of a connected system for a while.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// The least severe level.
    pub level: LogLevel,
    /// Until when, in milliseconds since 1970.
    pub until: u64,
    /// The name of the token of whoever wants it.
    pub by: String,
}

impl SystemView {
    /// With who serves it now.
    pub(super) fn with_members(state: &crate::state::State, it: &SystemRecord, at: Moment) -> Self {
        let members = state.serving(it);
        let order = it.log_level.as_ref().filter(|it| it.until > at.wall);
        let order = order.map(|it| OrderView { level: it.level, until: it.until.0, by: it.by.clone() });
        Self { differing: differing(&members), members, log_level_order: order, ..Self::from(it) }
    }
}

impl From<&SystemRecord> for SystemView {
    fn from(it: &SystemRecord) -> Self {
        Self {
            name: it.name.clone(),
            connector: it.connector.clone(),
            display_name: it.display_name.clone(),
            description: it.description.clone(),
            association: it.association.to_string(),
            supports: SUPPORTS.map(str::to_owned).to_vec(),
            details: it.details.clone(),
            log_level_order: None,
            members: Vec::new(),
            differing: Vec::new(),
            revision: it.revision,
            created: it.created.0,
        }
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<SystemView>>, Problem> {
    let part: Part<SystemName> = Part::of("systems", wanted)?;
    Ok(Json(
        api.desk
            .look_through(move |state, _| part.cut(state.systems(), |it| it.name.clone()).map(SystemView::from))
            .await?,
    ))
}

/// A system to make.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Add {
    /// Its name, which never changes.
    name: SystemName,
    /// Its type.
    #[serde(rename = "type", default = "salesforce")]
    connector: String,
    /// `server`, or the cluster whose members work on it.
    pub(super) association: String,
}

fn salesforce() -> String {
    "salesforce".to_owned()
}

/// What can be said of a system when it is made, and later. What is not there stays as it is.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Said {
    /// Its name for people; the name itself if empty.
    display_name: Option<String>,
    /// What it is.
    description: Option<String>,
    /// Its language.
    locale: Option<String>,
    /// Who may have passwords reset, besides administrators.
    password_reset_by: Option<PasswordResetBy>,
    /// Whether workflows may use it.
    provisioning_option: Option<ProvisioningOption>,
    /// Whether its accounts are managed as privileged ones.
    hpam: Option<bool>,
    /// Whether its accounts can be transferred.
    transfer_of_accounts: Option<bool>,
    /// Who owns it from now on, too.
    #[serde(default)]
    add_owners: Vec<String>,
    /// What it is filed under from now on, too.
    #[serde(default)]
    add_categories: Vec<String>,
}

impl From<Said> for SystemChanges {
    fn from(said: Said) -> Self {
        Self {
            display_name: said.display_name,
            description: said.description,
            locale: said.locale,
            password_reset_by: said.password_reset_by,
            provisioning_option: said.provisioning_option,
            hpam: said.hpam,
            transfer_of_accounts: said.transfer_of_accounts,
            add_owners: said.add_owners,
            add_categories: said.add_categories,
            ..Self::default()
        }
    }
}

/// What can be said of a system once it is there.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Edit {
    /// The revision that was looked at. If the system is at another by now, nothing is changed.
    revision: Option<u64>,
    /// The language of `display_name` and `description`, if not the system's own. Where both are empty, there are none in it
    /// any more.
    #[serde(rename = "in")]
    texts_in: Option<String>,
    /// Who does not own it any more.
    #[serde(default)]
    remove_owners: Vec<String>,
    /// What it is not filed under any more.
    #[serde(default)]
    remove_categories: Vec<String>,
    /// What is not edited.
    #[schemars(skip)]
    name: Option<Value>,
    #[serde(rename = "type")]
    #[schemars(skip)]
    connector: Option<Value>,
    #[schemars(skip)]
    association: Option<Value>,
}

/// Who is to work on a system.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Associate {
    /// `server`, or a cluster.
    pub(super) association: String,
    /// The revision that was looked at. If the system is at another by now, nothing is changed.
    revision: Option<u64>,
}

pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<Both<Add, Said>>,
) -> Result<Json<SystemView>, Problem> {
    let asked = key.asked(&caller, &[&body.bytes]);
    let Both(Add { name, connector, association: with }, said) = body.said;
    let new = NewSystem { name, connector, association: association(&with)?, changes: said.into() };
    let wanted = format!("{} with {}", new.name, new.association);
    let on = move |done: Option<&Done<SystemRecord>>| wanted + done.map_or("", Done::told);
    let work = move |state: &mut crate::state::State, at| state.add_system(new, asked.as_ref(), at);
    let made = api.desk.act_told(0, &caller, on, work).await?.it;
    Ok(Json(SystemView::from(&made)))
}

pub(super) async fn show(State(api): State<Api>, Path(system): Path<SystemName>) -> Result<Json<SystemView>, Problem> {
    let view =
        move |state: &crate::state::State, at| state.system(&system).map(|it| SystemView::with_members(state, it, at));
    Ok(Json(api.desk.look_through(view).await??))
}

pub(super) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Body<Both<Edit, Said>>,
) -> Result<Json<SystemView>, Problem> {
    let Both(Edit { revision, texts_in, remove_owners, remove_categories, name, connector, association }, said) =
        body.said;
    let lasting = [("name", name, NEVER), ("type", connector, NEVER), ("association", association, ELSEWHERE)];
    if let Some((field, _, why)) = lasting.into_iter().find(|(_, said, _)| said.is_some()) {
        return Err(Problem::field(field, format!("`{field}` of a connected system {why}")));
    }
    let changes = SystemChanges { revision, texts_in, remove_owners, remove_categories, ..said.into() };
    let edited = api.desk.act(&caller, system.to_string(), move |state, _| state.edit_system(&system, changes)).await?;
    Ok(Json(SystemView::from(&edited)))
}

pub(super) async fn associate(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Body<Associate>,
) -> Result<Json<SystemView>, Problem> {
    let Associate { association: with, revision } = body.said;
    let with = association(&with)?;
    let on = format!("{system} with {with}");
    let work = move |state: &mut crate::state::State, _| state.associate_system(&system, with, revision);
    let changed = api.desk.act(&caller, on, work).await?;
    Ok(Json(SystemView::from(&changed)))
}

/// What members are to log of a system.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Logged {
    /// `configured`, or the least severe level.
    level: String,
    /// For how many seconds, a day at most; 1800 if it is not said.
    for_secs: Option<u64>,
}

impl Logged {
    /// The least severe level, and for how long; `None`: as configured.
    pub(super) fn wanted(&self) -> Result<Option<(LogLevel, Duration)>, Problem> {
        if self.level == CONFIGURED {
            return Ok(None);
        }
        let level = self.level.parse().map_err(|error: UnknownName| {
            Problem::field("level", format!("`level` is `{CONFIGURED}` or a level: {error}"))
        })?;
        Ok(Some((level, self.for_secs.map_or(log_levels::USUAL, Duration::from_secs))))
    }
}

pub(super) async fn log_level(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Body<Logged>,
) -> Result<Json<SystemView>, Problem> {
    let wanted = body.said.wanted()?;
    let on = match wanted {
        Some((level, length)) => format!("{system}, {level} for {} seconds", length.as_secs()),
        None => format!("{system}, as configured"),
    };
    let by = caller.by().name.to_string();
    let act = move |state: &mut crate::state::State, at: Moment| {
        let changed = state.order_log_level(&system, wanted, by, at)?;
        Ok(SystemView::with_members(state, &changed, at))
    };
    Ok(Json(api.desk.act(&caller, on, act).await?))
}

pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
) -> Result<Json<SystemView>, Problem> {
    let gone = api.desk.act(&caller, system.to_string(), move |state, _| state.remove_system(&system)).await?;
    Ok(Json(SystemView::from(&gone)))
}

pub(super) fn association(text: &str) -> Result<Association, Problem> {
    if text == Association::SERVER {
        return Ok(Association::Server);
    }
    let cluster = text.parse().map_err(|error: postern_protocol::id::InvalidId| {
        Problem::field("association", format!("`server` or a cluster: {error}"))
    })?;
    Ok(Association::Cluster(cluster))
}
