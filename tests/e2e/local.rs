//! `postern exec`: the same work without a controller.

use std::os::unix::fs::PermissionsExt as _;

use postern_tests::lab::SYSTEM;
use postern_tests::{Lab, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::json;

use crate::{JOE, programs};

#[tokio::test]
async fn an_administrator_tries_every_kind_before_enrolling() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");

    let tested = agent.run(&["exec", "test_connection", "--system", SYSTEM]).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.out.contains("established successfully"), "{tested:?}");

    let on_joe = |kind| ["exec", kind, "--system", SYSTEM, "--account", JOE, "--json"];
    assert_eq!(agent.run(&on_joe("disable_user")).await.json()["outcome"], json!("succeeded"));
    assert_eq!(agent.run(&on_joe("validate_user")).await.json()["output"]["user"]["active"], json!(false));
    assert_eq!(agent.run(&on_joe("enable_user")).await.json()["outcome"], json!("succeeded"));

    let given = lab.folder().join("given");
    std::fs::write(&given, "Given-Pass-word-1\n").unwrap();
    let given = given.to_str().unwrap();
    let reset = ["exec", "reset_password", "--system", SYSTEM, "--account", JOE, "--password-file", given];
    let reset = agent.run(&reset).await;
    assert_eq!(reset.code, Some(0), "{reset:?}");
    assert!(lab.salesforce.password_is(JOE, "Given-Pass-word-1"));

    let made_up = lab.folder().join("made-up");
    let made_up = made_up.to_str().unwrap();
    let reset =
        agent.run(&["exec", "reset_password", "--system", SYSTEM, "--account", JOE, "--generate", made_up]).await;
    assert_eq!(reset.code, Some(0), "{reset:?}");
    assert!(lab.salesforce.password_is(JOE, std::fs::read_to_string(made_up).unwrap().trim()));

    let expired = agent.run(&on_joe("expire-password")).await;
    assert_eq!(expired.json()["outcome"], json!("succeeded"), "{expired:?}");

    for (kind, outcome) in
        [("freeze-user", "succeeded"), ("unfreeze-user", "succeeded"), ("unlock-user", "already_satisfied")]
    {
        assert_eq!(agent.run(&on_joe(kind)).await.json()["outcome"], json!(outcome), "{kind}");
    }
    let temporary = lab.folder().join("temporary");
    let reset = [&on_joe("reset-password")[..], &["--service", "--temporary", temporary.to_str().unwrap()]].concat();
    assert_eq!(agent.run(&reset).await.json()["outcome"], json!("succeeded"));
    assert!(lab.salesforce.password_is(JOE, std::fs::read_to_string(&temporary).unwrap().trim()));
    let untold = agent.run(&["exec", "reset-password", "--system", SYSTEM, "--account", JOE, "--service"]).await;
    assert!(untold.out.contains("nobody asked for it") && untold.out.contains("add `--temporary FILE`"), "{untold:?}");
    let left = agent.run(&on_joe("deprovision-user")).await.json();
    assert_eq!(left["output"]["stage"], json!("done"), "{left}");
    let gone = format!("{JOE}.deleted");
    let restore = ["exec", "restore-user", "--system", SYSTEM, "--account", &gone, "--name", JOE, "--json"];
    let back = agent.run(&[&restore[..], &["--password-file", given]].concat()).await.json();
    assert_eq!((&back["outcome"], &back["output"]["password_set"]), (&json!("succeeded"), &json!(true)), "{back}");

    let dataset = lab.folder().join("users.xml");
    std::fs::write(
        &dataset,
        format!("<root><entry changetype=\"modify\"><Username>{JOE}</Username><Title>Lead</Title></entry></root>"),
    )
    .unwrap();
    let imported = agent
        .run(&["exec", "import-batch", "--system", SYSTEM, "--dataset", dataset.to_str().unwrap(), "--json"])
        .await;
    assert_eq!(imported.json()["output"]["modified"], json!(1), "{imported:?}");
    assert_eq!(lab.salesforce.user(JOE).unwrap().fields["Title"], json!("Lead"));
}

#[tokio::test]
async fn a_kind_is_understood_in_both_spellings_and_shown_in_one() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    for kind in ["disable_user", "disable-user"] {
        let help = agent.run(&["exec", kind, "--help"]).await;
        assert_eq!(help.code, Some(0), "{help:?}");
    }
    let kinds = agent.run(&["exec", "--help"]).await;
    assert!(kinds.out.contains("disable_user") && !kinds.out.contains("disable-user"), "{kinds:?}");
}

#[tokio::test]
async fn a_refused_task_fails_with_the_next_step_and_exit_code_1() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let refused = agent.run(&["exec", "disable_user", "--system", SYSTEM, "--account", "nobody@acme.example"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.out.contains("user_not_found") && refused.out.contains("next step"), "{refused:?}");
}

/// What cannot be kept is not done, and what was not done leaves nothing behind.
#[tokio::test]
async fn a_file_for_what_comes_out_is_made_before_anything_is_changed() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let reset = async |system: &str, account: &str, file: &str| {
        agent.run(&["exec", "reset-password", "--system", system, "--account", account, "--generate", file]).await
    };

    let taken = path("taken");
    std::fs::write(&taken, "precious").unwrap();
    let refused = reset(SYSTEM, JOE, &taken).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("is there already"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "precious");
    assert_eq!(reset(SYSTEM, JOE, &path("no-such-folder/new")).await.code, Some(2));

    let free = path("free");
    assert_eq!(reset("no-such-system", JOE, &free).await.code, Some(2));
    assert_eq!(reset(SYSTEM, "nobody@acme.example", &free).await.code, Some(1));
    assert_eq!(reset(SYSTEM, JOE, &free).await.code, Some(0), "the file of a reset that failed is gone again");

    let dataset = path("users.xml");
    let entry = format!("<entry changetype=\"modify\"><Username>{JOE}</Username><Title>Lead</Title></entry>");
    std::fs::write(&dataset, format!("<root>{entry}</root>")).unwrap();
    let import = ["exec", "import-batch", "--system", SYSTEM, "--dataset", &dataset, "--results"];
    assert_eq!(agent.run(&[&import[..], &[&path("no-such-folder/results")]].concat()).await.code, Some(2));

    let effects = lab.salesforce.counters().users[JOE];
    assert_eq!((effects.password_sets, effects.updates), (1, 0));
}

/// A plan holds old and new values, and a command that is refused must leave everything as it was.
#[tokio::test]
async fn the_results_of_an_import_are_private_and_never_take_the_place_of_its_dataset() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let (dataset, results, taken) = (path("users.csv"), path("results.jsonl"), path("taken.csv"));
    let text = format!("Username,Title\n{JOE},Lead\n");
    std::fs::write(&dataset, &text).unwrap();
    std::fs::write(&results, "of yesterday").unwrap();
    std::fs::write(&taken, "precious").unwrap();
    std::os::unix::fs::symlink(&dataset, path("alias.csv")).unwrap();
    let import = async |more: &[&str]| {
        agent.run(&[&["exec", "import_batch", "--system", SYSTEM, "--dataset", &dataset][..], more].concat()).await
    };

    for (refused, why) in [
        (&["--results", &dataset][..], "the place of the dataset"),
        (&["--results", &path("alias.csv")], "the place of the dataset"),
        (&["--failed", &dataset], "the place of the dataset"),
        (&["--results", &results, "--failed", &taken], "is there already"),
        (&["--results", &path("both"), "--failed", &path("both")], "name one file"),
        (&["--results", lab.folder().to_str().unwrap()], "no file that can be replaced"),
    ] {
        let done = import(refused).await;
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.contains(why), "{done:?}");
    }
    assert_eq!(std::fs::read_to_string(&dataset).unwrap(), text);
    assert_eq!(std::fs::read_to_string(&results).unwrap(), "of yesterday");
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "precious");
    assert!(!lab.folder().join("both").exists());

    let planned = import(&["--dry-run", "--results", &results]).await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(std::fs::read_to_string(&results).unwrap().contains("would_modify"));
    assert_eq!(std::fs::metadata(&results).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Rehearsed, done, mended, done again: the story of an import.
#[tokio::test]
async fn what_failed_of_an_import_can_be_mended_and_fed_back() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let import = async |file: &str, more: &[&str]| {
        agent
            .run(&[&["exec", "import-batch", "--system", SYSTEM, "--json", "--dataset", file][..], more].concat())
            .await
    };
    let (dataset, rest) = (path("users.csv"), path("rest.csv"));
    let text =
        format!("\u{feff}Username;Alias;Title\r\n{JOE};joe;Lead\r\nuser0002@acme.example;ninechars;\"R;\nD\"\r\n");
    std::fs::write(&dataset, text).unwrap();

    let planned = import(&dataset, &["--dry-run"]).await;
    assert_eq!((&planned.json()["output"]["dry_run"], &planned.json()["output"]["failed"]), (&json!(true), &json!(1)));
    assert_ne!(lab.salesforce.user(JOE).unwrap().fields["Title"], json!("Lead"));

    let done = import(&dataset, &["--failed", &rest]).await;
    assert_eq!((done.code, &done.json()["output"]["modified"]), (Some(1), &json!(1)), "{done:?}");
    let again = std::fs::read_to_string(&rest).unwrap();
    assert_eq!(again, "\u{feff}Username;Alias;Title\r\nuser0002@acme.example;ninechars;\"R;\nD\"\r\n");
    assert_eq!(import(&dataset, &["--failed", &rest]).await.code, Some(2), "nothing is written over");

    std::fs::write(&rest, again.replace("ninechars", "fits")).unwrap();
    let mended = import(&rest, &["--failed", &path("none.csv")]).await;
    assert_eq!((mended.code, &mended.json()["output"]["modified"]), (Some(0), &json!(1)), "{mended:?}");
    assert!(!lab.folder().join("none.csv").exists());
    assert_eq!(lab.salesforce.user("user0002@acme.example").unwrap().fields["Title"], json!("R;\nD"));
}

/// Give up at the first file that cannot be written, and nobody ever knows what was done: a local task leaves no record.
#[tokio::test]
async fn an_import_tells_its_outcome_although_its_files_cannot_be_written() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let gone = lab.folder().join("gone");
    let path = |name: &str| gone.join(name).to_str().unwrap().to_owned();
    let (dataset, results, rest) = (path("users.csv"), path("results.jsonl"), lab.folder().join("rest.csv"));
    for (more, told) in [
        (&["--results", &results][..], "results.jsonl"),
        (&["--failed", rest.to_str().unwrap()], "cannot be read from"),
    ] {
        std::fs::create_dir(&gone).unwrap();
        std::fs::write(&dataset, format!("Username;Alias\n{JOE};joe\nuser0002@acme.example;ninechars\n")).unwrap();
        lab.salesforce.inject(Fault {
            when: Matching { method: Some("PATCH".to_owned()), path: None },
            what: Mishap::Latency { millis: 2_000 },
            times: Some(1),
        });
        let import = ["exec", "import-batch", "--system", SYSTEM, "--json", "--dataset", &dataset];
        let import = [&import[..], more].concat();
        let vanishes = async {
            wait_for("the change to be under way", async || match lab.salesforce.faults() {
                0 => Ok(()),
                faults => Err(faults),
            })
            .await;
            std::fs::remove_dir_all(&gone).unwrap();
        };
        let (done, ()) = tokio::join!(agent.run(&import), vanishes);
        assert_eq!((done.code, &done.json()["outcome"]), (Some(1), &json!("partially_succeeded")), "{done:?}");
        assert_eq!(done.json()["failed_entries"][0]["entry"], json!(2), "{done:?}");
        assert!(done.err.contains(told), "{done:?}");
    }
}

#[tokio::test]
async fn f24_a_running_agent_keeps_its_store_to_itself() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let second = agent.run(&["exec", "test_connection", "--system", SYSTEM]).await;
    assert_eq!(second.code, Some(79), "{second:?}");
    assert!(second.err.contains("in use by process"), "{second:?}");
}
