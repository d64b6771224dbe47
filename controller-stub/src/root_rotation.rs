//! How one root takes the place of another: single → begun → switched → single, and back, one step after the other.
//!
//! What a step asks of the members follows from what it changes: a root signs only what every member trusts, and a root
//! is dropped only when no member has a certificate of it.

use serde::{Deserialize, Serialize};

use crate::ca::RootNo;

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Phase {
    /// There is none: one root signs, and nothing else is trusted.
    Single {
        /// The root.
        root: RootNo,
    },
    /// Both are trusted; the old one signs.
    Begun {
        /// The root that is to go.
        old: RootNo,
        /// The root that is to come.
        new: RootNo,
    },
    /// Both are trusted; the new one signs.
    Switched {
        /// The root that is to go.
        old: RootNo,
        /// The root that is to come.
        new: RootNo,
    },
}

impl Phase {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single { .. } => "single",
            Self::Begun { .. } => "begun",
            Self::Switched { .. } => "switched",
        }
    }

    /// The root that signs.
    pub const fn signing(self) -> RootNo {
        match self {
            Self::Single { root } => root,
            Self::Begun { old, .. } => old,
            Self::Switched { new, .. } => new,
        }
    }

    /// The root that is trusted beside it.
    pub const fn other(self) -> Option<RootNo> {
        match self {
            Self::Single { .. } => None,
            Self::Begun { new, .. } => Some(new),
            Self::Switched { old, .. } => Some(old),
        }
    }

    /// Every root that is trusted; the first signs.
    pub fn trusted(self) -> Vec<RootNo> {
        std::iter::once(self.signing()).chain(self.other()).collect()
    }
}

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Trust this root beside the one there is.
    Begin(RootNo),
    /// Let the new root sign.
    Switch,
    /// Trust the new root alone.
    Finish,
    /// Undo the last step.
    Back,
}

impl Step {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Switch => "switch",
            Self::Finish => "finish",
            Self::Back => "back",
        }
    }
}

/// Why a step makes no sense now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// One is under way.
    #[error("a rotation is under way: `postern-controller ca status` tells its next step")]
    UnderWay,
    /// None is under way.
    #[error("no rotation is under way: `postern-controller ca rotate begin` begins one")]
    NotBegun,
    /// The root is the one there is.
    #[error("root {0} is the present one: a rotation needs another")]
    Present(RootNo),
    /// Two steps at once.
    #[error("the new root does not sign yet: run `postern-controller ca rotate switch` first")]
    NotSwitched,
    /// That step was made.
    #[error("the new root signs already: `postern-controller ca rotate finish` drops the old one")]
    Switched,
}

/// The phase that `step` leads to.
pub fn after(phase: Phase, step: Step) -> Result<Phase, StepError> {
    use Phase::{Begun, Single, Switched};
    match (phase, step) {
        (Single { root }, Step::Begin(new)) if root == new => Err(StepError::Present(new)),
        (Single { root }, Step::Begin(new)) => Ok(Begun { old: root, new }),
        (Begun { .. } | Switched { .. }, Step::Begin(_)) => Err(StepError::UnderWay),
        (Single { .. }, Step::Switch | Step::Finish | Step::Back) => Err(StepError::NotBegun),
        (Begun { old, new }, Step::Switch) => Ok(Switched { old, new }),
        (Begun { .. }, Step::Finish) => Err(StepError::NotSwitched),
        (Begun { old, .. }, Step::Back) => Ok(Single { root: old }),
        (Switched { .. }, Step::Switch) => Err(StepError::Switched),
        (Switched { new, .. }, Step::Finish) => Ok(Single { root: new }),
        (Switched { old, new }, Step::Back) => Ok(Begun { old, new }),
    }
}

/// What has to be true of every member before a phase may follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// It trusts this root, which is about to sign.
    pub trusts: Option<RootNo>,
    /// It has no certificate of this root, which is about to be dropped.
    pub without: Option<RootNo>,
}

/// What one phase asks of the members before it follows another.
pub fn demand(before: Phase, next: Phase) -> Demand {
    let dropped = before.trusted().into_iter().find(|root| !next.trusted().contains(root));
    Demand { trusts: Some(next.signing()).filter(|root| *root != before.signing()), without: dropped }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: RootNo = RootNo(1);
    const NEW: RootNo = RootNo(2);
    const SINGLE: Phase = Phase::Single { root: OLD };
    const BEGUN: Phase = Phase::Begun { old: OLD, new: NEW };
    const SWITCHED: Phase = Phase::Switched { old: OLD, new: NEW };
    const FINISHED: Phase = Phase::Single { root: NEW };

    #[test]
    fn every_step_in_every_phase_and_each_has_a_way_back() {
        let table = [
            (SINGLE, Step::Begin(NEW), Ok(BEGUN)),
            (SINGLE, Step::Begin(OLD), Err(StepError::Present(OLD))),
            (SINGLE, Step::Switch, Err(StepError::NotBegun)),
            (SINGLE, Step::Finish, Err(StepError::NotBegun)),
            (SINGLE, Step::Back, Err(StepError::NotBegun)),
            (BEGUN, Step::Begin(NEW), Err(StepError::UnderWay)),
            (BEGUN, Step::Switch, Ok(SWITCHED)),
            (BEGUN, Step::Finish, Err(StepError::NotSwitched)),
            (BEGUN, Step::Back, Ok(SINGLE)),
            (SWITCHED, Step::Begin(NEW), Err(StepError::UnderWay)),
            (SWITCHED, Step::Switch, Err(StepError::Switched)),
            (SWITCHED, Step::Finish, Ok(FINISHED)),
            (SWITCHED, Step::Back, Ok(BEGUN)),
            (FINISHED, Step::Begin(OLD), Ok(Phase::Begun { old: NEW, new: OLD })),
        ];
        for (phase, step, next) in table {
            assert_eq!(after(phase, step), next, "{} {}", phase.name(), step.name());
        }
    }

    /// Both ways: what is signed must be trusted, and what is held must not be dropped.
    #[test]
    fn a_root_signs_only_what_is_trusted_and_is_dropped_only_when_nobody_needs_it() {
        let (nothing, trusts, without) = (None, Some, Some);
        let table = [
            (SINGLE, BEGUN, nothing, nothing),
            (BEGUN, SWITCHED, trusts(NEW), nothing),
            (SWITCHED, BEGUN, trusts(OLD), nothing),
            (SWITCHED, FINISHED, nothing, without(OLD)),
            (BEGUN, SINGLE, nothing, without(NEW)),
        ];
        for (before, next, trusts, without) in table {
            assert_eq!(demand(before, next), Demand { trusts, without }, "{} to {}", before.name(), next.name());
        }
    }
}
