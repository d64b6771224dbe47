//! `/v1/systems`: connected systems and who works on them.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use postern_protocol::SystemName;
use postern_protocol::code::UnknownName;
use postern_protocol::message::v1::LogLevel;
use serde::{Deserialize, Serialize};

use super::asked::{Path, Query};
use super::auth::Caller;
use super::fields::Fields;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::clock::Moment;
use crate::state::record::{Association, SystemDetails, SystemRecord};
use crate::state::served::{ServingView, differing};
use crate::state::{NewSystem, SystemChanges, log_levels};

/// The level that is none: what the configuration says.
const CONFIGURED: &str = "configured";

/// What is not edited, and why.
const LASTING: [(&str, &str); 3] =
    [("name", "never changes"), ("type", "never changes"), ("association", "is said with `system associate`")];

/// What connectors do: every type there is supports both.
const SUPPORTS: [&str; 2] = ["identity", "provisioning"];

/// A connected system.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
}

/// What members are to log of a connected system for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    fn with_members(state: &crate::state::State, it: &SystemRecord, at: Moment) -> Self {
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
        api.desk.look(move |state, _| part.cut(state.systems(), |it| it.name.clone()).map(SystemView::from)).await?,
    ))
}

pub(super) async fn add(State(api): State<Api>, caller: Caller, body: Bytes) -> Result<Json<SystemView>, Problem> {
    let mut fields = Fields::parse(&body)?;
    let new = NewSystem {
        name: fields.required("name")?,
        connector: fields.optional("type")?.unwrap_or_else(|| "salesforce".to_owned()),
        association: association(&fields.required::<String>("association")?)?,
        changes: changes(&mut fields)?,
    };
    fields.finish()?;
    let on = format!("{} with {}", new.name, new.association);
    let made = api.desk.act(&caller, on, move |state, at| state.add_system(new, at)).await?;
    Ok(Json(SystemView::from(&made)))
}

pub(super) async fn show(State(api): State<Api>, Path(system): Path<SystemName>) -> Result<Json<SystemView>, Problem> {
    let view =
        move |state: &crate::state::State, at| state.system(&system).map(|it| SystemView::with_members(state, it, at));
    Ok(Json(api.desk.look(view).await??))
}

pub(super) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Bytes,
) -> Result<Json<SystemView>, Problem> {
    let mut fields = Fields::parse(&body)?;
    for (field, why) in LASTING {
        if fields.optional::<serde_json::Value>(field)?.is_some() {
            return Err(Problem::field(field, format!("`{field}` of a connected system {why}")));
        }
    }
    let changes = SystemChanges {
        texts_in: fields.optional("in")?,
        remove_owners: fields.optional("remove_owners")?.unwrap_or_default(),
        remove_categories: fields.optional("remove_categories")?.unwrap_or_default(),
        ..changes(&mut fields)?
    };
    fields.finish()?;
    let edited = api.desk.act(&caller, system.to_string(), move |state, _| state.edit_system(&system, changes)).await?;
    Ok(Json(SystemView::from(&edited)))
}

/// What can be said of a system when it is made, and later.
fn changes(fields: &mut Fields) -> Result<SystemChanges, Problem> {
    Ok(SystemChanges {
        display_name: fields.optional("display_name")?,
        description: fields.optional("description")?,
        locale: fields.optional("locale")?,
        password_reset_by: fields.optional("password_reset_by")?,
        provisioning_option: fields.optional("provisioning_option")?,
        hpam: fields.optional("hpam")?,
        transfer_of_accounts: fields.optional("transfer_of_accounts")?,
        add_owners: fields.optional("add_owners")?.unwrap_or_default(),
        add_categories: fields.optional("add_categories")?.unwrap_or_default(),
        ..SystemChanges::default()
    })
}

pub(super) async fn associate(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Bytes,
) -> Result<Json<SystemView>, Problem> {
    let mut fields = Fields::parse(&body)?;
    let with = association(&fields.required::<String>("association")?)?;
    fields.finish()?;
    let on = format!("{system} with {with}");
    let changed = api.desk.act(&caller, on, move |state, _| state.associate_system(&system, with)).await?;
    Ok(Json(SystemView::from(&changed)))
}

pub(super) async fn log_level(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Bytes,
) -> Result<Json<SystemView>, Problem> {
    let mut fields = Fields::parse(&body)?;
    let level: String = fields.required("level")?;
    let length = fields.optional("for_secs")?.map_or(log_levels::USUAL, Duration::from_secs);
    fields.finish()?;
    let wanted = match level.as_str() {
        CONFIGURED => None,
        level => {
            let level: LogLevel = level.parse().map_err(|error: UnknownName| {
                Problem::field("level", format!("`level` is `{CONFIGURED}` or a level: {error}"))
            })?;
            Some((level, length))
        }
    };
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

fn association(text: &str) -> Result<Association, Problem> {
    if text == "server" {
        return Ok(Association::Server);
    }
    let cluster = text.parse().map_err(|error: postern_protocol::id::InvalidId| {
        Problem::field("association", format!("`server` or a cluster: {error}"))
    })?;
    Ok(Association::Cluster(cluster))
}
