//! What this process gives up, so that its secrets stay with it.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Whatever this process makes is its user's alone, also what a library makes that knows nothing of modes.
pub fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Sees to it that a crash leaves no image of the memory behind, and that no other process of this user reads it.
///
/// # Errors
///
/// What the system said.
pub fn keep_memory_private() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A kernel that hands core dumps to a program, as systemd has it do, asks for no limit.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    /// Leave out either, and a crash leaves an image behind on some machine.
    #[test]
    fn the_memory_is_kept_private_by_limit_and_by_flag() {
        keep_memory_private().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
