//! What needs other processes on the same store.
//!
//! In a binary of its own, one test at a time: a child that is being started has copies of every open file until it
//! becomes its own program, locks included, and a test that opens a store again at that moment finds it in use.

#![cfg(test)]

mod kill;
#[path = "../store/lab.rs"]
#[allow(dead_code, reason = "shared with the other tests of the store")]
mod lab;
mod second;

static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
