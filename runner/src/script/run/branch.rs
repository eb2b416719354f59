//! What runs on a thread of a script: the script itself, or one of its branches.
//!
//! Everything in a script blocks, so that a branch is a thread. What a function must know of its branch stands with the
//! thread: the engine's hooks have no other way to it.

use std::cell::RefCell;

use tokio_util::sync::CancellationToken;

use crate::script::types::{Outcome, interrupted};

/// The branch of this thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Branch {
    /// Ends the branch: calls in progress are cancelled, and no `catch` holds it.
    pub(crate) cancel: CancellationToken,
    /// How many `wait_until` are around what runs now.
    polling: usize,
}

thread_local! {
    static HERE: RefCell<Branch> = RefCell::default();
}

/// Puts the branch that was there before back, whatever happens.
struct Back(Branch);

impl Drop for Back {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.0);
        HERE.with_borrow_mut(|here| *here = before);
    }
}

impl Branch {
    /// A branch of its own.
    pub(crate) fn new(cancel: CancellationToken) -> Self {
        Self { cancel, polling: 0 }
    }

    /// The branch that runs on this thread.
    pub(crate) fn here() -> Self {
        HERE.with_borrow(Clone::clone)
    }

    /// A branch of this one: it ends with it, and can be ended alone.
    pub(crate) fn child(&self) -> Self {
        Self { cancel: self.cancel.child_token(), polling: self.polling }
    }

    /// Does something as this branch, on this thread.
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let _back = Back(HERE.replace(self));
        work()
    }

    /// Does something whose calls have no part in the exit code.
    pub(crate) fn poll<T>(work: impl FnOnce() -> T) -> T {
        let here = Self::here();
        Self { polling: here.polling + 1, ..here }.run(work)
    }

    /// Whether calls made now have no part in the exit code.
    pub(crate) fn is_polling() -> bool {
        HERE.with_borrow(|here| here.polling > 0)
    }

    /// Whether this branch was ended.
    pub(crate) fn is_cancelled() -> bool {
        HERE.with_borrow(|here| here.cancel.is_cancelled())
    }

    /// Ends what runs on this thread when the branch was ended.
    pub(crate) fn check() -> Outcome<()> {
        if Self::is_cancelled() { Err(interrupted()) } else { Ok(()) }
    }
}
