//! `orch audit verify FILE…`: whether a node's audit is what the node wrote. Offline.

use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use orch_wire::audit::{Fault, MAX_LINE, Verified, Verifier};
use orch_wire::ids::Digest;
use serde_json::json;

use super::failure::{Failure, chain};
use super::root::is_json;
use crate::exit::Exit;
use crate::report::Printer;

const EXAMPLES: &str = "\
Examples:
  orch audit verify /var/lib/orch/node/audit/*.jsonl
  orch audit verify web1/*.jsonl --head 8f3c…     and nothing is missing at the end

A head is the hash of a line that the node had written when it said so: `audit_head` of `node.stats`, or `audit` of
a result in JSON. Without one nobody can tell whether the last lines were cut off.

Exit codes: 0 every line follows the one before; 65 one does not, or the head is missing; 64 a file cannot be read";

/// Look at the audit that a node keeps
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AuditCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Find lines that were changed, removed or moved
    #[command(after_help = EXAMPLES)]
    Verify {
        /// The files of one node, in the order of their numbers
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,

        /// A hash that a line must have
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<Digest>,
    },
}

fn hash(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_| "write the 64 hexadecimal digits of a hash".to_owned())
}

/// Where the chain breaks.
struct Broken {
    file: PathBuf,
    line: usize,
    fault: Fault,
}

impl AuditCommand {
    pub(super) fn run(&self, printer: &Printer) -> Result<Exit, Failure> {
        let Action::Verify { files, head } = &self.command;
        let mut verifier = Verifier::new(*head);
        let mut last = 0;
        for file in files {
            match verify(&mut verifier, file)? {
                Ok(lines) => last = lines,
                Err(broken) => return Ok(tell_broken(printer, &broken)),
            }
        }
        match verifier.finish() {
            Ok(verified) => {
                tell(printer, &verified, head.is_some());
                Ok(Exit::Success)
            }
            Err(fault) => {
                let file = files.last().cloned().unwrap_or_default();
                Ok(tell_broken(printer, &Broken { file, line: last, fault }))
            }
        }
    }
}

/// Takes a file line by line; how many it has.
fn verify(verifier: &mut Verifier, path: &Path) -> Result<Result<usize, Broken>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("{} cannot be read: {}", path.display(), chain(&error)))
    };
    let mut from = BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    // One byte more than a line has is enough to know that it is none.
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(2);
    let mut text = Vec::new();
    let mut line = 0;
    loop {
        text.clear();
        if from.by_ref().take(most).read_until(b'\n', &mut text).map_err(unreadable)? == 0 {
            return Ok(Ok(line));
        }
        line += 1;
        let bytes = text.strip_suffix(b"\n").unwrap_or(&text);
        if let Err(fault) = verifier.line(bytes) {
            return Ok(Err(Broken { file: path.to_owned(), line, fault }));
        }
    }
}

fn tell_broken(printer: &Printer, broken: &Broken) -> Exit {
    let Broken { file, line, fault } = broken;
    if is_json(printer) {
        let file = file.display().to_string();
        printer.json(&json!({ "sound": false, "file": file, "line": line, "fault": fault.to_string() }));
    } else {
        let help = "compare with a copy of the files that the node cannot change, such as a backup";
        printer.error(&format!("{}:{line}: {fault}", file.display()), Some(help));
    }
    Exit::Data
}

fn tell(printer: &Printer, verified: &Verified, has_head: bool) {
    let Verified { lines, first, head, decisions, refused, outcomes, torn } = verified;
    if is_json(printer) {
        printer.json(&json!({
            "sound": true, "lines": lines, "first": first, "head": head, "head_checked": has_head,
            "decisions": decisions, "refused": refused, "outcomes": outcomes, "torn": torn,
        }));
        return;
    }
    printer.line(&format!("{lines} lines, each follows the one before"));
    printer.line(&format!("{decisions} decisions, {refused} of them refusals; {outcomes} outcomes"));
    if *torn > 0 {
        printer.line(&format!("{torn} torn by a crash, and told as such by the line after"));
    }
    if let Some(first) = first.filter(|first| *first > 0) {
        printer.warn(&format!("it begins with position {first}: older files were not looked at"));
    }
    if let Some(head) = head {
        printer.line(&format!("the last one is {} with the hash {}", head.position, head.hash));
    }
    if !has_head {
        printer.warn("without --head nobody can tell whether lines are missing at the end");
    }
}
