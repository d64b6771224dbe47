//! What stands between an agent and where it wants to go: proxies that ask, refuse or listen in, and lines that
//! delay, swallow and break.

mod connect;
mod door;
mod intercept;
mod line;
mod recorder;
mod tap;

pub use connect::{ConnectProxy, Manner};
pub use line::{Breakage, Line, Way};
pub use recorder::Recorder;
pub use tap::{Passing, Tap};
