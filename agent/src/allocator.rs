//! How memory that is free is to be kept.

use std::alloc::System;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use zeroizing_alloc::ZeroAlloc;

/// Overwrites what is freed. Passwords go through buffers of the HTTP client, of TLS and of parsers, which are freed as they
/// are; what is handed out again, or stays free for long, must not hold them.
#[global_allocator]
static WIPED: ZeroAlloc<System> = ZeroAlloc(System);

/// Free pieces of at least so many bytes go back to the system. That is where the C library begins, but each larger piece
/// that is freed moves it up, to as much as 32 MiB; then every thread keeps what its largest piece of work once took.
const GIVE_BACK_FROM: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");
/// The C library's own name for all such settings.
const TUNABLES: &str = "GLIBC_TUNABLES";
/// Says that the program has started once more. The setting alone does not: newer C libraries take it out of the
/// environment of a program with capabilities of its own.
const STARTED_AGAIN: &str = "POSTERN_STARTED_AGAIN";

/// Sees to it that memory does not stay where it is not needed any more. The C library takes that wish only from the
/// environment of a program that starts, so this one starts once more in its own place, unless somebody set it already.
/// If it cannot, it goes on as it is and takes more memory.
pub fn give_memory_back() {
    // By its path, not as `/proc/self/exe`: the last part of it is what `top` and `pgrep` call the process.
    let Ok(program) = env::current_exe() else { return };
    if let Some(mut again) = again(&program, |name| env::var_os(name).is_some(), env::args_os()) {
        drop(again.exec());
    }
}

/// This program with its arguments and the setting; nothing if it has one.
fn again(
    program: &Path,
    is_set: impl Fn(&str) -> bool,
    mut arguments: impl Iterator<Item = OsString>,
) -> Option<Command> {
    let (name, value) = GIVE_BACK_FROM;
    if !cfg!(target_env = "gnu") || [name, TUNABLES, STARTED_AGAIN].into_iter().any(is_set) {
        return None;
    }
    let started_as = arguments.next();
    let mut again = Command::new(program);
    again.arg0(started_as.as_deref().unwrap_or(OsStr::new("postern"))).args(arguments);
    again.env(name, value).env(STARTED_AGAIN, "1");
    Some(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Look for the setting alone, and a program that loses it starts for ever.
    #[test]
    fn the_program_starts_once_more_with_its_arguments_and_not_a_third_time() {
        let arguments = || ["postern", "run"].map(OsString::from).into_iter();
        let program = Path::new("/usr/bin/postern");
        let once_more = again(program, |_| false, arguments()).unwrap();
        assert_eq!(once_more.get_program(), program.as_os_str());
        assert_eq!(once_more.get_args().collect::<Vec<_>>(), ["run"]);
        let set: Vec<&OsStr> = once_more.get_envs().map(|(name, _)| name).collect();
        assert_eq!(set, ["MALLOC_MMAP_THRESHOLD_", "POSTERN_STARTED_AGAIN"]);
        for name in set.into_iter().chain([OsStr::new(TUNABLES)]) {
            assert!(again(program, |it| OsStr::new(it) == name, arguments()).is_none(), "{name:?}");
        }
    }
}
