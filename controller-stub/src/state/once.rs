//! What callers had made under keys of their own: whoever lost an answer asks again, and nothing is made twice.
//!
//! The secret of a token is not kept for that. It is derived from the caller's key and from a salt that is kept with the
//! key's hash: whoever has the ledger lacks the key, and whoever saw the key lacks the salt.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use postern_protocol::Secret;
use postern_protocol::id::ApiTokenId;
use postern_protocol::time::UnixMillis;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::ledger::Write;
use super::record::{Made, OnceRecord};
use super::{Refusal, RefusalKind, State};
use crate::access::Role;
use crate::clock::{self, Moment};
use crate::random;

/// The header in which callers give their keys.
pub const HEADER: &str = "Idempotency-Key";
/// The shortest key: a UUID without its hyphens has twice as much, and a number that somebody counts up has less.
pub const MIN_KEY: usize = 16;
/// The longest key.
pub const MAX_KEY: usize = 128;
/// How long a key is known: a program that was stopped over night still gets its answer.
const KNOWN: Duration = Duration::from_secs(24 * 60 * 60);
/// The most keys, about 5 MiB of memory, and of them those that are left for administrators.
const MAX_KEYS: usize = 16_000;
const RESERVE: usize = 1_000;
/// The most keys of one token.
const MAX_OF_TOKEN: usize = 4_000;
/// The most keys that are forgotten in one tick.
const MAX_FORGOTTEN: usize = 256;

/// A caller's key. Nobody may print it: the secret of what is made under it comes of it.
#[derive(Clone)]
pub struct Key(Secret);

/// A text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{HEADER}` has to be {MIN_KEY} to {MAX_KEY} letters, digits and signs that nobody guesses, such as a random UUID, \
     another for each thing to be made"
)]
pub struct NoKey;

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let is_one = (MIN_KEY..=MAX_KEY).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
        is_one.then(|| Self(Secret::new(text.to_owned()))).ok_or(NoKey)
    }
}

impl Key {
    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose()).into()
    }

    fn secret(&self, salt: &[u8; 32]) -> TokenSecret {
        let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
        mac.update(b"postern/once/v1");
        mac.update(self.0.expose().as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// The secret of a token.
pub type TokenSecret = Zeroizing<[u8; 32]>;

/// A request to make something under a key.
#[derive(Clone)]
pub struct Asked {
    /// Whose key it is.
    pub by: ApiTokenId,
    /// The role of that token.
    pub role: Role,
    /// The key.
    pub key: Key,
    /// SHA-256 over what is to be made.
    pub what: [u8; 32],
}

/// What was made, now or before.
#[derive(Debug)]
pub struct Done<T> {
    /// What it is.
    pub it: T,
    /// It was made when the same was asked before.
    pub again: bool,
}

impl<T> Done<T> {
    /// What is told of it behind its name.
    pub const fn told(&self) -> &'static str {
        if self.again { ", again" } else { "" }
    }
}

/// Something that is to be made, unless somebody else is first.
pub(super) struct Making<T> {
    /// What its caller is told.
    pub(super) it: T,
    /// What is known of it under the key.
    pub(super) made: Made,
    /// What the ledger keeps.
    pub(super) write: Write,
}

/// Whose key, and its hash.
type Place = (ApiTokenId, [u8; 32]);

/// The keys that are known.
pub(super) struct Once {
    records: BTreeMap<Place, OnceRecord>,
    /// The oldest first, by a clock that may have been put back since.
    by_age: BTreeSet<(UnixMillis, Place)>,
}

impl Once {
    pub(super) fn restore(records: Vec<OnceRecord>) -> Self {
        let by_age = records.iter().map(|it| (it.at, it.place())).collect();
        Self { records: records.into_iter().map(|it| (it.place(), it)).collect(), by_age }
    }

    fn check_room(&self, asked: &Asked) -> Result<(), Refusal> {
        let full = |sentence| Err(Refusal { kind: RefusalKind::Overloaded, field: Some(HEADER), message: sentence });
        let (most, who) = match asked.role {
            Role::Administrator => (MAX_KEYS, ""),
            Role::Viewer | Role::Operator => (MAX_KEYS - RESERVE, "with an administrator's token, "),
        };
        if self.records.len() >= most {
            return full(format!("{most} keys are known, each for a day: ask {who}without `{HEADER}`, or tomorrow"));
        }
        let mine = (asked.by, [0; 32])..=(asked.by, [u8::MAX; 32]);
        if self.records.range(mine).count() >= MAX_OF_TOKEN {
            return full(format!(
                "{MAX_OF_TOKEN} keys of this token are known, each for a day: ask with another token, without `{HEADER}`, or \
                 tomorrow"
            ));
        }
        Ok(())
    }
}

impl OnceRecord {
    fn place(&self) -> Place {
        (self.by, self.key)
    }
}

impl State {
    /// Makes something; or finds what was made when the same was asked under the same key. With what is made its key
    /// becomes durable, in the same write.
    pub(super) fn once<T>(
        &mut self,
        asked: Option<&Asked>,
        at: Moment,
        find: impl FnOnce(&Self, &OnceRecord, &TokenSecret) -> Option<T>,
        make: impl FnOnce(&mut Self, &TokenSecret) -> Result<Making<T>, Refusal>,
    ) -> Result<Done<T>, Refusal> {
        let Some(asked) = asked else {
            let Making { it, write, .. } = make(self, &random::secret())?;
            self.writes.push(write);
            return Ok(Done { it, again: false });
        };
        let place = (asked.by, asked.key.hash());
        if let Some(record) = self.once.records.get(&place) {
            if record.what != asked.what {
                let message = format!(
                    "another request came with this `{HEADER}` within the last day: choose a new key for each thing to \
                     be made"
                );
                return Err(Refusal::field(HEADER, message));
            }
            let found = find(self, record, &asked.key.secret(&record.salt));
            return found.map(|it| Done { it, again: true }).ok_or_else(|| gone(&record.made));
        }
        self.once.check_room(asked)?;
        let salt = random::bytes();
        let Making { it, made, write } = make(self, &asked.key.secret(&salt))?;
        let record = OnceRecord { by: asked.by, key: place.1, what: asked.what, salt, made, at: at.wall };
        self.once.records.insert(place, record.clone());
        self.once.by_age.insert((at.wall, place));
        self.writes.push(Write::Once(record, Box::new(write)));
        Ok(Done { it, again: false })
    }

    pub(super) fn forget_old_keys(&mut self, at: Moment) {
        for _ in 0..MAX_FORGOTTEN {
            let oldest = self.once.by_age.first();
            let Some((_, place)) = oldest.copied().filter(|(made, _)| clock::after(*made, KNOWN) <= at.wall) else {
                return;
            };
            self.once.by_age.pop_first();
            self.once.records.remove(&place);
            self.writes.push(Write::ForgetOnce(place.0, place.1));
        }
    }
}

fn gone(made: &Made) -> Refusal {
    let what = match made {
        Made::EnrollmentToken(id) => format!("enrollment token {id}"),
        Made::ApiToken(id) => format!("API token {id}"),
        Made::System(name) => format!("connected system `{name}`"),
        Made::Payload(id) => format!("payload {id}"),
    };
    Refusal {
        kind: RefusalKind::Conflict,
        field: Some(HEADER),
        message: format!("{what} was made under this `{HEADER}` and is gone since: choose a new key to make another"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::lab;

    const TEXT: &str = "0195d8a0-0000-7000-8000-000000000001";

    fn asked(by: u8, role: Role, key: &str) -> Asked {
        Asked { by: ApiTokenId::from_bytes([by; 16]), role, key: key.parse().unwrap(), what: [1; 32] }
    }

    /// Keep the secret, or the key in place of its hash, and this fails.
    #[test]
    fn what_is_kept_of_a_key_gives_neither_the_key_nor_a_secret_that_was_made_under_it() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        let asked = asked(1, Role::Administrator, TEXT);
        let made = state.create_api_token("new".parse().unwrap(), Role::Viewer, None, Some(&asked), at).unwrap();
        let (_, secret) = made.it.1.text.expose().split_once('.').unwrap();
        let writes = state.end_turn().writes;
        let Some(Write::Once(record, _)) = writes.first() else { panic!("it is made under a key") };
        let kept = serde_json::to_string(record).unwrap();
        assert!(!kept.contains(secret) && !kept.contains(TEXT), "{kept}");
        let other: Key = format!("{TEXT}0").parse().unwrap();
        assert_ne!(*asked.key.secret(&record.salt), *other.secret(&record.salt));
        assert_ne!(*asked.key.secret(&record.salt), *asked.key.secret(&[0; 32]));
    }

    /// Forget nothing, and after some days nobody is given a key.
    #[test]
    fn a_key_is_known_for_a_day_and_then_makes_another() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_cluster("acme".parse().unwrap(), at).unwrap();
        let asked = asked(1, Role::Administrator, TEXT);
        let mut make = |at| state.create_token("acme".parse().unwrap(), Some(&asked), at).map(|it| it.again);
        assert!(!make(at).unwrap() && make(at).unwrap());
        let day = KNOWN.as_millis().try_into().unwrap();
        let later = |millis: u64| Moment { wall: UnixMillis(at.wall.0 + millis), ..at };
        state.tick(later(day - 1));
        let gone = state.create_token("acme".parse().unwrap(), Some(&asked), later(day - 1)).map(drop);
        assert_eq!(gone.unwrap_err().kind, RefusalKind::Conflict, "the token ran out long before");
        state.tick(later(day));
        assert!(!state.create_token("acme".parse().unwrap(), Some(&asked), later(day)).unwrap().again);
        assert_eq!(state.once.by_age.len(), 1);
    }

    /// Forget them in the order in which they came, and after an hour in which the clock was a month ahead none is forgotten for
    /// a month.
    #[test]
    fn a_key_of_a_time_in_which_the_clock_was_ahead_keeps_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_cluster("acme".parse().unwrap(), at).unwrap();
        let later = |days| Moment { wall: clock::after(at.wall, KNOWN * days), ..at };
        for (by, made) in [(1, later(30)), (2, at)] {
            let asked = asked(by, Role::Administrator, TEXT);
            state.create_token("acme".parse().unwrap(), Some(&asked), made).unwrap();
        }
        state.tick(later(1));
        let left: Vec<ApiTokenId> = state.once.records.keys().map(|(by, _)| *by).collect();
        assert_eq!(left, [ApiTokenId::from_bytes([1; 16])]);
        state.tick(later(31));
        assert!(state.once.records.is_empty());
    }

    /// Count all keys alike, and operators' uploads keep administrators from making tokens.
    #[test]
    fn a_token_has_so_many_keys_and_some_are_left_for_administrators() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_cluster("acme".parse().unwrap(), at).unwrap();
        let record = |by: u8, number: usize| OnceRecord {
            by: ApiTokenId::from_bytes([by; 16]),
            key: Sha256::digest(number.to_be_bytes()).into(),
            what: [0; 32],
            salt: [0; 32],
            made: Made::System("sf".parse().unwrap()),
            at: at.wall,
        };
        let room = |state: &State, by, role| state.once.check_room(&asked(by, role, TEXT));
        state.once = Once::restore((0..MAX_OF_TOKEN).map(|number| record(1, number)).collect());
        let refused = room(&state, 1, Role::Administrator).unwrap_err();
        assert_eq!((refused.kind, refused.field), (RefusalKind::Overloaded, Some(HEADER)));
        assert!(refused.message.contains("with another token"), "a command gives a key each time: {}", refused.message);
        assert!(room(&state, 2, Role::Operator).is_ok());
        let all = (0..MAX_KEYS - RESERVE).map(|number| record(u8::try_from(number % 10).unwrap() + 10, number));
        state.once = Once::restore(all.collect());
        let refused = room(&state, 1, Role::Operator).unwrap_err().message;
        assert!(refused.contains("15000 keys") && refused.contains("with an administrator's token"), "{refused}");
        assert!(room(&state, 1, Role::Administrator).is_ok());
        let all = (0..MAX_KEYS).map(|number| record(u8::try_from(number % 10).unwrap() + 10, number));
        state.once = Once::restore(all.collect());
        assert!(room(&state, 1, Role::Administrator).is_err());
        assert!(state.create_token("acme".parse().unwrap(), None, at).is_ok(), "it can be asked for without a key");
    }
}
