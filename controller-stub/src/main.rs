//! The reference controller's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    postern_controller_stub::main()
}
