//! Disks that fail, hang or are full under the real agent.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postern_tests::disk::{Call, Faults, Library};
use postern_tests::lab::{AgentOptions, ControllerOptions, LabOptions, SYSTEM};
use postern_tests::{Agent, Lab, wait_for};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::health::{get, told_address};
use crate::{JOE, programs};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A lab whose member is over a disk that can be made to fail.
struct Scene {
    lab: Lab,
    agent: Agent,
    faults: Faults,
}

impl Scene {
    /// The disk fails below `below` of the agent's state.
    async fn set(below: &str) -> Self {
        Self::set_with(below, AgentOptions::default()).await
    }

    /// The same, and the agent soon gives up a disk that takes nothing.
    async fn set_impatient(below: &str) -> Self {
        let agent_section = "disk_timeout_secs = 5".to_owned();
        Self::set_with(below, AgentOptions { agent_section, ..AgentOptions::default() }).await
    }

    async fn set_with(below: &str, options: AgentOptions) -> Self {
        let lab = Lab::start(programs()).await;
        let agent = lab.member_with("agent", options).await;
        let below = agent.folder().join("state").join(below);
        Self::with(lab, agent, &below).await
    }

    /// The store's key is in a directory of its own, and the disk fails there.
    async fn set_of_the_key() -> Self {
        let lab = Lab::start(programs()).await;
        let keys = lab.folder().join("keys");
        std::fs::DirBuilder::new().mode(0o700).create(&keys).unwrap();
        let agent_section = format!("store_key = {{ file = \"{}/store.key\" }}", keys.display());
        let agent = lab.member_with("agent", AgentOptions { agent_section, ..AgentOptions::default() }).await;
        Self::with(lab, agent, &keys).await
    }

    async fn with(lab: Lab, mut agent: Agent, below: &Path) -> Self {
        assert_eq!(agent.terminate().await, Some(0));
        let library = Library::build().unwrap_or_else(|why| panic!("{why}"));
        let faults = Faults::none(&lab.folder().join("faults"));
        // The library compares paths as the system tells them.
        agent.set_environment(library.fail(&below.canonicalize().unwrap(), &faults));
        Self { lab, agent, faults }
    }

    fn key(&self) -> PathBuf {
        self.lab.folder().join("keys/store.key")
    }

    async fn done(&self, kind: &str) {
        let task = self.lab.controller.submit(kind, JOE).await;
        let task = self.lab.controller.finished(task).await;
        assert_eq!(task["outcome"], json!("succeeded"), "{task}");
    }
}

/// F16. The sync that failed is not tried again; what was told before is there after a restart.
#[tokio::test]
async fn f16_a_disk_that_fails_ends_the_agent_and_a_restart_goes_on() {
    for call in [Call::Sync, Call::Write] {
        let mut scene = Scene::set("store").await;
        scene.agent.start().await;
        scene.done("disable_user").await;
        scene.faults.fail(call, EIO);
        let task = scene.lab.controller.submit("enable_user", JOE).await;
        assert_eq!(scene.agent.ended().await, Some(74), "{call:?}: {}", scene.agent.log());
        assert!(scene.agent.log().contains("nothing decided since was told to anyone"), "{}", scene.agent.log());

        scene.faults.end(call);
        scene.agent.start().await;
        let task = scene.lab.controller.finished(task).await;
        assert_eq!(task["outcome"], json!("succeeded"), "{task}");
        assert_eq!(scene.lab.salesforce.counters().users[JOE].activations, 1);
    }
}

/// F11. Without the watchdog it waits for the disk and renews its leases until somebody looks.
#[tokio::test]
async fn f11_a_disk_that_hangs_ends_the_agent_and_its_leases() {
    let mut scene = Scene::set_impatient("store").await;
    scene.agent.start().await;
    scene.faults.hold(Call::Sync);
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    assert_eq!(scene.agent.ended().await, Some(74), "{}", scene.agent.log());
    assert!(scene.agent.log().contains("takes nothing any more"), "{}", scene.agent.log());

    scene.faults.end(Call::Sync);
    scene.agent.start().await;
    assert_eq!(scene.lab.controller.finished(task).await["outcome"], json!("succeeded"));
}

/// F21. With the dispatcher waiting for the disk alone, nobody answers.
#[tokio::test]
async fn f21_an_agent_over_a_slow_disk_answers_and_goes_on() {
    let mut scene = Scene::set("store").await;
    scene.agent.start().await;
    scene.faults.hold(Call::Sync);
    let task = scene.lab.controller.submit("disable_user", JOE).await;
    wait_for("the task to be offered", async || {
        let task = scene.lab.controller.task(task).await;
        if task["state"] == json!("queued") { Err(task) } else { Ok(()) }
    })
    .await;
    let status = scene.agent.status().await;
    assert_eq!(status["agent"]["link"]["state"], json!("connected"), "{status}");
    scene.faults.end(Call::Sync);
    assert_eq!(scene.lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert!(scene.agent.is_running());
}

/// Ask its owner alone, and probes have it killed by a disk that is only slow. Wait for the disk at the end, and only
/// `kill -9` ends it.
#[tokio::test]
async fn a_controller_whose_disk_hangs_says_what_it_knew_and_ends_when_it_is_asked_to() {
    let controller =
        ControllerOptions { serve: vec!["--health-listen", "127.0.0.1:0"], ..ControllerOptions::default() };
    let mut lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
    let library = Library::build().unwrap_or_else(|why| panic!("{why}"));
    let faults = Faults::none(&lab.folder().join("faults"));
    let below = lab.controller.data().canonicalize().unwrap().join("store");
    assert_eq!(lab.controller.terminate().await, Some(0));
    lab.controller.restart_in(library.fail(&below, &faults)).await;
    let probes = format!("http://{}", told_address(&lab.controller.log()));
    assert_eq!(get(format!("{probes}/live")).await.0, StatusCode::OK);

    faults.hold(Call::Sync);
    let (api, cluster) = (lab.controller.api(), json!({ "name": "other" }));
    let mut asked = Box::pin(api.ask(Method::POST, "/v1/clusters", Some(&cluster)));
    let waits = wait_for("its owner to wait for the disk", async || {
        let answer = tokio::time::timeout(Duration::from_secs(1), api.ask(Method::GET, "/v1/clusters", None)).await;
        answer.map_or(Ok(()), Err)
    });
    tokio::select! {
        answer = &mut asked => panic!("{answer:?}"),
        () = waits => (),
    }
    let (status, answer) = get(format!("{probes}/live")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (_, page) = get(format!("{probes}/metrics")).await;
    assert!(page.contains("postern_controller_members{"), "{page}");
    // Nobody waits for an answer any more, and the owner's own is the last hold on the store.
    drop(asked);
    assert_eq!(lab.controller.terminate().await, Some(0), "{}", lab.controller.log());
}

/// F20. A store that was sound is sound when the disk can be written again.
#[tokio::test]
async fn f20_a_disk_that_became_read_only_is_said_and_harms_nothing() {
    let mut scene = Scene::set("store").await;
    scene.faults.fail(Call::Names, EROFS);
    scene.faults.fail(Call::Write, EROFS);
    scene.agent.spawn();
    assert_eq!(scene.agent.ended().await, Some(74), "{}", scene.agent.log());
    assert!(scene.agent.log().contains("Read-only file system"), "{}", scene.agent.log());

    scene.faults.end(Call::Names);
    scene.faults.end(Call::Write);
    scene.agent.start().await;
    scene.done("disable_user").await;
    let aside = std::fs::read_dir(scene.agent.folder().join("state/store")).unwrap().flatten();
    assert!(aside.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("corrupt-")));
}

/// F14. End with 78, and no service manager starts it again when there is room.
#[tokio::test]
async fn f14_a_full_disk_that_did_not_take_the_key_of_a_new_store_is_tried_again() {
    let mut scene = Scene::set_of_the_key().await;
    std::fs::remove_dir_all(scene.agent.folder().join("state/store")).unwrap();
    std::fs::remove_file(scene.key()).unwrap();
    scene.faults.fail(Call::Write, ENOSPC);
    scene.agent.spawn();
    assert_eq!(scene.agent.ended().await, Some(74), "{}", scene.agent.log());
    assert!(scene.agent.log().contains("No space left"), "{}", scene.agent.log());

    scene.faults.end(Call::Write);
    scene.agent.start().await;
    scene.done("disable_user").await;
}

/// F20. Linux says of a name that is not there, too, that it cannot be removed from a place that may only be read.
#[tokio::test]
async fn f20_a_key_in_a_place_that_may_only_be_read_opens_the_store() {
    let mut scene = Scene::set_of_the_key().await;
    scene.faults.fail(Call::Names, EROFS);
    scene.agent.start().await;
    scene.done("disable_user").await;
    assert!(!scene.agent.log().contains("a change of the store's key was cut short"), "{}", scene.agent.log());
    assert_eq!(scene.agent.terminate().await, Some(0));

    // As left by a change of the key that was killed before it had written anything.
    let next = scene.key().with_added_extension("next");
    std::fs::copy(scene.key(), &next).unwrap();
    scene.agent.start().await;
    assert!(scene.agent.log().contains("a change of the store's key was cut short"), "{}", scene.agent.log());
    assert_eq!(scene.agent.terminate().await, Some(0));

    // And by one that was killed before the key had its name.
    std::fs::write(scene.key(), [5; 32]).unwrap();
    scene.agent.start().await;
    scene.done("enable_user").await;
    assert_eq!(scene.agent.terminate().await, Some(0));
    assert_eq!(std::fs::read(scene.key()).unwrap(), [5; 32]);

    scene.faults.end(Call::Names);
    scene.agent.start().await;
    assert!(!next.exists(), "the key has its name");
}

/// F15. The payload is put off and sent again; the agent and its other work go on.
#[tokio::test]
async fn f15_a_payload_for_which_there_is_no_room_comes_when_there_is() {
    let mut scene = Scene::set("store/spool").await;
    scene.agent.start().await;
    scene.faults.fail(Call::Write, ENOSPC);
    let dataset = scene.lab.folder().join("users.xml");
    let entry = format!(
        "<entry changetype=\"modify\" modifytype=\"replace\"><Username>{JOE}</Username><Title>Chief</Title></entry>"
    );
    std::fs::write(&dataset, format!("<?xml version=\"1.0\"?>\n<root>{entry}</root>\n")).unwrap();
    let dataset = dataset.to_str().unwrap();
    let line = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", dataset, "--async"];
    let submitted = scene.lab.controller.cli(&line).await;
    wait_for("the payload to be put off", async || {
        let log = scene.agent.log();
        if log.contains("too full for spool file") { Ok(()) } else { Err(log) }
    })
    .await;
    scene.done("disable_user").await;

    scene.faults.end(Call::Write);
    let id = submitted["id"].as_str().unwrap().parse().unwrap();
    let task = scene.lab.controller.finished(id).await;
    assert_eq!(task["outcome"], json!("succeeded"), "{task}");
    assert!(scene.agent.is_running());
}

/// Clear them only once the store is had, and it is never had: what fills the disk is what keeps it from being opened.
#[tokio::test]
async fn remains_of_collections_are_gone_when_a_store_is_opened_that_had_no_room() {
    let lab = Lab::start(programs()).await;
    let directory = lab.folder().join("collected");
    let salesforce_section = format!(
        "[[collection]]\nname = \"nightly\"\nsystem = \"{SYSTEM}\"\nrepeats = \"daily\"\nstart_time = \"00:00\"\ndirectory = \
         \"{}\"\n",
        directory.display()
    );
    let agent = lab.member_with("agent", AgentOptions { salesforce_section, ..AgentOptions::default() }).await;
    let store = agent.folder().join("state/store");
    let mut scene = Scene::with(lab, agent, &store).await;
    let part = directory.join("nightly-20261123T023000Z.jsonl.part");
    std::fs::write(&part, "{}").unwrap();
    scene.faults.fail(Call::Names, ENOSPC);
    scene.faults.fail(Call::Write, ENOSPC);
    scene.agent.spawn();
    assert_eq!(scene.agent.ended().await, Some(74), "{}", scene.agent.log());
    assert!(!part.exists());
}

/// F58.
#[tokio::test]
async fn f58_a_store_of_a_newer_version_ends_the_agent_and_is_not_touched() {
    let mut scene = Scene::set("store").await;
    let format = scene.agent.folder().join("state/store/format");
    let ours = std::fs::read_to_string(&format).unwrap();
    let newer = ours.replace("format = 1", "format = 999");
    std::fs::write(&format, &newer).unwrap();
    scene.agent.spawn();
    assert_eq!(scene.agent.ended().await, Some(78), "{}", scene.agent.log());
    assert!(scene.agent.log().contains("start the newer version again"), "{}", scene.agent.log());
    assert_eq!(std::fs::read_to_string(&format).unwrap(), newer);

    std::fs::write(&format, ours).unwrap();
    scene.agent.start().await;
    scene.done("disable_user").await;
}

/// F14, on a disk that is really full, on which the agent is killed and starts again. Where nothing may be mounted, the
/// test of the same name with a disk of the agent's own making has to do.
#[tokio::test]
async fn f14_an_agent_on_a_full_disk_refuses_work_and_takes_it_when_there_is_room() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.agent("agent");
    let Some(disk) = SmallDisk::mount(&agent.folder().join("state"), "64m") else { return };
    agent.enroll(&lab.controller).await;
    agent.start().await;
    lab.controller.approve(agent.member()).await;
    lab.controller.associate(SYSTEM, postern_tests::lab::CLUSTER).await;
    let filler = disk.fill();
    let task = lab.controller.submit("disable_user", JOE).await;
    wait_for("the offer to be refused", async || {
        let log = agent.log();
        if log.contains("too full for new work") { Ok(()) } else { Err(log) }
    })
    .await;
    agent.kill().await;
    agent.start().await;
    assert!(agent.log().contains("using the space kept for that"), "{}", agent.log());

    std::fs::remove_file(filler).unwrap();
    assert_eq!(lab.controller.finished(task).await["outcome"], json!("succeeded"));
    assert!(agent.is_running(), "{}", agent.log());
    assert_eq!(agent.terminate().await, Some(0));
}

/// Tell of the dataset what the disk did, and whoever was to make room looks at a file that nothing is wrong with.
#[tokio::test]
async fn a_dataset_for_which_there_is_no_room_is_told_from_one_that_cannot_be_read() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let Some(disk) = SmallDisk::mount(&agent.folder().join("state"), "64m") else { return };
    let dataset = lab.folder().join("users.csv");
    std::fs::write(&dataset, format!("Username,Title\n{}", format!("{JOE},Chief\n").repeat(10_000))).unwrap();
    let line = ["exec", "import-batch", "--system", SYSTEM, "--dry-run", "--dataset", dataset.to_str().unwrap()];
    assert_eq!(agent.run(&["exec", "test-connection", "--system", SYSTEM]).await.code, Some(0), "there is a store");
    let filler = disk.fill();
    let full = agent.run(&line).await;
    assert_eq!(full.code, Some(74), "{full:?}");
    assert!(full.err.contains("too full for spool file") && !full.err.contains("cannot be read"), "{full:?}");

    std::fs::remove_file(filler).unwrap();
    let absent = agent.run(&[&line[..6], &["/no/such/users.csv"]].concat()).await;
    assert!(absent.code == Some(2) && absent.err.contains("cannot be read"), "{absent:?}");
}

/// A disk of its own in memory.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount; nothing may be left out where the variable `CI` is set.
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(at).unwrap();
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        let is_mounted = mounted.is_ok_and(|it| it.status.success());
        if !is_mounted {
            assert!(std::env::var_os("CI").is_none(), "no disk was made: run this as root, with CAP_SYS_ADMIN");
            eprintln!("not applicable: only root, with CAP_SYS_ADMIN, may make a disk");
        }
        is_mounted.then(|| Self(at.to_owned()))
    }

    /// Writes until nothing goes in any more, and returns the file.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}
