//! The real program on real sockets, with members written here on nothing but the protocol.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test waits for one frame and says what came instead")]

#[cfg(test)]
mod api;
#[cfg(test)]
mod enrollment;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod member;
#[cfg(test)]
mod members;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod tasks;
