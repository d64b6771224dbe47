//! Create and modify users from a dataset, unit by unit.
//!
//! A unit is as many entries as are looked up, sent and journaled together ([`Size`]): calls or a job create and modify,
//! others move members, one call a user sets passwords, the last calls disable. Before each call an intent; at the end of
//! the unit its results, durably. Another attempt skips finished units and repeats an unfinished one with look-ups, so
//! that nothing is created twice and every entry is reported once.

mod choices;
mod jobs;
mod lookup;
mod memory;
mod naming;
mod parts;
mod plan;
mod present;
mod reader;
mod result;
mod unit;
mod values;

use std::time::Duration;

use postern_agent_core::EXPIRED;
use postern_protocol::outcome::Certainty;
use postern_protocol::task::import_batch::Request;
use postern_protocol::{Failure, FailureClass, Timestamp};
use tokio_util::sync::CancellationToken;

use super::super::Salesforce;
use super::super::api::Longest;
use super::super::schema::describe::Described;
use crate::clock;
use crate::connector::{AttemptCx, Conclusion, stopped};
use crate::dataset::Item;
use choices::Choices;
pub(in super::super) use jobs::jobs_told;
use memory::Memory;
pub(in super::super) use memory::Note;
use parts::{Part, Parts};
use reader::{Form, Passed, Size, Units};
use result::Line;
pub(in super::super) use result::Tally;
use unit::{AT_ONCE, Stock, Unit, Unsent};
pub(in super::super) use unit::{job_told, written};

/// The step that is done when all or none were to be done and it was found that it will be none. It has no results.
const REFUSED: u32 = u32::MAX;

/// The step of the memo that an attempt went on without being told of all jobs of another member. It is never done.
const UNTOLD: u32 = u32::MAX - 1;

/// After so many entries at which the process died, it is not the entries: each takes a dozen deaths to be found.
const MOST_DEADLY: u64 = 5;

/// What a batch is doing, for people.
const IMPORTING: &str = "import";
const OUTLASTING: &str = "waiting for calls and jobs of an earlier attempt";

/// How long a part of a unit may take to stop where it can: less than an agent that stops gives its attempts.
const HURRY: Duration = Duration::from_secs(60);

/// Entries of a plan that are journaled at once: with their changes they are much longer than others.
const PLANNED: usize = 20;

/// What all units of a batch have in common.
struct Batch<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    schema: &'a Described,
    choices: &'a Choices,
    longest: Longest,
    /// Whether another member may have done any of it, of which nothing is known here.
    elsewhere: bool,
    /// User names that change hands then: who has one now may have got it from a later entry.
    passed: Passed,
    /// When this attempt began: what earlier ones sent was sent before.
    begun: Timestamp,
}

/// What is done with the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// What they ask for.
    Run,
    /// Nothing; it is said what would be done.
    Plan,
    /// Nothing, because not all can be done.
    Refuse,
}

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let form = Form::of(&it)?;
    let total = reader::count(cx, form).await?;
    let mut tally = tally(cx).await?;
    if total == 0 {
        return Ok(tally.conclusion(total));
    }
    let schema = org.describe("User").await?;
    let choices = Choices::of(&it, &schema, &cx.system, org.settings.marker.as_deref())?;
    let elsewhere = !choices.dry_run && Memory::is_of_another(cx);
    let passed = if elsewhere { Passed::of(cx, form).await? } else { Passed::default() };
    let (longest, begun) = (Longest::default(), clock::now());
    let batch = Batch { org, cx, schema: &schema, choices: &choices, longest, elsewhere, passed, begun };
    let course = batch.course(form).await?;
    let mut stock = if course == Course::Plan { Stock::of(org).await? } else { Stock::default() };
    let size = match course {
        Course::Run if choices.all_or_none => Size::CALL,
        Course::Run if total > u64::from(it.bulk_threshold) => Size::JOB,
        Course::Run => Size::CALLS,
        Course::Plan | Course::Refuse => Size::CALL,
    };
    let is_told = !(elsewhere && size == Size::JOB) || batch.outlast_jobs(tally.entries(), total).await?;
    let mut units = Units::start(cx, form, size)?;
    let mut steps = Steps { next: 0, entries: if course == Course::Plan { PLANNED } else { AT_ONCE } };
    // In the first unit that is not done, an earlier attempt may have ended with the process, here or elsewhere.
    let mut may_be_deadly = course == Course::Run && (cx.reconcile || !cx.earlier.is_empty());
    loop {
        let items = units.next().await?;
        let Some(step) = steps.of(items.len()) else { break };
        // A plan's stock goes from unit to unit, so a plan that was begun is made from its beginning.
        if cx.is_done(step.last) && course != Course::Plan {
            continue;
        }
        if cx.stop.is_cancelled() {
            return Err(stopped_midway(tally.entries(), total));
        }
        cx.journal.progress(tally.entries(), total, IMPORTING);
        if std::mem::take(&mut may_be_deadly) && Part::WHOLE.step(step.last).is_some() {
            batch.run_in_parts(&step, items, total, &mut tally).await?;
            continue;
        }
        let unit = Unit::new(&batch, step.last, items);
        let lines: Vec<Line> = match (course, batch.unsent(&unit, &tally)) {
            (Course::Plan, _) => unit.plan(&mut stock).await?,
            (Course::Refuse, _) => unit.refuse().await?,
            (Course::Run, Some(Unsent::Late)) if tally.entries() == 0 && !unit.may_have_acted() => return Err(late()),
            (Course::Run, Some(why)) => unit.leave_out(why),
            (Course::Run, None) => {
                org.may_go_on().await?;
                unit.run().await?
            }
        };
        for (step, lines) in (step.first..=step.last).zip(lines.chunks(steps.entries)) {
            if !cx.is_done(step) {
                batch.done(step, lines, &mut tally).await?;
            }
        }
    }
    cx.journal.progress(tally.entries(), total, IMPORTING);
    if course == Course::Plan {
        return Ok(tally.plan(total, stock.taken()));
    }
    let conclusion = tally.conclusion(total);
    Ok(if is_told || conclusion.certainty == Certainty::Unknown { conclusion } else { conclusion.probable() })
}

/// The steps of the journal: one for as many entries as are journaled at once, one or more a unit.
struct Steps {
    next: u32,
    entries: usize,
}

/// The steps of a unit. What it intends to do belongs to the last, which is done when all of them are.
struct Step {
    first: u32,
    last: u32,
}

impl Step {
    /// The entries of a unit of which nothing was told yet.
    fn untold(&self, mut items: Vec<Item>, cx: &AttemptCx) -> Vec<Item> {
        // They are told in their order, and each step but the last has as many as there may be.
        let told = (self.first..self.last).take_while(|step| cx.is_done(*step)).count();
        items.split_off((told * AT_ONCE).min(items.len()))
    }
}

impl Steps {
    /// Those of the next unit; none for a unit without entries.
    fn of(&mut self, entries: usize) -> Option<Step> {
        let first = self.next;
        let steps = u32::try_from(entries.div_ceil(self.entries)).unwrap_or(u32::MAX);
        self.next = first.saturating_add(steps);
        (steps > 0).then(|| Step { first, last: self.next.saturating_sub(1) })
    }
}

impl Batch<'_> {
    /// Why nothing is sent for a unit or a part of one, if nothing is. What has begun is done to its end.
    fn unsent(&self, unit: &Unit<'_>, tally: &Tally) -> Option<Unsent> {
        if tally.deadly() >= MOST_DEADLY {
            Some(Unsent::TooDeadly)
        } else if self.choices.all_or_none && tally.has_failures() {
            Some(Unsent::AnotherFailed)
        } else if unit.is_too_late() {
            Some(Unsent::Late)
        } else {
            None
        }
    }

    /// Journals what became of entries.
    async fn done(&self, step: u32, lines: &[Line], tally: &mut Tally) -> Result<(), Failure> {
        if lines.iter().any(|line| line.effect.is_some() || line.counted().may_have_changed()) {
            self.cx.done(step, &result::text(lines), result::proved(lines)).await?;
        } else {
            self.cx.done_without_change(step, &result::text(lines)).await?;
        }
        for line in lines {
            tally.count(line.counted());
        }
        Ok(())
    }

    /// Goes on with a unit that an earlier attempt did not end, see [`parts`].
    async fn run_in_parts(&self, step: &Step, items: Vec<Item>, total: u64, tally: &mut Tally) -> Result<(), Failure> {
        let (cx, unit) = (self.cx, step.last);
        let earlier = Parts::of(cx, unit);
        let mut open = vec![(Part::WHOLE, step.untold(items, cx))];
        while let Some((part, mut items)) = open.pop() {
            let Some(own) = part.step(unit).filter(|own| !cx.is_done(*own)) else { continue };
            let halves = part.halves().filter(|_| items.len() > 1 && !self.choices.all_or_none);
            if earlier.is_deadly(part)
                && let Some((left, right)) = halves
            {
                let rest = items.split_off(items.len() / 2);
                open.extend([(right, rest), (left, items)]);
                continue;
            }
            if cx.stop.is_cancelled() {
                return Err(stopped());
            }
            let mut work = Unit::new(self, unit, items);
            let is_deadly = earlier.is_deadly(part);
            let mut why = self.unsent(&work, tally);
            if why.is_none() && !is_deadly {
                self.org.may_go_on().await?;
                if work.may_have_acted() {
                    // No entry is to blame if the process dies meanwhile.
                    cx.journal.progress(tally.entries(), total, OUTLASTING);
                    work.outlast().await?;
                    cx.journal.progress(tally.entries(), total, IMPORTING);
                    why = self.unsent(&work, tally);
                }
            }
            let lines = match why {
                _ if is_deadly => work.leave_out(Unsent::Deadly),
                Some(why) => work.leave_out(why),
                None => {
                    cx.memo(unit, parts::attempted(part)).await?;
                    let ended = tokio::select! {
                        ended = work.run() => ended,
                        () = hurried(&cx.stop) => Err(stopped()),
                    };
                    match ended {
                        Ok(lines) => lines,
                        Err(failure) => {
                            cx.memo(unit, parts::ended(part)).await?;
                            return Err(failure);
                        }
                    }
                }
            };
            self.done(own, &lines, tally).await?;
        }
        cx.done_without_change(unit, &[]).await
    }

    /// Waits for what another member sent: calls without an answer, and then jobs that were handed over, but not beyond the
    /// deadline, after which nothing is begun. Whether they are over, and were before each earlier attempt went on: what that one
    /// did, a job may have written over since.
    async fn outlast_jobs(&self, done: u64, total: u64) -> Result<bool, Failure> {
        let cx = self.cx;
        cx.journal.progress(done, total, OUTLASTING);
        self.org.outlast_since(self.begun, cx).await?;
        if cx.is_late() {
            return Ok(false);
        }
        let is_told = tokio::select! {
            is_told = self.org.outlast_jobs(self.begun, &cx.stop) => is_told?,
            () = cx.until_late() => false,
        };
        let was_told = cx.earlier.memos(UNTOLD).next().is_none();
        if was_told && !is_told {
            cx.memo(UNTOLD, Note::default().encode()).await?;
        }
        Ok(was_told && is_told)
    }

    async fn course(&self, form: Form) -> Result<Course, Failure> {
        if self.choices.dry_run {
            return Ok(Course::Plan);
        }
        if !self.choices.all_or_none {
            return Ok(Course::Run);
        }
        if self.cx.is_done(REFUSED) {
            return Ok(Course::Refuse);
        }
        // Once something was sent, it is gone on with. What was refused as a whole was not.
        if self.cx.earlier.has_begun() {
            return Ok(Course::Run);
        }
        // Whether they would pass is of no use to entries of which none is sent any more.
        if self.cx.is_late() {
            return Ok(Course::Run);
        }
        if self.cx.may_have_acted() {
            self.org.outlast_since(self.begun, self.cx).await?;
        }
        if self.all_pass(form).await? {
            return Ok(Course::Run);
        }
        self.cx.done_without_change(REFUSED, &[]).await?;
        Ok(Course::Refuse)
    }

    /// Whether every entry passes the checks that can be made before anything is sent.
    async fn all_pass(&self, form: Form) -> Result<bool, Failure> {
        let mut units = Units::start(self.cx, form, Size::CALL)?;
        for step in 0.. {
            let items = units.next().await?;
            if items.is_empty() {
                break;
            }
            if self.cx.stop.is_cancelled() {
                return Err(stopped());
            }
            self.org.may_go_on().await?;
            if !Unit::new(self, step, items).passes().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The agent stops, and would soon cut the attempt off: that must not pass for its death.
async fn hurried(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(HURRY).await;
}

/// What earlier attempts finished.
async fn tally(cx: &AttemptCx) -> Result<Tally, Failure> {
    if !cx.earlier.has_done() {
        return Ok(Tally::default());
    }
    let results = cx.journal.results();
    let unread = |why: String| Failure::new(FailureClass::Internal, "store", format!("the results so far: {why}"));
    let read = tokio::task::spawn_blocking(|| Tally::of_results(results)).await;
    read.map_err(|error| unread(error.to_string()))?.map_err(|error| unread(error.to_string()))
}

/// Nothing of the batch is proved done, nor open in its journal.
fn late() -> Failure {
    Failure::new(FailureClass::Interrupted, EXPIRED, "the deadline passed before any entry was begun")
}

fn stopped_midway(done: u64, total: u64) -> Failure {
    let summary = format!("the batch was stopped after {done} of {total} entries");
    Failure::new(FailureClass::Interrupted, "stopped", summary)
}
