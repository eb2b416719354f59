//! What is recorded of requests, shared by the actions that run at one time: the audit, and which writes began.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orch_link::entropy;
use orch_wire::audit::{Decision, Head, Outcome};
use orch_wire::body::{Answer, Ending, code};
use orch_wire::ids::{CallId, MessageId};
use orch_wire::time::Timestamp;

use crate::audit::{self, Audit};
use crate::files::FileError;
use crate::started::{self, Started};
use crate::work::Work;

/// A handle of the record. What waits for the disk says so, and is not for the thread that serves the node.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    started: Arc<Mutex<Started>>,
    audit: Arc<Mutex<Audit>>,
}

impl Record {
    pub(crate) fn new(started: Started, audit: Audit) -> Self {
        Self { started: Arc::new(Mutex::new(started)), audit: Arc::new(Mutex::new(audit)) }
    }

    fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn audit(&self) -> MutexGuard<'_, Audit> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_decision(&self, decision: Decision) -> Result<audit::Unsynced, FileError> {
        self.audit().decide(decision, entropy::now())
    }

    fn append_begin(
        &self,
        message: MessageId,
        call: CallId,
        expires: Timestamp,
    ) -> Result<started::Unsynced, FileError> {
        self.started().begin(message, call, expires, entropy::now())
    }

    /// Records a refusal, or a read that begins. Where the audit is strict and cannot be written, this is the answer.
    pub(crate) fn note(&self, decision: Decision) -> Option<Answer> {
        let call = decision.call;
        let error = self.audit().note(decision, entropy::now()).err()?;
        let answer = unaudited(call, &error);
        self.audit().is_strict().then_some(answer)
    }

    /// Records that a write begins and waits for the disk. Where the record cannot be kept the write may not begin, and
    /// this is its answer.
    #[must_use]
    pub(crate) fn begin(&self, work: &Work) -> Option<Answer> {
        // Both are appended before either is waited for: on most file systems one wait then does for both. No lock is held while the
        // disk is waited for, so that others can be recorded meanwhile.
        let decided = match self.append_decision(work.decision.clone()) {
            Ok(decided) => decided,
            Err(error) => return Some(unaudited(work.call, &error)),
        };
        let begun = match self.append_begin(work.message, work.call, work.expires) {
            Ok(begun) => begun,
            Err(error) => return Some(unrecorded(work.call, &error)),
        };
        if let Err(error) = decided.sync() {
            let answer = unaudited(work.call, &error);
            // It did not begin after all.
            self.end(work.call, &answer);
            return Some(answer);
        }
        begun.sync().err().map(|error| unrecorded(work.call, &error))
    }

    /// Records how a write ended, without waiting for the disk; whether [`Record::compact`] is due.
    pub(crate) fn end(&self, call: CallId, answer: &Answer) -> bool {
        let mut started = self.started();
        let ending = answer.ending.unwrap_or(Ending::Failed);
        told(call, started.end(call, ending, answer.code.clone(), entropy::now()));
        started.wants_compacting()
    }

    /// Makes the file of begun writes small; waits for the disk.
    pub(crate) fn compact(&self, call: CallId) {
        told(call, self.started().compact(entropy::now()));
    }

    /// Records a write that was refused after it had been taken on; waits for the disk.
    pub(crate) fn refuse(&self, message: MessageId, call: CallId, expires: Timestamp, answer: &Answer) {
        let recorded = self.append_begin(message, call, expires).and_then(started::Unsynced::sync);
        match recorded {
            Ok(()) => drop(self.end(call, answer)),
            Err(_) => told(call, recorded),
        }
    }

    /// Writes down how a request ended whose decision was; the head of the audit then.
    pub(crate) fn audit_outcome(
        &self,
        message: MessageId,
        call: CallId,
        answer: &Answer,
        is_write: bool,
    ) -> Option<Head> {
        let outcome = Outcome {
            message,
            call,
            outcome: answer.ending.unwrap_or(Ending::Failed),
            code: answer.code.clone(),
            duration: answer.elapsed,
        };
        let mut audit = self.audit();
        told(call, audit.outcome(outcome, is_write, entropy::now()));
        audit.head()
    }

    /// Whether reads are refused from now on when they cannot be audited.
    pub(crate) fn set_strict(&self, strict: bool) {
        self.audit().set_strict(strict);
    }

    /// Where the audit stands, and how many of its lines could not be written.
    pub(crate) fn audit_state(&self) -> (Option<Head>, u64) {
        let audit = self.audit();
        (audit.head(), audit.lost())
    }

    /// Whether lines of the audit wait to be written.
    pub(crate) fn audit_waits(&self) -> bool {
        self.audit().is_waiting()
    }

    /// Writes what waits.
    pub(crate) fn flush_audit(&self) {
        if let Err(error) = self.audit().flush() {
            tracing::error!(problem = error.full(), "the audit cannot be written");
        }
    }
}

fn unaudited(call: CallId, error: &FileError) -> Answer {
    tracing::error!(%call, problem = error.full(), "the audit cannot be written");
    Answer::rejected(code::AUDIT, "this node cannot write its audit")
}

fn unrecorded(call: CallId, error: &FileError) -> Answer {
    tracing::error!(%call, problem = error.full(), "a write is refused because its begin cannot be recorded");
    Answer::rejected(code::STATE, "this node cannot record that the action begins")
}

fn told(call: CallId, recorded: Result<(), FileError>) {
    if let Err(error) = recorded {
        tracing::warn!(%call, error = error.full(), "how a call ended cannot be recorded");
    }
}
