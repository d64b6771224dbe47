//! What the figures of a run depend on: the disk, and who else uses the machine.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{median, timed};

/// How often the disk is asked.
const SAMPLES: u32 = 100;
/// The size of what is appended, in bytes: one page.
const PAGE: usize = 4096;

/// The disk and the load of the machine, before and after a run.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    /// The median cost of one barrier before and after.
    pub barrier: (Duration, Duration),
    /// The load average of the last minute before and after, and so with this run's own part in it.
    pub load: (f64, f64),
}

impl Calibration {
    /// Asks the disk of `dir` and the machine again; `before` is what they said before the run.
    pub fn complete(before: (Duration, f64), dir: &Path) -> io::Result<Self> {
        Ok(Self { barrier: (before.0, barrier(dir)?), load: (before.1, load()) })
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        json!({
            "fdatasync_before_secs": self.barrier.0.as_secs_f64(),
            "fdatasync_after_secs": self.barrier.1.as_secs_f64(),
            "load_before": self.load.0,
            "load_after": self.load.1,
        })
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.barrier;
        write!(
            f,
            "calibration: fdatasync of a 4 KiB append {before:.0?} before, {after:.0?} after; load average {} before, {} \
             after",
            self.load.0, self.load.1
        )
    }
}

/// The median cost of one 4 KiB append with `fdatasync` on the disk of `dir`.
pub fn barrier(dir: &Path) -> io::Result<Duration> {
    let mut file = tempfile::tempfile_in(dir)?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let (result, took) = timed(|| file.write_all(&[1; PAGE]).and_then(|()| file.sync_data()));
        result?;
        samples.push(took.as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(samples)))
}

/// The load average of the last minute; 0 where the system does not tell.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
