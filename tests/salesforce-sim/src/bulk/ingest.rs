//! The work of an ingest job: a file of records to be made or changed.

use std::ops::Range;

use hyper::body::Bytes;
use serde_json::{Map, Value as Json};

use super::fate::{Fate, sf_error};
use crate::api::records;
use crate::csv::{self, Dialect, Records};
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::schema::field::{Field, Kind};
use crate::world::{Caller, World};

/// What is done to the records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Insert,
    Update,
    /// By the field that tells whether the record is there.
    Upsert(&'static Field),
    Delete,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert(_) => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// An uploaded file and what became of its records.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) operation: Operation,
    upload: Option<Bytes>,
    header: Vec<String>,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// How many rows, from the first, are no longer waiting.
    settled: usize,
    /// What is wrong with the file as a whole.
    flaw: Option<String>,
}

/// Where a record stands in the file, and what became of it.
#[derive(Debug)]
struct Row {
    place: Range<usize>,
    fate: Fate,
}

/// What a column means.
#[derive(Debug, Clone, Copy)]
enum Column {
    Id,
    Field(&'static Field),
    /// `Manager.Username`: the reference is found by a field of its parent.
    Parent {
        reference: &'static Field,
        to: ObjectKind,
        by: &'static Field,
    },
}

/// Which records are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Successful,
    Failed,
    Unprocessed,
}

/// Null, as a cell says it. An empty cell leaves the field as it is.
const NULL: &str = "#N/A";
/// The header may have so many characters (published limit).
const MAX_HEADER: usize = 32_000;

impl Ingest {
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            operation,
            upload: None,
            header: Vec::new(),
            columns: Vec::new(),
            rows: Vec::new(),
            settled: 0,
            flaw: None,
        }
    }

    /// Takes the file. Returns whether it was the first one: there is only one for each job.
    pub(crate) fn upload(&mut self, file: Bytes) -> bool {
        let first = self.upload.is_none();
        self.upload.get_or_insert(file);
        first
    }

    /// Reads the header and finds the records.
    pub(crate) fn prepare(&mut self, kind: ObjectKind, dialect: Dialect) {
        let upload = self.upload.clone().unwrap_or_default();
        if let Err(flaw) = self.read(&upload, kind, dialect) {
            self.flaw = Some(flaw);
        }
    }

    fn read(&mut self, upload: &[u8], kind: ObjectKind, dialect: Dialect) -> Result<(), String> {
        let wrong_ending = |csv::WrongLineEnding| {
            let setting = dialect.ending.name();
            format!("ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {setting}")
        };
        let mut records = Records::new(upload, dialect);
        let Some(header) = records.next() else { return Ok(()) };
        let header = header.map_err(wrong_ending)?;
        if header.place.len() > MAX_HEADER {
            return Err(format!("InvalidBatch : The header is longer than {MAX_HEADER} characters"));
        }
        let names = header.cells.map_err(|csv::StrayQuote| format!("InvalidBatch : {STRAY_QUOTE}"))?;
        self.columns = names
            .iter()
            .map(|name| {
                Column::by_name(kind, name, self.operation)
                    .ok_or_else(|| format!("InvalidBatch : Field name not found : {name}"))
            })
            .collect::<Result<_, _>>()?;
        self.header = names;
        for record in records {
            let record = record.map_err(wrong_ending)?;
            self.rows.push(Row { place: record.place, fate: Fate::Waiting });
        }
        Ok(())
    }

    pub(crate) fn flaw(&self) -> Option<&str> {
        self.flaw.as_deref()
    }

    pub(crate) fn total(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn settled(&self) -> usize {
        self.settled
    }

    pub(crate) fn failed(&self) -> usize {
        self.rows.iter().filter(|it| matches!(it.fate, Fate::Failed { .. })).count()
    }

    /// Does the records before the one numbered `due`.
    pub(crate) fn advance(
        &mut self,
        world: &mut World,
        caller: Caller,
        kind: ObjectKind,
        dialect: Dialect,
        due: usize,
    ) {
        let upload = self.upload.clone().unwrap_or_default();
        while self.settled < due {
            let Some(row) = self.rows.get(self.settled) else { return };
            let fate = match cells(&upload, row, dialect) {
                Ok(cells) => self.settle(world, caller, kind, &cells),
                Err(csv::StrayQuote) => Fate::Failed { id: None, error: client_input_error(STRAY_QUOTE) },
            };
            if let Some(row) = self.rows.get_mut(self.settled) {
                row.fate = fate;
            }
            self.settled += 1;
        }
    }

    fn settle(&self, world: &mut World, caller: Caller, kind: ObjectKind, cells: &[String]) -> Fate {
        if cells.len() != self.columns.len() {
            let text = format!("The record has {} cells, the header {}", cells.len(), self.columns.len());
            return Fate::Failed { id: None, error: client_input_error(&text) };
        }
        let named = self.id_cell(cells).and_then(RecordId::parse);
        match self.write(world, caller, kind, cells) {
            Ok((id, created)) => Fate::Done { id, created },
            Err(problem) => Fate::Failed { id: named, error: sf_error(&problem) },
        }
    }

    fn id_cell<'a>(&self, cells: &'a [String]) -> Option<&'a str> {
        let at = self.columns.iter().position(|it| matches!(it, Column::Id))?;
        cells.get(at).map(String::as_str).filter(|it| !it.is_empty())
    }

    fn write(
        &self,
        world: &mut World,
        caller: Caller,
        kind: ObjectKind,
        cells: &[String],
    ) -> Result<(RecordId, bool), Problem> {
        let mut record = self.record(world, caller, cells)?;
        let id = self.id_cell(cells);
        match self.operation {
            Operation::Insert => Ok((records::create_one(world, caller, kind, &record)?, true)),
            Operation::Update => Ok((records::update_named(world, caller, kind, id, &record)?, false)),
            Operation::Delete => Ok((records::delete_named(world, caller, kind, id)?, false)),
            Operation::Upsert(key) if key.kind == Kind::Id => match id {
                Some(id) => Ok((records::update_named(world, caller, kind, Some(id), &record)?, false)),
                None => Ok((records::create_one(world, caller, kind, &record)?, true)),
            },
            Operation::Upsert(key) => {
                let Some(value) = record.get(key.name).and_then(Json::as_str) else {
                    return Err(Problem::new("MISSING_ARGUMENT", format!("{} not specified", key.name)));
                };
                match look_up(world, caller, kind, key, value) {
                    Some(found) => {
                        record.remove(key.name);
                        records::update_one(world, caller, kind, found, &record)?;
                        Ok((found, false))
                    }
                    None => Ok((records::create_one(world, caller, kind, &record)?, true)),
                }
            }
        }
    }

    /// The record a row stands for, as the JSON a single write would bring.
    fn record(&self, world: &World, caller: Caller, cells: &[String]) -> Result<Map<String, Json>, Problem> {
        let mut record = Map::new();
        for (column, cell) in self.columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            match column {
                Column::Id => {}
                Column::Field(field) => {
                    record.insert(field.name.to_owned(), value(field, cell));
                }
                Column::Parent { reference, to, by } => {
                    record.insert(reference.name.to_owned(), parent(world, caller, *to, by, cell)?);
                }
            }
        }
        Ok(record)
    }

    /// The records with this outcome as CSV. The last comes first: callers must not count on the order of their file.
    pub(crate) fn results(&self, outcome: Outcome, dialect: Dialect) -> String {
        let upload = self.upload.clone().unwrap_or_default();
        let header = self.header.iter().map(String::as_str);
        let mut out = String::new();
        csv::write_record(&mut out, dialect, outcome.columns().iter().copied().chain(header));
        for row in self.rows.iter().rev() {
            let id = |id: Option<RecordId>| id.map(|it| it.to_string()).unwrap_or_default();
            let first = match (&row.fate, outcome) {
                (Fate::Done { id: done, created }, Outcome::Successful) => vec![id(Some(*done)), created.to_string()],
                (Fate::Failed { id: named, error }, Outcome::Failed) => vec![id(*named), error.to_string()],
                (Fate::Waiting, Outcome::Unprocessed) => Vec::new(),
                (Fate::Done { .. } | Fate::Failed { .. } | Fate::Waiting, _) => continue,
            };
            let cells = cells(&upload, row, dialect).unwrap_or_else(|csv::StrayQuote| vec![raw(&upload, row)]);
            csv::write_record(&mut out, dialect, first.iter().chain(&cells).map(String::as_str));
        }
        out
    }
}

const STRAY_QUOTE: &str = "Found unescaped quote. A value with quote should be within a quote";

fn client_input_error(text: &str) -> Box<str> {
    sf_error(&Problem::new("ClientInputError", text))
}

impl Outcome {
    /// The columns before those of the file.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Successful => &["sf__Id", "sf__Created"],
            Self::Failed => &["sf__Id", "sf__Error"],
            Self::Unprocessed => &[],
        }
    }
}

impl Column {
    fn by_name(kind: ObjectKind, name: &str, operation: Operation) -> Option<Self> {
        if let Some((parent, by)) = name.split_once('.') {
            let (column, _, to) = kind.object().relationship(parent)?;
            let (_, by) = to.object().column(by).filter(|(_, it)| it.is_id_lookup())?;
            return Some(Self::Parent { reference: kind.object().field(column)?, to, by });
        }
        let (_, field) = kind.object().column(name)?;
        // A record to be made that names its id is refused like any other field it must not have.
        let is_key = field.kind == Kind::Id && !matches!(operation, Operation::Insert);
        Some(if is_key { Self::Id } else { Self::Field(field) })
    }
}

fn cells(upload: &[u8], row: &Row, dialect: Dialect) -> Result<Vec<String>, csv::StrayQuote> {
    let text = upload.get(row.place.clone()).unwrap_or_default();
    match Records::new(text, dialect).next() {
        Some(Ok(record)) => record.cells,
        Some(Err(csv::WrongLineEnding)) | None => Ok(Vec::new()),
    }
}

fn raw(upload: &[u8], row: &Row) -> String {
    String::from_utf8_lossy(upload.get(row.place.clone()).unwrap_or_default()).into_owned()
}

/// Checkboxes have five words for each of their values (published).
fn value(field: &Field, cell: &str) -> Json {
    const TRUE: [&str; 5] = ["yes", "y", "true", "on", "1"];
    const FALSE: [&str; 5] = ["no", "n", "false", "off", "0"];
    let is = |words: [&str; 5]| field.kind == Kind::Boolean && words.iter().any(|it| cell.eq_ignore_ascii_case(it));
    match cell {
        NULL => Json::Null,
        _ if is(TRUE) => Json::Bool(true),
        _ if is(FALSE) => Json::Bool(false),
        cell => Json::from(cell),
    }
}

fn parent(world: &World, caller: Caller, to: ObjectKind, by: &Field, cell: &str) -> Result<Json, Problem> {
    if cell == NULL {
        return Ok(Json::Null);
    }
    let found = look_up(world, caller, to, by, cell).ok_or_else(|| {
        let object = to.object().name;
        let text = format!("Foreign key external ID: {cell} not found for field {} in entity {object}", by.name);
        Problem::new("INVALID_FIELD", text)
    })?;
    Ok(Json::from(found.to_string()))
}

/// The record with this value in a field that records are found by.
fn look_up(world: &World, caller: Caller, kind: ObjectKind, by: &Field, value: &str) -> Option<RecordId> {
    if by.kind == Kind::Id {
        return RecordId::parse(value).filter(|it| world.org(caller.org).tables.of(kind).get(*it).is_some());
    }
    let (org, id) = world.find_user(value).filter(|_| kind == ObjectKind::User)?;
    (org == caller.org).then_some(id)
}
