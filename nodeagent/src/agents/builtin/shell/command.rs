//! One command line, and how the shell is started for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orch_wire::body::{Answer, code};
use tokio_util::sync::CancellationToken;

use super::{Done, refused, text};
use crate::agents::Job;
use crate::agents::external::PATH;
use crate::agents::process::Spec;
use crate::output::Output;

/// The shell that every Unix has.
const SHELL: &str = "/bin/sh";

/// What the shell is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) text: String,
    folder: PathBuf,
}

impl CommandLine {
    /// That of the arguments.
    pub(super) fn of(job: &Job) -> Done<Self> {
        let text = text(job, "command").to_owned();
        if text.contains('\0') {
            return Err(refused("`command` must not hold a null character"));
        }
        let folder = match super::text(job, "folder") {
            "" => PathBuf::from("/"),
            folder => PathBuf::from(folder),
        };
        if !folder.is_dir() {
            return Err(refused("`folder` is no folder of this node"));
        }
        if !Path::new(SHELL).exists() {
            let why = format!("this node has no `{SHELL}`");
            return Err(Box::new(Answer::rejected(code::MISSING_TOOL, why)));
        }
        Ok(Self { text, folder })
    }

    /// How it is run. The environment is always the same, whoever started the node's agent.
    pub(super) fn spec<'a>(
        &'a self,
        timeout: Duration,
        keep: usize,
        output: Option<&'a Output>,
        stop: &'a CancellationToken,
    ) -> Spec<'a> {
        Spec {
            program: Path::new(SHELL),
            // Behind `--` a command that begins with a dash is a command.
            args: ["-c", "--", &self.text].map(OsString::from).to_vec(),
            env: vec![("PATH", PATH.into()), ("LANG", "C.UTF-8".into()), ("HOME", "/root".into())],
            folder: &self.folder,
            timeout,
            // A limit would be passed on to the services that a command starts.
            memory: None,
            keep,
            output,
            stop,
        }
    }
}
