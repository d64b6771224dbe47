//! One refused record or call, as every API of the service reports it.

use std::borrow::Cow;

use serde::Serialize;

/// A code, a text, and the fields it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) message: String,
    #[serde(rename = "errorCode")]
    pub(crate) code: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<&'static str>,
}

impl Problem {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { message: message.into(), code: code.into(), fields: Vec::new() }
    }

    /// The same problem, about this field.
    pub(crate) fn on(mut self, field: &'static str) -> Self {
        self.fields.push(field);
        self
    }
}
