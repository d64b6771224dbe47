//! The XML form of datasets: `<root><entry changetype="add|modify" modifytype="replace">…</entry>…</root>`.
//!
//! Each child of an entry is an attribute, its text the value. There are no document types and no entities of one's
//! own, so nothing expands. Nothing larger than [`MAX_ENTRY`] is held in memory.

mod meter;

use std::io::{BufReader, Read};

use postern_protocol::Secret;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use zeroize::{Zeroize, Zeroizing};

use super::{Attribute, BadEntry, Change, DatasetError, Entry, Item, Place};
use meter::Meter;

/// The most bytes of one entry, markup included. A user with every field filled takes a tenth of it.
pub const MAX_ENTRY: u64 = 256 * 1024;
/// The most bytes of one value: Salesforce's longest field of text.
pub const MAX_VALUE: usize = 131_072;
/// The most attributes of one entry. The User object has about two hundred fields.
pub const MAX_ATTRIBUTES: usize = 1_000;
/// The longest name of an attribute, in bytes. Salesforce's are at most 80 characters long.
pub const MAX_NAME: usize = 128;

/// Reads entries one by one from XML text. Blocks as its source blocks.
pub struct XmlReader<R: Read> {
    reader: Reader<Meter<BufReader<R>>>,
    buffer: Vec<u8>,
    state: State,
    number: u64,
    began: Place,
}

enum State {
    /// Before `<root>`.
    Prolog,
    /// Between entries.
    Root,
    /// In an entry.
    Entry(Draft),
    /// After `</root>`, or after an error.
    Over,
}

/// An entry while it is read.
struct Draft {
    number: u64,
    place: Place,
    change: Option<Change>,
    attributes: Vec<Attribute>,
    /// The name of the attribute that is open, and its value so far.
    open: Option<(String, Zeroizing<String>)>,
    /// Elements open inside an attribute, or inside an element that is no entry.
    nested: usize,
    problem: Option<(&'static str, String)>,
    foreign: bool,
}

enum Step {
    Read,
    Yield(Item),
}

impl<R: Read> XmlReader<R> {
    /// A reader of `source`, which must be UTF-8.
    pub fn new(source: R) -> Self {
        let mut reader = Reader::from_reader(Meter::new(BufReader::new(source), 2 * MAX_ENTRY));
        let config = reader.config_mut();
        // Names are compared here, so that an entry with a wrong end does not take the others along.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        let began = reader.get_ref().place();
        Self { reader, buffer: Vec::new(), state: State::Prolog, number: 0, began }
    }

    /// The next entry.
    fn read(&mut self) -> Result<Option<Item>, DatasetError> {
        while !matches!(self.state, State::Over) {
            self.buffer.zeroize();
            self.began = self.reader.get_ref().place();
            self.reader.get_mut().refill();
            let mut buffer = std::mem::take(&mut self.buffer);
            let event = self.reader.read_event_into(&mut buffer).map(Event::into_owned);
            self.buffer = buffer;
            let event = event.map_err(|error| self.fatal(told(&error)))?;
            match self.handle(&event)? {
                Step::Read => (),
                Step::Yield(item) => return Ok(Some(item)),
            }
        }
        Ok(None)
    }

    fn handle(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        if let Event::DocType(_) = event {
            return Err(self.fatal("document types are not allowed in a dataset"));
        }
        if let Event::Decl(declaration) = event {
            return self.check_encoding(declaration).map(|()| Step::Read);
        }
        if let Event::Comment(_) | Event::PI(_) = event {
            return Ok(Step::Read);
        }
        match &mut self.state {
            State::Prolog => self.in_prolog(event),
            State::Root => self.in_root(event),
            State::Entry(_) => self.in_entry(event),
            State::Over => Ok(Step::Read),
        }
    }

    fn in_prolog(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        if let Event::Start(tag) = event
            && is(tag.local_name().as_ref(), "root")
        {
            self.state = State::Root;
        } else if let Event::Empty(tag) = event
            && is(tag.local_name().as_ref(), "root")
        {
            self.state = State::Over;
        } else if !is_blank(event) {
            return Err(self.fatal("a dataset begins with `<root>`"));
        }
        Ok(Step::Read)
    }

    fn in_root(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        match event {
            Event::Start(tag) => {
                self.state = State::Entry(self.draft(tag));
                Ok(Step::Read)
            }
            Event::Empty(tag) => Ok(Step::Yield(self.draft(tag).finish())),
            Event::End(tag) if is(tag.local_name().as_ref(), "root") => {
                self.state = State::Over;
                Ok(Step::Read)
            }
            Event::Eof => Err(self.fatal("the dataset ends before `</root>`")),
            other if is_blank(other) => Ok(Step::Read),
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => Err(self.fatal("only `<entry>` elements may stand in `<root>`")),
        }
    }

    fn in_entry(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        let too_large = self.reader.get_ref().since_mark() > MAX_ENTRY;
        let State::Entry(draft) = &mut self.state else { return Ok(Step::Read) };
        if too_large {
            draft.refuse("entry_too_large", format!("the entry is larger than {MAX_ENTRY} bytes"));
            // From here on nothing of it is kept.
            draft.attributes.clear();
        }
        match event {
            Event::Start(tag) if draft.is_new_entry(tag) => {
                draft.refuse("entry_not_closed", "the entry has no end: `</entry>` is missing".to_owned());
                let next = self.draft(tag);
                let State::Entry(cut) = std::mem::replace(&mut self.state, State::Entry(next)) else {
                    return Ok(Step::Read);
                };
                return Ok(Step::Yield(cut.finish()));
            }
            Event::Start(tag) => draft.begin(tag.local_name().as_ref()),
            Event::Empty(tag) => {
                draft.begin(tag.local_name().as_ref());
                draft.end(tag.local_name().as_ref());
            }
            Event::End(tag) => return Ok(self.end(tag.local_name().as_ref())),
            Event::Text(text) => draft.text(&text.xml10_content()),
            Event::CData(text) => draft.text(&text.xml10_content()),
            Event::GeneralRef(reference) => draft.reference(reference),
            Event::Eof => return Err(self.fatal("the dataset ends within an entry")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => (),
        }
        Ok(Step::Read)
    }

    /// An end inside an entry: of an attribute, of the entry, or, if tags are missing, of the root.
    fn end(&mut self, name: &str) -> Step {
        let State::Entry(draft) = &mut self.state else { return Step::Read };
        let of_root = is(name, "root");
        if !of_root && !draft.ends_with(name) {
            draft.end(name);
            return Step::Read;
        }
        if of_root {
            draft.refuse("entry_not_closed", "the entry has no end: `</entry>` is missing".to_owned());
        } else if draft.open.is_some() {
            draft.refuse("attribute_not_closed", "an attribute of the entry has no end".to_owned());
        }
        let next = if of_root { State::Over } else { State::Root };
        match std::mem::replace(&mut self.state, next) {
            State::Entry(draft) => Step::Yield(draft.finish()),
            State::Prolog | State::Root | State::Over => Step::Read,
        }
    }

    fn draft(&mut self, tag: &BytesStart<'_>) -> Draft {
        self.number += 1;
        self.reader.get_mut().mark();
        let mut draft = Draft {
            number: self.number,
            place: self.began,
            change: None,
            attributes: Vec::new(),
            open: None,
            nested: 0,
            problem: None,
            foreign: !is(tag.local_name().as_ref(), "entry"),
        };
        if draft.foreign {
            let name: String = tag.local_name().as_ref().chars().take(40).collect();
            draft.refuse("not_an_entry", format!("`<{name}>` is not `<entry>`"));
        } else {
            draft.read_header(tag);
        }
        draft
    }

    fn check_encoding(&mut self, declaration: &BytesDecl<'_>) -> Result<(), DatasetError> {
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if is(&name, "utf-8") || is(&name, "us-ascii") => Ok(()),
            Some(_) => Err(self.fatal("a dataset must be written in UTF-8")),
        }
    }

    fn fatal(&mut self, problem: impl Into<String>) -> DatasetError {
        self.state = State::Over;
        DatasetError { place: self.reader.get_ref().place(), problem: problem.into() }
    }
}

impl<R: Read> Iterator for XmlReader<R> {
    type Item = Result<Item, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Draft {
    fn read_header(&mut self, tag: &BytesStart<'_>) {
        for attribute in tag.attributes() {
            let Ok(attribute) = attribute else {
                return self.refuse("entry_malformed", "the `<entry>` tag is malformed".to_owned());
            };
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default();
            let shown: String = value.chars().take(40).collect();
            let key = attribute.key.local_name();
            if is(key.as_ref(), "changetype") {
                self.change = match value.trim() {
                    it if is(it, "add") => Some(Change::Add),
                    it if is(it, "modify") => Some(Change::Modify),
                    _ => {
                        let problem = format!("changetype `{shown}` is not supported; use `add` or `modify`");
                        return self.refuse("changetype_not_supported", problem);
                    }
                };
            } else if is(key.as_ref(), "modifytype") && !is(value.trim(), "replace") {
                let problem = format!("modifytype `{shown}` is not supported; use `replace`");
                return self.refuse("modifytype_not_supported", problem);
            }
        }
        if self.change.is_none() {
            self.refuse("changetype_missing", "the entry has no changetype; write `add` or `modify`".to_owned());
        }
    }

    /// Only the first problem is told: the others may follow from it.
    fn refuse(&mut self, code: &'static str, problem: String) {
        self.problem.get_or_insert((code, problem));
    }

    /// `<entry>` never stands inside an entry: the one before it was not closed.
    fn is_new_entry(&self, tag: &BytesStart<'_>) -> bool {
        !self.foreign && is(tag.local_name().as_ref(), "entry")
    }

    fn ends_with(&self, name: &str) -> bool {
        if self.foreign { self.open.is_none() } else { is(name, "entry") }
    }

    fn begin(&mut self, name: &str) {
        if self.open.is_some() {
            self.nested += 1;
            return self.refuse("attribute_nested", "an attribute holds an element instead of text".to_owned());
        }
        if name.len() > MAX_NAME {
            self.refuse("attribute_name_too_long", format!("the name of an attribute is longer than {MAX_NAME} bytes"));
        }
        self.open = Some((name.chars().take(MAX_NAME).collect(), Zeroizing::default()));
    }

    fn end(&mut self, name: &str) {
        if self.nested > 0 {
            self.nested -= 1;
            return;
        }
        let Some((opened, mut value)) = self.open.take() else {
            return self.refuse("entry_malformed", "the entry has an end tag without its start".to_owned());
        };
        if opened != name {
            self.refuse("attribute_not_closed", "an attribute of the entry has no end".to_owned());
        }
        if self.attributes.len() >= MAX_ATTRIBUTES {
            self.refuse("too_many_attributes", format!("the entry has more than {MAX_ATTRIBUTES} attributes"));
        } else if self.problem.is_none() {
            self.attributes.push(Attribute { name: opened, value: Secret::new(std::mem::take(&mut *value)) });
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.open {
            Some((_, value)) if value.len() + text.len() <= MAX_VALUE => value.push_str(text),
            Some(_) => self.refuse("value_too_long", format!("a value is longer than {MAX_VALUE} bytes")),
            None if text.trim().is_empty() => (),
            None => self.refuse("entry_malformed", "the entry has text outside of its attributes".to_owned()),
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        if let Ok(Some(character)) = reference.resolve_char_ref() {
            return self.text(character.encode_utf8(&mut [0; 4]));
        }
        if let Some(text) = resolve_predefined_entity(reference) {
            self.text(text);
        } else {
            let name: String = reference.chars().take(40).collect();
            self.refuse("unknown_entity", format!("`&{name};` is not one of the five entities of XML"));
        }
    }

    fn finish(self) -> Item {
        let Self { number, place, change, attributes, problem, .. } = self;
        match (change, problem) {
            (Some(change), None) => Ok(Entry { number, place, change, attributes }),
            (_, problem) => {
                let (code, problem) = problem.unwrap_or(("entry_malformed", "the entry is malformed".to_owned()));
                Err(BadEntry { number, place, code, problem })
            }
        }
    }
}

fn is(name: &str, wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted)
}

fn is_blank(event: &Event<'_>) -> bool {
    if let Event::Text(text) = event { text.trim().is_empty() } else { false }
}

fn told(error: &quick_xml::Error) -> String {
    if let quick_xml::Error::Io(source) = error { source.to_string() } else { error.to_string() }
}

#[cfg(test)]
mod tests;
