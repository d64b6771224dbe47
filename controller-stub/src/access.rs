//! Who may use the API: roles, and the life of a token's text. No I/O.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use postern_protocol::Secret;
use postern_protocol::id::ApiTokenId;
use postern_protocol::time::UnixMillis;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::state::once::TokenSecret;
use crate::{hex, random};

/// What a token is good for. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks: at tasks, members, systems, never at sealed values or results.
    Viewer,
    /// Submits and cancels tasks, fetches what came of them, lets members work or rest.
    Operator,
    /// Everything: who belongs to the controller, what it serves, and who may use its API.
    Administrator,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Administrator];

    /// Its name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What is kept of a token's secret.
///
/// A plain SHA-256, because the secret is 32 random bytes: there is no list of likely ones to try, which is what a slow
/// hash with a salt is against. Compared in constant time alone: it has no `PartialEq`.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(secret: &[u8; 32]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether it is the hash of this token's secret.
    pub fn is_of(&self, token: &Presented) -> bool {
        self.0.ct_eq(&Self::of(&token.secret).0).into()
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::deserialize(deserializer).map(Self)
    }
}

/// A token that was just made: nobody can make its text again.
pub struct Made {
    /// Its id.
    pub id: ApiTokenId,
    /// What is kept of it.
    pub hash: TokenHash,
    /// What its holder is given: the id, a dot and the secret.
    pub text: Secret,
}

/// Makes a token.
pub fn make(wall: UnixMillis) -> Made {
    make_of(&random::secret(), wall)
}

/// Makes a token of a secret.
pub fn make_of(secret: &TokenSecret, wall: UnixMillis) -> Made {
    Made::of(ApiTokenId::from_random(wall.0, random::bytes()), secret)
}

impl Made {
    /// The token of this id, whose secret this is.
    pub fn of(id: ApiTokenId, secret: &TokenSecret) -> Self {
        Self { id, hash: TokenHash::of(secret), text: Secret::new(format!("{id}.{}", HEXLOWER.encode(&**secret))) }
    }
}

/// What a caller shows.
pub struct Presented {
    /// The token it means: not secret, so it may be looked up.
    pub id: ApiTokenId,
    secret: Zeroizing<[u8; 32]>,
}

/// A text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

impl FromStr for Presented {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (id, secret) = text.trim().split_once('.').ok_or(NoToken)?;
        let secret = hex::decode(secret).map(Zeroizing::new).ok_or(NoToken)?;
        Ok(Self { id: id.parse().map_err(|_| NoToken)?, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    #[test]
    fn a_token_is_known_by_its_hash_and_no_other_is() {
        let (mine, other) = (make(NOW), make(NOW));
        let shown: Presented = mine.text.expose().parse().ok().unwrap();
        assert_eq!(shown.id, mine.id);
        assert!(mine.hash.is_of(&shown));
        assert!(!other.hash.is_of(&shown));
    }

    /// Keep the secret in place of its hash and this fails.
    #[test]
    fn what_is_kept_of_a_token_does_not_hold_its_secret() {
        let made = make(NOW);
        let (_, secret) = made.text.expose().split_once('.').unwrap();
        let kept = serde_json::to_string(&made.hash).unwrap();
        assert!(!kept.contains(secret));
        let read: TokenHash = serde_json::from_str(&kept).unwrap();
        assert!(read.is_of(&made.text.expose().parse().ok().unwrap()));
    }

    #[test]
    fn what_is_no_token_is_told_apart_before_anything_is_looked_up() {
        let made = make(NOW);
        let text = made.text.expose();
        for wrong in ["", ".", "hunter2", &text[..text.len() - 1], &text.replace('.', ""), &text.replace("apt", "tok")]
        {
            assert!(wrong.parse::<Presented>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_role_may_do_what_the_ones_before_it_may() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Administrator);
    }
}
