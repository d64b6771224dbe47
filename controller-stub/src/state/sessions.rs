//! Sessions: who may have one, and what its beginning and end mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::BASE64;
use postern_protocol::bounded::{List, Text};
use postern_protocol::id::Incarnation;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{
    GoAway, HeldState, Hello, InventoryAsk, MemberState, MembershipState, Refused, Report, SessionRefusal, StreamRef,
    Welcome, unknown_critical,
};
use postern_protocol::session::MAX_AHEAD;
use postern_protocol::{ClusterName, MemberId, ReportNo, SessionNo, SystemName, TaskId};

use super::enroll::printable;
use super::ledger::Write;
use super::record::MemberNumbers;
use super::reseal::KeysRefused;
use super::served::{self, Said, Served};
use super::{Member, SessionHandle, State, Word, certificates};
use crate::clock::Moment;
use crate::metrics::metrics;
use crate::queue::inventory::{Held, Memory};
use crate::queue::{Holder, Serves};

/// A member that never had a session.
pub(super) const FIRST_NUMBERS: MemberNumbers = MemberNumbers {
    incarnation: Incarnation::from_bytes([0; 16]),
    settled: None,
    issued: SessionNo(0),
    confirmed: SessionNo(0),
    acked: ReportNo(0),
};

/// How long a member whose session ends waits before it connects again, in milliseconds.
const COME_BACK: u32 = 1_000;
/// How long a member that only an operator can help waits before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// The same for one that an operator is likely to be at: whoever put a controller back waits for its members.
const ACCEPTED_SOON: Duration = Duration::from_secs(30);

/// What a session is told by the state's owner.
#[derive(Debug)]
pub enum ToSession {
    /// Send this frame.
    Frame(Box<FromController>),
    /// Send these payloads, which belong to this task, when there is nothing better to send.
    Payloads(TaskId, Vec<StreamRef>),
    /// Send this, then end.
    Close(GoAway),
}

impl ToSession {
    pub(super) fn frame(frame: impl Into<FromController>) -> Self {
        Self::Frame(Box::new(frame.into()))
    }
}

/// A member that said Hello.
pub struct Introduction {
    /// Its cluster, as its certificate says.
    pub cluster: ClusterName,
    /// Its id, as its certificate says.
    pub member: MemberId,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Where its connection comes from.
    pub address: String,
    /// What it said.
    pub hello: Hello,
    /// How its session is told things.
    pub session: SessionHandle,
}

/// The answer to a Hello, to be sent once it is durable.
#[derive(Debug)]
pub enum Greeting {
    /// It may go on.
    Welcome(Welcomed),
    /// It may not.
    Refused(Refused),
}

/// A member that may go on.
#[derive(Debug)]
pub struct Welcomed {
    /// What it is told.
    pub welcome: Welcome,
    /// The session's number.
    pub session: SessionNo,
}

/// A session that was welcomed.
pub(super) struct Live {
    pub(super) number: SessionNo,
    pub(super) session: SessionHandle,
    pub(super) address: String,
    pub(super) since: Moment,
    /// Whether the member made it durable.
    pub(super) established: bool,
    incarnation: Incarnation,
    /// Nothing is known of what its store reported before.
    pub(super) is_new: bool,
    serves: Serves,
    /// What it says of the systems it serves.
    pub(super) served: BTreeMap<SystemName, Served>,
    /// What it said of itself last.
    pub(super) said: Option<Said>,
    /// The state the member knows of.
    told: postern_protocol::Epoch,
    /// The inventory that is being received.
    inventory: Option<(u64, Held)>,
    asked: u64,
    /// Reports stored ahead of one that still waits for its payloads.
    pub(super) stored_ahead: BTreeSet<ReportNo>,
    /// Reports that wait for their payloads.
    pub(super) waiting: BTreeMap<ReportNo, Report>,
    /// What came of reports in this session.
    pub(super) reports: Reports,
}

/// What came of reports in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reports {
    /// There was none yet.
    None,
    /// Some that are not heard, because nobody has let the member in.
    Unheard,
    /// Some that are heard.
    Heard,
}

impl State {
    /// A member with a verified certificate said Hello.
    pub fn introduce(&mut self, it: Introduction, at: Moment) -> Greeting {
        match self.admit_session(&it, at) {
            Ok(()) => Greeting::Welcome(self.welcome(it, at)),
            Err(refused) => {
                // A certificate that is refused may be a stolen one, which is shown again and again.
                if self.hush.allows_of(it.member, at.now) {
                    tracing::warn!(member = %it.member, reason = %refused.reason, "a session was refused");
                }
                self.note_trouble(
                    it.member,
                    &format!("was refused a session ({}): {}", refused.reason, refused.message),
                    at,
                );
                Greeting::Refused(refused)
            }
        }
    }

    /// Whether the member may have a session. One that cannot be the member that was here before is disabled.
    fn admit_session(&mut self, it: &Introduction, at: Moment) -> Result<(), Refused> {
        if let Some(kind) = unknown_critical(&it.hello.ext) {
            return Err(refused(
                SessionRefusal::Incompatible,
                format!("this controller does not know extension {kind}: update it, or go back to an older agent"),
            ));
        }
        let Some(member) = self.members.get(&it.member).filter(|found| found.record.cluster == it.cluster) else {
            return Err(refused(
                SessionRefusal::UnknownMember,
                "this controller has no such member: enroll the agent again with a new token",
            ));
        };
        if member.record.state == MembershipState::Revoked {
            return Err(refused(SessionRefusal::Revoked, "this member was revoked: enroll the agent with a new token"));
        }
        let root = certificates::acceptable(&member.record, &BASE64.encode(&it.certificate));
        if !root.is_some_and(|root| self.is_trusted(root)) {
            let Some(what_to_do) = self.keep_newer(it, at) else {
                self.handle_superseded(it, at);
                return Err(refused(
                    SessionRefusal::WrongCertificate,
                    "this is not the member's current certificate: put the current one back or enroll again",
                ));
            };
            return Err(Refused {
                retry_after_ms: millis(ACCEPTED_SOON),
                ..refused(SessionRefusal::WrongCertificate, what_to_do)
            });
        }
        // Behind the look at the certificate: whoever shows one that is worth nothing takes no session from the member.
        self.attempts.sessions.take(it.member, at.now).map_err(|often| Refused {
            retry_after_ms: millis(often.wait),
            ..refused(SessionRefusal::Overloaded, format!("the member comes again too often: {often}"))
        })?;
        let (last, issued) = (it.hello.last_session, member.numbers.issued);
        if last.0.saturating_sub(issued.0) > MAX_AHEAD {
            return Err(refused(
                SessionRefusal::ProtocolViolation,
                // Not in which it was: whoever knows the number of a session can take its place.
                format!(
                    "no member was ever in session {last}: its store is not what it was; enroll the agent again with a new token"
                ),
            ));
        }
        if let Some(alarm) = rolled_back(member, &it.hello) {
            self.raise_alarm(it.member, alarm, at);
            let way_out = if self.is_pending(it.member) { "approve" } else { "enable" };
            return Err(refused(
                SessionRefusal::RolledBack,
                format!("{alarm}: an operator has to look and run `postern-controller member {way_out} {}`", it.member),
            ));
        }
        if let Some(other) = self.shares_store(it.member, it.hello.incarnation) {
            return Err(refused(
                SessionRefusal::RolledBack,
                format!(
                    "member {other} is here with this very store, so that it was copied, or its agent runs although it was \
                     enrolled again: stop one of the two, and revoke its member"
                ),
            ));
        }
        self.check_keys(it.member, &it.hello.sealing_keys, at).map_err(|no| {
            let message = format!("the sealing keys are not taken: {no}");
            match no {
                KeysRefused::TooOften(often) => {
                    Refused { retry_after_ms: millis(often.wait), ..refused(SessionRefusal::Overloaded, message) }
                }
                KeysRefused::Unusable(_) => refused(SessionRefusal::ProtocolViolation, message),
            }
        })
    }

    /// Another member that is here with this store and is heard. An agent that is enrolled again comes with the store of its old
    /// member, which is not here any more then.
    fn shares_store(&self, id: MemberId, store: Incarnation) -> Option<MemberId> {
        let mut others = self.queue.holders().filter(|(other, holder)| *other != id && holder.store == store);
        others.find(|(other, _)| !self.is_pending(*other)).map(|(other, _)| other)
    }

    /// Whether nobody has let the member in yet. What it says of work is not heard: it has none, and if its store had some
    /// under another member, only somebody who compares fingerprints knows that the store is its own.
    pub(super) fn is_pending(&self, id: MemberId) -> bool {
        self.members.get(&id).is_some_and(|it| it.record.state == MembershipState::Pending)
    }

    /// A member that is pending reports something.
    pub(super) fn leave_unheard(&mut self, id: MemberId) {
        if let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) {
            live.reports = Reports::Unheard;
        }
    }

    /// A member was let in: what it reported before it says again in its next session, for which its store has to be its own.
    pub(super) fn hear_from_now_on(&mut self, id: MemberId, at: Moment) {
        let Some(live) = self.members.get(&id).and_then(|it| it.live.as_ref()) else { return };
        if live.reports == Reports::Unheard || (live.established && self.shares_store(id, live.incarnation).is_some()) {
            let why = "this member was approved, and says again what it reported before";
            self.end_session(id, SessionRefusal::Replaced, why, at);
        }
    }

    pub(super) fn raise_alarm(&mut self, id: MemberId, alarm: &str, at: Moment) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if !matches!(member.record.state, MembershipState::Enabled | MembershipState::Draining) {
            // It does nothing as it is; whoever lets it in has to know what for, and which store counts from then on.
            if member.record.alarm.is_none() {
                tracing::error!(member = %id, alarm, "the member stays out until an operator decides");
                member.record.alarm = Some(alarm.to_owned());
                self.writes.push(Write::Member(member.record.clone()));
            }
            return;
        }
        tracing::error!(member = %id, alarm, "the member is disabled until an operator decides");
        member.record.state = MembershipState::Disabled;
        member.record.hard = true;
        member.record.disable_when_drained = false;
        member.record.alarm = Some(alarm.to_owned());
        member.record.epoch = member.record.epoch.next();
        self.writes.push(Write::Member(member.record.clone()));
        self.audit_own("member.disable", &format!("{id}, hard"), Ok(Some(alarm)), at);
        self.queue.take_away(id, at);
        self.push_state(id, at);
    }

    fn welcome(&mut self, it: Introduction, at: Moment) -> Welcomed {
        let Introduction { member: id, certificate, address, hello, session, .. } = it;
        let (heartbeat, lease_ttl) = (self.settings.heartbeat, self.settings.lease_ttl);
        self.end_session(id, SessionRefusal::Replaced, "another session of this member took over", at);
        let member = self.members.get_mut(&id).expect("it was admitted a moment ago");

        // This ledger was put back to before that session. Until the member has said what it holds, that is not known.
        let is_put_back = hello.last_session > member.numbers.issued;
        if is_put_back {
            member.numbers.settled = None;
        }
        member.numbers.issued = member.numbers.issued.max(hello.last_session).next();
        self.writes.push(Write::Numbers(id, member.numbers));
        update_record(member, &hello, &BASE64.encode(&certificate), &mut self.writes);
        self.note_opener(id);
        if is_put_back {
            self.doubt_what_all_trust();
        }
        let member = self.members.get_mut(&id).expect("it was admitted a moment ago");

        let number = member.numbers.issued;
        let welcome = Welcome {
            session: number,
            member: id,
            state: member.record.state.into(),
            member_epoch: member.record.epoch,
            hard: member.record.hard,
            heartbeat_ms: millis(heartbeat),
            lease_ttl_ms: millis(lease_ttl),
            acked_report: if member.numbers.incarnation == hello.incarnation {
                member.numbers.acked
            } else {
                ReportNo(0)
            },
            observed_address: Text::clipped(address.clone()),
            controller_version: Text::clipped(env!("CARGO_PKG_VERSION")),
            revisions: List::clipped(FromController::REVISIONS.to_vec()),
            ext: List::default(),
        };
        member.live = Some(Live {
            number,
            session,
            address,
            since: at,
            established: false,
            incarnation: hello.incarnation,
            is_new: member.numbers.incarnation != hello.incarnation || member.numbers.confirmed == SessionNo(0),
            serves: serves(&hello),
            served: served::served(&hello),
            said: None,
            told: member.record.epoch,
            inventory: None,
            asked: 0,
            stored_ahead: BTreeSet::new(),
            waiting: BTreeMap::new(),
            reports: Reports::None,
        });
        Welcomed { welcome, session: number }
    }

    /// The member made the session durable: what it holds is compared, then work may flow.
    pub fn establish(&mut self, id: MemberId, session: SessionNo, at: Moment) {
        if !self.is_live(id, session) {
            return;
        }
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(live) = member.live.as_mut() else { return };
        if member.numbers.incarnation != live.incarnation {
            if member.numbers.confirmed > SessionNo(0) && self.hush.allows_of(id, at.now) {
                tracing::error!(member = %id, "the member lost its store: what it held is in doubt");
            }
            member.numbers.incarnation = live.incarnation;
            member.numbers.acked = ReportNo(0);
        }
        member.numbers.confirmed = session;
        self.writes.push(Write::Numbers(id, member.numbers));
        member.record.seen = Some(at.wall);
        self.writes.push(Write::Member(member.record.clone()));
        let enabled = member.record.state == MembershipState::Enabled;
        live.established = true;
        let untold = live.told != member.record.epoch;
        self.queue
            .connect(id, Holder::new(member.record.cluster.clone(), live.incarnation, live.serves.clone(), enabled));
        if self.hush.allows_of(id, at.now) {
            tracing::info!(member = %id, session = %session, address = live.address, "a member is registered");
        }
        metrics().sessions.one(&[]);
        if untold {
            self.push_state(id, at);
        }
        self.push_trust(id);
        self.push_log_levels(id, at);
        self.ask_inventory(id);
    }

    /// A session is over.
    pub fn disconnect(&mut self, id: MemberId, session: SessionNo, at: Moment) {
        if self.is_live(id, session) {
            self.take_session(id, at);
        }
    }

    /// The session of a member, which has none from here on.
    fn take_session(&mut self, id: MemberId, at: Moment) -> Option<Live> {
        let member = self.members.get_mut(&id)?;
        let live = member.live.take()?;
        self.queue.disconnect(id, at.now);
        if live.established {
            member.record.seen = Some(at.wall);
            member.address = Some(live.address.clone());
            self.writes.push(Write::Member(member.record.clone()));
        }
        Some(live)
    }

    /// Ends a member's session, if it has one.
    pub(super) fn end_session(&mut self, id: MemberId, reason: SessionRefusal, message: &str, at: Moment) {
        let Some(live) = self.take_session(id, at) else { return };
        let bye = GoAway { reason: reason.into(), message: Text::clipped(message), reconnect_after_ms: COME_BACK };
        self.words.push(Word { session: live.session, said: ToSession::Close(bye) });
    }

    /// Tells a connected member its state, and the queue whether it may be given work.
    pub(super) fn push_state(&mut self, id: MemberId, at: Moment) {
        self.note_opener(id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let record = &member.record;
        let frame = MemberState { state: record.state.into(), epoch: record.epoch, hard: record.hard };
        let enabled = record.state == MembershipState::Enabled;
        self.queue.set_enabled(id, enabled, at.now);
        let Some(live) = member.live.as_mut().filter(|it| it.established) else { return };
        live.told = frame.epoch;
        // The answer that is on its way may be older than the state: what it calls unbegun may have begun since.
        let asked = live.inventory.is_some();
        // It gives up without a word what it lost the leases of, and may be enabled before it has said that it knows of that.
        let may_have_given_up = enabled && self.queue.load(id) > 0;
        self.say(id, ToSession::frame(frame));
        if asked || may_have_given_up {
            self.ask_inventory(id);
        }
    }

    pub(super) fn ask_inventory(&mut self, id: MemberId) {
        // The answer knows of nothing that is given to the member before it comes.
        self.queue.set_unsettled(id);
        let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) else { return };
        live.asked += 1;
        live.inventory = Some((live.asked, Held::new()));
        let nonce = live.asked;
        self.say(id, ToSession::frame(InventoryAsk { nonce }));
    }

    /// A page of an inventory came; returns the whole once it is complete.
    pub(super) fn gather_inventory(
        &mut self,
        id: MemberId,
        page: &postern_protocol::message::v1::Inventory,
        at: Moment,
    ) -> Option<(Held, Memory)> {
        /// More than any member holds: it owes up to 100 000 reports, and works on a few hundred tasks.
        const MAX_HELD: usize = 128 * 1024;
        let member = self.members.get_mut(&id)?;
        let live = member.live.as_mut()?;
        let (nonce, held) = live.inventory.as_mut()?;
        if *nonce != page.nonce {
            return None;
        }
        if held.len() > MAX_HELD {
            // Without the whole of it nothing may be given to the member; a new session begins anew.
            self.end_session(
                id,
                SessionRefusal::Overloaded,
                "the inventory names more tasks than a member may hold",
                at,
            );
            return None;
        }
        for task in &page.tasks {
            // Of what a later version calls otherwise, begun is the reading that is never wrong.
            let state = task.state.known().unwrap_or(HeldState::Started);
            held.insert(task.lease.task, (task.lease.epoch, state));
        }
        if !page.last {
            return None;
        }
        let (_, held) = live.inventory.take()?;
        let memory = if member.numbers.settled == Some(live.incarnation) { Memory::Same } else { Memory::Lost };
        if memory == Memory::Lost {
            // Committed together with, or behind, what follows for its tasks: until then they are still to be doubted.
            member.numbers.settled = Some(live.incarnation);
            self.writes.push(Write::Numbers(id, member.numbers));
        }
        Some((held, memory))
    }
}

/// Why a member cannot be the one that was here before.
fn rolled_back(member: &Member, hello: &Hello) -> Option<&'static str> {
    let numbers = member.numbers;
    let same_store = numbers.incarnation == hello.incarnation;
    if let Some(live) = member.session() {
        // What confirmed this session has its number on disk, and was given none since: a larger one was made up.
        if live.incarnation != hello.incarnation || hello.last_session > live.number {
            return Some("two agents use this member's identity at the same time");
        }
    }
    // A store that was lost and begun again knows of no session at all; any other older number is a copy.
    let begun_again = !same_store && hello.last_session == SessionNo(0);
    if hello.last_session < numbers.confirmed && !begun_again {
        return Some("the agent's store is older than its last session: restored from a backup, or copied");
    }
    // Taken for a repetition, a report under a number that was acknowledged before would be lost.
    if same_store && hello.next_report <= numbers.acked {
        return Some("the agent's store is older than its last report: restored from a backup, or copied");
    }
    None
}

fn update_record(member: &mut Member, hello: &Hello, certificate: &str, writes: &mut Vec<Write>) {
    let mut record = member.record.clone();
    certificates::take_up_next(&mut record, certificate);
    record.host = printable(&hello.host);
    record.agent_version = printable(&hello.agent_version);
    if !hello.sealing_keys.is_empty() {
        record.sealing_keys = hello.sealing_keys.iter().map(|key| key.public).collect();
    }
    if record != member.record {
        writes.push(Write::Member(record.clone()));
        member.record = record;
    }
}

fn serves(hello: &Hello) -> Serves {
    hello.systems.iter().map(|it| (it.name.clone(), it.kinds.iter().map(|kind| kind.number()).collect())).collect()
}

fn refused(reason: SessionRefusal, message: impl Into<String>) -> Refused {
    Refused {
        reason: reason.into(),
        message: Text::clipped(message),
        retry_after_ms: millis(ASK_AGAIN),
        ext: List::default(),
    }
}

pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
