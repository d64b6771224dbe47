//! Reading what a request says, in its body or its query, so that an error names the field.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use axum::http::StatusCode;
use postern_protocol::plain;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::Problem;

/// The fields of a request that were not read yet.
pub(super) struct Fields(BTreeMap<String, Given>);

/// What stands in a field.
enum Given {
    Json(Value),
    Text(String),
}

impl Fields {
    /// Reads a body, which has to be a JSON object. An empty body has no fields.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let twice = Cell::new(None);
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = Once { twice: &twice }.deserialize(&mut reader).and_then(|it| reader.end().map(|()| it));
        match read {
            Ok(Value::Object(fields)) => Ok(Self::of_object(fields)),
            Ok(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body has to be a JSON object")),
            Err(error) => match twice.take() {
                Some(name) => Err(there_twice(name)),
                None => Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))),
            },
        }
    }

    /// The fields of an object. `null` is not there.
    pub(super) fn of_object(fields: Map<String, Value>) -> Self {
        let there = fields.into_iter().filter(|(_, value)| !value.is_null());
        Self(there.map(|(name, value)| (name, Given::Json(value))).collect())
    }

    /// Reads a query.
    pub(super) fn of_query(query: &str) -> Result<Self, Problem> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = name.into_owned();
            if fields.insert(name.clone(), Given::Text(value.into_owned())).is_some() {
                return Err(there_twice(name));
            }
        }
        Ok(Self(fields))
    }

    /// Refuses secrets in clear, by what they are called. What they are is not repeated.
    pub(super) fn refuse_secrets(&self) -> Result<(), Problem> {
        self.0.keys().find(|name| is_secret(name)).map_or(Ok(()), |name| Err(in_clear(name, name)))
    }

    /// Takes the fields that a struct has, and leaves the others.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        self.take_with(|fields| T::deserialize(fields))
    }

    fn take_with<T>(&mut self, read: impl FnOnce(Reader<'_>) -> Result<T, Wrong>) -> Result<T, Problem> {
        read(Reader(self)).map_err(|wrong| match wrong.field {
            Some(field) => Problem::field(field, wrong.detail),
            None => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, wrong.detail),
        })
    }

    /// Takes the fields that a struct has, and refuses others before it tells what is wrong with those.
    pub(super) fn only<T>(mut self, read: impl FnOnce(Reader<'_>) -> Result<T, Wrong>) -> Result<T, Problem> {
        let read = self.take_with(read);
        self.finish()?;
        read
    }

    /// Refuses what was not read.
    pub(super) fn finish(self) -> Result<(), Problem> {
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

fn there_twice(name: String) -> Problem {
    let detail = format!("`{name}` is there twice");
    Problem::field(name, detail)
}

/// JSON in which no name stands twice beside itself: which of the two was meant nobody could say.
#[derive(Clone, Copy)]
struct Once<'a> {
    twice: &'a Cell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if fields.contains_key(&name) {
                self.twice.set(Some(name));
                return Err(de::Error::custom("a name is there twice"));
            }
            let value = access.next_value_seed(self)?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// Why fields could not be read, and which of them.
#[derive(Debug)]
pub(super) struct Wrong {
    field: Option<String>,
    detail: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { field: None, detail: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { field: Some(field.to_owned()), detail: format!("`{field}` is missing") }
    }
}

/// Reads the fields that a struct has.
pub(super) struct Reader<'a>(&'a mut Fields);

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Wrong;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let taken = names.iter().filter_map(|name| Some((*name, self.0.0.remove(*name)?))).collect();
        visitor.visit_map(Taking { rest: taken, value: None })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(Taking { rest: Vec::new(), value: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The fields of a struct, one after the other.
struct Taking {
    rest: Vec<(&'static str, Given)>,
    value: Option<(&'static str, Given)>,
}

impl<'de> MapAccess<'de> for Taking {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.value = self.rest.pop();
        let Some((name, _)) = &self.value else { return Ok(None) };
        let name: StrDeserializer<'_, Wrong> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((name, value)) = self.value.take() else { return Err(de::Error::custom("a field has no value")) };
        let read = match value {
            Given::Json(value) => seed.deserialize(value).map_err(|error| plain::json(&error)),
            Given::Text(text) => seed.deserialize(Text(text)).map_err(|error| error.to_string()),
        };
        read.map_err(|error| Wrong { field: Some(name.to_owned()), detail: format!("`{name}`: {error}") })
    }
}

/// A value of a query: what it stands for is seen from what is wanted.
struct Text(String);

impl Text {
    fn parsed<T: std::str::FromStr>(&self, what: &str) -> Result<T, Wrong> {
        self.0.parse().map_err(|_| de::Error::custom(format!("`{}` is not {what}", self.0.escape_debug())))
    }
}

impl<'de> Deserializer<'de> for Text {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_bool(self.parsed("`true` or `false`")?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u64(self.parsed("a whole number")?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        kind: String,
        count: Option<u64>,
        #[serde(default)]
        is_hard: bool,
    }

    fn wrong(read: Result<Sample, Problem>) -> (u16, Option<String>) {
        let problem = read.unwrap_err();
        (problem.status, problem.field)
    }

    fn taken(fields: Fields) -> Result<Sample, Problem> {
        fields.only(|reader| Sample::deserialize(reader))
    }

    /// Take a body as it is read by itself, and the second of two fields of one name silently wins.
    #[test]
    fn whatever_is_wrong_with_a_body_the_field_is_named() {
        for (body, field) in [
            (r#"{"kind": 7}"#, "kind"),
            (r#"{"count": 7}"#, "kind"),
            (r#"{"kind": null}"#, "kind"),
            (r#"{"kind": "a", "count": -1}"#, "count"),
            (r#"{"kind": "a", "count": "1"}"#, "count"),
            (r#"{"kind": "a", "colour": 1}"#, "colour"),
            (r#"{"kimd": "a"}"#, "kimd"),
            (r#"{"kind": "a", "kind": "b"}"#, "kind"),
            (r#"{"kind": "a", "count": {"of": 1, "of": 2}}"#, "of"),
            (r#"{"kind": "a", "password": "hunter2"}"#, "password"),
        ] {
            let read = Fields::parse(body.as_bytes()).and_then(taken);
            assert_eq!(wrong(read), (422, Some(field.to_owned())), "{body}");
        }
        let read = Fields::parse(br#"{"kind": "a", "count": null, "is_hard": true}"#).and_then(taken).unwrap();
        assert_eq!((read.kind.as_str(), read.count, read.is_hard), ("a", None, true));
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_the_place() {
        let broken = Fields::parse(b"{\n  \"kind\": }").err().unwrap();
        assert_eq!(broken.status, 400);
        assert!(broken.detail.contains("line 2 column 11"), "{}", broken.detail);
        for body in [&b"[]"[..], b"7", b"{", b"{} {}", &b"{\"a\":".repeat(40_000)] {
            assert_eq!(Fields::parse(body).err().unwrap().status, 400, "{:?}", String::from_utf8_lossy(body).get(..9));
        }
    }

    #[test]
    fn whatever_is_wrong_with_a_query_the_field_is_named() {
        for (query, field) in [
            ("", "kind"),
            ("kind=a&count=many", "count"),
            ("kind=a&count=-1", "count"),
            ("kind=a&count=", "count"),
            ("kind=a&is_hard=yes", "is_hard"),
            ("kind=a&kind=a", "kind"),
            ("kind=a&colour=1", "colour"),
            ("kimd=a", "kimd"),
        ] {
            let read = Fields::of_query(query).and_then(taken);
            assert_eq!(wrong(read), (422, Some(field.to_owned())), "{query}");
        }
        let read = Fields::of_query("kind=a+b%26&count=7&is_hard=true").and_then(taken).unwrap();
        assert_eq!((read.kind.as_str(), read.count, read.is_hard), ("a b&", Some(7), true));
    }
}
