//! What a span says.

use postern_protocol::time::UnixMillis;
use postern_protocol::trace::{SpanId, TraceContext};

/// The most events of a span: the first of them say why it went on.
const MAX_EVENTS: usize = 32;
/// The most characters of a value, names of systems and codes of errors among them.
const MAX_TEXT: usize = 128;

/// The part of a span in what passes between programs, as OpenTelemetry tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Within one program.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request, and waits for the answer.
    Client,
    /// Hands work to another program.
    Producer,
    /// Takes such work.
    Consumer,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.chars().take(MAX_TEXT).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// What is known of something, by name.
pub type Attributes = Vec<(&'static str, Value)>;

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub name: &'static str,
    /// More about it.
    pub attributes: Attributes,
}

/// Something that took its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace, and in it this span.
    pub context: TraceContext,
    /// The span that it is part of.
    pub parent: Option<SpanId>,
    /// What it is.
    pub name: String,
    /// Its part in what passes between programs.
    pub kind: Kind,
    /// When it began.
    pub begun: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// What is known of it. Nothing that names an account, and no secret.
    pub attributes: Attributes,
    /// What happened meanwhile.
    pub events: Vec<Moment>,
    /// A span of the same trace that it goes on from.
    pub after: Option<SpanId>,
    /// The code of what went wrong.
    pub error: Option<String>,
}

impl Span {
    /// A span with this id below whatever `above` names, that took no time yet.
    pub fn below(above: TraceContext, id: SpanId, name: impl Into<String>, kind: Kind, begun: UnixMillis) -> Self {
        Self {
            context: above.below(id),
            parent: above.span(),
            name: name.into(),
            kind,
            begun,
            ended: begun,
            attributes: Vec::new(),
            events: Vec::new(),
            after: None,
            error: None,
        }
    }

    /// With one more attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Something happened.
    pub fn happens(&mut self, moment: Moment) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(moment);
        }
    }

    /// It is over.
    #[must_use]
    pub fn until(self, ended: UnixMillis) -> Self {
        // The wall clock may have been put back.
        Self { ended: ended.max(self.begun), ..self }
    }
}
