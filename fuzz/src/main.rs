//! The fuzzer's program. `POSTERN_FUZZ` names the target: one program for all of them, since each would contain the
//! whole agent.

#![no_main]

use std::sync::OnceLock;

use postern_fuzz::Target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var("POSTERN_FUZZ").unwrap_or_default();
    let names: Vec<&str> = postern_fuzz::TARGETS.iter().map(|target| target.name).collect();
    let target = postern_fuzz::target(&name);
    assert!(target.is_some(), "POSTERN_FUZZ names one of {}", names.join(", "));
    target.expect("it is there")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (TARGET.get_or_init(chosen).run)(data);
});
