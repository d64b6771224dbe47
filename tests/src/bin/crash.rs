//! `crash`: kills agent and controller under load and audits what is left.

use std::process::ExitCode;

use clap::Parser;
use postern_fail_point::Point;
use postern_tests::crash::Kills;
use postern_tests::{crash, programs};

/// Kills two agents and the controller while tasks run, at random moments and at fail points, then proves from the
/// simulator's counters that no task was lost and no effect applied twice.
#[derive(Debug, Parser)]
struct Options {
    /// How many kills.
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Kill at this fail point alone.
    #[arg(long, value_name = "POINT", value_parser = point)]
    at: Option<Point>,
    /// Print the tally as JSON.
    #[arg(long)]
    json: bool,
}

/// The fail point of this name.
fn point(name: &str) -> Result<Point, String> {
    let all = || Point::AGENT.into_iter().chain(Point::CONTROLLER);
    let names = || all().map(Point::name).collect::<Vec<_>>().join(", ");
    all().find(|it| it.name() == name).ok_or_else(|| format!("the fail points are {}", names()))
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for people")]
fn main() -> ExitCode {
    if let Some(exit) = programs::run_by_name() {
        return exit;
    }
    let options = Options::parse();
    let binary = std::env::current_exe().expect("the path of this program");
    let kills = options.at.map_or(Kills::Everywhere, Kills::At);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tally = runtime.block_on(crash::run(&binary, options.rounds, kills, |tally| {
        if tally.rounds.is_multiple_of(20) {
            eprintln!("{} of {} kills, {} violations", tally.rounds, options.rounds, tally.violations.len());
        }
    }));
    if options.json {
        println!("{}", serde_json::to_string_pretty(&tally).expect("a tally is plain data"));
    } else {
        println!(
            "{} kills ({} of an agent, {} of them long, {} of the controller), {} tasks ({} with a late call), {} effects, \
             {} lines of audit logs",
            tally.rounds,
            tally.agent_kills,
            tally.long_deaths,
            tally.controller_kills,
            tally.tasks,
            tally.late,
            tally.effects,
            tally.audited
        );
        for (kind, outcomes) in &tally.outcomes {
            println!("{kind}: {outcomes:?}");
        }
        println!("entries of imports: {:?}", tally.entries);
        println!("killed at fail points: {:?}; not reached in time: {}", tally.points, tally.unreached);
        for violation in &tally.violations {
            println!("VIOLATION: {violation}");
        }
    }
    ExitCode::from(u8::from(!tally.violations.is_empty()))
}
