//! The text of the configuration and where in it things stand.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use postern_protocol::plain::plain;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{ConfigError, SecretError};

/// A hundred connected systems, well annotated, need a tenth of this.
const MAX_BYTES: u64 = 1024 * 1024;

/// The file's path and text.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
        }
        Ok(Self::new(path, text))
    }

    pub(super) fn document(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        DeTable::parse(&self.text).map_err(|error| self.refused(error.span(), "", &error))
    }

    /// The section `[name]`, with its defaults if it is not there.
    pub(super) fn section<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, ConfigError> {
        match self.document()?.into_inner().remove(name) {
            Some(value) => self.decode(value, &format!("[{name}]")),
            None => Ok(T::default()),
        }
    }

    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        value: Spanned<DeValue<'_>>,
        entry: &str,
    ) -> Result<T, ConfigError> {
        let place = value.span();
        T::deserialize(ValueDeserializer::from(value)).map_err(|error| {
            let span = error.span().filter(|span| !span.is_empty()).unwrap_or(place);
            self.refused(Some(span), entry, &error)
        })
    }

    /// What the TOML library says, with the key that it leaves out and in the operator's words.
    fn refused(&self, span: Option<Range<usize>>, entry: &str, error: &toml::de::Error) -> ConfigError {
        let mut problem = plain(error.message(), "a table");
        if let Some(key) = span.as_ref().and_then(|span| self.key_before(span.start)) {
            problem = format!("`{key}`: {problem}");
        }
        self.error(span, entry, problem)
    }

    /// The key whose value is at `place`.
    fn key_before(&self, place: usize) -> Option<&str> {
        let line = self.text.get(..place)?.rsplit('\n').next()?;
        let (key, _) = line.split_once('=')?;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        Some(key.trim()).filter(|key| !key.is_empty() && key.chars().all(plain))
    }

    pub(super) fn error(&self, span: Option<Range<usize>>, entry: &str, problem: String) -> ConfigError {
        ConfigError::Invalid { path: self.path.clone(), line: self.line(span), entry: entry.to_owned(), problem }
    }

    pub(super) fn secret(
        &self,
        span: Option<Range<usize>>,
        entry: &str,
        field: &str,
        source: SecretError,
    ) -> ConfigError {
        ConfigError::Secret {
            path: self.path.clone(),
            line: self.line(span),
            entry: entry.to_owned(),
            field: field.to_owned(),
            source: Box::new(source),
        }
    }

    /// The place of `key` in the section `[name]`.
    pub(super) fn place_of(&self, name: &str, key: &str) -> Option<Range<usize>> {
        let document = self.document().ok()?.into_inner();
        place(document.get(name)?.get_ref().as_table()?, key)
    }

    /// What stands there, in one line.
    pub(super) fn as_written(&self, span: Range<usize>) -> String {
        self.text.get(span).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn line(&self, span: Option<Range<usize>>) -> usize {
        let until = span.map_or(0, |span| span.start).min(self.text.len());
        self.text.bytes().take(until).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// The place of `key` in `table`.
pub(super) fn place(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    table.get_key_value(key).map(|(key, _)| key.span())
}
