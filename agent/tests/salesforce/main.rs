//! The Salesforce connector against the simulator: every kind of task, every way an answer can be lost.

mod lab;
mod login;
mod one_user;
mod passwords;
mod import;
