//! The schema as the org has it.

use super::reach::{Found, Reach};
use super::{Attribute, Object, Uses};

impl Object {
    /// The object with what the org says of each attribute. What the org lacks is dropped and returned by name.
    pub(in super::super) fn refreshed(&self, org: &Reach) -> (Self, Vec<String>) {
        let mut lacking = Vec::new();
        let mut attributes: Vec<Attribute> = Vec::new();
        for attribute in &self.attributes {
            match org.find(&attribute.name) {
                Some(found) => attributes.push(described(&found)),
                None => lacking.push(attribute.name.clone()),
            }
        }
        (Self { name: org.object.name.clone(), attributes }, lacking)
    }

    /// Adds an attribute by its name, e.g. a custom one. Returns whether the org has it.
    pub(in super::super) fn add(&mut self, name: &str, org: &Reach) -> bool {
        let Some(found) = org.find(name) else { return false };
        if !self.has(&found.name) {
            self.attributes.push(described(&found));
        }
        true
    }

    /// Adds every custom attribute of the org.
    pub(in super::super) fn add_custom(&mut self, org: &Reach) {
        for field in org.object.fields.iter().filter(|field| field.custom) {
            self.add(&field.name, org);
        }
    }
}

/// What a path leads to belongs to another record, so nothing can be done with it but look at it.
fn described(found: &Found<'_>) -> Attribute {
    let (Found { name, field }, own) = (found, !found.name.contains('.'));
    let uses = Uses {
        required: own && field.is_required(),
        search: field.filterable,
        create: own && field.createable,
        modify: own && field.updateable,
    };
    Attribute { name: name.clone(), kind: field.type_name.clone(), multi_valued: field.is_multi_valued(), uses }
}
