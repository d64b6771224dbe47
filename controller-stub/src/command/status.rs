//! `status`.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_health::Facts;
use serde_json::json;

use super::{client, output, watch};
use crate::api::StatusView;
use crate::cli::Reach;
use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::state::served::MAX_ATTENTION;

/// What runs out sooner than this is told to whoever looks: time enough to hand out another token.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

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
            let text = if json { json!({ "error": failure.text }).to_string() } else { failure.text };
            return Ok(vec![("controller".to_owned(), text)]);
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
        ("agents connect to".to_owned(), status.controller_urls.join(", ")),
        ("members".to_owned(), counts(&status.members)),
        ("connected".to_owned(), status.connected.to_string()),
        ("unfinished tasks".to_owned(), counts(&status.unfinished)),
    ];
    if status.newer_certificates > 0 {
        let members = if status.newer_certificates == 1 { "member" } else { "members" };
        let words = format!(
            "of {} {members} wait to be accepted, as after a restore of this controller from a backup: see \
             `postern-controller member accept --help`",
            status.newer_certificates
        );
        facts.push(("newer certificates".to_owned(), words));
    }
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
    if let Some(soon) = status.next_api_token_expiry.filter(|it| *it < clock::after(clock::wall(), SOON)) {
        let words = format!(
            "the next one runs out {}: see `postern-controller api-token list`, and give whoever has it another",
            output::moment(soon.0)
        );
        facts.push(("look at API tokens".to_owned(), words));
    }
    if status.attention.len() >= MAX_ATTENTION {
        facts.push(("look at".to_owned(), "there may be more: see `postern-controller member list`".to_owned()));
    }
    facts
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use postern_store::private;

    use super::*;
    use crate::client::Where;

    #[tokio::test]
    async fn whoever_watches_in_json_is_told_in_json_that_the_controller_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        private::replace(&token_file, b"postern-api-nonsense").unwrap();
        let client = Client::open(&Where::Url { url: "http://127.0.0.1:1".to_owned(), token_file }).unwrap();
        let told = look(&client, true, true).await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&told[0].1).unwrap();
        assert!(told["error"].as_str().unwrap().contains("does not answer"), "{told}");
        assert_eq!(look(&client, true, false).await.unwrap_err().exit, Exit::Unreachable);
    }
}
