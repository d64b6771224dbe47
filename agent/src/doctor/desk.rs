//! What a running agent finds out when it is asked what is wrong, because it has the store and the sessions.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use postern_protocol::SystemName;
use postern_protocol::plain::Chain;
use postern_store::audit::Status as AuditStatus;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::state::Facts;
use super::{Finding, system};
use crate::connector::{Connector, Reach};
use crate::status::{self, Ask};
use crate::store::Store;

/// How long it takes at most: all systems are looked at side by side, and then the store.
pub const PATIENCE: Duration = system::EXAMINATION.saturating_add(Duration::from_secs(5));

/// What is to be looked at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// The connected systems, and how far each may be looked at.
    pub systems: BTreeMap<SystemName, Reach>,
}

/// What was found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The configuration of the agent that runs.
    pub config: PathBuf,
    /// Its store.
    pub store: Facts,
    /// Each system that it serves.
    pub systems: BTreeMap<SystemName, Vec<Finding>>,
}

/// What a running agent looks with.
pub struct Desk {
    /// Its configuration.
    pub config: PathBuf,
    /// Its store.
    pub store: Store,
    /// How its audit log is.
    pub audit: watch::Receiver<AuditStatus>,
    /// Its connectors.
    pub connectors: BTreeMap<SystemName, Arc<dyn Connector>>,
}

impl Desk {
    /// Looks.
    pub async fn answer(&self, request: Request) -> Result<Answer, String> {
        let wanted = self.connectors.iter().filter_map(|(name, it)| Some((name, it, *request.systems.get(name)?)));
        let looks = wanted.map(async |(name, connector, reach)| {
            (name.clone(), system::examine(connector.as_ref(), reach, name).await)
        });
        let systems = join_all(looks).await.into_iter().collect();
        let (store, audit) = (self.store.clone(), self.audit.borrow().clone());
        let facts = tokio::task::spawn_blocking(move || Facts::of(&store, audit)).await;
        let store = facts.map_err(|error| error.to_string())?.map_err(|error| Chain(&error).to_string())?;
        Ok(Answer { config: self.config.clone(), store, systems })
    }
}

/// Asks the agent that runs.
pub async fn ask(state_dir: &Path, request: Request) -> io::Result<Answer> {
    match status::call(state_dir, &Ask::Doctor(request)).await? {
        Some(status::Answer::Doctor(answer)) => Ok(*answer),
        Some(status::Answer::Refused { message }) => Err(io::Error::other(message)),
        Some(status::Answer::Status(_) | status::Answer::Health(_) | status::Answer::Logged(_)) => {
            Err(io::Error::other("it answered something else"))
        }
        None => Err(io::Error::other("it has ended meanwhile")),
    }
}
