//! `status`.

use super::{client, output};
use crate::api::StatusView;
use crate::cli::Reach;
use crate::exit::Failure;

pub(super) async fn run(reach: &Reach) -> Result<(), Failure> {
    let status: StatusView = client(reach)?.get("/v1/status").await?;
    if reach.json {
        return output::json(&status);
    }
    let counts = |counts: &std::collections::BTreeMap<String, usize>| {
        let words: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    output::facts(vec![
        ("version", status.version.clone()),
        ("members", counts(&status.members)),
        ("connected", status.connected.to_string()),
        ("unfinished tasks", counts(&status.unfinished)),
        ("finished tasks", format!("{} kept", status.finished)),
        ("audit log", status.audit.words("postern-controller")),
        ("store", format!("{} commits under {} barriers", status.commits, status.barriers)),
    ]);
    Ok(())
}
