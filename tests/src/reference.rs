//! What is written from the programs themselves: their manual pages, what shells complete, and `docs/reference`.

mod command_line;
mod configuration;
mod exit_codes;
mod metrics;

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

pub use configuration::{Key, Section, Standing, sections};

/// The configuration that explains every key.
pub const ANNOTATED: &str = include_str!("../../packaging/config/agent.toml");

/// The folders that hold nothing else.
pub const FOLDERS: [&str; 2] = ["packaging/completions", "packaging/man"];

/// What a reader of a generated page is told first.
const GENERATED: &str = "<!-- Written by `cargo docs`. -->\n";

/// The programs that ship.
fn programs() -> [Command; 2] {
    [postern_agent::command_line(), postern_controller_stub::command_line()]
}

/// Every file, by its path from the top of the repository.
pub fn files() -> Vec<(PathBuf, String)> {
    let mut files = vec![
        ("docs/reference/configuration.md".into(), configuration::page(ANNOTATED)),
        ("docs/reference/exit-codes.md".into(), exit_codes::page()),
        ("docs/reference/metrics.md".into(), metrics::page()),
    ];
    for program in programs() {
        let name = program.get_name().to_owned();
        let all = command_line::shown(program);
        files.push((format!("docs/reference/cli-{name}.md").into(), command_line::page(&all)));
        files.extend(
            command_line::manual(&all).into_iter().map(|(page, text)| (format!("packaging/man/{page}.1").into(), text)),
        );
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut all.clone(), &name, &mut script);
            files.push((format!("packaging/completions/{name}.{shell}").into(), text(script)));
        }
    }
    files
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what is made of text is text")
}
