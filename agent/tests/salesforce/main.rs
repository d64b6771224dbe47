//! The Salesforce connector against the simulator: every kind of task, every way an answer can be lost.

#[cfg(test)]
mod import;
mod import_bulk;
mod import_memberships;
mod import_options;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod login;
#[cfg(test)]
mod one_user;
#[cfg(test)]
mod passwords;
