//! What the agents themselves told: whether their audit logs tell of each effect once, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use postern_store::audit::Verifier;
use serde_json::Value;

use super::super::ended::{Ended, Seen};
use crate::{Agent, wait_for};

/// What an agent's log tells of, by task: the numbers of entries, 0 for a task about one account.
type Told = BTreeMap<String, Vec<Value>>;

/// Tasks with a call that had no answer in time, whether that was planted or the machine stood still.
pub(super) fn tasks_with_lost_answers(agents: &[Agent]) -> BTreeSet<String> {
    let of_line = |line: &str| {
        let (_, named) = line.split_once("task=").filter(|_| line.contains("a call had no answer"))?;
        named.split_whitespace().next().map(str::to_owned)
    };
    agents.iter().flat_map(|agent| agent.log().lines().filter_map(of_line).collect::<Vec<_>>()).collect()
}

/// What is wrong with the log of an agent, and what it tells of each task.
async fn read(agent: &Agent, violations: &mut Vec<String>) -> Told {
    wait_for("everything that is told to be in the audit log", async || {
        let audit = agent.status().await["agent"]["audit"].clone();
        if audit["waiting"] == 0 && audit["trouble"].is_null() { Ok(()) } else { Err(audit) }
    })
    .await;
    let head = agent.status().await["agent"]["audit"]["head"].as_str().and_then(|head| head.parse().ok());
    let directory = agent.folder().join("state/audit");
    let mut told = Told::new();
    let found = Verifier::new(&directory).known(head.unwrap_or_default()).run(|line| {
        let event: Value = serde_json::from_str(line.event).unwrap_or_default();
        let task = event["task"].as_str().unwrap_or_default().to_owned();
        told.entry(task).or_default().push(event);
    });
    violations.extend(found.err().map(|error| format!("the audit log of {}: {error}", agent.member())));
    for (task, events) in &told {
        let mut seen = BTreeSet::new();
        let done = events.iter().filter(|event| event["outcome"] == "done");
        let twice = done.filter(|event| !seen.insert((event["step"].to_string(), event["entry"].to_string())));
        violations.extend(twice.map(|event| format!("the audit log tells {task} twice: {event}")));
    }
    told
}

/// Compares what the logs tell with what was told of each task and what the simulator saw.
pub(super) async fn check(agents: &[Agent], ended: &[Ended]) -> (u64, Vec<String>) {
    let (mut violations, mut logs) = (Vec::new(), Vec::new());
    for agent in agents {
        logs.push(read(agent, &mut violations).await);
    }
    let lines = logs.iter().flat_map(BTreeMap::values).map(|events| u64::try_from(events.len()).unwrap_or(0)).sum();
    for it in ended {
        let id = it.id.to_string();
        let events: Vec<&Value> = logs.iter().filter_map(|log| log.get(&id)).flatten().collect();
        let complaint = compare(it, &events);
        violations.extend(complaint.map(|complaint| format!("{id}, {}: {complaint}: {events:?}", it.kind)));
    }
    (lines, violations)
}

/// What a member did that lost the lease, it may find out, and tell, much later.
fn compare(it: &Ended, events: &[&Value]) -> Option<String> {
    if it.told.attempts == 1 && it.told.by_member { of_one_member(it, events) } else { of_some_members(it, events) }
}

/// One member had the task all along and told how it ended: its log and its word are the same.
fn of_one_member(it: &Ended, events: &[&Value]) -> Option<String> {
    let count = |outcome: &str| events.iter().filter(|event| event["outcome"] == outcome).count();
    let (done, unknown) = (count("done"), count("unknown"));
    match &it.seen {
        Seen::Export { .. } => (!events.is_empty()).then(|| "an export changes nothing".to_owned()),
        Seen::Account { .. } | Seen::Password { .. } => {
            let is_right = match (it.told.outcome.as_str(), it.told.changed.as_str()) {
                ("unknown" | "dead_lettered", _) | (_, "unknown") => done == 0 && unknown <= 1,
                (_, "yes") => (done, unknown) == (1, 0),
                (_, _) => events.is_empty(),
            };
            (!is_right).then(|| format!("{} with changed {} stands in it as", it.told.outcome, it.told.changed))
        }
        Seen::Import { results, .. } => {
            let Some(Ok(results)) = results else { return None };
            let lines = results.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
            let lines: Vec<Value> = lines.collect();
            let numbers = |wanted: &[&str]| -> Vec<String> {
                let is_wanted =
                    |line: &&Value| wanted.iter().any(|it| line["outcome"] == *it) || line["partly"] == true;
                let mut numbers: Vec<String> =
                    lines.iter().filter(is_wanted).map(|line| line["entry"].to_string()).collect();
                numbers.sort();
                numbers
            };
            let told_as = |outcome: &str| -> Vec<String> {
                let of_entries = events.iter().filter(|event| event["entry"].is_u64() && event["outcome"] == outcome);
                let mut numbers: Vec<String> = of_entries.map(|event| event["entry"].to_string()).collect();
                numbers.sort();
                numbers
            };
            let done = numbers(&["created", "modified"]);
            (done != told_as("done")).then(|| format!("entries {done:?} were changed, and stand in it as"))
        }
    }
}

/// Several members had it: whatever Salesforce saw, no more is told as certain.
fn of_some_members(it: &Ended, events: &[&Value]) -> Option<String> {
    let certain = events.iter().filter(|event| event["certainty"] == "certain").count();
    let seen = match &it.seen {
        Seen::Account { effects, .. } => effects.after.issued,
        Seen::Password { calls, .. } => calls.after.taken,
        Seen::Import { .. } | Seen::Export { .. } => return None,
    };
    (u64::try_from(certain).unwrap_or(u64::MAX) > seen).then(|| format!("Salesforce saw {seen} effects, it tells of"))
}

#[cfg(test)]
mod tests {
    use postern_protocol::{TaskId, TaskKind};
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::crash::ended::{Effects, Told, Twice};

    fn unknown(member: &Value) -> Ended {
        let now = Instant::now();
        let effects = Effects { issued: 1, needless: 0 };
        Ended {
            id: TaskId::from_bytes([1; 16]),
            kind: TaskKind::ExpirePassword,
            of: "joe@acme.example".to_owned(),
            from: now,
            to: now,
            cancelled: false,
            late: false,
            told: Told::of(&json!({ "outcome": "unknown", "changed": "unknown", "attempt": 1, "member": member })),
            seen: Seen::Account { effects: Twice { at_end: effects, after: effects }, as_asked: true },
        }
    }

    /// A member that is away for longer than its lease knows, and its log tells, more than the controller that gave up.
    #[test]
    fn only_what_a_member_told_is_held_against_its_log() {
        let done = json!({ "outcome": "done", "certainty": "certain" });
        assert_eq!(compare(&unknown(&Value::Null), &[&done]), None);
        assert!(compare(&unknown(&Value::Null), &[&done, &done]).is_some(), "more than Salesforce saw");
        assert!(compare(&unknown(&json!("mbr_1")), &[&done]).is_some());
    }
}
