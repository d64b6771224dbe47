//! A state over a ledger on disk, for tests of what uses one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::enrollment::v1::{Enroll, EnrollRefused};
use postern_protocol::enrollment::{EnrollmentToken, Request};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{MembershipState, Mode, Report};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, Epoch, MemberId, Outcome, ReportNo, TaskId, TaskKind, TaskRequest};
use postern_store::{Options, Spool, Store, StoreKey};
use serde_json::json;

use super::ledger::Ledger;
use super::origin::Origin;
use super::record::{Association, MemberRecord};
use super::{Member, NewSystem, Retention, Settings, State, Submission, SystemChanges, sessions};
use crate::ca::{Authority, RootNo};
use crate::clock::{self, Moment};

pub(crate) const SETTINGS: Settings = Settings {
    auto_approve: false,
    certificate_life: Duration::from_secs(7 * 24 * 60 * 60),
    recovery: Duration::ZERO,
    lease_ttl: Duration::from_secs(60),
    settle: Duration::from_secs(1),
    heartbeat: Duration::from_secs(10),
    keep: Retention { days: 1, newest: 1 },
};

pub(crate) fn ledger(folder: &Path) -> (Ledger, Spool) {
    let key = StoreKey::from_bytes([1; 32]);
    let store = Store::open(&folder.join("store"), &key, &Options::default(), 1).unwrap().store;
    let spool = store.spool().unwrap();
    (Ledger::new(store), spool)
}

/// What the ledger holds, as it is taken up at this moment.
pub(crate) fn state(folder: &Path, ledger: &Ledger, settings: Settings, at: Moment) -> State {
    let authority = Arc::new(Authority::open(folder, at.wall).unwrap());
    State::open(ledger.clone(), authority, settings, at).unwrap()
}

/// A member in this state.
pub(crate) fn member(state: MembershipState) -> MemberRecord {
    MemberRecord {
        id: MemberId::from_bytes([1; 16]),
        cluster: "acme".parse().unwrap(),
        host: "host".to_owned(),
        agent_version: "0".to_owned(),
        state,
        epoch: Epoch(3),
        hard: false,
        disable_when_drained: false,
        alarm: None,
        sealing_keys: Vec::new(),
        certificate: String::new(),
        serial: String::new(),
        certificate_expires: UnixMillis(0),
        root: RootNo::FIRST,
        trusts: Vec::new(),
        acked_bundle: 0,
        next: None,
        enrolled: UnixMillis(0),
        seen: None,
    }
}

/// Makes cluster `acme` with an enabled member, and adds the connected system `sf` to it.
pub(crate) fn add_system(state: &mut State, at: Moment) {
    let cluster: ClusterName = "acme".parse().unwrap();
    state.create_cluster(cluster.clone(), at).unwrap();
    let record = member(MembershipState::Enabled);
    state.members.insert(record.id, Member::new(record, sessions::FIRST_NUMBERS));
    let new = NewSystem {
        name: "sf".parse().unwrap(),
        connector: "salesforce".to_owned(),
        association: Association::Cluster(cluster),
        changes: SystemChanges::default(),
    };
    state.add_system(new, None, at).unwrap();
}

/// A task that enables a user.
pub(crate) fn enabling(id: TaskId, system: &str, user: &str) -> Submission {
    Submission {
        trace: None,
        id,
        system: system.parse().unwrap(),
        request: TaskRequest::from_json(TaskKind::EnableUser, json!({ "account": user })).unwrap(),
        sealed: Vec::new(),
        streams: Vec::new(),
        requester: None,
        signature: None,
        origin: Origin::default(),
        mode: Mode::Async,
        priority: 100,
        deadline: None,
    }
}

/// A report that a task failed.
pub(crate) fn failed(number: u64, task: TaskId, epoch: Epoch) -> Report {
    Report {
        number: ReportNo(number),
        task,
        epoch,
        attempt: 1,
        outcome: Outcome::Failed.into(),
        certainty: Certainty::Certain.into(),
        changed: Changed::No.into(),
        failure: None,
        output: Bytes::default(),
        sealed: List::default(),
        streams: List::default(),
        ext: List::default(),
    }
}

/// A token into the cluster `acme`.
pub(crate) fn token(state: &mut State, at: Moment) -> EnrollmentToken {
    let acme: ClusterName = "acme".parse().unwrap();
    state.create_cluster(acme.clone(), at).unwrap();
    state.create_token(acme, None, at).unwrap().it.text.expose().parse().unwrap()
}

/// Why an applicant with this token is refused.
pub(crate) fn refused(state: &mut State, token: &EnrollmentToken) -> EnrollRefused {
    state.enroll(&application(token), &[9; 32], clock::moment()).unwrap_err()
}

/// What is no request for a certificate, with this token over the channel of nines.
pub(crate) fn application(token: &EnrollmentToken) -> Enroll {
    let (incarnation, sealing_key) = (Incarnation::from_bytes([4; 16]), SealingPublicKey([3; 32]));
    let proof = token.key.prove(&[9; 32], &Request { incarnation, sealing_key: &sealing_key, csr: b"csr" });
    Enroll {
        token: token.id,
        incarnation,
        host: Text::default(),
        agent_version: Text::default(),
        sealing_key,
        csr: Bytes::new(b"csr".to_vec()).unwrap(),
        proof,
    }
}
