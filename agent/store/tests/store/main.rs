//! What the store promises, each promise with the guard that keeps it.

#![allow(clippy::as_conversions, reason = "lengths in tests are small")]

#[cfg(test)]
mod commit;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod open;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod spool;
