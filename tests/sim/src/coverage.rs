//! Which rare situations were met. A simulation that never meets them proves nothing about them.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! situations {
    ($($name:ident = $text:literal,)*) => {
        /// A situation worth meeting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Situation {
            $(#[doc = $text] $name,)*
        }

        impl Situation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it is.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

situations! {
    DiedWithOfferNotDurable = "F01 a member died before an offer was durable",
    DiedWithOfferDurable = "F02 a member died before it accepted a durable offer",
    DiedBeforeCall = "F03 a member died between intent and call",
    DiedInCall = "F04 a member died while a call was under way",
    DiedAnswered = "F05 a member died between answer and report",
    DiedWithReport = "F06 a member died before it sent a durable report",
    DiedAcknowledged = "F07 a member died before it deleted an acknowledged report",
    DiedWelcomed = "a member died while a session became durable",
    DiedCommitting = "a member died while it was committing",
    TornMemberCommit = "a crash kept a part of what a member was committing",
    TornControllerCommit = "a crash kept a part of what a controller was committing",
    DeadLettered = "F10 a task in which the process died twice",
    MemberStopped = "F12 a member was asked to stop with work in its hands",
    PausedPastLease = "F13 a member stood still until a lease was over",
    StoreLost = "F19 a store was lost with tasks in it",
    ResultsLost = "the disk of a member lost results that were owed",
    DatasetLost = "the disk of a member lost a dataset of a task that it held",
    OfferedFull = "F14 a member with a full disk was offered a task",
    RefusedByPolicy = "a member's policy refused a task",
    RefusedByAll = "a task failed that was refused by all who could have taken it",
    RolledBack = "F19 a restored store was recognized",
    WallJumped = "F25 the wall clock jumped with deadlines pending",
    HalfOpen = "F27 a dead connection was noticed by its silence",
    Partitioned = "F30 a partition with work in hand",
    OneWay = "F31 a partition of one way with work in hand",
    OfferedAgain = "F33 a task was offered to a member that holds it",
    OfferedReported = "F33 a task was offered whose report is owed",
    OfferedEnded = "F33 a task was offered whose report was acknowledged",
    DiedWithLease = "F39 a controller died between lease and offer",
    DiedWithStoredReport = "F40 a controller died between report and acknowledgement",
    ControllerRestarted = "F41 a controller began with nothing in memory",
    PutBack = "a controller was put back to before a task was done",
    FailedOver = "F42 another controller took over",
    Replaced = "F43 a new session came while the old one was open",
    LateCommit = "F65 a call took effect after it was given up",
    NeverCommitted = "F66 a call that was given up never took effect",
    LockedStorm = "F63 a storm of refusals that pass",
    CancelledBegun = "F71 a cancel met a begun task",
    EndedCancelled = "F71 a task ended cancelled, and nothing of it happened",
    DisabledHard = "F72 a member was disabled hard with work under way",
    SealedAgain = "a task that nobody could open was sealed again",
    Revoked = "a member was revoked with work under way",
    MovedAndReported = "F73 a report came after the lease had moved",
    TakenOver = "a task was taken over that somebody else may have begun",
    PasswordOfAnother = "a password that an earlier task had changed was looked at by who took another task over",
    LeasedBetween = "another task was leased between two leases of one for the same user",
    OnlySeen = "what a former holder only saw was reported after another task had its user",
    ClosedInDoubt = "a certain report closed a task in doubt",
    ClosedProbably = "a report under the newest lease closed a task in doubt and was not certain",
    Overtaken = "a newer lease overtook an attempt of the same member",
    LeaseRefusedCall = "a call was not made because the lease would not cover it",
    GaveBack = "a member gave unbegun work back",
    Expired = "a deadline passed",
    EndedUnknown = "an outcome that cannot be known",
    BatchResumed = "a batch was gone on with",
    DatasetArrived = "a payload came after its task",
    UploadedAgain = "results were sent again after a session ended",
    SubmittedAgain = "a submitter repeated what it had no answer to",
    FullCredit = "a member held as much as it can",
}

/// How often each situation was met.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<Situation, u64>);

impl Coverage {
    /// A situation was met.
    pub fn met(&mut self, situation: Situation) {
        *self.0.entry(situation).or_default() += 1;
    }

    /// How often.
    pub fn count(&self, situation: Situation) -> u64 {
        self.0.get(&situation).copied().unwrap_or_default()
    }

    /// Those never met.
    pub fn missing(&self) -> Vec<Situation> {
        Situation::ALL.iter().copied().filter(|it| self.count(*it) == 0).collect()
    }

    /// What another run met, too.
    pub fn add(&mut self, other: &Self) {
        for (situation, count) in &other.0 {
            *self.0.entry(*situation).or_default() += count;
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for situation in Situation::ALL {
            writeln!(f, "{:>9}  {}", self.count(*situation), situation.text())?;
        }
        Ok(())
    }
}
