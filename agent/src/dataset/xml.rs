//! The XML form of datasets: `<root><entry changetype="add|modify" modifytype="replace">…</entry>…</root>`.
//!
//! Each child of an entry is an attribute, its text the value; an attribute with several values stands there several
//! times. There are no document types and no entities of one's own, so nothing expands.

use std::io::Read;

use postern_protocol::Secret;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader as Markup;
use zeroize::Zeroizing;

use super::draft::{Draft, shown};
use super::source::{Source, wipe};
use super::{
    DatasetError, EMPTY, Item, MAX_ENTRY, MAX_HEADER, MAX_NAME, MAX_OPEN, MAX_OPEN_NAMES, MAX_VALUE, Place, is,
};

/// Reads entries one by one from XML text. Blocks as its source blocks.
pub struct Reader<R: Read> {
    markup: Markup<Source<R>>,
    buffer: Zeroizing<Vec<u8>>,
    state: State,
    number: u64,
    unclosed: Unclosed,
    /// Where the piece of markup at hand began, and where the last entry ended.
    began: Place,
    rest: Place,
}

/// The elements without an end so far.
#[derive(Default)]
struct Unclosed {
    /// How long the name of each is, and all of them together.
    names: Vec<usize>,
    bytes: usize,
}

enum State {
    /// Before `<root>`.
    Prolog,
    /// Between entries.
    Root,
    /// In an entry.
    Entry(Open),
    /// After `</root>`, where nothing may stand any more.
    Epilog,
    /// After the end, or after an error.
    Over,
}

/// An entry while it is read.
struct Open {
    draft: Draft,
    /// The attribute that is open: its name, and its value so far.
    attribute: Option<(String, Zeroizing<String>)>,
    /// Elements open inside an attribute, or inside an element that is no entry.
    nested: usize,
    /// It is an element of another name.
    foreign: bool,
}

enum Step {
    Read,
    Yield(Item),
}

impl<R: Read> Reader<R> {
    /// A reader of `source`, which must be UTF-8.
    pub fn new(source: R) -> Self {
        let mut markup = Markup::from_reader(Source::new(source));
        let config = markup.config_mut();
        // Names are compared here, so that an entry with a wrong end does not take the others along.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        let began = markup.get_ref().place();
        Self {
            markup,
            buffer: Zeroizing::default(),
            state: State::Prolog,
            number: 0,
            unclosed: Unclosed::default(),
            began,
            rest: began,
        }
    }

    /// The next entry. A piece of markup is looked at where it was read: a copy would not be overwritten.
    fn read(&mut self) -> Result<Option<Item>, DatasetError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let item = self.read_into(&mut buffer);
        self.buffer = buffer;
        item
    }

    fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Item>, DatasetError> {
        while !matches!(self.state, State::Over) {
            wipe(buffer);
            self.began = self.markup.get_mut().start().map_err(|error| self.fatal(error.to_string()))?;
            let event = self.markup.read_event_into(buffer).map_err(|error| self.fatal(told(&error)))?;
            self.unclosed.count(&event).map_err(|problem| self.fatal(problem))?;
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
            State::Epilog => self.in_epilog(event),
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
            self.end_root();
        } else if let Event::Eof = event {
            return Err(self.fatal(EMPTY));
        } else if !is_blank(event) {
            return Err(self.fatal("a dataset begins with `<root>`"));
        }
        Ok(Step::Read)
    }

    fn in_root(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        match event {
            Event::Start(tag) => {
                self.state = State::Entry(self.open(tag));
                Ok(Step::Read)
            }
            Event::Empty(tag) => {
                let open = self.open(tag);
                Ok(self.finish(open, self.markup.get_ref().place()))
            }
            Event::End(tag) if is(tag.local_name().as_ref(), "root") => {
                self.end_root();
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

    fn end_root(&mut self) {
        self.state = State::Epilog;
        self.rest = self.markup.get_ref().place();
    }

    /// Another dataset behind this one would be done by nobody if nobody were told.
    fn in_epilog(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        if let Event::Eof = event {
            self.state = State::Over;
        } else if !is_blank(event) {
            return Err(self.fatal("a dataset ends with `</root>`, and something stands behind `</root>`"));
        }
        Ok(Step::Read)
    }

    fn in_entry(&mut self, event: &Event<'_>) -> Result<Step, DatasetError> {
        let here = self.markup.get_ref().place();
        let State::Entry(open) = &mut self.state else { return Ok(Step::Read) };
        if here.offset - open.draft.place().offset > MAX_ENTRY {
            open.draft.refuse("entry_too_large", format!("the entry is larger than {MAX_ENTRY} bytes"));
        }
        match event {
            Event::Start(tag) if open.is_new_entry(tag) => {
                open.draft.refuse("entry_not_closed", "the entry has no end: `</entry>` is missing");
                let next = self.open(tag);
                return Ok(match std::mem::replace(&mut self.state, State::Entry(next)) {
                    State::Entry(cut) => self.finish(cut, self.began),
                    State::Prolog | State::Root | State::Epilog | State::Over => Step::Read,
                });
            }
            Event::Start(tag) => open.begin(tag.local_name().as_ref()),
            Event::Empty(tag) => {
                open.begin(tag.local_name().as_ref());
                open.end(tag.local_name().as_ref());
            }
            Event::End(tag) => return Ok(self.end(tag.local_name().as_ref())),
            Event::Text(text) => open.text(&text.xml10_content()),
            Event::CData(text) => open.text(&text.xml10_content()),
            Event::GeneralRef(reference) => open.reference(reference),
            Event::Eof => return Err(self.fatal("the dataset ends within an entry")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => (),
        }
        Ok(Step::Read)
    }

    /// An end inside an entry: of an attribute, of the entry, or, if tags are missing, of the root.
    fn end(&mut self, name: &str) -> Step {
        let State::Entry(open) = &mut self.state else { return Step::Read };
        // An attribute may have that name, too.
        let ends_attribute = open.attribute.as_ref().is_some_and(|(opened, _)| is(opened, "root"));
        let of_root = is(name, "root") && !ends_attribute;
        if !of_root && !open.ends_with(name) {
            open.end(name);
            return Step::Read;
        }
        if of_root {
            open.draft.refuse("entry_not_closed", "the entry has no end: `</entry>` is missing");
        } else if open.attribute.is_some() {
            open.draft.refuse("attribute_not_closed", "an attribute of the entry has no end");
        }
        let end = if of_root { self.began } else { self.markup.get_ref().place() };
        let State::Entry(open) = std::mem::replace(&mut self.state, State::Root) else { return Step::Read };
        let step = self.finish(open, end);
        if of_root {
            self.end_root();
        }
        step
    }

    fn finish(&mut self, open: Open, end: Place) -> Step {
        self.rest = end;
        Step::Yield(open.draft.finish(end.offset))
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Open {
        self.number += 1;
        let mut open = Open {
            draft: Draft::new(self.number, self.began),
            attribute: None,
            nested: 0,
            foreign: !is(tag.local_name().as_ref(), "entry"),
        };
        if open.foreign {
            open.draft.refuse("not_an_entry", format!("`<{}>` is not `<entry>`", shown(tag.local_name().as_ref())));
        } else {
            open.read_header(tag);
        }
        open
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
        let rest = if self.number == 0 { self.began } else { self.rest };
        DatasetError { place: self.markup.get_ref().place(), rest, problem: problem.into() }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Item, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Unclosed {
    /// Counts what begins and ends; what is wrong if there is too much of it.
    fn count(&mut self, event: &Event<'_>) -> Result<(), String> {
        if let Event::Start(tag) = event {
            let name = tag.name().as_ref().len();
            self.names.push(name);
            self.bytes += name;
        } else if let Event::End(_) = event {
            self.bytes -= self.names.pop().unwrap_or_default();
        }
        if self.names.len() > MAX_OPEN {
            return Err(format!("more than {MAX_OPEN} elements are open at once: end tags are missing"));
        }
        if self.bytes > MAX_OPEN_NAMES {
            return Err(format!(
                "the names of the elements that are open at once are longer than {MAX_OPEN_NAMES} bytes together: end tags are \
                 missing"
            ));
        }
        Ok(())
    }
}

impl Open {
    fn read_header(&mut self, tag: &BytesStart<'_>) {
        for (number, attribute) in tag.attributes().enumerate() {
            if number >= MAX_HEADER {
                return self
                    .draft
                    .refuse("entry_malformed", format!("the `<entry>` tag has more than {MAX_HEADER} attributes"));
            }
            let Ok(attribute) = attribute else {
                return self.draft.refuse("entry_malformed", "the `<entry>` tag is malformed");
            };
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default();
            let key = attribute.key.local_name();
            if is(key.as_ref(), "changetype") {
                self.draft.changetype(&value);
            } else if is(key.as_ref(), "modifytype") {
                self.draft.modifytype(&value);
            }
        }
    }

    /// `<entry>` never stands inside an entry: the one before it was not closed.
    fn is_new_entry(&self, tag: &BytesStart<'_>) -> bool {
        !self.foreign && is(tag.local_name().as_ref(), "entry")
    }

    fn ends_with(&self, name: &str) -> bool {
        if self.foreign { self.attribute.is_none() } else { is(name, "entry") }
    }

    fn begin(&mut self, name: &str) {
        if self.attribute.is_some() {
            self.nested += 1;
            return self.draft.refuse("attribute_nested", "an attribute holds an element instead of text");
        }
        // One character too many is enough to be refused for.
        self.attribute = Some((name.chars().take(MAX_NAME + 1).collect(), Zeroizing::default()));
    }

    fn end(&mut self, name: &str) {
        if self.nested > 0 {
            self.nested -= 1;
            return;
        }
        let Some((opened, mut value)) = self.attribute.take() else {
            return self.draft.refuse("entry_malformed", "the entry has an end tag without its start");
        };
        if opened != name && opened.len() <= MAX_NAME {
            self.draft.refuse("attribute_not_closed", "an attribute of the entry has no end");
        }
        self.draft.attribute(&opened, Secret::new(std::mem::take(&mut *value)));
    }

    fn text(&mut self, text: &str) {
        match &mut self.attribute {
            // What is too long already needs no more to be refused for.
            Some((_, value)) if value.len() <= MAX_VALUE => value.push_str(text),
            Some(_) => (),
            None if text.trim().is_empty() => (),
            None => self.draft.refuse("entry_malformed", "the entry has text outside of its attributes"),
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        if let Ok(Some(character)) = reference.resolve_char_ref() {
            return self.text(character.encode_utf8(&mut [0; 4]));
        }
        if let Some(text) = resolve_predefined_entity(reference) {
            self.text(text);
        } else {
            let name = shown(reference);
            self.draft.refuse("unknown_entity", format!("`&{name};` is not one of the five entities of XML"));
        }
    }
}

fn is_blank(event: &Event<'_>) -> bool {
    if let Event::Text(text) = event { text.trim().is_empty() } else { false }
}

fn told(error: &quick_xml::Error) -> String {
    if let quick_xml::Error::Io(source) = error { source.to_string() } else { error.to_string() }
}

#[cfg(test)]
mod tests;
