//! What an administrator writes by hand: the configuration, the schema of a system, the files that they name.

use std::path::Path;

use postern_agent::config::Config;
use postern_agent::connector::salesforce::Type;
use postern_agent::connector::{Schemas as _, type_of};
use postern_store::private;
use tempfile::TempDir;

use crate::{choice, grown};

/// The configuration, with the settings of its connected systems. No file that it names is opened.
pub fn configuration(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    match Config::parse(Path::new("agent.toml"), text) {
        Ok(config) => {
            for system in &config.systems {
                if let Err(error) = type_of(system).and_then(|it| it.whereabouts(system)) {
                    assert!(error.to_string().starts_with("agent.toml:"), "{error} tells no place");
                }
            }
            true
        }
        Err(error) => {
            assert!(error.to_string().starts_with("agent.toml:"), "{error} tells no place");
            false
        }
    }
}

/// A schema: what was read is written, and means the same again.
pub fn schema(data: &[u8]) -> bool {
    let data = grown(data);
    let Ok(text) = std::str::from_utf8(&data) else { return false };
    let Ok(schema) = Type.read(text) else { return false };
    let again = Type.read(&schema.xml).expect("what was written can be read");
    assert_eq!((again.xml, again.attributes), (schema.xml, schema.attributes), "it means something else");
    true
}

/// A file that is named for the key of a connected app, and one for roots: by the first byte, one is of these bytes and the
/// other good. What is in it, no error repeats.
pub fn pem_file(data: &[u8]) -> bool {
    thread_local!(static FOLDER: TempDir = good_files());
    let (which, bytes) = choice(data);
    let (key, roots) = if which % 2 == 0 { ("any", "roots.pem") } else { ("key.pem", "any") };
    let text = FOLDER.with(|folder| {
        private::replace(&folder.path().join("any"), bytes).expect("it can be written");
        let file = |name: &str| folder.path().join(name).display().to_string();
        format!(
            "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[connected_system.salesforce]\n\
             method = \"oauth-jwt\"\nconsumer_key = \"k\"\nusername = \"u\"\nprivate_key = {{ file = {:?} }}\n\
             root_certificates = [{:?}]\nonly_these_roots = true\n",
            file(key),
            file(roots)
        )
    });
    let config = Config::parse(Path::new("agent.toml"), &text).expect("it is a configuration");
    let system = config.systems.first().expect("it has a system");
    match type_of(system).and_then(|it| it.check(system)) {
        Ok(()) => {
            assert!(bytes.windows(11).any(|it| it == b"-----BEGIN "), "it is no PEM");
            true
        }
        Err(error) => {
            let told = format!("{error:?} {error}");
            let repeated = bytes.split(|byte| *byte == b'\n').filter(|line| line.len() > 32);
            let repeated = repeated.filter_map(|line| std::str::from_utf8(line).ok()).find(|line| told.contains(line));
            assert_eq!(repeated, None, "{told}");
            false
        }
    }
}

/// A folder with a key and with roots that are good.
fn good_files() -> TempDir {
    let folder = TempDir::new().expect("there is a place for a folder");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/pem_file");
    for (seed, name) in [("key", "key.pem"), ("roots", "roots.pem")] {
        let seed = std::fs::read(corpus.join(seed)).expect("the seed is there");
        private::replace(&folder.path().join(name), choice(&seed).1).expect("it can be written");
    }
    folder
}
