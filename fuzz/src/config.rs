//! What an administrator writes by hand: the configuration, and the schema of a system.

use std::path::Path;

use postern_agent::config::Config;
use postern_agent::connector::salesforce::Type;
use postern_agent::connector::{Schemas as _, type_of};

/// The configuration, with the settings of its connected systems. No file that it names is opened.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(Path::new("agent.toml"), text) {
        Ok(config) => {
            for system in &config.systems {
                if let Err(error) = type_of(system).and_then(|it| it.whereabouts(system)) {
                    assert!(error.to_string().starts_with("agent.toml:"), "{error} tells no place");
                }
            }
        }
        Err(error) => assert!(error.to_string().starts_with("agent.toml:"), "{error} tells no place"),
    }
}

/// A schema: what was read is written, and means the same again.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(schema) = Type.read(text) else { return };
    let again = Type.read(&schema.xml).expect("what was written can be read");
    assert_eq!((again.xml, again.attributes), (schema.xml, schema.attributes), "it means something else");
}
