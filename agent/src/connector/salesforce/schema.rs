//! What objects of the org look like.

pub(super) mod describe;
