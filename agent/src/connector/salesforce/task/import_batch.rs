//! Create and modify users from a dataset, unit by unit.
//!
//! A unit is up to 200 entries: one call creates, one modifies, one a user sets passwords, one disables. Before each
//! call an intent; at the end of the unit its results, durably. Another attempt skips finished units and repeats an
//! unfinished one with look-ups, so that nothing is created twice and every entry is reported once.

mod lookup;
mod memory;
mod plan;
mod reader;
mod result;
mod unit;

use postern_protocol::task::import_batch::Request;
use postern_protocol::{Failure, FailureClass};

use super::super::Salesforce;
use crate::connector::{AttemptCx, Conclusion};
use reader::{Form, Units};
use result::Tally;
use unit::Unit;

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let form = Form::of(&it)?;
    let total = reader::count(cx, form).await?;
    let mut tally = Tally::of_journal(&cx.earlier);
    if total == 0 {
        return Ok(tally.conclusion());
    }
    let schema = org.user_fields().await?;
    let mut units = Units::start(cx, form)?;
    for step in 0.. {
        let items = units.next().await?;
        if items.is_empty() {
            break;
        }
        if cx.is_done(step) {
            continue;
        }
        if cx.stop.is_cancelled() {
            return Err(stopped_midway(tally.entries(), total));
        }
        cx.journal.progress(tally.entries(), total, "import");
        let lines = Unit::new(org, cx, step, items, &schema).run().await?;
        cx.done(step, result::notes(&lines)).await?;
        for line in &lines {
            tally.count(line.outcome);
        }
    }
    cx.journal.progress(tally.entries(), total, "import");
    Ok(tally.conclusion())
}

fn stopped_midway(done: u64, total: u64) -> Failure {
    let summary = format!("the batch was stopped after {done} of {total} entries");
    Failure::new(FailureClass::Interrupted, "stopped", summary)
}
