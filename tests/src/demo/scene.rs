//! What the audience sees, and what is remembered for the table at the end.
#![allow(clippy::print_stdout, reason = "this is a show")]

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use comfy_table::{Table, presets};
use serde_json::Value;

/// The stage.
pub(super) struct Scene {
    begun: Instant,
    names: BTreeMap<String, String>,
    rows: Vec<[String; 6]>,
    progress: String,
}

impl Default for Scene {
    #[allow(clippy::disallowed_methods, reason = "the show's own clock, for people")]
    fn default() -> Self {
        Self { begun: Instant::now(), names: BTreeMap::new(), rows: Vec::new(), progress: String::new() }
    }
}

impl Scene {
    pub(super) fn act(&mut self, title: &str) {
        println!("\n[{:5.1} s] {title}", self.begun.elapsed().as_secs_f64());
    }

    pub(super) fn say(who: &str, what: &str) {
        println!("           {who}: {what}");
    }

    pub(super) fn note(what: &str) {
        println!("           {what}");
    }

    /// What a member is called in the table.
    pub(super) fn name(&mut self, member: &str, name: &str) {
        self.names.insert(member.to_owned(), name.to_owned());
    }

    /// A task that has its outcome.
    pub(super) fn task(&mut self, about: &str, task: &Value) {
        let word = |name: &str| task[name].as_str().unwrap_or("-").to_owned();
        let member = self.names.get(&word("member")).cloned().unwrap_or_else(|| "-".to_owned());
        let millis = task["finished"].as_u64().zip(task["submitted"].as_u64()).map(|(end, begin)| end - begin);
        let row = [
            word("kind"),
            about.to_owned(),
            member,
            word("outcome"),
            word("changed"),
            millis.map(|millis| format!("{millis} ms")).unwrap_or_default(),
        ];
        println!("           {:16} {:32} {:8} {:20} {}", row[0], row[1], row[2], row[3], row[5]);
        self.rows.push(row);
    }

    /// How far a task is, once each time it changes.
    pub(super) fn progress(&mut self, task: &Value) {
        let progress = &task["progress"];
        let (Some(done), Some(total)) = (progress["done"].as_u64(), progress["total"].as_u64()) else { return };
        let line = format!("{}: {done} of {total}", progress["phase"].as_str().unwrap_or_default());
        if line == self.progress {
            return;
        }
        if std::io::stdout().is_terminal() {
            print!("\r           {line}\x1b[K");
            let _ = std::io::stdout().flush();
            if done == total {
                println!();
            }
        } else {
            println!("           {line}");
        }
        self.progress = line;
    }

    pub(super) fn table(&self) {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header(["task", "about", "done by", "outcome", "changed", "took"]);
        self.rows.iter().for_each(|row| {
            table.add_row(row);
        });
        println!("\n[{:5.1} s] What came of it\n\n{table}", self.begun.elapsed().as_secs_f64());
    }
}
