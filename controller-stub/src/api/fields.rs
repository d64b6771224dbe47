//! Reading a JSON body so that an error names the field.

use axum::http::StatusCode;
use postern_protocol::plain;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Problem;

/// The fields of a body that were not read yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body, which has to be a JSON object. An empty body has no fields.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body has to be a JSON object")),
            Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))),
        }
    }

    /// Refuses secrets in clear, by what they are called. What they are is not repeated.
    pub(super) fn refuse_secrets(&self) -> Result<(), Problem> {
        self.0.keys().find(|name| is_secret(name)).map_or(Ok(()), |name| Err(in_clear(name, name)))
    }

    /// A field that has to be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, Problem> {
        self.optional(name)?.ok_or_else(|| Problem::field(name, format!("`{name}` is missing")))
    }

    /// A field that may be there; `null` is not.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, Problem> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| Problem::field(name, format!("`{name}`: {}", plain::json(&error)))),
        }
    }

    /// Refuses what was not read, and says it plainly when a secret is among it.
    pub(super) fn finish(self) -> Result<(), Problem> {
        self.refuse_secrets()?;
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(Problem::field(unknown.clone(), format!("there is no field `{unknown}` here"))),
        }
    }
}

/// Whether this is the name of something that nobody but its owner should know.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "secret", "token"].iter().any(|word| name.to_lowercase().contains(word))
}

/// A secret stands in clear at `place`.
pub(super) fn in_clear(place: impl Into<String>, name: &str) -> Problem {
    Problem::field(
        place,
        format!(
            "`{name}` is a secret and never travels in clear: seal it to the cluster's keys and put it into `sealed`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_field() {
        let mut fields = Fields::parse(br#"{"kind": 7, "extra": 1}"#).unwrap();
        assert_eq!(fields.optional::<String>("kind").unwrap_err().field.as_deref(), Some("kind"));
        assert_eq!(fields.required::<String>("system").unwrap_err().field.as_deref(), Some("system"));
        assert_eq!(fields.finish().unwrap_err().field.as_deref(), Some("extra"));
        assert_eq!(Fields::parse(b"[]").err().unwrap().status, 400);
        assert_eq!(Fields::parse(b"{").err().unwrap().status, 400);
        let deep = b"{\"a\":".repeat(40_000);
        assert_eq!(Fields::parse(&deep).err().unwrap().status, 400, "it is not read to its end");
    }
}
