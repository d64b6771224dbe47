//! `postern doctor`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use postern_protocol::message::v1::LogLevel;
use postern_store::private::NewFile;
use serde_json::Value;

use super::{Failed, check_system, say, say_error, say_json};
use crate::cli::Doctor;
use crate::config::{Config, Setting};
use crate::doctor::{self, Asked, Bundle, Finding, Names, Report, Status};
use crate::exit::Exit;
use crate::telemetry;

/// The width that texts are wrapped to, behind the column of the checks.
const WIDTH: usize = 88;
/// As wide as the longest id of a check.
const ID: usize = 22;
/// What an agent that found the store taken may have come to.
const HAD_STORE: &str = "doctor had the store meanwhile, and an agent that was started ended with 79: look at `systemctl status \
                         postern`; if it failed, `systemctl reset-failed postern` and `systemctl start postern`";

pub(super) async fn run(path: &Path, options: &Doctor) -> Result<Exit, Failed> {
    let mut config = match Config::load(path) {
        Ok(config) => config,
        Err(error) if options.show_config => return Err(error.into()),
        Err(error) => {
            let file = options.bundle.as_deref().map(new_file).transpose()?;
            let report = Report::of_unusable(&error);
            show(&report, options.json);
            write(file, &bundle(&report, &Value::Null, options), None, options)?;
            return Ok(Exit::Config);
        }
    };
    if options.show_config {
        show_settings(&config.effective(), options.json);
        return Ok(Exit::Ok);
    }
    if let Some(name) = &options.system {
        check_system(&config, name)?;
    }
    // Made before the work, because a bundle that cannot be written must not cost a sign-in.
    let file = options.bundle.as_deref().map(new_file).transpose()?;
    // Its log would be between the lines.
    config.log.level = LogLevel::Error;
    config.systems.iter_mut().for_each(|system| system.log_level = None);
    telemetry::start(&config);
    let asked = Asked { system: options.system.clone(), offline: options.offline };
    let tells = std::io::stderr().is_terminal() && !options.json;
    let tell = |what: &str| {
        if tells {
            say_error(format_args!("looking at: {what}"));
        }
    };
    let (report, state) = Box::pin(doctor::look(&config, &asked, &tell)).await;
    show(&report, options.json);
    write(file, &bundle(&report, &state, options), Some(&config), options)?;
    let fails = report.count(Status::Failed) > 0 || options.strict && report.count(Status::Warning) > 0;
    Ok(if fails { Exit::Failed } else { Exit::Ok })
}

fn bundle<'a>(report: &'a Report, state: &'a Value, options: &Doctor) -> Bundle<'a> {
    let names = if options.with_names { Names::Shown } else { Names::Hidden };
    Bundle { report, state, names }
}

fn write(file: Option<NewFile>, bundle: &Bundle<'_>, config: Option<&Config>, options: &Doctor) -> Result<(), Failed> {
    let Some(mut file) = file else { return Ok(()) };
    let bytes = bundle.pack(config);
    let written = file.fill(|file| file.write_all(&bytes));
    let shown = file.path().display().to_string();
    written.map_err(|error| Failed::new(Exit::Failed, format!("`{shown}` cannot be written: {error}")))?;
    if !options.json {
        say(format_args!("wrote {shown}, {} KiB; look through it before you hand it on", bytes.len().div_ceil(1024)));
    }
    Ok(())
}

fn new_file(path: &Path) -> Result<NewFile, Failed> {
    NewFile::create(path).map_err(|error| {
        let shown = path.display();
        Failed::new(
            Exit::Usage,
            format!("the bundle cannot be made as `{shown}`: {error}; name a file that is not there yet"),
        )
    })
}

fn show(report: &Report, json: bool) {
    if json {
        return say_json(&serde_json::to_value(report).unwrap_or_default());
    }
    let mut of = None;
    for finding in &report.findings {
        if of != finding.of {
            say(format_args!("\n{}", finding.of.as_deref().unwrap_or("this agent")));
            of.clone_from(&finding.of);
        }
        show_finding(finding);
    }
    let count = |status: Status| report.count(status);
    let (warnings, plural) = (count(Status::Warning), if count(Status::Warning) == 1 { "" } else { "s" });
    say(format_args!(
        "\n{} ok, {warnings} warning{plural}, {} failed, {} skipped",
        count(Status::Ok),
        count(Status::Failed),
        count(Status::Skipped)
    ));
    if report.had_store {
        wrapped(HAD_STORE).into_iter().for_each(say);
    }
}

fn show_finding(finding: &Finding) {
    let mut lines = wrapped(&finding.told).into_iter();
    let first = lines.next().unwrap_or_default();
    say(format_args!("{:8} {:ID$} {first}", finding.status.name(), finding.id.id()));
    for line in lines {
        say(format_args!("{:8} {:ID$} {line}", "", ""));
    }
    for (number, line) in wrapped(&finding.next).into_iter().filter(|line| !line.is_empty()).enumerate() {
        let mark = if number == 0 { "→" } else { " " };
        say(format_args!("{:8} {:ID$} {mark} {line}", "", ""));
    }
}

/// A text in lines of at most [`WIDTH`] characters, as far as its words let it.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for part in text.split('\n') {
        let mut line = String::new();
        for word in part.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

fn show_settings(settings: &[Setting], json: bool) {
    if json {
        return say_json(&serde_json::to_value(settings).unwrap_or_default());
    }
    let mut section = "";
    for setting in settings {
        if setting.section != section {
            say(format_args!("{}{}", if section.is_empty() { "" } else { "\n" }, setting.section));
            section = &setting.section;
        }
        say(format_args!("{} = {}   # {}", setting.key, setting.value, setting.from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_between_words_and_lines_are_kept() {
        let lines = wrapped(&"word ".repeat(40));
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDTH), "{lines:?}");
        assert_eq!(wrapped("chmod 600 'a'\nchmod 700 'b'"), ["chmod 600 'a'", "chmod 700 'b'"]);
    }
}
