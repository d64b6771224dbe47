//! What a request asks for, out of its path, its query and its body. Whatever is wrong is said as a [`Problem`] that names the field.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Problem;
use super::described::beside;
use super::fields::Fields;

/// What is named in the path. A route names one thing.
pub(super) struct Path<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = RawPathParams::from_request_parts(parts, state).await.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "the path is not UTF-8 once its percent signs are taken out")
        })?;
        let Some((name, text)) = named.iter().next() else {
            return Err(Problem::new(StatusCode::NOT_FOUND, "the path names nothing"));
        };
        text.parse().map(Self).map_err(|error: T::Err| Problem::field(name, error.to_string()))
    }
}

/// What a query says.
pub(super) struct Query<T>(pub(super) T);

impl<T: Form, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// What a body says, a JSON object of at most 256 KiB, and its bytes.
pub(super) struct Body<T> {
    pub(super) said: T,
    pub(super) bytes: Bytes,
}

impl<T: Form, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let detail = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => "the body has more than 256 KiB",
                _ => "the body broke off, or came too slowly",
            };
            Problem::new(rejection.status(), detail)
        })?;
        Ok(Self { said: read_form(&bytes)?, bytes })
    }
}

/// Reads a query.
pub(super) fn read_query<T: Form>(query: &str) -> Result<T, Problem> {
    read(Fields::of_query(query)?)
}

/// Reads a body.
pub(super) fn read_form<T: Form>(body: &[u8]) -> Result<T, Problem> {
    read(Fields::parse(body)?)
}

/// Reads a body that comes otherwise than as [`Body`].
pub(crate) fn read_body<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) -> Result<T, Problem> {
    read_form(bytes)
}

/// Reads all there is. What is left over is refused before what is missing or wrong: a name that is written wrong is most often
/// that of a field that is missing.
fn read<T: Form>(mut fields: Fields) -> Result<T, Problem> {
    let said = T::take(&mut fields);
    // Whatever else is wrong, a secret that nobody asked for is told first.
    fields.refuse_secrets()?;
    fields.finish()?;
    said
}

/// A body, or a query, in which nothing is said.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Nothing {}

/// What can be read out of fields.
pub(super) trait Form: Sized {
    fn take(fields: &mut Fields) -> Result<Self, Problem>;

    /// Which fields those are.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<T: DeserializeOwned + JsonSchema> Form for T {
    fn take(fields: &mut Fields) -> Result<Self, Problem> {
        fields.take()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The fields of two structs beside one another.
pub(super) struct Both<A, B>(pub(super) A, pub(super) B);

impl<A: Form, B: Form> Form for Both<A, B> {
    fn take(fields: &mut Fields) -> Result<Self, Problem> {
        // Each takes what is its own, whatever is wrong with the other's: what is left over is nobody's.
        let (one, other) = (A::take(fields), B::take(fields));
        Ok(Self(one?, other?))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        beside(A::schema(generator), &B::schema(generator))
    }
}
