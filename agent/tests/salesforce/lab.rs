//! A simulated org, a connector for it, and an attempt's surroundings in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use postern_agent::clock;
use postern_agent::config::Config as AgentConfig;
use postern_agent::connector::{
    self, Alone, AttemptCx, Bucket, Conclusion, Connector, Earlier, Effect, Journal, JournalEntry, Keep, Known, Mark,
    Payload, Pending, Proved, Visit,
};
use postern_agent::policy::{self, Act, Policy, Refused};
use postern_protocol::bounded::Text;
use postern_protocol::message::v1::StreamRef;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::{SealContext, SealedOutput, SealingKey};
use postern_protocol::task::disable_user::IfRefused;
use postern_protocol::task::import_batch::Format;
use postern_protocol::task::reset_password::Source;
use postern_protocol::task::{
    deprovision_user, disable_user, enable_user, expire_password, freeze_user, import_batch, reset_password,
    restore_user, test_connection, unfreeze_user, unlock_user, validate_user,
};
use postern_protocol::time::Ago;
use postern_protocol::{Epoch, Failure, FailureClass, Outcome, SystemName, TaskId, TaskKind, TaskRequest, Timestamp};
use salesforce_sim::{
    ADMIN, ADMIN_PASSWORD, ADMIN_TOKEN, Assumptions, CONSUMER_KEY, CONSUMER_SECRET, Config, Counters, Effects, Fault,
    Matching, Mishap, OrgSeed, Simulator,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The key of the connected app's certificate.
const PRIVATE_KEY: &str = include_str!("../../src/connector/salesforce/testdata/pkcs8.pem");
const PUBLIC_KEY: &str = include_str!("../../src/connector/salesforce/testdata/public.pem");

/// More than an attempt writes that dies anywhere.
const MOST_WRITES: usize = 60;
const STORIES_AT_ONCE: usize = 4;

/// A simulated org, and the files and memory of an agent.
pub struct Lab {
    pub sim: Simulator,
    folder: tempfile::TempDir,
    pub keep: Arc<Memory>,
}

impl Lab {
    pub async fn start() -> Self {
        Self::with_org(OrgSeed::acme(20)).await
    }

    pub async fn with_org(org: OrgSeed) -> Self {
        Self::assuming(Assumptions::default(), org).await
    }

    /// The same agent, whose system leads to another org now.
    pub async fn led_to(&self, org: OrgSeed) -> Self {
        let before = OrgSeed { users: Vec::new(), apps: Vec::new(), ..OrgSeed::acme(1) };
        let lab = Self::with_orgs(Assumptions::default(), vec![before, org]).await;
        Self { keep: Arc::clone(&self.keep), ..lab }
    }

    /// With an org of which that is true which is not known of Salesforce.
    pub async fn assuming(assumptions: Assumptions, org: OrgSeed) -> Self {
        Self::with_orgs(assumptions, vec![org]).await
    }

    /// The last of these is the agent's.
    async fn with_orgs(assumptions: Assumptions, mut orgs: Vec<OrgSeed>) -> Self {
        orgs.last_mut().unwrap().apps[0].certificate = Some(PUBLIC_KEY.to_owned());
        let sim = Simulator::start(Config { orgs, assumptions, ..Config::default() }).await.unwrap();
        let lab = Self { sim, folder: tempfile::tempdir().unwrap(), keep: Arc::default() };
        lab.write("password", ADMIN_PASSWORD);
        lab.write("token", ADMIN_TOKEN);
        lab.write("secret", CONSUMER_SECRET);
        lab.write("key", PRIVATE_KEY);
        lab
    }

    /// Writes a secret.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Where a file of that name is.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A connector with these settings, or why there is none.
    pub fn try_connector_with(&self, settings: &str) -> Result<Arc<dyn Connector>, String> {
        let text = format!(
            "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[connected_system.salesforce]\n{settings}"
        );
        let config = AgentConfig::parse(Path::new("agent.toml"), &text).unwrap();
        let keep: Arc<dyn Keep> = self.keep.clone();
        connector::type_of(&config.systems[0])
            .and_then(|it| it.build(&config.systems[0], keep))
            .map_err(|error| error.to_string())
    }

    /// A connector whose calls time out after three seconds, and may take effect for some more.
    pub fn impatient(&self) -> Arc<dyn Connector> {
        let settings = self.settings("oauth-jwt").replace("settle_once_ms = 30", "settle_once_ms = 8000");
        self.connector_with(&format!("{settings}request_timeout_secs = 3\n"))
    }

    /// A connector whose calls time out after six seconds, and that hardly waits for what may take effect then.
    pub fn hasty(&self) -> Arc<dyn Connector> {
        self.connector_with(&format!("{}request_timeout_secs = 6\n", self.settings("oauth-jwt")))
    }

    /// Makes the next call of `method` on a path with `path` take effect when a hasty connector has looked and sent it
    /// again, and before that one is heard.
    pub fn late_and_slow(&self, method: &str, path: &str) {
        self.fault(method, path, Mishap::Latency { millis: 4_200 }, 2);
        self.fault(method, path, Mishap::DelayCommit { millis: 4_200 }, 1);
    }

    /// The reference to a secret.
    pub fn secret(&self, name: &str) -> String {
        format!("{{ file = \"{}\" }}", self.folder.path().join(name).display())
    }

    /// The settings of a way to sign in.
    pub fn settings(&self, method: &str) -> String {
        let (password, secret, key) = (self.secret("password"), self.secret("secret"), self.secret("key"));
        let user = format!("username = \"{ADMIN}\"\n");
        let method = match method {
            "soap" => format!("method = \"soap\"\n{user}password = {password}\n"),
            "oauth-jwt" => {
                format!("method = \"oauth-jwt\"\nconsumer_key = \"{CONSUMER_KEY}\"\n{user}private_key = {key}\n")
            }
            "oauth-password" => format!(
                "method = \"oauth-password\"\nconsumer_key = \"{CONSUMER_KEY}\"\nconsumer_secret = {secret}\n{user}\
                 password = {password}\n"
            ),
            "oauth-client-credentials" => format!(
                "method = \"oauth-client-credentials\"\nconsumer_key = \"{CONSUMER_KEY}\"\nconsumer_secret = {secret}\n"
            ),
            other => panic!("no method {other}"),
        };
        format!(
            "domain = \"{}\"\ninsecure_plain_http = true\nsettle_ms = 10\nsettle_once_ms = 30\n{method}",
            self.sim.http_url()
        )
    }

    /// Settings for HTTPS under the authority of the simulator.
    pub fn https(&self) -> String {
        self.write("roots", self.sim.ca_pem());
        let settings = self.settings("oauth-jwt").replace(&self.sim.http_url(), &self.sim.https_url());
        let settings = settings.replace("insecure_plain_http = true\n", "");
        format!("{settings}root_certificates = [\"{}\"]\nonly_these_roots = true\n", self.path("roots"))
    }

    /// A connector with these settings.
    pub fn connector_with(&self, settings: &str) -> Arc<dyn Connector> {
        self.try_connector_with(settings).unwrap()
    }

    /// A connector that signs in in the recommended way.
    pub fn connector(&self) -> Arc<dyn Connector> {
        self.connector_with(&self.settings("oauth-jwt"))
    }

    /// Makes the next `times` calls of `method` on a path with `path` go wrong.
    pub fn fault(&self, method: &str, path: &str, what: Mishap, times: u64) {
        let when = Matching { method: Some(method.to_owned()), path: Some(path.to_owned()) };
        self.sim.inject(Fault { when, what, times: Some(times) });
    }

    pub fn counters(&self) -> Counters {
        self.sim.counters()
    }

    /// What happened to a user.
    pub fn effects(&self, username: &str) -> Effects {
        self.counters().users.get(username).copied().unwrap_or_default()
    }
}

/// What a connector keeps.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    buckets: Mutex<BTreeMap<String, Vec<u8>>>,
    lasts: Mutex<Option<usize>>,
    delivered: Mutex<BTreeSet<TaskId>>,
    anew: Mutex<BTreeSet<TaskId>>,
    owed: Mutex<BTreeSet<TaskId>>,
}

impl Memory {
    /// The process dies before the write after `writes` more; `None`: it lives on.
    pub fn dies_after(&self, writes: Option<usize>) {
        *self.lasts.lock().unwrap() = writes;
    }

    /// An earlier version wrote what is kept under the names of this list.
    pub fn age(&self, list: &str) {
        let mut kept = self.kept.lock().unwrap();
        let names: Vec<String> = serde_json::from_slice(&kept[list]).unwrap();
        for name in names {
            let mut state: serde_json::Value = serde_json::from_slice(&kept[&name]).unwrap();
            state.as_object_mut().unwrap().remove("format").unwrap();
            kept.insert(name, serde_json::to_vec(&state).unwrap());
        }
    }

    /// What came of a task is in the hands of its requester's side.
    pub fn deliver(&self, task: TaskId) {
        self.owed.lock().unwrap().remove(&task);
        self.anew.lock().unwrap().remove(&task);
        self.delivered.lock().unwrap().insert(task);
    }

    /// What came of a task is on its way there.
    pub fn owe(&self, task: TaskId) {
        self.owed.lock().unwrap().insert(task);
    }

    /// Whether there is another write in this process's life.
    fn lives(&self) -> bool {
        match self.lasts.lock().unwrap().as_mut() {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl Keep for Memory {
    fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.kept.lock().unwrap().get(key).cloned())
    }

    fn keep<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, Result<(), Failure>> {
        assert!(value.len() <= connector::MAX_NOTE);
        if !self.lives() {
            return Box::pin(async { Err(died()) });
        }
        self.kept.lock().unwrap().insert(key.to_owned(), value);
        Box::pin(async { Ok(()) })
    }

    fn forget<'a>(&'a self, key: &'a str) -> Pending<'a, Result<(), Failure>> {
        if !self.lives() {
            return Box::pin(async { Err(died()) });
        }
        self.kept.lock().unwrap().remove(key);
        Box::pin(async { Ok(()) })
    }

    fn bucket(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.buckets.lock().unwrap().get(key).cloned())
    }

    fn keep_buckets(&self, buckets: Vec<Bucket>) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async move {
            for (key, bucket) in buckets {
                if !self.lives() {
                    return Err(died());
                }
                let mut kept = self.buckets.lock().unwrap();
                match bucket {
                    Some(bucket) => {
                        assert!(bucket.len() <= connector::MAX_BUCKET);
                        kept.insert(key, bucket);
                    }
                    None => drop(kept.remove(&key)),
                }
            }
            Ok(())
        })
    }

    fn each_bucket(&self, prefix: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let buckets = self.buckets.lock().unwrap();
        buckets.iter().filter(|(key, _)| key.starts_with(prefix)).try_for_each(|(key, bucket)| visit(key, bucket))
    }

    fn forget_buckets<'a>(&'a self, prefix: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async move {
            loop {
                let key = self.buckets.lock().unwrap().keys().find(|key| key.starts_with(prefix)).cloned();
                let Some(key) = key else { return Ok(()) };
                self.keep_buckets(vec![(key, None)]).await?;
            }
        })
    }

    fn delivered(&self, task: TaskId) -> Result<bool, Failure> {
        Ok(self.delivered.lock().unwrap().contains(&task))
    }

    fn taken_anew(&self, task: TaskId) -> Result<bool, Failure> {
        Ok(self.anew.lock().unwrap().contains(&task))
    }

    fn owed(&self, task: TaskId) -> Result<bool, Failure> {
        Ok(self.owed.lock().unwrap().contains(&task))
    }
}

/// Where in an attempt the process dies, told by what it writes: what its policy counted, intents, memos, and what is proved.
/// Nothing of the attempt comes behind that, not even what it does when something fails.
#[derive(Debug, Clone, Copy)]
pub enum Death {
    /// After so many writes, and before the next is on disk: behind the call that the last of them announced.
    After(usize),
    /// When that many intents are on disk, and before the call that the last of them announces.
    AtIntent(usize),
}

/// Has a story told with the process dead anywhere between the calls of an attempt: behind each, and in front of it. The story
/// says whether the attempt came through all the same. How many did not. Stories wait for the most part, so that some are told
/// at once.
pub async fn dead_anywhere(story: impl AsyncFn(Death) -> bool) -> usize {
    let mut deaths = 0;
    for death in [Death::After, |calls| Death::AtIntent(calls + 1)] {
        let told = stream::iter(0..MOST_WRITES).map(|number| story(death(number))).buffered(STORIES_AT_ONCE);
        let died = told.take_while(|came_through| future::ready(!came_through)).count().await;
        assert!(died < MOST_WRITES, "it never came through");
        deaths += died;
    }
    deaths
}

/// A task and its journal, over all its attempts.
pub struct Task {
    id: TaskId,
    request: TaskRequest,
    requester: SealingKey,
    /// Whether the journal knows the requester.
    pub has_requester: bool,
    secrets: BTreeMap<String, Vec<u8>>,
    dataset: Vec<u8>,
    pub notes: Arc<Mutex<Vec<JournalEntry>>>,
    /// What the audit log is told of entries.
    pub told: Arc<Mutex<Vec<(Effect, Known)>>>,
    /// The payloads that were finished, in clear.
    pub payloads: Payloads,
    pub reconcile: bool,
    /// Since when it is alone with its account.
    pub alone: Alone,
    /// Where the process dies in the next attempt.
    pub dies: Option<Death>,
    /// The disk is full when the payload has so many bytes; for one attempt.
    pub disk_holds: Option<usize>,
    /// The shortest time that any intent said its call may take.
    pub reach: Arc<Mutex<Option<Duration>>>,
    /// When nothing more of it may be begun.
    pub deadline: Option<Timestamp>,
    /// The controller tells that this is over.
    pub late: CancellationToken,
    pub stop: CancellationToken,
    pub stopping: CancellationToken,
    pub policy: Arc<Policy>,
    /// What the policy counted.
    counted: Arc<Mutex<policy::Counters>>,
}

/// Tasks of one millisecond are told apart by it.
static NEXT: AtomicU8 = AtomicU8::new(0);

impl Task {
    pub fn new(request: TaskRequest) -> Self {
        let millis = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
        Self {
            id: TaskId::from_random(millis, [NEXT.fetch_add(1, Ordering::Relaxed); 10]),
            request,
            requester: SealingKey::from_random(&Zeroizing::new([4; 32])),
            has_requester: true,
            secrets: BTreeMap::new(),
            dataset: Vec::new(),
            notes: Arc::default(),
            told: Arc::default(),
            payloads: Arc::default(),
            reconcile: false,
            alone: alone_since(1, 1, Duration::ZERO),
            dies: None,
            disk_holds: None,
            reach: Arc::default(),
            deadline: None,
            late: CancellationToken::new(),
            stop: CancellationToken::new(),
            stopping: CancellationToken::new(),
            policy: Arc::default(),
            counted: Arc::default(),
        }
    }

    /// Writes its dataset anew.
    pub fn rewrite(&mut self, with: impl FnOnce(&str) -> String) {
        self.dataset = with(std::str::from_utf8(&self.dataset).unwrap()).into_bytes();
    }

    /// Its id.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The submitter's clock was so much ahead when the task was made.
    pub fn made_ahead(mut self, by: jiff::SignedDuration) -> Self {
        let millis = u64::try_from((jiff::Timestamp::now() + by).as_millisecond()).unwrap();
        self.id = TaskId::from_random(millis, [7; 10]);
        self
    }

    /// Another member goes on with it, so long after it was first leased.
    pub fn taken_over(&mut self, after: Duration) {
        self.notes.lock().unwrap().clear();
        self.reconcile = true;
        self.alone = alone_since(1, 2, after);
    }

    /// The same member is given it again.
    pub fn leased_again(&mut self) {
        self.reconcile = true;
        self.alone = alone_since(1, 2, Duration::from_secs(60));
    }

    /// The same member is given it again, and another task for the account was given out meanwhile.
    pub fn leased_after_another(&mut self) {
        self.reconcile = true;
        self.alone = alone_since(3, 3, Duration::ZERO);
    }

    /// The same member is given it again, and another had it meanwhile.
    pub fn leased_after_another_member(&mut self) {
        self.reconcile = true;
        self.alone = alone_since(1, 3, Duration::from_secs(60));
    }

    /// The same member is given it by a controller that was put back from a copy: of who had it before that knows nothing.
    pub fn leased_after_a_restore(&mut self) {
        self.reconcile = true;
        self.alone = alone_since(2, 2, Duration::ZERO);
    }

    /// It had ended here, and is taken anew: the controller lost what came of it.
    pub fn taken_anew(&mut self, keep: &Memory) {
        self.notes.lock().unwrap().clear();
        self.payloads.lock().unwrap().clear();
        keep.delivered.lock().unwrap().remove(&self.id);
        keep.anew.lock().unwrap().insert(self.id);
    }

    /// One more attempt, with the journal of those before; [`died`] if the process dies in it.
    pub async fn attempt(&mut self, connector: &Arc<dyn Connector>) -> Result<Conclusion, Failure> {
        let life = Life::until(self.dies.take());
        let journal = Arc::new(MemoryJournal {
            task: self.id,
            kind: self.request.kind(),
            target: self.request.target().to_string(),
            requester: self.has_requester.then(|| self.requester.clone()),
            secrets: self.secrets.clone(),
            dataset: self.dataset.clone(),
            notes: Arc::clone(&self.notes),
            told: Arc::clone(&self.told),
            payloads: Arc::clone(&self.payloads),
            life: Arc::clone(&life),
            disk_holds: self.disk_holds.take(),
            reach: Arc::clone(&self.reach),
            policy: Arc::clone(&self.policy),
            counted: Arc::clone(&self.counted),
        });
        let earlier = self.notes.lock().unwrap().iter().cloned().collect();
        let cx = AttemptCx {
            task: self.id,
            system: system(),
            reconcile: self.reconcile,
            alone: self.alone,
            earlier,
            deadline: self.deadline,
            late: self.late.clone(),
            stop: self.stop.clone(),
            finds_out: self.stop.is_cancelled(),
            stopping: self.stopping.clone(),
            policy: Arc::clone(&self.policy),
            journal,
        };
        tokio::select! {
            biased;
            () = life.over.cancelled() => Err(died()),
            ended = connector.run(self.request.clone(), &cx) => ended,
        }
    }

    /// An attempt during which the process dies, when the fault that was asked for has met its call.
    pub async fn dies_in_the_call(&mut self, lab: &Lab, connector: &Arc<dyn Connector>) {
        let death = async {
            while lab.sim.faults() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = self.attempt(connector) => panic!("it ended before: {ended:?}"),
            () = death => (),
        }
    }

    /// Opens the one sealed output.
    pub fn opened(&self, conclusion: &Conclusion) -> String {
        let target = self.request.target();
        let system = system();
        let context = SealContext { task: self.id, kind: self.request.kind(), system: &system, target: &target };
        let opened = conclusion.sealed[0].open(context, &self.requester).unwrap();
        String::from_utf8(opened.to_vec()).unwrap()
    }

    /// The lines of a batch's results.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(results(&self.notes.lock().unwrap())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one payload that was finished.
    pub fn payload(&self) -> String {
        let payloads = self.payloads.lock().unwrap();
        assert_eq!(payloads.len(), 1, "one payload is finished");
        String::from_utf8(payloads[0].clone()).unwrap()
    }

    /// Whether there may have been a call of which nothing is proved.
    pub fn is_open(&self) -> bool {
        let earlier: Earlier = self.notes.lock().unwrap().iter().cloned().collect();
        earlier.open_intents().next().is_some()
    }

    pub fn intents(&self) -> usize {
        self.notes.lock().unwrap().iter().filter(|entry| entry.mark == Mark::Intent).count()
    }
}

/// Under a lease, and alone since another that was given so long ago.
fn alone_since(since: u64, lease: u64, long: Duration) -> Alone {
    Alone { lease: Epoch(lease), since: Epoch(since), ago: Ago { long, as_of: clock::now() } }
}

/// The results of a batch so far.
pub fn results(notes: &[JournalEntry]) -> Vec<u8> {
    let done = notes.iter().filter(|entry| entry.mark.is_end());
    let packed: Vec<u8> = done.flat_map(|entry| entry.note.clone()).collect();
    let mut results = Vec::new();
    connector::unpacked(packed.as_slice()).read_to_end(&mut results).unwrap();
    results
}

fn system() -> SystemName {
    "acme".parse().unwrap()
}

/// The process, as far as an attempt lives in it.
struct Life {
    death: Option<Death>,
    writes: AtomicUsize,
    intents: AtomicUsize,
    over: CancellationToken,
}

impl Life {
    fn until(death: Option<Death>) -> Arc<Self> {
        let over = CancellationToken::new();
        Arc::new(Self { death, writes: AtomicUsize::new(0), intents: AtomicUsize::new(0), over })
    }

    /// One more write. If the process dies before it is heard of, it stays pending, and so does whatever comes after it.
    fn write<'a, T: Send + 'a>(&self, is_intent: bool, write: impl FnOnce() -> T) -> Pending<'a, Result<T, Failure>> {
        let writes = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let intents = self.intents.fetch_add(usize::from(is_intent), Ordering::Relaxed) + usize::from(is_intent);
        let (is_durable, is_heard) = match self.death {
            None => (true, true),
            Some(Death::After(most)) => (writes <= most, writes <= most),
            Some(Death::AtIntent(last)) => (!self.over.is_cancelled(), intents < last),
        };
        if let Some(written) = is_durable.then(write).filter(|_| is_heard) {
            return Box::pin(async { Ok(written) });
        }
        self.over.cancel();
        Box::pin(future::pending())
    }
}

struct MemoryJournal {
    task: TaskId,
    kind: TaskKind,
    target: String,
    requester: Option<SealingKey>,
    secrets: BTreeMap<String, Vec<u8>>,
    dataset: Vec<u8>,
    notes: Arc<Mutex<Vec<JournalEntry>>>,
    told: Arc<Mutex<Vec<(Effect, Known)>>>,
    payloads: Payloads,
    life: Arc<Life>,
    disk_holds: Option<usize>,
    reach: Arc<Mutex<Option<Duration>>>,
    policy: Arc<Policy>,
    counted: Arc<Mutex<policy::Counters>>,
}

type Payloads = Arc<Mutex<Vec<Vec<u8>>>>;

/// A payload that is kept when it is finished.
struct MemoryPayload {
    bytes: Vec<u8>,
    payloads: Payloads,
    key: SealedOutput,
    disk_holds: Option<usize>,
}

impl Write for MemoryPayload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.disk_holds.is_some_and(|most| self.bytes.len() + bytes.len() > most) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Payload for MemoryPayload {
    fn finish(self: Box<Self>) -> Result<(StreamRef, SealedOutput), Failure> {
        let length = u64::try_from(self.bytes.len()).unwrap();
        self.payloads.lock().unwrap().push(self.bytes);
        Ok((StreamRef { id: postern_protocol::StreamId::from_bytes([6; 16]), length, sha256: [0; 32] }, self.key))
    }
}

impl Journal for MemoryJournal {
    fn intend(&self, entry: JournalEntry, reach: Duration) -> Pending<'_, Result<(), Failure>> {
        let mut shortest = self.reach.lock().unwrap();
        *shortest = Some(shortest.map_or(reach, |it| it.min(reach)));
        self.life.write(true, || self.notes.lock().unwrap().push(entry))
    }

    fn admit<'a>(&'a self, acts: &'a [Act]) -> Pending<'a, Result<Vec<Result<(), Refused>>, Failure>> {
        self.life.write(false, || self.policy.admit(acts, &mut self.counted.lock().unwrap(), jiff::Timestamp::now()))
    }

    fn record(&self, entries: Vec<JournalEntry>, proved: Proved) -> Pending<'_, Result<(), Failure>> {
        assert!(entries.iter().all(|entry| entry.note.len() <= connector::MAX_NOTE));
        self.life.write(false, || {
            if let Proved::Entries(told) = proved {
                self.told.lock().unwrap().extend(told);
            }
            self.notes.lock().unwrap().extend(entries);
        })
    }

    fn results(&self) -> Box<dyn Read + Send> {
        Box::new(Cursor::new(results(&self.notes.lock().unwrap())))
    }

    fn progress(&self, done: u64, total: u64, _: &str) {
        assert!(done <= total);
    }

    fn has_secret(&self, field: &str) -> bool {
        self.secrets.contains_key(field)
    }

    fn secret(&self, field: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Ok(Zeroizing::new(self.secrets.get(field).cloned().unwrap()))
    }

    fn has_requester(&self) -> bool {
        self.requester.is_some()
    }

    fn seal(&self, name: &str, secret: &[u8]) -> Result<SealedOutput, Failure> {
        let system = system();
        let context = SealContext { task: self.task, kind: self.kind, system: &system, target: &self.target };
        let random = &mut getrandom::rand_core::UnwrapErr(getrandom::SysRng);
        let requester = self.requester.as_ref().unwrap();
        Ok(SealedOutput::seal(context, name, secret, requester.public(), random).unwrap())
    }

    fn dataset(&self) -> Result<Box<dyn Read + Send>, Failure> {
        Ok(Box::new(Cursor::new(self.dataset.clone())))
    }

    fn payload(&self, key: &str) -> Result<Box<dyn Payload>, Failure> {
        let key = self.seal(key, &[5; 32])?;
        Ok(Box::new(MemoryPayload {
            bytes: Vec::new(),
            payloads: Arc::clone(&self.payloads),
            key,
            disk_holds: self.disk_holds,
        }))
    }
}

fn died() -> Failure {
    Failure::new(FailureClass::Interrupted, "died", "the process died here")
}

fn account(name: &str) -> Text<128> {
    Text::new(name).unwrap()
}

pub fn test_connection() -> Task {
    Task::new(TaskRequest::TestConnection(test_connection::Request {}))
}

pub fn validate(name: &str) -> Task {
    Task::new(TaskRequest::ValidateUser(validate_user::Request { account: account(name) }))
}

pub fn enable(name: &str) -> Task {
    Task::new(TaskRequest::EnableUser(enable_user::Request { account: account(name) }))
}

pub fn disable(name: &str) -> Task {
    let if_refused = IfRefused::Fail.into();
    Task::new(TaskRequest::DisableUser(disable_user::Request { account: account(name), if_refused }))
}

pub fn disable_or_freeze(name: &str) -> Task {
    let if_refused = IfRefused::Freeze.into();
    Task::new(TaskRequest::DisableUser(disable_user::Request { account: account(name), if_refused }))
}

pub fn freeze(name: &str) -> Task {
    Task::new(TaskRequest::FreezeUser(freeze_user::Request { account: account(name) }))
}

pub fn unfreeze(name: &str) -> Task {
    Task::new(TaskRequest::UnfreezeUser(unfreeze_user::Request { account: account(name) }))
}

pub fn unlock(name: &str) -> Task {
    Task::new(TaskRequest::UnlockUser(unlock_user::Request { account: account(name) }))
}

pub fn expire(name: &str) -> Task {
    Task::new(TaskRequest::ExpirePassword(expire_password::Request {
        account: account(name),
        repeat_if_unknown: false,
    }))
}

pub fn reset(name: &str, password: &str) -> Task {
    let source = Source::Given.into();
    let mut task = Task::new(TaskRequest::ResetPassword(reset_password::Request {
        account: account(name),
        source,
        repeat_if_unknown: false,
    }));
    task.secrets.insert(reset_password::PASSWORD.to_owned(), password.as_bytes().to_vec());
    task
}

pub fn reset_generated(name: &str) -> Task {
    let source = Source::Generated.into();
    Task::new(TaskRequest::ResetPassword(reset_password::Request {
        account: account(name),
        source,
        repeat_if_unknown: false,
    }))
}

pub fn reset_by_service(name: &str) -> Task {
    let source = Source::Service.into();
    Task::new(TaskRequest::ResetPassword(reset_password::Request {
        account: account(name),
        source,
        repeat_if_unknown: false,
    }))
}

/// Salesforce's own reset, by both kinds of task, which is made once more after no answer and no effect.
pub fn repeatable_resets(name: &str) -> [Task; 2] {
    let (source, repeat_if_unknown) = (Source::Service.into(), true);
    let expire = expire_password::Request { account: account(name), repeat_if_unknown };
    let reset = reset_password::Request { account: account(name), source, repeat_if_unknown };
    [TaskRequest::ExpirePassword(expire), TaskRequest::ResetPassword(reset)].map(Task::new)
}

pub fn deprovision(name: &str, email: &str) -> Task {
    deprovision_as(name, "", email)
}

/// With a new name of one's own.
pub fn deprovision_as(name: &str, new_name: &str, email: &str) -> Task {
    let request =
        deprovision_user::Request { account: account(name), new_name: account(new_name), email: account(email) };
    Task::new(TaskRequest::DeprovisionUser(request))
}

pub fn restore(present: &str, name: &str, email: &str, password: Option<&str>) -> Task {
    let request = restore_user::Request { account: account(present), name: account(name), email: account(email) };
    let mut task = Task::new(TaskRequest::RestoreUser(request));
    if let Some(password) = password {
        task.secrets.insert(restore_user::PASSWORD.to_owned(), password.as_bytes().to_vec());
    }
    task
}

pub fn import(dataset: impl Into<Vec<u8>>) -> Task {
    import_as(Format::Xml, dataset)
}

pub fn import_as(format: Format, dataset: impl Into<Vec<u8>>) -> Task {
    import_with(import_batch::Request::new(format), dataset)
}

pub fn import_with(request: import_batch::Request, dataset: impl Into<Vec<u8>>) -> Task {
    let mut task = Task::new(TaskRequest::ImportBatch(request));
    task.dataset = dataset.into();
    task
}

/// An export of what this JSON describes.
pub fn export(request: serde_json::Value) -> Task {
    Task::new(TaskRequest::from_json(TaskKind::Export, request).unwrap())
}

/// A collection of what this JSON describes.
pub fn collect(request: serde_json::Value) -> Task {
    Task::new(TaskRequest::from_json(TaskKind::Collect, request).unwrap())
}

/// What the schema is, as this JSON asks.
pub fn describe_schema(request: serde_json::Value) -> Task {
    Task::new(TaskRequest::from_json(TaskKind::DescribeSchema, request).unwrap())
}

/// Outcome, certainty and whether something changed.
pub fn verdict(conclusion: &Conclusion) -> (Outcome, Certainty, Changed) {
    (conclusion.outcome, conclusion.certainty, conclusion.changed)
}

pub const DONE: (Outcome, Certainty, Changed) = (Outcome::Succeeded, Certainty::Certain, Changed::Yes);
pub const PROBABLY_DONE: (Outcome, Certainty, Changed) = (Outcome::Succeeded, Certainty::Probable, Changed::Yes);
pub const UNKNOWN: (Outcome, Certainty, Changed) = (Outcome::Unknown, Certainty::Unknown, Changed::Unknown);
