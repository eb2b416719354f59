//! A folder of policy files, for the command that decides offline what a node would decide.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use orch_wire::policy::{Finding, MAX_FILE, Policies, Settings};

use crate::diagnostic::{Code, Diagnostic, Severity, SourceText, Span};

/// A folder that cannot be looked at. What is wrong with a file in it is no such error: see [`Policies::faults`].
#[derive(Debug, thiserror::Error)]
#[error("the policies in {} cannot be read", folder.display())]
pub struct PoliciesError {
    folder: PathBuf,
    #[source]
    error: std::io::Error,
}

/// The policies of a folder, with the texts that their findings are places in.
pub struct PolicyFolder {
    /// The policies, compiled.
    pub policies: Policies,
    folder: PathBuf,
    texts: BTreeMap<String, SourceText>,
}

impl PolicyFolder {
    /// Reads `groups` and all files `*.policy` of a folder. A file of these that is not text, or that cannot be read,
    /// denies as one that does not parse.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn load(folder: &Path, settings: Settings) -> Result<Self, PoliciesError> {
        let unreadable = |error| PoliciesError { folder: folder.to_owned(), error };
        let mut read =
            Self { policies: Policies::new(settings), folder: folder.to_owned(), texts: BTreeMap::new() };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            if Policies::takes(&name) {
                read.add(&name, &path);
            }
        }
        Ok(read)
    }

    fn add(&mut self, name: &str, path: &Path) {
        let mut text = String::new();
        // One byte more than allowed is enough to be told that it is too much.
        let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        match std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)) {
            Ok(_) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                self.policies.add(name, text);
                self.texts.insert(name.to_owned(), SourceText::new(&path.display().to_string(), text));
            }
            Err(error) => self.policies.add_unreadable(name, format!("it cannot be read: {error}")),
        }
    }

    /// A finding with its line, to be shown.
    pub fn diagnostic(&self, finding: &Finding, severity: Severity) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(Code::Policy, finding.message.clone());
        diagnostic.severity = severity;
        match self.texts.get(&*finding.file).filter(|_| finding.line > 0) {
            Some(text) => {
                let span = Span { line: finding.line, column: finding.column, length: finding.length };
                diagnostic = diagnostic.at(text, span);
            }
            None => {
                let path = self.folder.join(&*finding.file);
                diagnostic.message = format!("{}: {}", path.display(), finding.message);
            }
        }
        diagnostic.help.extend(finding.help.clone());
        diagnostic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_and_findings_have_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("groups", b"ops cert=a\n");
        write("service.policy", "\u{feff}allow\tops\t*\t*\t*\nAllow\t*\t*\t*\t*\n".as_bytes());
        write("binary.policy", &[0xff, 0xfe]);
        write("README", b"\xff");
        std::fs::create_dir(folder.path().join("folder.policy")).unwrap();
        let read = PolicyFolder::load(folder.path(), Settings::default()).unwrap();
        let faults = read.policies.faults();
        let shown: Vec<Diagnostic> =
            faults.iter().map(|fault| read.diagnostic(fault, Severity::Error)).collect();
        assert_eq!(shown.len(), 3, "{faults:?}");
        assert!(shown[0].message.contains("binary.policy: it cannot be read"), "{}", shown[0].message);
        assert!(shown[1].message.contains("folder.policy: it cannot be read"), "{}", shown[1].message);
        assert_eq!(shown[2].span, Some(Span { line: 2, column: 1, length: 5 }));
        assert_eq!(shown[2].help, ["write `allow`"]);

        let absent = PolicyFolder::load(&folder.path().join("absent"), Settings::default());
        assert!(absent.is_err_and(|error| error.to_string().ends_with("absent cannot be read")));
    }
}
