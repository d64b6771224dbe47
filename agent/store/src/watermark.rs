//! How much of the store must be there, told beside it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::Incarnation;
use crate::{StoreError, private};

/// `incarnation (16)  group (8, big-endian)  crc32 of both (4, little-endian)`.
const LEN: usize = 28;

/// How many commit groups the store holds at least, kept beside it.
///
/// sled takes a damaged end of its log for a write that a crash cut short, and drops it without a
/// word. So every group carries its number, and after a group is durable its number is written
/// here, without a sync of its own: what is read back later may be too low but never too high. A
/// store with fewer groups than that has lost some.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
}

/// What the file says, if it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) incarnation: Incarnation,
    pub(crate) group: u64,
}

impl Watermark {
    pub(crate) fn read(directory: &Path) -> Result<Option<Mark>, StoreError> {
        let path = directory.join("watermark");
        let error = || StoreError::io("read", &path);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(error())?,
        };
        let mut bytes = [0; LEN];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(error()(source)),
            Ok(()) => Ok(decode(&bytes)),
        }
    }

    pub(crate) fn open(directory: &Path, mark: Mark) -> Result<Self, StoreError> {
        let path = directory.join("watermark");
        let error = || StoreError::io("write", &path);
        let file = private::options().create(true).truncate(false).open(&path).map_err(error())?;
        let watermark = Self { file };
        watermark.raise(mark).and_then(|()| watermark.file.sync_all()).map_err(error())?;
        private::sync_parent(&path)?;
        Ok(watermark)
    }

    pub(crate) fn remove(directory: &Path) -> Result<(), StoreError> {
        let path = directory.join("watermark");
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StoreError::io("remove", &path)),
        }
    }

    pub(crate) fn raise(&self, mark: Mark) -> io::Result<()> {
        self.file.write_all_at(&encode(mark), 0)
    }
}

fn encode(mark: Mark) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let (body, crc) = bytes.split_at_mut(LEN - 4);
    body.copy_from_slice(&[&mark.incarnation.0[..], &mark.group.to_be_bytes()].concat());
    crc.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; LEN]) -> Option<Mark> {
    let (incarnation, rest) = bytes.split_first_chunk::<16>()?;
    let (group, crc) = rest.split_first_chunk::<8>()?;
    let crc = u32::from_le_bytes(crc.try_into().ok()?);
    let mark = Mark { incarnation: Incarnation(*incarnation), group: u64::from_be_bytes(*group) };
    (crc32fast::hash(bytes.get(..LEN - 4)?) == crc).then_some(mark)
}
