//! The real program on real sockets, with members written here on nothing but the protocol.

#![cfg(test)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test waits for one frame and says what came instead")]

mod access;
mod api;
mod audit;
mod commands;
mod console;
mod crowds;
mod details;
mod enrollment;
mod events;
mod finished;
mod handshake;
mod hostile;
mod lab;
mod lists;
mod member;
mod members;
mod once;
mod openapi;
mod outbox;
mod payloads;
mod renewal;
mod restarts;
mod restored;
mod roots;
mod sealing;
mod systems;
mod tasks;
