//! Connections: in order each way, as slow as it pleases, cut or dead at any moment.

use std::collections::{BTreeMap, VecDeque};

use postern_protocol::TaskId;
use postern_protocol::message::v1::StreamRef;

use crate::agenda::Millis;

/// A connection.
pub type LinkId = u64;

/// Who is at the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The member.
    Member,
    /// The controller.
    Controller,
}

impl End {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Member => Self::Controller,
            Self::Controller => Self::Member,
        }
    }
}

/// What travels. Payloads travel whole: how they are cut and gone on with has tests of its own.
#[derive(Debug, Clone)]
pub enum Packet {
    /// A frame, as its bytes.
    Frame(Vec<u8>),
    /// A payload for a task.
    Payload(TaskId, StreamRef),
    /// What came of a payload that a member sent.
    Taken(TaskId, Taken),
    /// The other side closed the connection.
    Closed,
}

/// What came of a payload that a member sent.
#[derive(Debug, Clone, Copy)]
pub enum Taken {
    Stored,
    Unwanted,
    /// It is to be sent again.
    NotNow,
}

/// One way of a connection.
#[derive(Debug, Default)]
struct Way {
    queue: VecDeque<Packet>,
    /// When the last of the queue arrives.
    last: Millis,
    /// Nothing arrives before.
    stalled: Millis,
    dead: bool,
}

/// One connection.
#[derive(Debug)]
pub struct Link {
    /// Whose.
    pub member: usize,
    to_member: Way,
    to_controller: Way,
}

impl Link {
    fn way(&mut self, to: End) -> &mut Way {
        match to {
            End::Member => &mut self.to_member,
            End::Controller => &mut self.to_controller,
        }
    }
}

/// Every connection there is.
#[derive(Debug, Default)]
pub struct Net {
    links: BTreeMap<LinkId, Link>,
    next: LinkId,
}

impl Net {
    /// A member connects.
    pub fn connect(&mut self, member: usize) -> LinkId {
        self.next += 1;
        self.links.insert(self.next, Link { member, to_member: Way::default(), to_controller: Way::default() });
        self.next
    }

    /// The newest connection there was.
    pub const fn newest(&self) -> LinkId {
        self.next
    }

    /// A connection.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// The connections of a member.
    pub fn of(&self, member: usize) -> Vec<LinkId> {
        self.links.iter().filter(|(_, it)| it.member == member).map(|(id, _)| *id).collect()
    }

    /// Sends something that takes `delay`. When it arrives; `None`: never.
    pub fn send(&mut self, id: LinkId, to: End, packet: Packet, now: Millis, delay: Millis) -> Option<Millis> {
        let way = self.links.get_mut(&id)?.way(to);
        if way.dead {
            return None;
        }
        way.queue.push_back(packet);
        way.last = way.last.max(now + delay).max(way.stalled);
        Some(way.last)
    }

    /// What arrives now; or when to look again.
    pub fn receive(&mut self, id: LinkId, to: End, now: Millis) -> Result<Option<Packet>, Millis> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(None) };
        let way = link.way(to);
        if way.dead {
            return Ok(None);
        }
        if way.stalled > now {
            return Err(way.stalled);
        }
        Ok(way.queue.pop_front())
    }

    /// Nothing arrives one way before `until`.
    pub fn stall(&mut self, id: LinkId, to: End, until: Millis) {
        if let Some(link) = self.links.get_mut(&id) {
            let way = link.way(to);
            way.stalled = way.stalled.max(until);
        }
    }

    /// Nothing arrives any more, one way.
    pub fn kill(&mut self, id: LinkId, to: End) {
        if let Some(link) = self.links.get_mut(&id) {
            let way = link.way(to);
            way.dead = true;
            way.queue.clear();
            if link.to_member.dead && link.to_controller.dead {
                self.links.remove(&id);
            }
        }
    }
}
