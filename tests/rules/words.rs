//! Names of files, words that must not stay, and documents that must be found.

use std::fs;
use std::path::Path;

use postern_agent::connector::TYPES;

use crate::features::spans;
use crate::tree::{files, nothing_breaks, product, read, root, sources};

#[test]
fn a_module_is_a_file_of_its_name() {
    let places: Vec<String> = files().into_iter().filter(|path| path.ends_with("/mod.rs")).collect();
    nothing_breaks("A module is `foo.rs` with a folder `foo/`, never `mod.rs`.", &places);
}

#[test]
fn a_file_is_named_after_what_is_in_it() {
    const EMPTY_WORDS: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "manager", "service"];
    let is_empty_word = |part: &str| {
        let stem = Path::new(part).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        stem.split(['_', '-']).any(|word| EMPTY_WORDS.contains(&word))
    };
    let places: Vec<String> = files().into_iter().filter(|path| path.split('/').any(is_empty_word)).collect();
    nothing_breaks(
        "A file is named after the one concept in it, never utils, helpers, common, manager or service.",
        &places,
    );
}

#[test]
fn no_test_is_ignored() {
    let places: Vec<String> = sources().flat_map(|it| it.places(&["#[ignore", "ignore ="])).collect();
    nothing_breaks("There are no ignored tests.", &places);
}

#[test]
fn nothing_is_left_to_do() {
    let places: Vec<String> = sources().flat_map(|it| it.places(&["todo!", "unimplemented!"])).collect();
    nothing_breaks("What is not done is not there: no `todo!`, no `unimplemented!`.", &places);
}

#[test]
fn every_decision_is_linked() {
    let folder = root().join("docs/adr");
    if !folder.is_dir() {
        return;
    }
    let architecture = read("docs/ARCHITECTURE.md");
    let decisions = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut places: Vec<String> = decisions
        .filter(|name| !architecture.contains(&format!("](adr/{name})")))
        .map(|name| format!("docs/adr/{name}: not linked"))
        .collect();
    places.sort();
    nothing_breaks("Every decision in docs/adr is linked from docs/ARCHITECTURE.md.", &places);
}

/// The documents, as paths from the top: those of the top itself, and everything below `docs`.
pub(crate) fn documents() -> Vec<String> {
    let mut found = below("docs");
    found.extend(names(""));
    found.retain(|path| Path::new(path).extension().is_some_and(|it| it == "md"));
    found
}

fn below(folder: &str) -> Vec<String> {
    let inside = |name: String| {
        let path = format!("{folder}/{name}");
        if root().join(&path).is_dir() { below(&path) } else { vec![path] }
    };
    names(folder).into_iter().flat_map(inside).collect()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn commands_to_paste_follow_no_link_of_the_service_and_show_no_secret() {
    let is_wrong = |line: &str| {
        let has = |words: &str| line.contains(words);
        (has("install -o postern") && !has("-T"))
            || ((has("shred -") || has("systemd-creds encrypt")) && has("/var/lib/postern") && !has("runuser -u"))
            || (has("chown ") && has("/etc/postern"))
            || (has("xargs ") && !has("-0"))
            || (has("-H ") && has("$("))
    };
    let mut places = Vec::new();
    for document in documents() {
        let text = read(&document);
        let wrong = text.lines().zip(1..).filter(|(line, _)| is_wrong(line));
        places.extend(wrong.map(|(line, number)| format!("{document}:{number}: {line}")));
    }
    nothing_breaks(
        "Root follows no link in a directory of the service's (`install -T` and no `chown`, `runuser`, `xargs -0`), and no secret is an argument.",
        &places,
    );
}

/// The values of a setting of units, in the documents and in what ships, each with its place.
fn settings(name: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in documents().into_iter().chain(below("packaging/systemd")) {
        let text = read(&file);
        let values = text.lines().zip(1..).filter_map(|(line, number)| Some((line.split_once(name)?.1, number)));
        found.extend(values.map(|(value, number)| (format!("{file}:{number}: {value}"), value.to_owned())));
    }
    assert!(!found.is_empty(), "{name} is nowhere");
    found
}

/// Say it without the sign, and a directory that is away when the host starts keeps the agent down, with all its other work.
#[test]
fn a_directory_that_is_away_keeps_no_unit_down() {
    let wrong = settings("ReadWritePaths=").into_iter().filter(|(_, value)| !value.starts_with('-'));
    let places: Vec<String> = wrong.map(|(place, _)| place).collect();
    nothing_breaks("What a unit may write may be away when it starts: `ReadWritePaths=-`.", &places);
}

/// Name it alone, and systemd 250 looks for it nowhere: the unit does not start.
#[test]
fn an_encrypted_credential_is_named_with_its_path() {
    let is_whole = |value: &str| {
        let (name, rest) = value.split_once(':').unwrap_or_default();
        rest.strip_prefix("/etc/credstore.encrypted/").is_some_and(|rest| rest.starts_with(name))
    };
    let wrong = settings("LoadCredentialEncrypted=").into_iter().filter(|(_, value)| !is_whole(value));
    let places: Vec<String> = wrong.map(|(place, _)| place).collect();
    nothing_breaks("An encrypted credential is given as `NAME:/etc/credstore.encrypted/NAME`.", &places);
}

/// The lines of a document that are no code block, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What a heading is called in a link: as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|it| if it == ' ' { '-' } else { it }).collect()
}

/// Links of the documents to files of this repository, and to their headings.
#[test]
fn every_link_leads_somewhere() {
    let mut places = Vec::new();
    for document in documents() {
        let text = read(&document);
        for (number, line) in prose(&text) {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let here = root().join(&document);
                let path = if file.is_empty() { here } else { here.with_file_name(file) };
                let is_there = heading.is_empty() && path.exists()
                    || fs::read_to_string(path).is_ok_and(|text| {
                        let mut headings = prose(&text).filter(|(_, line)| line.starts_with('#'));
                        headings.any(|(_, line)| anchor(line.trim_start_matches('#').trim_start()) == heading)
                    });
                if !is_there {
                    places.push(format!("{document}:{}: {target}", number + 1));
                }
            }
        }
    }
    nothing_breaks("A link of a document leads to a file, and to a heading, that is there.", &places);
}

#[test]
fn a_heading_is_linked_as_browsers_are_shown_it() {
    assert_eq!(
        anchor("The controller's API, its `console` and 2 systems"),
        "the-controllers-api-its-console-and-2-systems"
    );
    let text = "# One\n```sh\n# Two\n```\n# Three";
    assert_eq!(prose(text).map(|(_, line)| line).collect::<Vec<_>>(), ["# One", "# Three"]);
}

/// The literals that `text` gives as a failure's code, in what begins with `opening`.
fn codes<'a>(text: &'a str, opening: &str) -> Vec<&'a str> {
    let is_word = |it: &str| !it.is_empty() && it.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let is_class = |it: &str| it.chars().all(|letter| letter.is_alphanumeric() || ":, \n".contains(letter));
    let given = text.split(opening).skip(1).filter_map(|rest| {
        let (before, rest) = rest.split_once('"')?;
        let (code, behind) = rest.split_once('"')?;
        (is_class(before) && is_word(code) && behind.starts_with(',')).then_some(code)
    });
    given.collect()
}

#[test]
fn every_code_of_a_connector_is_documented() {
    const OPENINGS: [&str; 7] =
        ["Failure::new(", "Refused::new(", "error::own(", " refused(", " failed(", ".fail(", ".refuse("];
    /// It ends a look at what is kept, and is told to nobody.
    const NEVER_TOLD: &str = "enough";
    let is_asked = |path: &str| ["agent/src/connector", "agent/src/dataset"].iter().any(|it| path.starts_with(it));
    let guide = |name: &str| fs::read_to_string(root().join(format!("docs/{name}.md"))).unwrap_or_default();
    let mut places = Vec::new();
    for source in product().filter(|it| is_asked(&it.path)) {
        let connector = TYPES.iter().map(|it| it.name()).find(|name| source.is_in("agent/src/connector/", name));
        let guides = [guide(connector.unwrap_or("salesforce")), guide("datasets")];
        let is_documented = |code: &str| guides.iter().any(|guide| guide.contains(&format!("`{code}`")));
        let text = read(&source.path);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let codes = OPENINGS.iter().flat_map(|opening| codes(text, opening));
        let told = codes.filter(|code| *code != NEVER_TOLD);
        places.extend(told.filter(|code| !is_documented(code)).map(|code| format!("{}: {code}", source.path)));
    }
    nothing_breaks("The connector's page, or docs/datasets.md, says of each code what to do about it.", &places);
}

#[test]
fn the_controller_and_its_console_know_every_type_of_connector() {
    let line = |path: &str, begin: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.trim_start().starts_with(begin));
        line.unwrap_or_else(|| panic!("{path} has no line that begins with {begin}")).to_owned()
    };
    let (state, form) = ("controller-stub/src/state/systems.rs", "controller-stub/console/system_details.js");
    let (types, choices) = (line(state, "const CONNECTORS"), line(form, "choice(\"type\""));
    let mut places = Vec::new();
    for name in TYPES.iter().map(|it| it.name()) {
        let told = [
            (state, types.contains(&format!("\"{name}\""))),
            (form, choices.contains(&format!("[\"{name}\", "))),
            ("docs", root().join(format!("docs/{name}.md")).exists()),
        ];
        places.extend(told.iter().filter(|(_, is_there)| !is_there).map(|(place, _)| format!("{place}: {name}")));
    }
    nothing_breaks("Whoever has to know a type of connector does, and it has a page for its administrators.", &places);
}

#[test]
fn what_the_pages_for_engineers_name_is_there() {
    const TOPS: [&str; 6] = ["protocol/", "agent/", "controller-stub/", "tests/", "docs/", "packaging/"];
    /// What somebody who follows them makes.
    const MADE: [&str; 2] = ["agent/src/connector/scim.rs", "docs/scim.md"];
    let is_named = |word: &str| product().any(|it| !it.places(&[word]).is_empty());
    let mut places = Vec::new();
    for page in ["docs/adding-a-task.md", "docs/adding-a-connector.md"] {
        for span in spans(&read(page)) {
            let is_there = if TOPS.iter().any(|top| span.starts_with(top)) {
                root().join(&span).exists() || MADE.contains(&span.as_str())
            } else {
                span.contains(' ') || !span.contains("::") || span.split("::").all(is_named)
            };
            if !is_there {
                places.push(format!("{page}: {span}"));
            }
        }
    }
    nothing_breaks("What a page for engineers names, a path or something of a type or a module, is there.", &places);
}

#[test]
fn codes_are_found_whatever_stands_before_them() {
    let text = "Failure::new(FailureClass::Rejected, \"one\", x) Failure::new(\n    Transient,\n    \"two\",\n y) \
                Failure::new(class, INCOMPLETE, \"words that are no code\")";
    assert_eq!(codes(text, "Failure::new("), ["one", "two"]);
}
