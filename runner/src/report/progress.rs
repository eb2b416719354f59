//! Progress while answers come in: a bar on a terminal, nothing elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::printer::{Printer, Stream};
use super::text::clean;
use crate::client::{CallEvent, EventSink};

/// A call that ends within this time shows no bar: it would only flicker.
const QUIET_FOR: Duration = Duration::from_millis(150);

/// The bar of one call. Dropping it takes it from the screen.
pub struct Progress {
    bar: ProgressBar,
    printer: Printer,
}

impl Progress {
    /// A bar for a call of this name, drawn only where stderr is a terminal.
    pub fn new(printer: &Printer, what: &str) -> Arc<Self> {
        let target = if printer.is_terminal(Stream::Err) {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_message(clean(what).into_owned());
        Arc::new(Self { bar, printer: printer.clone() })
    }

    /// Takes the events of the call.
    pub fn sink(self: &Arc<Self>) -> EventSink {
        let progress = Arc::clone(self);
        let told: Mutex<Option<String>> = Mutex::new(None);
        Arc::new(move |event| match event {
            CallEvent::Planned { expected } => progress.bar.set_length(expected as u64),
            CallEvent::Progress { stage: orch_wire::header::Stage::Skipped, .. }
            | CallEvent::Answered { .. } => {
                progress.bar.inc(1);
                if progress.bar.elapsed() > QUIET_FOR {
                    progress.bar.tick();
                }
            }
            CallEvent::Progress { .. } | CallEvent::Output { .. } => {}
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
        self.bar.finish_and_clear();
    }
}
