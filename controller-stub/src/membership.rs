//! What an operator may do with a member: pending → enabled ⇄ draining/disabled → revoked.
//!
//! Every change has the next epoch. Whoever calls these commits the record, then pushes the state to the member.

use postern_protocol::MemberId;
use postern_protocol::message::v1::MembershipState;

use crate::state::record::MemberRecord;

/// What an operator wants of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let a new member work, after comparing fingerprints.
    Approve,
    /// Let it work again.
    Enable,
    /// Give it nothing new.
    Drain,
    /// Give it nothing new, and disable it once it holds nothing.
    Disable,
    /// Disable it now: no further mutating call starts.
    DisableHard,
    /// Throw it out for good.
    Revoke,
}

/// Why an action makes no sense in the member's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// Not approved yet.
    #[error("the member is not approved yet: compare fingerprints, then run `postern-controller member approve`")]
    NotApproved,
    /// Approved before.
    #[error("the member is approved already; `member enable` lets it work again")]
    AlreadyApproved,
    /// Out for good.
    #[error("the member is revoked for good: enroll the agent again with a new token")]
    Revoked,
}

/// Carries out `action`. `holds_nothing` says whether a drain has anything to wait for. Returns whether anything
/// changed: an action that is already done is no error and needs no new epoch.
pub fn apply(record: &mut MemberRecord, action: Action, holds_nothing: bool) -> Result<bool, TransitionError> {
    use MembershipState::{Disabled, Draining, Enabled, Pending, Revoked};
    let before = record.clone();
    match (record.state, action) {
        (Revoked, Action::Revoke) => (),
        (Revoked, _) => return Err(TransitionError::Revoked),
        (_, Action::Revoke) => set(record, Revoked, Hard::Yes),
        (Pending, Action::Approve) => set(record, Enabled, Hard::No),
        (Pending, _) => return Err(TransitionError::NotApproved),
        (_, Action::Approve) => return Err(TransitionError::AlreadyApproved),
        (_, Action::Enable) => set(record, Enabled, Hard::No),
        (_, Action::DisableHard) => set(record, Disabled, Hard::Yes),
        (Disabled, Action::Drain | Action::Disable) => (),
        (_, Action::Drain) => set(record, Draining, Hard::No),
        (_, Action::Disable) if holds_nothing => set(record, Disabled, Hard::No),
        (_, Action::Disable) => {
            set(record, Draining, Hard::No);
            record.disable_when_drained = true;
        }
    }
    if *record == before {
        return Ok(false);
    }
    record.epoch = record.epoch.next();
    Ok(true)
}

/// Why a member cannot be removed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// It may still work.
    #[error(
        "the member is {state}: only one that is pending or revoked can be removed, so run `postern-controller member revoke {member}` first"
    )]
    NotOut {
        /// The member.
        member: MemberId,
        /// What it may do.
        state: MembershipState,
    },
    /// Its tasks have not gone to others.
    #[error("the member still holds {tasks} {}: wait until its leases have run out, see `postern-controller task list`", if *tasks == 1 { "task" } else { "tasks" })]
    Holds {
        /// How many.
        tasks: usize,
    },
}

/// Whether a member that holds so many tasks can be removed.
pub fn check_removal(record: &MemberRecord, holds: usize) -> Result<(), RemovalError> {
    if !matches!(record.state, MembershipState::Pending | MembershipState::Revoked) {
        return Err(RemovalError::NotOut { member: record.id, state: record.state });
    }
    if holds > 0 { Err(RemovalError::Holds { tasks: holds }) } else { Ok(()) }
}

/// A member that drains to be disabled holds nothing any more. Returns whether anything changed.
pub fn drained(record: &mut MemberRecord) -> bool {
    if record.state != MembershipState::Draining || !record.disable_when_drained {
        return false;
    }
    set(record, MembershipState::Disabled, Hard::No);
    record.epoch = record.epoch.next();
    true
}

#[derive(Clone, Copy)]
enum Hard {
    Yes,
    No,
}

fn set(record: &mut MemberRecord, state: MembershipState, hard: Hard) {
    record.state = state;
    record.hard = matches!(hard, Hard::Yes);
    record.disable_when_drained = false;
    if state == MembershipState::Enabled {
        record.alarm = None;
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::Epoch;

    use super::*;
    use crate::state::lab::member;

    #[test]
    fn every_action_in_every_state() {
        use Action::{Approve, Disable, DisableHard, Drain, Enable, Revoke};
        use MembershipState::{Disabled, Draining, Enabled, Pending, Revoked};
        let table = [
            (Pending, Approve, Some(Enabled)),
            (Pending, Enable, None),
            (Pending, Drain, None),
            (Pending, Disable, None),
            (Pending, Revoke, Some(Revoked)),
            (Enabled, Approve, None),
            (Enabled, Drain, Some(Draining)),
            (Enabled, Disable, Some(Draining)),
            (Enabled, DisableHard, Some(Disabled)),
            (Enabled, Revoke, Some(Revoked)),
            (Draining, Enable, Some(Enabled)),
            (Draining, DisableHard, Some(Disabled)),
            (Draining, Drain, Some(Draining)),
            (Disabled, Enable, Some(Enabled)),
            (Disabled, Drain, Some(Disabled)),
            (Disabled, Disable, Some(Disabled)),
            (Revoked, Enable, None),
            (Revoked, Approve, None),
            (Revoked, Revoke, Some(Revoked)),
        ];
        for (from, action, to) in table {
            let mut record = member(from);
            let applied = apply(&mut record, action, false);
            assert_eq!(applied.is_ok(), to.is_some(), "{from} {action:?}");
            assert_eq!(record.state, to.unwrap_or(from), "{from} {action:?}");
            let changed = applied.unwrap_or(false);
            assert_eq!(record.epoch, if changed { Epoch(4) } else { Epoch(3) }, "{from} {action:?}");
        }
    }

    #[test]
    fn only_a_member_that_is_out_and_holds_nothing_can_be_removed() {
        use MembershipState::{Disabled, Draining, Enabled, Pending, Revoked};
        for state in [Pending, Revoked] {
            assert_eq!(check_removal(&member(state), 0), Ok(()), "{state}");
            assert_eq!(check_removal(&member(state), 2), Err(RemovalError::Holds { tasks: 2 }), "{state}");
        }
        for state in [Enabled, Draining, Disabled] {
            assert!(matches!(check_removal(&member(state), 0), Err(RemovalError::NotOut { .. })), "{state}");
        }
    }

    #[test]
    fn a_soft_disable_waits_for_what_is_held() {
        let mut record = member(MembershipState::Enabled);
        apply(&mut record, Action::Disable, false).unwrap();
        assert_eq!(record.state, MembershipState::Draining);
        assert!(drained(&mut record));
        assert_eq!((record.state, record.epoch), (MembershipState::Disabled, Epoch(5)));
        assert!(!drained(&mut record));

        let mut idle = member(MembershipState::Enabled);
        apply(&mut idle, Action::Disable, true).unwrap();
        assert_eq!(idle.state, MembershipState::Disabled);

        let mut drains = member(MembershipState::Enabled);
        apply(&mut drains, Action::Drain, true).unwrap();
        assert!(!drained(&mut drains), "a drain alone disables nothing");
    }
}
