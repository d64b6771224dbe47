//! What the runs came to, for people and for programs.

use comfy_table::{CellAlignment, Table, presets};
use postern_benches::to_f64;
use serde_json::{Value, json};

use crate::{Client, Run, Way};

/// The wall time that others are compared with: the limit's, or else the first row's.
fn compared_with(rows: &[(Way, Run)]) -> f64 {
    let limit = rows.iter().find(|(way, _)| way.client == Client::Limit).or(rows.first());
    limit.map_or(f64::NAN, |(_, run)| run.usage.wall)
}

pub(crate) fn as_table(rows: &[(Way, Run)]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(["client", "seconds", "of the limit", "CPU s", "peak MiB", "calls", "simulator's CPU s"]);
    let limit = compared_with(rows);
    for (way, run) in rows {
        table.add_row([
            way.name(),
            format!("{:.2}", run.usage.wall),
            format!("{:.2}", run.usage.wall / limit),
            format!("{:.2}", run.usage.cpu),
            format!("{:.1}", to_f64(run.usage.peak) / 1024.0),
            run.calls.to_string(),
            format!("{:.2}", run.simulator),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(crate) fn as_json(rows: &[(Way, Run)]) -> Vec<Value> {
    let limit = compared_with(rows);
    let row = |(way, run): &(Way, Run)| {
        json!({
            "client": way.name(),
            "wall_secs": run.usage.wall,
            "of_limit": run.usage.wall / limit,
            "cpu_secs": run.usage.cpu,
            "peak_kib": run.usage.peak,
            "calls": run.calls,
            "simulator_cpu_secs": run.simulator,
        })
    };
    rows.iter().map(row).collect()
}
