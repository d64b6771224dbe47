//! The simulator over a real socket, as its callers see it.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects has to stop"
)]

mod bulk_ingest;
mod bulk_query;
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
