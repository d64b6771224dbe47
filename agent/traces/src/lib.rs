//! What both programs tell of tasks as OpenTelemetry traces: spans, a bounded queue of them, and their way to a collector, OTLP
//! over HTTP in JSON.
//!
//! - [`span`]: what a span says;
//! - [`exporter`]: the queue, which never keeps anybody waiting, and whoever empties it;
//! - [`collector`]: where the collector is.

pub mod collector;
pub mod exporter;
mod otlp;
pub mod span;

pub use collector::{Collector, CollectorError};
pub use exporter::{Exporter, Spans};
pub use span::{Kind, Moment, Span};
