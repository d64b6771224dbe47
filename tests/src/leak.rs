//! Finds a secret wherever it may have got to, in whatever form it got there.

use std::path::Path;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// A secret, and what it looks like when a program writes it down.
#[derive(Clone)]
pub struct Wanted {
    name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Wanted {
    /// A secret that is told by this name if it is found.
    pub fn new(name: impl Into<String>, secret: &[u8]) -> Self {
        assert!(secret.len() >= 8, "a secret this short is found by chance");
        let mut forms = vec![
            ("raw", secret.to_vec()),
            ("hexadecimal", HEXLOWER.encode(secret).into_bytes()),
            ("hexadecimal", HEXUPPER.encode(secret).into_bytes()),
        ];
        // Base64 looks different for each place in a group of three; what depends on the neighbours is cut off.
        for (before, cut) in [(0, 0), (1, 2), (2, 3)] {
            let padded = [&vec![0; before][..], secret].concat();
            let whole = padded.len() / 3 * 3;
            for encoding in [BASE64, BASE64URL] {
                let text = encoding.encode(padded.get(..whole).unwrap_or_default());
                forms.push(("base64", text.as_bytes().get(cut..).unwrap_or_default().to_vec()));
            }
        }
        if let Ok(text) = std::str::from_utf8(secret) {
            let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
            forms.push(("UTF-16", utf16(u16::to_le_bytes)));
            forms.push(("UTF-16", utf16(u16::to_be_bytes)));
            let url: String = url::form_urlencoded::byte_serialize(secret).collect();
            forms.push(("URL", url.replace('+', "%20").into_bytes()));
            forms.push(("URL", url.into_bytes()));
            let json = serde_json::Value::from(text).to_string();
            let json = json.get(1..json.len() - 1).unwrap_or_default();
            forms.push(("JSON", json.as_bytes().to_vec()));
            forms.push(("JSON", json.replace('<', "\\u003c").into_bytes()));
            let xml = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            forms.push(("XML", xml.replace('"', "&quot;").into_bytes()));
            forms.push(("XML", xml.into_bytes()));
        }
        Self { name: name.into(), forms }
    }

    /// The first form in which it is in these bytes.
    fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        self.forms.iter().find(|(_, form)| contains(bytes, form)).map(|(name, _)| *name)
    }
}

/// Looks for secrets, and keeps where they were.
pub struct Search {
    wanted: Vec<Wanted>,
    /// What was found, each a sentence.
    pub found: Vec<String>,
}

impl Search {
    /// A search for these.
    pub fn new(wanted: Vec<Wanted>) -> Self {
        Self { wanted, found: Vec::new() }
    }

    /// Looks at something that has a name.
    pub fn look(&mut self, place: &str, bytes: &[u8]) {
        for wanted in &self.wanted {
            if let Some(form) = wanted.found_in(bytes) {
                self.found.push(format!("{} ({form}) is in {place}", wanted.name));
            }
        }
    }

    /// Looks at every file below a folder but those of these names, which are where a secret lives.
    pub fn look_below(&mut self, folder: &Path, but: &[&str]) {
        for entry in std::fs::read_dir(folder).expect("a folder that can be read").flatten() {
            let path = entry.path();
            if but.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            if path.is_dir() {
                self.look_below(&path, but);
            } else if let Ok(bytes) = std::fs::read(&path)
                // Such as the space that a store sets aside.
                && bytes.iter().any(|byte| *byte != 0)
            {
                self.look(&path.display().to_string(), &bytes);
            }
        }
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| rest.iter().position(|byte| byte == first)) {
        let start = from + at;
        if bytes.get(start..).is_some_and(|rest| rest.starts_with(needle)) {
            return true;
        }
        from = start + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = r#"Gi<ven>&"P4ss"\wörd %+"#;
        let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let leaks: [(&str, Vec<u8>); 10] = [
            ("raw", format!("x{secret}y").into_bytes()),
            ("hexadecimal", HEXUPPER.encode(format!("x{secret}y").as_bytes()).into_bytes()),
            ("base64", BASE64.encode(format!("admin:{secret}").as_bytes()).into_bytes()),
            ("base64", BASE64.encode(format!("x{secret}").as_bytes()).into_bytes()),
            ("base64", BASE64URL.encode(format!("xy{secret}z").as_bytes()).into_bytes()),
            ("UTF-16", utf16),
            ("URL", b"p=Gi%3Cven%3E%26%22P4ss%22%5Cw%C3%B6rd+%25%2B&q".to_vec()),
            ("URL", b"/Gi%3Cven%3E%26%22P4ss%22%5Cw%C3%B6rd%20%25%2B/".to_vec()),
            ("JSON", serde_json::json!({ "password": secret }).to_string().into_bytes()),
            ("XML", br#"<password>Gi&lt;ven&gt;&amp;"P4ss"\w"#.iter().chain("örd %+<".as_bytes()).copied().collect()),
        ];
        for (form, bytes) in leaks {
            let mut search = Search::new(vec![Wanted::new("it", secret.as_bytes())]);
            search.look("here", &bytes);
            assert_eq!(search.found, [format!("it ({form}) is in here")]);
            search.found.clear();
            search.look("here", &bytes[..bytes.len() / 2]);
            assert_eq!(search.found, Vec::<String>::new(), "half of it is not it");
        }
    }
}
