//! Where randomness comes from: the operating system, always.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use postern_protocol::TaskId;
use zeroize::Zeroizing;

use crate::clock;

/// The operating system's generator. A system without randomness cannot run this program, so it ends the thread.
pub fn source() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Bytes for a key.
pub fn secret<const N: usize>() -> Zeroizing<[u8; N]> {
    Zeroizing::new(bytes())
}

/// Bytes that are not secret.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::rand_core::Rng::fill_bytes(&mut source(), &mut bytes);
    bytes
}

/// A uniform number.
pub fn number() -> u32 {
    u32::from_le_bytes(bytes())
}

/// A fresh task id.
pub fn task_id() -> TaskId {
    TaskId::from_random(clock::unix_millis().0, bytes())
}

/// A fresh stream id.
pub fn stream_id() -> postern_protocol::StreamId {
    postern_protocol::StreamId::from_random(clock::unix_millis().0, bytes())
}
