//! The output of nodes while their actions run: whole lines, each behind the name of its node.
//!
//! A thread of its own prints, since events must not wait for whoever reads. What is not read soon enough is left out in the
//! end, and counted: a slow reader must neither stop the session nor fill the memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use indicatif::ProgressBar;
use orch_wire::ids::NodeName;
use serde_json::json;

use super::printer::{Format, Printer, Stream};
use super::text::{clean, count};

/// Pieces that wait to be printed, and bytes of them.
const PIECES: usize = 4096;
const BYTES: usize = 16 * 1024 * 1024;
/// A line that is longer is shown in parts.
const LINE_BYTES: usize = 16 * 1024;

/// What is printed.
enum Piece {
    Text(NodeName, String),
    /// Some of the node's output is missing here.
    Gap(NodeName),
    /// The node says no more.
    End(NodeName),
}

/// Shows the output of one call. Nothing is started before there is some.
pub(super) struct Live {
    printer: Printer,
    bar: ProgressBar,
    waiting: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    printing: Option<(SyncSender<Piece>, JoinHandle<()>)>,
    /// Bytes that were left out, by node.
    left_out: BTreeMap<NodeName, usize>,
}

impl Live {
    /// Shows on this printer, beside this bar.
    pub(super) fn new(printer: Printer, bar: ProgressBar) -> Self {
        Self { printer, bar, waiting: Arc::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a piece of a node's output.
    pub(super) fn output(&self, node: NodeName, text: String) {
        let bytes = text.len();
        let mut state = self.state();
        let State { printing, left_out } = &mut *state;
        let (pieces, _) = printing.get_or_insert_with(|| self.start());
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let name = node.clone();
        if waiting > BYTES || pieces.try_send(Piece::Text(node, text)).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            *left_out.entry(name).or_default() += bytes;
        }
    }

    /// Notes that some of a node's output was lost before it came here.
    pub(super) fn gap(&self, node: NodeName) {
        let mut state = self.state();
        let (pieces, _) = state.printing.get_or_insert_with(|| self.start());
        // A queue without room for this loses more, and says so.
        let _ = pieces.try_send(Piece::Gap(node));
    }

    /// Notes that a node has ended.
    pub(super) fn end(&self, node: NodeName) {
        if let Some((pieces, _)) = &self.state().printing {
            // Without room the rest of its last line stands at the end of all.
            let _ = pieces.try_send(Piece::End(node));
        }
    }

    /// Waits until everything is printed, and says what was left out.
    pub(super) fn close(&self) {
        let State { printing, left_out } = std::mem::take(&mut *self.state());
        if let Some((pieces, thread)) = printing {
            drop(pieces);
            // Its only work is to print: a call must not fail because that did.
            let _ = thread.join();
        }
        for (node, bytes) in left_out {
            let bytes = count(bytes, "byte");
            self.printer.warn(&format!("{bytes} of {node}'s output were not read in time and are not shown"));
        }
    }

    fn start(&self) -> (SyncSender<Piece>, JoinHandle<()>) {
        let (pieces, received) = sync_channel(PIECES);
        let (printer, bar, waiting) = (self.printer.clone(), self.bar.clone(), Arc::clone(&self.waiting));
        (pieces, std::thread::spawn(move || print(&printer, &bar, &waiting, &received)))
    }
}

fn print(printer: &Printer, bar: &ProgressBar, waiting: &AtomicUsize, pieces: &Receiver<Piece>) {
    let mut lines = Lines::default();
    let show = |node: &NodeName, lines: &[String]| {
        if !lines.is_empty() {
            bar.suspend(|| show_lines(printer, node, lines));
        }
    };
    for piece in pieces {
        match piece {
            Piece::Text(node, text) => {
                waiting.fetch_sub(text.len(), Ordering::Relaxed);
                if printer.format() == Format::Jsonl {
                    printer.json(&json!({ "event": "output", "node": node, "text": text }));
                } else {
                    show(&node, &lines.take(&node, &text));
                }
            }
            Piece::Gap(node) => {
                bar.suspend(|| printer.warn(&format!("some output of {node} was lost on its way")));
            }
            Piece::End(node) => show(&node, lines.end(&node).as_slice()),
        }
    }
    for (node, line) in lines.rest() {
        show(&node, &[line]);
    }
}

/// Where a JSON document is the data, output is talk.
fn show_lines(printer: &Printer, node: &NodeName, lines: &[String]) {
    let to = if printer.format() == Format::Json { Stream::Err } else { Stream::Out };
    let name = printer.style(to).strong(node.as_str());
    let mut text = String::new();
    for line in lines {
        // Cannot fail: it writes into a string.
        let _ = writeln!(text, "{name}: {}", clean(line));
    }
    match to {
        Stream::Out => printer.data(&text),
        Stream::Err => printer.say(text.trim_end_matches('\n')),
    }
}

/// Puts the lines of each node together from the pieces that they come in.
#[derive(Debug, Default)]
struct Lines {
    begun: BTreeMap<NodeName, String>,
}

impl Lines {
    /// The lines that a piece completes. A carriage return ends a line too: programs draw their progress with it.
    fn take(&mut self, node: &NodeName, text: &str) -> Vec<String> {
        let mut begun = self.begun.remove(node).unwrap_or_default();
        let mut lines = Vec::new();
        for part in text.split_inclusive(['\n', '\r']) {
            // The second half of a line end of which the first half ended the line.
            if part == "\n" && begun == "\r" {
                begun.clear();
                continue;
            }
            if begun == "\r" {
                begun.clear();
            }
            begun.push_str(part);
            if part.ends_with(['\n', '\r']) {
                let line = begun.trim_end_matches(['\n', '\r']).to_owned();
                let returned = part.ends_with('\r');
                lines.push(line);
                begun = if returned { "\r".to_owned() } else { String::new() };
            } else if begun.len() >= LINE_BYTES {
                lines.push(std::mem::take(&mut begun));
            }
        }
        if !begun.is_empty() {
            self.begun.insert(node.clone(), begun);
        }
        lines
    }

    /// The line that a node began and did not end.
    fn end(&mut self, node: &NodeName) -> Option<String> {
        self.begun.remove(node).filter(|line| line != "\r")
    }

    fn rest(self) -> impl Iterator<Item = (NodeName, String)> {
        self.begun.into_iter().filter(|(_, line)| line != "\r")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    fn taken(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<String> = pieces.iter().flat_map(|piece| lines.take(&node("a"), piece)).collect();
        all.extend(lines.end(&node("a")));
        all
    }

    #[test]
    fn lines_are_whole_however_they_were_cut() {
        for (pieces, lines) in [
            (&["one\ntwo\n"][..], &["one", "two"][..]),
            (&["o", "ne\nt", "wo"], &["one", "two"]),
            (&["a\r\nb\r\n"], &["a", "b"]),
            (&["a\r", "\nb"], &["a", "b"]),
            (&["10 %\r20 %\r", "30 %\r\n"], &["10 %", "20 %", "30 %"]),
            (&["\n\nx\n"], &["", "", "x"]),
            (&[""], &[]),
        ] {
            assert_eq!(taken(pieces), lines, "{pieces:?}");
        }
        let long = "x".repeat(LINE_BYTES);
        assert_eq!(taken(&[&long, "y\n"]), [long, "y".to_owned()]);
    }

    #[test]
    fn nodes_do_not_mix() {
        let mut lines = Lines::default();
        assert!(lines.take(&node("a"), "half ").is_empty());
        assert_eq!(lines.take(&node("b"), "whole\n"), ["whole"]);
        assert_eq!(lines.take(&node("a"), "line\n"), ["half line"]);
        assert!(lines.take(&node("b"), "rest").is_empty());
        assert_eq!(lines.rest().collect::<Vec<_>>(), [(node("b"), "rest".to_owned())]);
    }
}
