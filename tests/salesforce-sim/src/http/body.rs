//! The body of a reply on its way out: whole, or spoiled by a fault.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Sleep;

use crate::fault::Mishap;

/// The connection is to be closed without an answer, or in the middle of one.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
pub(crate) struct Dropped;

/// How a body leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// The first half, and then the connection is closed.
    Half,
    /// In pieces of so many bytes, with a pause before each but the first.
    Drip {
        bytes: usize,
        pause: Duration,
    },
    /// With a length in its header that is so many percent of the true one.
    Length {
        percent: usize,
    },
}

impl Delivery {
    pub(crate) fn of(mishap: Option<&Mishap>) -> Self {
        match mishap {
            Some(Mishap::TruncateReply) => Self::Half,
            Some(Mishap::DripReply { bytes, millis }) => {
                Self::Drip { bytes: (*bytes).max(1), pause: Duration::from_millis(*millis) }
            }
            Some(Mishap::WrongLength { percent }) => Self::Length { percent: *percent },
            Some(
                Mishap::Latency { .. }
                | Mishap::Hold
                | Mishap::Respond { .. }
                | Mishap::RespondAt { .. }
                | Mishap::Busy { .. }
                | Mishap::Maintenance
                | Mishap::Refuse
                | Mishap::DropReply
                | Mishap::LoseReply { .. }
                | Mishap::DelayCommit { .. }
                | Mishap::DelayCommitAt { .. }
                | Mishap::OtherReply { .. }
                | Mishap::OtherDate { .. }
                | Mishap::HangAt { .. }
                | Mishap::EndSession
                | Mishap::GzipBomb { .. },
            )
            | None => Self::Whole,
        }
    }

    /// What the header says of a body of this length.
    pub(crate) fn told_length(self, length: usize) -> usize {
        if let Self::Length { percent } = self { length.saturating_mul(percent) / 100 } else { length }
    }
}

/// A body in one or more pieces, that may break off behind them.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    data: Bytes,
    delivery: Delivery,
    sleep: Option<Pin<Box<Sleep>>>,
    end: End,
}

/// What comes behind the data of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Proper,
    /// The data must leave before the failure, or the caller would never see it.
    FlushThenFail,
    Fail,
}

impl ReplyBody {
    pub(crate) fn new(whole: Bytes, delivery: Delivery) -> Self {
        let (data, end) = match delivery {
            Delivery::Half => (whole.slice(..whole.len() / 2), End::FlushThenFail),
            Delivery::Whole | Delivery::Drip { .. } | Delivery::Length { .. } => (whole, End::Proper),
        };
        Self { data, delivery, sleep: None, end }
    }

    fn next_piece(&mut self) -> Bytes {
        let Delivery::Drip { bytes, pause } = self.delivery else { return std::mem::take(&mut self.data) };
        self.sleep = Some(Box::pin(tokio::time::sleep(pause)));
        self.data.split_to(bytes.min(self.data.len()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if !self.data.is_empty() {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
            }
            let piece = self.next_piece();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Proper => Poll::Ready(None),
            End::FlushThenFail => {
                // While a body is pending, the connection flushes what it has.
                self.end = End::Fail;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Fail => Poll::Ready(Some(Err(Dropped))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end == End::Proper && self.data.is_empty()
    }

    /// Told only where it is the one in the header: a server that knows both wants them to be the same.
    fn size_hint(&self) -> SizeHint {
        let known = matches!(self.delivery, Delivery::Whole | Delivery::Drip { .. });
        if known {
            SizeHint::with_exact(u64::try_from(self.data.len()).unwrap_or_default())
        } else {
            SizeHint::default()
        }
    }
}
