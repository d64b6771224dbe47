//! Drives the ledger: takes what happens, lets it decide, writes what it decided, and only then speaks and acts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postern_agent_core::{Again, Caller, Ended, Event, Ledger, Membership, Offered, Origin, Refusal, Write};
use postern_fail_point::Point;
use postern_health::{Pulse, TICK};
use postern_protocol::bounded::Text;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{
    MemberState, Offer, ProtocolError, Rejection, Report, StreamFault, StreamOpen, StreamReset, unknown_critical,
};
use postern_protocol::plain::Chain;
use postern_protocol::time::UnixMillis;
use postern_protocol::{Failure, StreamId, TaskId, TaskRequest, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::errands::Errands;
use super::told::Beside;
use super::{Input, Inputs, LocalEvent, Moved, Standing, fail_points};
use crate::clock::{self, Pauses};
use crate::executor::{Executor, Halt, Start};
use crate::link::Frames;
use crate::metrics::metrics;
use crate::store::{AgentStoreError, Store};
use crate::streams::{Command, Streams};
use crate::telemetry::{Topic, may_tell_of};
use crate::traces::{Reports, Traces};

/// Inputs taken before the disk is asked: they share one barrier.
const GATHER: usize = 64;
/// Inputs taken while the disk is busy with one commit: what a busy session brings in a minute. The rest waits in its
/// channel.
const TAKEN: u32 = 1_024;
/// How often is looked at what is due while the disk is busy: leases last many times as long.
const BUSY: Duration = Duration::from_millis(200);
/// How long a full disk is left alone: somebody has to make room.
const FULL_DISK: Duration = Duration::from_secs(10);
/// How soon to ask again for a task whose payload is yet to be deleted: that takes as long as the streams are at what they do.
const DELETED_AGAIN: Duration = Duration::from_secs(1);

/// An attempt that runs.
struct Attempt {
    since: UnixMillis,
    halt: Halt,
}

/// The dispatcher at work: the one owner of the ledger.
pub struct Loop {
    /// What decides.
    pub ledger: Ledger,
    /// What remembers.
    pub store: Store,
    /// What runs attempts.
    pub executor: Executor,
    /// What moves payloads.
    pub streams: Streams,
    /// Shows that it comes round.
    pub pulse: Pulse,
    inputs: mpsc::Receiver<Input>,
    errands: Errands,
    /// Payloads that the streams were asked to delete, and have not said to be gone.
    forgetting: BTreeSet<StreamId>,
    frames: Option<Frames>,
    tickets: BTreeMap<u64, oneshot::Sender<Result<(), Failure>>>,
    next_ticket: u64,
    running: BTreeMap<TaskId, Attempt>,
    watchers: BTreeMap<TaskId, mpsc::Sender<LocalEvent>>,
    welcomed: Vec<oneshot::Sender<()>>,
    stopping: CancellationToken,
    drained: bool,
    cut_off: bool,
    since: Timestamp,
    /// The time of day.
    day: fn() -> UnixMillis,
    pauses: Pauses,
    last_commit: Option<Duration>,
    reports: Reports,
}

impl Loop {
    /// A dispatcher over a restored ledger.
    pub fn new(ledger: Ledger, store: Store, executor: Executor, streams: Streams, inputs: Inputs) -> Self {
        Self {
            ledger,
            store,
            executor,
            streams,
            pulse: Pulse::default(),
            inputs: inputs.0,
            errands: Errands::default(),
            forgetting: BTreeSet::new(),
            frames: None,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            running: BTreeMap::new(),
            watchers: BTreeMap::new(),
            welcomed: Vec::new(),
            stopping: CancellationToken::new(),
            drained: false,
            cut_off: false,
            since: clock::now(),
            day: clock::unix_millis,
            pauses: Pauses::new(clock::now(), clock::unix_millis()),
            last_commit: None,
            reports: Traces::default().reports(),
        }
    }

    /// Tells of reports.
    pub fn telling(&mut self, traces: &Traces) {
        self.reports = traces.reports();
    }

    /// Sends what a task of this machine tells to `watch`. One that ended before the process did tells it at once.
    pub fn watch(&mut self, task: TaskId, watch: mpsc::Sender<LocalEvent>) {
        self.watchers.insert(task, watch);
    }

    /// Runs until it is asked to stop and what can be finished is; `cancel` stops running attempts where they can.
    ///
    /// An error means that the disk did not take what was decided: nothing decided since has been told to anyone, and
    /// the process must end.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), AgentStoreError> {
        let ended = self.turn(cancel).await;
        self.pulse.rest();
        ended
    }

    async fn turn(&mut self, cancel: CancellationToken) -> Result<(), AgentStoreError> {
        let mut cancelled = false;
        loop {
            self.pulse.beat();
            Point::DispatcherTurns.hang().await;
            self.settle().await?;
            if self.cut_off || self.drained && (self.frames.is_none() || self.ledger.is_settled()) {
                return Ok(());
            }
            let blocked = self.frames.as_ref().filter(|frames| frames.capacity() == 0 && !frames.is_closed()).cloned();
            // The link ends a session in which nothing can be sent for long.
            let choked = blocked.is_some() && self.ledger.is_choked();
            tokio::select! {
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.running.values().for_each(|attempt| attempt.halt.stop.cancel());
                }
                first = self.inputs.recv(), if !choked => {
                    let Some(first) = first else { return Ok(()) };
                    self.handle(first);
                    for _ in 1..GATHER {
                        let Ok(input) = self.inputs.try_recv() else { break };
                        self.handle(input);
                    }
                }
                () = clock::sleep_until(self.ledger.poll_timeout()) => {
                    let now = self.now();
                    self.ledger.handle_timeout(now);
                }
                () = until_room(blocked) => (),
                () = self.errands.hand_over_next(&self.streams), if !self.errands.is_empty() => (),
                () = tokio::time::sleep(TICK) => (),
            }
        }
    }

    /// Everything decided so far reaches the disk before anyone hears of it.
    async fn settle(&mut self) -> Result<(), AgentStoreError> {
        for (system, left) in self.executor.calls_left() {
            self.ledger.handle_calls_left(system, left);
        }
        self.ledger.handle_store_room(self.store.has_room_for_work());
        loop {
            let now = self.now();
            while let Some((mark, writes)) = self.ledger.poll_writes(now) {
                fail_points::before(&writes);
                self.commit(&writes).await?;
                fail_points::after(&writes);
                self.tell(&writes);
                let now = self.now();
                self.ledger.handle_durable(mark, now);
            }
            self.welcomed.drain(..).for_each(|durable| {
                let _ = durable.send(());
            });
            let now = self.now();
            while let Some(event) = self.ledger.poll_event(now) {
                self.act(event).await;
            }
            if self.stopping.is_cancelled() && !self.drained && !self.ledger.is_running() {
                self.drained = true;
                self.ledger.handle_drained();
            }
            self.errands.hand_over(&self.streams);
            self.speak();
            if !self.ledger.has_writes() {
                return Ok(());
            }
        }
    }

    /// Waits for the disk, and meanwhile for everybody else: what may be said without the disk is, such as that leases are
    /// to be renewed, and what comes in is taken in. Whatever is decided then waits for the next commit.
    async fn commit(&mut self, writes: &[Write]) -> Result<(), AgentStoreError> {
        let store = self.store.clone();
        let mut committed = std::pin::pin!(store.commit(writes));
        let mut due = tokio::time::interval(BUSY);
        let (mut taken, since) = (0, clock::now());
        loop {
            tokio::select! {
                biased;
                done = &mut committed => {
                    self.last_commit = Some(clock::now().since(since));
                    return done;
                }
                Some(input) = self.inputs.recv(), if taken < TAKEN => {
                    taken += 1;
                    self.handle(input);
                }
                _ = due.tick() => {
                    // It comes round; whether the disk does is seen at the committer.
                    self.pulse.beat();
                    let now = self.now();
                    self.ledger.handle_timeout(now);
                }
            }
            self.speak();
        }
    }

    /// What became durable is told as far as traces have it.
    fn tell(&mut self, writes: &[Write]) {
        for write in writes {
            if let Write::PutReport(report) = write {
                self.reports.durable(report);
            } else if let Write::DeleteReport(number) = write {
                self.reports.acknowledged(*number);
            }
        }
    }

    fn speak(&mut self) {
        let Some(frames) = &self.frames else { return };
        while let Ok(permit) = frames.try_reserve() {
            let Some(frame) = self.ledger.poll_transmit(clock::now()) else { break };
            permit.send(frame);
        }
    }

    /// The moment for all that is decided on leases: whatever gave a right before the host was paused gives none any more.
    fn now(&mut self) -> Timestamp {
        let now = clock::now();
        if self.pauses.notice(now, (self.day)()) {
            tracing::warn!(
                "the time of day went on by seconds more than this host ran: it was paused, or its clock was set; every lease \
                 is asked for again"
            );
            self.ledger.handle_pause();
        }
        now
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Introduce(answer) => {
                let (session, next_report) = (self.ledger.session_no(), self.ledger.next_report());
                let _ = answer.send(Standing { session, next_report, held: self.ledger.held() });
            }
            Input::Welcomed { session, membership, durable } => {
                self.ledger.handle_welcome(session, membership, now);
                self.welcomed.push(durable);
            }
            Input::Established { acked, ttl, frames } => {
                self.frames = Some(frames);
                self.ledger.handle_established(acked, ttl, now);
            }
            Input::Disconnected => {
                self.frames = None;
                self.errands.handle_disconnected();
                self.ledger.handle_disconnected();
            }
            Input::Frame(frame) => self.handle_frame(*frame),
            Input::Local { offer, caller, watch } => {
                self.watchers.insert(offer.task, watch);
                self.offer(*offer, Origin::Local(caller));
            }
            Input::LocalTaken { task, delivered } => {
                self.watchers.remove(&task);
                self.ledger.handle_local_taken(task, delivered);
            }
            Input::Intend { task, entry, reach, answer } => {
                let ticket = self.ticket(answer);
                self.ledger.handle_intend(task, ticket, entry, reach, now);
            }
            Input::Record { task, entries, audit, answer } => {
                let ticket = self.ticket(answer);
                self.ledger.handle_record(task, ticket, entries, audit);
            }
            Input::Progress { task, done, total, phase } => match self.watchers.get(&task) {
                Some(watch) => {
                    let _ = watch.try_send(LocalEvent::Progress { done, total, phase });
                }
                None => self.ledger.handle_progress(task, done, total, &phase),
            },
            Input::Ended { task, ending } => {
                self.running.remove(&task);
                match ending {
                    Ok(ending) => self.ledger.handle_concluded(task, *ending, now),
                    Err(failure) => self.ledger.handle_failed(task, failure, now),
                }
            }
            Input::PutOff(task) => {
                self.running.remove(&task);
                self.ledger.handle_put_off(task);
            }
            Input::Moved(Moved::Here(task, stream)) => self.ledger.handle_stream_here(task, stream),
            Input::Moved(Moved::Uploaded(task)) => self.ledger.handle_uploaded(task, now),
            Input::Moved(Moved::Unwanted(task)) => self.ledger.handle_unwanted(task, now),
            Input::Moved(Moved::Lost(task)) => self.ledger.handle_results_lost(task, now),
            Input::Moved(Moved::Forgotten(stream)) => drop(self.forgetting.remove(&stream)),
            Input::ForgetKey { key, answer } => {
                let needed = self.ledger.needs_key(key);
                if !needed {
                    // No offer that names it is taken from here on.
                    self.executor.keys().drop_key(key);
                }
                let _ = answer.send(!needed);
            }
            Input::Stop => {
                self.stopping.cancel();
                self.ledger.handle_stopping();
            }
            Input::CutOff => {
                self.cut_off = true;
                self.ledger.handle_cut_off();
            }
            Input::Status(answer) => {
                let _ = answer.send(self.beside().status(&self.ledger, now));
            }
            Input::Condition(answer) => {
                let _ = answer.send(self.beside().condition(&self.ledger, now));
            }
        }
    }

    fn ticket(&mut self, answer: oneshot::Sender<Result<(), Failure>>) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, answer);
        self.next_ticket
    }

    fn answer(&mut self, ticket: u64, answer: Result<(), Failure>) {
        if let Some(waiting) = self.tickets.remove(&ticket) {
            let _ = waiting.send(answer);
        }
    }

    fn handle_frame(&mut self, frame: FromController) {
        let now = clock::now();
        match frame {
            FromController::Offer(offer) => self.offer(offer, Origin::Controller),
            FromController::ReportAck(ack) => self.ledger.handle_report_ack(ack.upto, now),
            FromController::Renewed(renewed) => self.ledger.handle_renewed(&renewed, now),
            FromController::Cancel(cancel) => self.ledger.handle_cancel(cancel.task),
            FromController::InventoryAsk(ask) => self.ledger.handle_inventory_ask(ask.nonce),
            FromController::MemberState(change) => self.member_state(&change),
            FromController::SetLogLevel(wanted) => {
                let answer = self.executor.set_log_level(&wanted);
                self.ledger.answer(answer.into());
            }
            FromController::StreamOpen(open) => {
                if let Err(fault) = self.announced(&open) {
                    self.ledger.answer(StreamReset { stream: open.stream.id, fault: fault.into() }.into());
                }
            }
            // The link and the streams take these; they do not come here.
            other @ (FromController::Welcome(_)
            | FromController::Refused(_)
            | FromController::Ping(_)
            | FromController::Pong(_)
            | FromController::GoAway(_)
            | FromController::ProtocolError(_)
            | FromController::CertIssued(_)
            | FromController::CertRefused(_)
            | FromController::KeyAck(_)
            | FromController::TrustBundle(_)
            | FromController::StreamOpenAck(_)
            | FromController::Chunk(_)
            | FromController::ChunkAck(_)
            | FromController::StreamClose(_)
            | FromController::StreamReset(_)) => {
                let message = format!("{} has no place here", other.name());
                self.ledger.answer(ProtocolError { tag: 0, message: Text::clipped(message) }.into());
            }
        }
    }

    fn member_state(&mut self, change: &MemberState) {
        let Some(state) = change.state.known() else {
            if may_tell_of(Topic::State) {
                tracing::warn!(state = %change.state, "a state of a newer version was ignored");
            }
            return;
        };
        if may_tell_of(Topic::State) {
            tracing::info!(%state, epoch = change.epoch.0, "the controller changed this member's state");
        }
        let membership = Membership { state, epoch: change.epoch, hard: change.hard };
        self.ledger.handle_member_state(membership, clock::now());
    }

    /// The controller announces a payload. It is taken in, unless no task that is held is about it.
    fn announced(&mut self, open: &StreamOpen) -> Result<(), StreamFault> {
        if self.ledger.handle_announced(open.task, open.stream.id) != Some(open.stream) {
            return Err(StreamFault::Unknown);
        }
        self.errands.add(Command::Receive(open.task, open.stream));
        Ok(())
    }

    /// Whether what is here of a payload, of a lease before, is yet to be deleted.
    fn is_forgetting(&self, id: StreamId) -> bool {
        self.ledger.is_forgetting(id) || self.forgetting.contains(&id)
    }

    fn offer(&mut self, offer: Offer, origin: Origin) {
        let refusal = self.refusal(&offer, origin).err();
        if let Some(refusal) = &refusal {
            metrics().offers_refused.one(&[&refusal.reason.to_string()]);
        }
        if let (Origin::Local(_), Some(Refusal { reason, message, .. })) = (origin, &refusal) {
            tracing::error!(%reason, message, "the task was not taken");
            if let Some(watch) = self.watchers.remove(&offer.task) {
                let _ = watch.try_send(LocalEvent::NotTaken(message.clone()));
            }
            return;
        }
        self.ledger.handle_offer(Offered { offer, origin, refusal }, clock::now());
    }

    /// Why an offer cannot be taken, if it cannot.
    fn refusal(&self, offer: &Offer, origin: Origin) -> Result<(), Refusal> {
        if let Some(kind) = unknown_critical(&offer.ext) {
            let message = format!("extension {kind} is critical and not known here");
            return Err(Refusal::lasting(Rejection::Unsupported, message));
        }
        let request = TaskRequest::decode(offer.kind.number(), offer.kind_rev, &offer.params)
            .map_err(|error| Refusal::lasting(Rejection::Unsupported, Chain(&error).to_string()))?;
        let target = request.target();
        // Secrets are bound to what the offer says it is about, and the work is done on what its request names.
        if offer.target != target {
            let message = format!("the offer is about `{}`, and its request names `{target}`", offer.target);
            return Err(Refusal::lasting(Rejection::Invalid, message));
        }
        self.executor.check(&offer.system, request.kind())?;
        if origin == Origin::Controller {
            self.executor.check_signature(offer)?;
        }
        // What is collected on a schedule stands in the same file as the policy.
        if origin != Origin::Local(Caller::Schedule) {
            self.executor.check_policy(offer, &request)?;
        }
        self.executor.check_sealed(offer)?;
        // The deletion would take the payload of this lease with it, and what is on its way about the one before, here and to the
        // controller, would be taken for said of this one.
        if offer.streams.iter().any(|it| self.is_forgetting(it.id)) {
            return Err(Refusal::overloaded("a payload of it, of a lease before, is yet to be deleted", DELETED_AGAIN));
        }
        if !self.store.audit().has_room() {
            let message = "the audit log cannot be written: look at `postern status` on the agent's host".to_owned();
            return Err(Refusal { reason: Rejection::StoreFault, message, retry_after: Some(FULL_DISK) });
        }
        let payloads = offer.streams.iter().fold(0_u64, |sum, stream| sum.saturating_add(stream.length));
        let to_come = if payloads == 0 { 0 } else { payloads.saturating_add(self.ledger.awaited()) };
        if self.store.has_room_for(to_come) {
            return Ok(());
        }
        if may_tell_of(Topic::Offers) {
            tracing::error!(task = %offer.task, payloads, "the disk of the state directory is too full for new work");
        }
        let message = format!("the disk is too full for a task with {payloads} bytes of payload");
        Err(Refusal { reason: Rejection::StoreFault, message, retry_after: Some(FULL_DISK) })
    }

    async fn act(&mut self, event: Event) {
        match event {
            Event::Start { offer, origin, resumed, earlier, deadline, alone } => {
                let (task, now) = (offer.task, clock::now());
                let finds_out = self.ledger.is_unwanted(task, now);
                // It may have been told to stop, or that it is late, while it was not running yet.
                let halt = self.runs(task, finds_out || self.ledger.stops(task));
                if self.ledger.is_late(task, now) {
                    halt.late.cancel();
                }
                self.executor.start(*offer, Start { origin, resumed, earlier, deadline, alone, finds_out, halt });
            }
            Event::GiveUp { offer, origin, failure, why } => {
                let halt = self.runs(offer.task, self.ledger.is_cancelled(offer.task));
                self.executor.give_up(*offer, origin, failure, why, halt);
            }
            Event::Stop(task) => {
                if let Some(attempt) = self.running.get(&task).filter(|_| self.ledger.heeds_stop(task)) {
                    attempt.halt.stop.cancel();
                }
            }
            Event::Late(task) => {
                if let Some(attempt) = self.running.get(&task) {
                    attempt.halt.late.cancel();
                }
            }
            Event::Granted(ticket) | Event::Recorded(ticket) => self.answer(ticket, Ok(())),
            Event::Refused(ticket, failure) => self.answer(ticket, Err(failure)),
            Event::Upload(task, stream) => self.errands.add(Command::Upload(task, stream)),
            Event::Again(again) => self.tell_again(*again),
            Event::Ended(ended) => tell_ended(&ended),
            Event::LocalReport(report) => self.local_report(report).await,
            Event::Forget(streams) => {
                self.forgetting.extend(&streams);
                self.errands.add(Command::Forget(streams));
            }
        }
    }

    fn runs(&mut self, task: TaskId, should_stop: bool) -> Halt {
        let stop = CancellationToken::new();
        if should_stop {
            stop.cancel();
        }
        let halt = Halt { stop, late: CancellationToken::new(), stopping: self.stopping.clone() };
        self.running.insert(task, Attempt { since: clock::unix_millis(), halt: halt.clone() });
        halt
    }

    fn tell_again(&self, Again { task, kind, system, after, failure }: Again) {
        let _span = tracing::info_span!("task", %task, %kind, %system).entered();
        tracing::info!(wait_secs = after.as_secs(), code = %failure.code, "task waits to be tried again");
        if let Some(watch) = self.watchers.get(&task) {
            let _ = watch.try_send(LocalEvent::Again { after, failure });
        }
    }

    async fn local_report(&mut self, report: Box<Report>) {
        if let Some(watch) = self.watchers.get(&report.task) {
            let _ = watch.send(LocalEvent::Ended(report)).await;
            return;
        }
        // Left behind by an `exec` that was killed: the log is all that is left to tell.
        let failure = report.failure.as_ref();
        let code = failure.map(|failure| failure.code.to_string());
        let summary = failure.map(|failure| failure.summary.to_string());
        let next_step = failure.map(|failure| failure.next_step.to_string());
        tracing::warn!(task = %report.task, outcome = %report.outcome, code, summary, next_step, "an abandoned task ended");
        self.ledger.handle_local_taken(report.task, false);
    }

    /// What is told beside the ledger.
    fn beside(&self) -> Beside<'_> {
        Beside {
            executor: &self.executor,
            since: self.since,
            running: self.running.iter().map(|(task, attempt)| (*task, attempt.since)).collect(),
            commits_and_barriers: self.store.commits_and_barriers(),
            last_commit: self.last_commit,
        }
    }
}

/// Counts a task that ended, and logs it as one of its connected system.
fn tell_ended(ended: &Ended) {
    let Ended { task, kind, system, outcome, changed, failure } = ended;
    metrics().tasks.one(&[system.as_str(), &kind.to_string(), &outcome.to_string()]);
    let _span = tracing::info_span!("task", %task, %kind, %system).entered();
    match failure {
        None => tracing::info!(%outcome, %changed, "task ended"),
        Some(failure) => {
            tracing::warn!(%outcome, code = %failure.code, summary = %failure.summary, "task ended");
        }
    }
}

/// Resolves when a full channel has room again; never if it is not full.
async fn until_room(blocked: Option<Frames>) {
    match blocked {
        Some(frames) => drop(frames.reserve().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
