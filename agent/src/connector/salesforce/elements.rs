//! Elements of small XML answers, by local name: prefixes vary.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// Bytes of an answer that is read; that of a sign-in has about forty elements.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Hands on each element that holds text alone, in their order; `None` if this is no such answer.
pub(super) fn each(body: &[u8], mut found: impl FnMut(&str, &mut String)) -> Option<()> {
    if body.len() > MAX_BODY {
        return None;
    }
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let (mut open, mut value) = (String::new(), String::new());
    let mut elements = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                elements += 1;
                tag.local_name().as_ref().clone_into(&mut open);
                value.clear();
            }
            Event::Text(text) => value.push_str(&text.xml10_content()),
            Event::CData(text) => value.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(character) => value.push(character),
                None => value.push_str(resolve_predefined_entity(&reference)?),
            },
            Event::End(tag) => {
                if tag.local_name().as_ref() == open {
                    found(&open, &mut value);
                }
                open.clear();
            }
            Event::DocType(_) => return None,
            Event::Eof => return (elements > 0).then_some(()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (),
        }
    }
}
