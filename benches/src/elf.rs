//! How much of a program is the program.

use crate::Failure;

/// A segment that is mapped when the program starts.
const PT_LOAD: u32 = 1;
/// The file header's length, and the least length of a segment's header.
const FILE_HEADER: usize = 64;
const SEGMENT_HEADER: usize = 56;

/// The bytes of a 64-bit ELF file that are mapped when it starts: all but symbols and line tables, which is about what
/// `strip` leaves.
///
/// # Errors
///
/// The bytes are no such file.
pub fn mapped_bytes(file: &[u8]) -> Result<u64, Failure> {
    let header = file.get(..FILE_HEADER).filter(|header| header.starts_with(b"\x7fELF\x02\x01"));
    let header = header.ok_or("not a 64-bit little-endian ELF file")?;
    let offset = usize::try_from(number(header, 32..40)?)?;
    let size = usize::try_from(number(header, 54..56)?)?;
    let count = usize::try_from(number(header, 56..58)?)?;
    let headers = file.get(offset..).filter(|_| size >= SEGMENT_HEADER).ok_or("the ELF file is cut short")?;
    let mut mapped = 0;
    for segment in headers.chunks_exact(size).take(count) {
        if number(segment, 0..4)? == u64::from(PT_LOAD) {
            mapped += number(segment, 32..40)?;
        }
    }
    Ok(mapped)
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8], at: std::ops::Range<usize>) -> Result<u64, Failure> {
    let bytes = bytes.get(at).ok_or("the ELF file is cut short")?;
    Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_are_mapped_count() {
        let mut file = vec![0; FILE_HEADER + 3 * SEGMENT_HEADER];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[32], file[54], file[56]) = (64, 56, 3);
        for (segment, kind, size) in [(0, 1, 10), (1, 4, 100), (2, 1, 7)] {
            let at = FILE_HEADER + segment * SEGMENT_HEADER;
            (file[at], file[at + 33], file[at + 32]) = (kind, 1, size);
        }
        assert_eq!(mapped_bytes(&file).unwrap(), 2 * 256 + 17);
        assert!(mapped_bytes(&file[..40]).is_err());
        assert!(mapped_bytes(b"#!/bin/sh").is_err());
    }
}
