//! From facts to three words. Decides, without clock or I/O.

use std::time::Duration;

use postern_health::{Life, Verdict, Word};
use postern_protocol::message::v1::MembershipState;
use postern_protocol::{MemberId, SystemName};

use crate::member_state;

/// For how long there may be no session before somebody has to look: a few of the longest waits between two tries, which
/// take a minute each, and longer than a controller takes to start again.
const WITHOUT_SESSION: Duration = Duration::from_secs(5 * 60);

/// What is known of an agent.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What is known of any program.
    pub life: Life,
    /// For how long there has been no session.
    pub without_session: Option<Duration>,
    /// Why not.
    pub link_error: Option<String>,
    /// What the controller lets the member do, and which it is.
    pub member: Option<(MembershipState, MemberId)>,
    /// Whether the disk has room for new work.
    pub has_room: bool,
    /// Whether the audit log has.
    pub audit_has_room: bool,
    /// The connected systems, each with why nobody may sign in to it, if nobody may.
    pub systems: Option<Vec<(SystemName, Option<String>)>>,
}

/// What speaks against each word.
pub fn judge(facts: &Facts) -> Verdict {
    let mut verdict = facts.life.verdict("the agent", "the dispatcher");
    without_session(facts, &mut verdict);
    not_useful(facts, &mut verdict);
    verdict
}

fn without_session(facts: &Facts, verdict: &mut Verdict) {
    if let Some(missed) = facts.without_session {
        let word = if missed < WITHOUT_SESSION { Word::Useful } else { Word::Ready };
        let why = facts.link_error.as_deref().unwrap_or("it is being tried");
        let message = format!("there has been no session with the controller for {} s: {why}", missed.as_secs());
        verdict.against(word, "no_session", message);
    }
}

fn not_useful(facts: &Facts, verdict: &mut Verdict) {
    if let Some((state, member)) = &facts.member
        && let Some(step) = member_state::next_step(*state, *member)
    {
        let message = format!("the member is {}: {step}", member_state::means(*state));
        verdict.against(Word::Useful, "not_enabled", message);
    }
    if !facts.has_room {
        let message =
            "the disk of the state directory is too full for new work, or cannot be looked at: make room on it";
        verdict.against(Word::Useful, "disk_full", message);
    }
    if !facts.audit_has_room {
        let message = "too many events wait for the audit log: `postern status` says why it cannot be written";
        verdict.against(Word::Useful, "audit_log_full", message);
    }
    let Some(systems) = &facts.systems else { return };
    if systems.is_empty() {
        let message = "there is no connected system: add a `[[connected_system]]` to the configuration";
        verdict.against(Word::Useful, "no_connected_system", message);
    } else if systems.iter().all(|(_, why)| why.is_some()) {
        for (system, why) in systems.iter().filter_map(|(system, why)| Some((system, why.as_ref()?))) {
            let message = format!(
                "nobody may sign in to `{system}` ({why}): correct its credentials, or mend the cause, stop the agent, and run \
                 `postern reset-sign-in --system {system}`"
            );
            verdict.against(Word::Useful, "sign_in_blocked", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> MemberId {
        "mbr_01a2193db75679cd8c23ce4402d1a02a".parse().unwrap()
    }

    fn fine() -> Facts {
        Facts {
            life: Life::default(),
            without_session: None,
            link_error: None,
            member: Some((MembershipState::Enabled, member())),
            has_room: true,
            audit_has_room: true,
            systems: Some(vec![("acme".parse().unwrap(), None)]),
        }
    }

    fn blocked() -> (SystemName, Option<String>) {
        ("acme".parse().unwrap(), Some("Salesforce refused".to_owned()))
    }

    /// Which words hold, and the codes of what speaks against the last.
    fn judged(facts: &Facts) -> (Vec<bool>, Vec<String>) {
        let verdict = judge(facts);
        let codes = verdict.reasons(Word::Useful).map(|it| it.code.clone()).collect();
        (Word::ALL.map(|word| verdict.holds(word)).to_vec(), codes)
    }

    #[test]
    fn an_agent_at_work_is_live_ready_and_useful() {
        assert_eq!(judged(&fine()), (vec![true; 3], vec![]));
    }

    #[test]
    fn an_agent_with_a_part_that_does_not_move_is_nothing_of_it() {
        for facts in [
            Facts { life: Life { stalled: vec!["the disk"], ..Life::default() }, ..fine() },
            Facts { life: Life { is_silent: true, ..Life::default() }, member: None, systems: None, ..fine() },
            Facts { life: Life { is_broken: true, ..Life::default() }, ..fine() },
        ] {
            assert_eq!(judged(&facts).0, [false; 3], "{facts:?}");
        }
    }

    #[test]
    fn an_agent_that_stops_is_live_and_not_ready_even_when_its_dispatcher_has_ended() {
        let life = Life { is_stopping: true, is_silent: true, ..Life::default() };
        let facts = Facts { life, member: None, ..fine() };
        assert_eq!(judged(&facts).0, [true, false, false]);
    }

    #[test]
    fn an_agent_that_tries_to_connect_is_ready_for_five_minutes() {
        let without = |secs| {
            let facts = Facts { without_session: Some(Duration::from_secs(secs)), ..fine() };
            judged(&facts)
        };
        assert_eq!(without(0), (vec![true, true, false], vec!["no_session".to_owned()]));
        assert_eq!(without(299).0, [true, true, false]);
        assert_eq!(without(300), (vec![true, false, false], vec!["no_session".to_owned()]));
    }

    #[test]
    fn an_agent_that_can_do_no_work_now_is_ready_and_not_useful() {
        let disabled = Facts { member: Some((MembershipState::Disabled, member())), ..fine() };
        let other: SystemName = "other".parse().unwrap();
        for (facts, code) in [
            (disabled, "not_enabled"),
            (Facts { has_room: false, ..fine() }, "disk_full"),
            (Facts { audit_has_room: false, ..fine() }, "audit_log_full"),
            (Facts { systems: Some(Vec::new()), ..fine() }, "no_connected_system"),
            (Facts { systems: Some(vec![blocked()]), ..fine() }, "sign_in_blocked"),
        ] {
            assert_eq!(judged(&facts), (vec![true, true, false], vec![code.to_owned()]));
        }
        let verdict = judge(&Facts { systems: Some(vec![blocked()]), ..fine() });
        let message = verdict.reasons(Word::Useful).map(|it| it.message.clone()).collect::<String>();
        assert!(message.ends_with("stop the agent, and run `postern reset-sign-in --system acme`"), "{message}");
        let one_of_two = Facts { systems: Some(vec![blocked(), (other, None)]), ..fine() };
        assert_eq!(judged(&one_of_two).0, [true; 3], "there is work for the other");
    }
}
