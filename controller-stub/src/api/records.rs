//! `/v1/tasks/{task}/records`: what became of each entry of a batch.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use postern_protocol::{TaskId, TaskKind};
use postern_store::{SpoolError, SpoolReader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{Both, Path, Query, read_query};
use super::page::{Page, Part, Wanted};
use super::streams::open_results;
use super::{Api, Problem};
use crate::spawn::blocking;
use crate::state::tasks::TaskView;

/// The most bytes of results that are looked through for a page: a tenth of a second.
const MAX_SCANNED: u64 = 8 * 1024 * 1024;
/// The longest line that is understood; an agent's are much shorter.
const MAX_LINE: usize = 64 * 1024;

/// What became of one entry of a dataset.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecordView {
    /// Its number in the dataset.
    pub entry: u64,
    /// The line of the dataset where it begins.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u64>,
    /// `create`, `modify`, or `none` if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
    /// What names the account, if the entry says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// `created`, `modified`, `unchanged`, `failed` or `unknown`; of a dry run `would_create` or `would_modify`.
    pub outcome: String,
    /// A code for what went wrong, or what is to be known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// Which of the entries are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Only {
    /// Those that failed, and those of which it cannot be found out whether they took effect.
    Failed,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Which {
    /// Those alone that did not succeed.
    only: Option<Only>,
}

pub(super) async fn list(
    State(api): State<Api>,
    Path(task): Path<TaskId>,
    Query(Both(which, wanted)): Query<Both<Which, Wanted>>,
) -> Result<Json<Page<RecordView>>, Problem> {
    let list = if which.only.is_some() { format!("failed records of {task}") } else { format!("records of {task}") };
    let part: Part<u64> = Part::of(list, wanted)?;
    let view = api.desk.look(move |state, _| state.task(task)).await??;
    let reader = open_results(&api, &check(view)?).await?;
    blocking(move || read(&reader, &part, which.only)).await.map(Json)
}

/// The page of these results that a query asks for.
pub(super) fn page(reader: &Arc<SpoolReader>, list: &str, query: &str) -> Result<Page<RecordView>, Problem> {
    let Both(which, wanted) = read_query::<Both<Which, Wanted>>(query)?;
    read(reader, &Part::of(list, wanted)?, which.only)
}

/// Only a batch that was imported leaves results that can be read here.
fn check(view: TaskView) -> Result<TaskView, Problem> {
    let task = view.id;
    if view.kind == TaskKind::ImportBatch {
        return Ok(view);
    }
    let detail = if view.streams.is_empty() {
        format!("task {task} is no import of a dataset: what came of it is in its `output`")
    } else {
        format!(
            "what came of task {task} is sealed to its requester, and nobody else can read it: fetch it with \
             `postern-controller task results {task} --key FILE --output FILE`"
        )
    };
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

/// Reads on behind the byte that the part goes on behind, until it is full or enough was looked through.
fn read(reader: &Arc<SpoolReader>, part: &Part<u64>, only: Option<Only>) -> Result<Page<RecordView>, Problem> {
    let begin = part.after.unwrap_or(0);
    // A cursor is whatever its caller makes of it.
    if begin >= reader.len() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    // What is not understood by then is no line of an agent's: the next page goes on in the middle of it.
    let end = begin.saturating_add(MAX_SCANNED).saturating_add(to_u64(MAX_LINE));
    let mut lines = Lines { reader, offset: begin, end, piece: Vec::new(), given: 0 };
    let mut items = Vec::new();
    let mut behind = begin;
    while items.len() < part.limit && behind.saturating_sub(begin) < MAX_SCANNED {
        let Some(line) = lines.next()? else { return Ok(Page { items, next: None }) };
        behind = lines.behind();
        let Ok(record) = serde_json::from_slice::<RecordView>(&line) else { continue };
        let is_wanted = match only {
            None => true,
            Some(Only::Failed) => matches!(record.outcome.as_str(), "failed" | "unknown"),
        };
        items.extend(Some(record).filter(|_| is_wanted));
    }
    let next = (behind < reader.len()).then(|| part.cursor(&behind));
    Ok(Page { items, next })
}

/// The lines of a payload, in the memory of one piece of it and one line.
struct Lines<'a> {
    reader: &'a SpoolReader,
    /// Where the next piece begins.
    offset: u64,
    /// Where no piece begins any more.
    end: u64,
    piece: Vec<u8>,
    /// How much of the piece was given out.
    given: usize,
}

impl Lines<'_> {
    /// The next line without its line feed; one that is too long is cut off, and so is one that goes on at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, SpoolError> {
        let mut line = Vec::new();
        loop {
            if self.left().is_empty() {
                if self.offset >= self.end {
                    return Ok(Some(line));
                }
                (self.piece, self.given) = (self.reader.read_at(self.offset)?, 0);
                self.offset = self.offset.saturating_add(to_u64(self.piece.len()));
                if self.piece.is_empty() {
                    return Ok(Some(line).filter(|it| !it.is_empty()));
                }
            }
            let left = self.left();
            let feed = left.iter().position(|byte| *byte == b'\n');
            let taken = feed.unwrap_or(left.len());
            line.extend(left.iter().take(taken.min(MAX_LINE - line.len())));
            self.given += taken + usize::from(feed.is_some());
            if feed.is_some() {
                return Ok(Some(line));
            }
        }
    }

    fn left(&self) -> &[u8] {
        self.piece.get(self.given..).unwrap_or_default()
    }

    /// How much was given out.
    fn behind(&self) -> u64 {
        self.offset.saturating_sub(to_u64(self.left().len()))
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use postern_store::SpoolId;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::space::lab;

    const MIB: usize = 1024 * 1024;

    fn payload(bytes: &[u8]) -> (tempfile::TempDir, Arc<SpoolReader>) {
        let folder = tempfile::tempdir().unwrap();
        let (spool, ..) = lab::spool(folder.path());
        let (id, len) = (SpoolId([5; 16]), to_u64(bytes.len()));
        let mut writer = spool.write(id, len).unwrap();
        writer.append(bytes).unwrap();
        writer.finish(&Sha256::digest(bytes).into()).unwrap();
        let reader = spool.read(id, len).unwrap();
        (folder, Arc::new(reader))
    }

    /// The entries of each page, and how far the payload was read for it.
    fn pages(bytes: &[u8]) -> Vec<(Vec<u64>, u64)> {
        let (_folder, reader) = payload(bytes);
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let part: Part<u64> = Part::of("records".to_owned(), Wanted { limit: Some(200), cursor }).unwrap();
            let page = read(&reader, &part, Some(Only::Failed)).unwrap();
            cursor = page.next;
            let behind = cursor.clone().map(|it| {
                let after = Part::of("records".to_owned(), Wanted { limit: None, cursor: Some(it) }).unwrap().after;
                after.expect("it is behind something")
            });
            pages.push((page.items.iter().map(|it| it.entry).collect(), behind.unwrap_or(reader.len())));
            if cursor.is_none() {
                return pages;
            }
        }
    }

    fn line(entry: u64, length: usize) -> String {
        let line = serde_json::json!({ "entry": entry, "outcome": "failed", "message": "x".repeat(length) });
        format!("{line}\n")
    }

    /// Look at the bound between lines alone, and a payload without any is read whole, however large, for each page.
    #[test]
    fn a_payload_without_an_end_of_line_is_looked_through_in_parts() {
        let bytes = [vec![b'x'; 20 * MIB], b"\n".to_vec(), line(7, 1).into_bytes()].concat();
        let pages = pages(&bytes);
        assert_eq!(pages.len(), 3);
        let mut begin = 0;
        for (_, behind) in &pages {
            assert!(behind - begin <= MAX_SCANNED + 3 * to_u64(MAX_LINE), "{begin} to {behind}");
            begin = *behind;
        }
        assert_eq!(pages.last().unwrap().0, [7], "what is behind it is found all the same");
    }

    /// End a page at the bound itself, and the line that is there is in neither page.
    #[test]
    fn a_line_at_the_end_of_what_is_looked_through_is_whole() {
        for length in [MAX_LINE - 100, 10_000] {
            let count = u64::try_from(18 * MIB / length).unwrap();
            let bytes: String = (0..count).map(|entry| line(entry, length)).collect();
            let entries: Vec<u64> = pages(bytes.as_bytes()).into_iter().flat_map(|it| it.0).collect();
            assert!(entries.into_iter().eq(0..count), "{length}");
        }
    }

    /// Count on such a cursor to be one that was given out, and the last of all numbers never comes to an end.
    #[test]
    fn nothing_is_behind_the_end() {
        let (_folder, reader) = payload(line(7, 1).as_bytes());
        let (tell, told) = std::sync::mpsc::sync_channel(4);
        std::thread::spawn(move || {
            for behind in [reader.len(), reader.len() + 1, u64::MAX - 1, u64::MAX] {
                let cursor = BASE64URL_NOPAD.encode(format!("records\n{behind}").as_bytes());
                let part = Part::of("records", Wanted { limit: None, cursor: Some(cursor) }).unwrap();
                let page = read(&reader, &part, None).unwrap();
                tell.send((page.items.len(), page.next)).unwrap();
            }
        });
        for _ in 0..4 {
            let page = told.recv_timeout(std::time::Duration::from_mins(1)).expect("a page comes");
            assert_eq!(page, (0, None));
        }
    }
}
