//! How many strangers may be connected to the listeners, for how long, and what a request may hold: each bound with its
//! reason. `docs/limits.md` says what happens beyond them.
//!
//! What a session may take is bounded where it is spent, in [`link`](crate::link), and how often something may be asked for
//! where it is counted, by the buckets of [`rate`](postern_protocol::rate).

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::door::Bounds;

/// How long a connection may take from TCP to the WebSocket: a few round trips over the slowest line, with room.
pub const HANDSHAKE: Duration = Duration::from_secs(15);
/// How long a caller of the API may take to send the head of a request, and to begin the next one.
pub const HEAD: Duration = Duration::from_secs(30);
/// The largest head of a request: a token, a content type and a length take a tenth of it.
pub const MAX_HEAD: usize = 8 * 1024;
/// The most headers of a request.
pub const MAX_HEADERS: usize = 64;
/// How long a caller may take to give [`LEAST`].
pub const GIVING: Duration = Duration::from_secs(30);
/// How long a caller may take to take [`LEAST`]. What it takes is seen only when the kernel has room again, which may be after
/// all that a proxy buffers.
pub const TAKING: Duration = Duration::from_secs(5 * 60);
/// What a caller has to give in [`GIVING`], or to take in [`TAKING`]: half a KiB a second is slower than any line.
pub const LEAST: usize = 16 * 1024;
/// What the kernel buffers of an answer: all of it is on the loopback, where more gains nothing, and the kernel would take
/// megabytes before it says that nobody reads.
pub const ANSWER_BUFFER: u32 = 64 * 1024;
/// The most callers of the API at once. Whoever waits for an outcome is one of them, for up to 50 seconds.
pub const MAX_CALLERS: usize = 256;

/// How many of something there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of one token.
    pub of_token: usize,
    /// Of all tokens.
    pub all: usize,
    /// Of all tokens below an administrator's.
    pub below_administrators: usize,
}

/// The requests that are under way: of one token half of all callers, which is more than a submitter waits for. For
/// administrators a quarter of the places is left, whatever others wait for, so that there is somebody who can revoke a
/// token.
pub const UNDER_WAY: Share =
    Share { of_token: MAX_CALLERS / 2, all: MAX_CALLERS, below_administrators: MAX_CALLERS / 4 * 3 };
/// Those of them that watch what changes, for as long as they like: some windows of a browser for each token, and each has the
/// state look at what changed.
pub const WATCHERS: Share =
    Share { of_token: MAX_CALLERS / 16, all: MAX_CALLERS / 4, below_administrators: MAX_CALLERS / 16 * 3 };
/// The looks through many things that wait for the owner of the state at once: one is at work, and the next is ready. Each
/// takes some tens of milliseconds, and whoever else needs the owner waits for these, and not for as many as are under way.
pub const SCANS: usize = 2;

/// Descriptors that are not connections: the store, the spool, the runtime, payloads on their way.
pub const OTHER_FILES: u64 = 512;
/// The fewest connections that make sense.
const FEWEST: usize = 16;

/// What the operator grants the agents' listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// The most at once, sessions and handshakes together.
    pub total: usize,
    /// The most at once that are no sessions.
    pub handshakes: usize,
    /// The most at once that are no sessions and come from one address. Sessions are not counted, so that as many
    /// members as there are can live behind one address; only those that connect in the same moment share this.
    pub handshakes_per_address: usize,
}

impl Connections {
    /// What so many descriptors leave of it.
    fn within(self, descriptors: u64) -> Self {
        let others =
            OTHER_FILES.min(descriptors / 2) + u64::try_from(MAX_CALLERS).unwrap_or(u64::MAX).min(descriptors / 4);
        let left = usize::try_from(descriptors - others).unwrap_or(usize::MAX);
        let total = self.total.min(left).max(FEWEST);
        Self { total, handshakes: self.handshakes.min(total.div_ceil(2)), ..self }
    }

    /// Lets the process open as many descriptors as that takes. Where it may not, fewer connections are granted: a
    /// listener that runs out of descriptors takes the store's along.
    #[must_use]
    pub fn with_descriptors(self) -> Self {
        let needed = u64::try_from(self.total + MAX_CALLERS).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < needed) {
            let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
            limit.current = Some(raised);
            // What is not granted is found in what is left.
            let _ = setrlimit(Resource::Nofile, limit);
        }
        let Some(current) = getrlimit(Resource::Nofile).current.filter(|current| *current < needed) else {
            return self;
        };
        let granted = self.within(current);
        tracing::warn!(
            descriptors = current,
            needed,
            connections = granted.total,
            "the process may not open as many files as that takes, so fewer connections are let in: raise its hard limit \
             (LimitNOFILE= of systemd, `ulimit -Hn`)"
        );
        granted
    }

    /// The bounds of the agents' listener.
    pub const fn bounds(self) -> Bounds {
        Bounds { total: self.total, visitors: self.handshakes, visitors_per_network: self.handshakes_per_address }
    }
}

/// The bounds of the API. All of its callers are on the loopback, many behind one proxy, so an address says nothing.
pub const fn callers() -> Bounds {
    Bounds { total: MAX_CALLERS, visitors: MAX_CALLERS, visitors_per_network: MAX_CALLERS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_few_descriptors_fewer_connections_are_granted_and_never_none() {
        let wanted = Connections { total: 4096, handshakes: 1024, handshakes_per_address: 128 };
        assert_eq!(wanted.within(100_000), wanted);
        assert_eq!(wanted.within(1024), Connections { total: 256, handshakes: 128, ..wanted });
        assert_eq!(wanted.within(64), Connections { total: 16, handshakes: 8, ..wanted });
        assert_eq!(wanted.within(0), Connections { total: 16, handshakes: 8, ..wanted });
    }
}
