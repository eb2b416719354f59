//! Ctrl-C and SIGTERM: the first asks for an orderly end, the last that is borne ends at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use orch_link::task::{self, Task};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::report::{Printer, Stream};

/// Watches for signals as long as it lives.
pub(super) struct Interrupts {
    first: CancellationToken,
    skip: CancellationToken,
    last: CancellationToken,
    /// Whether something is to be done after the first signal that a second one skips.
    defers: Arc<AtomicBool>,
    exit: Arc<OnceLock<Exit>>,
    _watch: Task<()>,
}

impl Interrupts {
    /// Begins to watch. From here on a signal does not end the process by itself.
    pub(super) fn watch(printer: Printer) -> io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (first, skip, last) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let exit = Arc::new(OnceLock::new());
        let defers = Arc::new(AtomicBool::new(false));
        let (firsts, skips, lasts) = (first.clone(), skip.clone(), last.clone());
        let (exits, may_defer) = (Arc::clone(&exit), Arc::clone(&defers));
        let watch = task::spawn(async move {
            loop {
                let cause = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                };
                // The first signal is the one that the exit code tells.
                let _ = exits.set(cause);
                let defers = may_defer.load(Ordering::Relaxed);
                let next = if !firsts.is_cancelled() {
                    firsts.cancel();
                    if defers { "once more to skip what was deferred" } else { "once more to end at once" }
                } else if defers && !skips.is_cancelled() {
                    skips.cancel();
                    "what was deferred is skipped; once more to end at once"
                } else {
                    lasts.cancel();
                    return;
                };
                // The terminal shows the key at the end of the line before.
                let line = if printer.is_terminal(Stream::Err) { "\n" } else { "" };
                printer.say(&format!("{line}interrupted: nothing more is sent; {next}"));
            }
        });
        Ok(Self { first, skip, last, defers, exit, _watch: watch })
    }

    /// The token that the first signal cancels.
    pub(super) fn token(&self) -> CancellationToken {
        self.first.clone()
    }

    /// From here on a second signal skips what was deferred, and a third one ends at once. Gives the token that the second
    /// cancels.
    pub(super) fn skip(&self) -> CancellationToken {
        self.defers.store(true, Ordering::Relaxed);
        self.skip.clone()
    }

    /// Waits for the first signal.
    pub(super) async fn first(&self) {
        self.first.cancelled().await;
    }

    /// Waits for the signal that ends at once.
    pub(super) async fn last(&self) {
        self.last.cancelled().await;
    }

    /// The exit code of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.get().copied()
    }
}
