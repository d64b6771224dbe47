//! Keeps the service account from being locked out: the circuit that opens after refused sign-ins. Without I/O.
//!
//! A sending of credentials is counted, durably, *before* it is made: a process that dies between the call and the
//! count, over and over, would otherwise try a wrong password for ever. What the answer proves is then counted right:
//! accepted clears everything, refused stays, and a sending that cannot have been judged is taken back. A sending whose
//! answer was lost stays counted for [`FORGIVEN_AFTER`], Salesforce's own usual lock-out time; while the same credentials have
//! worked before, a few of those are tolerated, so that an outage of Salesforce does not need a person to end it here.
//!
//! A refusal that only asks for the security token has one sending with the token in its train, whatever the count: the
//! two are one sign-in.

use std::time::Duration;

use postern_protocol::time::UnixMillis;
use postern_protocol::{Failure, FailureClass};
use ring::pbkdf2;
use serde::{Deserialize, Serialize};

use super::network::With;

/// How long an unanswered sending counts.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Unanswered sendings tolerated on top while the credentials are known to be right. With the default of two refusals
/// it makes five, half of Salesforce's default lock-out.
const TOLERATED: usize = 3;
/// Makes guessing a password from a stolen store slow; 30 ms a sign-in is not noticed.
const ROUNDS: std::num::NonZeroU32 = std::num::NonZeroU32::new(100_000).expect("it is not zero");

/// What is remembered of former sign-ins. Kept durably as one record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Guard {
    salt: [u8; 16],
    fingerprint: [u8; 32],
    refused: u32,
    unanswered: Vec<u64>,
    proven: bool,
    last_code: String,
    with_token: WithToken,
    /// Whose network is remembered: login URL and account.
    network_of: String,
    network: Option<With>,
}

/// The sending with the token that a refusal asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum WithToken {
    /// None was asked for.
    #[default]
    Unasked,
    /// It may be made.
    Due,
    /// It is being made.
    Begun,
}

impl Guard {
    /// Reads the record; what cannot be read is as good as none.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The record.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Takes note of the credentials about to be used; others than before start with a clean record. `fresh_salt` is
    /// used only then. The hash is slow on purpose.
    pub(super) fn use_credentials(&mut self, credentials: &[u8], fresh_salt: [u8; 16]) {
        if self.fingerprint == fingerprint(&self.salt, credentials) {
            return;
        }
        let (network_of, network) = (std::mem::take(&mut self.network_of), self.network);
        let fingerprint = fingerprint(&fresh_salt, credentials);
        *self = Self { salt: fresh_salt, fingerprint, network_of, network, ..Self::default() };
    }

    /// Whether the credentials may be sent.
    pub(super) fn check(&mut self, max_refused: u32, now: UnixMillis) -> Result<(), Failure> {
        // The clock may have been set back a little since: those count as well. From far ahead they tell nothing of when they were.
        self.unanswered.retain(|at| now.0.abs_diff(*at) < forgiven_after());
        if self.with_token == WithToken::Due {
            return Ok(());
        }
        if self.refused >= max_refused {
            return Err(self.open());
        }
        if self.wait(max_refused, now).is_some() { Err(paused()) } else { Ok(()) }
    }

    /// How long so many unanswered sendings count that none may be made now.
    pub(super) fn wait(&self, max_refused: u32, now: UnixMillis) -> Option<Duration> {
        let allowed = usize::try_from(max_refused).unwrap_or(usize::MAX) + if self.proven { TOLERATED } else { 0 };
        let counted = usize::try_from(self.refused).unwrap_or(usize::MAX) + self.unanswered.len();
        let last = self.unanswered.get(counted.checked_sub(allowed)?)?;
        Some(Duration::from_millis(last.saturating_add(forgiven_after()).saturating_sub(now.0)))
    }

    /// Whether the circuit is open: nothing is sent before an operator helps.
    pub(super) fn is_open(&self, max_refused: u32) -> bool {
        self.refused >= max_refused && self.with_token != WithToken::Due
    }

    /// Whether a refusal is counted.
    pub(super) const fn stands_refused(&self) -> bool {
        self.refused > 0
    }

    /// Counts a sending that is about to be made.
    pub(super) fn begin(&mut self, now: UnixMillis) {
        self.unanswered.push(now.0);
        self.with_token = match self.with_token {
            WithToken::Due => WithToken::Begun,
            WithToken::Unasked | WithToken::Begun => WithToken::Unasked,
        };
    }

    /// The credentials were accepted.
    pub(super) fn accepted(&mut self) {
        self.refused = 0;
        self.unanswered.clear();
        self.proven = true;
        self.last_code.clear();
        self.with_token = WithToken::Unasked;
    }

    /// Whether they were taken, and not refused since.
    pub(super) const fn is_proven(&self) -> bool {
        self.proven
    }

    /// They were refused in a way that counts toward a lock-out.
    pub(super) fn refused(&mut self, code: &str) {
        self.unanswered.pop();
        self.refused = self.refused.saturating_add(1);
        self.proven = false;
        self.last_code = code.chars().take(64).collect();
    }

    /// The refusal asked for the token, which has not been sent yet. Whoever signs in next, after a crash too, begins
    /// with it: the password alone would be refused once more.
    pub(super) fn asked_for_token(&mut self) {
        self.with_token = WithToken::Due;
        self.network = None;
    }

    /// They were not judged: they were not sent, or the service said that it could not.
    pub(super) fn not_judged(&mut self) {
        self.unanswered.pop();
        if self.with_token == WithToken::Begun {
            self.with_token = WithToken::Due;
        }
    }

    /// What an operator does after mending the cause outside of the configuration.
    pub(super) fn reset(&mut self) {
        self.refused = 0;
        self.unanswered.clear();
        self.with_token = WithToken::Unasked;
    }

    /// What worked from this network for `account`.
    pub(super) fn remembered(&self, account: &str) -> Option<With> {
        self.network.filter(|_| self.network_of == account)
    }

    /// Remembers what worked.
    pub(super) fn remember(&mut self, account: String, with: With) {
        self.network_of = account;
        self.network = Some(with);
    }

    fn open(&self) -> Failure {
        let code = if self.last_code.is_empty() { "" } else { &format!(", the last time with {}", self.last_code) };
        Failure::new(
            FailureClass::Unauthorized,
            "sign_in_blocked",
            format!(
                "Salesforce refused the service account {} times{code}; no further sign-in is made, so that the \
                 account is not locked out",
                self.refused
            ),
        )
        .with_next_step(
            "Correct the account, its password or its token in the configuration; if the cause was in Salesforce, \
             mend it there, stop the agent, and run `postern reset-sign-in --system NAME` with the name of this connected \
             system.",
        )
    }
}

fn forgiven_after() -> u64 {
    u64::try_from(FORGIVEN_AFTER.as_millis()).unwrap_or(u64::MAX)
}

fn paused() -> Failure {
    Failure::new(
        FailureClass::RateLimited,
        "sign_in_paused",
        "Several sign-ins in a row were not answered by Salesforce; they may have counted as failed, so the next one \
         waits",
    )
    .with_next_step(
        "Check `domain`, what stands between, and Salesforce's status page; it goes on by itself within 15 minutes.",
    )
}

fn fingerprint(salt: &[u8; 16], credentials: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, credentials, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_800_000_000_000);

    fn later(minutes: u64) -> UnixMillis {
        UnixMillis(START.0 + minutes * 60_000)
    }

    fn guard() -> Guard {
        let mut guard = Guard::default();
        guard.use_credentials(b"one", [1; 16]);
        guard
    }

    /// What a crash leaves: everything but the record is gone.
    fn crash(guard: &Guard) -> Guard {
        Guard::decode(&guard.encode())
    }

    fn code(result: Result<(), Failure>) -> Option<String> {
        result.err().map(|failure| failure.code.to_string())
    }

    #[test]
    fn the_wait_lasts_until_as_many_unanswered_sendings_are_forgiven_as_it_takes() {
        let minutes = |guard: &Guard, now| guard.wait(2, later(now)).map(|wait| wait.as_secs() / 60);
        let mut guard = guard();
        guard.accepted();
        for minute in 0..5 {
            assert_eq!(minutes(&guard, minute), None);
            guard.begin(later(minute));
        }
        assert_eq!(minutes(&guard, 5), Some(10));
        guard.refused("INVALID_LOGIN");
        assert_eq!(minutes(&guard, 5), Some(13), "four sendings are left of which none may be");
        assert_eq!(code(guard.check(2, later(17))).as_deref(), Some("sign_in_paused"));
        assert_eq!(code(guard.check(2, later(18))), None);
    }

    /// Feature C11.
    #[test]
    fn the_circuit_opens_after_the_refusals_allowed_and_survives_a_restart() {
        let mut guard = guard();
        for _ in 0..2 {
            guard.check(2, START).unwrap();
            guard.begin(START);
            guard.refused("INVALID_LOGIN");
        }
        let failure = crash(&guard).check(2, later(10_000)).unwrap_err();
        assert_eq!(failure.code.as_str(), "sign_in_blocked");
        assert!(failure.next_step.contains("stop the agent, and run `postern reset-sign-in --system"), "{failure}");
        assert!(failure.summary.contains("2 times, the last time with INVALID_LOGIN"));
    }

    /// Count after the answer instead of before the call, and this loop never ends.
    /// Feature C11.
    #[test]
    fn a_crash_loop_cannot_try_more_often() {
        let mut guard = guard();
        let mut tried = 0;
        while guard.check(2, START).is_ok() {
            guard.begin(START);
            tried += 1;
            assert!(tried < 10);
            guard = crash(&guard);
            guard.use_credentials(b"one", [9; 16]);
        }
        assert_eq!(tried, 2);
        assert_eq!(code(guard.check(2, START)).as_deref(), Some("sign_in_paused"));
        assert_eq!(code(guard.check(2, later(16))), None);
    }

    /// Forget what is of a later moment, and each time that a clock is set back as many more may count toward a lock-out.
    #[test]
    fn a_clock_that_is_set_back_forgives_nothing() {
        let mut guard = guard();
        for _ in 0..2 {
            guard.check(2, later(10)).unwrap();
            guard.begin(later(10));
        }
        assert_eq!(code(crash(&guard).check(2, later(5))).as_deref(), Some("sign_in_paused"));
        assert_eq!(guard.wait(2, later(5)), Some(Duration::from_secs(20 * 60)));
        assert_eq!(code(crash(&guard).check(2, later(25))), None);
        let mut of_next_year = crash(&guard);
        of_next_year.unanswered = vec![later(600_000).0; 2];
        assert_eq!(code(of_next_year.check(2, START)), None, "nobody waits for a clock that was far ahead");
    }

    /// Leave the token's sending out of the record, or do not take it from there before the call, and this fails.
    #[test]
    fn the_token_that_is_asked_for_is_sent_once_whatever_the_count() {
        let mut guard = guard();
        guard.remember("acme".to_owned(), With::PasswordAlone);
        guard.begin(START);
        guard.refused("LOGIN_MUST_USE_SECURITY_TOKEN");
        guard.asked_for_token();

        let mut guard = crash(&guard);
        guard.use_credentials(b"one", [9; 16]);
        assert_eq!(guard.remembered("acme"), None);
        guard.check(1, START).unwrap();
        guard.begin(START);
        assert_eq!(code(crash(&guard).check(1, START)).as_deref(), Some("sign_in_blocked"), "it may have been sent");

        guard.not_judged();
        guard.check(1, START).unwrap();
        guard.begin(START);
        guard.refused("INVALID_LOGIN");
        assert_eq!(code(guard.check(1, START)).as_deref(), Some("sign_in_blocked"));
    }

    /// Feature C10.
    #[test]
    fn other_credentials_start_anew_and_the_same_ones_do_not() {
        let mut guard = guard();
        guard.refused("x");
        guard.refused("x");
        guard.use_credentials(b"one", [2; 16]);
        assert!(guard.check(2, START).is_err());
        guard.use_credentials(b"two", [2; 16]);
        assert!(guard.check(2, START).is_ok());
    }

    #[test]
    fn an_operator_can_reset_it() {
        let mut guard = guard();
        guard.refused("x");
        guard.refused("x");
        guard.reset();
        assert!(guard.check(2, START).is_ok());
    }

    #[test]
    fn proven_credentials_survive_some_lost_answers() {
        let mut guard = guard();
        guard.begin(START);
        guard.accepted();
        for _ in 0..5 {
            guard.check(2, START).unwrap();
            guard.begin(START);
        }
        assert_eq!(code(guard.check(2, START)).as_deref(), Some("sign_in_paused"));
        guard.refused("INVALID_LOGIN");
        assert_eq!(code(guard.check(2, START)).as_deref(), Some("sign_in_paused"), "no longer proven");
    }

    #[test]
    fn what_was_not_judged_does_not_count() {
        let mut guard = guard();
        for _ in 0..10 {
            guard.check(2, START).unwrap();
            guard.begin(START);
            guard.not_judged();
        }
        assert!(guard.check(2, START).is_ok());
    }

    #[test]
    fn the_network_is_remembered_for_its_account_even_when_the_password_changes() {
        let mut guard = guard();
        guard.remember("acme".to_owned(), With::PasswordAlone);
        guard.use_credentials(b"two", [2; 16]);
        assert_eq!(guard.remembered("acme"), Some(With::PasswordAlone));
        assert_eq!(guard.remembered("other"), None);
    }

    #[test]
    fn the_record_fits_a_note_and_holds_no_secret() {
        let mut guard = guard();
        for minute in 0..5 {
            guard.begin(later(minute));
        }
        guard.remember("u".repeat(300), With::Token);
        let record = String::from_utf8(guard.encode()).unwrap();
        assert!(record.len() < crate::connector::MAX_NOTE && !record.contains("one"));
    }
}
