use std::path::Path;

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, ReportNo};

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
