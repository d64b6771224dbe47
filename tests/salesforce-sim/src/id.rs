//! Record ids: 15 case-sensitive characters, or 18 that survive case folding.

use std::fmt;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id of one record. Compared on its 15 significant characters, printed with 18.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId([u8; 15]);

impl RecordId {
    /// The id number `serial` of the org number `org`, for the object with this key prefix.
    pub(crate) fn new(prefix: &str, org: u32, serial: u64) -> Self {
        let mut text = *b"0005g0000000000";
        for (place, byte) in text.iter_mut().zip(prefix.bytes().take(3)) {
            *place = byte;
        }
        let (head, digits) = text.split_at_mut(9);
        write_base62(head.get_mut(6..).unwrap_or_default(), u64::from(org));
        write_base62(digits, serial);
        Self(text)
    }

    /// Reads an id of 15 characters, or of 18 with the right suffix.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (body, suffix) = bytes.split_at_checked(15)?;
        if !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let id = Self(body.try_into().ok()?);
        let suffix_is_right = suffix.is_empty() || suffix.eq_ignore_ascii_case(&id.suffix());
        suffix_is_right.then_some(id)
    }

    /// Whether this id belongs to the object with this key prefix (`005` is User).
    pub(crate) fn has_prefix(self, prefix: &str) -> bool {
        self.0.starts_with(prefix.as_bytes())
    }

    /// The 15 characters, as session ids and server URLs carry the org.
    pub(crate) fn short(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Bit k of a block of five says that its k-th character is upper case.
    fn suffix(self) -> [u8; 3] {
        let mut suffix = [b'A'; 3];
        for (place, block) in suffix.iter_mut().zip(self.0.chunks(5)) {
            let bits = block
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_uppercase())
                .fold(0_usize, |bits, (k, _)| bits | (1 << k));
            *place = SUFFIX.get(bits).copied().unwrap_or(b'A');
        }
        suffix
    }
}

fn write_base62(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev() {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        *place = BASE62.get(digit).copied().unwrap_or(b'0');
        number /= 62;
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().chain(&self.suffix()) {
            fmt::Write::write_char(f, char::from(*byte))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids of real orgs, published in recorded responses.
    const REAL: &[&str] = &[
        "0015500001QdQWaAAN",
        "0015500001QdQWfAAN",
        "0035500001H9cakAAB",
        "0057e00000RmwSWAAZ",
        "003P000001avB5GIAU",
        "750P0000006HoSaIAK",
        "005D0000001KyEIIA0",
    ];

    #[test]
    fn the_suffix_is_that_of_real_ids() {
        for real in REAL {
            let short = real.get(..15).unwrap();
            assert_eq!(RecordId::parse(short).unwrap().to_string(), **real);
        }
    }

    #[test]
    fn a_wrong_suffix_or_length_is_no_id() {
        assert!(RecordId::parse("0015500001QdQWaAAM").is_none());
        assert!(RecordId::parse("0015500001QdQWa0").is_none());
        assert!(RecordId::parse("00155").is_none());
        assert!(RecordId::parse("0015500001QdQ'a").is_none());
    }

    #[test]
    fn serials_give_different_ids_with_the_prefix() {
        let one = RecordId::new("005", 1, 61);
        let two = RecordId::new("005", 1, 62);
        assert!(one.has_prefix("005") && !one.has_prefix("00e"));
        assert_ne!(one, two);
        assert_ne!(one, RecordId::new("005", 2, 61));
        assert_eq!(RecordId::parse(&one.to_string()), Some(one));
    }
}
