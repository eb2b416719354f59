//! Asking before something changes.

use std::io::BufRead;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::fleet::{Connection, Ground};
use crate::exit::Exit;
use crate::report::{Printer, clean};

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
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = tokio::select! {
        answer = answer => answer,
        () = ground.interrupts.first() => return Err(ground.interrupted()),
    };
    match answer {
        Ok(Ok(line)) if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") => Ok(()),
        _ => Err(Failure::new(Exit::Script, otherwise)),
    }
}

/// Asks for a secret; what is typed is not shown. Gives nothing when the input ends, and when the run does.
pub(super) async fn secret(
    printer: Printer,
    question: String,
    cancel: CancellationToken,
) -> Result<Option<String>, String> {
    if !Connection::can_ask(&printer) {
        return Err("there is no terminal".to_owned());
    }
    let hidden =
        Hidden::begin().map_err(|error| format!("the terminal cannot hide what is typed: {error}"))?;
    printer.ask(&format!("{}: ", clean(&question)));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = zeroize::Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).map(|_| line.trim_end_matches(['\n', '\r']).to_owned())
    });
    let answer = cancel.run_until_cancelled(answer).await;
    drop(hidden);
    // The line break that was typed did not show either.
    printer.ask("\n");
    match answer {
        None => Ok(None),
        Some(Ok(Ok(line))) => Ok(Some(line).filter(|line| !line.is_empty())),
        Some(Ok(Err(error))) => Err(error.to_string()),
        Some(Err(error)) => Err(error.to_string()),
    }
}

/// A terminal that does not show what is typed, as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing is left to do for a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
