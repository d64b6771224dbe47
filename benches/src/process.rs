//! A program that is run to its end, and what it cost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::{Failure, timed};

/// How often the peak of the memory is looked at. It only grows, so little is missed: what is allocated in the last
/// moment of a process.
const LOOK: Duration = Duration::from_millis(5);
/// Linux counts processor time in hundredths of a second wherever it tells it to programs.
const TICKS_A_SECOND: f64 = 100.0;

/// What a program took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, in user mode and in the kernel.
    pub cpu: f64,
    /// The most memory that was resident, in KiB.
    pub peak: u64,
}

/// Runs a program to its end. What it printed, and what it took.
///
/// # Errors
///
/// It cannot be started, or did not end with 0; then what it complained about is the error.
pub fn run(command: &mut Command) -> Result<(String, Usage), Failure> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let complaints = tempfile::NamedTempFile::new()?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(complaints.reopen()?).spawn()?;
    let pid = child.id();
    let gone = AtomicBool::new(false);
    let (output, peak, cpu, wall) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !gone.load(Ordering::Relaxed) {
                peak = peak.max(peak_memory(pid).unwrap_or(0));
                thread::sleep(LOOK);
            }
            peak
        });
        let (waited, took) = timed(|| wait(pid));
        // Until it is reaped, the kernel still knows what it took.
        let cpu = cpu_time(pid);
        gone.store(true, Ordering::Relaxed);
        let output = waited.and_then(|()| Ok(child.wait_with_output()?));
        (output, watch.join().unwrap_or(0), cpu, took)
    });
    let output = output?;
    if !output.status.success() {
        let complaints = std::fs::read_to_string(complaints.path())?;
        return Err(format!("{name} ended with {}:\n{complaints}", output.status).into());
    }
    Ok((String::from_utf8(output.stdout)?, Usage { wall: wall.as_secs_f64(), cpu: cpu?, peak }))
}

/// Waits until it has ended, without reaping it.
fn wait(pid: u32) -> Result<(), Failure> {
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no process has the number 0")?;
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    Ok(())
}

/// Seconds of processor time that a process has taken so far.
///
/// # Errors
///
/// There is no such process.
pub fn cpu_time(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, which may hold anything, ends with the last parenthesis; the state is the next field.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: Vec<u32> = fields.skip(11).take(2).map_while(|field| field.parse().ok()).collect();
    Ok(ticks.into_iter().map(f64::from).sum::<f64>() / TICKS_A_SECOND)
}

/// The most memory that a process has had resident so far, in KiB.
///
/// # Errors
///
/// There is no such process, or it has ended.
pub fn peak_memory(pid: u32) -> Result<u64, Failure> {
    memory(pid, "VmHWM:")
}

/// The memory that a process has resident now, in KiB.
///
/// # Errors
///
/// There is no such process, or it has ended.
pub fn resident_memory(pid: u32) -> Result<u64, Failure> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, what: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).ok_or("the process has ended")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
