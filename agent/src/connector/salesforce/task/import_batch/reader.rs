//! Units of a dataset: read on a thread that may block, grouped in a way that another attempt repeats exactly.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use postern_protocol::task::import_batch::{Delimiter, Format, Request};
use postern_protocol::{Failure, FailureClass};
use tokio::sync::mpsc;

use super::plan;
use super::unit::AT_ONCE;
use crate::connector::{AttemptCx, stopped};
use crate::dataset::{self, DatasetError, Entries, Entry, Item, Whole};

/// How much is done and journaled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) entries: usize,
    /// Of names and values: what a unit holds in memory.
    bytes: usize,
}

/// The most values of a unit, those between semicolons counted one by one: each is fifty bytes and more in memory, however short
/// it is. Ten thousand users have fifty each, and with honest names and values the bytes are at their end before.
const MAX_VALUES: usize = 500_000;

impl Size {
    /// One call of the collections, and below what one may carry.
    pub(super) const CALL: Self = Self { entries: AT_ONCE, bytes: 2 * 1024 * 1024 };
    /// A few calls of the collections, after one look at their users.
    pub(super) const CALLS: Self = Self { entries: 500, bytes: 2 * 1024 * 1024 };
    /// One bulk job, of as many entries as Salesforce works on at once. It is held in memory, because passwords and
    /// personal data are never on disk in clear.
    pub(super) const JOB: Self = Self { entries: 10_000, bytes: 8 * 1024 * 1024 };
}

/// Entries read ahead; each is at most 256 KiB.
const AHEAD: usize = 16;

/// How a dataset is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    format: Format,
    delimiter: Delimiter,
}

impl Form {
    /// What a request says of it, as far as this version knows it.
    pub(super) fn of(request: &Request) -> Result<Self, Failure> {
        let (Some(format), Some(delimiter)) = (request.format.known(), request.delimiter.known()) else {
            let summary = "this version cannot read that dataset form";
            return Err(Failure::new(FailureClass::Rejected, "unknown_format", summary)
                .with_next_step("Use one of the forms of docs/datasets.md, or a newer agent."));
        };
        Ok(Self { format, delimiter })
    }

    fn open(self, cx: &AttemptCx) -> Result<Entries, Failure> {
        Ok(dataset::read(cx.journal.dataset()?, self.format, self.delimiter))
    }
}

/// A dataset in units.
pub(super) struct Units {
    items: mpsc::Receiver<Result<Item, DatasetError>>,
    next: Option<Item>,
    size: Size,
}

impl Units {
    /// Starts to read.
    pub(super) fn start(cx: &AttemptCx, form: Form, size: Size) -> Result<Self, Failure> {
        let entries = form.open(cx)?;
        let (sender, items) = mpsc::channel(AHEAD);
        // It ends by itself, with the dataset or with the receiver.
        drop(tokio::task::spawn_blocking(move || {
            for item in Whole::new(entries) {
                if sender.blocking_send(item).is_err() {
                    break;
                }
            }
        }));
        Ok(Self { items, next: None, size })
    }

    /// The next unit; empty after the last. No user is named twice in a unit: entries on one user follow each other.
    pub(super) async fn next(&mut self) -> Result<Vec<Item>, Failure> {
        let (mut unit, mut taken, mut bytes, mut values) = (Vec::new(), HashSet::new(), 0, 0);
        while let Some(item) = self.item().await? {
            let (names, size, count) = match &item {
                Ok(entry) => (plan::names(entry), size(entry), count_values(entry)),
                Err(_) => (Vec::new(), 0, 0),
            };
            let fits = unit.len() < self.size.entries
                && bytes + size <= self.size.bytes
                && values + count <= MAX_VALUES
                && !names.iter().any(|it| taken.contains(it));
            if !fits && !unit.is_empty() {
                self.next = Some(item);
                break;
            }
            taken.extend(names);
            bytes += size;
            values += count;
            unit.push(item);
        }
        Ok(unit)
    }

    async fn item(&mut self) -> Result<Option<Item>, Failure> {
        if let Some(item) = self.next.take() {
            return Ok(Some(item));
        }
        self.items.recv().await.transpose().map_err(|error| malformed(&error))
    }
}

/// Reads the whole dataset once and counts its entries: one of which nothing can be read must change nothing.
pub(super) async fn count(cx: &AttemptCx, form: Form) -> Result<u64, Failure> {
    fold(cx, form, 0, |count, _| *count += 1).await
}

/// User names that change hands in a dataset: an entry gives each to a user, and another has it, too.
/// As hashes, in order: eight bytes for each entry that makes or renames a user.
#[derive(Debug, Default)]
pub(super) struct Passed(Vec<u64>);

impl Passed {
    /// Reads the whole dataset twice.
    pub(super) async fn of(cx: &AttemptCx, form: Form) -> Result<Self, Failure> {
        let mut given = fold(cx, form, Vec::new(), |given: &mut Vec<u64>, item| {
            given.extend(item.iter().filter_map(plan::name_given).map(|name| hash(&name)));
        })
        .await?;
        given.sort_unstable();
        given.dedup();
        let entries = vec![0_u8; given.len()];
        let (given, entries) = fold(cx, form, (given, entries), |(given, entries), item| {
            let names: HashSet<String> = item.iter().flat_map(plan::names).collect();
            for at in names.iter().filter_map(|name| given.binary_search(&hash(name)).ok()) {
                entries.get_mut(at).into_iter().for_each(|it| *it = it.saturating_add(1));
            }
        })
        .await?;
        Ok(Self(given.into_iter().zip(entries).filter(|(_, entries)| *entries > 1).map(|(name, _)| name).collect()))
    }

    /// Whether an entry has one of them.
    pub(super) fn have(&self, item: &Item) -> bool {
        !self.0.is_empty() && item.iter().flat_map(plan::names).any(|name| self.0.binary_search(&hash(&name)).is_ok())
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Reads the whole dataset once, on a thread that may block.
async fn fold<T: Send + 'static>(
    cx: &AttemptCx,
    form: Form,
    mut all: T,
    take: impl Fn(&mut T, &Item) + Send + 'static,
) -> Result<T, Failure> {
    let entries = form.open(cx)?;
    let stop = cx.stop.clone();
    let work = move || {
        for item in Whole::new(entries) {
            take(&mut all, &item.map_err(|error| malformed(&error))?);
            if stop.is_cancelled() {
                return Err(stopped());
            }
        }
        Ok(all)
    };
    let crashed = || Failure::new(FailureClass::Internal, "reader_crashed", "reading the dataset ended in a defect");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(crashed()))
}

fn size(entry: &Entry) -> usize {
    entry.record.attributes.iter().map(|it| it.name.len() + it.value.expose().len()).sum()
}

fn count_values(entry: &Entry) -> usize {
    entry.record.attributes.iter().map(|it| 1 + it.value.expose().bytes().filter(|byte| *byte == b';').count()).sum()
}

fn malformed(error: &DatasetError) -> Failure {
    Failure::new(FailureClass::Rejected, "dataset_malformed", format!("the dataset cannot be read: {error}"))
        .with_next_step("Correct the dataset at that place and submit it again; nothing was changed by this attempt.")
}

#[cfg(test)]
mod tests {
    use postern_protocol::Secret;

    use super::super::Steps;
    use super::*;
    use crate::dataset::{Attribute, BadEntry, Change, Place, Record};

    const PLACE: Place = Place { line: 1, column: 1, offset: 0 };

    fn entry(number: u64, name: u64, size: usize) -> Entry {
        let attribute = |(name, value): (&str, String)| Attribute { name: name.to_owned(), value: Secret::new(value) };
        let attributes =
            [("Username", format!("{name}@acme.example")), ("Title", "x".repeat(size))].map(attribute).into();
        Entry { number, place: PLACE, end: 1, record: Record { change: Change::Modify, attributes } }
    }

    /// Short ones are few bytes of a dataset, and many in memory: a unit of 8 MiB would hold most of a gigabyte.
    #[tokio::test]
    async fn a_unit_has_only_so_many_values() {
        let many = |number: u64, name: &str, value: &str, times: usize| {
            let mut entry = entry(number, number, 1);
            let more = Attribute { name: name.to_owned(), value: Secret::new(value.to_owned()) };
            entry.record.attributes.extend(vec![more; times]);
            entry
        };
        for (name, value, times) in [("a", "", 998), ("Groups", &*"a;".repeat(997), 1)] {
            let (sender, items) = mpsc::channel(1_200);
            for number in 0..1_200 {
                sender.try_send(Ok(Ok(many(number, name, value, times)))).unwrap();
            }
            drop(sender);
            let mut units = Units { items, next: None, size: Size::JOB };
            let mut met = Vec::new();
            while let unit @ 1.. = units.next().await.unwrap().len() {
                met.push(unit);
            }
            assert_eq!(met, [500, 500, 200], "{name}");
        }
    }

    /// A journal says what was done by the numbers of steps, and another version may go on with it: with other steps, entries
    /// would be left out, or done twice.
    #[tokio::test]
    async fn units_and_steps_are_those_of_every_version() {
        let unreadable =
            BadEntry { number: 2_600, place: PLACE, end: Some(1), code: "bad_entry", problem: String::new() };
        let dataset: Vec<Item> = (0..1_200)
            // A user who is named twice, and entries that are too many bytes together.
            .map(|number| entry(number, if number == 301 { 300 } else { number }, 10))
            .chain((1_200..1_220).map(|number| entry(number, number, 250 * 1024)))
            .chain((1_220..2_600).map(|number| entry(number, number, 10)))
            .map(Ok)
            .chain([Err(unreadable)])
            .collect();
        for (size, units) in [
            (
                Size::CALL,
                &[
                    (200, 0),
                    (101, 1),
                    (200, 2),
                    (200, 3),
                    (200, 4),
                    (200, 5),
                    (107, 6),
                    (8, 7),
                    (200, 8),
                    (200, 9),
                    (200, 10),
                    (200, 11),
                    (200, 12),
                    (200, 13),
                    (185, 14),
                ][..],
            ),
            (Size::CALLS, &[(301, 1), (500, 4), (407, 7), (8, 8), (500, 11), (500, 14), (385, 16)]),
            (Size::JOB, &[(301, 1), (2_300, 13)]),
        ] {
            let (sender, items) = mpsc::channel(dataset.len());
            for item in dataset.clone() {
                sender.try_send(Ok(item)).unwrap();
            }
            drop(sender);
            let (mut read, mut steps) = (Units { items, next: None, size }, Steps { next: 0, entries: AT_ONCE });
            let mut met = Vec::new();
            loop {
                let entries = read.next().await.unwrap().len();
                let Some(step) = steps.of(entries) else { break };
                met.push((entries, step.last));
            }
            assert_eq!(met, units, "{size:?}: entries of each unit, and the number of its last step");
        }
        assert_eq!((Size::JOB.entries, Size::JOB.bytes), (10_000, 8 * 1024 * 1024));
    }
}
