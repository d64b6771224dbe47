use std::path::Path;

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealingKey;
use postern_protocol::{Epoch, ReportNo};
use zeroize::Zeroizing;

use super::*;

const CONFIG: &str = "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n\
                      [[collection]]\nname = \"nightly\"\nsystem = \"acme\"\nrepeats = \"daily\"\ndirectory = \"/var/lib\"\n";

fn report(task: TaskId) -> Report {
    Report {
        number: ReportNo(1),
        task,
        epoch: Epoch(0),
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

/// Killed as soon as its report is taken, nobody could say any more how the run ended.
#[tokio::test]
async fn how_a_run_ended_is_on_disk_before_its_report_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let collection = Config::parse(Path::new("agent.toml"), CONFIG).unwrap().collections.remove(0);
    let run = Run { begun: 1, task: random::task_id(), end: None };
    let remembered = Remembered { collection, record: Record { since: 1, run: Some(run.clone()) }, watched: None };
    // Nobody takes what comes through it, and it is full: a report cannot be taken.
    let (dispatcher, _inputs) = Dispatcher::full();
    let (mut collector, _status) = Collector::new(remembered, store.clone(), dispatcher, SealingKeys::new(Vec::new()));
    let on_disk = async || {
        for _ in 0..1_000 {
            let record = store.collection(&"acme".parse().unwrap(), "nightly").unwrap();
            if let Some(end) = record.and_then(|it| it.run).and_then(|it| it.end) {
                return end;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("how the run ended is not on disk");
    };
    let report = report(run.task);
    let end = tokio::select! {
        _ = collector.take(&run, &report) => panic!("the report cannot be taken"),
        end = on_disk() => end,
    };
    assert_eq!(end.outcome.known(), Some(Outcome::Failed));
}

#[test]
fn a_collection_of_a_system_that_cannot_be_gathered_from_is_refused_with_its_place() {
    let config = Config::parse(Path::new("agent.toml"), CONFIG).unwrap();
    assert!(check(&config, |_| TaskKind::ALL).is_ok());
    let error = check(&config, |_| &[TaskKind::TestConnection]).unwrap_err().to_string();
    assert!(
        error.starts_with("agent.toml:6: collection `nightly`: `system`: the connector of `acme` cannot collect; "),
        "{error}"
    );
}

/// Leave `tell` out of `wait`, and a run whose task is not taken is told to be running.
#[tokio::test]
async fn a_run_whose_task_is_not_taken_is_told_to_wait_and_for_what() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let collection = Config::parse(Path::new("agent.toml"), CONFIG).unwrap().collections.remove(0);
    let remembered = Remembered { collection, record: Record { since: 1, run: None }, watched: None };
    // Nobody takes anything any more.
    let (dispatcher, inputs) = Dispatcher::channel();
    drop(inputs);
    let key = SealingKey::from_random(&Zeroizing::new([7; 32]));
    let (mut collector, mut status) = Collector::new(remembered, store, dispatcher, SealingKeys::new(vec![key]));
    let told = async {
        let told = status.wait_for(|it| it.outcome.as_deref() == Some("waiting")).await.unwrap();
        told.told.clone().unwrap_or_default()
    };
    let told = tokio::select! {
        _ = collector.begin() => panic!("its task cannot be taken"),
        told = told => told,
    };
    assert_eq!(told, "its task is not taken: the agent takes no tasks any more; it is tried again every minute");
}
