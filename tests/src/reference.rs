//! What is written from the programs themselves: `docs/reference`, and their manual pages and what shells complete, which
//! packages have.

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

/// What a reader of a generated page is told first.
const GENERATED: &str = "<!-- Written by `cargo docs`. -->\n";

/// The programs that ship.
fn programs() -> [Command; 2] {
    [postern_agent::command_line(), postern_controller_stub::command_line()]
}

/// The pages that are kept, by their path from the top of the repository.
pub fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = vec![
        ("docs/reference/configuration.md".into(), configuration::page(ANNOTATED)),
        ("docs/reference/exit-codes.md".into(), exit_codes::page()),
        ("docs/reference/metrics.md".into(), metrics::page()),
    ];
    for program in programs() {
        let path = format!("docs/reference/cli-{}.md", program.get_name());
        pages.push((path.into(), command_line::page(&command_line::shown(program))));
    }
    pages
}

/// What packages have beside each program, in a folder of its name: a manual page for each command, and a script for each
/// shell.
pub fn packaged() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for program in programs() {
        let name = program.get_name().to_owned();
        let all = command_line::shown(program);
        let manual = command_line::manual(&all).into_iter();
        files.extend(manual.map(|(page, text)| (format!("{name}/{page}.1").into(), text)));
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut all.clone(), &name, &mut script);
            files.push((format!("{name}/{name}.{shell}").into(), text(script)));
        }
    }
    files
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what is made of text is text")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The names from the program on of each command that is shown, the program itself included.
    fn commands(command: &Command, above: &[&str]) -> Vec<Vec<String>> {
        let path = [above, &[command.get_name()]].concat();
        let below = command.get_subcommands().filter(|it| !it.is_hide_set());
        let mut all = vec![path.iter().map(ToString::to_string).collect()];
        all.extend(below.flat_map(|it| commands(it, &path)));
        all
    }

    /// Leave the commands below commands out of the manual, or a shell out, and it fails.
    #[test]
    fn every_command_has_a_manual_page_and_is_completed_by_every_shell() {
        let files: BTreeMap<_, _> = packaged().into_iter().collect();
        let says = |path: &PathBuf, text: &str| files.get(path).is_some_and(|it| it.contains(text));
        let mut wanted = BTreeSet::new();
        for program in programs() {
            let name = program.get_name();
            let scripts = ["bash", "zsh", "fish"].map(|shell| PathBuf::from(format!("{name}/{name}.{shell}")));
            let commands = commands(&program, &[]);
            assert!(commands.len() > 20, "{commands:?}");
            for command in commands {
                let called = command.join("-");
                let page = PathBuf::from(format!("{name}/{called}.1"));
                assert!(says(&page, &format!(".TH {called} 1 ")), "{} is missing, or of another", page.display());
                wanted.insert(page);
                for script in &scripts {
                    let completed = says(script, command.last().unwrap());
                    assert!(completed, "{} does not know {command:?}", script.display());
                }
            }
            wanted.extend(scripts);
        }
        assert_eq!(files.into_keys().collect::<BTreeSet<_>>(), wanted);
    }
}
