//! The schema as the org has it.

use super::describe::{Described, Field};
use super::{Attribute, Object, Uses};

impl Object {
    /// The object with what the org says of each attribute. What the org lacks is dropped and returned by name.
    pub(in super::super) fn refreshed(&self, org: &Described) -> (Self, Vec<String>) {
        let mut lacking = Vec::new();
        let mut attributes: Vec<Attribute> = Vec::new();
        for attribute in &self.attributes {
            match org.find(&attribute.name) {
                Some(field) => attributes.push(described(field)),
                None => lacking.push(attribute.name.clone()),
            }
        }
        (Self { name: org.name.clone(), attributes }, lacking)
    }

    /// Adds an attribute by its name, e.g. a custom one. Returns whether the org has it.
    pub(in super::super) fn add(&mut self, name: &str, org: &Described) -> bool {
        let Some(field) = org.find(name) else { return false };
        if !self.has(&field.name) {
            self.attributes.push(described(field));
        }
        true
    }

    /// Adds every custom attribute of the org.
    pub(in super::super) fn add_custom(&mut self, org: &Described) {
        for field in org.fields.iter().filter(|field| field.custom) {
            self.add(&field.name, org);
        }
    }
}

fn described(field: &Field) -> Attribute {
    Attribute {
        name: field.name.clone(),
        kind: field.type_name.clone(),
        multi_valued: field.is_multi_valued(),
        uses: Uses {
            required: field.is_required(),
            search: field.filterable,
            create: field.createable,
            modify: field.updateable,
        },
    }
}
