//! Running a program on the operator's machine.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::script::types::{Failure, Kind, Outcome, interrupted};

/// Most that is taken of what a program writes, of each stream.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// Time that a program has to clean up when it is ended.
const GRACE: Duration = Duration::from_secs(1);

/// A program that is to run.
pub(crate) struct Program<'a> {
    /// Its name and its arguments.
    pub(crate) argv: &'a [String],
    /// The folder that it runs in.
    pub(crate) folder: &'a Path,
    /// What it reads; nothing by default.
    pub(crate) input: Option<&'a str>,
    /// Longest time that it may take.
    pub(crate) limit: Duration,
}

/// How a program ended.
pub(crate) struct Ended {
    /// Its exit code; 128 and the signal's number when a signal ended it, as shells have it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program<'_> {
    fn name(&self) -> &str {
        self.argv.first().map(String::as_str).unwrap_or_default()
    }

    /// Runs it to its end. With the run it is ended, and whatever it has started in its process group.
    pub(crate) async fn run(&self, cancel: CancellationToken) -> Outcome<Ended> {
        let failed = |why: String| Failure::new(Kind::Exec, format!("`{}` {why}", self.name()));
        let program = match self.name() {
            path if path.contains('/') => self.folder.join(path),
            name => PathBuf::from(name),
        };
        let mut child = Command::new(program)
            .args(self.argv.iter().skip(1))
            .current_dir(self.folder)
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                failed(match error.kind() {
                    io::ErrorKind::NotFound => "is not there to be run".to_owned(),
                    _ => format!("cannot be run: {error}"),
                })
            })?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut work = std::pin::pin!(async {
            tokio::try_join!(read(stdout), read(stderr), feed(stdin, self.input), child.wait())
        });
        let ended = tokio::select! {
            ended = &mut work => ended,
            why = async {
                tokio::select! {
                    () = tokio::time::sleep(self.limit) => {
                        failed(format!("did not end within {}", crate::report::span(self.limit))).into()
                    }
                    () = cancel.cancelled() => interrupted(),
                }
            } => {
                group.signal(Signal::TERM);
                let _ = tokio::time::timeout(GRACE, work).await;
                return Err(why);
            }
        };
        let (stdout, stderr, (), status) = ended.map_err(|error| failed(format!("was ended: {error}")))?;
        group.forget();
        Ok(Ended { code: code(status), stdout, stderr })
    }
}

/// The processes that a program has started; they end with it unless it came to its end by itself.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended just now.
            let _ = kill_process_group(group, signal);
        }
    }

    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(stream) = stream else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    stream.take(MOST_BYTES + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it wrote more than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

async fn feed(stdin: Option<ChildStdin>, input: Option<&str>) -> io::Result<()> {
    let (Some(mut stdin), Some(input)) = (stdin, input) else { return Ok(()) };
    match stdin.write_all(input.as_bytes()).await {
        // A program need not read to the end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
