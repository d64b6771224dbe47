//! Power cuts: what stores hold in the states in which a disk may be left.
//!
//! A worker, a process of its own, works on a store while everything it does to its disk is written down. Then the states
//! that a power cut may have left at any moment of that are rebuilt, and in each the store is opened and compared with what
//! the worker had said until then. Half of the workers go on from a state that an earlier cut left, so that cuts also meet
//! stores that are just being recovered.

mod agent;
mod audit_log;
mod dice;
mod engine;
mod every_write;
#[cfg(feature = "failpoints")]
mod identity;
mod journal;
mod script;
mod states;
mod store_key;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

pub use audit_log::audit_log_at_work;
use dice::Dice;
#[cfg(feature = "failpoints")]
pub use identity::identity_at_work;
use journal::{Event, FileNo};
use serde::{Deserialize, Serialize};
pub use states::Guard;
use states::{Disk, Rules, Tree};
pub use store_key::store_key_rotation;
use told::{Told, Word};

use crate::disk::{Call, Faults, Library};
use crate::programs;

/// States looked at for each worker.
const STATES: u64 = 25;
/// The most that a worker does: enough that sled uses space again.
const STEPS: u64 = 600;
/// The most that most of them do: a cut finds them while little is settled.
const FEW_STEPS: u64 = 120;
/// The space kept for a full disk is there or not; what it holds is nothing.
const NO_CONTENT: [&str; 1] = ["headroom"];
/// What a worker ends with when its disk failed.
const DISK_FAILED: u8 = 74;
/// The name under which a program becomes the worker.
pub const WORKER: &str = "powercut-worker";
/// Which sync fails, if one does: among the first of a worker's so many.
const SYNCS: u64 = 150;
const EIO: i32 = 5;
/// Workers with violations that are kept to look at.
const KEPT: usize = 3;

/// What a worker works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// An agent's store: tasks, journals, reports, payloads.
    Agent,
    /// The engine below it, with many commits at once.
    Engine,
}

/// How many states, and which.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// States to look at.
    pub states: u64,
    /// Everything is chosen by it, but the order in which a worker's threads reach the disk.
    pub seed: u64,
    /// A guard that the store is taken not to have, to see that it is missed.
    pub without: Option<Guard>,
}

/// How it went.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Tally {
    /// Everything was chosen by it.
    pub seed: u64,
    /// Workers.
    pub workers: u64,
    /// Those that went on from a state that a cut had left.
    pub recovered: u64,
    /// Those that met a sync that failed.
    pub failed_syncs: u64,
    /// States looked at.
    pub states: u64,
    /// Of an agent's store; the others are of the engine alone.
    pub agent_states: u64,
    /// Cut while the store was being opened.
    pub opening: u64,
    /// Changes that were not durable when the power went, over all states.
    pub at_risk: u64,
    /// States in which something was lost that had been told.
    pub lost: u64,
    /// States that could not be opened.
    pub unopenable: u64,
    /// States with half a commit, or with a hole.
    pub no_prefix: u64,
    /// States with a payload missing, damaged or left over.
    pub payloads: u64,
    /// What must not be: each a sentence. Empty is what a run is for.
    pub violations: Vec<String>,
}

/// What is not as it has to be.
#[derive(Debug)]
enum Wrong {
    Lost(String),
    Unopenable(String),
    NoPrefix(String),
    Payload(String),
}

/// A worker, and what is needed to look at its states again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Worker {
    work: Work,
    /// What it does follows from it; it is that of the worker whose store it goes on with.
    script: u64,
    /// Of the run, and its place in it: the states follow from them.
    seed: u64,
    number: u64,
    /// See [`Rules::file_keeps_name`].
    file_keeps_name: bool,
    /// What is promised since before it began.
    told: Told,
    /// The numbers of the files that it began with.
    files: BTreeMap<FileNo, String>,
}

/// A sound store that a cut left, for the next worker.
struct Left {
    script: u64,
    told: Told,
    tree: Tree,
}

/// Where a worker's things are.
struct Room(PathBuf);

impl Room {
    fn base(&self) -> PathBuf {
        self.0.join("base")
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    fn worker(&self) -> PathBuf {
        self.0.join("worker.json")
    }
}

/// Looks at as many states as planned. `binary` is the one that becomes the worker; `say` is told how it goes.
///
/// # Errors
///
/// Why this machine cannot do it.
pub fn run(binary: &Path, plan: Plan, mut say: impl FnMut(&Tally)) -> Result<Tally, String> {
    let folder = tempfile::Builder::new().prefix("postern-powercut-").tempdir_in(room_for_disks()).map_err(text)?;
    // Its paths are compared with those of open files.
    let top = folder.path().canonicalize().map_err(text)?;
    let library = Library::build()?;
    programs::link(binary, &top.join("bin")).map_err(text)?;
    let mut tally = Tally { seed: plan.seed, ..Tally::default() };
    let (mut left, mut kept_so_far): ([Option<Left>; 2], usize) = ([None, None], 0);
    while tally.states < plan.states {
        let number = tally.workers;
        let [of_agent, of_engine] = &mut left;
        let (work, left) = if number.is_multiple_of(2) { (Work::Agent, of_agent) } else { (Work::Engine, of_engine) };
        let mut dice = Dice::new(plan.seed, number << 32);
        let room = Room(top.join(format!("worker-{number}")));
        let worker = prepare(&room, work, (plan.seed, number), left.take(), &mut dice, &mut tally)?;
        run_worker(&library, &top.join("bin"), &room, work, worker.script, &mut dice, &mut tally)?;
        let events = read_journal(&room)?;
        check_journal(&room, &worker, &events)?;
        let states = STATES.min(plan.states - tally.states);
        let broken = tally.broken();
        *left = look(&room, &worker, &events, plan.without, 0..states, &mut tally)?;
        // Without a guard that is what was to be seen.
        if plan.without.is_none() && tally.broken() > broken && kept_so_far < KEPT {
            kept_so_far += 1;
            let kept = keep(&room, &worker)?;
            let again = format!("look again with `cargo run --bin powercut -- --again {}`", kept.display());
            tally.violations.push(again);
        }
        say(&tally);
        std::fs::remove_dir_all(&room.0).map_err(text)?;
    }
    Ok(tally)
}

/// Looks again at the states of a worker that was kept in `folder`, at `state` alone or at all.
///
/// # Errors
///
/// Why that cannot be done.
pub fn again(folder: &Path, without: Option<Guard>, state: Option<u64>) -> Result<Tally, String> {
    let room = Room(folder.canonicalize().map_err(text)?);
    let worker = std::fs::read(room.worker()).map_err(text)?;
    let worker: Worker = serde_json::from_slice(&worker).map_err(text)?;
    let mut tally = Tally { seed: worker.seed, workers: 1, ..Tally::default() };
    let states = state.map_or(0..STATES, |state| state..state + 1);
    look(&room, &worker, &read_journal(&room)?, without, states, &mut tally)?;
    Ok(tally)
}

fn prepare(
    room: &Room,
    work: Work,
    (seed, number): (u64, u64),
    left: Option<Left>,
    dice: &mut Dice,
    tally: &mut Tally,
) -> Result<Worker, String> {
    let (script, told, tree) = match left.filter(|_| dice.percent(60)) {
        Some(left) => {
            tally.recovered += 1;
            (left.script, left.told, left.tree)
        }
        None => (dice.roll(), Told::default(), Tree::default()),
    };
    tree.write(&room.base()).and_then(|()| tree.write(&room.state())).map_err(text)?;
    let files = Tree::read(&room.state()).map_err(text)?.1;
    let worker = Worker { work, script, seed, number, file_keeps_name: dice.one_in(2), told, files };
    let json = serde_json::to_vec_pretty(&worker).map_err(text)?;
    std::fs::write(room.worker(), json).map_err(text)?;
    tally.workers += 1;
    Ok(worker)
}

fn run_worker(
    library: &Library,
    programs: &Path,
    room: &Room,
    work: Work,
    script: u64,
    dice: &mut Dice,
    tally: &mut Tally,
) -> Result<(), String> {
    let faults = Faults::none(&room.0.join("faults"));
    let fails = dice.one_in(4);
    if fails {
        faults.fail_once(Call::Sync, EIO, 1 + dice.below(SYNCS));
        tally.failed_syncs += 1;
    }
    let most = if dice.one_in(4) { STEPS } else { FEW_STEPS };
    let steps = 1 + dice.below(most);
    let name = match work {
        Work::Agent => "agent",
        Work::Engine => "engine",
    };
    let ended = Command::new(programs.join(WORKER))
        .args([name, &script.to_string(), &steps.to_string()])
        .arg(room.state())
        .envs(library.journal(&room.state(), &room.journal()))
        .envs(library.fail(&room.state(), &faults))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(text)?;
    let is_expected = ended.status.success() || (fails && ended.status.code() == Some(DISK_FAILED.into()));
    if is_expected { Ok(()) } else { Err(format!("a worker failed: {}", String::from_utf8_lossy(&ended.stderr))) }
}

fn read_journal(room: &Room) -> Result<Vec<Event>, String> {
    journal::parse(&std::fs::read(room.journal()).map_err(text)?)
}

/// Whatever the worker did to its disk is in the journal: else nothing found here means anything.
fn check_journal(room: &Room, worker: &Worker, events: &[Event]) -> Result<(), String> {
    let (base, _) = Tree::read(&room.base()).map_err(text)?;
    let (end, _) = Tree::read(&room.state()).map_err(text)?;
    let mut disk = Disk::new(&base, &worker.files, Rules::default());
    events.iter().try_for_each(|event| disk.apply(event))?;
    let differ = disk.intact().differences(&end, &NO_CONTENT);
    if differ.is_empty() { Ok(()) } else { Err(format!("not everything was written down: {differ:?} differ")) }
}

/// Opens the store in states that a power cut may have left, and returns the last that was sound.
fn look(
    room: &Room,
    worker: &Worker,
    events: &[Event],
    without: Option<Guard>,
    states: Range<u64>,
    tally: &mut Tally,
) -> Result<Option<Left>, String> {
    let (base, _) = Tree::read(&room.base()).map_err(text)?;
    // One throw chooses the moment, another what is lost; a worker is chosen by throws of its own.
    let throw = |state: u64, which: u64| Dice::new(worker.seed, (worker.number << 32) + 2 * state + which);
    let mut cuts: Vec<(usize, u64)> = states.map(|state| (choose_cut(events, &mut throw(state, 1)), state)).collect();
    cuts.sort_unstable();
    let rules = Rules { file_keeps_name: worker.file_keeps_name, without };
    let mut disk = Disk::new(&base, &worker.files, rules);
    let (mut told, mut done, mut left) = (worker.told.clone(), 0, None);
    for (cut, state) in cuts {
        for event in events.iter().take(cut).skip(done) {
            disk.apply(event)?;
            if let Event::Said(said) = event {
                told.hear(said);
            }
        }
        done = cut;
        let tree = disk.cut(&mut throw(state, 2));
        let folder = room.0.join("cut");
        tree.write(&folder).map_err(text)?;
        let audited = match worker.work {
            Work::Agent => agent::audit(&folder, worker.script, &told),
            Work::Engine => engine::audit(&folder, worker.script, &told),
        };
        std::fs::remove_dir_all(&folder).map_err(text)?;
        tally.states += 1;
        tally.agent_states += u64::from(worker.work == Work::Agent);
        tally.opening += u64::from(told == worker.told);
        tally.at_risk += u64::try_from(disk.at_risk()).unwrap_or(u64::MAX);
        match audited {
            Ok(found) => {
                // One that nobody was told of may be another when it is opened again.
                let told = Told { incarnation: told.incarnation.clone(), ..found };
                left = Some(Left { script: worker.script, told, tree });
            }
            Err(wrong) => {
                let place = format!(
                    "seed {}, worker {} ({:?}), state {state}, cut behind event {cut} of {}",
                    worker.seed,
                    worker.number,
                    worker.work,
                    events.len()
                );
                tally.count(&wrong);
                tally.violations.push(format!("{place}: {wrong}"));
            }
        }
    }
    Ok(left)
}

/// Anywhere; or where it hurts: as soon as something was told, around a sync, or while the store is being opened.
fn choose_cut(events: &[Event], dice: &mut Dice) -> usize {
    let places = |is: fn(&Event) -> bool| -> Vec<usize> {
        events.iter().enumerate().filter(|(_, event)| is(event)).map(|(index, _)| index).collect()
    };
    let among = match dice.below(4) {
        0 => places(|event| matches!(event, Event::Said(_))),
        1 => places(|event| matches!(event, Event::SyncBegan(..) | Event::SyncEnded(..))),
        2 if dice.one_in(2) => {
            (0..events.iter().position(|event| matches!(event, Event::Said(_))).unwrap_or(events.len())).collect()
        }
        _ => Vec::new(),
    };
    let any = dice.index(events.len() + 1);
    among.get(dice.index(among.len())).map_or(any, |place| place + dice.index(2))
}

/// In memory, if there is such a place: the journal is the disk, and nothing here has to survive.
fn room_for_disks() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// Keeps what is needed to look again.
fn keep(room: &Room, worker: &Worker) -> Result<PathBuf, String> {
    let prefix = format!("postern-powercut-kept-{}-{}-", worker.seed, worker.number);
    let kept = tempfile::Builder::new().prefix(&prefix).tempdir().map_err(text)?.keep();
    let to = Room(kept.clone());
    Tree::read(&room.base()).and_then(|(base, _)| base.write(&to.base())).map_err(text)?;
    for (from, to) in [(room.journal(), to.journal()), (room.worker(), to.worker())] {
        std::fs::copy(from, to).map_err(text)?;
    }
    Ok(kept)
}

impl Tally {
    fn broken(&self) -> u64 {
        self.lost + self.unopenable + self.no_prefix + self.payloads
    }

    fn count(&mut self, wrong: &Wrong) {
        *match wrong {
            Wrong::Lost(_) => &mut self.lost,
            Wrong::Unopenable(_) => &mut self.unopenable,
            Wrong::NoPrefix(_) => &mut self.no_prefix,
            Wrong::Payload(_) => &mut self.payloads,
        } += 1;
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(f, "lost: {what}"),
            Self::Unopenable(why) => write!(f, "not opened: {why}"),
            Self::NoPrefix(why) => write!(f, "no prefix: {why}"),
            Self::Payload(why) => write!(f, "payload: {why}"),
        }
    }
}

/// The worker: works on the store below a directory, and says on its standard output what is durable.
pub fn worker_main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, work, script, steps, folder] = arguments.as_slice() else { return ExitCode::from(2) };
    let (Ok(script), Ok(steps)) = (script.parse(), steps.parse()) else { return ExitCode::from(2) };
    let done = match work.as_str() {
        "agent" => agent::work(Path::new(folder), script, steps, &say::<Word>).map_err(text),
        store_key::WORK => store_key::work(Path::new(folder), &say).map_err(text),
        audit_log::WORK => audit_log::work(Path::new(folder), &say).map_err(text),
        #[cfg(feature = "failpoints")]
        identity::WORK => identity::work(Path::new(folder), &say).map_err(text),
        _ => engine::work(Path::new(folder), script, steps, &say::<Word>).map_err(text),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(DISK_FAILED)
        }
    }
}

fn say<W: fmt::Display>(word: W) {
    let mut out = std::io::stdout().lock();
    // Nobody listens but the journal, which has it when this returns.
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

/// A seed that nobody chose.
pub fn random_seed() -> u64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("random bytes");
    u32::from_le_bytes(bytes).into()
}
