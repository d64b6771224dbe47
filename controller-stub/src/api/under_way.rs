//! How many requests are under way, by token: nobody who waits, or takes his time, shuts others out of the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use postern_protocol::id::ApiTokenId;

use super::Problem;
use crate::access::Role;
use crate::limits::{Share, UNDER_WAY, WATCHERS};

/// After how many seconds to ask again: a request that waits for an outcome ends within a minute, most others at once.
const AGAIN: u64 = 1;

#[derive(Debug, Default)]
struct Counts {
    by_token: BTreeMap<ApiTokenId, usize>,
    all: usize,
    below_administrators: usize,
}

/// The requests of a kind that are under way. Clones are the same count.
#[derive(Debug, Clone)]
pub(super) struct UnderWay {
    /// What they are called.
    what: &'static str,
    share: Share,
    counts: Arc<Mutex<Counts>>,
}

impl UnderWay {
    /// Of every kind.
    pub(super) fn requests() -> Self {
        Self { what: "requests", share: UNDER_WAY, counts: Arc::default() }
    }

    /// Those that watch what changes.
    pub(super) fn watchers() -> Self {
        Self { what: "watchers", share: WATCHERS, counts: Arc::default() }
    }

    /// Counts a request of this token until what is returned is dropped, if it is not one too many.
    pub(super) fn begin(&self, token: ApiTokenId, role: Role) -> Result<Begun, Problem> {
        let Share { of_token, all, below_administrators } = self.share;
        let is_below = role < Role::Administrator;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = counts.by_token.get(&token).copied().unwrap_or_default();
        let what = self.what;
        if mine >= of_token {
            return Err(too_many(&format!("{of_token} {what} of this token are under way")));
        }
        if is_below && counts.below_administrators >= below_administrators {
            return Err(too_many(&format!(
                "{below_administrators} {what} are under way, and what is left is for administrators"
            )));
        }
        if counts.all >= all {
            return Err(too_many(&format!("{all} {what} are under way")));
        }
        counts.by_token.insert(token, mine + 1);
        counts.all += 1;
        counts.below_administrators += usize::from(is_below);
        Ok(Begun { counts: self.counts.clone(), token, is_below })
    }
}

fn too_many(what: &str) -> Problem {
    let detail = format!("{what}: try again when some have ended");
    Problem { retry_after: Some(AGAIN), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail) }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Begun {
    counts: Arc<Mutex<Counts>>,
    token: ApiTokenId,
    is_below: bool,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        counts.below_administrators -= usize::from(self.is_below);
        let left = counts.by_token.remove(&self.token).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            counts.by_token.insert(self.token, left);
        }
    }
}
