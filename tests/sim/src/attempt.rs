//! A model connector: attempts that look, write an intent down, act, and look again, in the manner of the real one.
//!
//! An attempt is a future without a runtime. What it awaits it leaves at its port; the world answers there and polls.

use std::cell::RefCell;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use postern_agent_core::ledger::Ending;
use postern_agent_core::{Earlier, JournalEntry, Mark};
use postern_protocol::bounded::{Bytes, Text};
use postern_protocol::message::v1::Offer;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealedOutput;
use postern_protocol::task::reset_password;
use postern_protocol::{Epoch, Failure, FailureClass, Outcome, TaskKind};

use crate::agenda::Millis;
use crate::salesforce::{CALL_TIMEOUT, Change, LATEST_COMMIT, Question, View};
use crate::workload;

/// How long an attempt waits before it looks what became of a call that it gave up.
const SETTLE: Millis = LATEST_COMMIT + 1_000;
/// The same for a call of an earlier attempt, which may have been made a moment ago: so long after it was begun it has no effect
/// any more that it has not had.
pub const SETTLE_EARLIER: Millis = CALL_TIMEOUT + SETTLE;
/// A change without an answer is looked at and, if need be, made once more.
const ROUNDS: u32 = 2;
/// Records of a batch that are proved done together.
pub const UNIT: u64 = 2;

/// What an attempt waits for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// An intent on disk, and leave to act.
    Intend(JournalEntry),
    /// What was proved, on disk.
    Record(Vec<JournalEntry>),
    /// A look at the org.
    Read(Question),
    /// A change of the org, announced by this intent.
    Change(JournalEntry, Change),
    /// Time.
    Sleep(Millis),
}

/// Why a change is not known to have been made.
#[derive(Debug, Clone)]
pub enum Undone {
    /// It was refused.
    Not(Failure),
    /// There was no answer.
    Unknown(Failure),
}

/// How far an attempt came.
#[derive(Debug)]
pub enum Step {
    /// It waits for something.
    Waits(Ask),
    /// It ended.
    Ended(Box<Result<Ending, Failure>>),
}

/// What an attempt gets.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To an intent or a record.
    Written(Result<(), Failure>),
    /// To a question.
    Seen(Result<View, Failure>),
    /// To a change.
    Changed(Result<(), Undone>),
    /// After a sleep.
    Slept,
}

#[derive(Debug, Default)]
struct Port {
    ask: Option<Ask>,
    answer: Option<Answer>,
    stop: bool,
    late: bool,
}

/// How a record of a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was made.
    Made,
    /// It was there, by an earlier attempt.
    There,
    /// It could not be found out.
    Unknown,
    /// It was refused.
    Failed,
    /// The deadline passed, and another member may have made it before.
    TooLate,
}

impl Told {
    const fn byte(self) -> u8 {
        match self {
            Self::Made => 1,
            Self::There => 2,
            Self::Unknown => 3,
            Self::Failed => 4,
            Self::TooLate => 5,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Made),
            2 => Some(Self::There),
            3 => Some(Self::Unknown),
            4 => Some(Self::Failed),
            5 => Some(Self::TooLate),
            _ => None,
        }
    }
}

/// One attempt under way.
pub struct Attempt {
    port: Rc<RefCell<Port>>,
    work: Pin<Box<dyn Future<Output = Result<Ending, Failure>>>>,
}

impl Attempt {
    /// Begins one, which makes `made_up` up if it needs a password. No other task was leased for its target after
    /// `alone_from`, by the org's clock.
    pub fn begin(offer: Offer, journal: Vec<JournalEntry>, made_up: String, alone_from: Millis) -> Self {
        let port = Rc::new(RefCell::new(Port::default()));
        let earlier = journal.iter().cloned().collect();
        let (port_of, reconcile) = (Rc::clone(&port), offer.reconcile);
        let cx = Cx { port: port_of, reconcile, earlier, journal, offer, made_up, alone_from };
        Self { port, work: Box::pin(cx.run()) }
    }

    /// Asks it to stop where it can.
    pub fn stop(&self) {
        self.port.borrow_mut().stop = true;
    }

    /// Tells it that nothing more may be begun.
    pub fn be_late(&self) {
        self.port.borrow_mut().late = true;
    }

    /// Goes on until it waits for something, or ends.
    pub fn go_on(&mut self, answer: Option<Answer>) -> Step {
        self.port.borrow_mut().answer = answer;
        match self.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Step::Ended(Box::new(ended)),
            Poll::Pending => {
                let ask = self.port.borrow_mut().ask.take();
                Step::Waits(ask.expect("an attempt waits for its port alone"))
            }
        }
    }
}

/// What an attempt knows and uses.
struct Cx {
    port: Rc<RefCell<Port>>,
    offer: Offer,
    earlier: Earlier,
    journal: Vec<JournalEntry>,
    reconcile: bool,
    made_up: String,
    alone_from: Millis,
}

type Stop = Result<Ending, Failure>;

impl Cx {
    async fn run(self) -> Result<Ending, Failure> {
        let ended = match self.offer.kind.known() {
            Some(TaskKind::EnableUser) => self.set_active(true).await,
            Some(TaskKind::DisableUser) => self.set_active(false).await,
            Some(TaskKind::ValidateUser) => self.validate().await,
            Some(TaskKind::ResetPassword) => self.set_password().await,
            Some(TaskKind::ExpirePassword) => self.reset_password().await,
            Some(TaskKind::ImportBatch) => self.import().await,
            _ => Err(Err(rejected("unsupported"))),
        };
        match ended {
            Ok(ending) => Ok(ending),
            Err(stop) => stop,
        }
    }

    async fn ask(&self, ask: Ask) -> Answer {
        self.port.borrow_mut().ask = Some(ask);
        std::future::poll_fn(|_| match self.port.borrow_mut().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    fn is_stopped(&self) -> bool {
        self.port.borrow().stop
    }

    /// What is told of the records of a unit that is too late to be begun. A batch of which nothing is told yet, and nothing can
    /// have been begun, is late as a whole: its first intent is refused.
    fn too_late(&self, step: u32, is_first: bool) -> Option<Told> {
        let is_begun = self.earlier.intents(step).next().is_some();
        let is_told = self.reconcile || !is_first;
        let told = if self.reconcile { Told::TooLate } else { Told::Failed };
        (self.port.borrow().late && !is_begun && is_told).then_some(told)
    }

    fn user(&self) -> String {
        self.offer.target.to_string()
    }

    fn may_have_acted(&self) -> bool {
        self.reconcile || self.earlier.open_intents().next().is_some()
    }

    async fn settle(&self) {
        self.ask(Ask::Sleep(SETTLE)).await;
    }

    /// The org is asked before anything is waited for: an attempt that has no answer ends, and the ledger says what follows.
    async fn settle_earlier(&self) -> Result<(), Stop> {
        self.look(Question::User(self.user())).await.map_err(Err)?;
        self.ask(Ask::Sleep(SETTLE_EARLIER)).await;
        Ok(())
    }

    async fn look(&self, question: Question) -> Result<View, Failure> {
        match self.ask(Ask::Read(question)).await {
            Answer::Seen(seen) => seen,
            Answer::Written(_) | Answer::Changed(_) | Answer::Slept => Err(rejected("wrong_answer")),
        }
    }

    async fn written(&self, ask: Ask) -> Result<(), Failure> {
        match self.ask(ask).await {
            Answer::Written(done) => done,
            Answer::Seen(_) | Answer::Changed(_) | Answer::Slept => Err(rejected("wrong_answer")),
        }
    }

    /// Intent, call, and the intent taken back if the call was refused.
    async fn change(&self, step: u32, note: Vec<u8>, change: Change) -> Result<(), Undone> {
        // A batch stops between its units, where it can tell what became of each record.
        if self.is_stopped() && self.offer.kind.known() != Some(TaskKind::ImportBatch) {
            return Err(Undone::Not(stopped()));
        }
        let intent = JournalEntry { step, mark: Mark::Intent, note, effect: Vec::new() };
        self.written(Ask::Intend(intent.clone())).await.map_err(Undone::Not)?;
        match self.ask(Ask::Change(intent.clone(), change)).await {
            Answer::Changed(Err(Undone::Not(failure))) => {
                self.written(Ask::Record(vec![intent.taken_back()])).await.map_err(Undone::Not)?;
                Err(Undone::Not(failure))
            }
            Answer::Changed(done) => done,
            Answer::Written(_) | Answer::Seen(_) | Answer::Slept => Err(Undone::Not(rejected("wrong_answer"))),
        }
    }

    /// What earlier attempts announced of a step was looked for, and is not there.
    async fn take_back_earlier(&self, step: u32) -> Result<(), Failure> {
        let entries: Vec<_> = self.earlier.intents(step).map(JournalEntry::taken_back).collect();
        if entries.is_empty() { Ok(()) } else { self.written(Ask::Record(entries)).await }
    }

    async fn validate(&self) -> Result<Ending, Stop> {
        self.look(Question::User(self.user())).await.map_err(Err)?;
        Ok(succeeded(Changed::No))
    }

    async fn set_active(&self, active: bool) -> Result<Ending, Stop> {
        if self.may_have_acted() {
            self.settle_earlier().await?;
        }
        let (user, is_there) = (self.user(), |view: &View| view.active == active);
        let view = self.look(Question::User(user.clone())).await.map_err(Err)?;
        if is_there(&view) {
            return Ok(self.found());
        }
        let change = Change::SetActive { user: user.clone(), active };
        let certainty = self.bring_about(0, Vec::new(), change, Question::User(user), is_there).await?;
        Ok(Ending { certainty, ..succeeded(Changed::Yes) })
    }

    /// Brings a state about that was looked for and is not there.
    async fn bring_about(
        &self,
        step: u32,
        note: Vec<u8>,
        change: Change,
        question: Question,
        is_there: impl Fn(&View) -> bool,
    ) -> Result<Certainty, Stop> {
        self.take_back_earlier(step).await.map_err(Err)?;
        let mut round = 1;
        loop {
            let undone = match self.change(step, note.clone(), change.clone()).await {
                Ok(()) => return Ok(Certainty::Certain),
                Err(Undone::Not(failure)) if round == 1 => return Err(self.proven(failure)),
                Err(undone) => undone,
            };
            self.settle().await;
            match (self.look(question.clone()).await, undone) {
                (Ok(view), _) if is_there(&view) => return Ok(Certainty::Probable),
                (Ok(_), Undone::Not(refused)) if is_retryable(&refused) => return Err(Err(refused)),
                (Ok(_), Undone::Not(refused)) => {
                    return Err(Ok(Ending { certainty: Certainty::Probable, ..Ending::failed(refused) }));
                }
                (Ok(_), Undone::Unknown(failure)) if round == ROUNDS => return Err(Ok(Ending::unknown(failure))),
                (Ok(_), Undone::Unknown(_)) => round += 1,
                (Err(failure), _) => return Err(Err(failure)),
            }
        }
    }

    /// The wanted state is there; whether it was before the task, the journal decides.
    fn found(&self) -> Ending {
        if self.earlier.open_intents().next().is_some() {
            Ending { certainty: Certainty::Probable, ..succeeded(Changed::Yes) }
        } else if self.reconcile {
            Ending { certainty: Certainty::Probable, ..succeeded(Changed::Unknown) }
        } else {
            Ending { outcome: Outcome::AlreadySatisfied, ..succeeded(Changed::No) }
        }
    }

    /// A refusal. What earlier attempts may have done is not denied by it.
    fn proven(&self, failure: Failure) -> Stop {
        if !self.may_have_acted() || is_retryable(&failure) {
            return Err(failure);
        }
        Ok(Ending { changed: Changed::Unknown, ..Ending::failed(failure) })
    }

    /// A password that is known, given or made up here: sent once more, if no change is to be seen.
    async fn set_password(&self) -> Result<Ending, Stop> {
        let user = self.user();
        let given = self.offer.sealed.iter().next().map(|it| String::from_utf8_lossy(&it.ciphertext).into_owned());
        let ended = |ending: Ending, value: &str| if given.is_some() { ending } else { handing_over(ending, value) };
        let probable = || Ending { certainty: Certainty::Probable, ..succeeded(Changed::Yes) };
        let note = self.earlier.open_intents().last().map(|it| Note::read(&it.note));
        let mut number = 1;
        if let Some(note) = &note {
            self.settle_earlier().await?;
            let now = self.look(Question::User(user.clone())).await.map_err(Err)?.password_changed;
            let is_moved = now != note.before;
            // A given one is the same, whichever member sent it.
            let is_kept = given.is_some() || note.lease.next() >= self.offer.epoch;
            if is_moved && is_kept && self.is_alone_since(note) {
                return Ok(ended(probable(), &note.value));
            }
            // Of two that were made up one may be in force at most.
            if note.call >= ROUNDS || (is_moved && given.is_none()) {
                return Ok(ended(Ending::unknown(transient("no_answer")), &note.value));
            }
            number = note.call + 1;
        }
        let of_another = note.as_ref().map_or(self.reconcile, |it| !self.is_alone_since(it));
        if of_another && (given.is_some() || note.is_none()) {
            self.settle_earlier().await?;
        }
        let before = self.look(Question::User(user.clone())).await.map_err(Err)?.password_changed;
        if of_another && given.is_some() && self.has_set(before) {
            return Ok(probable());
        }
        if of_another && given.is_none() && note.is_none() && self.may_have_set(before) {
            // Nobody is left who knows one that was made up.
            return Ok(Ending::unknown(transient("password_lost")));
        }
        if of_another && given.is_some() {
            number = ROUNDS;
        }
        let value = given.clone().unwrap_or_else(|| self.made_up.clone());
        let former = note.map(|it| it.before);
        let mut is_alone = former.is_none() && !of_another;
        let change = Change::SetPassword { user: user.clone(), value: value.clone() };
        loop {
            let note = Note { call: number, lease: self.offer.epoch, before, value: value.clone() };
            match self.change(0, note.written(), change.clone()).await {
                Ok(()) => return Ok(ended(succeeded(Changed::Yes), &value)),
                Err(Undone::Not(failure)) if is_alone => return Err(self.proven(failure)),
                Err(Undone::Not(failure)) => {
                    let now = match self.look(Question::User(user.clone())).await {
                        Ok(now) => now.password_changed,
                        Err(failure) => return Err(Err(failure)),
                    };
                    if given.is_none() && (of_another || former.is_some()) {
                        // Another call had another password: what changed is not what was refused here.
                        return match now == before {
                            _ if is_retryable(&failure) => Err(Err(failure)),
                            true => Ok(Ending { certainty: Certainty::Probable, ..Ending::failed(failure) }),
                            false => Ok(Ending::unknown(failure)),
                        };
                    }
                    let is_set = if of_another { self.has_set(now) } else { now != former.unwrap_or(before) };
                    return match is_set {
                        true => Ok(ended(probable(), &value)),
                        false if of_another && !is_retryable(&failure) && self.may_have_set(now) => {
                            Ok(ended(Ending::unknown(failure), &value))
                        }
                        false if is_retryable(&failure) => Err(Err(failure)),
                        false => Ok(Ending { certainty: Certainty::Probable, ..Ending::failed(failure) }),
                    };
                }
                Err(Undone::Unknown(failure)) => {
                    self.settle().await;
                    match self.look(Question::User(user.clone())).await {
                        Ok(now) if now.password_changed != before => return Ok(ended(probable(), &value)),
                        Ok(_) if number >= ROUNDS => return Ok(ended(Ending::unknown(failure), &value)),
                        Ok(_) => (number, is_alone) = (number + 1, false),
                        Err(failure) => return Err(Err(failure)),
                    }
                }
            }
        }
    }

    /// Whether no other task was leased for the user since an intent.
    fn is_alone_since(&self, note: &Note) -> bool {
        note.lease >= self.offer.alone_since
    }

    /// Whether the password was changed when no other task was under way for the user.
    fn has_set(&self, changed: Option<Millis>) -> bool {
        changed.is_some_and(|at| at >= self.alone_from)
    }

    /// Whether the password was changed at a time when another member may have done it for this task.
    fn may_have_set(&self, changed: Option<Millis>) -> bool {
        changed.is_some_and(|at| at >= workload::made(self.offer.task))
    }

    /// Salesforce's own reset: never made again by itself.
    async fn reset_password(&self) -> Result<Ending, Stop> {
        let user = self.user();
        if self.may_have_acted() {
            self.settle_earlier().await?;
            let now = self.look(Question::User(user)).await.map_err(Err)?;
            let note = self.earlier.open_intents().last().map(|it| Note::read(&it.note));
            let moved = match note.filter(|it| self.is_alone_since(it)) {
                Some(note) => now.password_changed != note.before,
                None => self.has_set(now.password_changed),
            };
            return Ok(if moved {
                Ending { certainty: Certainty::Probable, ..succeeded(Changed::Yes) }
            } else {
                Ending::unknown(transient("no_answer"))
            });
        }
        let before = self.look(Question::User(user.clone())).await.map_err(Err)?.password_changed;
        let note = Note { call: 1, lease: self.offer.epoch, before, value: String::new() };
        match self.change(0, note.written(), Change::ResetPassword { user: user.clone() }).await {
            Ok(()) => Ok(succeeded(Changed::Yes)),
            Err(Undone::Not(failure)) => Err(Err(failure)),
            Err(Undone::Unknown(failure)) => {
                self.settle().await;
                match self.look(Question::User(user)).await {
                    Ok(now) if now.password_changed != before => {
                        Ok(Ending { certainty: Certainty::Probable, ..succeeded(Changed::Yes) })
                    }
                    Ok(_) => Ok(Ending::unknown(failure)),
                    Err(failure) => Err(Err(failure)),
                }
            }
        }
    }

    /// Makes users, some at a time.
    async fn import(&self) -> Result<Ending, Stop> {
        let records = self.offer.streams.iter().map(|it| it.length).sum::<u64>();
        let mut told: Vec<u8> =
            self.journal.iter().filter(|it| it.mark.is_end()).flat_map(|it| it.note.clone()).collect();
        for step in 0..u32::try_from(records.div_ceil(UNIT)).unwrap_or(u32::MAX) {
            if self.earlier.is_done(step) {
                continue;
            }
            if self.is_stopped() {
                return Err(Err(stopped()));
            }
            let first = u64::from(step) * UNIT;
            let mut note = Vec::new();
            // A store that was put back may have forgotten intents, as long as a session or report did not show it.
            let had_intents = self.reconcile || !self.journal.is_empty();
            let records = first..(first + UNIT).min(records);
            let mut too_late = self.too_late(step, told.is_empty());
            if had_intents && too_late.is_none() {
                self.settle_earlier().await?;
                too_late = self.too_late(step, told.is_empty());
            }
            for record in records {
                note.push(match too_late {
                    Some(told) => told.byte(),
                    None => self.make(step, record, had_intents).await?.byte(),
                });
            }
            told.extend(&note);
            let mark = if note.iter().all(|it| *it == Told::Failed.byte()) { Mark::Unchanged } else { Mark::Done };
            self.written(Ask::Record(vec![JournalEntry { step, mark, note, effect: Vec::new() }]))
                .await
                .map_err(Err)?;
        }
        let any = |of: Told| told.contains(&of.byte());
        let is_unknown = any(Told::Unknown) || any(Told::TooLate);
        let changed = match (any(Told::Made) || any(Told::There), is_unknown) {
            (true, _) => Changed::Yes,
            (false, true) => Changed::Unknown,
            (false, false) => Changed::No,
        };
        let outcome = match (any(Told::Failed) || is_unknown, changed) {
            (false, _) => Outcome::Succeeded,
            (true, Changed::No) => Outcome::Failed,
            (true, _) => Outcome::PartiallySucceeded,
        };
        Ok(Ending { outcome, ..succeeded(changed) })
    }

    async fn make(&self, step: u32, record: u64, had_intents: bool) -> Result<Told, Stop> {
        let key = workload::key(self.offer.task, record);
        let question = Question::Made(key.clone());
        let is_there = |view: &View| view.made > 0;
        if had_intents && is_there(&self.look(question.clone()).await.map_err(Err)?) {
            return Ok(Told::There);
        }
        let note = key.clone().into_bytes();
        let mut round = 1;
        loop {
            match self.change(step, note.clone(), Change::Create { key: key.clone() }).await {
                Ok(()) => return Ok(Told::Made),
                Err(Undone::Not(failure)) if failure.class.known() == Some(FailureClass::Rejected) && round == 1 => {
                    return Ok(Told::Failed);
                }
                Err(Undone::Not(failure)) => return Err(Err(failure)),
                Err(Undone::Unknown(_)) => (),
            }
            self.settle().await;
            match self.look(question.clone()).await {
                Ok(view) if is_there(&view) => return Ok(Told::There),
                Ok(_) if round == ROUNDS => return Ok(Told::Unknown),
                Ok(_) => round += 1,
                Err(failure) => return Err(Err(failure)),
            }
        }
    }
}

fn is_retryable(failure: &Failure) -> bool {
    let class = failure.class.known();
    matches!(class, Some(FailureClass::Transient | FailureClass::RateLimited | FailureClass::Interrupted))
}

/// What an intent of a password's change tells later attempts.
struct Note {
    /// The number of the call.
    call: u32,
    /// The lease that it is made under.
    lease: Epoch,
    /// When the password was changed before.
    before: Option<Millis>,
    /// The password; a real one is sealed.
    value: String,
}

impl Note {
    fn written(&self) -> Vec<u8> {
        let before = self.before.map_or(0, |it| it + 1);
        let (call, lease) = (self.call.to_le_bytes(), self.lease.0.to_le_bytes());
        [call.as_slice(), lease.as_slice(), before.to_le_bytes().as_slice(), self.value.as_bytes()].concat()
    }

    fn read(note: &[u8]) -> Self {
        let call = note.first_chunk().map_or(0, |it| u32::from_le_bytes(*it));
        let number = |at: Range<usize>| note.get(at).and_then(|it| it.try_into().ok()).map_or(0, u64::from_le_bytes);
        let (lease, before) = (Epoch(number(4..12)), number(12..20));
        let value = String::from_utf8_lossy(note.get(20..).unwrap_or_default()).into_owned();
        Self { call, lease, before: before.checked_sub(1), value }
    }
}

/// With a password for whoever asked for it.
fn handing_over(ending: Ending, value: &str) -> Ending {
    let name = Text::clipped(reset_password::PASSWORD);
    let ciphertext = Bytes::new(value.as_bytes().to_vec()).unwrap_or_default();
    Ending { sealed: vec![SealedOutput { name, enc: [0; 32], ciphertext }], ..ending }
}

fn succeeded(changed: Changed) -> Ending {
    Ending {
        outcome: Outcome::Succeeded,
        certainty: Certainty::Certain,
        changed,
        failure: None,
        output: Vec::new(),
        sealed: Vec::new(),
        streams: Vec::new(),
        audit: Vec::new(),
        trace: None,
    }
}

/// A failure that may pass.
pub fn transient(code: &str) -> Failure {
    Failure::new(FailureClass::Transient, code, "it may pass")
}

/// A failure that does not.
pub fn rejected(code: &str) -> Failure {
    Failure::new(FailureClass::Rejected, code, "it was refused")
}

fn stopped() -> Failure {
    Failure::new(FailureClass::Interrupted, "stopped", "it was stopped")
}

/// What a step of a batch told of its records, by their numbers.
pub fn told_by(entry: &JournalEntry) -> impl Iterator<Item = (u64, Told)> {
    let first = u64::from(entry.step) * UNIT;
    (first..).zip(&entry.note).filter_map(|(record, byte)| Some((record, Told::of(*byte)?)))
}
