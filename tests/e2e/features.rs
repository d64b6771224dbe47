//! `docs/features.md` from top to bottom: every command of its tables, and what it prints.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use postern_tests::Lab;
use salesforce_sim::{Config, OrgSeed, Simulator};
use tokio::process::Command;

use crate::programs;

const PAGE: &str = include_str!("../../docs/features.md");
/// Where the page has its simulator.
const URL: &str = "http://127.0.0.1:8180";
const PRIVATE_KEY: &str = include_str!("../../agent/src/connector/salesforce/testdata/pkcs8.pem");
const PUBLIC_KEY: &str = include_str!("../../agent/src/connector/salesforce/testdata/public.pem");
/// What says in a row that one of its commands fails, and how.
const FAILS: &str = "exit code ";

/// A row: its number, its commands, what they print, and how one of them fails.
struct Row {
    id: &'static str,
    commands: Vec<&'static str>,
    prints: Vec<&'static str>,
    fails: Option<i32>,
}

fn rows() -> Vec<Row> {
    let spans = |cell: &'static str| cell.split('`').skip(1).step_by(2).collect();
    let cells = PAGE.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = cells.filter(|cells| cells.len() == 7 && cells[1].ends_with(|it: char| it.is_ascii_digit()));
    let fails = |cell: &str| cell.split_once(FAILS).map(|(_, code)| code.parse().unwrap());
    rows.map(|it| Row { id: it[1], commands: spans(it[3]), prints: spans(it[4]), fails: fails(it[4]) }).collect()
}

/// The words of a command line, without their quotes.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in command.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words
}

struct World {
    lab: Lab,
    salesforce: Simulator,
}

impl World {
    async fn start() -> Self {
        let lab = Lab::start(programs()).await;
        let mut org = OrgSeed::acme(20);
        org.apps[0].certificate = Some(PUBLIC_KEY.to_owned());
        let salesforce = Simulator::start(Config { orgs: vec![org], ..Config::default() }).await.unwrap();
        let world = Self { lab, salesforce };
        std::fs::create_dir(world.path("try")).unwrap();
        std::fs::create_dir_all(world.path("docs/features")).unwrap();
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/features")).unwrap() {
            let file = entry.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap().replace(URL, &world.salesforce.http_url());
            std::fs::write(world.path("docs/features").join(file.file_name()), text).unwrap();
        }
        std::fs::copy(world.path("docs/features/agent.toml"), world.path("try/agent.toml")).unwrap();
        std::fs::write(world.path("try/new-password"), "Correct-Horse-7").unwrap();
        std::fs::set_permissions(world.path("try/new-password"), std::fs::Permissions::from_mode(0o600)).unwrap();
        world
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.lab.folder().join(name)
    }

    /// Runs a command. Its exit code, and everything it said.
    async fn run(&self, command: &str) -> (i32, String) {
        let mut line = words(command);
        let settings: Vec<String> = line.extract_if(.., |word| word.starts_with("TRY_")).collect();
        let arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            ["postern", arguments @ ..] => {
                let arguments = [&["--config", "try/agent.toml"][..], arguments].concat();
                self.program("postern", &arguments, &settings).await
            }
            ["postern-controller", arguments @ ..] => self.program("postern-controller", arguments, &settings).await,
            ["curl", arguments @ ..] => (0, self.curl(arguments).await),
            ["cp", from, to] => {
                std::fs::copy(self.path(from), self.path(to)).unwrap();
                (0, String::new())
            }
            // A long story of its own.
            ["cargo", "demo"] => (0, String::new()),
            other => panic!("{other:?}"),
        }
    }

    async fn program(&self, name: &str, arguments: &[&str], settings: &[String]) -> (i32, String) {
        let output = Command::new(self.lab.programs().join(name))
            .args(arguments)
            .current_dir(self.lab.folder())
            .env("TRY_CONSUMER_SECRET", salesforce_sim::CONSUMER_SECRET)
            .env("TRY_PASSWORD", salesforce_sim::ADMIN_PASSWORD)
            .env("TRY_TOKEN", salesforce_sim::ADMIN_TOKEN)
            .env("TRY_KEY", PRIVATE_KEY)
            .env("POSTERN_CONTROLLER_DATA_DIR", self.lab.controller.data())
            .envs(settings.iter().filter_map(|setting| setting.split_once('=')))
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    async fn curl(&self, arguments: &[&str]) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let at = |url: &str| url.replace(URL, &self.salesforce.http_url());
        let request = match arguments {
            ["-d", body, url] => client.post(at(url)).body((*body).to_owned()),
            ["-X", "POST", url] => client.post(at(url)),
            ["-X", "DELETE", url] => client.delete(at(url)),
            [url] => client.get(at(url)),
            other => panic!("{other:?}"),
        };
        let reply = request.send().await.unwrap();
        assert!(reply.status().is_success(), "{arguments:?}: {reply:?}");
        reply.text().await.unwrap()
    }
}

#[tokio::test]
async fn every_feature_is_shown_by_its_commands() {
    let world = World::start().await;
    assert!(Path::new(&world.path("docs/features/users.xml")).exists());
    for row in rows() {
        let (mut said, mut codes) = (String::new(), Vec::new());
        for command in &row.commands {
            let (code, text) = world.run(command).await;
            codes.push(code);
            said.push_str(&text);
        }
        let id = row.id;
        assert!(codes.iter().all(|code| *code == 0 || Some(*code) == row.fails), "{id}: {codes:?}\n{said}");
        assert_eq!(codes.iter().any(|code| *code != 0), row.fails.is_some(), "{id}: {codes:?}\n{said}");
        for words in row.prints {
            assert!(said.contains(words), "{id} does not print `{words}`:\n{said}");
        }
    }
}
