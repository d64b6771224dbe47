//! What there may be most of: whatever is one too many is refused, and the refusal says how many there may be and what to do.

use postern_protocol::message::v1::{MembershipState, StreamRef};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::time::UnixMillis;
use postern_protocol::{StreamId, TaskId, TaskKind};

use super::record::{Association, MemberRecord, TaskRecord, TokenUse};
use super::systems::{NewSystem, SystemChanges};
use super::*;
use crate::access::Role;
use crate::clock;

/// A state with cluster `acme`.
struct Full {
    state: State,
    at: Moment,
    _folder: tempfile::TempDir,
}

impl Full {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let at = clock::moment();
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, at);
        state.create_cluster("acme".parse().unwrap(), at).unwrap();
        Self { state, at, _folder: folder }
    }

    fn add_system(&mut self, number: usize) -> Result<(), Refusal> {
        let new = NewSystem {
            name: format!("sf{number}").parse().unwrap(),
            connector: "salesforce".to_owned(),
            association: Association::Server,
            changes: SystemChanges::default(),
        };
        self.state.add_system(new, None, self.at).map(drop)
    }

    fn add_payload(&mut self, number: u128) -> Result<(), Refusal> {
        let id = StreamId::from_bytes(number.to_be_bytes());
        self.state.add_input(StreamRef { id, length: 1, sha256: [0; 32] }, None, self.at).map(drop)
    }

    fn submit(&mut self, number: u32, role: Role) -> Result<TaskId, Refusal> {
        let submission = lab::enabling(self.task_id(number), "sf0", "joe");
        self.state.submit(submission, role, self.at)
    }

    fn task_id(&self, number: u32) -> TaskId {
        let mut random = [0; 10];
        random[6..].copy_from_slice(&number.to_be_bytes());
        TaskId::from_random(self.at.wall.0, random)
    }

    fn queue(&mut self, number: u32) -> TaskId {
        let id = self.task_id(number);
        let (cluster, system) = ("acme".parse().unwrap(), "sf0".parse().unwrap());
        let task = TaskRecord::queued(id, cluster, system, TaskKind::EnableUser, number.to_string());
        assert!(self.state.queue.submit(task, self.at));
        id
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, words: &[&str]) {
    refused_as(RefusalKind::Overloaded, result, words);
}

/// Of what passes by itself.
fn refused_for_now<T: std::fmt::Debug>(result: Result<T, Refusal>, words: &[&str]) {
    refused_as(RefusalKind::Crowded, result, words);
}

fn refused_as<T: std::fmt::Debug>(kind: RefusalKind, result: Result<T, Refusal>, words: &[&str]) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.kind, kind, "{refusal}");
    assert!(words.iter().all(|it| refusal.message.contains(it)), "{words:?}: {refusal}");
}

#[test]
fn a_controller_has_at_most_a_thousand_clusters_and_as_many_tokens_of_each_kind() {
    let Full { mut state, at, _folder } = Full::new();
    for number in 1..1_000 {
        state.create_cluster(format!("c{number}").parse().unwrap(), at).unwrap();
    }
    refused(state.create_cluster("more".parse().unwrap(), at), &["1000 clusters", "one of those there are"]);
    assert!(state.create_cluster("acme".parse().unwrap(), at).is_ok(), "it is there");

    for _ in 0..1_000 {
        state.create_token("acme".parse().unwrap(), None, at).unwrap();
    }
    refused(state.create_token("acme".parse().unwrap(), None, at).map(drop), &["1000 tokens", "quarter of an hour"]);
    let spent = TokenUse { request: [0; 32], member: MemberId::from_bytes([1; 16]), at: at.wall };
    state.tokens.values_mut().for_each(|it| it.used = Some(spent.clone()));
    assert!(
        state.create_token("acme".parse().unwrap(), None, at).is_ok(),
        "a fleet of more than that enrolls in one day"
    );
    let later = Moment { wall: UnixMillis(at.wall.0 + 3 * 24 * 60 * 60 * 1000), ..at };
    state.tick(later);
    assert!(state.create_token("acme".parse().unwrap(), None, later).is_ok(), "those are forgotten");

    for number in 0..1_000 {
        state.create_api_token(format!("t{number}").parse().unwrap(), Role::Viewer, None, None, at).unwrap();
    }
    refused(
        state.create_api_token("more".parse().unwrap(), Role::Viewer, None, None, at).map(drop),
        &["1000", "revoke"],
    );
}

#[test]
fn a_controller_has_at_most_ten_thousand_connected_systems() {
    let mut full = Full::new();
    (0..10_000).for_each(|number| full.add_system(number).unwrap());
    refused(full.add_system(10_000), &["10000 connected systems", "system remove"]);
    full.state.remove_system(&"sf7".parse().unwrap()).unwrap();
    full.add_system(10_000).unwrap();
}

#[test]
fn a_controller_has_at_most_ten_thousand_members() {
    let Full { mut state, at, _folder } = Full::new();
    let token = lab::token(&mut state, at);
    for number in 0..10_000_u128 {
        let id = MemberId::from_bytes(number.to_be_bytes());
        let record = MemberRecord { id, ..lab::member(MembershipState::Enabled) };
        state.members.insert(id, Member::new(record, sessions::FIRST_NUMBERS));
    }
    let no = lab::refused(&mut state, &token);
    assert_eq!(no.reason.to_string(), "overloaded");
    assert!(no.message.contains("10000 members") && no.message.contains("member remove"), "{}", no.message);
    state.members.pop_first();
    assert_eq!(lab::refused(&mut state, &token).reason.to_string(), "invalid_request", "its request is looked at now");
}

/// Give out what there is, and whoever seals to it fails with words that name no member.
#[test]
fn the_keys_of_more_members_than_a_secret_is_sealed_to_are_refused_with_what_to_do() {
    let Full { mut state, _folder, .. } = Full::new();
    let acme = "acme".parse().unwrap();
    let enroll = |state: &mut State, number: u8| {
        let (id, key) = (MemberId::from_bytes([number; 16]), SealingPublicKey([number; 32]));
        let record = MemberRecord { id, sealing_keys: vec![key], ..lab::member(MembershipState::Enabled) };
        state.members.insert(id, Member::new(record, sessions::FIRST_NUMBERS));
    };
    (0..64).for_each(|number| enroll(&mut state, number));
    assert_eq!(state.sealing_keys(&acme).unwrap().len(), 64);
    enroll(&mut state, 64);
    let refusal = state.sealing_keys(&acme).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Conflict);
    for words in ["`acme` has 65 enabled members", "at most 64", "member disable"] {
        assert!(refusal.message.contains(words), "{words}: {refusal}");
    }
    state.members.values_mut().next().unwrap().record.state = MembershipState::Disabled;
    assert_eq!(state.sealing_keys(&acme).unwrap().len(), 64);
}

#[test]
fn a_controller_keeps_at_most_a_hundred_thousand_payloads() {
    let mut full = Full::new();
    (0..100_000).for_each(|number| full.add_payload(number).unwrap());
    refused_for_now(full.add_payload(100_000), &["100000 payloads", "--keep-finished-days"]);
    let later = Moment { wall: UnixMillis(full.at.wall.0 + 25 * 60 * 60 * 1000), ..full.at };
    full.state.tick(later);
    full.add_payload(100_000).unwrap();
}

/// Count those who left, and a program that gives up and asks again shuts everybody out.
#[test]
fn a_controller_has_at_most_a_hundred_thousand_unfinished_tasks_and_ten_thousand_who_wait_for_some() {
    let mut full = Full::new();
    full.add_system(0).unwrap();
    // Whom a system is given to has to be connected.
    let system = full.state.systems.values_mut().next().unwrap();
    system.association = Association::Cluster("acme".parse().unwrap());
    let mut tasks: Vec<TaskId> = (0..99_000).map(|number| full.queue(number)).collect();
    refused_for_now(full.submit(200_000, Role::Operator), &["99000 tasks", "cancel", "administrator's token"]);
    let urgent = full.submit(200_000, Role::Administrator).unwrap();
    assert_eq!(full.submit(200_000, Role::Operator).unwrap(), urgent, "what is in is in");
    full.state.cancel_task(urgent, full.at).unwrap();
    tasks.extend((99_000..100_000).map(|number| full.queue(number)));
    refused_for_now(full.submit(300_000, Role::Administrator), &["100000 tasks", "cancel"]);
    let mut waiting: Vec<_> = tasks[..10_000].iter().map(|task| full.state.wait(*task).unwrap()).collect();
    refused_for_now(full.state.wait(tasks[10_000]).map(drop), &["10000 requests"]);
    waiting.pop();
    assert!(full.state.wait(tasks[10_000]).is_ok());
    full.state.cancel_task(tasks[0], full.at).unwrap();
    full.submit(300_000, Role::Administrator).unwrap();
}
