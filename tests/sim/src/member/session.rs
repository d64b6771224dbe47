//! The sessions of a member, from dialling to their end.

use std::time::Duration;

use postern_agent_core::{Ledger, Membership};
use postern_protocol::bounded::{List, Text};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{Connection, Hello, LogLevel, ServedSystem, Welcome};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::{self, MemberSession};
use postern_protocol::{TaskId, TaskKind};

use super::Input;
use crate::coverage::Situation;
use crate::net::{End, LinkId, Packet, Taken};
use crate::world::{Happens, SYSTEM, World};

impl World {
    /// A member tries to connect.
    pub fn dial(&mut self, m: usize) {
        let true_time = self.agenda.now();
        let now = self.members[m].now(true_time);
        let life = self.members[m].life;
        let nobody = self.controllers.process.is_none() || self.partitioned(m);
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.link.is_some() {
            return;
        }
        if nobody {
            let wait = process.backoff.handle_failure(now, self.chance.u32(..));
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(100);
            return self.agenda.put_after(wait, Happens::Dial(m, life));
        }
        self.member_input(m, Input::Introduce);
    }

    /// Says `Hello`.
    pub(super) fn introduce(&mut self, m: usize) {
        let now = self.members[m].now(self.agenda.now());
        let (id, life, incarnation) = (self.members[m].id, self.members[m].life, self.members[m].disk.incarnation);
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.link.is_some() {
            return;
        }
        let hello = hello(&process.ledger, incarnation);
        let link = self.net.connect(m);
        process.link = Some((link, MemberSession::new(id, hello, now)));
        if self.controllers.process.is_some() {
            self.accept(link, m);
        }
        self.agenda.put_after(1, Happens::Speaks(m, life));
    }

    /// A session that just began says its first word.
    pub fn member_begins(&mut self, m: usize) {
        self.member_session(m);
        self.wake_member(m);
    }

    /// Something arrived at a member.
    pub fn member_receives(&mut self, m: usize, link: LinkId, packet: Packet) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((present, session)) = process.link.as_mut() else { return };
        if *present != link {
            return;
        }
        match packet {
            Packet::Frame(bytes) => match FromController::decode(&bytes) {
                Ok(frame) => {
                    session.handle_message(frame, now);
                    self.member_session(m);
                }
                Err(error) => self.oracle.broken(21, self.agenda.now(), format!("a frame cannot be read: {error}")),
            },
            Packet::Payload(task, stream) => {
                if process.established && process.ledger.handle_announced(task, stream.id) == Some(stream) {
                    self.coverage.met(Situation::DatasetArrived);
                    self.members[m].disk.payloads.insert(stream.id);
                    self.member_input(m, Input::PayloadHere(task, stream.id));
                }
            }
            Packet::Taken(task, Taken::Stored) => self.member_input(m, Input::Uploaded(task)),
            Packet::Taken(task, Taken::Unwanted) => self.member_input(m, Input::Unwanted(task)),
            Packet::Taken(task, Taken::NotNow) => {
                let life = self.members[m].life;
                self.agenda.put_after(5_000, Happens::UploadAgain(m, life, task));
            }
            Packet::Closed => self.disconnect_member(m),
        }
    }

    /// Does what a member's session asks for.
    pub(super) fn member_session(&mut self, m: usize) {
        loop {
            let Some(process) = self.members[m].process.as_mut() else { return };
            let Some((link, session)) = process.link.as_mut() else { return };
            let link = *link;
            if let Some(frame) = session.poll_transmit() {
                self.send_frame_to_controller(link, &frame);
                continue;
            }
            match session.poll_event() {
                None => return,
                Some(session::member::Event::Welcomed(welcome)) => {
                    let Some(state) = welcome.state.known() else { return };
                    let membership = Membership { state, epoch: welcome.member_epoch, hard: welcome.hard };
                    self.member_input(m, Input::Welcomed(link, welcome, membership));
                }
                Some(session::member::Event::Message(frame)) => self.member_input(m, Input::Frame(frame)),
                Some(session::member::Event::Ended(why)) => {
                    if let session::Ended::Refused { retry_after, .. }
                    | session::Ended::GoneAway { reconnect_after: retry_after, .. } = &why
                    {
                        process.backoff.handle_asked(*retry_after);
                    }
                    match why {
                        session::Ended::Silent(_) => self.coverage.met(Situation::HalfOpen),
                        session::Ended::Refused { reason, .. } if reason == "rolled_back" => {
                            self.coverage.met(Situation::RolledBack);
                        }
                        session::Ended::Violation { frame, place } => {
                            self.oracle.broken(9, self.agenda.now(), format!("member {m} was sent {frame} {place}"));
                        }
                        _ => (),
                    }
                    return self.disconnect_member(m);
                }
            }
        }
    }

    /// What a `Welcome` brought is durable: the session is confirmed, then work may flow.
    pub(super) fn confirm(&mut self, m: usize, link: LinkId, welcome: Welcome) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((_, session)) = process.link.as_mut().filter(|(present, _)| *present == link) else { return };
        session.handle_durable();
        let mut said = Vec::new();
        while let Some(frame) = session.poll_transmit() {
            said.push(frame);
        }
        process.backoff.handle_established(now);
        process.inputs.push_back(Input::Established(link, Box::new(welcome)));
        for frame in said {
            self.send_frame_to_controller(link, &frame);
        }
    }

    pub(super) fn established(&mut self, m: usize, link: LinkId, welcome: &Welcome) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.link.as_ref().is_none_or(|(present, _)| *present != link) {
            return;
        }
        (process.established, process.granted, process.offered) = (true, 0, 0);
        self.tell(|_| format!("member {m} has session {}", welcome.session));
        self.heard_ack(m, welcome.acked_report);
        let Some(process) = self.members[m].process.as_mut() else { return };
        let ttl = Duration::from_millis(welcome.lease_ttl_ms.into());
        process.ledger.handle_established(welcome.acked_report, ttl, now);
        let uploads: Vec<TaskId> = process.uploads.keys().copied().collect();
        for task in uploads {
            self.coverage.met(Situation::UploadedAgain);
            self.upload(m, task);
        }
    }

    /// A member's session is over on its side.
    pub fn disconnect_member(&mut self, m: usize) {
        let now = self.members[m].now(self.agenda.now());
        let life = self.members[m].life;
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((link, _)) = process.link.take() else { return };
        let wait = process.backoff.handle_failure(now, self.chance.u32(..));
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(10);
        self.agenda.put_after(wait, Happens::Dial(m, life));
        self.end_link(link);
        self.member_input(m, Input::Disconnected);
    }

    /// A connection ends on the member's side; the controller hears of it soon, late or never.
    pub(super) fn end_link(&mut self, link: LinkId) {
        self.net.kill(link, End::Member);
        if self.chance.u8(0..4) > 0 {
            self.send(link, End::Controller, Packet::Closed);
        } else {
            self.net.kill(link, End::Controller);
        }
    }

    pub(super) fn send_frame_to_controller(&mut self, link: LinkId, frame: &FromMember) {
        match frame.encode() {
            Ok(bytes) => self.send(link, End::Controller, Packet::Frame(bytes)),
            Err(error) => self.oracle.broken(17, self.agenda.now(), format!("{} has no frame: {error}", frame.name())),
        }
    }
}

fn hello(ledger: &Ledger, incarnation: Incarnation) -> Hello {
    let kinds = [
        TaskKind::EnableUser,
        TaskKind::DisableUser,
        TaskKind::ValidateUser,
        TaskKind::ResetPassword,
        TaskKind::ExpirePassword,
        TaskKind::ImportBatch,
    ];
    let system = ServedSystem {
        name: SYSTEM.parse().expect("it is a name"),
        connector: Text::clipped("model"),
        kinds: List::clipped(kinds.into_iter().map(Into::into).collect()),
        connection: Connection {
            domain: Text::default(),
            login_method: Text::default(),
            secure: true,
            compression: true,
            connect_timeout_secs: 0,
            log_level: LogLevel::Info.into(),
        },
    };
    Hello {
        agent_version: Text::clipped("0"),
        host: Text::clipped("host"),
        incarnation,
        last_session: ledger.session_no(),
        revisions: List::clipped(FromMember::REVISIONS.to_vec()),
        systems: List::clipped(vec![system]),
        sealing_keys: List::default(),
        next_report: ledger.next_report(),
        held: ledger.held(),
        ext: List::default(),
    }
}
