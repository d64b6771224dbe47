//! The schema: which attributes objects have, and what may be done with them.
//!
//! It begins as the one every installation has ([`Schema::standard`]), can be refreshed from what the org says, carried
//! as XML, and given back by an administrator as the file that the configuration names.

pub(super) mod describe;
pub(super) mod reach;
mod refresh;
mod standard;
mod xml;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::config::{read_file, text};
use crate::connector::SchemaFile;
use describe::canonical;
use standard::OBJECTS;
use xml::{MAX_XML, SchemaError};

/// The objects an installation works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) objects: Vec<Object>,
}

/// A file has no schema that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It cannot be read, or is larger than any schema.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is no schema.
    #[error(transparent)]
    Unusable(#[from] SchemaError),
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    /// Its name as Salesforce spells it.
    pub(super) name: String,
    /// Its attributes, each once.
    pub(super) attributes: Vec<Attribute>,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// Its name as Salesforce spells it.
    pub(super) name: String,
    /// Its type in Salesforce's words, e.g. `picklist`.
    pub(super) kind: String,
    /// Whether it holds several values.
    pub(super) multi_valued: bool,
    /// What may be done with it.
    pub(super) uses: Uses,
}

/// What may be done with an attribute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are the columns of a table, and independent")]
pub(super) struct Uses {
    /// A new record must have it.
    pub(super) required: bool,
    /// Conditions may name it.
    pub(super) search: bool,
    /// A new record may have it.
    pub(super) create: bool,
    /// It can be changed.
    pub(super) modify: bool,
}

impl Schema {
    /// The schema in a file.
    pub(super) fn from_file(file: &Path) -> Result<Self, FileError> {
        let xml = read_file(file, MAX_XML).and_then(text).map_err(FileError::Unreadable)?;
        Ok(Self::from_xml(&xml)?)
    }

    /// The schema every installation begins with.
    pub(super) fn standard() -> Self {
        let attribute = |(name, kind, uses): &standard::Standard| Attribute {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            multi_valued: false,
            uses: Uses {
                required: uses.contains('r'),
                search: uses.contains('s'),
                create: uses.contains('c'),
                modify: uses.contains('m'),
            },
        };
        let object = |(name, attributes): &(&str, &[standard::Standard])| Object {
            name: (*name).to_owned(),
            attributes: attributes.iter().map(attribute).collect(),
        };
        Self { objects: OBJECTS.iter().map(object).collect() }
    }

    /// The schema as administrators handle it.
    pub(super) fn file(&self) -> SchemaFile {
        SchemaFile {
            xml: self.to_xml(),
            text: self.to_text(),
            attributes: self.objects.iter().map(|object| object.attributes.len()).sum(),
            strange: self.objects.iter().flat_map(Object::strange).collect(),
        }
    }

    /// One line an attribute, under a line for each object.
    fn to_text(&self) -> String {
        let mut out = String::new();
        for object in &self.objects {
            let _ = writeln!(out, "{}", object.name);
            for Attribute { name, kind, multi_valued, uses } in &object.attributes {
                let words = [
                    (*multi_valued, "multi-valued"),
                    (uses.required, "required"),
                    (uses.search, "search"),
                    (uses.create, "create"),
                    (uses.modify, "modify"),
                ];
                let words: Vec<&str> = words.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
                let _ = writeln!(out, "  {name:40} {kind:14} {}", words.join(" "));
            }
        }
        out
    }

    /// The object of that name, in any case.
    pub(super) fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name.eq_ignore_ascii_case(name))
    }

    /// The names of the objects.
    pub(super) fn names(&self) -> Vec<&str> {
        self.objects.iter().map(|object| object.name.as_str()).collect()
    }
}

impl Object {
    /// Its attributes that may be misspelt, as far as can be told without the org.
    fn strange(&self) -> impl Iterator<Item = String> {
        let standard = OBJECTS.iter().find(|(known, _)| *known == self.name).map(|(_, attributes)| *attributes);
        let is_standard = move |name: &str| standard.unwrap_or_default().iter().any(|(known, _, _)| *known == name);
        // What the org made ends in `__` and a letter or two; what a path leads to is of another object.
        let may_be_misspelt = move |name: &&str| !is_standard(name) && !name.contains("__") && !name.contains('.');
        let names = self.attributes.iter().map(|attribute| attribute.name.as_str());
        names.filter(may_be_misspelt).map(|name| format!("{}.{name}", self.name))
    }

    /// Whether it has the attribute, however that is spelled.
    fn has(&self, name: &str) -> bool {
        let wanted = canonical(name);
        self.attributes.iter().any(|attribute| attribute.name.to_ascii_lowercase() == wanted)
    }
}

/// The standard spelling of an object's name.
fn object_name(name: &str) -> Option<&'static str> {
    OBJECTS.iter().map(|(known, _)| *known).find(|known| known.eq_ignore_ascii_case(name))
}

/// The standard spelling of an attribute's name, if it is a standard attribute; else the name as it stands.
fn attribute_name(object: &str, name: &str) -> String {
    let wanted = canonical(name);
    let known = OBJECTS.iter().find(|(known, _)| *known == object).map(|(_, attributes)| *attributes);
    let known = known.unwrap_or_default().iter().map(|(known, _, _)| *known);
    known.into_iter().find(|known| known.to_ascii_lowercase() == wanted).unwrap_or(name.trim()).to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::{FileTooLarge, InvalidInput};

    use super::*;

    /// The counts of the data formats that identity suites ship.
    /// Feature B16.
    #[test]
    fn the_standard_schema_has_every_attribute_of_the_three_data_formats() {
        let schema = Schema::standard();
        let count = |name: &str| schema.object(name).unwrap().attributes.len();
        assert_eq!((count("User"), count("userrole"), count("Profile")), (39, 10, 41));
        let attributes = &schema.object("User").unwrap().attributes;
        let uses = |name: &str| attributes.iter().find(|attribute| attribute.name == name).unwrap().uses;
        assert_eq!(uses("Alias"), Uses { required: true, search: true, create: true, modify: true });
        assert_eq!(uses("CreatedById"), Uses { required: true, search: true, create: false, modify: false });
        assert_eq!(uses("Title"), Uses { required: false, search: true, create: true, modify: true });
    }

    /// Look at the length of what was read, and a file without an end has been read to its end before.
    #[test]
    fn no_more_of_a_file_is_read_than_a_schema_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("schema.xml");
        let file = std::fs::File::create(&path).unwrap();
        let unread = |path: &Path| match Schema::from_file(path) {
            Err(FileError::Unreadable(error)) => Some(error.kind()),
            Err(FileError::Unusable(_)) | Ok(_) => None,
        };
        let most = u64::try_from(MAX_XML).unwrap();
        for (bytes, kind) in [(most, None), (most + 1, Some(FileTooLarge)), (64 * most, Some(FileTooLarge))] {
            file.set_len(bytes).unwrap();
            assert_eq!(unread(&path), kind, "{bytes}");
        }
        assert_eq!(unread(Path::new("/dev/zero")), Some(InvalidInput));
    }

    #[test]
    fn attributes_that_may_be_misspelt_are_told() {
        assert!(Schema::standard().file().strange.is_empty());
        let names = ["Titel", "Title", "Size__c", "UserRole.Name"].map(|name| format!("<attribute name='{name}'/>"));
        let xml = format!("<schema><object name='User'>{}</object></schema>", names.concat());
        let file = Schema::from_xml(&xml).unwrap().file();
        assert_eq!((file.attributes, file.strange), (4, vec!["User.Titel".to_owned()]));
    }

    #[test]
    fn names_that_older_products_misspell_are_mapped() {
        for (written, meant) in [
            ("Postal Code", "PostalCode"),
            ("ReceiveInfoEmails", "ReceivesInfoEmails"),
            ("isActive", "IsActive"),
            ("loginId", "Username"),
            ("Size__c", "Size__c"),
        ] {
            assert_eq!(attribute_name("User", written), meant);
        }
        assert!(Schema::standard().object("User").unwrap().has("postal code"));
    }
}
