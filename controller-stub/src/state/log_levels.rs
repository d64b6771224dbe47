//! What members log of a connected system for a while, because an operator wants it.

use std::time::Duration;

use postern_protocol::message::v1::{LogLevel, LogLevelSet, SetLogLevel};
use postern_protocol::time::UnixMillis;
use postern_protocol::{MemberId, SystemName};

use super::ledger::Write;
use super::record::{Association, LogLevelOrder, SystemRecord};
use super::{Refusal, State, ToSession};
use crate::clock::Moment;

/// As long as members let it be: what is wanted for longer stands in their configuration.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it lasts if nobody says.
pub const USUAL: Duration = Duration::from_secs(30 * 60);

impl State {
    /// Has members log so much of a system for so long, or what their configuration says again.
    pub fn order_log_level(
        &mut self,
        name: &SystemName,
        wanted: Option<(LogLevel, Duration)>,
        by: String,
        at: Moment,
    ) -> Result<SystemRecord, Refusal> {
        let mut record = self.system(name)?.clone();
        let number = record.log_level.as_ref().map_or(0, |it| it.number).saturating_add(1).max(at.wall.0);
        let (level, length) = match wanted {
            Some((_, length)) if length.is_zero() || length > LONGEST => {
                let message = format!("`for_secs` is between 1 and {}", LONGEST.as_secs());
                return Err(Refusal::field("for_secs", message));
            }
            Some((level, length)) => (level, length),
            // Whoever is not there keeps what it has until its time is over.
            None => (LogLevel::default(), Duration::ZERO),
        };
        let until = UnixMillis(at.wall.0.saturating_add(millis(length)));
        let order = LogLevelOrder { level, until, by, number };
        record.log_level = wanted.map(|_| order.clone());
        self.systems.insert(name.clone(), record.clone());
        self.writes.push(Write::System(record.clone()));
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for member in members {
            self.push_log_level(member, &record, &order, at);
        }
        Ok(record)
    }

    /// Tells a member whose session begins what is wanted of the systems it serves.
    pub(super) fn push_log_levels(&mut self, id: MemberId, at: Moment) {
        let wanted =
            |it: &SystemRecord| it.log_level.clone().filter(|it| it.until > at.wall).map(|order| (it.clone(), order));
        let orders: Vec<_> = self.systems.values().filter_map(wanted).collect();
        for (system, order) in orders {
            self.push_log_level(id, &system, &order, at);
        }
    }

    fn push_log_level(&mut self, id: MemberId, system: &SystemRecord, order: &LogLevelOrder, at: Moment) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let is_associated = matches!(&system.association, Association::Cluster(it) if *it == member.record.cluster);
        let Some(live) = member.live.as_mut().filter(|live| is_associated && live.established) else { return };
        let Some(served) = live.served.get_mut(&system.name) else { return };
        served.verdict = None;
        let frame = SetLogLevel {
            number: order.number,
            system: system.name.clone(),
            level: order.level.into(),
            for_ms: order.until.0.saturating_sub(at.wall.0),
        };
        self.say(id, ToSession::frame(frame));
    }

    /// A member says what became of it.
    pub(super) fn log_level_set(&mut self, id: MemberId, set: &LogLevelSet, at: Moment) {
        let Some(order) = self.systems.get(&set.system).and_then(|it| it.log_level.as_ref()) else { return };
        if order.number != set.number {
            return;
        }
        let live = self.members.get_mut(&id).and_then(|it| it.live.as_mut());
        let Some(served) = live.and_then(|live| live.served.get_mut(&set.system)) else { return };
        let verdict = set.verdict.known();
        if served.verdict != verdict && self.hush.allows_of(id, at.now) {
            tracing::info!(member = %id, system = %set.system, verdict = %set.verdict, "a log level was answered");
        }
        served.verdict = verdict;
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
