//! `task submit`: secrets are sealed here, before anything leaves the process.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use postern_protocol::message::v1::StreamRef;
use postern_protocol::seal::{MAX_SECRET, SealError, SealingKey, SealingPublicKey};
use postern_protocol::task::disable_user::IfRefused;
use postern_protocol::task::import_batch::Format;
use postern_protocol::task::reset_password::Source;
use postern_protocol::task::{import_batch, reset_password, restore_user};
use postern_protocol::{StreamId, SystemName, TaskId, TaskKind, TaskRequest};
use postern_store::password;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::held::{Held, at_ctrl_c, in_doubt, untold};
use super::signing::{self, Content};
use super::{output, payload, task, written};
use crate::api::{KeysView, StreamView, SystemView};
use crate::cli::{Import, Reach, Submit};
use crate::client::sealing::{self, Binding};
use crate::client::{Client, Unsubmitted};
use crate::exit::{Exit, Failure};
use crate::state::streams::MAX_STREAM;
use crate::state::tasks::{OpaqueView, TaskView};
use crate::{clock, random};

mod delivery;

use delivery::Delivery;

pub(super) async fn run(reach: &Reach, client: &Client, options: &Submit) -> Result<(), Failure> {
    check(options)?;
    let request = request(options)?;
    let id = options.id.unwrap_or_else(|| TaskId::from_random(clock::wall().0, random::bytes()));
    let binding = Binding { task: id, system: options.system.clone(), request };
    let delivery = Delivery::prepare(options)?;
    let output = options.output.as_deref().map(payload::begin).transpose()?;
    let result_key = is_sealed_whole(options.kind).then(|| SealingKey::from_random(&random::secret()));
    let signer = options.sign_with.as_deref().map(signing::read_key).transpose()?;
    let (sealed, streams) = secrets(client, options, &binding).await?;
    let requester = delivery.as_ref().map(Delivery::requester).or(result_key.as_ref().map(SealingKey::public));
    let deadline_secs = options.deadline_secs;
    let content =
        Content { binding: &binding, sealed: &sealed, streams: &streams, requester: requester.copied(), deadline_secs };
    let signature = signer.map(|key| signing::sign(&content, &key)).transpose()?;
    let streams: Vec<StreamId> = streams.iter().map(|stream| stream.id).collect();
    let body = json!({
        "id": id,
        "system": options.system,
        "kind": options.kind,
        "params": binding.request.to_json(),
        "sealed": sealed,
        "streams": streams,
        "requester": requester,
        "signature": signature,
        "origin": options.origin,
        // The wait below is ours, so that a restart of the controller does not end it.
        "mode": if options.asynchronous { "async" } else { "sync" },
        "wait_secs": 0,
        "priority": options.priority,
        "deadline_secs": deadline_secs,
    });
    if let Some(file) = &options.write {
        written::write(file, &body)?;
        if reach.json {
            return output::json(&json!({ "id": id, "file": file }));
        }
        output::say(format!(
            "nothing was submitted; next: postern policy check {0}, postern-controller task send {0}",
            file.display()
        ));
        return Ok(());
    }
    if options.asynchronous {
        let kept = options.result_key.as_deref().zip(result_key.as_ref());
        return accepted(reach, &submitted_for(kept, client, id, &body).await?);
    }
    let held = held(options);
    let patience = options.timeout_secs.map(Duration::from_secs);
    let view = ended(client, id, held, &body, patience).await?;
    task::show(reach, &view)?;
    if let Some(delivery) = delivery {
        delivery.deliver(&binding, &view)?;
    }
    if let (Some(key), Some(begun)) = (&result_key, output) {
        let (path, mut begun) = (begun.path().to_owned(), Some(begun));
        let download = async || {
            // What broke off is begun again: nothing of it was kept.
            let file = begun.take().map_or_else(|| payload::begin(&path), Ok)?;
            payload::download(client, &view, key, file).await
        };
        let downloaded = Held::Payload.until_answered(client, download).await;
        downloaded.map_err(|failure| Held::Payload.lost(id, failure))?;
    }
    task::judge(&view)
}

/// Submits a task. Its id is in every sentence but a no: the controller may have it, even if it did not get to say so.
pub(super) async fn submitted(
    client: &Client,
    id: TaskId,
    held: Option<Held>,
    body: &Value,
) -> Result<TaskView, Failure> {
    let submitted = client.submit(body).await;
    submitted.map_err(
        |Unsubmitted { failure, is_in_doubt }| {
            if is_in_doubt { in_doubt(id, held, failure) } else { failure }
        },
    )
}

/// Submits a task for whoever comes with the key that is kept in a file from before on. Where the task is not, the file would only
/// be in the way of the next try; in doubt it stays, because what comes of the task may be sealed to it.
async fn submitted_for(
    kept: Option<(&Path, &SealingKey)>,
    client: &Client,
    id: TaskId,
    body: &Value,
) -> Result<TaskView, Failure> {
    if let Some((file, key)) = kept {
        payload::keep_key(file, key)?;
    }
    let told = submitted(client, id, None, body).await;
    if let (Some((file, _)), Err(failure)) = (kept, &told)
        && failure.exit != Exit::UnderWay
    {
        payload::forget_key(file);
    }
    told
}

/// Submits a task and waits for its end.
pub(super) async fn ended(
    client: &Client,
    id: TaskId,
    held: Option<Held>,
    body: &Value,
    patience: Option<Duration>,
) -> Result<TaskView, Failure> {
    // Ctrl-C leaves no time for it.
    if std::io::stderr().is_terminal() {
        let what_then = at_ctrl_c(held);
        output::remark(format!("this is task {id}; {what_then}: `postern-controller task wait {id}` waits on"));
    }
    submitted(client, id, held, body).await?;
    task::wait(client, id, patience, held).await.map_err(|failure| untold(id, held, failure))
}

/// What of this task only this process will be able to open.
fn held(options: &Submit) -> Option<Held> {
    if options.wants_password() {
        return Some(Held::Password);
    }
    options.output.is_some().then_some(Held::Payload)
}

/// Whether what comes of tasks of this kind is one payload that is sealed to the submitter.
fn is_sealed_whole(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Export | TaskKind::DescribeSchema | TaskKind::Collect)
}

/// What the command line cannot tell by itself of options that belong to the kind.
fn check(options: &Submit) -> Result<(), Failure> {
    let usage = |sentence: &str| Err(Failure::new(Exit::Usage, sentence));
    let is_reset = options.kind == TaskKind::ResetPassword;
    let is_import = options.kind == TaskKind::ImportBatch;
    match options {
        Submit { password_file: None, generate: false, service: false, .. } if is_reset => {
            usage("reset_password needs --password-file FILE, --generate or --service")
        }
        Submit { generate: true, output_password: None, show_password: false, .. } => {
            usage("--generate needs --output-password FILE or --show-password: nobody else can open the new password")
        }
        Submit { repeat_if_unknown: true, service: false, .. } if is_reset => {
            usage("--repeat-if-unknown belongs to reset_password --service and expire_password")
        }
        Submit { name: None, kind: TaskKind::RestoreUser, .. } => usage("restore_user needs --name NAME"),
        Submit { generate: false, service: false, .. } if options.wants_password() => {
            usage("--output-password and --show-password belong to --generate and --service")
        }
        Submit { import: Import { dataset: None, .. }, .. } if is_import => usage("import_batch needs --dataset FILE"),
        Submit { write: Some(_), .. } if is_sealed_whole(options.kind) => {
            usage("--write cannot be used here: only this process could open what comes of the task")
        }
        Submit { write: Some(_), .. } if is_import => {
            usage("--write cannot be used here: the dataset would be at the controller at once, for a day")
        }
        Submit { params: None, kind: TaskKind::Export | TaskKind::Collect, .. } => {
            usage("export and collect need --params JSON")
        }
        Submit { output: None, asynchronous: false, kind, .. } if is_sealed_whole(*kind) => {
            usage("name --output FILE, or --async and --result-key FILE: nobody else can open what comes of the task")
        }
        Submit { result_key: None, asynchronous: true, kind, .. } if is_sealed_whole(*kind) => {
            usage("--async needs --result-key FILE here: without the key nobody can open what comes of the task")
        }
        Submit { id: Some(_), service, .. }
            if is_reset && (!service || options.wants_password())
                || is_import
                || is_sealed_whole(options.kind)
                || options.password_file.is_some() =>
        {
            usage(
                "--id cannot be used where secrets are sealed: every sealing is different, so the id would be refused the second time",
            )
        }
        _ => Ok(()),
    }
}

fn request(options: &Submit) -> Result<TaskRequest, Failure> {
    let params = match options.kind {
        TaskKind::TestConnection => json!({}),
        TaskKind::ImportBatch => import(&options.import)?,
        TaskKind::Export | TaskKind::DescribeSchema | TaskKind::Collect => params(options)?,
        TaskKind::ResetPassword => json!({
            "account": account(options)?,
            "source": match (options.generate, options.service) {
                (true, _) => Source::Generated,
                (false, true) => Source::Service,
                (false, false) => Source::Given,
            },
            "repeat_if_unknown": options.repeat_if_unknown,
        }),
        TaskKind::ExpirePassword => json!({
            "account": account(options)?,
            "repeat_if_unknown": options.repeat_if_unknown,
        }),
        TaskKind::DisableUser => json!({
            "account": account(options)?,
            "if_refused": options.if_refused.unwrap_or(IfRefused::Fail),
        }),
        TaskKind::DeprovisionUser => json!({
            "account": account(options)?,
            "new_name": options.new_name.as_deref().unwrap_or_default(),
            "email": options.email.as_deref().unwrap_or_default(),
        }),
        TaskKind::RestoreUser => json!({
            "account": account(options)?,
            "name": options.name,
            "email": options.email.as_deref().unwrap_or_default(),
        }),
        TaskKind::ValidateUser
        | TaskKind::EnableUser
        | TaskKind::FreezeUser
        | TaskKind::UnfreezeUser
        | TaskKind::UnlockUser => json!({ "account": account(options)? }),
    };
    TaskRequest::from_json(options.kind, params).map_err(|error| Failure::from_error(Exit::Usage, &error))
}

fn import(options: &Import) -> Result<Value, Failure> {
    let named = options.dataset.as_deref().and_then(|it| Format::of_file(&it.to_string_lossy()));
    let Some(format) = options.format.or(named) else {
        let sentence = "the dataset's name does not tell how it is written; give --format xml, csv or jsonl";
        return Err(Failure::new(Exit::Usage, sentence));
    };
    Ok(json!({
        "format": format,
        "delimiter": options.delimiter,
        "dry_run": options.dry_run,
        "all_or_none": options.all_or_none,
        "bulk_threshold": options.bulk_threshold,
        "attributes": options.attributes,
        "audit_key": options.audit_key,
        "dynamic_system": options.dynamic_system,
        "system_variable": options.system_variable,
        "variables": options.variables,
        "account_id": options.account_id,
        "login_id": options.login_id,
    }))
}

impl Submit {
    /// Whether the submitter is the requester of a password that is made up.
    fn wants_password(&self) -> bool {
        self.output_password.is_some() || self.show_password
    }
}

fn params(options: &Submit) -> Result<Value, Failure> {
    serde_json::from_str(options.params.as_deref().unwrap_or("{}"))
        .map_err(|error| Failure::new(Exit::Usage, format!("--params is not JSON: {error}")))
}

fn account(options: &Submit) -> Result<Value, Failure> {
    match &options.account {
        Some(account) => Ok(json!(account)),
        None => Err(Failure::new(Exit::Usage, format!("{} needs --account NAME", options.kind))),
    }
}

/// Seals what has to be sealed, and uploads what is too large for the task itself.
async fn secrets(
    client: &Client,
    options: &Submit,
    binding: &Binding,
) -> Result<(Vec<OpaqueView>, Vec<StreamRef>), Failure> {
    if let Some(file) = &options.password_file {
        let password = password::read(file, MAX_SECRET).map_err(|error| Failure::from_error(Exit::Usage, &error))?;
        let keys = keys(client, &options.system).await?;
        let name =
            if options.kind == TaskKind::RestoreUser { restore_user::PASSWORD } else { reset_password::PASSWORD };
        let field = binding.seal(name, &password, &keys).map_err(|error| cannot_seal(&error))?;
        return Ok((vec![field], Vec::new()));
    }
    if let Some(file) = &options.import.dataset {
        let plain = dataset(file)?;
        let keys = keys(client, &options.system).await?;
        let sealed = sealing::dataset(&plain).map_err(|error| cannot_seal(&error))?;
        drop(plain);
        let field = binding
            .seal(import_batch::DATASET_KEY, sealed.key.as_slice(), &keys)
            .map_err(|error| cannot_seal(&error))?;
        let sha256: [u8; 32] = Sha256::digest(&sealed.bytes).into();
        let length = u64::try_from(sealed.bytes.len()).unwrap_or(u64::MAX);
        let path = format!("/v1/streams?sha256={}", HEXLOWER.encode(&sha256));
        let stream: StreamView = client.upload(&path, sealed.bytes).await?;
        return Ok((vec![field], vec![StreamRef { id: stream.id, length, sha256 }]));
    }
    Ok((Vec::new(), Vec::new()))
}

async fn keys(client: &Client, system: &SystemName) -> Result<Vec<SealingPublicKey>, Failure> {
    let system: SystemView = client.get(&format!("/v1/systems/{system}")).await?;
    if system.association == "server" {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "system {0} is associated with the server, and this controller runs no connectors itself: \
                 postern-controller system associate {0} --with CLUSTER",
                system.name
            ),
        ));
    }
    keys_of(client, &system.association).await
}

/// The keys that secrets for a cluster are sealed to.
pub(super) async fn keys_of(
    client: &Client,
    cluster: impl std::fmt::Display,
) -> Result<Vec<SealingPublicKey>, Failure> {
    let keys: KeysView = client.get_patiently(&format!("/v1/clusters/{cluster}/keys")).await?;
    if keys.keys.is_empty() {
        return Err(Failure::new(
            Exit::Refused,
            format!("cluster {} has no enabled member to seal to: see `postern-controller member list`", keys.cluster),
        ));
    }
    Ok(keys.keys.into_iter().map(|key| key.public).collect())
}

fn dataset(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("the dataset `{}` cannot be read: {error}", file.display()))
    };
    let mut plain = Zeroizing::new(Vec::new());
    File::open(file).and_then(|it| it.take(MAX_STREAM).read_to_end(&mut plain)).map_err(unreadable)?;
    // The seal adds a little, so what fills the limit in clear is too large already.
    if u64::try_from(plain.len()).unwrap_or(u64::MAX) >= MAX_STREAM {
        return Err(Failure::new(
            Exit::Usage,
            format!("`{}` has {MAX_STREAM} bytes or more: split the dataset", file.display()),
        ));
    }
    Ok(plain)
}

pub(super) fn cannot_seal(error: &SealError) -> Failure {
    Failure::new(Exit::Failed, format!("a secret could not be sealed: {error}"))
}

pub(super) fn accepted(reach: &Reach, view: &TaskView) -> Result<(), Failure> {
    if reach.json {
        return output::json(view);
    }
    output::say(format!("{} is taken in; next: postern-controller task wait {0}", view.id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command, TaskCommand};
    use crate::client::canned::{self, Canned};

    const TASK: TaskId = TaskId::from_bytes([7; 16]);

    async fn told(canned: &Canned, held: Option<Held>, answers: &[(usize, u16, &str)]) -> Failure {
        let body = json!({ "id": TASK });
        let (told, _) = tokio::join!(ended(&canned.client, TASK, held, &body, None), canned.answer(answers));
        told.unwrap_err()
    }

    /// Submit and hear nothing, then hear this.
    async fn told_behind_silence(held: Option<Held>, answers: &[(usize, u16, &str)]) -> Failure {
        let canned = Canned::new().await;
        let body = json!({ "id": TASK });
        let controller = async {
            drop(canned.accept().await);
            canned.answer(answers).await
        };
        let (told, _) = tokio::join!(ended(&canned.client, TASK, held, &body, None), controller);
        told.unwrap_err()
    }

    fn names_the_task(failure: &Failure) {
        assert_eq!(failure.exit, Exit::UnderWay, "{}", failure.text);
        assert!(failure.text.contains(&format!("task wait {TASK}`")), "{}", failure.text);
    }

    /// Tell that the controller does not answer and no more, and who tries again has it done twice, under two ids.
    #[tokio::test]
    async fn a_task_that_may_have_been_taken_in_is_named_whatever_goes_wrong_then() {
        let full = json!({ "status": 507, "title": "", "detail": "free space" }).to_string();
        for last in [(19, 503, "{}"), (19, 502, ""), (1, 507, full.as_str()), (1, 401, "{}"), (1, 500, "{}")] {
            names_the_task(&told_behind_silence(None, &[last]).await);
        }
        let canned = Canned::new().await;
        let mut view = canned::task(TASK);
        view["outcome"] = Value::Null;
        let view = view.to_string();
        for last in [(20, 503, "{}"), (1, 401, "{}")] {
            names_the_task(&told(&canned, None, &[(1, 202, &view), last]).await);
        }
        let password = told_behind_silence(Some(Held::Password), &[(1, 507, &full)]).await;
        assert!(password.text.contains("nobody can open the password"), "{}", password.text);
    }

    /// Name it all the same, and whoever was refused looks for a task that was never there.
    #[tokio::test]
    async fn a_no_to_every_try_is_told_as_one() {
        let canned = Canned::new().await;
        let later = json!({ "status": 429, "title": "", "detail": "later", "retry_after": 1 }).to_string();
        let cases = [
            (vec![(1, 422, "{}")], Exit::Refused),
            (vec![(1, 429, later.as_str()), (1, 403, "{}")], Exit::Refused),
            (vec![(20, 429, later.as_str())], Exit::Unreachable),
        ];
        for (answers, exit) in cases {
            let failure = told(&canned, Some(Held::Password), &answers).await;
            assert_eq!(failure.exit, exit, "{}", failure.text);
            assert!(!failure.text.contains(&TASK.to_string()), "{}", failure.text);
        }
        let client = canned.off();
        let failure = ended(&client, TASK, None, &json!({ "id": TASK }), None).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable, "{}", failure.text);
    }

    /// Leave the key where nothing was submitted, and whoever tries again, as told to, is refused for it; take it away in doubt,
    /// and nobody opens what comes of the task.
    #[tokio::test]
    async fn the_key_of_a_task_that_was_not_submitted_is_in_the_way_of_no_other_try() {
        let canned = Canned::new().await;
        let folder = tempfile::tempdir().unwrap();
        let (key, in_doubt) = (folder.path().join("key"), folder.path().join("in-doubt"));
        let submit = async |file: &Path| {
            let line = ["x", "task", "submit", "describe_schema", "--system", "acme", "--async", "--result-key"];
            let words = line.iter().map(AsRef::<OsStr>::as_ref).chain([file.as_os_str()]);
            let Command::Task { reach, command: TaskCommand::Submit(fitting) } = Cli::parse_from(words).command else {
                panic!("another command");
            };
            run(&reach, &canned.client, &fitting.0).await.map_err(|failure| failure.exit)
        };
        let later = json!({ "status": 429, "title": "", "detail": "later", "retry_after": 1 }).to_string();
        let told = async |answers: &[_]| tokio::join!(submit(&key), canned.answer(answers)).0;
        for _ in 0..2 {
            let told = told(&[(20, 429, later.as_str())]).await;
            assert_eq!((told, key.exists()), (Err(Exit::Unreachable), false));
        }
        let view = canned::task(TASK).to_string();
        let told = told(&[(1, 202, view.as_str())]).await;
        assert_eq!((told, key.exists()), (Ok(()), true));
        assert_eq!((submit(&key).await, key.exists()), (Err(Exit::Usage), true), "it is of the task before");

        let controller = async {
            drop(canned.accept().await);
            canned.answer(&[(1, 422, "{}")]).await
        };
        let (told, _) = tokio::join!(submit(&in_doubt), controller);
        assert_eq!((told, in_doubt.exists()), (Err(Exit::UnderWay), true));
    }
}
