//! Create and modify users from a dataset, unit by unit.
//!
//! A unit is up to 200 entries: one call creates, one modifies, one a user sets passwords, one disables. Before each
//! call an intent; at the end of the unit its results, durably. Another attempt skips finished units and repeats an
//! unfinished one with look-ups, so that nothing is created twice and every entry is reported once.

mod choices;
mod lookup;
mod memory;
mod plan;
mod present;
mod reader;
mod result;
mod unit;

use postern_protocol::task::import_batch::Request;
use postern_protocol::{Failure, FailureClass};

use super::super::Salesforce;
use super::super::fields::Fields;
use crate::connector::{AttemptCx, Conclusion};
use choices::Choices;
use reader::{Form, Size, Units};
use result::{Line, Tally};
use unit::{Stock, Unit};

/// The step that is done when all or none were to be done and it was found that it will be none. It has no results.
const REFUSED: u32 = u32::MAX;

/// What all units of a batch have in common.
struct Batch<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    schema: &'a Fields,
    choices: &'a Choices,
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
    let mut tally = Tally::of_journal(&cx.earlier);
    if total == 0 {
        return Ok(tally.conclusion());
    }
    let schema = org.user_fields().await?;
    let choices = Choices::of(&it, &schema, &cx.system)?;
    let batch = Batch { org, cx, schema: &schema, choices: &choices };
    let course = batch.course(form).await?;
    let mut stock = if course == Course::Plan { Stock::of(org).await? } else { Stock::default() };
    let mut units = Units::start(cx, form, Size::CALL)?;
    for step in 0.. {
        let items = units.next().await?;
        if items.is_empty() {
            break;
        }
        // A plan's stock goes from unit to unit, so a plan that was begun is made from its beginning.
        if cx.is_done(step) && course != Course::Plan {
            continue;
        }
        if cx.stop.is_cancelled() {
            return Err(stopped_midway(tally.entries(), total));
        }
        cx.journal.progress(tally.entries(), total, "import");
        let unit = Unit::new(&batch, step, items);
        let lines: Vec<Line> = match course {
            Course::Plan => unit.plan(&mut stock).await?,
            Course::Refuse => unit.refuse(true).await?,
            Course::Run if choices.all_or_none && tally.has_failures() => unit.refuse(false).await?,
            Course::Run => unit.run().await?,
        };
        if cx.is_done(step) {
            continue;
        }
        cx.done(step, result::notes(&lines)).await?;
        for line in &lines {
            tally.count(line);
        }
    }
    cx.journal.progress(tally.entries(), total, "import");
    Ok(if course == Course::Plan { tally.plan(stock.taken()) } else { tally.conclusion() })
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
        self.cx.done(REFUSED, vec![Vec::new()]).await?;
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
                return Err(crate::connector::stopped());
            }
            if !Unit::new(self, step, items).passes().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn stopped_midway(done: u64, total: u64) -> Failure {
    let summary = format!("the batch was stopped after {done} of {total} entries");
    Failure::new(FailureClass::Interrupted, "stopped", summary)
}
