//! A policy with what it counted, on disk.

use std::sync::Arc;

use postern_protocol::codec::CodecError;
use postern_protocol::{Failure, FailureClass, SystemName};
use tokio::sync::Mutex;

use super::{Act, Counters, Policy, Refused};
use crate::chain::Chain;
use crate::clock;
use crate::store::{AgentStoreError, Store};

/// Where the counters of a connected system are kept.
const COUNTERS: &str = "policy/counters";

/// Lets changes to one connected system begin, and counts them. What is counted is on disk before the change begins: what
/// is done again after a crash may count twice, and never counts for nothing.
pub struct Admission {
    policy: Arc<Policy>,
    system: SystemName,
    store: Store,
    /// Held while the disk takes them, so that they are written in the order of counting.
    counters: Mutex<Counters>,
}

impl Admission {
    /// Goes on with what was counted before.
    pub fn open(policy: Arc<Policy>, system: SystemName, store: Store) -> Result<Self, AgentStoreError> {
        let counters = match store.recall(&system, COUNTERS)? {
            Some(kept) => serde_json::from_slice(&kept)
                .map_err(|error| CodecError::Malformed { reason: format!("counters of the policy: {error}") })?,
            None => Counters::default(),
        };
        Ok(Self { policy, system, store, counters: Mutex::new(counters) })
    }

    /// The rules.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Whether changes may begin now, one after the other. Those that may are counted, durably, when this returns.
    pub async fn admit(&self, acts: &[Act]) -> Result<Vec<Result<(), Refused>>, Failure> {
        let mut counters = self.counters.lock().await;
        let mut counted = counters.clone();
        let answers = self.policy.admit(acts, &mut counted, clock::wall());
        if counted != *counters {
            let bytes = serde_json::to_vec(&counted).unwrap_or_default();
            self.store.keep(&self.system, COUNTERS, &bytes).await.map_err(|error| uncounted(&error))?;
            *counters = counted;
        }
        Ok(answers)
    }
}

fn uncounted(error: &AgentStoreError) -> Failure {
    let summary = format!("What the policy counts cannot be written: {}", Chain(error));
    Failure::new(FailureClass::Transient, "store", summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Ceiling, Ceilings, Counted, Rule};

    fn admission(folder: &std::path::Path) -> Admission {
        let deactivations = Ceiling { per_hour: None, per_day: Some(2) };
        let policy = Policy { ceilings: Ceilings { deactivations, ..Ceilings::default() }, ..Policy::default() };
        let (store, _) = Store::open(folder).unwrap();
        Admission::open(Arc::new(policy), "acme".parse().unwrap(), store).unwrap()
    }

    /// The store is not closed: what is on disk is what a killed process leaves. Keep the counters in memory alone, and the
    /// second process lets two more through.
    #[tokio::test]
    async fn what_was_counted_is_on_disk_before_the_change_begins() {
        let folder = tempfile::tempdir().unwrap();
        let act = Act { account: "a@b.c".to_owned(), deactivates: true, ..Act::default() };
        for _ in 0..2 {
            let admission = admission(folder.path());
            assert_eq!(admission.admit(std::slice::from_ref(&act)).await.unwrap(), [Ok(())]);
        }
        let answers = admission(folder.path()).admit(&[act.clone(), Act { deactivates: false, ..act }]).await.unwrap();
        let refused = answers[0].as_ref().unwrap_err();
        assert_eq!(refused.rule, Rule::PerDay(Counted::Deactivations));
        assert_eq!(answers[1], Ok(()), "each is decided for itself");
    }
}
