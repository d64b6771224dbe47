//! Payloads go on where they broke off, in both directions, whoever breaks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use postern_protocol::StreamId;
use postern_protocol::message::v1::Chunk;
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::stream::CHUNK_BYTES;
use postern_tests::lab::{AgentOptions, SYSTEM};
use postern_tests::proxy::{Passing, Tap};
use postern_tests::{Agent, Lab, LabOptions, wait_for};
use serde_json::json;

use crate::programs;

/// What may be sent twice for one interruption: 1 MiB.
const MOST_AGAIN: u64 = 1024 * 1024 / CHUNK_BYTES;
/// The chunks at which something breaks.
const BREAKS: [u64; 3] = [10, 20, 30];

/// Every chunk that was sent, and where the line goes dead next.
#[derive(Debug, Default)]
struct Watch {
    sent: BTreeMap<(StreamId, u64), u64>,
    dead_from: Option<u64>,
    dead: bool,
}

impl Watch {
    fn chunk(&mut self, chunk: &Chunk) -> bool {
        *self.sent.entry((chunk.stream, chunk.index)).or_default() += 1;
        self.dead |= self.dead_from.is_some_and(|from| chunk.index >= from);
        !self.dead
    }
}

/// A lab with a member whose line goes dead at some chunks.
struct Scene {
    lab: Lab,
    agent: Agent,
    tap: Tap,
    watch: Arc<Mutex<Watch>>,
}

impl Scene {
    async fn set(users: usize) -> Self {
        let lab = Lab::start_with(programs(), LabOptions { users, ..LabOptions::default() }).await;
        let watch = Arc::new(Mutex::new(Watch { dead_from: Some(BREAKS[0]), ..Watch::default() }));
        let judge = Arc::clone(&watch);
        let judge = move |passing: &Passing| match passing {
            Passing::Up(FromMember::Chunk(chunk), _) | Passing::Down(FromController::Chunk(chunk), _) => {
                judge.lock().unwrap_or_else(PoisonError::into_inner).chunk(chunk)
            }
            Passing::Up(..) | Passing::Down(..) => true,
        };
        let tap = Tap::open(&lab.controller, &lab.folder().join("agent"), judge).await;
        let controller_section = format!("urls = [\"{}\"]", tap.url());
        let agent = lab.member_with("agent", AgentOptions { controller_section, ..AgentOptions::default() }).await;
        Self { lab, agent, tap, watch }
    }

    fn watch<T>(&self, look: impl FnOnce(&mut Watch) -> T) -> T {
        look(&mut self.watch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The line carries again, until so many chunks were sent.
    fn revive(&self, dead_from: Option<u64>) {
        self.watch(|watch| (watch.dead_from, watch.dead) = (dead_from, false));
    }

    async fn is_dead(&self) {
        wait_for("the line to go dead", async || self.watch(|it| if it.dead { Ok(()) } else { Err(it.sent.len()) }))
            .await;
    }

    /// Breaks the connection, the agent and the controller, each when some chunks more were sent.
    async fn break_everything(&mut self) {
        let [_, second, third] = BREAKS;
        self.is_dead().await;
        self.tap.cut();
        self.revive(Some(second));
        self.is_dead().await;
        self.agent.kill().await;
        self.revive(Some(third));
        self.agent.start().await;
        self.is_dead().await;
        self.lab.controller.kill().await;
        self.revive(None);
        self.lab.controller.restart().await;
    }

    /// What was sent twice does not exceed what three interruptions may cost, and there was enough to send.
    fn little_was_sent_again(&self) {
        let (different, again) = self.watch(|watch| {
            let all: u64 = watch.sent.values().sum();
            let different = u64::try_from(watch.sent.len()).unwrap();
            (different, all - different)
        });
        assert!(different > BREAKS[2] + 2, "only {different} chunks");
        assert!((1..=3 * MOST_AGAIN).contains(&again), "{again} of {different} chunks were sent again");
    }
}

/// That it is no dataset matters to nobody before it is there.
#[tokio::test]
async fn a_dataset_that_breaks_off_three_times_goes_on_and_little_of_it_is_sent_again() {
    let mut scene = Scene::set(1).await;
    let file = scene.lab.folder().join("dataset.xml");
    std::fs::write(&file, "no dataset\n".repeat(300_000)).unwrap();
    let submit = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", file.to_str().unwrap(), "--async"];
    let task = scene.lab.controller.cli(&submit).await;
    scene.break_everything().await;
    let done = scene.lab.controller.finished(task["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(done["outcome"], json!("failed"), "{done}");
    scene.little_was_sent_again();
}

#[tokio::test]
async fn an_export_that_breaks_off_three_times_goes_on_and_little_of_it_is_sent_again() {
    let mut scene = Scene::set(4_000).await;
    let (file, key) = (scene.lab.folder().join("users.jsonl"), scene.lab.folder().join("key"));
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    let params = r#"{"object": "User", "format": "jsonl"}"#;
    let submit = ["task", "submit", "export", "--system", SYSTEM, "--params", params, "--async", "--result-key", key];
    let taken = scene.lab.controller.cli(&submit).await;
    scene.break_everything().await;
    let task = taken["id"].as_str().unwrap();
    let done = scene.lab.controller.finished(task.parse().unwrap()).await;
    assert_eq!(done["outcome"], json!("succeeded"), "{done}");
    let (code, _, _) = scene.lab.controller.try_cli(&["task", "results", task, "--key", key, "--output", file]).await;
    assert_eq!(code, Some(0));
    let lines = std::fs::read_to_string(file).unwrap().lines().count();
    assert_eq!(u64::try_from(lines).unwrap(), done["output"]["records"], "{done}");
    scene.little_was_sent_again();
}
