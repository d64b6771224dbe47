//! A program of the lab as a process that can be killed.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use super::{FailPoints, PATIENCE};

/// A running program. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its standard error stream appended to `log`.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> Self {
        Self::start_in(program, arguments, log, &[])
    }

    /// The same with more variables in its environment.
    pub fn start_in(program: &Path, arguments: &[&str], log: &Path, environment: &[(&str, OsString)]) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("the log of a program");
        let child = Command::new(program)
            .args(arguments)
            .env(postern_fail_point::FOLDER, FailPoints::beside(log).folder())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("a program of the lab starts");
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, child, log: log.to_owned() }
    }

    /// Waits until `ready` exists. If the program ends before that, its log is the reason.
    pub async fn wait_ready(&mut self, ready: &Path) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !ready.exists() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("`{}` ended with {status} before it was ready:\n{}", self.name, self.log());
            }
            assert!(tokio::time::Instant::now() < deadline, "`{}` was not ready in time:\n{}", self.name, self.log());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Kills it, as `kill -9` does, and waits until it is gone. Returns how it had ended, if it had by itself before.
    pub async fn kill(&mut self) -> Option<ExitStatus> {
        self.child.kill().await.expect("a process of the lab can be killed");
        let status = self.child.wait().await.expect("how it ended");
        (status.signal() != Some(rustix::process::Signal::KILL.as_raw())).then_some(status)
    }

    /// Asks it to stop, as systemd does, and waits for its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.expect("a program of the lab stops when asked").expect("its exit code").code()
    }

    /// Waits until it ends by itself, and returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.unwrap_or_else(|_| panic!("`{}` did not end:\n{}", self.name, self.log())).expect("its exit code").code()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).expect("the process runs");
        rustix::process::kill_process(pid, signal).expect("a process of the lab takes signals");
    }

    /// Its number; `None` once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Everything it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_killed_after_its_end_had_ended_by_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = |script| Process::start(Path::new("sh"), &["-c", script], &folder.path().join("log"));
        for script in ["exit 70", "kill -ABRT $$"] {
            let mut ended = run(script);
            crate::wait_for("the end of it", async || {
                let status = std::fs::read_to_string(format!("/proc/{}/stat", ended.pid().expect("its number")));
                if status.as_ref().is_ok_and(|it| it.contains(") Z ")) { Ok(()) } else { Err(status) }
            })
            .await;
            assert!(ended.kill().await.is_some(), "{script}");
        }
        assert_eq!(run("sleep 60").kill().await, None);
    }
}
