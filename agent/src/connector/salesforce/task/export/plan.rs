//! What an export asks for: columns, conditions, statements.

use std::collections::HashSet;
use std::sync::Arc;

use postern_protocol::bounded::{List, Text};
use postern_protocol::filter::Attribute;
use postern_protocol::task::export::{DateFormat, RecordFormat, Request};
use postern_protocol::{Failure, FailureClass};

use super::super::super::Salesforce;
use super::super::super::schema::describe::{Described, Field, Kind};
use super::super::super::soql::{condition, manual};
use super::super::name_all;
use super::value::Column;
use crate::dataset::writer::Form;

/// The longest statement Salesforce takes.
const MAX_STATEMENT: usize = 100_000;

/// Everything that is decided before the first record is read.
pub(super) struct Plan {
    pub(super) columns: Arc<[Column]>,
    pub(super) form: Form,
    /// The statement that finds the records.
    pub(super) select: String,
    /// The statement that counts them.
    pub(super) count: String,
    warnings: Vec<String>,
}

impl Plan {
    pub(super) async fn make(org: &Salesforce, it: &Request) -> Result<Self, Failure> {
        let form = match it.format.known() {
            Some(RecordFormat::JsonLines) => Form::JsonLines,
            Some(RecordFormat::Csv) => Form::Csv,
            Some(RecordFormat::Xml) => Form::Xml,
            None => return Err(refused("unknown_format", "This version cannot write that form of records")),
        };
        let Some(schema) = org.schema.object(&it.object) else {
            let known = org.schema.names().join(", ");
            let summary = format!("`{}` cannot be exported; what can be is: {known}", it.object);
            return Err(refused("unknown_object", &summary));
        };
        let object = org.describe(&schema.name).await?;
        let mut selection = Selection::new(&object, &it.dates)?;
        it.mandatory.iter().try_for_each(|attribute| selection.require(attribute))?;
        if it.attributes.is_empty() {
            schema.attributes.iter().for_each(|attribute| selection.want(&attribute.name));
        } else {
            it.attributes.iter().for_each(|attribute| selection.want(attribute));
        }
        let (columns, warnings) = selection.finish()?;
        let conditions = conditions(it, &object)?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let select = format!("SELECT {} FROM {}{conditions}", names.join(", "), object.name);
        if select.chars().count() > MAX_STATEMENT {
            let summary = format!(
                "The export takes a statement of more than the {MAX_STATEMENT} characters that Salesforce reads"
            );
            return Err(refused("statement_too_long", &summary));
        }
        let count = format!("SELECT COUNT() FROM {}{conditions}", object.name);
        Ok(Self { columns: columns.into(), form, select, count, warnings })
    }

    /// Adds something that the requester should know.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(super) fn warnings(&self) -> List<Text<512>, 12> {
        List::clipped(self.warnings.iter().map(Text::clipped).collect())
    }
}

/// The conditions of a request, each in its own parentheses.
fn conditions(it: &Request, object: &Described) -> Result<String, Failure> {
    let mut conditions = Vec::new();
    if let Some(filter) = &it.filter {
        conditions.push(format!("({})", condition::encode(filter, object)?));
    }
    if !it.clause.is_empty() {
        manual::check(&it.clause)?;
        conditions.push(format!("({})", it.clause.as_str()));
    }
    Ok(if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) })
}

/// Columns as they are chosen: those the org has, each once.
struct Selection<'a> {
    object: &'a Described,
    dates: &'a [DateFormat],
    chosen: Vec<&'a Field>,
    names: HashSet<&'a str>,
    lacking: Vec<String>,
    unreadable: Vec<String>,
}

impl<'a> Selection<'a> {
    fn new(object: &'a Described, dates: &'a [DateFormat]) -> Result<Self, Failure> {
        for format in dates {
            let known = format.day.known().is_some() && format.time.known().is_some();
            let field = object.find(&format.attribute);
            if !known || field.is_some_and(|field| !matches!(field.kind(), Kind::Date | Kind::DateTime)) {
                let summary = format!("`{}` cannot be given that date format", format.attribute);
                return Err(refused("date_format", &summary));
            }
        }
        let (chosen, names) = (Vec::new(), HashSet::new());
        let mut selection = Self { object, dates, chosen, names, lacking: Vec::new(), unreadable: Vec::new() };
        // Every record says which it is.
        selection.want("Id");
        Ok(selection)
    }

    fn require(&mut self, attribute: &Attribute) -> Result<(), Failure> {
        if self.object.find(attribute).is_none() {
            let summary = format!("{} of this org lacks the mandatory attribute `{attribute}`", self.object.name);
            return Err(refused("mandatory_attribute_missing", &summary));
        }
        self.want(attribute);
        Ok(())
    }

    fn want(&mut self, attribute: &str) {
        match self.object.find(attribute) {
            None => self.lacking.push(attribute.to_owned()),
            Some(field) if matches!(field.kind(), Kind::Address | Kind::Base64) => {
                self.unreadable.push(field.name.clone());
            }
            Some(field) if self.names.insert(&field.name) => self.chosen.push(field),
            Some(_) => (),
        }
    }

    fn finish(self) -> Result<(Vec<Column>, Vec<String>), Failure> {
        let format = |field: &Field| {
            self.dates.iter().find(|it| self.object.find(&it.attribute).is_some_and(|it| it.name == field.name))
        };
        let columns: Vec<Column> = self.chosen.iter().map(|field| Column::new(field, format(field))).collect();
        if columns.is_empty() {
            return Err(refused("no_attributes", "None of the attributes can be read in this org"));
        }
        let object = &self.object.name;
        let mut warnings =
            name_all(&format!("{object} of this org lacks these attributes, so they are left out"), &self.lacking);
        warnings.extend(name_all("These attributes are no texts, so they are left out", &self.unreadable));
        Ok((columns, warnings))
    }
}

fn refused(code: &str, summary: &str) -> Failure {
    Failure::new(FailureClass::Rejected, code, summary).with_next_step("Correct the task and submit it again")
}
