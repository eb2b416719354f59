//! Exit codes: what each means, and which of them a run ends with.
//!
//! The codes are part of what scripts around orch rely on and do not change. The rule is "the
//! first that applies", in the order of [`Exit`]'s variants from the most to the least telling.

use orch_wire::outcome::Counts;

use crate::client::CallReport;
use crate::diagnostic::Code;

/// How the program ends. The number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Interrupted by SIGTERM.
    Terminated = 143,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
    /// A mistake in orch itself.
    Internal = 70,
    /// The script ended by an error that is not a call's, a selection that was acted upon was
    /// empty, or nothing was found.
    Script = 1,
    /// Some node `failed`, `rejected` or `timed_out`.
    Nodes = 2,
    /// Some node ended `silent` or `not_started`, or did not answer a query.
    Incomplete = 3,
    /// Everything that was asked for happened.
    Success = 0,

    // Before anything runs:
    /// The command line is wrong, a malformed filter included.
    Usage = 64,
    /// A script or data file is malformed.
    Data = 65,
    /// The broker cannot be reached, or refused this identity.
    Unavailable = 69,
    /// A permission is missing; also at the end of a run that nobody kept from it.
    Permission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// How the program ends when this is wrong with a script, its parameters or its run. The error of a
    /// call is not told from here: its outcomes are, by [`Tally::exit`].
    pub const fn of_failure(code: Code) -> Self {
        match code {
            Code::Syntax
            | Code::TooLarge
            | Code::Undefined
            | Code::Shadow
            | Code::Import
            | Code::Captured
            | Code::Declaration => Exit::Data,
            Code::Parameter => Exit::Usage,
            Code::Connection => Exit::Unavailable,
            Code::Interrupted => Exit::Interrupted,
            Code::Internal => Exit::Internal,
            // Also when it is refused in the middle of a run: whoever started it looks for this number.
            Code::Permission => Exit::Permission,
            _ => Exit::Script,
        }
    }

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What the calls of a run came to, as far as the exit code asks.
///
/// Every call counts, tolerated or not, but for those whose error was caught and those made
/// while waiting for a condition: whoever keeps the tally leaves these out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Outcomes of all nodes of all calls that count.
    pub counts: Counts,
    /// Nodes that are here and did not answer a query.
    pub unanswered: usize,
    /// Whether a selection was empty that was acted upon.
    pub acted_on_nothing: bool,
}

impl Tally {
    /// Adds a call that counts.
    pub fn note(&mut self, report: &CallReport) {
        let counts = Counts::of(report.results.iter().map(|result| result.outcome));
        self.counts.ok += counts.ok;
        self.counts.failed += counts.failed;
        self.counts.rejected += counts.rejected;
        self.counts.timed_out += counts.timed_out;
        self.counts.silent += counts.silent;
        self.counts.not_started += counts.not_started;
        self.unanswered += report.unanswered.len();
    }

    /// How a run ends that came to its end, or was ended by the error of a call.
    pub fn exit(&self) -> Exit {
        let Counts { failed, rejected, timed_out, silent, not_started, .. } = self.counts;
        if self.acted_on_nothing {
            Exit::Script
        } else if failed + rejected + timed_out > 0 {
            Exit::Nodes
        } else if silent + not_started + self.unanswered > 0 {
            Exit::Incomplete
        } else {
            Exit::Success
        }
    }
}

#[cfg(test)]
mod tests {
    use orch_wire::ids::NodeName;
    use orch_wire::outcome::{NodeResult, Outcome};

    use super::*;

    fn report(outcomes: &[Outcome]) -> CallReport {
        let result = |(at, outcome): (usize, &Outcome)| {
            let node = NodeName::new(&format!("web{at}")).unwrap();
            NodeResult { outcome: *outcome, ..NodeResult::not_started(node, "") }
        };
        CallReport { results: outcomes.iter().enumerate().map(result).collect(), ..CallReport::default() }
    }

    #[test]
    fn the_first_that_applies_is_the_exit_code() {
        use Outcome::{Failed, NotStarted, Ok, Rejected, Silent, TimedOut};
        let cases: [(&[Outcome], u8); 8] = [
            (&[], 0),
            (&[Ok, Ok], 0),
            (&[Ok, Failed], 2),
            (&[Rejected], 2),
            (&[Silent, TimedOut], 2),
            (&[Ok, Silent], 3),
            (&[NotStarted], 3),
            (&[Failed, NotStarted], 2),
        ];
        for (outcomes, code) in cases {
            let mut tally = Tally::default();
            tally.note(&report(&[Ok]));
            tally.note(&report(outcomes));
            assert_eq!(tally.exit().code(), code, "{outcomes:?}");
            tally.acted_on_nothing = true;
            assert_eq!(tally.exit().code(), 1, "{outcomes:?}");
        }
        let unanswered = Tally { unanswered: 1, ..Tally::default() };
        assert_eq!(unanswered.exit(), Exit::Incomplete);
    }
}
