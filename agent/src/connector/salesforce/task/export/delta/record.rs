//! What is remembered of a record: for each attribute a keyed hash of its value.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::hmac;

use super::super::super::super::kept::buckets::{Fact, put_number, take_number};
use crate::dataset::writer::Cell;

/// Which attribute it is.
type Name = [u8; 4];
/// What it is.
type Hash = [u8; 6];

/// The attributes of the records of one run.
pub(super) struct Layout {
    words: Vec<hmac::Tag>,
    names: Arc<[Name]>,
}

/// Hashes of a record as one run found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) run: u64,
    names: Arc<[Name]>,
    hashes: Vec<Hash>,
}

/// What is stored: as the newest run found it, and as it was last handed over before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super::super::super) struct Known {
    pub(super) marks: Marks,
    pub(super) before: Option<Marks>,
}

impl Layout {
    pub(super) fn new<'a>(key: &hmac::Key, names: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<hmac::Tag> = names.map(|name| sign(key, &[b"name", name.as_bytes()])).collect();
        Self { names: words.iter().map(beginning).collect(), words }
    }
}

impl Marks {
    pub(super) fn new<'a>(key: &hmac::Key, run: u64, layout: &Layout, cells: impl Iterator<Item = &'a Cell>) -> Self {
        let hashes = layout.words.iter().zip(cells).map(|(word, cell)| hash(key, word, cell)).collect();
        Self { run, names: Arc::clone(&layout.names), hashes }
    }

    /// For each attribute whether it is another than before.
    pub(super) fn changed_since(&self, before: Option<&Self>) -> Vec<bool> {
        let before: BTreeMap<&Name, &Hash> =
            before.into_iter().flat_map(|it| it.names.iter().zip(&it.hashes)).collect();
        self.names.iter().zip(&self.hashes).map(|(name, hash)| before.get(name) != Some(&hash)).collect()
    }

    /// Records of one bucket mostly have the same attributes, so these are told only where they are others.
    fn encode(&self, leaning: Option<&Self>, out: &mut Vec<u8>) {
        put_number(self.run, out);
        if leaning.is_some_and(|it| it.names == self.names) {
            put_number(0, out);
        } else {
            put_number(u64::try_from(self.names.len()).unwrap_or(u64::MAX).saturating_add(1), out);
            out.extend(self.names.iter().flatten());
        }
        out.extend(self.hashes.iter().flatten());
    }

    fn decode<'a>(bytes: &'a [u8], leaning: Option<&Self>) -> Option<(Self, &'a [u8])> {
        let (run, bytes) = take_number(bytes)?;
        let (count, bytes) = take_number(bytes)?;
        let (names, bytes) = match count.checked_sub(1) {
            None => (Arc::clone(&leaning?.names), bytes),
            Some(count) => {
                let (names, rest) = take_arrays(bytes, usize::try_from(count).ok()?)?;
                (names.into(), rest)
            }
        };
        let (hashes, rest) = take_arrays(bytes, names.len())?;
        Some((Self { run, names, hashes }, rest))
    }
}

impl Fact for Known {
    fn encode(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        out.push(self.before.is_some().into());
        self.marks.encode(before.map(|it| &it.marks), out);
        if let Some(before) = &self.before {
            before.encode(Some(&self.marks), out);
        }
    }

    fn decode<'a>(bytes: &'a [u8], before: Option<&Self>) -> Option<(Self, &'a [u8])> {
        let (two, rest) = bytes.split_first()?;
        let (marks, rest) = Marks::decode(rest, before.map(|it| &it.marks))?;
        let (before, rest) = match two {
            0 => (None, rest),
            1 => Marks::decode(rest, Some(&marks)).map(|(before, rest)| (Some(before), rest))?,
            _ => return None,
        };
        Some((Self { marks, before }, rest))
    }
}

/// So many arrays, and what follows them.
fn take_arrays<const N: usize>(bytes: &[u8], count: usize) -> Option<(Vec<[u8; N]>, &[u8])> {
    let (arrays, rest) = bytes.split_at_checked(count.checked_mul(N)?)?;
    Some((arrays.chunks_exact(N).map(|array| array.try_into().ok()).collect::<Option<_>>()?, rest))
}

/// Six bytes of a keyed hash over an attribute's name and value: one change in 2^48 would be missed.
fn hash(key: &hmac::Key, word: &hmac::Tag, cell: &Cell) -> Hash {
    let value: &[u8] = if matches!(cell, Cell::Null) { b"0" } else { b"1" };
    beginning(&sign(key, &[b"value", word.as_ref(), value, cell.as_text().as_bytes()]))
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign()
}

fn beginning<const N: usize>(tag: &hmac::Tag) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::super::super::super::kept::buckets::MAX_FACTS;
    use super::*;
    use crate::connector::MAX_BUCKET;

    fn marks(run: u64, values: &[(&str, &str)]) -> Marks {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let layout = Layout::new(&key, values.iter().map(|(name, _)| *name));
        let cells: Vec<Cell> = values.iter().map(|(_, text)| Cell::Text((*text).to_owned())).collect();
        Marks::new(&key, run, &layout, cells.iter())
    }

    #[test]
    fn what_changed_is_found_whatever_the_order_of_attributes() {
        let before = marks(1, &[("A", "1"), ("B", "2")]);
        assert_eq!(marks(2, &[("B", "2"), ("A", "x"), ("C", "")]).changed_since(Some(&before)), [false, true, true]);
        assert_eq!(before.changed_since(None), [true, true]);
    }

    #[test]
    fn what_is_stored_comes_back_whatever_it_leans_on() {
        let one = Known { marks: marks(1, &[("A", "1"), ("B", "2")]), before: None };
        let same = Known { marks: marks(300, &[("A", "x"), ("B", "y")]), before: Some(one.marks.clone()) };
        let other = Known { marks: marks(2, &[("C", "3")]), before: Some(one.marks.clone()) };
        for (before, known) in [(None, &one), (Some(&one), &same), (Some(&same), &other), (Some(&other), &one)] {
            let mut bytes = Vec::new();
            known.encode(before, &mut bytes);
            let whole = bytes.len();
            bytes.push(7);
            let (read, rest) = Known::decode(&bytes, before).unwrap();
            assert_eq!((&read, rest), (known, [7].as_slice()));
            assert!((0..whole).all(|len| Known::decode(&bytes[..len], before).is_none()));
        }
        let mut bytes = Vec::new();
        same.encode(Some(&one), &mut bytes);
        assert!(Known::decode(&bytes, None).is_none(), "there is nothing to lean on");
    }

    #[test]
    fn records_with_as_many_attributes_as_may_be_fit_their_bucket() {
        let values: Vec<String> =
            (0..super::super::MAX_ATTRIBUTES).map(|number| format!("Attribute{number}")).collect();
        let values: Vec<(&str, &str)> = values.iter().map(|name| (name.as_str(), "x")).collect();
        let marks = marks(u64::MAX, &values);
        let known = Known { marks: marks.clone(), before: Some(marks) };
        let (mut first, mut other) = (Vec::new(), Vec::new());
        known.encode(None, &mut first);
        known.encode(Some(&known), &mut other);
        assert!(first.len() + MAX_FACTS * (other.len() + 5) <= MAX_BUCKET);
    }
}
