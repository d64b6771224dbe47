//! What kinds of records there are, told apart by a tag.

use std::fmt;

/// One kind of record: a name for people and a tag on disk.
///
/// The tag is part of every key and of what is authenticated, so a record cannot be moved to
/// another table. Tags are never reused for another meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Table {
    name: &'static str,
    tag: u8,
}

impl Table {
    /// The store's own records: incarnation and group number.
    pub(crate) const SYSTEM: Self = Self { name: "system", tag: 0 };

    /// A table named `name`, whose records carry `tag` on disk.
    ///
    /// # Panics
    ///
    /// With tag 0, which is the store's own. In a `const` that does not compile.
    pub const fn new(name: &'static str, tag: u8) -> Self {
        assert!(tag != 0, "tag 0 belongs to the store itself");
        Self { name, tag }
    }

    /// The name, as it stands in errors.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The byte that stands for this table on disk.
    pub const fn tag(&self) -> u8 {
        self.tag
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.tag)
    }
}
