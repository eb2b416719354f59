//! One source of values, and where each of them stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;

/// Why a configuration cannot be used. Prints as `FILE:LINE:COLUMN: what`, so that editors can jump there.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{0}")]
    File(String),
    /// Not TOML, an unknown key, or a value that cannot be.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, or none for the compiled-in default.
    pub file: Option<Arc<Path>>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}:{}", file.display(), self.line, self.column),
            None => write!(f, "default.toml:{}:{}", self.line, self.column),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// The error that blames this value.
    pub fn invalid(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { origin: self.origin.clone(), message: message.into() }
    }

    /// The same place with what the value becomes, or the error that blames it.
    pub(super) fn try_map<U, E: Into<String>>(
        &self,
        convert: impl FnOnce(&T) -> Result<U, E>,
    ) -> Result<Setting<U>, ConfigError> {
        let value = convert(&self.value).map_err(|message| self.invalid(message))?;
        Ok(Setting { value, origin: self.origin.clone() })
    }
}

impl Setting<String> {
    /// The text as a path, taken from the folder of the file that it stands in.
    pub(super) fn path(&self) -> Result<Setting<PathBuf>, ConfigError> {
        if self.value.is_empty() {
            return Err(self.invalid("a path is needed here"));
        }
        let folder = self.origin.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        Ok(Setting { value: folder.join(&self.value), origin: self.origin.clone() })
    }
}

/// A source of values: the default, or a file.
pub(super) struct Layer<R> {
    file: Option<Arc<Path>>,
    text: String,
    raw: R,
}

impl<R: DeserializeOwned> Layer<R> {
    pub(super) fn parse(file: Option<&Path>, text: &str) -> Result<Self, ConfigError> {
        let file = file.map(Arc::from);
        let raw = toml::from_str(text).map_err(|e| ConfigError::Invalid {
            origin: origin(file.as_ref(), text, e.span().map_or(0, |span| span.start)),
            message: e.message().to_owned(),
        })?;
        Ok(Self { file, text: text.to_owned(), raw })
    }

    fn setting<T: Clone>(&self, value: &Spanned<T>) -> Setting<T> {
        let origin = origin(self.file.as_ref(), &self.text, value.span().start);
        Setting { value: value.get_ref().clone(), origin }
    }
}

/// The value of a key: the file's, or the default's.
pub(super) fn pick<R: DeserializeOwned, T: Clone>(
    layers: &[Layer<R>; 2],
    field: impl Fn(&R) -> &Option<Spanned<T>>,
) -> Result<Setting<T>, ConfigError> {
    let [default, file] = layers;
    [file, default]
        .into_iter()
        .find_map(|layer| field(&layer.raw).as_ref().map(|value| layer.setting(value)))
        .ok_or_else(|| ConfigError::Invalid {
            origin: origin(None, "", 0),
            message: "a key of the reference has no default".to_owned(),
        })
}

fn origin(file: Option<&Arc<Path>>, text: &str, offset: usize) -> Origin {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    Origin {
        file: file.cloned(),
        line: before.matches('\n').count().saturating_add(1),
        column: before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1),
    }
}
