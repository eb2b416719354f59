//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::io;
use std::sync::{Arc, OnceLock};

use orch_link::task::{self, Task};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::report::{Printer, Stream};

/// Watches for signals as long as it lives.
pub(super) struct Interrupts {
    first: CancellationToken,
    second: CancellationToken,
    exit: Arc<OnceLock<Exit>>,
    _watch: Task<()>,
}

impl Interrupts {
    /// Begins to watch. From here on a signal does not end the process by itself.
    pub(super) fn watch(printer: Printer) -> io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (first, second) = (CancellationToken::new(), CancellationToken::new());
        let exit = Arc::new(OnceLock::new());
        let (firsts, seconds, exits) = (first.clone(), second.clone(), Arc::clone(&exit));
        let watch = task::spawn(async move {
            loop {
                let cause = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                };
                // The first signal is the one that the exit code tells.
                let _ = exits.set(cause);
                if firsts.is_cancelled() {
                    seconds.cancel();
                    return;
                }
                firsts.cancel();
                // The terminal shows the key at the end of the line before.
                let line = if printer.is_terminal(Stream::Err) { "\n" } else { "" };
                printer.say(&format!("{line}interrupted: nothing more is sent; once more to end at once"));
            }
        });
        Ok(Self { first, second, exit, _watch: watch })
    }

    /// The token that the first signal cancels.
    pub(super) fn token(&self) -> CancellationToken {
        self.first.clone()
    }

    /// Waits for the first signal.
    pub(super) async fn first(&self) {
        self.first.cancelled().await;
    }

    /// Waits for the second signal.
    pub(super) async fn second(&self) {
        self.second.cancelled().await;
    }

    /// The exit code of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.get().copied()
    }
}
