//! What is told of finished steps, on its way through the journal: packed, because a batch's is held there until the
//! task ends, and a tenth as long so.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::MAX_NOTE;

/// The notes of a step of which this is told; one without words if it is nothing.
pub(super) fn packed(told: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    if told.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(told)?;
    Ok(packer.finish()?.chunks(MAX_NOTE).map(<[u8]>::to_vec).collect())
}

/// What is told of all steps, from their notes one after the other.
pub fn unpacked(notes: impl Read) -> impl Read {
    Unpacked::Packed(Some(BufReader::new(notes)))
}

enum Unpacked<R: Read> {
    /// Nothing has been read yet; there may be nothing at all.
    Packed(Option<BufReader<R>>),
    Begun(MultiGzDecoder<BufReader<R>>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Packed(notes) = self {
            if notes.as_mut().map(BufReader::fill_buf).transpose()?.is_none_or(<[u8]>::is_empty) {
                return Ok(0);
            }
            if let Some(notes) = notes.take() {
                *self = Self::Begun(MultiGzDecoder::new(notes));
            }
        }
        match self {
            Self::Packed(_) => Ok(0),
            Self::Begun(begun) => begun.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn what_is_told_of_steps_comes_back_whole_and_in_order() {
        let long: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for steps in [vec![], vec![&b""[..]], vec![b"one\n", b"", b"two\n"], vec![&long, b"", b"x", &long]] {
            let notes: Vec<Vec<u8>> = steps.iter().flat_map(|told| packed(told).unwrap()).collect();
            assert!(notes.iter().all(|note| note.len() <= MAX_NOTE) && notes.len() >= steps.len());
            let mut told = Vec::new();
            unpacked(notes.concat().as_slice()).read_to_end(&mut told).unwrap();
            assert_eq!(told, steps.concat());
        }
    }

    /// A batch that was begun before an upgrade goes on behind it, and sends nothing again of which it reads that it was told.
    #[test]
    fn what_the_first_version_packed_is_unpacked() {
        const STEPS: [&str; 3] = [
            "1f8b0800000000000203ab564acd2b29aa54b232ace50200434728570c000000",
            "",
            "1f8b0800000000000203ab564acd2b29aa54b232aae502001af96e550c000000",
        ];
        let notes = HEXLOWER.decode(STEPS.concat().as_bytes()).unwrap();
        let mut told = String::new();
        unpacked(notes.as_slice()).read_to_string(&mut told).unwrap();
        assert_eq!(told, "{\"entry\":1}\n{\"entry\":2}\n");
    }
}
