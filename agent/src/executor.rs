//! Runs attempts: one connector call each, on its own task, through a journal that the dispatcher keeps.

mod dataset;
mod journal;
mod payload;
mod results;
mod served;
mod told;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use postern_agent_core::ledger::Ending;
use postern_agent_core::{Earlier, GivenUp, IN_THE_SYSTEM, Origin, Unfinished, to_be_looked_at};
use postern_health::Stopwatch;
use postern_protocol::message::v1::{Offer, StreamRef};
use postern_protocol::plain::Chain;
use postern_protocol::task::Repeat;
use postern_protocol::time::Ago;
use postern_protocol::{Epoch, Failure, FailureClass, Outcome, SystemName, TaskId, TaskKind, TaskRequest, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::journal::TaskJournal;
pub use self::served::Served;
use self::told::Teller;
pub use self::told::Who;
use crate::clock;
use crate::connector::{Alone, AttemptCx, Conclusion, DISK_FULL};
use crate::dispatcher::Dispatcher;
use crate::keys::SealingKeys;
use crate::metrics::metrics;
use crate::policy::Act;
use crate::redaction;
use crate::spawn::Spawner;
use crate::store::{AgentStoreError, Store};
use crate::traces::{self, Traces};

/// How long a task waits whose file found no room on the disk: others, or whoever looks at the disk, may have made some by then.
/// Less than a wait that is not counted among its attempts, or a file larger than all the room there is would be made anew for days.
const FILE_AGAIN: Duration = Duration::from_secs(50);

/// What attempts need.
#[derive(Clone)]
pub struct Executor {
    systems: Arc<BTreeMap<SystemName, Served>>,
    keys: SealingKeys,
    who: Arc<Who>,
    store: Store,
    dispatcher: Dispatcher,
    tasks: Spawner,
    traces: Traces,
}

/// How an attempt starts.
pub struct Start {
    /// Where the task came from.
    pub origin: Origin,
    /// An earlier attempt here wrote a journal.
    pub resumed: bool,
    /// The lease under which this agent made its first attempt, if there was one.
    pub earlier: Option<Epoch>,
    /// When nothing more of the task may be begun.
    pub deadline: Option<Timestamp>,
    /// Since when the task has been alone with its target, at the least.
    pub alone: Ago,
    /// Whether it is to find out what became of what was sent, and to send nothing.
    pub finds_out: bool,
    /// When it should stop.
    pub halt: Halt,
}

/// When an attempt, or the end of a task, should not go on.
#[derive(Clone)]
pub struct Halt {
    /// Fires when it should stop at the next point where it can.
    pub stop: CancellationToken,
    /// Fires when the controller tells that nothing more of it may be begun.
    pub late: CancellationToken,
    /// Fires when the agent is about to stop: what runs is finished, and nothing is waited for.
    pub stopping: CancellationToken,
}

impl Halt {
    /// Resolves when there is no time to wait for anything.
    async fn fires(&self) {
        tokio::select! {
            () = self.stop.cancelled() => (),
            () = self.stopping.cancelled() => (),
        }
    }
}

impl Executor {
    /// Runs attempts on these systems.
    pub fn new(
        systems: BTreeMap<SystemName, Served>,
        keys: SealingKeys,
        who: Who,
        store: Store,
        dispatcher: Dispatcher,
        tasks: Spawner,
    ) -> Self {
        let (systems, who, traces) = (Arc::new(systems), Arc::new(who), Traces::default());
        Self { systems, keys, who, store, dispatcher, tasks, traces }
    }

    /// The same, telling of attempts.
    #[must_use]
    pub fn telling(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Starts an attempt. Its end goes to the dispatcher.
    pub fn start(&self, offer: Offer, start: Start) {
        let span = tracing::info_span!("task", task = %offer.task, kind = %offer.kind, system = %offer.system);
        let executor = self.clone();
        self.tasks.spawn(|_| {
            async move {
                let (task, system, kind) = (offer.task, offer.system.clone(), offer.kind.to_string());
                let watch = Stopwatch::start();
                tracing::debug!(account = %offer.target, attempt = offer.attempt, "an attempt begins");
                let told = executor.traces.attempt(&offer, start.earlier);
                let attempt = traces::within(told.as_ref(), executor.attempt(offer, start));
                // A panic in a connector is that task's failure, not the program's end.
                let ending = AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
                let mut ending = ending.map_err(|failure| executor.unfinished(&system, failure));
                metrics().attempt_duration.took(watch.elapsed(), &[&kind]);
                if let Err(unfinished) = &ending {
                    log(unfinished);
                }
                count(&system, &kind, &ending);
                if let Some(told) = &told {
                    told.end(&ending);
                    if let Ok(ending) = &mut ending {
                        ending.trace = Some(told.context());
                    }
                }
                executor.dispatcher.ended(task, ending.map(Box::new)).await;
            }
            .instrument(span)
        });
    }

    fn unfinished(&self, system: &SystemName, failure: Failure) -> Unfinished {
        let Some(Served { connector, .. }) = self.systems.get(system) else { return failure.into() };
        let (mut patience, unsettled_for) = (connector.patience(&failure), connector.unsettled_for());
        if failure.code.as_str() == DISK_FULL {
            patience = patience.max(FILE_AGAIN);
        }
        Unfinished { failure, patience, unsettled_for }
    }

    async fn attempt(&self, offer: Offer, start: Start) -> Result<Ending, Failure> {
        let Start { origin, resumed, deadline, alone, finds_out, halt, .. } = start;
        let request = TaskRequest::decode(offer.kind.number(), offer.kind_rev, &offer.params)
            .map_err(|error| internal("bad_request", &Chain(&error).to_string()))?;
        let Some(Served { connector, admission }) = self.systems.get(&offer.system) else {
            let summary = format!("This agent has no connected system `{}` any more", offer.system);
            return Err(Failure::new(FailureClass::Rejected, "unknown_system", summary)
                .with_next_step("Put the connected system back into the agent's configuration, or submit to another"));
        };
        let kind = request.kind();
        let earlier = if resumed { self.earlier(offer.task).await? } else { Earlier::default() };
        // It may have waited for its dataset, or for the agent to be started again. What another may have begun, and is late by
        // now, begins nothing here: it only has to be told.
        if origin == Origin::Controller && !earlier.has_begun() {
            let is_late = halt.late.is_cancelled() || deadline.is_some_and(|deadline| clock::now() >= deadline);
            let is_only_told = is_late && offer.reconcile && kind.repeat() != Repeat::Freely;
            let signed = || if is_only_told { Ok(()) } else { admission.check_signature(&offer) };
            admission.check_kind(kind).and_then(|()| signed()).map_err(|refused| refused.failure())?;
        }
        let (task, system, reconcile) = (offer.task, offer.system.clone(), offer.reconcile);
        let alone = Alone { lease: offer.epoch, since: offer.alone_since, ago: alone };
        let offer = Arc::new(offer);
        let signer = admission.policy().signer(&offer);
        let teller = Arc::new(Teller::new(Arc::clone(&self.who), Arc::clone(&offer), origin, signer, &earlier));
        let journal = Arc::new(TaskJournal {
            act: Act::of(&request, brings_password(&offer)),
            begun: AtomicBool::new(earlier.has_begun()),
            admission: Arc::clone(admission),
            offer,
            teller: Arc::clone(&teller),
            kind,
            keys: self.keys.all(),
            store: self.store.clone(),
            dispatcher: self.dispatcher.clone(),
            made: Arc::default(),
            in_use: Mutex::default(),
        });
        let made = Arc::clone(&journal.made);
        let policy = Arc::clone(admission.policy());
        let Halt { stop, late, stopping } = halt.clone();
        let cx = AttemptCx {
            task,
            system,
            reconcile,
            alone,
            earlier,
            deadline,
            late,
            stop,
            finds_out,
            stopping,
            policy,
            journal,
        };
        let conclusion = match connector.run(request, &cx).await {
            Ok(conclusion) => conclusion,
            Err(failure) => {
                let store = self.store.clone();
                let discard = move || {
                    made.discard(store.spool());
                    Ok(())
                };
                blocking(discard).await?;
                return Err(redaction::failure(failure));
            }
        };
        let streams = if kind == TaskKind::ImportBatch {
            results::keep_once_there_is_room(&self.store, task, results::LOOKS, halt.fires()).await?
        } else {
            conclusion.payload.into_iter().collect()
        };
        let ending = into_ending(conclusion, streams)?;
        Ok(Ending { audit: teller.ended(&ending), ..ending })
    }

    /// Ends a task that no further attempt follows with what its journal says of it.
    pub fn give_up(&self, offer: Offer, origin: Origin, failure: Failure, why: GivenUp, halt: Halt) {
        let executor = self.clone();
        self.tasks.spawn(|_| async move {
            let task = offer.task;
            let ending = match executor.given_up(offer, origin, failure.clone(), why, &halt).await {
                // It is gone on with at the next start.
                Err(_) if halt.stopping.is_cancelled() => return executor.dispatcher.put_off(task).await,
                // If even the journal cannot be read, nothing is known.
                ending => Ok(ending.unwrap_or_else(|_| Ending::unknown(failure))),
            };
            executor.dispatcher.ended(task, ending.map(Box::new)).await;
        });
    }

    async fn given_up(
        &self,
        offer: Offer,
        origin: Origin,
        failure: Failure,
        why: GivenUp,
        halt: &Halt,
    ) -> Result<Ending, Failure> {
        let task = offer.task;
        let journal = self.earlier(task).await?;
        // They have waited, or nobody wants to wait for them.
        let looks = if failure.code.as_str() == DISK_FULL || why == GivenUp::Cancelled { 0 } else { results::LOOKS };
        // Only the steps of batches journal results; for everything else there is nothing to send.
        let streams = match results::keep_once_there_is_room(&self.store, task, looks, halt.fires()).await {
            // What became of the batch as a whole is known all the same.
            Err(full) if full.code.as_str() == DISK_FULL => Vec::new(),
            Err(_) if halt.stop.is_cancelled() && !halt.stopping.is_cancelled() => Vec::new(),
            streams => streams?,
        };
        let kind = offer.kind.known();
        let is_import = kind == Some(TaskKind::ImportBatch);
        let failure = match (is_import, streams.is_empty()) {
            (true, false) => untold(failure),
            (true, true) if journal.has_begun() => without_results(failure),
            _ => failure,
        };
        let connector = self.systems.get(&offer.system).map(|served| &served.connector);
        let mut ending = Ending::given_up(failure, &journal, why, offer.reconcile);
        let owed = connector.zip(kind).map(|(connector, kind)| connector.owed(kind, &journal));
        ending.sealed = owed.unwrap_or_default();
        if !is_import && matches!(ending.outcome, Outcome::Unknown | Outcome::PartiallySucceeded) {
            let place = connector.map_or_else(|| IN_THE_SYSTEM.to_owned(), |connector| connector.place(&journal));
            ending.failure = ending.failure.map(|failure| to_be_looked_at(failure, &offer.target, &place));
        }
        let signer = self.systems.get(&offer.system).and_then(|served| served.admission.policy().signer(&offer));
        let teller = Teller::new(Arc::clone(&self.who), Arc::new(offer), origin, signer, &journal);
        Ok(Ending { streams, audit: teller.ended(&ending), ..ending })
    }

    /// What the journal of a task says that still decides anything.
    async fn earlier(&self, task: TaskId) -> Result<Earlier, Failure> {
        let store = self.store.clone();
        let unread = |error: &AgentStoreError| internal("store", &Chain(error).to_string());
        blocking(move || store.journal(task).collect::<Result<_, _>>().map_err(|error| unread(&error))).await
    }
}

/// Whether a task sets a password of its own. Of a batch it says nothing.
fn brings_password(offer: &Offer) -> bool {
    !offer.sealed.is_empty()
}

/// Does what reads a journal, which may be long, on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked()))
}

fn into_ending(conclusion: Conclusion, streams: Vec<StreamRef>) -> Result<Ending, Failure> {
    let output = match &conclusion.output {
        Some(output) => output.encode().map_err(|error| internal("output", &Chain(&error).to_string()))?,
        None => Vec::new(),
    };
    Ok(Ending {
        outcome: conclusion.outcome,
        certainty: conclusion.certainty,
        changed: conclusion.changed,
        failure: conclusion.failure.map(redaction::failure),
        output,
        sealed: conclusion.sealed,
        streams,
        audit: Vec::new(),
        trace: None,
    })
}

fn count(system: &SystemName, kind: &str, ending: &Result<Ending, Unfinished>) {
    let result = match ending {
        Ok(_) => "concluded",
        Err(unfinished) if unfinished.failure.class.known() == Some(FailureClass::Interrupted) => "interrupted",
        Err(_) => "failed",
    };
    metrics().attempts.one(&[system.as_str(), kind, result]);
}

fn log(Unfinished { failure, .. }: &Unfinished) {
    if failure.class.known() == Some(FailureClass::Interrupted) {
        // Given back, or gone on with later.
        tracing::debug!(code = %failure.code, summary = %failure.summary, "attempt interrupted");
        return;
    }
    tracing::warn!(class = %failure.class, code = %failure.code, summary = %failure.summary, "attempt failed");
}

/// Why a batch is given up whose results tell of a part of it.
fn untold(failure: Failure) -> Failure {
    let next_step = format!(
        "The batch was given up in the middle: an entry without a line in the results was not done, or is not known, and \
         `--failed` writes it with those that failed. {}",
        failure.next_step
    );
    failure.with_next_step(next_step)
}

/// Why a batch is given up of whose entries nothing can be told.
fn without_results(failure: Failure) -> Failure {
    let next_step = format!(
        "The batch was given up in the middle, and nothing is told of its entries: of each, look in Salesforce what became of it. {}",
        failure.next_step
    );
    failure.with_next_step(next_step)
}

fn internal(code: &str, summary: &str) -> Failure {
    Failure::new(FailureClass::Internal, code, summary)
        .with_next_step("This is a defect of the agent: keep its log and report it")
}

fn panicked() -> Failure {
    internal("panic", "The connector stopped working in the middle of the task")
}
