//! How a registered struct becomes bytes, with bincode as the library behind it.
//!
//! Fixed-width integers, little-endian, no padding. Decoding must consume every byte, within [`LIMIT`]; counts are
//! bounded by the types in [`bounded`](crate::bounded).

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

/// The most bytes an encoding may have: as large as a frame, whose header [`frame`](crate::frame) takes off.
pub const LIMIT: usize = 128 * 1024;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<LIMIT>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>();

/// Why bytes could not become a value, or a value bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes are not an encoding of the expected struct.
    #[error("the bytes are not what was expected: {reason}")]
    Malformed {
        /// What the decoder stumbled over.
        reason: String,
    },
    /// The struct was complete but bytes were left over.
    #[error("{count} bytes too many")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The value is larger than [`LIMIT`].
    #[error("{length} bytes do not fit into a frame of {LIMIT}")]
    TooLarge {
        /// The size of its encoding.
        length: usize,
    },
}

/// The bytes of `value`.
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::encode_to_vec(value, CONFIG)
        .map_err(|_| CodecError::Malformed { reason: "they cannot be written".to_owned() })?;
    if bytes.len() > LIMIT {
        return Err(CodecError::TooLarge { length: bytes.len() });
    }
    Ok(bytes)
}

/// The value whose encoding is exactly `bytes`.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) =
        bincode::decode_from_slice(bytes, CONFIG).map_err(|error| CodecError::Malformed { reason: reason(error) })?;
    match bytes.len() - used {
        0 => Ok(value),
        count => Err(CodecError::TrailingBytes { count }),
    }
}

/// What the decoder stumbled over, in words: what it says itself is Rust.
#[allow(clippy::wildcard_enum_match_arm, reason = "the decoder's may grow")]
fn reason(error: DecodeError) -> String {
    match error {
        DecodeError::UnexpectedEnd { .. } => "they end too early".to_owned(),
        DecodeError::LimitExceeded => "they are longer than a frame".to_owned(),
        DecodeError::Utf8 { .. } => "a text is not UTF-8".to_owned(),
        DecodeError::Other(what) => what.to_owned(),
        DecodeError::OtherString(what) => what,
        _ => "a value is none that there is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_fixed_width_and_little_endian() {
        assert_eq!(encode(&(1_u16, 2_u32, 3_u64)).unwrap(), [1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn f55_a_body_must_be_consumed_exactly() {
        assert!(matches!(decode::<u16>(&[1, 0, 0]), Err(CodecError::TrailingBytes { count: 1 })));
        assert!(matches!(decode::<u16>(&[1]), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let said = |error: CodecError| error.to_string();
        let texts = [
            said(decode::<u16>(&[1]).unwrap_err()),
            said(decode::<bool>(&[7]).unwrap_err()),
            said(decode::<Vec<u8>>(&(1_u64 << 40).to_le_bytes()).unwrap_err()),
            said(decode::<crate::bounded::Text<4>>(&[9, 0, 0, 0]).unwrap_err()),
            said(decode::<crate::ClusterName>(&[1, 0, 0, 0, b'A']).unwrap_err()),
        ];
        let words =
            ["end too early", "none that there is", "longer than a frame", "beyond its limit", "name of a cluster"];
        for (text, word) in texts.iter().zip(words) {
            assert!(text.contains(word) && !text.contains(['{', '(', '"']), "{text}");
        }
    }

    /// Without the limit a length of 2^40 would be allocated before the first byte is missed.
    #[test]
    fn f54_a_length_beyond_the_limit_is_refused_before_it_is_allocated() {
        let bytes = (1_u64 << 40).to_le_bytes();
        assert!(matches!(decode::<Vec<u8>>(&bytes), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn a_value_larger_than_a_frame_is_refused() {
        assert!(matches!(encode(&vec![0_u8; LIMIT]), Err(CodecError::TooLarge { .. })));
    }
}
