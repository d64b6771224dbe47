//! `Idempotency-Key`: whoever lost an answer asks again, and nothing is made twice.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Problem;
use super::auth::Caller;
use super::described::{Operation, Taken};
use crate::state::once::{Asked, HEADER, Key, MAX_KEY, MIN_KEY, NoKey};

/// The key that a caller gave, if it gave one.
pub(super) struct IdempotencyKey(Option<Key>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl IdempotencyKey {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut given = headers.get_all(HEADER).iter();
        let Some(key) = given.next() else { return Ok(Self(None)) };
        if given.next().is_some() {
            return Err(Problem::field(HEADER, format!("`{HEADER}` is there twice")));
        }
        let key = key.to_str().map_err(|_| NoKey).and_then(str::parse);
        key.map(|key| Self(Some(key))).map_err(|error| Problem::field(HEADER, error.to_string()))
    }

    /// What a caller asks for under it, of which this is all that matters.
    pub(super) fn asked(self, caller: &Caller, what: &[&[u8]]) -> Option<Asked> {
        let begin = Sha256::new_with_prefix(caller.act).chain_update([0]);
        let what = what.iter().fold(begin, Sha256::chain_update).finalize().into();
        self.0.map(|key| Asked { by: caller.token(), role: caller.role(), key, what })
    }
}

impl Taken for IdempotencyKey {
    fn describe(operation: &mut Operation<'_>) {
        let description = "A random text that the caller chooses, such as a UUID, to ask again for an answer that was lost. \
                           Within a day the same request under the same key makes nothing more and is answered with what was \
                           made, a token with its secret; another request under it is refused.";
        let schema = json!({
            "type": "string", "minLength": MIN_KEY, "maxLength": MAX_KEY, "pattern": "^[!-~]+$", "description": description,
        });
        operation.parameter("header", HEADER, false, schema);
    }
}
