//! Where text goes: data to stdout, talk to stderr, each as far as the stream can show it.

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::call::CallView;
use super::json::call_json;
use super::style::Style;

/// How data is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Tables with equal answers folded.
    #[default]
    Human,
    /// Tables with one line per node.
    Table,
    /// One JSON document at the end.
    Json,
    /// One JSON document per line as it comes.
    Jsonl,
    /// Findings as a log of the Static Analysis Results Interchange Format.
    Sarif,
    /// Findings as annotations of a workflow of GitHub Actions.
    Github,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Format::Human),
            "table" => Ok(Format::Table),
            "json" => Ok(Format::Json),
            "jsonl" => Ok(Format::Jsonl),
            "sarif" => Ok(Format::Sarif),
            "github" => Ok(Format::Github),
            _ => Err(format!("`{text}` is none of human, table, json, jsonl, sarif, github")),
        }
    }
}

impl Format {
    /// Whether a program reads it.
    pub fn is_json(self) -> bool {
        matches!(self, Format::Json | Format::Jsonl)
    }

    /// Whether only findings can be written so.
    pub fn is_for_findings(self) -> bool {
        matches!(self, Format::Sarif | Format::Github)
    }
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Data.
    Out,
    /// Talk.
    Err,
}

/// Prints. Cloning it gives another handle to the same streams.
#[derive(Debug, Clone)]
pub struct Printer {
    format: Format,
    colour: bool,
    quiet: bool,
    closed: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

impl Printer {
    /// A printer; `colour` is what the user and the environment allow, and each stream must be a terminal besides.
    pub fn new(format: Format, colour: bool, quiet: bool) -> Self {
        Self { format, colour, quiet, closed: Arc::default(), lost: Arc::default() }
    }

    /// The format of data.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a person looks at the stream.
    pub fn is_terminal(&self, stream: Stream) -> bool {
        match stream {
            Stream::Out => io::stdout().is_terminal(),
            Stream::Err => io::stderr().is_terminal(),
        }
    }

    /// The style of a stream.
    pub fn style(&self, stream: Stream) -> Style {
        Style::new(self.colour && self.is_terminal(stream))
    }

    /// Width of the terminal that data goes to, where it is one.
    pub fn width(&self) -> Option<u16> {
        if !self.is_terminal(Stream::Out) {
            return None;
        }
        rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col).filter(|&width| width > 20)
    }

    /// Whether the reader of data has closed: nothing more is worth writing.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether data could not be written, though somebody wanted it: a full disk, not a reader that has read enough.
    pub fn has_lost_data(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes data. A reader that closed early is a normal end.
    pub fn data(&self, text: &str) {
        if self.is_closed() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.closed.store(true, Ordering::Relaxed);
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.lost.store(true, Ordering::Relaxed);
                self.error(&format!("cannot write the output: {error}"), None);
            }
        }
    }

    /// Writes a line of data.
    pub fn line(&self, text: &str) {
        self.data(&format!("{text}\n"));
    }

    /// Writes a JSON document: pretty where it is the only one, on one line where more follow.
    pub fn json(&self, value: &Value) {
        match self.format {
            Format::Jsonl => self.line(&value.to_string()),
            _ => self.line(&serde_json::to_string_pretty(value).unwrap_or_default()),
        }
    }

    /// Says something.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.always_say(text);
        }
    }

    /// Asks a question; the answer is typed behind it.
    pub fn ask(&self, question: &str) {
        let mut err = io::stderr().lock();
        // Nobody is left to ask when stderr is gone; the answer is then no.
        let _ = write!(err, "{question}").and_then(|()| err.flush());
    }

    /// Says what must not be missed, such as an error.
    pub fn always_say(&self, text: &str) {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Says something that the reader may want to know.
    pub fn note(&self, text: &str) {
        let style = self.style(Stream::Err);
        self.say(&style.faint(&format!("note: {}", super::text::clean(text))));
    }

    /// Says something that needs a look.
    pub fn warn(&self, text: &str) {
        let style = self.style(Stream::Err);
        self.always_say(&format!("{} {text}", style.doubtful("warning:")));
    }

    /// Says what went wrong, and what can be done.
    pub fn error(&self, text: &str, help: Option<&str>) {
        let style = self.style(Stream::Err);
        self.always_say(&format!("{} {}", style.bad("error:"), super::text::clean(text)));
        if let Some(help) = help {
            self.always_say(&format!("{} {help}", style.strong(" help:")));
        }
    }

    /// Shows a call: its results as data, its counts and concerns as talk.
    pub fn call(&self, view: &CallView<'_>) {
        if self.format.is_json() {
            self.json(&call_json(view));
        } else {
            let fold = self.format == Format::Human;
            self.data(&view.results(fold, self.style(Stream::Out), self.width()));
            for line in view.aggregates() {
                self.line(&line);
            }
        }
        self.call_talk(view);
    }

    /// Says how a call ended: the line of counts, and the nodes that need a look.
    pub fn call_talk(&self, view: &CallView<'_>) {
        let style = self.style(Stream::Err);
        let elapsed = view.report.results.iter().map(|result| result.elapsed).max().unwrap_or_default();
        let name = style.strong(&format!("{}.{}", view.agent, view.action));
        let took = style.faint(&format!("in {}", super::text::span(elapsed)));
        self.say(&format!("{name}: {} {took}", view.count_line(style)));
        for line in view.concerns() {
            self.warn(&line);
        }
    }
}
