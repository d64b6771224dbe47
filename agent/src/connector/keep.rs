//! What a connector finds again after a restart.

use postern_protocol::{Failure, TaskId};

#[cfg(doc)]
use super::MAX_NOTE;
use super::Pending;

/// What looks at a key and its value.
pub type Visit<'a> = dyn FnMut(&str, &[u8]) -> Result<(), Failure> + 'a;

/// The most bytes of one bucket.
pub const MAX_BUCKET: usize = 192 * 1024;

/// The key of a bucket, and its content; `None`: it is forgotten.
pub type Bucket = (String, Option<Vec<u8>>);

/// Small facts a connector wants to find again after a restart, e.g. how it last signed in. Not for secrets.
pub trait Keep: Send + Sync {
    /// The value last kept under `key`.
    fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Keeps a value of at most [`MAX_NOTE`] bytes. Durable when it returns.
    fn keep<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, Result<(), Failure>>;

    /// Forgets what is kept under `key`.
    fn forget<'a>(&'a self, key: &'a str) -> Pending<'a, Result<(), Failure>>;

    /// The bucket last kept under `key`. Buckets and values have keys of their own.
    fn bucket(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Keeps buckets, or forgets them, in this order and each whole or not at all. All is durable when it returns; before,
    /// some may be.
    fn keep_buckets(&self, buckets: Vec<Bucket>) -> Pending<'_, Result<(), Failure>>;

    /// Shows every bucket whose key begins with `prefix`, with its key, in the order of keys. Blocks.
    fn each_bucket(&self, prefix: &str, visit: &mut Visit<'_>) -> Result<(), Failure>;

    /// Forgets every bucket whose key begins with `prefix`. Cut off in the middle, some are left.
    fn forget_buckets<'a>(&'a self, prefix: &'a str) -> Pending<'a, Result<(), Failure>>;

    /// Whether a task succeeded and what came of it is known to be in the hands of its requester's side.
    fn delivered(&self, task: TaskId) -> Result<bool, Failure>;

    /// Whether a task that had ended here was taken anew. Then the controller may have lost what came of it and of others, because
    /// it was put back from a copy; or it wanted no more than another attempt, having given the task to another member meanwhile.
    fn taken_anew(&self, task: TaskId) -> Result<bool, Failure>;

    /// Whether what comes of a task, or came of it, may yet be handed over: it is not over here, or its results are on their way.
    /// Whoever asks for both asks for this first, for what is no more on its way may have arrived.
    fn owed(&self, task: TaskId) -> Result<bool, Failure>;
}
