//! One binary WebSocket message is one frame: `tag u16, rev u16, length u32`, little-endian, then the body.

use crate::codec::{self, CodecError};

/// The most bytes a frame may have, header and body together. Both ends set it as their WebSocket limit.
pub const MAX_FRAME: usize = codec::LIMIT;

/// The bytes before the body.
pub const HEADER: usize = 8;

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than a header.
    #[error("a frame of {length} bytes lacks its header of {HEADER}")]
    NoHeader {
        /// How many bytes there were.
        length: usize,
    },
    /// The length in the header is not that of the body.
    #[error("the header promises {promised} bytes of body, {length} came")]
    WrongLength {
        /// What the header says.
        promised: u32,
        /// What came.
        length: usize,
    },
    /// No such frame in this direction.
    #[error("frame {tag} revision {rev} is not known here")]
    Unknown {
        /// The frame's tag.
        tag: u16,
        /// The frame's revision.
        rev: u16,
    },
    /// The body is not an encoding of its struct.
    #[error("the body of frame {tag} is malformed")]
    Body {
        /// The frame's tag.
        tag: u16,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
}

/// Puts the header before a body.
pub(crate) fn join(tag: u16, rev: u16, body: &[u8]) -> Result<Vec<u8>, CodecError> {
    let too_large = CodecError::TooLarge { length: body.len() + HEADER };
    let Ok(length) = u32::try_from(body.len()) else { return Err(too_large) };
    if body.len() + HEADER > MAX_FRAME {
        return Err(too_large);
    }
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend(tag.to_le_bytes());
    frame.extend(rev.to_le_bytes());
    frame.extend(length.to_le_bytes());
    frame.extend(body);
    Ok(frame)
}

/// Takes the header off a frame: tag, revision, body.
pub(crate) fn split(frame: &[u8]) -> Result<(u16, u16, &[u8]), FrameError> {
    let Some(([t0, t1, r0, r1, l0, l1, l2, l3], body)) = frame.split_first_chunk::<HEADER>() else {
        return Err(FrameError::NoHeader { length: frame.len() });
    };
    let promised = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
    if usize::try_from(promised) != Ok(body.len()) {
        return Err(FrameError::WrongLength { promised, length: body.len() });
    }
    Ok((u16::from_le_bytes([*t0, *t1]), u16::from_le_bytes([*r0, *r1]), body))
}

/// Declares the frames of one direction: an enum over the structs registered for each (tag, revision), with its
/// encoder and decoder.
macro_rules! frames {
    ($(#[$meta:meta])* pub enum $direction:ident {
        $($(#[$frame_meta:meta])* $tag:literal $rev:literal $frame:ident,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $direction {
            $($(#[$frame_meta])* $frame(v1::$frame),)*
        }

        impl $direction {
            /// The frames of this direction in the revisions this version understands.
            pub const REVISIONS: &[$crate::version::Revisions] =
                &[$($crate::version::Revisions { tag: $tag, min: $rev, max: $rev },)*];

            /// The frame's tag.
            pub const fn tag(&self) -> u16 {
                match self { $(Self::$frame(_) => $tag,)* }
            }

            /// The frame's name, for logs and errors.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$frame(_) => stringify!($frame),)* }
            }

            /// The whole frame as bytes.
            pub fn encode(&self) -> Result<Vec<u8>, $crate::codec::CodecError> {
                match self {
                    $(Self::$frame(body) => $crate::frame::join($tag, $rev, &$crate::codec::encode(body)?),)*
                }
            }

            /// The frame whose bytes these are.
            pub fn decode(frame: &[u8]) -> Result<Self, $crate::frame::FrameError> {
                let (tag, rev, body) = $crate::frame::split(frame)?;
                match (tag, rev) {
                    $(($tag, $rev) => $crate::codec::decode(body)
                        .map(Self::$frame)
                        .map_err(|source| $crate::frame::FrameError::Body { tag, source }),)*
                    _ => Err($crate::frame::FrameError::Unknown { tag, rev }),
                }
            }
        }

        $(impl From<v1::$frame> for $direction {
            fn from(body: v1::$frame) -> Self {
                Self::$frame(body)
            }
        })*
    };
}

pub(crate) use frames;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_apart_as_it_was_joined() {
        let frame = join(7, 1, b"body").unwrap();
        assert_eq!(split(&frame).unwrap(), (7, 1, b"body".as_slice()));
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let mut frame = join(7, 1, b"body").unwrap();
        frame.push(0);
        assert!(matches!(split(&frame), Err(FrameError::WrongLength { promised: 4, length: 5 })));
        assert!(matches!(split(&frame[..7]), Err(FrameError::NoHeader { length: 7 })));
    }

    #[test]
    fn a_body_that_would_outgrow_a_frame_is_refused() {
        assert!(join(1, 1, &vec![0; MAX_FRAME - HEADER]).is_ok());
        assert!(matches!(join(1, 1, &vec![0; MAX_FRAME - HEADER + 1]), Err(CodecError::TooLarge { .. })));
    }
}
