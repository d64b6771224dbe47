//! What the state of a member means for it, and what to do about it, in the operator's words.

use std::fmt::Display;

use postern_protocol::message::v1::MembershipState;

/// What is done for an agent that its controller does not let in any more.
pub const AGAIN: &str = "enroll this agent again: stop it, and run `postern enroll --again --controller URL` with a fresh token, which \
    an operator makes";

/// What a member in this state may do.
pub const fn means(state: MembershipState) -> &'static str {
    match state {
        MembershipState::Enabled => "enabled",
        MembershipState::Pending => "pending: enrolled, and not approved yet; it gets no work",
        MembershipState::Draining => "draining: it finishes what it has, and gets nothing new",
        MembershipState::Disabled => "disabled by an operator, or by an alarm: it gets no work",
        MembershipState::Revoked => "revoked: it is out for good",
    }
}

/// What lets this member have work again; nothing if it gets work.
pub fn next_step(state: MembershipState, member: impl Display) -> Option<String> {
    match state {
        MembershipState::Enabled => None,
        MembershipState::Pending => Some(format!(
            "an operator compares the fingerprint and approves it (needs the role administrator), in the console or with \
             `postern-controller member approve {member}`"
        )),
        MembershipState::Draining => {
            Some(format!("an operator ends that, in the console or with `postern-controller member enable {member}`"))
        }
        MembershipState::Disabled => Some(format!(
            "an operator looks why (`postern-controller audit show --on {member}`), and enables it, in the console or \
             with `postern-controller member enable {member}`"
        )),
        MembershipState::Revoked => Some(AGAIN.to_owned()),
    }
}
