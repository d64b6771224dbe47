//! The whole story of an error, told once, at the edge.

use std::error::Error;
use std::fmt;

/// Where libraries send programmers, behind what they say to everybody.
const FOR_PROGRAMMERS: &str = ": https://docs.rs/";

/// Shows an error and everything beneath it, separated by colons.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut beneath = self.0.source();
        while let Some(error) = beneath {
            told.extend([": ", &error.to_string()]);
            beneath = error.source();
        }
        f.write_str(told.find(FOR_PROGRAMMERS).and_then(|end| told.get(..end)).unwrap_or(&told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_tells_programmers_is_not_told_to_operators() {
        let closed =
            std::io::Error::other("peer closed connection: https://docs.rs/rustls/latest/rustls/manual/index.html");
        assert_eq!(Chain(&closed).to_string(), "peer closed connection");
    }
}
