//! What members say of themselves and of the connected systems they serve, as operators see it.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::message::v1::{
    Condition, Connection, Hello, LogLevelVerdict, MembershipState, ServedSystem, SignInState, SystemCondition,
};
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, MemberId, SystemName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enroll::printable;
use super::log_levels::{LONGEST, millis};
use super::record::{Association, SystemRecord, TaskState};
use super::sessions::Live;
use super::{Member, State};
use crate::clock::Moment;

/// The most members that are told to be looked at: what fits one screen.
pub const MAX_ATTENTION: usize = 20;

/// What somebody should look at a member for, first what cannot wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Alarm,
    Certificate,
    SignIn,
    Approval,
    Session,
}

/// A connected system that a live member serves.
pub(super) struct Served {
    connector: String,
    connection: Connection,
    /// What became of the log level that was last wanted.
    pub(super) verdict: Option<LogLevelVerdict>,
}

/// What a live member last said of itself.
pub(super) struct Said {
    at: Moment,
    condition: Condition,
}

/// What a Hello says of connected systems.
pub(super) fn served(hello: &Hello) -> BTreeMap<SystemName, Served> {
    let served = |it: &ServedSystem| Served {
        connector: printable(&it.connector),
        connection: it.connection.clone(),
        verdict: None,
    };
    hello.systems.iter().map(|it| (it.name.clone(), served(it))).collect()
}

/// What a member owes, as it last said.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct OutboxView {
    /// Reports that are not acknowledged.
    pub reports: u32,
    /// Their bytes.
    pub bytes: u64,
    /// How many milliseconds the oldest of them had waited, at least.
    pub oldest_ms: u64,
    /// When it said so, in milliseconds since 1970.
    pub at: u64,
}

/// A connected system that a member serves, as it says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServedView {
    /// Its name.
    pub name: SystemName,
    /// The connector.
    pub connector: String,
    /// How the member reaches it.
    #[serde(flatten)]
    pub connection: ConnectionView,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<SystemNowView>,
    /// What became of the log level that was last wanted, if the member said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level_verdict: Option<LogLevelVerdict>,
}

/// How a member reaches a connected system: its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionView {
    /// The host it signs in at.
    pub domain: String,
    /// How.
    pub login_method: String,
    /// Only encrypted connections are made.
    pub secure_connection: bool,
    /// Answers may come compressed.
    pub http_compression: bool,
    /// How many seconds a connection may take to be made; zero: none of its own.
    pub connection_timeout_secs: u32,
    /// What is logged of it.
    pub log_level: String,
}

/// How a member is with a connected system, as it last said.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SystemNowView {
    /// Attempts that run.
    pub running: u32,
    /// Tasks that wait, by lane.
    pub waiting: BTreeMap<String, u32>,
    /// Whether it may sign in.
    pub sign_in: String,
    /// What is logged now.
    pub log_level: String,
    /// Until when that is another than the configured level, in milliseconds since 1970.
    pub log_level_until: Option<u64>,
}

/// A member that serves a connected system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServingView {
    /// The member.
    pub member: MemberId,
    /// Its host's name, as it says.
    pub host: String,
    /// What it may do.
    pub state: MembershipState,
    /// How it serves the system.
    #[serde(flatten)]
    pub served: ServedView,
}

/// Tasks of one cluster and connected system that are not finished, by state.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// The cluster.
    pub cluster: ClusterName,
    /// The connected system.
    pub system: SystemName,
    /// How many, by state.
    pub tasks: BTreeMap<String, usize>,
    /// When the oldest of them was submitted, in milliseconds since 1970.
    pub oldest: u64,
    /// How many members are there for them now.
    pub members: usize,
}

/// A member that somebody should look at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AttentionView {
    /// The member.
    pub member: MemberId,
    /// Its host's name, as it says.
    pub host: String,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Why.
    pub why: String,
}

impl From<&Connection> for ConnectionView {
    fn from(it: &Connection) -> Self {
        Self {
            domain: printable(&it.domain),
            login_method: printable(&it.login_method),
            secure_connection: it.secure,
            http_compression: it.compression,
            connection_timeout_secs: it.connect_timeout_secs,
            log_level: it.log_level.to_string(),
        }
    }
}

impl ConnectionView {
    /// The fields in which another differs.
    fn differing(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("domain", self.domain == other.domain),
            ("login_method", self.login_method == other.login_method),
            ("secure_connection", self.secure_connection == other.secure_connection),
            ("http_compression", self.http_compression == other.http_compression),
            ("connection_timeout_secs", self.connection_timeout_secs == other.connection_timeout_secs),
            ("log_level", self.log_level == other.log_level),
        ];
        fields.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name)
    }
}

/// The fields in which the members of a system differ.
pub fn differing(members: &[ServingView]) -> Vec<String> {
    let Some((first, rest)) = members.split_first() else { return Vec::new() };
    let fields: BTreeSet<&str> =
        rest.iter().flat_map(|it| first.served.connection.differing(&it.served.connection)).collect();
    fields.into_iter().map(str::to_owned).collect()
}

impl State {
    /// A member says how it is.
    pub(super) fn condition(&mut self, id: MemberId, condition: Condition, at: Moment) {
        if let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) {
            live.said = Some(Said { at, condition });
        }
    }

    /// The members that somebody should look at, those first that need it most.
    pub fn attention(&self, at: Moment) -> Vec<AttentionView> {
        let mut members: Vec<_> =
            self.members.values().filter_map(|it| it.wants_attention(at).map(|(need, why)| (need, why, it))).collect();
        members.sort_by_key(|(need, ..)| *need);
        let view = |(_, why, it): (Need, String, &Member)| {
            let (host, cluster) = (it.record.host.clone(), it.record.cluster.clone());
            AttentionView { member: it.record.id, host, cluster, why }
        };
        members.into_iter().take(MAX_ATTENTION).map(view).collect()
    }

    /// The members that serve a connected system now.
    pub fn serving(&self, system: &SystemRecord) -> Vec<ServingView> {
        let Association::Cluster(cluster) = &system.association else { return Vec::new() };
        let members = self.members.values().filter(|it| it.record.cluster == *cluster);
        let serving = |member: &Member| {
            let served = member.served(&system.name)?;
            let record = &member.record;
            Some(ServingView { member: record.id, host: record.host.clone(), state: record.state, served })
        };
        members.filter_map(serving).collect()
    }

    /// What is not finished, by cluster and connected system.
    pub fn queues(&self) -> Vec<QueueView> {
        let mut queues: BTreeMap<(&ClusterName, &SystemName), QueueView> = BTreeMap::new();
        for task in self.queue.tasks().filter(|it| !matches!(it.state, TaskState::Finished)) {
            let queue = queues.entry((&task.cluster, &task.system)).or_insert_with(|| QueueView {
                cluster: task.cluster.clone(),
                system: task.system.clone(),
                tasks: BTreeMap::new(),
                oldest: u64::MAX,
                members: 0,
            });
            *queue.tasks.entry(task.state.name().to_owned()).or_default() += 1;
            queue.oldest = task.submitted.0.min(queue.oldest);
        }
        for member in self.members.values().filter(|it| it.record.state == MembershipState::Enabled) {
            for system in member.session().into_iter().flat_map(|live| live.served.keys()) {
                if let Some(queue) = queues.get_mut(&(&member.record.cluster, system)) {
                    queue.members += 1;
                }
            }
        }
        queues.into_values().collect()
    }

    /// How many tasks are queued that no member is there to do.
    pub fn tasks_without_member(&self) -> usize {
        self.queue.without_member()
    }
}

impl Member {
    /// Why somebody should look at it, and how much.
    fn wants_attention(&self, at: Moment) -> Option<(Need, String)> {
        if let Some(alarm) = &self.record.alarm {
            return Some((Need::Alarm, alarm.clone()));
        }
        if !self.newer.is_empty() {
            return Some((Need::Certificate, self.what_waits().to_owned()));
        }
        if let Some(why) = self.shows_superseded(at).filter(|_| self.record.state != MembershipState::Revoked) {
            return Some((Need::Certificate, why));
        }
        match self.record.state {
            MembershipState::Pending => Some((Need::Approval, "waits for approval".to_owned())),
            MembershipState::Enabled | MembershipState::Draining => {
                let Some(live) = self.session() else { return Some((Need::Session, "is not connected".to_owned())) };
                let blocked = live.served.keys().find(|name| {
                    live.condition_of(name).is_some_and(|(it, _)| it.sign_in.known() == Some(SignInState::Blocked))
                });
                blocked.map(|name| (Need::SignIn, format!("does not sign in to {name} any more")))
            }
            MembershipState::Disabled | MembershipState::Revoked => None,
        }
    }

    /// Every connected system it serves in its session.
    pub(super) fn all_served(&self) -> Vec<ServedView> {
        self.session().into_iter().flat_map(|live| live.served.keys()).filter_map(|name| self.served(name)).collect()
    }

    fn served(&self, system: &SystemName) -> Option<ServedView> {
        let live = self.session()?;
        let it = live.served.get(system)?;
        Some(ServedView {
            name: system.clone(),
            connector: it.connector.clone(),
            connection: (&it.connection).into(),
            now: live.condition_of(system).map(|(condition, at)| now(condition, at)),
            log_level_verdict: it.verdict,
        })
    }

    /// What it owes, as it last said.
    pub(super) fn outbox(&self) -> Option<OutboxView> {
        let Said { at, condition } = self.live.as_ref()?.said.as_ref()?;
        Some(OutboxView {
            reports: condition.reports,
            bytes: condition.report_bytes,
            oldest_ms: condition.oldest_report_ms,
            at: at.wall.0,
        })
    }
}

impl Live {
    /// How the member last said that it is with a connected system, and when.
    fn condition_of(&self, system: &SystemName) -> Option<(&SystemCondition, UnixMillis)> {
        let Said { at, condition } = self.said.as_ref()?;
        Some((condition.systems.iter().find(|it| it.name == *system)?, at.wall))
    }
}

fn now(it: &SystemCondition, at: UnixMillis) -> SystemNowView {
    let lanes = [("interactive", it.interactive), ("provisioning", it.provisioning), ("batch", it.batch)];
    let left = Some(it.log_level_left_ms).filter(|left| *left > 0);
    SystemNowView {
        running: it.running,
        waiting: lanes.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        sign_in: it.sign_in.to_string(),
        log_level: it.log_level.to_string(),
        // As long as any may last: what is said of longer is no moment that a page could show.
        log_level_until: left.map(|left| at.0.saturating_add(left.min(millis(LONGEST)))),
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::message::v1::LogLevel;

    use super::super::lab;
    use super::super::ledger::Write;
    use super::super::record::MemberRecord;
    use super::*;
    use crate::clock;

    /// Take the first ones, and hosts that are merely off hide that somebody else uses a member's identity.
    #[tokio::test]
    async fn an_alarm_is_not_hidden_by_members_that_are_off() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _) = lab::ledger(folder.path());
        let member = |number: u8| {
            let off = MemberRecord { id: MemberId::from_bytes([number; 16]), ..lab::member(MembershipState::Enabled) };
            match number {
                24 => MemberRecord { state: MembershipState::Pending, ..off },
                25 => MemberRecord { state: MembershipState::Disabled, alarm: Some("a copy".to_owned()), ..off },
                _ => off,
            }
        };
        ledger.commit((1..=25).map(|number| Write::Member(member(number))).collect()).await.unwrap();
        let attention = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment()).attention(clock::moment());
        let why: Vec<&str> = attention.iter().map(|it| it.why.as_str()).collect();
        assert_eq!((why.len(), &why[..3]), (MAX_ATTENTION, &["a copy", "waits for approval", "is not connected"][..]));
    }

    /// Believe it, and no page that tells of the member can be shown: its number is no moment of a browser's.
    #[test]
    fn a_log_level_ends_within_a_day_whatever_a_member_says() {
        let said = |log_level_left_ms| {
            let condition = SystemCondition {
                name: "acme".parse().unwrap(),
                interactive: 0,
                provisioning: 0,
                batch: 0,
                running: 0,
                sign_in: SignInState::SignedIn.into(),
                log_level: LogLevel::Debug.into(),
                log_level_left_ms,
            };
            now(&condition, UnixMillis(1_000)).log_level_until
        };
        assert_eq!(said(0), None);
        assert_eq!(said(300_000), Some(301_000));
        assert_eq!(said(u64::MAX), Some(1_000 + 24 * 60 * 60 * 1_000));
    }
}
