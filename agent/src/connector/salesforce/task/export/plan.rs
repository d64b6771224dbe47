//! What an export asks for: columns, conditions, statements.

use std::collections::HashSet;
use std::sync::Arc;

use postern_protocol::Failure;
use postern_protocol::bounded::{List, Text};
use postern_protocol::filter::Attribute;
use postern_protocol::task::export::{Content, DateFormat, DeltaMode, RecordFormat, Request};

use super::super::super::Salesforce;
use super::super::super::schema::describe::{Described, Kind};
use super::super::super::schema::reach::{Found, Reach};
use super::super::super::soql::{condition, manual};
use super::super::{name_all, refused};
use super::delta::{self, Now, Span};
use super::value::Column;
use crate::dataset::writer::Form;

/// The longest statement Salesforce takes.
const MAX_STATEMENT: usize = 100_000;
/// The condition on a span of time.
const SPAN: usize = 200;

/// Everything that is decided before the first record is read.
pub(in super::super) struct Plan {
    /// What is read of a record.
    pub(super) columns: Arc<[Column]>,
    /// How many of the columns are handed over.
    pub(super) shown: usize,
    /// Of a delta: the column that tells when a record changed.
    pub(super) stamp_at: usize,
    /// Which of them are mandatory.
    pub(super) mandatory: Vec<bool>,
    /// Of a delta: which of them alone make no change.
    pub(super) incidental: Vec<bool>,
    pub(super) form: Form,
    /// Everything that decides which records and attributes are handed over.
    pub(super) about: String,
    /// Now, if Salesforce said what its clock showed.
    pub(super) now: Option<Now>,
    /// The object's name as Salesforce spells it.
    pub(super) object: String,
    conditions: Vec<String>,
    stamp: &'static str,
    warnings: Vec<String>,
}

impl Plan {
    pub(super) async fn make(org: &Salesforce, it: &Request) -> Result<Self, Failure> {
        let form = form(it)?;
        let Some(schema) = org.schema.object(&it.object) else {
            let known = org.schema.names().join(", ");
            let summary = format!("`{}` cannot be exported; what can be is: {known}", it.object);
            return Err(refused("unknown_object", summary));
        };
        let wanted: Vec<&str> = if it.attributes.is_empty() {
            schema.attributes.iter().map(|attribute| attribute.name.as_str()).collect()
        } else {
            it.attributes.iter().map(Text::as_str).collect()
        };
        let filtered = it.filter.iter().flat_map(|filter| condition::names(filter.condition()));
        let passed_over = it.delta.iter().filter_map(|delta| delta.incidental.as_ref()).flatten().map(Text::as_str);
        let asked_for =
            it.mandatory.iter().map(Text::as_str).chain(wanted.iter().copied()).chain(filtered).chain(passed_over);
        let reach = org.describe_for(&schema.name, &asked_for.collect::<Vec<_>>()).await?;
        let mut selection = Selection::new(&reach, &it.dates)?;
        it.mandatory.iter().try_for_each(|attribute| selection.require(attribute))?;
        let required = selection.chosen.len();
        for attribute in wanted {
            selection.want(attribute);
        }
        let mandatory = (0..selection.chosen.len()).map(|at| at < required).collect();
        let (mut columns, warnings) = selection.finish()?;
        let incidental = incidental(it, &reach, &columns)?;
        let (shown, mut stamp, mut stamp_at) = (columns.len(), "", 0);
        let conditions = conditions(it, &reach)?;
        let object = &reach.object;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let about = format!("{} {conditions:?} {names:?}", object.name);
        if it.delta.is_some() {
            if shown > delta::MAX_ATTRIBUTES {
                let summary = format!("A delta has at most {} attributes, and this has {shown}", delta::MAX_ATTRIBUTES);
                return Err(refused("too_many_attributes", summary));
            }
            stamp = delta::stamp(object)?;
            stamp_at = columns.iter().position(|column| column.name == stamp).unwrap_or(shown);
            if stamp_at == shown {
                columns.extend(reach.find(stamp).map(|found| Column::new(&found, None)));
            }
        }
        let (name, now) = (object.name.clone(), Now::of(object));
        let columns = columns.into();
        let plan = Self {
            columns,
            shown,
            stamp_at,
            mandatory,
            incidental,
            form,
            about,
            now,
            object: name,
            conditions,
            stamp,
            warnings,
        };
        plan.check_length()?;
        Ok(plan)
    }

    /// Some columns of the records of an object that meet these conditions.
    pub(in super::super) fn of(object: &Described, columns: Vec<Column>, conditions: Vec<String>) -> Self {
        Self {
            shown: columns.len(),
            columns: columns.into(),
            stamp_at: 0,
            mandatory: Vec::new(),
            incidental: Vec::new(),
            form: Form::JsonLines,
            about: String::new(),
            now: Now::of(object),
            object: object.name.clone(),
            conditions,
            stamp: "",
            warnings: Vec::new(),
        }
    }

    /// Leaves only records that changed in a span of time.
    pub(super) fn within(&mut self, span: &Span) {
        self.conditions.push(span.condition(self.stamp));
    }

    /// The statement that finds the records.
    pub(super) fn select(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        format!("SELECT {} FROM {}{}", names.join(", "), self.object, self.clause())
    }

    /// The statement that counts them.
    pub(in super::super) fn count(&self) -> String {
        format!("SELECT COUNT() FROM {}{}", self.object, self.clause())
    }

    fn clause(&self) -> String {
        let conditions: Vec<String> = self.conditions.iter().map(|condition| format!("({condition})")).collect();
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
    }

    fn check_length(&self) -> Result<(), Failure> {
        if self.select().chars().count() + SPAN <= MAX_STATEMENT {
            return Ok(());
        }
        let summary =
            format!("The export takes a statement of more than the {MAX_STATEMENT} characters that Salesforce reads");
        Err(refused("statement_too_long", summary))
    }

    /// Adds something that the requester should know.
    pub(in super::super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(in super::super) fn warnings(&self) -> List<Text<512>, 12> {
        self.warnings_and(None)
    }

    /// With one more, which comes first: others may be many.
    pub(in super::super) fn warnings_and(&self, more: Option<&str>) -> List<Text<512>, 12> {
        let own = self.warnings.iter().map(String::as_str);
        List::clipped(more.into_iter().chain(own).map(Text::clipped).collect())
    }
}

/// Which columns of a delta alone make no change.
fn incidental(it: &Request, reach: &Reach, columns: &[Column]) -> Result<Vec<bool>, Failure> {
    let Some(delta) = &it.delta else { return Ok(Vec::new()) };
    let mut names: HashSet<String> = delta::INCIDENTAL.map(str::to_owned).into();
    if let Some(asked) = &delta.incidental {
        names.clear();
        for attribute in asked {
            let Some(found) = reach.find(attribute) else {
                let summary = format!("{} of this org lacks the incidental attribute `{attribute}`", reach.object.name);
                return Err(refused("incidental_attribute_missing", summary));
            };
            names.insert(found.name);
        }
    }
    Ok(columns.iter().map(|column| names.contains(&column.name)).collect())
}

fn form(it: &Request) -> Result<Form, Failure> {
    let form = match it.format.known() {
        Some(RecordFormat::JsonLines) => Form::JsonLines,
        Some(RecordFormat::Csv) => Form::Csv,
        Some(RecordFormat::Xml) => Form::Xml,
        None => return Err(refused("unknown_format", "This version cannot write that form of records")),
    };
    let mode = it.delta.as_ref().map(|delta| delta.mode.known());
    match (it.content.known(), mode) {
        (None, _) | (_, Some(None)) => {
            Err(refused("unknown_mode", "This version does not know that way of telling changes"))
        }
        (Some(Content::ChangeLog), None) => Err(refused("no_change_log", "Only a delta has a change log")),
        (Some(Content::Records), Some(Some(DeltaMode::OnlyChanged | DeltaMode::ChangedAndMandatory)))
            if form == Form::Csv =>
        {
            let summary = "CSV cannot tell an attribute that did not change from one that was emptied; use jsonl, xml, or \
                all_attributes";
            Err(refused("csv_delta", summary))
        }
        _ => Ok(form),
    }
}

/// The conditions of a request.
fn conditions(it: &Request, object: &Reach) -> Result<Vec<String>, Failure> {
    let mut conditions = Vec::new();
    if let Some(filter) = &it.filter {
        if it.delta.is_some() {
            condition::check_of_changes(filter)?;
        }
        conditions.push(condition::encode(filter, object)?);
    }
    if !it.clause.is_empty() {
        manual::check(&it.clause, it.delta.is_some())?;
        conditions.push(it.clause.to_string());
    }
    Ok(conditions)
}

/// Columns as they are chosen: those the org has, each once.
struct Selection<'a> {
    reach: &'a Reach,
    dates: &'a [DateFormat],
    chosen: Vec<Found<'a>>,
    names: HashSet<String>,
    lacking: Vec<String>,
    leading_nowhere: Vec<String>,
    unreadable: Vec<String>,
}

impl<'a> Selection<'a> {
    fn new(reach: &'a Reach, dates: &'a [DateFormat]) -> Result<Self, Failure> {
        for format in dates {
            let known = format.day.known().is_some() && format.time.known().is_some();
            let found = reach.find(&format.attribute);
            if !known || found.is_some_and(|found| !matches!(found.kind(), Kind::Date | Kind::DateTime)) {
                let summary = format!("`{}` cannot be given that date format", format.attribute);
                return Err(refused("date_format", summary));
            }
        }
        let mut selection = Self {
            reach,
            dates,
            chosen: Vec::new(),
            names: HashSet::new(),
            lacking: Vec::new(),
            leading_nowhere: Vec::new(),
            unreadable: Vec::new(),
        };
        // Every record says which it is.
        selection.want("Id");
        Ok(selection)
    }

    fn require(&mut self, attribute: &Attribute) -> Result<(), Failure> {
        if self.reach.find(attribute).is_none() {
            let summary = format!("{} of this org lacks the mandatory attribute `{attribute}`", self.reach.object.name);
            return Err(refused("mandatory_attribute_missing", summary));
        }
        self.want(attribute);
        Ok(())
    }

    fn want(&mut self, attribute: &str) {
        match self.reach.find(attribute) {
            None if attribute.contains('.') => self.leading_nowhere.push(attribute.to_owned()),
            None => self.lacking.push(attribute.to_owned()),
            Some(found) if matches!(found.kind(), Kind::Address | Kind::Base64) => self.unreadable.push(found.name),
            Some(found) if self.names.insert(found.name.clone()) => self.chosen.push(found),
            Some(_) => (),
        }
    }

    fn finish(self) -> Result<(Vec<Column>, Vec<String>), Failure> {
        let format = |found: &Found<'_>| {
            self.dates.iter().find(|it| self.reach.find(&it.attribute).is_some_and(|it| it.name == found.name))
        };
        let columns: Vec<Column> = self.chosen.iter().map(|found| Column::new(found, format(found))).collect();
        if columns.is_empty() {
            return Err(refused("no_attributes", "None of the attributes can be read in this org"));
        }
        let object = &self.reach.object.name;
        let mut warnings =
            name_all(&format!("{object} of this org lacks these attributes, so they are left out"), &self.lacking);
        let nowhere = format!(
            "These paths do not lead from {object} by references, each to one kind of object that the service account \
             may see, to an attribute, so they are left out"
        );
        warnings.extend(name_all(&nowhere, &self.leading_nowhere));
        let chosen = |name: &str| self.reach.find(name).is_some_and(|found| self.names.contains(&found.name));
        let unused = self.dates.iter().map(|it| it.attribute.to_string()).filter(|name| !chosen(name));
        let unused: Vec<String> = unused.collect();
        warnings.extend(name_all("These attributes are not exported, so their date formats change nothing", &unused));
        warnings.extend(name_all("These attributes are no texts, so they are left out", &self.unreadable));
        Ok((columns, warnings))
    }
}
