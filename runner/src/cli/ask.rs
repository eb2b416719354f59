//! Asking before something changes.

use std::io::BufRead;

use super::failure::Failure;
use super::fleet::{Connection, Ground};
use crate::exit::Exit;

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
        _ => Err(Failure::new(Exit::Script, "nothing was sent")),
    }
}
