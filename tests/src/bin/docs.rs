//! `cargo docs`: writes what the programs say of themselves, and takes away what they do not say any more.

use std::fs;
use std::io;
use std::path::Path;

use postern_tests::reference::{FOLDERS, files};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = files();
    for (path, text) in &files {
        let path = root.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    for folder in FOLDERS {
        for entry in fs::read_dir(root.join(folder))? {
            let path = Path::new(folder).join(entry?.file_name());
            if !files.iter().any(|(it, _)| *it == path) {
                fs::remove_file(root.join(path))?;
            }
        }
    }
    Ok(())
}
