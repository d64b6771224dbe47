//! The `format` file: the first thing looked at, readable by every version for ever.
//!
//! Lines of text: `format = 1`, `version = 0.1.0`, the program that gave it this format,
//! `check = <hex>`, an empty message sealed with the store's key, and `rekeyed = yes` while what
//! this key opens is not in its place yet. It is outside sled because opening sled already writes.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::seal::Sealer;
use crate::{StoreError, private};

/// The layout and record format this version writes.
pub const FORMAT: u32 = 1;

/// What this version can read.
const READABLE: RangeInclusive<u32> = 1..=FORMAT;

/// Our version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The longest name of a version that is repeated to people.
const MAX_VERSION: usize = 32;

/// Far more than any version has reason to write.
const MAX_FILE: u64 = 4096;
const CONTEXT: &[u8] = b"postern-store key check 1";

/// What the `format` file said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Ours,
    /// Ours, and what this key opens is still beside what the old one opened.
    Rekeyed,
    /// It is there and cannot be understood: damage.
    Unreadable,
}

/// Looks without touching.
///
/// # Errors
///
/// [`StoreError::OtherFormat`] and [`StoreError::WrongKey`].
pub(crate) fn look(directory: &Path, sealer: &Sealer) -> Result<Found, StoreError> {
    let path = directory.join("format");
    let text = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Ok(found) if found.len() > MAX_FILE => return Ok(Found::Unreadable),
        Ok(_) => fs::read(&path).map_err(StoreError::io("read", &path))?,
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let Ok(text) = String::from_utf8(text) else {
        return Ok(Found::Unreadable);
    };
    let Some(found) = field(&text, "format").and_then(|it| it.parse::<u32>().ok()) else {
        return Ok(Found::Unreadable);
    };
    if !READABLE.contains(&found) {
        let is_plain = |it: &&str| it.len() <= MAX_VERSION && it.bytes().all(|byte| byte.is_ascii_graphic());
        let version = field(&text, "version").filter(is_plain).unwrap_or("unknown").to_owned();
        return Err(StoreError::OtherFormat {
            path: directory.to_owned(),
            found,
            version,
            ours: VERSION,
            known: READABLE,
        });
    }
    let Some(check) = field(&text, "check").and_then(|it| HEXLOWER_PERMISSIVE.decode(it.as_bytes()).ok()) else {
        return Ok(Found::Unreadable);
    };
    if sealer.open(CONTEXT, &check).is_none() {
        return Err(StoreError::WrongKey { path: directory.to_owned() });
    }
    Ok(if field(&text, "rekeyed").is_some() { Found::Rekeyed } else { Found::Ours })
}

pub(crate) fn write(directory: &Path, sealer: &Sealer) -> Result<(), StoreError> {
    put(directory, sealer, "")
}

/// From here on the store is that of this key, and what is beside has yet to take its place.
pub(crate) fn write_rekeyed(directory: &Path, sealer: &Sealer) -> Result<(), StoreError> {
    put(directory, sealer, "rekeyed = yes\n")
}

fn put(directory: &Path, sealer: &Sealer, more: &str) -> Result<(), StoreError> {
    let mut check = Vec::new();
    sealer.seal(CONTEXT, &[], &mut check).map_err(StoreError::Entropy)?;
    let text = format!("format = {FORMAT}\nversion = {VERSION}\ncheck = {}\n{more}", HEXLOWER.encode(&check));
    Ok(private::replace(&directory.join("format"), text.as_bytes())?)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(" = ")?.trim()))
}
