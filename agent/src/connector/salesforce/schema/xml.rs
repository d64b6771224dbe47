//! The schema as XML, to be kept, edited and given back.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Attribute, Object, Schema, Uses, attribute_name, object_name};

/// The most bytes of a schema: an org's eight objects with all their fields take a tenth.
pub(super) const MAX_XML: usize = 1024 * 1024;
/// The most attributes of an object.
const MAX_ATTRIBUTES: usize = 1_000;
/// The longest name.
const MAX_NAME: usize = 128;

/// A schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {problem}")]
pub(in super::super) struct SchemaError {
    at: u64,
    problem: String,
}

impl Schema {
    /// The schema as XML.
    pub(in super::super) fn to_xml(&self) -> String {
        let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<schema>\n".to_owned();
        // Names and types are letters, digits, `_` and `.`, so there is nothing to escape.
        for object in &self.objects {
            let _ = writeln!(out, "  <object name=\"{}\">", object.name);
            for Attribute { name, kind, multi_valued, uses } in &object.attributes {
                let Uses { required, search, create, modify } = uses;
                let _ = writeln!(
                    out,
                    "    <attribute name=\"{name}\" type=\"{kind}\" multivalued=\"{multi_valued}\" \
                     required=\"{required}\" search=\"{search}\" create=\"{create}\" modify=\"{modify}\"/>"
                );
            }
            out.push_str("  </object>\n");
        }
        out.push_str("</schema>\n");
        out
    }

    /// Reads a schema. Names that older products misspell are mapped; an object that stands twice is an error.
    pub(in super::super) fn from_xml(xml: &str) -> Result<Self, SchemaError> {
        if xml.len() > MAX_XML {
            return Err(SchemaError { at: 0, problem: format!("a schema has at most {MAX_XML} bytes") });
        }
        let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
        let (mut schema, mut open, mut inside) = (Self { objects: Vec::new() }, None, false);
        loop {
            let at = reader.buffer_position();
            let wrong = |problem: String| SchemaError { at, problem };
            match reader.read_event().map_err(|error| wrong(error.to_string()))? {
                Event::Start(tag) if !inside && is(&tag, "schema") => inside = true,
                Event::Start(tag) if inside && open.is_none() && is(&tag, "object") => {
                    open = Some(object(&tag, &schema).map_err(wrong)?);
                }
                Event::Empty(tag) | Event::Start(tag) if open.is_some() && is(&tag, "attribute") => {
                    if let Some(object) = &mut open {
                        attribute(&tag, object).map_err(wrong)?;
                    }
                }
                Event::End(tag) => match tag.name().as_ref() {
                    "object" => schema.objects.extend(open.take()),
                    "schema" => break,
                    _ => (),
                },
                Event::Text(text) if text.trim().is_empty() => (),
                Event::Comment(_) | Event::Decl(_) => (),
                Event::Eof => return Err(wrong("the schema breaks off".to_owned())),
                Event::Start(_)
                | Event::Empty(_)
                | Event::Text(_)
                | Event::CData(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::GeneralRef(_) => {
                    return Err(wrong("a schema is `<schema>` with `<object>`s with `<attribute …/>`s".to_owned()));
                }
            }
        }
        if schema.objects.is_empty() {
            return Err(SchemaError { at: 0, problem: "the schema has no object".to_owned() });
        }
        Ok(schema)
    }
}

fn is(tag: &BytesStart<'_>, name: &str) -> bool {
    tag.name().as_ref() == name
}

fn object(tag: &BytesStart<'_>, schema: &Schema) -> Result<Object, String> {
    let name = value(tag, "name")?.ok_or("an object needs a `name`")?;
    let known = object_name(&name).ok_or_else(|| format!("`{name:.128}` is no object that can be exported"))?;
    if schema.object(known).is_some() {
        return Err(format!("the object {known} stands there twice"));
    }
    Ok(Object { name: known.to_owned(), attributes: Vec::new() })
}

fn attribute(tag: &BytesStart<'_>, object: &mut Object) -> Result<(), String> {
    let written = value(tag, "name")?.ok_or("an attribute needs a `name`")?;
    let name = attribute_name(&object.name, &written);
    let is_word = |text: &str| {
        (1..=MAX_NAME).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    if !is_word(&name) {
        return Err(format!("`{written:.128}` is no name of an attribute"));
    }
    if object.has(&name) {
        return Err(format!("the attribute {name} of {} stands there twice", object.name));
    }
    if object.attributes.len() >= MAX_ATTRIBUTES {
        return Err(format!("{} has more than {MAX_ATTRIBUTES} attributes", object.name));
    }
    // Whoever adds an attribute by hand gives its name; the rest is known when the schema is refreshed.
    let kind = value(tag, "type")?.unwrap_or_else(|| "string".to_owned());
    if !is_word(&kind) {
        return Err(format!("`{kind:.128}` is no type"));
    }
    let uses = Uses {
        required: truth(tag, "required", false)?,
        search: truth(tag, "search", true)?,
        create: truth(tag, "create", false)?,
        modify: truth(tag, "modify", false)?,
    };
    let multi_valued = truth(tag, "multivalued", false)?;
    object.attributes.push(Attribute { name, kind, multi_valued, uses });
    Ok(())
}

fn truth(tag: &BytesStart<'_>, name: &str, otherwise: bool) -> Result<bool, String> {
    match value(tag, name)?.as_deref() {
        None => Ok(otherwise),
        Some("true" | "Y") => Ok(true),
        Some("false" | "N") => Ok(false),
        Some(other) => Err(format!("`{name}` is `true` or `false`, not `{other:.64}`")),
    }
}

fn value(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let found = tag.try_get_attribute(name).map_err(|error| error.to_string())?;
    let Some(found) = found else { return Ok(None) };
    quick_xml::escape::unescape(&found.value).map(|text| Some(text.into_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_survives_its_xml() {
        let schema = Schema::standard();
        assert_eq!(Schema::from_xml(&schema.to_xml()).unwrap(), schema);
    }

    #[test]
    fn an_attribute_is_added_by_its_name_alone() {
        let xml = "<schema><object name='user'><attribute name='Postal Code'/><attribute name='Size__c' create='Y'/></object></schema>";
        let schema = Schema::from_xml(xml).unwrap();
        let names: Vec<&str> = schema.objects[0].attributes.iter().map(|it| it.name.as_str()).collect();
        assert_eq!((schema.objects[0].name.as_str(), names), ("User", vec!["PostalCode", "Size__c"]));
        assert!(schema.objects[0].attributes[1].uses.create);
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        let object = |inner: &str| format!("<schema><object name=\"User\">{inner}</object></schema>");
        for (xml, says) in [
            (String::new(), "breaks off"),
            ("<schema></schema>".to_owned(), "no object"),
            ("<schema><object name=\"Account\"/></schema>".to_owned(), "a schema is"),
            ("<schema><object name=\"Account\"></object></schema>".to_owned(), "no object that"),
            (object("<attribute/>"), "needs a `name`"),
            (object("<attribute name=\"a b\"/>"), "no name"),
            (object("<attribute name=\"Title\"/><attribute name=\"TITLE\"/>"), "twice"),
            (object("<attribute name=\"Title\" search=\"maybe\"/>"), "`search` is"),
            (object("text"), "a schema is"),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><schema/>".to_owned(), "a schema is"),
            (object("<attribute name=\"Title\"/>").replace("</schema>", ""), "breaks off"),
        ] {
            let error = Schema::from_xml(&xml).unwrap_err().to_string();
            assert!(error.contains(says), "{xml}: {error}");
        }
    }
}
