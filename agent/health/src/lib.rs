//! Whether a program can do work, and how it says so. Both programs have this in common; what they look at is their own.
//!
//! | | |
//! |---|---|
//! | [`Verdict`] | what speaks against each of three words: *live*, *ready*, *useful*; of any program its [`Life`] |
//! | [`Heart`] | which of the parts that have to move do not: no clock, no I/O |
//! | [`Watch`] | looks at it again and again, and [`supervise`] tells of it |
//! | [`Notify`] | what systemd is told |
//! | [`metrics`] | what is counted and read, under names that a table has |
//! | [`News`] | what changed, for whoever watches |
//! | [`Endpoint`] | all of it over HTTP, for probes and Prometheus |
//! | [`UnderWay`] | how many ask at once: of more, the one that came first makes room |

mod clock;
mod endpoint;
mod heart;
mod memory;
pub mod metrics;
mod news;
mod notify;
mod under_way;
mod verdict;
mod watch;

pub use clock::Stopwatch;
pub use endpoint::{Endpoint, Vitals, is_asked_by_address};
pub use heart::{Heart, Look, Pulse, Still, TICK};
pub use memory::resident_memory;
pub use news::{Facts, Form, News};
pub use notify::{Notify, Supervisor};
pub use under_way::UnderWay;
pub use verdict::{Life, Reason, Verdict, Word};
pub use watch::{Pace, Stalled, Told, Watch, supervise};
