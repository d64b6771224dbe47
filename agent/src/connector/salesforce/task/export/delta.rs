//! Delta: what changed since a named cursor was last handed over.
//!
//! A cursor remembers until when records were handed over, and of each record a keyed hash of every attribute. Both
//! count only once the requester's side has acknowledged the run they belong to: a run that was lost is repeated, and
//! nothing is ever skipped.

mod cursor;
mod record;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use postern_protocol::task::export::{Content, DeltaMode, Request};
use postern_protocol::{Failure, FailureClass};

use super::super::super::kept::buckets::Buckets;
use super::super::super::schema::describe::{Described, Kind};
use super::super::super::user::is_id;
use super::super::super::{error, soql};
use super::plan::Plan;
use super::value::Column;
use crate::connector::Keep;
use crate::dataset::Change;
use crate::dataset::writer::Cell;
pub(super) use cursor::{Begin, Cursor, place};
pub(in super::super::super) use cursor::{State, cursors, forget_cursor};
pub(in super::super::super) use record::Known;
use record::{Layout, Marks};

/// How far behind Salesforce's clock a run ends: a long transaction commits later than the moment it stamps its records
/// with.
const LAG: SignedDuration = SignedDuration::from_mins(5);
/// How far a run reaches back into the one before, for transactions that took longer still. What was handed over then is
/// recognized by its hashes.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// How far Salesforce's clock and this host's may come apart between two runs. Less is made up for by the overlap.
const APART: SignedDuration = SignedDuration::from_mins(1);
/// Attributes of one record whose hashes fit its bucket, twice.
pub(super) const MAX_ATTRIBUTES: usize = 120;
/// What tells when a record changed, the best first.
const STAMPS: [&str; 3] = ["SystemModstamp", "LoginTime", "LastModifiedDate"];

/// What logins, looks and every change leave behind: alone they make no change, unless the request says otherwise.
pub(super) const INCIDENTAL: [&str; 6] =
    ["LastLoginDate", "LastViewedDate", "LastReferencedDate", "LastModifiedById", "LastModifiedDate", "SystemModstamp"];

/// The field that tells when records of an object changed.
pub(super) fn stamp(object: &Described) -> Result<&'static str, Failure> {
    let usable =
        |name: &&&str| object.find(name).is_some_and(|field| field.filterable && field.kind() == Kind::DateTime);
    STAMPS.iter().find(usable).copied().ok_or_else(|| {
        let summary = format!("{} does not tell when its records changed, so there is no delta of it", object.name);
        Failure::new(FailureClass::Rejected, "no_delta", summary).with_next_step("Export it in full")
    })
}

/// A span of time, from its first moment up to but without its last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// `None`: from the beginning.
    pub(super) from: Option<Timestamp>,
    pub(super) until: Timestamp,
    /// Whether the run before may have ended later than it was.
    pub(super) reaches_back: bool,
}

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// By Salesforce's, which stamps records. One answer tells it, and whoever gave that may be wrong.
    pub(super) org: Timestamp,
    /// By this host's, which may be wrong as well, and is by the same from one run to the next.
    pub(super) here: Timestamp,
}

impl Now {
    /// When an object was described.
    pub(super) fn of(object: &Described) -> Option<Self> {
        Some(Self { org: object.at?, here: object.here })
    }

    /// How far Salesforce's clock is ahead.
    fn ahead(self) -> SignedDuration {
        self.org.duration_since(self.here)
    }
}

/// How far a cursor got.
#[derive(Debug, Clone, Copy)]
struct Watermark {
    /// Until when records were handed over, by Salesforce's clock.
    until: Timestamp,
    /// How far that was ahead then.
    ahead: SignedDuration,
}

impl Watermark {
    /// How far it may be ahead of what was handed over: Salesforce's clock was then, or this host's was set since. To reach back
    /// for nothing costs the reading of what is known.
    fn too_far(self, now: Now) -> SignedDuration {
        Some(self.ahead.saturating_add(-now.ahead())).filter(|by| *by > APART).unwrap_or_default()
    }

    /// Until when records were handed over, whichever of both clocks was wrong.
    fn reached(self, now: Now) -> Option<Timestamp> {
        self.until.checked_sub(self.too_far(now)).ok()
    }
}

impl Span {
    /// The span of a run after one that got to `before`. If that was too far, so may be what runs before it got to, back to `sure`.
    fn new(now: Now, before: Option<Watermark>, sure: Option<Watermark>) -> Result<Self, Failure> {
        let out_of_time = |_| Failure::new(FailureClass::Internal, "clock", "Salesforce's clock shows no usable time");
        let until = now.org.checked_sub(LAG).map_err(out_of_time)?;
        let Some(before) = before else { return Ok(Self { from: None, until, reaches_back: false }) };
        let too_far = before.too_far(now);
        let sure = sure.filter(|_| !too_far.is_zero());
        // What is not over yet was not handed over, whenever the run before was.
        let reached = before.reached(now).filter(|_| before.until <= now.org);
        let reached = reached.and_then(|it| sure.map_or(Some(it), |sure| sure.reached(now).map(|sure| sure.min(it))));
        let Some(reached) = reached else { return Ok(Self { from: None, until, reaches_back: true }) };
        let from = Some(reached.checked_sub(OVERLAP).map_err(out_of_time)?);
        // Two answers of one moment may tell different ones.
        Ok(Self { from, until: reached.max(until), reaches_back: !too_far.is_zero() })
    }

    /// The condition on records.
    pub(super) fn condition(&self, stamp: &str) -> String {
        let until = format!("{stamp} < {}", soql::moment(&self.until));
        match &self.from {
            Some(from) => format!("{stamp} >= {} AND {until}", soql::moment(from)),
            None => until,
        }
    }
}

/// What is written of a record.
type Told = (Change, Vec<Option<Cell>>);

/// Tells which records changed, and what of them.
pub(super) struct Tracker {
    known: Buckets<Known>,
    cursor: Cursor,
    layout: Layout,
    columns: Arc<[Column]>,
    /// How many of the columns are handed over.
    shown: usize,
    /// The column that tells when a record changed.
    stamp_at: usize,
    /// Which columns are handed over whether they changed or not.
    mandatory: Vec<bool>,
    /// Which columns alone make no change.
    incidental: Vec<bool>,
    mode: DeltaMode,
    content: Content,
}

impl Tracker {
    pub(super) fn new(keep: Arc<dyn Keep>, cursor: Cursor, plan: &Plan, it: &Request) -> Self {
        let mode = it.delta.as_ref().and_then(|delta| delta.mode.known()).unwrap_or(DeltaMode::ChangedAndMandatory);
        let names = plan.columns.iter().take(plan.shown).map(|column| column.name.as_str());
        let layout = Layout::new(&cursor.key, names);
        Self {
            known: Buckets::new(keep, &cursor.place),
            cursor,
            layout,
            columns: Arc::clone(&plan.columns),
            shown: plan.shown,
            stamp_at: plan.stamp_at,
            mandatory: plan.mandatory.clone(),
            incidental: plan.incidental.clone(),
            mode,
            content: it.content.known().unwrap_or(Content::Records),
        }
    }

    /// What is written of a record, if it changed. Blocks.
    pub(super) fn take(&mut self, cells: &[Cell]) -> Result<Option<Told>, Failure> {
        // What is no id would be remembered by itself, however long it is, and never found again.
        let id = cells.first().map(|id| id.as_text().to_owned()).filter(|id| is_id(id));
        let id = id.ok_or_else(|| error::strange(200))?;
        let run = self.cursor.run();
        let marks = Marks::new(&self.cursor.key, run, &self.layout, cells.iter().take(self.shown));
        let before = self.known.get(&id)?.and_then(|known| self.cursor.standing(known)).cloned();
        let changed = marks.changed_since(before.as_ref());
        let is_change = |(changed, incidental): (&bool, &bool)| *changed && !incidental;
        if before.is_some() && !changed.iter().zip(&self.incidental).any(is_change) {
            return Ok(None);
        }
        let change = if before.is_some() { Change::Modify } else { Change::Add };
        let told = match self.content {
            Content::Records => self.records(cells, &changed, change),
            Content::ChangeLog => self.log(cells, &changed, change),
        };
        self.known.put(&id, Some(Known { marks, before }))?;
        Ok(Some((change, told)))
    }

    fn records(&self, cells: &[Cell], changed: &[bool], change: Change) -> Vec<Option<Cell>> {
        let told = |(at, cell): (usize, &Cell)| {
            let is = |list: &[bool]| list.get(at).copied().unwrap_or_default();
            let told = match self.mode {
                DeltaMode::AllAttributes => true,
                DeltaMode::ChangedAndMandatory => is(changed) || is(&self.mandatory),
                DeltaMode::OnlyChanged => is(changed),
            };
            // The first column says which record it is; a new record is told whole.
            (told || at == 0 || change == Change::Add).then(|| cell.clone())
        };
        cells.iter().take(self.shown).enumerate().map(told).collect()
    }

    fn log(&self, cells: &[Cell], changed: &[bool], change: Change) -> Vec<Option<Cell>> {
        let names: Vec<&str> =
            self.columns.iter().zip(changed).filter(|(_, changed)| **changed).map(|(it, _)| it.name.as_str()).collect();
        let word = match change {
            Change::Add => "add",
            Change::Modify => "modify",
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        let at = cells.get(self.stamp_at).cloned().unwrap_or(Cell::Null);
        let id = cells.first().cloned().unwrap_or(Cell::Null);
        [id, text(word), text(&names.join(" ")), at].into_iter().map(Some).collect()
    }

    /// Whether it is time for [`Self::remember`].
    pub(super) fn is_full(&self) -> bool {
        self.known.is_full()
    }

    /// Makes durable what is to be remembered of the records taken.
    pub(super) async fn remember(&mut self) -> Result<(), Failure> {
        self.known.write().await
    }

    /// What the columns of the file are called.
    pub(super) fn names(&self) -> Vec<String> {
        match self.content {
            Content::Records => self.columns.iter().take(self.shown).map(|column| column.name.clone()).collect(),
            Content::ChangeLog => LOG_COLUMNS.map(str::to_owned).to_vec(),
        }
    }
}

/// The columns of a change log.
const LOG_COLUMNS: [&str; 4] = ["Id", "Change", "Attributes", "ChangedAt"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-28T{time}Z").parse().unwrap()
    }

    /// Minutes by which Salesforce's clock is ahead.
    fn watermark(until: &str, ahead: i64) -> Watermark {
        Watermark { until: at(until), ahead: SignedDuration::from_mins(ahead) }
    }

    fn span(org: &str, here: &str, before: Watermark) -> (Option<Timestamp>, Timestamp, bool) {
        let Span { from, until, reaches_back } =
            Span::new(Now { org: at(org), here: at(here) }, Some(before), None).unwrap();
        (from, until, reaches_back)
    }

    /// At noon, an answer says that it is 18:00. Leave this host's clock out, and whoever looks after that misses six hours.
    #[test]
    fn a_watermark_from_a_clock_that_was_ahead_is_gone_back_from_when_it_is_over_too() {
        let lie = watermark("17:55:00", 360);
        assert_eq!(span("19:00:00", "19:00:00", lie), (Some(at("11:45:00")), at("18:55:00"), true));
        assert_eq!(span("18:56:00", "19:00:00", lie), (Some(at("11:41:00")), at("18:51:00"), true));
        assert_eq!(span("13:00:00", "13:00:00", lie), (None, at("12:55:00"), true), "it is not over");
    }

    /// Nothing may be skipped for a clock that is behind, either, now or when the run before was.
    #[test]
    fn a_clock_that_is_behind_is_gone_by_and_left_behind_again() {
        assert_eq!(span("06:00:00", "12:00:00", watermark("11:00:00", 0)), (None, at("05:55:00"), true));
        let behind = watermark("05:55:00", -360);
        assert_eq!(span("13:00:00", "13:00:00", behind), (Some(at("05:45:00")), at("12:55:00"), false));
    }

    #[test]
    fn clocks_that_go_as_they_did_reach_back_by_the_overlap_alone() {
        for (org, here, ahead) in
            [("13:00:00", "13:00:00", 0), ("13:00:00", "13:00:59", 0), ("13:00:00", "08:00:00", 300)]
        {
            let expected = (Some(at("11:45:00")), at("12:55:00"), false);
            assert_eq!(span(org, here, watermark("11:55:00", ahead)), expected, "{here}");
        }
        assert_eq!(span("12:00:00", "12:00:01", watermark("11:55:01", 0)).1, at("11:55:01"), "by another machine");
    }
}
