//! What goes over the connections.

use crate::net::{End, LinkId, Packet};
use crate::world::{Happens, World};

impl World {
    /// Sends something over a connection.
    pub fn send(&mut self, link: LinkId, to: End, packet: Packet) {
        let delay = self.chance.u64(1..self.pace.net);
        if let Some(at) = self.net.send(link, to, packet, self.agenda.now(), delay) {
            self.agenda.put(at, Happens::Arrives(link, to));
        }
    }

    pub(super) fn arrives(&mut self, link: LinkId, to: End) {
        let now = self.agenda.now();
        let Some(m) = self.net.link(link).map(|it| it.member) else { return };
        let paused = match to {
            End::Member => self.members[m].paused,
            End::Controller => self.controllers.paused,
        };
        if paused > now {
            return self.agenda.put(paused, Happens::Arrives(link, to));
        }
        match self.net.receive(link, to, now) {
            Err(later) => self.agenda.put(later, Happens::Arrives(link, to)),
            Ok(None) => (),
            Ok(Some(packet)) => match to {
                End::Member => self.member_receives(m, link, packet),
                End::Controller => self.controller_receives(link, packet),
            },
        }
    }

    /// Whether nothing of a member gets through now.
    pub fn partitioned(&self, m: usize) -> bool {
        self.partitions.iter().any(|(member, until)| *member == m && *until > self.agenda.now())
    }
}
