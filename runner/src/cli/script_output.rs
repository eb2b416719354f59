//! What a script says while it runs, on its way to the report.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::dry_run;
use super::script::{record_json, record_view, tell};
use crate::client::{Discovery, EventSink};
use crate::report::{Format, Printer, Progress, Stream, clean, names};
use crate::script::{LogLevel, Output, OutputSink};

/// Shows a run while it lasts.
pub(super) struct Stage {
    printer: Printer,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    /// The bar of what goes on now, and where its events go.
    progress: Option<(Arc<Progress>, EventSink)>,
    /// How many calls and searches go on: branches have theirs beside each other, and share the bar.
    open: usize,
    /// Warnings that were given: a script may resolve the same nodes many times.
    warned: HashSet<String>,
}

impl Stage {
    pub(super) fn new(printer: Printer) -> Arc<Self> {
        Arc::new(Self { printer, shown: Mutex::default() })
    }

    pub(super) fn printer(&self) -> &Printer {
        &self.printer
    }

    /// Takes what the script says.
    pub(super) fn sink(self: &Arc<Self>) -> OutputSink {
        let stage = Arc::clone(self);
        Arc::new(move |output| stage.take(output))
    }

    /// Takes the bar from the screen.
    pub(super) fn clear(&self) {
        let ended = {
            let mut shown = self.shown();
            shown.open = 0;
            shown.progress.take()
        };
        if let Some((progress, _)) = ended {
            progress.close();
        }
    }

    /// Something that began has ended; with the last of them the bar goes.
    fn end(&self) {
        let is_last = {
            let mut shown = self.shown();
            shown.open = shown.open.saturating_sub(1);
            shown.open == 0
        };
        if is_last {
            self.clear();
        }
    }

    /// Writes beside the bar of what else goes on.
    fn aside(&self, write: impl FnOnce()) {
        let progress = self.shown().progress.as_ref().map(|(progress, _)| Arc::clone(progress));
        match progress {
            Some(progress) => progress.aside(write),
            None => write(),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, output: Output) {
        match output {
            Output::Print(text) => self.aside(|| self.print(&text)),
            Output::Log { level, message } => self.aside(|| self.log(level, &message)),
            Output::Section(title) => self.aside(|| self.section(&title)),
            Output::Emit { name, value } => {
                self.event(|| json!({ "event": "emit", "name": name, "value": value }))
            }
            Output::Resolving { what } => self.begin(&format!("finding {what}")),
            Output::Resolved { what, found } => {
                self.end();
                self.aside(|| self.resolved(&what, &found));
            }
            Output::CallBegins { agent, action, quiet } => {
                if !quiet {
                    self.begin(&format!("{agent}.{action}"));
                }
            }
            Output::Event(event) => {
                let sink = self.shown().progress.as_ref().map(|(_, sink)| Arc::clone(sink));
                match (sink, event) {
                    (Some(sink), event) => sink(event),
                    (None, crate::client::CallEvent::Notice(text)) => self.printer.note(&text),
                    (None, _) => {}
                }
            }
            Output::Rollout { message } => {
                self.event(|| json!({ "event": "rollout", "text": message }));
                let style = self.printer.style(Stream::Err);
                self.aside(|| self.printer.say(&style.strong(&clean(&message))));
            }
            Output::Waiting { what } => self.begin(&what),
            Output::Waited => self.end(),
            Output::Would(would) => {
                self.event(|| dry_run::event(&would));
                self.aside(|| dry_run::tell(&self.printer, &would));
            }
            Output::Deferred { count, interrupted } => {
                self.clear();
                if interrupted {
                    let closures = crate::report::count(count, "deferred closure");
                    self.printer.say(&self.printer.style(Stream::Err).faint(&format!("running {closures}")));
                }
            }
            Output::Trouble(diagnostic) => {
                self.event(|| json!({ "event": "trouble", "error": *diagnostic }));
                self.aside(|| tell(&self.printer, &diagnostic));
            }
            Output::CallLost { quiet } => {
                if !quiet {
                    self.end();
                }
            }
            Output::CallEnded(record) => {
                // A roll-out is told of when its calls have been.
                if !record.quiet && record.schema.is_some() {
                    self.end();
                }
                self.event(|| {
                    let mut call = record_json(&record);
                    if let Some(call) = call.as_object_mut() {
                        call.insert("event".to_owned(), json!("call"));
                    }
                    call
                });
                if record.quiet {
                    return;
                }
                let view = record_view(&record);
                self.aside(|| {
                    if self.printer.format() == Format::Table {
                        let style = self.printer.style(Stream::Out);
                        self.printer.data(&view.results(false, style, self.printer.width()));
                    }
                    self.printer.call_talk(&view);
                });
            }
        }
    }

    fn begin(&self, what: &str) {
        let mut shown = self.shown();
        shown.open += 1;
        if shown.progress.is_none() {
            let progress = Progress::new(&self.printer, what);
            let sink = progress.sink();
            shown.progress = Some((progress, sink));
        }
    }

    /// A line of JSON for programs that follow the run.
    fn event(&self, value: impl FnOnce() -> Value) {
        if self.printer.format() == Format::Jsonl {
            self.printer.json(&value());
        }
    }

    fn print(&self, text: &str) {
        match self.printer.format() {
            Format::Human | Format::Table | Format::Sarif | Format::Github => {
                self.printer.line(&clean(text));
            }
            // The document at the end is the data; what the script prints is talk then.
            Format::Json => self.printer.say(&clean(text)),
            Format::Jsonl => self.event(|| json!({ "event": "print", "text": text })),
        }
    }

    fn section(&self, title: &str) {
        match self.printer.format() {
            Format::Human | Format::Table | Format::Sarif | Format::Github => {
                let style = self.printer.style(Stream::Out);
                self.printer.line(&style.strong(&format!("== {} ==", clean(title))));
            }
            Format::Json => self.printer.say(&format!("== {} ==", clean(title))),
            Format::Jsonl => self.event(|| json!({ "event": "section", "title": title })),
        }
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.event(|| json!({ "event": "log", "level": level.as_str(), "text": message }));
        let style = self.printer.style(Stream::Err);
        let message = clean(message);
        match level {
            LogLevel::Debug => self.printer.say(&style.faint(&format!("debug: {message}"))),
            LogLevel::Info => self.printer.say(&format!("info: {message}")),
            LogLevel::Warn => self.printer.always_say(&format!("{} {message}", style.doubtful("warning:"))),
            LogLevel::Error => self.printer.always_say(&format!("{} {message}", style.bad("error:"))),
        }
    }

    fn resolved(&self, what: &str, found: &Discovery) {
        self.event(|| {
            json!({
                "event": "resolved", "what": what, "nodes": found.nodes, "unanswered": found.unanswered,
                "away": found.away, "foreign": found.foreign,
            })
        });
        for (why, nodes) in [
            ("away", &found.away),
            ("here, and gave no answer", &found.unanswered),
            ("the card is sealed with another pre-shared key", &found.foreign),
        ] {
            let warning = format!("{why}: {}", names(nodes));
            if !nodes.is_empty() && self.shown().warned.insert(warning.clone()) {
                self.printer.warn(&warning);
            }
        }
    }
}
