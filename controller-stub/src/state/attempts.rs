//! How often applicants may be wrong, and members ask for certificates, change their keys, begin payloads again and
//! come back.

use std::time::Duration;

use postern_protocol::MemberId;
use postern_protocol::id::TokenId;
use postern_protocol::rate::{Buckets, Rate};

/// The most tokens, or members, whose attempts are told apart; those that nobody knows are not.
const MAX_TOLD_APART: usize = 10_000;

/// What was attempted lately. Whoever proves who he is gets through whatever others did in his name: a
/// proof cannot be guessed, so what is bounded is how often it is told that one was wrong.
pub(super) struct Attempts {
    /// Under an enrollment token, by who does not have it.
    pub(super) wrong_tokens: Buckets<TokenId>,
    /// Under an enrollment token that made a member already, by who has it: nobody else can use up this count.
    pub(super) used_tokens: Buckets<TokenId>,
    /// In the name of a member, by who does not have its key.
    pub(super) wrong_keys: Buckets<MemberId>,
    /// New certificates of a member.
    pub(super) certificates: Buckets<MemberId>,
    /// Lines about certificates of a member that were followed by others.
    pub(super) superseded: Buckets<MemberId>,
    /// Other sealing keys of a member.
    pub(super) sealing_keys: Buckets<MemberId>,
    /// Sessions of a member.
    pub(super) sessions: Buckets<MemberId>,
    /// Payloads of a member that it announces again before they are whole.
    pub(super) payloads_again: Buckets<MemberId>,
}

impl Attempts {
    pub(super) fn new(certificate_life: Duration) -> Self {
        // Somebody types a token wrong, or tries an old one; a program goes on and on.
        let wrong = Rate::new(10, Duration::from_secs(60));
        // Two are asked for in the life of a certificate, and a few more by a member that cannot store what it gets. Each
        // costs a signature and a commit.
        let certificates = Rate::new(10, certificate_life / 50);
        // Whoever shows one is told to come again in a minute. Somebody is to see it, once in a while.
        let superseded = Rate::new(3, Duration::from_secs(10 * 60));
        // Two in the fifteen days at least that an agent uses a key. Put back to an older copy, it announces five at once: the keys of
        // then, a new one, and what is left after each of three is wiped. What its disk does not take, it does not announce. The
        // rest is for keys that last for seconds, as tests have them. Each may have every sealed task written, some 100 MiB.
        let sealing_keys = Rate::new(30, Duration::from_secs(10 * 60));
        // An agent waits for a second at least before it comes back. Each session costs two commits, and an inventory.
        let sessions = Rate::new(30, Duration::from_secs(2));
        // All that a member sends at once, after its session was cut, and a few more over a line that is cut again and again.
        // Each has what came before read again, which may be gigabytes.
        let payloads_again = Rate::new(16, Duration::from_secs(30));
        Self {
            wrong_tokens: Buckets::new(wrong, MAX_TOLD_APART),
            used_tokens: Buckets::new(wrong, MAX_TOLD_APART),
            wrong_keys: Buckets::new(wrong, MAX_TOLD_APART),
            certificates: Buckets::new(certificates, MAX_TOLD_APART),
            superseded: Buckets::new(superseded, MAX_TOLD_APART),
            sealing_keys: Buckets::new(sealing_keys, MAX_TOLD_APART),
            sessions: Buckets::new(sessions, MAX_TOLD_APART),
            payloads_again: Buckets::new(payloads_again, MAX_TOLD_APART),
        }
    }
}
