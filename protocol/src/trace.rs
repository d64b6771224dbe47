//! The trace that a task belongs to, as W3C Trace Context has it: it travels with the task as an [extension](EXTENSION) and
//! decides nothing.
//!
//! Spans that both sides, or the same side after a restart, have to know have ids that follow from the task.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::bounded::{Bytes, List};
use crate::id::{Epoch, TaskId};
use crate::message::v1::{Extension, Extensions};

/// The kind of the extension of `Offer` and `Report` that is one. Its bytes: 16 of the trace, 8 of the span, flags.
pub const EXTENSION: u16 = 1;
/// The spans of a task that more than one program names: all of it, a lease, and the first attempt under that.
pub const TASK: &str = "task";
/// See [`TASK`].
pub const LEASE: &str = "lease";
/// See [`TASK`].
pub const ATTEMPT: &str = "attempt";
/// The one flag that is defined.
const SAMPLED: u8 = 1;

/// A span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl SpanId {
    /// What a task goes through under one lease has a span with this id.
    pub fn of(task: TaskId, epoch: Epoch, what: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(b"postern/span/v1")
            .chain_update(task.as_bytes())
            .chain_update(epoch.0.to_le_bytes())
            .chain_update(what.as_bytes())
            .finalize();
        let mut id = [0; 8];
        id.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
        Self::from_random(id)
    }

    /// A span that nobody else has to know.
    pub const fn from_random(random: [u8; 8]) -> Self {
        // All zeros is no id.
        if u64::from_le_bytes(random) == 0 { Self([1; 8]) } else { Self(random) }
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

/// A trace, the span in it that whatever follows belongs to, and whether it is to be told at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: Option<SpanId>,
    sampled: bool,
}

impl TraceContext {
    /// A trace that begins with a task, under the task's own id.
    pub const fn of_task(task: TaskId) -> Self {
        Self { trace: *task.as_bytes(), span: None, sampled: true }
    }

    /// What a `traceparent` header says. `None` if it is not a valid one, which means that there is none.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version]: [u8; 1] = digits(version)?;
        // Later versions may have more parts behind these.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let [flags]: [u8; 1] = digits(flags)?;
        let trace = digits(trace).filter(|it| *it != [0; 16])?;
        let span = digits(span).filter(|it| *it != [0; 8])?;
        Some(Self { trace, span: Some(SpanId(span)), sampled: flags & SAMPLED != 0 })
    }

    /// The one among these extensions, if there is a valid one.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        let bytes = &extensions.iter().find(|it| it.kind == EXTENSION)?.bytes;
        let (trace, rest) = bytes.split_first_chunk::<16>()?;
        let (span, [flags]) = rest.split_first_chunk::<8>()? else { return None };
        let span = (*span != [0; 8]).then_some(SpanId(*span));
        (*trace != [0; 16]).then_some(Self { trace: *trace, span, sampled: flags & SAMPLED != 0 })
    }

    /// These extensions with this one in the place of any other of its kind. One for which there is no room is left out.
    #[must_use]
    pub fn among(self, extensions: &Extensions) -> Extensions {
        let mut bytes = self.trace.to_vec();
        bytes.extend(self.span.map_or([0; 8], |it| it.0));
        bytes.push(if self.sampled { SAMPLED } else { 0 });
        let own = Extension { kind: EXTENSION, critical: false, bytes: Bytes::new(bytes).unwrap_or_default() };
        let others = extensions.iter().filter(|it| it.kind != EXTENSION).cloned();
        List::clipped(others.chain([own]).collect())
    }

    /// The same trace, further down.
    #[must_use]
    pub const fn below(self, span: SpanId) -> Self {
        Self { span: Some(span), ..self }
    }

    /// The trace's id in hexadecimal digits.
    pub fn trace(&self) -> String {
        HEXLOWER.encode(&self.trace)
    }

    /// The span that whatever follows belongs to.
    pub const fn span(&self) -> Option<SpanId> {
        self.span
    }

    /// Whether it is to be told at all.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// Hexadecimal digits, in lower case as the header has them.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let read = |header: &str| {
            let it = TraceContext::from_traceparent(header)?;
            Some((it.trace(), it.span().unwrap().to_string(), it.is_sampled()))
        };
        let good = Some((TRACE.to_owned(), "00f067aa0ba902b7".to_owned(), true));
        assert_eq!(read(&format!("00-{TRACE}-00f067aa0ba902b7-01")), good);
        assert_eq!(read(&format!("00-{TRACE}-00f067aa0ba902b7-00")).map(|it| it.2), Some(false));
        assert_eq!(read(&format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes")), good, "a later version");
        for bad in [
            "",
            "00",
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{TRACE}-00f067aa0ba902b7-1"),
            &format!("00-{TRACE}-00f067aa0ba902b7-0x"),
            &format!("00-{TRACE}ff-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_context_comes_back_from_among_other_extensions_and_takes_the_place_of_an_older_one() {
        let task = TaskId::from_bytes([7; 16]);
        let root = TraceContext::of_task(task);
        let other = Extension { kind: 9, critical: false, bytes: Bytes::default() };
        let extensions = root.among(&List::new(vec![other.clone()]).unwrap());
        assert_eq!(TraceContext::of(&extensions), Some(root));
        let below = root.below(SpanId::of(task, Epoch(1), "lease"));
        let extensions = below.among(&extensions);
        assert_eq!((TraceContext::of(&extensions), extensions.len()), (Some(below), 2));
        assert!(extensions.contains(&other));
    }

    #[test]
    fn what_is_no_context_is_none() {
        for bytes in [vec![], vec![1; 24], vec![1; 26], vec![0; 25]] {
            let strange = Extension { kind: EXTENSION, critical: false, bytes: Bytes::new(bytes.clone()).unwrap() };
            assert_eq!(TraceContext::of(&List::new(vec![strange]).unwrap()), None, "{bytes:?}");
        }
    }
}
