//! An entry while it is read: what every form has in common.

use postern_protocol::Secret;

use super::{Attribute, BadEntry, Change, Entry, Item, MAX_ATTRIBUTES, MAX_NAME, MAX_VALUE, Place, Record, is};

/// An entry while it is read.
pub(super) struct Draft {
    number: u64,
    place: Place,
    change: Option<Change>,
    /// What is asked for if the entry does not say; nothing in the form where it must.
    pub(super) presumed: Option<Change>,
    attributes: Vec<Attribute>,
    problem: Option<(&'static str, String)>,
}

impl Draft {
    pub(super) fn new(number: u64, place: Place) -> Self {
        Self { number, place, change: None, presumed: None, attributes: Vec::new(), problem: None }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Only the first problem is told: the others may follow from it. From then on nothing of the entry is kept.
    pub(super) fn refuse(&mut self, code: &'static str, problem: impl Into<String>) {
        self.problem.get_or_insert_with(|| (code, problem.into()));
        self.attributes.clear();
    }

    /// What is asked for.
    pub(super) fn changetype(&mut self, value: &str) {
        if self.change.is_some() {
            return self.refuse("attribute_twice", "the entry says twice whether it is `add` or `modify`");
        }
        match value.trim() {
            it if is(it, "add") => self.change = Some(Change::Add),
            it if is(it, "modify") => self.change = Some(Change::Modify),
            it => {
                let problem = format!("changetype `{}` is not supported; use `add` or `modify`", shown(it));
                self.refuse("changetype_not_supported", problem);
            }
        }
    }

    pub(super) fn modifytype(&mut self, value: &str) {
        if !is(value.trim(), "replace") {
            let problem = format!("modifytype `{}` is not supported; use `replace`", shown(value.trim()));
            self.refuse("modifytype_not_supported", problem);
        }
    }

    /// One value of an attribute.
    pub(super) fn attribute(&mut self, name: &str, value: Secret) {
        if name.len() > MAX_NAME {
            return self.refuse(
                "attribute_name_too_long",
                format!("the name of an attribute is longer than {MAX_NAME} bytes"),
            );
        }
        if value.expose().len() > MAX_VALUE {
            return self.refuse("value_too_long", format!("a value is longer than {MAX_VALUE} bytes"));
        }
        if self.attributes.len() >= MAX_ATTRIBUTES {
            return self.refuse("too_many_attributes", format!("the entry has more than {MAX_ATTRIBUTES} attributes"));
        }
        if name.chars().any(char::is_control) || value.expose().chars().any(is_unwritable) {
            let problem = format!("`{}` holds a byte that is not UTF-8, or a control character", shown(name));
            return self.refuse("bad_character", problem);
        }
        if self.problem.is_none() {
            self.attributes.push(Attribute { name: name.to_owned(), value });
        }
    }

    /// The entry, which ends at `end`.
    pub(super) fn finish(self, end: u64) -> Item {
        let Self { number, place, change, presumed, attributes, problem } = self;
        match (change.or(presumed), problem) {
            (Some(change), None) => Ok(Entry { number, place, end, record: Record { change, attributes } }),
            (_, problem) => {
                let missing =
                    || ("changetype_missing", "the entry has no changetype; write `add` or `modify`".to_owned());
                let (code, problem) = problem.unwrap_or_else(missing);
                Err(BadEntry { number, place, end: Some(end), code, problem })
            }
        }
    }
}

/// Line ends and tabs are text; what else controls something has no place in a field.
fn is_unwritable(character: char) -> bool {
    character.is_ascii_control() && !matches!(character, '\t' | '\n' | '\r')
}

/// A piece of the dataset that is fit for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}
