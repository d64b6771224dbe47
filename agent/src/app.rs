//! The parts of a running agent, built from the configuration and stopped in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::{Ledger, Limits, Origin, TaskState};
use postern_health::Stalled;
use postern_protocol::{MemberId, SystemName};
use postern_store::StoreError;
use postern_store::private::{PrivateError, is_of_the_disk};
use postern_traces::exporter;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Scribe};
use crate::clock;
use crate::collection::{self, Collector, Remembered, Status};
use crate::config::{Config, ConfigError};
use crate::connector::{self, Connector};
use crate::dispatcher::{Dispatcher, Loop};
use crate::doctor::desk::Desk;
use crate::executor::{Executor, Served, Who};
use crate::exit::Exit;
use crate::health::{self, Vitals};
use crate::http::HttpError;
use crate::identity::{IdentityDir, IdentityError, KeptKey};
use crate::kept::Kept;
use crate::keys::SealingKeys;
use crate::link::{
    CertificateStatus, Certificates, Dialer, Introduction, KeyRing, KeyStatus, Link, LinkStatus, LinkVitals,
    ProxyRoute, Sessions, tls,
};
use crate::policy::Admission;
use crate::spawn::Spawner;
use crate::store::{AgentStoreError, Store};
use crate::streams::{Mover, Streams};
use crate::traces::Traces;
use crate::watchdog::Watchdog;

/// How long attempts may run on once the agent is asked to stop. Then they are asked to stop as well.
const RUN_ON: Duration = Duration::from_secs(25);
/// How long they may take after that: longer than any one request, unless it is given more time than usual.
const FINISH: Duration = Duration::from_secs(62);
/// How long each part may take to end when nothing is left to do.
const PART: Duration = Duration::from_secs(5);

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity is not usable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS is not usable.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The store is not usable.
    #[error(transparent)]
    Store(#[from] AgentStoreError),
    /// The way to the collector of `[telemetry]` cannot be set up.
    #[error("the collector of `[telemetry]` cannot be used")]
    Telemetry(#[from] HttpError),
    /// There is no membership.
    #[error(
        "this agent is not enrolled; ask an operator for a token (`postern-controller token create`) and run `postern \
         enroll`"
    )]
    NotEnrolled,
    /// The local socket is not usable.
    #[error("the status socket `{path}` cannot be opened; let the agent's user write to the state directory")]
    Socket {
        /// The socket.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl AppError {
    /// The exit code that tells a script.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Identity(error) => error.exit(),
            // Made anew at every start, and a disk that is full is another one when room was made.
            Self::Socket { source, .. } if is_of_the_disk(source) => Exit::Store,
            Self::Config(_) | Self::Tls(_) | Self::Telemetry(_) | Self::Socket { .. } => Exit::Config,
            Self::Store(error) => store_exit(error),
            Self::NotEnrolled => Exit::Refused,
        }
    }
}

/// The exit code of a store that failed.
pub fn store_exit(error: &AgentStoreError) -> Exit {
    match error {
        AgentStoreError::Store(error) if error.is_in_use() => Exit::StoreInUse,
        AgentStoreError::Store(error) if error.is_other_format() => Exit::Config,
        AgentStoreError::Key(error) if error.is_of_the_disk() => Exit::Store,
        // To start again changes nothing about a record of another version either.
        AgentStoreError::Store(StoreError::Private(PrivateError::Exposed { .. }))
        | AgentStoreError::Key(_)
        | AgentStoreError::Record { .. } => Exit::Config,
        AgentStoreError::Store(_) | AgentStoreError::Spool(_) | AgentStoreError::Encode(_) => Exit::Store,
    }
}

/// Where the link tells about itself.
pub struct Connected {
    /// As which member.
    pub member: MemberId,
    /// What it is doing.
    pub link: watch::Receiver<LinkStatus>,
    /// What sessions there were.
    pub sessions: watch::Receiver<Sessions>,
    /// How the certificate is.
    pub certificate: watch::Receiver<CertificateStatus>,
    /// How the sealing keys are.
    pub sealing_keys: watch::Receiver<Option<KeyStatus>>,
}

/// An agent at work, with or without a controller.
pub struct App {
    /// Who takes inputs.
    pub dispatcher: Dispatcher,
    /// What remembers.
    pub store: Store,
    /// The keys secrets for this agent are sealed to.
    pub keys: SealingKeys,
    /// The same, with what is known of each.
    kept_keys: Vec<KeptKey>,
    /// Connected systems that tasks are held for, and that are not in the configuration.
    unserved: BTreeSet<SystemName>,
    collections: Vec<Remembered>,
    connectors: BTreeMap<SystemName, Arc<dyn Connector>>,
    executor: Executor,
    streams: Streams,
    cancel: CancellationToken,
    loop_ended: oneshot::Receiver<Result<(), AgentStoreError>>,
    attempts: Spawner,
    collectors: Spawner,
    links: Spawner,
    core: Spawner,
    scribe: Spawner,
    /// What is told to a collector.
    telling: Spawner,
    audit: watch::Receiver<audit::Status>,
    link_vitals: LinkVitals,
    stalled: Stalled,
    stopping: CancellationToken,
}

impl App {
    /// Opens the store and starts everything but the link.
    pub fn start(config: &Config) -> Result<Self, AppError> {
        config.systems.iter().try_for_each(|system| connector::type_of(system)?.check(system))?;
        let identity = IdentityDir::open(&config.state_dir)?;
        let (store, recovered) = Store::open_in(&config.home())?;
        // Only now: whoever enrolls has the store, and puts another key before these.
        identity.erase_half_made()?;
        if identity.kept_sealing_keys()?.is_none() && identity.load()?.is_some() {
            tracing::warn!(
                "the sealing keys are missing and another is made: secrets that wait for this agent have to be sealed again"
            );
        }
        let kept_keys = identity.sealing_keys()?;
        let keys = SealingKeys::new(kept_keys.iter().map(|kept| kept.key.clone()).collect());
        if let Some(aside) = recovered.and_then(|recovered| recovered.moved_aside) {
            tracing::error!(
                moved_to = %aside.to.display(), reason = aside.reason,
                "the store was damaged and a new one begun: tasks held and reports owed are lost, the controller will \
                 find out what became of them; ceilings of the policy and refused sign-ins are counted from nothing"
            );
        }
        let restored = store.restore()?;
        let systems = serve(config, &store)?;
        let unserved = restored.tasks.iter().filter(|held| {
            let is_open = held.origin == Origin::Controller && !matches!(held.state, TaskState::Concluded(_));
            is_open && !systems.contains_key(&held.offer.system)
        });
        let unserved = unserved.map(|held| held.offer.system.clone()).collect();
        collection::check(config, |name| systems.get(name).map_or(&[], |served| served.connector.supports()))?;
        let connectors = systems.iter().map(|(name, served)| (name.clone(), Arc::clone(&served.connector))).collect();
        let limits = Limits::for_systems(
            config.systems.iter().map(|system| (system.name.clone(), system.concurrency)).collect(),
        );
        let ledger = Ledger::restore(limits, restored);

        let (dispatcher, inputs) = Dispatcher::channel();
        let (streams, commands) = Streams::channel();
        let (attempts, core, writing) = (Spawner::default(), Spawner::default(), Spawner::default());
        let (scribe, audit) = Scribe::new(&config.state_dir, store.clone());
        writing.spawn_part(|stop| scribe.run(stop));
        let who = identity.load()?.map(|it| Who::member(&it.membership)).unwrap_or_default();
        let telling = Spawner::default();
        let traces = Traces::start(&config.telemetry, who.member.clone().unwrap_or_default(), &telling)?;
        let executor = Executor::new(systems, keys.clone(), who, store.clone(), dispatcher.clone(), attempts.clone())
            .telling(traces.clone());
        let mover = Mover::new(store.spool().clone(), dispatcher.clone());
        core.spawn_blocking_part(move || mover.run(commands));
        let cancel = CancellationToken::new();
        let (ended, loop_ended) = oneshot::channel();
        let mut watchers = Vec::new();
        let collections = collection::take_up(config, &store, &ledger, |task, watch| watchers.push((task, watch)))?;
        let mut running = Loop::new(ledger, store.clone(), executor.clone(), streams.clone(), inputs);
        running.telling(&traces);
        for (task, watch) in watchers {
            running.watch(task, watch);
        }
        let link_vitals = LinkVitals::new(clock::now());
        let (pulse, link_pulse) = (running.pulse.clone(), link_vitals.pulse.clone());
        let patience = config.supervisor.patience();
        let (watchdog, stalled) = Watchdog::new(store.commit_watch(), pulse, link_pulse, config.disk_timeout, patience);
        // Nobody stops it: a disk may also hang while the agent stops.
        Spawner::default().spawn_part(|_| watchdog.run());
        let token = cancel.clone();
        core.spawn_part(|_| async move {
            let _ = ended.send(running.run(token).await);
        });
        Ok(Self {
            dispatcher,
            store,
            keys,
            kept_keys,
            unserved,
            collections,
            connectors,
            executor,
            streams,
            cancel,
            loop_ended,
            attempts,
            collectors: Spawner::default(),
            links: Spawner::default(),
            core,
            scribe: writing,
            telling,
            audit,
            link_vitals,
            stalled,
            stopping: CancellationToken::new(),
        })
    }

    /// Where the audit log tells about itself.
    pub fn audit(&self) -> watch::Receiver<audit::Status> {
        self.audit.clone()
    }

    /// What this agent finds out about itself when it is asked what is wrong.
    pub fn doctor(&self, config: &Config) -> Desk {
        let file = config.file();
        Desk {
            config: file.canonicalize().unwrap_or_else(|_| file.to_owned()),
            store: self.store.clone(),
            audit: self.audit(),
            connectors: self.connectors.clone(),
        }
    }

    /// Starts the collections, and says where each tells about itself.
    pub fn collect(&mut self) -> Vec<watch::Receiver<Status>> {
        let mut told = Vec::new();
        for remembered in self.collections.drain(..) {
            let (store, dispatcher) = (self.store.clone(), self.dispatcher.clone());
            let (collector, status) = Collector::new(remembered, store, dispatcher, self.keys.clone());
            self.collectors.spawn_part(|stop| collector.run(stop));
            told.push(status);
        }
        told
    }

    /// Starts the link to the controller, and says where it tells about itself.
    pub fn connect(&self, config: &Config) -> Result<Connected, AppError> {
        let directory = IdentityDir::open(&config.state_dir)?;
        directory.complete()?;
        let identity = directory.load()?.ok_or(AppError::NotEnrolled)?;
        let urls: Vec<String> = if config.controller.urls.is_empty() {
            identity.membership.controllers.clone()
        } else {
            config.controller.urls.iter().map(ToString::to_string).collect()
        };
        let first = urls.first().cloned().ok_or(AppError::NotEnrolled)?;
        let (status, watched) = watch::channel(LinkStatus::Connecting { url: first });
        let (sessions, had) = watch::channel(Sessions::default());
        let directory = Arc::new(directory);
        let (keys, sealing_keys) = KeyRing::new(
            Arc::clone(&directory),
            self.kept_keys.clone(),
            &self.keys,
            &self.dispatcher,
            config.sealing_keys,
        );
        let member = identity.membership.member;
        let (certificates, certificate) = Certificates::new(directory, identity, self.keys.clone())?;
        let link = Link {
            dialer: Dialer { proxy: proxy_route(config)?, timeout: config.controller.connect_timeout },
            certificates,
            keys,
            urls,
            introduction: Introduction {
                member,
                host: host_name(),
                incarnation: self.store.incarnation(),
                systems: self.executor.served(),
            },
            dispatcher: self.dispatcher.clone(),
            streams: self.streams.clone(),
            status,
            sessions,
            vitals: self.link_vitals.clone(),
            disk_timeout: config.disk_timeout,
        };
        for system in &self.unserved {
            tracing::warn!(
                %system,
                "tasks are held for a connected system that is not in the configuration: they are left to the member that \
                 has it; if it was taken out by mistake, put it back and start again within a quarter of an hour"
            );
        }
        self.links.spawn_part(|stop| link.run(stop));
        Ok(Connected { member, link: watched, sessions: had, certificate, sealing_keys })
    }

    /// Where it is seen how it is.
    pub fn vitals(&self, connected: &Connected) -> Vitals {
        Vitals::new(health::Sources {
            member: connected.member,
            dispatcher: self.dispatcher.clone(),
            store: self.store.clone(),
            executor: self.executor.clone(),
            link: connected.link.clone(),
            link_vitals: self.link_vitals.clone(),
            certificate: connected.certificate.clone(),
            audit: self.audit(),
            stalled: self.stalled.clone(),
            stopping: self.stopping.clone(),
            started: clock::unix_millis(),
        })
    }

    /// Says from here on that it is stopping.
    pub fn say_stopping(&self) {
        self.stopping.cancel();
    }

    /// Resolves when the store failed, which ends everything.
    pub async fn failed(&mut self) -> AgentStoreError {
        match (&mut self.loop_ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => std::future::pending().await,
        }
    }

    /// Fire this to stop running attempts at the next point where they can, instead of when they are done.
    pub fn canceller(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for what was begun, and no longer than it may take.
    async fn finished(&mut self) -> Result<(), AgentStoreError> {
        if let Ok(ended) = tokio::time::timeout(RUN_ON, &mut self.loop_ended).await {
            return ended.unwrap_or(Ok(()));
        }
        tracing::info!("stopping: what still runs stops where it can, and is gone on with at the next start");
        self.cancel.cancel();
        if let Ok(ended) = tokio::time::timeout(FINISH, &mut self.loop_ended).await {
            return ended.unwrap_or(Ok(()));
        }
        let ended = async {
            self.dispatcher.cut_off().await;
            (&mut self.loop_ended).await
        };
        match tokio::time::timeout(PART, ended).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Takes no new work, finishes what it can, makes it durable, says goodbye, and ends every part in order.
    pub async fn stop(mut self) -> Result<(), AgentStoreError> {
        self.collectors.stop(PART).await;
        self.dispatcher.stop().await;
        let finished = self.finished().await;
        self.links.stop(PART).await;
        if !self.attempts.stop(PART).await {
            tracing::warn!("attempts were still running; they are resumed at the next start");
        }
        drop((self.dispatcher, self.streams, self.executor, self.connectors));
        self.core.stop(PART).await;
        if !self.scribe.stop(PART).await {
            tracing::warn!("the audit log was still being written; it is gone on with at the next start");
        }
        self.telling.stop(exporter::FLUSH).await;
        finished
    }
}

fn serve(config: &Config, store: &Store) -> Result<BTreeMap<SystemName, Served>, AppError> {
    let mut systems = BTreeMap::new();
    for system in &config.systems {
        let keep = Arc::new(Kept::new(store.clone(), system.name.clone()));
        let admission = Admission::open(Arc::clone(&system.policy), system.name.clone(), store.clone())?;
        let served =
            Served { connector: connector::type_of(system)?.build(system, keep)?, admission: Arc::new(admission) };
        systems.insert(system.name.clone(), served);
    }
    Ok(systems)
}

/// The proxy of the configuration, with its password read.
pub fn proxy_route(config: &Config) -> Result<Option<ProxyRoute>, ConfigError> {
    let route = config.controller.proxy.as_ref().map(ProxyRoute::of).transpose();
    route.map_err(|error| config.controller.unreadable("proxy", error))
}

/// This host's name, for people.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    /// End with 78, and a service manager does not start the agent again when there is room.
    #[test]
    fn a_start_that_a_full_disk_ended_is_tried_again_and_one_that_may_not_write_is_not() {
        for (kind, number, exit) in
            [(ErrorKind::StorageFull, 28, Exit::Store), (ErrorKind::PermissionDenied, 13, Exit::Config)]
        {
            let source = || Error::from_raw_os_error(number);
            assert_eq!(source().kind(), kind);
            let socket = AppError::Socket { path: "agent.sock".into(), source: source() };
            let file = PrivateError::Io { doing: "write", path: "current.pem".into(), source: source() };
            assert_eq!((socket.exit(), AppError::Identity(file.into()).exit()), (exit, exit));
            let key = PrivateError::Io { doing: "create", path: "store.key".into(), source: source() };
            assert_eq!(AppError::Store(AgentStoreError::Key(key.into())).exit(), exit);
        }
    }

    #[test]
    fn a_record_of_another_version_is_not_tried_again() {
        let source = crate::store::record::read_membership(b"").unwrap_err();
        let error = AgentStoreError::Record { table: "membership", key: String::new(), source };
        assert_eq!(store_exit(&error), Exit::Config);
    }
}
