//! `cargo docs`: writes what the programs say of themselves, into `docs/reference`; with a folder, what packages have of it
//! into that.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

use postern_tests::reference;

fn main() -> io::Result<()> {
    let (folder, files) = match env::args_os().nth(1) {
        Some(folder) => (folder.into(), reference::packaged()),
        None => (PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."), reference::pages()),
    };
    for (path, text) in files {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    Ok(())
}
