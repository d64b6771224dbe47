//! What the state reads of what is durable.

use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::{Epoch, MemberId, TaskId};

use super::ledger::LedgerError;
use super::record::{
    ApiTokenRecord, AttemptRecord, AuditRow, AuditWritten, ClusterRecord, ForgottenRecord, MemberNumbers, MemberRecord,
    NewerCertificate, OnceRecord, RootsRecord, StreamRecord, SystemRecord, TaskRecord, TokenRecord,
};

/// Records of a type, one after the other.
pub type Listed<'a, T> = Box<dyn Iterator<Item = Result<T, LedgerError>> + 'a>;

/// What is durable, as far as the state reads it. It decides over whatever remembers: the
/// [ledger](super::ledger::Ledger), or the model of one in the simulation.
pub trait Records: Send {
    /// The roots, once there was a rotation.
    fn roots(&self) -> Result<Option<RootsRecord>, LedgerError>;

    /// Every cluster.
    fn clusters(&self) -> Result<Vec<ClusterRecord>, LedgerError>;

    /// Every connected system.
    fn systems(&self) -> Result<Vec<SystemRecord>, LedgerError>;

    /// Every token.
    fn tokens(&self) -> Result<Vec<TokenRecord>, LedgerError>;

    /// Every token for the API.
    fn api_tokens(&self) -> Result<Vec<ApiTokenRecord>, LedgerError>;

    /// Every key under which callers had something made.
    fn once(&self) -> Result<Vec<OnceRecord>, LedgerError>;

    /// Every line that waits for the audit log, in order.
    fn audit_rows(&self) -> Result<Vec<AuditRow>, LedgerError>;

    /// How far the audit log is.
    fn audit_written(&self) -> Result<Option<AuditWritten>, LedgerError>;

    /// Every member.
    fn members(&self) -> Result<Vec<MemberRecord>, LedgerError>;

    /// A member's numbers.
    fn numbers(&self, member: MemberId) -> Result<Option<MemberNumbers>, LedgerError>;

    /// The certificates of a member that wait to be accepted.
    fn newer(&self, member: MemberId) -> Result<Vec<NewerCertificate>, LedgerError>;

    /// A task.
    fn task(&self, id: TaskId) -> Result<Option<TaskRecord>, LedgerError>;

    /// Tasks, the newest first, all of them or those that are older than one.
    fn tasks(&self, before: Option<TaskId>) -> Listed<'_, TaskRecord>;

    /// The newest attempts at a task, in no order.
    fn attempts(&self, id: TaskId) -> Result<Vec<AttemptRecord>, LedgerError>;

    /// What a task is to do.
    fn offer(&self, id: TaskId) -> Result<Option<Offer>, LedgerError>;

    /// What came of a task under one epoch.
    fn report(&self, id: TaskId, epoch: Epoch) -> Result<Option<Report>, LedgerError>;

    /// How new tasks may be of which nothing is known any more, once any was forgotten.
    fn forgotten(&self) -> Result<Option<ForgottenRecord>, LedgerError>;

    /// Every payload.
    fn streams(&self) -> Result<Vec<StreamRecord>, LedgerError>;

    /// Batches committed and barriers paid for them, since the start.
    fn commits_and_barriers(&self) -> (u64, u64);
}
