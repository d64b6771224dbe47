//! What is remembered of a record: for each attribute a keyed hash of its value.

use std::collections::BTreeMap;

use ring::hmac;

use crate::dataset::writer::Cell;

const NAME: usize = 4;
const HASH: usize = 6;
/// One attribute: which it is, and its hash.
const MARK: usize = NAME + HASH;

/// Hashes of a record as one run found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    /// The run; zero until it is stored.
    pub(super) run: u64,
    marks: Vec<[u8; MARK]>,
}

/// What is stored: as the newest run found it, and as it was last handed over before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) run: u64,
    pub(super) marks: Marks,
    pub(super) before: Option<Marks>,
}

impl Marks {
    pub(super) fn new<'a>(key: &hmac::Key, cells: impl Iterator<Item = (&'a str, &'a Cell)>) -> Self {
        Self { run: 0, marks: cells.map(|(name, cell)| mark(key, name, cell)).collect() }
    }

    /// For each attribute whether it is another than before.
    pub(super) fn changed_since(&self, before: Option<&Self>) -> Vec<bool> {
        let before: BTreeMap<&[u8], &[u8]> =
            before.into_iter().flat_map(|it| &it.marks).map(|mark| mark.split_at(NAME)).collect();
        let changed = |mark: &[u8; MARK]| {
            let (name, hash) = mark.split_at(NAME);
            before.get(name) != Some(&hash)
        };
        self.marks.iter().map(changed).collect()
    }

    fn encode(&self, run: u64, out: &mut Vec<u8>) {
        out.extend(run.to_le_bytes());
        out.extend(u16::try_from(self.marks.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(self.marks.iter().flatten());
    }

    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (run, bytes) = bytes.split_first_chunk::<8>()?;
        let (count, bytes) = bytes.split_first_chunk::<2>()?;
        let (marks, rest) = bytes.split_at_checked(usize::from(u16::from_le_bytes(*count)) * MARK)?;
        let marks = marks.chunks_exact(MARK).map(|mark| mark.try_into().ok()).collect::<Option<_>>()?;
        Some((Self { run: u64::from_le_bytes(*run), marks }, rest))
    }
}

impl Known {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.marks.encode(self.run, &mut out);
        if let Some(before) = &self.before {
            before.encode(before.run, &mut out);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (marks, rest) = Marks::decode(bytes)?;
        let before = if rest.is_empty() { None } else { Some(Marks::decode(rest)?.0) };
        Some(Self { run: marks.run, marks, before })
    }
}

/// Which attribute, and six bytes of a keyed hash over its name and value: one change in 2^48 would be missed.
fn mark(key: &hmac::Key, name: &str, cell: &Cell) -> [u8; MARK] {
    let hash = |parts: &[&[u8]]| {
        let mut context = hmac::Context::with_key(key);
        for part in parts {
            context.update(part);
        }
        context.sign()
    };
    let word = hash(&[b"name", name.as_bytes()]);
    let value: &[u8] = if matches!(cell, Cell::Null) { b"0" } else { b"1" };
    let hashed = hash(&[b"value", word.as_ref(), value, cell.as_text().as_bytes()]);
    let mut mark = [0; MARK];
    let bytes = word.as_ref().iter().take(NAME).chain(hashed.as_ref().iter().take(HASH));
    mark.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::MAX_NOTE;

    fn marks(values: &[(&str, &str)]) -> Marks {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let cells: Vec<(&str, Cell)> =
            values.iter().map(|(name, text)| (*name, Cell::Text((*text).to_owned()))).collect();
        Marks::new(&key, cells.iter().map(|(name, cell)| (*name, cell)))
    }

    #[test]
    fn what_changed_is_found_whatever_the_order_of_attributes() {
        let before = marks(&[("A", "1"), ("B", "2")]);
        assert_eq!(marks(&[("B", "2"), ("A", "x"), ("C", "")]).changed_since(Some(&before)), [false, true, true]);
        assert_eq!(before.changed_since(None), [true, true]);
    }

    #[test]
    fn a_record_with_as_many_attributes_as_may_be_fits_its_place() {
        let values: Vec<String> =
            (0..super::super::MAX_ATTRIBUTES).map(|number| format!("Attribute{number}")).collect();
        let values: Vec<(&str, &str)> = values.iter().map(|name| (name.as_str(), "x")).collect();
        let before = Marks { run: 4, ..marks(&values) };
        let known = Known { run: 7, marks: Marks { run: 7, ..marks(&values) }, before: Some(before) };
        let bytes = known.encode();
        assert!(bytes.len() <= MAX_NOTE);
        assert_eq!(Known::decode(&bytes), Some(known));
        assert_eq!(Known::decode(bytes.get(..20).unwrap()), None);
    }
}
