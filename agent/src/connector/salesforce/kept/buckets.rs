//! Facts about records, those of many records in one value of the store.
//!
//! The store takes memory for each value, however small it is, and an org has millions of records. Ids are handed out in
//! order, so that records whose ids differ in the last digit alone mostly come together: their facts are one bucket.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use postern_protocol::{Failure, FailureClass};

use crate::connector::Keep;

/// Of this layout.
const VERSION: u8 = 1;
/// What ids of one bucket have in common.
const COMMON: usize = 14;
/// Facts of one bucket: one for each last digit, of ids of 15 and of 18 characters, and one of whatever is called like
/// the bucket.
pub(in super::super) const MAX_FACTS: usize = 2 * 62 + 1;
/// Buckets in memory at once: a page of 2,000 records in order, and some MiB at the very most.
const MAX_OPEN: usize = 32;

/// What is kept of one record.
pub(in super::super) trait Fact: Sized + Send + 'static {
    /// Adds its bytes. What stands in the fact before it need not be repeated.
    fn encode(&self, before: Option<&Self>, out: &mut Vec<u8>);

    /// Reads it, and returns what follows it.
    fn decode<'a>(bytes: &'a [u8], before: Option<&Self>) -> Option<(Self, &'a [u8])>;
}

/// The facts of one memory while they are read and changed.
pub(in super::super) struct Buckets<T> {
    keep: Arc<dyn Keep>,
    place: String,
    open: BTreeMap<String, Bucket<T>>,
}

/// Facts by what their ids do not have in common.
struct Bucket<T> {
    facts: BTreeMap<String, T>,
    changed: bool,
}

impl<T: Fact> Buckets<T> {
    /// The facts kept below `place`.
    pub(in super::super) fn new(keep: Arc<dyn Keep>, place: &str) -> Self {
        Self { keep, place: place.to_owned(), open: BTreeMap::new() }
    }

    /// What is kept of a record. Blocks.
    pub(in super::super) fn get(&mut self, id: &str) -> Result<Option<&T>, Failure> {
        let (common, own) = split(id);
        Ok(self.open(common)?.facts.get(own))
    }

    /// Changes what is kept of a record; `None` forgets it. Blocks. Nothing is durable before [`Self::write`].
    pub(in super::super) fn put(&mut self, id: &str, fact: Option<T>) -> Result<(), Failure> {
        let (common, own) = split(id);
        let bucket = self.open(common)?;
        bucket.changed = true;
        match fact {
            Some(fact) => drop(bucket.facts.insert(own.to_owned(), fact)),
            None => drop(bucket.facts.remove(own)),
        }
        Ok(())
    }

    /// Whether it is time for [`Self::write`].
    pub(in super::super) fn is_full(&self) -> bool {
        self.open.len() >= MAX_OPEN
    }

    /// Makes durable what was changed.
    pub(in super::super) async fn write(&mut self) -> Result<(), Failure> {
        let changed = std::mem::take(&mut self.open).into_iter().filter(|(_, bucket)| bucket.changed);
        let encoded = |(common, bucket): (String, Bucket<T>)| {
            (key(&self.place, &common), (!bucket.facts.is_empty()).then(|| encode(&bucket.facts)))
        };
        self.keep.keep_buckets(changed.map(encoded).collect()).await
    }

    /// Changes what is kept of many records, and makes it durable. Cut off in the middle, some of it is.
    pub(in super::super) async fn put_all(mut self, facts: Vec<(String, Option<T>)>) -> Result<(), Failure> {
        let mut facts = facts.into_iter();
        while facts.len() > 0 {
            let changed = tokio::task::spawn_blocking(move || {
                while !self.is_full()
                    && let Some((id, fact)) = facts.next()
                {
                    self.put(&id, fact)?;
                }
                Ok::<_, Failure>((self, facts))
            });
            (self, facts) = changed.await.map_err(|_| crashed())??;
            self.write().await?;
        }
        Ok(())
    }

    fn open(&mut self, common: &str) -> Result<&mut Bucket<T>, Failure> {
        match self.open.entry(common.to_owned()) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let facts = match self.keep.bucket(&key(&self.place, common))? {
                    Some(bytes) => decode(&bytes).ok_or_else(unreadable)?,
                    None => BTreeMap::new(),
                };
                Ok(place.insert(Bucket { facts, changed: false }))
            }
        }
    }
}

/// Shows every fact kept below `place`, with the id of its record, in the order of ids. Blocks.
pub(in super::super) fn each<T: Fact>(
    keep: &dyn Keep,
    place: &str,
    mut visit: impl FnMut(String, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let prefix = key(place, "");
    keep.each_bucket(&prefix, &mut |key, bytes| {
        let common = key.strip_prefix(&prefix).unwrap_or_default();
        let facts = decode(bytes).ok_or_else(unreadable)?;
        facts.into_iter().try_for_each(|(own, fact)| visit(format!("{common}{own}"), fact))
    })
}

/// The bytes of a bucket once more, if they are one.
pub(in super::super) fn again<T: Fact>(bytes: &[u8]) -> Option<Vec<u8>> {
    decode::<T>(bytes).map(|facts| encode(&facts))
}

/// Of how many records something is kept below `place`, whatever it is. Blocks.
pub(in super::super) fn count(keep: &dyn Keep, place: &str) -> Result<u64, Failure> {
    let mut records = 0;
    keep.each_bucket(&key(place, ""), &mut |_, bytes| {
        records += count_of(bytes).map_or(0, |(count, _)| u64::from(count));
        Ok(())
    })?;
    Ok(records)
}

/// Forgets everything kept below `place`. Cut off in the middle, some is left.
pub(in super::super) async fn forget(keep: &dyn Keep, place: &str) -> Result<(), Failure> {
    keep.forget_buckets(&key(place, "")).await
}

/// Adds a number in as few bytes as it needs.
pub(in super::super) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// Reads such a number, and returns what follows it.
pub(in super::super) fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut rest) = (0, bytes);
    for place in 0..10 {
        let (byte, after) = rest.split_first()?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        rest = after;
        if byte & 0x80 == 0 {
            return Some((number, rest));
        }
    }
    None
}

/// Adds a text, or the beginning of one that is longer than any that Salesforce has for a name.
pub(in super::super) fn put_text(text: &str, out: &mut Vec<u8>) {
    let text = text.get(..text.floor_char_boundary(u8::MAX.into())).unwrap_or_default();
    out.extend(u8::try_from(text.len()));
    out.extend(text.as_bytes());
}

/// Reads such a text, and returns what follows it.
pub(in super::super) fn take_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// What an id has in common with those of its bucket, and what is its own. What is no id is a bucket of its own.
fn split(id: &str) -> (&str, &str) {
    let is_id = matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id { id.split_at_checked(COMMON).unwrap_or((id, "")) } else { (id, "") }
}

fn key(place: &str, common: &str) -> String {
    format!("{place}/{common}")
}

fn encode<T: Fact>(facts: &BTreeMap<String, T>) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(u8::try_from(facts.len()));
    let mut before = None;
    for (own, fact) in facts {
        put_text(own, &mut out);
        fact.encode(before, &mut out);
        before = Some(fact);
    }
    out
}

fn decode<T: Fact>(bytes: &[u8]) -> Option<BTreeMap<String, T>> {
    let (count, mut rest) = count_of(bytes)?;
    let mut facts: Vec<(String, T)> = Vec::new();
    for _ in 0..count {
        let (own, after) = take_text(rest)?;
        let (fact, after) = T::decode(after, facts.last().map(|(_, fact)| fact))?;
        facts.push((own.to_owned(), fact));
        rest = after;
    }
    let sorted = facts.is_sorted_by(|(one, _), (other, _)| one < other);
    (sorted && rest.is_empty()).then(|| facts.into_iter().collect())
}

/// How many facts a bucket has, and where they begin.
fn count_of(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let ([VERSION, count], facts) = bytes.split_first_chunk()? else { return None };
    (usize::from(*count) <= MAX_FACTS).then_some((*count, facts))
}

fn unreadable() -> Failure {
    let summary = "What is remembered of records was written by another version of the agent, or is damaged";
    Failure::new(FailureClass::Internal, "memory_unreadable", summary)
        .with_next_step("Begin anew: a delta with `restart`, a collection under another name")
}

fn crashed() -> Failure {
    Failure::new(FailureClass::Internal, "memory_crashed", "remembering records ended in a defect")
}
