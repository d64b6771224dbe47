//! Create and modify users from a dataset, unit by unit.
//!
//! A unit is as many entries as are looked up, sent and journaled together ([`Size`]): calls or a job create, others
//! modify, one call a user sets passwords, the last calls disable. Before each call an intent; at the end of the unit its
//! results, durably. Another attempt skips finished units and repeats an unfinished one with look-ups, so that nothing is
//! created twice and every entry is reported once.

mod choices;
mod lookup;
mod memory;
mod naming;
mod plan;
mod present;
mod reader;
mod result;
mod unit;
mod values;

use postern_protocol::task::import_batch::Request;
use postern_protocol::{Failure, FailureClass};

use super::super::Salesforce;
use super::super::api::Longest;
use super::super::schema::describe::Described;
use crate::connector::{AttemptCx, Conclusion, stopped};
use choices::Choices;
use reader::{Form, Size, Units};
use result::{Line, Tally};
use unit::{AT_ONCE, Stock, Unit};

/// The step that is done when all or none were to be done and it was found that it will be none. It has no results.
const REFUSED: u32 = u32::MAX;

/// Entries of a plan that are journaled at once: with their changes they are much longer than others.
const PLANNED: usize = 20;

/// What all units of a batch have in common.
struct Batch<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    schema: &'a Described,
    choices: &'a Choices,
    longest: Longest,
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
        return Ok(tally.conclusion());
    }
    let schema = org.describe("User").await?;
    let choices = Choices::of(&it, &schema, &cx.system)?;
    let batch = Batch { org, cx, schema: &schema, choices: &choices, longest: Longest::default() };
    let course = batch.course(form).await?;
    let mut stock = if course == Course::Plan { Stock::of(org).await? } else { Stock::default() };
    let size = match course {
        Course::Run if choices.all_or_none => Size::CALL,
        Course::Run if total > u64::from(it.bulk_threshold) => Size::JOB,
        Course::Run => Size::CALLS,
        Course::Plan | Course::Refuse => Size::CALL,
    };
    let mut units = Units::start(cx, form, size)?;
    let mut steps = Steps { next: 0, entries: if course == Course::Plan { PLANNED } else { AT_ONCE } };
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
        if course == Course::Run {
            org.may_go_on().await?;
        }
        cx.journal.progress(tally.entries(), total, "import");
        let unit = Unit::new(&batch, step.last, items);
        let lines: Vec<Line> = match course {
            Course::Plan => unit.plan(&mut stock).await?,
            Course::Refuse => unit.refuse(true).await?,
            Course::Run if choices.all_or_none && tally.has_failures() => unit.refuse(false).await?,
            Course::Run => unit.run().await?,
        };
        for (step, lines) in (step.first..=step.last).zip(lines.chunks(steps.entries)) {
            if !cx.is_done(step) {
                if lines.iter().any(|line| line.end().may_have_changed()) {
                    cx.done(step, &result::text(lines)).await?;
                } else {
                    cx.done_without_change(step, &result::text(lines)).await?;
                }
                for line in lines {
                    tally.count(line.end());
                }
            }
        }
    }
    cx.journal.progress(tally.entries(), total, "import");
    Ok(if course == Course::Plan { tally.plan(stock.taken()) } else { tally.conclusion() })
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
        // Once something was sent, it is gone on with.
        if !self.cx.earlier.is_empty() || self.all_pass(form).await? {
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
            if !Unit::new(self, step, items).passes().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
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

fn stopped_midway(done: u64, total: u64) -> Failure {
    let summary = format!("the batch was stopped after {done} of {total} entries");
    Failure::new(FailureClass::Interrupted, "stopped", summary)
}
