//! Texts that nobody shall see.

use std::fmt;

use zeroize::Zeroizing;

/// A value that is shown as `***`, and wiped when nobody needs it any more.
#[derive(Clone)]
pub(crate) struct Secret(std::sync::Arc<Zeroizing<String>>);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()).into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
