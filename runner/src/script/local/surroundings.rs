//! What a script is given of the operator's machine, and which file a path of it means.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;

use super::permissions::{Grants, Permissions, plain};
use super::walk::{Root, Spot, Stopped};
use crate::script::types::{Failure, Kind, Outcome, usage};

/// Name of the file that makes a folder a project, and says what its scripts ask for.
const CONFIGURATION: &str = "orch.toml";
/// Most times that a path leads out of one folder and into another that may be read.
const MOST_HOPS: usize = 8;

/// What the operator is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The words of the script: not yet fit for a terminal.
    pub text: String,
    /// What sort of answer is expected.
    pub wants: Wants,
}

/// Sort of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// A line.
    Line,
    /// A line of which nothing is shown while it is typed.
    Secret,
    /// `yes` or `no`: the line is one of these.
    Consent,
}

/// Asks the operator: the question, and what ends the wait. Gives the line without its end, and nothing when the input ends.
///
/// An error says in a sentence why nobody can be asked.
pub type Prompt = Arc<
    dyn Fn(Question, CancellationToken) -> BoxFuture<'static, Result<Option<String>, String>> + Send + Sync,
>;

/// The folder that a script's files lie in.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    folder: PathBuf,
    declared: bool,
    /// Folders whose modules are imported by their names.
    pub(crate) modules: Vec<PathBuf>,
}

impl Project {
    /// The project of a script: `root` is the folder of its `orch.toml`, or that of the script where there is none; `folder` is
    /// that of the script, which relative paths are taken from. Modules are looked for in `modules` too.
    ///
    /// # Errors
    /// When one of the folders is not there.
    pub fn new(root: &Path, folder: &Path, modules: Vec<PathBuf>) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let declared = root.join(CONFIGURATION).is_file();
        Ok(Self { folder: folder.canonicalize()?, root, declared, modules })
    }

    /// The folder that files are confined to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the script.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same project, for a script in another folder.
    pub(crate) fn with_folder(&self, folder: PathBuf) -> Self {
        Self { folder, ..self.clone() }
    }
}

/// What a script reaches on the operator's machine. By default nothing.
#[derive(Clone, Default)]
pub struct Local {
    /// The files around it.
    pub project: Option<Project>,
    /// What it may do beyond them.
    pub permissions: Permissions,
    /// The environment: what of it a script sees is a matter of its permissions.
    pub variables: Arc<BTreeMap<String, String>>,
    /// A folder that no script writes into, wherever it lies: that of the user's configuration.
    pub kept: Option<PathBuf>,
    /// How the operator is asked.
    pub prompt: Option<Prompt>,
    /// The operator has consented to whatever the script would ask about.
    pub consents: bool,
}

impl fmt::Debug for Local {
    /// Without the environment: there are secrets in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("project", &self.project).finish_non_exhaustive()
    }
}

/// Where a path leads.
pub(super) struct Located {
    pub(super) root: Root,
    pub(super) spot: Spot,
}

impl Local {
    /// The same, for a script in another folder.
    pub(crate) fn in_folder(&self, folder: PathBuf) -> Self {
        Self { project: self.project.as_ref().map(|project| project.with_folder(folder)), ..self.clone() }
    }

    /// The project, for what needs one.
    pub(crate) fn project(&self) -> Outcome<&Project> {
        self.project.as_ref().ok_or_else(|| usage("a script that is no file of a folder has no files"))
    }

    /// Finds a file that is to be read: in the project, or where reading was allowed.
    pub(super) fn to_read(&self, path: &str) -> Outcome<Located> {
        let project = self.project()?;
        let mut wanted = asked(project, path)?;
        for _ in 0..MOST_HOPS {
            let Some((root, rest)) =
                self.root_of(project, &wanted).map_err(|error| unreadable(path, &error))?
            else {
                let at = plain(&wanted);
                let message = format!("`{path}` lies outside of the project");
                let message = if at == plain(&asked(project, path)?) {
                    message
                } else {
                    format!("{message}: it leads to {} by a link", at.display())
                };
                return Err(self.permissions.outside(message, &at));
            };
            match root.walk(&rest, true) {
                Ok(spot) => return self.seen(project, path, Located { root, spot }),
                Err(Stopped::Outside(place)) => wanted = place,
                Err(Stopped::Failed(error)) => return Err(unreadable(path, &error)),
            }
        }
        Err(unreadable(path, &io::Error::other("too many links lead to each other")))
    }

    /// Where there is no project the script's folder may be anybody's home: what is hidden there is not for scripts.
    fn seen(&self, project: &Project, path: &str, found: Located) -> Outcome<Located> {
        let place = found.root.place(&found.spot);
        let hidden = || found.spot.names().any(is_hidden);
        if project.declared || !place.starts_with(&project.root) || !hidden() || self.granted(&place) {
            return Ok(found);
        }
        let message =
            format!("`{path}` is hidden, and the folder of the script is no project with an {CONFIGURATION}");
        Err(self.permissions.outside(message, &place))
    }

    fn granted(&self, place: &Path) -> bool {
        let granted: &Grants = self.permissions.granted();
        granted.allows_read(place)
            || granted
                .read()
                .iter()
                .filter_map(|path| path.canonicalize().ok())
                .any(|real| place.starts_with(real))
    }

    /// The folder that a walk to a place begins in, and the way from there.
    fn root_of(&self, project: &Project, wanted: &Path) -> io::Result<Option<(Root, PathBuf)>> {
        for wanted in [wanted, &plain(wanted)] {
            if let Ok(rest) = wanted.strip_prefix(&project.root) {
                return Ok(Some((Root::open(&project.root)?, rest.to_owned())));
            }
            for allowed in self.permissions.granted().read() {
                let Ok(real) = allowed.canonicalize() else { continue };
                let below = wanted.strip_prefix(allowed).or_else(|_| wanted.strip_prefix(&real));
                match (below, real.parent(), real.file_name()) {
                    (Err(_), ..) => {}
                    (Ok(rest), ..) if real.is_dir() => {
                        return Ok(Some((Root::open(&real)?, rest.to_owned())));
                    }
                    (Ok(rest), Some(parent), Some(name)) if rest.as_os_str().is_empty() => {
                        return Ok(Some((Root::open(parent)?, name.into())));
                    }
                    (Ok(_), ..) => {}
                }
            }
        }
        Ok(None)
    }

    /// Finds a place for a file that is to be written: in the project, and nothing that decides what scripts may do.
    pub(super) fn to_write(&self, path: &str) -> Outcome<Located> {
        let project = self.project()?;
        let refused =
            |why: String| Failure::new(Kind::Permission, format!("`{path}` cannot be written: {why}"));
        let outside = || -> Box<rhai::EvalAltResult> {
            refused("it lies outside of the project".to_owned())
                .help(format!("scripts write below {}", project.root.display()))
                .into()
        };
        let wanted = asked(project, path)?;
        let plainly = plain(&wanted);
        let rest = wanted.strip_prefix(&project.root).or_else(|_| plainly.strip_prefix(&project.root));
        let rest = rest.map_err(|_| outside())?;
        let root = Root::open(&project.root).map_err(|error| unwritable(path, &error))?;
        let spot = match root.walk(rest, false) {
            Ok(spot) => spot,
            Err(Stopped::Outside(_)) => return Err(outside()),
            Err(Stopped::Failed(error)) => {
                let failure = unwritable(path, &error);
                return Err(match error.kind() {
                    io::ErrorKind::NotFound => failure.help("its folder must be there").into(),
                    _ => failure.into(),
                });
            }
        };
        if spot.names().any(is_hidden) {
            let why = "it is hidden, or in a folder that is: settings and repositories are not for scripts";
            return Err(refused(why.to_owned()).into());
        }
        let located = Located { root, spot };
        let (root, spot) = (&located.root, &located.spot);
        let is_configuration =
            |name: &std::ffi::OsStr| name.to_string_lossy().eq_ignore_ascii_case(CONFIGURATION);
        if spot.name.as_deref().is_some_and(is_configuration) || is_same(root, spot) {
            return Err(refused(format!(
                "an {CONFIGURATION} says what scripts may do, and they do not change it"
            ))
            .into());
        }
        if self.keeps(root, spot) {
            return Err(refused("the user's configuration lies there".to_owned()).into());
        }
        match spot.kind {
            None | Some(FileType::RegularFile) => Ok(located),
            Some(FileType::Symlink) => {
                Err(refused("it is a link".to_owned()).help("name the file itself").into())
            }
            Some(FileType::Directory) => Err(unwritable(path, &io::Error::other("it is a folder")).into()),
            Some(_) => Err(unwritable(path, &io::Error::other("it is no plain file")).into()),
        }
    }

    /// Whether the way to a spot passes through the folder that is kept from scripts.
    fn keeps(&self, root: &Root, spot: &Spot) -> bool {
        let Some(kept) = self.kept.as_ref().and_then(|kept| rustix::fs::stat(kept).ok()) else {
            return false;
        };
        root.way(spot)
            .filter_map(|folder| rustix::fs::fstat(folder).ok())
            .any(|folder| (folder.st_dev, folder.st_ino) == (kept.st_dev, kept.st_ino))
    }
}

/// Whether a spot is the project's configuration by another name.
fn is_same(root: &Root, spot: &Spot) -> bool {
    let follow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let Some(name) = &spot.name else { return false };
    let there = rustix::fs::statat(root.folder(spot), name, follow);
    let configuration = root.way(spot).next().map(|root| rustix::fs::statat(root, CONFIGURATION, follow));
    match (there, configuration) {
        (Ok(there), Some(Ok(own))) => (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino),
        _ => false,
    }
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The place that a path asks for: from the folder of the script on.
fn asked(project: &Project, path: &str) -> Outcome<PathBuf> {
    if path.is_empty() || path.ends_with('/') || path.ends_with("/.") || path.contains('\0') {
        return Err(usage(format!("`{}` names no file", path.escape_debug())));
    }
    Ok(project.folder.join(path))
}

pub(super) fn unreadable(path: &str, error: &io::Error) -> Box<rhai::EvalAltResult> {
    Failure::new(Kind::File, format!("`{path}` cannot be read: {}", said(error))).into()
}

pub(super) fn unwritable(path: &str, error: &io::Error) -> Failure {
    Failure::new(Kind::File, format!("`{path}` cannot be written: {}", said(error)))
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is no folder".to_owned(),
        io::ErrorKind::PermissionDenied => "its mode does not let you".to_owned(),
        _ => error.to_string(),
    }
}
