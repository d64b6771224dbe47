//! `postern run`.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::sealing_keys::Terms;
use postern_health::{Endpoint, Notify};
use postern_protocol::plain::Chain;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::ready_file::ReadyFile;
use super::{Failed, load_private};
use crate::app::{App, AppError};
use crate::cli::Run;
use crate::config::{Config, ExposedError};
use crate::exit::Exit;
use crate::identity::{self, IdentityDir};
use crate::link::LinkStatus;
use crate::spawn::Spawner;
use crate::status::Told;
use crate::{app, clock, collection, health, status};

/// How often, and after how long, a store in use is tried again: two seconds in all.
const STORE_TRIES: u32 = 10;
const STORE_WAIT: Duration = Duration::from_millis(200);
/// How long whatever is not about tasks may take to end.
const TIDY: Duration = Duration::from_secs(1);

pub(super) async fn run(config: &Path, options: Run) -> Result<Exit, Failed> {
    let mut config = load_private(config)?;
    if let Err(ExposedError::NotPrivate(error)) = config.inspect_trust() {
        tracing::warn!(
            next = error.commands().join("; "),
            "others may put another file in the place of the configuration or of a file of root certificates that it names, or write \
             one of these"
        );
    }
    let Terms { life, keep } = config.sealing_keys;
    config.sealing_keys = Terms {
        life: options.sealing_key_secs.map_or(life, Duration::from_secs),
        keep: options.sealing_key_keep_secs.map_or(keep, Duration::from_secs),
    };
    // Asked first, so that a machine without membership does not make a store.
    let identity = IdentityDir::open(&config.state_dir)?.load()?.ok_or(AppError::NotEnrolled)?;
    let mut signals = Signals::new().map_err(|error| Failed::because(Exit::Bug, &error))?;
    let mut app = start(&config).await?;
    // Only now: while another agent has the store, the file is its own.
    let ready_file = options.ready_file.map(ReadyFile::absent).transpose()?;
    let listener = status::listen(&config.state_dir)
        .map_err(|source| AppError::Socket { path: status::socket_path(&config.state_dir), source })?;
    // Whoever holds the store owns the socket: it is held until the socket is gone.
    let store = app.store.clone();
    let endpoint = endpoint(&config).await?;
    let notify = Notify::to(&config.supervisor).map_err(|error| Failed::because(Exit::Config, &error))?;
    let notify = Arc::new(notify);
    let connected = app.connect(&config)?;
    let link = connected.link.clone();
    let side = Spawner::default();
    let collections = app.collect();
    let vitals = app.vitals(&connected);
    let told = Told { connected, audit: app.audit(), collections, vitals: vitals.clone() };
    serve_status(listener, &identity, &config, &app, told, &side);
    if let Some(endpoint) = endpoint {
        let vitals = vitals.clone();
        side.spawn(|stop| endpoint.serve(vitals, stop));
    }
    let supervised = Arc::clone(&notify);
    side.spawn(|stop| health::supervise(supervised, vitals, stop));
    let up = Spawner::default();
    if let Some(file) = ready_file {
        let link = link.clone();
        up.spawn(|stop| file.keep(link, stop));
    }
    tracing::info!(cluster = %identity.membership.cluster, member = %identity.membership.member, "agent started");
    let ended = tokio::select! {
        error = app.failed() => Err(error),
        () = signals.next() => {
            notify.stopping();
            app.say_stopping();
            up.stop(TIDY).await;
            say_stopping(&app, &link).await;
            app_stop(app, &mut signals).await
        }
    };
    up.stop(TIDY).await;
    side.stop(TIDY).await;
    if let Err(error) = status::remove(&config.state_dir) {
        tracing::warn!(%error, "the status socket cannot be removed");
    }
    drop(store);
    match ended {
        Ok(()) => Ok(Exit::Ok),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the store failed; nothing decided since was told to anyone");
            Err(Failed::because(app::store_exit(&error), &error))
        }
    }
}

/// Where probes and Prometheus are answered, if the configuration names a place.
async fn endpoint(config: &Config) -> Result<Option<Endpoint>, Failed> {
    let Some(address) = config.health.listen else { return Ok(None) };
    let endpoint = Endpoint::bind(address).await.map_err(|error| {
        let step = "choose another `listen` in [health]";
        // An address may come after the program, as one does that moves from host to host: then it is tried again.
        let exit = if error.kind() == ErrorKind::PermissionDenied { Exit::Config } else { Exit::Failed };
        Failed::new(exit, format!("probes cannot be answered at {address} ({error}): {step}"))
    })?;
    let address = endpoint.address().unwrap_or(address);
    tracing::info!(%address, "probes and Prometheus are answered");
    Ok(Some(endpoint))
}

/// Starts, and makes ready the directories of collections: not while another agent has the store, for what it is writing
/// there is no remains. On a disk that is full of remains, the store cannot be opened before they are gone.
async fn start(config: &Config) -> Result<App, AppError> {
    match start_when_free(config).await {
        Err(error @ AppError::Store(_)) if error.exit() == Exit::Store => {
            collection::prepare(config);
            App::start(config)
        }
        Err(error) => Err(error),
        Ok(app) => {
            collection::prepare(config);
            Ok(app)
        }
    }
}

/// A `postern reset-sign-in` has the store for a blink; anything longer is another agent.
async fn start_when_free(config: &Config) -> Result<App, AppError> {
    for _ in 0..STORE_TRIES {
        match App::start(config) {
            Err(error) if error.exit() == Exit::StoreInUse => tokio::time::sleep(STORE_WAIT).await,
            started => return started,
        }
    }
    App::start(config)
}

/// The second signal stops attempts where they can, the third ends the process.
async fn app_stop(app: App, signals: &mut Signals) -> Result<(), crate::store::AgentStoreError> {
    let cancel = app.canceller();
    let mut stopping = std::pin::pin!(app.stop());
    let mut count = 1;
    loop {
        tokio::select! {
            ended = &mut stopping => return ended,
            () = signals.next() => {
                count += 1;
                if count == 2 {
                    tracing::warn!("stopping: running tasks stop where they can");
                    cancel.cancel();
                } else {
                    tracing::warn!("stopping at once; what was running is resumed at the next start");
                    return Ok(());
                }
            }
        }
    }
}

fn serve_status(
    listener: UnixListener,
    identity: &identity::Identity,
    config: &Config,
    app: &App,
    told: Told,
    side: &Spawner,
) {
    let fixed = status::Fixed {
        cluster: identity.membership.cluster.to_string(),
        member: identity.membership.member.to_string(),
        started: clock::unix_millis(),
        systems: config.systems.iter().map(|system| system.name.clone()).collect(),
    };
    let desk = status::Desk {
        fixed,
        told,
        dispatcher: app.dispatcher.clone(),
        store: app.store.clone(),
        doctor: app.doctor(config),
    };
    side.spawn(|stop| status::serve(listener, desk, stop));
}

/// Says what becomes of what the agent holds. Only a controller that is there can take anything back.
async fn say_stopping(app: &App, link: &watch::Receiver<LinkStatus>) {
    let Ok(Some(status)) = tokio::time::timeout(TIDY, app.dispatcher.status()).await else { return };
    let (begun, rest) = (status.started, status.journaled);
    let rest = if matches!(&*link.borrow(), LinkStatus::Connected { .. }) {
        format!("{rest} tasks given back")
    } else {
        format!("{rest} tasks kept for the next start")
    };
    tracing::info!("stopping: {begun} tasks are being finished, {rest}");
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
