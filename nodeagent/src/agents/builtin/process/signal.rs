//! Signals to processes: always to the process that was meant, never to the agent itself, the first process, or a group.

use orch_wire::body::Answer;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use super::super::errand::Errand;
use super::super::outputs;
use super::Filter;
use super::table::{Process, Table};
use crate::agents::ending::{Done, failed, refused};

/// A pattern that matches more processes signals none where the caller does not say how many may be.
const AT_MOST: u64 = 16;

const SIGNALS: [(&str, Signal); 10] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("WINCH", Signal::WINCH),
];

/// Signals one process by its number, or those that match.
pub(super) fn signal(errand: &Errand) -> Done<Answer> {
    let name = errand.text("signal").unwrap_or("TERM");
    let known = SIGNALS.into_iter().find(|(known, _)| *known == name);
    let (name, signal) = known.ok_or_else(|| refused("`signal` is none that can be sent"))?;
    let filter = Filter::of(errand)?;
    let table = Table::of_this_node();
    let meant = match errand.args.get("pid") {
        Some(pid) => vec![one(&table, &filter, pid)?],
        None => matching(errand, &table, &filter)?,
    };
    let (mut signalled, mut not_allowed) = (Vec::new(), Vec::new());
    for process in &meant {
        match if errand.dry_run { Ok(true) } else { send(&table, process, signal) } {
            Ok(true) => signalled.push(process.pid),
            // It ended by itself.
            Ok(false) => {}
            Err(error) => not_allowed.push(json!({"pid": process.pid, "reason": error.to_string()})),
        }
    }
    let count = signalled.len();
    let refusals = not_allowed.len();
    let answer =
        outputs(json!({"signal": name, "signalled": signalled, "refused": not_allowed, "count": count}));
    if refusals > 0 {
        let why = format!("{refusals} of {} processes could not be signalled", meant.len());
        return Err(Box::new(Answer { data: answer.data, ..*failed(why) }));
    }
    Ok(answer)
}

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// The process of a number.
fn one(table: &Table, filter: &Filter, pid: &Value) -> Done<Process> {
    let pid = pid.as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    if pid <= 1 {
        return Err(refused(
            "`pid` must be the number of one process, and not of the first, which keeps the node up",
        ));
    }
    if pid == own() {
        return Err(refused("`pid` is the node's own agent"));
    }
    let process = table.process(pid).ok_or_else(|| failed(format!("there is no process {pid}")))?;
    // A number that has come to another program since the caller looked.
    if !filter.matches(&process) {
        return Err(failed(format!("process {pid} does not match: nothing was signalled")));
    }
    Ok(process)
}

fn matching(errand: &Errand, table: &Table, filter: &Filter) -> Done<Vec<Process>> {
    if filter.is_empty() {
        return Err(refused("give a `pid`, a `pattern` or a `user`"));
    }
    let mut found = filter.find(errand, table)?;
    // Threads of the kernel take no signals; the first process and the agent itself are never meant.
    found.retain(|process| process.pid > 1 && process.pid != own() && !process.is_kernels);
    let at_most = errand.number("at_most")?.unwrap_or(AT_MOST);
    if found.len() as u64 > at_most {
        let why =
            format!("{} processes match, and `at_most` {at_most} may be signalled: none was", found.len());
        return Err(refused(why));
    }
    Ok(found)
}

/// Signals a process; false where it is gone. The descriptor holds on to the process, so that between the look and the signal its
/// number can come to no other.
fn send(table: &Table, process: &Process, signal: Signal) -> Result<bool, Errno> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(false) };
    let gone = |result: Result<(), Errno>| match result {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error),
    };
    let held = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(held) => held,
        Err(Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error),
    };
    match table.process(process.pid) {
        Some(now) if now.started == process.started => gone(pidfd_send_signal(&held, signal)),
        _ => Ok(false),
    }
}
