//! Typed records over the durable store.

use postern_protocol::id::TokenId;
use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::{Epoch, MemberId, StreamId, TaskId, codec};
use postern_store::{Batch, SpoolId, Store, StoreError, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::record::{ClusterRecord, MemberNumbers, MemberRecord, StreamRecord, SystemRecord, TaskRecord, TokenRecord};

const CLUSTERS: Table = Table::new("clusters", 1);
const TOKENS: Table = Table::new("tokens", 2);
const MEMBERS: Table = Table::new("members", 3);
const NUMBERS: Table = Table::new("member numbers", 4);
const SYSTEMS: Table = Table::new("connected systems", 5);
const TASKS: Table = Table::new("tasks", 6);
const OFFERS: Table = Table::new("offers", 7);
const REPORTS: Table = Table::new("reports", 8);
const STREAMS: Table = Table::new("streams", 9);

/// The bytes of one part of a value that is too large for one record.
const PART: usize = 3 * 1024;

/// Why the ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is whole but not what this version writes.
    #[error("a record of table `{table}` is not one this version can read: start the newer version again")]
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
    /// A cluster.
    Cluster(ClusterRecord),
    /// A token.
    Token(TokenRecord),
    /// A token that is of no use any more.
    ForgetToken(TokenId),
    /// A member.
    Member(MemberRecord),
    /// A member's numbers.
    Numbers(MemberId, MemberNumbers),
    /// A connected system.
    System(SystemRecord),
    /// A connected system that is gone.
    ForgetSystem(SystemRecord),
    /// A task.
    Task(TaskRecord),
    /// What a task is to do; never changes.
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

    /// Puts changes into a batch that becomes durable whole or not at all.
    pub fn batch(&self, writes: &[Write]) -> Result<Batch, LedgerError> {
        let mut batch = Batch::new();
        // Whatever the controller decided it also promised, and admission keeps space free before it promises.
        batch.essential();
        writes.iter().try_for_each(|write| put(&mut batch, write))?;
        Ok(batch)
    }

    /// Makes a batch durable.
    pub async fn commit(&self, batch: Batch) -> Result<(), LedgerError> {
        Ok(self.store.commit(batch).await?)
    }

    /// Every cluster.
    pub fn clusters(&self) -> Result<Vec<ClusterRecord>, LedgerError> {
        self.all(CLUSTERS)
    }

    /// Every connected system.
    pub fn systems(&self) -> Result<Vec<SystemRecord>, LedgerError> {
        self.all(SYSTEMS)
    }

    /// Every token.
    pub fn tokens(&self) -> Result<Vec<TokenRecord>, LedgerError> {
        self.all(TOKENS)
    }

    /// Every member.
    pub fn members(&self) -> Result<Vec<MemberRecord>, LedgerError> {
        self.all(MEMBERS)
    }

    /// A member's numbers.
    pub fn numbers(&self, member: MemberId) -> Result<Option<MemberNumbers>, LedgerError> {
        self.one(NUMBERS, member.as_bytes())
    }

    /// A task.
    pub fn task(&self, id: TaskId) -> Result<Option<TaskRecord>, LedgerError> {
        self.one(TASKS, id.as_bytes())
    }

    /// Tasks, the newest first.
    pub fn tasks(&self) -> impl Iterator<Item = Result<TaskRecord, LedgerError>> + use<> {
        self.store.scan(TASKS).rev().map(|item| parse(TASKS, &item?.1))
    }

    /// What a task is to do.
    pub fn offer(&self, id: TaskId) -> Result<Option<Offer>, LedgerError> {
        let bytes = self.parts(OFFERS, id.as_bytes())?;
        bytes.map(|it| codec::decode(&it).map_err(|_| unreadable(OFFERS))).transpose()
    }

    /// What came of a task under one epoch.
    pub fn report(&self, id: TaskId, epoch: Epoch) -> Result<Option<Report>, LedgerError> {
        let bytes = self.parts(REPORTS, &report_key(id, epoch))?;
        bytes.map(|it| codec::decode(&it).map_err(|_| unreadable(REPORTS))).transpose()
    }

    /// A payload.
    pub fn stream(&self, id: StreamId) -> Result<Option<StreamRecord>, LedgerError> {
        self.one(STREAMS, id.as_bytes())
    }

    /// Every payload.
    pub fn streams(&self) -> Result<Vec<StreamRecord>, LedgerError> {
        self.all(STREAMS)
    }

    fn one<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, LedgerError> {
        self.store.get(table, key)?.map(|bytes| parse(table, &bytes)).transpose()
    }

    fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<T>, LedgerError> {
        self.store.scan(table).map(|item| parse(table, &item?.1)).collect()
    }

    fn parts(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut whole = Vec::new();
        let mut found = false;
        for item in self.store.scan_prefix(table, key) {
            found = true;
            whole.extend(item?.1);
        }
        Ok(found.then_some(whole))
    }
}

/// The spool file of a payload.
pub const fn spool_id(id: StreamId) -> SpoolId {
    SpoolId(*id.as_bytes())
}

fn put(batch: &mut Batch, write: &Write) -> Result<(), LedgerError> {
    match write {
        Write::Cluster(it) => put_json(batch, CLUSTERS, &name_key(it.name.as_str()), it),
        Write::Token(it) => put_json(batch, TOKENS, it.id.as_bytes(), it),
        Write::ForgetToken(id) => Ok(batch.delete(TOKENS, id.as_bytes())?),
        Write::Member(it) => put_json(batch, MEMBERS, it.id.as_bytes(), it),
        Write::Numbers(member, it) => put_json(batch, NUMBERS, member.as_bytes(), it),
        Write::System(it) => put_json(batch, SYSTEMS, &name_key(it.name.as_str()), it),
        Write::ForgetSystem(it) => Ok(batch.delete(SYSTEMS, &name_key(it.name.as_str()))?),
        Write::Task(it) => put_json(batch, TASKS, it.id.as_bytes(), it),
        Write::Offer(it) => put_parts(batch, OFFERS, it.task.as_bytes(), codec::encode(&**it)),
        Write::Report(it) => put_parts(batch, REPORTS, &report_key(it.task, it.epoch), codec::encode(&**it)),
        Write::Stream(it) => put_json(batch, STREAMS, it.id.as_bytes(), it),
        Write::ForgetStream(id) => Ok(batch.delete(STREAMS, id.as_bytes())?),
    }
}

fn put_json<T: Serialize>(batch: &mut Batch, table: Table, key: &[u8], value: &T) -> Result<(), LedgerError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| LedgerError::Unwritable { table: table.name(), reason: error.to_string() })?;
    Ok(batch.put(table, key, &bytes)?)
}

/// Splits a value that is written once, so that its parts never have to shrink.
fn put_parts(
    batch: &mut Batch,
    table: Table,
    key: &[u8],
    bytes: Result<Vec<u8>, codec::CodecError>,
) -> Result<(), LedgerError> {
    let bytes = bytes.map_err(|error| LedgerError::Unwritable { table: table.name(), reason: error.to_string() })?;
    for (index, part) in (0_u16..).zip(bytes.chunks(PART)) {
        batch.put(table, &[key, &index.to_be_bytes()].concat(), part)?;
    }
    Ok(())
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

fn report_key(id: TaskId, epoch: Epoch) -> Vec<u8> {
    [id.as_bytes().as_slice(), &epoch.0.to_be_bytes()].concat()
}
