//! Identifiers that cannot be mistaken for one another.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::UnixMillis;

/// A text is not the identifier or name that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no {what}: expected {expected}")]
pub struct InvalidId {
    /// What was expected, as people call it.
    pub what: &'static str,
    /// The form it should have had.
    pub expected: &'static str,
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_text<'de, T: FromStr<Err = InvalidId>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal) => {
        $(#[$doc])*
        ///
        /// Sixteen bytes, a version 7 UUID: ids made later sort later. The text form has a prefix and 32
        /// hexadecimal digits.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes an id from the time of its making, in milliseconds since 1970, and ten random bytes.
            pub fn from_random(unix_millis: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid().into_bytes())
            }

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes as they travel.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// When it was made, as whoever made it says.
            pub fn made(&self) -> UnixMillis {
                let [a, b, c, d, e, f, ..] = self.0;
                UnixMillis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), uuid::Uuid::from_bytes(self.0).simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| uuid::Uuid::try_parse(hex).ok())
                    .map(|uuid| Self(uuid.into_bytes()))
                    .ok_or(InvalidId {
                        what: $what,
                        expected: concat!("`", $prefix, "` and 32 hexadecimal digits"),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                as_text(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    };
}

id! {
    /// One unit of work somebody asked for.
    TaskId, "id of a task", "tsk_"
}
id! {
    /// One enrolled agent.
    MemberId, "id of a member", "mbr_"
}
id! {
    /// One enrollment token.
    TokenId, "id of an enrollment token", "tok_"
}
id! {
    /// One token for a controller's API.
    ApiTokenId, "id of an API token", "apt_"
}
id! {
    /// One payload too big for a frame.
    StreamId, "id of a payload", "str_"
}
id! {
    /// One life of an agent's store: a new one is made when a store is created or had to be given up.
    Incarnation, "incarnation of a store", "inc_"
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The fencing number of a lease or of a member's state. It only grows; whoever holds an older one is ignored.
    Epoch
}
number! {
    /// The number of a session of one member. It only grows, so a member restored from a backup is noticed.
    SessionNo
}
number! {
    /// The number of a report of one store incarnation, from 1 without gaps.
    ReportNo
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 63 characters: lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The longest name, in bytes.
            pub const MAX: usize = 63;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId {
                        what: $what,
                        expected: "1 to 63 lower-case letters, digits, `-`, `_` or `.`, the first a letter or digit",
                    })
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                as_text(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }

        impl Encode for $name {
            fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
                crate::bounded::Text::<63>::clipped(self.0.as_str()).encode(encoder)
            }
        }

        impl<Context> Decode<Context> for $name {
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let text = crate::bounded::Text::<63>::decode(decoder)?;
                text.parse().map_err(|_| bincode::error::DecodeError::Other(concat!("a text that is no ", $what)))
            }
        }

        bincode::impl_borrow_decode!($name);
    };
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 63
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'))
}

name! {
    /// The members that share tasks, under one controller.
    ClusterName, "name of a cluster"
}
name! {
    /// One connected system, e.g. one Salesforce org.
    SystemName, "name of a connected system"
}
name! {
    /// One token for a controller's API, as people call it.
    ApiTokenName, "name of an API token"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_type_is_refused_with_the_form_that_was_expected() {
        let member = MemberId::from_random(1, [7; 10]).to_string();
        let error = member.parse::<TaskId>().unwrap_err();
        assert_eq!(error.to_string(), "this is no id of a task: expected `tsk_` and 32 hexadecimal digits");
    }

    #[test]
    fn an_id_survives_its_text_form() {
        let id = TaskId::from_random(1_795_000_000_000, [3; 10]);
        assert_eq!(id.made(), UnixMillis(1_795_000_000_000));
        assert_eq!(id.to_string().parse::<TaskId>().unwrap(), id);
    }

    #[test]
    fn names_are_plain() {
        for good in ["acme", "a", "acme-prod.eu_1", "9lives"] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "-acme", "a b", "a/b", &"a".repeat(64)] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
    }
}
