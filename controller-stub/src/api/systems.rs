//! `/v1/systems`: connected systems and who works on them.

use axum::Json;
use axum::extract::State;
use postern_protocol::SystemName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{Body, Both, Path, Query};
use super::auth::Caller;
use super::page::{Page, Part, Wanted};
use super::{Api, Problem};
use crate::state::record::{Association, PasswordResetBy, ProvisioningOption, SystemDetails, SystemRecord};
use crate::state::{NewSystem, SystemChanges};

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
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
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

/// A system to make.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Add {
    /// Its name, which never changes.
    name: SystemName,
    /// Its type.
    #[serde(rename = "type", default = "salesforce")]
    connector: String,
    /// `server`, or the cluster whose members work on it.
    association: String,
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
    /// The language of `display_name` and `description`, if not the system's own.
    #[serde(rename = "in")]
    texts_in: Option<String>,
    /// Who does not own it any more.
    #[serde(default)]
    remove_owners: Vec<String>,
    /// What it is not filed under any more.
    #[serde(default)]
    remove_categories: Vec<String>,
}

/// Who is to work on a system.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Associate {
    /// `server`, or a cluster.
    association: String,
}

pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    body: Body<Both<Add, Said>>,
) -> Result<Json<SystemView>, Problem> {
    let Both(Add { name, connector, association: with }, said) = body.said;
    let new = NewSystem { name, connector, association: association(&with)?, changes: said.into() };
    let on = format!("{} with {}", new.name, new.association);
    let made = api.desk.act(&caller, on, move |state, at| state.add_system(new, at)).await?;
    Ok(Json(SystemView::from(&made)))
}

pub(super) async fn show(State(api): State<Api>, Path(system): Path<SystemName>) -> Result<Json<SystemView>, Problem> {
    Ok(Json(api.desk.look(move |state, _| state.system(&system).map(SystemView::from)).await??))
}

pub(super) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Body<Both<Edit, Said>>,
) -> Result<Json<SystemView>, Problem> {
    let Both(Edit { texts_in, remove_owners, remove_categories }, said) = body.said;
    let changes = SystemChanges { texts_in, remove_owners, remove_categories, ..said.into() };
    let edited = api.desk.act(&caller, system.to_string(), move |state, _| state.edit_system(&system, changes)).await?;
    Ok(Json(SystemView::from(&edited)))
}

pub(super) async fn associate(
    State(api): State<Api>,
    caller: Caller,
    Path(system): Path<SystemName>,
    body: Body<Associate>,
) -> Result<Json<SystemView>, Problem> {
    let with = association(&body.said.association)?;
    let on = format!("{system} with {with}");
    let changed = api.desk.act(&caller, on, move |state, _| state.associate_system(&system, with)).await?;
    Ok(Json(SystemView::from(&changed)))
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
