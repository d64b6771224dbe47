//! Tells the controller how this member is, when that changed.

use std::time::Duration;

use postern_protocol::Timestamp;
use postern_protocol::message::v1::Condition;

use super::certificates::{Work, until};
use crate::clock;
use crate::dispatcher::Dispatcher;

/// The least time between two that are told: whoever looks at many members does not read faster.
const LEAST: Duration = Duration::from_secs(1);

/// What the controller was told in a session, and when it is looked again.
pub(super) struct Conditions {
    dispatcher: Dispatcher,
    every: Duration,
    told: Option<Condition>,
    due: Option<Timestamp>,
    asking: Option<Work<Option<Condition>>>,
}

impl Conditions {
    pub(super) fn new(dispatcher: &Dispatcher) -> Self {
        Self { dispatcher: dispatcher.clone(), every: LEAST, told: None, due: None, asking: None }
    }

    /// A session is established in which there is a sign of life as often as this.
    pub(super) fn handle_established(&mut self, heartbeat: Duration) {
        self.every = heartbeat.max(LEAST);
        self.due = Some(clock::now());
    }

    /// Begins to look, if it is time.
    pub(super) fn poll(&mut self) {
        let now = clock::now();
        if self.asking.is_none() && self.due.is_some_and(|due| due <= now) {
            self.due = Some(now + self.every);
            let dispatcher = self.dispatcher.clone();
            self.asking = Some(Box::pin(async move { dispatcher.condition().await }));
        }
    }

    /// When to call [`Conditions::poll`] again.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        if self.asking.is_some() { None } else { self.due }
    }

    /// Waits for what was found: for ever, if nobody looks.
    pub(super) async fn work(&mut self) -> Option<Condition> {
        until(&mut self.asking).await
    }

    /// The condition, if the controller has not been told just that.
    pub(super) fn handle_found(&mut self, found: Option<Condition>) -> Option<Condition> {
        let found = found.filter(|found| self.told.as_ref() != Some(found))?;
        self.told = Some(found.clone());
        Some(found)
    }
}
