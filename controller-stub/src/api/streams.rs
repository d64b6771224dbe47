//! `/v1/streams` takes payloads in, `/v1/tasks/{task}/results` gives them out.

use std::pin::pin;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use futures_util::StreamExt;
use postern_protocol::message::v1::StreamRef;
use postern_protocol::{StreamId, TaskId};
use postern_store::{Spool, SpoolError, SpoolReader, SpoolWriter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::asked::{Path, Query};
use super::auth::Caller;
use super::described::Payload;
use super::once::IdempotencyKey;
use super::{Api, Problem};
use crate::dispatcher::Stopped;
use crate::space::Space;
use crate::spawn::blocking;
use crate::state::ledger::spool_id;
use crate::state::once::{Asked, Done};
use crate::state::record::StreamRecord;
use crate::state::streams::MAX_STREAM;
use crate::state::tasks::TaskView;
use crate::{clock, hex, random};

/// How many bytes of an upload are looked at: enough to tell text from what is sealed.
const LOOKED_AT: usize = 64;

/// A payload that was taken in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamView {
    /// Its id, for `streams` of a task.
    pub id: StreamId,
    /// Its bytes.
    pub length: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Announced {
    /// The SHA-256 of the payload, 64 hexadecimal digits.
    #[schemars(required)]
    sha256: Option<String>,
}

/// Takes a sealed dataset in. Its length and hash are announced, so that a torn upload is noticed.
pub(super) async fn upload(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    Query(announced): Query<Announced>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<StreamView>, Problem> {
    let length: Option<u64> =
        headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()).and_then(|it| it.parse().ok());
    let length =
        length.ok_or_else(|| Problem::new(StatusCode::LENGTH_REQUIRED, "an upload needs its Content-Length"))?;
    if length > MAX_STREAM {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a payload may have at most {MAX_STREAM} bytes: split the dataset"),
        ));
    }
    let sha256 = announced.sha256.as_deref().and_then(hex::decode).ok_or_else(|| {
        Problem::field("sha256", "an upload needs `?sha256=` and the 64 hexadecimal digits of its hash")
    })?;
    let asked = key.asked(&caller, &[&sha256, &length.to_be_bytes()]);
    check_space_for_payload(&api.space, length)?;
    let id = StreamId::from_random(clock::wall().0, random::bytes());
    let stream = StreamRef { id, length, sha256 };
    api.desk.look(|state, _| state.check_input()).await??;
    // A task of its own sees to its end what a request that is given up would leave lying about.
    let (done, taken_in) = oneshot::channel();
    let spawner = api.spawner.clone();
    spawner.spawn(move |_| async move {
        // Whoever asked may have gone meanwhile.
        let _ = done.send(take_in(api, caller, stream, asked, body).await);
    });
    let id = taken_in.await.map_err(|_| Stopped)??;
    Ok(Json(StreamView { id, length }))
}

/// Takes a payload in, or leaves nothing of it: it may be there already, if its answer was lost. Returns its id.
async fn take_in(
    api: Api,
    caller: Caller,
    stream: StreamRef,
    asked: Option<Asked>,
    body: Body,
) -> Result<StreamId, Problem> {
    let over = caller.over();
    let taken_in = match receive((&api.spool, &api.space), stream, body, &over).await {
        Ok(()) => {
            let new = stream.id.to_string();
            let on = move |done: Option<&Done<StreamRecord>>| match done {
                Some(done) => format!("{}{}", done.it.id, done.told()),
                None => new,
            };
            let work = move |state: &mut crate::state::State, at| state.add_input(stream, asked.as_ref(), at);
            api.desk.act_told(0, &caller, on, work).await.map(|it| it.it.id)
        }
        Err(problem) => Err(problem),
    };
    // Whether a controller that stops knows the payload is not known; at its next start it removes those it does not.
    let is_kept = match &taken_in {
        Ok(id) => *id == stream.id,
        Err(problem) => problem.status == StatusCode::SERVICE_UNAVAILABLE,
    };
    if !is_kept {
        let spool = api.spool.clone();
        let _ = blocking(move || spool.delete(spool_id(stream.id))).await;
    }
    taken_in
}

/// The token may be over in the middle, and nothing comes any more then. Whoever writes to the disk is waited for: what is
/// deleted behind its back would be there again.
async fn receive(
    (spool, space): (&Spool, &Space),
    stream: StreamRef,
    body: Body,
    over: &CancellationToken,
) -> Result<(), Problem> {
    let mut writer = {
        let spool = spool.clone();
        blocking(move || spool.write(spool_id(stream.id), stream.length)).await?
    };
    let looked_at = LOOKED_AT.min(usize::try_from(stream.length).unwrap_or(usize::MAX));
    let (mut left, mut beginning) = (stream.length, Some(Vec::new()));
    let mut body = pin!(body.into_data_stream().take_until(over.cancelled()));
    while let Some(piece) = body.next().await {
        let mut piece =
            piece.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the upload broke off: {error}")))?;
        if let Some(begun) = &mut beginning {
            begun.extend_from_slice(&piece);
            if begun.len() < looked_at {
                continue;
            }
            if begun.get(..looked_at).is_some_and(is_text) {
                return Err(in_clear());
            }
            piece = beginning.take().map_or(piece, Bytes::from);
        }
        check_space_for_payload(space, left)?;
        left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        writer = blocking(move || append(writer, &piece)).await?;
    }
    if over.is_cancelled() {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "the token was revoked or ran out, or its session ended, during the upload",
        ));
    }
    Ok(blocking(move || writer.finish(&stream.sha256)).await?)
}

/// Whether it begins as files of people do, in UTF-8 or in an encoding that has most of ASCII in it. Of what is sealed, the shortest
/// there is does in one of a hundred thousand, and a dataset of one user in none.
fn is_text(begun: &[u8]) -> bool {
    is_utf8(begun) || is_mostly_ascii(begun)
}

/// Three quarters of it, zeros aside, which UTF-16 has between: of what is sealed it would be three in eight.
fn is_mostly_ascii(begun: &[u8]) -> bool {
    let is_printed = |it: &u8| matches!(it, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let (printed, all) =
        (begun.iter().filter(|it| is_printed(it)).count(), begun.iter().filter(|it| **it != 0).count());
    // Of fewer bytes it would be true by chance now and then.
    begun.len() == LOOKED_AT && printed >= LOOKED_AT / 3 && 4 * printed >= 3 * all
}

/// Text of people, without what controls a terminal.
fn is_utf8(begun: &[u8]) -> bool {
    let text = match std::str::from_utf8(begun) {
        Ok(text) => text,
        // A character may be cut.
        Err(error) if error.error_len().is_none() => {
            return begun.get(..error.valid_up_to()).is_some_and(|whole| !whole.is_empty() && is_utf8(whole));
        }
        Err(_) => return false,
    };
    !text.contains(|it: char| it.is_control() && !matches!(it, '\t' | '\n' | '\r'))
}

fn in_clear() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "this is text, and a dataset is sealed before it is uploaded, so that nobody but the members reads it: nothing of it was \
         kept. `postern-controller task submit import_batch` and the console seal it; `docs/protocol.md` says how programs do",
    )
}

fn append(mut writer: SpoolWriter, piece: &[u8]) -> Result<SpoolWriter, SpoolError> {
    writer.append(piece)?;
    Ok(writer)
}

/// Gives out the payload that came of a task, as the member sent it.
pub(super) async fn results(
    State(api): State<Api>,
    caller: Caller,
    Path(task): Path<TaskId>,
) -> Result<Payload, Problem> {
    let view = api.desk.look(move |state, _| state.task(task)).await??;
    let reader = open_results(&api, &view).await?;
    let length = reader.len();
    let mut response = Body::from_stream(pieces(reader).take_until(caller.over().cancelled_owned())).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(Payload(response))
}

/// The payload that came of a task.
pub(super) async fn open_results(api: &Api, view: &TaskView) -> Result<Arc<SpoolReader>, Problem> {
    let task = view.id;
    if view.outcome.is_none() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("task {task} is not finished: wait for it, e.g. with `postern-controller task wait {task}`"),
        ));
    }
    let Some(payload) = view.streams.first().cloned() else {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("task {task} left no results beyond its output")));
    };
    let spool = api.spool.clone();
    Ok(Arc::new(blocking(move || spool.read(spool_id(payload.id), payload.length)).await?))
}

fn pieces(reader: Arc<SpoolReader>) -> impl futures_util::Stream<Item = Result<Vec<u8>, SpoolError>> {
    futures_util::stream::unfold(0_u64, move |offset| {
        let reader = Arc::clone(&reader);
        async move {
            if offset >= reader.len() {
                return None;
            }
            let read = tokio::task::spawn_blocking(move || reader.read_at(offset)).await.ok()?;
            let next =
                read.as_ref().map_or(u64::MAX, |it| offset.saturating_add(u64::try_from(it.len()).unwrap_or(u64::MAX)));
            Some((read, next))
        }
    })
}

fn check_space_for_payload(space: &Space, length: u64) -> Result<(), Problem> {
    check_room(space.has_room_for_payload(length))
}

/// Refuses a task that would fill the disk that promises already made need.
pub(super) fn check_space(space: &Space) -> Result<(), Problem> {
    check_room(space.has_room_for(0))
}

fn check_room(is_there: bool) -> Result<(), Problem> {
    if is_there {
        return Ok(());
    }
    Err(Problem::no_room(
        StatusCode::INSUFFICIENT_STORAGE,
        "the controller's disk is nearly full: free space and try again",
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::space::lab;

    /// Look at each piece by itself, and one that comes byte by byte is taken in; refuse whatever can be read, and one of a few bytes
    /// that was sealed is refused.
    #[tokio::test]
    async fn a_dataset_in_clear_is_refused_however_it_comes_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, space, _disk) = lab::spool(folder.path());
        let long = "Username,Password\njö@example.com,hunter2\n".repeat(100);
        let late = [long.as_bytes(), b"\xfc"].concat();
        let other = [b"Username,Password\nj\xf6@example.com,hunter2\n".as_slice(), &late].concat();
        let wide: Vec<u8> = format!("\u{feff}{long}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let sealed: Vec<u8> = (0..17).map(|it| 200 + it).collect();
        for (upload, is_refused) in [
            (long.as_bytes(), true),
            (&late, true),
            (&other, true),
            (&wide, true),
            ("\u{feff}<root/>".as_bytes(), true),
            (&long.as_bytes()[..21], true),
            (sealed.as_slice(), false),
            (b"\0\0\0\0", false),
        ] {
            for size in [1, 7, 20, upload.len()] {
                let id = StreamId::from_random(0, random::bytes());
                let sha256 = Sha256::digest(upload).into();
                let stream = StreamRef { id, length: upload.len().try_into().unwrap(), sha256 };
                let pieces: Vec<_> =
                    upload.chunks(size).map(|it| Ok::<_, Infallible>(Bytes::copy_from_slice(it))).collect();
                let body = Body::from_stream(stream::iter(pieces));
                let taken = receive((&spool, &space), stream, body, &CancellationToken::new()).await;
                match taken {
                    Ok(()) => assert!(!is_refused, "{size}: {upload:?}"),
                    Err(problem) => {
                        assert!(is_refused && problem.detail.starts_with("this is text"), "{size}: {}", problem.detail);
                        assert!(!problem.detail.contains("hunter2"));
                    }
                }
            }
        }
    }

    /// Look only before the first piece, and uploads that each had room fill the disk together.
    #[tokio::test]
    async fn an_upload_ends_when_others_take_the_room_that_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, space, disk) = lab::spool(folder.path());
        let stream = StreamRef { id: StreamId::from_bytes([5; 16]), length: 2_000, sha256: [0; 32] };
        disk.leave_for_payloads(2_000);
        let pieces = stream::iter([2_000, 999]).map(move |left| {
            disk.leave_for_payloads(left);
            Ok::<_, Infallible>(Bytes::from(vec![7; 1_000]))
        });
        let taken = receive((&spool, &space), stream, Body::from_stream(pieces), &CancellationToken::new()).await;
        assert_eq!(taken.unwrap_err().status, StatusCode::INSUFFICIENT_STORAGE);
    }
}
