//! Where modules come from: the files of the project, and those that ship with the program.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::diagnostic::SourceText;

/// Ending of a script's file, which an import may leave out.
const EXTENSION: &str = "orch";
/// Longest module, in bytes.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Modules that ship with the program: name and text.
pub(crate) const STANDARD: &[(&str, &str)] = &[
    ("assert", include_str!("../../../../stdlib/modules/assert.orch")),
    ("maintenance", include_str!("../../../../stdlib/modules/maintenance.orch")),
    ("retry", include_str!("../../../../stdlib/modules/retry.orch")),
    ("rollout", include_str!("../../../../stdlib/modules/rollout.orch")),
    ("table", include_str!("../../../../stdlib/modules/table.orch")),
    ("text", include_str!("../../../../stdlib/modules/text.orch")),
];

/// Where the imports of a script are looked for.
#[derive(Debug, Clone, Default)]
pub struct Library {
    root: Option<PathBuf>,
    folder: Option<PathBuf>,
    paths: Vec<PathBuf>,
}

/// Where a file of a program lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: a text that was given, or typed.
    Given,
    /// A module that ships with the program.
    Standard,
    /// A file of the project.
    File(PathBuf),
}

impl Library {
    /// The modules of a project, beside those of the program.
    ///
    /// `root` is the project's folder, which no import leaves; `folder` that of the script; `paths` are folders whose
    /// modules can be named without a path, before those of the program.
    pub fn project(root: &Path, folder: &Path, paths: Vec<PathBuf>) -> Self {
        Self { root: Some(root.to_owned()), folder: Some(folder.to_owned()), paths }
    }

    /// Reads the module that a file imports by this path.
    ///
    /// # Errors
    /// With a sentence on why there is none.
    pub(super) fn read(&self, from: &Place, path: &str) -> Result<(Place, SourceText), String> {
        let relative = path.starts_with("./") || path.starts_with("../");
        if relative {
            let base = match from {
                Place::File(file) => file.parent().map(Path::to_owned),
                Place::Given => self.folder.clone(),
                Place::Standard => None,
            };
            let base = base.ok_or("a script that is not a file of a project has nothing beside it")?;
            return self.file(&base.join(path));
        }
        if Path::new(path).components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err("write `./NAME` for a file beside this one, or the name of a module of the library"
                .to_owned());
        }
        for folder in &self.paths {
            let candidate = with_extension(&folder.join(path));
            if candidate.exists() {
                return self.file(&candidate);
            }
        }
        match STANDARD.iter().find(|(name, _)| *name == path) {
            Some((name, text)) => Ok((Place::Standard, SourceText::new(&format!("std/{name}.orch"), text))),
            None => Err("there is no such module".to_owned()),
        }
    }

    /// Reads a file, unless it lies outside of the project, by whatever links.
    fn file(&self, path: &Path) -> Result<(Place, SourceText), String> {
        let path = with_extension(path);
        let read = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        let real = path.canonicalize().map_err(read)?;
        let inside = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
        if !self.root.iter().chain(&self.paths).any(inside) {
            return Err(format!("{} lies outside of the project", path.display()));
        }
        let mut text = String::new();
        std::fs::File::open(&real)
            .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
            .map_err(read)?;
        let name = self.shown(&path);
        Ok((Place::File(real), SourceText::new(&name, &text)))
    }

    /// A path as the reader knows it: from the working folder where that is shorter.
    fn shown(&self, path: &Path) -> String {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if plain.file_name().is_some() => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        plain.display().to_string()
    }

    /// Names of the modules that ship with the program.
    pub(crate) fn standard() -> impl Iterator<Item = &'static str> {
        STANDARD.iter().map(|(name, _)| *name)
    }
}

fn with_extension(path: &Path) -> PathBuf {
    match path.extension() {
        Some(extension) if extension == EXTENSION => path.to_owned(),
        _ => {
            let mut name = path.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
            name.push(".");
            name.push(EXTENSION);
            path.with_file_name(name)
        }
    }
}
