//! What Prometheus finds, and under which name.

use postern_health::metrics::{Kind, Metric};

use super::GENERATED;

pub(super) fn page() -> String {
    let [agent, controller] = [postern_agent::metrics::TABLE, postern_controller_stub::metrics::TABLE].map(described);
    format!(
        "# Metrics\n\n{GENERATED}\nWhat Prometheus finds at `/metrics`, where [health](../operations/day-two.md#health-and-alerts) is answered over \
         HTTP. Counters and histograms begin at zero with each process. No label has the name of an account, of a member or of \
         whoever asks, nor the id of anything: connected systems are those of the agent's configuration, all other values are of \
         short lists. A value that is not known has no line, and a series appears when something is counted for it.\n\n\
         ## Agent\n\n{agent}\n## Controller\n\n{controller}"
    )
}

/// The rows of a table.
fn described(metrics: &[&Metric]) -> String {
    let rows = metrics.iter().map(|Metric { name, kind, labels, help }| {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = labels.iter().map(|it| format!("`{it}`")).collect();
        format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
    });
    let head = "| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}
