//! What goes wrong, until nothing does any more.

use crate::coverage::Situation;
use crate::net::{End, Packet};
use crate::workload::{Does, Fault, MEMBERS, Policy, TROUBLE, Ways};
use crate::world::{Happens, World};

impl World {
    pub(super) fn suffer(&mut self, fault: &Fault) {
        let now = self.agenda.now();
        match *fault {
            Fault::Cut(m) => {
                for link in self.net.of(m) {
                    for to in [End::Member, End::Controller] {
                        if self.chance.bool() {
                            self.send(link, to, Packet::Closed);
                        }
                        self.net.kill(link, to.other());
                    }
                }
            }
            Fault::HalfOpen(m) => {
                for link in self.net.of(m) {
                    self.net.kill(link, End::Member);
                    self.net.kill(link, End::Controller);
                }
            }
            Fault::Partition(m, time, ways) => {
                let works = !self.members[m].is_idle();
                if works {
                    self.coverage.met(if ways == Ways::Both { Situation::Partitioned } else { Situation::OneWay });
                }
                for link in self.net.of(m) {
                    if ways != Ways::ToController {
                        self.net.stall(link, End::Member, now + time);
                    }
                    if ways != Ways::ToMember {
                        self.net.stall(link, End::Controller, now + time);
                    }
                }
                self.partitions.push((m, now + time));
            }
            Fault::Refusing(time) => self.refusing = now + time,
            Fault::Silent(time) => self.silent = now + time,
            Fault::KillMember(..)
            | Fault::KillMemberAt(..)
            | Fault::StopMember(..)
            | Fault::PauseMember(..)
            | Fault::LoseStore(_)
            | Fault::LoseStoreAt(..)
            | Fault::RollBack(..)
            | Fault::LosePayload(..)
            | Fault::FillDisk(..)
            | Fault::Policy(..) => self.member_suffers(fault),
            Fault::KillController(_)
            | Fault::KillControllerAt(..)
            | Fault::PauseController(_)
            | Fault::PutBackController(..)
            | Fault::JumpWall(_) => self.controller_suffers(fault),
        }
    }

    pub(super) fn back_up(&mut self) {
        let now = self.agenda.now();
        for member in &mut self.members {
            member.backups.push((now, member.disk.clone()));
        }
        if self.plan.steps.iter().any(|(_, step)| matches!(step.does, Does::Fault(Fault::PutBackController(..)))) {
            self.copy_ledger();
        }
        if now < TROUBLE {
            self.agenda.put_after(5_000, Happens::Backup);
        }
    }

    /// Nothing goes wrong any more: what stands still moves, and clocks are right.
    pub(super) fn heal(&mut self) {
        if self.oracle.violation.is_some() {
            return;
        }
        let now = self.agenda.now();
        (self.refusing, self.silent, self.healed, self.controllers.wall) = (0, 0, true, 0);
        self.controllers.trap = None;
        self.controllers.paused = self.controllers.paused.min(now);
        self.partitions.clear();
        for m in 0..MEMBERS {
            self.members[m].trap = None;
            self.members[m].bad_disk = None;
            self.members[m].paused = self.members[m].paused.min(now);
            self.members[m].full = self.members[m].full.min(now);
            if self.members[m].policy == Policy::Refuses {
                self.member_suffers(&Fault::Policy(m, Policy::Allows));
            }
        }
        // What waits for somebody who stood still looks again by itself at the moment it was put off to.
    }
}
