//! `/v1/tasks`: submit, show, list, wait, cancel, seal again.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use data_encoding::BASE64;
use postern_protocol::message::v1::Mode;
use postern_protocol::seal::SealedField;
use postern_protocol::signature::{SignatureView, TaskSignature};
use postern_protocol::trace::TraceContext;
use postern_protocol::{SystemName, TaskId, TaskKind, TaskRequest, codec};
use serde::Deserialize;
use serde_json::Value;

use super::asked::{Both, Path, Query};
use super::auth::Caller;
use super::fields::{Fields, in_clear, is_secret};
use super::page::{Page, Part, Wanted};
use super::streams::check_space;
use super::{Api, Problem};
use crate::access::Role;
use crate::state::record::StateName;
use crate::state::tasks::{Filter, OpaqueView, TaskView};
use crate::state::{Resealing, Submission};
use crate::{clock, traces};

/// How long a request may wait for an outcome: less than what proxies usually allow.
const LONGEST_WAIT: Duration = Duration::from_secs(50);
/// How long a synchronous submission waits unless it says otherwise.
const USUAL_WAIT: u64 = 30;
const USUAL_PRIORITY: u8 = 100;
/// Beyond a year a deadline is a mistake.
const MAX_DEADLINE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(super) async fn submit(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<TaskView>), Problem> {
    let (size, begun) = (body.len(), clock::wall());
    let (mut submission, wait) = read_submission(&body)?;
    submission.trace = trace(&api, &headers, submission.id);
    check_space(&api.data_dir, 0)?;
    let (id, mode) = (submission.id, submission.mode);
    let told = api.spans.as_ref().zip(submission.trace);
    let on = format!("{id} {} of {}", submission.request.kind(), submission.system);
    api.desk.act_told(size, &caller, move |_| on, move |state, at| state.submit(submission, at)).await?;
    if let Some((spans, trace)) = told {
        spans.record(traces::submission(id, trace, begun, clock::wall()));
    }
    if mode == Mode::Sync {
        wait_for(&api, id, Duration::from_secs(wait)).await?;
    }
    let view = seen_by(caller.role(), api.desk.look(move |state, _| state.task(id)).await??);
    let status = if view.outcome.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(view)))
}

/// The trace that a task belongs to: that of the request, or its own if traces are told here. A header that makes no sense
/// is as good as none, as its recommendation has it.
fn trace(api: &Api, headers: &HeaderMap, task: TaskId) -> Option<TraceContext> {
    let header = headers.get("traceparent").and_then(|it| it.to_str().ok());
    let own = || api.spans.is_some().then(|| TraceContext::of_task(task));
    header.and_then(TraceContext::from_traceparent).or_else(own)
}

/// The task of a body, and for how many seconds its outcome is waited for.
pub fn read_submission(body: &[u8]) -> Result<(Submission, u64), Problem> {
    let mut fields = Fields::parse(body)?;
    let wait: u64 = fields.optional("wait_secs")?.unwrap_or(USUAL_WAIT);
    let submission = submission(&mut fields)?;
    fields.finish()?;
    Ok((submission, wait))
}

fn submission(fields: &mut Fields) -> Result<Submission, Problem> {
    fields.refuse_secrets()?;
    let kind: TaskKind = fields.required("kind")?;
    let params: Value = fields.optional("params")?.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let sealed: Vec<OpaqueView> = fields.optional("sealed")?.unwrap_or_default();
    let deadline: Option<u64> = fields.optional("deadline_secs")?;
    let deadline = deadline.map(Duration::from_secs);
    if deadline.is_some_and(|it| it > MAX_DEADLINE || it.is_zero()) {
        return Err(Problem::field("deadline_secs", "`deadline_secs` has to be between one second and a year"));
    }
    Ok(Submission {
        id: fields.required("id")?,
        system: fields.required("system")?,
        request: request(kind, params)?,
        sealed: sealed.iter().map(open_envelope).collect::<Result<_, _>>()?,
        streams: fields.optional("streams")?.unwrap_or_default(),
        requester: fields.optional("requester")?,
        signature: signature(fields, deadline)?,
        trace: None,
        origin: fields.optional("origin")?.unwrap_or_default(),
        mode: fields.optional("mode")?.unwrap_or(Mode::Async),
        priority: fields.optional("priority")?.unwrap_or(USUAL_PRIORITY),
        deadline,
    })
}

/// A signature, of a task that may be begun so long.
fn signature(fields: &mut Fields, deadline: Option<Duration>) -> Result<Option<TaskSignature>, Problem> {
    let view: Option<SignatureView> = fields.optional("signature")?;
    let deadline = deadline.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    view.map(|view| TaskSignature::of_view(&view, deadline))
        .transpose()
        .map_err(|error| Problem::field("signature", format!("`signature`: {error}")))
}

/// Reads parameters, and says it plainly when a secret is among them.
fn request(kind: TaskKind, params: Value) -> Result<TaskRequest, Problem> {
    if let Value::Object(map) = &params {
        let secret = map.keys().find(|name| kind.sealed_fields().contains(&name.as_str()) || is_secret(name));
        if let Some(name) = secret {
            return Err(in_clear(format!("params.{name}"), name));
        }
    }
    TaskRequest::from_json(kind, params).map_err(|error| Problem::field("params", error.to_string()))
}

fn open_envelope(opaque: &OpaqueView) -> Result<SealedField, Problem> {
    let bytes = BASE64
        .decode(opaque.bytes.as_bytes())
        .map_err(|_| Problem::field("sealed", format!("the bytes of `{}` are not base64", opaque.name)))?;
    let field: SealedField = codec::decode(&bytes)
        .map_err(|error| Problem::field("sealed", format!("`{}` is not a sealed field: {error}", opaque.name)))?;
    if field.name.as_str() != opaque.name {
        return Err(Problem::field("sealed", format!("`{}` is sealed under another name", opaque.name)));
    }
    if field.keys.is_empty() {
        return Err(Problem::field("sealed", format!("`{}` is sealed to nobody", opaque.name)));
    }
    Ok(field)
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Of this system only.
    system: Option<SystemName>,
    /// In this state only.
    state: Option<StateName>,
}

pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(Both(which, wanted)): Query<Both<Which, Wanted>>,
) -> Result<Json<Page<TaskView>>, Problem> {
    let system = which.system.as_ref().map(|it| format!(" of {it}")).unwrap_or_default();
    let state = which.state.map(|it| format!(" in {it:?}")).unwrap_or_default();
    let part: Part<TaskId> = Part::of(format!("tasks{system}{state}"), wanted)?;
    let filter = Filter { system: which.system, state: which.state, before: part.after, limit: part.limit };
    let found = api.desk.look(move |state, _| state.tasks(&filter)).await??;
    let next = found.more_behind.map(|last| part.cursor(&last));
    Ok(Json(Page { items: found.tasks.into_iter().map(|it| seen_by(caller.role(), it)).collect(), next }))
}

/// What a caller is shown of a task: viewers nothing that is sealed, which is nobody's but the requester's.
pub(super) fn seen_by(role: Role, mut view: TaskView) -> TaskView {
    if role < Role::Operator {
        view.sealed.clear();
    }
    view
}

pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(task): Path<TaskId>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(seen_by(caller.role(), api.desk.look(move |state, _| state.task(task)).await??)))
}

pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Path(task): Path<TaskId>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(api.desk.take_away(&caller, task.to_string(), move |state, at| state.cancel_task(task, at)).await?))
}

pub(super) async fn reseal(
    State(api): State<Api>,
    caller: Caller,
    Path(task): Path<TaskId>,
    body: Bytes,
) -> Result<Json<TaskView>, Problem> {
    let resealing = resealing(&body)?;
    check_space(&api.data_dir, 0)?;
    let on = task.to_string();
    let told = api.desk.act_told(body.len(), &caller, move |_| on, move |state, _| state.reseal(task, &resealing));
    Ok(Json(told.await?))
}

fn resealing(body: &[u8]) -> Result<Resealing, Problem> {
    let mut fields = Fields::parse(body)?;
    fields.refuse_secrets()?;
    let sealed: Vec<OpaqueView> = fields.required("sealed")?;
    let resealing = Resealing {
        sealed: sealed.iter().map(open_envelope).collect::<Result<_, _>>()?,
        signature: fields.optional("signature")?,
    };
    fields.finish()?;
    Ok(resealing)
}

#[derive(Debug, Deserialize)]
pub(super) struct Patience {
    secs: Option<u64>,
}

pub(super) async fn wait(
    State(api): State<Api>,
    caller: Caller,
    Path(task): Path<TaskId>,
    Query(patience): Query<Patience>,
) -> Result<Json<TaskView>, Problem> {
    wait_for(&api, task, Duration::from_secs(patience.secs.unwrap_or(USUAL_WAIT))).await?;
    Ok(Json(seen_by(caller.role(), api.desk.look(move |state, _| state.task(task)).await??)))
}

async fn wait_for(api: &Api, task: TaskId, patience: Duration) -> Result<(), Problem> {
    let done = api.desk.wait(task).await?;
    tokio::select! {
        _ = done => (),
        () = api.stop.cancelled() => (),
        () = tokio::time::sleep(patience.min(LONGEST_WAIT)) => (),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &str) -> Problem {
        read_submission(body.as_bytes()).err().unwrap()
    }

    const ID: &str = "tsk_0195d8a0000070008000000000000001";

    #[test]
    fn a_password_in_clear_is_refused_by_name_and_not_repeated() {
        let refused = problem(&format!(
            r#"{{"id":"{ID}","system":"acme","kind":"reset_password","params":{{"account":"a@b.c","source":"given","password":"hunter2"}}}}"#
        ));
        assert_eq!(refused.field.as_deref(), Some("params.password"));
        assert!(refused.detail.contains("never travels in clear"), "{}", refused.detail);
        assert!(!refused.detail.contains("hunter2"));
    }

    /// Look at the parameters of one kind alone, or at what is sealed there alone, and the reason is not told.
    #[test]
    fn a_secret_in_clear_is_refused_for_every_kind_wherever_it_stands() {
        for kind in TaskKind::ALL {
            for name in ["password", "dataset_key", "new_password", "client_secret", "security_token"] {
                let places = [
                    format!(r#""params":{{"account":"a@b.c","{name}":"hunter2"}}"#),
                    format!(r#""{name}":"hunter2""#),
                    format!(r#""sealed":[{{"name":"{name}","value":"hunter2"}}]"#),
                    format!(r#""sealed":[{{"name":"{name}","bytes":"hunter2"}}]"#),
                    format!(r#""sealed":[{{"name":"{name}","bytes":"aHVudGVyMg=="}}]"#),
                ];
                for (number, place) in places.into_iter().enumerate() {
                    let refused = problem(&format!(r#"{{"id":"{ID}","system":"acme","kind":"{kind}",{place}}}"#));
                    assert!((400..500).contains(&refused.status), "{kind} {place}");
                    let said = serde_json::to_string(&refused).unwrap();
                    let tells = number > 1 || !is_secret(name) || said.contains("never travels in clear");
                    assert!(tells, "{kind} {place}: {said}");
                    assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMg"), "{said}");
                }
            }
        }
    }

    #[test]
    fn an_error_names_its_field() {
        for (body, field) in [
            (r#"{"kind":"fly"}"#.to_owned(), "kind"),
            (r#"{"kind":"enable_user","id":"x"}"#.to_owned(), "id"),
            (format!(r#"{{"kind":"enable_user","id":"{ID}","system":"No Good"}}"#), "system"),
            (format!(r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"acount":"x"}}}}"#), "params"),
            (
                format!(
                    r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"account":"x"}},"deadline_secs":0}}"#
                ),
                "deadline_secs",
            ),
            (
                format!(
                    r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"account":"x"}},"sealed":[{{"name":"p","bytes":"AA=="}}]}}"#
                ),
                "sealed",
            ),
            (
                format!(
                    r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"account":"x"}},"signature":"00"}}"#
                ),
                "signature",
            ),
            (
                format!(
                    r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"account":"x"}},"signature":{{"key":"0011223344556677","bytes":"00"}}}}"#
                ),
                "signature",
            ),
            (
                format!(r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"account":"x"}},"colour":1}}"#),
                "colour",
            ),
        ] {
            assert_eq!(problem(&body).field.as_deref(), Some(field), "{body}");
        }
    }
}
