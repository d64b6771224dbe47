//! The files of `protocol/golden`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use postern_protocol::code::CodeSet as _;
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::version::Revisions;
use postern_protocol::{TaskKind, TaskOutput, TaskRequest};

use crate::describe::hex;
use crate::samples::{self, Content, Sample};

/// Files that do not exist are made when this is set to `1`. Files that exist are never touched.
const CREATE: &str = "POSTERN_WIRE_CREATE";

/// Whether files that do not exist are to be made.
pub(crate) fn may_create() -> bool {
    std::env::var_os(CREATE).is_some_and(|value| value == "1")
}

fn folder() -> PathBuf {
    crate::decoder::root().join("protocol/golden")
}

/// What is to stand in a sample's file.
fn file_text(sample: &Sample) -> String {
    let bytes = sample.encode();
    let mut text = String::new();
    match &sample.content {
        Content::Message { .. } | Content::Applicant(_) | Content::Authority(_) => {
            let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            writeln!(text, "# {}, tag {}, rev {}", sample.name, number(0), number(2)).unwrap();
        }
        Content::Request(request) => {
            writeln!(text, "# {}, kind {}, rev {}", sample.name, request.kind().code(), TaskRequest::REV).unwrap();
        }
        Content::Output(output) => {
            writeln!(text, "# {}, kind {}, rev {}", sample.name, output.kind().code(), TaskRequest::REV).unwrap();
        }
    }
    text + &lines(&bytes)
}

/// `bytes` in hexadecimal, 32 to a line.
pub(crate) fn lines(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        writeln!(text, "{}", hex(line)).unwrap();
        text
    })
}

/// The bytes of a file: hexadecimal digits, without the lines that begin with `#`.
pub(crate) fn parse(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// The bytes of a sample's file.
pub(crate) fn bytes(sample: &Sample) -> Vec<u8> {
    // Tests run side by side, and one must not read what another has half written.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock();
    let path = folder().join(format!("{}.hex", sample.file));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        let wanted = file_text(sample);
        if may_create() {
            fs::File::create_new(&path).unwrap().write_all(wanted.as_bytes()).unwrap();
            return wanted;
        }
        panic!("{}: {error}\nRun with {CREATE}=1 to add it:\n{wanted}", path.display())
    });
    drop(guard);
    parse(&text)
}

/// Every frame with its golden bytes.
pub(crate) fn frames() -> Vec<(Sample, Vec<u8>)> {
    let is_frame = |sample: &Sample| !matches!(sample.content, Content::Request(_) | Content::Output(_));
    samples::all().into_iter().filter(is_frame).map(|sample| (bytes(&sample), sample)).map(|(b, s)| (s, b)).collect()
}

/// Swap two fields of any struct below `protocol/src/message/v1` and this fails.
#[test]
fn today_is_written_as_it_always_was() {
    for sample in samples::all() {
        assert_eq!(hex(&sample.encode()), hex(&bytes(&sample)), "{} is written differently now", sample.file);
    }
}

#[test]
fn f57_old_bytes_mean_what_they_always_meant() {
    for sample in samples::all() {
        let golden = bytes(&sample);
        match &sample.content {
            Content::Message { member, controller } => {
                if let Some(frame) = member {
                    assert_eq!(&FromMember::decode(&golden).unwrap(), frame);
                }
                if let Some(frame) = controller {
                    assert_eq!(&FromController::decode(&golden).unwrap(), frame);
                }
            }
            Content::Applicant(frame) => assert_eq!(&FromApplicant::decode(&golden).unwrap(), frame),
            Content::Authority(frame) => assert_eq!(&FromAuthority::decode(&golden).unwrap(), frame),
            Content::Request(request) => {
                let code = request.kind().code();
                assert_eq!(&TaskRequest::decode(code, TaskRequest::REV, &golden).unwrap(), request);
            }
            Content::Output(output) => assert_eq!(&TaskOutput::decode(output.kind(), &golden).unwrap(), output),
        }
    }
}

/// A frame that is sent without ever having been written down could change unnoticed.
#[test]
fn every_frame_and_kind_has_its_bytes() {
    let there: BTreeSet<(u16, u16)> = frames()
        .iter()
        .map(|(_, bytes)| (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]])))
        .collect();
    for Revisions { tag, min, max } in crate::table::every_frame() {
        for rev in min..=max {
            assert!(there.contains(&(tag, rev)), "frame {tag} revision {rev} has no sample");
        }
    }
    for kind in TaskKind::ALL {
        for side in ["request", "output"] {
            samples::named(&format!("{kind} {side}"));
        }
    }
}

/// A file without a sample is read by nobody.
#[test]
fn every_file_is_of_a_sample() {
    let samples: BTreeSet<String> = samples::all().iter().map(|sample| format!("{}.hex", sample.file)).collect();
    let sealed = crate::sealing::files();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(samples.contains(&name) || sealed.contains(&name.as_str()), "{name} belongs to no sample");
    }
}

#[test]
fn the_first_line_of_a_file_says_what_it_is() {
    for sample in samples::all() {
        let bytes = bytes(&sample);
        let text = fs::read_to_string(folder().join(format!("{}.hex", sample.file))).unwrap();
        assert_eq!(text.lines().next(), file_text(&sample).lines().next(), "{}", sample.file);
        let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(body.len(), bytes.len().div_ceil(32), "{}: lines of 32 bytes", sample.file);
    }
}
