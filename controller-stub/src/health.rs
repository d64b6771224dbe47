//! How the controller is: facts, gathered where they are; what they speak against; and the metrics that are read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_health::metrics::Page;
use postern_health::{Heart, Life, Look, Notify, Pace, Pulse, Stalled, Told, Verdict, Watch, Word, resident_memory};
use postern_protocol::message::v1::MembershipState;
use postern_protocol::time::UnixMillis;
use postern_store::audit;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::dispatcher::{Handle, Stopped};
use crate::door::Door;
use crate::metrics::{self as names, metrics};
use crate::state::State;
use crate::state::audit::Room;
use crate::state::ledger::Ledger;
use crate::state::record::StateName;

/// How long the owner of the state may take to answer, before what it said last is told again: it does not answer while it
/// waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);
/// Twice the time after which a part that does not move has stalled: no disk that is only busy takes so long.
const LIMIT: Duration = Duration::from_secs(120);

/// The doors, which count whom they turn away.
pub struct Doors {
    /// Of agents.
    pub agents: Door,
    /// Of callers of the API.
    pub api: Door,
}

/// Who looks after the owner of the state and its disk, and what has stalled.
pub fn watch(ledger: &Ledger, owner: Pulse, patience: Option<Duration>) -> (Watch, Stalled) {
    let commits = ledger.store().commit_watch();
    let disk = move || {
        let progress = commits.look();
        Look { has_to_move: progress.pending > 0, moved: progress.settled }
    };
    let heart = Heart::default().with("the disk", disk).with("the owner of the state", move || owner.look());
    Watch::new(heart, Pace::new(LIMIT, patience))
}

/// Where facts are gathered. Clones are the same.
#[derive(Clone)]
pub struct Vitals(Arc<Sources>);

struct Sources {
    handle: Handle,
    ledger: Ledger,
    stalled: Stalled,
    doors: Doors,
    stopping: CancellationToken,
    started: u64,
    /// Of whoever looks: the owner has one look of these to do at a time, however many ask and do not wait for the answer.
    place: Arc<Semaphore>,
    last: Mutex<Option<Arc<Counts>>>,
}

/// What the state says of itself.
struct Counts {
    members: BTreeMap<MembershipState, usize>,
    connected: usize,
    /// Members with a session that are given work.
    at_work: usize,
    unfinished: usize,
    /// Those of the last page of metrics: they are told again if the next cannot be had.
    piles: Option<Arc<Piles>>,
    finished: usize,
    lapses: u64,
    doubts: u64,
    audit: audit::Status,
    audit_has_room: bool,
    next_api_token_expiry: Option<UnixMillis>,
}

/// What each unfinished task has to be looked at for, which a verdict does not need.
struct Piles {
    by_state: BTreeMap<&'static str, usize>,
    without_member: usize,
}

impl Piles {
    fn of(state: &State) -> Self {
        Self { by_state: state.unfinished_by_state(), without_member: state.tasks_without_member() }
    }
}

impl Counts {
    fn of(state: &State, at: Moment) -> Self {
        let (lapses, doubts) = state.lapses_and_doubts();
        Self {
            members: state.members_by_state(),
            connected: state.connected(),
            at_work: state.at_work(),
            unfinished: state.unfinished(),
            piles: None,
            finished: state.finished(),
            lapses,
            doubts,
            audit: state.audit_status(),
            audit_has_room: state.check_audit(Room::Usual).is_ok(),
            next_api_token_expiry: state.next_api_token_expiry(at),
        }
    }
}

/// What is known of a controller.
#[derive(Debug, Clone)]
struct Facts {
    life: Life,
    has_room: bool,
    audit_has_room: bool,
    /// Unknown as long as the owner of the state has never answered.
    at_work: Option<usize>,
}

/// What speaks against each word. Decides, without clock or I/O.
fn judge(facts: &Facts) -> Verdict {
    let mut verdict = facts.life.verdict("the controller", "the owner of the state");
    if !facts.has_room {
        let message = "the disk of the data directory is too full, or cannot be looked at: make room on it";
        verdict.against(Word::Ready, "disk_full", message);
    }
    if !facts.audit_has_room {
        let message =
            "too many events wait for the audit log: `postern-controller status` says why it cannot be written";
        verdict.against(Word::Ready, "audit_log_full", message);
    }
    if facts.at_work == Some(0) {
        let message = "no member that is enabled has a session: see `postern-controller member list`";
        verdict.against(Word::Useful, "no_member", message);
    }
    verdict
}

impl Vitals {
    /// Gathered from these.
    pub fn new(handle: Handle, ledger: Ledger, stalled: Stalled, doors: Doors) -> Self {
        let started = clock::wall().0 / 1000;
        let (stopping, place) = (CancellationToken::new(), Arc::new(Semaphore::new(1)));
        Self(Arc::new(Sources { handle, ledger, stalled, doors, stopping, started, place, last: Mutex::default() }))
    }

    /// Says from here on that the controller is stopping.
    pub fn say_stopping(&self) {
        self.0.stopping.cancel();
    }

    /// Has the owner of the state look, which it does also for those that are gone meanwhile.
    async fn ask(&self, with_piles: bool) -> Result<Counts, Stopped> {
        // Nobody closes it.
        let place = Arc::clone(&self.0.place).acquire_owned().await;
        let work = move |state: &mut State, at: Moment| {
            let piles = with_piles.then(|| Arc::new(Piles::of(state)));
            (Counts { piles, ..Counts::of(state, at) }, place)
        };
        let (counts, _place) = self.0.handle.ask(work).await?;
        Ok(counts)
    }

    async fn look(&self, with_piles: bool) -> (Facts, Option<Arc<Counts>>) {
        let it = &*self.0;
        let fresh = tokio::time::timeout(PATIENCE, self.ask(with_piles)).await.ok().and_then(Result::ok);
        let mut last = it.last.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = || last.as_ref().and_then(|it| it.piles.clone());
        let fresh = fresh.map(|it| Counts { piles: it.piles.clone().or_else(earlier), ..it });
        let counts = fresh.map(Arc::new).or_else(|| last.clone());
        last.clone_from(&counts);
        drop(last);
        let store = it.ledger.store();
        let life = Life {
            stalled: it.stalled.borrow().clone(),
            is_silent: counts.is_none(),
            is_broken: store.is_broken(),
            is_stopping: it.stopping.is_cancelled(),
        };
        let facts = Facts {
            life,
            has_room: store.has_room_for(0).unwrap_or(false),
            audit_has_room: counts.as_ref().is_none_or(|it| it.audit_has_room),
            at_work: counts.as_ref().map(|it| it.at_work),
        };
        (facts, counts)
    }

    fn page(&self, facts: &Facts, counts: Option<&Counts>) -> Page {
        let mut page = Page::default();
        let verdict = judge(facts);
        page.read_each(&names::BUILD, [(vec![env!("CARGO_PKG_VERSION").to_owned()], true)]);
        page.read(&names::STARTED, self.0.started);
        if let Some(bytes) = resident_memory() {
            page.read(&names::MEMORY, bytes);
        }
        page.read_each(&names::HEALTH, Word::ALL.map(|word| (vec![word.as_str().to_owned()], verdict.holds(word))));
        metrics().put_on(&mut page);
        self.put_doors_and_disk(&mut page);
        if let Some(counts) = counts {
            put_state(&mut page, counts);
        }
        page
    }

    fn put_doors_and_disk(&self, page: &mut Page) {
        let Sources { handle, ledger, doors, .. } = &*self.0;
        let doors = [("agents", doors.agents.counts()), ("api", doors.api.counts())];
        let door = |name: &str| vec![name.to_owned()];
        page.read_each(&names::CONNECTIONS, doors.map(|(name, (there, _))| (door(name), there)));
        page.read_each(&names::TURNED_AWAY, doors.map(|(name, (_, away))| (door(name), away)));
        page.read(&names::WAITING, handle.waiting());
        let store = ledger.store();
        page.read(&names::COMMITS, store.commits());
        page.read(&names::BARRIERS, store.barriers());
        page.read(&names::COMMITS_WAITING, store.commit_watch().look().pending);
        if let Ok(size) = store.size() {
            page.read(&names::STORE_SIZE, size);
        }
        if let Ok(free) = store.free() {
            page.read(&names::DISK_FREE, free);
        }
    }
}

fn put_state(page: &mut Page, counts: &Counts) {
    let in_state = |state: MembershipState| (vec![state.to_string()], counts.members.get(&state).copied().unwrap_or(0));
    page.read_each(&names::MEMBERS, MembershipState::ALL.iter().copied().map(in_state));
    page.read(&names::CONNECTED, counts.connected);
    if let Some(piles) = &counts.piles {
        let unfinished = |state: &str| (vec![state.to_owned()], piles.by_state.get(state).copied().unwrap_or(0));
        page.read_each(&names::UNFINISHED, StateName::UNFINISHED.map(|it| unfinished(it.text())));
        page.read(&names::WITHOUT_MEMBER, piles.without_member);
    }
    page.read(&names::KEPT, counts.finished);
    page.read(&names::LAPSES, counts.lapses);
    page.read(&names::DOUBTS, counts.doubts);
    if let Some(next) = counts.next_api_token_expiry {
        page.read(&names::TOKEN_EXPIRY, next.0 / 1000);
    }
    page.read(&names::AUDIT_WAITING, counts.audit.waiting);
    page.read(&names::AUDIT_TROUBLE, counts.audit.trouble.is_some() || counts.audit.fault.is_some());
}

impl postern_health::Vitals for Vitals {
    async fn verdict(&self) -> Verdict {
        judge(&self.look(false).await.0)
    }

    async fn metrics(&self) -> String {
        let (facts, counts) = self.look(true).await;
        self.page(&facts, counts.as_deref()).text()
    }
}

/// Tells whoever supervises the controller how it is.
pub async fn supervise(notify: Arc<Notify>, vitals: Vitals, stop: CancellationToken) {
    let stalled = vitals.0.stalled.clone();
    let look = || async {
        let (facts, counts) = vitals.look(false).await;
        told(&facts, counts.as_deref())
    };
    postern_health::supervise(notify, stalled, None, look, stop).await;
}

/// A controller without room has started: to start it again would make none.
fn told(facts: &Facts, counts: Option<&Counts>) -> Told {
    let verdict = judge(facts);
    let sentence = match (verdict.reasons(Word::Ready).next(), counts) {
        (Some(reason), _) => reason.message.clone(),
        (None, Some(counts)) => {
            format!("{} members have a session; {} tasks are unfinished", counts.connected, counts.unfinished)
        }
        (None, None) => String::new(),
    };
    Told { is_ready: verdict.holds(Word::Live), sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::Dispatcher;
    use crate::limits::callers;
    use crate::state::lab;

    fn fine() -> Facts {
        Facts { life: Life::default(), has_room: true, audit_has_room: true, at_work: Some(1) }
    }

    #[test]
    fn a_controller_is_what_its_facts_allow() {
        let alive = |life| Facts { life, ..fine() };
        let stopping = Life { is_stopping: true, is_silent: true, ..Life::default() };
        for (facts, holds) in [
            (fine(), [true, true, true]),
            (Facts { at_work: Some(0), ..fine() }, [true, true, false]),
            (Facts { has_room: false, ..fine() }, [true, false, false]),
            (Facts { audit_has_room: false, ..fine() }, [true, false, false]),
            (Facts { at_work: Some(0), ..alive(stopping) }, [true, false, false]),
            (Facts { at_work: None, ..alive(Life { is_silent: true, ..Life::default() }) }, [false; 3]),
            (alive(Life { is_broken: true, ..Life::default() }), [false; 3]),
            (alive(Life { stalled: vec!["the disk"], ..Life::default() }), [false; 3]),
        ] {
            assert_eq!(Word::ALL.map(|word| judge(&facts).holds(word)), holds, "{facts:?}");
        }
        let unheard = Facts { at_work: None, ..alive(Life { is_silent: true, ..Life::default() }) };
        let codes: Vec<_> = judge(&unheard).reasons(Word::Useful).map(|it| it.code.clone()).collect();
        assert_eq!(codes, ["silent"], "who is there is not known");
    }

    /// Give the place back when its caller is gone, and whoever asks and goes has the owner look as often as it likes; answer
    /// whoever finds none at once, and a controller that was never asked before is called silent.
    #[tokio::test]
    async fn one_look_waits_for_the_owner_however_many_ask_and_are_gone() {
        use futures_util::FutureExt as _;
        use postern_health::Vitals as _;

        let folder = tempfile::tempdir().unwrap();
        let (ledger, spool) = lab::ledger(folder.path());
        let state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let (dispatcher, handle) = Dispatcher::new(state, ledger.clone(), spool);
        let door = || Door::new(callers(), Arc::default());
        let (_watch, stalled) = watch(&ledger, dispatcher.pulse(), None);
        let vitals = Vitals::new(handle.clone(), ledger, stalled, Doors { agents: door(), api: door() });
        for _ in 0..20 {
            assert!(vitals.verdict().now_or_never().is_none());
            assert!(vitals.metrics().now_or_never().is_none());
        }
        assert_eq!(handle.waiting(), 1);
        tokio::select! {
            ended = dispatcher.run(CancellationToken::new()) => panic!("the owner ended: {ended:?}"),
            (verdict, page) = async {
                // It has come round once before a look at it is timed.
                handle.ask(|_, _| ()).await.unwrap();
                tokio::join!(vitals.verdict(), vitals.metrics())
            } => {
                assert!(verdict.holds(Word::Live));
                assert!(page.contains(names::WITHOUT_MEMBER.name));
            }
        }
    }

    /// Have systemd wait for room, and it ends and starts the controller every 90 seconds.
    #[test]
    fn systemd_takes_a_controller_without_room_for_started_and_is_told_what_is_missing() {
        for (facts, sentence) in [
            (Facts { has_room: false, ..fine() }, "the disk of the data directory is too full"),
            (Facts { audit_has_room: false, ..fine() }, "too many events wait for the audit log"),
        ] {
            let told = told(&facts, None);
            assert!(told.is_ready && told.sentence.starts_with(sentence), "{told:?}");
        }
        let silent = Life { is_silent: true, ..Life::default() };
        assert!(!told(&Facts { life: silent, ..fine() }, None).is_ready);
    }
}
