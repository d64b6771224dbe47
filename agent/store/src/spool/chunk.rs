//! Where a chunk stands in its file, and what it is sealed for.

use super::SpoolId;
use crate::seal::SEAL_OVERHEAD;

/// Payload bytes in every chunk but the last. Large enough to make the overhead small, small
/// enough to keep one in memory for each transfer.
pub const CHUNK: usize = 64 * 1024;
/// The same on disk.
pub(super) const SEALED_CHUNK: usize = CHUNK + SEAL_OVERHEAD;

const CONTEXT: &[u8] = b"postern-store spool 1";

pub(super) fn associated(id: SpoolId, index: u64) -> Vec<u8> {
    [CONTEXT, &id.0, &index.to_be_bytes()].concat()
}

/// Number of chunks of a payload of `len` bytes; an empty payload has none.
pub(super) fn count(len: u64) -> u64 {
    len.div_ceil(to_u64(CHUNK))
}

/// Payload bytes in chunk `index` of a payload of `len` bytes.
pub(super) fn len_of(index: u64, len: u64) -> usize {
    let rest = len.saturating_sub(index.saturating_mul(to_u64(CHUNK)));
    usize::try_from(rest).unwrap_or(usize::MAX).min(CHUNK)
}

/// Length of the file of a payload of `len` bytes.
pub(super) fn file_len(len: u64) -> u64 {
    len.saturating_add(count(len).saturating_mul(to_u64(SEAL_OVERHEAD)))
}

/// Where chunk `index` begins in its file.
pub(super) fn position(index: u64) -> u64 {
    index.saturating_mul(to_u64(SEALED_CHUNK))
}

pub(super) fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
