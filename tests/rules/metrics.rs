//! How metrics are named.

use postern_health::metrics::{Kind, Metric};

use crate::tree::nothing_breaks;

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
