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

    /// A secret between two texts.
    pub(crate) fn between(&self, before: &str, after: &str) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(before.len() + self.0.len() + after.len()));
        text.push_str(before);
        text.push_str(&self.0);
        text.push_str(after);
        Self(text.into())
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
