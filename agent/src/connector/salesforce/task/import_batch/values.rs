//! What the fields of a record get.

use serde_json::{Map, Value as Json};

/// Fields and their values, by official names. A few dozen at most, and thousands of these are held at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Values<'a>(Vec<(&'a str, Json)>);

impl<'a> Values<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &Json)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.iter().map(|(name, _)| name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(it, _)| *it == name).map(|(_, value)| value)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(it, _)| *it == name).map(|(_, value)| value)
    }

    /// Sets a field, whatever it was to get before.
    pub(super) fn insert(&mut self, name: &'a str, value: Json) {
        match self.get_mut(name) {
            Some(held) => *held = value,
            None => self.0.push((name, value)),
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Json) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// Gives back the room for fields that did not come.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(super) fn to_map(&self) -> Map<String, Json> {
        self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}
