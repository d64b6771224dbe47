//! What is kept of an org, and noted of tasks for it, by versions before.

use data_encoding::HEXLOWER;
use postern_agent::connector::salesforce::notes::{Again, KINDS};
use postern_agent::policy::Counters;

/// What is kept of a system whatever its connector, behind what is of Salesforce.
const COUNTERS: Again = |bytes| serde_json::to_vec(&serde_json::from_slice::<Counters>(bytes).ok()?).ok();

/// Every kind as the first version wrote it, a line each: its number in [`KINDS`], or that behind them for [`COUNTERS`], what
/// it is, and the text, or the bytes in hexadecimal.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/golden/notes-1");

/// Add a field to a note, or name one otherwise, and an agent that is upgraded with work under way takes what it noted for
/// nothing: a second password, a second job. Whoever does so on purpose has these read all the same.
#[test]
fn what_was_kept_and_noted_is_read_as_it_was_written() {
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    let kinds = [&KINDS[..], &[COUNTERS]].concat();
    let mut seen = vec![false; kinds.len()];
    for line in golden.lines() {
        let [kind, what, written] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three cells: {line}") };
        let kind: usize = kind.parse().unwrap();
        let is_text = written.starts_with(['{', '[']);
        let written = if is_text { written.into() } else { HEXLOWER.decode(written.as_bytes()).unwrap() };
        let again = kinds[kind](&written);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(again.as_deref().map(shown), Some(shown(&written)), "{what}");
        assert_eq!(again, Some(written), "{what}");
        seen[kind] = true;
    }
    assert_eq!(seen, vec![true; kinds.len()], "there is a line of every kind");
}
