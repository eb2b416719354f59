//! The processes of a measurement: started, asked, and weighed by what the kernel knows of them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A process of the measurement, killed with this value. It talks in lines.
pub(crate) struct Part {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// What a process has cost so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Memory of its own, in bytes.
    pub(crate) memory: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
}

impl Part {
    /// Starts this program again in another role.
    pub(crate) fn of_this_program(arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a program that talks in lines, or not at all.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let from = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { to: child.stdin.take(), child, from })
    }

    /// The next line it says.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            bail!("a process of the measurement ended: {:?}", self.child.wait()?);
        }
        Ok(line.trim().to_owned())
    }

    /// Says a line to it and gives the line it answers.
    pub(crate) fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.to.as_ref().context("no input")?, "{question}")?;
        self.line()
    }

    pub(crate) fn cost(&self) -> Result<Cost> {
        cost(self.child.id())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Its input ends first: parts end by themselves then.
        self.to = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has cost so far.
pub(crate) fn cost(pid: u32) -> Result<Cost> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may hold anything, even a parenthesis; the fields come after the last one.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12]
        .into_iter()
        .map(|at| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default())
        .sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        .unwrap_or_default();
    Ok(Cost {
        cpu: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()),
        memory: kilobytes * 1024,
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
    })
}
