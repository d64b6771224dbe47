//! What the agent tells of tasks as traces: each attempt, its calls to the connected system, and the report until it is
//! acknowledged. Nothing is told unless a collector is configured, and nobody waits for it.
//!
//! An attempt is known to whatever runs within it, so that a connector has nothing to hand on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_agent_core::Unfinished;
use postern_agent_core::ledger::Ending;
use postern_protocol::code::CodeSet as _;
use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::plain::Chain;
use postern_protocol::time::UnixMillis;
use postern_protocol::trace::{self, SpanId, TraceContext};
use postern_protocol::{Epoch, ReportNo, TaskId};
use postern_traces::span::Value;
use postern_traces::{Kind, Moment, Span, Spans, exporter};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};

use crate::config::Telemetry;
use crate::http::{Compression, Encryption, Http, HttpError, Lost, Options, Roots, SystemRoots, Version};
use crate::redaction::redacted;
use crate::spawn::Spawner;
use crate::{clock, random};

/// More than any collector has to say.
const ANSWER_LIMIT: usize = 64 * 1024;
/// The most reports whose acknowledgement is told of: beyond that the controller has been away for long.
const MAX_OWED: usize = 1_024;

tokio::task_local! {
    static ATTEMPT: Arc<Attempt>;
}

/// Where traces are told, if they are. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Spans>);

impl Traces {
    /// Begins to tell, if the configuration names a collector. `instance` is who this agent is.
    pub fn start(telemetry: &Telemetry, instance: String, spawner: &Spawner) -> Result<Self, HttpError> {
        let Some(collector) = &telemetry.otlp else { return Ok(Self::default()) };
        let http = Http::new(&Options {
            proxy: None,
            roots: Roots { files: telemetry.ca_file.iter().cloned().collect(), system: SystemRoots::Trusted },
            connect_timeout: Some(exporter::CONNECT),
            timeout: exporter::ANSWER,
            compression: Compression::Off,
            // The collector's URL was looked at already.
            encryption: Encryption::NotRequired,
            version: Version::Http1,
        })?;
        let url = collector.url().clone();
        let redact: fn(&str) -> String = |text| redacted(text).into_owned();
        let (spans, exporter) = exporter::channel("postern", env!("CARGO_PKG_VERSION"), instance, redact, clock::now);
        let send = move |body: Vec<u8>| {
            let http = http.clone();
            let request = http.request(Method::POST, url.clone()).header(CONTENT_TYPE, "application/json").body(body);
            async move {
                let reply = http.send(request, ANSWER_LIMIT).await.map_err(|lost| Chain(&lost).to_string())?;
                if reply.status.is_success() { Ok(()) } else { Err(format!("it answered {}", reply.status)) }
            }
        };
        spawner.spawn(|stop| exporter.run(stop, send));
        Ok(Self(Some(spans)))
    }

    /// An attempt at what was offered begins; `earlier` is the lease of the first one that this agent made.
    pub fn attempt(&self, offer: &Offer, earlier: Option<Epoch>) -> Option<Arc<Attempt>> {
        let spans = self.0.clone()?;
        let above = TraceContext::of(&offer.ext).unwrap_or(TraceContext::of_task(offer.task));
        let id = match earlier {
            None => SpanId::of(offer.task, offer.epoch, trace::ATTEMPT),
            Some(_) => SpanId::from_random(random::bytes()),
        };
        let mut span = Span::below(above, id, format!("attempt {}", offer.kind), Kind::Consumer, clock::unix_millis())
            .with("postern.task", offer.task.to_string())
            .with("postern.kind", offer.kind.to_string())
            .with("postern.system", offer.system.to_string())
            .with("postern.epoch", offer.epoch.0)
            .with("postern.attempt", u64::from(offer.attempt));
        span.after = earlier.map(|epoch| SpanId::of(offer.task, epoch, trace::ATTEMPT));
        Some(Arc::new(Attempt { spans, context: span.context, span: Mutex::new(Some(span)) }))
    }

    /// What is told of reports that are owed.
    pub fn reports(&self) -> Reports {
        Reports { spans: self.0.clone(), owed: BTreeMap::new() }
    }
}

/// An attempt that is under way.
#[derive(Debug)]
pub struct Attempt {
    spans: Spans,
    context: TraceContext,
    /// Until it has ended.
    span: Mutex<Option<Span>>,
}

impl Attempt {
    /// What belongs to it is told below this.
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// It ended.
    pub fn end(&self, ending: &Result<Ending, Unfinished>) {
        let Some(span) = self.span().take() else { return };
        let mut span = span.until(clock::unix_millis());
        match ending {
            Ok(ending) => {
                span = span.with("postern.outcome", ending.outcome.name());
                span.error = ending.failure.as_ref().map(|it| it.code.to_string());
            }
            Err(Unfinished { failure, .. }) => span.error = Some(failure.code.to_string()),
        }
        self.spans.record(span);
    }

    fn span(&self) -> MutexGuard<'_, Option<Span>> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what belongs to an attempt, if it is told.
pub async fn within<F: Future>(attempt: Option<&Arc<Attempt>>, work: F) -> F::Output {
    match attempt {
        Some(attempt) => ATTEMPT.scope(Arc::clone(attempt), work).await,
        None => work.await,
    }
}

/// Something happened in the attempt that is under way here.
pub fn happened(name: &'static str, why: &'static str) {
    let _ = ATTEMPT.try_with(|attempt| {
        if let Some(span) = &mut *attempt.span() {
            let attributes = vec![("postern.why", Value::from(why))];
            span.happens(Moment { at: clock::unix_millis(), name, attributes });
        }
    });
}

/// A call begins, to an endpoint of this family: its name says nothing of whom it is about.
pub fn call(method: &Method, family: &str) -> Call {
    let begun = ATTEMPT.try_with(|attempt| {
        let (id, name) = (SpanId::from_random(random::bytes()), format!("{method} {family}"));
        let mut span = Span::below(attempt.context, id, name, Kind::Client, clock::unix_millis())
            .with("http.request.method", method.as_str())
            .with("url.template", family);
        span.error = Some("abandoned".to_owned());
        (attempt.spans.clone(), span)
    });
    Call(begun.ok())
}

/// A call that is under way. It ends when it is dropped.
#[derive(Debug)]
pub struct Call(Option<(Spans, Span)>);

impl Call {
    /// It was answered.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some((_, span)) = &mut self.0 {
            span.attributes.push(("http.response.status_code", u64::from(status.as_u16()).into()));
            let is_error = status.is_client_error() || status.is_server_error();
            span.error = is_error.then(|| status.as_u16().to_string());
        }
    }

    /// There was no whole answer.
    pub fn lost(&mut self, lost: &Lost) {
        if let Some((_, span)) = &mut self.0 {
            span.error = Some(format!("lost: {}", lost.hop));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((spans, span)) = self.0.take() {
            spans.record(span.until(clock::unix_millis()));
        }
    }
}

/// Reports that are on disk and not acknowledged, as far as they are told.
pub struct Reports {
    spans: Option<Spans>,
    owed: BTreeMap<ReportNo, (TaskId, TraceContext, UnixMillis)>,
}

impl Reports {
    /// A report is on disk.
    pub fn durable(&mut self, report: &Report) {
        let Some(attempt) = TraceContext::of(&report.ext).filter(|_| self.spans.is_some()) else { return };
        if self.owed.len() < MAX_OWED {
            self.owed.insert(report.number, (report.task, attempt, clock::unix_millis()));
        }
    }

    /// A report is acknowledged, and forgotten.
    pub fn acknowledged(&mut self, number: ReportNo) {
        let Some((task, attempt, since)) = self.owed.remove(&number) else { return };
        let Some(spans) = &self.spans else { return };
        let span = Span::below(attempt, SpanId::from_random(random::bytes()), "report", Kind::Producer, since);
        spans.record(span.with("postern.task", task.to_string()).until(clock::unix_millis()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::redaction;

    /// Hand spans on as they are, and what an error quotes is in somebody else's hands.
    #[tokio::test]
    async fn no_secret_in_use_is_told_to_a_collector() {
        let _in_use = redaction::in_use(b"Traced-Secret");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let otlp = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let spawner = Spawner::default();
        let telemetry = Telemetry { otlp: Some(otlp), ca_file: None };
        let traces = Traces::start(&telemetry, "mbr".to_owned(), &spawner).unwrap();
        let above = TraceContext::of_task(TaskId::from_bytes([1; 16]));
        let mut span = Span::below(above, SpanId::from_random([1; 8]), "call", Kind::Client, clock::unix_millis());
        span.error = Some("Traced-Secret is no good".to_owned());
        traces.0.unwrap().record(span.until(clock::unix_millis()));
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut told, mut piece) = (String::new(), [0; 4096]);
        while !told.contains("is no good") {
            let read = stream.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "{told}");
            told.push_str(str::from_utf8(&piece[..read]).unwrap());
        }
        assert!(told.contains("*** is no good"), "{told}");
        drop(stream);
        spawner.stop(exporter::FLUSH).await;
    }

    /// Without a collector there is nobody to tell, and nothing is kept for anybody.
    #[tokio::test]
    async fn without_a_collector_nothing_is_told_and_nothing_runs() {
        let spawner = Spawner::default();
        let traces = Traces::start(&Telemetry::default(), "mbr".to_owned(), &spawner).unwrap();
        assert!(traces.0.is_none());
        assert!(spawner.stop(Duration::ZERO).await, "nothing was spawned");
        let told = within(None, async { call(&Method::GET, "query").0.is_some() }).await;
        assert!(!told);
        happened("retry", "nobody is there");
    }
}
