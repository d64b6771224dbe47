//! The reference of metrics is what the tables in the code say.

use postern_health::metrics::{Kind, Metric, described};

use crate::tree::{nothing_breaks, read, root};

const REFERENCE: &str = "docs/reference/metrics.md";

fn tables() -> [&'static [&'static Metric]; 2] {
    [postern_agent::metrics::TABLE, postern_controller_stub::metrics::TABLE]
}

fn reference() -> String {
    let [agent, controller] = tables().map(described);
    format!(
        "# Metrics\n\nWhat Prometheus finds at `/metrics`, where [health](../operations.md#health) is answered over HTTP. Counters \
         and histograms begin at zero with each process. No label has the name of an account, of a member or of whoever \
         asks, nor the id of anything: connected systems are those of the agent's configuration, all other values are of short \
         lists. A value that is not known has no line, and a series appears when something is counted for it.\n\nThis page is \
         generated from the code; `cargo test -p postern-tests --test rules metrics` compares them, and writes what the page \
         has to be to `target/metrics.md`.\n\n## Agent\n\n{agent}\n## Controller\n\n{controller}"
    )
}

#[test]
fn the_reference_of_metrics_is_what_the_code_says() {
    let wanted = reference();
    let written = root().join("target/metrics.md");
    let is_kept =
        std::fs::create_dir_all(root().join("target")).and_then(|()| std::fs::write(&written, &wanted)).is_ok();
    let places = if read(REFERENCE) == wanted { vec![] } else { vec![format!("{REFERENCE}: kept: {is_kept}")] };
    nothing_breaks("docs/reference/metrics.md is generated: copy target/metrics.md over it.", &places);
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
