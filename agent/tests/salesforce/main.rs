//! The Salesforce connector against the simulator: every kind of task, every way an answer can be lost.

#[cfg(test)]
mod import;
#[cfg(test)]
mod import_bulk;
#[cfg(test)]
mod import_memberships;
#[cfg(test)]
mod import_options;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod login;
#[cfg(test)]
mod one_user;
#[cfg(test)]
mod passwords;
