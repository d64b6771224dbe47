//! Typed records over the durable store.

use postern_health::Stopwatch;
use postern_protocol::id::{ApiTokenId, TokenId};
use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::{Epoch, MemberId, StreamId, SystemName, TaskId, codec};
use postern_store::{Batch, MAX_BATCH_BYTES, SpoolId, Store, StoreError, Table, parts};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::record::{
    ApiTokenRecord, AttemptRecord, AuditRow, AuditWritten, ClusterRecord, ForgottenRecord, MemberNumbers, MemberRecord,
    NewerCertificate, OnceRecord, RootsRecord, StreamRecord, SystemRecord, TaskRecord, TokenRecord,
};
use super::records::{Listed, Records};
use crate::metrics::metrics;

const CLUSTERS: Table = Table::new("clusters", 1);
const TOKENS: Table = Table::new("tokens", 2);
const MEMBERS: Table = Table::new("members", 3);
const NUMBERS: Table = Table::new("member numbers", 4);
const SYSTEMS: Table = Table::new("connected systems", 5);
const TASKS: Table = Table::new("tasks", 6);
const OFFERS: Table = Table::new("offers", 7);
const REPORTS: Table = Table::new("reports", 8);
const STREAMS: Table = Table::new("streams", 9);
const API_TOKENS: Table = Table::new("API tokens", 10);
const AUDIT: Table = Table::new("audit rows", 11);
const AUDIT_WRITTEN: Table = Table::new("audit log", 12);
const ROOTS: Table = Table::new("roots", 13);
const ATTEMPTS: Table = Table::new("attempts", 14);
const ONCE: Table = Table::new("idempotency keys", 15);
const NEWER: Table = Table::new("newer certificates", 16);
const FORGOTTEN: Table = Table::new("forgotten tasks", 17);
/// There is one record of how far the log is, one of the roots, and one of what is forgotten.
const ONLY: &[u8] = b"1";

/// How many attempts at a task are kept, the newest: whoever wants to know what went on looks at those.
const MAX_ATTEMPTS: u32 = 8;

/// Why the ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is whole but not what this version writes.
    #[error(
        "a record of table `{table}` is of another version, and this one cannot read it: start the other one again"
    )]
    Unreadable {
        /// The table.
        table: &'static str,
    },
    /// A value cannot be written.
    #[error("a record of table `{table}` cannot be written: {reason}")]
    Unwritable {
        /// The table.
        table: &'static str,
        /// Why.
        reason: String,
    },
}

/// One change, to be committed with others.
#[derive(Clone)]
pub enum Write {
    /// Which roots there are, and how far their rotation is.
    Roots(RootsRecord),
    /// A cluster.
    Cluster(ClusterRecord),
    /// A token.
    Token(TokenRecord),
    /// A token that is of no use any more.
    ForgetToken(TokenId),
    /// A token for the API.
    ApiToken(ApiTokenRecord),
    /// A token for the API that was revoked.
    ForgetApiToken(ApiTokenId),
    /// What was made under a caller's key, and the key: both or neither.
    Once(OnceRecord, Box<Write>),
    /// A caller's key that is not known any more.
    ForgetOnce(ApiTokenId, [u8; 32]),
    /// A line for the audit log.
    Audit(AuditRow),
    /// A line that the audit log has.
    ForgetAudit(u64),
    /// How far the audit log is.
    AuditWritten(AuditWritten),
    /// A member.
    Member(MemberRecord),
    /// A member's numbers.
    Numbers(MemberId, MemberNumbers),
    /// The certificates of a member that wait to be accepted; beside its record, which has no room for them.
    Newer(MemberId, Vec<NewerCertificate>),
    /// A member that was removed.
    ForgetMember(MemberId),
    /// A connected system.
    System(SystemRecord),
    /// A connected system that is gone.
    ForgetSystem(SystemName),
    /// A task.
    Task(TaskRecord),
    /// A finished task that is forgotten, with what it was to do and what came of it.
    ForgetTask(TaskId),
    /// How new tasks may be of which nothing is known any more.
    Forgotten(ForgottenRecord),
    /// An attempt at a task.
    Attempt(TaskId, AttemptRecord),
    /// What a task is to do; changes in how it is sealed alone.
    Offer(Box<Offer>),
    /// What came of a task under one epoch; never changes.
    Report(Box<Report>),
    /// A payload.
    Stream(StreamRecord),
    /// A payload that is gone.
    ForgetStream(StreamId),
}

/// The controller's durable memory. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Store,
}

impl Ledger {
    /// Over an open store.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store itself.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Makes changes durable, in one batch if they fit one.
    ///
    /// A turn that settles a large inventory does not fit. Then several batches follow one another in an order in
    /// which a crash between two of them loses nothing: what is referred to before what refers to it, and a member's
    /// numbers last, because they say that its reports need not be sent again.
    pub async fn commit(&self, mut writes: Vec<Write>) -> Result<(), LedgerError> {
        let watch = Stopwatch::start();
        in_safe_order(&mut writes);
        for batch in self.batches(&writes)? {
            self.store.commit(batch).await?;
        }
        metrics().commit_duration.took(watch.elapsed(), &[]);
        Ok(())
    }

    fn one<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, LedgerError> {
        self.store.get(table, key)?.map(|bytes| parse(table, &bytes)).transpose()
    }

    fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<T>, LedgerError> {
        self.store.scan(table).map(|item| parse(table, &item?.1)).collect()
    }

    /// Packs changes, in their order, into as few batches as hold them. The parts of one change stay together, but for what
    /// goes with a task: there may be more of that than fits a batch.
    fn batches(&self, writes: &[Write]) -> Result<Vec<Batch>, LedgerError> {
        let mut batches = Vec::new();
        let mut batch = begin();
        let mut bytes = 0;
        for write in writes {
            let changes = self.changes(write)?;
            let together = if matches!(write, Write::ForgetTask(_)) { 1 } else { changes.len().max(1) };
            for changes in changes.chunks(together) {
                let more: usize = changes.iter().map(weight).sum();
                if bytes > 0 && bytes + more > MAX_BATCH_BYTES {
                    batches.push(std::mem::replace(&mut batch, begin()));
                    bytes = 0;
                }
                bytes += more;
                for Change { table, key, value } in changes {
                    match value {
                        Some(value) => batch.put(*table, key, value)?,
                        None => batch.delete(*table, key)?,
                    }
                }
            }
        }
        batches.push(batch);
        Ok(batches)
    }

    fn changes(&self, write: &Write) -> Result<Vec<Change>, LedgerError> {
        match write {
            Write::Roots(it) => json(ROOTS, ONLY, it),
            Write::Cluster(it) => json(CLUSTERS, &name_key(it.name.as_str()), it),
            Write::Token(it) => json(TOKENS, it.id.as_bytes(), it),
            Write::ForgetToken(id) => Ok(gone(TOKENS, id.as_bytes())),
            Write::ApiToken(it) => json(API_TOKENS, it.id.as_bytes(), it),
            Write::ForgetApiToken(id) => Ok(gone(API_TOKENS, id.as_bytes())),
            Write::Once(it, made) => {
                let mut changes = self.changes(made)?;
                changes.extend(json(ONCE, &once_key(it.by, it.key), it)?);
                Ok(changes)
            }
            Write::ForgetOnce(by, key) => Ok(gone(ONCE, &once_key(*by, *key))),
            Write::Audit(it) => json(AUDIT, &it.number.to_be_bytes(), it),
            Write::ForgetAudit(number) => Ok(gone(AUDIT, &number.to_be_bytes())),
            Write::AuditWritten(it) => json(AUDIT_WRITTEN, ONLY, it),
            Write::Member(it) => json(MEMBERS, it.id.as_bytes(), it),
            Write::Numbers(member, it) => json(NUMBERS, member.as_bytes(), it),
            Write::Newer(member, it) if it.is_empty() => Ok(gone(NEWER, member.as_bytes())),
            Write::Newer(member, it) => json(NEWER, member.as_bytes(), it),
            Write::ForgetMember(id) => {
                Ok([MEMBERS, NUMBERS, NEWER].into_iter().flat_map(|table| gone(table, id.as_bytes())).collect())
            }
            Write::System(it) => json(SYSTEMS, &name_key(it.name.as_str()), it),
            Write::ForgetSystem(name) => Ok(gone(SYSTEMS, &name_key(name.as_str()))),
            Write::Task(it) => json(TASKS, it.id.as_bytes(), it),
            Write::Attempt(task, it) => json(ATTEMPTS, &attempt_key(*task, it.number), it),
            Write::ForgetTask(id) => self.all_of(*id),
            Write::Forgotten(it) => json(FORGOTTEN, ONLY, it),
            Write::Offer(it) => in_parts(OFFERS, it.task.as_bytes(), codec::encode(&**it)),
            Write::Report(it) => in_parts(REPORTS, &report_key(it.task, it.epoch), codec::encode(&**it)),
            Write::Stream(it) => json(STREAMS, it.id.as_bytes(), it),
            Write::ForgetStream(id) => Ok(gone(STREAMS, id.as_bytes())),
        }
    }

    /// The removal of everything that is kept of a task, its record last: as long as it is there it is known that the rest is
    /// to go.
    fn all_of(&self, id: TaskId) -> Result<Vec<Change>, LedgerError> {
        let mut changes = Vec::new();
        for table in [OFFERS, REPORTS, ATTEMPTS] {
            for item in self.store.scan_prefix(table, id.as_bytes()) {
                changes.push(Change { table, key: item?.0, value: None });
            }
        }
        changes.extend(gone(TASKS, id.as_bytes()));
        Ok(changes)
    }
}

impl Records for Ledger {
    fn roots(&self) -> Result<Option<RootsRecord>, LedgerError> {
        self.one(ROOTS, ONLY)
    }

    fn clusters(&self) -> Result<Vec<ClusterRecord>, LedgerError> {
        self.all(CLUSTERS)
    }

    fn systems(&self) -> Result<Vec<SystemRecord>, LedgerError> {
        self.all(SYSTEMS)
    }

    fn tokens(&self) -> Result<Vec<TokenRecord>, LedgerError> {
        self.all(TOKENS)
    }

    fn api_tokens(&self) -> Result<Vec<ApiTokenRecord>, LedgerError> {
        self.all(API_TOKENS)
    }

    fn once(&self) -> Result<Vec<OnceRecord>, LedgerError> {
        self.all(ONCE)
    }

    fn audit_rows(&self) -> Result<Vec<AuditRow>, LedgerError> {
        self.all(AUDIT)
    }

    fn audit_written(&self) -> Result<Option<AuditWritten>, LedgerError> {
        self.one(AUDIT_WRITTEN, ONLY)
    }

    fn members(&self) -> Result<Vec<MemberRecord>, LedgerError> {
        self.all(MEMBERS)
    }

    fn numbers(&self, member: MemberId) -> Result<Option<MemberNumbers>, LedgerError> {
        self.one(NUMBERS, member.as_bytes())
    }

    fn newer(&self, member: MemberId) -> Result<Vec<NewerCertificate>, LedgerError> {
        Ok(self.one(NEWER, member.as_bytes())?.unwrap_or_default())
    }

    fn task(&self, id: TaskId) -> Result<Option<TaskRecord>, LedgerError> {
        self.one(TASKS, id.as_bytes())
    }

    fn tasks(&self, before: Option<TaskId>) -> Listed<'_, TaskRecord> {
        let parsed = |item: Result<(Vec<u8>, Vec<u8>), StoreError>| parse(TASKS, &item?.1);
        match before {
            None => Box::new(self.store.scan(TASKS).rev().map(parsed)),
            Some(before) => Box::new(self.store.scan_below(TASKS, before.as_bytes()).rev().map(parsed)),
        }
    }

    fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRecord>, LedgerError> {
        self.store.scan_prefix(ATTEMPTS, id.as_bytes()).map(|item| parse(ATTEMPTS, &item?.1)).collect()
    }

    fn offer(&self, id: TaskId) -> Result<Option<Offer>, LedgerError> {
        let bytes = parts::read(&self.store, OFFERS, id.as_bytes())?;
        bytes.map(|it| codec::decode(&it).map_err(|_| unreadable(OFFERS))).transpose()
    }

    fn report(&self, id: TaskId, epoch: Epoch) -> Result<Option<Report>, LedgerError> {
        let bytes = parts::read(&self.store, REPORTS, &report_key(id, epoch))?;
        bytes.map(|it| codec::decode(&it).map_err(|_| unreadable(REPORTS))).transpose()
    }

    fn forgotten(&self) -> Result<Option<ForgottenRecord>, LedgerError> {
        self.one(FORGOTTEN, ONLY)
    }

    fn streams(&self) -> Result<Vec<StreamRecord>, LedgerError> {
        self.all(STREAMS)
    }

    fn commits_and_barriers(&self) -> (u64, u64) {
        (self.store.commits(), self.store.barriers())
    }
}

/// The spool file of a payload.
pub const fn spool_id(id: StreamId) -> SpoolId {
    SpoolId(*id.as_bytes())
}

/// Brings changes into the order in which a crash between any two of them loses nothing.
pub fn in_safe_order(writes: &mut [Write]) {
    writes.sort_by_key(rank);
}

/// What comes before what when changes do not fit one batch.
const fn rank(write: &Write) -> u8 {
    match write {
        // Before whatever it tells of: a line without its act can be explained, an act without a line cannot.
        Write::Audit(_) => 0,
        // In the order in which it was decided: a name that is free again may be taken in the same turn.
        Write::Cluster(_) | Write::System(_) | Write::ForgetSystem(_) => 1,
        Write::Once(_, made) => rank(made),
        Write::Member(_) | Write::Newer(..) => 2,
        // Behind the members whose word a step of a rotation goes by.
        Write::Token(_) | Write::ForgetToken(_) | Write::ApiToken(_) | Write::ForgetApiToken(_) | Write::Roots(_) => 3,
        Write::Stream(_) | Write::Attempt(..) => 4,
        Write::Offer(_) => 5,
        Write::Report(_) => 6,
        Write::Task(_) => 7,
        Write::ForgetStream(_) => 8,
        // Before they are: an id of which nothing is known is refused from then on.
        Write::Forgotten(_) => 8,
        // Behind its payloads: as long as it is there it is known that they are to go.
        Write::ForgetTask(_) => 9,
        Write::Numbers(..) => 10,
        // Behind whatever else was decided about it.
        Write::ForgetMember(_) => 11,
        Write::AuditWritten(_) | Write::ForgetAudit(_) | Write::ForgetOnce(..) => 12,
    }
}

/// One record of one table; no value deletes it.
struct Change {
    table: Table,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn begin() -> Batch {
    let mut batch = Batch::new();
    // Whatever the controller decided it also promised, and admission keeps space free before it promises.
    batch.essential();
    batch
}

/// At least what the store counts a change with.
fn weight(change: &Change) -> usize {
    const OVERHEAD: usize = 64;
    OVERHEAD + change.key.len() + change.value.as_ref().map_or(0, Vec::len)
}

fn json<T: Serialize>(table: Table, key: &[u8], value: &T) -> Result<Vec<Change>, LedgerError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| LedgerError::Unwritable { table: table.name(), reason: error.to_string() })?;
    Ok(vec![Change { table, key: key.to_vec(), value: Some(bytes) }])
}

fn gone(table: Table, key: &[u8]) -> Vec<Change> {
    vec![Change { table, key: key.to_vec(), value: None }]
}

fn in_parts(table: Table, key: &[u8], record: Result<Vec<u8>, codec::CodecError>) -> Result<Vec<Change>, LedgerError> {
    let record = record.map_err(|error| LedgerError::Unwritable { table: table.name(), reason: error.to_string() })?;
    let parts = parts::cut(table, key, &record)?;
    Ok(parts.into_iter().map(|(key, value)| Change { table, key, value: Some(value) }).collect())
}

fn parse<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes).map_err(|_| unreadable(table))
}

const fn unreadable(table: Table) -> LedgerError {
    LedgerError::Unreadable { table: table.name() }
}

/// Keys rest in clear and names may say something about a customer, so a name's key is its hash.
fn name_key(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

fn once_key(by: ApiTokenId, key: [u8; 32]) -> Vec<u8> {
    [by.as_bytes().as_slice(), &key].concat()
}

/// The newest take the places of the oldest.
fn attempt_key(id: TaskId, number: u32) -> Vec<u8> {
    [id.as_bytes().as_slice(), &(number % MAX_ATTEMPTS).to_be_bytes()].concat()
}

fn report_key(id: TaskId, epoch: Epoch) -> Vec<u8> {
    [id.as_bytes().as_slice(), &epoch.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use postern_protocol::bounded::Bytes;
    use postern_protocol::id::Incarnation;
    use postern_protocol::outcome::{Certainty, Changed};
    use postern_protocol::task::test_connection;
    use postern_protocol::time::UnixMillis;
    use postern_protocol::{Outcome, ReportNo, SessionNo, TaskKind, TaskRequest};
    use postern_store::{Options, StoreKey};

    use super::*;
    use crate::queue::{MAX_LEASES, MAX_NOTE, MAX_OBSERVATIONS};
    use crate::state::lab;
    use crate::state::record::{AloneRecord, Association, Finish, LeaseRecord, ObservationRecord, SystemDetails};

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        let key = StoreKey::from_bytes([1; 32]);
        Ledger::new(Store::open(&folder.path().join("store"), &key, &Options::default(), 1).unwrap().store)
    }

    /// Records of every table as the first version wrote them, a line each: the table, a tab, and the record.
    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/state/golden/records-1");

    /// What is read of a record, written again.
    fn again<T: DeserializeOwned + Serialize>(record: &str) -> Result<String, serde_json::Error> {
        serde_json::to_string(&serde_json::from_str::<T>(record)?)
    }

    /// Add a field to a record, or name one otherwise, and a controller that is upgraded cannot read its own store. Whoever does
    /// so on purpose raises the number of the format, and keeps these. Offers and reports are frames, which `protocol/golden` has.
    #[test]
    fn records_of_every_table_are_read_as_they_were_written() {
        type Again = fn(&str) -> Result<String, serde_json::Error>;
        let tables: [(Table, Again); 15] = [
            (CLUSTERS, again::<ClusterRecord>),
            (TOKENS, again::<TokenRecord>),
            (MEMBERS, again::<MemberRecord>),
            (NUMBERS, again::<MemberNumbers>),
            (SYSTEMS, again::<SystemRecord>),
            (TASKS, again::<TaskRecord>),
            (STREAMS, again::<StreamRecord>),
            (API_TOKENS, again::<ApiTokenRecord>),
            (AUDIT, again::<AuditRow>),
            (AUDIT_WRITTEN, again::<AuditWritten>),
            (ATTEMPTS, again::<AttemptRecord>),
            (ROOTS, again::<RootsRecord>),
            (ONCE, again::<OnceRecord>),
            (NEWER, again::<Vec<NewerCertificate>>),
            (FORGOTTEN, again::<ForgottenRecord>),
        ];
        let golden = std::fs::read_to_string(GOLDEN).unwrap();
        let records: Vec<(&str, &str)> = golden.lines().map(|line| line.split_once('\t').unwrap()).collect();
        for (table, again) in tables {
            let mut of_table = records.iter().filter(|(name, _)| *name == table.name()).peekable();
            assert!(of_table.peek().is_some(), "there is no record of table `{}`", table.name());
            for (_, record) in of_table {
                let read = again(record).unwrap_or_else(|error| panic!("{}: {error}: {record}", table.name()));
                assert_eq!(read, *record, "{}", table.name());
            }
        }
        let known = |name: &str| tables.iter().any(|(table, _)| table.name() == name);
        assert!(records.iter().all(|(name, _)| known(name)), "a record is of no table");
    }

    fn task(number: u16) -> TaskRecord {
        let mut id = [0; 16];
        id[14..].copy_from_slice(&number.to_be_bytes());
        let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
        TaskRecord::queued(TaskId::from_bytes(id), cluster, system, TaskKind::EnableUser, "x".repeat(255))
    }

    fn system() -> SystemRecord {
        SystemRecord {
            name: "acme".parse().unwrap(),
            connector: "salesforce".to_owned(),
            display_name: "acme".to_owned(),
            description: String::new(),
            association: Association::Server,
            details: SystemDetails::default(),
            log_level: None,
            revision: 3,
            created: UnixMillis(1),
        }
    }

    /// Without the split the batch is refused as too large, and the controller ends.
    #[tokio::test]
    async fn more_changes_than_fit_one_batch_are_all_made() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        let writes: Vec<Write> = (0..1_000).map(|number| Write::Task(task(number))).collect();
        assert!(ledger.batches(&writes).unwrap().len() > 1);
        ledger.commit(writes).await.unwrap();
        assert_eq!(ledger.tasks(None).count(), 1_000);
        assert_eq!(ledger.tasks(None).next().unwrap().unwrap(), task(999), "the newest first");
        let older = ledger.tasks(Some(task(7).id)).map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(older, (0..7).rev().map(task).collect::<Vec<_>>());
    }

    /// A record that does not fit its place ends the controller: whatever is kept with a task has a bound.
    #[test]
    fn the_largest_task_fits_its_record() {
        let member = MemberId::from_bytes([255; 16]);
        let (epoch, outcome, certainty) = (Epoch(u64::MAX), Outcome::PartiallySucceeded, Certainty::Probable);
        let largest = TaskRecord {
            cluster: "c".repeat(63).parse().unwrap(),
            system: "s".repeat(63).parse().unwrap(),
            target: "\"".repeat(255),
            submitted: UnixMillis(u64::MAX),
            arrival: u64::MAX,
            deadline: Some(UnixMillis(u64::MAX)),
            epoch,
            attempt: u32::MAX,
            leases: vec![LeaseRecord { epoch, store: Incarnation::from_bytes([255; 16]) }; MAX_LEASES],
            alone: Some(AloneRecord { since: epoch, at: UnixMillis(u64::MAX) }),
            observations: vec![
                ObservationRecord { member, epoch, outcome, certainty, changed: Changed::Unknown };
                MAX_OBSERVATIONS
            ],
            finish: Some(Finish {
                outcome,
                certainty,
                changed: Changed::Unknown,
                member: Some(member),
                epoch,
                note: "\"".repeat(MAX_NOTE),
                at: UnixMillis(u64::MAX),
            }),
            ..task(1)
        };
        assert!(ledger(&tempfile::tempdir().unwrap()).batches(&[Write::Task(largest)]).is_ok());
    }

    /// A number that became durable before the report it covers would have the report dropped unread after a crash.
    #[test]
    fn a_members_numbers_come_last() {
        let numbers = MemberNumbers {
            incarnation: Incarnation::from_bytes([1; 16]),
            settled: None,
            issued: SessionNo(1),
            confirmed: SessionNo(1),
            acked: ReportNo(1),
        };
        let mut writes = [Write::Numbers(MemberId::from_bytes([1; 16]), numbers), Write::Task(task(1))];
        in_safe_order(&mut writes);
        assert!(matches!(writes.last(), Some(Write::Numbers(..))));
    }

    /// Give the line the rank of the act or a higher one, and a crash between two batches leaves the act without it.
    #[test]
    fn a_line_of_the_audit_log_comes_before_what_it_tells_of() {
        let row = AuditRow { number: 1, time: UnixMillis(1), event: "{}".to_owned() };
        let acts = [
            Write::Task(task(1)),
            Write::ForgetMember(MemberId::from_bytes([1; 16])),
            Write::System(system()),
            Write::ForgetSystem("acme".parse().unwrap()),
            Write::Cluster(ClusterRecord { name: "acme".parse().unwrap(), created: UnixMillis(1) }),
        ];
        for act in acts {
            let mut writes = [act, Write::Audit(row.clone())];
            in_safe_order(&mut writes);
            assert!(matches!(writes.first(), Some(Write::Audit(_))));
        }
    }

    /// Take it away behind what is made, and a system that was removed and made again is gone after the next restart.
    #[tokio::test]
    async fn a_system_that_is_made_again_in_the_turn_of_its_removal_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        let old = system();
        let new = SystemRecord { revision: 0, created: UnixMillis(2), ..old.clone() };
        ledger.commit(vec![Write::System(old.clone())]).await.unwrap();
        ledger.commit(vec![Write::ForgetSystem(old.name), Write::System(new.clone())]).await.unwrap();
        assert_eq!(ledger.systems().unwrap(), [new]);
    }

    /// Give each attempt a place of its own, and a task that nobody finishes fills the disk.
    #[tokio::test]
    async fn the_newest_attempts_at_a_task_are_kept_and_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        let (one, other) = (task(1).id, task(2).id);
        let attempt = |number| AttemptRecord {
            number,
            member: MemberId::from_bytes([1; 16]),
            epoch: Epoch(number.into()),
            at: UnixMillis(1),
        };
        ledger.commit((1..=20).map(|number| Write::Attempt(one, attempt(number))).collect()).await.unwrap();
        ledger.commit(vec![Write::Attempt(other, attempt(1))]).await.unwrap();
        let mut kept: Vec<_> = ledger.attempts(one).unwrap().iter().map(|it| it.number).collect();
        kept.sort_unstable();
        assert_eq!(kept, (13..=20).collect::<Vec<_>>());
        ledger.commit(vec![Write::ForgetTask(one)]).await.unwrap();
        assert!(ledger.attempts(one).unwrap().is_empty());
        assert_eq!(ledger.attempts(other).unwrap(), [attempt(1)]);
    }

    /// Keep the removals in one batch, and a task of which an earlier build kept too much ends the controller at every start.
    /// Remove its record before the last of them, and after a crash nobody knows that they are to go.
    #[tokio::test]
    async fn of_a_task_with_more_than_fits_a_batch_everything_goes_and_its_record_last() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        let id = task(1).id;
        ledger.commit(vec![Write::Task(task(1))]).await.unwrap();
        ledger
            .commit((1..=3_000).map(|epoch| Write::Report(Box::new(lab::failed(epoch, id, Epoch(epoch))))).collect())
            .await
            .unwrap();
        let mut batches = ledger.batches(&[Write::ForgetTask(id)]).unwrap().into_iter();
        ledger.store.commit(batches.next().unwrap()).await.unwrap();
        assert!(ledger.task(id).unwrap().is_some());
        for batch in batches {
            ledger.store.commit(batch).await.unwrap();
        }
        assert!(ledger.task(id).unwrap().is_none());
        assert_eq!(ledger.store.scan_prefix(REPORTS, id.as_bytes()).count(), 0);
    }

    #[tokio::test]
    async fn a_value_of_many_parts_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        let record = task(1);
        let request = TaskRequest::TestConnection(test_connection::Request {});
        let params = Bytes::new(vec![7; 16 * 1024]).unwrap();
        let offer = Offer { priority: 1, ..Offer::new(record.id, record.system, &request, params) };
        ledger.commit(vec![Write::Offer(Box::new(offer.clone()))]).await.unwrap();
        assert_eq!(ledger.offer(record.id).unwrap(), Some(offer));
        assert_eq!(ledger.offer(task(2).id).unwrap(), None);
    }
}
