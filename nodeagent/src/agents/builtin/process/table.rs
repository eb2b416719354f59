//! What the kernel says of processes.

use std::path::{Path, PathBuf};

use orch_wire::time::Timestamp;
use rustix::param::clock_ticks_per_second;
use serde_json::{Value, json};

use super::super::account::Account;
use crate::agents::ending::Done;
use crate::files;

/// Of a command line, so many bytes are looked at, and so many characters are shown.
const COMMAND_BYTES: usize = 16 * 1024;
const SHOWN_CHARS: usize = 512;
/// Longest of the other files.
const FILE_BYTES: usize = 64 * 1024;
/// Most processes that a machine can have: the kernel's own limit.
const PROCESSES: usize = 4 << 20;

/// The folder of processes.
#[derive(Debug)]
pub(super) struct Table {
    proc: PathBuf,
    /// When the machine started, in seconds since 1970.
    booted: u64,
    ticks: u64,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) ppid: i32,
    pub(super) uid: u32,
    /// Its arguments with blanks between them; its name in brackets where it has none, as the kernel's own.
    pub(super) command: String,
    /// In clock ticks since the machine started. With the number it names a process for good.
    pub(super) started: u64,
    pub(super) is_kernels: bool,
    state: char,
    cpu: u64,
    rss: u64,
}

impl Table {
    pub(super) fn of_this_node() -> Self {
        let proc = PathBuf::from("/proc");
        let stat = read(&proc.join("stat")).unwrap_or_default();
        let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        Self { proc, booted: booted.unwrap_or(0), ticks: clock_ticks_per_second().max(1) }
    }

    /// Numbers of the processes, in order.
    pub(super) fn pids(&self) -> Done<Vec<i32>> {
        let mut pids: Vec<i32> = files::list(&self.proc, PROCESSES)?
            .iter()
            .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// A process, if there is one with this number.
    pub(super) fn process(&self, pid: i32) -> Option<Process> {
        let folder = self.proc.join(pid.to_string());
        let stat = read(&folder.join("stat"))?;
        let status = read(&folder.join("status"))?;
        let arguments = files::open(&folder.join("cmdline")).ok()?.0;
        let arguments = beginning(&arguments);
        parse(pid, &stat, &status, &arguments)
    }

    /// A process as it is answered.
    pub(super) fn described(&self, process: &Process) -> Value {
        let started = self.booted.saturating_add(process.started / self.ticks);
        json!({
            "pid": process.pid,
            "ppid": process.ppid,
            "user": Account::User.name(process.uid).unwrap_or_else(|| process.uid.to_string()),
            "state": process.state.to_string(),
            "started": Timestamp::from_millis(started.saturating_mul(1000)).to_string(),
            "rss": process.rss,
            "cpu": process.cpu / self.ticks,
            "command": process.command.chars().take(SHOWN_CHARS).collect::<String>(),
        })
    }
}

fn read(path: &Path) -> Option<String> {
    let bytes = files::read(path, FILE_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The beginning of a file that may be long: arguments can take megabytes.
fn beginning(file: &std::fs::File) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    // One that ended meanwhile has no arguments; its other files have told already that it was there.
    let _ = file.take(COMMAND_BYTES as u64).read_to_end(&mut bytes);
    bytes
}

/// Reads `stat`, `status` and `cmdline` of one process (proc_pid_stat(5) and its neighbours).
fn parse(pid: i32, stat: &str, status: &str, arguments: &[u8]) -> Option<Process> {
    // The name stands in parentheses and may hold any character, those and line ends too.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let columns: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Counted from the state, which is the third column of the file.
    let number = |column: usize| columns.get(column - 3)?.parse::<u64>().ok();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()
    };
    let ppid = columns.get(1)?.parse().ok()?;
    let arguments = String::from_utf8_lossy(arguments);
    let command = arguments.trim_end_matches('\0').replace('\0', " ");
    Some(Process {
        pid,
        ppid,
        uid: field("Uid")?.parse().ok()?,
        // The parent of all threads of the kernel is number 2.
        is_kernels: command.is_empty() && (pid == 2 || ppid == 2),
        command: if command.is_empty() { format!("[{name}]") } else { command },
        started: number(22)?,
        state: columns.first()?.chars().next()?,
        cpu: number(14)?.saturating_add(number(15)?),
        // In units of 1024 bytes, whatever the unit says. What has no memory of its own has no line.
        rss: field("VmRSS").and_then(|size| size.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tnginx\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t33\t33\t33\t33\nVmRSS:\t    5424 kB\n";
    const STAT: &str = "812 (nginx) S 811 811 811 0 -1 4194624 97 0 0 0 250 70 0 0 20 0 1 0 4711 11862016 1356 \
        18446744073709551615 1 1 0 0 0 0 0 1073745920 402745863 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn a_process_is_read_from_its_files() {
        let process = parse(812, STAT, STATUS, b"nginx: worker process\0\0").unwrap();
        assert_eq!(
            process,
            Process {
                pid: 812,
                ppid: 811,
                uid: 33,
                command: "nginx: worker process".to_owned(),
                started: 4711,
                is_kernels: false,
                state: 'S',
                cpu: 320,
                rss: 5424 * 1024,
            }
        );
        let table = Table { proc: PathBuf::new(), booted: 1_700_000_000, ticks: 100 };
        let told = table.described(&process);
        assert_eq!((&told["cpu"], &told["started"]), (&json!(3), &json!("2023-11-14T22:14:07.000Z")));
    }

    #[test]
    fn names_may_hold_anything() {
        let stat = STAT.replace("(nginx)", "(a) S 1 (\n))").replace("S 811", "S 2");
        let process = parse(9, &stat, STATUS, b"").unwrap();
        assert_eq!((process.command.as_str(), process.ppid), ("[a) S 1 (\n)]", 2));
        assert!(process.is_kernels);
        for broken in ["", "1", "1 (x", "1 (x)", "1 (x) S", "1 (x) S 1 2 3"] {
            assert_eq!(parse(1, broken, STATUS, b""), None, "{broken}");
        }
        assert_eq!(parse(812, STAT, "Name:\tx\n", b""), None, "without a user");
    }

    #[test]
    fn this_process_is_there() {
        let table = Table::of_this_node();
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(table.pids().unwrap().contains(&me));
        let process = table.process(me).unwrap();
        assert!(process.rss > 0 && !process.is_kernels && process.command.contains("orch_nodeagent"));
        assert_eq!(table.process(i32::MAX), None);
    }
}
