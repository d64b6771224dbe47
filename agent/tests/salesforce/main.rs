//! The Salesforce connector against the simulator: every kind of task, every way an answer can be lost.

#[cfg(test)]
mod delta;
#[cfg(test)]
mod export;
#[cfg(test)]
mod import;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod login;
#[cfg(test)]
mod one_user;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod schema;
