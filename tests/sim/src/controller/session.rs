//! The sessions of a controller, from the connection to their end.

use std::time::Duration;

use postern_controller_stub::state::{Greeting, SessionHandle, ToSession};
use postern_protocol::message::v1::LeaseVerdict;
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::{ControllerSession, controller};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Request, Session};
use crate::net::{End, LinkId, Packet};
use crate::world::{Happens, World};

/// The words that may wait for a session.
const WORDS: usize = 1024;

impl World {
    /// A member connected.
    pub fn accept(&mut self, link: LinkId, m: usize) {
        let member = self.members[m].id;
        let now = self.controllers.now(self.agenda.now());
        let Some(process) = self.controllers.process.as_mut() else { return };
        let (sender, words) = mpsc::channel(WORDS);
        let handle = SessionHandle { words: sender, cut: CancellationToken::new(), over: CancellationToken::new() };
        let machine = ControllerSession::new(Duration::from_secs(10), now);
        process.sessions.insert(link, Session { member, machine, number: None, handle, words });
        self.wake_session(link);
    }

    /// Something arrived at the controller.
    pub fn controller_receives(&mut self, link: LinkId, packet: Packet) {
        let now = self.controllers.now(self.agenda.now());
        let Some(process) = self.controllers.process.as_mut() else { return };
        let Some(session) = process.sessions.get_mut(&link) else { return };
        match packet {
            Packet::Frame(bytes) => match FromMember::decode(&bytes) {
                Ok(frame) => {
                    session.machine.handle_message(frame, now);
                    self.controller_session(link);
                }
                Err(error) => self.oracle.broken(21, self.agenda.now(), format!("a frame cannot be read: {error}")),
            },
            Packet::Payload(task, stream) => self.ask_controller(Request::Results(link, task, stream)),
            Packet::Taken(..) => (),
            Packet::Closed => self.disconnect_controller(link),
        }
    }

    /// Time passed for a session.
    pub fn session_wakes(&mut self, link: LinkId) {
        let now = self.controllers.now(self.agenda.now());
        let Some(session) = self.controllers.process.as_mut().and_then(|it| it.sessions.get_mut(&link)) else { return };
        if session.machine.poll_timeout() <= now {
            session.machine.handle_timeout(now);
            self.controller_session(link);
        }
        self.wake_session(link);
    }

    fn wake_session(&mut self, link: LinkId) {
        let life = self.controllers.life;
        let ahead = self.controllers.now(0).as_millis();
        let Some(session) = self.controllers.process.as_ref().and_then(|it| it.sessions.get(&link)) else { return };
        let at = session.machine.poll_timeout().as_millis().saturating_sub(ahead).max(self.agenda.now() + 1);
        self.agenda.put(at, Happens::SessionWakes(life, link));
    }

    fn controller_session(&mut self, link: LinkId) {
        loop {
            let Some(process) = self.controllers.process.as_mut() else { return };
            let Some(session) = process.sessions.get_mut(&link) else { return };
            if let Some(frame) = session.machine.poll_transmit() {
                self.send_frame_to_member(link, &frame);
                continue;
            }
            let (member, number) = (session.member, session.number);
            match session.machine.poll_event() {
                None => return,
                Some(controller::Event::Introduced(hello)) => self.ask_controller(Request::Introduce(link, hello)),
                Some(controller::Event::Established) => {
                    if let Some(number) = number {
                        self.ask_controller(Request::Establish(member, number));
                    }
                }
                Some(controller::Event::Message(frame)) => {
                    if let Some(number) = number {
                        self.ask_controller(Request::Hear(member, number, Box::new(frame)));
                    }
                }
                Some(controller::Event::Ended(_)) => return self.disconnect_controller(link),
            }
        }
    }

    pub(super) fn greet(&mut self, link: LinkId, greeting: Greeting) {
        let now = self.controllers.now(self.agenda.now());
        let Some(process) = self.controllers.process.as_mut() else { return };
        let Some(session) = process.sessions.get_mut(&link) else { return };
        match greeting {
            Greeting::Welcome(welcomed) => {
                session.number = Some(welcomed.session);
                session.machine.welcome(welcomed.welcome, now);
            }
            Greeting::Refused(refused) => session.machine.refuse(refused),
        }
        self.controller_session(link);
    }

    /// What the state says, in the order it says it.
    pub(super) fn pass_words_on(&mut self, link: LinkId) {
        loop {
            let Some(process) = self.controllers.process.as_mut() else { return };
            let Some(session) = process.sessions.get_mut(&link) else { return };
            if session.handle.cut.is_cancelled() {
                return self.disconnect_controller(link);
            }
            match session.words.try_recv() {
                Err(_) => return,
                Ok(ToSession::Frame(frame)) => {
                    if let FromController::Renewed(renewed) = &*frame {
                        let asked = self.renewals.remove(&(session.member, renewed.nonce)).unwrap_or_default();
                        let until = asked + self.pace.lease;
                        let kept = [Some(LeaseVerdict::Kept), Some(LeaseVerdict::Late)];
                        for lease in renewed.leases.iter().filter(|it| kept.contains(&it.verdict.known())) {
                            self.oracle.lease_kept(lease.lease.task, lease.lease.epoch, until);
                        }
                    }
                    self.send_frame_to_member(link, &frame);
                }
                Ok(ToSession::Payloads(task, streams)) => {
                    for stream in streams {
                        self.send(link, End::Member, Packet::Payload(task, stream));
                    }
                }
                Ok(ToSession::Close(bye)) => {
                    self.send_frame_to_member(link, &bye.into());
                    return self.disconnect_controller(link);
                }
            }
        }
    }

    fn send_frame_to_member(&mut self, link: LinkId, frame: &FromController) {
        match frame.encode() {
            Ok(bytes) => self.send(link, End::Member, Packet::Frame(bytes)),
            Err(error) => self.oracle.broken(17, self.agenda.now(), format!("{} has no frame: {error}", frame.name())),
        }
    }

    /// A session is over on the controller's side.
    fn disconnect_controller(&mut self, link: LinkId) {
        let Some(process) = self.controllers.process.as_mut() else { return };
        let Some(session) = process.sessions.remove(&link) else { return };
        self.send(link, End::Member, Packet::Closed);
        self.net.kill(link, End::Controller);
        if let Some(number) = session.number {
            self.ask_controller(Request::Disconnect(session.member, number));
        }
    }
}
