//! Named places in the programs where a test may have them killed, as `kill -9` does, or have a part of them hang.
//!
//! Whoever starts a program names a folder in [`FOLDER`]. A file there with the name of a point arms it: the program
//! that reaches the point removes the file and dies, or stays there. Without the feature `armed`, and in every release build, reaching
//! a point does nothing.

/// The variable of the environment that names the folder.
pub const FOLDER: &str = "POSTERN_FAIL_POINTS";

/// A place where a program may be killed. A number is that of the failure catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// F01. A task is about to be made durable.
    OfferTaken,
    /// F02. It is durable, and its `Accept` has not left.
    OfferDurable,
    /// F03. An intent is durable, and its call has not left.
    IntentDurable,
    /// F04. The call was made, and nobody has looked at its reply.
    CallMade,
    /// F05. An outcome is known, and its report is about to be made durable.
    OutcomeKnown,
    /// F06. The report is durable, and has not left.
    ReportDurable,
    /// F07. The report is acknowledged, and about to be deleted.
    ReportAcknowledged,
    /// F39. The controller made a lease durable, and its `Offer` has not left.
    LeaseDurable,
    /// F40. The controller made a report durable, and its `ReportAck` has not left.
    ReportStored,
    /// What an applicant is known by is durable, and nobody was asked.
    ApplicationDurable,
    /// The controller answered an applicant, and the answer is on no disk.
    ApplicationAnswered,
    /// F46. A new key and the request for its certificate are durable, and nobody was asked.
    RequestDurable,
    /// F46. The controller made a certificate durable, and its `CertIssued` has not left.
    CertificateDurable,
    /// F46. The next certificate is durable, and there was no session with it.
    NextDurable,
    /// F46. A session with the next certificate is durable, and the old key is still there.
    NextWelcomed,
    /// F46. The old key is gone, and the session has not been confirmed.
    NextCurrent,
    /// A new sealing key is durable, and nobody was told.
    KeyDurable,
    /// The controller made the keys of a member durable, and its `KeyAck` has not left.
    KeysStored,
    /// The controller acknowledged a new sealing key, and that is on no disk.
    KeyAcknowledged,
    /// An old sealing key is wiped, and nobody was told.
    KeyWiped,
    /// The controller made a root durable, and nothing names it.
    RootMade,
    /// The controller made a step of a rotation durable, and nobody has heard of it.
    RootsDurable,
    /// The roots that a member is to trust are durable at it, and their acknowledgement has not left.
    TrustDurable,
    /// The agent's dispatcher comes round.
    DispatcherTurns,
    /// The agent's link comes round, in a session.
    LinkTurns,
}

impl Point {
    /// Those of the agent that tasks come by.
    pub const AGENT: [Self; 7] = [
        Self::OfferTaken,
        Self::OfferDurable,
        Self::IntentDurable,
        Self::CallMade,
        Self::OutcomeKnown,
        Self::ReportDurable,
        Self::ReportAcknowledged,
    ];
    /// Those of the controller that tasks come by.
    pub const CONTROLLER: [Self; 2] = [Self::LeaseDurable, Self::ReportStored];
    /// Those of the agent that an enrollment comes by, in this order.
    pub const ENROLLMENT: [Self; 2] = [Self::ApplicationDurable, Self::ApplicationAnswered];
    /// Those of the agent that the renewal of a certificate comes by, in this order.
    pub const RENEWAL: [Self; 4] = [Self::RequestDurable, Self::NextDurable, Self::NextWelcomed, Self::NextCurrent];

    /// Those of the agent that a new sealing key comes by, in this order.
    pub const ROTATION: [Self; 3] = [Self::KeyDurable, Self::KeyAcknowledged, Self::KeyWiped];

    /// Its name, and that of the file that arms it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OfferTaken => "offer-taken",
            Self::OfferDurable => "offer-durable",
            Self::IntentDurable => "intent-durable",
            Self::CallMade => "call-made",
            Self::OutcomeKnown => "outcome-known",
            Self::ReportDurable => "report-durable",
            Self::ReportAcknowledged => "report-acknowledged",
            Self::LeaseDurable => "lease-durable",
            Self::ReportStored => "report-stored",
            Self::ApplicationDurable => "application-durable",
            Self::ApplicationAnswered => "application-answered",
            Self::RequestDurable => "request-durable",
            Self::CertificateDurable => "certificate-durable",
            Self::NextDurable => "next-durable",
            Self::NextWelcomed => "next-welcomed",
            Self::NextCurrent => "next-current",
            Self::KeyDurable => "key-durable",
            Self::KeysStored => "keys-stored",
            Self::KeyAcknowledged => "key-acknowledged",
            Self::KeyWiped => "key-wiped",
            Self::RootMade => "root-made",
            Self::RootsDurable => "roots-durable",
            Self::TrustDurable => "trust-durable",
            Self::DispatcherTurns => "dispatcher-turns",
            Self::LinkTurns => "link-turns",
        }
    }

    /// The name of the file that arms it to block the thread that comes by.
    pub fn blocking_name(self) -> String {
        format!("{}.blocks", self.name())
    }

    /// The program is here. Does not return if the point is armed.
    #[inline]
    pub fn reach(self) {
        #[cfg(all(feature = "armed", debug_assertions))]
        armed::reach(self);
    }

    /// A part of the program is here. If the point is armed, it waits for ever, and the others go on. If it is armed to
    /// block, its thread waits for ever as well.
    #[inline]
    #[allow(clippy::unused_async, reason = "what ships waits for nothing here")]
    pub async fn hang(self) {
        #[cfg(all(feature = "armed", debug_assertions))]
        armed::hang(self).await;
    }
}

#[cfg(all(feature = "armed", debug_assertions))]
mod armed {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use rustix::process::{Signal, getpid, kill_process};

    static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(super::FOLDER).map(PathBuf::from));

    pub(super) fn reach(point: super::Point) {
        if is_armed(point) {
            let _ = kill_process(getpid(), Signal::KILL);
            // The signal takes effect at the latest when this thread is scheduled next; it must not get any further.
            loop {
                std::thread::park();
            }
        }
    }

    pub(super) async fn hang(point: super::Point) {
        if is_armed(point) {
            std::future::pending::<()>().await;
        }
        if takes(&point.blocking_name()) {
            loop {
                std::thread::park();
            }
        }
    }

    fn is_armed(point: super::Point) -> bool {
        takes(point.name())
    }

    fn takes(name: &str) -> bool {
        FOLDER.as_ref().is_some_and(|folder| std::fs::remove_file(folder.join(name)).is_ok())
    }
}
