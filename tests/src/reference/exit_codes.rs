//! What the programs end with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::GENERATED;

pub(super) fn page() -> String {
    let mut codes: BTreeMap<u8, [&str; 2]> = BTreeMap::new();
    for exit in postern_agent::exit::Exit::ALL {
        codes.entry(exit.code()).or_default()[0] = exit.meaning();
    }
    codes.entry(0).or_default()[1] = "done";
    for exit in postern_controller_stub::exit::Exit::ALL {
        codes.entry(exit.code()).or_default()[1] = exit.meaning();
    }
    let mut page = format!(
        "# Exit codes\n\n{GENERATED}\nThe numbers do not change. Where `sysexits.h` has one for the case, it is that.\n\n\
         | code | `postern` | `postern-controller` |\n|---|---|---|\n"
    );
    for (code, [agent, controller]) in codes {
        let _ = writeln!(page, "| {code} | {agent} | {controller} |");
    }
    page
}
