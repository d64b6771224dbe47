//! The state directory: who works on it, what room there is, and what is in its store.

use std::path::Path;

use postern_protocol::SessionNo;
use postern_protocol::id::Incarnation;
use postern_protocol::plain::Chain;
use postern_protocol::{ReportNo, time::UnixMillis};
use postern_store::StoreError;
use postern_store::audit::Status as AuditStatus;
use rustix::fs::StatVfs;
use serde::{Deserialize, Serialize};

use super::{Check, Finding, configuration, desk};
use crate::config::Config;
use crate::status;
use crate::store::{AgentStoreError, Store};
use crate::{audit, clock};

/// What a store needs to take new work: twice what it keeps for a full disk.
const LEAST_BYTES: u64 = 20 * 1024 * 1024;
/// What a busy agent may write before somebody has looked.
const FEW_BYTES: u64 = 200 * 1024 * 1024;
const LEAST_INODES: u64 = 50;
const FEW_INODES: u64 = 1_000;
/// Outcomes are handed over within seconds while there is a session.
const OLD_HOURS: u64 = 1;

const MIB: u64 = 1024 * 1024;

/// Who has the store.
pub enum Holder {
    /// Nobody; it is open here.
    Here {
        /// The store.
        store: Store,
        /// What it says of itself.
        facts: Result<Facts, String>,
    },
    /// The agent that runs.
    WithAgent(Box<Running>),
    /// It cannot be had, because of this.
    Nobody(Check),
}

/// The agent that runs on the state directory.
pub struct Running {
    /// What it tells.
    pub report: status::Report,
    /// What it found out when it was asked.
    pub asked: Result<desk::Answer, String>,
}

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Reports that the controller has not acknowledged.
    pub owed: u64,
    /// When the oldest of their tasks was made, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// The audit log.
    pub audit: AuditStatus,
}

/// What `Hello` says of a store.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Which life it is.
    pub incarnation: Incarnation,
    /// The newest session in it.
    pub session: SessionNo,
    /// The number of the next report.
    pub next_report: ReportNo,
}

impl Holder {
    /// What a support bundle has of it.
    pub fn told(&self) -> serde_json::Value {
        match self {
            Self::WithAgent(running) => serde_json::json!({ "running": true, "agent": running.report }),
            Self::Here { store, facts } => {
                let standing = store.standing().ok().map(|(session, next)| (session.0, next.0));
                serde_json::json!({
                    "running": false,
                    "store": facts.as_ref().ok(),
                    "last_session": standing.map(|it| it.0),
                    "next_report": standing.map(|it| it.1),
                })
            }
            Self::Nobody(because) => serde_json::json!({ "running": false, "store": null, "because": because.id() }),
        }
    }
}

impl Facts {
    /// Reads them. Blocks.
    pub fn of(store: &Store, audit: AuditStatus) -> Result<Self, AgentStoreError> {
        let (owed, oldest) = store.owed()?;
        Ok(Self { owed, oldest: oldest.map(|made| made.0), audit })
    }
}

/// Looks at the directory, and opens the store if nobody has it.
pub async fn look(config: &Config, request: desk::Request) -> (Vec<Finding>, Holder) {
    let mut found = vec![directory(config)];
    let asked = status::ask(&config.state_dir).await;
    let answer = match &asked {
        Ok(Some(_)) => Some(desk::ask(&config.state_dir, request).await.map_err(|error| error.to_string())),
        Ok(None) | Err(_) => None,
    };
    found.push(match &asked {
        Ok(Some(report)) => running(report, answer.as_ref(), config),
        Ok(None) => Finding::ok(Check::StateAgent, "no agent runs on it"),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Finding::failed(Check::StateAgent, "this user may not look into it", "run this as the agent's user")
        }
        Err(error) => Finding::failed(
            Check::StateAgent,
            format!("an agent runs on it and does not answer on its socket: {error}"),
            "look at its log; if it hangs, stop it and start it again",
        ),
    });
    found.push(match rustix::fs::statvfs(existing(&config.state_dir)) {
        Ok(disk) => room(&disk),
        Err(error) => Finding::failed(
            Check::StateDisk,
            format!("the disk of `{}` cannot be looked at: {error}", config.state_dir.display()),
            "let the agent's user look at the state directory",
        ),
    });
    let (store, told) = match asked {
        Ok(Some(report)) => {
            let told = Finding::ok(Check::StoreOpens, format!("the agent, process {}, has it open", report.pid));
            let asked = answer.unwrap_or_else(|| Err("it was not asked".to_owned()));
            (Holder::WithAgent(Box::new(Running { report, asked })), told)
        }
        Ok(None) | Err(_) => open(config, &found).await,
    };
    let facts = match &store {
        Holder::Here { facts, .. } => facts.clone(),
        Holder::WithAgent(running) => running.asked.as_ref().map(|it| it.store.clone()).map_err(Clone::clone),
        Holder::Nobody(because) => {
            found.push(told);
            found.extend([Check::StoreOutbox, Check::StoreAudit].map(|check| Finding::behind(check, *because)));
            return (found, store);
        }
    };
    found.push(told);
    found.extend(kept(facts, clock::unix_millis()));
    (found, store)
}

fn directory(config: &Config) -> Finding {
    let shown = config.state_dir.display();
    if !config.state_dir.exists() {
        return Finding::warning(
            Check::StateDirectory,
            format!("`{shown}` is not there"),
            "`postern enroll` makes it, if its user may; else make it with mode 0700 and give it to the agent's user",
        );
    }
    configuration::exposed(Check::StateDirectory, config.inspect_state(), &format!("`{shown}` is this user's alone"))
}

/// Who runs, and whether it is the agent of this configuration.
fn running(report: &status::Report, answer: Option<&Result<desk::Answer, String>>, config: &Config) -> Finding {
    let told = format!("an agent runs on it: process {}, version {}", report.pid, report.version);
    let other = answer.and_then(|it| it.as_ref().ok()).map(|it| it.config.as_path());
    let own = config.file();
    let is_other = other.is_some_and(|other| other != own.canonicalize().unwrap_or_else(|_| own.to_owned()));
    match other.filter(|_| is_other) {
        Some(other) => Finding::failed(
            Check::StateAgent,
            format!("{told}, with another configuration, `{}`", other.display()),
            format!(
                "two agents cannot share a state directory: give each its own `state_dir`, or stop process {}",
                report.pid
            ),
        ),
        None => Finding::ok(Check::StateAgent, told),
    }
}

/// The first directory above that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"))
}

fn room(disk: &StatVfs) -> Finding {
    judge_room(disk.f_bavail.saturating_mul(disk.f_frsize), (disk.f_files > 0).then_some(disk.f_favail))
}

/// Whether what is free is enough. Some file systems count no inodes.
fn judge_room(bytes: u64, inodes: Option<u64>) -> Finding {
    let names = inodes.map(|it| format!(", {it} inodes")).unwrap_or_default();
    let told = format!("{} MiB{names} are free", bytes / MIB);
    let next = "make room on the disk of the state directory, or move it to a larger one; work goes on by itself then";
    let are_fewer = |least: u64| inodes.is_some_and(|it| it < least);
    if bytes < LEAST_BYTES || are_fewer(LEAST_INODES) {
        Finding::failed(Check::StateDisk, format!("the disk is full: {told}; no new work is taken"), next)
    } else if bytes < FEW_BYTES || are_fewer(FEW_INODES) {
        Finding::warning(Check::StateDisk, told, next)
    } else {
        Finding::ok(Check::StateDisk, told)
    }
}

/// Opens the store that is there. None is made, and one in a directory that is not private is left alone.
async fn open(config: &Config, found: &[Finding]) -> (Holder, Finding) {
    if let Some(failed) = found.iter().find(|it| it.is_failed() && it.id != Check::StateDisk) {
        return (Holder::Nobody(failed.id), Finding::behind(Check::StoreOpens, failed.id));
    }
    let home = config.home();
    if !home.has_store() {
        let told = "there is none yet: `postern enroll`, or the first `postern exec`, makes it with its key";
        return (Holder::Nobody(Check::StoreOpens), Finding::skipped(Check::StoreOpens, told));
    }
    let aside = damaged_before(&config.state_dir);
    let opened = tokio::task::spawn_blocking(move || Store::open_whole(&home)).await;
    let nobody = |finding| (Holder::Nobody(Check::StoreOpens), finding);
    match opened {
        Ok(Ok(store)) => {
            let finding = match aside.as_slice() {
                [] => Finding::ok(Check::StoreOpens, "it opens, and every record in it was read"),
                names => Finding::warning(
                    Check::StoreOpens,
                    format!(
                        "it opens; {} that were damaged before are kept beside it: {}",
                        names.len(),
                        names.join(", ")
                    ),
                    "look at the disk, then take them away",
                ),
            };
            let facts = facts(config, &store).await;
            (Holder::Here { store, facts }, finding)
        }
        Ok(Err(error)) => nobody(Finding::failed(Check::StoreOpens, Chain(&error).to_string(), next_of(&error))),
        Err(error) => nobody(Finding::failed(Check::StoreOpens, error.to_string(), "report it: this is a defect")),
    }
}

fn next_of(error: &AgentStoreError) -> &'static str {
    match error {
        AgentStoreError::Store(error) if error.is_in_use() => {
            "another process works on it: wait until it has ended, or stop it; two agents cannot share a state directory"
        }
        AgentStoreError::Store(error) if error.is_other_format() => "start the version that wrote it",
        AgentStoreError::Store(StoreError::Left { .. }) => {
            "look at the disk, and at the tasks of this member where they were submitted; the agent's next start keeps it \
             beside a new one, with which ceilings of the policy and refused sign-ins are counted from nothing"
        }
        AgentStoreError::Store(error) if error.is_disk_full() => "make room on the disk of the state directory",
        AgentStoreError::Key(_) => {
            "bring the key back, or name in `store_key` where it is; the operator's guide has the commands"
        }
        AgentStoreError::Record { .. } => "start the version again that ran here last",
        AgentStoreError::Store(_) | AgentStoreError::Spool(_) | AgentStoreError::Encode(_) => {
            "look at the disk, and at the operator's guide: when the disk fails"
        }
    }
}

/// Stores that were moved aside.
fn damaged_before(state_dir: &Path) -> Vec<String> {
    let entries = state_dir.join("store").read_dir().into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut aside: Vec<String> = names.filter(|name| name.starts_with("corrupt-")).collect();
    aside.sort();
    aside
}

async fn facts(config: &Config, store: &Store) -> Result<Facts, String> {
    let (store, directory) = (store.clone(), audit::directory(&config.state_dir));
    let read = move || {
        let (head, waiting) = (store.audit().head(), store.audit().waiting());
        let is_there = directory.exists();
        let gone = (head.is_some() && !is_there).then(|| "its directory is not there".to_owned());
        let head = head.unwrap_or_default().to_string();
        Facts::of(&store, AuditStatus { head, waiting, trouble: gone, fault: None })
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error| Chain(&error).to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// What the store says of the outbox and the audit log.
fn kept(facts: Result<Facts, String>, now: UnixMillis) -> [Finding; 2] {
    let facts = match facts {
        Ok(facts) => facts,
        Err(why) => {
            let next = "look at the agent's log; if this program was updated, start the agent again";
            return [Check::StoreOutbox, Check::StoreAudit].map(|check| Finding::failed(check, why.clone(), next));
        }
    };
    [outbox(&facts, now), audit_log(&facts.audit)]
}

fn outbox(facts: &Facts, now: UnixMillis) -> Finding {
    let Some(oldest) = facts.oldest else {
        return Finding::ok(Check::StoreOutbox, "nothing is owed to the controller");
    };
    let hours = now.0.saturating_sub(oldest) / (60 * 60 * 1000);
    let told = format!("{} outcomes are owed to the controller", facts.owed);
    if hours < OLD_HOURS {
        return Finding::ok(Check::StoreOutbox, told);
    }
    Finding::warning(
        Check::StoreOutbox,
        format!("{told}, the oldest of a task that was made {hours} h ago"),
        "they are handed over by themselves as soon as there is a session: see the checks of the controller",
    )
}

fn audit_log(audit: &AuditStatus) -> Finding {
    match (&audit.trouble, &audit.fault) {
        (Some(trouble), _) => Finding::failed(
            Check::StoreAudit,
            format!("it cannot be written, {} lines wait: {trouble}", audit.waiting),
            "mend its directory `audit` in the state directory; when too much waits, no change is begun",
        ),
        (None, Some(fault)) => Finding::warning(Check::StoreAudit, fault.clone(), "run `postern audit verify`"),
        (None, None) if audit.head.is_empty() || audit.head.starts_with("0:") => {
            Finding::ok(Check::StoreAudit, format!("no line yet, {} wait", audit.waiting))
        }
        (None, None) => {
            Finding::ok(Check::StoreAudit, format!("ends with {}; {} lines wait", audit.head, audit.waiting))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_disk_without_room_or_names_is_full() {
        let status = |bytes, inodes| judge_room(bytes, inodes).status;
        assert_eq!(status(FEW_BYTES, Some(FEW_INODES)), Status::Ok);
        assert_eq!(status(FEW_BYTES, None), Status::Ok);
        assert_eq!(status(FEW_BYTES - 1, None), Status::Warning);
        assert_eq!(status(FEW_BYTES, Some(FEW_INODES - 1)), Status::Warning);
        assert_eq!(status(LEAST_BYTES - 1, None), Status::Failed);
        assert_eq!(status(FEW_BYTES, Some(LEAST_INODES - 1)), Status::Failed);
    }

    fn facts(oldest: Option<u64>) -> Facts {
        Facts { owed: 3, oldest, audit: AuditStatus::default() }
    }

    #[test]
    fn what_is_owed_for_long_is_told_with_how_long() {
        let hour = 60 * 60 * 1000;
        let found = |oldest| outbox(&facts(oldest), UnixMillis(10 * hour));
        assert_eq!(found(None).status, Status::Ok);
        assert_eq!(found(Some(10 * hour - 1)).status, Status::Ok);
        let old = found(Some(7 * hour));
        assert_eq!((old.status, old.told.contains("3 h ago")), (Status::Warning, true), "{old:?}");
    }

    #[test]
    fn an_audit_log_that_cannot_be_written_fails_and_a_broken_one_warns() {
        let log = |trouble: Option<&str>, fault: Option<&str>| AuditStatus {
            trouble: trouble.map(str::to_owned),
            fault: fault.map(str::to_owned),
            ..AuditStatus::default()
        };
        assert_eq!(audit_log(&log(None, None)).status, Status::Ok);
        assert_eq!(audit_log(&log(None, Some("cut"))).status, Status::Warning);
        assert_eq!(audit_log(&log(Some("full"), Some("cut"))).status, Status::Failed);
    }
}
