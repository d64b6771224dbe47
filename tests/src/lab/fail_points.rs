//! The fail points of one program of the lab.

use std::path::{Path, PathBuf};

use postern_fail_point::Point;

/// The folder in which a program's fail points are armed.
#[derive(Debug, Clone)]
pub struct FailPoints(PathBuf);

impl FailPoints {
    /// Those of the program that writes `log`.
    pub(super) fn beside(log: &Path) -> Self {
        let folder = log.with_extension("fail-points");
        std::fs::create_dir_all(&folder).expect("a folder for fail points");
        Self(folder)
    }

    /// Where they are armed.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Has the program killed when it reaches `point` next.
    pub fn arm(&self, point: Point) {
        std::fs::write(self.0.join(point.name()), []).expect("a fail point can be armed");
    }

    /// Has the thread that reaches `point` next, which is one that the program hangs at, blocked for ever.
    pub fn arm_to_block(&self, point: Point) {
        std::fs::write(self.0.join(point.blocking_name()), []).expect("a fail point can be armed");
    }

    /// Takes that back. `false` if the program has been killed there.
    pub fn disarm(&self, point: Point) -> bool {
        std::fs::remove_file(self.0.join(point.name())).is_ok()
    }

    /// Whether the program has been killed at a point that was armed.
    pub fn was_hit(&self, point: Point) -> bool {
        !self.0.join(point.name()).exists()
    }
}
