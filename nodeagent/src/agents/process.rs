//! Runs a program in a process group of its own, within limits; when it must end, the whole group ends, and its children that have left
//! the group.

mod family;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use orch_wire::limits::OUTPUT_BYTES;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::family::Family;
use crate::output::{Output, Tap};

/// Enough of an output stream to say why a program failed: programs put the reason at the end.
pub(super) const KEPT_BYTES: usize = 16 * 1024;
/// Time between the request to end and the end by force. Short: the runner waits five seconds beyond the time limit.
const TERM_GRACE: Duration = Duration::from_secs(1);
/// Time that output may still come after the program ended: children that go on may hold the streams open.
const DRAIN: Duration = Duration::from_millis(200);
/// Tries to start a program whose file is open for writing: someone is just installing it.
const BUSY_TRIES: u32 = 20;

/// What to run, and within which limits.
pub(crate) struct Spec<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
    pub(crate) folder: &'a Path,
    pub(crate) timeout: Duration,
    /// Bytes of private memory of each process, where limited.
    pub(crate) memory: Option<u64>,
    /// Of each output stream the last so many bytes are kept.
    pub(crate) keep: usize,
    /// Where both output streams go as they come. Where that has no room the program waits, within its time.
    pub(crate) output: Option<&'a Output>,
    pub(crate) stop: &'a CancellationToken,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Killed over its time limit.
    TimedOut,
    /// Killed on request.
    Stopped,
    /// Killed for writing more output than allowed.
    Flooded,
}

/// A program that has ended.
pub(crate) struct Ran {
    pub(crate) end: End,
    /// The ends of its outputs.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Kills the group when dropped armed: an action whose task is aborted must not leave its processes behind.
struct Group {
    leader: Option<Pid>,
    family: Family,
}

impl Group {
    fn signal(&mut self, signal: Signal) {
        if let Some(leader) = self.leader {
            // First, while parents can still be asked for their children.
            self.family.look(leader);
            self.family.signal(signal);
            // It fails only when the group has ended.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// One output stream: its end is kept, all of it counted, and passed on where somebody wants it.
struct Stream<R> {
    from: Option<R>,
    keep: usize,
    kept: Vec<u8>,
    total: usize,
    tap: Option<Tap>,
}

impl<R: AsyncRead + Unpin> Stream<R> {
    fn new(from: Option<R>, spec: &Spec<'_>) -> Self {
        let tap = spec.output.map(|output| Tap::new(output.clone()));
        Self { from, keep: spec.keep, kept: Vec::new(), total: 0, tap }
    }

    /// Takes what there is, or passes on what waits; waits for ever at the end of the stream.
    async fn step(&mut self) {
        self.step_if(Tap::has_room).await;
    }

    /// The same once the program has ended.
    async fn last_step(&mut self) {
        self.step_if(Tap::has_room_at_the_end).await;
    }

    async fn step_if(&mut self, has_room: fn(&Tap) -> bool) {
        let Self { from, tap, .. } = self;
        let mut piece = [0; 4096];
        let has_room = tap.as_ref().is_none_or(has_room);
        let read = tokio::select! {
            read = read(from, &mut piece), if has_room => read,
            () = pass_on(tap) => return,
        };
        match read {
            Ok(0) | Err(_) => self.from = None,
            Ok(length) => self.keep(piece.get(..length).unwrap_or_default()),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.take(bytes);
        }
        self.kept.extend_from_slice(bytes);
        let over = self.kept.len().saturating_sub(self.keep);
        self.kept.drain(..over);
        self.total = self.total.saturating_add(bytes.len());
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    /// Passes on the lines that wait.
    async fn finish_lines(&mut self) {
        if let Some(tap) = &mut self.tap {
            tap.finish_lines().await;
        }
    }

    /// Passes on all that waits.
    async fn finish(&mut self) {
        if let Some(tap) = &mut self.tap {
            tap.finish().await;
        }
    }
}

async fn read<R: AsyncRead + Unpin>(from: &mut Option<R>, piece: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(from) => from.read(piece).await,
        None => std::future::pending().await,
    }
}

async fn pass_on(tap: &mut Option<Tap>) {
    match tap {
        Some(tap) => tap.pass_on().await,
        None => std::future::pending().await,
    }
}

/// Runs a program to its end, or to a limit.
pub(crate) async fn run(spec: Spec<'_>) -> io::Result<Ran> {
    let mut child = spawn(&spec).await?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group { leader, family: Family::default() };
    if let (Some(limit), Some(leader)) = (spec.memory, leader) {
        let limits = Rlimit { current: Some(limit), maximum: Some(limit) };
        prlimit(Some(leader), Resource::Data, limits)?;
    }
    let mut stdout = Stream::new(child.stdout.take(), &spec);
    let mut stderr = Stream::new(child.stderr.take(), &spec);
    let deadline = Instant::now().checked_add(spec.timeout).unwrap_or_else(Instant::now);
    let end = loop {
        tokio::select! {
            status = child.wait() => break End::Exited(status?),
            () = stdout.step() => {}
            () = stderr.step() => {}
            () = sleep_until(deadline) => break End::TimedOut,
            () = spec.stop.cancelled() => break End::Stopped,
        }
        if stdout.total.saturating_add(stderr.total) > OUTPUT_BYTES {
            break End::Flooded;
        }
    };
    if let End::Exited(_) = end {
        // What it left running, such as a service that it started, goes on.
        group.leader = None;
        drain(&mut stdout, &mut stderr, DRAIN).await;
    } else {
        group.signal(Signal::TERM);
        drain(&mut stdout, &mut stderr, TERM_GRACE).await;
        // The leader has not been waited for, so its id, which is the group's, can be nobody else's yet.
        group.signal(Signal::KILL);
        child.wait().await?;
        group.leader = None;
    }
    let finish = async {
        // A line without an end would run into what follows it.
        stdout.finish_lines().await;
        stderr.finish_lines().await;
        stdout.finish().await;
        stderr.finish().await;
    };
    if let End::Exited(_) = end {
        // It has still to be heard, but not for longer than its time.
        tokio::select! {
            () = finish => {}
            () = sleep_until(deadline) => {}
            () = spec.stop.cancelled() => {}
        }
    } else {
        // Its last words, if there is room for them.
        let _ = timeout(DRAIN, finish).await;
    }
    Ok(Ran { end, stdout: stdout.kept, stderr: stderr.kept })
}

/// Reads until both streams end, for so long at most.
async fn drain<R: AsyncRead + Unpin, S: AsyncRead + Unpin>(
    stdout: &mut Stream<R>,
    stderr: &mut Stream<S>,
    limit: Duration,
) {
    let until = Instant::now() + limit;
    while stdout.is_open() || stderr.is_open() {
        let step = async {
            tokio::select! {
                () = stdout.last_step() => {}
                () = stderr.last_step() => {}
            }
        };
        if timeout_at(until, step).await.is_err() {
            break;
        }
    }
}

async fn spawn(spec: &Spec<'_>) -> io::Result<Child> {
    let mut command = Command::new(spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(spec.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
