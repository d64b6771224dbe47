//! The commands that documents and messages name are there, with the options that they name and all that they need.
//!
//! In a sentence, one without any option may be but a name, so what that needs is asked for in scripts alone. What a variable may
//! give as well is asked for nowhere, nor is one of several options that would do, nor what the command above a subcommand needs.

use std::mem::take;

use clap::{Arg, Command};

use crate::tree::{files, nothing_breaks, read};
use crate::words::documents;

/// What stands in front of a command within a line of a script.
const BEFORE: [&str; 4] = ["&& ", "; ", "$(", "-- "];

/// The folders whose messages and pages name commands.
const SPEAK: [&str; 3] = ["agent/src/", "controller-stub/src/", "controller-stub/console/"];

/// Tells what there is, not what to type.
const TELLS: &str = "CHANGELOG.md";

/// The kind of task that `docs/adding-a-task.md` adds.
const INVENTED: &str = "set_title";

fn programs() -> [Command; 2] {
    let mut programs = [postern_controller_stub::command_line(), postern_agent::command_line()];
    // Until then the commands below do not have the options of those above.
    programs.iter_mut().for_each(Command::build);
    programs
}

/// The words of the command that `text` begins with; what is quoted is one.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut open) = (vec![String::new()], None);
    for letter in text.chars() {
        match letter {
            '\'' | '"' if open.is_none() => open = Some(letter),
            _ if open == Some(letter) => open = None,
            ' ' if open.is_none() => words.push(String::new()),
            '|' | ';' | '&' | '#' | '<' | '>' | ')' if open.is_none() => break,
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The first word that the program does not take, or the first argument that it needs and is not given. What is no option and
/// begins with no small letter stands for something.
fn flaw(program: &Command, words: &[String], is_script: bool) -> Option<String> {
    let (mut command, mut is_value, mut given, mut values) = (program, false, Vec::new(), 0);
    for word in words {
        if let Some(option) = word.strip_prefix("--").filter(|it| !it.is_empty()) {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let Some(known) = command.get_arguments().find(|it| it.get_long() == Some(name)) else {
                return Some(word.clone());
            };
            given.push(known.get_id());
            is_value = value.is_none() && known.get_action().takes_values();
        } else if take(&mut is_value) {
        } else if command.has_subcommands() && word.starts_with(|it: char| it.is_ascii_lowercase()) {
            match command.find_subcommand(word) {
                Some(below) => command = below,
                None => return Some(word.clone()),
            }
        } else {
            values += 1;
        }
    }
    let is_cut = words.iter().any(|it| it.contains('…') || it == "--help");
    let is_whole = (is_script || !given.is_empty()) && !is_cut;
    given.extend(command.get_positionals().take(values).map(Arg::get_id));
    let is_missing = |it: &&Arg| it.is_required_set() && it.get_env().is_none() && !given.contains(&it.get_id());
    let missing = command.get_arguments().find(is_missing);
    missing.filter(|_| is_whole).map(Arg::to_string)
}

/// What makes a command of ours none, if `text` begins with one.
fn wrong(programs: &[Command], text: &str, is_script: bool) -> Option<String> {
    let called = |program: &Command| text.strip_prefix(program.get_name()).filter(|it| it.starts_with(' ')).map(words);
    programs.iter().find_map(|program| flaw(program, &called(program)?, is_script))
}

/// The commands in the sentences of a text, each with the number of its line.
fn said(text: &str) -> Vec<(usize, String)> {
    let of_source = ["\\", "//", "///"];
    // What tests expect of a message is often the half of one.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let span = |(at, _)| {
        let (before, rest) = text.split_at(at + 1);
        let span = rest.split('`').next().unwrap_or_default().trim_end_matches('\\');
        let words: Vec<_> = span.split_whitespace().filter(|word| !of_source.contains(word)).collect();
        (before.matches('\n').count() + 1, words.join(" "))
    };
    text.match_indices("`postern").map(span).collect()
}

/// The commands in the scripts of a document, each with the number of its last line.
fn scripts(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut is_code, mut before) = (Vec::new(), false, String::new());
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.starts_with("```") {
            is_code ^= true;
        } else if let Some(begun) = line.strip_suffix('\\').filter(|_| is_code) {
            before.push_str(begun);
        } else if is_code {
            let script = take(&mut before) + line;
            let later = BEFORE.iter().flat_map(|it| script.split(it).skip(1)).map(str::to_owned);
            found.extend(later.chain([script.clone()]).map(|it| (number, it)));
        }
    }
    found
}

/// What is wrong with the commands of a text, each with the number of its line.
fn flaws(programs: &[Command], text: &str) -> Vec<(usize, String, String)> {
    let said = said(text).into_iter().map(|it| (it, false));
    let all = said.chain(scripts(text).into_iter().map(|it| (it, true)));
    all.filter_map(|((number, it), is_script)| Some((number, wrong(programs, &it, is_script)?, it))).collect()
}

#[test]
fn the_commands_that_documents_and_messages_name_are_there_with_what_they_need() {
    let (programs, mut places) = (programs(), Vec::new());
    let speak =
        files().into_iter().filter(|path| SPEAK.iter().any(|it| path.starts_with(it)) && !path.contains("golden"));
    for path in documents().into_iter().filter(|it| !it.starts_with("docs/reference/cli-")).chain(speak) {
        let flaws = flaws(&programs, &read(&path))
            .into_iter()
            .filter(|(_, flaw, _)| flaw != INVENTED && !(path == TELLS && flaw.contains('<')));
        places.extend(flaws.map(|(number, flaw, command)| format!("{path}:{number}: `{flaw}` of {command}")));
    }
    nothing_breaks("Documents and messages name commands that the programs have, with all that they need.", &places);
}

#[test]
fn what_a_program_does_not_take_or_lacks_is_found_wherever_it_stands() {
    let page = "Run `postern statsu`, not `postern enroll` or `postern-controller member approve …`.\n\
                - Then `postern enroll\n  --again`, a\n  `postern statsu` or `postern-controller member show`.\n\
                ```sh\nset -e; postern exec export --system acme \\\n  --outptu f\nrunuser -u postern -- \
                postern cursor --system acme list --all 'of them --too'\npostern-controller member show --api-url=… mbr_… # --it\n\
                postern-controller member show\n```\n";
    let found: Vec<_> = flaws(&programs(), page).into_iter().map(|(number, flaw, _)| (number, flaw)).collect();
    let expected =
        [(1, "statsu"), (2, "--controller <URL>"), (4, "statsu"), (7, "--outptu"), (8, "--all"), (10, "<MEMBER>")];
    assert_eq!(found, expected.map(|(number, word)| (number, word.to_owned())));
    let source = "    /// As `postern enroll\n    /// --again` does.\n    let next = \"run `postern reset-sign-in \\\n        \
                  --systme {system}`\"\n    `then \\`postern statsu\\``";
    let found: Vec<_> = flaws(&programs(), source).into_iter().map(|(number, flaw, _)| (number, flaw)).collect();
    let expected = [(1, "--controller <URL>"), (3, "--systme"), (5, "statsu")];
    assert_eq!(found, expected.map(|(number, word)| (number, word.to_owned())));
}
