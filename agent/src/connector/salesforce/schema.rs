//! What objects of the org look like.

pub(super) mod describe;
mod standard;

use standard::OBJECTS;

/// The objects that can be exported.
pub(super) fn objects() -> impl Iterator<Item = &'static str> {
    OBJECTS.iter().map(|(name, _)| *name)
}

/// The object of that name, in any case, and its standard attributes.
pub(super) fn standard(object: &str) -> Option<(&'static str, impl Iterator<Item = &'static str>)> {
    let (name, attributes) = OBJECTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(object))?;
    Some((*name, attributes.iter().map(|(name, _, _)| *name)))
}
