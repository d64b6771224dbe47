//! The queue of spans, and whoever empties it. Nobody ever waits for it: what does not fit is lost, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postern_protocol::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::otlp::{self, Resource};
use crate::span::Span;

/// How many spans may wait: about a MiB, and what a busy program has in the seconds that a collector may take.
const WAITING: usize = 2_048;
/// The most spans of one request: some hundred KiB.
const MAX_BATCH: usize = 256;
/// How long spans are gathered before they are sent.
const GATHER: Duration = Duration::from_secs(1);
/// How long whoever sends may take to connect.
pub const CONNECT: Duration = Duration::from_secs(3);
/// How long it may wait for an answer: less than is waited for it, so that it can say what it waited for.
pub const ANSWER: Duration = Duration::from_secs(8);
/// How long a request may take. Meanwhile the queue fills.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what waits at the end may take: a program is not kept from stopping.
pub const FLUSH: Duration = Duration::from_secs(2);
/// How often the log tells that spans are lost, whether every request fails or one now and then.
const TELL_EVERY: Duration = Duration::from_secs(10 * 60);

/// Where spans are handed in. Clones are the same.
#[derive(Debug, Clone)]
pub struct Spans {
    queue: mpsc::Sender<Span>,
    lost: Arc<AtomicU64>,
}

impl Spans {
    /// Hands a span in, unless its trace is not to be told. Never waits.
    pub fn record(&self, span: Span) {
        if span.context.is_sampled() && self.queue.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many spans were lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Whoever sends them on.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Receiver<Span>,
    lost: Arc<AtomicU64>,
    resource: Resource,
    redact: fn(&str) -> String,
    now: fn() -> Timestamp,
    told: Option<Timestamp>,
}

/// A queue and whoever empties it, for the program of this name, version and instance. `redact` keeps secrets out of texts; `now` is
/// its clock.
pub fn channel(
    service: &'static str,
    version: &'static str,
    instance: String,
    redact: fn(&str) -> String,
    now: fn() -> Timestamp,
) -> (Spans, Exporter) {
    let (sender, queue) = mpsc::channel(WAITING);
    let lost = Arc::<AtomicU64>::default();
    let spans = Spans { queue: sender, lost: Arc::clone(&lost) };
    let resource = Resource { service, version, instance };
    (spans, Exporter { queue, lost, resource, redact, now, told: None })
}

impl Exporter {
    /// Sends what there is with `send`, until it is told to stop; then what waits, for a moment.
    pub async fn run<F>(mut self, stop: CancellationToken, send: impl Fn(Vec<u8>) -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        loop {
            tokio::select! {
                // A full queue would go on being emptied otherwise.
                biased;
                () = stop.cancelled() => break,
                first = self.queue.recv() => match first {
                    Some(first) => {
                        let batch = self.gather(first, &stop).await;
                        self.deliver(batch, &send, &stop).await;
                    }
                    None => return,
                },
            }
        }
        self.queue.close();
        let rest = async {
            while let Some(first) = self.queue.recv().await {
                let batch = self.at_hand(vec![first]);
                self.deliver(batch, &send, &stop).await;
            }
        };
        let _ = tokio::time::timeout(FLUSH, rest).await;
    }

    async fn gather(&mut self, first: Span, stop: &CancellationToken) -> Vec<Span> {
        let mut batch = vec![first];
        let more = async {
            while batch.len() < MAX_BATCH {
                let Some(next) = self.queue.recv().await else { break };
                batch.push(next);
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(GATHER, more) => (),
            () = stop.cancelled() => (),
        }
        self.at_hand(batch)
    }

    /// With what waits already.
    fn at_hand(&mut self, mut batch: Vec<Span>) -> Vec<Span> {
        while batch.len() < MAX_BATCH {
            let Ok(next) = self.queue.try_recv() else { break };
            batch.push(next);
        }
        batch
    }

    async fn deliver<F>(&mut self, batch: Vec<Span>, send: &impl Fn(Vec<u8>) -> F, stop: &CancellationToken)
    where
        F: Future<Output = Result<(), String>>,
    {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let body = otlp::request(&self.resource, self.lost.load(Ordering::Relaxed), &batch, self.redact);
        let delivered = tokio::select! {
            delivered = send(body) => delivered,
            () = late(stop) => Err("it did not answer in time".to_owned()),
        };
        if let Err(error) = delivered {
            let lost = self.lost.fetch_add(count, Ordering::Relaxed).saturating_add(count);
            let now = (self.now)();
            if self.told.is_none_or(|told| now >= told + TELL_EVERY) {
                self.told = Some(now);
                let error = (self.redact)(&error);
                tracing::warn!(error, lost, "the collector did not take spans: they are lost, and no task is");
            }
        }
    }
}

/// When nobody waits for an answer any more.
async fn late(stop: &CancellationToken) {
    let stopping = async {
        stop.cancelled().await;
        tokio::time::sleep(FLUSH).await;
    };
    tokio::select! {
        () = tokio::time::sleep(PATIENCE) => (),
        () = stopping => (),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use postern_protocol::TaskId;
    use postern_protocol::time::UnixMillis;
    use postern_protocol::trace::{SpanId, TraceContext};

    use super::*;
    use crate::span::Kind;

    fn span() -> Span {
        let above = TraceContext::of_task(TaskId::from_bytes([1; 16]));
        Span::below(above, SpanId::from_random([1; 8]), "task", Kind::Internal, UnixMillis(1))
    }

    fn pair() -> (Spans, Exporter) {
        channel("postern", "0.0.0", String::new(), str::to_owned, || Timestamp::from_millis(0))
    }

    fn count(body: &[u8]) -> usize {
        let told: serde_json::Value = serde_json::from_slice(body).unwrap();
        told["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len()
    }

    /// Wait for room instead, and a collector that hangs holds up every task.
    #[tokio::test(start_paused = true)]
    async fn a_collector_that_hangs_costs_spans_and_nobody_waits() {
        let (spans, exporter) = pair();
        for _ in 0..WAITING + 10 {
            spans.record(span());
        }
        assert_eq!(spans.lost(), 10);
        let stop = CancellationToken::new();
        let hangs = exporter.run(stop.clone(), |_| std::future::pending());
        let ended = async {
            tokio::time::sleep(PATIENCE + 2 * GATHER).await;
            assert_eq!(spans.lost(), 10 + u64::try_from(MAX_BATCH).unwrap(), "one batch was given up");
            stop.cancel();
        };
        let both = async { tokio::join!(hangs, ended) };
        tokio::time::timeout(PATIENCE + 2 * GATHER + 3 * FLUSH, both).await.expect("it ends although nobody answers");
    }

    /// Tell of each failure, and a balancer of which one half is dead fills the log. Tell of one in so many, and an agent with
    /// little to do says for hours nothing of a collector that is gone.
    #[tokio::test(start_paused = true)]
    async fn that_a_collector_fails_is_told_once_in_ten_minutes_however_often() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        static SECS: AtomicU64 = AtomicU64::new(0);
        let redact = |text: &str| {
            if text == "full" {
                TOLD.fetch_add(1, Ordering::Relaxed);
            }
            text.to_owned()
        };
        let now = || Timestamp::from_millis(SECS.load(Ordering::Relaxed) * 1_000);
        let (spans, exporter) = channel("postern", "0.0.0", String::new(), redact, now);
        let stop = CancellationToken::new();
        let send = |_| {
            let is_even = SECS.load(Ordering::Relaxed).is_multiple_of(2);
            std::future::ready(if is_even { Err("full".to_owned()) } else { Ok(()) })
        };
        let work = async {
            for secs in (0..1_500).chain([7_200]) {
                SECS.store(secs, Ordering::Relaxed);
                spans.record(span());
                tokio::time::sleep(2 * GATHER).await;
            }
            stop.cancel();
        };
        tokio::join!(exporter.run(stop.clone(), send), work);
        assert_eq!(TOLD.load(Ordering::Relaxed), 4, "after 0, 10, 20 minutes, and two hours");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_when_the_program_stops_is_sent_in_batches() {
        let (spans, exporter) = pair();
        for _ in 0..=MAX_BATCH {
            spans.record(span());
        }
        let counts = Mutex::new(Vec::new());
        let stop = CancellationToken::new();
        stop.cancel();
        let send = |body: Vec<u8>| {
            counts.lock().unwrap().push(count(&body));
            std::future::ready(Ok(()))
        };
        exporter.run(stop, send).await;
        assert_eq!((*counts.lock().unwrap()).clone(), [MAX_BATCH, 1]);
        spans.record(span());
        assert_eq!(spans.lost(), 1, "nobody takes it any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_sampled_is_not_told() {
        let (spans, exporter) = pair();
        let header = format!("00-{}-{}-00", "1".repeat(32), "2".repeat(16));
        let above = TraceContext::from_traceparent(&header).unwrap();
        spans.record(Span::below(above, SpanId::from_random([3; 8]), "task", Kind::Internal, UnixMillis(1)));
        drop(spans);
        exporter.run(CancellationToken::new(), |_| async { panic!("something was sent") }).await;
    }
}
