//! What the agent counts, for `node.stats`.

use orch_wire::audit::Head;
use orch_wire::body::Ending;

/// Counters since the start of the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Messages received.
    pub(crate) received: u64,
    /// Calls that began an action.
    pub(crate) passed: u64,
    /// Messages meant for others, and queries that do not match.
    pub(crate) filtered: u64,
    /// Messages that could not be verified.
    pub(crate) unvalidated: u64,
    /// Messages seen before.
    pub(crate) replayed: u64,
    /// Messages outside of their time.
    pub(crate) expired: u64,
    /// Calls refused.
    pub(crate) rejected: u64,
    /// Calls asked for again.
    pub(crate) repeated: u64,
    /// Actions that succeeded.
    pub(crate) ok: u64,
    /// Actions that failed.
    pub(crate) failed: u64,
    /// Actions killed over their time.
    pub(crate) timed_out: u64,
    /// Replies dropped because the queue was full.
    pub(crate) unsent: u64,
    /// Times that the lanes ended.
    pub(crate) reconnects: u64,
    /// Questions of queries and policies that a data function could not answer.
    pub(crate) unanswered: u64,
    /// Actions that run or wait now.
    pub(crate) running: usize,
    /// Results kept for resends, and their bytes.
    pub(crate) stored: (usize, usize),
    /// The last line of the audit, and how many could not be written.
    pub(crate) audit: (Option<Head>, u64),
}

impl Counters {
    /// Counts the end of a call.
    pub(crate) fn ended(&mut self, ending: Option<Ending>) {
        let counter = match ending {
            Some(Ending::Ok) => &mut self.ok,
            Some(Ending::Failed) | None => &mut self.failed,
            Some(Ending::Rejected) => &mut self.rejected,
            Some(Ending::TimedOut) => &mut self.timed_out,
        };
        *counter += 1;
    }
}

/// Memory of this process in bytes: what it wrote and what it has mapped of files.
pub(crate) fn memory() -> Option<u64> {
    let status = crate::files::read_text(std::path::Path::new("/proc/self/status"), 64 * 1024).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().split(' ').next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    field("RssAnon:")?.checked_add(field("RssFile:")?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory() {
        assert!(super::memory().unwrap() > 100_000);
    }
}
