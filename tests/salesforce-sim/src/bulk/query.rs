//! The work of a query job: a statement, and what it found when it ran.

use crate::api::query;
use crate::csv::{self, Dialect};
use crate::soql::eval;
use crate::soql::plan::Plan;
use crate::world::{Caller, World};

/// A statement and its result.
#[derive(Debug)]
pub(crate) struct Query {
    /// `query` or `queryAll`, which are the same where nothing that can be asked for was deleted.
    pub(crate) operation: &'static str,
    plan: Plan,
    found: Option<Found>,
}

/// The result as it was when the query ran: later changes do not show in later pages.
#[derive(Debug, Default)]
struct Found {
    header: String,
    rows: String,
    /// Where each row ends.
    ends: Vec<usize>,
}

/// Some rows of a result under its header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) csv: String,
    pub(crate) rows: usize,
    /// The row the next page starts with.
    pub(crate) next: Option<usize>,
}

impl Query {
    pub(crate) fn new(operation: &'static str, plan: Plan) -> Self {
        Self { operation, plan, found: None }
    }

    /// Asks the statement, and keeps the answer.
    pub(crate) fn run(&mut self, world: &mut World, caller: Caller, dialect: Dialect) {
        let ids = query::found(world, caller, &self.plan);
        let tables = &world.org(caller.org).tables;
        let columns = &self.plan.columns;
        let mut found = Found::default();
        csv::write_record(&mut found.header, dialect, columns.iter().map(|(name, _)| name.as_str()));
        for row in ids.iter().filter_map(|id| tables.of(self.plan.kind).get(*id)) {
            let cells: Vec<String> = columns.iter().map(|(_, path)| eval::value(path, row, tables).csv()).collect();
            csv::write_record(&mut found.rows, dialect, cells.iter().map(String::as_str));
            found.ends.push(found.rows.len());
        }
        self.found = Some(found);
    }

    pub(crate) fn count(&self) -> usize {
        self.found.as_ref().map_or(0, |it| it.ends.len())
    }

    /// At most `max` rows from the one numbered `from`, without the last `lost` of them; nothing if there is no result,
    /// or not so many rows.
    pub(crate) fn page(&self, from: usize, max: usize, lost: usize) -> Option<Page> {
        let found = self.found.as_ref()?;
        let total = found.ends.len();
        if from > 0 && from >= total {
            return None;
        }
        let to = from.saturating_add(max).min(total);
        let place = |row: usize| row.checked_sub(1).and_then(|it| found.ends.get(it)).copied().unwrap_or_default();
        let end = to.saturating_sub(lost).max(from);
        let rows = found.rows.get(place(from)..place(end))?;
        let csv = [found.header.as_str(), rows].concat();
        Some(Page { csv, rows: end - from, next: (to < total).then_some(to) })
    }
}
