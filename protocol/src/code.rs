//! Numbers from sets that may grow: codes.
//!
//! A closed enum on the wire would make every old peer choke on a new value. A code travels as a `u16` that may be
//! unknown to the reader; [`Code::known`] says whether it is.

use std::fmt;
use std::marker::PhantomData;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

/// A set of named numbers, declared with [`codes!`](crate::codes).
pub trait CodeSet: Copy + 'static {
    /// The number of this value on the wire.
    fn code(self) -> u16;
    /// The value with this number, if this version knows it.
    fn from_code(code: u16) -> Option<Self>;
    /// The name people and JSON use.
    fn name(self) -> &'static str;
}

/// A number that may or may not be in the set `E` as this version knows it.
pub struct Code<E>(u16, PhantomData<E>);

impl<E: CodeSet> Code<E> {
    /// The value, if this version knows the number.
    pub fn known(self) -> Option<E> {
        E::from_code(self.0)
    }

    /// The number itself.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl<E: CodeSet> From<E> for Code<E> {
    fn from(value: E) -> Self {
        Self(value.code(), PhantomData)
    }
}

impl<E> Clone for Code<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Code<E> {}

impl<E> PartialEq for Code<E> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<E> Eq for Code<E> {}

impl<E: CodeSet> fmt::Display for Code<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(value) => f.write_str(value.name()),
            None => write!(f, "code {}", self.0),
        }
    }
}

impl<E: CodeSet> fmt::Debug for Code<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E> Encode for Code<E> {
    fn encode<C: Encoder>(&self, encoder: &mut C) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<Context, E> Decode<Context> for Code<E> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        u16::decode(decoder).map(|number| Self(number, PhantomData))
    }
}

impl<'de, Context, E> BorrowDecode<'de, Context> for Code<E> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl<E: CodeSet> serde::Serialize for Code<E> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, E: CodeSet + serde::Deserialize<'de>> serde::Deserialize<'de> for Code<E> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        E::deserialize(deserializer).map(Self::from)
    }
}

/// Declares a [`CodeSet`]: an enum with a number and a name for each value. Append only: numbers are for ever.
#[macro_export]
macro_rules! codes {
    ($(#[$meta:meta])* $visibility:vis enum $set:ident {
        $($(#[$value_meta:meta])* $number:literal $value:ident = $name:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $set {
            $($(#[$value_meta])* $value,)*
        }

        impl $set {
            /// Every value this version knows.
            pub const ALL: &[Self] = &[$(Self::$value,)*];
        }

        impl $crate::code::CodeSet for $set {
            fn code(self) -> u16 {
                match self { $(Self::$value => $number,)* }
            }

            fn from_code(code: u16) -> Option<Self> {
                match code { $($number => Some(Self::$value),)* _ => None }
            }

            fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }
        }

        impl std::fmt::Display for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::code::CodeSet::name(*self))
            }
        }

        impl std::str::FromStr for $set {
            type Err = $crate::code::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$value),)*
                    _ => Err($crate::code::UnknownName {
                        name: text.chars().take(64).collect(),
                        known: &[$($name,)*],
                    }),
                }
            }
        }

        impl serde::Serialize for $set {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::code::CodeSet::name(*self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $set {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A word that is not one of the names of a [`CodeSet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not one of: {}", known.join(", "))]
pub struct UnknownName {
    /// The word.
    pub name: String,
    /// The words it could have been.
    pub known: &'static [&'static str],
}
