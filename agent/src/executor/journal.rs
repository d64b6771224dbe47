//! A task's journal as its connector sees it.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_protocol::message::v1::Offer;
use postern_protocol::plain::Chain;
use postern_protocol::seal::{SealContext, SealError, SealedOutput, SealingKey, StreamKey};
use postern_protocol::task::import_batch::DATASET_KEY;
use postern_protocol::{Failure, FailureClass, TaskKind};
use zeroize::Zeroizing;

use super::dataset::SealedDataset;
use super::payload::{Made, SealedPayload};
use super::results;
use super::told::Teller;
use crate::connector::{Journal, JournalEntry, Payload, Pending, Proved};
use crate::dispatcher::Dispatcher;
use crate::policy::{Act, Admission, Refused};
use crate::random;
use crate::redaction::{self, InUse};
use crate::store::{Store, spool_id};

/// Intents and ends go to the dispatcher, secrets come from the offer.
pub(super) struct TaskJournal {
    /// What the task does, if it is about one account.
    pub(super) act: Option<Act>,
    /// Whether the act has begun: then it is gone on with.
    pub(super) begun: AtomicBool,
    pub(super) admission: Arc<Admission>,
    pub(super) offer: Arc<Offer>,
    pub(super) kind: TaskKind,
    pub(super) keys: Arc<Vec<SealingKey>>,
    pub(super) store: Store,
    pub(super) dispatcher: Dispatcher,
    pub(super) made: Arc<Made>,
    pub(super) teller: Arc<Teller>,
    /// The secrets that the attempt has opened or sealed: they stay in use until its ending is known.
    pub(super) in_use: Mutex<Vec<InUse>>,
}

impl TaskJournal {
    fn uses(&self, secret: &[u8]) {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).push(redaction::in_use(secret));
    }

    /// Asks the policy, before the first intent of a task about one account. What an attempt here has begun was let in.
    async fn begin(&self) -> Result<(), Failure> {
        let Some(act) = self.act.as_ref().filter(|_| !self.begun.load(Ordering::Relaxed)) else { return Ok(()) };
        let answers = self.ask(std::slice::from_ref(act)).await?;
        answers.into_iter().collect::<Result<(), _>>().map_err(|refused| refused.failure())?;
        self.begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn ask(&self, acts: &[Act]) -> Result<Vec<Result<(), Refused>>, Failure> {
        // A task that was taken before the agent was configured anew.
        self.admission.check_kind(self.kind).map_err(|refused| refused.failure())?;
        self.admission.admit(acts).await
    }

    fn context(&self) -> SealContext<'_> {
        SealContext { task: self.offer.task, kind: self.kind, system: &self.offer.system, target: &self.offer.target }
    }
}

impl Journal for TaskJournal {
    fn intend(&self, entry: JournalEntry, reach: Duration) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async move {
            if !self.store.audit().room().await {
                return Err(unaudited());
            }
            self.begin().await?;
            self.dispatcher.intend(self.offer.task, entry.clone(), reach).await?;
            self.teller.intended(&entry);
            Ok(())
        })
    }

    fn admit<'a>(&'a self, acts: &'a [Act]) -> Pending<'a, Result<Vec<Result<(), Refused>>, Failure>> {
        Box::pin(self.ask(acts))
    }

    fn record(&self, entries: Vec<JournalEntry>, proved: Proved) -> Pending<'_, Result<(), Failure>> {
        let audit = self.teller.proved(&entries, &proved);
        Box::pin(self.dispatcher.record(self.offer.task, entries, audit))
    }

    fn results(&self) -> Box<dyn Read + Send> {
        Box::new(results::read(&self.store, self.offer.task))
    }

    fn progress(&self, done: u64, total: u64, phase: &str) {
        self.dispatcher.progress(self.offer.task, done, total, phase);
    }

    fn has_secret(&self, field: &str) -> bool {
        self.offer.sealed.iter().any(|sealed| sealed.name.as_str() == field)
    }

    fn secret(&self, field: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let Some(sealed) = self.offer.sealed.iter().find(|sealed| sealed.name.as_str() == field) else {
            let summary = format!("The task lacks the sealed field `{field}`");
            return Err(Failure::new(FailureClass::Rejected, "missing_secret", summary)
                .with_next_step("Submit the task again with that field sealed to the members of the cluster"));
        };
        let secret = sealed.open(self.context(), &self.keys).map_err(|error| unopened(&error))?;
        self.uses(&secret);
        Ok(secret)
    }

    fn has_requester(&self) -> bool {
        self.offer.requester.is_some()
    }

    fn seal(&self, name: &str, secret: &[u8]) -> Result<SealedOutput, Failure> {
        let Some(requester) = &self.offer.requester else {
            let summary = "The task has a secret result but no requester to seal it to";
            return Err(Failure::new(FailureClass::Rejected, "missing_requester", summary)
                .with_next_step("Submit the task again with the requester's public key"));
        };
        self.uses(secret);
        SealedOutput::seal(self.context(), name, secret, requester, &mut random::source())
            .map_err(|error| unopened(&error))
    }

    fn dataset(&self) -> Result<Box<dyn Read + Send>, Failure> {
        let Some(stream) = self.offer.streams.first() else {
            return Err(Failure::new(FailureClass::Rejected, "missing_dataset", "The task came without its dataset")
                .with_next_step("Submit the task again with a dataset"));
        };
        let key = self.secret(DATASET_KEY)?.as_slice().try_into().map(Zeroizing::new);
        let key = key.map_err(|_| unopened(&SealError::Altered))?;
        let reader = self.store.spool().read(spool_id(stream.id), stream.length).map_err(|error| {
            Failure::new(FailureClass::Internal, "spool", format!("The dataset cannot be read: {}", Chain(&error)))
        })?;
        Ok(Box::new(SealedDataset::new(reader, &key)))
    }

    fn payload(&self, key_name: &str) -> Result<Box<dyn Payload>, Failure> {
        let key: StreamKey = random::secret();
        let sealed_key = self.seal(key_name, key.as_slice())?;
        Ok(Box::new(SealedPayload::new(self.store.clone(), &key, sealed_key, Arc::clone(&self.made))))
    }
}

/// Nothing is changed that could not be told.
fn unaudited() -> Failure {
    let summary = "The audit log cannot be written, so that nothing more is changed";
    Failure::new(FailureClass::Transient, "audit_log", summary).with_next_step(
        "Look at what `postern status` says of the audit log: make room on the disk, or give the directory `audit` of \
         the state directory back to the agent's user; the task is tried again by itself",
    )
}

fn unopened(error: &SealError) -> Failure {
    Failure::new(FailureClass::Rejected, "sealed", format!("A sealed field is of no use: {error}"))
        .with_next_step("Submit the task again, so that it is sealed anew to the present members")
}
