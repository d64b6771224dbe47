//! Finds a secret wherever it may have got to, in whatever form it got there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
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
}

/// The pairs of bytes that there are.
const PAIRS: usize = 1 << 16;

/// Looks for secrets, and keeps where they were.
pub struct Search {
    wanted: Vec<Wanted>,
    /// For each pair of bytes the forms that begin with it, so that much is searched for much at once.
    begins: Vec<Vec<(usize, usize)>>,
    /// What was found, each a sentence.
    pub found: Vec<String>,
}

impl Search {
    /// A search for these.
    pub fn new(wanted: Vec<Wanted>) -> Self {
        let mut begins = vec![Vec::new(); PAIRS];
        for (number, it) in wanted.iter().enumerate() {
            for (form, (_, bytes)) in it.forms.iter().enumerate() {
                begins[pair(bytes)].push((number, form));
            }
        }
        Self { wanted, begins, found: Vec::new() }
    }

    /// Looks at something that has a name.
    pub fn look(&mut self, place: &str, bytes: &[u8]) {
        let found = self.found_in(bytes);
        self.tell(place, &found);
    }

    /// Looks at what a process has in its memory, and no file has: what would be in an image of it.
    ///
    /// # Errors
    ///
    /// What the system said. Only who may trace any process, as root may, looks into one that keeps its memory private.
    pub fn look_into(&mut self, place: &str, process: u32) -> io::Result<()> {
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
        let memory = File::open(format!("/proc/{process}/mem"))?;
        let mut found = BTreeMap::new();
        for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
            let (begin, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
            let number = |text| u64::from_str_radix(text, 16).expect("an address");
            let mut bytes = vec![0; usize::try_from(number(end) - number(begin)).expect("what memory has room for")];
            // It may have been given back since.
            if memory.read_exact_at(&mut bytes, number(begin)).is_err() {
                continue;
            }
            found.append(&mut self.found_in(&bytes));
        }
        self.tell(place, &found);
        Ok(())
    }

    /// What is in these bytes: the number of each secret, with that of the first of its forms.
    fn found_in(&self, bytes: &[u8]) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::new();
        for (place, two) in bytes.windows(2).enumerate() {
            for (number, form) in &self.begins[pair(two)] {
                if bytes[place..].starts_with(&self.wanted[*number].forms[*form].1) {
                    let first = found.entry(*number).or_insert(*form);
                    *first = *form.min(first);
                }
            }
        }
        found
    }

    fn tell(&mut self, place: &str, found: &BTreeMap<usize, usize>) {
        for (number, form) in found {
            let wanted = &self.wanted[*number];
            self.found.push(format!("{} ({}) is in {place}", wanted.name, wanted.forms[*form].0));
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

fn pair(bytes: &[u8]) -> usize {
    bytes.iter().take(2).fold(0, |pair, byte| pair << 8 | usize::from(*byte))
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
