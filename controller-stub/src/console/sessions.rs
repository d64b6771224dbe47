//! Who is signed in to the console. In memory alone: a controller that starts again asks everybody to sign in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use postern_protocol::Timestamp;
use postern_protocol::id::ApiTokenId;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use crate::random;

/// How long somebody stays signed in: a working day.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions of one token: the browsers of one person, several times over.
const MAX_OF_TOKEN: usize = 8;
/// The most sessions: some hundred KiB.
const MAX: usize = 1024;

/// What a browser shows to be who signed in.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Who signed in, and where.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// With which token.
    pub(crate) token: ApiTokenId,
    /// From which page; whatever changes something has to come from there.
    pub(crate) origin: HeaderValue,
    /// Cancelled when it has ended before its time, or its token is no longer good.
    pub(crate) over: CancellationToken,
    /// When it ends at the latest.
    pub(crate) ends: Timestamp,
}

/// A session that is over as soon as it stands in the table no longer.
type Kept = (Session, DropGuard);

/// The sessions, by the hash of their keys: what is looked up says nothing about a key that is only almost right.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<BTreeMap<[u8; 32], Kept>>>);

impl Sessions {
    /// Opens a session of a token, which is over when the token is. Of a token that has too many, and of too many at all,
    /// the oldest makes room.
    pub(crate) fn open(
        &self,
        token: ApiTokenId,
        over: &CancellationToken,
        origin: &HeaderValue,
        now: Timestamp,
    ) -> Key {
        let key: Key = random::secret();
        let session = Session { token, origin: origin.clone(), over: over.child_token(), ends: now + LIFE };
        let guard = session.over.clone().drop_guard();
        let mut sessions = self.lock();
        sessions.retain(|_, (it, _)| now < it.ends && !it.over.is_cancelled());
        make_room(&mut sessions, MAX_OF_TOKEN, |it| it.token == token);
        make_room(&mut sessions, MAX, |_| true);
        sessions.insert(hash(&key), (session, guard));
        key
    }

    /// The session of this key, unless it has ended.
    pub(crate) fn find(&self, key: &Key, now: Timestamp) -> Option<Session> {
        self.lock().get(&hash(key)).map(|(it, _)| it).filter(|it| now < it.ends && !it.over.is_cancelled()).cloned()
    }

    /// Ends the session of this key.
    pub(crate) fn close(&self, key: &Key) {
        self.lock().remove(&hash(key));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves room for one more of these within `max`.
fn make_room(sessions: &mut BTreeMap<[u8; 32], Kept>, max: usize, is_one: impl Fn(&Session) -> bool) {
    let those = sessions.iter().filter(|(_, (it, _))| is_one(it));
    let mut those: Vec<_> = those.map(|(hash, (it, _))| (it.ends, *hash)).collect();
    those.sort_unstable();
    for (_, hash) in those.iter().take((those.len() + 1).saturating_sub(max)) {
        sessions.remove(hash);
    }
}

fn hash(key: &Key) -> [u8; 32] {
    Sha256::digest(**key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: HeaderValue = HeaderValue::from_static("http://127.0.0.1:7080");

    fn token(number: u16) -> ApiTokenId {
        let [high, low] = number.to_be_bytes();
        ApiTokenId::from_bytes([high, low, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
    }

    #[test]
    fn a_session_is_known_by_its_key_until_it_ends() {
        let (sessions, begin) = (Sessions::default(), Timestamp::from_millis(5));
        let key = sessions.open(token(1), &CancellationToken::new(), &ORIGIN, begin);
        let session = sessions.find(&key, begin).unwrap();
        assert!(session.token == token(1) && !session.over.is_cancelled());
        assert!(sessions.find(&Key::new([0; 32]), begin).is_none());
        assert!(sessions.find(&key, begin + LIFE).is_none());
        sessions.close(&key);
        assert!(sessions.find(&key, begin).is_none());
        assert!(session.over.is_cancelled(), "what waits under it ends");
    }

    /// Its token may be good again, after a clock that was ahead; what is done under it would still be cut off.
    #[test]
    fn a_session_whose_token_was_over_for_a_moment_is_over() {
        let (sessions, over, now) = (Sessions::default(), CancellationToken::new(), Timestamp::from_millis(5));
        let key = sessions.open(token(1), &over, &ORIGIN, now);
        over.cancel();
        assert!(sessions.find(&key, now).is_none());
    }

    /// Leave one of the two bounds out and this fails.
    #[test]
    fn of_too_many_sessions_the_oldest_make_room() {
        let (sessions, over) = (Sessions::default(), CancellationToken::new());
        let at = |number: usize| Timestamp::from_millis(u64::try_from(number).unwrap());
        let mine: Vec<Key> = (0..=MAX_OF_TOKEN).map(|it| sessions.open(token(1), &over, &ORIGIN, at(it))).collect();
        let known = |key: &Key| sessions.find(key, at(9)).is_some();
        assert_eq!(mine.iter().map(known).filter(|it| *it).count(), MAX_OF_TOKEN);
        assert!(!known(&mine[0]) && known(&mine[1]));
        for number in 2..=1024 {
            sessions.open(token(number), &over, &ORIGIN, at(9));
        }
        assert_eq!(sessions.lock().len(), MAX);
        assert!(!known(&mine[1]), "it was the oldest of all");
    }
}
