//! Progress while answers come in: a bar on a terminal, nothing elsewhere.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::live::Live;
use super::printer::{Printer, Stream};
use super::text::clean;
use crate::client::{CallEvent, EventSink};

/// A call that ends within this time shows no bar: it would only flicker.
const QUIET_FOR: Duration = Duration::from_millis(150);

/// The time on the bar moves on even while no node answers.
const TICK: Duration = Duration::from_millis(250);

/// The bar of one call. Dropping it takes it from the screen.
pub struct Progress {
    bar: ProgressBar,
    printer: Printer,
    live: Live,
    curtain: Option<Curtain>,
}

/// Shows the bar once the call has taken longer than a moment; opened early, it shows nothing.
struct Curtain {
    stop: mpsc::SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Curtain {
    fn new(bar: ProgressBar) -> Self {
        let (stop, stopped) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            if stopped.recv_timeout(QUIET_FOR) == Err(RecvTimeoutError::Timeout) {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
                bar.enable_steady_tick(TICK);
            }
        });
        Self { stop, thread }
    }

    /// Afterwards nothing draws the bar any more but its owner.
    fn remove(self) {
        drop(self.stop);
        // Its only work is to draw: a call must not fail because that did.
        let _ = self.thread.join();
    }
}

impl Progress {
    /// A bar for a call of this name, drawn only where stderr is a terminal.
    pub fn new(printer: &Printer, what: &str) -> Arc<Self> {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_message(clean(what).into_owned());
        let curtain = printer.is_terminal(Stream::Err).then(|| Curtain::new(bar.clone()));
        let live = Live::new(printer.clone(), bar.clone());
        Arc::new(Self { bar, printer: printer.clone(), live, curtain })
    }

    /// Writes while the bar stands aside.
    pub fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Waits until all output of the call is shown. Its results come after.
    pub fn close(&self) {
        self.live.close();
    }

    /// Takes the events of the call.
    pub fn sink(self: &Arc<Self>) -> EventSink {
        let progress = Arc::clone(self);
        let told: Mutex<Option<String>> = Mutex::new(None);
        Arc::new(move |event| match event {
            CallEvent::Planned { expected } => progress.bar.set_length(expected as u64),
            CallEvent::Progress { stage: orch_wire::header::Stage::Skipped, .. } => progress.bar.inc(1),
            CallEvent::Answered { node, .. } => {
                progress.bar.inc(1);
                progress.live.end(node);
            }
            CallEvent::Progress { .. } => {}
            CallEvent::Output { node, text } => progress.live.output(node, text),
            CallEvent::Gap { node } => progress.live.gap(node),
            CallEvent::Notice(text) => {
                // Each call in progress is told; the reader wants to hear it once.
                let mut last = told.lock().unwrap_or_else(PoisonError::into_inner);
                if last.as_deref() != Some(text.as_str()) {
                    progress.bar.suspend(|| progress.printer.note(&text));
                    *last = Some(text);
                }
            }
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.close();
        if let Some(curtain) = self.curtain.take() {
            curtain.remove();
        }
        self.bar.finish_and_clear();
    }
}
