//! One run of puppet now, by the command that the node's administrator chose.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use orch_wire::body::{Answer, code};
use serde::Deserialize;
use serde_json::{Value, json};

use super::program::{self, Settings};
use super::state::{State, Summary};
use crate::agents::Job;
use crate::agents::builtin::{outputs, text};
use crate::agents::ending::{Done, failed};
use crate::agents::tool::{Command, Tools};
use crate::files::{self, FileError, LockedFile};

/// Longest configuration file.
const FILE_BYTES: usize = 64 * 1024;
/// With it puppet's exit status tells of changes; 2 is a success then.
const DETAILED: &str = "--detailed-exitcodes";

/// The agent's configuration: `puppet` in the folder of the agents' configuration files, in TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// The command of a run, its program first. Relative paths are taken from the folder of the file.
    runonce: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let command = [
            program::name(),
            "agent",
            "--onetime",
            "--no-daemonize",
            "--no-splay",
            "--no-usecacheonfailure",
            DETAILED,
        ];
        Self { runonce: command.map(str::to_owned).to_vec() }
    }
}

impl Config {
    fn read(path: &Path) -> Result<Self, FileError> {
        let (file, metadata) = match files::open(path) {
            Err(error) if error.is_absent() => return Ok(Self::default()),
            other => other?,
        };
        // It says what is run.
        files::refuse_if_others_write(path, &metadata)?;
        let bytes = files::read_from(&file, path, FILE_BYTES)?;
        let config: Self =
            toml::from_slice(&bytes).map_err(|error| FileError::refused(path, error.to_string()))?;
        if config.runonce.first().is_none_or(String::is_empty) {
            return Err(FileError::refused(path, "has no command in `runonce`"));
        }
        Ok(config)
    }

    /// The command with what the caller asks for more.
    fn command(&self, folder: &Path, more: &[String]) -> Done<Command> {
        let (program, args) =
            self.runonce.split_first().map_or(("", &[][..]), |(p, args)| (p.as_str(), args));
        // What another program makes of `--noop` nobody knows; it might act.
        let is_puppet = Path::new(program).file_name() == Some(OsStr::new("puppet"));
        if !more.is_empty() && !is_puppet {
            let message = format!(
                "the command of a run on this node is not `puppet` but `{program}`, which may not know {}",
                more.join(" ")
            );
            return Err(Box::new(Answer::rejected(code::ARGUMENTS, message)));
        }
        let plain = is_puppet.then(|| "--color=false".to_owned());
        Ok(Command::new(program).args(args.iter().chain(more).chain(&plain)).folder(folder))
    }

    fn is_success(&self, status: i32) -> bool {
        status == 0 || status == 2 && self.runonce.iter().any(|arg| arg == DETAILED)
    }
}

/// Runs puppet once; it fails where anything in the run fails.
pub(super) async fn run(job: &Job, tools: &Tools<'_>) -> Done<Answer> {
    let folder = job.info.agents_config_dir.as_path();
    let config = Config::read(&folder.join("puppet")).map_err(|error| {
        Box::new(Answer::rejected(code::MISSING_TOOL, format!("puppet cannot be run: {}", error.full())))
    })?;
    let command = config.command(folder, &options(job))?;
    let settings = Settings::read(tools).await?;
    let state = State::read(&settings)?;
    if let Some(reason) = state.disabled {
        return Err(Box::new(Answer::failed("disabled", format!("puppet is disabled: {reason}"))));
    }
    let in_progress =
        |process: &str| Box::new(Answer::failed("applying", format!("a run is in progress{process}")));
    if let Some(process) = state.applying {
        return Err(in_progress(&format!(" in process {process}")));
    }
    let state_dir = job.info.state_dir.join("agents/puppet");
    // Puppet's own lock is not taken by `puppet apply`.
    let _lock = lock(&state_dir)
        .map_err(|error| failed(error.full()))?
        .ok_or_else(|| in_progress(" that this agent began"))?;
    let before = Summary::version(&settings);
    let ended = tools.run(command.streams()).await?;
    if Summary::version(&settings) == before {
        // Another one has taken the lock in between, or puppet stopped before it began.
        let failure = ended.failure();
        let message = format!("puppet ended without a run: {}", failure.message);
        return Err(Box::new(Answer { message, ..*failure }));
    }
    let summary = Summary::read(&settings)?;
    let data = json!({
        "exitcode": ended.status,
        "noop": job.work.dry_run,
        "changed": summary.as_ref().is_some_and(|s| s.resources("changed") > 0 || job.work.dry_run && s.resources("out_of_sync") > 0),
        "total_resources": summary.as_ref().map(|s| s.resources("total")),
        "changed_resources": summary.as_ref().map(|s| s.resources("changed")),
        "failed_resources": summary.as_ref().map(|s| s.resources("failed")),
        "out_of_sync_resources": summary.as_ref().map(|s| s.resources("out_of_sync")),
        "output": ended.said(),
    });
    if config.is_success(ended.status) && summary.is_some_and(|summary| !summary.has_failed()) {
        return Ok(outputs(data));
    }
    let Value::Object(data) = data else { return Err(ended.failure()) };
    Err(Box::new(Answer { data, ..*ended.failure() }))
}

fn options(job: &Job) -> Vec<String> {
    let mut options = Vec::new();
    if job.work.dry_run {
        options.push("--noop".to_owned());
    }
    for name in ["tags", "environment"] {
        let value = text(job, name);
        if !value.is_empty() {
            options.push(format!("--{name}={value}"));
        }
    }
    options
}

/// None where another action has it.
fn lock(folder: &Path) -> Result<Option<LockedFile>, FileError> {
    files::create_private_folder(folder)?;
    let path: PathBuf = folder.join("run.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    LockedFile::try_new(file.map_err(FileError::io("open", &path))?, &path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn config(text: &str, mode: u32) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("puppet");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Config::read(&path).map_err(|error| error.full())
    }

    #[test]
    fn the_command_is_the_administrators() {
        let none = Config::read(Path::new("/none/such")).unwrap();
        assert!(none.runonce.contains(&"--onetime".to_owned()));
        assert!(none.is_success(2) && !none.is_success(4));
        let own = config("runonce = ['puppet', 'apply', 'site.pp']\n", 0o600).unwrap();
        assert_eq!(own.runonce, ["puppet", "apply", "site.pp"]);
        assert!(own.is_success(0) && !own.is_success(2));
        assert!(own.command(Path::new("/"), &["--noop".to_owned()]).is_ok());
        for (text, mode, part) in [
            ("runonce = ['puppet']", 0o666, "written by others"),
            ("runonce = []", 0o600, "no command"),
            ("runonce = ['']", 0o600, "no command"),
            ("runone = []", 0o600, "unknown field"),
            ("runonce = 'puppet'", 0o600, "invalid type"),
        ] {
            let error = config(text, mode).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn another_program_gets_no_options() {
        let own = config("runonce = ['/usr/local/bin/deploy']\n", 0o600).unwrap();
        assert!(own.command(Path::new("/"), &[]).is_ok());
        let answer = own.command(Path::new("/"), &["--noop".to_owned()]).unwrap_err();
        assert_eq!(answer.code.as_deref(), Some(code::ARGUMENTS));
        assert!(answer.message.contains("--noop"), "{}", answer.message);
    }

    #[test]
    fn one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(lock(folder.path()).unwrap().is_none());
        drop(first);
        assert!(lock(folder.path()).unwrap().is_some());
    }
}
