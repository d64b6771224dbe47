//! The Salesforce connector against the simulator: every kind of task, every way an answer can be lost.

#![cfg(test)]

mod collect;
mod delta;
mod deprovision;
mod export;
mod faults;
mod features;
mod import;
mod import_bad_input;
mod import_bulk;
mod import_deaths;
mod import_memberships;
mod import_names;
mod import_options;
mod import_passwords;
mod import_taken_over;
mod lab;
mod login;
mod login_state;
mod network;
mod notes;
mod one_user;
mod passwords;
mod policy;
mod read_only;
mod role_lane;
mod schema;
mod sign_in;
