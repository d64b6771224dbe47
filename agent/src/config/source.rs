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
        DeTable::parse(&self.text).map_err(|error| {
            let place = error.span().map(|span| span.start);
            let section = place.and_then(|place| self.section_at(place)).unwrap_or_default();
            let key = place.and_then(|place| self.key_before(place));
            let problem = match (error.message(), error.span(), key) {
                ("duplicate key", Some(span), _) => {
                    format!("`{}` is there twice; leave one out", self.as_written(span))
                }
                (message, _, Some(key)) => format!("`{key}`: {message}"),
                (message, _, None) => message.to_owned(),
            };
            self.error(error.span(), section, problem)
        })
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
        if let Some(key) = span.as_ref().and_then(|span| self.key_at(span.start)) {
            problem = format!("`{key}`: {problem}");
        }
        self.error(span, entry, problem)
    }

    /// The key whose value, of however many lines, is at `place`.
    fn key_at(&self, place: usize) -> Option<String> {
        let begin = |it: &Spanned<DeValue<'_>>| self.text.get(it.span()).and_then(|it| it.chars().next());
        let document = DeTable::parse(&self.text).ok()?;
        let mut tables = vec![document.get_ref()];
        while let Some(table) = tables.pop() {
            for (key, value) in table {
                let items = value.get_ref().as_array().into_iter().flat_map(|it| it.iter());
                let below = std::iter::once(value).chain(items).filter(|it| it.get_ref().is_table());
                // Of those that are written in braces, the key outside of them is told.
                let below: Vec<_> = below.filter(|it| begin(it) != Some('{')).collect();
                let has_header = below.iter().any(|it| begin(it) == Some('['));
                if !has_header && value.span().contains(&place) {
                    return Some(key.get_ref().to_string());
                }
                tables.extend(below.into_iter().filter_map(|it| it.get_ref().as_table()));
            }
        }
        None
    }

    /// The key before `place` on its line, for what is wrong before keys can be told apart.
    fn key_before(&self, place: usize) -> Option<&str> {
        let (key, _) = self.text.get(..place)?.rsplit('\n').next()?.split_once('=')?;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        Some(key.trim()).filter(|key| !key.is_empty() && key.chars().all(plain))
    }

    /// The header of the section that is at `place`, for what is wrong before sections can be told apart.
    fn section_at(&self, place: usize) -> Option<&str> {
        let rest = self.text.get(place..)?;
        let end = rest.find('\n').map_or(self.text.len(), |at| place + at);
        let headers = self.text.get(..end)?.lines().rev().map(|line| line.split('#').next().unwrap_or_default().trim());
        headers.into_iter().find(|line| line.starts_with('[') && line.ends_with(']') && !line.contains([',', '"']))
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
