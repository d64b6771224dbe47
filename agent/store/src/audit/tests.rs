use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::line::Wrong;
use super::verify::{VerifyError, Why};
use super::*;

/// A log, and where it is.
struct Lab {
    folder: TempDir,
    log: Log,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("audit"), None).unwrap().log;
        Self { folder, log }
    }

    /// With lines 1 to `lines`.
    fn with(lines: u64) -> Self {
        let mut lab = Self::new();
        lab.log.append(&events(1..=lines)).unwrap();
        lab
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn file(&self, number: u32) -> PathBuf {
        file(&self.directory(), number)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file(1)).unwrap()
    }

    /// Its lines, put together anew.
    fn rewrite(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.text().lines().map(|line| format!("{line}\n")).collect();
        change(&mut lines);
        fs::write(self.file(1), lines.concat()).unwrap();
    }

    /// Three lines of other things, which follow each other.
    fn write_anew(&self) {
        let mut head = Head::default();
        let lines = events(11..=13).into_iter().map(|event| {
            let (line, after) = event.after(head).unwrap();
            head = after;
            line
        });
        fs::write(self.file(1), lines.collect::<String>()).unwrap();
    }

    fn reopen(&mut self, known: Option<Head>) -> (u64, Option<Fault>) {
        let opened = Log::open(&self.directory(), known).unwrap();
        self.log = opened.log;
        (opened.cut, opened.fault)
    }

    fn verify(&self, known: Option<Head>) -> Result<Verified, Break> {
        let directory = self.directory();
        let verifier = known.into_iter().fold(Verifier::new(&directory), Verifier::known);
        verifier.run(|_| ()).map_err(|error| match error {
            VerifyError::Broken(broken) => *broken,
            VerifyError::Unread(error) => panic!("{error}"),
        })
    }

    /// In which line of the first file the chain breaks, and how.
    fn broken(&self) -> (u64, Why) {
        let broken = self.verify(None).unwrap_err();
        assert_eq!(broken.file, self.file(1));
        (broken.line, broken.why)
    }
}

fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<Event> {
    let event = |number| Event { time: 1_772_352_900_000 + number, what: format!("{{\"did\":\"thing {number}\"}}") };
    numbers.into_iter().map(event).collect()
}

/// The very bytes, for whoever verifies a log without this crate.
#[test]
fn the_form_of_a_line_is_for_ever() {
    let lab = Lab::with(2);
    let lines = [
        "{\"no\":1,\"time\":\"2026-03-01T08:15:00.001Z\",\"event\":{\"did\":\"thing 1\"},\
         \"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\
         \"hash\":\"db490f1879593bab6bcd6eb080bd82902072d4b93aa6abd265c98477f4b25fba\"}\n",
        "{\"no\":2,\"time\":\"2026-03-01T08:15:00.002Z\",\"event\":{\"did\":\"thing 2\"},\
         \"prev\":\"db490f1879593bab6bcd6eb080bd82902072d4b93aa6abd265c98477f4b25fba\",\"hash\":\"381b0039f7b50082a6bb53f3032451e006461632c6d81d82615aef39a8a85198\"}\n",
    ];
    assert_eq!(lab.text(), lines.concat());
}

/// Forget that a line may begin in one block and end in another, and long ones are lost.
#[test]
fn lines_are_shown_backwards_whatever_blocks_and_files_they_stand_in() {
    let mut lab = Lab::new();
    let long = |number| Event { time: 0, what: format!("{{\"did\":\"{}\"}}", "x".repeat(number % (MAX_EVENT - 10))) };
    let lines = 700;
    for number in 1..=lines {
        lab.log.append([&long(number * 977)]).unwrap();
    }
    fs::write(lab.file(2), format!("{}{{\"no\":9", fs::read_to_string(lab.file(2)).unwrap())).unwrap();
    let shown = |before: Option<u64>, most: usize| {
        let mut numbers = Vec::new();
        backwards(&lab.directory(), before, |line| {
            numbers.push(line.head.number);
            numbers.len() < most
        })
        .unwrap();
        numbers
    };
    let all: Vec<u64> = (1..=700).rev().collect();
    assert!(lab.file(2).exists() && !lab.file(3).exists());
    assert_eq!(shown(None, usize::MAX), all);
    assert_eq!(shown(None, 2), [700, 699]);
    assert_eq!(shown(Some(3), 9), [2, 1]);
    assert!(shown(Some(1), 9).is_empty());
    lab.rewrite(|lines| lines[0] = lines[0].replace("\"no\":1,", "\"no\":1,\"x\":1,"));
    assert!(matches!(backwards(&lab.directory(), Some(3), |_| true), Err(AuditError::Line { .. })));
}

#[test]
fn what_was_appended_is_found_whole_over_files_and_restarts() {
    let mut lab = Lab::new();
    let big = Event { time: 0, what: format!("{{\"did\":\"{}\"}}", "x".repeat(MAX_EVENT - 10)) };
    for _ in 0..2 {
        for _ in 0..150 {
            lab.log.append([&big, &big]).unwrap();
        }
        let head = lab.log.head();
        assert_eq!(lab.reopen(Some(head)), (0, None));
        assert_eq!(lab.log.head(), head);
    }
    let found = lab.verify(Some(lab.log.head())).unwrap();
    assert_eq!(found, Verified { head: lab.log.head(), lines: 600, files: 3, unfinished: 0 });
    for number in 1..=3 {
        let file = fs::metadata(lab.file(number)).unwrap();
        assert!(file.len() <= FILE_BYTES && file.mode() & 0o777 == 0o600);
    }
}

#[test]
fn an_event_that_would_break_the_form_is_refused() {
    let mut lab = Lab::new();
    for what in ["", "[]", "{\"a\":\n1}", &format!("{{{}}}", "x".repeat(MAX_EVENT))] {
        let event = Event { time: 0, what: what.to_owned() };
        assert!(matches!(lab.log.append([&event]), Err(AuditError::Event { .. })), "{what:.20}");
    }
    assert_eq!(lab.log.head(), Head::default());
}

#[test]
fn an_edited_line_is_named() {
    let lab = Lab::with(5);
    fs::write(lab.file(1), lab.text().replace("thing 3", "thing 9")).unwrap();
    assert_eq!(lab.broken(), (3, Why::Line(Wrong::Edited)));
}

#[test]
fn a_line_that_was_edited_with_its_hash_is_named_by_the_next() {
    let lab = Lab::with(5);
    let head = |number| events(1..=number).iter().fold(Head::default(), |head, it| it.after(head).unwrap().1);
    let other = Event { time: 0, what: "{}".to_owned() }.after(head(2)).unwrap().0;
    lab.rewrite(|lines| lines[2] = other);
    assert_eq!(lab.broken(), (4, Why::Link));
}

#[test]
fn removed_inserted_and_moved_lines_are_named() {
    let lab = Lab::with(5);
    let text = lab.text();
    let mut heads = Vec::new();
    Verifier::new(&lab.directory()).run(|line| heads.push(line.head)).unwrap();
    let after = |change: fn(&mut Vec<String>)| {
        fs::write(lab.file(1), &text).unwrap();
        lab.rewrite(change);
        lab.broken()
    };
    let removed = after(|lines| drop(lines.remove(2)));
    assert_eq!(removed, (3, Why::Number { expected: 3, found: 4 }));
    let inserted = after(|lines| lines.insert(3, lines[1].clone()));
    assert_eq!(inserted, (4, Why::Number { expected: 4, found: 2 }));
    let moved = after(|lines| lines.swap(1, 2));
    assert_eq!(moved, (2, Why::Number { expected: 2, found: 3 }));
    let beginning = after(|lines| drop(lines.remove(0)));
    assert_eq!(beginning, (1, Why::Begins { after: heads[0] }));
    let blank = after(|lines| lines.insert(1, "\n".to_owned()));
    assert_eq!(blank, (2, Why::Line(Wrong::Malformed)));
    let foreign = after(|lines| lines.push("{\"no\":6}\n".to_owned()));
    assert_eq!(foreign, (6, Why::Line(Wrong::Malformed)));
}

#[test]
fn a_line_longer_than_may_be_is_named_and_not_read() {
    let lab = Lab::with(2);
    lab.rewrite(|lines| lines.insert(1, "x".repeat(3 * MAX_LINE)));
    assert_eq!(lab.broken(), (2, Why::Line(Wrong::TooLong)));
}

#[test]
fn every_byte_that_is_changed_is_noticed() {
    let lab = Lab::with(2);
    let (text, head) = (lab.text(), lab.log.head());
    for index in 0..text.len() {
        for flip in [0x01, 0x20, 0xff] {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= flip;
            fs::write(lab.file(1), &bytes).unwrap();
            assert!(lab.verify(Some(head)).is_err(), "byte {index} ^ {flip:02x}");
        }
    }
}

#[test]
fn an_end_that_was_cut_off_is_noticed_by_who_knows_the_head() {
    let lab = Lab::with(5);
    let head = lab.log.head();
    let text = lab.text();
    for len in 0..text.len() {
        fs::write(lab.file(1), &text[..len]).unwrap();
        let broken = lab.verify(Some(head)).unwrap_err();
        assert_eq!(broken.why, Why::Short { expected: 5 }, "{len}");
        assert!(lab.verify(None).is_ok());
    }
    fs::remove_file(lab.file(1)).unwrap();
    assert_eq!(lab.verify(Some(head)).unwrap_err().why, Why::Short { expected: 5 });
}

#[test]
fn a_log_that_was_written_anew_is_noticed_by_who_knows_a_line() {
    let mut lab = Lab::with(3);
    let known = lab.log.head();
    fs::remove_file(lab.file(1)).unwrap();
    lab.reopen(None);
    lab.log.append(&events(11..=15)).unwrap();
    let broken = lab.verify(Some(known)).unwrap_err();
    assert_eq!((broken.line, broken.why), (3, Why::Other));
    assert!(lab.verify(None).is_ok());
}

/// Three files of one line each.
fn three_files() -> Lab {
    let mut lab = Lab::with(1);
    let away = lab.folder.path().join("away");
    for number in 2..=3 {
        let newest = lab.file(number - 1);
        fs::rename(&newest, &away).unwrap();
        lab.log.append(&events([number.into()])).unwrap();
        fs::rename(&away, &newest).unwrap();
    }
    lab
}

#[test]
fn a_missing_file_is_named() {
    let lab = three_files();
    assert_eq!(lab.verify(None).unwrap().files, 3);
    fs::rename(lab.file(2), lab.folder.path().join("2")).unwrap();
    let broken = lab.verify(None).unwrap_err();
    assert_eq!((broken.file, broken.why), (lab.file(2), Why::Missing));
    fs::rename(lab.folder.path().join("2"), lab.file(2)).unwrap();
    let text = fs::read(lab.file(2)).unwrap();
    fs::write(lab.file(2), &text[..text.len() - 1]).unwrap();
    let broken = lab.verify(None).unwrap_err();
    assert_eq!((broken.file, broken.line, broken.why), (lab.file(2), 1, Why::CutOff));
    fs::write(lab.file(2), "").unwrap();
    let broken = lab.verify(None).unwrap_err();
    assert_eq!((broken.file, broken.line, broken.why), (lab.file(3), 1, Why::Number { expected: 2, found: 3 }));
}

/// Leave the head out of the sentence, and whoever asks in need is shown nothing, and not told how to ask.
#[test]
fn old_files_may_be_moved_away_by_who_knows_how_they_ended() {
    let lab = three_files();
    let mut heads = Vec::new();
    let directory = lab.directory();
    Verifier::new(&directory).run(|line| heads.push(line.head)).unwrap();
    fs::remove_file(lab.file(1)).unwrap();
    let told = lab.verify(None).unwrap_err().to_string();
    let named: Head = told.split_once("`--after ").unwrap().1.split_once('`').unwrap().0.parse().unwrap();
    assert_eq!(named, heads[0]);
    let mut left = Vec::new();
    Verifier::new(&directory).after(named).run(|line| left.push(line.head)).unwrap();
    assert_eq!(left, heads[1..]);
    let found = Verifier::new(&directory).after(heads[0]).known(heads[0]).run(|_| ()).unwrap();
    assert_eq!((found.lines, found.head), (2, heads[2]));
    let another = Head { number: 1, ..heads[2] };
    let error = Verifier::new(&directory).after(another).run(|_| ()).unwrap_err();
    assert!(matches!(error, VerifyError::Broken(broken) if broken.why == Why::Link));
}

/// What is left says itself what it follows: so may what somebody wrote anew.
#[test]
fn a_line_that_is_known_is_not_taken_for_there_where_its_file_is_away() {
    let lab = three_files();
    let mut heads = Vec::new();
    let directory = lab.directory();
    Verifier::new(&directory).run(|line| heads.push(line.head)).unwrap();
    fs::remove_file(lab.file(1)).unwrap();
    let another = Head { number: 1, ..heads[2] };
    let why = |verifier: &Verifier<'_>| match verifier.run(|_| ()).unwrap_err() {
        VerifyError::Broken(broken) => (broken.line, broken.why),
        VerifyError::Unread(error) => panic!("{error}"),
    };
    let behind_one = Verifier::new(&directory).after(heads[0]);
    assert_eq!(why(&behind_one.known(another)), (1, Why::Follows { number: 1 }));

    fs::remove_file(lab.file(2)).unwrap();
    let behind_two = || Verifier::new(&directory).after(heads[1]);
    assert_eq!(why(&behind_two().remembered(heads[0])), (1, Why::Beyond { after: 2, last: 1 }));
    assert_eq!(behind_two().remembered(heads[2]).known(heads[1]).run(|_| ()).unwrap().lines, 1);
    assert_eq!(behind_two().remembered(Head::default()).run(|_| ()).unwrap().lines, 1, "whoever remembers none");

    let check = |noted: &[Head]| {
        let check =
            Check { directory: &directory, heads: noted, after: Some(heads[1]), remembered: None, compared: "" };
        let found = check.run(|_| ()).unwrap();
        let Found::Whole(whole) = &found else { panic!("{found:?}") };
        (whole.doubt(), found.json()["not_looked_at"].clone())
    };
    assert_eq!(check(&[heads[1], heads[2]]), (None, json!([])));
    let (doubt, told) = check(&[another, heads[2]]);
    assert!(doubt.unwrap().contains(&format!("whether {another} was written")));
    assert_eq!(told, json!([another.to_string()]));
}

/// Wherever a crash cuts what was not told to be written, the log goes on behind what was.
#[test]
fn a_line_that_a_crash_cut_is_cut_off_and_written_again() {
    let mut lab = Lab::with(3);
    let known = lab.log.head();
    let written = lab.text().len();
    lab.log.append(&events(4..=4)).unwrap();
    let (text, head) = (lab.text(), lab.log.head());
    for len in (written..text.len()).step_by(3) {
        fs::write(lab.file(1), &text[..len]).unwrap();
        assert_eq!(lab.verify(None).unwrap().unfinished, len - written);
        for known in [Some(known), None] {
            let mut torn = fs::read(lab.file(1)).unwrap();
            torn.extend_from_slice(&[0; 64]);
            fs::write(lab.file(1), torn).unwrap();
            assert_eq!(lab.reopen(known), (u64::try_from(len - written + 64).unwrap(), None));
            assert_eq!(lab.log.append(&events(4..=4)).unwrap(), head);
            assert_eq!(lab.text(), text);
            fs::write(lab.file(1), &text[..len]).unwrap();
        }
    }
    fs::write(lab.file(1), &text).unwrap();
    assert_eq!((lab.reopen(Some(known)), lab.log.head()), ((0, None), head));
}

/// Puts so many zeros there. Returns how long the file is.
fn zero(lab: &Lab, at: usize, len: usize) -> usize {
    let mut torn = lab.text().into_bytes();
    torn[at..at + len].fill(0);
    fs::write(lab.file(1), &torn).unwrap();
    torn.len()
}

/// Call it changed, and every power cut looks like somebody's hand.
#[test]
fn what_a_power_cut_left_of_lines_is_not_called_changed_and_what_was_known_is() {
    let mut lab = Lab::with(3);
    let (known, written) = (lab.log.head(), lab.text().len());
    lab.log.append(&events(4..=5)).unwrap();
    let len = zero(&lab, written + 20, 100);
    let directory = lab.directory();
    let found = Verifier::new(&directory).remembered(known).run(|_| ()).unwrap();
    assert_eq!((found.head, found.unfinished), (known, len - written));
    let broken = lab.verify(None).unwrap_err();
    assert_eq!((&broken.why, broken.head), (&Why::Zeros, known));
    assert!(broken.sentence().starts_with("the end of the audit log is not whole. "), "{}", broken.sentence());
    zero(&lab, written - 100, 100);
    assert_eq!(lab.verify(Some(known)).unwrap_err().why, Why::Line(Wrong::Edited));
}

/// Take it for damage, and an agent whose first lines met a power cut has a broken log for ever.
#[test]
fn the_first_lines_of_all_are_written_again_after_a_power_cut() {
    let lab = Lab::with(3);
    let text = lab.text();
    let second = text.find('\n').unwrap() + 1;
    for at in [0, second] {
        zero(&lab, at, 100);
        let (head, status) = write_anew(&lab, None, 1..=4);
        assert_eq!((head.number, status.fault, lab.text()), (4, None, Lab::with(4).text()));
        fs::write(lab.file(1), &text).unwrap();
    }
    lab.rewrite(|lines| lines[1] = lines[1].replace("thing 2", "thing 9"));
    let (_, status) = write_anew(&lab, None, 1..=3);
    assert_eq!(status.fault, Some(Fault::Broken { found: 1 }.to_string()));
}

#[test]
fn a_crash_before_the_first_line_of_a_file_loses_none() {
    let mut lab = Lab::with(3);
    let head = lab.log.head();
    fs::write(lab.file(2), "{\"no\":4").unwrap();
    for known in [Some(head), None] {
        assert_eq!(lab.reopen(known).1, None);
        assert_eq!(lab.log.head(), head);
    }
    lab.log.append(&events([4])).unwrap();
    assert_eq!(lab.verify(None).unwrap().lines, 4);
}

/// What was there is kept, and the break with it: whoever verifies sees it for ever.
#[test]
fn a_log_that_was_changed_is_gone_on_with_in_a_new_file() {
    let changed = |change: fn(&Lab), remembers: bool| {
        let mut lab = Lab::with(3);
        let head = lab.log.head();
        change(&lab);
        let before = fs::read(lab.file(1)).unwrap_or_default();
        let (cut, fault) = lab.reopen(remembers.then_some(head));
        lab.log.append(&events([4])).unwrap();
        assert_eq!((cut, fs::read(lab.file(1)).unwrap_or_default()), (0, before));
        assert!(lab.verify(None).is_err());
        fault
    };
    let cut_off = |lab: &Lab| lab.rewrite(|lines| lines.truncate(2));
    assert_eq!(changed(cut_off, true), Some(Fault::Short { found: 2, known: 3 }));
    let edited = |lab: &Lab| fs::write(lab.file(1), lab.text().replace("thing 2", "thing 9")).unwrap();
    assert_eq!(changed(edited, true), Some(Fault::Short { found: 1, known: 3 }));
    assert_eq!(changed(edited, false), Some(Fault::Broken { found: 1 }));
    assert_eq!(changed(Lab::write_anew, true), Some(Fault::Other { number: 3 }));
    // Look at the newest file alone, and an empty one hides all before it.
    let behind_an_empty_file = |lab: &Lab| {
        lab.write_anew();
        fs::write(lab.file(2), "").unwrap();
    };
    assert_eq!(changed(behind_an_empty_file, true), Some(Fault::Other { number: 3 }));
}

#[test]
fn a_log_that_is_gone_goes_on_behind_what_is_known() {
    let mut lab = Lab::with(3);
    let head = lab.log.head();
    fs::remove_file(lab.file(1)).unwrap();
    assert_eq!(lab.reopen(Some(head)), (0, Some(Fault::Gone { known: 3 })));
    assert_eq!(lab.log.append(&events([4])).unwrap().number, 4);
    let broken = lab.verify(None).unwrap_err();
    assert_eq!((broken.file, broken.line, broken.why), (lab.file(4), 1, Why::Begins { after: head }));
}

#[test]
fn the_newest_file_may_be_moved_away_too() {
    let mut lab = Lab::with(3);
    let head = lab.log.head();
    fs::rename(lab.file(1), lab.folder.path().join("old")).unwrap();
    lab.log.append(&events([4])).unwrap();
    assert_eq!(Verifier::new(&lab.directory()).after(head).run(|_| ()).unwrap().lines, 1);
}

/// Number files by what is there, and the next that are moved away take the place of the last in the archive.
#[test]
fn no_name_is_used_again_where_files_were_moved_away_before_a_start() {
    let mut lab = three_files();
    let away = lab.folder.path().join("away");
    fs::create_dir(&away).unwrap();
    let move_away = |lab: &Lab, number: u32| {
        let to = file(&away, number);
        assert!(!to.exists(), "{}", to.display());
        fs::rename(lab.file(number), to).unwrap();
    };
    // The newest alone, and then all of them.
    move_away(&lab, 3);
    let head = lab.verify(None).unwrap().head;
    let known = Head { number: 3, ..events(1..=3).iter().fold(Head::default(), |head, it| it.after(head).unwrap().1) };
    assert_eq!(lab.reopen(Some(known)), (0, Some(Fault::Short { found: head.number, known: 3 })));
    lab.log.append(&events([4])).unwrap();
    let missing = lab.verify(None).unwrap_err();
    assert_eq!((missing.file, missing.why), (lab.file(3), Why::Missing));
    for number in [1, 2, 4] {
        move_away(&lab, number);
    }
    let known = lab.log.head();
    assert_eq!(lab.reopen(Some(known)), (0, Some(Fault::Gone { known: 4 })));
    // Whoever could not write the file that was begun goes on with it.
    fs::write(lab.file(5), "").unwrap();
    assert_eq!(lab.reopen(Some(known)).1, Some(Fault::Short { found: 0, known: 4 }));
    lab.log.append(&events([5])).unwrap();
    move_away(&lab, 5);
    lab.log.append(&events([6])).unwrap();
    move_away(&lab, 6);
    // What is in the archive is one log.
    assert_eq!(Verifier::new(&away).run(|_| ()).unwrap().lines, 6);
    fs::rename(file(&away, 6), file(&away, 60)).unwrap();
    assert_eq!(Verifier::new(&away).known(lab.log.head()).run(|_| ()).unwrap().files, 6);
    fs::remove_file(file(&away, 5)).unwrap();
    let broken = Verifier::new(&away).run(|_| ()).unwrap_err();
    assert!(matches!(broken, VerifyError::Broken(it) if it.file == file(&away, 5) && it.why == Why::Missing));
}

#[test]
fn a_failed_append_is_tried_again_without_a_trace() {
    let mut lab = Lab::with(1);
    // Half of what was to be written, as a full disk leaves it.
    fs::write(lab.file(1), format!("{}{}", lab.text(), "{\"no\":2,\"time\"")).unwrap();
    lab.log.append(&events(2..=3)).unwrap();
    assert_eq!(lab.text(), Lab::with(3).text());
}

/// What a program writes that remembers `known` and begins now.
fn write_anew(lab: &Lab, known: Option<Head>, rows: impl IntoIterator<Item = u64>) -> (Head, Status) {
    let mut pen = Pen::default();
    let head = pen.write(&lab.directory(), known, &events(rows)).unwrap();
    assert!(pen.tell(None, 0));
    (head, pen.status(Some(head), 0))
}

/// Write every row again after a crash and the log says everything twice.
#[test]
fn rows_that_a_crash_left_behind_their_lines_are_written_once() {
    let lab = Lab::new();
    let (first, _) = write_anew(&lab, None, 1..=2);
    // The program's store never heard of it, and two more rows have come.
    let (head, status) = write_anew(&lab, None, 1..=4);
    assert_eq!((head.number, lab.verify(Some(head)).unwrap().lines, status.fault), (4, 4, None));
    // It heard of the first two, and died behind the third.
    let (head, status) = write_anew(&lab, Some(first), 3..=5);
    assert_eq!((head.number, status.fault, lab.text()), (5, None, Lab::with(5).text()));
}

#[test]
fn a_log_that_outlived_its_store_is_gone_on_with_and_told_of() {
    let lab = Lab::with(2);
    let (head, status) = write_anew(&lab, None, [3]);
    assert_eq!((head.number, lab.text()), (3, Lab::with(3).text()));
    let words = status.words("postern");
    assert!(
        words.starts_with("ends with 3:") && words.ends_with("older store put in place?: run `postern audit verify`")
    );
}

/// Keep the log open over a failure, and what its store did not hear of is there twice.
#[test]
fn rows_whose_end_is_not_known_are_compared_with_the_log_again() {
    let lab = Lab::new();
    let mut pen = Pen::default();
    pen.write(&lab.directory(), None, &events(1..=2)).unwrap();
    assert!(!pen.tell(Some("the store did not take it".to_owned()), 2));
    let told = pen.status(None, 2).words("postern");
    assert!(told.ends_with("; CANNOT BE WRITTEN, 2 lines wait: the store did not take it"), "{told}");
    pen.write(&lab.directory(), None, &events(1..=3)).unwrap();
    assert!(pen.tell(None, 0));
    assert_eq!((lab.text(), pen.status(None, 0).trouble), (Lab::with(3).text(), None));
}

/// Two texts of one number, and somebody else's verifier finds a break where this one finds none.
#[test]
fn a_number_is_written_in_one_form_alone() {
    let lab = Lab::with(1);
    for number in ["01", "+1"] {
        let said = lab.text().replace("\"no\":1", &format!("\"no\":{number}"));
        let said = &said[..said.len() - 76];
        let line = format!("{said},\"hash\":\"{}\"}}\n", HEXLOWER.encode(&Sha256::digest(said)));
        fs::write(lab.file(1), line).unwrap();
        assert_eq!(lab.broken(), (1, Why::Line(Wrong::Malformed)), "{number}");
    }
}

/// Scripts read it, of either program.
#[test]
fn what_a_check_finds_is_told_in_one_shape() {
    let lab = Lab::with(3);
    let (head, directory) = (lab.log.head(), lab.directory());
    let check = |heads, after| {
        let check = Check { directory: &directory, heads, after, remembered: Some(head), compared: "asked" };
        check.run(|_| ()).unwrap()
    };
    fs::write(lab.file(1), format!("{}{}", lab.text(), "{\"no\":4")).unwrap();
    let found = check(&[], None);
    let whole = json!({"whole": true, "lines": 3, "files": 1, "head": head.to_string(), "unfinished": 7, "compared": "asked", "not_looked_at": []});
    assert_eq!(found.json(), whole);
    assert!(matches!(found, Found::Whole(whole) if whole.pairs()[3].1.starts_with("7 bytes, being written now")));
    let another = [Head { number: 2, hash: [7; 32] }];
    let found = check(&another, None);
    let until = Line::read(lab.text().lines().next().unwrap().as_bytes()).unwrap().head.to_string();
    let broken = json!({
        "whole": false, "file": lab.file(1), "line": 2, "why": Why::Other.to_string(), "whole_until": until,
    });
    assert_eq!(found.json(), broken);
    assert!(matches!(found, Found::Broken(broken) if broken.sentence().contains("line 2: the line is whole, but")));
    assert!(
        matches!(check(&[], Some(another[0])), Found::Broken(broken) if broken.why == Why::Number { expected: 3, found: 1 })
    );
}

#[test]
fn lines_since_a_day_or_a_moment_are_told_apart() {
    let lab = Lab::with(2);
    let text = lab.text();
    let included = |since: &str| {
        let since: Since = since.parse().unwrap();
        text.lines().filter(|line| since.includes(&Line::read(line.as_bytes()).unwrap())).count()
    };
    let moments = ["2026-03-01", "2026-03-01T08:15:00.002Z", "2026-03-01T09:15:00.002+01:00", "2026-03-02"];
    assert_eq!(moments.map(included), [2, 1, 1, 0]);
    assert_eq!("yesterday".parse::<Since>(), Err(NotAMoment));
}

fn fail(_: &File) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(5))
}

/// Let `open` not sync, and the lines count.
#[test]
fn lines_that_cannot_be_made_durable_do_not_count_when_a_log_is_opened() {
    let mut lab = Lab::with(3);
    let head = lab.log.head();
    assert!(matches!(
        Log::open_with(&lab.directory(), None, &[], fail),
        Err(AuditError::Private(PrivateError::Io { .. }))
    ));
    assert_eq!((lab.reopen(None), lab.log.head()), ((0, None), head));
}

/// Let `write` leave what it failed to sync, and a log that is opened anew finds two lines more.
#[test]
fn lines_whose_sync_failed_are_written_anew() {
    let mut lab = Lab::with(1);
    let (text, head) = (lab.text(), lab.log.head());
    lab.log.sync_with(fail);
    lab.log.append(&events(2..=3)).unwrap_err();
    assert_eq!((lab.text(), lab.log.head()), (text, head));
    assert_eq!((lab.reopen(Some(head)), lab.log.head()), ((0, None), head));
    lab.log.append(&events(2..=3)).unwrap();
    assert_eq!(lab.text(), Lab::with(3).text());
}

#[test]
fn a_head_is_read_as_it_is_written() {
    let head = Lab::with(2).log.head();
    assert_eq!(head.to_string().parse(), Ok(head));
    for wrong in ["", "7", "7:00", "x:00", &format!("{head}0"), &head.to_string().to_uppercase()[..40]] {
        assert!(wrong.parse::<Head>().is_err(), "{wrong}");
    }
}
