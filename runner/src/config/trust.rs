//! Whose permissions hold: folders of projects, each with the digest of the section that the user has looked at.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::environment::Environment;

/// Name of the file, beside the user's configuration.
const FILE: &str = "trust.toml";

/// Why the file of trusted projects cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Nobody knows where the user's files are.
    #[error("there is no folder for the user's configuration")]
    NoHome,
    /// It cannot be read or written.
    #[error("{}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{}: {message}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    trusted: BTreeMap<String, String>,
}

/// The projects that the user has trusted, and digests that the environment names.
#[derive(Debug, Default)]
pub struct Trust {
    path: Option<PathBuf>,
    /// Digests by the folders of the projects, without links.
    trusted: BTreeMap<String, String>,
    named: Vec<String>,
}

impl Trust {
    /// Reads what is known.
    pub fn load(environment: &Environment) -> Result<Self, TrustError> {
        let named = environment.get("ORCH_TRUST").unwrap_or_default();
        let named = named.split([',', ' ']).filter(|digest| !digest.is_empty()).map(str::to_owned).collect();
        let Some(path) = environment.config_home.as_ref().map(|home| home.join("orch").join(FILE)) else {
            return Ok(Self { named, ..Self::default() });
        };
        let written: Written = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| TrustError::Malformed {
                path: path.clone(),
                message: error.message().to_owned(),
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Written::default(),
            Err(source) => return Err(TrustError::File { path, source }),
        };
        Ok(Self { path: Some(path), trusted: written.trusted, named })
    }

    /// Whether the section with this digest holds in a project.
    pub fn holds(&self, folder: &Path, digest: &str) -> bool {
        self.trusted.get(&key(folder)).is_some_and(|trusted| trusted == digest)
            || self.named.iter().any(|named| named == digest)
    }

    /// Trusts a project's section, in the place of an earlier one.
    pub fn add(&mut self, folder: &Path, digest: &str) -> Result<(), TrustError> {
        self.trusted.insert(key(folder), digest.to_owned());
        self.save()
    }

    /// Forgets a project; tells whether it was trusted.
    pub fn remove(&mut self, folder: &Path) -> Result<bool, TrustError> {
        let was = self.trusted.remove(&key(folder)).is_some();
        if was {
            self.save()?;
        }
        Ok(was)
    }

    /// Trusted folders with the digests of their sections.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        self.trusted.iter().map(|(folder, digest)| (folder.as_str(), digest.as_str()))
    }

    fn save(&self) -> Result<(), TrustError> {
        let path = self.path.as_ref().ok_or(TrustError::NoHome)?;
        let folder = path.parent().unwrap_or(path);
        let failed = |source| TrustError::File { path: path.clone(), source };
        let text = toml::to_string(&Written { trusted: self.trusted.clone() })
            .map_err(|error| TrustError::Malformed { path: path.clone(), message: error.to_string() })?;
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            // Of mode 0600, and whole or not at all.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map(|_| ()).map_err(|error| error.error)
        };
        write().map_err(failed)
    }
}

/// A folder under the one name that it has; a folder that is gone goes by the name that was given.
fn key(folder: &Path) -> String {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_trusted_as_it_was_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::of(&[], dir.path(), Some(dir.path().join("home")));
        let load = || Trust::load(&environment).unwrap();
        assert!(!load().holds(dir.path(), "a"));
        load().add(dir.path(), "a").unwrap();
        assert!(load().holds(dir.path(), "a"));
        assert!(!load().holds(dir.path(), "b") && !load().holds(Path::new("/"), "a"));
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(load().holds(&dir.path().join("link"), "a"));
        load().add(dir.path(), "b").unwrap();
        assert!(!load().holds(dir.path(), "a"));
        assert_eq!(load().list().count(), 1);
        assert!(load().remove(dir.path()).unwrap());
        assert!(!load().remove(dir.path()).unwrap());
        std::fs::write(dir.path().join("home/orch/trust.toml"), "x").unwrap();
        assert!(matches!(Trust::load(&environment), Err(TrustError::Malformed { .. })));
    }

    #[test]
    fn the_environment_names_digests() {
        let environment = Environment::of(&[("ORCH_TRUST", "a,b")], "/", None);
        let mut trust = Trust::load(&environment).unwrap();
        assert!(trust.holds(Path::new("/x"), "a") && trust.holds(Path::new("/y"), "b"));
        assert!(!trust.holds(Path::new("/x"), "") && !trust.holds(Path::new("/x"), "c"));
        assert!(matches!(trust.add(Path::new("/x"), "c"), Err(TrustError::NoHome)));
    }
}
