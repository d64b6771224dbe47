//! Texts, byte strings and lists that carry their limit in their type.
//!
//! On the wire each is a `u32` count, little-endian, followed by its items. The count is checked against the limit
//! *before* anything is allocated or looped over: a limit on bytes alone does not stop a list of a billion items
//! that take no bytes each.

use std::fmt;
use std::ops::Deref;

use bincode::de::{BorrowDecoder, Decoder, read::Reader};
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize};

/// A value was longer than the place for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} {unit} is more than the {limit} allowed here")]
pub struct TooLong {
    /// How long the value was.
    pub length: usize,
    /// How long it may be.
    pub limit: usize,
    /// What was counted: `bytes` or `items`.
    pub unit: &'static str,
}

fn fits(length: usize, limit: usize, unit: &'static str) -> Result<(), TooLong> {
    if length > limit { Err(TooLong { length, limit, unit }) } else { Ok(()) }
}

fn encode_count<E: Encoder>(count: usize, encoder: &mut E) -> Result<(), EncodeError> {
    u32::try_from(count).map_err(|_| EncodeError::Other("a count beyond 32 bits"))?.encode(encoder)
}

fn decode_count<D: Decoder>(limit: usize, decoder: &mut D) -> Result<usize, DecodeError> {
    let count =
        usize::try_from(u32::decode(decoder)?).map_err(|_| DecodeError::Other("a count beyond this machine"))?;
    if count > limit {
        return Err(DecodeError::Other("a count beyond its limit"));
    }
    Ok(count)
}

fn decode_bytes<D: Decoder>(limit: usize, decoder: &mut D) -> Result<Vec<u8>, DecodeError> {
    let count = decode_count(limit, decoder)?;
    decoder.claim_bytes_read(count)?;
    let mut bytes = vec![0; count];
    decoder.reader().read(&mut bytes)?;
    Ok(bytes)
}

/// UTF-8 text of at most `MAX` bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Takes a text that fits.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        fits(text.len(), MAX, "bytes")?;
        Ok(Self(text))
    }

    /// Takes a text and cuts it at a character boundary if it is too long. For words meant for people only.
    pub fn clipped(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > MAX {
            text.truncate(text.floor_char_boundary(MAX));
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<const MAX: usize> Encode for Text<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_count(self.0.len(), encoder)?;
        encoder.writer().write(self.0.as_bytes())
    }
}

impl<Context, const MAX: usize> Decode<Context> for Text<MAX> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes = decode_bytes(MAX, decoder)?;
        String::from_utf8(bytes).map(Self).map_err(|_| DecodeError::Other("a text that is not UTF-8"))
    }
}

/// At most `MAX` bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// Takes bytes that fit.
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        fits(bytes.len(), MAX, "bytes")?;
        Ok(Self(bytes))
    }

    /// The bytes, owned.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> Deref for Bytes<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl<const MAX: usize> Encode for Bytes<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_count(self.0.len(), encoder)?;
        encoder.writer().write(&self.0)
    }
}

impl<Context, const MAX: usize> Decode<Context> for Bytes<MAX> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_bytes(MAX, decoder).map(Self)
    }
}

/// At most `MAX` items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes items that fit.
    pub fn new(items: Vec<T>) -> Result<Self, TooLong> {
        fits(items.len(), MAX, "items")?;
        Ok(Self(items))
    }

    /// Takes the first `MAX` items and drops the others. For notes meant for people only.
    pub fn clipped(mut items: Vec<T>) -> Self {
        items.truncate(MAX);
        Self(items)
    }

    /// The items, owned.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_count(self.0.len(), encoder)?;
        self.0.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<Context, T: Decode<Context>, const MAX: usize> Decode<Context> for List<T, MAX> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = decode_count(MAX, decoder)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::decode(decoder)?);
        }
        Ok(Self(items))
    }
}

// bincode asks for both traits; none of these types borrows.
impl<'de, Context, const MAX: usize> BorrowDecode<'de, Context> for Text<MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl<'de, Context, const MAX: usize> BorrowDecode<'de, Context> for Bytes<MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl<'de, Context, T: Decode<Context>, const MAX: usize> BorrowDecode<'de, Context> for List<T, MAX> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Nothing;

    /// Take the check out of `decode_count` and this decodes four billion items from four bytes.
    #[test]
    fn f54_a_list_of_items_without_bytes_is_refused_before_the_loop() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(codec::decode::<List<Nothing, 8>>(&bytes).is_err());
    }

    #[test]
    fn a_text_beyond_its_limit_is_refused_on_both_sides() {
        assert!(Text::<3>::new("four").is_err());
        let longer = codec::encode(&Text::<8>::new("four").unwrap()).unwrap();
        assert!(codec::decode::<Text<3>>(&longer).is_err());
        assert_eq!(codec::decode::<Text<4>>(&longer).unwrap().as_str(), "four");
    }

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(Text::<3>::clipped("aéé").as_str(), "aé");
        assert_eq!(Text::<2>::clipped("aéé").as_str(), "a");
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_refused() {
        let bytes = codec::encode(&Bytes::<4>::new(vec![0xff, 0xfe]).unwrap()).unwrap();
        assert!(codec::decode::<Text<4>>(&bytes).is_err());
    }
}
