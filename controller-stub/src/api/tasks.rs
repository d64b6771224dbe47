//! `/v1/tasks`: submit, show, list, wait, cancel, seal again.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use data_encoding::BASE64;
use postern_protocol::message::v1::Mode;
use postern_protocol::seal::{SealedField, SealingPublicKey};
use postern_protocol::signature::{SignatureView, TaskSignature};
use postern_protocol::trace::TraceContext;
use postern_protocol::{StreamId, SystemName, TaskId, TaskKind, TaskRequest, codec};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::{Body, Both, Nothing, Path, Query, read_body};
use super::auth::Caller;
use super::described::{Operation, Taken};
use super::fields::{Fields, in_clear, is_secret};
use super::openapi::generator;
use super::page::{Page, Part, Wanted};
use super::streams::check_space;
use super::{Api, Problem};
use crate::access::Role;
use crate::state::origin::Origin;
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

/// A task to do.
#[derive(Deserialize, JsonSchema)]
#[schemars(transform = with_params)]
pub(super) struct NewTask {
    /// Its id, which the submitter chooses: the same id with the same content is the same task.
    id: TaskId,
    /// The connected system.
    system: SystemName,
    /// What to do.
    kind: TaskKind,
    /// With which parameters: those of its kind.
    #[serde(default)]
    params: Map<String, Value>,
    /// Its secrets, each sealed to the keys of the cluster.
    #[serde(default)]
    sealed: Vec<OpaqueView>,
    /// Its payloads, uploaded before.
    #[serde(default)]
    streams: Vec<StreamId>,
    /// The key its secret outputs are sealed to.
    requester: Option<SealingPublicKey>,
    /// What its originator signed.
    signature: Option<SignatureView>,
    /// Who is behind it.
    #[serde(default)]
    origin: Origin,
    /// Whether the submitter waits: `async` if it is not said.
    mode: Option<Mode>,
    /// Larger goes first; 100 if it is not said.
    priority: Option<u8>,
    /// How many seconds from now it may be begun, up to a year.
    deadline_secs: Option<u64>,
    /// How many seconds a submitter waits that waits, at most 50; 30 if it is not said.
    wait_secs: Option<u64>,
}

pub(super) async fn submit(
    State(api): State<Api>,
    caller: Caller,
    TraceParent(parent): TraceParent,
    body: Body<NewTask>,
) -> Result<(StatusCode, Json<TaskView>), Problem> {
    let begun = clock::wall();
    let (mut submission, wait) = body.said.check()?;
    // Its own if traces are told here.
    submission.trace = parent.or_else(|| api.spans.is_some().then(|| TraceContext::of_task(submission.id)));
    let (id, mode) = (submission.id, submission.mode);
    let told = api.spans.as_ref().zip(submission.trace);
    if let Err(problem) = take_in(&api, &caller, submission, body.bytes.len()).await {
        // What is in needs no room any more, and whoever asks again because no answer came is not to take it for refused.
        let is_full = problem.status == StatusCode::INSUFFICIENT_STORAGE;
        if !(is_full && is_submitted(&api, &body.bytes).await?) {
            return Err(problem);
        }
    } else if let Some((spans, trace)) = told {
        spans.record(traces::submission(id, trace, begun, clock::wall()));
    }
    if mode == Mode::Sync {
        wait_for(&api, id, Duration::from_secs(wait)).await?;
    }
    let view = seen_by(caller.role(), api.desk.look(move |state, _| state.task(id)).await??);
    let status = if view.outcome.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(view)))
}

async fn take_in(api: &Api, caller: &Caller, submission: Submission, bytes: usize) -> Result<(), Problem> {
    check_space(&api.space)?;
    let on = format!("{} {} of {}", submission.id, submission.request.kind(), submission.system);
    let role = caller.role();
    api.desk.act_told(bytes, caller, move |_| on, move |state, at| state.submit(submission, role, at)).await?;
    Ok(())
}

async fn is_submitted(api: &Api, body: &[u8]) -> Result<bool, Problem> {
    let (submission, _) = read_submission(body)?;
    Ok(api.desk.look(move |state, _| state.is_submitted(&submission)).await??)
}

/// The trace that a request belongs to. A header that makes no sense is as good as none, as its recommendation has it.
pub(super) struct TraceParent(Option<TraceContext>);

impl<S: Sync> FromRequestParts<S> for TraceParent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts.headers.get("traceparent").and_then(|it| it.to_str().ok());
        Ok(Self(header.and_then(TraceContext::from_traceparent)))
    }
}

impl Taken for TraceParent {
    fn describe(operation: &mut Operation<'_>) {
        operation.header("traceparent", "The trace that the task belongs to, as the W3C writes it.");
    }
}

/// The task of a body, and for how many seconds its outcome is waited for.
pub fn read_submission(body: &[u8]) -> Result<(Submission, u64), Problem> {
    read_body::<NewTask>(body)?.check()
}

impl NewTask {
    fn check(self) -> Result<(Submission, u64), Problem> {
        let deadline = self.deadline_secs.map(Duration::from_secs);
        if deadline.is_some_and(|it| it > MAX_DEADLINE || it.is_zero()) {
            return Err(Problem::field("deadline_secs", "`deadline_secs` has to be between one second and a year"));
        }
        let submission = Submission {
            id: self.id,
            system: self.system,
            request: request(self.kind, self.params)?,
            sealed: self.sealed.iter().map(open_envelope).collect::<Result<_, _>>()?,
            streams: self.streams,
            requester: self.requester,
            signature: signature(self.signature, deadline)?,
            trace: None,
            origin: self.origin,
            mode: self.mode.unwrap_or(Mode::Async),
            priority: self.priority.unwrap_or(USUAL_PRIORITY),
            deadline,
        };
        Ok((submission, self.wait_secs.unwrap_or(USUAL_WAIT)))
    }
}

/// A signature, of a task that may be begun so long.
fn signature(view: Option<SignatureView>, deadline: Option<Duration>) -> Result<Option<TaskSignature>, Problem> {
    let deadline = deadline.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    view.map(|view| TaskSignature::of_view(&view, deadline))
        .transpose()
        .map_err(|error| Problem::field("signature", format!("`signature`: {error}")))
}

/// Reads parameters, and says it plainly when a secret is among them.
fn request(kind: TaskKind, params: Map<String, Value>) -> Result<TaskRequest, Problem> {
    let secret = params.keys().find(|name| kind.sealed_fields().contains(&name.as_str()) || is_secret(name));
    if let Some(name) = secret {
        return Err(in_clear(format!("params.{name}"), name));
    }
    Fields::of_object(params).only(|fields| TaskRequest::read(kind, fields)).map_err(|problem| match problem.field {
        Some(field) => Problem { field: Some(format!("params.{field}")), ..problem },
        None => Problem { field: Some("params".to_owned()), ..problem },
    })
}

/// How the parameters of a kind are called among the schemas, and its output.
const PARAMS: &str = "Params";
const OUTPUT: &str = "Output";

fn named(kind: TaskKind, part: &str) -> String {
    format!("{kind:?}{part}")
}

/// The parameters of each kind, and what is in them.
pub(super) fn params_of_kinds() -> Map<String, Value> {
    let mut generator = generator(SchemaSettings::draft2020_12().for_deserialize());
    let of = |kind: &TaskKind| (named(*kind, PARAMS), kind.request_schema(&mut generator).to_value());
    let mut params: Map<String, Value> = TaskKind::ALL.iter().map(of).collect();
    params.extend(generator.take_definitions(true));
    params
}

/// The output of each kind. What is in them is left to the generator.
pub(super) fn outputs_of_kinds(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let of = |kind: &TaskKind| (named(*kind, OUTPUT), kind.output_schema(generator).to_value());
    TaskKind::ALL.iter().map(of).collect()
}

/// Says of a task to do that its parameters are those of its kind.
fn with_params(task: &mut Schema) {
    let params = params_of_kinds();
    let has_required = |kind| params.get(&named(kind, PARAMS)).is_some_and(|it| it.get("required").is_some());
    let form = |kind| {
        let required: &[&str] = if has_required(kind) { &["kind", "params"] } else { &["kind"] };
        json!({ "properties": { "kind": { "const": kind }, "params": reference(kind, PARAMS) }, "required": required })
    };
    by_kind(task.ensure_object(), form, "params", references(PARAMS).collect());
}

/// Says of a task as it is shown that what came of it, if anything did, is the output of its kind.
pub(super) fn with_output(task: &mut Map<String, Value>) {
    let nothing = json!({ "type": "null" });
    let form = |kind| {
        let output = json!({ "anyOf": [reference(kind, OUTPUT), nothing] });
        json!({ "properties": { "kind": { "const": kind }, "output": output }, "required": ["kind"] })
    };
    by_kind(task, form, "output", references(OUTPUT).chain([nothing.clone()]).collect());
}

/// Says of a task that it has the form of its kind, and what a field holds of any kind.
fn by_kind(task: &mut Map<String, Value>, form: impl Fn(TaskKind) -> Value, field: &str, any: Value) {
    task.insert("oneOf".to_owned(), TaskKind::ALL.iter().map(|kind| form(*kind)).collect());
    if let Some(field) = task.get_mut("properties").and_then(|it| it.get_mut(field)?.as_object_mut()) {
        field.retain(|word, _| word == "description");
        field.insert("anyOf".to_owned(), any);
    }
}

fn reference(kind: TaskKind, part: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", named(kind, part)) })
}

fn references(part: &str) -> impl Iterator<Item = Value> {
    TaskKind::ALL.iter().map(move |kind| reference(*kind, part))
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

#[derive(Debug, Deserialize, JsonSchema)]
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
    let found = api.desk.look_through(move |state, _| state.tasks(&filter)).await??;
    let next = found.more_behind.map(|last| part.cursor(&last));
    Ok(Json(Page { items: found.tasks.into_iter().map(|it| seen_by(caller.role(), it)).collect(), next }))
}

/// What a caller is shown of a task: viewers nothing that is sealed, which is nobody's but the requester's.
pub(super) fn seen_by(role: Role, view: TaskView) -> TaskView {
    if role < Role::Operator { view.without_sealed() } else { view }
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
    _: Body<Nothing>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(api.desk.take_away(&caller, task.to_string(), move |state, at| state.cancel_task(task, at)).await?))
}

/// How a task is sealed from now on.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Sealed {
    /// All its secrets, each sealed to the keys in `reseal_to`.
    sealed: Vec<OpaqueView>,
    /// What its originator signed, if the task was signed.
    signature: Option<SignatureView>,
}

impl Sealed {
    pub(super) fn opened(self) -> Result<Resealing, Problem> {
        let sealed = self.sealed.iter().map(open_envelope).collect::<Result<_, _>>()?;
        Ok(Resealing { sealed, signature: self.signature })
    }
}

pub(super) async fn reseal(
    State(api): State<Api>,
    caller: Caller,
    Path(task): Path<TaskId>,
    body: Body<Sealed>,
) -> Result<Json<TaskView>, Problem> {
    let resealing = body.said.opened()?;
    check_space(&api.space)?;
    let on = task.to_string();
    let told =
        api.desk.act_told(body.bytes.len(), &caller, move |_| on, move |state, _| state.reseal(task, &resealing));
    Ok(Json(told.await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Patience {
    /// At most so many seconds, up to 50; 30 if it is not said.
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
    use std::net::Ipv4Addr;

    use axum::http::Request;
    use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
    use data_encoding::HEXLOWER;
    use sha2::{Digest as _, Sha256};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::api::{Parts as ApiParts, answer_of_test};
    use crate::dispatcher::Dispatcher;
    use crate::random;
    use crate::space::lab as disk;
    use crate::state::audit::{By, Room};
    use crate::state::{State, lab};

    /// Look at the room first, and whoever asks again because no answer came is told that nothing was done, of a task that is
    /// under way.
    #[tokio::test]
    async fn what_is_in_is_answered_as_such_also_when_there_is_no_room_for_more() {
        let folder = tempfile::tempdir().unwrap();
        let at = clock::moment();
        let (ledger, spool) = lab::ledger(folder.path());
        let (_, space, filling) = disk::spool(&folder.path().join("disk"));
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        lab::add_system(&mut state, at);
        let (known, token) = state.create_api_token("a".parse().unwrap(), Role::Operator, None, None, at).unwrap().it;
        let tokens = state.known_api_tokens();
        state.end_turn().publish();
        let (dispatcher, handle) = Dispatcher::new(state, ledger.clone(), spool.clone());
        let router = Api::new(ApiParts::of_test(handle.clone(), spool, space, tokens, folder.path())).router();
        let submit = async |id: TaskId, account: &str| {
            let body = json!({ "id": id, "system": "sf", "kind": "enable_user", "params": { "account": account } });
            let request = Request::post("/v1/tasks").header(HOST, "localhost").header(CONTENT_TYPE, "application/json");
            let request = request.header(AUTHORIZATION, format!("Bearer {}", token.text.expose()));
            let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
            let answer = answer_of_test(router.clone(), request).await;
            let status = answer.status().as_u16();
            assert_eq!(answer.headers().contains_key(RETRY_AFTER), status == 507, "it passes by itself");
            status
        };
        let upload = async || {
            let request = Request::post(format!("/v1/streams?sha256={}", HEXLOWER.encode(&Sha256::digest(b"a\0"))));
            let request = request.header(HOST, "localhost").header(CONTENT_LENGTH, 2);
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            let request = request.header(AUTHORIZATION, format!("Bearer {}", token.text.expose()));
            let request = request.body(axum::body::Body::from("a\0")).unwrap();
            answer_of_test(router.clone(), request).await.status().as_u16()
        };
        let new = || TaskId::from_random(clock::wall().0, random::bytes());
        let asking = async {
            let task = new();
            assert_eq!(submit(task, "joe").await, 202);
            filling.fill();
            assert_eq!(submit(task, "joe").await, 202);
            assert_eq!(submit(task, "joan").await, 409);
            assert_eq!(submit(new(), "joe").await, 507);

            filling.leave_for_payloads(2);
            assert_eq!(upload().await, 200);
            filling.leave_for_payloads(1);
            assert_eq!((upload().await, submit(new(), "joe").await), (507, 202), "a payload can wait");

            filling.leave(0);
            let by = By { token: known.id, name: known.name, role: known.role, from: Ipv4Addr::LOCALHOST.into() };
            let fill = move |state: &mut State, at| {
                while state.check_audit(Room::Usual).is_ok() {
                    state.audit(&by, "task.submit", "", None, at);
                }
            };
            handle.ask(fill).await.unwrap();
            assert_eq!(submit(task, "joe").await, 202);
            assert_eq!(submit(new(), "joe").await, 507);
        };
        tokio::select! {
            ended = dispatcher.run(CancellationToken::new()) => panic!("the owner ended: {ended:?}"),
            () = asking => (),
        }
    }

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
            (format!(r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{}}}}"#), "params.account"),
            (
                format!(r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"account":"x","acount":1}}}}"#),
                "params.acount",
            ),
            (
                format!(r#"{{"kind":"enable_user","id":"{ID}","system":"a","params":{{"acount":"x"}}}}"#),
                "params.acount",
            ),
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
