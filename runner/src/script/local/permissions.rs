//! What a script may do on the operator's machine beyond reading and writing the files of its project.

use std::path::{Component, Path, PathBuf};

use orch_wire::ids::Digest;
use serde_json::json;

use crate::script::types::{Failure, Kind, Outcome};

/// What is allowed, by `--allow` or by a project's `[permissions]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    read: Vec<PathBuf>,
    env: Vec<String>,
    exec: Vec<String>,
}

/// Sorts of permissions, as they are written.
const SORTS: [&str; 3] = ["read", "env", "exec"];

impl Grants {
    /// Reads what stands behind `--allow`: `read=PATH:PATH,env=NAME,env=PREFIX*,exec=NAME`.
    ///
    /// # Errors
    /// With a sentence on what is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut grants = Self::default();
        let mut sort = "";
        for part in text.split(',') {
            let begins = part.split_once('=').and_then(|(name, value)| {
                let name = name.trim();
                SORTS.iter().find(|sort| **sort == name).map(|sort| (*sort, value))
            });
            let value = match begins {
                Some((begun, value)) => {
                    sort = begun;
                    value
                }
                // Names may follow each other; a path could be meant to hold the comma.
                None if ["env", "exec"].contains(&sort) && !part.contains('=') => part,
                None => {
                    return Err(format!(
                        "`{}` is no permission: write `read=PATH`, `env=NAME` or `exec=PROGRAM`",
                        part.escape_debug()
                    ));
                }
            };
            match sort {
                "read" => grants.read.extend(value.split(':').map(PathBuf::from)),
                "env" => grants.env.push(value.trim().to_owned()),
                _ => grants.exec.push(value.trim().to_owned()),
            }
        }
        grants.check()?;
        Ok(grants)
    }

    /// What a section of a configuration allows.
    ///
    /// # Errors
    /// With a sentence on the entry that cannot be meant.
    pub fn of(read: &[String], env: &[String], exec: &[String]) -> Result<Self, String> {
        let grants =
            Self { read: read.iter().map(PathBuf::from).collect(), env: env.to_vec(), exec: exec.to_vec() };
        grants.check()?;
        Ok(grants)
    }

    fn check(&self) -> Result<(), String> {
        if self.read.iter().any(|path| path.as_os_str().is_empty()) {
            return Err("`read` names a file or a folder".to_owned());
        }
        for name in &self.env {
            let stem = name.strip_suffix('*').unwrap_or(name);
            let is_name = stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name || name.is_empty() {
                let name = name.escape_debug();
                return Err(format!(
                    "`env={name}` is no name of a variable, nor the beginning of names as `AWS_*` is"
                ));
            }
        }
        for name in &self.exec {
            if name.is_empty() || name != "*" && name.contains('*') {
                let name = name.escape_debug();
                return Err(format!("`exec={name}` is no name of a program; `*` alone stands for all"));
            }
        }
        Ok(())
    }

    /// The same, with relative paths taken from a folder.
    #[must_use]
    pub fn from_folder(mut self, folder: &Path) -> Self {
        for path in &mut self.read {
            *path = plain(&folder.join(&*path));
        }
        self
    }

    /// The same, without files of a project: those may be read anyway, and a link there is no way to lead a permission elsewhere
    /// after somebody has looked at it.
    #[must_use]
    pub fn outside_of(mut self, project: &Path) -> Self {
        self.read.retain(|path| !path.starts_with(project));
        self
    }

    /// Adds what others allow.
    pub fn add(&mut self, other: Self) {
        self.read.extend(other.read);
        self.env.extend(other.env);
        self.exec.extend(other.exec);
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Files and folders that may be read, with all below.
    pub fn read(&self) -> &[PathBuf] {
        &self.read
    }

    /// Variables of the environment, as they are written.
    pub fn env(&self) -> &[String] {
        &self.env
    }

    /// Programs, as they are written.
    pub fn exec(&self) -> &[String] {
        &self.exec
    }

    /// Whether files below this one, or it itself, may be read; no link is followed to tell.
    pub fn allows_read(&self, path: &Path) -> bool {
        let path = plain(path);
        self.read.iter().any(|allowed| path.starts_with(allowed))
    }

    /// Whether this variable of the environment may be read.
    pub fn allows_env(&self, name: &str) -> bool {
        self.env.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(stem) => name.starts_with(stem),
            None => name == allowed,
        })
    }

    /// Whether this program may be run. It is meant as a script names it, with or without a path.
    pub fn allows_exec(&self, program: &str) -> bool {
        self.exec.iter().any(|allowed| allowed == "*" || allowed == program)
    }

    /// The blake3 of what is allowed: what `orch trust` records. Comments, order of keys and spaces have no part in it.
    pub fn digest(&self) -> String {
        let Self { read, env, exec } = self;
        let read: Vec<_> = read.iter().map(|path| path.to_string_lossy()).collect();
        Digest::of(json!({ "read": read, "env": env, "exec": exec }).to_string().as_bytes()).to_string()
    }
}

/// What a script may do: what was granted, and what would be if its project were trusted.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    granted: Grants,
    untrusted: Option<(PathBuf, Grants)>,
}

impl Permissions {
    /// These, and nothing else.
    pub fn new(granted: Grants) -> Self {
        Self { granted, untrusted: None }
    }

    /// Remembers what the project of this folder asks for, and nobody has trusted: it grants nothing, and refusals name it.
    #[must_use]
    pub fn with_untrusted(mut self, folder: &Path, asked: Grants) -> Self {
        self.untrusted = Some((folder.to_owned(), asked));
        self
    }

    /// What was granted.
    pub fn granted(&self) -> &Grants {
        &self.granted
    }

    /// Lets a script read a variable of the environment, or tells the way out.
    pub(crate) fn env(&self, name: &str) -> Outcome<()> {
        if self.granted.allows_env(name) {
            return Ok(());
        }
        let message = format!("the script may not read `{name}` of the environment");
        Err(self.refused(message, "env", name, |asked| asked.allows_env(name)))
    }

    /// Lets a script run a program, or tells the way out.
    pub(crate) fn exec(&self, program: &str) -> Outcome<()> {
        if self.granted.allows_exec(program) {
            return Ok(());
        }
        let message = format!("the script may not run `{program}` on this machine");
        Err(self.refused(message, "exec", program, |asked| asked.allows_exec(program)))
    }

    /// The refusal to read a file outside of the project; `at` is where it lies.
    pub(crate) fn outside(&self, message: String, at: &Path) -> Box<rhai::EvalAltResult> {
        self.refused(message, "read", &at.display().to_string(), |asked| asked.allows_read(at))
    }

    fn refused(
        &self,
        message: String,
        sort: &str,
        what: &str,
        would: impl Fn(&Grants) -> bool,
    ) -> Box<rhai::EvalAltResult> {
        let failure = Failure::new(Kind::Permission, message);
        match &self.untrusted {
            Some((folder, asked)) if would(asked) => failure
                .note("the project's `[permissions]` would allow it; they hold when you have trusted them")
                .help(format!(
                    "look at them and trust them: `orch trust {}`",
                    quoted(&folder.display().to_string())
                )),
            _ => failure.help(format!("allow it with `--allow {}`", quoted(&format!("{sort}={what}")))),
        }
        .into()
    }
}

/// An argument as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-=:+@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A path without `.` and `..`, as it reads: no link is followed.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_as_they_are_written() {
        let grants = Grants::parse("read=/srv/a:b/c,env=HOME,USER,AWS_*,exec=git,/bin/ls").unwrap();
        let grants = grants.from_folder(Path::new("/srv/project"));
        for (path, allowed) in [
            ("/srv/a", true),
            ("/srv/a/b", true),
            ("/srv/a/../b", false),
            ("/srv/ab", false),
            ("/srv/project/b/c/d", true),
            ("/srv/project/b", false),
        ] {
            assert_eq!(grants.allows_read(Path::new(path)), allowed, "{path}");
        }
        for (name, allowed) in [
            ("HOME", true),
            ("HOMES", false),
            ("AWS_KEY", true),
            ("AWS_", true),
            ("AWS", false),
            ("home", false),
        ] {
            assert_eq!(grants.allows_env(name), allowed, "{name}");
        }
        assert!(grants.allows_exec("git") && grants.allows_exec("/bin/ls"));
        assert!(!grants.allows_exec("/usr/bin/git") && !grants.allows_exec("ls") && !grants.allows_exec("*"));
        assert!(Grants::parse("env=*,exec=*").is_ok_and(|all| all.allows_env("X") && all.allows_exec("x")));
        for wrong in [
            "",
            "read",
            "read=",
            "read=/a:",
            "read=/a,b",
            "write=/",
            "env=A=B",
            "env=*A",
            "exec=g*",
            "env=",
            "HOME",
        ] {
            assert!(Grants::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_digest_tells_what_is_allowed() {
        let of =
            |read: &str, env: &str| Grants::of(&[read.to_owned()], &[env.to_owned()], &[]).unwrap().digest();
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_ne!(of("a", "b"), of("a", "c"));
        assert_ne!(
            Grants::of(&[], &["x".into()], &[]).unwrap().digest(),
            Grants::of(&[], &[], &["x".into()]).unwrap().digest()
        );
    }

    #[test]
    fn a_refusal_shows_what_can_be_pasted() {
        assert_eq!(quoted("read=/etc/passwd"), "read=/etc/passwd");
        assert_eq!(quoted("read=/a b"), "'read=/a b'");
        assert_eq!(quoted("env=$(x)'"), "'env=$(x)'\\'''");
    }
}
