//! One field of an object: its type, its limits, and who may write it.

use super::ObjectKind;

/// The values of a picklist: what is stored, and its label.
pub(crate) type Choices = &'static [(&'static str, &'static str)];

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    DateTime,
    Email,
    /// The record's own id.
    Id,
    Int,
    /// The id of a record of an object that these orgs do not have.
    Outside,
    Phone,
    /// Only the listed values are taken.
    Picklist(Choices),
    Reference {
        to: ObjectKind,
        relationship: &'static str,
    },
    Text,
    TextArea,
    Url,
}

impl Kind {
    /// The values of a picklist; none for other types.
    pub(crate) fn choices(self) -> Choices {
        if let Self::Picklist(choices) = self { choices } else { &[] }
    }

    /// The object a reference points to, and the name of the relationship.
    pub(crate) fn parent(self) -> Option<(ObjectKind, &'static str)> {
        if let Self::Reference { to, relationship } = self { Some((to, relationship)) } else { None }
    }
}

/// What a checkbox holds when nobody set it, and whether a value must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// May be null.
    Optional,
    /// Must be given on create and cannot be emptied.
    Required,
    /// Never null: Salesforce fills it.
    Filled,
}

/// One field as `describe` shows it.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent columns of the published describe")]
pub(crate) struct Field {
    /// The API name.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) kind: Kind,
    /// In characters; 0 for what is not text.
    pub(crate) length: u16,
    pub(crate) presence: Presence,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    pub(crate) filterable: bool,
    /// Whether LIKE may be used on it.
    pub(crate) searchable: bool,
    pub(crate) sortable: bool,
    pub(crate) unique: bool,
    /// Whether comparisons mind the case.
    pub(crate) case_sensitive: bool,
}

impl Field {
    const fn new(name: &'static str, label: &'static str, kind: Kind, length: u16) -> Self {
        Self {
            name,
            label,
            kind,
            length,
            presence: Presence::Optional,
            createable: true,
            updateable: true,
            filterable: true,
            searchable: length > 0,
            sortable: true,
            unique: false,
            case_sensitive: false,
        }
    }

    pub(crate) const fn id(label: &'static str) -> Self {
        let mut it = Self::new("Id", label, Kind::Id, 18).read_only();
        it.searchable = false;
        it.presence = Presence::Filled;
        it
    }

    pub(crate) const fn outside(name: &'static str, label: &'static str) -> Self {
        let mut it = Self::new(name, label, Kind::Outside, 18);
        it.searchable = false;
        it
    }

    pub(crate) const fn text(name: &'static str, label: &'static str, length: u16) -> Self {
        Self::new(name, label, Kind::Text, length)
    }

    pub(crate) const fn area(name: &'static str, label: &'static str, length: u16) -> Self {
        Self::new(name, label, Kind::TextArea, length)
    }

    pub(crate) const fn email(name: &'static str, label: &'static str, length: u16) -> Self {
        Self::new(name, label, Kind::Email, length)
    }

    pub(crate) const fn phone(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Phone, 40)
    }

    pub(crate) const fn url(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Url, 1024)
    }

    pub(crate) const fn picklist(name: &'static str, label: &'static str, choices: Choices) -> Self {
        Self::new(name, label, Kind::Picklist(choices), 40)
    }

    pub(crate) const fn boolean(name: &'static str, label: &'static str) -> Self {
        let mut it = Self::new(name, label, Kind::Boolean, 0);
        it.presence = Presence::Filled;
        it
    }

    pub(crate) const fn int(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::Int, 0)
    }

    pub(crate) const fn moment(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, Kind::DateTime, 0).read_only()
    }

    pub(crate) const fn reference(
        name: &'static str,
        label: &'static str,
        relationship: &'static str,
        to: ObjectKind,
    ) -> Self {
        let mut it = Self::new(name, label, Kind::Reference { to, relationship }, 18);
        it.searchable = false;
        it
    }

    pub(crate) const fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    pub(crate) const fn filled(mut self) -> Self {
        self.presence = Presence::Filled;
        self
    }

    pub(crate) const fn read_only(mut self) -> Self {
        self.createable = false;
        self.updateable = false;
        self
    }

    pub(crate) const fn update_only(mut self) -> Self {
        self.createable = false;
        self
    }

    pub(crate) const fn create_only(mut self) -> Self {
        self.updateable = false;
        self
    }

    pub(crate) const fn unfilterable(mut self) -> Self {
        self.filterable = false;
        self.sortable = false;
        self
    }

    pub(crate) const fn no_like(mut self) -> Self {
        self.searchable = false;
        self
    }

    pub(crate) const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    pub(crate) const fn case_sensitive(mut self) -> Self {
        self.case_sensitive = true;
        self
    }

    /// Whether a record can be found by it, as upsert and references in CSV do.
    pub(crate) fn is_id_lookup(&self) -> bool {
        self.kind == Kind::Id || self.name == "Username"
    }

    /// The type as `describe` names it.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Boolean => "boolean",
            Kind::DateTime => "datetime",
            Kind::Email => "email",
            Kind::Id => "id",
            Kind::Int => "int",
            Kind::Phone => "phone",
            Kind::Picklist(_) => "picklist",
            Kind::Outside | Kind::Reference { .. } => "reference",
            Kind::Text => "string",
            Kind::TextArea => "textarea",
            Kind::Url => "url",
        }
    }
}

/// The position of the field called `name`, worked out by the compiler.
///
/// A name that is not there stops the build.
#[allow(clippy::panic, reason = "evaluated in constants only, where it is a compiler error")]
pub(crate) const fn column(fields: &[Field], name: &str) -> usize {
    let mut rest = fields;
    let mut at = 0;
    while let [first, others @ ..] = rest {
        if same(first.name.as_bytes(), name.as_bytes()) {
            return at;
        }
        rest = others;
        at += 1;
    }
    panic!("the object has no such field")
}

const fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    loop {
        match (a, b) {
            ([], []) => return true,
            ([x, xs @ ..], [y, ys @ ..]) if *x == *y => (a, b) = (xs, ys),
            _ => return false,
        }
    }
}
