use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::dataset;

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("parts")
    }

    fn split(&self, format: Format, text: impl AsRef<[u8]>) -> Result<Summary, SplitError> {
        let path = self.0.path().join("dataset");
        fs::write(&path, text).unwrap();
        split(&File::open(path).unwrap(), format, Delimiter::FoundOut, "transaction-systemname", &self.out())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.out().join(name)).unwrap()
    }

    /// What is there beside the dataset.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "dataset").collect()
    }
}

/// The user names of a dataset's entries.
fn names(text: &str, format: Format) -> Vec<String> {
    let entries = Whole::new(dataset::read(Box::new(io::Cursor::new(text.to_owned())), format, Delimiter::FoundOut));
    let username = |entry: Entry| {
        let found = entry.record.attributes.into_iter().find(|it| it.name == "Username");
        found.unwrap().value.expose().to_owned()
    };
    entries.map(|item| username(item.unwrap().unwrap())).collect()
}

const CSV: &str = "Username;Title;Transaction-SystemName\na;\"two\nlines\";acme\nb;x;globex\n\nc;\"; \"\"y\"\"\";acme";
const JSONL: &str = concat!(
    "{\"Username\":\"a\",\"Transaction-SystemName\":\"acme\"}\n{\"Username\":\"b\",\"transaction-systemname\":\" globex \"}\r\n",
    "{\"Username\":\"c\",\"Transaction-SystemName\":\"acme\"}"
);
const XML: &str = concat!(
    "<?xml version=\"1.0\"?>\n<root>\n<entry changetype=\"add\"><Username>a</Username>",
    "<Transaction-SystemName>acme</Transaction-SystemName></entry><entry changetype=\"modify\"><Username>b</Username>",
    "<Transaction-SystemName>globex</Transaction-SystemName></entry>\n<!-- of nobody -->\n<entry changetype=\"modify\">",
    "<Username>c</Username><Transaction-SystemName>acme</Transaction-SystemName></entry>\n</root>\n"
);

/// Feature B10.
#[test]
fn each_system_gets_its_entries_as_they_were_written_and_in_their_order() {
    for (format, text) in [(Format::Csv, CSV), (Format::Jsonl, JSONL), (Format::Xml, XML)] {
        for text in [text.to_owned(), format!("\u{feff}{text}")] {
            let lab = Lab::new();
            let done = lab.split(format, &text).unwrap();
            assert!(done.rejected.is_none());
            let told: Vec<(&str, u64)> = done.parts.iter().map(|it| (it.system.as_str(), it.entries)).collect();
            assert_eq!((done.entries, told), (3, vec![("acme", 2), ("globex", 1)]));
            let (acme, globex) = (format!("acme.{}", format.name()), format!("globex.{}", format.name()));
            assert_eq!(done.parts[0].file, lab.out().join(&acme));
            assert_eq!(names(&lab.read(&acme), format), ["a", "c"]);
            assert_eq!(names(&lab.read(&globex), format), ["b"]);
            let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(lab.out()), mode(lab.out().join(&acme))), (0o700, 0o600));
            assert_eq!(fs::read_dir(lab.out()).unwrap().count(), 2);
        }
    }
    let lab = Lab::new();
    lab.split(Format::Csv, CSV).unwrap();
    let header = "Username;Title;Transaction-SystemName\n";
    assert_eq!(lab.read("acme.csv"), format!("{header}a;\"two\nlines\";acme\nc;\"; \"\"y\"\"\";acme\n"));
    assert_eq!(lab.read("globex.csv"), format!("{header}b;x;globex\n"));
}

/// Feature B10.
#[test]
fn what_names_no_system_is_kept_with_its_number_and_the_reason() {
    let lab = Lab::new();
    let rows = [
        "a,acme",
        "b,",
        "c",
        "d,../../etc",
        "e,Acme",
        "f,acme",
        "g,_rejected",
        &format!("h,{}", "x".repeat(64)),
        "i,#N/A",
    ];
    let done = lab.split(Format::Csv, format!("Username,Transaction-SystemName\n{}\n", rows.join("\n"))).unwrap();
    let rejected = done.rejected.unwrap();
    assert_eq!((done.entries, done.parts.len(), done.parts[0].entries, rejected.entries), (9, 1, 2, 7));
    let reasons: Vec<serde_json::Value> =
        lab.read("_reasons.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(u64, &str)> =
        reasons.iter().map(|it| (it["entry"].as_u64().unwrap(), it["code"].as_str().unwrap())).collect();
    let malformed = "system_malformed";
    let missing = "system_missing";
    let expected =
        [(2, missing), (3, "ragged_row"), (4, malformed), (5, malformed), (7, malformed), (8, malformed), (9, missing)];
    assert_eq!(told, expected);
    assert_eq!(rejected.first.iter().map(|it| it.number).collect::<Vec<_>>(), [2, 3, 4, 5, 7, 8, 9]);
    assert!(reasons[2]["message"].as_str().unwrap().contains("`../../etc`"));
    assert_eq!(lab.read("_rejected.csv").lines().count(), 8);
    assert_eq!(fs::read_dir(lab.out()).unwrap().count(), 3);
    let twice = "{\"Username\":\"a\",\"Transaction-SystemName\":[\"acme\",\"globex\"]}";
    let done = Lab::new().split(Format::Jsonl, twice).unwrap();
    assert_eq!(done.rejected.unwrap().first[0].code, "attribute_twice");
}

/// What stands before is split, and its parts can be read to their ends; the rest is one rejected entry.
#[test]
fn the_rest_of_a_broken_dataset_is_rejected() {
    for (format, text) in [
        (Format::Xml, XML.replace("<!-- of nobody -->", "text")),
        (Format::Csv, CSV.replace("c;\"", "c;\"\"\"\"x\"\n\"")),
    ] {
        let lab = Lab::new();
        let done = lab.split(format, &text).unwrap();
        let rejected = done.rejected.unwrap();
        assert_eq!((done.entries, rejected.entries), (3, 1), "{text}");
        assert_eq!(names(&lab.read(&format!("acme.{}", format.name())), format), ["a"]);
        assert_eq!(names(&lab.read(&format!("globex.{}", format.name())), format), ["b"]);
        assert!(lab.read(&format!("_rejected.{}", format.name())).contains('c'));
    }
}

/// Feature B10.
#[test]
fn nothing_is_left_of_a_split_that_failed() {
    let many: Vec<String> = (0..=MAX_SYSTEMS).map(|n| format!("{{\"Transaction-SystemName\":\"s{n}\"}}")).collect();
    let many = many.join("\n");
    let lab = Lab::new();
    assert!(matches!(lab.split(Format::Jsonl, &many), Err(SplitError::TooManySystems)));
    assert!(matches!(lab.split(Format::Xml, JSONL), Err(SplitError::Malformed(_))));
    assert!(matches!(lab.split(Format::Csv, ""), Err(SplitError::Malformed(_))));
    assert_eq!(lab.left(), Vec::<String>::new());
    let (fewer, _) = many.rsplit_once('\n').unwrap();
    assert_eq!(lab.split(Format::Jsonl, fewer).unwrap().parts.len(), MAX_SYSTEMS);
}

/// Each part has a copy of it: two hundred megabytes of empty lines become twenty gigabytes.
#[test]
fn what_stands_around_the_entries_has_a_bound() {
    let most = "\n".repeat(usize::try_from(MAX_AROUND).unwrap());
    for more in [format!("\n{most}{JSONL}"), format!("{JSONL}\n{most}\n")] {
        let lab = Lab::new();
        assert!(matches!(lab.split(Format::Jsonl, more), Err(SplitError::TooMuchAround)));
        assert_eq!(lab.left(), Vec::<String>::new());
    }
    let done = Lab::new().split(Format::Jsonl, format!("{most}{JSONL}\n{most}")).unwrap();
    assert_eq!((done.entries, done.parts.len()), (3, 2));
}

#[test]
fn nothing_is_written_over() {
    let lab = Lab::new();
    fs::write(lab.out(), "mine").unwrap();
    assert!(matches!(lab.split(Format::Csv, CSV), Err(SplitError::Exists(_))));
    assert_eq!(fs::read_to_string(lab.out()).unwrap(), "mine");
    fs::remove_file(lab.out()).unwrap();
    let part = PartFile::part(&lab.out());
    fs::create_dir(&part).unwrap();
    fs::write(part.join("acme.csv"), "theirs").unwrap();
    assert!(matches!(lab.split(Format::Csv, CSV), Err(SplitError::LeftBehind(_))));
    assert_eq!(fs::read_to_string(part.join("acme.csv")).unwrap(), "theirs");
}

/// Somebody makes the folder while the dataset is read.
#[test]
fn a_folder_that_came_in_between_is_not_replaced() {
    let lab = Lab::new();
    let folder = Folder::begin(&lab.out()).unwrap();
    fs::create_dir(lab.out()).unwrap();
    fs::write(lab.out().join("mine"), "x").unwrap();
    assert!(matches!(folder.complete(), Err(SplitError::Write { .. })));
    assert_eq!((lab.read("mine").as_str(), lab.left()), ("x", vec!["parts".to_owned()]));
}

#[test]
fn an_entry_that_is_too_large_is_rejected_without_being_held() {
    let long = format!("{{\"Username\":\"{}\"}}\n{JSONL}", "x".repeat(3 * 1024 * 1024));
    let lab = Lab::new();
    let done = lab.split(Format::Jsonl, &long).unwrap();
    assert_eq!((done.entries, done.rejected.unwrap().first[0].code), (4, "entry_too_large"));
    assert_eq!(lab.read("_rejected.jsonl").len(), long.len() - JSONL.len());
}

/// Another document in the same file, with entries of any system, is in no part.
#[test]
fn what_stands_behind_the_root_is_rejected() {
    let lab = Lab::new();
    let done = lab.split(Format::Xml, format!("{XML}{XML}")).unwrap();
    assert_eq!((done.entries, done.rejected.unwrap().first[0].code), (4, "dataset_malformed"));
    assert_eq!(names(&lab.read("acme.xml"), Format::Xml), ["a", "c"]);
    assert_eq!(lab.read("acme.xml").matches("<root>").count(), 1);
    assert_eq!(lab.read("globex.xml").matches("<root>").count(), 1);
}

#[test]
fn a_dataset_without_entries_has_no_parts() {
    let lab = Lab::new();
    let done = lab.split(Format::Xml, "<root/>").unwrap();
    assert_eq!((done.entries, done.parts.len(), lab.left()), (0, 0, vec!["parts".to_owned()]));
}
