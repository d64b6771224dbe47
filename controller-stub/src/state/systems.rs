//! Connected systems and who works on them.

use postern_protocol::{ClusterName, SystemName};

use super::ledger::Write;
use super::record::{Association, SystemRecord, TaskState};
use super::{Refusal, RefusalKind, State};
use crate::clock::Moment;

/// The most connected systems.
const MAX_SYSTEMS: usize = 10_000;
const MAX_TYPE: usize = 32;
const MAX_DISPLAY_NAME: usize = 128;
const MAX_DESCRIPTION: usize = 512;

/// A connected system to be made.
#[derive(Debug, Clone)]
pub struct NewSystem {
    /// Its name.
    pub name: SystemName,
    /// Its type.
    pub connector: String,
    /// Its name for people; the name itself if empty.
    pub display_name: String,
    /// What it is.
    pub description: String,
    /// Who works on it.
    pub association: Association,
}

impl State {
    /// Makes a connected system.
    pub fn add_system(&mut self, new: NewSystem, at: Moment) -> Result<SystemRecord, Refusal> {
        if self.systems.len() >= MAX_SYSTEMS {
            return Err(Refusal::new(RefusalKind::Overloaded, format!("at most {MAX_SYSTEMS} systems can be added")));
        }
        check_text("type", &new.connector, MAX_TYPE)?;
        check_text("display_name", &new.display_name, MAX_DISPLAY_NAME)?;
        check_text("description", &new.description, MAX_DESCRIPTION)?;
        if new.connector.is_empty() {
            return Err(Refusal::field("type", "a connected system needs a type, e.g. `salesforce`"));
        }
        self.check_association(&new.association)?;
        if self.systems.contains_key(&new.name) {
            return Err(Refusal {
                kind: RefusalKind::Conflict,
                field: Some("name"),
                message: format!("there is a connected system `{}` already, and names never change", new.name),
            });
        }
        let display_name = if new.display_name.is_empty() { new.name.to_string() } else { new.display_name };
        let record = SystemRecord {
            name: new.name.clone(),
            connector: new.connector,
            display_name,
            description: new.description,
            association: new.association,
            created: at.wall,
        };
        self.systems.insert(new.name, record.clone());
        self.writes.push(Write::System(record.clone()));
        Ok(record)
    }

    /// Says who works on a connected system from now on. Tasks submitted before stay where they were sealed for.
    pub fn associate_system(&mut self, name: &SystemName, association: Association) -> Result<SystemRecord, Refusal> {
        self.check_association(&association)?;
        let record = self.systems.get_mut(name).ok_or_else(|| unknown(name))?;
        record.association = association;
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
            return Err(Refusal::new(
                RefusalKind::Conflict,
                format!("tasks of system `{name}` are not finished: wait for them or cancel them first"),
            ));
        }
        let record = self.systems.remove(name).ok_or_else(|| unknown(name))?;
        self.writes.push(Write::ForgetSystem(record.clone()));
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
        self.known_cluster(cluster)?;
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
