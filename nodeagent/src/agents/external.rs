//! External agents: programs in any language, started for one action each, without a shell.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use orch_wire::body::{Answer, code};
use orch_wire::limits::PLAIN_BODY_BYTES;
use rustix::process::Signal;
use tokio::time::sleep;

use super::process::{self, End, Ran, Spec};
use super::registry::Job;
use super::reply;
use crate::files::{self, FileError};

/// The search path of programs that an agent starts by name.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Between two looks at the length of a reply.
const LOOKS: Duration = Duration::from_millis(100);
/// Of what a failed agent wrote, so much is answered.
const MESSAGE_BYTES: usize = 4096;

/// Runs one action.
pub(super) async fn run(job: &Job, executable: &Path) -> Answer {
    // Again at each run: files may have changed since they were loaded.
    if let Err(error) = files::check_executable(executable) {
        return Answer::rejected(code::MISSING_TOOL, format!("the agent cannot be run: {}", error.full()));
    }
    let Some(action) = job.work.agent.schema.action(job.work.action.as_str()) else {
        return Answer::rejected(code::UNKNOWN_ACTION, "the agent has no such action");
    };
    let room = match Room::make(job) {
        Ok(room) => room,
        Err(error) => {
            return Answer::rejected(
                code::STATE,
                format!("the agent cannot be given its files: {}", error.full()),
            );
        }
    };
    let stop = job.stop.child_token();
    let spec = Spec {
        program: executable,
        args: vec![room.request.clone().into(), room.reply.clone().into(), reply::REQUEST_PROTOCOL.into()],
        env: room.environment(job),
        folder: room.folder.path(),
        timeout: job.work.timeout,
        memory: job.info.limits.action_memory,
        keep: process::KEPT_BYTES,
        output: job.output.as_ref(),
        stop: &stop,
    };
    let mut running = pin!(process::run(spec));
    let mut is_too_long = false;
    let ran = tokio::select! {
        ran = &mut running => ran,
        () = grown_too_long(&room.reply) => {
            is_too_long = true;
            stop.cancel();
            running.await
        }
    };
    match ran {
        Ok(_) if is_too_long => {
            let message = format!("killed because its reply grew beyond {PLAIN_BODY_BYTES} bytes");
            Answer::failed(code::REPLY, message)
        }
        Ok(ran) => answer(job, &ran, &room, action),
        Err(error) => {
            Answer::rejected(code::MISSING_TOOL, format!("cannot start `{}`: {error}", executable.display()))
        }
    }
}

/// Returns when a reply has become longer than any that is read: it must not fill the disk meanwhile.
async fn grown_too_long(reply: &Path) {
    let most = u64::try_from(PLAIN_BODY_BYTES).unwrap_or(u64::MAX);
    while fs::symlink_metadata(reply).map_or(0, |found| found.len()) <= most {
        sleep(LOOKS).await;
    }
}

/// The private folder of one run, with the two files; removed with it.
struct Room {
    folder: tempfile::TempDir,
    request: std::path::PathBuf,
    reply: std::path::PathBuf,
    facts: std::path::PathBuf,
    state: std::path::PathBuf,
}

impl Room {
    fn make(job: &Job) -> Result<Self, FileError> {
        let base = job.info.run_dir.as_path();
        files::create_private_folder(base)?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("call-{}-", std::process::id()))
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(base)
            .map_err(FileError::io("create a folder in", base))?;
        let state = job.info.state_dir.join("agents").join(job.work.agent.name.as_str());
        files::create_private_folder(&state)?;
        let [request, reply, facts] =
            ["request.json", "reply.json", "facts.json"].map(|name| folder.path().join(name));
        let text = reply::request(&job.work).map_err(std::io::Error::other);
        write_private(&request, &text.map_err(FileError::io("write", &request))?)?;
        write_private(&reply, b"")?;
        let text = serde_json::to_vec(&*job.info.facts).map_err(std::io::Error::other);
        write_private(&facts, &text.map_err(FileError::io("write", &facts))?)?;
        Ok(Self { folder, request, reply, facts, state })
    }

    /// All that the program sees of an environment.
    fn environment(&self, job: &Job) -> Vec<(&'static str, OsString)> {
        let config = job.info.agents_config_dir.join(job.work.agent.name.as_str());
        vec![
            ("PATH", PATH.into()),
            ("LANG", "C.UTF-8".into()),
            ("CHORIA_EXTERNAL_REQUEST", self.request.clone().into()),
            ("CHORIA_EXTERNAL_REPLY", self.reply.clone().into()),
            ("CHORIA_EXTERNAL_PROTOCOL", reply::REQUEST_PROTOCOL.into()),
            ("CHORIA_EXTERNAL_CONFIG", config.into()),
            ("CHORIA_EXTERNAL_FACTS", self.facts.clone().into()),
            ("MCOLLECTIVE_REQUEST_FILE", self.request.clone().into()),
            ("MCOLLECTIVE_REPLY_FILE", self.reply.clone().into()),
            ("ORCH_AGENT_STATE", self.state.clone().into()),
        ]
    }
}

/// Removes what runs of processes that no longer live have left: a killed agent cannot clean up.
pub(crate) fn remove_stale(run_dir: &Path) {
    for path in files::list(run_dir, usize::MAX).unwrap_or_default() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let pid = name.strip_prefix("call-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if let Some(pid) = pid
            && !Path::new("/proc").join(pid.to_string()).exists()
            && let Err(error) = fs::remove_dir_all(&path)
        {
            tracing::warn!(path = %path.display(), %error, "files of an earlier run cannot be removed");
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    use std::io::Write;
    let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(FileError::io("write", path))
}

fn answer(job: &Job, ran: &Ran, room: &Room, action: &orch_wire::schema::ActionSchema) -> Answer {
    let said = readable(&ran.stderr);
    if !said.is_empty() || !ran.stdout.is_empty() {
        let agent = &job.work.agent.name;
        tracing::debug!(%agent, call = %job.work.call, stderr = said, stdout = readable(&ran.stdout), "agent said");
    }
    let status = match ran.end {
        End::TimedOut => {
            let limit = job.work.timeout.as_secs_f64();
            return Answer::timed_out(format!("killed after {limit} s with all its processes"));
        }
        End::Stopped => return Answer::failed(code::CANCELLED, "cancelled while it ran"),
        End::Flooded => {
            return Answer::failed(code::REPLY, "killed because it wrote more output than an action may");
        }
        End::Exited(status) => status,
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => reply::read(&room.reply, action),
        (Some(1), _) if !said.is_empty() => {
            Answer::failed(code::ACTION, said + &memory_hint(job, &ran.stderr, None))
        }
        (Some(number), _) => {
            let hint = memory_hint(job, &ran.stderr, None);
            Answer::failed(code::ACTION, with_text(format!("exited with status {number}"), &said) + &hint)
        }
        (None, Some(signal)) => {
            let hint = memory_hint(job, &ran.stderr, Some(signal));
            Answer::failed(code::ACTION, with_text(format!("killed by signal {signal}"), &said) + &hint)
        }
        (None, None) => Answer::failed(code::ACTION, with_text("ended without a status".to_owned(), &said)),
    }
}

/// A program that gets no more memory ends in its own way. Where it looks like that, so much is said of the limit.
fn memory_hint(job: &Job, stderr: &[u8], signal: Option<i32>) -> String {
    let Some(limit) = job.info.limits.action_memory else { return String::new() };
    let said = String::from_utf8_lossy(stderr).to_lowercase();
    let speaks = ["memory", "allocat", "out of space"].iter().any(|word| said.contains(word));
    let crashes = [Signal::ABORT, Signal::BUS, Signal::SEGV].map(Signal::as_raw);
    if speaks || signal.is_some_and(|signal| crashes.contains(&signal)) {
        format!(" (each of its processes may have {} MiB of memory: limits.action_memory)", limit >> 20)
    } else {
        String::new()
    }
}

fn with_text(message: String, said: &str) -> String {
    if said.is_empty() { message } else { format!("{message}: {said}") }
}

/// The end of a text, where programs put the reason, without blanks around it.
fn readable(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(MESSAGE_BYTES);
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod samples;
#[cfg(test)]
pub(super) mod tests;
