use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::connector::MAX_BUCKET;
use crate::kept::Kept;

const PLACE: &str = "salesforce/test/0";

impl Fact for String {
    fn encode(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        // What is the same as before is not repeated.
        let same = before == Some(self);
        out.push(same.into());
        if !same {
            put_text(self, out);
        }
    }

    fn decode<'a>(bytes: &'a [u8], before: Option<&Self>) -> Option<(Self, &'a [u8])> {
        match bytes.split_first()? {
            (1, rest) => Some((before?.clone(), rest)),
            (_, rest) => take_text(rest).map(|(text, rest)| (text.to_owned(), rest)),
        }
    }
}

fn keep(folder: &tempfile::TempDir) -> Arc<dyn Keep> {
    Arc::new(Kept::in_folder(folder.path()))
}

fn all(keep: &dyn Keep) -> Vec<(String, String)> {
    let mut all = Vec::new();
    each(keep, PLACE, |id, fact: String| {
        all.push((id, fact));
        Ok(())
    })
    .unwrap();
    all
}

/// Few enough to meet again, in few buckets and in many; some differ in nothing but case.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "0050000000[0-1]{3}[aA][0-9A-Za-z]",
        4 => "0050000000[0-1]{3}[aA][aA1][ABab]{3}",
        2 => "[aA]{15}",
        1 => "[a-z]{0,3}",
        1 => "0050000000000a",
    ]
}

type Change = (String, Option<String>);

fn batches() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let fact = prop::option::weighted(0.8, "[xy]{0,2}");
    prop::collection::vec(prop::collection::vec((id(), fact), 0..120), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Take the case of ids for nothing, or forget a bucket that has another fact, and this fails.
    #[test]
    fn buckets_answer_like_a_plain_map(batches in batches(), asked in prop::collection::vec(id(), 40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let keep = keep(&folder);
            let mut plain = BTreeMap::new();
            for (number, batch) in batches.into_iter().enumerate() {
                for (id, fact) in batch.clone() {
                    match fact {
                        Some(fact) => plain.insert(id, fact),
                        None => plain.remove(&id),
                    };
                }
                let mut buckets = Buckets::new(Arc::clone(&keep), PLACE);
                if number % 2 == 0 {
                    buckets.put_all(batch).await.unwrap();
                } else {
                    for (id, fact) in batch {
                        buckets.put(&id, fact).unwrap();
                    }
                    buckets.write().await.unwrap();
                }
            }
            let mut buckets = Buckets::<String>::new(Arc::clone(&keep), PLACE);
            for id in asked.iter().chain(plain.keys()) {
                prop_assert_eq!(buckets.get(id).unwrap(), plain.get(id));
            }
            prop_assert_eq!(count(keep.as_ref(), PLACE).unwrap(), u64::try_from(plain.len()).unwrap());
            prop_assert_eq!(all(keep.as_ref()).into_iter().collect::<BTreeMap<_, _>>(), plain);
            forget(keep.as_ref(), PLACE).await.unwrap();
            prop_assert!(all(keep.as_ref()).is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn numbers_and_texts_come_back(number in any::<u64>(), shift in 0_u32..64, text in ".{0,80}") {
        let number = number >> shift;
        let mut bytes = Vec::new();
        put_number(number, &mut bytes);
        put_text(&text, &mut bytes);
        let (read, rest) = take_number(&bytes).unwrap();
        prop_assert_eq!(read, number);
        let (read, rest) = take_text(rest).unwrap();
        prop_assert!(rest.is_empty() && text.starts_with(read) && (read == text || text.len() > 255));
    }

    #[test]
    fn whatever_the_bytes_they_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [vec![VERSION, 3], bytes].concat();
        if let Some(facts) = decode::<String>(&bytes) {
            prop_assert_eq!(facts.len(), 3);
        }
    }
}

/// Read a fact that was put where there is room for two, and this fails.
#[test]
fn a_bucket_of_another_layout_is_refused() {
    let facts: BTreeMap<String, String> = ["a", "b"].into_iter().map(|own| (own.to_owned(), own.to_owned())).collect();
    let bytes = encode(&facts);
    assert_eq!(decode::<String>(&bytes), Some(facts));
    let changed = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        decode::<String>(&bytes)
    };
    assert_eq!(changed(0, VERSION + 1), None);
    assert_eq!(changed(1, 1), None, "something is left");
    assert_eq!(changed(1, 3), None, "something is missing");
    assert_eq!(changed(3, b'b'), None, "twice the same");
    assert_eq!(decode::<String>(&[]), None);
}

#[tokio::test]
async fn an_unreadable_bucket_is_told_and_can_be_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let keep = keep(&folder);
    let id = "005000000000001AAA";
    let (common, _) = split(id);
    keep.keep_buckets(vec![(key(PLACE, common), Some(vec![9, 9, 9]))]).await.unwrap();
    let mut buckets = Buckets::<String>::new(Arc::clone(&keep), PLACE);
    assert_eq!(buckets.get(id).unwrap_err().code.as_str(), "memory_unreadable");
    assert_eq!(each(keep.as_ref(), PLACE, |_, _: String| Ok(())).unwrap_err().code.as_str(), "memory_unreadable");
    assert_eq!(count(keep.as_ref(), PLACE).unwrap(), 0);
    forget(keep.as_ref(), PLACE).await.unwrap();
    assert_eq!(buckets.get(id).unwrap(), None);
}

/// The largest bucket there may be, written over by a smaller one, beside another memory.
#[tokio::test]
async fn a_bucket_larger_than_a_value_is_kept_whole_and_alone() {
    let folder = tempfile::tempdir().unwrap();
    let keep = keep(&folder);
    let large: Vec<u8> = (0..MAX_BUCKET).map(|at| at.to_le_bytes()[1]).collect();
    let names: Vec<String> = (0..4).map(|number| format!("a/{number}")).collect();
    keep.keep_buckets(names.iter().map(|name| (name.clone(), Some(large.clone()))).collect()).await.unwrap();
    keep.keep_buckets(vec![("b/0".to_owned(), Some(vec![1]))]).await.unwrap();
    assert_eq!(keep.bucket("a/3").unwrap(), Some(large.clone()));

    let changes = vec![(names[0].clone(), Some(vec![2])), (names[1].clone(), None)];
    keep.keep_buckets(changes).await.unwrap();
    let mut seen = BTreeSet::new();
    keep.each_bucket("a/", &mut |key, bytes| {
        seen.insert((key.to_owned(), bytes.len()));
        Ok(())
    })
    .unwrap();
    let expected = [("a/0", 1), ("a/2", MAX_BUCKET), ("a/3", MAX_BUCKET)];
    assert_eq!(seen, expected.map(|(key, len)| (key.to_owned(), len)).into());
    keep.forget_buckets("a/").await.unwrap();
    assert_eq!((keep.bucket("a/2").unwrap(), keep.bucket("b/0").unwrap()), (None, Some(vec![1])));
}
