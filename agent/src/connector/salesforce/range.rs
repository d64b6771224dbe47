//! Ranges of addresses, as operators write them: `203.0.113.0/24`.

use std::net::IpAddr;

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    network: u128,
    mask: u128,
}

impl Range {
    /// Reads an address, alone or with the number of bits that count.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        let mask = u128::MAX.checked_shl(width.checked_sub(bits)?).unwrap_or(0);
        Some(Self { network: number(address) & mask, mask })
    }

    /// Whether the address is one of them.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        number(address) & self.mask == self.network
    }
}

/// IPv4 has a place within IPv6, so that one comparison serves both.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_ipv6_mapped().to_bits(),
        IpAddr::V6(it) => it.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_contains_what_shares_its_first_bits() {
        for (range, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.9.9.9/8", "10.0.0.1", "2001:db8::1"),
            ("0.0.0.0/0", "198.51.100.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", ""),
        ] {
            let read = Range::parse(range).unwrap();
            assert!(read.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(outside.is_empty() || !read.contains(outside.parse().unwrap()), "{range} {outside}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/", "2001:db8::/129", "10.0.0.1-10.0.0.9", "host"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
