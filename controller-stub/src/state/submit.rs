//! Taking tasks in.

use std::time::Duration;

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::v1::{Mode, Offer, StreamRef};
use postern_protocol::seal::{SealedField, SealingPublicKey};
use postern_protocol::signature::TaskSignature;
use postern_protocol::task::{import_batch, reset_password};
use postern_protocol::trace::TraceContext;
use postern_protocol::{StreamId, SystemName, TaskId, TaskKind, TaskRequest, codec};
use sha2::{Digest, Sha256};

use super::ledger::Write;
use super::origin::Origin;
use super::record::{Association, Direction, TaskRecord};
use super::{LEFT_FOR_ADMINISTRATORS, MAX_UNFINISHED, Refusal, RefusalKind, State, reseal};
use crate::access::Role;
use crate::clock::{self, Moment};
use crate::metrics::metrics;

/// What somebody wants done.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The task's id: the same id with the same content is the same task.
    pub id: TaskId,
    /// The connected system.
    pub system: SystemName,
    /// What to do.
    pub request: TaskRequest,
    /// Its secrets.
    pub sealed: Vec<SealedField>,
    /// Its payloads, uploaded before.
    pub streams: Vec<StreamId>,
    /// The key its secret outputs are sealed to.
    pub requester: Option<SealingPublicKey>,
    /// What its originator says to it. Carried, and looked at by nobody here.
    pub signature: Option<TaskSignature>,
    /// The trace it belongs to. Not a part of what it is: repeated in another one, it is the same task.
    pub trace: Option<TraceContext>,
    /// Who is behind it.
    pub origin: Origin,
    /// Whether the submitter waits.
    pub mode: Mode,
    /// Larger goes first.
    pub priority: u8,
    /// How long from now it may be begun.
    pub deadline: Option<Duration>,
}

impl State {
    /// Takes a task in, from whoever has this role. The same task again is no error; the same id with other content is.
    pub fn submit(&mut self, submission: Submission, role: Role, at: Moment) -> Result<TaskId, Refusal> {
        let id = submission.id;
        let mut offer = self.offer_of(&submission)?;
        let digest = digest(&offer, submission.deadline)?;
        if self.is_there(&submission, &offer, digest)? {
            return Ok(id);
        }
        self.check_made(id, at)?;
        let system = self.system(&submission.system)?;
        submission.origin.check(system, submission.request.kind())?;
        let cluster = match &system.association {
            Association::Cluster(cluster) => cluster.clone(),
            Association::Server => {
                return Err(Refusal {
                    kind: RefusalKind::Forbidden,
                    field: Some("system"),
                    message: format!(
                        "system `{0}` is associated with the server, and this controller runs no connectors itself: \
                         associate it with a cluster, `postern-controller system associate {0} --with CLUSTER`",
                        submission.system
                    ),
                });
            }
        };
        self.check_streams(id, &submission.streams)?;
        let deadline = submission.deadline.map(|it| clock::after(at.wall, it));
        let (kind, target) = (submission.request.kind(), offer.target.to_string());
        let record = TaskRecord {
            origin: submission.origin,
            mode: submission.mode,
            priority: submission.priority,
            digest,
            submitted: at.wall,
            deadline,
            ..TaskRecord::queued(id, cluster, submission.system, kind, target)
        };
        let (most, or) = match role {
            Role::Administrator => (MAX_UNFINISHED, ""),
            Role::Viewer | Role::Operator => {
                (MAX_UNFINISHED - LEFT_FOR_ADMINISTRATORS, ", or submit what cannot wait with an administrator's token")
            }
        };
        if self.queue.len() >= most || !self.queue.submit(record, at) {
            return Err(Refusal::new(
                RefusalKind::Crowded,
                format!("{most} tasks are unfinished: wait until some have ended, or cancel what nobody needs{or}"),
            ));
        }
        metrics().submitted.one(&[&kind.to_string()]);
        if !offer.sealed.is_empty() {
            self.queue.set_sealed_to(id, reseal::sealed_to(&offer));
        }
        if let Some(trace) = submission.trace {
            offer.ext = trace.among(&offer.ext);
        }
        self.bind_streams(id, &submission.streams);
        self.writes.push(Write::Offer(Box::new(offer.clone())));
        self.new_offers.insert(id, offer);
        Ok(id)
    }

    /// Whether a task was taken in already. The same id with other content is an error.
    pub fn is_submitted(&self, submission: &Submission) -> Result<bool, Refusal> {
        let offer = self.offer_of(submission)?;
        self.is_there(submission, &offer, digest(&offer, submission.deadline)?)
    }

    fn is_there(&self, submission: &Submission, offer: &Offer, digest: [u8; 32]) -> Result<bool, Refusal> {
        let id = submission.id;
        let Some(there) = self.any_task(id)? else { return Ok(false) };
        // Who waits for it is no part of what it is.
        let other = match submission.mode {
            Mode::Sync => Mode::Async,
            Mode::Async => Mode::Sync,
        };
        let other = Offer { mode: other.into(), ..offer.clone() };
        if there.digest == digest || there.digest == self::digest(&other, submission.deadline)? {
            return Ok(true);
        }
        Err(Refusal {
            kind: RefusalKind::Conflict,
            field: Some("id"),
            message: format!(
                "task {id} was submitted before with other content: see `postern-controller task show {id}`, and choose \
                 another id if this is to be done as well"
            ),
        })
    }

    /// A task, finished or not, made durable or not.
    pub(super) fn any_task(&self, id: TaskId) -> Result<Option<TaskRecord>, Refusal> {
        match self.newer_task(id) {
            Some(record) => Ok(Some(record.clone())),
            None => Ok(self.records.task(id)?),
        }
    }

    /// A task that the ledger may have an older record of, or none yet.
    pub(super) fn newer_task(&self, id: TaskId) -> Option<&TaskRecord> {
        self.queue.task(id).or_else(|| self.new_finished.get(&id)).or_else(|| self.observed.get(&id))
    }

    fn offer_of(&self, it: &Submission) -> Result<Offer, Refusal> {
        check_secrets(it)?;
        let too_large = |field: &'static str| move |error| Refusal::field(field, format!("`{field}`: {error}"));
        let streams: Vec<StreamRef> = it
            .streams
            .iter()
            .map(|id| {
                let found = self.streams.get(id).filter(|it| it.direction == Direction::Input);
                let found = found.ok_or_else(|| {
                    Refusal::field(
                        "streams",
                        format!("there is no uploaded payload `{id}`: POST it to /v1/streams first"),
                    )
                })?;
                Ok(StreamRef { id: found.id, length: found.length, sha256: found.sha256 })
            })
            .collect::<Result<_, Refusal>>()?;
        let params = it.request.encode().map_err(|error| Refusal::field("params", error.to_string()))?;
        if it.request.target().chars().any(char::is_control) {
            return Err(Refusal::field("params", "an account name may not contain control characters"));
        }
        let params = Bytes::new(params).map_err(too_large("params"))?;
        Ok(Offer {
            priority: it.priority,
            mode: it.mode.into(),
            sealed: List::new(it.sealed.clone()).map_err(too_large("sealed"))?,
            streams: List::new(streams).map_err(too_large("streams"))?,
            requester: it.requester,
            signature: it.signature.clone().map(Box::new),
            ..Offer::new(it.id, it.system.clone(), &it.request, params)
        })
    }

    fn check_streams(&self, id: TaskId, streams: &[StreamId]) -> Result<(), Refusal> {
        let taken = streams
            .iter()
            .find(|stream| self.streams.get(stream).is_some_and(|it| it.task.is_some_and(|task| task != id)));
        match taken {
            Some(stream) => Err(Refusal::field("streams", format!("payload `{stream}` belongs to another task"))),
            None => Ok(()),
        }
    }

    fn bind_streams(&mut self, id: TaskId, streams: &[StreamId]) {
        for stream in streams {
            if let Some(record) = self.streams.get_mut(stream) {
                record.task = Some(id);
                self.writes.push(Write::Stream(record.clone()));
            }
        }
        if !streams.is_empty() {
            self.inputs_of.insert(id, streams.to_vec());
        }
    }
}

/// Exactly the sealed fields the kind needs, each once.
fn check_secrets(it: &Submission) -> Result<(), Refusal> {
    let kind = it.request.kind();
    let names: Vec<&str> = it.sealed.iter().map(|field| field.name.as_str()).collect();
    for (index, name) in names.iter().enumerate() {
        if !kind.sealed_fields().contains(name) {
            return Err(Refusal::field("sealed", format!("{kind} takes no sealed field `{name}`")));
        }
        if names.iter().take(index).any(|earlier| earlier == name) {
            return Err(Refusal::field("sealed", format!("the sealed field `{name}` is there twice")));
        }
    }
    match &it.request {
        TaskRequest::ResetPassword(request) => check_password(request, &names, it.requester.is_some()),
        TaskRequest::ImportBatch(_) if it.streams.len() != 1 => {
            Err(Refusal::field("streams", "import_batch needs exactly one payload: the sealed dataset"))
        }
        TaskRequest::ImportBatch(_) if !names.contains(&import_batch::DATASET_KEY) => {
            Err(Refusal::field("sealed", "import_batch needs the sealed field `dataset_key`"))
        }
        TaskRequest::ImportBatch(_) => Ok(()),
        TaskRequest::Export(_) | TaskRequest::DescribeSchema(_) | TaskRequest::Collect(_) if it.requester.is_none() => {
            Err(Refusal::field("requester", format!("what comes of {kind} needs the key it is to be sealed to")))
        }
        TaskRequest::Export(_) | TaskRequest::DescribeSchema(_) | TaskRequest::Collect(_) => {
            no_streams(kind, &it.streams)
        }
        TaskRequest::TestConnection(_)
        | TaskRequest::ValidateUser(_)
        | TaskRequest::EnableUser(_)
        | TaskRequest::DisableUser(_)
        | TaskRequest::ExpirePassword(_)
        | TaskRequest::FreezeUser(_)
        | TaskRequest::UnfreezeUser(_)
        | TaskRequest::UnlockUser(_)
        | TaskRequest::DeprovisionUser(_)
        | TaskRequest::RestoreUser(_) => no_streams(kind, &it.streams),
    }
}

fn check_password(request: &reset_password::Request, names: &[&str], has_requester: bool) -> Result<(), Refusal> {
    let given = names.contains(&reset_password::PASSWORD);
    match request.source.known() {
        Some(reset_password::Source::Given) if !given => Err(Refusal::field(
            "sealed",
            "a given password goes into the sealed field `password`, sealed to the cluster's keys",
        )),
        Some(reset_password::Source::Generated | reset_password::Source::Service) if given => {
            Err(Refusal::field("sealed", "a password that is made up leaves no place for a given one"))
        }
        Some(reset_password::Source::Generated) if !has_requester => {
            Err(Refusal::field("requester", "a generated password needs the key it is to be sealed to"))
        }
        Some(reset_password::Source::Given | reset_password::Source::Generated) if request.repeat_if_unknown => Err(
            Refusal::field("params", "`repeat_if_unknown` belongs to the source `service`: others are repeated anyway"),
        ),
        Some(_) | None => Ok(()),
    }
}

fn no_streams(kind: TaskKind, streams: &[StreamId]) -> Result<(), Refusal> {
    if streams.is_empty() { Ok(()) } else { Err(Refusal::field("streams", format!("{kind} takes no payload"))) }
}

fn digest(offer: &Offer, deadline: Option<Duration>) -> Result<[u8; 32], Refusal> {
    let bytes = codec::encode(offer).map_err(|error| Refusal::field("params", error.to_string()))?;
    let deadline = deadline.map_or(u64::MAX, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    Ok(Sha256::new().chain_update(bytes).chain_update(deadline.to_le_bytes()).finalize().into())
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use postern_protocol::bounded::Text;
    use postern_protocol::seal::{SealingKey, WrappedKey};
    use postern_protocol::signature::SignatureView;
    use postern_protocol::time::UnixMillis;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::state::lab;
    use crate::state::record::StreamRecord;

    /// What a submitter writes of each kind, and the digest of that, as an earlier version kept it.
    const GOLDEN: [(TaskKind, &str, &str); 15] = [
        (TaskKind::TestConnection, "{}", "10ea1cba2cbc149ec3a141056db11742342c0e0c01edbaae8c60fb149537dd17"),
        (
            TaskKind::ValidateUser,
            r#"{"account":"joe@acme.example"}"#,
            "94844e3974bdff5e45e8f9213cfac5b57d62514ee734bd9832c9fcd754376875",
        ),
        (
            TaskKind::EnableUser,
            r#"{"account":"joe@acme.example"}"#,
            "ffe7a5ff67ff25650861d6fe9c2a9104c3ba9fad5347f7a8d10c0c438b3abc70",
        ),
        (
            TaskKind::DisableUser,
            r#"{"account":"joe@acme.example"}"#,
            "b5e82379bfb751dc6990f7200bbe18d2ec938d884370c2cdee035a2d3e197b02",
        ),
        (
            TaskKind::ResetPassword,
            r#"{"account":"joe@acme.example","source":"given"}"#,
            "469ecd107f36ae58180f145978bf3bad6832e5cef9f5c216800541c6dabfcaec",
        ),
        (
            TaskKind::ExpirePassword,
            r#"{"account":"joe@acme.example"}"#,
            "c59cea5be47fc58132504e42a5adf908088142f810eaaaaa66171cfb52ddc68f",
        ),
        (
            TaskKind::ImportBatch,
            r#"{"format":"csv"}"#,
            "91c4872fb9cde8b2e1d281c52829c409ad4314d2de98ee36d5da28ace0c84afa",
        ),
        (
            TaskKind::FreezeUser,
            r#"{"account":"joe@acme.example"}"#,
            "9c0c6a75b50d464d6d83379ddf3e6d05ade40d2438a75ac0196c37542e0f8dde",
        ),
        (
            TaskKind::UnfreezeUser,
            r#"{"account":"joe@acme.example"}"#,
            "0fb2b347acfe8941e92dfcb4cd2e6f23d31624105a2f96ef175367294a12674d",
        ),
        (
            TaskKind::UnlockUser,
            r#"{"account":"joe@acme.example"}"#,
            "8785442b797a8375ae1c43ae0ae12c48b723fb0088b1a2dc51bb00ca70bf76b7",
        ),
        (
            TaskKind::DeprovisionUser,
            r#"{"account":"joe@acme.example"}"#,
            "ffd01947fdec6650268f15e109f5550e0f584e70e4cb4c03401d39001470eced",
        ),
        (
            TaskKind::RestoreUser,
            r#"{"account":"joe@acme.example","name":"joe"}"#,
            "b2aae6f38e5c6d46a374d31734e0abe4924cd3a652c0713491d27a33e09d1e11",
        ),
        (
            TaskKind::Export,
            r#"{"object":"User","format":"csv"}"#,
            "6e614e3bc8e0412f5724b978fef56e9809c745adbfe70e1183add64fe838184c",
        ),
        (TaskKind::DescribeSchema, "{}", "f245b6d9e4826d0ba1bb49cb7a4acc41cc23960f9556d75514f5411809eb6fcd"),
        (
            TaskKind::Collect,
            r#"{"name":"nightly"}"#,
            "9df011eae8b03d65f9640303472efcd6a227787f8771bb26f87d668b7f2614c5",
        ),
    ];
    /// Of a task with all that a submission may have.
    const FULL: &str = "5e294e438e8be69ebc9563727eff62617979bad6e5ddc7d4cd79b8521275471d";

    fn sealed(name: &str, key: &SealingKey) -> SealedField {
        let wrapped = WrappedKey { key: key.public().id(), enc: [4; 32], wrapped: Bytes::new(vec![5; 48]).unwrap() };
        let ciphertext = Bytes::new(vec![6; 40]).unwrap();
        SealedField { name: Text::clipped(name), ciphertext, keys: List::new(vec![wrapped]).unwrap() }
    }

    /// Whoever lost the answer submits the task again, and the controller may have been upgraded between. With any other digest
    /// it says that the task was submitted with other content, and to take another id: it is done twice. A new option must
    /// therefore change nothing where it is not used; never write other bytes here.
    #[test]
    fn what_an_earlier_version_took_is_the_same_submission_still() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _spool) = lab::ledger(folder.path());
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        let dataset = StreamRecord {
            id: StreamId::from_bytes([2; 16]),
            direction: Direction::Input,
            length: 1_000,
            sha256: [3; 32],
            task: None,
            complete: true,
            created: UnixMillis(0),
        };
        state.streams.insert(dataset.id, dataset);
        let key = SealingKey::from_random(&zeroize::Zeroizing::new([7; 32]));
        let of = |kind: TaskKind, params: Json| {
            let is = |all: &[TaskKind]| all.contains(&kind);
            let has_results =
                is(&[TaskKind::ImportBatch, TaskKind::Export, TaskKind::DescribeSchema, TaskKind::Collect]);
            Submission {
                request: TaskRequest::from_json(kind, params).unwrap(),
                streams: if is(&[TaskKind::ImportBatch]) { vec![StreamId::from_bytes([2; 16])] } else { Vec::new() },
                sealed: kind.sealed_fields().iter().map(|name| sealed(name, &key)).collect(),
                requester: has_results.then(|| *key.public()),
                ..lab::enabling(TaskId::from_bytes([1; 16]), "acme", "joe")
            }
        };
        let told = |it: &Submission| {
            let digest = digest(&state.offer_of(it).unwrap(), it.deadline).unwrap();
            HEXLOWER.encode(&digest)
        };
        assert_eq!(GOLDEN.map(|(kind, ..)| kind), TaskKind::ALL, "there is one of each kind");
        let again = GOLDEN.map(|(kind, params, _)| told(&of(kind, serde_json::from_str(params).unwrap())));
        assert_eq!(again, GOLDEN.map(|(.., kept)| kept));
        let view = SignatureView { key: "8".repeat(16), bytes: "9".repeat(128) };
        let full = Submission {
            signature: Some(TaskSignature::of_view(&view, 60_000).unwrap()),
            mode: Mode::Sync,
            priority: 200,
            deadline: Some(Duration::from_secs(60)),
            requester: Some(*key.public()),
            ..of(TaskKind::ResetPassword, json!({ "account": "joe@acme.example", "source": "given" }))
        };
        assert_eq!(told(&full), FULL);
    }
}
