//! How many requests are under way, by token: nobody who waits, or takes his time, shuts others out of the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use postern_protocol::id::ApiTokenId;

use super::Problem;
use crate::access::Role;
use crate::limits::{MAX_UNDER_WAY, MAX_UNDER_WAY_BELOW};

/// After how many seconds to ask again: a request that waits for an outcome ends within a minute, most others at once.
const AGAIN: u64 = 1;

#[derive(Debug, Default)]
struct Counts {
    by_token: BTreeMap<ApiTokenId, usize>,
    below_administrators: usize,
}

/// The requests that are under way. Clones are the same count.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<Counts>>);

impl UnderWay {
    /// Counts a request of this token until what is returned is dropped, if it is not one too many.
    pub(super) fn begin(&self, token: ApiTokenId, role: Role) -> Result<Begun, Problem> {
        let is_below = role < Role::Administrator;
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_token = counts.by_token.get(&token).copied().unwrap_or_default();
        if of_token >= MAX_UNDER_WAY {
            return Err(too_many(&format!("{MAX_UNDER_WAY} requests of this token are under way")));
        }
        if is_below && counts.below_administrators >= MAX_UNDER_WAY_BELOW {
            return Err(too_many(&format!(
                "{MAX_UNDER_WAY_BELOW} requests are under way, and what is left is for administrators"
            )));
        }
        counts.by_token.insert(token, of_token + 1);
        counts.below_administrators += usize::from(is_below);
        Ok(Begun { counts: self.clone(), token, is_below })
    }
}

fn too_many(what: &str) -> Problem {
    let detail = format!("{what}: try again when some have ended");
    Problem { retry_after: Some(AGAIN), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail) }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Begun {
    counts: UnderWay,
    token: ApiTokenId,
    is_below: bool,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.below_administrators -= usize::from(self.is_below);
        let left = counts.by_token.remove(&self.token).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            counts.by_token.insert(self.token, left);
        }
    }
}
