//! Connected systems and who works on them.

use postern_protocol::{ClusterName, SystemName};

use super::ledger::Write;
use super::once::{Asked, Done, Making, TokenSecret};
use super::record::{
    Association, LocalTexts, Made, OnceRecord, PasswordResetBy, ProvisioningOption, SystemDetails, SystemRecord,
    TaskState,
};
use super::{Refusal, RefusalKind, State};
use crate::clock::Moment;

/// The most connected systems.
const MAX_SYSTEMS: usize = 10_000;
/// The types that agents have a connector for. A system of another would never get its tasks done.
const CONNECTORS: &[&str] = &["salesforce"];
const MAX_TYPE: usize = 32;
const MAX_DISPLAY_NAME: usize = 128;
const MAX_DESCRIPTION: usize = 512;
const MAX_LOCALE: usize = 35;
/// The longest name of an owner or a category.
const MAX_NAME: usize = 128;
/// The largest record, below what one place of the ledger takes.
const MAX_RECORD: usize = 3 * 1024;

/// A connected system to be made.
#[derive(Debug, Clone)]
pub struct NewSystem {
    /// Its name.
    pub name: SystemName,
    /// Its type.
    pub connector: String,
    /// Who works on it.
    pub association: Association,
    /// What else is known of it.
    pub changes: SystemChanges,
}

/// What becomes known of a connected system. What is not there stays as it is.
#[derive(Debug, Clone, Default)]
pub struct SystemChanges {
    /// The revision that was looked at, if that matters.
    pub revision: Option<u64>,
    /// The language of the two texts, if not the system's own. Where both are empty, there are none in it any more.
    pub texts_in: Option<String>,
    /// Its name for people; the name itself if empty.
    pub display_name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its language.
    pub locale: Option<String>,
    /// Who may have passwords reset, besides administrators.
    pub password_reset_by: Option<PasswordResetBy>,
    /// Whether workflows may use it.
    pub provisioning_option: Option<ProvisioningOption>,
    /// Whether its accounts are managed as privileged ones.
    pub hpam: Option<bool>,
    /// Whether its accounts can be transferred.
    pub transfer_of_accounts: Option<bool>,
    /// Who owns it from now on, too.
    pub add_owners: Vec<String>,
    /// Who does not any more.
    pub remove_owners: Vec<String>,
    /// What it is filed under from now on, too.
    pub add_categories: Vec<String>,
    /// What it is not filed under any more.
    pub remove_categories: Vec<String>,
}

impl State {
    /// Makes a connected system.
    pub fn add_system(
        &mut self,
        new: NewSystem,
        asked: Option<&Asked>,
        at: Moment,
    ) -> Result<Done<SystemRecord>, Refusal> {
        let find = |state: &Self, once: &OnceRecord, _: &TokenSecret| {
            let Made::System(name) = &once.made else { return None };
            // Another may have its name by now.
            state.systems.get(name).filter(|it| it.created == once.at).cloned()
        };
        self.once(asked, at, find, |state, _| state.new_system(new, at))
    }

    fn new_system(&mut self, new: NewSystem, at: Moment) -> Result<Making<SystemRecord>, Refusal> {
        if self.systems.len() >= MAX_SYSTEMS {
            return Err(Refusal::new(
                RefusalKind::Overloaded,
                format!(
                    "a controller has at most {MAX_SYSTEMS} connected systems: remove those that nobody uses with \
                     `postern-controller system remove`"
                ),
            ));
        }
        check_text("type", &new.connector, MAX_TYPE)?;
        if !CONNECTORS.contains(&new.connector.as_str()) {
            let there_are = CONNECTORS.join("`, `");
            let message = format!("agents have no connector of the type `{}`; there is: `{there_are}`", new.connector);
            return Err(Refusal::field("type", message));
        }
        self.check_association(&new.association)?;
        if self.systems.contains_key(&new.name) {
            return Err(Refusal {
                kind: RefusalKind::Conflict,
                field: Some("name"),
                message: format!("there is a connected system `{}` already, and names never change", new.name),
            });
        }
        let blank = SystemRecord {
            name: new.name.clone(),
            connector: new.connector,
            display_name: new.name.to_string(),
            description: String::new(),
            association: new.association,
            details: SystemDetails::default(),
            log_level: None,
            revision: 0,
            created: at.wall,
        };
        let record = changed(blank, new.changes)?;
        self.systems.insert(new.name.clone(), record.clone());
        Ok(Making { made: Made::System(new.name), write: Write::System(record.clone()), it: record })
    }

    /// Changes what is known of a connected system: everything but its name, its type and who works on it.
    pub fn edit_system(&mut self, name: &SystemName, changes: SystemChanges) -> Result<SystemRecord, Refusal> {
        let mut record = self.system(name)?.clone();
        check_revision(&record, changes.revision)?;
        record = SystemRecord { revision: record.revision.saturating_add(1), ..changed(record, changes)? };
        self.systems.insert(name.clone(), record.clone());
        self.writes.push(Write::System(record.clone()));
        Ok(record)
    }

    /// Says who works on a connected system from now on. Tasks submitted before stay where they were sealed for.
    pub fn associate_system(
        &mut self,
        name: &SystemName,
        association: Association,
        revision: Option<u64>,
    ) -> Result<SystemRecord, Refusal> {
        self.check_association(&association)?;
        let record = self.systems.get_mut(name).ok_or_else(|| unknown(name))?;
        check_revision(record, revision)?;
        record.association = association;
        record.revision = record.revision.saturating_add(1);
        let record = record.clone();
        self.writes.push(Write::System(record.clone()));
        Ok(record)
    }

    /// Takes a connected system away that no unfinished task is about.
    pub fn remove_system(&mut self, name: &SystemName) -> Result<SystemRecord, Refusal> {
        if !self.systems.contains_key(name) {
            return Err(unknown(name));
        }
        if self.has_unfinished(name) {
            return Err(Refusal::conflict(format!(
                "tasks of system `{name}` are not finished: wait for them or cancel them first"
            )));
        }
        let record = self.systems.remove(name).ok_or_else(|| unknown(name))?;
        self.writes.push(Write::ForgetSystem(record.name.clone()));
        Ok(record)
    }

    fn has_unfinished(&self, name: &SystemName) -> bool {
        self.queue.tasks().any(|it| it.system == *name && !matches!(it.state, TaskState::Finished))
    }

    /// Every connected system.
    pub fn systems(&self) -> impl Iterator<Item = &SystemRecord> {
        self.systems.values()
    }

    /// A connected system.
    pub fn system(&self, name: &SystemName) -> Result<&SystemRecord, Refusal> {
        self.systems.get(name).ok_or_else(|| unknown(name))
    }

    fn check_association(&self, association: &Association) -> Result<(), Refusal> {
        match association {
            Association::Server => Ok(()),
            Association::Cluster(cluster) => self.check_choosable(cluster),
        }
    }

    /// Product rule A2: only clusters with a registered and enabled member can be chosen.
    fn check_choosable(&self, cluster: &ClusterName) -> Result<(), Refusal> {
        self.known_cluster(cluster).map_err(|unknown| Refusal { field: Some("association"), ..unknown })?;
        if self.enabled_members(cluster).next().is_some() {
            return Ok(());
        }
        Err(Refusal {
            kind: RefusalKind::Forbidden,
            field: Some("association"),
            message: format!(
                "cluster `{cluster}` has no registered and enabled member, and only clusters that have one can be \
                 chosen: enroll an agent and approve it first"
            ),
        })
    }
}

/// The record with what became known.
fn changed(mut record: SystemRecord, it: SystemChanges) -> Result<SystemRecord, Refusal> {
    it.display_name.as_deref().filter(|it| !it.is_empty()).map_or(Ok(()), check_display_name)?;
    check_text("description", it.description.as_deref().unwrap_or_default(), MAX_DESCRIPTION)?;
    for (field, locale) in [("locale", &it.locale), ("in", &it.texts_in)] {
        locale.as_deref().map_or(Ok(()), |locale| check_locale(field, locale))?;
    }
    for (field, names) in [("add_owners", &it.add_owners), ("add_categories", &it.add_categories)] {
        names.iter().try_for_each(|name| check_name(field, name))?;
    }
    let details = &mut record.details;
    details.locale = it.locale.unwrap_or_else(|| details.locale.clone());
    details.password_reset_by = it.password_reset_by.unwrap_or(details.password_reset_by);
    details.provisioning_option = it.provisioning_option.unwrap_or(details.provisioning_option);
    details.hpam = it.hpam.unwrap_or(details.hpam);
    details.transfer_of_accounts = it.transfer_of_accounts.unwrap_or(details.transfer_of_accounts);
    details.owners.retain(|owner| !it.remove_owners.contains(owner));
    details.owners.extend(it.add_owners);
    details.categories.retain(|category| !it.remove_categories.contains(category));
    details.categories.extend(it.add_categories);
    let own = record.name.to_string();
    let (display_name, description) = match it.texts_in.filter(|locale| *locale != details.locale) {
        None => (&mut record.display_name, &mut record.description),
        Some(locale) if it.display_name.as_deref() == Some("") && it.description.as_deref() == Some("") => {
            details.texts.remove(&locale);
            return checked(record);
        }
        Some(locale) => {
            let LocalTexts { display_name, description } = details.texts.entry(locale).or_default();
            (display_name, description)
        }
    };
    if let Some(text) = it.display_name {
        *display_name = if text.is_empty() { own } else { text };
    }
    if let Some(text) = it.description {
        *description = text;
    }
    checked(record)
}

/// A record, if there is room for it.
fn checked(record: SystemRecord) -> Result<SystemRecord, Refusal> {
    match serde_json::to_vec(&record) {
        Ok(bytes) if bytes.len() <= MAX_RECORD => Ok(record),
        Ok(_) | Err(_) => Err(Refusal::conflict(format!(
            "owners, categories and texts of `{}` are more than the {MAX_RECORD} bytes there is room for",
            record.name
        ))),
    }
}

/// Refuses to change what was changed since it was looked at.
fn check_revision(record: &SystemRecord, seen: Option<u64>) -> Result<(), Refusal> {
    if seen.is_none_or(|it| it == record.revision) {
        return Ok(());
    }
    Err(Refusal {
        kind: RefusalKind::Conflict,
        field: Some("revision"),
        message: format!(
            "connected system `{}` was changed since you looked at it, and is at revision {} now: look again",
            record.name, record.revision
        ),
    })
}

fn check_locale(field: &'static str, locale: &str) -> Result<(), Refusal> {
    let is_one = locale.starts_with(|first: char| first.is_ascii_alphabetic())
        && locale.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    check_text(field, locale, MAX_LOCALE)?;
    if is_one { Ok(()) } else { Err(Refusal::field(field, format!("`{field}` is a language such as `en` or `fr-CA`"))) }
}

fn check_display_name(name: &str) -> Result<(), Refusal> {
    check_text("display_name", name, MAX_DISPLAY_NAME)?;
    let is_blank = name.trim().is_empty();
    if is_blank { Err(Refusal::field("display_name", "`display_name` holds nothing that is seen")) } else { Ok(()) }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    check_text(field, name, MAX_NAME)?;
    if name.trim().is_empty() { Err(Refusal::field(field, format!("`{field}` holds an empty name"))) } else { Ok(()) }
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.len() > max {
        return Err(Refusal::field(field, format!("`{field}` may have at most {max} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::field(field, format!("`{field}` may not contain control characters")));
    }
    Ok(())
}

fn unknown(name: &SystemName) -> Refusal {
    Refusal {
        kind: RefusalKind::NotFound,
        field: Some("system"),
        message: format!("there is no connected system `{name}`: see `postern-controller system list`"),
    }
}
