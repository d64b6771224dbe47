//! The simulator over a real socket, as its callers see it.

#![cfg(test)]

mod assignments;
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
mod replication;
mod transport;
mod users;
