//! `postern run`.

use std::path::Path;
use std::time::Duration;

use postern_store::private;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{Failed, load};
use crate::app::{App, AppError};
use crate::chain::Chain;
use crate::cli::Run;
use crate::config::Config;
use crate::exit::Exit;
use crate::identity::{self, IdentityDir};
use crate::link::LinkStatus;
use crate::spawn::Spawner;
use crate::{app, status};

/// How often, and after how long, a store in use is tried again: two seconds in all.
const STORE_TRIES: u32 = 10;
const STORE_WAIT: Duration = Duration::from_millis(200);

pub(super) async fn run(config: &Path, options: Run) -> Result<Exit, Failed> {
    let config = load(config)?;
    // Asked first, so that a machine without membership does not make a store.
    let identity = IdentityDir::open(&config.state_dir)?.load()?.ok_or(AppError::NotEnrolled)?;
    let mut signals = Signals::new().map_err(|error| Failed::because(Exit::Bug, &error))?;
    let mut app = start(&config).await?;
    let listener = status::listen(&config.state_dir)
        .map_err(|source| AppError::Socket { path: status::socket_path(&config.state_dir), source })?;
    let link = app.connect(&config)?;
    let side = Spawner::default();
    serve_status(listener, &identity, &app, link.clone(), &side);
    if let Some(path) = options.ready_file {
        side.spawn(|stop| async move {
            tokio::select! {
                () = stop.cancelled() => (),
                () = tell_ready(link, &path) => (),
            }
        });
    }
    tracing::info!(cluster = %identity.membership.cluster, member = %identity.membership.member, "agent started");
    let ended = tokio::select! {
        error = app.failed() => Err(error),
        () = signals.next() => {
            tracing::info!("stopping: finishing what is running");
            app_stop(app, &mut signals).await
        }
    };
    side.stop(Duration::from_secs(1)).await;
    match ended {
        Ok(()) => Ok(Exit::Ok),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the store failed; nothing decided since was told to anyone");
            Err(Failed::because(app::store_exit(&error), &error))
        }
    }
}

/// A `postern status` that looks at this moment has the store for a blink; anything longer is another agent.
async fn start(config: &Config) -> Result<App, AppError> {
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
    app: &App,
    link: watch::Receiver<LinkStatus>,
    side: &Spawner,
) {
    let fixed = status::Fixed {
        cluster: identity.membership.cluster.to_string(),
        member: identity.membership.member.to_string(),
        certificate_ends: identity::certificate_ends(&identity.certificate),
    };
    let dispatcher = app.dispatcher.clone();
    side.spawn(|stop| status::serve(listener, fixed, link, dispatcher, stop));
}

async fn tell_ready(mut link: watch::Receiver<LinkStatus>, path: &Path) {
    let connected = link.wait_for(|status| matches!(status, LinkStatus::Connected { .. })).await;
    if connected.is_ok()
        && let Err(error) = private::replace(path, b"ready\n")
    {
        tracing::warn!(error = %Chain(&error), "the ready file cannot be written");
    }
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
