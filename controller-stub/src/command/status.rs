//! `status`.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_health::Facts;

use super::{client, output, watch};
use crate::api::StatusView;
use crate::cli::Reach;
use crate::client::Client;
use crate::exit::{Exit, Failure};

pub(super) async fn run(reach: &Reach, again: Option<Duration>) -> Result<(), Failure> {
    let client = client(reach)?;
    if let Some(every) = again {
        return watch::run(every, reach.json, || look(&client, reach.json, true)).await;
    }
    if reach.json {
        return output::json(&client.get::<StatusView>("/v1/status").await?);
    }
    let facts = look(&client, false, false).await?;
    output::facts(facts.iter().map(|(name, value)| (name.as_str(), value.clone())).collect());
    Ok(())
}

async fn look(client: &Client, json: bool, is_watched: bool) -> Result<Facts, Failure> {
    let status: StatusView = match client.get("/v1/status").await {
        Ok(status) => status,
        // It may be there again soon.
        Err(failure) if is_watched && failure.exit == Exit::Unreachable => {
            return Ok(vec![("controller".to_owned(), failure.text)]);
        }
        Err(failure) => return Err(failure),
    };
    if json {
        let text = serde_json::to_string(&status).map_err(|error| Failure::from_error(Exit::Bug, &error))?;
        return Ok(vec![("status".to_owned(), text)]);
    }
    Ok(facts(&status))
}

fn facts(status: &StatusView) -> Facts {
    let mut facts = vec![
        ("version".to_owned(), status.version.clone()),
        ("members".to_owned(), counts(&status.members)),
        ("connected".to_owned(), status.connected.to_string()),
        ("unfinished tasks".to_owned(), counts(&status.unfinished)),
    ];
    for it in &status.queues {
        let (tasks, oldest) = (counts(&it.tasks), output::moment(it.oldest));
        let members = match it.members {
            0 => "NO MEMBER is there for them".to_owned(),
            1 => "1 member is there for them".to_owned(),
            members => format!("{members} members are there for them"),
        };
        facts.push((format!("{} of {}", it.system, it.cluster), format!("{tasks}; the oldest of {oldest}; {members}")));
    }
    facts.extend([
        ("finished tasks".to_owned(), format!("{} kept", status.finished)),
        ("audit log".to_owned(), status.audit.words("postern-controller")),
        ("store".to_owned(), format!("{} commits under {} barriers", status.commits, status.barriers)),
    ]);
    for it in &status.attention {
        facts.push((format!("look at {}", it.member), format!("{} ({}): {}", it.host, it.cluster, it.why)));
    }
    facts
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
