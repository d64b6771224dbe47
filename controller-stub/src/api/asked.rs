//! What a request asks for, out of its path and its query. Whatever is wrong is said as a [`Problem`] that names the field.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Problem;
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
        let mut fields = Fields::of_query(parts.uri.query().unwrap_or_default())?;
        let said = T::take(&mut fields)?;
        fields.finish()?;
        Ok(Self(said))
    }
}

/// What can be read out of fields.
pub(super) trait Form: Sized {
    fn take(fields: &mut Fields) -> Result<Self, Problem>;
}

impl<T: DeserializeOwned> Form for T {
    fn take(fields: &mut Fields) -> Result<Self, Problem> {
        fields.take()
    }
}

/// The fields of two structs beside one another.
pub(super) struct Both<A, B>(pub(super) A, pub(super) B);

impl<A: Form, B: Form> Form for Both<A, B> {
    fn take(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self(A::take(fields)?, B::take(fields)?))
    }
}
