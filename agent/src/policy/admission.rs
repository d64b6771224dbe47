//! A policy with what it counted, on disk.

use std::sync::Arc;

use postern_protocol::codec::CodecError;
use postern_protocol::message::v1::Offer;
use postern_protocol::plain::Chain;
use postern_protocol::{Failure, FailureClass, SystemName, TaskKind, TaskRequest};
use tokio::sync::Mutex;

use super::{Act, Counters, Policy, Refused};
use crate::clock;
use crate::metrics::metrics;
use crate::store::{AgentStoreError, Store};

/// Where the counters of a connected system are kept.
const COUNTERS: &str = "policy/counters";

/// Lets changes to one connected system begin, and counts them. What is counted is on disk before the change begins: what
/// is done again after a crash may count twice, and never counts for nothing.
///
/// What is refused is counted too, in a metric. Whoever asks the [`Policy`] itself wants nothing done, or is an import, which counts
/// the entries whose names it refuses.
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
            Some(kept) => serde_json::from_slice(&kept).map_err(|error| unreadable(&system, &error))?,
            None => Counters::default(),
        };
        Ok(Self { policy, system, store, counters: Mutex::new(counters) })
    }

    /// The rules.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Whether a task of that kind is done.
    pub fn check_kind(&self, kind: TaskKind) -> Result<(), Refused> {
        self.told(self.policy.check_kind(kind))
    }

    /// Whether a task may be taken, as far as that never changes.
    pub fn check_request(&self, request: &TaskRequest, brings_password: bool) -> Result<(), Refused> {
        self.told(self.policy.check_request(request, brings_password))
    }

    /// Whether the task of an offer is one that an accepted originator wants so, now.
    pub fn check_signature(&self, offer: &Offer) -> Result<(), Refused> {
        self.told(self.policy.check_signature(offer, clock::wall()))
    }

    fn told(&self, answer: Result<(), Refused>) -> Result<(), Refused> {
        if answer.is_err() {
            metrics().policy_refusals.one(&[self.system.as_str()]);
        }
        answer
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
        Ok(answers.into_iter().map(|answer| self.told(answer)).collect())
    }
}

fn unreadable(system: &SystemName, error: &serde_json::Error) -> AgentStoreError {
    let source = CodecError::Malformed { reason: postern_protocol::plain::json(error) };
    AgentStoreError::Record { table: "kept", key: format!("{system}/{COUNTERS}"), source }
}

fn uncounted(error: &AgentStoreError) -> Failure {
    let summary = format!("What the policy counts cannot be written: {}", Chain(error));
    Failure::new(FailureClass::Transient, "store", summary)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Time;
    use jiff::tz::TimeZone;
    use postern_health::metrics::Page;

    use super::*;
    use crate::app::store_exit;
    use crate::exit::Exit;
    use crate::policy::{Ceiling, Ceilings, Counted, Pattern, QuietHours, Rule, Window};

    fn policy() -> Policy {
        let deactivations = Ceiling { per_hour: None, per_day: Some(2) };
        Policy { ceilings: Ceilings { deactivations, ..Ceilings::default() }, ..Policy::default() }
    }

    fn admission(folder: &std::path::Path) -> Admission {
        let (store, _) = Store::open(folder).unwrap();
        Admission::open(Arc::new(policy()), "acme".parse().unwrap(), store).unwrap()
    }

    fn deactivation() -> Act {
        Act { account: "a@b.c".to_owned(), deactivates: true, ..Act::default() }
    }

    /// The store is not closed: what is on disk is what a killed process leaves. Keep the counters in memory alone, and the
    /// second process lets two more through.
    #[tokio::test]
    async fn what_was_counted_is_on_disk_before_the_change_begins() {
        let folder = tempfile::tempdir().unwrap();
        let act = deactivation();
        for _ in 0..2 {
            let admission = admission(folder.path());
            assert_eq!(admission.admit(std::slice::from_ref(&act)).await.unwrap(), [Ok(())]);
        }
        let answers = admission(folder.path()).admit(&[act.clone(), Act { deactivates: false, ..act }]).await.unwrap();
        let refused = answers[0].as_ref().unwrap_err();
        assert_eq!(refused.rule, Rule::PerDay(Counted::Deactivations));
        assert_eq!(answers[1], Ok(()), "each is decided for itself");
    }

    /// Count where offers are refused alone, and whoever is stopped by a ceiling, by the hour or in an import is not heard
    /// of.
    #[tokio::test]
    async fn whatever_the_policy_refuses_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let always = Window { days: Vec::new(), from: Time::midnight(), to: Time::midnight() };
        let quiet = Some(QuietHours { windows: vec![always], zone: TimeZone::UTC });
        let system: SystemName = "counted".parse().unwrap();
        let open = |policy: Policy| Admission::open(Arc::new(policy), system.clone(), store.clone()).unwrap();
        let refusals = || {
            let mut page = Page::default();
            metrics().put_on(&mut page);
            let text = page.text();
            let line = text.lines().find(|line| line.starts_with("postern_policy_refusals_total{system=\"counted\"}"));
            line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        };

        let ceiling = open(policy());
        let answers = ceiling.admit(&[deactivation(), deactivation(), deactivation()]).await.unwrap();
        assert_eq!((answers.iter().filter(|it| it.is_err()).count(), refusals()), (1, 1));

        let names = open(Policy { deny: vec![Pattern::new("a@*").unwrap()], ..Policy::default() });
        assert!(names.admit(&[deactivation()]).await.unwrap()[0].is_err());
        assert_eq!(refusals(), 2);

        let hours = open(Policy { quiet_hours: quiet, ..Policy::default() });
        assert!(hours.admit(&[deactivation()]).await.unwrap()[0].is_err());
        assert_eq!(refusals(), 3);

        let kinds = open(Policy { kinds: Some(Vec::new()), ..Policy::default() });
        kinds.check_kind(TaskKind::DisableUser).unwrap_err();
        assert_eq!(refusals(), 4);
        kinds.policy().check_kind(TaskKind::DisableUser).unwrap_err();
        assert_eq!(refusals(), 4, "somebody only asks");
    }

    /// Take it for what a disk brought about, and the agent is started again and again, with a sentence about sizes.
    #[tokio::test]
    async fn what_another_version_counted_is_named_and_needs_that_version() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let system: SystemName = "acme".parse().unwrap();
        let open = async |kept: &str| {
            store.keep(&system, COUNTERS, kept.as_bytes()).await.unwrap();
            Admission::open(Arc::new(policy()), system.clone(), store.clone())
        };
        let error = open("{\"deactivations\":1}").await.err().unwrap();
        assert_eq!(store_exit(&error), Exit::Config);
        let told = error.to_string();
        assert!(told.contains("record acme/policy/counters of table kept is of another version"), "{told}");

        let slot = clock::wall().as_second() / 3_600;
        let fewer = format!("{{\"deactivations\":{{\"day\":[[{slot},1]]}},\"renames\":{{\"hour\":[]}}}}");
        let answers = open(&fewer).await.unwrap().admit(&[deactivation(), deactivation()]).await.unwrap();
        assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 1, "what it knows counts");
    }
}
