//! Runs the system's own tools for the built-in agents: an argument list, a clean environment, and within the action's time.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orch_wire::body::{Answer, code};
use orch_wire::limits::OUTPUT_BYTES;
use rustix::fs::{Access, access};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Job;
use super::ending::{Done, cancelled, failed, timed_out};
use super::external::PATH;
use super::process::{self, End, Spec};
use crate::output::Output;

/// Of what a failed tool wrote, so much is answered.
const MESSAGE_BYTES: usize = 4096;

/// The tools of one action, which share its time.
pub(super) struct Tools<'a> {
    limit: Duration,
    deadline: Instant,
    output: Option<&'a Output>,
    stop: &'a CancellationToken,
}

/// One run of a tool.
#[derive(Debug, Clone)]
pub(super) struct Command {
    program: String,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    folder: PathBuf,
    streams: bool,
}

/// A tool that ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    program: String,
    /// Its exit status.
    pub(super) status: i32,
    /// All that it wrote.
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Command {
    /// A tool that is looked for on the system's search path; a path is taken as it is.
    pub(super) fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: PathBuf::from("/"),
            streams: false,
        }
    }

    pub(super) fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// The folder it runs in, for relative paths among its arguments; else the root.
    pub(super) fn folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// What it writes goes out as it comes, if the caller wants that: for the tool that does the action's work, not for those
    /// that only look.
    pub(super) fn streams(mut self) -> Self {
        self.streams = true;
        self
    }
}

impl<'a> Tools<'a> {
    /// For an action that begins now.
    pub(super) fn of(job: &'a Job) -> Self {
        Self { output: job.output.as_ref(), ..Self::within(job.work.timeout, &job.stop) }
    }

    /// For so long from now.
    pub(super) fn within(limit: Duration, stop: &'a CancellationToken) -> Self {
        let now = Instant::now();
        Self { limit, deadline: now.checked_add(limit).unwrap_or(now), output: None, stop }
    }

    /// What is left of the action's time.
    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits a moment between two looks at something; gives the answer when the action is to end or its time is over.
    pub(super) async fn pause(&self, span: Duration) -> Done<()> {
        tokio::select! {
            () = sleep(span.min(self.remaining())) => {}
            () = self.stop.cancelled() => return Err(cancelled()),
        }
        if self.remaining().is_zero() { Err(self.timed_out()) } else { Ok(()) }
    }

    /// Runs a tool to its end, whatever its exit status.
    ///
    /// # Errors
    /// With the answer of the action: rejected where the tool is missing, timed out, cancelled, or failed.
    pub(super) async fn run(&self, command: Command) -> Done<Ended> {
        let path = need(&command.program)?;
        let mut env = vec![
            ("PATH", OsString::from(PATH)),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("HOME", "/root".into()),
            // Nobody is there to answer a question.
            ("DEBIAN_FRONTEND", "noninteractive".into()),
            ("PAGER", "cat".into()),
        ];
        env.extend(command.env);
        let ran = process::run(Spec {
            program: &path,
            args: command.args,
            env,
            folder: &command.folder,
            timeout: self.remaining(),
            // A limit would be passed on to the services that a tool starts.
            memory: None,
            keep: OUTPUT_BYTES,
            output: self.output.filter(|_| command.streams),
            stop: self.stop,
        });
        let program = command.program;
        let ran = ran.await.map_err(|error| {
            Box::new(Answer::rejected(code::MISSING_TOOL, format!("cannot start `{program}`: {error}")))
        })?;
        let status = match ran.end {
            End::Exited(status) => status,
            End::TimedOut => return Err(self.timed_out()),
            End::Stopped => return Err(cancelled()),
            End::Flooded => {
                let message =
                    format!("`{program}` was killed because it wrote more output than an action may");
                return Err(Box::new(Answer::failed(code::REPLY, message)));
            }
        };
        let [stdout, stderr] =
            [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        tracing::debug!(%program, %status, stderr, "a tool ended");
        match (status.code(), status.signal()) {
            (Some(status), _) => Ok(Ended { program, status, stdout, stderr }),
            (None, signal) => {
                let message = format!("`{program}` was killed by signal {}", signal.unwrap_or_default());
                Err(failed(with_text(message, &stderr)))
            }
        }
    }

    /// Runs a tool with these arguments to its end, whatever its exit status.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) async fn call(&self, program: &str, args: &[&str]) -> Done<Ended> {
        self.run(Command::new(program).args(args.iter().copied())).await
    }

    fn timed_out(&self) -> Box<Answer> {
        timed_out(self.limit)
    }
}

impl Ended {
    /// Requires success, which is exit status 0.
    ///
    /// # Errors
    /// With the action's failure, which says what the tool said.
    pub(super) fn ok(self) -> Done<Self> {
        if self.status == 0 { Ok(self) } else { Err(self.failure()) }
    }

    /// The action's failure, with what the tool said.
    pub(super) fn failure(&self) -> Box<Answer> {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let message = format!("`{}` exited with status {}", self.program, self.status);
        failed(with_text(message, said))
    }

    /// The end of its standard output.
    pub(super) fn said(&self) -> &str {
        end(&self.stdout)
    }
}

/// Where a tool is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let can_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| can_run(path));
    }
    PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|path| can_run(path))
}

/// Where a tool is that the action cannot do without.
///
/// # Errors
/// With the refusal that names it.
pub(super) fn need(program: &str) -> Done<PathBuf> {
    find(program).ok_or_else(|| missing(&format!("`{program}`")))
}

/// The refusal of an action whose tool this node does not have.
pub(super) fn missing(tools: &str) -> Box<Answer> {
    Box::new(Answer::rejected(code::MISSING_TOOL, format!("this node has no {tools}")))
}

/// A message with the end of what a tool said, where tools put the reason.
fn with_text(message: String, said: &str) -> String {
    let said = end(said);
    if said.is_empty() { message } else { format!("{message}: {said}") }
}

fn end(said: &str) -> &str {
    let said = said.trim();
    let mut start = said.len().saturating_sub(MESSAGE_BYTES);
    while !said.is_char_boundary(start) {
        start += 1;
    }
    said.get(start..).unwrap_or_default().trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_wire::body::Ending;

    async fn run(command: Command) -> Done<Ended> {
        let stop = CancellationToken::new();
        Tools::within(Duration::from_secs(20), &stop).run(command).await
    }

    fn refusal(answer: &Answer) -> (Option<Ending>, Option<&str>) {
        (answer.ending, answer.code.as_deref())
    }

    #[tokio::test]
    async fn a_tool_sees_only_the_environment_it_is_given() {
        let ended = run(Command::new("env").env("MORE", "1")).await.unwrap().ok().unwrap();
        let mut names: Vec<&str> = ended.stdout.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["DEBIAN_FRONTEND", "HOME", "LANG", "LC_ALL", "MORE", "PAGER", "PATH"]);
        let ended = run(Command::new("pwd").folder(Path::new("/usr"))).await.unwrap();
        assert_eq!(ended.stdout, "/usr\n");
    }

    #[tokio::test]
    async fn output_is_read_whole() {
        let ended = run(Command::new("seq").args(["100000"])).await.unwrap().ok().unwrap();
        assert_eq!(ended.stdout.lines().count(), 100_000);
    }

    #[tokio::test]
    async fn failures_carry_the_end_of_what_was_said() {
        let ended = run(Command::new("ls").args(["--", "/none/such"])).await.unwrap();
        let answer = ended.ok().unwrap_err();
        assert_eq!(refusal(&answer), (Some(Ending::Failed), Some("action")));
        assert!(answer.message.starts_with("`ls` exited with status 2: "), "{}", answer.message);
        assert!(answer.message.contains("/none/such"), "{}", answer.message);
        let long = with_text("m".to_owned(), &format!("{}é the end\n", "é".repeat(MESSAGE_BYTES)));
        assert!(long.len() <= MESSAGE_BYTES + 3 && long.ends_with("é the end"));
    }

    #[tokio::test]
    async fn a_missing_tool_is_a_refusal_with_its_name() {
        for program in ["no-such-tool", "/etc/passwd", "/none/such"] {
            let answer = run(Command::new(program)).await.unwrap_err();
            assert_eq!(refusal(&answer), (Some(Ending::Rejected), Some("missing_tool")));
            assert!(answer.message.contains(program), "{}", answer.message);
        }
    }

    #[tokio::test]
    async fn the_tools_of_an_action_share_its_time() {
        let stop = CancellationToken::new();
        let tools = Tools::within(Duration::from_millis(300), &stop);
        tools.run(Command::new("true")).await.unwrap();
        let answer = tools.run(Command::new("sleep").args(["30"])).await.unwrap_err();
        assert_eq!(answer.ending, Some(Ending::TimedOut));
        assert_eq!(
            tools.pause(Duration::from_secs(5)).await.unwrap_err().ending,
            Some(Ending::TimedOut),
            "nothing is left of it"
        );
        stop.cancel();
        let tools = Tools::within(Duration::from_secs(20), &stop);
        let answer = tools.run(Command::new("sleep").args(["30"])).await.unwrap_err();
        assert_eq!(answer.code.as_deref(), Some(code::CANCELLED));
    }
}
