//! The node's policy files: a folder, read into `wire::policy`, which decides.

use std::path::{Path, PathBuf};

use orch_wire::policy::{Effect, MAX_FILE, Policies, Settings};

use crate::files::{self, FileError};
use crate::problem::Problem;

/// Most files of the folder.
const FILES: usize = 4096;

/// Where policies come from.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// The folder; a missing one holds none.
    pub folder: Option<PathBuf>,
    /// What holds where no file speaks.
    pub settings: Settings,
}

impl Default for PolicySource {
    /// No files, and every holder of the key may do everything.
    fn default() -> Self {
        Self { folder: None, settings: Settings { unconfigured: Effect::Allow, ..Settings::default() } }
    }
}

impl PolicySource {
    /// Reads the files. One that cannot be used denies, and is told.
    pub(crate) fn read(&self) -> (Policies, Vec<Problem>) {
        let mut policies = Policies::new(self.settings);
        let mut problems = Vec::new();
        let Some(folder) = &self.folder else { return (policies, problems) };
        match files::list(folder, FILES) {
            Ok(paths) => {
                for path in paths {
                    add(&mut policies, &path);
                }
            }
            Err(error) => {
                // Nobody knows what the folder would say.
                policies = Policies::new(Settings { unconfigured: Effect::Deny, ..self.settings });
                problems.push(error.into());
            }
        }
        let faults = policies.faults();
        problems
            .extend(faults.iter().map(|fault| Problem::new(&folder.join(&*fault.file), fault.to_string())));
        (policies, problems)
    }
}

fn add(policies: &mut Policies, path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| Policies::takes(name))
    else {
        return;
    };
    match text_of(path) {
        Ok(text) => policies.add(name, text.strip_prefix('\u{feff}').unwrap_or(&text)),
        Err(error) => policies.add_unreadable(name, format!("it cannot be used: {}", error.full())),
    }
}

/// Who could change a policy could do everything.
fn text_of(path: &Path) -> Result<String, FileError> {
    let (file, metadata) = files::open(path)?;
    files::refuse_if_others_write(path, &metadata)?;
    let bytes = files::read_from(&file, path, MAX_FILE)?;
    String::from_utf8(bytes).map_err(|_| FileError::refused(path, "is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_others_can_write_denies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.policy");
        fs::write(&path, "policy default allow\n").unwrap();
        fs::write(folder.path().join("README"), "no policy").unwrap();
        let source = PolicySource { folder: Some(folder.path().to_owned()), ..PolicySource::default() };
        assert_eq!(source.read().1, []);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let (policies, problems) = source.read();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(!policies.faults_for("service").is_empty());
    }
}
