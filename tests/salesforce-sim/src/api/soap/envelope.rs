//! Reads an envelope: the session of the header, the operation of the body and its simple fields.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::Dialect;
use super::fault::Fault;

/// Deepest nesting of elements read; the operations here need five.
const MAX_DEPTH: usize = 16;

/// A call, as far as this simulator looks at it. Names are local names: prefixes vary.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) session: Option<String>,
    pub(super) operation: String,
    fields: Vec<(String, String)>,
}

impl Body {
    /// The text of an element below the operation; empty if it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(it, _)| it == name).map(|(_, text)| text.as_str()).unwrap_or_default()
    }
}

/// Reads an envelope of this dialect. Partner bodies are refused at the enterprise URL, and the reverse.
pub(super) fn parse(bytes: &[u8], dialect: Dialect) -> Result<Body, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::client("Invalid byte in UTF-8 sequence."))?;
    let mut reader = Reader::from_str(text);
    let mut body = Body::default();
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    loop {
        let event = reader.read_event().map_err(|error| Fault::client(&error.to_string()))?;
        match event {
            Event::Start(start) => {
                open(&mut path, start.local_name().as_ref(), &mut body, dialect, text)?;
                content.clear();
            }
            Event::Empty(start) => {
                open(&mut path, start.local_name().as_ref(), &mut body, dialect, text)?;
                content.clear();
                close(&mut path, &content, &mut body);
            }
            Event::End(_) => {
                close(&mut path, &content, &mut body);
                content.clear();
            }
            Event::Text(piece) => content.push_str(&piece.xml10_content()),
            Event::CData(piece) => content.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => content.push_str(&resolve(&reference)?),
            Event::Eof => break,
            // A document type could define entities that grow without bound.
            Event::DocType(_) => return Err(Fault::client("DOCTYPE is not allowed")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (),
        }
    }
    if body.operation.is_empty() || !path.is_empty() {
        return Err(Fault::client("Premature end of file."));
    }
    Ok(body)
}

fn open(path: &mut Vec<String>, name: &str, body: &mut Body, dialect: Dialect, text: &str) -> Result<(), Fault> {
    if path.len() >= MAX_DEPTH {
        return Err(Fault::client("The envelope is nested too deeply."));
    }
    path.push(name.to_owned());
    if let [_, section, operation] = path.as_slice()
        && section == "Body"
    {
        body.operation.clone_from(operation);
        if !text.contains(&format!("urn:{}.soap.sforce.com", dialect.name)) {
            return Err(Fault::client(&format!("No operation available for request {operation}")));
        }
    }
    Ok(())
}

fn close(path: &mut Vec<String>, content: &str, body: &mut Body) {
    match path.as_slice() {
        [_, header, group, name] if header == "Header" && group == "SessionHeader" && name == "sessionId" => {
            body.session = Some(content.trim().to_owned());
        }
        [_, section, _, name] if section == "Body" => body.fields.push((name.clone(), content.to_owned())),
        _ => (),
    }
    path.pop();
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<String, Fault> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Ok(c.to_string());
    }
    let name = reference.xml10_content();
    let text = resolve_predefined_entity(&name);
    text.map(str::to_owned)
        .ok_or_else(|| Fault::client(&format!("The entity \"{name}\" was referenced, but not declared.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTNER: Dialect = Dialect { name: "partner" };

    fn envelope(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:urn=\"urn:partner.soap.sforce.com\"><e:Header><urn:SessionHeader><urn:sessionId>S!1</urn:sessionId>\
             </urn:SessionHeader></e:Header><e:Body>{inner}</e:Body></e:Envelope>"
        )
    }

    #[test]
    fn escaped_text_is_read_as_it_was_meant() {
        let text = envelope(
            "<urn:login><urn:username>a@b.c</urn:username><urn:password>P&amp;ss&#65;&lt;</urn:password></urn:login>",
        );
        let body = parse(text.as_bytes(), PARTNER).unwrap();
        assert_eq!((body.operation.as_str(), body.session.as_deref()), ("login", Some("S!1")));
        assert_eq!((body.field("username"), body.field("password")), ("a@b.c", "P&ssA<"));
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        assert!(parse(b"", PARTNER).is_err());
        assert!(parse(b"<a><b>", PARTNER).is_err());
        assert!(parse(b"<!DOCTYPE x [<!ENTITY y 'z'>]><a/>", PARTNER).is_err());
        let enterprise = Dialect { name: "enterprise" };
        assert!(parse(envelope("<urn:login/>").as_bytes(), enterprise).is_err());
        assert!(parse("<a>".repeat(100).as_bytes(), PARTNER).is_err());
    }
}
