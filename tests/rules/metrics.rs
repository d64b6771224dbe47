//! How metrics are named.

use std::collections::BTreeMap;

use postern_health::metrics::{Kind, Metric};

use crate::features::spans;
use crate::tree::{nothing_breaks, read};

fn tables() -> [&'static [&'static Metric]; 2] {
    [postern_agent::metrics::TABLE, postern_controller_stub::metrics::TABLE]
}

#[test]
fn metrics_are_named_as_prometheus_wants_them() {
    let mut places = Vec::new();
    for (table, prefix) in tables().into_iter().zip(["postern_", "postern_controller_"]) {
        let mut names: Vec<_> = table.iter().map(|it| it.name).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < table.len() {
            places.push(format!("{prefix}…: a name twice"));
        }
        for Metric { name, kind, labels, help } in table.iter().copied() {
            let is_word = |it: &str| it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
            let of_kind = match kind {
                Kind::Counter => name.ends_with("_total"),
                Kind::Gauge => !name.ends_with("_total"),
                Kind::Histogram => name.ends_with("_seconds"),
            };
            let is_bounded = labels.iter().all(|it| !["account", "task", "member", "token"].contains(it));
            if !(name.starts_with(prefix) && is_word(name) && of_kind && is_bounded && help.ends_with('.')) {
                places.push((*name).to_owned());
            }
        }
    }
    nothing_breaks("A metric has its program's prefix, its kind's suffix, bounded labels and a sentence.", &places);
}

/// The rows of the table of alerts.
fn alerts() -> Vec<String> {
    let text = read("docs/operations/day-two.md");
    let (_, alerts) = text.split_once("| alert | expression | for |\n").expect("the table of alerts");
    alerts.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

/// A program that is killed tonight counts from nothing: one before and one after are no increase.
#[test]
fn an_alert_on_a_single_one_sees_it_after_a_restart_too() {
    let rows = alerts();
    let on_one: Vec<_> = rows.iter().filter(|row| row.contains(" offset 1h")).collect();
    assert!(on_one.len() > 2, "{rows:?}");
    let is_blind = |row: &&&String| {
        let of_controller = row.contains("increase(postern_controller_");
        let start = if of_controller { "postern_controller_start_time_seconds" } else { "postern_start_time_seconds" };
        !row.contains(&format!(" and on (instance) time() - {start} < 3600"))
    };
    let places: Vec<_> = on_one.iter().filter(is_blind).map(|row| (*row).clone()).collect();
    nothing_breaks("An alert that one is enough for looks at what a young process has counted.", &places);
}

/// Calls and sendings of the credentials are counted apart, and whoever cannot sign in calls nothing.
#[test]
fn an_alert_sees_wherever_salesforce_may_not_answer() {
    let rows = alerts();
    let answered = tables().into_iter().flatten().filter(|it| it.labels.contains(&"answer")).map(|it| it.name);
    let unseen = |name: &&str| {
        let lost = |row: &String| row.contains(&format!("{name}{{")) && row.contains(r#"answer!="lost""#);
        !rows.iter().any(lost)
    };
    let places: Vec<_> = answered.filter(unseen).map(str::to_owned).collect();
    nothing_breaks("An alert tells of whatever is sent to Salesforce and not answered.", &places);
}

#[test]
fn alerts_are_on_metrics_and_labels_that_there_are() {
    let known: BTreeMap<_, _> = tables().into_iter().flatten().map(|it| (it.name, it)).collect();
    let mut places = Vec::new();
    let mut count = 0;
    let rows = alerts();
    for expression in rows.iter().flat_map(|row| spans(row)) {
        for (at, _) in expression.match_indices("postern_") {
            let rest = &expression[at..];
            let end = rest.find(|it: char| !it.is_ascii_lowercase() && it != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let selected = rest.strip_prefix('{').and_then(|it| it.split_once('}')).map_or("", |(labels, _)| labels);
            let mut labels =
                selected.split(',').filter_map(|it| it.split(['=', '!']).next()).filter(|it| !it.is_empty());
            let metric = known.get(name).or_else(|| known.get(name.strip_suffix("_bucket")?));
            if !metric.is_some_and(|it| labels.all(|label| it.labels.contains(&label))) {
                places.push(format!("{name}{{{selected}}}"));
            }
            count += 1;
        }
    }
    assert!(count > 10, "the table of alerts has only {count} metrics");
    nothing_breaks("An alert of docs/operations/day-two.md is on a metric, and labels of it, that there are.", &places);
}
