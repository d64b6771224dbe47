//! Spans as OTLP has them in JSON (the `ExportTraceServiceRequest` of version 1): ids in hexadecimal, 64-bit numbers as text.

use postern_protocol::time::UnixMillis;
use serde_json::{Value as Json, json};

use crate::span::{Attributes, Kind, Moment, Span, Value};

/// The status of a span that failed.
const STATUS_ERROR: u8 = 2;

/// Whatever is said of the program in every request.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) service: &'static str,
    pub(crate) version: &'static str,
    pub(crate) instance: String,
}

/// The body of a request. `redact` sees every text that is not fixed.
pub(crate) fn request(resource: &Resource, lost: u64, spans: &[Span], redact: fn(&str) -> String) -> Vec<u8> {
    let about = vec![
        ("service.name", resource.service.into()),
        ("service.version", resource.version.into()),
        ("service.instance.id", Value::from(resource.instance.as_str())),
        ("postern.spans_lost", lost.into()),
    ];
    let spans: Vec<Json> = spans.iter().map(|it| span(it, redact)).collect();
    let scope = json!({ "name": resource.service, "version": resource.version });
    json!({
        "resourceSpans": [{
            "resource": { "attributes": attributes(&about, redact) },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }],
    })
    .to_string()
    .into_bytes()
}

fn span(it: &Span, redact: fn(&str) -> String) -> Json {
    let mut span = json!({
        "traceId": it.context.trace(),
        "spanId": it.context.span().map(|it| it.to_string()),
        "name": redact(&it.name),
        "kind": kind(it.kind),
        "startTimeUnixNano": nanos(it.begun),
        "endTimeUnixNano": nanos(it.ended),
        "attributes": attributes(&it.attributes, redact),
        "events": it.events.iter().map(|it| event(it, redact)).collect::<Vec<_>>(),
    });
    if let Some(parent) = it.parent {
        add(&mut span, "parentSpanId", json!(parent.to_string()));
    }
    if let Some(after) = it.after {
        let link = json!({ "traceId": it.context.trace(), "spanId": after.to_string() });
        add(&mut span, "links", json!([link]));
    }
    if let Some(error) = &it.error {
        add(&mut span, "status", json!({ "code": STATUS_ERROR, "message": redact(error) }));
    }
    span
}

fn add(object: &mut Json, name: &str, value: Json) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn event(it: &Moment, redact: fn(&str) -> String) -> Json {
    json!({ "timeUnixNano": nanos(it.at), "name": it.name, "attributes": attributes(&it.attributes, redact) })
}

fn attributes(them: &Attributes, redact: fn(&str) -> String) -> Vec<Json> {
    let value = |it: &Value| match it {
        Value::Text(text) => json!({ "stringValue": redact(text) }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
    };
    them.iter().map(|(name, it)| json!({ "key": name, "value": value(it) })).collect()
}

const fn kind(it: Kind) -> u8 {
    match it {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

fn nanos(at: UnixMillis) -> String {
    at.0.saturating_mul(1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use postern_protocol::trace::{SpanId, TraceContext};
    use postern_protocol::{Epoch, TaskId};

    use super::*;

    #[test]
    fn a_request_is_what_collectors_take() {
        let task = TaskId::from_bytes([0xab; 16]);
        let (lease, attempt) = (SpanId::from_random([1; 8]), SpanId::from_random([2; 8]));
        let above = TraceContext::of_task(task).below(lease);
        let mut span = Span::below(above, attempt, "attempt", Kind::Consumer, UnixMillis(1_700_000_000_123))
            .with("postern.attempt", 2)
            .with("postern.system", "acme");
        span.happens(Moment { at: UnixMillis(1_700_000_000_124), name: "retry", attributes: Vec::new() });
        span.after = Some(SpanId::of(task, Epoch(1), "attempt"));
        span.error = Some("ACME_REFUSED".to_owned());
        let span = span.until(UnixMillis(1_700_000_000_125));
        let resource = Resource { service: "postern", version: "1.2.3", instance: "mbr".to_owned() };

        let body = request(&resource, 7, &[span], |text| text.replace("ACME", "***"));
        let told: Json = serde_json::from_slice(&body).unwrap();
        let about = &told["resourceSpans"][0]["resource"]["attributes"];
        assert_eq!(about[0], json!({ "key": "service.name", "value": { "stringValue": "postern" } }));
        assert_eq!(about[3], json!({ "key": "postern.spans_lost", "value": { "intValue": "7" } }));
        let after = SpanId::of(task, Epoch(1), "attempt").to_string();
        let expected = json!({
            "traceId": "ab".repeat(16),
            "spanId": "02".repeat(8),
            "parentSpanId": "01".repeat(8),
            "name": "attempt",
            "kind": 5,
            "startTimeUnixNano": "1700000000123000000",
            "endTimeUnixNano": "1700000000125000000",
            "attributes": [
                { "key": "postern.attempt", "value": { "intValue": "2" } },
                { "key": "postern.system", "value": { "stringValue": "acme" } },
            ],
            "events": [{ "timeUnixNano": "1700000000124000000", "name": "retry", "attributes": [] }],
            "links": [{ "traceId": "ab".repeat(16), "spanId": after }],
            "status": { "code": 2, "message": "***_REFUSED" },
        });
        assert_eq!(told["resourceSpans"][0]["scopeSpans"][0]["spans"][0], expected);
    }

    #[test]
    fn a_span_does_not_end_before_it_begins() {
        let above = TraceContext::of_task(TaskId::from_bytes([1; 16]));
        let span = Span::below(above, SpanId::from_random([1; 8]), "task", Kind::Internal, UnixMillis(10));
        assert_eq!(span.until(UnixMillis(9)).ended, UnixMillis(10));
    }
}
