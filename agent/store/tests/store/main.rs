//! What the store promises, each promise with the guard that keeps it.

#![cfg(test)]

mod commit;
mod damage;
mod disk;
mod home;
mod lab;
mod open;
mod parts;
mod spool;
