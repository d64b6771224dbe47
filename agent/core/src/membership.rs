//! What the controller lets this member do.

use postern_protocol::Epoch;
use postern_protocol::message::v1::MembershipState;

/// The member's state as it is, or is about to be, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The state.
    pub state: MembershipState,
    /// Its number; a state with an older one is ignored.
    pub epoch: Epoch,
    /// Disabled in a way that stops work already begun at its next step.
    pub hard: bool,
}

impl Membership {
    /// Before the first session.
    pub const UNKNOWN: Self = Self { state: MembershipState::Pending, epoch: Epoch(0), hard: false };

    /// Whether tasks may be accepted and begun.
    pub fn may_begin(&self) -> bool {
        self.state == MembershipState::Enabled
    }

    /// Whether a task already begun may take its next step.
    pub fn may_go_on(&self) -> bool {
        match self.state {
            MembershipState::Enabled | MembershipState::Draining => true,
            MembershipState::Disabled => !self.hard,
            MembershipState::Pending | MembershipState::Revoked => false,
        }
    }
}
