//! Asking the operator, on the terminal.

use std::io;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::fleet::{Connection, Ground};
use crate::exit::Exit;
use crate::report::{Printer, clean};
use crate::script::{Question, Wants};

/// Longest answer; a terminal gives no longer line.
const LONGEST: usize = 64 * 1024;

/// Refuses, before anything is opened, a write to everything that nobody can be asked about.
pub(super) fn can_be_confirmed(ground: &Ground<'_>, yes: bool, what: &str) -> Result<(), Failure> {
    if yes || Connection::can_ask(ground.printer) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{what} may change every node, as no filter was given, and there is nobody to ask"
    ))
    .help("name the nodes with a filter such as `-C role::web`, or give --yes"))
}

/// Asks the operator; anything but a yes is a no.
pub(super) async fn confirm(ground: &Ground<'_>, question: &str) -> Result<(), Failure> {
    confirmed(ground, question, "nothing was sent").await
}

/// The same, with what a no means.
pub(super) async fn confirmed(ground: &Ground<'_>, question: &str, otherwise: &str) -> Result<(), Failure> {
    ground.printer.ask(&format!("{question} [y/N] "));
    let answer = tokio::select! {
        answer = line() => answer,
        () = ground.interrupts.first() => return Err(ground.interrupted()),
    };
    match answer {
        Ok(Some(line)) if consent(&line) == Some(true) => Ok(()),
        _ => Err(Failure::new(Exit::Script, otherwise)),
    }
}

/// What a typed line means; none where it is neither.
fn consent(line: &str) -> Option<bool> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Asks what a script wants to know. Gives nothing when the input ends, and when the run does.
pub(super) async fn script(
    printer: &Printer,
    question: &Question,
    cancel: &CancellationToken,
) -> Result<Option<String>, String> {
    if !Connection::can_ask(printer) {
        return Err("there is no terminal".to_owned());
    }
    let hidden = match question.wants {
        Wants::Secret => Some(
            Hidden::begin().map_err(|error| format!("the terminal cannot hide what is typed: {error}"))?,
        ),
        Wants::Line | Wants::Consent => None,
    };
    let text = clean(&question.text);
    loop {
        printer.ask(&match question.wants {
            Wants::Secret => format!("{text}: "),
            Wants::Line => format!("{text} "),
            Wants::Consent => format!("{text} [y/N] "),
        });
        let Some(answer) = cancel.run_until_cancelled(line()).await else {
            printer.ask("\n");
            return Ok(None);
        };
        if hidden.is_some() {
            // The line break that was typed did not show either.
            printer.ask("\n");
        }
        let Some(answer) = answer.map_err(|error| error.to_string())? else {
            printer.ask("\n");
            return Ok(None);
        };
        match (question.wants, consent(&answer)) {
            (Wants::Consent, Some(consents)) => {
                return Ok(Some(if consents { "yes" } else { "no" }.to_owned()));
            }
            (Wants::Consent, None) => printer.ask("write `y` or `n`\n"),
            (Wants::Line | Wants::Secret, _) => return Ok(Some(answer.as_str().to_owned())),
        }
    }
}

/// A line from the terminal, without its end; none at the end of the input. Dropping the future takes nothing from the input: no
/// thread is left that would take the next answer.
async fn line() -> io::Result<Option<Zeroizing<String>>> {
    let (_end, ended) = UnixStream::pair()?;
    let read = tokio::task::spawn_blocking(move || read_line(&ended));
    read.await.map_err(io::Error::other)?
}

/// Reads until the line is whole, or the other end of `ended` is gone.
fn read_line(ended: &UnixStream) -> io::Result<Option<Zeroizing<String>>> {
    let input = io::stdin();
    let mut bytes = Zeroizing::new(Vec::new());
    loop {
        let mut fds = [PollFd::new(ended, PollFlags::IN), PollFd::new(&input, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        let [ended, _] = &fds;
        if !ended.revents().is_empty() {
            return Ok(None);
        }
        // A terminal gives a line at a time, and this asks for one that is there.
        let mut piece = Zeroizing::new(vec![0; LONGEST]);
        let count = match rustix::io::read(&input, piece.as_mut_slice()) {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            read => read?,
        };
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        if bytes.len() > LONGEST {
            return Err(io::Error::other("the answer is too long"));
        }
        if count == 0 && bytes.is_empty() {
            return Ok(None);
        }
        if count == 0 || bytes.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&bytes);
            return Ok(Some(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())));
        }
    }
}

/// A terminal that does not show what is typed, as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing is left to do for a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
