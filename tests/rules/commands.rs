//! The commands that documents name are there, with the options that they name.

use std::mem::take;

use clap::Command;

use crate::features::spans;
use crate::tree::{nothing_breaks, read};
use crate::words::documents;

/// What stands in front of a command within a line of a script.
const BEFORE: [&str; 4] = ["&& ", "; ", "$(", "-- "];

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

/// The first word that the program does not take. What is no option and begins with no small letter stands for something.
fn unknown(program: &Command, words: &[String]) -> Option<String> {
    let (mut command, mut is_value) = (program, false);
    for word in words {
        if let Some(option) = word.strip_prefix("--").filter(|it| !it.is_empty()) {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let Some(known) = command.get_arguments().find(|it| it.get_long() == Some(name)) else {
                return Some(word.clone());
            };
            is_value = value.is_none() && known.get_action().takes_values();
        } else if !take(&mut is_value)
            && command.has_subcommands()
            && word.starts_with(|it: char| it.is_ascii_lowercase())
        {
            match command.find_subcommand(word) {
                Some(below) => command = below,
                None => return Some(word.clone()),
            }
        }
    }
    None
}

/// The word that makes a command of ours none, if `text` begins with one.
fn wrong(programs: &[Command], text: &str) -> Option<String> {
    let called = |program: &Command| text.strip_prefix(program.get_name()).filter(|it| it.starts_with(' ')).map(words);
    programs.iter().find_map(|program| unknown(program, &called(program)?))
}

/// The commands of a document, in its sentences and its scripts, each with the number of its line.
fn commands(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut is_code, mut before) = (Vec::new(), false, String::new());
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.starts_with("```") {
            is_code ^= true;
        } else if !is_code {
            found.extend(spans(line).into_iter().map(|span| (number, span)));
        } else if let Some(begun) = line.strip_suffix('\\') {
            before.push_str(begun);
        } else {
            let script = take(&mut before) + line;
            let later = BEFORE.iter().flat_map(|it| script.split(it).skip(1)).map(str::to_owned);
            found.extend(later.chain([script.clone()]).map(|it| (number, it)));
        }
    }
    found
}

#[test]
fn the_commands_that_documents_name_are_there_with_their_options() {
    let (programs, mut places) = (programs(), Vec::new());
    for document in documents().into_iter().filter(|it| !it.starts_with("docs/reference/cli-")) {
        for (number, command) in commands(&read(&document)) {
            let wrong = wrong(&programs, &command).filter(|it| it != INVENTED);
            places.extend(wrong.map(|word| format!("{document}:{number}: `{word}` of {command}")));
        }
    }
    nothing_breaks("Documents name commands and options that the programs have.", &places);
}

#[test]
fn what_a_program_does_not_take_is_found_wherever_it_stands() {
    let page = "Run `postern statsu`.\n```sh\nset -e; postern exec export --system acme \\\n  --outptu f\nrunuser -u postern -- \
                postern cursor --system acme list --all 'of them --too'\npostern-controller member show --api-url=… mbr_… # --it\n```\n";
    let programs = programs();
    let wrong: Vec<_> =
        commands(page).iter().filter_map(|(number, it)| Some((*number, wrong(&programs, it)?))).collect();
    let expected = [(1, "statsu"), (4, "--outptu"), (5, "--all")];
    assert_eq!(wrong, expected.map(|(number, word)| (number, word.to_owned())));
}
