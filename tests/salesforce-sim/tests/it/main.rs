//! The simulator over a real socket, as its callers see it.

#![cfg(test)]

mod client;
mod collections;
mod faults;
mod login;
mod oauth;
mod passwords;
mod program;
mod queries;
mod transport;
mod users;
