//! `task submit`: secrets are sealed here, before anything leaves the process.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use postern_protocol::seal::{SealError, SealingKey, SealingPublicKey};
use postern_protocol::task::{import_batch, reset_password};
use postern_protocol::{StreamId, SystemName, TaskId, TaskKind, TaskRequest};
use postern_store::private;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{output, payload, task};
use crate::api::{KeysView, StreamView, SystemView};
use crate::cli::{Reach, Submit};
use crate::client::Client;
use crate::client::sealing::{self, Binding};
use crate::exit::{Exit, Failure};
use crate::state::streams::MAX_STREAM;
use crate::state::tasks::{OpaqueView, TaskView};
use crate::{clock, random};

pub(super) async fn run(reach: &Reach, client: &Client, options: Submit) -> Result<(), Failure> {
    check(&options)?;
    let request = request(&options)?;
    let id = options.id.unwrap_or_else(|| TaskId::from_random(clock::wall().0, random::bytes()));
    let binding = Binding { task: id, system: options.system.clone(), request };
    let requester =
        (options.generate || is_sealed_whole(options.kind)).then(|| SealingKey::from_random(&random::secret()));
    if let (Some(file), Some(key)) = (&options.result_key, &requester) {
        payload::keep_key(file, key)?;
    }
    let (sealed, streams) = secrets(client, &options, &binding).await?;
    let body = json!({
        "id": id,
        "system": options.system,
        "kind": options.kind,
        "params": binding.request.to_json(),
        "sealed": sealed,
        "streams": streams,
        "requester": requester.as_ref().map(SealingKey::public),
        // The wait below is ours, so that a restart of the controller does not end it.
        "mode": if options.asynchronous { "async" } else { "sync" },
        "wait_secs": 0,
        "priority": options.priority,
        "deadline_secs": options.deadline_secs,
    });
    let view: TaskView = client.post_patiently("/v1/tasks", &body).await?;
    if options.asynchronous {
        return accepted(reach, &view);
    }
    let view = task::wait(client, id, options.timeout_secs.map(Duration::from_secs)).await?;
    task::show(reach, &view)?;
    if let Some(requester) = requester {
        deliver(&options, &binding, &view, &requester)?;
        if let Some(file) = &options.output {
            payload::download(client, &view, &requester, file).await?;
        }
    }
    task::judge(&view)
}

/// Whether what comes of tasks of this kind is one payload that is sealed to the submitter.
fn is_sealed_whole(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Export | TaskKind::DescribeSchema)
}

fn check(options: &Submit) -> Result<(), Failure> {
    let usage = |sentence: &str| Err(Failure::new(Exit::Usage, sentence));
    let is_reset = options.kind == TaskKind::ResetPassword;
    let is_import = options.kind == TaskKind::ImportBatch;
    match options {
        Submit { password_file: None, generate: false, .. } if is_reset => {
            usage("reset_password needs --password-file FILE or --generate")
        }
        Submit { generate: true, output_password: None, show_password: false, .. } => {
            usage("--generate needs --output-password FILE or --show-password: nobody else can open the new password")
        }
        Submit { password_file, generate, .. } if !is_reset && (password_file.is_some() || *generate) => {
            usage("--password-file and --generate belong to reset_password")
        }
        Submit { params: None, .. } if options.kind == TaskKind::Export => usage("export needs --params JSON"),
        Submit { params: Some(_), kind, .. } if !is_sealed_whole(*kind) => {
            usage("--params belongs to export and describe_schema")
        }
        Submit { output, result_key, kind, .. }
            if !is_sealed_whole(*kind) && (output.is_some() || result_key.is_some()) =>
        {
            usage("--output and --result-key belong to export and describe_schema")
        }
        Submit { output: None, asynchronous: false, kind, .. } if is_sealed_whole(*kind) => {
            usage("name --output FILE, or --async and --result-key FILE: nobody else can open what comes of the task")
        }
        Submit { result_key: None, asynchronous: true, kind, .. } if is_sealed_whole(*kind) => {
            usage("--async needs --result-key FILE here: without the key nobody can open what comes of the task")
        }
        Submit { dataset: None, .. } if is_import => usage("import_batch needs --dataset FILE"),
        Submit { dataset: Some(_), .. } if !is_import => usage("--dataset belongs to import_batch"),
        Submit { id: Some(_), .. } if is_reset || is_import || is_sealed_whole(options.kind) => usage(
            "--id cannot be used where secrets are sealed: every sealing is different, so the id would be refused the second time",
        ),
        _ => Ok(()),
    }
}

fn request(options: &Submit) -> Result<TaskRequest, Failure> {
    let params = match options.kind {
        TaskKind::TestConnection => json!({}),
        TaskKind::ImportBatch => json!({ "format": "xml" }),
        TaskKind::Export | TaskKind::DescribeSchema => params(options)?,
        TaskKind::ResetPassword => json!({
            "account": account(options)?,
            "source": if options.generate { "generated" } else { "given" },
        }),
        TaskKind::ValidateUser | TaskKind::EnableUser | TaskKind::DisableUser | TaskKind::ExpirePassword => {
            json!({ "account": account(options)? })
        }
    };
    TaskRequest::from_json(options.kind, params).map_err(|error| Failure::from_error(Exit::Usage, &error))
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
) -> Result<(Vec<OpaqueView>, Vec<StreamId>), Failure> {
    if let Some(file) = &options.password_file {
        let password = password(file)?;
        let keys = keys(client, &options.system).await?;
        let field =
            binding.seal(reset_password::PASSWORD, password.as_bytes(), &keys).map_err(|error| cannot_seal(&error))?;
        return Ok((vec![field], Vec::new()));
    }
    if let Some(file) = &options.dataset {
        let keys = keys(client, &options.system).await?;
        let plain = dataset(file)?;
        let sealed = sealing::dataset(&plain).map_err(|error| cannot_seal(&error))?;
        drop(plain);
        let field = binding
            .seal(import_batch::DATASET_KEY, sealed.key.as_slice(), &keys)
            .map_err(|error| cannot_seal(&error))?;
        let sha256 = HEXLOWER.encode(&Sha256::digest(&sealed.bytes));
        let stream: StreamView = client.upload(&format!("/v1/streams?sha256={sha256}"), sealed.bytes).await?;
        return Ok((vec![field], vec![stream.id]));
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
    let keys: KeysView = client.get(&format!("/v1/clusters/{}/keys", system.association)).await?;
    if keys.keys.is_empty() {
        return Err(Failure::new(
            Exit::Refused,
            format!("cluster {} has no enabled member to seal to: see `postern-controller member list`", keys.cluster),
        ));
    }
    Ok(keys.keys.into_iter().map(|key| key.public).collect())
}

fn password(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot read the password from `{}`: {error}", file.display()))
    };
    let mut line = Zeroizing::new(String::new());
    if file == Path::new("-") {
        std::io::stdin().lock().take(4096).read_line(&mut line).map_err(unreadable)?;
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        BufReader::new(opened.take(4096)).read_line(&mut line).map_err(unreadable)?;
    }
    let password = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if password.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("the first line of `{}` is empty", file.display())));
    }
    Ok(password)
}

fn dataset(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot read the dataset `{}`: {error}", file.display()))
    };
    let mut plain = Zeroizing::new(Vec::new());
    File::open(file).and_then(|it| it.take(MAX_STREAM).read_to_end(&mut plain)).map_err(unreadable)?;
    // The seal adds a little, so what fills the limit in clear is too large already.
    if u64::try_from(plain.len()).unwrap_or(u64::MAX) >= MAX_STREAM {
        return Err(Failure::new(
            Exit::Failed,
            format!("`{}` has {MAX_STREAM} bytes or more: split the dataset", file.display()),
        ));
    }
    Ok(plain)
}

fn cannot_seal(error: &SealError) -> Failure {
    Failure::new(Exit::Failed, format!("a secret could not be sealed: {error}"))
}

fn accepted(reach: &Reach, view: &TaskView) -> Result<(), Failure> {
    if reach.json {
        return output::json(view);
    }
    output::say(format!("{} is taken in; next: postern-controller task wait {0}", view.id));
    Ok(())
}

/// Hands a generated password to whoever asked for it.
fn deliver(options: &Submit, binding: &Binding, view: &TaskView, key: &SealingKey) -> Result<(), Failure> {
    let Some(sealed) = view.sealed.iter().find(|it| it.name == reset_password::PASSWORD) else { return Ok(()) };
    let password = binding
        .open(sealed, key)
        .map_err(|error| Failure::new(Exit::Failed, format!("the new password cannot be opened: {error}")))?;
    if let Some(file) = &options.output_password {
        let written = private::create_new(file)
            .and_then(|mut it| it.write_all(&password).and_then(|()| it.write_all(b"\n")).and_then(|()| it.sync_all()));
        written.map_err(|error| {
            Failure::new(Exit::Failed, format!("the new password cannot be written to `{}`: {error}", file.display()))
        })?;
    }
    if options.show_password {
        output::say(format!("password: {}", String::from_utf8_lossy(&password)));
    }
    Ok(())
}
