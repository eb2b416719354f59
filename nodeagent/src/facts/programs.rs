//! Facts that programs print: executables of `facts.d` folders, and `facter`.
//!
//! A program whose facts cannot be used costs only itself, and what it printed the time before is not kept: nobody could tell
//! how old it is.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::dir::FILE_BYTES;
use super::printed;
use crate::agents::program::{self, End, PATH, Spec};
use crate::files;
use crate::problem::Problem;

/// The command that is looked for where none is configured.
pub(super) const FACTER: &str = "facter";
/// Where Puppet's own packages put it, beside the search path.
const OF_PUPPET: &str = "/opt/puppetlabs/bin/facter";
/// Time of an executable. Short: a node that starts takes calls when all have ended.
const TIME: Duration = Duration::from_secs(5);
/// Time of `facter`, which takes seconds on a small machine that has just started.
const FACTER_TIME: Duration = Duration::from_secs(20);
/// Private memory of each process.
const MEMORY: u64 = 1 << 30;
/// Programs that run at once: reading facts must not be what the machine is busy with.
const AT_ONCE: usize = 2;
/// Of what a failed program said, so much is told.
const SAID_CHARACTERS: usize = 300;

/// What programs printed, by their paths.
pub(crate) type Printed = BTreeMap<PathBuf, Result<Map<String, Value>, Problem>>;

/// One program that prints facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// An executable of a `facts.d` folder.
    Own(PathBuf),
    /// `facter`, or the command that is configured for it.
    Facter(PathBuf),
}

/// Runs programs to their end, and reads what they print.
pub(crate) async fn run(programs: Vec<Program>) -> Printed {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for program in programs {
        let room = Arc::clone(&room);
        running.spawn(async move {
            let _room = room.acquire_owned().await;
            let facts = program.facts().await;
            (program.into_path(), facts)
        });
    }
    let mut printed = Printed::new();
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((path, facts)) => drop(printed.insert(path, facts)),
            Err(error) => tracing::error!(%error, "reading the facts of a program ended abnormally"),
        }
    }
    printed
}

impl Program {
    fn into_path(self) -> PathBuf {
        match self {
            Self::Own(path) | Self::Facter(path) => path,
        }
    }

    async fn facts(&self) -> Result<Map<String, Value>, Problem> {
        match self {
            Self::Own(path) => {
                files::check_executable(path)?;
                printed_by(path, path, &[], TIME).await
            }
            Self::Facter(command) => {
                let found = if command == Path::new(FACTER) {
                    program::find(FACTER).or_else(|| program::find(OF_PUPPET))
                } else {
                    program::find(&command.to_string_lossy())
                };
                let missing = "is not installed: install it, say where it is in `facts.facter_command`, or set \
                               `facts.facter` to false";
                let found = found.ok_or_else(|| Problem::new(command, missing))?;
                printed_by(command, &found, &["--json"], FACTER_TIME).await
            }
        }
    }
}

/// Runs the program at a path and reads what it prints; a problem is told of `name`.
async fn printed_by(
    name: &Path,
    at: &Path,
    args: &[&str],
    limit: Duration,
) -> Result<Map<String, Value>, Problem> {
    let problem = |message: String| Problem::new(name, message);
    let stop = CancellationToken::new();
    let spec = Spec {
        program: at,
        args: args.iter().map(Into::into).collect(),
        env: vec![("PATH", PATH.into()), ("LANG", "C.UTF-8".into()), ("HOME", "/root".into())],
        folder: Path::new("/"),
        timeout: limit,
        memory: Some(MEMORY),
        keep: FILE_BYTES.saturating_add(1),
        output: None,
        stop: &stop,
    };
    let ran = program::run(spec).await.map_err(|error| problem(format!("cannot be started: {error}")))?;
    let said = said(&ran.stderr);
    let too_much = || problem(format!("printed more than {FILE_BYTES} bytes"));
    let status = match ran.end {
        End::Exited(status) => status,
        End::Flooded => return Err(too_much()),
        End::TimedOut | End::Stopped => {
            return Err(problem(format!("was killed: it printed no facts within {} s", limit.as_secs())));
        }
    };
    match (status.code(), status.signal()) {
        (Some(0), _) if ran.stdout.len() > FILE_BYTES => Err(too_much()),
        (Some(0), _) => {
            if !said.is_empty() {
                tracing::debug!(program = %name.display(), said, "facts were printed with a remark");
            }
            let text = String::from_utf8(ran.stdout).map_err(|_| problem("did not print text".to_owned()))?;
            printed::parse(&text).map_err(problem)
        }
        (Some(code), _) => Err(problem(format!("exited with status {code}{said}"))),
        (None, signal) => Err(problem(format!("was killed by signal {}{said}", signal.unwrap_or_default()))),
    }
}

/// The end of what a program said, fit for a line of the log.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text: Vec<char> = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end: String =
        text.get(text.len().saturating_sub(SAID_CHARACTERS)..).unwrap_or_default().iter().collect();
    if end.is_empty() { end } else { format!(": {end}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    fn install(folder: &Path, name: &str, script: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn facts(script: &str) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = install(folder.path(), "fact", script);
        let mut printed = run(vec![Program::Own(path.clone())]).await;
        printed.remove(&path).unwrap().map(Value::Object).map_err(|problem| problem.message)
    }

    #[tokio::test]
    async fn what_a_program_prints_are_facts() {
        assert_eq!(facts(r#"echo '{"rack": 4}'"#).await, Ok(json!({"rack": 4})));
        assert_eq!(facts("echo a=b; echo noise >&2").await, Ok(json!({"a": "b"})));
        assert_eq!(facts("exit 0").await, Ok(json!({})));
        let environment = facts("env").await.unwrap();
        let names: Vec<&String> = environment.as_object().unwrap().keys().collect();
        assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    }

    #[tokio::test]
    async fn each_way_to_fail_is_told() {
        for (script, message) in [
            ("echo 'no \x1b[31mdisk' >&2; exit 3", "exited with status 3: no  [31mdisk"),
            ("kill -9 $$", "was killed by signal 9"),
            ("echo rubbish", "printed neither JSON"),
            ("echo '{'", "printed JSON that is broken"),
            ("head -c 600000 /dev/zero", "printed more than"),
            ("cat /dev/zero", "printed more than"),
            (r"printf '\377'", "did not print text"),
        ] {
            let found = facts(script).await.unwrap_err();
            assert!(found.starts_with(message), "{script}: {found}");
        }
    }

    #[tokio::test]
    async fn a_slow_program_costs_only_itself_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let slow = install(folder.path(), "slow", &format!("echo $$ > {}; exec sleep 60", pid.display()));
        let quick = install(folder.path(), "quick", "echo a=b");
        let began = Instant::now();
        let printed = run(vec![Program::Own(slow.clone()), Program::Own(quick.clone())]).await;
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(printed[&quick].is_ok());
        let problem = printed[&slow].clone().unwrap_err();
        assert_eq!(problem.message, "was killed: it printed no facts within 5 s");
        let pid = fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }

    #[tokio::test]
    async fn a_program_that_others_may_write_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("facts.d");
        fs::create_dir(&at).unwrap();
        let trace = folder.path().join("trace");
        let path = install(&at, "fact", &format!("touch {}", trace.display()));
        for (what, mode) in [(&path, 0o777), (&at, 0o777)] {
            fs::set_permissions(what, fs::Permissions::from_mode(mode)).unwrap();
            let printed = run(vec![Program::Own(path.clone())]).await;
            let problem = printed[&path].clone().unwrap_err();
            assert_eq!(&problem.path, what);
            assert!(problem.message.contains("written by others"), "{problem}");
            fs::set_permissions(what, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert!(!trace.exists());
    }

    #[tokio::test]
    async fn facter_prints_json_or_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let fake =
            install(folder.path(), "facter", r#"[ "$*" = --json ] && echo '{"os": {"name": "Fake"}}'"#);
        let printed = run(vec![Program::Facter(fake.clone())]).await;
        assert_eq!(printed[&fake].clone().map(Value::Object), Ok(json!({"os": {"name": "Fake"}})));
        let none = folder.path().join("none");
        let printed = run(vec![Program::Facter(none.clone())]).await;
        let problem = printed[&none].clone().unwrap_err();
        assert!(problem.message.contains("facts.facter_command"), "{problem}");
    }
}
