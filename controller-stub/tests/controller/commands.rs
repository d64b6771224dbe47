//! What commands say, and what they leave behind when it comes to nothing.

use std::fs;

use crate::lab::{Lab, new_task};

/// Make the file before anything is asked, and the results that were fetched last month are gone with this month's mistake.
#[tokio::test]
async fn results_take_the_place_of_a_file_when_they_are_whole_and_never_of_the_dataset() {
    let lab = Lab::start().await;
    let (task, dataset) = (new_task().to_string(), lab.private_file("users.csv", "Username\njoe\n"));
    let (kept, failed) = (lab.private_file("results.jsonl", "of last month"), lab.path("again.csv"));
    let [dataset, kept, failed] = [&dataset, &kept, &failed].map(|it| it.to_str().unwrap());

    let (code, _, err) = lab.command(&["task", "results", &task, "--output", kept]);
    assert_eq!(code, Some(77), "{err}");
    assert_eq!(fs::read_to_string(kept).unwrap(), "of last month");

    for (output, failed) in [(dataset, failed), (failed, failed), (kept, dataset)] {
        let both = ["--output", output, "--failed", failed, "--dataset", dataset];
        let (code, _, err) = lab.command(&[&["task", "results", task.as_str()], &both[..]].concat());
        assert_eq!(code, Some(2), "{both:?}: {err}");
        assert!(err.contains("name another"), "{both:?}: {err}");
        assert_eq!(fs::read_to_string(dataset).unwrap(), "Username\njoe\n");
    }
    assert!(!fs::exists(failed).unwrap());
}
