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

#[test]
fn alerts_are_on_metrics_and_labels_that_there_are() {
    let known: BTreeMap<_, _> = tables().into_iter().flatten().map(|it| (it.name, it)).collect();
    let text = read("docs/operations/day-two.md");
    let (_, alerts) = text.split_once("| alert | expression | for |\n").expect("the table of alerts");
    let mut places = Vec::new();
    let mut count = 0;
    for expression in alerts.lines().take_while(|line| line.starts_with('|')).flat_map(spans) {
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
