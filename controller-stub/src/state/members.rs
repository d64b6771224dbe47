//! What operators do with members, and what they see of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use postern_protocol::message::v1::{MembershipState, SessionRefusal};
use postern_protocol::{ClusterName, MemberId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enroll::printable;
use super::ledger::Write;
use super::newer::NewerCertificateView;
use super::record::MemberNumbers;
use super::served::{OutboxView, ServedView};
use super::sessions::FIRST_NUMBERS;
use super::{Member, Refusal, RefusalKind, State};
use crate::ca::peer::{fingerprint, is_meant};
use crate::clock::Moment;
use crate::membership::{self, Action};

/// A member, as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// Its id.
    pub id: MemberId,
    /// Its cluster.
    pub cluster: ClusterName,
    /// What it may do.
    pub state: MembershipState,
    /// The number of that state.
    pub epoch: u64,
    /// Whether it has a session.
    pub connected: bool,
    /// Where its connection comes from; if it has none, where its last one came from since the controller started.
    pub address: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub connected_since: Option<u64>,
    /// Its host's name, as it says.
    pub host: String,
    /// Its version, as it says.
    pub agent_version: String,
    /// SHA-256 of its TLS key: compare with what `postern enroll` printed on its host.
    pub fingerprint: String,
    /// The ids of its sealing keys.
    pub sealing_keys: Vec<String>,
    /// The connected systems it serves.
    pub systems: Vec<String>,
    /// How many tasks it holds.
    pub holds: usize,
    /// How many more tasks it would take.
    pub room: u64,
    /// When its certificate runs out, in milliseconds since 1970.
    pub certificate_expires: u64,
    /// When it enrolled, in milliseconds since 1970.
    pub enrolled: u64,
    /// When a session of it last began or ended, in milliseconds since 1970.
    pub last_seen: Option<u64>,
    /// Why the controller disabled it by itself.
    pub alarm: Option<String>,
    /// The number of its session, or of the last it had.
    pub session: u64,
    /// The serial number of its certificate, in hexadecimal.
    pub certificate_serial: String,
    /// Certificates that it showed and that are newer than the one on record, as after a restore of the controller from a
    /// backup. It has no session under them before one is accepted. The newest first.
    pub newer_certificates: Vec<NewerCertificateView>,
    /// What it owes the controller, as it last said in this session.
    pub outbox: Option<OutboxView>,
    /// How it serves each connected system, as it says.
    #[serde(default)]
    pub served: Vec<ServedView>,
    /// What it was last refused, or refused itself, since the controller started.
    pub last_trouble: Option<TroubleView>,
}

/// What a member was refused, or refused itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TroubleView {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What, and why.
    pub what: String,
}

impl State {
    /// Lets a member in, if the fingerprint that was looked at on its host is its own.
    pub fn approve_member(&mut self, id: MemberId, looked_at: &str, at: Moment) -> Result<MemberView, Refusal> {
        let own = self.member(id)?.fingerprint;
        if !is_meant(&own, looked_at) {
            return Err(Refusal::conflict(format!(
                "{id} is not the one you looked at: its fingerprint is {own}. Look at its host again; if `postern \
                     status` shows another there, somebody else has enrolled: revoke this member"
            )));
        }
        self.act_on_member(id, Action::Approve, at)
    }

    /// Does what an operator wants of a member.
    pub fn act_on_member(&mut self, id: MemberId, action: Action, at: Moment) -> Result<MemberView, Refusal> {
        let holds_nothing = self.queue.load(id) == 0;
        let member = self.members.get_mut(&id).ok_or_else(|| unknown(id))?;
        let alarmed = member.record.alarm.is_some();
        let changed = membership::apply(&mut member.record, action, holds_nothing)
            .map_err(|error| Refusal::conflict(error.to_string()))?;
        if changed {
            self.may_be_drained = true;
            tracing::info!(member = %id, state = %member.record.state, epoch = %member.record.epoch, "a member's state changed");
            self.writes.push(Write::Member(member.record.clone()));
            let is_here = member.session().is_some();
            if alarmed && matches!(action, Action::Enable | Action::Approve) && !is_here {
                // The operator looked: the store it comes with next is the one to go on with, and what another one
                // held, or was acknowledged, says nothing about it. One that is here already has numbers of its own.
                // Whose reports may be handed in from a file is still known.
                let MemberNumbers { incarnation, issued, .. } = member.numbers;
                member.numbers = MemberNumbers { incarnation, issued, ..FIRST_NUMBERS };
                self.writes.push(Write::Numbers(id, member.numbers));
            }
            if matches!(action, Action::DisableHard | Action::Revoke) {
                self.queue.take_away(id, at);
            }
            self.push_state(id, at);
            if action == Action::Approve {
                self.hear_from_now_on(id, at);
            }
            if action == Action::Revoke {
                self.forget_newer(id);
                self.end_session(id, SessionRefusal::Revoked, "this member was revoked", at);
            }
        }
        self.member(id)
    }

    /// Removes a member that is out, or was never in.
    pub fn remove_member(&mut self, id: MemberId, at: Moment) -> Result<MemberView, Refusal> {
        let view = self.member(id)?;
        let record = &self.members.get(&id).ok_or_else(|| unknown(id))?.record;
        membership::check_removal(record, self.queue.load(id)).map_err(|error| Refusal::conflict(error.to_string()))?;
        self.end_session(id, SessionRefusal::UnknownMember, "this member was removed", at);
        self.members.remove(&id);
        self.queue.forget(id);
        self.writes.push(Write::ForgetMember(id));
        tracing::info!(member = %id, "a member was removed");
        Ok(view)
    }

    /// A member.
    pub fn member(&self, id: MemberId) -> Result<MemberView, Refusal> {
        self.members.get(&id).map(|it| self.view(it)).ok_or_else(|| unknown(id))
    }

    /// Every member, of one cluster or of all, or those behind one.
    pub fn members(&self, cluster: Option<&ClusterName>, behind: Option<MemberId>) -> impl Iterator<Item = MemberView> {
        self.members
            .range((behind.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
            .map(|(_, it)| it)
            .filter(move |it| cluster.is_none_or(|cluster| it.record.cluster == *cluster))
            .map(|it| self.view(it))
    }

    /// How many members there are, by state.
    pub fn members_by_state(&self) -> BTreeMap<MembershipState, usize> {
        let mut counts = BTreeMap::new();
        for member in self.members.values() {
            *counts.entry(member.record.state).or_default() += 1;
        }
        counts
    }

    /// How many members have a session.
    pub fn connected(&self) -> usize {
        self.members.values().filter(|it| it.session().is_some()).count()
    }

    /// How many of them are given work.
    pub fn at_work(&self) -> usize {
        let is_at_work = |it: &&Member| it.session().is_some() && it.record.state == MembershipState::Enabled;
        self.members.values().filter(is_at_work).count()
    }

    fn view(&self, member: &Member) -> MemberView {
        let record = &member.record;
        let live = member.session();
        let holder = self.queue.holder(record.id);
        MemberView {
            id: record.id,
            cluster: record.cluster.clone(),
            state: record.state,
            epoch: record.epoch.0,
            connected: live.is_some(),
            address: live.map_or_else(|| member.address.clone(), |it| Some(it.address.clone())),
            connected_since: live.map(|it| it.since.wall.0),
            host: record.host.clone(),
            agent_version: record.agent_version.clone(),
            fingerprint: fingerprint(&record.der()),
            sealing_keys: record.sealing_keys.iter().map(|key| key.id().to_string()).collect(),
            systems: holder.map(|it| it.serves.keys().map(ToString::to_string).collect()).unwrap_or_default(),
            holds: self.queue.load(record.id),
            room: holder.map_or(0, |it| it.credit.saturating_sub(it.offered)),
            certificate_expires: record.certificate_expires.0,
            enrolled: record.enrolled.0,
            last_seen: record.seen.map(|it| it.0),
            alarm: record.alarm.clone(),
            session: member.numbers.issued.0,
            certificate_serial: record.serial.clone(),
            newer_certificates: member.newer_certificates(),
            outbox: member.outbox(),
            served: member.all_served(),
            last_trouble: member.trouble.clone(),
        }
    }

    /// Remembers what a member was refused, or refused itself.
    pub(super) fn note_trouble(&mut self, id: MemberId, what: &str, at: Moment) {
        if let Some(member) = self.members.get_mut(&id) {
            member.trouble = Some(TroubleView { at: at.wall.0, what: printable(what) });
        }
    }
}

pub(super) fn unknown(id: MemberId) -> Refusal {
    Refusal {
        kind: RefusalKind::NotFound,
        field: Some("member"),
        message: format!("there is no member `{id}`: see `postern-controller member list`"),
    }
}
