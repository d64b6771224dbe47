//! The only place that asks for randomness.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use zeroize::Zeroizing;

/// Fresh random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes once it has booted");
    bytes
}

/// Fresh random bytes that are wiped on drop.
pub fn secret<const N: usize>() -> Zeroizing<[u8; N]> {
    Zeroizing::new(bytes())
}

/// The system's randomness as a generator.
pub fn generator() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
