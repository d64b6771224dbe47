//! Seeds that are made of what the programs write: whoever changes a frame or a record makes them anew with
//!
//! ```sh
//! POSTERN_FUZZ_WRITE=1 cargo test -p postern-fuzz --test replay made_seeds
//! ```
//!
//! and does not leave behind what no reader takes any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use data_encoding::{BASE64, HEXLOWER};
use postern_controller_stub::state::record::{
    AloneRecord, Finish, LeaseRecord, ObservationRecord, TaskRecord, TaskState,
};
use postern_protocol::code::CodeSet as _;
use postern_protocol::enrollment::{FromApplicant, FromAuthority, TokenText};
use postern_protocol::id::{Incarnation, TokenId};
use postern_protocol::message::v1::{Mode, Offer};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealingKey;
use postern_protocol::time::UnixMillis;
use postern_protocol::{Epoch, MemberId, Outcome, TaskId, TaskKind, TaskRequest};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::{files, folder};

/// Seeds that differ from what is made are made anew when this is set to `1`.
const WRITE: &str = "POSTERN_FUZZ_WRITE";

/// Of these targets every seed is made.
const MADE: [&str; 9] = [
    "controller_session",
    "enrollment",
    "frames_from_controller",
    "frames_from_member",
    "member_session",
    "signed_task",
    "task_json",
    "task_output",
    "task_request",
];

/// The bytes of every golden file, by its name.
pub(crate) fn golden_files() -> BTreeMap<String, Vec<u8>> {
    let read = |file: &std::path::PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let text: String = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
        (file.file_stem().unwrap().to_str().unwrap().to_owned(), HEXLOWER.decode(text.as_bytes()).unwrap())
    };
    files(&folder("../protocol/golden")).iter().map(read).collect()
}

/// Seeds by their target and name.
struct Seeds {
    golden: BTreeMap<String, Vec<u8>>,
    made: BTreeMap<(String, String), Vec<u8>>,
}

impl Seeds {
    fn add(&mut self, target: &str, name: &str, bytes: impl Into<Vec<u8>>) {
        self.made.insert((target.to_owned(), name.to_owned()), bytes.into());
    }

    /// With the byte that chooses before it.
    fn add_choice(&mut self, target: &str, name: &str, choice: u8, bytes: &[u8]) {
        self.add(target, name, [&[choice], bytes].concat());
    }

    fn golden(&self, name: &str) -> Vec<u8> {
        self.golden[name].clone()
    }

    fn offer(&self) -> Offer {
        let Ok(FromController::Offer(offer)) = FromController::decode(&self.golden["offer"]) else {
            panic!("the golden offer is none")
        };
        offer
    }

    /// Every frame, to whoever receives it.
    fn frames(&mut self) {
        for (name, bytes) in self.golden.clone() {
            if FromMember::decode(&bytes).is_ok() {
                self.add("frames_from_member", &name, bytes.clone());
            }
            if FromController::decode(&bytes).is_ok() {
                self.add("frames_from_controller", &name, bytes.clone());
            }
            if FromApplicant::decode(&bytes).is_ok() || FromAuthority::decode(&bytes).is_ok() {
                self.add("enrollment", &name, bytes);
            }
        }
    }

    /// Requests as they travel and as a submitter writes them, and outputs.
    fn kinds(&mut self) {
        for (name, bytes) in self.golden.clone() {
            let Some(kind) = TaskKind::ALL.iter().find(|kind| name.starts_with(&format!("{kind}."))) else { continue };
            let code = u8::try_from(kind.code()).unwrap();
            if name == format!("{kind}.request") {
                let request = TaskRequest::decode(kind.code(), TaskRequest::REV, &bytes).unwrap();
                self.add_choice("task_request", &kind.to_string(), code, &bytes);
                self.add_choice("task_json", &kind.to_string(), code, request.to_json().to_string().as_bytes());
            } else {
                self.add_choice("task_output", &name.replace(".output", ""), code, &bytes);
            }
        }
    }

    /// What each end of a session does in it: steps, as the targets read them.
    fn sessions(&mut self) {
        const ACT: &[u8] = &[0];
        const SILENCE: &[u8] = &[1, 10];
        const HANDSHAKE: &[u8] = &[2];
        let frames = |names: &[&str]| -> Vec<u8> {
            let frame = |bytes: &Vec<u8>| {
                [&[3], &u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes.as_slice()].concat()
            };
            names.iter().flat_map(|name| frame(&self.golden[*name])).collect()
        };
        let from_controller = frames(&["offer", "renewed", "ping", "stream_open", "cancel", "go_away"]);
        let from_member = frames(&["accept", "ping", "report.bare", "renew", "stream_open", "go_away"]);
        let early = (frames(&["offer.bare"]), frames(&["report.bare"]));
        let (refused, older) = (frames(&["refused"]), (frames(&["welcome"]), frames(&["hello"])));

        let established = [HANDSHAKE, ACT].concat();
        for (name, steps) in [
            ("established", established.clone()),
            ("work", [established.clone(), from_controller].concat()),
            ("silent", [established.as_slice(), SILENCE, SILENCE, SILENCE].concat()),
            ("twice", [established.as_slice(), HANDSHAKE].concat()),
            ("refused", refused),
            ("too_early", early.0),
            ("other_revisions", older.0),
        ] {
            self.add("member_session", name, steps);
        }
        let established = [HANDSHAKE, ACT, HANDSHAKE].concat();
        for (name, steps) in [
            ("established", established.clone()),
            ("work", [established.clone(), from_member].concat()),
            ("silent", [established.as_slice(), SILENCE, SILENCE, SILENCE].concat()),
            ("twice", [established.as_slice(), HANDSHAKE].concat()),
            ("too_early", [HANDSHAKE, &early.1].concat()),
            ("other_revisions", older.1),
        ] {
            self.add("controller_session", name, steps);
        }
    }

    /// What is sealed, and what is signed.
    fn secrets(&mut self) {
        for (name, choice) in [("field", 0), ("output", 1), ("dataset", 2)] {
            self.add_choice("sealed", name, choice, &self.golden(&format!("sealed.{name}")));
        }
        let signature = json!(self.offer().signature.expect("the golden offer is signed").view());
        self.add("signed_task", "view", signature.to_string());
        for name in ["offer", "offer.bare"] {
            self.add("signed_task", name, self.golden(name));
        }
        let token = TokenText::new(
            "acme".parse().unwrap(),
            TokenId::from_bytes(*b"0123456789abcdef"),
            &Zeroizing::new([7; 32]),
            [8; 32],
        );
        self.add("enrollment_token", "token", token.expose());

        let sealed = json!([{ "name": "password", "bytes": BASE64.encode(&self.golden["sealed.field"]) }]);
        let requester = SealingKey::from_private(Zeroizing::new([4; 32])).unwrap().public().to_string();
        let submission = |more: Json| {
            let mut task = json!({
                "id": "tsk_0195d8a0000070008000000000000001",
                "system": "acme-prod",
                "kind": "reset_password",
                "params": { "account": "zoë@acme.example", "source": "given" },
            });
            task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            task.to_string()
        };
        let given = submission(json!({ "sealed": sealed }));
        let signed = submission(json!({
            "sealed": sealed, "requester": requester, "signature": signature, "deadline_secs": 60, "streams": [],
        }));
        for target in ["submission", "policy_check"] {
            self.add(target, "sealed", given.as_str());
            self.add(target, "signed", signed.as_str());
        }
        self.add_choice("api_bodies", "submission", 13, signed.as_bytes());
        self.add_choice("api_bodies", "reseal", 11, json!({ "sealed": sealed }).to_string().as_bytes());
    }

    /// What lies on disk of tasks.
    fn tasks(&mut self) {
        // A record is the code of where the task came from, and the offer without the head of its frame.
        let controller = 1_u16.to_le_bytes();
        self.add("records", "task", [&[0], &controller[..], &self.golden["offer"][8..]].concat());

        let (member, store) = (MemberId::from_bytes([7; 16]), Incarnation::from_bytes([5; 16]));
        let (epoch, at) = (Epoch(1), UnixMillis(1_767_225_600_000));
        let queued = TaskRecord::queued(
            TaskId::from_bytes([6; 16]),
            "acme".parse().unwrap(),
            "sf".parse().unwrap(),
            TaskKind::EnableUser,
            "ann".to_owned(),
        );
        let (outcome, certainty, changed) = (Outcome::Unknown, Certainty::Certain, Changed::Yes);
        let finished = TaskRecord {
            mode: Mode::Sync,
            submitted: at,
            arrival: 3,
            deadline: Some(at),
            state: TaskState::InDoubt { holder: member, started: true },
            epoch: Epoch(2),
            attempt: 1,
            leases: vec![LeaseRecord { epoch, store }],
            alone: Some(AloneRecord { since: epoch, at }),
            reconcile: true,
            cancel_requested: true,
            observations: vec![ObservationRecord { member, epoch, outcome, certainty, changed }],
            finish: Some(Finish {
                outcome,
                certainty,
                changed,
                member: Some(member),
                epoch,
                note: "note".to_owned(),
                at,
            }),
            ..queued.clone()
        };
        for (name, record) in [("queued", queued), ("finished", finished)] {
            self.add_choice("ledger_records", name, 5, &serde_json::to_vec(&record).unwrap());
        }
    }
}

fn made() -> BTreeMap<(String, String), Vec<u8>> {
    let mut seeds = Seeds { golden: golden_files(), made: BTreeMap::new() };
    seeds.frames();
    seeds.kinds();
    seeds.sessions();
    seeds.secrets();
    seeds.tasks();
    seeds.made
}

/// Leave a golden file behind as it was before its frame changed, and the fuzzer begins with bytes that are refused at once.
#[test]
fn made_seeds_are_as_they_are_written_today() {
    let may_write = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    let made = made();
    let mut stale = Vec::new();
    for ((target, name), bytes) in &made {
        let file = folder("corpus").join(target).join(name);
        if fs::read(&file).ok().as_ref() != Some(bytes) {
            if may_write {
                fs::write(&file, bytes).unwrap();
            } else {
                stale.push(format!("{target}/{name}"));
            }
        }
    }
    assert!(stale.is_empty(), "run with {WRITE}=1 to make these anew: {stale:?}");
    for target in MADE {
        let of_target = made.keys().filter(|(of, _)| of == target).map(|(_, name)| name.clone());
        let there = files(&folder("corpus").join(target));
        let there = there.iter().map(|it| it.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(there.collect::<BTreeSet<_>>(), of_target.collect(), "seeds of {target} that nobody makes");
    }
}
