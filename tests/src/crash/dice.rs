//! Chance.

use data_encoding::HEXLOWER;

/// A number below `limit`.
pub(super) fn below(limit: u64) -> u64 {
    u64::from_le_bytes(bytes()) % limit
}

/// Whether it is the one time in so many.
pub(super) fn once_in(times: u64) -> bool {
    below(times) == 0
}

/// A text that is nowhere else.
pub(super) fn token() -> String {
    HEXLOWER.encode(&bytes::<6>())
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}
