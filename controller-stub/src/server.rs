//! Builds the parts of the controller and stops them in order.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_health::{Endpoint, Notify};
use postern_protocol::plain::Chain;
use postern_store::private::{self, PrivateError};
use postern_store::{Home, HomeError, KeyError, MovedAside, Opened, Options, Spool, StoreError};
use postern_traces::{Spans, exporter};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::access::{self, Presented};
use crate::api::{self, Api};
use crate::audit::Scribe;
use crate::ca::{Authority, CaError};
use crate::client::collector::Way;
use crate::clock::{self, Moment};
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::door::Door;
use crate::exit::{Exit, Failure};
use crate::health::{self, Vitals};
use crate::limits;
use crate::link::{Applicants, Link, Tls};
use crate::space::Space;
use crate::spawn::{Spawner, guard};
use crate::state::State;
use crate::state::api_tokens::TokenFile;
use crate::state::ledger::{Ledger, LedgerError};
use crate::state::record::RootsRecord;
use crate::state::records::Records as _;
use crate::telemetry::Hush;

/// How long sessions and requests get to end by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// How many connections the kernel keeps until they are accepted: as many as the library asks for by itself.
const BACKLOG: u32 = 1024;

/// The first administrator's token and `api.json` are far smaller.
pub const MAX_FILE: usize = 64 * 1024;

/// The file that says where a running controller is reached.
pub const ADDRESSES: &str = "api.json";

/// Where a running controller is reached: what `api.json` and the ready file say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Addresses {
    /// The URL agents are given.
    pub controller_url: String,
    /// The URL of the API.
    pub api_url: String,
    /// The file with the first administrator's token.
    pub api_token_file: PathBuf,
    /// The process.
    pub pid: u32,
}

/// Runs the controller until a signal or a fault ends it.
pub fn serve(config: &Config) -> Result<(), Failure> {
    let parts = open(config)?;
    let ledger = parts.ledger.clone();
    let done = on_runtime(run(config, parts));
    // Whoever lets go of it last waits for its disk.
    std::mem::forget(ledger);
    done
}

/// Runs this to its end, which is the program's: nothing waits for parts that are stuck in a disk.
fn on_runtime(controller: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let done = runtime.block_on(controller);
    std::mem::forget(runtime);
    done
}

/// What is opened before anything listens.
struct Parts {
    ledger: Ledger,
    spool: Spool,
    state: State,
}

fn open(config: &Config) -> Result<Parts, Failure> {
    let at = clock::moment();
    private::directory(&config.data_dir).map_err(|error| file_failure(&error))?;
    let Opened { store, recovered } =
        config.home.open(&Options::default(), at.wall.0 / 1000).map_err(|error| home_failure(&error))?;
    let ledger = Ledger::new(store);
    begun_or_new(&config.home, &ledger, recovered.and_then(|it| it.moved_aside))?;
    let spool = ledger.store().spool().map_err(|error| Failure::from_error(Exit::Store, &error))?;

    let authority = match known_roots(&ledger).map_err(|error| ledger_failure(&error))?.map(|it| it.phase) {
        Some(phase) => Authority::open_roots(&config.data_dir, phase.signing(), phase.other(), at.wall),
        None => Authority::open(&config.data_dir, at.wall),
    };
    let authority = authority.map_err(|error| {
        let exit = if let CaError::File(file) = &error { file_exit(file) } else { Exit::Configuration };
        Failure::from_error(exit, &error)
    })?;
    let mut state = State::open(ledger.clone(), Arc::new(authority), config.settings.clone(), at)
        .map_err(|error| ledger_failure(&error))?;
    state.audit_start(at);
    bootstrap(&config.data_dir, &mut state, at).map_err(|error| file_failure(&error))?;
    let removed = spool
        .retain(|id| state.stream(postern_protocol::StreamId::from_bytes(id.0)).is_some())
        .map_err(|error| Failure::from_error(Exit::Store, &error))?;
    if removed > 0 {
        tracing::info!(removed, "payloads that nobody knows were removed");
    }
    Ok(Parts { ledger, spool, state })
}

/// The roots that somebody may trust already: those are never made anew, whatever became of their files.
fn known_roots(ledger: &Ledger) -> Result<Option<RootsRecord>, LedgerError> {
    let roots = ledger.roots()?;
    let is_known = roots.is_some() || !ledger.members()?.is_empty() || !ledger.tokens()?.is_empty();
    Ok(is_known.then(|| roots.unwrap_or_default()))
}

/// Refuses a ledger in which nothing was begun, in the place of one that was damaged: members and tasks are gone with that
/// one, and beginning anew is for a person to decide, not for a supervisor that starts again what has ended.
fn begun_or_new(home: &Home, ledger: &Ledger, now: Option<MovedAside>) -> Result<(), Failure> {
    let before = home.damaged_before().map_err(|error| store_failure(&error))?;
    // Whoever began has made the first administrator's token, and the last one stays.
    let is_begun = !ledger.api_tokens().map_err(|error| ledger_failure(&error))?.is_empty();
    let Some(kept) = before.last().filter(|_| !is_begun) else { return Ok(()) };
    let reason = now.map(|it| format!(" ({})", it.reason)).unwrap_or_default();
    Err(Failure::new(
        Exit::Configuration,
        format!(
            "the ledger was damaged{reason} and is kept at `{}`: restore a copy of the data directory; or, to begin \
             without clusters, members and tasks, move what is kept out of the data directory and start again",
            kept.display()
        ),
    ))
}

/// Why the store and its key are not usable.
pub fn home_failure(error: &HomeError) -> Failure {
    match error {
        HomeError::Key(KeyError::Private(error)) => file_failure(error),
        HomeError::Key(error) => Failure::from_error(Exit::Configuration, error),
        HomeError::Store(error) => store_failure(error),
        HomeError::Spool(error) => Failure::from_error(Exit::Store, error),
    }
}

/// A disk that is full or fails is another one the next time, when room was made: then it is tried again.
fn file_exit(error: &PrivateError) -> Exit {
    if error.is_of_the_disk() { Exit::Store } else { Exit::Configuration }
}

fn file_failure(error: &PrivateError) -> Failure {
    Failure::from_error(file_exit(error), error)
}

fn store_failure(error: &StoreError) -> Failure {
    let exit = if error.is_in_use() {
        Exit::StoreInUse
    } else if error.is_other_format() {
        Exit::Configuration
    } else {
        Exit::Store
    };
    Failure::from_error(exit, error)
}

fn ledger_failure(error: &LedgerError) -> Failure {
    match error {
        LedgerError::Store(error) => store_failure(error),
        LedgerError::Unreadable { .. } => Failure::from_error(Exit::Configuration, error),
        LedgerError::Unwritable { .. } => Failure::from_error(Exit::Bug, error),
    }
}

/// Makes the first administrator's token, if one is wanted. The file is durable first: a token that is known here, and
/// whose text nobody has, would lock everybody out.
fn bootstrap(data_dir: &Path, state: &mut State, at: Moment) -> Result<(), PrivateError> {
    let path = data_dir.join("api.token");
    let file = match private::read_if_any(&path, MAX_FILE)? {
        None => TokenFile::Holds(None),
        Some(text) if text.trim_ascii().is_empty() => TokenFile::Empty,
        Some(text) => {
            let token = str::from_utf8(&text).ok().and_then(|it| it.parse::<Presented>().ok());
            TokenFile::Holds(token.map(|it| it.id))
        }
    };
    if !state.wants_bootstrap(file) {
        return Ok(());
    }
    let made = access::make(at.wall);
    private::replace(&path, format!("{}\n", made.text.expose()).as_bytes())?;
    state.install_bootstrap(&made, at);
    tracing::info!(id = %made.id, file = %path.display(), "a token for the first administrator was made");
    Ok(())
}

async fn run(config: &Config, mut parts: Parts) -> Result<(), Failure> {
    // Whoever reads the ready file may call at once.
    let mut first = parts.state.end_turn();
    parts.ledger.commit(std::mem::take(&mut first.writes)).await.map_err(|error| ledger_failure(&error))?;
    first.publish();
    let agents = bind(config.listen, None)?;
    let api = bind(config.api_listen, Some(limits::ANSWER_BUFFER))?;
    let urls = controller_urls(config, &agents)?;
    let addresses = addresses(config, &urls, &api)?;
    let mut signals = Signals::new()?;
    let spawner = Spawner::default();
    let (tokens, newest) = (parts.state.known_api_tokens(), parts.state.newest_audit_row());
    let tls = Tls::new(config.public_names.clone(), parts.state.durable_authority())
        .map_err(|error| Failure::from_error(Exit::Configuration, &error))?;
    let endpoint = endpoint(config).await?;
    let notify = Notify::to(&config.supervisor).map_err(|error| Failure::from_error(Exit::Configuration, &error))?;
    let notify = Arc::new(notify);
    let ledger = parts.ledger.clone();
    let space = Space::new(ledger.store().clone());
    let traces = Spawner::default();
    let spans = start_traces(&traces, config)?;
    let members_hush = parts.state.hush();
    let (dispatcher, handle) = Dispatcher::new(parts.state, parts.ledger, parts.spool.clone());
    let dispatcher = dispatcher.telling(spans.clone());

    let scribe = Scribe::new(&config.data_dir, handle.clone(), newest, space.clone());
    spawner.spawn_part(|stop| scribe.run(stop));
    let hush = Arc::<Hush>::default();
    let doors = health::Doors {
        agents: Door::new(config.connections.with_descriptors().bounds(), Arc::clone(&hush)),
        api: Door::new(limits::callers(), Arc::clone(&hush)),
    };
    let link = Link {
        handle: handle.clone(),
        spool: parts.spool.clone(),
        space: space.clone(),
        heartbeat: config.settings.heartbeat,
        hush: members_hush,
        applicants: Applicants::new(config.enrollments),
    };
    let (door, sessions) = (doors.agents.clone(), spawner.clone());
    spawner.spawn_part(|stop| link.listen(agents, tls, door, sessions, stop));
    let (door, callers) = (doors.api.clone(), spawner.clone());
    let (watch, stalled) = health::watch(&ledger, dispatcher.pulse(), config.supervisor.patience());
    // Nobody stops it: a disk may also hang while the controller stops.
    Spawner::default().spawn_part(|_| watch.run(|_, _| ()));
    let vitals = Vitals::new(handle.clone(), ledger, stalled, doors);
    if let Some(endpoint) = endpoint {
        let vitals = vitals.clone();
        spawner.spawn_part(|stop| endpoint.serve(vitals, stop));
    }
    spawner.spawn_part(|stop| {
        let api_parts = api::Parts {
            handle,
            spool: parts.spool,
            space,
            tokens,
            rates: config.call_rates,
            hush,
            names: config.api_names.clone(),
            controller_urls: urls,
            spans,
            data_dir: config.data_dir.clone(),
            spawner: callers,
            stop,
        };
        Api::new(api_parts).serve(api, door)
    });
    announce(config, &addresses)?;
    let (supervised, looked) = (Arc::clone(&notify), vitals.clone());
    spawner.spawn_part(|stop| health::supervise(supervised, looked, stop));

    let stop = CancellationToken::new();
    let mut owner = std::pin::pin!(guard(dispatcher.run(stop.clone())));
    tokio::select! {
        ended = &mut owner => ended.map_err(|error| ledger_failure(&error))?,
        () = signals.recv() => {
            notify.stopping();
            withdraw(config);
            vitals.say_stopping();
            tracing::info!("stopping: sessions are told, a second signal ends at once");
            let orderly = async {
                // The owner works on while sessions and requests end, then it ends too.
                let ended = tokio::select! {
                    _ = spawner.stop(GRACE) => Ok(()),
                    ended = &mut owner => ended,
                };
                stop.cancel();
                ended.map_err(|error| ledger_failure(&error))
            };
            tokio::select! {
                ended = orderly => ended?,
                () = signals.recv() => return Err(Failure::new(Exit::Failed, "stopped at once, as asked")),
            }
        }
    }
    traces.stop(exporter::FLUSH).await;
    tracing::info!("stopped");
    Ok(())
}

/// Sends traces to a collector, if there is one. Nothing waits for it.
fn start_traces(spawner: &Spawner, config: &Config) -> Result<Option<Spans>, Failure> {
    let Some(collector) = config.otlp.clone() else { return Ok(None) };
    let way = Way::to(collector)?;
    let instance = config.public_names.first().cloned().unwrap_or_default();
    let (spans, exporter) =
        exporter::channel("postern-controller", env!("CARGO_PKG_VERSION"), instance, str::to_owned, clock::now);
    spawner.spawn(|stop| exporter.run(stop, move |body| way.clone().send(body)));
    Ok(Some(spans))
}

/// Where probes and Prometheus are answered, if that is wanted.
async fn endpoint(config: &Config) -> Result<Option<Endpoint>, Failure> {
    let Some(address) = config.health_listen else { return Ok(None) };
    let endpoint = Endpoint::bind(address).await.map_err(|error| {
        let text = format!("cannot answer probes at {address}: {error}: choose another `--health-listen`");
        Failure::new(unbound(&error), text)
    })?;
    let address = endpoint.address().unwrap_or(address);
    tracing::info!(%address, "probes and Prometheus are answered");
    Ok(Some(endpoint))
}

/// Listens. What is sent over its connections and not read yet waits in so large a buffer, or in one the kernel sizes.
fn bind(address: SocketAddr, send_buffer: Option<u32>) -> Result<TcpListener, Failure> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        send_buffer.map_or(Ok(()), |bytes| socket.set_send_buffer_size(bytes))?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error: std::io::Error| {
        Failure::new(unbound(&error), format!("cannot listen on {address}: {error}: choose another address"))
    })
}

/// An address may come after the program, as one does that moves from host to host: then it is tried again.
fn unbound(error: &std::io::Error) -> Exit {
    if error.kind() == ErrorKind::PermissionDenied { Exit::Configuration } else { Exit::Failed }
}

/// Where agents may be told to connect to: at each name that the certificate is good for.
fn controller_urls(config: &Config, agents: &TcpListener) -> Result<Vec<String>, Failure> {
    let port = bound(agents)?.port();
    let url = |name: &String| match name.parse::<Ipv6Addr>() {
        Ok(address) => format!("wss://[{address}]:{port}"),
        Err(_) => format!("wss://{name}:{port}"),
    };
    Ok(config.public_names.iter().map(url).collect())
}

fn bound(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::from_error(Exit::Failed, &error))
}

fn addresses(config: &Config, controller_urls: &[String], api: &TcpListener) -> Result<Addresses, Failure> {
    let token = config.data_dir.join("api.token");
    Ok(Addresses {
        controller_url: controller_urls.first().cloned().unwrap_or_default(),
        api_url: format!("http://{}", bound(api)?),
        api_token_file: std::path::absolute(&token).unwrap_or(token),
        pid: std::process::id(),
    })
}

fn announce(config: &Config, addresses: &Addresses) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(addresses).map_err(|error| Failure::from_error(Exit::Bug, &error))?;
    let files = [Some(config.data_dir.join(ADDRESSES)), config.ready_file.clone()];
    for file in files.into_iter().flatten() {
        private::replace(&file, &json).map_err(|error| file_failure(&error))?;
    }
    let (api, console) = (&addresses.api_url, format!("{}/console/", addresses.api_url));
    tracing::info!(agents = addresses.controller_url, api, console, "the controller listens");
    if config.settings.auto_approve {
        tracing::warn!("--auto-approve: whoever has a token becomes an enabled member without a person looking");
    }
    Ok(())
}

/// Takes back where this controller is reached, before its port is anybody's.
fn withdraw(config: &Config) {
    let path = config.data_dir.join(ADDRESSES);
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "where the API was cannot be taken back");
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, Chain(&error).to_string()));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use tokio::net::TcpStream;

    use super::*;

    /// Drop the runtime, and a controller whose disk holds a part of it does not end, whatever it is told.
    #[test]
    fn a_part_that_is_stuck_does_not_hold_the_end_up() {
        let (_held, wait) = mpsc::sync_channel::<()>(1);
        let (ended, end) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let controller = async move {
                tokio::task::spawn_blocking(move || wait.recv());
                Err(Failure::new(Exit::Store, "the disk"))
            };
            let _ = ended.send(on_runtime(controller).map_err(|failure| failure.exit));
        });
        assert_eq!(end.recv_timeout(Duration::from_secs(30)).ok(), Some(Err(Exit::Store)));
    }

    /// End with 78, and a service manager does not start the controller again when there is room.
    #[test]
    fn a_file_that_a_full_disk_does_not_take_is_tried_again_and_one_that_may_not_be_written_is_not() {
        for (kind, number, exit) in
            [(ErrorKind::StorageFull, 28, Exit::Store), (ErrorKind::PermissionDenied, 13, Exit::Configuration)]
        {
            let source = std::io::Error::from_raw_os_error(number);
            assert_eq!(source.kind(), kind);
            let error = PrivateError::Io { doing: "write", path: ADDRESSES.into(), source };
            assert_eq!(file_failure(&error).exit, exit);
            assert_eq!(home_failure(&HomeError::from(error)).exit, exit);
        }
    }

    /// Leave the size to the kernel, and it takes four MiB of each answer before anybody reads; what a slow reader takes is
    /// seen in steps of a third of that.
    #[tokio::test]
    async fn what_a_slow_reader_has_not_taken_does_not_wait_in_the_kernel() {
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), Some(limits::ANSWER_BUFFER)).unwrap();
        let _reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        let mut taken = 0;
        while let Ok(more) = stream.try_write(&[0; 16 * 1024]) {
            taken += more;
            assert!(taken < 1024 * 1024, "{taken}");
        }
    }
}
