//! `postern schema`: the file of a connected system's schema.

use std::path::{Path, PathBuf};

use postern_store::private::{self, Inspection};

use super::{Failed, load, load_private, say, say_error};
use crate::cli::{Schema, SchemaCommand};
use crate::config::System;
use crate::connector::{self, Schemas};
use crate::exit::Exit;

pub(super) fn run(config: &Path, options: &Schema) -> Result<Exit, Failed> {
    let config = match options.command {
        SchemaCommand::Show | SchemaCommand::Export { .. } => load(config)?,
        SchemaCommand::Import { .. } | SchemaCommand::Reset => load_private(config)?,
    };
    let system = super::check_system(&config, &options.system)?;
    let schemas = schemas(system)?;
    match &options.command {
        SchemaCommand::Show => say(schemas.in_force(system)?.text.trim_end()),
        SchemaCommand::Export { output: None } => say(schemas.in_force(system)?.xml.trim_end()),
        SchemaCommand::Export { output: Some(file) } => write(file, &schemas.in_force(system)?.xml)?,
        SchemaCommand::Import { from } => {
            let read = schemas
                .read_file(from)
                .map_err(|problem| Failed::new(Exit::Usage, format!("`{}`: {problem}", from.display())))?;
            let file = file(schemas, system)?;
            write(&file, &read.xml)?;
            say(format_args!("{} attributes were written to `{}`", read.attributes, file.display()));
            if !read.strange.is_empty() {
                say_error(format_args!(
                    "these are no attributes of the standard schema, so see that they are spelt right (`postern exec \
                     describe_schema` asks the org): {}",
                    read.strange.join(", ")
                ));
            }
        }
        SchemaCommand::Reset => write(&file(schemas, system)?, &schemas.standard().xml)?,
    }
    Ok(Exit::Ok)
}

fn schemas(system: &System) -> Result<&'static dyn Schemas, Failed> {
    connector::type_of(system)?.schemas().ok_or_else(|| {
        let message = format!(
            "`{}` has no schema that could be edited: its connector, `{}`, has none",
            system.name, system.connector
        );
        Failed::new(Exit::Usage, message)
    })
}

/// The file that the configuration names, if its agent could read what is written there.
fn file(schemas: &dyn Schemas, system: &System) -> Result<PathBuf, Failed> {
    let file = schemas.file(system)?.ok_or_else(|| {
        let message = format!(
            "the standard schema is in force on `{0}`; to have another, name a file for it as `schema` in the settings of \
             `{0}`, then run this again",
            system.name
        );
        Failed::new(Exit::Config, message)
    })?;
    let mut inspection = Inspection::default();
    inspection.writable_for_its_reader(&file).map_err(|error| Failed::because(Exit::Config, &error))?;
    inspection.done().map_err(|error| Failed::because(Exit::Config, &error))?;
    Ok(file)
}

fn write(file: &Path, xml: &str) -> Result<(), Failed> {
    private::replace(file, xml.as_bytes()).map_err(|error| Failed::because(Exit::Failed, &error))
}
