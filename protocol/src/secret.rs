//! Values that nobody may print.

use std::fmt;

use zeroize::Zeroizing;

/// A password, token or key in text form: printable by nobody, wiped on drop.
///
/// There is no `Display`, `Deref`, `PartialEq` or `Serialize`. Code that needs the value says so with
/// [`Secret::expose`], which makes every use findable.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a secret text.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        let shown = format!("{:?}", Some(Secret::new("hunter2".to_owned())));
        assert_eq!(shown, "Some(Secret(***))");
    }
}
