//! Passwords that the agent makes up.

use zeroize::Zeroizing;

use crate::random;

/// Longer than any policy demands; 24 characters of these alphabets are more than 130 bits.
const LENGTH: usize = 24;
/// No characters that people mistake for one another when they have to type them.
const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &[u8] = b"23456789";
/// Salesforce's own list of special characters, without those that shells, XML or CSV mistreat.
const SPECIAL: &[u8] = b"!#$%-_=+.?";
const ALL: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#$%-_=+.?";

/// Makes up a password with characters of every class.
pub(super) fn generate() -> Zeroizing<String> {
    let mut password = Zeroizing::new(Vec::with_capacity(LENGTH));
    for alphabet in [LOWER, UPPER, DIGITS, SPECIAL] {
        password.push(pick(alphabet));
    }
    while password.len() < LENGTH {
        password.push(pick(ALL));
    }
    // Otherwise everybody would know which class stands where.
    for last in (1..password.len()).rev() {
        password.swap(last, below(last + 1));
    }
    Zeroizing::new(password.iter().copied().map(char::from).collect())
}

fn pick(alphabet: &[u8]) -> u8 {
    alphabet.get(below(alphabet.len())).copied().unwrap_or(b'x')
}

/// A uniform number below `bound`, which is at most 256.
fn below(bound: usize) -> usize {
    let fair = 256 - 256 % bound.max(1);
    loop {
        let [byte] = random::bytes();
        let number = usize::from(byte);
        if number < fair {
            return number % bound.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_in_every_password() {
        for _ in 0..200 {
            let password = generate();
            assert_eq!(password.len(), LENGTH);
            for class in [LOWER, UPPER, DIGITS, SPECIAL] {
                assert!(password.bytes().any(|byte| class.contains(&byte)), "a class is missing");
            }
            assert!(password.bytes().all(|byte| ALL.contains(&byte)));
        }
    }

    #[test]
    fn no_two_are_alike() {
        let many: std::collections::BTreeSet<String> = (0..100).map(|_| generate().to_string()).collect();
        assert_eq!(many.len(), 100);
    }

    #[test]
    fn numbers_are_uniform() {
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[below(10)] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    }
}
