//! Why a request is not done.

/// What kind of no it is, as interfaces tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request makes no sense.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// It is there already, and different.
    Conflict,
    /// Whoever asks is not known any more.
    Unknown,
    /// It would break a rule.
    Forbidden,
    /// There are as many as there may be, until somebody takes some away.
    Overloaded,
    /// Too much at once, which passes by itself.
    Crowded,
    /// The disk is full.
    NoSpace,
    /// A defect of Postern's.
    Internal,
}

/// A no, with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of no.
    pub kind: RefusalKind,
    /// The field that is wrong, if one is.
    pub field: Option<&'static str>,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// A no.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, field: None, message: message.into() }
    }

    /// A no because of how things are by now.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Conflict, message)
    }

    /// A no because of one field.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Invalid, field: Some(field), message: message.into() }
    }
}

impl From<super::ledger::LedgerError> for Refusal {
    fn from(error: super::ledger::LedgerError) -> Self {
        tracing::error!(%error, "the ledger could not be read");
        Self::new(RefusalKind::Internal, "the controller could not read its ledger: see its log")
    }
}
