//! One value of every frame, request and output, each field with a value of its own.

pub(crate) mod enrollment;
pub(crate) mod session;
pub(crate) mod stream;
pub(crate) mod task;
pub(crate) mod task_kind;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::message::v1::{Extension, Extensions};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::{TaskId, TaskKind, TaskOutput, TaskRequest};
use serde_json::Value;

use crate::describe::Describe;

/// A value and what its bytes are.
#[allow(clippy::large_enum_variant, reason = "a few dozen of them live for a moment")]
pub(crate) enum Content {
    /// A frame, or the frame both sides may send.
    Message { member: Option<FromMember>, controller: Option<FromController> },
    /// A frame of an applicant.
    Applicant(FromApplicant),
    /// A frame to an applicant.
    Authority(FromAuthority),
    /// The parameters of an offer.
    Request(TaskRequest),
    /// The output of a report.
    Output(TaskOutput),
}

/// A value, the name of its golden file and what another decoder must find in it.
pub(crate) struct Sample {
    /// The file's name without `.hex`.
    pub(crate) file: String,
    /// The name of the struct in `docs/protocol.md`.
    pub(crate) name: String,
    /// The value.
    pub(crate) content: Content,
    /// Its fields as JSON.
    pub(crate) fields: Value,
}

impl Sample {
    /// The value's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match &self.content {
            Content::Message { member: Some(frame), .. } => frame.encode().unwrap(),
            Content::Message { controller: Some(frame), .. } => frame.encode().unwrap(),
            Content::Message { .. } => unreachable!("a frame comes from one side at least"),
            Content::Applicant(frame) => frame.encode().unwrap(),
            Content::Authority(frame) => frame.encode().unwrap(),
            Content::Request(request) => request.encode().unwrap(),
            Content::Output(output) => output.encode().unwrap(),
        }
    }
}

/// A frame of a member.
fn member<T: Describe>(body: T) -> Sample
where
    FromMember: From<T>,
{
    let fields = body.describe();
    message(fields, Some(body.into()), None)
}

/// A frame of a controller.
fn controller<T: Describe>(body: T) -> Sample
where
    FromController: From<T>,
{
    let fields = body.describe();
    message(fields, None, Some(body.into()))
}

/// A frame of either side.
fn both<T: Describe + Clone>(body: T) -> Sample
where
    FromMember: From<T>,
    FromController: From<T>,
{
    let fields = body.describe();
    message(fields, Some(body.clone().into()), Some(body.into()))
}

fn message(fields: Value, member: Option<FromMember>, controller: Option<FromController>) -> Sample {
    let name = member.as_ref().map(FromMember::name).or(controller.as_ref().map(FromController::name)).unwrap();
    let name = name.to_owned();
    Sample { file: snake_case(&name), name, content: Content::Message { member, controller }, fields }
}

fn request<T: Describe>(body: &T, request: TaskRequest) -> Sample {
    let kind = request.kind();
    let (file, name) = (format!("{kind}.request"), format!("{kind} request"));
    Sample { file, name, content: Content::Request(request), fields: body.describe() }
}

fn output<T: Describe + Clone>(body: &T) -> Sample
where
    TaskOutput: From<T>,
{
    let output = TaskOutput::from(body.clone());
    let kind: TaskKind = output.kind();
    let (file, name) = (format!("{kind}.output"), format!("{kind} output"));
    Sample { file, name, content: Content::Output(output), fields: body.describe() }
}

impl Sample {
    /// The same struct with other content, in a file of its own.
    fn variant(mut self, suffix: &str) -> Self {
        self.file = format!("{}.{suffix}", self.file);
        self
    }
}

/// Every sample.
pub(crate) fn all() -> Vec<Sample> {
    let all: Vec<Sample> = [session::all(), task::all(), stream::all(), enrollment::all(), task_kind::all()]
        .into_iter()
        .flatten()
        .collect();
    let mut files: Vec<&str> = all.iter().map(|sample| sample.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), all.len(), "two samples share a file");
    all
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

// ---- values that can be told apart ----

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

fn bytes<const MAX: usize>(from: u8, count: u8) -> Bytes<MAX> {
    Bytes::new((0..count).map(|it| from.wrapping_add(it)).collect()).unwrap()
}

fn list<T, const MAX: usize>(items: Vec<T>) -> List<T, MAX> {
    List::new(items).unwrap()
}

/// `count` bytes that rise from `from`.
fn array<const N: usize>(from: u8) -> [u8; N] {
    let mut next = from;
    [(); N].map(|()| {
        next = next.wrapping_add(1);
        next.wrapping_sub(1)
    })
}

fn task_id() -> TaskId {
    TaskId::from_bytes(array(0x10))
}

fn extensions() -> Extensions {
    list(vec![
        Extension { kind: 0x0e01, critical: false, bytes: bytes(0xe1, 3) },
        Extension { kind: 0x0e02, critical: true, bytes: bytes(0xe8, 5) },
    ])
}

/// The sample of a struct, by its name in the frame table.
pub(crate) fn named(name: &str) -> Sample {
    all().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("there is no sample of {name}"))
}
