//! What becomes a line of the audit log: who did what, to what, and what came of it. Rows are committed with what they tell
//! of, and stay until the log has them.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use postern_protocol::id::{ApiTokenId, ApiTokenName};
use postern_protocol::rate::{Buckets, Rate};
use postern_store::audit::{Event, Head, Status};
use serde::Serialize;
use tokio::sync::watch;

use super::ledger::Write;
use super::record::{AuditRow, AuditWritten};
use super::{Refusal, RefusalKind, Settings, State};
use crate::access::Role;
use crate::audit::Rows;
use crate::clock::Moment;

/// The most rows that wait for the log, some MiB: beyond that nothing is done that would be a line, except what only takes
/// away.
const MAX_WAITING: usize = 10_000;
/// The rows that are kept for that: once for operators, and once more for administrators.
const RESERVE: usize = 1_000;
/// The most rows that are written at once: some hundred KiB.
const MAX_ROWS: usize = 1_000;
/// The most bytes of what is told of a refusal, and of what was acted on.
const MAX_TEXT: usize = 300;
/// The most tokens whose refusals are told apart.
const MAX_TOLD_APART: usize = 1_024;

/// About how many bytes a row adds to a commit.
pub const ROW_BYTES: usize = 512;

/// Whoever does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct By {
    /// The token.
    pub token: ApiTokenId,
    /// What people call it.
    pub name: ApiTokenName,
    /// What it is good for.
    pub role: Role,
    /// Where it comes from.
    pub from: IpAddr,
}

/// What a line is for, and so which of the rows that wait for the log it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Anything.
    Usual,
    /// Taking away what a member, a token or a task may do. A thief is thrown out although the disk is full.
    TakingAway,
    /// The same by an administrator, whom operators leave no less room by what they take away.
    TakingAwayByAdministrator,
}

impl Room {
    /// For taking something away by whoever has this role.
    pub const fn taking_away(role: Role) -> Self {
        match role {
            Role::Viewer | Role::Operator => Self::TakingAway,
            Role::Administrator => Self::TakingAwayByAdministrator,
        }
    }

    const fn rows(self) -> usize {
        match self {
            Self::Usual => MAX_WAITING,
            Self::TakingAway => MAX_WAITING + RESERVE,
            Self::TakingAwayByAdministrator => MAX_WAITING + 2 * RESERVE,
        }
    }
}

/// The controller itself, in place of a token.
const CONTROLLER: &str = "controller";

#[derive(Serialize)]
struct Told<'a, B: Serialize> {
    by: B,
    act: &'a str,
    on: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    /// How many refusals before this one are not in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u64>,
}

/// What the state keeps of the log.
pub(super) struct Audit {
    written: Option<AuditWritten>,
    next: u64,
    waiting: VecDeque<AuditRow>,
    newest: watch::Sender<u64>,
    refusals: Buckets<ApiTokenId>,
    left_out: BTreeMap<ApiTokenId, u64>,
    /// What is wrong with the log, as its scribe told last.
    told: Status,
    own_left_out: u64,
}

impl Audit {
    pub(super) fn restore(written: Option<AuditWritten>, rows: Vec<AuditRow>) -> Self {
        let last = rows.last().map(|it| it.number).max(written.map(|it| it.upto)).unwrap_or(0);
        Self {
            written,
            next: last.saturating_add(1),
            waiting: rows.into(),
            newest: watch::Sender::new(last),
            // Sixty at once, for whoever is new to his role; and then one in a second.
            refusals: Buckets::new(Rate::new(60, Duration::from_secs(1)), MAX_TOLD_APART),
            left_out: BTreeMap::new(),
            told: Status::default(),
            own_left_out: 0,
        }
    }

    /// Whether there is room for a line: without one nothing is done.
    pub(super) fn check(&self, room: Room) -> Result<(), Refusal> {
        if self.waiting.len() < room.rows() {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalKind::NoSpace,
            "the audit log cannot be written, and without it nothing is done: see the controller's log, and free space",
        ))
    }

    /// Where it is seen that rows are durable, and up to which they are once a turn is.
    pub(super) fn newest(&self) -> (watch::Sender<u64>, u64) {
        (self.newest.clone(), self.next.saturating_sub(1))
    }
}

impl State {
    /// Something was done through the API, or refused. Refusals are counted, not told, in a flood of them by one token, and
    /// when there is no room.
    pub fn audit(&mut self, by: &By, act: &str, on: &str, refused: Option<&str>, at: Moment) {
        let Some(why) = refused else {
            return self.audit_row(&Told { by, act, on: clip(on), result: "done", why: None, left_out: None }, at);
        };
        let is_full = self.audit.check(Room::Usual).is_err();
        let Audit { refusals, left_out, .. } = &mut self.audit;
        if is_full || refusals.take(by.token, at.now).is_err() {
            let count = left_out.entry(by.token).or_default();
            *count = count.saturating_add(1);
            return;
        }
        let left_out = left_out.remove(&by.token);
        self.audit_row(&Told { by, act, on: clip(on), result: "refused", why: Some(clip(why)), left_out }, at);
    }

    /// A token is gone: how many refusals of it have no line is told now, or never.
    pub(super) fn audit_gone(&mut self, token: ApiTokenId, name: &ApiTokenName, at: Moment) {
        if let left_out @ Some(_) = self.audit.left_out.remove(&token) {
            let (act, on) = ("api_token.refusals", name.as_str());
            self.audit_row(&Told { by: CONTROLLER, act, on, result: "done", why: None, left_out }, at);
        }
    }

    /// The controller did something by itself, perhaps for a reason, or refused it for one. Refusals are counted, not told,
    /// when there is no room.
    pub(super) fn audit_own(&mut self, act: &str, on: &str, outcome: Result<Option<&str>, &str>, at: Moment) {
        let (result, why) = match outcome {
            Ok(why) => ("done", why),
            Err(why) => ("refused", Some(why)),
        };
        let mut left_out = None;
        if outcome.is_err() {
            if self.audit.check(Room::Usual).is_err() {
                self.audit.own_left_out = self.audit.own_left_out.saturating_add(1);
                return;
            }
            left_out = Some(std::mem::take(&mut self.audit.own_left_out)).filter(|it| *it > 0);
        }
        self.audit_row(&Told { by: CONTROLLER, act, on: clip(on), result, why: why.map(clip), left_out }, at);
    }

    /// The controller starts, and with what decides who gets in. Unless there is no room, which a restart would not change.
    pub fn audit_start(&mut self, at: Moment) {
        if self.audit.check(Room::Usual).is_err() {
            return;
        }
        let Settings { auto_approve, certificate_life, recovery, .. } = self.settings;
        let with = format!(
            "version {}, auto_approve {auto_approve}, certificate_secs {}, recovery_secs {}",
            env!("CARGO_PKG_VERSION"),
            certificate_life.as_secs(),
            recovery.as_secs()
        );
        self.audit_own("controller.start", &with, Ok(None), at);
    }

    fn audit_row(&mut self, event: &impl Serialize, at: Moment) {
        // Texts and names: there is nothing that JSON could not say.
        let event = serde_json::to_string(event).unwrap_or_else(|_| "{}".to_owned());
        let row = AuditRow { number: self.audit.next, time: at.wall, event };
        self.audit.next = self.audit.next.saturating_add(1);
        self.audit.waiting.push_back(row.clone());
        self.writes.push(Write::Audit(row));
    }

    /// Whether there is room for a line: without one nothing is done.
    pub fn check_audit(&self, room: Room) -> Result<(), Refusal> {
        self.audit.check(room)
    }

    /// Where it is seen that rows wait for the log.
    pub fn newest_audit_row(&self) -> watch::Receiver<u64> {
        self.audit.newest.subscribe()
    }

    /// What waits for the log, as much as is written at once.
    pub fn audit_rows(&self) -> Rows {
        let rows = || self.audit.waiting.iter().take(MAX_ROWS);
        Rows {
            known: self.audit_head(),
            last: rows().next_back().map_or(0, |it| it.number),
            events: rows().map(|it| Event { time: it.time.0, what: it.event.clone() }).collect(),
        }
    }

    /// The last line that is known to be in the log.
    pub fn audit_head(&self) -> Option<Head> {
        self.audit.written.map(|it| Head { number: it.line, hash: it.hash })
    }

    /// How many rows wait for the log.
    pub fn audit_waiting(&self) -> u64 {
        u64::try_from(self.audit.waiting.len()).unwrap_or(u64::MAX)
    }

    /// The scribe tells what is wrong with the log.
    pub fn audit_is(&mut self, told: Status) {
        self.audit.told = told;
    }

    /// How the log is.
    pub fn audit_status(&self) -> Status {
        let head = self.audit_head().unwrap_or_default().to_string();
        Status { head, waiting: self.audit_waiting(), ..self.audit.told.clone() }
    }

    /// The log has every row up to this one, and ends so.
    pub fn audit_written(&mut self, upto: u64, head: Head) {
        while self.audit.waiting.front().is_some_and(|it| it.number <= upto) {
            let gone = self.audit.waiting.pop_front();
            self.writes.extend(gone.map(|it| Write::ForgetAudit(it.number)));
        }
        let written = AuditWritten { upto, line: head.number, hash: head.hash };
        self.audit.written = Some(written);
        self.writes.push(Write::AuditWritten(written));
    }
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use postern_protocol::enrollment::EnrollmentToken;
    use postern_protocol::enrollment::v1::EnrollRefusal;

    use super::*;
    use crate::clock;
    use crate::state::lab;

    /// What an applicant with this token is refused for.
    fn refusal(state: &mut State, token: &EnrollmentToken) -> EnrollRefusal {
        lab::refused(state, token).reason.known().unwrap()
    }

    fn fill(state: &mut State, by: &By, rows: usize) {
        for _ in 0..rows {
            state.audit(by, "cluster.create", "acme", None, clock::moment());
        }
    }

    /// Tell of refusals all the same, and whoever asks fills the memory.
    #[test]
    fn when_too_much_waits_refusals_are_counted_and_what_takes_away_has_room_left() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let state = &mut lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let (real, other) = (lab::token(state, clock::moment()), lab::token(state, clock::moment()));
        let forged = EnrollmentToken { id: real.id, ..other };
        let by = By {
            token: ApiTokenId::from_bytes([1; 16]),
            name: "ci".parse().unwrap(),
            role: Role::Operator,
            from: Ipv4Addr::LOCALHOST.into(),
        };

        fill(state, &by, MAX_WAITING);
        assert_eq!(state.check_audit(Room::Usual).unwrap_err().kind, RefusalKind::NoSpace);
        for _ in 0..5 {
            state.audit(&by, "cluster.create", "acme", Some("no"), clock::moment());
            assert_eq!(refusal(state, &forged), EnrollRefusal::InvalidToken);
        }
        assert_eq!(refusal(state, &real), EnrollRefusal::Overloaded, "a member would be a line");
        assert_eq!(state.audit.waiting.len(), MAX_WAITING);

        let (operators, administrators) = (Room::taking_away(Role::Operator), Room::taking_away(Role::Administrator));
        assert!(state.check_audit(operators).is_ok());
        fill(state, &by, RESERVE);
        assert!(state.check_audit(operators).is_err() && state.check_audit(administrators).is_ok());
        fill(state, &by, RESERVE);
        assert!(state.check_audit(administrators).is_err());

        let last = state.audit.waiting.back().unwrap().number;
        state.audit_written(last, Head { number: last, hash: [0; 32] });
        state.audit(&by, "cluster.create", "acme", Some("no"), clock::moment());
        assert_eq!(refusal(state, &forged), EnrollRefusal::InvalidToken);
        assert_eq!(state.audit_waiting(), 2);
        assert!(state.audit.waiting.iter().all(|it| it.event.contains(r#""left_out":5"#)), "both tell of what was not");
    }
    /// Forget them with it, and of a flood by a token that was stolen nothing is left once that is revoked.
    #[test]
    fn how_many_refusals_of_a_token_have_no_line_is_told_when_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let state = &mut lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_api_token("last".parse().unwrap(), Role::Administrator, None, None, at).unwrap();
        for (name, refused, left_out) in [("floods", 67, Some(7)), ("asks", 60, None)] {
            let (view, _) = state.create_api_token(name.parse().unwrap(), Role::Viewer, None, None, at).unwrap().it;
            let by = By { token: view.id, name: view.name, role: Role::Viewer, from: Ipv4Addr::LOCALHOST.into() };
            for _ in 0..refused {
                state.audit(&by, "cluster.create", "acme", Some("no"), at);
            }
            let before = state.audit.waiting.len();
            state.revoke_api_token(&name.parse().unwrap(), at).unwrap();
            let told: Vec<_> = state.audit.waiting.iter().skip(before).map(|it| it.event.clone()).collect();
            let line = |count: u64| {
                format!(
                    r#"{{"by":"controller","act":"api_token.refusals","on":"{name}","result":"done","left_out":{count}}}"#
                )
            };
            assert_eq!(told, left_out.map(line).into_iter().collect::<Vec<_>>());
        }
    }
}
