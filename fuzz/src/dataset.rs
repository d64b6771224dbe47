//! Datasets of submitters, each read in one piece and in many: where it is cut must not make a difference. And what agents say
//! became of their entries.

use std::io::{self, Cursor, Read};

use postern_agent::dataset::split::split;
use postern_agent::dataset::{self, Item, MAX_ATTRIBUTES, MAX_NAME, MAX_VALUE};
use postern_controller_stub::api::RecordView;
use postern_protocol::task::import_batch::{Delimiter, Format, Remainder};

use crate::{choice, grown};

/// XML.
pub fn dataset_xml(data: &[u8]) -> bool {
    read_both(&grown(data), Format::Xml, Delimiter::FoundOut)
}

/// CSV; the first byte chooses what separates cells.
pub fn dataset_csv(data: &[u8]) -> bool {
    const DELIMITERS: [Delimiter; 5] =
        [Delimiter::FoundOut, Delimiter::Comma, Delimiter::Semicolon, Delimiter::Tab, Delimiter::Pipe];
    let (number, text) = choice(data);
    let delimiter = DELIMITERS.get(number % DELIMITERS.len()).copied().unwrap_or(Delimiter::FoundOut);
    read_both(&grown(text), Format::Csv, delimiter)
}

/// JSON Lines.
pub fn dataset_jsonl(data: &[u8]) -> bool {
    read_both(&grown(data), Format::Jsonl, Delimiter::FoundOut)
}

/// A dataset of several systems, split by the attribute `System`: every entry is in one part, or rejected.
///
/// The first byte chooses the form.
pub fn dataset_split(data: &[u8]) -> bool {
    const FORMATS: [Format; 3] = [Format::Xml, Format::Csv, Format::Jsonl];
    let (number, text) = choice(data);
    let format = FORMATS.get(number % FORMATS.len()).copied().unwrap_or(Format::Xml);
    let folder = tempfile::TempDir::new().expect("there is a place for a folder");
    let whole = folder.path().join("whole");
    std::fs::write(&whole, grown(text)).expect("it can be written");
    let file = std::fs::File::open(&whole).expect("it can be read");
    let parts = folder.path().join("parts");
    let Ok(summary) = split(&file, format, Delimiter::FoundOut, "System", &parts) else {
        assert!(!parts.exists(), "nothing is left of it");
        return false;
    };
    let rejected = summary.rejected.as_ref().map_or(0, |it| it.entries);
    let entries: u64 = summary.parts.iter().map(|it| it.entries).sum();
    assert_eq!(entries + rejected, summary.entries, "an entry is lost, or there twice");
    for part in &summary.parts {
        let bytes = std::fs::read(&part.file).expect("the part is there");
        let read = dataset::read(Box::new(Cursor::new(bytes)), format, Delimiter::FoundOut);
        let good = read.filter(|item| matches!(item, Ok(Ok(_)))).count();
        assert_eq!(u64::try_from(good), Ok(part.entries), "a part means the same by itself: {}", part.system);
    }
    true
}

/// Lines of an agent's results, with the length of the dataset before them: what is written of the dataset again ascends, has no
/// byte twice and none that is not there. A line is shown with what was read of it.
pub fn results(data: &[u8]) -> bool {
    let Some((length, lines)) = data.split_first_chunk::<2>() else { return false };
    let length = u64::from(u16::from_le_bytes(*length));
    let mut rest = Remainder::default();
    let mut is_read = false;
    for line in lines.split(|byte| *byte == b'\n') {
        rest.note(line);
        let Ok(record) = serde_json::from_slice::<RecordView>(line) else { continue };
        is_read = true;
        let shown = serde_json::to_value(&record).expect("what was read can be shown");
        let again: RecordView = serde_json::from_value(shown.clone()).expect("what is shown can be read");
        assert_eq!(serde_json::to_value(&again).ok(), Some(shown), "it means something else");
    }
    for entries in [None, Some(rest.told())] {
        let mut end = 0;
        for part in rest.parts(length, entries) {
            assert!(
                end <= part.start && part.start < part.end && part.end <= length,
                "{part:?} behind {end} of {length}"
            );
            end = part.end;
        }
    }
    is_read
}

/// Whether an entry was read.
fn read_both(data: &[u8], format: Format, delimiter: Delimiter) -> bool {
    let whole = read(Box::new(Cursor::new(data.to_vec())), data.len(), format, delimiter);
    let dripping = Dripping { rest: Cursor::new(data.to_vec()), piece: 0 };
    assert_eq!(read(Box::new(dripping), data.len(), format, delimiter), whole, "it depends on where it is cut");
    whole.1
}

/// What was read, in a form that can be compared, and whether an entry is in it.
fn read(source: Box<dyn Read + Send>, length: usize, format: Format, delimiter: Delimiter) -> (Vec<String>, bool) {
    let (mut told, mut is_read) = (Vec::new(), false);
    let mut end = 0;
    for item in dataset::read(source, format, delimiter) {
        match item {
            Ok(item) => {
                let place = match &item {
                    Ok(entry) => (entry.number, entry.place.offset, Some(entry.end)),
                    Err(bad) => (bad.number, bad.place.offset, bad.end),
                };
                let (number, begins, ends) = place;
                assert_eq!(usize::try_from(number), Ok(told.len() + 1), "entries are numbered in order");
                assert!(end <= begins, "entry {number} begins within the one before it");
                end = ends.unwrap_or(begins);
                assert!(begins <= end, "entry {number} ends before it begins");
                is_read |= item.is_ok();
                told.push(show(&item));
            }
            Err(error) => {
                told.push(error.to_string());
                break;
            }
        }
    }
    assert!(told.len() <= length + 1, "more entries than bytes");
    (told, is_read)
}

fn show(item: &Item) -> String {
    let Ok(entry) = item else { return format!("{item:?}") };
    let attributes = &entry.record.attributes;
    assert!(attributes.len() <= MAX_ATTRIBUTES, "{} attributes", attributes.len());
    let values = attributes.iter().map(|it| {
        assert!(it.name.len() <= MAX_NAME && it.value.expose().len() <= MAX_VALUE, "a name or value is too long");
        format!("{}={}", it.name, it.value.expose())
    });
    format!("{:?} {:?} {} {:?}", entry.place, entry.record.change, entry.end, values.collect::<Vec<_>>())
}

/// More than a line of most datasets.
const MOST_AT_ONCE: usize = 1024;

/// A source that gives one byte, then three, seven and so on, and at last begins with one again.
struct Dripping {
    rest: Cursor<Vec<u8>>,
    piece: usize,
}

impl Read for Dripping {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.piece = (self.piece * 2 + 1) % MOST_AT_ONCE;
        let end = self.piece.min(target.len());
        self.rest.read(target.get_mut(..end).unwrap_or_default())
    }
}
