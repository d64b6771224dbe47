//! What the frames of a member mean.

use std::time::Duration;

use postern_protocol::bounded::{List, Text};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{
    Accept, CancelAck, Credit, Inventory, LeaseRef, MemberStateAck, MembershipState, Progress, ProtocolError, Reject,
    Renew, Renewed, RenewedLease, Started, unknown_critical,
};
use postern_protocol::{MemberId, SessionNo};

use super::changes::Thing;
use super::{State, ToSession, sessions};
use crate::clock::Moment;
use crate::queue::RejectedAs;
use crate::queue::inventory::Held;

impl State {
    /// A frame about work came in an established session.
    pub fn hear(&mut self, id: MemberId, session: SessionNo, frame: FromMember, at: Moment) {
        if !self.is_live(id, session) {
            return;
        }
        let tag = frame.tag();
        match frame {
            FromMember::Credit(Credit { offers }) => self.queue.set_credit(id, offers),
            FromMember::MemberStateAck(ack) => self.state_is_durable(id, &ack),
            FromMember::Drain(drain) => {
                if self.hush.allows_of(id, at.now) {
                    tracing::info!(member = %id, reason = %drain.reason, "the member is about to stop");
                }
                self.queue.set_stopping(id);
            }
            FromMember::Drained(drained) => {
                if self.hush.allows_of(id, at.now) {
                    tracing::info!(member = %id, left = ?drained.left, "the member stops");
                }
            }
            FromMember::Accept(Accept { task, epoch }) => {
                if self.queue.accept(id, LeaseRef { task, epoch }) {
                    self.send_payloads(id, task);
                }
            }
            FromMember::Reject(reject) => self.rejected(id, &reject, at),
            FromMember::Started(Started { task, epoch, .. }) => self.queue.start(id, LeaseRef { task, epoch }),
            FromMember::Progress(progress) => self.progressed(id, progress),
            FromMember::Report(_) if self.is_pending(id) => self.leave_unheard(id),
            FromMember::Report(report) => match unknown_critical(&report.ext) {
                None => self.reported(id, report, at),
                Some(kind) => {
                    self.note_first(id, report.number, at);
                    let why =
                        "a report was refused, and none after it is acknowledged, until the controller is updated";
                    if self.hush.allows_of(id, at.now) {
                        tracing::error!(member = %id, number = %report.number, extension = kind, "{why}");
                    }
                    self.note_trouble(id, why, at);
                    self.complain(id, tag, format!("extension {kind} of a report is not known here"));
                }
            },
            FromMember::Renew(renew) => self.renew(id, &renew, at),
            FromMember::CertRenew(renew) => self.renew_certificate(id, &renew, at),
            FromMember::KeyAnnounce(announce) => self.announce_keys(id, &announce, tag, at),
            FromMember::TrustBundleAck(ack) => self.trust_is_durable(id, &ack),
            FromMember::CancelAck(ack) => cancel_acknowledged(id, &ack),
            FromMember::Condition(condition) => self.condition(id, condition, at),
            FromMember::LogLevelSet(set) => self.log_level_set(id, &set, at),
            FromMember::Inventory(page) => self.inventory(id, &page, at),
            FromMember::ProtocolError(error) => {
                if self.hush.allows_of(id, at.now) {
                    tracing::error!(member = %id, tag = error.tag, message = %error.message, "the member could not take a frame");
                }
                self.note_trouble(id, &format!("could not take a frame: {}", error.message), at);
            }
            // These belong to the session, which takes care of them.
            FromMember::Hello(_)
            | FromMember::Confirm(_)
            | FromMember::Ping(_)
            | FromMember::Pong(_)
            | FromMember::GoAway(_)
            | FromMember::StreamOpen(_)
            | FromMember::StreamOpenAck(_)
            | FromMember::Chunk(_)
            | FromMember::ChunkAck(_)
            | FromMember::StreamClose(_)
            | FromMember::StreamReset(_) => (),
        }
    }

    /// A frame of this tag is not taken, and its session goes on.
    pub(super) fn complain(&mut self, id: MemberId, tag: u16, why: impl Into<String>) {
        self.say(id, ToSession::frame(ProtocolError { tag, message: Text::clipped(why) }));
    }

    fn state_is_durable(&mut self, id: MemberId, ack: &MemberStateAck) {
        let Some(record) = self.members.get(&id).map(|it| &it.record) else { return };
        if ack.epoch == record.epoch && record.state == MembershipState::Disabled && record.hard {
            // From here on it begins nothing: what it has not begun can be given to others at once.
            self.ask_inventory(id);
        }
    }

    fn rejected(&mut self, id: MemberId, reject: &Reject, at: Moment) {
        if self.hush.allows_of(id, at.now) {
            tracing::info!(member = %id, task = %reject.task, reason = %reject.reason, message = %reject.message, "a task was not taken");
        }
        let what = format!("did not take {} ({}): {}", reject.task, reject.reason, reject.message);
        self.note_trouble(id, &what, at);
        let why = RejectedAs {
            reason: reject.reason,
            message: &reject.message,
            retry_after: Duration::from_millis(reject.retry_after_ms.into()),
        };
        self.queue.reject(id, LeaseRef { task: reject.task, epoch: reject.epoch }, why, at);
    }

    fn progressed(&mut self, id: MemberId, progress: Progress) {
        let held = self.queue.task(progress.task).filter(|it| it.state.holder() == Some(id));
        if let Some(epoch) = held.map(|it| it.epoch) {
            self.changes.note(Thing::Progress(progress.task));
            self.progress.insert(progress.task, (epoch, progress));
        }
    }

    fn renew(&mut self, id: MemberId, renew: &Renew, at: Moment) {
        let leases = renew
            .leases
            .iter()
            .map(|lease| RenewedLease { lease: *lease, verdict: self.queue.renew(id, *lease, at.now).into() })
            .collect();
        let ttl_ms = sessions::millis(self.settings.lease_ttl);
        let renewed = Renewed { nonce: renew.nonce, ttl_ms, leases: List::clipped(leases) };
        self.say(id, ToSession::frame(renewed));
    }

    fn inventory(&mut self, id: MemberId, page: &Inventory, at: Moment) {
        let Some((held, memory)) = self.gather_inventory(id, page, at) else { return };
        // What a member says of work that nobody has let in is not heard.
        let held = if self.is_pending(id) { Held::new() } else { held };
        self.queue.settle(id, &held, memory, at);
        for task in self.queue.held_by(id) {
            self.send_payloads(id, task);
            if self.queue.task(task).is_some_and(|it| it.cancel_requested) {
                self.say(id, ToSession::frame(postern_protocol::message::v1::Cancel { task }));
            }
        }
    }

    /// Members that drain to be disabled and hold nothing any more become disabled.
    pub(super) fn notice_drained(&mut self, at: Moment) {
        if !std::mem::take(&mut self.may_be_drained) {
            return;
        }
        let empty: Vec<MemberId> = self
            .members
            .values()
            .filter(|it| it.record.disable_when_drained && self.queue.load(it.record.id) == 0)
            .map(|it| it.record.id)
            .collect();
        for id in empty {
            let Some(member) = self.members.get_mut(&id) else { continue };
            if crate::membership::drained(&mut member.record) {
                self.writes.push(super::Write::Member(member.record.clone()));
                self.audit_own("member.disable", &id.to_string(), Ok(Some("it holds nothing any more")), at);
                self.push_state(id, at);
            }
        }
    }
}

fn cancel_acknowledged(id: MemberId, ack: &CancelAck) {
    let verdict = ack.verdict;
    tracing::debug!(member = %id, task = %ack.task, %verdict, "a cancel was answered");
}
