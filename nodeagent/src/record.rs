//! The record of begun writes, shared by the actions that run at one time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orch_link::entropy;
use orch_wire::body::{Answer, Ending, code};
use orch_wire::ids::CallId;

use crate::files::FileError;
use crate::started::{Started, Unsynced};
use crate::work::Work;

/// A handle of the record. What waits for the disk says so, and is not for the thread that serves the node.
#[derive(Debug, Clone)]
pub(crate) struct Record(Arc<Mutex<Started>>);

impl Record {
    pub(crate) fn new(started: Started) -> Self {
        Self(Arc::new(Mutex::new(started)))
    }

    fn lock(&self) -> MutexGuard<'_, Started> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_begin(&self, work: &Work) -> Result<Unsynced, FileError> {
        self.lock().begin(work.message, work.call, work.expires, entropy::now())
    }

    /// Records that a write begins and waits for the disk. Where the record cannot be kept the write may not begin, and
    /// this is its answer.
    #[must_use]
    pub(crate) fn begin(&self, work: &Work) -> Option<Answer> {
        // The lock is not held while the disk is waited for, so that others can be recorded meanwhile.
        let unsynced = self.append_begin(work);
        let error = unsynced.and_then(Unsynced::sync).err()?;
        tracing::error!(
            call = %work.call,
            problem = error.full(),
            "a write is refused because its begin cannot be recorded"
        );
        Some(Answer::rejected(code::STATE, "this node cannot record that the action begins"))
    }

    /// Records how a write ended, without waiting for the disk; whether [`Record::compact`] is due.
    pub(crate) fn end(&self, call: CallId, answer: &Answer) -> bool {
        let mut started = self.lock();
        let ending = answer.ending.unwrap_or(Ending::Failed);
        told(call, started.end(call, ending, answer.code.clone(), entropy::now()));
        started.wants_compacting()
    }

    /// Makes the file small; waits for the disk.
    pub(crate) fn compact(&self, call: CallId) {
        told(call, self.lock().compact(entropy::now()));
    }

    /// Records a write that was refused after it had been taken on; waits for the disk.
    pub(crate) fn refuse(&self, work: &Work, answer: &Answer) {
        let recorded = self.append_begin(work).and_then(Unsynced::sync);
        match recorded {
            Ok(()) => drop(self.end(work.call, answer)),
            Err(_) => told(work.call, recorded),
        }
    }
}

fn told(call: CallId, recorded: Result<(), FileError>) {
    if let Err(error) = recorded {
        tracing::warn!(%call, error = error.full(), "how a write ended cannot be recorded");
    }
}
