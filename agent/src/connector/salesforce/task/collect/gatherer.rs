//! From users to lines of the file.

use std::io::Write as _;

use postern_protocol::bounded::{List, Text};
use postern_protocol::message::v1::StreamRef;
use postern_protocol::seal::SealedOutput;
use postern_protocol::task::collect::Request;
use postern_protocol::{Failure, FailureClass, SystemName};
use serde_json::{Map, Value as Json, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::super::user::is_id;
use super::super::super::{Salesforce, error};
use super::super::export::{Plan, Portion, Rows, Taker};
use super::attributes::Layout;
use super::companion::{Companions, GROUP};
use super::memory::Memory;
use crate::connector::{Payload, unwritten};

/// What a file is of.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) system: &'a SystemName,
    pub(super) request: &'a Request,
    pub(super) started: &'a str,
    pub(super) instance: &'a Url,
    pub(super) layout: &'a Layout,
    pub(super) companions: &'a Companions,
    pub(super) memory: &'a Memory,
    pub(super) stop: &'a CancellationToken,
}

/// The file while it grows.
pub(super) struct Gatherer<'a> {
    org: &'a Salesforce,
    head: Head<'a>,
    payload: Box<dyn Payload>,
    users: u64,
    /// Of how many of them not every record is told.
    cut: u64,
    /// Users whose other records are not read yet.
    waiting: Vec<Map<String, Json>>,
}

/// The file when it is whole.
pub(super) struct Done {
    pub(super) payload: (StreamRef, SealedOutput),
    pub(super) users: u64,
    pub(super) removed: u64,
    pub(super) ended: String,
    pub(super) warnings: List<Text<512>, 12>,
}

/// Lines of the file.
#[derive(Default)]
struct Lines {
    told: Vec<Json>,
    /// Of each the id and the name.
    seen: Vec<(String, String)>,
    /// How many of them do not hold everything.
    cut: u64,
}

impl Head<'_> {
    /// The lines of some users.
    async fn lines(&self, org: &Salesforce, group: Vec<Map<String, Json>>) -> Result<Lines, Failure> {
        let ids: Vec<String> = group.iter().map(|line| text(line, "Id")).collect();
        let named: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut found = self.companions.read(org, &named, self.stop).await?;
        let mut all = Lines::default();
        for (id, mut user) in ids.iter().zip(group) {
            let url = self.instance.join(id).map(String::from);
            user.insert("Url".to_owned(), url.map_or(Json::Null, Json::String));
            all.cut += u64::from(!self.companions.join(&mut user, id, &mut found));
            all.seen.push((id.clone(), text(&user, "Username")));
            all.told.push(Json::Object(user));
        }
        Ok(all)
    }
}

impl<'a> Gatherer<'a> {
    pub(super) async fn begin(org: &'a Salesforce, head: Head<'a>, payload: Box<dyn Payload>) -> Result<Self, Failure> {
        let first = json!({ "collection": {
            "name": head.request.name, "system": head.system, "user_status": head.request.user_status,
            "logins": head.request.logins, "started": head.started, "since": head.memory.since(),
        } });
        let payload = write(payload, vec![first]).await?;
        Ok(Self { org, head, payload, users: 0, cut: 0, waiting: Vec::new() })
    }

    /// Writes the users who wait, with everything that belongs to them, unless the rest of the org's calls is for others.
    async fn flush(mut self) -> Result<Self, Failure> {
        self.org.may_go_on().await?;
        let Lines { told, seen, cut } = self.head.lines(self.org, std::mem::take(&mut self.waiting)).await?;
        self.payload = write(self.payload, told).await?;
        self.head.memory.saw(seen).await?;
        self.cut += cut;
        Ok(self)
    }

    /// Tells who is gone, and ends the file.
    pub(super) async fn finish(mut self, plan: &Plan) -> Result<Done, Failure> {
        if !self.waiting.is_empty() {
            self = self.flush().await?;
        }
        let memory = self.head.memory.clone();
        let mut payload = self.payload;
        let written = tokio::task::spawn_blocking(move || {
            let removed = memory.gone(|user| line(&mut payload, &json!({ "removed": user })))?;
            Ok::<_, Failure>((payload, removed))
        });
        let (payload, removed) = written.await.map_err(|_| crashed())??;
        self.head.memory.forget(removed.told_before).await?;
        let cut = (self.cut > 0).then(|| {
            format!(
                "{} users have more records of a kind than are told; `…_cut` in their lines says of which",
                self.cut
            )
        });
        let (users, removed, ended, warnings) =
            (self.users, removed.count, super::now(), plan.warnings_and(cut.as_deref()));
        let end = json!({ "end": {
            "complete": true, "users": users, "removed": removed, "ended": ended, "warnings": warnings,
        } });
        let payload = write(payload, vec![end]).await?;
        let payload = tokio::task::spawn_blocking(move || payload.finish()).await.map_err(|_| crashed())??;
        Ok(Done { payload, users, removed, ended, warnings })
    }
}

impl Taker for Gatherer<'_> {
    const PHASE: &'static str = "collect";
    const PORTION: Portion = Portion::Whole(GROUP);

    async fn take(mut self, rows: Rows) -> Result<Self, Failure> {
        for row in rows {
            let line = self.head.layout.line(row);
            // It is remembered, and becomes part of statements and a URL.
            if !line.get("Id").and_then(Json::as_str).is_some_and(is_id) {
                return Err(error::strange(200));
            }
            self.waiting.push(line);
            self.users += 1;
            if self.waiting.len() >= GROUP {
                self = self.flush().await?;
            }
        }
        Ok(self)
    }

    fn taken(&self) -> u64 {
        self.users
    }
}

fn text(line: &Map<String, Json>, name: &str) -> String {
    line.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Writes lines on a thread that may wait for the disk.
async fn write(mut payload: Box<dyn Payload>, lines: Vec<Json>) -> Result<Box<dyn Payload>, Failure> {
    let written =
        tokio::task::spawn_blocking(move || lines.iter().try_for_each(|it| line(&mut payload, it)).map(|()| payload));
    written.await.map_err(|_| crashed())?
}

fn line(payload: &mut Box<dyn Payload>, json: &Json) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec(json).unwrap_or_default();
    bytes.push(b'\n');
    payload.write_all(&bytes).map_err(|error| unwritten(&error))
}

fn crashed() -> Failure {
    Failure::new(FailureClass::Internal, "writer_crashed", "writing the collection ended in a defect")
}
