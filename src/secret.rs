//! Keys, and how they stay hidden in output.

use std::fmt;

/// A key that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    // Only the HTTP backends read keys.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn new(text: &str) -> Self {
        // A trailing newline from a file or variable is not part of a key.
        Self(text.trim().to_owned())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[set]")
    }
}
