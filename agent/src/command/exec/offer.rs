//! From the command line to an offer.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use postern_protocol::TaskRequest;
use postern_protocol::bounded::List;
use postern_protocol::message::v1::{Offer, StreamRef};
use postern_protocol::seal::{
    MAX_SECRET, SEGMENT, SealContext, SealedField, SealingKey, SealingPublicKey, SegmentSealer, StreamKey,
};
use postern_protocol::task::import_batch::DATASET_KEY;
use postern_protocol::task::reset_password::{PASSWORD, Source};
use postern_protocol::task::{
    Account, deprovision_user, disable_user, expire_password, import_batch, one_account, reset_password, restore_user,
    test_connection,
};
use postern_store::private::PartFile;
use postern_store::{SpoolError, password};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::export::{read_collect, read_describe_schema, read_export};
use super::option::{text, wrong};
use super::password_file::PasswordFile;
use super::rest_file::RestFile;
use super::{Failed, LocalTask, payload_file};
use crate::app::App;
use crate::cli::{
    Common, DeprovisionUser, DisableUser, ExpirePassword, ImportBatch, OnAccount, ResetPassword, RestoreUser, Task,
};
use crate::command::format_of;
use crate::exit::Exit;
use crate::local::{self, Along};
use crate::random;
use crate::store::{Store, spool_id};

/// What the command line asks for, with everything it names read or made.
pub(super) fn read(task: Task) -> Result<LocalTask, Failed> {
    let plain = |request: TaskRequest, common: Common| LocalTask {
        request,
        system: common.system,
        json: common.json,
        secret: None,
        dataset: None,
        results: None,
        rest: None,
        generated: None,
        payload: None,
    };
    let of_one = |kind: fn(one_account::Request) -> TaskRequest, on: OnAccount| {
        let request = one_account::Request { account: account(&on.account)? };
        Ok::<_, Failed>(plain(kind(request), on.common))
    };
    Ok(match task {
        Task::TestConnection(common) => plain(TaskRequest::TestConnection(test_connection::Request {}), common),
        Task::ValidateUser(on) => of_one(TaskRequest::ValidateUser, on)?,
        Task::EnableUser(on) => of_one(TaskRequest::EnableUser, on)?,
        Task::DisableUser(DisableUser { on, if_refused }) => {
            let request = disable_user::Request { account: account(&on.account)?, if_refused: if_refused.into() };
            plain(TaskRequest::DisableUser(request), on.common)
        }
        Task::FreezeUser(on) => of_one(TaskRequest::FreezeUser, on)?,
        Task::UnfreezeUser(on) => of_one(TaskRequest::UnfreezeUser, on)?,
        Task::UnlockUser(on) => of_one(TaskRequest::UnlockUser, on)?,
        Task::ExpirePassword(ExpirePassword { on, repeat_if_unknown }) => {
            let request = expire_password::Request { account: account(&on.account)?, repeat_if_unknown };
            plain(TaskRequest::ExpirePassword(request), on.common)
        }
        Task::ResetPassword(options) => reset(options, plain)?,
        Task::DeprovisionUser(DeprovisionUser { on, new_name, email }) => {
            let (account, new_name) = (account(&on.account)?, text("new-name", &new_name)?);
            let request = deprovision_user::Request { account, new_name, email: text("email", &email)? };
            plain(TaskRequest::DeprovisionUser(request), on.common)
        }
        Task::RestoreUser(options) => restore(options, plain)?,
        Task::ImportBatch(options) => import(options, plain)?,
        Task::DescribeSchema(options) => {
            let payload = payload(&options.output)?;
            let request = read_describe_schema(&options)?;
            LocalTask { payload, ..plain(TaskRequest::DescribeSchema(request), options.common) }
        }
        Task::Collect(options) => {
            let payload = payload(&options.output)?;
            let request = read_collect(&options)?;
            LocalTask { payload, ..plain(TaskRequest::Collect(request), options.common) }
        }
        Task::Export(options) => {
            let payload = payload(&options.output)?;
            let request = read_export(&options)?;
            LocalTask { payload, ..plain(TaskRequest::Export(request), options.common) }
        }
    })
}

fn account(name: &str) -> Result<Account, Failed> {
    text("account", name)
}

/// The file for what comes of a task, and a key of its own that it is sealed to.
fn payload(output: &Path) -> Result<Option<(SealingKey, PartFile)>, Failed> {
    let file = payload_file::begin(output)?;
    Ok(Some((SealingKey::from_random(&random::secret()), file)))
}

fn reset(options: ResetPassword, plain: impl Fn(TaskRequest, Common) -> LocalTask) -> Result<LocalTask, Failed> {
    let source = match &options {
        ResetPassword { service: true, .. } => Source::Service,
        ResetPassword { generate: Some(_), .. } => Source::Generated,
        ResetPassword { .. } => Source::Given,
    };
    let ResetPassword { on, repeat_if_unknown, .. } = &options;
    let (account, repeat_if_unknown) = (account(&on.account)?, *repeat_if_unknown);
    let request = reset_password::Request { account, source: source.into(), repeat_if_unknown };
    let secret = match &options.password_file {
        Some(path) => Some((PASSWORD, read_password(path)?)),
        None => None,
    };
    let generated = match options.generate.or(options.temporary) {
        Some(path) => Some((SealingKey::from_random(&random::secret()), PasswordFile::make(&path)?)),
        None => None,
    };
    Ok(LocalTask { secret, generated, ..plain(TaskRequest::ResetPassword(request), options.on.common) })
}

fn import(options: ImportBatch, plain: impl Fn(TaskRequest, Common) -> LocalTask) -> Result<LocalTask, Failed> {
    let format = format_of(&options.dataset, options.format)?;
    let request = import_batch::Request {
        delimiter: options.delimiter.into(),
        all_or_none: options.all_or_none,
        dry_run: options.dry_run,
        bulk_threshold: options.bulk_threshold,
        attributes: List::new(options.attributes).map_err(|error| wrong("attribute", error))?,
        audit_key: text("audit-key", &options.audit_key)?,
        dynamic_system: options.dynamic_system.into(),
        system_variable: text("system-variable", &options.system_variable)?,
        variables: List::new(options.variables).map_err(|error| wrong("variable", error))?,
        account_id: text("account-id", &options.account_id)?,
        login_id: text("login-id", &options.login_id)?,
        ..import_batch::Request::new(format)
    };
    for (option, path) in [("results", &options.results), ("failed", &options.failed)] {
        if path.as_deref().is_some_and(|path| payload_file::takes(path, &options.dataset)) {
            let message = format!("--{option}: this would take the place of the dataset; name another file");
            return Err(Failed::new(Exit::Usage, message));
        }
    }
    let rest = options.failed.as_deref().map(RestFile::make).transpose()?;
    if let (Some(results), Some(failed)) = (&options.results, &options.failed)
        && payload_file::takes(results, failed)
    {
        return Err(Failed::new(Exit::Usage, "--results and --failed name one file; name another for one of them"));
    }
    let results = options.results.as_deref().map(payload_file::begin).transpose()?;
    let dataset = Some(options.dataset);
    Ok(LocalTask { dataset, results, rest, ..plain(TaskRequest::ImportBatch(request), options.common) })
}

fn restore(options: RestoreUser, plain: impl Fn(TaskRequest, Common) -> LocalTask) -> Result<LocalTask, Failed> {
    let RestoreUser { on, name, email, password_file } = options;
    let (account, name) = (account(&on.account)?, text("name", &name)?);
    let request = restore_user::Request { account, name, email: text("email", &email)? };
    let secret = match &password_file {
        Some(path) => Some((restore_user::PASSWORD, read_password(path)?)),
        None => None,
    };
    Ok(LocalTask { secret, ..plain(TaskRequest::RestoreUser(request), on.common) })
}

fn read_password(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failed> {
    password::read(path, MAX_SECRET).map_err(|error| Failed::because(Exit::Usage, &error))
}

/// The offer that a controller would make of it.
pub(super) fn offer(app: &App, wanted: &LocalTask) -> Result<Offer, Failed> {
    let task = random::task_id();
    let kind = wanted.request.kind();
    let target = wanted.request.target();
    let context = SealContext { task, kind, system: &wanted.system, target: &target };
    let keys = [app.keys.newest()];
    let mut sealed = Vec::new();
    if let Some((name, secret)) = &wanted.secret {
        sealed.push(seal(context, name, secret, &keys)?);
    }
    let mut streams = Vec::new();
    if let Some(path) = &wanted.dataset {
        let key: StreamKey = random::secret();
        streams.push(seal_dataset(&app.store, path, &key)?);
        sealed.push(seal(context, DATASET_KEY, key.as_slice(), &keys)?);
    }
    let along = Along { sealed, streams, requester: wanted.requester() };
    local::offer(task, &wanted.system, &wanted.request, along).map_err(|error| Failed::because(Exit::Bug, &error))
}

fn seal(context: SealContext<'_>, name: &str, secret: &[u8], keys: &[SealingPublicKey]) -> Result<SealedField, Failed> {
    SealedField::seal(context, name, secret, keys, &mut random::source())
        .map_err(|error| Failed::because(Exit::Bug, &error))
}

/// The dataset goes into the spool sealed, as if it had come from a controller: one way for all.
fn seal_dataset(store: &Store, path: &Path, key: &StreamKey) -> Result<StreamRef, Failed> {
    let mut hash = Sha256::new();
    let mut length = 0;
    // Length and hash must be known before the payload is begun, so the file is sealed twice.
    each_segment(path, key, |segment| {
        hash.update(segment);
        length += u64::try_from(segment.len()).unwrap_or(u64::MAX);
        Ok(())
    })?;
    let stream = StreamRef { id: random::stream_id(), length, sha256: hash.finalize().into() };
    let unkept = |error: SpoolError| {
        let is_of_the_dataset = matches!(error, SpoolError::TooLong { .. } | SpoolError::Mismatch(_));
        if is_of_the_dataset { changed(path) } else { Failed::because(Exit::Store, &error) }
    };
    let mut writer = store.spool().write(spool_id(stream.id), length).map_err(unkept)?;
    each_segment(path, key, |segment| writer.append(segment).map_err(unkept))?;
    writer.finish(&stream.sha256).map_err(unkept)?;
    Ok(stream)
}

/// A dataset that somebody writes has another length or hash the second time, or goes on behind what was its last segment.
fn changed(path: &Path) -> Failed {
    Failed::new(Exit::Usage, format!("the dataset `{}` was changed while it was read: run this again", path.display()))
}

/// Whether it is the file that failed or whoever takes its segments, only this knows.
fn each_segment(path: &Path, key: &StreamKey, mut take: impl FnMut(&[u8]) -> Result<(), Failed>) -> Result<(), Failed> {
    let unreadable = |error: std::io::Error| {
        Failed::new(Exit::Usage, format!("the dataset `{}` cannot be read: {error}", path.display()))
    };
    let mut file = BufReader::with_capacity(SEGMENT, File::open(path).map_err(unreadable)?);
    let mut sealer = SegmentSealer::new(key);
    loop {
        let mut segment = Zeroizing::new(Vec::with_capacity(SEGMENT));
        let limit = u64::try_from(SEGMENT).unwrap_or(u64::MAX);
        file.by_ref().take(limit).read_to_end(&mut segment).map_err(unreadable)?;
        let last = file.fill_buf().map_err(unreadable)?.is_empty();
        take(&sealer.seal(&segment, last).map_err(|_| changed(path))?)?;
        if last {
            return Ok(());
        }
    }
}
