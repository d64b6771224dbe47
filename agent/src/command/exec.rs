//! `postern exec`: one task, here.

mod export;
mod offer;
mod option;
mod password_file;
mod payload_file;
mod rest_file;
mod show;

use std::path::{Path, PathBuf};

use postern_agent_core::Caller;
use postern_protocol::seal::{SealingKey, SealingPublicKey};
use postern_protocol::{SystemName, TaskRequest};
use postern_store::private::PartFile;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use self::password_file::PasswordFile;
use self::rest_file::RestFile;
use super::{Failed, load_private, say_error};
use crate::app::App;
use crate::cli::Exec;
use crate::dispatcher::LocalEvent;
use crate::exit::Exit;

/// Progress events waiting to be shown; more are dropped.
const EVENTS: usize = 64;

/// What `exec` needs to know beside the request.
struct LocalTask {
    request: TaskRequest,
    system: SystemName,
    json: bool,
    secret: Option<(&'static str, Zeroizing<Vec<u8>>)>,
    dataset: Option<PathBuf>,
    /// Where a line for each entry goes.
    results: Option<PartFile>,
    /// Where the entries that did not succeed go.
    rest: Option<RestFile>,
    generated: Option<(SealingKey, PasswordFile)>,
    payload: Option<(SealingKey, PartFile)>,
}

impl LocalTask {
    /// The key of whoever may read what comes of the task.
    fn requester(&self) -> Option<SealingPublicKey> {
        let generated = self.generated.as_ref().map(|(key, _)| key);
        generated.or(self.payload.as_ref().map(|(key, _)| key)).map(|key| *key.public())
    }
}

pub(super) async fn run(config: &Path, options: Exec) -> Result<Exit, Failed> {
    let config = load_private(config)?;
    let mut local = offer::read(options.task)?;
    super::check_system(&config, &local.system)?;
    let app = App::start(&config)?;
    let done = attempt(&app, &mut local).await;
    app.stop().await?;
    done
}

async fn attempt(app: &App, local: &mut LocalTask) -> Result<Exit, Failed> {
    let offer = offer::offer(app, local)?;
    let (watch, mut events) = mpsc::channel(EVENTS);
    app.dispatcher.run_local(offer.clone(), Caller::Person, watch).await;
    loop {
        match events.recv().await {
            Some(LocalEvent::Progress { done, total, phase }) => say_error(format_args!("{phase}: {done} of {total}")),
            Some(LocalEvent::Again { after, failure }) => {
                let secs = after.as_secs();
                say_error(format_args!("not done yet, tried again in {secs} s: {}", failure.summary));
            }
            Some(LocalEvent::Ended(report)) => {
                let shown = show::show(app, local, &offer, &report);
                app.dispatcher.local_taken(report.task, shown.is_ok()).await;
                return shown;
            }
            Some(LocalEvent::NotTaken(why)) => {
                return Err(Failed::new(Exit::Failed, format!("the task was not taken: {why}")));
            }
            None => return Err(Failed::new(Exit::Failed, "the task did not end; the log above says why")),
        }
    }
}
