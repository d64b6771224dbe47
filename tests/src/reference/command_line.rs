//! A command line as a page of the reference and as manual pages.

use std::fmt::Write as _;
use std::io;

use clap::{Arg, Command, Id};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{GENERATED, text};

/// A program's command line, whole, and without what it keeps to itself.
pub(super) fn shown(program: Command) -> Command {
    let mut program = without_help(program.disable_help_subcommand(true));
    program.build();
    program
}

/// Every command has the option, and says nothing by it.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

/// A manual page for each command, by its name.
pub(super) fn manual(program: &Command) -> Vec<(String, String)> {
    let source = format!("Postern {}", program.get_version().unwrap_or_default());
    let mut pages = Vec::new();
    each(program, &mut |command| {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let page = manual_page(command, &name, &source).expect("memory takes everything");
        pages.push((name, text(page)));
    });
    pages
}

fn manual_page(command: &Command, name: &str, source: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).title(name).source(source).manual("Postern");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(more) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        // Examples are not to be filled.
        let more = more.to_string();
        let lines = more.lines().flat_map(|line| [roman(line), roman("\n")]).collect::<Vec<_>>();
        let mut notes = Roff::new();
        notes.control("SH", ["NOTES"]).control("nf", []).text(lines).control("fi", []);
        notes.to_writer(&mut page)?;
    }
    Ok(page)
}

/// All commands on one page.
pub(super) fn page(program: &Command) -> String {
    let mut page = format!("# `{}`\n\n{GENERATED}", program.get_name());
    describe(&mut page, program, &[]);
    subcommands(&mut page, program, &[]);
    page
}

fn each(command: &Command, visit: &mut impl FnMut(&Command)) {
    if command.is_hide_set() {
        return;
    }
    visit(command);
    command.get_subcommands().for_each(|it| each(it, visit));
}

/// Options that every command below one takes are described with that one.
fn subcommands(page: &mut String, command: &Command, told: &[Id]) {
    let options = command.get_arguments().filter(|it| it.is_global_set()).map(|it| it.get_id().clone());
    let told: Vec<Id> = told.iter().cloned().chain(options).collect();
    for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let _ = writeln!(page, "\n## `{}`", command.get_bin_name().unwrap_or_else(|| command.get_name()));
        describe(page, command, &told);
        subcommands(page, command, &told);
    }
}

fn describe(page: &mut String, command: &Command, told: &[Id]) {
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        about.to_string().split("\n\n").for_each(|it| {
            let _ = writeln!(page, "\n{}", sentence(it));
        });
    }
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(page, "\n```text\n{}\n```", usage.trim_start_matches("Usage: "));
    let is_of_clap = |it: &Arg| ["help", "version"].contains(&it.get_id().as_str());
    let shown = |it: &&Arg| !it.is_hide_set() && !is_of_clap(it) && !told.contains(it.get_id());
    let list: String = command.get_arguments().filter(shown).map(argument).collect();
    if !list.is_empty() {
        let _ = write!(page, "\n{list}");
    }
    if let Some(more) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        let _ = writeln!(page, "\n```text\n{}\n```", more.to_string().trim_end());
    }
}

/// One line of a list.
fn argument(it: &Arg) -> String {
    let value = it.get_value_names().filter(|_| it.get_action().takes_values()).map(|names| {
        let names: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
        names.join(" ")
    });
    let names = [it.get_long().map(|long| format!("--{long}")), it.get_short().map(|short| format!("-{short}"))];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let shown = if names.is_empty() {
        value.unwrap_or_default()
    } else {
        [names.join("`, `"), value.unwrap_or_default()].join(" ").trim_end().to_owned()
    };
    let mut line = format!("- `{shown}`");
    let help = it.get_long_help().or_else(|| it.get_help()).map(ToString::to_string).unwrap_or_default();
    let is_flag = !it.get_action().takes_values();
    let defaults: Vec<String> =
        it.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let choices: Vec<String> = it
        .get_possible_values()
        .iter()
        .filter(|value| !is_flag && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let _ = write!(line, ": {}", sentence(&help).replace('\n', "\n  "));
    if !choices.is_empty() {
        let _ = write!(line, " One of {}.", choices.join(", "));
    }
    if !defaults.is_empty() && !is_flag && !it.is_hide_default_value_set() {
        let _ = write!(line, " Default: {}.", defaults.join(", "));
    }
    if let Some(variable) = it.get_env() {
        let _ = write!(line, " Environment: `{}`.", variable.to_string_lossy());
    }
    if it.is_required_set() {
        line.push_str(" Needed.");
    }
    line + "\n"
}

/// Help texts of one program end with a full stop and those of the other do not; angle brackets are not markup.
fn sentence(help: &str) -> String {
    let help = help.trim().replace('<', "&lt;").replace('>', "&gt;");
    if help.ends_with(['.', ':', ']', ')']) { help } else { format!("{help}.") }
}
